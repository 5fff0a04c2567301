//! What fills a machine's folders: sizes of known ones, large logs, the journal.

use std::collections::BTreeMap;

use super::{LOOK, WALK, missing, size};
use crate::config::ssh::{Machine, NoResult};
use crate::domain::{Folders, Kind, Name, Tone, cause, text};
use crate::probes::answer::{Answer, columns};
use crate::probes::cluster::Cluster;
use crate::probes::object::{key, uid};

/// The journal is too large from here on (audit, section 4).
const JOURNAL: u64 = 2_000_000_000;
/// Files under /var/log are worth emptying from here on, together: our own choice.
const LOGS: u64 = 1_000_000_000;
/// Rows that are shown.
const SHOWN: usize = 20;
/// Files that are offered for emptying at once.
const OFFERED: usize = 10;

pub(super) async fn sizes(
    cluster: &Cluster,
    machine: &Machine,
    node: &Name,
    folders: Folders,
) -> Result<Answer, NoResult> {
    let existing = machine.look_as_root(&[&["ls", "-d", "--"], folders.paths()].concat(), LOOK).await?;
    let existing: Vec<&str> =
        existing.out.lines().map(str::trim).filter(|path| folders.paths().contains(path)).collect();
    let mut answer = Answer::new();
    if existing.is_empty() {
        answer.summary(format!("none of {} exists there", folders.paths().join(", ")));
        return Ok(answer);
    }
    let ran =
        machine.look_as_root(&[&["du", "-xk", "-d1", "--"], existing.as_slice()].concat(), WALK).await?;
    if let Some(says) = missing(&ran, "du", machine) {
        return Ok(Answer::failed(&says));
    }
    // Files come and go under du's feet: what it could read counts.
    let mut rows: Vec<(u64, String)> = ran.out.lines().filter_map(row).collect();
    rows.sort_by(|one, other| other.0.cmp(&one.0).then_with(|| one.1.cmp(&other.1)));
    rows.dedup();
    let pods = if folders == Folders::Pods { names(cluster, node).await } else { BTreeMap::new() };
    let named = |path: &str| {
        let pod = path.rsplit('/').next().and_then(|last| pods.get(last));
        pod.map_or_else(|| path.to_owned(), |pod| format!("{path}  {pod}"))
    };
    let part = rows.iter().find(|(_, path)| !existing.contains(&path.as_str()));
    let whole: Vec<String> = rows
        .iter()
        .filter(|(_, path)| existing.contains(&path.as_str()))
        .map(|(bytes, path)| format!("{path} {}", text::bytes(*bytes)))
        .collect();
    let mut says = whole.join(", ");
    if let Some((bytes, path)) = part {
        says.push_str(&format!("; largest in it: {} {}", named(path), text::bytes(*bytes)));
    }
    answer.summary(says);
    let cells: Vec<Vec<String>> =
        rows.iter().take(SHOWN).map(|(bytes, path)| vec![text::bytes(*bytes), named(path)]).collect();
    answer.lines(columns(&cells).into_iter().map(|line| (Tone::Plain, line)));
    answer.dropped(rows.len().saturating_sub(SHOWN));
    Ok(answer)
}

/// KiB, a tab, and the folder.
fn row(line: &str) -> Option<(u64, String)> {
    let (kib, path) = line.split_once('\t')?;
    Some((kib.trim().parse::<u64>().ok()?.saturating_mul(1024), path.to_owned()))
}

/// Pods of a node by uid: what the kubelet's folders are called.
async fn names(cluster: &Cluster, node: &Name) -> BTreeMap<String, String> {
    let fields = format!("spec.nodeName={node}");
    let pods = cluster.list(Kind::Pod, "", "", &fields).await.unwrap_or_default();
    pods.iter().map(|pod| (uid(pod).to_owned(), key(pod).to_string())).collect()
}

/// Bytes of the journal.
///
/// # Errors
/// No connection, or sudo that asks.
pub async fn journal_size(machine: &Machine) -> Result<Option<u64>, NoResult> {
    let ran = machine.look_as_root(&["journalctl", "--disk-usage"], LOOK).await?;
    Ok(journal_bytes(&ran.out))
}

/// `Archived and active journals take up 3.9G in the file system.`
pub fn journal_bytes(said: &str) -> Option<u64> {
    said.split_whitespace().filter(|word| word.starts_with(|c: char| c.is_ascii_digit())).find_map(size)
}

pub(super) async fn large_logs(machine: &Machine) -> Result<Answer, NoResult> {
    let argv =
        ["find", "/var/log/", "-xdev", "-type", "f", "-size", "+50M", "-printf", "%s\\t%TY-%Tm-%Td\\t%p\\n"];
    let found = machine.look_as_root(&argv, WALK).await?;
    if let Some(says) = missing(&found, "find", machine) {
        return Ok(Answer::failed(&says));
    }
    let mut files: Vec<(u64, &str, &str)> = found.out.lines().filter_map(file).collect();
    files.sort_by_key(|(bytes, ..)| std::cmp::Reverse(*bytes));
    // The journal's own files are its own to shorten.
    files.retain(|(_, _, path)| !path.starts_with("/var/log/journal/"));
    let journal = journal_size(machine).await?;
    let total: u64 = files.iter().map(|(bytes, ..)| bytes).sum();
    let mut answer = Answer::new();
    let rows: Vec<Vec<String>> = files
        .iter()
        .take(SHOWN)
        .map(|(bytes, day, path)| vec![text::bytes(*bytes), (*day).to_owned(), (*path).to_owned()])
        .collect();
    answer.lines(columns(&rows).into_iter().map(|line| (Tone::Plain, line)));
    let mut says = format!("{} over 50 MB, {} together", text::count(files.len(), "log"), text::bytes(total));
    if let Some(bytes) = journal {
        let size = text::bytes(bytes);
        answer.line(Tone::Plain, format!("journal: {size}"));
        says.push_str(&format!("; the journal {size}"));
        answer.bind("journal_size", &size);
        if bytes > JOURNAL {
            answer.found(cause::JOURNAL_LARGE, format!("the journal takes {size}"));
        }
    }
    let offered: Vec<&str> = files
        .iter()
        .map(|(_, _, path)| *path)
        .filter(|path| !path.contains(char::is_whitespace))
        .take(OFFERED)
        .collect();
    if total > LOGS && !offered.is_empty() {
        answer.found(cause::LARGE_LOGS, format!("logs over 50 MB take {}", text::bytes(total)));
    }
    if !offered.is_empty() {
        answer.bind("large_logs", offered.join(" "));
    }
    answer.summary(says);
    Ok(answer)
}

fn file(line: &str) -> Option<(u64, &str, &str)> {
    let mut parts = line.splitn(3, '\t');
    let (bytes, day, path) = (parts.next()?.parse().ok()?, parts.next()?, parts.next()?);
    path.starts_with("/var/log/").then_some((bytes, day, path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_journal_says_its_size_in_a_sentence() {
        let said = "Archived and active journals take up 3.9G in the file system.";
        assert_eq!(journal_bytes(said), Some(4_187_593_113));
        assert_eq!(journal_bytes("No journal files were found."), None);
        assert_eq!(row("48\t/var/log/pods"), Some((49_152, "/var/log/pods".into())));
        assert_eq!(
            file("52428801\t2026-11-26\t/var/log/a b"),
            Some((52_428_801, "2026-11-26", "/var/log/a b"))
        );
        assert_eq!(file("1\t2\t/etc/passwd"), None);
    }
}
