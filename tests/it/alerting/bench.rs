//! The servers, started here on free ports; the cluster that holds their files; and the way of an action.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use covet_tui::config::Outside;
use covet_tui::domain::{Action, Alerting, Reading, Timestamp};
use covet_tui::guard::{Actor, Armed, Confirmation, Preview, Refusal};
use covet_tui::hands::{Hands, Patience};
use covet_tui::journal::{Ending, Journal, Outcome};
use covet_tui::lab::{Lab, Options, start};
use covet_tui::probes::Probes;
use kube::api::{Api, DynamicObject, Patch, PatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

pub const SPACE: &str = "monitoring";

/// A server of a test: ended, and only it, when the test is over.
pub struct Started(Child);

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

pub fn program(name: &str) -> PathBuf {
    let paths: Vec<PathBuf> =
        std::env::var_os("PATH").map(|path| std::env::split_paths(&path).collect()).unwrap_or_default();
    let found = paths.iter().map(|folder| folder.join(name)).find(|path| path.is_file());
    found.unwrap_or_else(|| panic!("{name} is needed for this test: tests/run installs it"))
}

pub fn now() -> Timestamp {
    Timestamp::now()
}

/// What a program says; it must succeed.
pub fn said(name: &str, arguments: &[&str]) -> String {
    let answer = Command::new(program(name)).args(arguments).output().unwrap();
    let said = String::from_utf8_lossy(&answer.stdout).into_owned();
    assert!(
        answer.status.success(),
        "{name} {arguments:?}: {said}{}",
        String::from_utf8_lossy(&answer.stderr)
    );
    said
}

pub async fn client(kubeconfig: &Path) -> kube::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let file = Kubeconfig::read_from(kubeconfig).unwrap();
    let config = kube::Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await.unwrap();
    kube::Client::try_from(config).unwrap()
}

/// The kubelet's part: entries of an object arrive as files, a little later.
pub struct Mount {
    stop: Arc<AtomicBool>,
}

impl Drop for Mount {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

pub struct Bench {
    pub lab: Lab,
    pub client: kube::Client,
    pub hands: Hands,
    pub probes: Probes,
    pub armed: Armed,
    pub journal: Journal,
    pub folder: tempfile::TempDir,
    pub outside: Outside,
}

impl Bench {
    pub async fn new(outside: Outside, folder: tempfile::TempDir) -> Bench {
        let lab = start(Options { speed: 20.0, ..Options::default() }).await.unwrap();
        let client = client(lab.kubeconfig()).await;
        let (journal, _) = Journal::open(&folder.path().join("journal")).unwrap();
        let patience = Patience {
            call: Duration::from_secs(5),
            rollout: Duration::from_secs(40),
            ..Patience::default()
        };
        Bench {
            hands: Hands::new(client.clone(), now, outside.clone()).patient(patience),
            probes: Probes::new(client.clone(), now, outside.clone()),
            armed: Armed::arm(),
            lab,
            client,
            journal,
            folder,
            outside,
        }
    }

    pub fn api(&self, kind: &str) -> Api<DynamicObject> {
        let kind = covet_tui::domain::Kind::parse(kind).unwrap();
        Api::namespaced_with(self.client.clone(), SPACE, &covet_tui::probes::cluster::resource(kind))
    }

    /// Writes an object as its owner would.
    pub async fn apply(&self, object: Value) {
        let kind = object["kind"].as_str().unwrap();
        let name = object["metadata"]["name"].as_str().unwrap().to_owned();
        let params = PatchParams::apply("installer").force();
        self.api(kind).patch(&name, &params, &Patch::Apply(&object)).await.unwrap();
    }

    pub async fn config_map(&self, name: &str, data: Value) {
        let object = json!({"apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": name, "namespace": SPACE}, "data": data});
        self.apply(object).await;
    }

    /// Brings an object's entries into files, now and whenever they change.
    pub async fn mount(&self, kind: &str, name: &str, read: fn(&Value) -> Vec<(String, String)>) -> Mount {
        let stop = Arc::new(AtomicBool::new(false));
        let (api, name, stopped) = (self.api(kind), name.to_owned(), stop.clone());
        let folder = self.folder.path().to_owned();
        let sync = move |value: &Value| {
            for (entry, text) in read(value) {
                if std::fs::read_to_string(folder.join(&entry)).ok().as_deref() != Some(text.as_str()) {
                    std::fs::write(folder.join(&entry), text).unwrap();
                }
            }
        };
        let object = api.get(&name).await.unwrap();
        sync(&serde_json::to_value(object).unwrap());
        tokio::spawn(async move {
            while !stopped.load(Ordering::Relaxed) {
                tokio::time::sleep(Duration::from_millis(700)).await;
                if let Ok(object) = api.get(&name).await {
                    sync(&serde_json::to_value(object).unwrap());
                }
            }
        });
        Mount { stop }
    }

