//! A moto, a botocore client, hands and probes pointed at it; and the whole way of an action in one call.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use covet_tui::config::{self, Flags, Outside, Settings};
use covet_tui::domain::{Action, AwsCall, AwsDoes, Reading, Timestamp};
use covet_tui::guard::{Actor, Armed, Confirmation, Preview, Refusal};
use covet_tui::hands::{Hands, Patience};
use covet_tui::journal::{Ending, Entry, Journal, Outcome};
use covet_tui::probes::Probes;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

pub const REGION: &str = "us-east-1";

pub fn now() -> Timestamp {
    Timestamp::now()
}

/// The Python that has moto, as tests/run installs it.
pub fn python() -> PathBuf {
    let cache = || {
        let base = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
        let base = base.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")));
        base.unwrap_or_default().join("covet-tui/tools/moto/bin/python")
    };
    let found = std::env::var_os("COVET_MOTO").map_or_else(cache, PathBuf::from);
    assert!(found.is_file(), "moto is needed for this test ({}): tests/run installs it", found.display());
    found
}

pub fn script() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/it/aws/moto.py")
}

/// A server of a test: ended, and only it, when the test is over.
struct Started(Child);

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// botocore, in a process of its own.
pub struct Boto {
    _child: Started,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Boto {
    pub fn new(port: u16) -> Boto {
        let mut child = Command::new(python())
            .arg(script())
            .args(["client", &port.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (to, from) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Boto { _child: Started(child), to, from }
    }

    fn send(&mut self, call: &Value) -> Value {
        writeln!(self.to, "{call}").unwrap();
        let mut line = String::new();
        self.from.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
    }

    pub fn call(&mut self, service: &str, operation: &str, params: Value) -> Value {
        let answer = self.send(&json!({"service": service, "operation": operation, "params": params}));
        answer.get("ok").unwrap_or_else(|| panic!("{service}.{operation}: {answer}")).clone()
    }

    /// What an operation is refused with: the error's class and words.
    pub fn refused(&mut self, service: &str, operation: &str, params: Value) -> String {
        let answer = self.send(&json!({"service": service, "operation": operation, "params": params}));
        text(&answer, "/error")
    }

    /// Parameters in `hex` are bytes.
    pub fn upload(&mut self, bucket: &str, key: &str, body: &[u8]) {
        let hex: String = body.iter().map(|byte| format!("{byte:02x}")).collect();
        let params = json!({"Bucket": bucket, "Key": key, "Body": hex});
        let call = json!({"service": "s3", "operation": "put_object", "params": params, "bytes": ["Body"]});
        let answer = self.send(&call);
        assert!(answer.get("ok").is_some(), "{answer}");
    }
}

/// The first text at a JSON pointer.
pub fn text(value: &Value, path: &str) -> String {
    value.pointer(path).and_then(Value::as_str).unwrap_or_else(|| panic!("no {path} in {value}")).to_owned()
}

pub struct Bench {
    pub boto: Boto,
    pub url: String,
    pub settings: Settings,
    pub hands: Hands,
    pub probes: Probes,
    armed: Armed,
    journal: Journal,
    folder: tempfile::TempDir,
    _server: Started,
}

impl Bench {
    pub async fn new() -> Bench {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let child = Command::new(python())
            .arg(script())
            .args(["serve", &port.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let server = Started(child);
        let url = format!("http://127.0.0.1:{port}");
        for round in 0.. {
            assert!(round < 300, "moto did not start");
            if reqwest::get(format!("{url}/_covet/asked"))
                .await
                .is_ok_and(|answer| answer.status().is_success())
            {
                break;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        let folder = tempfile::tempdir().unwrap();
        let keys = "[default]\naws_access_key_id = AKIAIOSFODNN7EXAMPLE\naws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY\n";
        std::fs::write(folder.path().join("keys"), keys).unwrap();
        let settings = settings(&folder, &url, &[]);
        let (journal, _) = Journal::open(&folder.path().join("journal")).unwrap();
        let (hands, probes) = pointed(&settings);
        Bench {
            boto: Boto::new(port),
            url,
            settings,
            hands,
            probes,
            armed: Armed::arm(),
            journal,
            folder,
            _server: server,
        }
    }

    /// With more settings, as environment variables.
    pub fn set(&mut self, more: &[(&str, &str)]) {
        self.settings = settings(&self.folder, &self.url, more);
        (self.hands, self.probes) = pointed(&self.settings);
    }

    /// What moto lacks, answered with this.
    pub async fn script(&self, answers: Value) {
        let client = reqwest::Client::new();
        let sent = client.post(format!("{}/_covet/script", self.url)).json(&answers).send().await.unwrap();
        assert!(sent.status().is_success());
    }

    /// What was asked of what moto lacks.
    pub async fn asked(&self) -> Vec<Value> {
        reqwest::get(format!("{}/_covet/asked", self.url)).await.unwrap().json().await.unwrap()
    }

    pub async fn read(&self, does: AwsDoes) -> Reading {
        self.read_at(None, does).await
    }

    pub async fn read_at(&self, region: Option<&str>, does: AwsDoes) -> Reading {
        let action = Action::Aws(AwsCall::new(region.map(Into::into), does));
        let reading = self.probes.read(&action, now()).await;
        println!("{}", reading.summary);
        for (_, line) in &reading.lines {
            println!("  {line}");
        }
        reading
    }

    pub async fn preview(&self, does: AwsDoes) -> Result<Preview, Refusal> {
        self.hands.preview(&self.armed, Action::Aws(AwsCall::new(None, does)), now()).await
    }

    pub async fn preview_at(&self, region: &str, does: AwsDoes) -> Result<Preview, Refusal> {
        self.hands.preview(&self.armed, Action::Aws(AwsCall::new(Some(region.into()), does)), now()).await
    }

    /// Why there is no preview.
    pub async fn refused(&self, does: AwsDoes) -> String {
        let refusal = self.preview(does).await.expect_err("a refusal");
        println!("refused: {refusal}");
        refusal.to_string()
    }

    pub fn confirm(&mut self, preview: Preview) -> Entry {
        for hazard in &preview.hazards {
            println!("  {:?}: {}", hazard.level, hazard.says);
        }
        let typed = match &preview.confirmation {
            Confirmation::Key => String::new(),
            Confirmation::Type(name) => name.to_string(),
        };
        let who = Actor { os_user: "ann".into(), ..Actor::default() };
        let warrant = self.armed.confirm(preview, &typed, who, now()).unwrap();
        self.journal.enter(warrant).unwrap()
    }

    pub async fn perform(&mut self, entry: Entry) -> Outcome {
        let (progress, _lines) = mpsc::channel(1_000);
        let outcome = self.hands.perform(entry, progress, CancellationToken::new()).await;
        println!("{:?} {:?}", outcome.result, outcome.progress);
        self.journal.close(&outcome).unwrap();
        outcome
    }

    /// The whole way: preview, confirm, journal, act, verify.
    pub async fn act(&mut self, does: AwsDoes) -> Outcome {
        let preview = self.preview(does).await.unwrap_or_else(|refusal| panic!("{refusal}"));
        println!("{}\n  {}", preview.title, preview.command);
        let entry = self.confirm(preview);
        let outcome = self.perform(entry).await;
        assert!(matches!(outcome.result, Ending::Performed(_)), "{:?}", outcome.result);
        outcome
    }

    /// The whole way back.
    pub async fn undo(&mut self, outcome: &Outcome) -> Outcome {
        let undo = outcome.undo.as_ref().expect("a way back");
        let preview = self
            .hands
            .preview_undo(&self.armed, undo, now())
            .await
            .unwrap_or_else(|refusal| panic!("{refusal}"));
        let entry = self.confirm(preview);
        let outcome = self.perform(entry).await;
        assert!(matches!(outcome.result, Ending::Performed(_)), "{:?}", outcome.result);
        outcome
    }

    /// Why there is no way back any more.
    pub async fn undo_refused(&self, outcome: &Outcome) -> String {
        let undo = outcome.undo.as_ref().expect("a way back");
        self.hands.preview_undo(&self.armed, undo, now()).await.expect_err("a refusal").to_string()
    }
}

fn settings(folder: &tempfile::TempDir, url: &str, more: &[(&str, &str)]) -> Settings {
    let keys = folder.path().join("keys").display().to_string();
    let mut named =
        vec![("AWS_ENDPOINT_URL", url), ("AWS_REGION", REGION), ("AWS_SHARED_CREDENTIALS_FILE", &keys)];
    // Later ones win; an empty one is none.
    named.retain(|(name, _)| !more.iter().any(|(other, _)| other == name));
    named.extend(more);
    let find =
        |asked: &str| named.iter().find(|(name, _)| *name == asked).map(|(_, value)| (*value).to_owned());
    config::load(&Flags::default(), &find, None).unwrap()
}

/// Hands and probes that know no cluster.
fn pointed(settings: &Settings) -> (Hands, Probes) {
    let nowhere = kube::Config::new("http://127.0.0.1:9".parse().unwrap());
    let client = kube::Client::try_from(nowhere).unwrap();
    let patience = Patience { rollout: Duration::from_secs(10), ..Patience::default() };
    let outside = Outside::of(settings);
    (Hands::new(client.clone(), now, outside.clone()).patient(patience), Probes::new(client, now, outside))
}
