//! The commands that only look: whatever is sent to a machine without a warrant is one of these.

/// Commands by their first words, and arguments that would make one of them do more.
const LOOKS: &[(&[&str], &[&str])] = &[
    (&["df"], &[]),
    (&["du"], &[]),
    (&["free"], &[]),
    (&["id"], &[]),
    (&["ls"], &[]),
    (&["stat"], &[]),
    (&["true"], &[]),
    (&["top", "-b", "-n1"], &[]),
    (&["lsblk"], &[]),
    (&["findmnt"], &[]),
    (
        &["find"],
        &["-delete", "-exec", "-execdir", "-ok", "-okdir", "-fprint", "-fprint0", "-fprintf", "-fls"],
    ),
    (&["cat", "/proc/sys/kernel/random/boot_id"], &[]),
    (&["journalctl", "--disk-usage"], &[]),
    (&["journalctl", "-u"], &["--rotate", "--flush", "--sync", "--relinquish-var", "--setup-keys", "-f"]),
    (&["systemctl", "is-active"], &[]),
    (&["systemctl", "status"], &[]),
    (&["systemctl", "show"], &[]),
    (&["crictl", "images"], &[]),
    (&["crictl", "ps"], &[]),
    (&["crictl", "imagefsinfo"], &[]),
    (&["crictl", "inspecti"], &[]),
    (&["docker", "system", "df"], &[]),
    (&["docker", "volume", "ls"], &[]),
    (&["growpart", "--dry-run"], &[]),
];

/// Whether these words change nothing on a machine.
pub fn is_look(argv: &[String]) -> bool {
    LOOKS.iter().any(|(first, never)| {
        argv.len() >= first.len()
            && argv.iter().zip(*first).all(|(word, known)| word == known)
            && argv.iter().all(|word| !never.contains(&word.as_str()) && !word.starts_with("--vacuum"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{DockerWaste, Effect, Folders, OnMachine, Unit};

    #[test]
    fn what_reads_need_only_looks_and_what_changes_never_does() {
        let node = || "n".into();
        let every = [
            OnMachine::DiskSpace { node: node() },
            OnMachine::HostResources { node: node() },
            OnMachine::KubeletLog { node: node(), lines: 500 },
            OnMachine::ServiceStatus { node: node(), unit: Unit::Kubelet },
            OnMachine::FolderSizes { node: node(), folders: Folders::Pods },
            OnMachine::MachineImages { node: node() },
            OnMachine::BlockDevices { node: node() },
            OnMachine::LargeLogs { node: node() },
            OnMachine::RestartService { node: node(), unit: Unit::Containerd },
            OnMachine::PruneImages { node: node() },
            OnMachine::VacuumJournal { node: node(), size: "500M".into() },
            OnMachine::TruncateLogs { node: node(), files: vec!["/var/log/a".into()] },
            OnMachine::PullImage { node: node(), image: "a".into() },
            OnMachine::RemoveImage { node: node(), image: "a".into() },
            OnMachine::DockerPrune { node: node(), what: DockerWaste::Images },
            OnMachine::DockerPruneVolumes { node: node() },
        ];
        for action in every {
            for command in action.commands() {
                assert_eq!(is_look(&command.argv), action.effect() == Effect::Read, "{command}");
            }
        }
        for line in
            ["find / -delete", "find / -exec rm {}", "journalctl -u kubelet --vacuum-time=1s", "rm", ""]
        {
            let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
            assert!(!is_look(&words), "{line}");
        }
    }
}
