//! Silences and the one merged configuration, on a real Alertmanager.

use std::time::Duration;

use covet_tui::config::Outside;
use covet_tui::domain::{Action, Alerting};
use covet_tui::guard::Level;
use covet_tui::journal::Ending;
use serde_json::{Value, json};

use super::bench::*;

const CONFIG: &str = "# the shop's\nglobal:\n  resolve_timeout: 5m\nroute:\n  receiver: team # everybody\n  group_by: [alertname]\n  group_wait: 1s\n  group_interval: 1s\nreceivers:\n- name: team\n- name: pager\n  webhook_configs:\n  - url: http://127.0.0.1:9/hunter2hook\n";

const ALERTS: &[&[(&str, &str)]] = &[
    &[("alertname", "HighCPU"), ("severity", "warning"), ("node", "n1"), ("pod", "a")],
    &[("alertname", "HighCPU"), ("severity", "warning"), ("node", "n2"), ("pod", "b")],
    &[("alertname", "NodeDown"), ("severity", "critical"), ("node", "n1")],
    &[("alertname", "PodSlow"), ("severity", "warning"), ("pod", "c")],
    &[("alertname", "Watchdog"), ("severity", "none")],
];

struct Desk {
    bench: Bench,
    url: String,
    _server: Started,
    _mount: Mount,
}

async fn desk(secret: bool) -> Desk {
    let port = free_port();
    let url = format!("http://127.0.0.1:{port}");
    let outside = Outside {
        alertmanager_url: Some(url.clone()),
        prometheus_url: Some("off".into()),
        ..Outside::default()
    };
    let bench = Bench::new(outside, tempfile::tempdir().unwrap()).await;
    let mount = if secret {
        use base64::Engine;
        let coded = base64::engine::general_purpose::STANDARD.encode(CONFIG);
        bench
            .apply(json!({"apiVersion": "monitoring.coreos.com/v1", "kind": "Alertmanager",
            "metadata": {"name": "main", "namespace": SPACE}, "spec": {"replicas": 1}}))
            .await;
        bench.apply(json!({"apiVersion": "v1", "kind": "Secret", "type": "Opaque",
            "metadata": {"name": "alertmanager-main", "namespace": SPACE}, "data": {"alertmanager.yaml": coded}})).await;
        bench.mount("Secret", "alertmanager-main", decoded).await
    } else {
        bench.config_map("alertmanager", json!({"alertmanager.yml": CONFIG})).await;
        bench.mount("ConfigMap", "alertmanager", plain).await
    };
    let file = if secret { "alertmanager.yaml" } else { "alertmanager.yml" };
    let server = alertmanager(bench.folder.path(), file, port).await;
    send(&url, ALERTS).await;
    Desk { bench, url, _server: server, _mount: mount }
}

fn silence(matchers: &[&str], hours: u64) -> Alerting {
    Alerting::SilenceAlerts {
        matchers: matchers.iter().map(|text| (*text).to_owned()).collect(),
        lasts: Duration::from_hours(hours),
        comment: "the rule is being tuned".into(),
    }
}

