//! Pods that should be gone and are still there although nothing waits for their place: no more than a suspicion, but
//! what holds them (a finalizer, a volume, the runtime) may hold others. Those of a silent node are its own story.

use std::collections::BTreeMap;

use crate::domain::{Anomaly, AnomalyId, Kind, ObjectRef, Pod, Severity, Subject, text};

use super::pods_missing::is_lost;
use super::rollout_cause::stays;
use super::rollout_stuck::RULE;
use super::workload::{called, describe_deployment};
use super::{Scene, Threshold, Unit, shown};

pub(super) const OVERDUE: Threshold = Threshold {
    key: "rollout-stuck.overdue",
    default: 900.0,
    unit: Unit::Seconds,
    says: "how long after its grace period a pod is still there before it is suspected",
    source: "our own choice; the kubelet kills what has not ended by the end of the grace period",
};

/// Of workloads of which nothing else is told.
pub(super) fn examine(scene: &Scene<'_>, told: &[Anomaly]) -> Vec<Anomaly> {
    let mut late: BTreeMap<ObjectRef, Vec<&Pod>> = BTreeMap::new();
    // One that has ended is gone in a moment, unless somebody holds it.
    let stays = |pod: &&Pod| !pod.is_finished() || !pod.finalizers.is_empty();
    for pod in scene
        .snapshot
        .pods
        .iter()
        .filter(stays)
        .filter(|pod| pod.deleting.is_some_and(|at| scene.has_lasted(at, &OVERDUE)))
    {
        if !is_lost(scene, pod) {
            late.entry(scene.workload_of(pod).0).or_default().push(pod);
        }
    }
    let is_new = |object: &ObjectRef| told.iter().all(|one| one.subject != Subject::Object(object.clone()));
    late.into_iter()
        .filter(|(object, _)| is_new(object))
        .filter_map(|(object, pods)| anomaly(scene, object, pods))
        .collect()
}

fn anomaly(scene: &Scene<'_>, object: ObjectRef, mut pods: Vec<&Pod>) -> Option<Anomaly> {
    pods.sort_by_key(|pod| (pod.deleting, &pod.key));
    let first = *pods.first()?;
    let stays = stays(scene, first)?;
    let mut bindings = called(&object);
    bindings.extend([("pod", first.key.name.to_string())]);
    bindings.extend(first.node.as_ref().map(|node| ("node", node.to_string())));
    if let Some(deployment) = scene.workload_of(first).1 {
        bindings.insert("deployment", deployment.key.name.to_string());
        describe_deployment(scene, deployment, &mut bindings);
    }
    let does = if pods.len() == 1 { "does" } else { "do" };
    let touched = pods.iter().map(|pod| ObjectRef::new(Kind::Pod, pod.key.clone()));
    let mut touches: Vec<ObjectRef> = std::iter::once(object.clone()).chain(touched).collect();
    touches.dedup();
    shown(Anomaly {
        id: AnomalyId(format!("{}/{}/{}", RULE.name, object.kind.for_kubectl(), object.key).into()),
        rule: RULE.name.into(),
        subject: Subject::Object(object),
        severity: Severity::Suspect,
        score: 0.55,
        onset: first.deleting?,
        title: format!("{} {does} not go", text::count(pods.len(), "pod")),
        evidence: vec![stays.evidence],
        causes: vec![stays.cause],
        touches,
        bindings,
        pages_at: None,
    })
}
