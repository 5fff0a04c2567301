//! The lab's machines, judged by the system's own ssh; and the drills on them, mended through the hands.

use std::process::Command;
use std::time::Duration;

use covet_tui::config::{self, Flags, Outside};
use covet_tui::domain::{Action, Key, Kind, Name, ObjectRef, OnMachine, Unit, cause};
use covet_tui::guard::{Actor, Armed, Confirmation};
use covet_tui::hands::Hands;
use covet_tui::journal::{Ending, Journal};
use covet_tui::lab::{Lab, Options, start};
use covet_tui::probes::Probes;
use covet_tui::probes::cluster::Cluster;
use covet_tui::probes::object::{condition, items, name, string};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{causes, client, now, text};

struct Drill {
    lab: Lab,
    cluster: Cluster,
    probes: Probes,
    hands: Hands,
    outside: Outside,
}

impl Drill {
    async fn new(drill: Option<&str>) -> Drill {
        let lab = start(Options {
            drill: drill.map(str::to_owned),
            speed: 30.0,
            machines: true,
            ..Options::default()
        })
        .await
        .unwrap();
        let env = lab.env();
        let find = |asked: &str| env.iter().find(|(name, _)| *name == asked).map(|(_, value)| value.clone());
        assert!(find("COVET_SSH_CONFIG").is_some(), "the lab serves its machines");
        let outside = Outside::of(&config::load(&Flags::default(), &find, None).unwrap());
        let client = client(lab.kubeconfig()).await;
        Drill {
            cluster: Cluster::new(client.clone()),
            probes: Probes::new(client.clone(), now, outside.clone()),
            hands: Hands::new(client, now, outside.clone()),
            outside,
            lab,
        }
    }

