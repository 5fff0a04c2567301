//! A real Alertmanager and a real Prometheus that stop doing their work, and requests that a real Prometheus has seen end.

use std::fmt::Write as _;

use covet_tui::domain::{Anomaly, BlindKind, Severity};
use covet_tui::rules::{Thresholds, judge};
use jiff::SignedDuration;

use super::real::{backfill, prometheus_in};
use super::*;
use crate::alerting::bench::{alertmanager, answers, free_port};

fn only(variables: &[(&str, &str)]) -> Settings {
    let find =
        |asked: &str| variables.iter().find(|(name, _)| *name == asked).map(|(_, value)| (*value).to_owned());
    config::load(&Flags::default(), &find, None).unwrap()
}

/// What is told by this rule so many seconds from now.
fn told(snapshot: &Snapshot, rule: &str, later: i64) -> Option<Anomaly> {
    let at = Timestamp::now() + SignedDuration::from_secs(later);
    let mut found = judge(snapshot, &Thresholds::default(), at).anomalies();
    found.retain(|anomaly| &*anomaly.rule == rule);
    found.into_iter().next()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_alertmanager_that_refuses_its_configuration_and_then_goes_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("alertmanager.yml");
    std::fs::write(&file, "route: {receiver: nobody}\nreceivers: [{name: nobody}]\n").unwrap();
    let port = free_port();
    let server = alertmanager(folder.path(), "alertmanager.yml", port).await;
    let url = format!("http://127.0.0.1:{port}");
    let mut watcher = Watcher::open(&only(&[("ALERTMANAGER_URL", &url)])).await;
    let seen =
        |snapshot: &Snapshot| snapshot.sight(Origin::Alertmanager).is_some_and(|sight| sight.seen.is_some());
    watcher.until("Alertmanager", seen).await;
    assert_eq!(told(&watcher.snapshot, "alertmanager-down", 0), None);
    std::fs::write(&file, "route: {receiver: somebody}\nreceivers: [{name: nobody}]\n").unwrap();
    let reload = reqwest::Client::new().post(format!("{url}/-/reload")).send().await.unwrap();
    assert!(!reload.status().is_success(), "{reload:?}");
    watcher.until("the refusal", |snapshot| snapshot.notifier_refuses.is_some()).await;
    let refused = told(&watcher.snapshot, "alertmanager-down", 0).unwrap();
    assert!(refused.title.contains("refuses its configuration"), "{refused:?}");
    assert_eq!(refused.severity, Severity::Suspect);
    drop(server);
    watcher.until("its end", |snapshot| blind(snapshot, Origin::Alertmanager).is_some()).await;
    assert_eq!(watcher.blind(Origin::Alertmanager).unwrap().kind, BlindKind::Unreachable);
    let gone = told(&watcher.snapshot, "alertmanager-down", 0).unwrap();
    assert!(gone.title.contains("nobody is notified of anything"), "{gone:?}");
    assert_eq!(gone.severity, Severity::Suspect, "it may be restarting");
    assert_eq!(told(&watcher.snapshot, "alertmanager-down", 61).unwrap().severity, Severity::Critical);
    // Whoever looks for the first time.
    let mut watcher = Watcher::open(&only(&[("ALERTMANAGER_URL", &url)])).await;
    watcher.until("its absence", |snapshot| blind(snapshot, Origin::Alertmanager).is_some()).await;
    assert!(told(&watcher.snapshot, "alertmanager-down", 0).is_some());
    assert_eq!(told(&watcher.snapshot, "alertmanager-down", 61).unwrap().severity, Severity::Warning);
}

/// Two services of two pods each with ten requests a second, of which one has none any more for five minutes; so it was
/// yesterday and a week ago, all day long. Samples go on for minutes that are yet to come.
fn requests(folder: &Path, now: i64) {
    let mut text = String::new();
    for (service, stops) in [("web", true), ("api", false)] {
        for pod in ["7d4b9c6f58-x2k9z", "7d4b9c6f58-q8w4t"] {
            let mut value = 0;
            let mut until = i64::MIN;
            for (from, to) in
                [(7 * 86_400 + 3600, 7 * 86_400 - 3600), (86_400 + 3600, 86_400 - 3600), (2 * 3600, -600)]
            {
                for at in (now - from..=now - to).step_by(15).filter(|at| *at > until) {
                    let is_stopped = stops && at > now - 300;
                    value += if is_stopped { 0 } else { 75 };
                    let labels = format!(
                        "namespace=\"goods\",service=\"{service}\",pod=\"{service}-{pod}\",code=\"200\""
                    );
                    let _ = writeln!(text, "http_requests_total{{{labels}}} {value} {at}");
                }
                until = now - to;
            }
        }
    }
    // Samples of one metric are in order of time in each series.
    text += "# EOF\n";
    backfill(folder, &text);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_prometheus_tells_whose_requests_ended_and_that_other_days_had_them() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let folder = tempfile::tempdir().unwrap();
    requests(folder.path(), Timestamp::now().as_second() / 15 * 15);
    let (port, _server) = prometheus_in(folder.path());
    let url = format!("http://127.0.0.1:{port}");
    answers(&format!("{url}/-/ready")).await;
    let mut watcher = Watcher::open(&only(&[("PROMETHEUS_URL", &url), ("COVET_NAMESPACE", "goods")])).await;
    let of = |snapshot: &Snapshot, name: &str| {
        let mut all = snapshot.traffic.workloads.iter();
        all.find(|workload| &*workload.key.name == name).cloned()
    };
    watcher.until("requests", |snapshot| of(snapshot, "web").is_some()).await;
    let web = of(&watcher.snapshot, "web").unwrap();
    assert!(web.rate.last().unwrap().1.abs() < 0.01, "{:?}", web.rate.last());
    assert!(web.rate_earlier.is_some_and(|rate| (rate - 10.0).abs() < 1.0), "{:?}", web.rate_earlier);
    let (_, sum) = watcher.snapshot.traffic.rate.last().unwrap();
    assert!((sum - 10.0).abs() < 1.0, "{sum}");
    let gone = told(&watcher.snapshot, "traffic-gone", 0).unwrap();
    assert_eq!(gone.id.to_string(), "traffic-gone/goods/web");
    assert!(gone.title.starts_with("no requests reach web any more: 0/s since "), "{}", gone.title);
    let age = Timestamp::now().duration_since(gone.onset).as_secs();
    assert!((240..400).contains(&age), "{age}");
}

