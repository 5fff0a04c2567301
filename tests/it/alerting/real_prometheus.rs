//! Rules, backtests, reloads and health, on a real Prometheus with a week of back-filled samples.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use covet_tui::config::Outside;
use covet_tui::domain::Alerting;
use covet_tui::guard::Level;
use covet_tui::journal::Ending;
use covet_tui::probes::alerting::api;
use covet_tui::probes::alerting::backtest::{Trial, backtest, recorded};
use serde_json::{Value, json};

use super::bench::*;

const RULES: &str = "# ours\ngroups:\n- name: queues\n  interval: 15s\n  rules:\n  # too nervous\n  - alert: QueueDeep\n    expr: queue_depth > 500\n    labels:\n      severity: warning\n    annotations:\n      runbook_url: https://runbooks.example.com/queue\n- name: slo\n  rules:\n  - alert: BudgetBurns\n    expr: queue_depth > 100000\n    for: 5m\n    labels:\n      severity: critical\n- name: always\n  interval: 1s\n  rules:\n  - alert: Blinks\n    expr: vector(1) and on() (vector(time()) % 10 < 5)\n    for: 2s\n    labels: {severity: none}\n";

fn config(port: u16) -> String {
    format!(
        "global: {{scrape_interval: 1s, evaluation_interval: 1s}}\nrule_files: [alerting_rules.yml]\nscrape_configs:\n- job_name: itself\n  static_configs: [{{targets: ['127.0.0.1:{port}']}}]\n"
    )
}

/// A queue that is deep for `deep` minutes at the beginning of every hour, and for an hour each day at noon.
fn depth(minute: i64) -> f64 {
    let (hour, of_hour) = (minute / 60, minute % 60);
    if of_hour < 8 || hour % 24 == 12 { 900.0 } else { 20.0 }
}

/// Six days of samples, one a minute, until four hours ago.
fn back_fill(folder: &Path) -> (i64, i64) {
    let to = (now().as_second() - 4 * 3600) / 3600 * 3600;
    let from = to - 6 * 86_400;
    let mut text = "# TYPE queue_depth gauge\n".to_owned();
    for minute in 0..6 * 1440 {
        writeln!(text, "queue_depth{{queue=\"mail\"}} {} {}", depth(minute), from + minute * 60).unwrap();
    }
    text += "# EOF\n";
    let file = folder.join("queue.om");
    std::fs::write(&file, text).unwrap();
    said(
        "promtool",
        &[
            "tsdb",
            "create-blocks-from",
            "--max-block-duration=24h",
            "openmetrics",
            &file.display().to_string(),
            &folder.join("data").display().to_string(),
        ],
    );
    (from, to)
}

struct Desk {
    bench: Bench,
    url: String,
    _server: Started,
    _mount: Mount,
}

async fn desk(filled: bool) -> Desk {
    let port = free_port();
    let url = format!("http://127.0.0.1:{port}");
    let folder = tempfile::tempdir().unwrap();
    if filled {
        back_fill(folder.path());
    }
    let outside = Outside {
        prometheus_url: Some(url.clone()),
        alertmanager_url: Some("off".into()),
        ..Outside::default()
    };
    let bench = Bench::new(outside, folder).await;
    bench
        .config_map("prometheus-server", json!({"prometheus.yml": config(port), "alerting_rules.yml": RULES}))
        .await;
    let mount = bench.mount("ConfigMap", "prometheus-server", plain).await;
    let server = prometheus(bench.folder.path(), port).await;
    Desk { bench, url, _server: server, _mount: mount }
}

