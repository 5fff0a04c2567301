//! Commands on a node's machine, each with its fixed arguments: never a line for a shell.
//! Which machine a node is, and how it is reached, is not known here.

use serde::{Deserialize, Serialize};

use super::shell_quote;
use crate::domain::{Effect, Name};

/// What is read or changed on a node's machine.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(tag = "does", rename_all = "kebab-case")]
pub enum OnMachine {
    /// Space and inodes of its file systems.
    DiskSpace {
        node: Name,
    },
    /// The same, with memory and the processes that use most of it.
    HostResources {
        node: Name,
    },
    /// The last lines of the kubelet's journal, of the last hour.
    KubeletLog {
        node: Name,
        lines: u32,
    },
    ServiceStatus {
        node: Name,
        unit: Unit,
    },
    /// What folders hold. Walks them, so it costs the disk something.
    FolderSizes {
        node: Name,
        folders: Folders,
    },
    /// Images, which of them no container uses, and what the image file system holds.
    MachineImages {
        node: Name,
    },
    /// What `/` is mounted from, and the disks and partitions there are.
    BlockDevices {
        node: Name,
    },
    /// Large files under /var/log, and the size of the journal.
    LargeLogs {
        node: Name,
    },

    RestartService {
        node: Name,
        unit: Unit,
    },
    /// Removes the images that no container uses. They are pulled again when they are needed.
    PruneImages {
        node: Name,
    },
    /// Forgets the oldest of the journal, down to a size (`500M`).
    VacuumJournal {
        node: Name,
        size: String,
    },
    /// Grows the partition and file system of a mount point to the size of its disk.
    GrowFilesystem {
        node: Name,
        path: String,
    },
    /// Empties files under /var/log. They stay, and whoever writes them goes on.
    TruncateLogs {
        node: Name,
        files: Vec<String>,
    },
    PullImage {
        node: Name,
        image: String,
    },
    RemoveImage {
        node: Name,
        image: String,
    },
    /// On machines that still run Docker.
    DockerPrune {
        node: Name,
        what: DockerWaste,
    },
    /// On machines that still run Docker: data of volumes that no container uses.
    DockerPruneVolumes {
        node: Name,
    },
}

/// A unit of systemd that may be looked at and restarted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    Kubelet,
    Containerd,
}

/// Folders that fill a node's disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Folders {
    /// Of the container runtime.
    Runtime,
    /// Of the kubelet and its pods.
    Pods,
    Logs,
}

/// What Docker keeps without need.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DockerWaste {
    /// Stopped containers, unused networks, dangling images, the build cache.
    System,
    /// Every image that no container uses.
    Images,
}

/// One command: a program and its arguments.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MachineCommand {
    pub argv: Vec<String>,
    /// Root has to run it: `sudo -n` goes before it, unless we log in as root.
    pub as_root: bool,
}

/// Where the files are that may be emptied.
const LOGS: &str = "/var/log/";
/// A file under /var/log is worth a line from this size on.
const LARGE: &str = "+50M";

impl Unit {
    pub const ALL: [Unit; 2] = [Unit::Kubelet, Unit::Containerd];

    pub fn as_str(self) -> &'static str {
        match self {
            Unit::Kubelet => "kubelet",
            Unit::Containerd => "containerd",
        }
    }
}

impl Folders {
    /// Those that exist are looked at.
    pub fn paths(self) -> &'static [&'static str] {
        match self {
            Folders::Runtime => &["/var/lib/containerd", "/var/lib/docker", "/var/lib/containers"],
            Folders::Pods => &["/var/lib/kubelet/pods", "/var/lib/kubelet", "/var/log/pods"],
            Folders::Logs => &["/var/log/pods", "/var/log/journal", "/var/log"],
        }
    }
}

impl MachineCommand {
    fn user(argv: &[&str]) -> Self {
        Self { argv: argv.iter().map(|word| (*word).to_owned()).collect(), as_root: false }
    }

    fn root(argv: &[&str]) -> Self {
        Self { as_root: true, ..Self::user(argv) }
    }

    /// As one line; `root` when we are root already.
    pub fn line(&self, root: bool) -> String {
        self.words(root).iter().map(|word| shell_quote(word)).collect::<Vec<_>>().join(" ")
    }

    /// As one line, after `ssh` and where to: ssh joins its arguments, and the far shell takes them apart
    /// again.
    pub fn over(&self, ssh: &str, root: bool) -> String {
        let line = self.line(root);
        let special = ['\'', '"', '\\', '$', '*', ';', '&', '|', '<', '>', '`', '(', ')'];
        if line.contains(special) { format!("{ssh} {}", shell_quote(&line)) } else { format!("{ssh} {line}") }
    }

