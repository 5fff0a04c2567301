//! Prometheus, Alertmanager, PostgreSQL, Redis and TLS, as the lab plays them.

use covet_tui::domain::{AlertState, BlindKind, UsageSource};

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
    assert!(served.distrust.as_deref().is_some_and(|why| why.contains("does not know")), "{served:?}");
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn monitoring_is_found_in_the_cluster() {
    let lab = lab::start(lab::Options::default()).await.unwrap();
    let nowhere = [("PROMETHEUS_URL", ""), ("ALERTMANAGER_URL", ""), ("DATABASE_URL", ""), ("REDIS_URL", "")];
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
    assert!(watcher.snapshot.alerts.iter().all(|alert| alert.state != AlertState::Unprocessed));
    lab.stop().await;
}