fn tune(lasts: u64) -> Alerting {
    Alerting::TuneRule {
        alert: "QueueDeep".into(),
        group: None,
        expr: None,
        lasts: Some(Duration::from_secs(lasts)),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_is_tried_over_a_week_tuned_loaded_and_put_back() {
    let Desk { mut bench, url, _server, _mount } = desk(true).await;
    let read = bench.read(Alerting::AlertRules { alert: Some("QueueDeep".into()) }).await;
    assert_eq!(
        read.bindings.get("rule_source").map(String::as_str),
        Some("configmap/prometheus-server"),
        "{read:?}"
    );
    let preview = bench.preview(tune(15 * 60)).await.unwrap();
    let diff = format!("{:?}", preview.diff);
    // Six days: an episode each hour, but noon lasts into the next one.
    assert!(diff.contains("would have fired 6 instead of 138 times"), "{diff}");
    assert!(diff.contains("for: \\\"15m\\\""), "{diff}");
    assert!(!preview.hazards.iter().any(|hazard| hazard.level >= Level::Warn), "{:?}", preview.hazards);
    let tuned = bench.confirm(preview).await;
    assert!(performed(&tuned).contains("loaded, and it evaluates"));
    let text = std::fs::read_to_string(bench.folder.path().join("alerting_rules.yml")).unwrap();
    for kept in ["# ours", "# too nervous", "runbook_url", "alert: Blinks"] {
        assert!(text.contains(kept), "{text}");
    }
    said(
        "promtool",
        &["check", "rules", &bench.folder.path().join("alerting_rules.yml").display().to_string()],
    );
    let rules = json_of(&format!("{url}/api/v1/rules?type=alert")).await;
    let rule =
        &rules["data"]["groups"].as_array().unwrap().iter().find(|group| group["name"] == "queues").unwrap()
            ["rules"][0];
    assert_eq!(rule["duration"], 900, "{rule}");
    performed(&bench.undo(&tuned).await);
    assert_eq!(std::fs::read_to_string(bench.folder.path().join("alerting_rules.yml")).unwrap(), RULES);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_or_critical_is_said_before_a_rule_is_written() {
    let Desk { bench, url: _, _server, _mount } = desk(true).await;
    let expr = |alert: &str, expr: &str| Alerting::TuneRule {
        alert: alert.into(),
        group: None,
        expr: Some(expr.to_owned()),
        lasts: None,
    };
    assert!(bench.preview(expr("QueueDeep", "queue_depth >")).await.unwrap_err().says.contains("not PromQL"));
    let unknown = bench.preview(expr("QueueDeep", "nonsense(queue_depth) > 1")).await.unwrap_err();
    assert!(unknown.says.contains("not PromQL") || unknown.says.contains("does not evaluate"), "{unknown}");
    assert!(
        bench.preview(expr("Nobody", "up == 0")).await.unwrap_err().says.contains("no alerting rule Nobody")
    );
    let critical = bench.preview(expr("BudgetBurns", "queue_depth > 200000")).await.unwrap();
    assert!(
        critical.hazards.iter().any(|hazard| hazard.level == Level::Warn && hazard.says.contains("critical"))
    );
    let deaf = bench.preview(expr("QueueDeep", "queue_depth > 1000")).await.unwrap();
    let says = format!("{:?}", deaf.hazards);
    assert!(says.contains("stays silent on something that fired for 1h"), "{says}");
    assert!(format!("{:?}", deaf.diff).contains("would have fired 0 instead of 138"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backtest_counts_what_prometheus_itself_recorded() {
    let Desk { bench, url: _, _server, _mount } = desk(false).await;
    // Let it run over several blinks; the window begins and ends between two of them.
    tokio::time::sleep(Duration::from_secs(48)).await;
    let at = now();
    let at = covet_tui::domain::Timestamp::from_second(at.as_second() / 10 * 10 - 2).unwrap();
    let over = Duration::from_secs(30);
    let api = api::prometheus(&bench.client, &bench.outside).await.unwrap();
    let trial = Trial {
        expr: "vector(1) and on() (vector(time()) % 10 < 5)",
        lasts: Duration::from_secs(2),
        keep: Duration::ZERO,
        step: 1,
    };
    let tried = backtest(&api, trial, over, at).await.unwrap();
    let real = recorded(&api, "Blinks", 1, over, at).await.unwrap();
    assert_eq!(tried.count(), 3, "{tried:?}");
    assert_eq!(tried.count(), real.count(), "{real:?}");
    let difference = tried.total().abs_diff(real.total());
    assert!(difference <= Duration::from_secs(3), "{tried:?} {real:?}");
    // And by counting the series by hand.
    let lines = api
        .range(r#"ALERTS{alertname="Blinks",alertstate="firing"}"#, at.as_second() - 30, at.as_second(), 1)
        .await
        .unwrap();
    let points: Vec<f64> = lines[0].points.iter().map(|(at, _)| *at).collect();
    let starts = 1 + points.windows(2).filter(|pair| pair[1] - pair[0] > 1.5).count();
    assert_eq!(starts, tried.count());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operators_rule_is_patched_in_its_place_and_nothing_else() {
    let Desk { mut bench, url, _server, _mount } = desk(true).await;
    // The operator's object is what the file is made of; the chart's file does not hold the rule.
    let groups: Value = serde_json::from_value(serde_saphyr_groups()).unwrap();
    bench.apply(json!({"apiVersion": "monitoring.coreos.com/v1", "kind": "PrometheusRule",
        "metadata": {"name": "application-alerts", "namespace": SPACE, "labels": {"team": "shop"}}, "spec": groups})).await;
    bench.config_map("prometheus-server", json!({"prometheus.yml": std::fs::read_to_string(bench.folder.path().join("prometheus.yml")).unwrap(), "alerting_rules.yml": "groups: []\n"})).await;
    drop(_mount);
    tokio::time::sleep(Duration::from_secs(2)).await;
    let rules = |object: &Value| {
        vec![("alerting_rules.yml".to_owned(), json!({"groups": object["spec"]["groups"]}).to_string())]
    };
    let _mount = bench.mount("PrometheusRule", "application-alerts", rules).await;
    reqwest::Client::new().post(format!("{url}/-/reload")).send().await.unwrap();
    let preview = bench.preview(tune(600)).await.unwrap();
    assert!(preview.targets[0].contains("application-alerts"), "{:?}", preview.targets);
    assert!(
        preview.command.contains("--type=json") && preview.command.contains("\"op\":\"test\""),
        "{}",
        preview.command
    );
    let tuned = bench.confirm(preview).await;
    performed(&tuned);
    let found =
        serde_json::to_value(bench.api("PrometheusRule").get("application-alerts").await.unwrap()).unwrap();
    assert_eq!(found["spec"]["groups"][0]["rules"][0]["for"], "10m");
    assert_eq!(found["spec"]["groups"][0]["rules"][0]["labels"]["severity"], "warning");
    assert_eq!(found["spec"]["groups"][1]["rules"][0]["alert"], "BudgetBurns");
    assert_eq!(found["metadata"]["labels"]["team"], "shop");
    let seen = std::process::Command::new(program("kubectl"))
        .args([
            "--kubeconfig",
            &bench.lab.kubeconfig().display().to_string(),
            "-n",
            SPACE,
            "get",
            "prometheusrules",
            "application-alerts",
            "-o",
            "jsonpath={.spec.groups[0].rules[0].for}",
        ])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&seen.stdout), "10m", "{seen:?}");
    performed(&bench.undo(&tuned).await);
    let found =
        serde_json::to_value(bench.api("PrometheusRule").get("application-alerts").await.unwrap()).unwrap();
    assert!(found["spec"]["groups"][0]["rules"][0].get("for").is_none());
}

fn serde_saphyr_groups() -> Value {
    json!({"groups": [
        {"name": "queues", "interval": "15s", "rules": [{"alert": "QueueDeep", "expr": "queue_depth > 500", "labels": {"severity": "warning"}}]},
        {"name": "slo", "rules": [{"alert": "BudgetBurns", "expr": "queue_depth > 100000", "for": "5m", "labels": {"severity": "critical"}}]},
    ]})
}

#[tokio::test(flavor = "multi_thread")]
async fn health_targets_history_and_any_expression_are_read() {
    let Desk { bench, url: _, _server, _mount } = desk(true).await;
    tokio::time::sleep(Duration::from_secs(12)).await;
    let health = bench.read(Alerting::PrometheusHealth).await;
    let lines = format!("{:?}", health.lines);
    assert!(
        lines.contains("healthy: yes")
            && lines.contains("samples a second")
            && lines.contains("1 of 1 targets up"),
        "{lines}"
    );
    assert_eq!(health.bindings.get("targets").map(String::as_str), Some("1"));
    let targets = bench.read(Alerting::PrometheusTargets).await;
    assert_eq!(targets.summary, "all 1 target up");
    let now = bench.read(Alerting::Promql { expr: "1 + 1".into(), window: None, step: None }).await;
    assert_eq!(now.bindings.get("value").map(String::as_str), Some("2"), "{now:?}");
    let week = Alerting::Promql {
        expr: "queue_depth".into(),
        window: Some(Duration::from_hours(144)),
        step: Some(Duration::from_mins(10)),
    };
    let week = bench.read(week).await;
    assert!(week.summary.starts_with("1 line over"), "{}", week.summary);
    assert!(format!("{:?}", week.lines).contains("900"), "{:?}", week.lines);
    let broken =
        bench.read(Alerting::Promql { expr: "queue_depth >".into(), window: None, step: None }).await;
    assert!(!broken.ok && broken.summary.contains("parse error"), "{broken:?}");
    let history = bench.read(Alerting::AlertHistory { window: Duration::from_hours(6) }).await;
    assert!(history.ok, "{history:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_configuration_is_named_and_put_back_while_the_old_one_runs() {
    let Desk { mut bench, url, _server, _mount } = desk(false).await;
    let good = std::fs::read_to_string(bench.folder.path().join("prometheus.yml")).unwrap();
    let bad = good.replace("scrape_configs:", "scrape_config:");
    bench.config_map("prometheus-server", json!({"prometheus.yml": bad, "alerting_rules.yml": RULES})).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let refused = reqwest::Client::new().post(format!("{url}/-/reload")).send().await.unwrap();
    assert_eq!(refused.status(), 500);
    let read = bench.read(Alerting::PrometheusConfig).await;
    assert!(!read.ok && read.summary.contains("scrape_config not found"), "{}", read.summary);
    assert!(read.found.iter().any(|found| found.cause == "monitoring-config"));
    assert_eq!(
        read.bindings.get("earlier_config").map(String::as_str),
        Some("the configuration it still runs")
    );
    let health = bench.read(Alerting::PrometheusHealth).await;
    assert!(health.summary.contains("reload refused"), "{}", health.summary);
    let restored = bench.act(Alerting::RestorePrometheusConfig).await;
    assert!(performed(&restored).contains("Prometheus runs with it"));
    said("promtool", &["check", "config", &bench.folder.path().join("prometheus.yml").display().to_string()]);
    let info = json_of(&format!("{url}/api/v1/status/runtimeinfo")).await;
    assert_eq!(info["data"]["reloadConfigSuccess"], true);
    // Forwards again: the newer document comes back, and the server refuses it again.
    let undone = bench.undo(&restored).await;
    assert!(matches!(undone.result, Ending::Unverified(_)), "{undone:?}");
    assert_eq!(std::fs::read_to_string(bench.folder.path().join("prometheus.yml")).unwrap(), bad);
}
