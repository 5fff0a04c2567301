//! Space, inodes, memory and the largest processes of a machine.

use super::{LOOK, missing, show};
use crate::config::ssh::{Machine, NoResult};
use crate::domain::{Tone, cause};
use crate::probes::answer::Answer;

/// From this percentage on a file system is shown as bad: the kubelet collects images from 85 % on.
const BAD: u32 = 85;
/// From this percentage on inodes are exhausted: the kubelet evicts below 5 % free.
const INODES: u32 = 95;
/// What is no disk.
const NOT_A_DISK: &[&str] =
    &["tmpfs", "devtmpfs", "overlay", "squashfs", "ramfs", "efivarfs", "iso9660", "shm"];

/// One file system as `df` shows it.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Mount {
    path: String,
    kind: String,
    size: String,
    free: String,
    percent: u32,
}

pub(super) async fn space(machine: &Machine) -> Result<Answer, NoResult> {
    let mut answer = Answer::new();
    disks(machine, &mut answer).await?;
    Ok(answer)
}

/// The same with memory and processes.
pub(super) async fn resources(machine: &Machine) -> Result<Answer, NoResult> {
    let mut answer = Answer::new();
    let disks = disks(machine, &mut answer).await?;
    let free = machine.look(&["free", "-m"], LOOK).await?;
    show(&mut answer, "free -m", &free, 5);
    let memory = free.out.lines().nth(1).and_then(memory);
    let top = machine.look(&["top", "-b", "-n1", "-o", "%MEM"], LOOK).await?;
    show(&mut answer, "top -b -n1 -o %MEM", &top, 20);
    if let Some((total, available)) = memory {
        let says = format!("{available} of {total} MiB of memory available");
        if available * 100 < total * 5 {
            answer.found(cause::NODE_OOM, &says);
        }
        answer.summary(format!("{disks}; {says}"));
    }
    Ok(answer)
}

/// Adds what `df` says; the worst of it in words.
async fn disks(machine: &Machine, answer: &mut Answer) -> Result<String, NoResult> {
    let space = machine.look(&["df", "-hPT"], LOOK).await?;
    if let Some(says) = missing(&space, "df", machine) {
        answer.not_ok();
        answer.summary(&says);
        return Ok(says);
    }
    let inodes = machine.look(&["df", "-iP"], LOOK).await?;
    let mut mounts: Vec<Mount> = space.out.lines().skip(1).filter_map(mount).collect();
    mounts.retain(|mount| !NOT_A_DISK.contains(&mount.kind.as_str()));
    mounts.sort_by_key(|mount| std::cmp::Reverse(mount.percent));
    let real = |path: &str| mounts.iter().any(|mount| mount.path == path);
    let mut full: Vec<(String, u32)> =
        inodes.out.lines().skip(1).filter_map(inode_use).filter(|(path, _)| real(path)).collect();
    full.sort_by_key(|(_, percent)| std::cmp::Reverse(*percent));
    for (heading, text, bad) in [("df -hPT", &space.out, BAD), ("df -iP", &inodes.out, BAD)] {
        answer.line(Tone::Heading, heading);
        for line in text.lines().take(60) {
            let percent = percent_in(line).filter(|_| !NOT_A_DISK.iter().any(|kind| line.contains(kind)));
            let tone = if percent.is_some_and(|percent| percent >= bad) { Tone::Bad } else { Tone::Plain };
            answer.line(tone, format!("  {line}"));
        }
    }
    let mut says = match mounts.first() {
        Some(worst) => {
            format!("fullest: {} at {} %, {} of {} free", worst.path, worst.percent, worst.free, worst.size)
        }
        None => "df shows no disk".to_owned(),
    };
    if let Some((path, percent)) = full.first() {
        says.push_str(&format!("; inodes of {path} at {percent} %"));
        if *percent >= INODES {
            answer.found(cause::INODES_EXHAUSTED, format!("inodes of {path} at {percent} %"));
        }
    }
    if let Some(root) = mounts.iter().find(|mount| mount.path == "/") {
        answer.bind("root_percent", root.percent.to_string());
    }
    answer.summary(&says);
    Ok(says)
}

/// `Filesystem Type Size Used Avail Use% Mounted on`, whatever the language of the heading.
fn mount(line: &str) -> Option<Mount> {
    let mut words = line.split_whitespace();
    let (_, kind, size) = (words.next()?, words.next()?, words.next()?);
    let (_, free, percent) = (words.next()?, words.next()?, words.next()?);
    Some(Mount {
        path: words.collect::<Vec<_>>().join(" "),
        kind: kind.to_owned(),
        size: size.to_owned(),
        free: free.to_owned(),
        percent: percent.strip_suffix('%')?.parse().ok()?,
    })
}

/// `Filesystem Inodes IUsed IFree IUse% Mounted on`; `-` where a file system has none to count.
fn inode_use(line: &str) -> Option<(String, u32)> {
    let mut words = line.split_whitespace().skip(4);
    let percent = words.next()?.strip_suffix('%')?.parse().ok()?;
    Some((words.collect::<Vec<_>>().join(" "), percent))
}

fn percent_in(line: &str) -> Option<u32> {
    line.split_whitespace().find_map(|word| word.strip_suffix('%')?.parse().ok())
}

/// Total and available, from the second line of `free -m`.
fn memory(line: &str) -> Option<(u64, u64)> {
    let numbers: Vec<u64> = line.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    Some((*numbers.first()?, *numbers.get(5)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn df_is_read_by_position() {
        let line = "/dev/nvme0n1p1                  xfs        80G   76G  4.1G  95% /var/lib/my disk";
        let read = mount(line).expect("a mount");
        assert_eq!((read.path.as_str(), read.kind.as_str(), read.percent), ("/var/lib/my disk", "xfs", 95));
        assert_eq!(mount("Dateisystem    Typ      Größe Benutzt Verf. Verw% Eingehängt auf"), None);
        assert_eq!(inode_use("/dev/nvme0n1p1 41942464 41900000 42464 100% /"), Some(("/".into(), 100)));
        assert_eq!(inode_use("vfat 0 0 0 - /boot/efi"), None);
        assert_eq!(memory("Mem:  7800  7100  120  3  580  290"), Some((7800, 290)));
    }
}
