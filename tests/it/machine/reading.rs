//! Reads on a machine: the real df, du, find, findmnt and lsblk of this one, and recorded answers of systemd,
//! the journal and the container runtime.

use covet_tui::config::Outside;
use covet_tui::domain::{Action, Folders, OnMachine, Unit, cause};

use super::server::Sshd;
use super::{Bench, causes, now, text};

const IMAGES: &str = r#"{ "images": [
  { "id": "sha256:aaaa", "repoTags": ["ghcr.io/acme/web:v41"], "repoDigests": ["ghcr.io/acme/web@sha256:41"], "size": "1610612736", "uid": null, "username": "", "spec": null, "pinned": false },
  { "id": "sha256:bbbb", "repoTags": ["ghcr.io/acme/web:v42"], "repoDigests": ["ghcr.io/acme/web@sha256:42"], "size": "1610612736", "uid": null, "username": "", "spec": null, "pinned": false },
  { "id": "sha256:cccc", "repoTags": [], "repoDigests": ["ghcr.io/acme/batch@sha256:77"], "size": "2147483648", "uid": null, "username": "", "spec": null, "pinned": false },
  { "id": "sha256:dddd", "repoTags": ["registry.k8s.io/pause:3.10"], "repoDigests": [], "size": "320368", "uid": null, "username": "", "spec": null, "pinned": true } ] }"#;
const CONTAINERS: &str = r#"{ "containers": [ { "id": "c1", "podSandboxId": "s1", "metadata": { "name": "web", "attempt": 0 },
  "image": { "image": "sha256:bbbb", "annotations": {} }, "imageRef": "sha256:bbbb", "state": "CONTAINER_RUNNING", "createdAt": "1" } ] }"#;
const IMAGE_FS: &str = r#"{ "status": { "imageFilesystems": [ { "timestamp": "1", "fsId": { "mountpoint": "/var/lib/containerd/io.containerd.snapshotter.v1.overlayfs" }, "usedBytes": { "value": "6442450944" }, "inodesUsed": { "value": "90000" } } ], "containerFilesystems": [] } }"#;

