//! What a mount point stands on: file system, partition, disk; and how it could be grown.

use super::{LOOK, missing, show};
use crate::config::ssh::{Machine, NoResult};
use crate::domain::{Tone, cause, text};
use crate::probes::answer::Answer;

/// Less than this is not worth growing for.
const WORTH: u64 = 1 << 30;

/// How a file system is grown to the size of its disk.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Growth {
    /// `xfs`, `ext4`, …
    pub filesystem: String,
    /// `/dev/nvme0n1p1`.
    pub source: String,
    pub path: String,
    /// The disk, and the partition's number on it; None when the file system stands on the whole disk.
    pub partition: Option<(String, u32)>,
    /// Bytes of the disk, and of what the file system stands on.
    pub disk_bytes: u64,
    pub part_bytes: u64,
}

/// One row of `lsblk`.
struct Block {
    name: String,
    kind: String,
    bytes: u64,
    parent: String,
}

impl Growth {
    /// Bytes that are free behind the partition.
    pub fn room(&self) -> u64 {
        self.disk_bytes.saturating_sub(self.part_bytes)
    }

    /// The command that makes the file system as large as its partition: each knows only its own kind
    /// (audit D55: resize2fs on XFS fails).
    pub fn grow(&self) -> Option<Vec<String>> {
        let words = |words: &[&str]| Some(words.iter().map(|word| (*word).to_owned()).collect());
        match self.filesystem.as_str() {
            "xfs" => words(&["xfs_growfs", "-d", &self.path]),
            "ext2" | "ext3" | "ext4" => words(&["resize2fs", &self.source]),
            "btrfs" => words(&["btrfs", "filesystem", "resize", "max", &self.path]),
            _ => None,
        }
    }
}

/// What a mount point stands on.
///
/// # Errors
/// No connection; or something that is not a partition on a disk (LVM, a network file system), in words.
pub async fn growth(machine: &Machine, path: &str) -> Result<Growth, NoResult> {
    let cannot = |says: String| NoResult { says, repair: Some("grow it by hand".into()) };
    let mount = machine.look(&["findmnt", "-no", "SOURCE,FSTYPE", path], LOOK).await?;
    if let Some(says) = missing(&mount, "findmnt", machine) {
        return Err(cannot(says));
    }
    let mut words = mount.out.lines().next().unwrap_or_default().split_whitespace();
    let (Some(source), Some(filesystem)) = (words.next(), words.next()) else {
        return Err(cannot(format!("{path} is no mount point on {}", machine.host())));
    };
    // A subvolume or a bind shows its folder: `/dev/sda1[/root]`.
    let source = source.split('[').next().unwrap_or(source);
    let blocks = machine.look(&["lsblk", "-bnro", "NAME,TYPE,SIZE,PKNAME"], LOOK).await?;
    let blocks: Vec<Block> = blocks.out.lines().filter_map(block).collect();
    let name = source.strip_prefix("/dev/").unwrap_or(source);
    let Some(own) = blocks.iter().find(|block| block.name == name) else {
        return Err(cannot(format!("{path} is mounted from {source}, which is no disk of this machine")));
    };
    let partition = match own.kind.as_str() {
        "disk" => None,
        "part" => Some((format!("/dev/{}", own.parent), number(&own.name, &own.parent).unwrap_or_default())),
        other => {
            return Err(cannot(format!("{path} stands on {source}, which is of type {other}, no partition")));
        }
    };
    if partition.as_ref().is_some_and(|(_, number)| *number == 0) {
        return Err(cannot(format!("the partition number of {source} cannot be told")));
    }
    let disk = blocks.iter().find(|block| block.name == own.parent).unwrap_or(own);
    // Other partitions have their part of the disk.
    let others: u64 = blocks
        .iter()
        .filter(|block| block.kind == "part" && block.parent == disk.name && block.name != own.name)
        .map(|block| block.bytes)
        .sum();
    Ok(Growth {
        filesystem: filesystem.to_owned(),
        source: source.to_owned(),
        path: path.to_owned(),
        partition,
        disk_bytes: disk.bytes.saturating_sub(others),
        part_bytes: own.bytes,
    })
}

fn block(line: &str) -> Option<Block> {
    let mut words = line.split_whitespace();
    Some(Block {
        name: words.next()?.to_owned(),
        kind: words.next()?.to_owned(),
        bytes: words.next()?.parse().ok()?,
        parent: words.next().unwrap_or_default().to_owned(),
    })
}

/// `nvme0n1p2` on `nvme0n1` is the second, and so is `sda2` on `sda`.
fn number(part: &str, disk: &str) -> Option<u32> {
    let rest = part.strip_prefix(disk)?;
    rest.strip_prefix('p').unwrap_or(rest).parse().ok()
}

pub(super) async fn answer(machine: &Machine) -> Result<Answer, NoResult> {
    let mut answer = Answer::new();
    match growth(machine, "/").await {
        Ok(growth) => {
            let says = format!(
                "/ is {} on {} ({}), its disk has {} more",
                growth.filesystem,
                growth.source,
                text::bytes(growth.part_bytes),
                text::bytes(growth.room())
            );
            if growth.room() >= WORTH {
                answer.found(cause::DISK_HAS_ROOM, &says);
            }
            answer.bind("root_source", &growth.source);
            answer.bind("root_filesystem", &growth.filesystem);
            answer.line(Tone::Plain, &says);
            answer.summary(says);
        }
        Err(none) => {
            answer.not_ok();
            answer.line(Tone::Bad, none.to_string());
            answer.summary(none.to_string());
        }
    }
    let tree = machine.look(&["lsblk", "-o", "NAME,TYPE,SIZE,FSTYPE,MOUNTPOINT"], LOOK).await?;
    show(&mut answer, "lsblk", &tree, 60);
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_have_numbers_and_file_systems_their_own_tool() {
        assert_eq!(number("nvme0n1p1", "nvme0n1"), Some(1));
        assert_eq!(number("sda12", "sda"), Some(12));
        assert_eq!(number("dm-0", "sda"), None);
        let mut growth = Growth {
            filesystem: "xfs".into(),
            source: "/dev/nvme0n1p1".into(),
            path: "/".into(),
            partition: None,
            disk_bytes: 2,
            part_bytes: 1,
        };
        assert_eq!(growth.grow().expect("a way").join(" "), "xfs_growfs -d /");
        growth.filesystem = "ext4".into();
        assert_eq!(growth.grow().expect("a way").join(" "), "resize2fs /dev/nvme0n1p1");
        growth.filesystem = "zfs".into();
        assert_eq!(growth.grow(), None);
    }
}
