//! Changes on a machine, the whole way: what is shown, confirmed, journalled, done, seen, and taken back.

use covet_tui::domain::{Action, Effect, OnMachine, Unit};
use covet_tui::guard::{Confirmation, Level};
use covet_tui::journal::Ending;

use super::reading::runtime;
use super::server::Sshd;
use super::{Bench, diff};

fn says(ending: &Ending) -> (&'static str, String) {
    match ending {
        Ending::Performed(says) => ("performed", says.clone()),
        Ending::Unverified(says) => ("unverified", says.clone()),
        Ending::Failed(says) => ("failed", says.clone()),
        Ending::Unknown(says) => ("unknown", says.clone()),
        Ending::Refused(refusal, _) => ("refused", refusal.to_string()),
    }
}

/// systemd with a kubelet whose state stands in files; `restart` does this.
fn systemd(server: &Sshd, restart: &str) {
    std::fs::write(server.at("state"), "failed").unwrap();
    std::fs::write(server.at("pid"), "812").unwrap();
    let at = server.folder.path().display().to_string();
    server.program(
        "systemctl",
        &format!(
            "cd {at}\ncase $1 in show) echo \"ActiveState=$(cat state)\"; echo \"MainPID=$(cat pid)\"; echo \"ActiveEnterTimestamp=now $(cat pid)\";; \
             is-active) cat state;; restart) echo \"$*\" >> systemctl.log; {restart};; esac"
        ),
    );
}