    /// The words as they are sent; `root` when we are root already.
    pub fn words(&self, root: bool) -> Vec<String> {
        let sudo = if self.as_root && !root { &["sudo", "-n"][..] } else { &[] };
        sudo.iter().map(|word| (*word).to_owned()).chain(self.argv.iter().cloned()).collect()
    }
}

impl std::fmt::Display for MachineCommand {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.line(false))
    }
}

impl OnMachine {
    /// Fixed by the type.
    pub fn effect(&self) -> Effect {
        match self {
            OnMachine::DiskSpace { .. }
            | OnMachine::HostResources { .. }
            | OnMachine::KubeletLog { .. }
            | OnMachine::ServiceStatus { .. }
            | OnMachine::FolderSizes { .. }
            | OnMachine::MachineImages { .. }
            | OnMachine::BlockDevices { .. }
            | OnMachine::LargeLogs { .. } => Effect::Read,
            OnMachine::RestartService { .. }
            | OnMachine::PruneImages { .. }
            | OnMachine::GrowFilesystem { .. }
            | OnMachine::PullImage { .. }
            | OnMachine::RemoveImage { .. }
            | OnMachine::DockerPrune { .. } => Effect::Disruptive,
            OnMachine::VacuumJournal { .. }
            | OnMachine::TruncateLogs { .. }
            | OnMachine::DockerPruneVolumes { .. } => Effect::Destructive,
        }
    }

    pub fn node(&self) -> &Name {
        match self {
            OnMachine::DiskSpace { node }
            | OnMachine::HostResources { node }
            | OnMachine::KubeletLog { node, .. }
            | OnMachine::ServiceStatus { node, .. }
            | OnMachine::FolderSizes { node, .. }
            | OnMachine::MachineImages { node }
            | OnMachine::BlockDevices { node }
            | OnMachine::LargeLogs { node }
            | OnMachine::RestartService { node, .. }
            | OnMachine::PruneImages { node }
            | OnMachine::VacuumJournal { node, .. }
            | OnMachine::GrowFilesystem { node, .. }
            | OnMachine::TruncateLogs { node, .. }
            | OnMachine::PullImage { node, .. }
            | OnMachine::RemoveImage { node, .. }
            | OnMachine::DockerPrune { node, .. }
            | OnMachine::DockerPruneVolumes { node } => node,
        }
    }

    /// What is typed to confirm it.
    pub fn target(&self) -> Option<Name> {
        Some(self.node().clone())
    }

    /// What runs on the machine, as far as it is known before looking there.
    pub fn commands(&self) -> Vec<MachineCommand> {
        let user = MachineCommand::user;
        let root = MachineCommand::root;
        match self {
            OnMachine::DiskSpace { .. } => vec![user(&["df", "-hPT"]), user(&["df", "-iP"])],
            OnMachine::HostResources { .. } => vec![
                user(&["df", "-hPT"]),
                user(&["df", "-iP"]),
                user(&["free", "-m"]),
                user(&["top", "-b", "-n1", "-o", "%MEM"]),
            ],
            OnMachine::KubeletLog { lines, .. } => {
                let lines = lines.to_string();
                vec![user(&["journalctl", "-u", "kubelet", "--since", "-1h", "--no-pager", "-n", &lines])]
            }
            OnMachine::ServiceStatus { unit, .. } => vec![
                user(&["systemctl", "is-active", unit.as_str()]),
                user(&["systemctl", "status", unit.as_str(), "--no-pager", "-n", "30"]),
            ],
            OnMachine::FolderSizes { folders, .. } => {
                vec![root(&[&["du", "-xk", "-d1", "--"], folders.paths()].concat())]
            }
            OnMachine::MachineImages { .. } => vec![
                root(&["crictl", "images", "-o", "json"]),
                root(&["crictl", "ps", "-a", "-o", "json"]),
                root(&["crictl", "imagefsinfo"]),
            ],
            OnMachine::BlockDevices { .. } => vec![
                user(&["findmnt", "-no", "SOURCE,FSTYPE", "/"]),
                user(&["lsblk", "-o", "NAME,TYPE,SIZE,FSTYPE,MOUNTPOINT"]),
            ],
            OnMachine::LargeLogs { .. } => vec![
                root(&[
                    "find",
                    LOGS,
                    "-xdev",
                    "-type",
                    "f",
                    "-size",
                    LARGE,
                    "-printf",
                    "%s\\t%TY-%Tm-%Td\\t%p\\n",
                ]),
                root(&["journalctl", "--disk-usage"]),
            ],
            OnMachine::RestartService { unit, .. } => vec![root(&["systemctl", "restart", unit.as_str()])],
            OnMachine::PruneImages { .. } => vec![root(&["crictl", "rmi", "--prune"])],
            OnMachine::VacuumJournal { size, .. } => {
                vec![root(&["journalctl", &format!("--vacuum-size={size}")])]
            }
            OnMachine::GrowFilesystem { path, .. } => {
                vec![user(&["findmnt", "-no", "SOURCE,FSTYPE", path])]
            }
            OnMachine::TruncateLogs { files, .. } => {
                let files: Vec<&str> = files.iter().map(String::as_str).collect();
                vec![root(&[&["truncate", "-s", "0", "--"], files.as_slice()].concat())]
            }
            OnMachine::PullImage { image, .. } => vec![root(&["crictl", "pull", image])],
            OnMachine::RemoveImage { image, .. } => vec![root(&["crictl", "rmi", image])],
            OnMachine::DockerPrune { what: DockerWaste::System, .. } => {
                vec![root(&["docker", "system", "prune", "-f"])]
            }
            OnMachine::DockerPrune { what: DockerWaste::Images, .. } => {
                vec![root(&["docker", "image", "prune", "-a", "-f"])]
            }
            OnMachine::DockerPruneVolumes { .. } => vec![root(&["docker", "volume", "prune", "-f"])],
        }
    }