    /// The system's own ssh, as a person would use it.
    fn ssh(&self, host: &str, line: &str) -> (i32, String) {
        let config = self.outside.ssh.as_ref().unwrap().config.clone().unwrap();
        let ran = Command::new("ssh")
            .arg("-F")
            .arg(config)
            .args(["-o", "BatchMode=yes", "--", host, line])
            .output()
            .unwrap();
        let said =
            format!("{}{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
        println!("$ ssh {host} {line}\n{said}");
        (ran.status.code().unwrap_or(-1), said)
    }

    async fn nodes(&self) -> Vec<Value> {
        self.cluster.list(Kind::Node, "", "", "").await.unwrap()
    }

    /// The node for which this holds, at most a minute from now.
    async fn node(&self, what: &str, holds: impl Fn(&Value) -> bool) -> Name {
        for _ in 0..300 {
            if let Some(node) = self.nodes().await.iter().find(|node| holds(node)) {
                return name(node).into();
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        panic!("not within a minute: {what}");
    }

    async fn act(&self, action: Action) -> Ending {
        let armed = Armed::arm();
        let preview = self.hands.preview(&armed, action, now()).await.unwrap();
        println!("{}\n  {}", preview.title, super::diff(&preview).replace('\n', "\n  "));
        let typed = match &preview.confirmation {
            Confirmation::Key => String::new(),
            Confirmation::Type(name) => name.to_string(),
        };
        let who = Actor {
            kube_user: "lab-admin".into(),
            os_user: "ann".into(),
            host: "here".into(),
            ..Actor::default()
        };
        let folder = tempfile::tempdir().unwrap();
        let (mut journal, _) = Journal::open(folder.path()).unwrap();
        let entry = journal.enter(armed.confirm(preview, &typed, who, now()).unwrap()).unwrap();
        let outcome = self.hands.perform(entry, mpsc::channel(1000).0, CancellationToken::new()).await;
        println!("{:?}", outcome.result);
        outcome.result
    }
}

fn pressed(node: &Value, status: &str) -> bool {
    condition(node, "DiskPressure").is_some_and(|condition| string(condition, "/status") == status)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_systems_own_ssh_finds_its_way_to_every_machine() {
    let drill = Drill::new(None).await;
    for node in drill.nodes().await {
        let address = string(&items(&node, "/status/addresses")[0], "/address").to_owned();
        let (code, said) = drill.ssh(&address, "hostname");
        assert_eq!((code, said.trim()), (0, name(&node)), "the address leads to its machine");
        let (code, said) = drill.ssh(name(&node), "df -hPT");
        assert!(code == 0 && said.contains("xfs") && said.contains(" /\n"), "{said}");
    }
    let node = drill.nodes().await.first().map(|node| name(node).to_owned()).unwrap();
    for (line, code, words) in [
        ("sudo -n crictl images -o json", 0, "\"repoTags\""),
        ("crictl images", 1, "permission denied"),
        ("systemctl is-active kubelet", 0, "active"),
        ("journalctl --disk-usage", 0, "take up"),
        ("sudo resize2fs /dev/nvme0n1p1", 1, "Bad magic number"),
        ("cat /etc/shadow", 127, "command not found"),
        ("ls 'unfinished", 2, "syntax error"),
    ] {
        let (ended, said) = drill.ssh(&node, line);
        assert!(ended == code && said.contains(words), "{line}: {ended} {said}");
    }
    // And our own client, through the settings that the lab hands out.
    let reading = drill
        .probes
        .read(&Action::Machine(OnMachine::HostResources { node: node.as_str().into() }), now())
        .await;
    assert!(
        reading.ok && reading.summary.contains("MiB of memory available"),
        "{}\n{}",
        reading.summary,
        text(&reading)
    );
    let disk = drill.probes.read(&Action::NodeDisk { node: node.as_str().into() }, now()).await;
    assert!(
        disk.ok && causes(&disk).is_empty() && text(&disk).contains("covetpy-app"),
        "{}\n{}",
        disk.summary,
        text(&disk)
    );
    drill.lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_kubelet_is_restarted_over_ssh_and_its_node_is_ready_again() {
    let drill = Drill::new(Some("node-notready.kubelet")).await;
    let ready = |node: &Value, status: &str| {
        condition(node, "Ready").is_some_and(|ready| string(ready, "/status") == status)
    };
    let node = drill.node("a node is lost", |node| ready(node, "Unknown")).await;
    let log = drill
        .probes
        .read(&Action::Machine(OnMachine::KubeletLog { node: node.clone(), lines: 500 }), now())
        .await;
    assert!(text(&log).contains("Failed with result 'signal'"), "{}", text(&log));
    let silent = drill.probes.read(&Action::NodeDisk { node: node.clone() }, now()).await;
    assert!(!silent.ok, "a dead kubelet says nothing of its disk: {}", silent.summary);
    let status = drill
        .probes
        .read(&Action::Machine(OnMachine::ServiceStatus { node: node.clone(), unit: Unit::Kubelet }), now())
        .await;
    assert!(!status.ok && causes(&status) == [cause::KUBELET_SILENT], "{}", status.summary);
    let ended = drill
        .act(Action::Machine(OnMachine::RestartService { node: node.clone(), unit: Unit::Kubelet }))
        .await;
    assert_eq!(ended, Ending::Performed("kubelet is active and reports again".into()));
    let again = drill.node("it is back", |found| name(found) == &*node && ready(found, "True")).await;
    assert_eq!(again, node);
    drill.lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_full_of_one_pods_log_evicts_others_until_that_pod_goes() {
    let drill = Drill::new(Some("disk-full.logs")).await;
    let node = drill.node("disk pressure", |node| pressed(node, "True")).await;
    let object = drill.cluster.get(&ObjectRef::new(Kind::Node, Key::cluster(node.clone()))).await.unwrap();
    assert!(
        items(&object, "/spec/taints")
            .iter()
            .any(|taint| string(taint, "/key") == "node.kubernetes.io/disk-pressure")
    );
    let disk = drill.probes.read(&Action::NodeDisk { node: node.clone() }, now()).await;
    assert!(causes(&disk).contains(&cause::POD_FILLS_DISK), "{}\n{}", disk.summary, text(&disk));
    let hog: Name = disk.bindings["hog"].as_str().into();
    assert!(hog.starts_with("covetpy-worker-"), "{hog}");
    let space = drill.probes.read(&Action::Machine(OnMachine::DiskSpace { node: node.clone() }), now()).await;
    assert!(
        space.summary.contains("fullest: / at 9") || space.summary.contains("fullest: / at 100"),
        "{}",
        space.summary
    );
    let evicted = || async {
        let pods = drill.cluster.list(Kind::Pod, "covetpy-production", "", "").await.unwrap();
        pods.iter().filter(|pod| string(pod, "/status/reason") == "Evicted").count()
    };
    for _ in 0..150 {
        if evicted().await > 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert!(evicted().await > 0, "the kubelet evicts others");
    let events = drill.probes.read(&Action::NodeEvents { node: node.clone() }, now()).await;
    let all = text(&events);
    for reason in ["NodeHasDiskPressure", "EvictionThresholdMet", "FreeDiskSpaceFailed", "Evicted"] {
        assert!(all.contains(reason), "{reason} in\n{all}");
    }
    let pod = ObjectRef::new(Kind::Pod, Key::new("covetpy-production", hog.clone()));
    let uid: Name = covet_tui::probes::object::uid(&drill.cluster.get(&pod).await.unwrap()).into();
    let ended =
        drill.act(Action::Evict { pod: covet_tui::domain::PodTarget { key: pod.key.clone(), uid } }).await;
    assert!(matches!(ended, Ending::Performed(_)), "{ended:?}");
    drill
        .node("the pressure goes after its transition period", |found| {
            name(found) == &*node && pressed(found, "False")
        })
        .await;
    let after = drill.probes.read(&Action::NodeDisk { node }, now()).await;
    assert!(causes(&after).is_empty(), "{}", after.summary);
    drill.lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_full_of_images_is_pruned_over_ssh() {
    let drill = Drill::new(Some("disk-full.images")).await;
    let node = drill.node("disk pressure", |node| pressed(node, "True")).await;
    let disk = drill.probes.read(&Action::NodeDisk { node: node.clone() }, now()).await;
    assert_eq!(causes(&disk), [cause::IMAGES_FILL_DISK], "{}", disk.summary);
    // The pile grows until nothing fits any more; what was not shown would not be removed.
    tokio::time::sleep(Duration::from_secs(12)).await;
    let images =
        drill.probes.read(&Action::Machine(OnMachine::MachineImages { node: node.clone() }), now()).await;
    assert_eq!(causes(&images), [cause::UNUSED_IMAGES], "{}\n{}", images.summary, text(&images));
    let ended = drill.act(Action::Machine(OnMachine::PruneImages { node: node.clone() })).await;
    assert!(matches!(&ended, Ending::Performed(says) if says.contains("images gone")), "{ended:?}");
    drill.node("the pressure goes", |found| name(found) == &*node && pressed(found, "False")).await;
    drill.lab.stop().await;
}
