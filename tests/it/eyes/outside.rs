//! Prometheus, Alertmanager, PostgreSQL, Redis and TLS, as the lab plays them.

use axum::extract::Query;
use axum::http::Uri;
use covet_tui::domain::{AlertState, BlindKind, UsageSource};
use serde_json::{Value, json};

use super::scripted::{Script, Server};
use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn every_outside_system_of_the_lab_is_seen() {
    let lab = lab::start(lab::Options::default()).await.unwrap();
    let mut watcher = Watcher::open(&settings(&lab, lab.kubeconfig(), &[])).await;
    watcher.until("p95", |snapshot| snapshot.traffic.p95.points().len() > 50).await;
    watcher.until("capacity", |snapshot| snapshot.capacity.is_some()).await;
    watcher.until("cache", |snapshot| snapshot.cache.is_some()).await;
    watcher
        .until("alerts", |snapshot| {
            snapshot.sight(Origin::Alertmanager).is_some_and(|sight| sight.seen.is_some())
        })
        .await;
    watcher
        .until("usage", |snapshot| !snapshot.pod_usage.is_empty() && !snapshot.node_usage.is_empty())
        .await;
    watcher.until("handshakes", |snapshot| !snapshot.handshakes.is_empty()).await;
    let snapshot = &watcher.snapshot;
    let traffic = &snapshot.traffic;
    let (_, p95) = traffic.p95.last().unwrap();
    assert!((0.001..5.0).contains(&p95), "{p95}");
    assert!(traffic.rate.last().is_some_and(|(_, rate)| rate > 0.0), "{:?}", traffic.rate.last());
    assert!(traffic.error_ratio.last().is_some_and(|(_, ratio)| (0.0..=1.0).contains(&ratio)));
    assert!(traffic.memory.last().is_some_and(|(_, bytes)| bytes > 1e6), "{:?}", traffic.memory.last());
    let capacity = snapshot.capacity.unwrap();
    assert!(capacity.used > 0 && capacity.usable() > capacity.used, "{capacity:?}");
    assert_eq!(snapshot.usage_source, Some(UsageSource::MetricsServer));
    let served = snapshot.handshakes.values().flatten().find_map(|row| row.served.as_ref().ok());
    let served = served.unwrap_or_else(|| panic!("{:?}", snapshot.handshakes));
    assert!(served.name_matches && served.not_after > served.not_before, "{served:?}");
    assert!(served.distrust.is_none(), "the lab says which authority to trust: {served:?}");
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn monitoring_is_found_in_the_cluster_and_unknown_authorities_are_not_trusted() {
    let lab = lab::start(lab::Options::default()).await.unwrap();
    let nowhere = [
        ("PROMETHEUS_URL", ""),
        ("ALERTMANAGER_URL", ""),
        ("DATABASE_URL", ""),
        ("REDIS_URL", ""),
        ("COVET_TLS_AUTHORITY", ""),
    ];
    let mut watcher = Watcher::open(&settings(&lab, lab.kubeconfig(), &nowhere)).await;
    watcher.until("p95 by proxy", |snapshot| !snapshot.traffic.p95.is_empty()).await;
    let sighted =
        |snapshot: &Snapshot| snapshot.sight(Origin::Alertmanager).is_some_and(|sight| sight.seen.is_some());
    watcher.until("alerts by proxy", sighted).await;
    for origin in [Origin::Postgres, Origin::Redis] {
        watcher.until("not configured", |snapshot| blind(snapshot, origin).is_some()).await;
        let blind = watcher.blind(origin).unwrap();
        assert_eq!(blind.kind, BlindKind::NotConfigured);
        assert!(blind.repair.unwrap().contains("_URL"));
    }
    watcher.until("handshakes", |snapshot| !snapshot.handshakes.is_empty()).await;
    let served =
        watcher.snapshot.handshakes.values().flatten().find_map(|row| row.served.as_ref().ok()).unwrap();
    assert!(served.distrust.as_deref().is_some_and(|why| why.contains("does not know")), "{served:?}");
    assert!(watcher.snapshot.alerts.iter().all(|alert| alert.state != AlertState::Unprocessed));
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_metrics_server_usage_comes_from_prometheus() {
    let lab = lab::start(lab::Options::default()).await.unwrap();
    let server = Server::start(Script { token: "t".into(), ..Script::default() }).await;
    let folder = tempfile::tempdir().unwrap();
    let kubeconfig = server.kubeconfig(folder.path(), "t");
    let namespace = [("COVET_NAMESPACE", "covetpy-production")];
    let mut watcher = Watcher::open(&settings(&lab, &kubeconfig, &namespace)).await;
    watcher.until("usage", |snapshot| !snapshot.pod_usage.is_empty()).await;
    assert_eq!(watcher.snapshot.usage_source, Some(UsageSource::Prometheus));
    let ours =
        |(key, usage): (&(covet_tui::domain::Key, covet_tui::domain::Name), &covet_tui::domain::Usage)| {
            &*key.0.namespace == "covetpy-production" && usage.memory_bytes > 0
        };
    assert!(watcher.snapshot.pod_usage.iter().all(ours), "{:?}", watcher.snapshot.pod_usage);
    lab.stop().await;
}

/// A Prometheus whose numbers are none.
async fn strange(
    uri: Uri,
    Query(query): Query<std::collections::BTreeMap<String, String>>,
) -> axum::Json<Value> {
    let expression = query.get("query").map(String::as_str).unwrap_or_default();
    let data = match uri.path() {
        "/api/v1/labels" => json!(["__name__", "code", "le"]),
        "/api/v1/query" if expression.starts_with("count by (__name__,") => {
            let metric = |name: &str| json!({"metric": {"__name__": name}, "value": [1.0, "1"]});
            json!({"resultType": "vector",
                "result": [metric("http_requests_total"), metric("http_request_duration_seconds_bucket")]})
        }
        "/api/v1/query" => json!({"resultType": "vector",
            "result": [{"metric": {"pod": "a"}, "value": [1.0, "NaN"]}, {"metric": {}, "value": [1.0, "+Inf"]}]}),
        _ if expression.contains("0.95") => {
            let end: f64 = query["end"].parse().unwrap();
            let values: Vec<Value> = [("NaN", 60.0), ("+Inf", 45.0), ("0.25", 30.0), ("-Inf", 15.0)]
                .map(|(value, before)| json!([end - before, value]))
                .into();
            json!({"resultType": "matrix", "result": [{"metric": {}, "values": values}]})
        }
        _ => json!({"resultType": "matrix", "result": []}),
    };
    axum::Json(json!({"status": "success", "data": data}))
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_that_are_none_are_gaps() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = axum::Router::new().fallback(strange);
    let _server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    let find = |name: &str| (name == "PROMETHEUS_URL").then(|| url.clone());
    let mut watcher = Watcher::open(&config::load(&Flags::default(), &find, None).unwrap()).await;
    let seen =
        |snapshot: &Snapshot| snapshot.sight(Origin::Prometheus).is_some_and(|sight| sight.seen.is_some());
    watcher.until("traffic", seen).await;
    let traffic = &watcher.snapshot.traffic;
    let values: Vec<f64> = traffic.p95.points().iter().map(|(_, value)| *value).collect();
    assert_eq!(values, [0.25]);
    assert!(traffic.p50.is_empty() && traffic.error_ratio.is_empty() && traffic.errors_by_pod.is_empty());
}
