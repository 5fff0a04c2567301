//! The lab's Prometheus and Alertmanager answer in the shapes of the real ones: every key that the real
//! server gives is there, with a value of the same kind. Needs both servers on the PATH.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use covet_tui::lab::{Options, rules, start};
use serde_json::{Value, json};

/// A server of this test, ended with it.
struct Server {
    process: Child,
    url: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn spawn(program: &str, arguments: &[String], port: u16) -> Server {
    let process = Command::new(program)
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap_or_else(|why| panic!("{program} must be on the PATH: {why}"));
    Server { process, url: format!("http://127.0.0.1:{port}") }
}

fn real_prometheus(folder: &Path, alertmanager: &str) -> Server {
    let port = free_port();
    let rules_file = folder.join("rules.yml");
    std::fs::write(&rules_file, rules::RULES).unwrap();
    let config = folder.join("prometheus.yml");
    let target = alertmanager.trim_start_matches("http://");
    let text = format!(
        "global: {{scrape_interval: 1s, evaluation_interval: 1s}}\nrule_files: [{}]\n\
         alerting: {{alertmanagers: [{{static_configs: [{{targets: ['{target}']}}]}}]}}\n\
         scrape_configs: [{{job_name: self, static_configs: [{{targets: ['127.0.0.1:{port}', '127.0.0.1:1']}}]}}]\n",
        rules_file.display()
    );
    std::fs::write(&config, text).unwrap();
    let arguments = [
        format!("--config.file={}", config.display()),
        format!("--storage.tsdb.path={}", folder.join("data").display()),
        format!("--web.listen-address=127.0.0.1:{port}"),
        "--rules.alert.resend-delay=1s".to_owned(),
    ];
    spawn("prometheus", &arguments, port)
}

fn real_alertmanager(folder: &Path) -> Server {
    let port = free_port();
    let config = folder.join("alertmanager.yml");
    std::fs::write(
        &config,
        "route: {receiver: on-call, group_by: [alertname]}\nreceivers: [{name: on-call}]\n",
    )
    .unwrap();
    let arguments = [
        format!("--config.file={}", config.display()),
        format!("--storage.path={}", folder.join("am").display()),
        format!("--web.listen-address=127.0.0.1:{port}"),
        "--cluster.listen-address=".to_owned(),
    ];
    spawn("prometheus-alertmanager", &arguments, port)
}

async fn get(url: &str) -> Option<Value> {
    reqwest::get(url).await.ok()?.json().await.ok()
}

/// Asks again until the answer is there.
async fn wait_for(url: &str, there: impl Fn(&Value) -> bool) -> Value {
    let mut last = None;
    for _ in 0..300 {
        last = get(url).await;
        if let Some(answer) = last.as_ref().filter(|answer| there(answer)) {
            return answer.clone();
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{url} did not answer as wanted in 30 s, last: {last:?}");
}

/// Where ours lacks a key of the real answer, or has a value of another kind. Lists compare by first element;
/// keys under a label set or annotations are data, not shape.
fn differences(at: &str, ours: &Value, real: &Value, found: &mut Vec<String>) {
    match (ours, real) {
        (Value::Object(ours), Value::Object(real)) => {
            for (key, real) in real {
                let at = format!("{at}.{key}");
                match ours.get(key) {
                    None => found.push(format!("{at} is missing")),
                    Some(_) if ["labels", "annotations", "discoveredLabels"].contains(&key.as_str()) => {}
                    Some(ours) => differences(&at, ours, real, found),
                }
            }
        }
        (Value::Array(ours), Value::Array(real)) => match (ours.first(), real.first()) {
            (Some(ours), Some(real)) => differences(&format!("{at}[]"), ours, real, found),
            (None, Some(_)) => found.push(format!("{at} is empty")),
            _ => {}
        },
        _ if std::mem::discriminant(ours) == std::mem::discriminant(real) => {}
        _ => found.push(format!("{at}: ours {ours:.80} real {real:.80}")),
    }
}

/// Firing rules first, so that the first element shows the alert's shape too.
fn firing_first(mut answer: Value) -> Value {
    if let Some(groups) = answer.pointer_mut("/data/groups").and_then(Value::as_array_mut) {
        for group in groups.iter_mut() {
            if let Some(rules) = group["rules"].as_array_mut() {
                rules.sort_by_key(|rule| rule["state"] != "firing");
            }
        }
        groups.sort_by_key(|group| group["rules"][0]["state"] != "firing");
    }
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_have_the_shapes_of_the_real_servers() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let folder = tempfile::tempdir().unwrap();
    let alertmanager = real_alertmanager(folder.path());
    let prometheus = real_prometheus(folder.path(), &alertmanager.url);
    let lab = start(Options { speed: 100.0, ..Options::default() }).await.unwrap();
    let our_prometheus = format!("http://{}", lab.addresses().prometheus);
    let our_alertmanager = format!("http://{}", lab.addresses().alertmanager);
    let has_alerts =
        |answer: &Value| answer["data"]["alerts"].as_array().is_some_and(|alerts| !alerts.is_empty());
    let has_some = |answer: &Value| answer.as_array().is_some_and(|alerts| !alerts.is_empty());
    for server in [&our_prometheus, &prometheus.url] {
        wait_for(&format!("{server}/api/v1/alerts"), has_alerts).await;
    }
    let mut found = Vec::new();
    let data_is_filled = |answer: &Value| {
        answer["status"] == "success" && answer["data"] != json!({"activeTargets": [], "droppedTargets": []})
    };
    for path in ["rules", "alerts", "targets", "alertmanagers", "status/buildinfo", "status/config"] {
        let path = format!("/api/v1/{path}");
        let ours = firing_first(wait_for(&format!("{our_prometheus}{path}"), data_is_filled).await);
        let real = firing_first(wait_for(&format!("{}{path}", prometheus.url), data_is_filled).await);
        differences(&path, &ours, &real, &mut found);
    }
    let silence = json!({
        "matchers": [{"name": "alertname", "value": "Watchdog", "isRegex": false, "isEqual": true}],
        "startsAt": jiff::Timestamp::now().to_string(), "endsAt": "2099-01-01T00:00:00Z",
        "createdBy": "me", "comment": "known",
    });
    for server in [&our_alertmanager, &alertmanager.url] {
        wait_for(&format!("{server}/api/v2/alerts"), has_some).await;
        let posted = reqwest::Client::new()
            .post(format!("{server}/api/v2/silences"))
            .json(&silence)
            .send()
            .await
            .unwrap();
        assert!(posted.status().is_success());
        let answer: Value = posted.json().await.unwrap();
        let id = answer["silenceID"].as_str().unwrap().to_owned();
        wait_for(&format!("{server}/api/v2/alerts?filter=alertname%3DWatchdog"), |answer| {
            answer[0]["status"]["silencedBy"][0] == id.as_str()
                && answer[0]["status"]["state"] == "suppressed"
        })
        .await;
    }
    for path in [
        "alerts?filter=alertname%3DWatchdog",
        "alerts/groups?filter=alertname%3DWatchdog",
        "silences",
        "status",
        "receivers",
    ] {
        let path = format!("/api/v2/{path}");
        let ours = wait_for(&format!("{our_alertmanager}{path}"), |_| true).await;
        let real = wait_for(&format!("{}{path}", alertmanager.url), |_| true).await;
        differences(&path, &ours, &real, &mut found);
    }
    lab.stop().await;
    assert!(found.is_empty(), "{}", found.join("\n"));
    assert!(
        get(&format!("{our_prometheus}/-/ready")).await.is_none(),
        "the lab still answers after its stop"
    );
}