    /// The line a person could paste into a shell.
    pub(super) fn as_command(&self) -> String {
        let ssh = format!("ssh {}", shell_quote(self.node()));
        let lines: Vec<String> = self.commands().iter().map(|command| command.over(&ssh, false)).collect();
        match self {
            OnMachine::GrowFilesystem { .. } => {
                format!("{}   # then growpart, and xfs_growfs or resize2fs by its answer", lines.join("; "))
            }
            _ => lines.join("; "),
        }
    }

    /// Nothing in it is secret: its words are fixed, names, paths under /var/log and images.
    pub(in crate::domain) fn mask(&mut self) {}

    /// Why it cannot be done as it is written, if it cannot: a value that would be another option, or a file
    /// that is not a log.
    pub fn unfit(&self) -> Option<String> {
        match self {
            OnMachine::TruncateLogs { files, .. } if files.is_empty() => Some("no file is named".into()),
            OnMachine::TruncateLogs { files, .. } => files.iter().find_map(|file| not_a_log(file)),
            OnMachine::VacuumJournal { size, .. } if !is_size(size) => {
                Some(format!("`{size}` is no size for a journal: write 500M or 2G"))
            }
            OnMachine::GrowFilesystem { path, .. } if !path.starts_with('/') => {
                Some(format!("`{path}` is no mount point: it begins with /"))
            }
            OnMachine::PullImage { image, .. } | OnMachine::RemoveImage { image, .. }
                if image.is_empty() || image.starts_with('-') =>
            {
                Some(format!("`{image}` is no image"))
            }
            _ => None,
        }
    }
}

fn not_a_log(file: &str) -> Option<String> {
    let fits = file.strip_prefix(LOGS).is_some_and(|rest| !rest.is_empty())
        && !file.split('/').any(|part| part == ".." || part == ".")
        && !file.chars().any(char::is_control);
    (!fits).then(|| format!("`{file}` is not under {LOGS}: only logs are emptied"))
}

/// As journalctl reads sizes: a whole number and K, M, G or T.
fn is_size(size: &str) -> bool {
    let digits = size.trim_end_matches(['K', 'M', 'G', 'T']);
    digits.len() + 1 == size.len() && digits.parse::<u32>().is_ok_and(|number| number > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_logs_are_emptied() {
        let truncate =
            |file: &str| OnMachine::TruncateLogs { node: "n".into(), files: vec![file.to_owned()] };
        assert_eq!(truncate("/var/log/messages").unfit(), None);
        for file in ["/etc/passwd", "/var/log/../lib/x", "/var/log/", "-x", "/var/logs/x", "/var/log/a\nb"] {
            assert!(truncate(file).unfit().is_some(), "{file}");
        }
        let vacuum = |size: &str| OnMachine::VacuumJournal { node: "n".into(), size: size.to_owned() };
        assert_eq!(vacuum("500M").unfit(), None);
        for size in ["500", "M", "0M", "1 G", "5MM", "-1M", "1d"] {
            assert!(vacuum(size).unfit().is_some(), "{size}");
        }
    }

    #[test]
    fn a_line_to_paste_survives_two_shells() {
        let restart = OnMachine::RestartService { node: "node-1".into(), unit: Unit::Kubelet };
        assert_eq!(restart.as_command(), "ssh node-1 sudo -n systemctl restart kubelet");
        let hostile = OnMachine::TruncateLogs { node: "n".into(), files: vec!["/var/log/a b;reboot".into()] };
        assert_eq!(hostile.as_command(), r"ssh n 'sudo -n truncate -s 0 -- '\''/var/log/a b;reboot'\'''");
    }
}