/// A runtime with three images, two of which no container uses.
pub fn runtime(server: &Sshd) {
    let put = |name: &str, text: &str| std::fs::write(server.at(name), text).unwrap();
    put("images", IMAGES);
    put("containers", CONTAINERS);
    put("imagefs", IMAGE_FS);
    let at = |name: &str| server.at(name).display().to_string();
    server.program(
        "crictl",
        &format!(
            "case \"$1 $2\" in \"images -o\") cat {};; \"ps -a\") cat {};; \"imagefsinfo \") cat {};; *) echo \"$*\" >> {}; exit 1;; esac",
            at("images"), at("containers"), at("imagefs"), at("crictl.log")
        ),
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn disks_memory_and_processes_are_read_from_a_real_machine() {
    let server = Sshd::start(&[]).await;
    let bench = Bench::new(server.outside()).await;
    let node = bench.node.clone();
    let space = bench.read(OnMachine::DiskSpace { node: node.clone() }).await;
    assert!(space.ok && space.summary.starts_with("fullest: "), "{}", space.summary);
    assert!(text(&space).contains("df -iP"));
    server.prints("free", "               total        used        free      shared  buff/cache   available\nMem:            7821        7400         120           3         580         290\nSwap:              0           0           0");
    server.prints("top", "top - 03:12:00 up 31 days\nTasks: 201 total\n\n    PID USER      PR  NI    VIRT    RES    SHR S  %CPU  %MEM     TIME+ COMMAND\n   4021 root      20   0 6144000 5.1g    3m S   3.0  66.0   9:01.11 java");
    let resources = bench.read(OnMachine::HostResources { node: node.clone() }).await;
    assert!(resources.summary.contains("290 of 7821 MiB of memory available"), "{}", resources.summary);
    assert!(text(&resources).contains("java") && causes(&resources).contains(&cause::NODE_OOM));

    server.prints("df", "Filesystem     Type  Size  Used Avail Use% Mounted on\n/dev/nvme0n1p1 xfs    80G   76G  4.1G  95% /\ntmpfs          tmpfs 3.9G  3.9G     0 100% /dev/shm");
    server.program("df", "case $1 in -hPT) echo 'Filesystem     Type  Size  Used Avail Use% Mounted on'; echo '/dev/nvme0n1p1 xfs    80G   76G  4.1G  95% /'; echo 'tmpfs tmpfs 3.9G 3.9G 0 100% /dev/shm';; *) echo 'Filesystem Inodes IUsed IFree IUse% Mounted on'; echo '/dev/nvme0n1p1 41942464 41900000 42464 100% /';; esac");
    let full = bench.read(OnMachine::DiskSpace { node }).await;
    assert!(
        full.summary.contains("fullest: / at 95 %, 4.1G of 80G free; inodes of / at 100 %"),
        "{}",
        full.summary
    );
    assert_eq!(causes(&full), [cause::INODES_EXHAUSTED]);
    assert_eq!(full.bindings.get("root_percent").map(String::as_str), Some("95"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_kubelets_log_is_read_and_its_errors_are_counted() {
    let server = Sshd::start(&[]).await;
    server.prints(
        "journalctl",
        "Nov 26 03:10:00 ip-10-0-1-17 kubelet[812]: I1126 03:10:00.1 812 kubelet.go:1] \"SyncLoop ADD\"\n\
         Nov 26 03:11:00 ip-10-0-1-17 kubelet[812]: E1126 03:11:00.2 812 kubelet.go:2424] \"Skipping pod synchronization\" err=\"PLEG is not healthy: pleg was last seen active 3m7s ago\"\n\
         Nov 26 03:12:00 ip-10-0-1-17 systemd[1]: kubelet.service: Main process exited, code=killed, status=9/KILL \u{1b}[31m password=hunter22",
    );
    server.program("systemctl", "case $1 in is-active) echo failed; exit 3;; *) echo '× kubelet.service - Kubernetes Kubelet'; echo '     Active: failed (Result: signal) since Thu 2026-11-26 03:12:00 UTC; 4min ago'; exit 3;; esac");
    let bench = Bench::new(server.outside()).await;
    let node = bench.node.clone();
    let log = bench.read(OnMachine::KubeletLog { node: node.clone(), lines: 500 }).await;
    assert!(log.ok && log.summary.starts_with("2 of 3 lines are errors; the last:"), "{}", log.summary);
    assert!(!format!("{log:?}").contains("hunter22") && !format!("{log:?}").contains('\u{1b}'));
    let status = bench.read(OnMachine::ServiceStatus { node, unit: Unit::Kubelet }).await;
    assert!(!status.ok && status.summary.contains("failed (Result: signal)"), "{}", status.summary);
    assert_eq!(causes(&status), [cause::KUBELET_SILENT]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_journal_that_is_not_for_everybody_is_read_as_root() {
    let server = Sshd::start(&[]).await;
    server.ordinary_user();
    let log = server.at("sudo.log").display().to_string();
    server.program("journalctl", &format!("if [ -s {log} ]; then echo 'Nov 26 03:10:00 ip kubelet[1]: I1126 hello'; else echo 'Hint: You are currently not seeing messages from other users and the system.' >&2; echo 'No journal files were opened due to insufficient permissions.' >&2; fi"));
    let bench = Bench::new(server.outside()).await;
    let read = bench.read(OnMachine::KubeletLog { node: bench.node.clone(), lines: 20 }).await;
    assert_eq!(read.summary, "1 line, none of them an error");
    assert_eq!(server.read("sudo.log").trim(), "journalctl -u kubelet --since -1h --no-pager -n 20");
}

#[tokio::test(flavor = "multi_thread")]
async fn images_that_nobody_uses_are_told_from_those_that_run() {
    let server = Sshd::start(&[]).await;
    runtime(&server);
    let bench = Bench::new(server.outside()).await;
    let node = bench.node.clone();
    let images = bench.read(OnMachine::MachineImages { node: node.clone() }).await;
    assert!(images.summary.starts_with("2 of 4 images used by no container: 3.5 Gi"), "{}", images.summary);
    assert_eq!(causes(&images), [cause::UNUSED_IMAGES]);
    assert!(text(&images).contains("images and layers take 6"), "{}", text(&images));
    server.program("crictl", "echo 'crictl: command not found' >&2; exit 127");
    let none = bench.read(OnMachine::MachineImages { node }).await;
    assert!(!none.ok && none.summary.contains("there is no crictl on"), "{}", none.summary);
}

#[tokio::test(flavor = "multi_thread")]
async fn folders_logs_and_block_devices_are_read() {
    let server = Sshd::start(&[]).await;
    server.program("du", "echo \"$*\" >> $(dirname $0)/../du.log; printf '8388608\\t/var/log/pods/shop_spam_123\\n16\\t/var/log/pods/shop_web_9\\n8388700\\t/var/log/pods\\n'");
    server.program("ls", "echo /var/log/pods");
    server.program("find", "printf '2147483648\\t2026-11-26\\t/var/log/app/trace.log\\n104857600\\t2026-11-25\\t/var/log/old name.log\\n104857600\\t2026-11-25\\t/var/log/journal/x/system.journal\\n'");
    server.program("journalctl", "echo 'Archived and active journals take up 3.9G in the file system.'");
    server.program("findmnt", "echo '/dev/nvme0n1p1 xfs'");
    server.program("lsblk", "case $1 in -bnro) printf 'nvme0n1 disk 107374182400 \\nnvme0n1p1 part 21473771008 nvme0n1\\nnvme0n1p128 part 1048576 nvme0n1\\n';; *) echo 'nvme0n1 disk 100G';; esac");
    let bench = Bench::new(server.outside()).await;
    let node = bench.node.clone();
    let sizes = bench.read(OnMachine::FolderSizes { node: node.clone(), folders: Folders::Pods }).await;
    assert!(sizes.summary.contains("largest in it: /var/log/pods/shop_spam_123 8.0 Gi"), "{}", sizes.summary);
    assert_eq!(server.read("du.log").trim(), "-xk -d1 -- /var/log/pods", "only what exists is walked");
    let logs = bench.read(OnMachine::LargeLogs { node: node.clone() }).await;
    assert_eq!(causes(&logs), [cause::JOURNAL_LARGE, cause::LARGE_LOGS]);
    assert_eq!(
        logs.bindings.get("large_logs").map(String::as_str),
        Some("/var/log/app/trace.log"),
        "a name with a space is not offered, the journal's never"
    );
    let devices = bench.read(OnMachine::BlockDevices { node }).await;
    assert!(devices.summary.contains("/ is xfs on /dev/nvme0n1p1 (20"), "{}", devices.summary);
    assert_eq!(causes(&devices), [cause::DISK_HAS_ROOM]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_out_of_reach_is_said_in_words() {
    let bench = Bench::new(Outside::default()).await;
    let node = bench.node.clone();
    let none = bench.read(OnMachine::DiskSpace { node: node.clone() }).await;
    assert_eq!(none.summary, "SSH is not configured; set [ssh] user or COVET_SSH_USER");
    let refused = bench.preview(Action::Machine(OnMachine::PruneImages { node })).await.unwrap_err();
    assert!(refused.to_string().contains("SSH is not configured"), "{refused}");
    let server = Sshd::start(&[]).await;
    let bench = Bench::new(server.outside()).await;
    let gone = bench.read(OnMachine::DiskSpace { node: "no-such-node".into() }).await;
    assert!(gone.summary.contains("there is no node no-such-node"), "{}", gone.summary);
    let external = Outside {
        ssh: Some(covet_tui::config::Ssh {
            address: covet_tui::config::ssh::AddressOf::External,
            ..server.ssh()
        }),
        ..Outside::default()
    };
    let bench = Bench::new(external).await;
    let without = bench.read(OnMachine::DiskSpace { node: bench.node.clone() }).await;
    assert!(without.summary.contains("has no ExternalIP"), "{}", without.summary);
    let _ = now();
}
