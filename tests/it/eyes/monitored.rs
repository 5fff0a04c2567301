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
    let _ = rustls::crypto::ring::default_provider().install_default();
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
