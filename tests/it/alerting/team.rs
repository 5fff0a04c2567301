//! A team's own file with a trigger of each kind, on real servers: asked, judged, advised, folded into incidents,
//! blind one by one, and over when it is over.

use std::time::Duration;

use covet_tui::check::{self, Look};
use covet_tui::config::{self, Flags};
use covet_tui::domain::{Observation, Severity, Snapshot, Timestamp};
use covet_tui::eyes::Eyes;
use covet_tui::playbooks::{Facts, Library, Progress, plan};
use covet_tui::rules::{Finding, Judgement, Thresholds, judge};
use serde_json::json;
use tokio::sync::mpsc;

use super::bench::*;
use crate::postgres::server::bare;

const FILE: &str = r#"
[[playbook]]
id = "mail-queue"
title = "The mail queue is deep"
category = "Ours"
trigger = { promql = { expr = "depth", above = 500, for = "5s" } }
resolved = { says = "the queue is short", when = ["pods-ready"], for = "1m" }
step = [{ id = "look", phase = "investigate", title = "Look at queue {label_queue} of {namespace}: {value}", why = "How deep.", do = { action = "promql", expr = "depth" } }]

[[playbook]]
id = "stuck-orders"
title = "Orders are stuck"
category = "Ours"
trigger = { sql = { query = "SELECT count(*) AS stuck, min(state) AS state FROM orders WHERE state = 'waiting';", above = 2, for = "1s" } }
resolved = { says = "no order waits", when = ["no-lock-waiters"], for = "1m" }
step = [{ id = "ask", phase = "investigate", title = "Ask why orders are {label_state}", why = "The database knows.", do = { action = "ping-database" } }]

[[playbook]]
id = "disk-alert"
title = "Our disk alert fires"
category = "Ours"
trigger = { alert = { alertname = "OurDiskFull", team = "shop" } }
resolved = { says = "the alert is over", when = ["node-ready"], for = "1m" }
step = [{ id = "node", phase = "investigate", title = "Describe {node}", why = "Its disk.", do = { action = "describe", kind = "Node", name = "{label_node}" } }]

[[playbook]]
id = "paused-rollout"
title = "Somebody left a rollout paused"
category = "Ours"
trigger = { object = { kind = "Deployment", field = "/spec/paused", equals = "true", for = "2s" } }
resolved = { says = "not paused", when = ["rollout-complete"], for = "1m" }

[[playbook.step]]
id = "resume"
phase = "resolve"
title = "Resume {label_name}"
why = "It was forgotten."
do = { action = "rollout-resume", deployment = "{deployment}" }
for_causes = ["team-trigger"]
undo = "pause it again"
verify = ["status"]

[[playbook.step]]
id = "status"
phase = "verify"
title = "See its rollout"
why = "It goes on."
do = { action = "rollout-status", name = "{deployment}" }

[[playbook]]
id = "wrong-column"
title = "A query that is wrong"
category = "Ours"
trigger = { sql = { query = "SELECT depth FROM nowhere", above = 1 } }
resolved = { says = "never", when = ["pods-ready"], for = "1m" }
step = [{ id = "ask", phase = "investigate", title = "Ask", why = "Whether it answers.", do = { action = "ping-database" } }]

[[playbook]]
id = "wrong-expression"
title = "An expression that is wrong"
category = "Ours"
trigger = { promql = { expr = "depth >", above = 1 } }
resolved = { says = "never", when = ["pods-ready"], for = "1m" }
step = [{ id = "ask", phase = "investigate", title = "Ask", why = "Whether it answers.", do = { action = "prometheus-health" } }]
"#;

struct Watcher {
    snapshot: Snapshot,
    observations: mpsc::Receiver<Observation>,
    _eyes: Eyes,
}

impl Watcher {
    fn judged(&self) -> Judgement {
        judge(&self.snapshot, &Thresholds::default(), now())
    }

    fn finding(&self, name: &str) -> Finding {
        let judged = self.judged();
        judged.team.into_iter().find(|(watched, _)| &*watched.name == name).unwrap().1
    }

    async fn until(&mut self, what: &str, holds: impl Fn(&Watcher) -> bool) {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
        while !holds(self) {
            let next = tokio::time::timeout(Duration::from_millis(500), self.observations.recv()).await;
            if let Ok(Some(seen)) = next {
                self.snapshot.fold(seen);
            }
            let team: Vec<_> = self.judged().team;
            assert!(tokio::time::Instant::now() < deadline, "not within a minute: {what}\n{team:#?}");
        }
    }
}

fn fires(finding: &Finding) -> bool {
    matches!(finding, Finding::Firing(anomalies) if anomalies[0].severity > Severity::Suspect)
}

