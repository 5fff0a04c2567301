//! The nodes' machines: a real sshd on loopback with real keys; where a container has no systemd and no
//! container runtime, small programs answer with what real machines answered.

mod changing;
mod connecting;
mod lab;
mod reading;
mod scripts;
pub mod server;

use std::path::Path;
use std::time::Duration;

use covet_tui::config::Outside;
use covet_tui::domain::{Action, Kind, Name, OnMachine, Reading, Timestamp};
use covet_tui::guard::{Actor, Armed, Confirmation, Preview, Refusal};
use covet_tui::hands::{Hands, Patience};
use covet_tui::journal::{Journal, Outcome};
use covet_tui::lab::{Lab, Options, start};
use covet_tui::probes::Probes;
use covet_tui::probes::cluster::Cluster;
use covet_tui::probes::object::name;
use kube::config::{KubeConfigOptions, Kubeconfig};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// A lab for the API server, hands and probes on it, and a way to its nodes' machines.
pub struct Bench {
    pub hands: Hands,
    pub probes: Probes,
    pub node: Name,
    armed: Armed,
    journal: Journal,
    folder: tempfile::TempDir,
    _lab: Lab,
}

pub fn now() -> Timestamp {
    Timestamp::now()
}

async fn client(kubeconfig: &Path) -> kube::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let file = Kubeconfig::read_from(kubeconfig).unwrap();
    let config = kube::Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await.unwrap();
    kube::Client::try_from(config).unwrap()
}

impl Bench {
    pub async fn new(outside: Outside) -> Bench {
        let lab = start(Options { speed: 20.0, ..Options::default() }).await.unwrap();
        let client = client(lab.kubeconfig()).await;
        let nodes = Cluster::new(client.clone()).list(Kind::Node, "", "", "").await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let (journal, _) = Journal::open(folder.path()).unwrap();
        let patience = Patience {
            rollout: Duration::from_secs(20),
            replacement: Duration::from_secs(30),
            ..Patience::default()
        };
        Bench {
            hands: Hands::new(client.clone(), now, outside.clone()).patient(patience),
            probes: Probes::new(client, now, outside),
            node: name(&nodes[0]).into(),
            armed: Armed::arm(),
            journal,
            folder,
            _lab: lab,
        }
    }

    pub async fn read(&self, command: OnMachine) -> Reading {
        let reading = self.probes.read(&Action::Machine(command), now()).await;
        println!("{}\n  {}", reading.summary, text(&reading).replace('\n', "\n  "));
        reading
    }

    pub async fn preview(&self, action: Action) -> Result<Preview, Refusal> {
        self.hands.preview(&self.armed, action, now()).await
    }

    pub async fn perform(&mut self, preview: Preview) -> Outcome {
        self.perform_until(preview, CancellationToken::new()).await
    }

    pub async fn perform_until(&mut self, preview: Preview, cancel: CancellationToken) -> Outcome {
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
        let warrant = self.armed.confirm(preview, &typed, who, now()).unwrap();
        let entry = self.journal.enter(warrant).unwrap();
        let (progress, _lines) = mpsc::channel(1_000);
        let outcome = self.hands.perform(entry, progress, cancel).await;
        println!("{:?}\n  {}", outcome.result, outcome.progress.join("\n  "));
        self.journal.close(&outcome).unwrap();
        outcome
    }

    /// Everything that is written in the journal's files.
    pub fn journalled(&self) -> String {
        let files = std::fs::read_dir(self.folder.path()).unwrap().flatten();
        files.filter_map(|file| std::fs::read_to_string(file.path()).ok()).collect()
    }

    pub async fn undo(&mut self, outcome: &Outcome) -> Outcome {
        let undo = outcome.undo.as_ref().expect("a way back");
        let preview = self.hands.preview_undo(&self.armed, undo, now()).await.unwrap();
        self.perform(preview).await
    }
}

pub fn text(reading: &Reading) -> String {
    reading.lines.iter().map(|(_, line)| line.as_str()).collect::<Vec<_>>().join("\n")
}

pub fn causes(reading: &Reading) -> Vec<&str> {
    reading.found.iter().map(|found| found.cause.as_str()).collect()
}

pub fn diff(preview: &Preview) -> String {
    preview.diff.iter().map(|(_, line)| line.as_str()).collect::<Vec<_>>().join("\n")
}
