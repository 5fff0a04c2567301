//! A node that may not be looked at, judged by its pods: when all of them stop being ready in the same moment, it is the
//! node. The node controller marks them so, when it no longer hears the kubelet, and says it of each.

use std::collections::{BTreeMap, HashSet};

use jiff::SignedDuration;

use crate::domain::{
    Anomaly, AnomalyId, Cause, Key, Kind, Name, ObjectRef, Origin, Pod, Severity, Status, Subject, Timestamp,
    cause, text,
};

use super::node_load::pods_here;
use super::node_notready::{RULE, WARNING_AFTER};
use super::workload::{Bindings, evidence};
use super::{Scene, shown};

/// Fewer may be chance.
const MANY: usize = 5;
/// The node controller marks all of a node's pods in one go.
const AT_ONCE: SignedDuration = SignedDuration::from_secs(15);

pub(super) fn examine(scene: &Scene<'_>) -> Vec<Anomaly> {
    let is_blind = scene.snapshot.blindness(Origin::Nodes, scene.now).is_some();
    if !is_blind || scene.snapshot.is_awaited(Origin::Nodes, scene.now) {
        return Vec::new();
    }
    let mut nodes: BTreeMap<&Name, Vec<&Pod>> = BTreeMap::new();
    for pod in scene.snapshot.pods.iter().filter(|pod| !pod.is_finished() && pod.deleting.is_none()) {
        if let Some(node) = &pod.node {
            nodes.entry(node).or_default().push(pod);
        }
    }
    nodes.into_iter().filter_map(|(node, pods)| anomaly(scene, node, &pods)).collect()
}

fn anomaly(scene: &Scene<'_>, node: &Name, pods: &[&Pod]) -> Option<Anomaly> {
    let went: Vec<Timestamp> = pods.iter().filter_map(|pod| unready_since(pod)).collect();
    let (first, last) = (*went.iter().min()?, *went.iter().max()?);
    let workloads: HashSet<ObjectRef> = pods.iter().map(|pod| scene.workload_of(pod).0).collect();
    let is_plain = pods.iter().all(|pod| is_said_to_be_down(scene, pod));
    let are_many = went.len() >= MANY && workloads.len() > 1;
    if went.len() < pods.len() || !(is_plain || are_many && last.duration_since(first) <= AT_ONCE) {
        return None;
    }
    let onset = first.min(scene.now);
    let lasting = scene.has_lasted(onset, &WARNING_AFTER);
    let says = format!(
        "all {} on it stopped being ready within {}",
        text::count(pods.len(), "pod"),
        text::span((last.duration_since(first) + SignedDuration::from_secs(1)).unsigned_abs())
    );
    let together = if pods.len() == 1 { "unready with it" } else { "all of them unready at once" };
    let object = ObjectRef::new(Kind::Node, Key::cluster(node.clone()));
    let touched = pods.iter().map(|pod| ObjectRef::new(Kind::Pod, pod.key.clone()));
    shown(Anomaly {
        id: AnomalyId(format!("{}/node/{node}", RULE.name).into()),
        rule: RULE.name.into(),
        subject: Subject::Object(object.clone()),
        severity: if lasting { Severity::Warning } else { Severity::Suspect },
        score: if lasting { 0.75 } else { 0.6 },
        onset,
        title: format!("seems down: {}, {together}", pods_here(scene, pods.len())),
        evidence: vec![evidence(Origin::Pods, Some(onset), format!("{node}: {says}"))],
        causes: vec![Cause {
            name: cause::KUBELET_SILENT,
            says: format!("{says}; the node itself may not be looked at"),
            weight: 0.7,
        }],
        touches: std::iter::once(object).chain(touched).collect(),
        bindings: Bindings::from([("node", node.to_string())]),
        pages_at: None,
    })
}

/// Whether an event says of this pod that its node is not ready, since it stopped being ready itself.
fn is_said_to_be_down(scene: &Scene<'_>, pod: &Pod) -> bool {
    let mut events = scene.events(Kind::Pod, &pod.key);
    let since = unready_since(pod);
    let lately = |at: Timestamp| since.is_some_and(|since| since.duration_since(at) <= AT_ONCE);
    events.any(|event| &*event.reason == "NodeNotReady" && lately(event.last))
}

/// Since when a pod that was ready is not: of one that never was, it says nothing of the node.
fn unready_since(pod: &Pod) -> Option<Timestamp> {
    let ready = pod.condition("Ready").filter(|row| row.status == Status::False)?;
    ready.since.filter(|since| since.duration_since(pod.created) > AT_ONCE)
}
