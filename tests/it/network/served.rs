//! What the eyes and the rule make of real certificates at an address that the settings give.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use covet_tui::config::{self, Flags};
use covet_tui::domain::{Anomaly, Severity, Snapshot, System, Timestamp, between};
use covet_tui::eyes::Eyes;
use covet_tui::playbooks::{Facts, Library, Progress, StepState, plan};
use covet_tui::rules::{Thresholds, judge};
use tokio::sync::mpsc;

use super::bench::told;
use super::tls::bench;

const HOSTS: [&str; 5] = ["good", "soon", "expired", "wrong", "chainless"];

#[tokio::test(flavor = "multi_thread")]
async fn what_clients_refuse_now_comes_first_and_is_asked_where_the_settings_say() {
    let bench = bench().await;
    let port = bench.nginx.port;
    let hosts: Vec<String> = HOSTS.iter().map(|name| format!("{name}.example:{port}@127.0.0.1")).collect();
    let authority = bench.nginx.folder.path().join("root.crt").display().to_string();
    let find = |name: &str| match name {
        "COVET_TLS_HOSTS" => Some(hosts.join(",")),
        "COVET_TLS_AUTHORITY" => Some(authority.clone()),
        _ => None,
    };
    let settings = config::load(&Flags::default(), &find, None).unwrap();
    let (out, mut heard) = mpsc::channel(1_024);
    let _eyes = Eyes::open(&settings, &[], Timestamp::now, out).await;
    let mut snapshot = Snapshot::default();
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    while snapshot.handshakes.len() < HOSTS.len() {
        let observation = tokio::time::timeout_at(deadline, heard.recv()).await.expect("handshakes").unwrap();
        snapshot.fold(observation);
    }
    let now = Timestamp::now();
    let anomalies: Vec<Anomaly> = judge(&snapshot, &Thresholds::default(), now).anomalies();
    let place = |name: &str| format!("cert-expiry/host/{name}.example:{port}");
    let found: Vec<(String, Severity)> =
        anomalies.iter().map(|row| (row.id.to_string(), row.severity)).collect();
    let wanted = ["expired", "chainless", "wrong", "soon"].map(|name| (place(name), Severity::Critical));
    assert_eq!(found, wanted);
    let hours = between(anomalies[0].onset, now).as_secs() / 3600;
    assert_eq!(hours, 3, "it is expired since it expired");
    assert!(
        anomalies[1].title.contains("without the intermediate (House Intermediate)"),
        "{}",
        anomalies[1].title
    );
    for anomaly in &anomalies {
        let (library, progress) = (Library::built_in(), Progress::default());
        let facts = Facts {
            anomaly,
            fires: true,
            snapshot: &snapshot,
            progress: &progress,
            settings: &BTreeMap::new(),
            systems: &[System::Kubernetes, System::Network].into(),
            read_only: false,
            denied: &BTreeSet::new(),
            now,
        };
        let plan = plan(library.get("cert-expiry").unwrap(), &facts);
        let probe = plan.step("served").unwrap().action.clone().unwrap();
        let command = probe.as_command();
        assert!(command.contains(&format!("-connect 127.0.0.1:{port} -servername ")), "{command}");
        let reading = bench.probes.read(&probe, now).await;
        assert!(!told(&reading).contains("is not found"), "{}", told(&reading));
        assert!(!reading.ok, "{}", told(&reading));
        // The name leads nowhere on purpose.
        assert!(matches!(&plan.step("address").unwrap().state, StepState::NotAdvised { .. }));
    }
}
