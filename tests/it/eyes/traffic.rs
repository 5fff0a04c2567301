//! The eye on traffic before a real Prometheus whose past was written for it: whose metric is asked, what is told of
//! series that vanished, and of a workload that fails beside busy ones.

use std::fmt::Write as _;
use std::path::Path;

use covet_tui::domain::{BlindKind, WorkloadTraffic};
use covet_tui::rules::{Thresholds, judge};

use super::real::{prometheus_in, prometheus_scraping};
use super::*;

/// An hour of counters every fifteen seconds: metric and labels, requests per second, and how many minutes ago it ended.
struct Counter(&'static str, &'static str, f64, i64);

const COUNTERS: &[Counter] = &[
    Counter("http_requests_total", r#"namespace="tools",app="grafana",status="200""#, 3.0, 0),
    Counter("http_requests_total", r#"namespace="mail",app="post",status="200""#, 8.0, 12),
    Counter(
        "nginx_ingress_controller_requests",
        r#"exported_namespace="shop",exported_service="web",namespace="edge",pod="ctl-x2k9z",status="200""#,
        90.0,
        0,
    ),
    Counter(
        "nginx_ingress_controller_requests",
        r#"exported_namespace="shop",exported_service="cart",namespace="edge",pod="ctl-x2k9z",status="503""#,
        1.6,
        0,
    ),
    Counter("http_requests_total", r#"namespace="gate",app="door",status="401""#, 30.0, 0),
    Counter("http_requests_total", r#"namespace="gate",app="hall",status="401""#, 0.5, 0),
    Counter("http_requests_total", r#"namespace="gate",app="hall",status="200""#, 40.0, 0),
    Counter("container_memory_working_set_bytes", r#"namespace="bank",pod="till-0",container="app""#, 0.1, 0),
    Counter("shop_latency_ms_count", r#"namespace="shop",pod="web-7d4b9c6f58-x2k9z""#, 90.0, 0),
    Counter("shop_latency_ms_bucket", r#"namespace="shop",pod="web-7d4b9c6f58-x2k9z",le="50""#, 0.0, 0),
    Counter("shop_latency_ms_bucket", r#"namespace="shop",pod="web-7d4b9c6f58-x2k9z",le="100""#, 90.0, 0),
    Counter("shop_latency_ms_bucket", r#"namespace="shop",pod="web-7d4b9c6f58-x2k9z",le="+Inf""#, 90.0, 0),
];

fn written(folder: &Path) {
    let now = Timestamp::now().as_second();
    let mut text = String::new();
    for Counter(name, labels, rate, ended) in COUNTERS {
        for step in 0..=240 {
            let at = now - 3600 + step * 15;
            if at <= now - ended * 60 {
                let value = (rate * 15.0 * step as f64).floor();
                let _ = writeln!(text, "{name}{{{labels}}} {value} {at}");
            }
        }
    }
    text += "# EOF\n";
    super::real::backfill(folder, &text);
}

async fn watch(url: &str, namespace: &str, more: &[(&str, &str)]) -> Watcher {
    let find = |asked: &str| match asked {
        "PROMETHEUS_URL" => Some(url.to_owned()),
        "COVET_NAMESPACE" => Some(namespace.to_owned()),
        _ => more.iter().find(|(name, _)| *name == asked).map(|(_, value)| (*value).to_owned()),
    };
    Watcher::open(&config::load(&Flags::default(), &find, None).unwrap()).await
}

fn own<'a>(snapshot: &'a Snapshot, name: &str) -> Option<&'a WorkloadTraffic> {
    snapshot.traffic.workloads.iter().find(|workload| *workload.key.name == *name)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_watched_namespaces_own_metric_is_asked_and_its_silence_told() {
    let folder = tempfile::tempdir().unwrap();
    written(folder.path());
    let (port, _server) = prometheus_in(folder.path());
    let url = format!("http://127.0.0.1:{port}");
    let _ = rustls::crypto::ring::default_provider().install_default();
    let ready = format!("{url}/-/ready");
    while !reqwest::get(&ready).await.is_ok_and(|answer| answer.status().is_success()) {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let named = [("COVET_PROMETHEUS_LATENCY", "shop_latency_ms")];

    let mut shop = watch(&url, "shop", &named).await;
    shop.until("traffic", |snapshot| !snapshot.traffic.error_ratio.is_empty()).await;
    let traffic = &shop.snapshot.traffic;
    let (_, ratio) = traffic.error_ratio.last().unwrap();
    assert!((ratio - 1.6 / 91.6).abs() < 0.003, "the sum hides who fails: {ratio}");
    let cart = own(&shop.snapshot, "cart").expect("told apart by the Service behind the ingress");
    assert!((cart.error_ratio.last().unwrap().1 - 1.0).abs() < 0.01, "{cart:?}");
    assert!((cart.rate.last().unwrap().1 - 1.6).abs() < 0.3, "{cart:?}");
    let (_, p95) = traffic.p95.last().expect("asked in its own namespace's label");
    assert!((p95 - 0.0975).abs() < 0.001, "milliseconds by its name: {p95}");
    let web = own(&shop.snapshot, "web").unwrap();
    assert!((web.p95.last().unwrap().1 - 0.0975).abs() < 0.001, "its pod is its owner's: {web:?}");
    assert!(traffic.errors_unseen.is_none() && traffic.latency_unseen.is_none(), "{traffic:?}");
    let judgement = judge(&shop.snapshot, &Thresholds::default(), Timestamp::now());
    let found = judgement.anomalies();
    let failing = found.iter().find(|anomaly| &*anomaly.rule == "high-5xx").expect("cart fails");
    assert_eq!(failing.title, "100.0 % of responses of cart are errors");

    let mut mail = watch(&url, "mail", &[]).await;
    mail.until("silence", |snapshot| snapshot.traffic.errors_unseen.is_some()).await;
    let blind = mail.snapshot.traffic.errors_unseen.clone().unwrap();
    assert_eq!(blind.kind, BlindKind::Broken, "{blind:?}");
    assert!(blind.why.starts_with("http_requests_total has no series in mail since"), "{blind:?}");
    let since = Timestamp::now().duration_since(blind.since).as_secs();
    // Where no scrape says that a series ended, Prometheus gives its last sample for five minutes more.
    assert!((6 * 60..9 * 60).contains(&since), "{since} s");
    let judgement = judge(&mail.snapshot, &Thresholds::default(), Timestamp::now());
    for rule in ["high-5xx", "high-latency", "auth-attack"] {
        assert!(judgement.blind_to(rule).is_some(), "{rule} sees nothing");
    }

    let mut bank = watch(&url, "bank", &[]).await;
    bank.until("blind", |snapshot| blind_of(snapshot).is_some()).await;
    let blind = blind_of(&bank.snapshot).unwrap();
    assert_eq!(blind.kind, BlindKind::NotConfigured);
    bank.until("containers are looked at all the same", |snapshot| {
        snapshot.sight(Origin::Containers).is_some_and(|sight| sight.seen.is_some())
    })
    .await;
    assert!(blind.why.contains("for bank") && blind.repair.unwrap().contains("requests ="), "{}", blind.why);

    let mut gate = watch(&url, "gate", &[]).await;
    gate.until("refusals", |snapshot| snapshot.traffic.denied_by.is_some()).await;
    let (refusing, rate) = gate.snapshot.traffic.denied_by.clone().unwrap();
    assert_eq!((&*refusing.namespace, &*refusing.name), ("gate", "door"));
    assert!((rate - 30.0).abs() < 0.5, "{rate}");

    let mut all = watch(&url, "*", &[]).await;
    all.until("traffic", |snapshot| !snapshot.traffic.rate.is_empty()).await;
    assert!(own(&all.snapshot, "grafana").is_some(), "{:?}", all.snapshot.traffic.workloads);
}

fn blind_of(snapshot: &Snapshot) -> Option<Blind> {
    blind(snapshot, Origin::Prometheus)
}

/// An application's metrics: two requests of three are answered well.
async fn exported() -> (u16, tokio::task::JoinHandle<()>) {
    let began = tokio::time::Instant::now();
    let metrics = move || async move {
        let seconds = began.elapsed().as_secs_f64();
        let row = |status: u16, rate: f64| {
            format!("http_requests_total{{status=\"{status}\"}} {}\n", (seconds * rate).floor())
        };
        row(200, 40.0) + &row(500, 20.0)
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let router = axum::Router::new().route("/metrics", axum::routing::get(metrics));
    (port, tokio::spawn(async move { axum::serve(listener, router).await.unwrap() }))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_that_falls_silent_is_not_calm() {
    let folder = tempfile::tempdir().unwrap();
    let (exporter, application) = exported().await;
    let target = format!(
        "- job_name: gate\n  static_configs: [{{targets: ['127.0.0.1:{exporter}'], labels: {{namespace: depot, pod: gate-0}}}}]\n"
    );
    let (port, _server) = prometheus_scraping(folder.path(), &target);
    let url = format!("http://127.0.0.1:{port}");
    let _ = rustls::crypto::ring::default_provider().install_default();
    let rates = format!("{url}/api/v1/query?query=rate(http_requests_total[1m])");
    loop {
        let answer = reqwest::get(&rates).await;
        if let Ok(answer) = answer
            && answer.text().await.unwrap().contains("depot")
        {
            break;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let mut watcher = watch(&url, "depot", &[]).await;
    let failing = |snapshot: &Snapshot| {
        let last = snapshot.traffic.error_ratio.last();
        last.is_some_and(|(_, ratio)| ratio > 0.3) && snapshot.traffic.errors_unseen.is_none()
    };
    watcher.until("errors", failing).await;
    let fires = |snapshot: &Snapshot| {
        let judgement = judge(snapshot, &Thresholds::default(), Timestamp::now());
        judgement.anomalies().iter().any(|anomaly| &*anomaly.rule == "high-5xx")
    };
    assert!(fires(&watcher.snapshot));
    application.abort();
    let ended = Timestamp::now();
    watcher.until("silence", |snapshot| snapshot.traffic.errors_unseen.is_some()).await;
    let blind = watcher.snapshot.traffic.errors_unseen.clone().unwrap();
    assert!(blind.why.starts_with("http_requests_total has no series in depot since"), "{blind:?}");
    let late = blind.since.duration_since(ended).as_secs();
    assert!((-20..=20).contains(&late), "it began {late} s after the end");
    assert!(!fires(&watcher.snapshot), "the last ratio is not that of now");
    let judgement = judge(&watcher.snapshot, &Thresholds::default(), Timestamp::now());
    assert!(judgement.blind_to("high-5xx").is_some(), "and not seeing is not calm");
}