/// Answers each request after this long with what it would answer.
async fn slow(after: Duration) -> String {
    let answer = move || async move {
        tokio::time::sleep(after).await;
        axum::Json(serde_json::json!({"status": "success", "data": {"resultType": "vector", "result": []}}))
    };
    let router = axum::Router::new().fallback(answer);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    url
}

/// Before a look without a screen stops waiting.
const IN_TIME: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread")]
async fn a_prometheus_that_hangs_or_takes_its_time_is_told_before_a_look_ends() {
    let seen = |snapshot: &Snapshot| snapshot.monitoring.is_some();
    let began = std::time::Instant::now();
    let url = slow(Duration::from_secs(3)).await;
    let mut watcher = Watcher::open(&only(&[("PROMETHEUS_URL", &url)])).await;
    watcher.until("its health", seen).await;
    assert!(began.elapsed() < IN_TIME, "{:?}", began.elapsed());
    let title = told(&watcher.snapshot, "prom-down", 0).unwrap().title;
    assert!(title.starts_with("Prometheus is slow: it needs 3"), "{title}");
    let traffic = watcher.snapshot.blindness(Origin::Prometheus, Timestamp::now()).unwrap();
    assert!(traffic.why.contains("Prometheus needs 3"), "{}", traffic.why);

    let began = std::time::Instant::now();
    let url = slow(Duration::from_secs(3600)).await;
    let mut watcher = Watcher::open(&only(&[("PROMETHEUS_URL", &url)])).await;
    watcher.until("its silence", seen).await;
    assert!(began.elapsed() < IN_TIME, "{:?}", began.elapsed());
    let silent = told(&watcher.snapshot, "prom-down", 0).unwrap();
    assert!(silent.evidence[0].says.contains("no answer within"), "{silent:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_server_in_the_place_of_prometheus_is_no_prometheus_that_is_well() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("alertmanager.yml");
    std::fs::write(&file, "route: {receiver: nobody}\nreceivers: [{name: nobody}]\n").unwrap();
    let port = free_port();
    let _server = alertmanager(folder.path(), "alertmanager.yml", port).await;
    let url = format!("http://127.0.0.1:{port}");
    let mut watcher = Watcher::open(&only(&[("PROMETHEUS_URL", &url)])).await;
    watcher.until("that it is another", |snapshot| blind(snapshot, Origin::Monitoring).is_some()).await;
    let told = watcher.blind(Origin::Monitoring).unwrap();
    assert!(
        told.why.contains("answers 404") && told.repair.unwrap().contains("right server"),
        "{}",
        told.why
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_prometheus_names_the_target_that_went_and_why() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let folder = tempfile::tempdir().unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = listener.local_addr().unwrap();
    let exporter = axum::Router::new().fallback(|| async { "up_and_running 1\n" });
    let exporter = tokio::spawn(async move { axum::serve(listener, exporter).await.unwrap() });
    let more = format!(
        "- job_name: pods\n  static_configs: [{{targets: ['{target}'], labels: {{namespace: goods}}}}]\n"
    );
    let (port, _server) = super::real::prometheus_scraping(folder.path(), &more);
    let url = format!("http://127.0.0.1:{port}");
    let is_up = format!("{url}/api/v1/query?query=up%7Bjob%3D%22pods%22%7D==1");
    while !reqwest::get(&is_up).await.is_ok_and(|answer| answer.status().is_success())
        || !reqwest::get(&is_up).await.unwrap().text().await.unwrap().contains("pods")
    {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    // A subquery looks once a minute: it has to have been up at the turn of one.
    let turn = 62 - Timestamp::now().as_second() % 60;
    tokio::time::sleep(Duration::from_secs(turn.unsigned_abs())).await;
    exporter.abort();
    let mut watcher = Watcher::open(&only(&[("PROMETHEUS_URL", &url), ("COVET_NAMESPACE", "goods")])).await;
    let seen = |snapshot: &Snapshot| snapshot.monitoring.as_ref().is_some_and(|seen| !seen.down.is_empty());
    watcher.until("the target", seen).await;
    let monitoring = watcher.snapshot.monitoring.as_ref().unwrap();
    let down = &monitoring.down[0];
    assert_eq!((&*down.job, &*down.instance), ("pods", target.to_string().as_str()));
    assert!(down.error.as_ref().is_some_and(|error| error.contains("connection refused")), "{down:?}");
    assert!(down.last_up.is_some_and(|at| Timestamp::now().duration_since(at).as_secs() < 120), "{down:?}");
    assert!(
        told(&watcher.snapshot, "prom-down", 0).is_none_or(|row| !row.title.contains("target of")),
        "too early"
    );
    let at_once = Thresholds::new([("prom-down.targets-after", 0.0)]).unwrap();
    let found = judge(&watcher.snapshot, &at_once, Timestamp::now()).anomalies();
    let says = |row: &Anomaly| row.evidence.iter().any(|row| row.says.contains("is down since"));
    assert!(found.iter().any(|row| says(row) && row.title.contains("a target of goods")), "{found:?}");
}