fn restart(bench: &Bench, unit: Unit) -> Action {
    Action::Machine(OnMachine::RestartService { node: bench.node.clone(), unit })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kubelet_is_restarted_and_is_back_when_it_reports() {
    let server = Sshd::start(&[]).await;
    systemd(&server, "echo active > state; echo 4711 > pid");
    server.ordinary_user();
    let mut bench = Bench::new(server.outside()).await;
    let preview = bench.preview(restart(&bench, Unit::Kubelet)).await.unwrap();
    assert_eq!(preview.confirmation, Confirmation::Type(bench.node.clone()));
    assert!(diff(&preview).contains("$ sudo -n systemctl restart kubelet"), "{}", diff(&preview));
    assert!(diff(&preview).contains("kubelet is failed (process 812"), "{}", diff(&preview));
    assert!(
        preview.command.starts_with("ssh -F ")
            && preview.command.ends_with("sudo -n systemctl restart kubelet"),
        "{}",
        preview.command
    );
    assert_eq!(server.read("systemctl.log"), "", "a preview changes nothing");
    let outcome = bench.perform(preview).await;
    assert_eq!(says(&outcome.result), ("performed", "kubelet is active and reports again".into()));
    assert_eq!(server.read("systemctl.log").trim(), "restart kubelet");
    assert!(outcome.undo.is_none());
    assert!(
        bench.journalled().contains("restart-service") && bench.journalled().contains("812"),
        "{}",
        bench.journalled()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_that_does_not_help_and_one_that_came_too_late_are_said() {
    let server = Sshd::start(&[]).await;
    systemd(&server, "echo activating > state; echo 'Job for kubelet.service failed' >&2; exit 1");
    let mut bench = Bench::new(server.outside()).await;
    let preview = bench.preview(restart(&bench, Unit::Kubelet)).await.unwrap();
    let failed = bench.perform(preview).await;
    let (how, words) = says(&failed.result);
    assert!(
        how == "failed" && words.contains("ended with 1: Job for kubelet.service failed"),
        "{how}: {words}"
    );

    // Somebody was faster: what was confirmed is not what would happen.
    std::fs::write(server.at("state"), "failed").unwrap();
    let preview = bench.preview(restart(&bench, Unit::Kubelet)).await.unwrap();
    std::fs::write(server.at("state"), "active").unwrap();
    let before = server.read("systemctl.log");
    let refused = bench.perform(preview).await;
    let (how, words) = says(&refused.result);
    assert!(how == "refused" && words.contains("it is active by now (it was failed)"), "{how}: {words}");
    assert_eq!(server.read("systemctl.log"), before, "nothing was sent");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_lost_on_the_way_is_found_out() {
    let server = Sshd::start(&[]).await;
    // The restart takes effect, and takes the connection with it.
    systemd(&server, "echo active > state; echo 99 > pid; kill -9 $PPID");
    let mut bench = Bench::new(server.outside()).await;
    let preview = bench.preview(restart(&bench, Unit::Containerd)).await.unwrap();
    let outcome = bench.perform(preview).await;
    let (how, words) = says(&outcome.result);
    assert!(how == "performed" && words == "containerd is active", "{how}: {words}");
    let told = outcome.progress.join("\n");
    assert!(told.contains("a look shows that it took effect"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn unused_images_are_listed_with_their_sizes_and_only_they_go() {
    let server = Sshd::start(&[]).await;
    runtime(&server);
    let at = |name: &str| server.at(name).display().to_string();
    let only = server.read("images");
    let crictl = server.read("bin/crictl").replace(
        "*) echo",
        &format!(
            "\"rmi --prune\") echo \"$*\" >> {}; cp {} {};; *) echo",
            at("crictl.log"),
            at("left"),
            at("images")
        ),
    );
    server.program("crictl", crictl.trim_start_matches("#!/bin/sh\n"));
    let left: Vec<&str> =
        only.lines().filter(|line| !line.contains("v41") && !line.contains("batch")).collect();
    std::fs::write(server.at("left"), left.join("\n")).unwrap();

    let mut bench = Bench::new(server.outside()).await;
    let prune = Action::Machine(OnMachine::PruneImages { node: bench.node.clone() });
    let preview = bench.preview(prune.clone()).await.unwrap();
    assert!(
        preview.title.contains("remove 2 unused images from") && preview.title.contains("3.5 Gi"),
        "{}",
        preview.title
    );
    let shown = diff(&preview);
    assert!(
        shown.contains("ghcr.io/acme/web:v41") && shown.contains("ghcr.io/acme/batch@sha256:77"),
        "{shown}"
    );
    assert!(!shown.contains("v42") && !shown.contains("pause"), "{shown}");

    // One more became unused meanwhile: that was not confirmed.
    std::fs::write(server.at("containers"), r#"{ "containers": [] }"#).unwrap();
    let refused = bench.perform(preview).await;
    let (how, words) = says(&refused.result);
    assert!(how == "refused" && words.contains("1 image more would go"), "{how}: {words}");
    assert_eq!(server.read("crictl.log"), "");
    let Ending::Refused(_, Some(fresh)) = refused.result else { panic!("no fresh preview") };
    assert!(diff(&fresh).contains("v42"));
    let left: Vec<&str> = only.lines().filter(|line| !line.contains("acme")).collect();
    std::fs::write(server.at("left"), left.join("\n").replace("},\n  {", "},{")).unwrap();
    let outcome = bench.perform(*fresh).await;
    let (how, words) = says(&outcome.result);
    assert!(how == "performed" && words.contains("3 of 3 images gone"), "{how}: {words}");
    assert_eq!(server.read("crictl.log").trim(), "rmi --prune");
    let nothing = bench.preview(prune).await.unwrap();
    assert_eq!(nothing.worst(), Some(Level::Stop), "{:?}", nothing.hazards);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_journal_is_shortened_to_a_size_that_is_shown_first() {
    let server = Sshd::start(&[]).await;
    let at = server.folder.path().display().to_string();
    std::fs::write(server.at("size"), "3.9G").unwrap();
    server.program("journalctl", &format!("cd {at}; case $1 in --disk-usage) echo \"Archived and active journals take up $(cat size) in the file system.\";; --vacuum-size=500M) echo 488.0M > size; echo 'Vacuuming done, freed 3.4G of archived journals.' >&2;; esac"));
    let mut bench = Bench::new(server.outside()).await;
    let vacuum = |size: &str| {
        Action::Machine(OnMachine::VacuumJournal { node: bench.node.clone(), size: size.into() })
    };
    assert!(
        bench.preview(vacuum("-1 --rotate")).await.unwrap_err().says.contains("is no size for a journal")
    );
    let action = vacuum("500M");
    assert_eq!(action.effect(), Effect::Destructive);
    let preview = bench.preview(action).await.unwrap();
    assert!(preview.title.contains("from 3.9 Gi") && preview.title.ends_with("to 500M"), "{}", preview.title);
    assert!(preview.hazards.iter().any(|hazard| hazard.says.contains("gone for good")));
    let outcome = bench.perform(preview).await;
    let (how, words) = says(&outcome.result);
    assert!(how == "performed" && words.contains("the journal went from 3.9 Gi"), "{how}: {words}");
    assert!(outcome.progress.iter().any(|line| line.contains("freed 3.4G")), "{:?}", outcome.progress);
}

/// A disk that grew, with this file system on its partition.
fn volume(server: &Sshd, filesystem: &str, tool: &str) {
    let at = server.folder.path().display().to_string();
    std::fs::write(server.at("part"), "21473771008").unwrap();
    std::fs::write(server.at("fs"), "21000000000").unwrap();
    server.program("findmnt", &format!("echo '/dev/nvme0n1p1 {filesystem}'"));
    server.program(
        "lsblk",
        &format!("printf 'nvme0n1 disk 107374182400 \\nnvme0n1p1 part %s nvme0n1\\n' $(cat {at}/part)"),
    );
    server.program("df", &format!("echo 'Filesystem 1-blocks Used Available Capacity Mounted on'; echo \"/dev/nvme0n1p1 $(cat {at}/fs) 1 1 1% /\""));
    server.program("growpart", &format!("if [ $(cat {at}/part) -gt 100000000000 ]; then echo 'NOCHANGE: partition 1 is size 209711072. it cannot be grown'; exit 1; fi; case $1 in --dry-run) echo 'CHANGE: partition=1 start=4096 old: size=41938911 end=41943007 new: size=209711071 end=209715167';; *) echo \"growpart $*\" >> {at}/grow.log; echo 107370000000 > {at}/part;; esac"));
    for program in ["xfs_growfs", "resize2fs"] {
        let ends = if program == tool {
            format!("echo 107000000000 > {at}/fs")
        } else {
            "echo 'Bad magic number in super-block' >&2; exit 1".into()
        };
        server.program(program, &format!("echo \"{program} $*\" >> {at}/grow.log; {ends}"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_file_system_is_grown_by_its_own_tool() {
    for (filesystem, tool, line) in
        [("xfs", "xfs_growfs", "xfs_growfs -d /"), ("ext4", "resize2fs", "resize2fs /dev/nvme0n1p1")]
    {
        let server = Sshd::start(&[]).await;
        volume(&server, filesystem, tool);
        let mut bench = Bench::new(server.outside()).await;
        let grow = Action::Machine(OnMachine::GrowFilesystem { node: bench.node.clone(), path: "/".into() });
        let preview = bench.preview(grow.clone()).await.unwrap();
        let shown = diff(&preview);
        assert!(shown.contains("growpart /dev/nvme0n1 1") && shown.contains(line), "{shown}");
        assert!(shown.contains("CHANGE: partition=1"), "the dry run of growpart is shown: {shown}");
        assert_eq!(server.read("grow.log"), "");
        let outcome = bench.perform(preview).await;
        let (how, words) = says(&outcome.result);
        assert!(how == "performed" && words.contains("the file system went from 19.6 Gi"), "{how}: {words}");
        assert_eq!(server.read("grow.log"), format!("growpart /dev/nvme0n1 1\n{line}\n"));
        // Once it has all of its disk there is nothing to grow into.
        let nothing = bench.preview(grow).await.unwrap();
        assert!(nothing.hazards.iter().any(|hazard| hazard.level == Level::Stop && hazard.says.contains("enlarge the volume first")), "{:?}", nothing.hazards);
    }
    let server = Sshd::start(&[]).await;
    volume(&server, "zfs", "none");
    let bench = Bench::new(server.outside()).await;
    let grow = Action::Machine(OnMachine::GrowFilesystem { node: bench.node.clone(), path: "/".into() });
    let refused = bench.preview(grow).await.unwrap_err();
    assert!(refused.says.contains("file system of type zfs"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn listed_logs_are_emptied_really_and_nothing_else() {
    let server = Sshd::start(&[]).await;
    let folder = tempfile::Builder::new().prefix("covet-test").tempdir_in("/var/log").unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(at("big.log"), vec![b'x'; 4096]).unwrap();
    std::fs::write(at("kept.log"), "kept").unwrap();
    std::os::unix::fs::symlink(at("kept.log"), at("link.log")).unwrap();
    let mut bench = Bench::new(server.outside()).await;
    let truncate = |files: &[String]| {
        Action::Machine(OnMachine::TruncateLogs { node: bench.node.clone(), files: files.to_vec() })
    };
    for bad in ["/etc/hosts", "/var/log/../lib/dpkg/status"] {
        let refused = bench.preview(truncate(&[bad.to_owned()])).await.unwrap_err();
        assert!(refused.says.contains("only logs are emptied"), "{refused}");
    }
    let link = bench.preview(truncate(&[at("link.log")])).await.unwrap();
    assert_eq!(link.worst(), Some(Level::Stop), "a link may lead anywhere: {:?}", link.hazards);
    assert!(bench.preview(truncate(&[at("absent.log")])).await.unwrap_err().says.contains("there is no"));

    let preview = bench.preview(truncate(&[at("big.log")])).await.unwrap();
    assert!(diff(&preview).contains("big.log  4.0 Ki"), "{}", diff(&preview));
    let again = bench.preview(truncate(&[at("big.log")])).await.unwrap();
    let outcome = bench.perform(preview).await;
    assert_eq!(says(&outcome.result).0, "performed", "{:?}", outcome.result);
    assert_eq!(std::fs::metadata(at("big.log")).unwrap().len(), 0);
    assert_eq!(std::fs::read_to_string(at("kept.log")).unwrap(), "kept");
    // A log that was rotated since is another file.
    std::fs::rename(at("big.log"), at("big.log.1")).unwrap();
    std::fs::write(at("big.log"), "new").unwrap();
    let refused = bench.perform(again).await;
    assert!(says(&refused.result).1.contains("is another file by now"), "{:?}", refused.result);
    assert_eq!(std::fs::read_to_string(at("big.log")).unwrap(), "new");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pulled_image_can_be_taken_back() {
    let server = Sshd::start(&[]).await;
    runtime(&server);
    let at = server.folder.path().display().to_string();
    let crictl = server.read("bin/crictl").replace("*) echo", &format!(
        "\"pull ghcr.io/acme/new:v1\") cp {at}/more {at}/images; echo 'Image is up to date for sha256:eeee';; \"rmi ghcr.io/acme/new:v1\") cp {at}/less {at}/images;; \"pull\"*) echo 'failed to pull and unpack image: not found' >&2; exit 1;; *) echo"
    ));
    server.program("crictl", crictl.trim_start_matches("#!/bin/sh\n"));
    let images = server.read("images");
    std::fs::write(server.at("less"), &images).unwrap();
    let more = images.replacen("\"images\": [", "\"images\": [ { \"id\": \"sha256:eeee\", \"repoTags\": [\"ghcr.io/acme/new:v1\"], \"repoDigests\": [], \"size\": \"1\" },", 1);
    std::fs::write(server.at("more"), more).unwrap();
    let mut bench = Bench::new(server.outside()).await;
    let pull =
        |image: &str| Action::Machine(OnMachine::PullImage { node: bench.node.clone(), image: image.into() });
    assert!(bench.preview(pull("--creds=me:secret")).await.unwrap_err().says.contains("is no image"));
    let (missing, wanted) = (pull("ghcr.io/acme/absent:v1"), pull("ghcr.io/acme/new:v1"));
    let preview = bench.preview(missing).await.unwrap();
    let failed = bench.perform(preview).await;
    assert!(says(&failed.result).1.contains("not found"), "the runtime's own words: {:?}", failed.result);
    let preview = bench.preview(wanted).await.unwrap();
    let outcome = bench.perform(preview).await;
    assert_eq!(says(&outcome.result), ("performed", "ghcr.io/acme/new:v1 is on the node".into()));
    let back = bench.undo(&outcome).await;
    assert_eq!(says(&back.result), ("performed", "it is gone".into()));
    assert!(!server.read("images").contains("eeee"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sudo_that_asks_stops_before_anything_is_confirmed() {
    let server = Sshd::start(&[]).await;
    systemd(&server, "true");
    server.program("id", "echo 1000");
    server.program("sudo", "echo 'sudo: a terminal is required to read the password' >&2; exit 1");
    let bench = Bench::new(server.outside()).await;
    let preview = bench.preview(restart(&bench, Unit::Kubelet)).await.unwrap();
    assert_eq!(preview.worst(), Some(Level::Stop));
    assert!(
        preview.hazards[0].says.contains("asks for a password")
            && preview.hazards[0].says.contains("NOPASSWD"),
        "{:?}",
        preview.hazards
    );
}
