//! A lab, a wire to it, hands, probes and a journal; and the whole way of an action in one call.

use std::path::Path;
use std::time::Duration;

use covet_tui::config::{self, Flags, Outside};
use covet_tui::domain::{Action, Key, Kind, Name, ObjectRef, Timestamp};
use covet_tui::guard::{Actor, Armed, Confirmation, Preview, Refusal};
use covet_tui::hands::{Hands, Patience};
use covet_tui::journal::{Entry, Journal, Outcome};
use covet_tui::lab::{Lab, Options, start};
use covet_tui::probes::Probes;
use covet_tui::probes::cluster::Cluster;
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::wire::Wire;

pub const SPACE: &str = "covetpy-production";
pub const APP: &str = "covetpy-app";

pub struct Bench {
    pub lab: Lab,
    pub wire: Wire,
    pub hands: Hands,
    pub probes: Probes,
    pub cluster: Cluster,
    pub armed: Armed,
    pub journal: Journal,
    pub folder: tempfile::TempDir,
}

pub fn now() -> Timestamp {
    Timestamp::now()
}

pub fn who() -> Actor {
    Actor {
        kube_user: "lab-admin".into(),
        os_user: "ann".into(),
        host: "here".into(),
        context: "shop-eu".into(),
        ..Actor::default()
    }
}

pub fn patience() -> Patience {
    Patience {
        call: Duration::from_secs(3),
        rollout: Duration::from_secs(60),
        replacement: Duration::from_secs(60),
        eviction: Duration::from_secs(5),
        run: Duration::from_secs(60),
        exec: Duration::from_secs(10),
    }
}

async fn client(kubeconfig: &Path) -> kube::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let file = Kubeconfig::read_from(kubeconfig).unwrap();
    let mut config = kube::Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await.unwrap();
    config.default_retry = false;
    kube::Client::try_from(config).unwrap()
}

impl Bench {
    /// A lab where processes are this many times faster than life.
    pub async fn new(drill: Option<&str>) -> Bench {
        let options = Options { drill: drill.map(str::to_owned), speed: 20.0, ..Options::default() };
        let lab = start(options).await.unwrap();
        let wire = Wire::new(client(lab.kubeconfig()).await);
        Self::on(lab, wire)
    }

    /// The same as somebody who may only look.
    pub async fn viewer() -> Bench {
        let lab = start(Options { speed: 20.0, ..Options::default() }).await.unwrap();
        let wire = Wire::new(client(lab.view_kubeconfig()).await);
        Self::on(lab, wire)
    }

    fn on(lab: Lab, wire: Wire) -> Bench {
        let folder = tempfile::tempdir().unwrap();
        let (journal, orphans) = Journal::open(folder.path()).unwrap();
        assert!(orphans.is_empty());
        let env: std::collections::BTreeMap<&str, String> = lab.env().into_iter().collect();
        let settings = config::load(&Flags::default(), &|name| env.get(name).cloned(), None).unwrap();
        let outside = Outside::of(&settings);
        Bench {
            hands: Hands::new(wire.client(), now, outside.clone()).patient(patience()),
            probes: Probes::new(wire.client(), now, outside).within(Duration::from_secs(3)),
            cluster: Cluster::new(wire.client()),
            armed: Armed::arm(),
            lab,
            wire,
            journal,
            folder,
        }
    }

    pub async fn preview(&self, action: Action) -> Result<Preview, Refusal> {
        self.hands.preview(&self.armed, action, now()).await
    }

    /// Previews, and checks at the transport that nothing but dry runs was written.
    pub async fn previewed(&self, action: Action) -> Preview {
        self.wire.forget();
        let preview = self.preview(action).await.unwrap();
        let wet: Vec<_> = self.wire.writes().into_iter().filter(|sent| !sent.is_dry()).collect();
        assert!(wet.is_empty(), "a preview wrote: {wet:?}");
        preview
    }

    pub fn confirm(&mut self, preview: Preview) -> Entry {
        let typed = match &preview.confirmation {
            Confirmation::Key => String::new(),
            Confirmation::Type(name) => name.to_string(),
        };
        let warrant = self.armed.confirm(preview, &typed, who(), now()).unwrap();
        self.journal.enter(warrant).unwrap()
    }

    pub async fn perform(&mut self, entry: Entry) -> Outcome {
        let (progress, mut lines) = mpsc::channel(1_000);
        let outcome = self.hands.perform(entry, progress, CancellationToken::new()).await;
        while let Ok(line) = lines.try_recv() {
            println!("  {line}");
        }
        println!("{:?}", outcome.result);
        self.journal.close(&outcome).unwrap();
        outcome
    }

    /// The whole way: preview, confirm, journal, act, verify.
    pub async fn act(&mut self, action: Action) -> Outcome {
        let preview = self.previewed(action).await;
        let entry = self.confirm(preview);
        self.perform(entry).await
    }

    /// The whole way back.
    pub async fn undo(&mut self, outcome: &Outcome) -> Outcome {
        let undo = outcome.undo.as_ref().expect("a way back");
        let preview = self.hands.preview_undo(&self.armed, undo, now()).await.unwrap();
        let entry = self.confirm(preview);
        self.perform(entry).await
    }

    pub async fn get(&self, kind: Kind, name: &str) -> Value {
        self.cluster.get(&object(kind, name)).await.unwrap()
    }

    pub async fn app(&self) -> Value {
        self.get(Kind::Deployment, APP).await
    }

    pub async fn pods(&self) -> Vec<Value> {
        self.cluster.list(Kind::Pod, SPACE, "app=covetpy", "").await.unwrap()
    }

    /// Waits until something holds, at most a minute.
    pub async fn until<F: Future<Output = bool>>(&self, what: &str, holds: impl Fn() -> F) {
        for _ in 0..300 {
            if holds().await {
                return;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        panic!("not within a minute: {what}");
    }

    /// Waits for the app to be as it should be, whatever the lab began with.
    pub async fn settled(&self) {
        self.until("the app is rolled out", || async {
            matches!(
                covet_tui::probes::rollout::rollout(&self.app().await),
                covet_tui::probes::rollout::Rollout::Done(_)
            )
        })
        .await;
    }
}

pub fn key(name: &str) -> Key {
    Key::new(SPACE, name)
}

pub fn object(kind: Kind, name: &str) -> ObjectRef {
    let key = if kind.is_namespaced() { key(name) } else { Key::cluster(Name::from(name)) };
    ObjectRef::new(kind, key)
}