    pub async fn read(&self, call: Alerting) -> Reading {
        self.probes.read(&Action::Alerting(call), now()).await
    }

    pub async fn preview(&self, call: Alerting) -> Result<Preview, Refusal> {
        self.hands.preview(&self.armed, Action::Alerting(call), now()).await
    }

    /// The whole way: preview, confirm, journal, act, verify.
    pub async fn act(&mut self, call: Alerting) -> Outcome {
        let preview = self.preview(call).await.unwrap();
        self.confirm(preview).await
    }

    pub async fn confirm(&mut self, preview: Preview) -> Outcome {
        let typed = match &preview.confirmation {
            Confirmation::Key => String::new(),
            Confirmation::Type(name) => name.to_string(),
        };
        let who =
            Actor { kube_user: "ann".into(), os_user: "ann".into(), host: "here".into(), ..Actor::default() };
        let warrant = self.armed.confirm(preview, &typed, who, now()).unwrap();
        let entry = self.journal.enter(warrant).unwrap();
        let (progress, _lines) = mpsc::channel(1_000);
        let outcome = self.hands.perform(entry, progress, CancellationToken::new()).await;
        println!("{:?}\n{:?}", outcome.progress, outcome.result);
        self.journal.close(&outcome).unwrap();
        outcome
    }

    pub async fn undo(&mut self, outcome: &Outcome) -> Outcome {
        let undo = outcome.undo.as_ref().expect("a way back");
        let preview = self.hands.preview_undo(&self.armed, undo, now()).await.unwrap();
        self.confirm(preview).await
    }

    /// Everything that is on disk of the journal.
    pub fn journalled(&self) -> String {
        let mut all = String::new();
        for file in std::fs::read_dir(self.folder.path().join("journal")).unwrap() {
            all += &std::fs::read_to_string(file.unwrap().path()).unwrap_or_default();
        }
        all
    }
}

pub fn performed(outcome: &Outcome) -> &str {
    match &outcome.result {
        Ending::Performed(says) => says,
        other => panic!("not performed: {other:?}\n{:?}", outcome.progress),
    }
}

/// The entries of a ConfigMap.
pub fn plain(object: &Value) -> Vec<(String, String)> {
    let data = object["data"].as_object().cloned().unwrap_or_default();
    data.into_iter().map(|(entry, text)| (entry, text.as_str().unwrap().to_owned())).collect()
}

/// The entries of a Secret.
pub fn decoded(object: &Value) -> Vec<(String, String)> {
    use base64::Engine;
    let decode = |text: &str| base64::engine::general_purpose::STANDARD.decode(text).unwrap();
    plain(object)
        .into_iter()
        .map(|(entry, text)| (entry, String::from_utf8(decode(&text)).unwrap()))
        .collect()
}

pub async fn answers(url: &str) -> String {
    let _ = rustls::crypto::ring::default_provider().install_default();
    for _ in 0..150 {
        if let Ok(answer) = reqwest::get(url).await
            && answer.status().is_success()
        {
            return answer.text().await.unwrap();
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    panic!("{url} does not answer");
}

pub async fn json_of(url: &str) -> Value {
    serde_json::from_str(&answers(url).await).unwrap()
}

/// A real Alertmanager on `file` in the folder.
pub async fn alertmanager(folder: &Path, file: &str, port: u16) -> Started {
    let child = Command::new(program("prometheus-alertmanager"))
        .arg(format!("--config.file={}", folder.join(file).display()))
        .arg(format!("--storage.path={}", folder.join("alertmanager-data").display()))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .arg("--cluster.listen-address=")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let started = Started(child);
    answers(&format!("http://127.0.0.1:{port}/-/ready")).await;
    started
}

/// A real Prometheus on `prometheus.yml` in the folder.
pub async fn prometheus(folder: &Path, port: u16) -> Started {
    let child = Command::new(program("prometheus"))
        .arg(format!("--config.file={}", folder.join("prometheus.yml").display()))
        .arg(format!("--storage.tsdb.path={}", folder.join("data").display()))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .args(["--web.enable-lifecycle", "--storage.tsdb.retention.time=30d"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let started = Started(child);
    answers(&format!("http://127.0.0.1:{port}/-/ready")).await;
    started
}

/// Alerts as a Prometheus would send them.
pub async fn send(url: &str, alerts: &[&[(&str, &str)]]) {
    let body: Vec<Value> = alerts
        .iter()
        .map(|labels| {
            json!({"labels": labels.iter().copied().collect::<std::collections::BTreeMap<_, _>>(),
            "startsAt": now().to_string(), "endsAt": (now() + jiff::SignedDuration::from_mins(30)).to_string()})
        })
        .collect();
    let answer =
        reqwest::Client::new().post(format!("{url}/api/v2/alerts")).json(&body).send().await.unwrap();
    assert!(answer.status().is_success());
}
