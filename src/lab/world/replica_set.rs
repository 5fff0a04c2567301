//! The replica set controller: as many pods as asked, the least useful ones given up first.
//! It knows pods by owner; where they run and why they fail is not its business.

use std::sync::Arc;

use serde_json::{Value, json};

use super::birth::{self, Refused};
use super::cluster::{Cluster, Work, later};
use super::conditions::{self, Shown};
use super::deployment::{owner_reference, size};
use super::events::{About, Source};
use super::objects::{Pod, ReplicaSet};
use super::shelf::Key;
use crate::lab::store::seconds;

const SOURCE: &str = "replicaset-controller";

/// Seconds until a refused creation is tried again; the real back-off goes from milliseconds to minutes.
const RETRY: f64 = 15.0;

pub fn reconcile(cluster: &mut Cluster, key: &Key) {
    let Some(set) = cluster.replica_sets.get(key) else { return };
    if set.metadata.deletion_timestamp.is_some() {
        return;
    }
    let pods: Vec<Arc<Pod>> =
        cluster.owned_pods(&set.metadata.uid).into_iter().filter(|pod| pod.is_active()).collect();
    let (want, have) = (size(&set).max(0) as usize, pods.len());
    let mut refused = None;
    for _ in have..want {
        refused = grow(cluster, &set).err();
        if refused.is_some() {
            cluster.enqueue_in(RETRY, Work::ReplicaSet(key.clone()));
            break;
        }
    }
    for pod in least_useful(pods, have.saturating_sub(want)) {
        let message = format!("Deleted pod: {}", pod.metadata.name);
        cluster.delete_gracefully(&pod);
        cluster.normal(
            About::new("replicasets", &set.metadata),
            Source::of(SOURCE),
            "SuccessfulDelete",
            &message,
        );
    }
    report(cluster, &set, refused.as_ref());
}

fn grow(cluster: &mut Cluster, set: &ReplicaSet) -> Result<(), Refused> {
    let about = About::new("replicasets", &set.metadata);
    let owner = owner_reference("apps/v1", "ReplicaSet", &set.metadata.name, &set.metadata.uid);
    match birth::pod(cluster, &set.metadata, &set.spec.template, &owner) {
        Ok(pod) => {
            let message = format!("Created pod: {}", pod.metadata.name);
            cluster.normal(about, Source::of(SOURCE), "SuccessfulCreate", &message);
            Ok(())
        }
        Err(refused) => {
            let message = format!("Error creating: {}", refused.0);
            cluster.warn(about, Source::of(SOURCE), "FailedCreate", &message);
            Err(refused)
        }
    }
}

/// The first `count` in the order Kubernetes gives pods up: without a node, pending, not ready, cheap by
/// annotation, ready for the shortest time, restarted most, youngest.
fn least_useful(mut pods: Vec<Arc<Pod>>, count: usize) -> Vec<Arc<Pod>> {
    if count == 0 {
        return Vec::new();
    }
    pods.sort_by_cached_key(|pod| {
        let phase = match pod.status.phase.as_str() {
            "Pending" => 0,
            "Unknown" => 1,
            _ => 2,
        };
        let cost: i64 = pod
            .metadata
            .annotation("controller.kubernetes.io/pod-deletion-cost")
            .and_then(|text| text.parse().ok())
            .unwrap_or(0);
        (
            !pod.spec.node_name.is_empty(),
            phase,
            pod.is_ready(),
            cost,
            std::cmp::Reverse(pod.ready_since()),
            std::cmp::Reverse(pod.restarts()),
            std::cmp::Reverse(pod.metadata.creation_timestamp),
            pod.metadata.name.clone(),
        )
    });
    pods.truncate(count);
    pods
}

/// Counts and conditions, from the pods as they are now.
fn report(cluster: &mut Cluster, set: &ReplicaSet, refused: Option<&Refused>) {
    let pods: Vec<Arc<Pod>> =
        cluster.owned_pods(&set.metadata.uid).into_iter().filter(|pod| pod.is_active()).collect();
    let ready = pods.iter().filter(|pod| pod.is_ready()).count();
    let available = available(cluster, &pods, set.spec.min_ready_seconds, Work::ReplicaSet(Key::of(set)));
    let at = seconds(cluster.now);
    cluster.update::<ReplicaSet>(&Key::of(set), |set| {
        let generation = set["metadata"]["generation"].clone();
        if !set["status"].is_object() {
            set["status"] = json!({});
        }
        let status = &mut set["status"];
        status["observedGeneration"] = generation;
        status["replicas"] = pods.len().into();
        for (field, count) in
            [("fullyLabeledReplicas", pods.len()), ("readyReplicas", ready), ("availableReplicas", available)]
        {
            put_count(status, field, count);
        }
        match refused {
            Some(Refused(why)) => {
                let shown =
                    Shown { kind: "ReplicaFailure", status: "True", reason: "FailedCreate", message: why };
                conditions::put(status, &shown, &at);
            }
            None => conditions::remove(status, "ReplicaFailure"),
        }
    });
}

/// Pods ready for `min_ready_seconds`; asks for another look when one is about to be.
pub fn available(cluster: &mut Cluster, pods: &[Arc<Pod>], min_ready_seconds: u32, again: Work) -> usize {
    let hold = cluster.lasting(f64::from(min_ready_seconds));
    let due: Vec<_> = pods.iter().filter(|pod| pod.is_ready()).map(|pod| pod.ready_since()).collect();
    let due: Vec<_> = due.into_iter().map(|since| later(since.unwrap_or(cluster.now), hold)).collect();
    if let Some(next) = due.iter().filter(|due| **due > cluster.now).min() {
        cluster.enqueue_at(*next, again);
    }
    due.iter().filter(|due| **due <= cluster.now).count()
}

/// As `omitempty` does: no zero.
pub fn put_count(status: &mut Value, field: &str, count: usize) {
    if count > 0 {
        status[field] = count.into();
    } else if let Some(fields) = status.as_object_mut() {
        fields.remove(field);
    }
}