fn warnings(preview: &covet_tui::guard::Preview) -> String {
    let loud = preview.hazards.iter().filter(|hazard| hazard.level >= Level::Warn);
    loud.map(|hazard| hazard.says.clone()).collect::<Vec<_>>().join("\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silence_quietens_exactly_what_was_shown_and_amtool_sees_it() {
    let Desk { mut bench, url, _server, _mount } = desk(false).await;
    let preview = bench.preview(silence(&[r#"alertname="HighCPU""#], 2)).await.unwrap();
    assert_eq!(preview.targets.len(), 2, "{:?}", preview.targets);
    assert!(preview.targets.iter().all(|target| target.starts_with("HighCPU{")), "{:?}", preview.targets);
    assert_eq!(warnings(&preview), "");
    let outcome = bench.confirm(preview).await;
    assert!(performed(&outcome).contains("2 alerts quiet"), "{outcome:?}");
    let at = format!("--alertmanager.url={url}");
    let seen = said("amtool", &["silence", "query", "-o", "json", &at]);
    let seen: Value = serde_json::from_str(&seen).unwrap();
    assert_eq!(seen[0]["comment"], "the rule is being tuned");
    assert!(seen[0]["createdBy"].as_str().unwrap().starts_with("ann@here"), "{seen}");
    let quiet = said("amtool", &["alert", "query", "--silenced", "-o", "json", &at]);
    assert_eq!(
        serde_json::from_str::<Value>(&quiet)
            .unwrap()
            .as_array()
            .unwrap()
            .iter()
            .filter(|alert| !alert["status"]["silencedBy"].as_array().unwrap().is_empty())
            .count(),
        2
    );
    let listed = bench.read(Alerting::AlertSilences).await;
    assert!(listed.summary.contains("1 silence"), "{}", listed.summary);
    let ended = bench.undo(&outcome).await;
    assert!(performed(&ended).contains("expired"));
    assert_eq!(said("amtool", &["silence", "query", "-q", &at]).trim(), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silence_of_many_is_shown_in_a_few_lines_and_a_new_critical_one_among_them_stops_it() {
    let Desk { mut bench, url, _server, _mount } = desk(false).await;
    let probes: Vec<String> = (0..40).map(|number| format!("probe-{number}")).collect();
    let labels: Vec<[(&str, &str); 3]> = probes
        .iter()
        .map(|probe| [("alertname", "Flaky"), ("severity", "warning"), ("probe", probe.as_str())])
        .collect();
    let alerts: Vec<&[(&str, &str)]> = labels.iter().map(<[_; 3]>::as_slice).collect();
    send(&url, &alerts).await;
    let wish = silence(&[r#"alertname="Flaky""#], 2);
    let preview = bench.preview(wish.clone()).await.unwrap();
    assert!(preview.title.starts_with("silence 40 alerts for 2h"), "{}", preview.title);
    assert!(preview.targets.len() == 6 && preview.targets[5] == "and 35 more", "{:?}", preview.targets);
    let lines: Vec<&str> = preview.diff.iter().map(|(_, line)| line.as_str()).collect();
    assert!(lines.len() <= 5, "{lines:?}");
    assert_eq!(lines[0], r#"silences alertname="Flaky": 40 alerts"#);
    assert!(lines[1].starts_with("until ") && lines[1].ends_with(" UTC (2h)"), "{lines:?}");
    assert_eq!(lines[2], "comment: the rule is being tuned");
    send(&url, &[&[("alertname", "Flaky"), ("severity", "critical"), ("probe", "new")]]).await;
    let outcome = bench.confirm(preview).await;
    assert!(!matches!(outcome.result, Ending::Performed(_)), "{outcome:?}");
    assert!(format!("{outcome:?}").contains("it is critical; nothing was silenced"), "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silence_is_never_permanent_nor_of_everything_and_warns_of_critical_alerts() {
    let Desk { bench, url: _, _server, _mount } = desk(false).await;
    for (matchers, hours, says) in [
        (vec![r#"alertname="HighCPU""#], 24, "1h to 4h"),
        (vec![r#"severity=~".*""#], 2, "every alert"),
        (vec!["="], 2, "no matcher"),
    ] {
        let refused = bench.preview(silence(&matchers, hours)).await.unwrap_err();
        assert!(refused.says.contains(says), "{refused}");
    }
    let critical = bench.preview(silence(&[r#"node="n1""#], 1)).await.unwrap();
    let said = warnings(&critical);
    assert!(
        said.contains("1 critical alert would be quiet: NodeDown") && said.contains("yet to come"),
        "{said}"
    );
    assert!(matches!(critical.confirmation, covet_tui::guard::Confirmation::Type(_)));
    let all = bench.preview(silence(&[r#"severity!="""#], 1)).await.unwrap();
    assert!(warnings(&all).contains("every alert there is now") && warnings(&all).contains("Watchdog"));
}

#[tokio::test(flavor = "multi_thread")]
async fn grouping_inhibition_and_routing_are_one_document_and_take_effect() {
    let Desk { mut bench, url, _server, _mount } = desk(false).await;
    let group =
        Alerting::GroupAlerts { by: vec!["severity".into()], wait: None, interval: None, repeat: None };
    let preview = bench.preview(group).await.unwrap();
    let diff = format!("{:?}", preview.diff);
    assert!(diff.contains("5 alerts in 3 groups instead of 4"), "{diff}");
    assert!(!diff.contains("hunter2") && !preview.before.to_string().contains("hunter2"));
    let grouped = bench.confirm(preview).await;
    assert!(performed(&grouped).contains("its status shows it"));
    let groups = json_of(&format!("{url}/api/v2/alerts/groups")).await;
    assert_eq!(groups.as_array().unwrap().len(), 3, "{groups}");
    let inhibit = |equal: &str| Alerting::InhibitAlerts {
        source: vec![r#"alertname="NodeDown""#.into()],
        target: vec![r#"alertname="HighCPU""#.into()],
        equal: vec![equal.into()],
    };
    let wrong = bench.preview(inhibit("pod")).await.unwrap();
    let stop = wrong.hazards.iter().find(|hazard| hazard.level == Level::Stop).expect("a stop");
    assert!(stop.says.contains("1 of 1 source alerts have no label pod"), "{}", stop.says);
    let quiet = bench.act(inhibit("node")).await;
    performed(&quiet);
    let seen = said(
        "amtool",
        &["alert", "query", "--inhibited", "-o", "json", &format!("--alertmanager.url={url}")],
    );
    let seen: Value = serde_json::from_str(&seen).unwrap();
    let inhibited: Vec<&Value> = seen
        .as_array()
        .unwrap()
        .iter()
        .filter(|alert| !alert["status"]["inhibitedBy"].as_array().unwrap().is_empty())
        .collect();
    assert_eq!(inhibited.len(), 1, "{seen}");
    assert_eq!(inhibited[0]["labels"]["node"], "n1");
    let routed = bench
        .act(Alerting::RouteAlerts { matchers: vec!["severity=critical".into()], receiver: "pager".into() })
        .await;
    performed(&routed);
    let groups = json_of(&format!("{url}/api/v2/alerts/groups?receiver=pager")).await;
    assert_eq!(groups[0]["alerts"][0]["labels"]["alertname"], "NodeDown", "{groups}");
    let file = bench.folder.path().join("alertmanager.yml");
    let text = std::fs::read_to_string(&file).unwrap();
    for kept in ["# the shop's", "# everybody", "hunter2hook"] {
        assert!(text.contains(kept), "{text}");
    }
    said("amtool", &["check-config", &file.display().to_string()]);
    let journal = bench.journalled();
    assert!(!journal.contains("hunter2") && journal.contains("group-alerts"), "a secret in the journal");
    let back = bench.undo(&routed).await;
    performed(&back);
    let groups = json_of(&format!("{url}/api/v2/alerts/groups?receiver=pager")).await;
    assert!(groups.as_array().unwrap().is_empty(), "{groups}");
    assert!(!bench.journalled().contains("hunter2"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operators_secret_is_edited_and_never_shown() {
    let Desk { mut bench, url, _server, _mount } = desk(true).await;
    let shown = bench.read(Alerting::AlertmanagerConfig).await;
    let lines = format!("{} {:?}", shown.summary, shown.lines);
    assert!(lines.contains("secret/alertmanager-main") && !lines.contains("hunter2"), "{lines}");
    let preview = bench
        .preview(Alerting::GroupAlerts {
            by: vec!["node".into()],
            wait: Some(Duration::from_secs(2)),
            interval: None,
            repeat: None,
        })
        .await
        .unwrap();
    assert!(!format!("{:?} {}", preview.diff, preview.before).contains("hunter2"));
    performed(&bench.confirm(preview).await);
    let running = json_of(&format!("{url}/api/v2/status")).await;
    assert!(running["config"]["original"].as_str().unwrap().contains("group_wait: 2s"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_document_is_refused_before_writing_and_forced_by_the_server_while_the_old_stays() {
    let Desk { mut bench, url, _server, _mount } = desk(false).await;
    let route =
        Alerting::RouteAlerts { matchers: vec!["severity=critical".into()], receiver: "nobody".into() };
    let refused = bench.preview(route).await.unwrap_err();
    assert!(refused.says.contains("undefined receiver \"nobody\""), "{refused}");
    let before = json_of(&format!("{url}/api/v2/status")).await["config"]["original"].clone();
    // What only the server can know: a template that is not there.
    let broken = format!("{CONFIG}templates: ['/nowhere/[']\n");
    let object = covet_tui::domain::ObjectRef::new(
        covet_tui::domain::Kind::ConfigMap,
        covet_tui::domain::Key::new(SPACE, "alertmanager"),
    );
    let forced = bench
        .act(Alerting::RestoreDocument { object, entry: "alertmanager.yml".into(), document: broken })
        .await;
    let Ending::Unverified(says) = &forced.result else { panic!("{forced:?}") };
    assert!(says.contains("goes on with the old one"), "{says}");
    assert_eq!(json_of(&format!("{url}/api/v2/status")).await["config"]["original"], before);
    let back = bench.undo(&forced).await;
    assert!(matches!(back.result, Ending::Performed(_) | Ending::Unverified(_)), "{back:?}");
    assert_eq!(std::fs::read_to_string(bench.folder.path().join("alertmanager.yml")).unwrap(), CONFIG);
    // A journal keeps no documents: what comes out of it cannot be put back.
    let Action::Alerting(masked) = Action::Alerting(Alerting::RestoreDocument {
        object: covet_tui::domain::ObjectRef::new(
            covet_tui::domain::Kind::ConfigMap,
            covet_tui::domain::Key::new(SPACE, "alertmanager"),
        ),
        entry: "alertmanager.yml".into(),
        document: CONFIG.into(),
    })
    .masked() else {
        panic!()
    };
    assert!(bench.preview(masked).await.unwrap_err().says.contains("not kept"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_alertmanager_does_with_alerts_is_foretold_exactly() {
    let Desk { bench, url, _server, _mount } = desk(false).await;
    let reading = bench.read(Alerting::AlertGroups).await;
    assert!(reading.summary.starts_with("5 alerts in 4 groups"), "{}", reading.summary);
    let (_, routing) = covet_tui::probes::alerting::document::read(CONFIG).unwrap();
    let groups = json_of(&format!("{url}/api/v2/alerts/groups")).await;
    for group in groups.as_array().unwrap() {
        for alert in group["alerts"].as_array().unwrap() {
            let labels = covet_tui::probes::alerting::api::labels(&alert["labels"]);
            let ours = routing.groups(&labels);
            assert_eq!(ours.len(), 1);
            assert_eq!(ours[0].0, group["receiver"]["name"].as_str().unwrap());
            let own: serde_json::Map<String, Value> =
                ours[0].1.iter().map(|(k, v)| (k.clone(), v.clone().into())).collect();
            assert_eq!(Value::Object(own), group["labels"]);
        }
    }
}
