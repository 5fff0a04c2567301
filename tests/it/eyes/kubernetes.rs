//! Watching the lab's API server.

use covet_tui::domain::{ControllerRevision, Job, Kind};
use covet_tui::rules::{Thresholds, judge};
use jiff::SignedDuration;

use super::*;

const WATCHES: [Origin; 22] = [
    Origin::Pods,
    Origin::Nodes,
    Origin::Deployments,
    Origin::ReplicaSets,
    Origin::StatefulSets,
    Origin::DaemonSets,
    Origin::ControllerRevisions,
    Origin::Jobs,
    Origin::CronJobs,
    Origin::Autoscalers,
    Origin::DisruptionBudgets,
    Origin::Events,
    Origin::Services,
    Origin::EndpointSlices,
    Origin::Ingresses,
    Origin::PersistentVolumeClaims,
    Origin::ConfigMaps,
    Origin::Secrets,
    Origin::NetworkPolicies,
    Origin::ResourceQuotas,
    Origin::LimitRanges,
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
    let redis = snapshot.stateful_sets.iter().find(|found| &*found.key.name == "redis").unwrap();
    assert!(redis.is_ordered && !redis.seems_to_roll() && redis.ready == redis.desired, "{redis:?}");
    for controller in snapshot.stateful_sets.iter().chain(snapshot.daemon_sets.iter()) {
        let owned = |row: &&ControllerRevision| row.owner.as_ref().is_some_and(|by| by.uid == controller.uid);
        let newest =
            snapshot.controller_revisions.iter().filter(owned).max_by_key(|row| row.revision).unwrap();
        let pods = snapshot.owned_by(&controller.uid);
        assert!(!pods.is_empty() && pods.iter().all(|pod| newest.is_of(&pod.labels)), "{:?}", controller.key);
        assert_eq!(newest.template.containers, controller.template.containers);
    }
    assert!(
        snapshot.jobs.iter().any(Job::is_complete) && snapshot.cron_jobs.iter().all(|cron| !cron.suspended)
    );
    assert!(!snapshot.secrets.is_empty() && snapshot.secrets.iter().all(|secret| !secret.uid.is_empty()));
    lab.stop().await;
}

/// The real kubectl, which must succeed.
async fn kubectl(lab: &Lab, line: &str) {
    let mut command = tokio::process::Command::new(crate::lab_kubectl::bench::kubectl());
    command.arg("--kubeconfig").arg(lab.kubeconfig()).args(line.split_whitespace()).kill_on_drop(true);
    let output = command.output().await.unwrap();
    assert!(output.status.success(), "kubectl {line}: {}", String::from_utf8_lossy(&output.stderr));
}

/// What will be said of the set if nothing moves for four minutes.
fn causes(snapshot: &Snapshot) -> Vec<&'static str> {
    let later = Timestamp::now() + SignedDuration::from_mins(4);
    let anomalies = judge(snapshot, &Thresholds::default(), later).anomalies();
    let about = |id: &str| id.ends_with("/statefulset/covetpy-production/redis");
    let found = anomalies.into_iter().filter(|anomaly| about(&anomaly.id.0));
    found.flat_map(|anomaly| anomaly.causes).map(|cause| cause.name).collect()
}

/// The trap of kubernetes/kubernetes#67250, from the bad release to the pod that somebody has to delete.
#[tokio::test(flavor = "multi_thread")]
async fn a_stateful_set_waits_for_the_pod_it_left_behind() {
    let lab = lab::start(lab::Options { speed: 20.0, ..lab::Options::default() }).await.unwrap();
    let mut watcher = Watcher::open(&settings(&lab, lab.kubeconfig(), &[])).await;
    watcher.until("all kinds listed", all_listed).await;
    assert_eq!(causes(&watcher.snapshot), [""; 0]);
    let set = "statefulset/redis -n covetpy-production";
    kubectl(&lab, &format!("set resources {set} --requests=cpu=60 --limits=cpu=60")).await;
    let blamed = |snapshot: &Snapshot| causes(snapshot) == ["unschedulable", "bad-revision"];
    watcher.until("the new revision is blamed", blamed).await;
    kubectl(&lab, &format!("rollout undo {set}")).await;
    let left = |snapshot: &Snapshot| causes(snapshot).first() == Some(&"left-behind");
    watcher.until("its pod is left behind", left).await;
    let revised = |snapshot: &Snapshot| {
        let changes = covet_tui::incident::changes(snapshot, Timestamp::now(), Duration::from_mins(10));
        changes.iter().any(|change| change.object.kind == Kind::StatefulSet)
    };
    assert!(revised(&watcher.snapshot));
    kubectl(&lab, "delete pod redis-0 -n covetpy-production").await;
    watcher.until("it is well again", |snapshot| causes(snapshot).is_empty() && !is_moving(snapshot)).await;
    lab.stop().await;
}

/// Whether the set still has pods to replace.
fn is_moving(snapshot: &Snapshot) -> bool {
    snapshot
        .stateful_sets
        .iter()
        .any(|set| &*set.key.name == "redis" && (set.seems_to_roll() || set.ready < set.desired))
}
