//! Watching the lab's API server.

use super::*;

const WATCHES: [Origin; 14] = [
    Origin::Pods,
    Origin::Nodes,
    Origin::Deployments,
    Origin::ReplicaSets,
    Origin::Autoscalers,
    Origin::DisruptionBudgets,
    Origin::Events,
    Origin::Services,
    Origin::EndpointSlices,
    Origin::Ingresses,
    Origin::PersistentVolumeClaims,
    Origin::ConfigMaps,
    Origin::Secrets,
    Origin::Leases,
];

fn all_listed(snapshot: &Snapshot) -> bool {
    WATCHES.iter().all(|origin| snapshot.blindness(*origin, Timestamp::now()).is_none())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_is_seen_and_followed() {
    let lab = lab::start(lab::Options::default()).await.unwrap();
    let mut watcher = Watcher::open(&settings(&lab, lab.kubeconfig(), &[])).await;
    watcher.until("all kinds listed", all_listed).await;
    let snapshot = &watcher.snapshot;
    let deployment = snapshot.deployments.iter().find(|found| &*found.key.name == "covetpy-app").unwrap();
    let pods = snapshot.pods_of(deployment);
    assert!(pods.len() >= 3 && pods.iter().all(|pod| pod.is_ready()), "{pods:?}");
    assert!(deployment.revision.is_some() && !deployment.template.containers.is_empty());
    assert!(snapshot.nodes.iter().all(|node| node.is_ready() && node.allocatable.memory_bytes.is_some()));
    assert!(snapshot.leases.iter().all(|lease| lease.renewed.is_some()) && !snapshot.leases.is_empty());
    assert!(
        snapshot.autoscalers.iter().any(|scaler| scaler.metrics.iter().any(|metric| metric.ratio.is_some()))
    );
    assert!(!snapshot.secrets.is_empty() && snapshot.secrets.iter().all(|secret| !secret.uid.is_empty()));
    lab.stop().await;
}
