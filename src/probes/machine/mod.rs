//! Questions to a node's machine, over SSH, and to its kubelet through the API server. They change nothing:
//! what is sent is on the list of commands that only look.

mod block;
mod disks;
mod folders;
mod images;
mod kubelet;
mod node_events;
mod summary;

use std::time::Duration;

use serde_json::Value;

use super::answer::Answer;
use super::cluster::Cluster;
use super::trouble::Trouble;
use crate::config::ssh::{Machine, NoResult, Ran, Ssh};
use crate::config::{ConnectError, Outside};
use crate::domain::{Key, Kind, Name, ObjectRef, OnMachine, System, Tone};

pub use block::{Growth, growth};
pub use folders::{journal_bytes, journal_size};
pub use images::{Image, all as images, unused};
pub(super) use node_events::events;
pub(super) use summary::disk;

/// One command that looks.
pub const LOOK: Duration = Duration::from_secs(15);
/// One that walks folders.
const WALK: Duration = Duration::from_mins(1);

/// A way to a machine that is not there, in words.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OutOfReach {
    pub says: String,
    pub repair: Option<String>,
}

impl From<NoResult> for OutOfReach {
    fn from(none: NoResult) -> Self {
        Self { says: none.says, repair: none.repair }
    }
}

impl From<Trouble> for OutOfReach {
    fn from(trouble: Trouble) -> Self {
        Self { says: trouble.says, repair: trouble.repair }
    }
}

impl std::fmt::Display for OutOfReach {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.repair {
            Some(repair) => write!(f, "{}; {repair}", self.says),
            None => f.write_str(&self.says),
        }
    }
}

/// Performs a read on a machine.
pub(super) async fn read(cluster: &Cluster, outside: &Outside, command: &OnMachine) -> Answer {
    match ask(cluster, outside, command).await {
        Ok(answer) => answer,
        Err(out) => Answer::failed(&out.to_string()),
    }
}

async fn ask(cluster: &Cluster, outside: &Outside, command: &OnMachine) -> Result<Answer, OutOfReach> {
    let ssh = configured(outside)?;
    let node = find(cluster, command.node()).await?;
    let machine = connect(ssh, command.node(), &node).await?;
    let answer = match command {
        OnMachine::DiskSpace { .. } => disks::space(&machine).await,
        OnMachine::HostResources { .. } => disks::resources(&machine).await,
        OnMachine::KubeletLog { lines, .. } => kubelet::log(&machine, *lines).await,
        OnMachine::ServiceStatus { unit, .. } => kubelet::status(&machine, *unit).await,
        OnMachine::FolderSizes { folders, node } => folders::sizes(cluster, &machine, node, *folders).await,
        OnMachine::MachineImages { .. } => images::answer(&machine).await,
        OnMachine::BlockDevices { .. } => block::answer(&machine).await,
        OnMachine::LargeLogs { .. } => folders::large_logs(&machine).await,
        _ => Ok(Answer::failed("a change is no read")),
    };
    machine.close().await;
    Ok(answer?)
}

/// How machines are reached, if anybody said.
///
/// # Errors
/// Nobody did.
pub fn configured(outside: &Outside) -> Result<&Ssh, OutOfReach> {
    outside.ssh.as_ref().ok_or_else(|| OutOfReach {
        says: "SSH is not configured".into(),
        repair: Some(System::Ssh.configure().into()),
    })
}

/// The node's object.
///
/// # Errors
/// There is no such node, or the API server does not say.
pub async fn find(cluster: &Cluster, node: &Name) -> Result<Value, OutOfReach> {
    let object = ObjectRef::new(Kind::Node, Key::cluster(node.clone()));
    cluster.find(&object).await?.ok_or_else(|| OutOfReach {
        says: format!("there is no node {node} any more"),
        repair: Some("its machine can only be reached by hand".into()),
    })
}

/// A connection to a node's machine, at the address that the settings choose.
///
/// # Errors
/// No such address, or no way to it.
pub async fn connect(ssh: &Ssh, node: &Name, object: &Value) -> Result<Machine, OutOfReach> {
    let out = |error: ConnectError| OutOfReach { says: error.why, repair: error.repair };
    let address = ssh.address(node, object).map_err(out)?;
    ssh.connect(&address).await.map_err(out)
}

/// The lines of a command, under a heading that says which.
fn show(answer: &mut Answer, heading: &str, ran: &Ran, most: usize) {
    answer.line(Tone::Heading, heading);
    let mut lines = ran.out.lines();
    for line in lines.by_ref().take(most) {
        answer.line(Tone::Plain, format!("  {line}"));
    }
    answer.dropped(lines.count());
    if !ran.is_ok() {
        answer.line(Tone::Bad, format!("  {}", ran.complaint()));
    }
}

/// A program that is not there, said as such.
fn missing(ran: &Ran, program: &str, machine: &Machine) -> Option<String> {
    let said = ran.err.to_lowercase();
    let absent = ran.code == 127 || (ran.code != 0 && said.contains("command not found"));
    absent.then(|| format!("there is no {program} on {} (or not in PATH there)", machine.host()))
}

/// Bytes of a size as tools of Linux print them: `3.9G`, `512.0M`, `48K`, `1,5T`.
fn size(text: &str) -> Option<u64> {
    let text = text.trim().trim_end_matches(['.', 'B', 'i']).replace(',', ".");
    let digits = text.trim_end_matches(|character: char| character.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "" => 1.0,
        "K" => 1024.0,
        "M" => 1024.0 * 1024.0,
        "G" => 1024.0 * 1024.0 * 1024.0,
        "T" => 1024.0 * 1024.0 * 1024.0 * 1024.0,
        _ => return None,
    };
    let number: f64 = digits.parse().ok().filter(|number: &f64| number.is_finite() && *number >= 0.0)?;
    Some((number * unit) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_tools_print_them() {
        for (text, bytes) in [
            ("3.9G", Some(4_187_593_113)),
            ("512.0M.", Some(536_870_912)),
            ("48K", Some(49_152)),
            ("0", Some(0)),
            ("1,5G", Some(1_610_612_736)),
            ("-1G", None),
            ("many", None),
        ] {
            assert_eq!(size(text), bytes, "{text}");
        }
    }
}