/// A page of metrics that a real Prometheus scrapes: what the team's series say.
async fn metrics(depth: std::sync::Arc<std::sync::atomic::AtomicU64>) -> u16 {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let page = move || {
        let depth = depth.load(std::sync::atomic::Ordering::Relaxed);
        std::future::ready(format!(
            "# TYPE depth gauge\ndepth{{queue=\"mail\",namespace=\"covetpy-production\"}} {depth}\n"
        ))
    };
    let router = axum::Router::new().route("/metrics", axum::routing::get(page));
    tokio::spawn(async move { drop(axum::serve(listener, router).await) });
    port
}

#[tokio::test(flavor = "multi_thread")]
async fn a_teams_triggers_of_every_kind_raise_are_advised_resolve_and_fail_alone() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let depth = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(812));
    let scraped = metrics(depth.clone()).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("team.toml");
    std::fs::write(&file, FILE).unwrap();
    let library = Library::with_team_file("team.toml", FILE).unwrap_or_else(|lints| panic!("{lints:#?}"));
    let yml = format!(
        "global: {{scrape_interval: 1s}}\nscrape_configs:\n- job_name: team\n  honor_labels: true\n  static_configs: [{{targets: ['127.0.0.1:{scraped}']}}]\n"
    );
    std::fs::write(folder.path().join("prometheus.yml"), yml).unwrap();
    std::fs::write(folder.path().join("alertmanager.yml"), "route: {receiver: a}\nreceivers: [{name: a}]\n")
        .unwrap();
    let (prometheus_port, alertmanager_port) = (free_port(), free_port());
    let _prometheus = prometheus(folder.path(), prometheus_port).await;
    let _alertmanager = alertmanager(folder.path(), "alertmanager.yml", alertmanager_port).await;
    let alertmanager_url = format!("http://127.0.0.1:{alertmanager_port}");
    let database = bare("").await;
    let boss = database.connect("boss", "postgres").await;
    boss.batch_execute(
        "CREATE TABLE orders (state text); INSERT INTO orders VALUES ('waiting'), ('waiting'), ('waiting')",
    )
    .await
    .unwrap();
    let lab =
        covet_tui::lab::start(covet_tui::lab::Options { speed: 20.0, ..Default::default() }).await.unwrap();
    let client = client(lab.kubeconfig()).await;
    let deployments: kube::Api<kube::api::DynamicObject> = kube::Api::namespaced_with(
        client.clone(),
        "covetpy-production",
        &covet_tui::probes::cluster::resource(covet_tui::domain::Kind::Deployment),
    );
    let pause = |paused: bool| {
        let (deployments, body) = (deployments.clone(), json!({"spec": {"paused": paused}}));
        async move {
            deployments
                .patch("covetpy-docs", &Default::default(), &kube::api::Patch::Merge(&body))
                .await
                .unwrap()
        }
    };
    pause(true).await;
    let node = lab_node(&client).await;
    send(
        &alertmanager_url,
        &[
            &[("alertname", "OurDiskFull"), ("team", "shop"), ("node", &node), ("severity", "critical")],
            &[("alertname", "OurDiskFull"), ("team", "other")],
        ],
    )
    .await;
    let variables = [
        ("KUBECONFIG", lab.kubeconfig().display().to_string()),
        ("COVET_NAMESPACE", "covetpy-production".to_owned()),
        ("PROMETHEUS_URL", format!("http://127.0.0.1:{prometheus_port}")),
        ("ALERTMANAGER_URL", alertmanager_url.clone()),
        ("DATABASE_URL", format!("postgresql://boss:hunter22@127.0.0.1:{}/postgres", database.port)),
    ];
    let find =
        |asked: &str| variables.iter().find(|(name, _)| *name == asked).map(|(_, value)| value.clone());
    let flags = Flags { namespace: Some("covetpy-production".into()), ..Flags::default() };
    let settings = config::load(&flags, &find, None).unwrap();
    let (out, observations) = mpsc::channel(1024);
    let eyes = Eyes::open(&settings, &library.triggers(), Timestamp::now, out).await;
    let mut watcher =
        Watcher { snapshot: Snapshot::watching(None, library.triggers()), observations, _eyes: eyes };
    for name in ["mail-queue", "stuck-orders", "disk-alert", "paused-rollout"] {
        watcher.until(name, |watcher| fires(&watcher.finding(name))).await;
    }
    let of = |watcher: &Watcher, name: &str| match watcher.finding(name) {
        Finding::Firing(mut anomalies) => {
            assert_eq!(anomalies.len(), 1, "{name}: {anomalies:#?}");
            anomalies.remove(0)
        }
        other => panic!("{name}: {other:?}"),
    };
    let title = |watcher: &Watcher, name: &str| of(watcher, name).title;
    assert!(
        title(&watcher, "mail-queue").contains("queue=\"mail\"")
            && title(&watcher, "mail-queue").contains("812"),
        "{}",
        title(&watcher, "mail-queue")
    );
    assert!(
        title(&watcher, "stuck-orders").contains("stuck is 3, above 2"),
        "{}",
        title(&watcher, "stuck-orders")
    );
    assert_eq!(of(&watcher, "disk-alert").severity, Severity::Critical);
    assert_eq!(of(&watcher, "paused-rollout").subject.to_string(), "deployment/covetpy-docs");
    // Labels, columns and names are placeholders.
    let settings_of = std::collections::BTreeMap::new();
    let systems = covet_tui::config::Outside::of(&settings).systems();
    let planned = |watcher: &Watcher, name: &str| {
        let (anomaly, progress) = (of(watcher, name), Progress::default());
        plan(
            library.get(name).unwrap(),
            &Facts {
                anomaly: &anomaly,
                fires: true,
                snapshot: &watcher.snapshot,
                settings: &settings_of,
                systems: &systems,
                read_only: false,
                denied: &std::collections::BTreeSet::new(),
                now: now(),
                progress: &progress,
            },
        )
    };
    assert_eq!(
        planned(&watcher, "mail-queue").steps[0].title,
        "Look at queue mail of covetpy-production: 812"
    );
    assert_eq!(planned(&watcher, "stuck-orders").steps[0].title, "Ask why orders are waiting");
    assert_eq!(planned(&watcher, "disk-alert").steps[0].title, format!("Describe {node}"));
    let resume = planned(&watcher, "paused-rollout");
    assert_eq!(resume.suggestion().unwrap().title, "Resume covetpy-docs");
    assert_eq!(
        resume.suggestion().unwrap().action.as_ref().unwrap().as_command(),
        "kubectl rollout resume deployment/covetpy-docs -n covetpy-production"
    );
    // What is wrong blinds itself alone, and says where it is written.
    for (name, says) in [("wrong-column", "\"nowhere\" does not exist"), ("wrong-expression", "parse error")]
    {
        let Finding::Blind(blind) = watcher.finding(name) else { panic!("{name} sees") };
        let line = 1 + FILE.lines().position(|line| line.contains(&format!("id = \"{name}\""))).unwrap() + 3;
        assert!(
            blind.why.contains(says) && blind.why.contains(&format!("team.toml:{line}")),
            "{name}: {}",
            blind.why
        );
    }
    assert!(watcher.judged().blind().iter().any(|(watched, _)| &*watched.name == "wrong-column"));
    // `check` shows them, too.
    let report = looked(&settings, &library).await;
    let rules: Vec<&str> = report.anomalies.iter().map(|row| row.rule.as_str()).collect();
    for name in ["mail-queue", "disk-alert"] {
        assert!(rules.contains(&name), "{rules:?}");
    }
    assert!(
        report.blind.iter().any(|row| row.rule == "wrong-column" && row.why.contains("team.toml:")),
        "{:?}",
        report.blind
    );
    assert!(report.incidents.iter().any(|row| row.root.starts_with("mail-queue/")), "{:?}", report.incidents);
    // All of it passes.
    depth.store(3, std::sync::atomic::Ordering::Relaxed);
    boss.batch_execute("DELETE FROM orders").await.unwrap();
    pause(false).await;
    for name in ["mail-queue", "stuck-orders", "paused-rollout"] {
        watcher.until(&format!("{name} is over"), |watcher| watcher.finding(name) == Finding::Clear).await;
    }
    lab.stop().await;
}

async fn lab_node(client: &kube::Client) -> String {
    let nodes: kube::Api<k8s_openapi::api::core::v1::Node> = kube::Api::all(client.clone());
    nodes.list(&Default::default()).await.unwrap().items[0].metadata.name.clone().unwrap()
}

async fn looked(settings: &config::Settings, library: &Library) -> covet_tui::report::Report {
    let (out, mut observations) = mpsc::channel(1024);
    let _eyes = Eyes::open(settings, &library.triggers(), Timestamp::now, out).await;
    let look = Look {
        clock: Timestamp::now,
        scope: None,
        thresholds: &Thresholds::default(),
        library,
        settings: &std::collections::BTreeMap::new(),
        systems: &std::collections::BTreeSet::new(),
        read_only: true,
        deeds: Vec::new(),
        probes: None,
        wait: None,
    };
    check::look(&look, &mut observations).await
}
