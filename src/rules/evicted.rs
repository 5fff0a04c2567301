//! Pods that are evicted again and again for what they write themselves: over the limit of their ephemeral storage. What
//! a node evicts because it runs short is that node's story.

use jiff::SignedDuration;

use crate::domain::{
    Anomaly, AnomalyId, Cause, ObjectRef, Origin, Phase, Pod, Severity, Subject, Timestamp, cause, quantity,
    text,
};

use super::crash_loop::RULE;
use super::workload::{Group, describe_suspicion, evidence, quote};
use super::{Scene, shown};

/// Evictions longer ago than this are over: their pods lie about until somebody deletes them.
const RECENT: SignedDuration = SignedDuration::from_hours(1);
/// One may be an accident.
const AGAIN: usize = 2;

/// The kubelet's words (eviction/eviction_manager.go).
const OWN_LIMITS: &[&str] = &[
    "exceeds the total limit of containers",
    "exceeded its local ephemeral storage limit",
    "usage of emptydir volume",
];

/// Workloads whose pods are evicted for their own doing, by name.
pub(super) fn examine(scene: &Scene<'_>) -> Vec<Anomaly> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    let evicted = scene.snapshot.pods.iter().filter(|pod| is_evicted(scene, pod));
    for pod in evicted {
        let Some(container) = pod.containers.iter().find(|row| !row.init) else { continue };
        let (object, deployment) = scene.workload_of(pod);
        match groups.iter_mut().find(|group| group.object == object) {
            Some(group) => group.sick.push((pod, container)),
            None => {
                let controller = scene.snapshot.controller(object.kind, &object.key);
                groups.push(Group { object, deployment, controller, sick: vec![(pod, container)] });
            }
        }
    }
    groups.retain(|group| group.sick.len() >= AGAIN);
    groups.sort_by(|one, other| one.object.cmp(&other.object));
    groups.iter_mut().filter_map(|group| anomaly(scene, group)).collect()
}

fn is_evicted(scene: &Scene<'_>, pod: &Pod) -> bool {
    pod.phase == Phase::Failed
        && pod.reason.as_deref() == Some("Evicted")
        && scene.now.duration_since(evicted_at(pod)) <= RECENT
        && is_over_its_own_limits(pod)
}

/// The kubelet says that the pod itself wrote too much.
pub(super) fn is_over_its_own_limits(pod: &Pod) -> bool {
    let words = pod.message.as_deref().unwrap_or_default().to_lowercase();
    OWN_LIMITS.iter().any(|limit| words.contains(limit))
}

/// Who of the evicted wrote the most, and how much, as the kubelet says: `Container app was using 71Gi, request is 0`.
/// Small ones went for the sake of others.
pub(super) fn hog<'a>(evicted: &[&'a Pod]) -> Option<(&'a Pod, String)> {
    const LARGE: f64 = 1e9;
    let used = |pod: &'a Pod| {
        let (_, rest) = pod.message.as_deref()?.split_once(" was using ")?;
        let amount = rest.split([',', ' ']).next()?;
        let bytes = quantity(amount).filter(|bytes| *bytes >= LARGE)?;
        Some((bytes, pod, quote(amount)))
    };
    let most =
        evicted.iter().filter_map(|pod| used(pod)).max_by(|(one, ..), (other, ..)| one.total_cmp(other));
    most.map(|(_, pod, amount)| (pod, amount))
}

/// When its last container ended, or a condition changed.
fn evicted_at(pod: &Pod) -> Timestamp {
    let ends = pod.containers.iter().filter_map(|row| row.termination()?.finished);
    let conditions = pod.conditions.iter().filter_map(|row| row.since);
    ends.chain(conditions).max().unwrap_or(pod.created)
}

fn anomaly<'a>(scene: &Scene<'a>, group: &mut Group<'a>) -> Option<Anomaly> {
    group.sick.sort_by_key(|(pod, _)| (std::cmp::Reverse(evicted_at(pod)), &pod.key));
    let latest = *group.sick.first()?;
    let onset = group.sick.iter().map(|(pod, _)| evicted_at(pod)).min()?;
    let says = format!("{}: {}", latest.0.key.name, quote(latest.0.message.as_deref().unwrap_or_default()));
    let mut causes = vec![Cause { name: cause::EPHEMERAL_LIMIT, says: says.clone(), weight: 0.9 }];
    let mut facts = vec![evidence(Origin::Pods, Some(evicted_at(latest.0)), says)];
    let mut bindings = group.bindings(scene, latest);
    bindings.insert("because", "ephemeral storage".to_owned());
    if let Some(suspicion) = group.suspect(scene, onset) {
        describe_suspicion(&suspicion, &mut bindings);
        facts.push(evidence(Origin::ReplicaSets, Some(suspicion.bad.created), suspicion.says.clone()));
        causes.push(Cause {
            name: cause::BAD_REVISION,
            says: suspicion.says,
            weight: suspicion.weight.min(0.85),
        });
    }
    let standing = group.standing(scene);
    let object: &ObjectRef = &group.object;
    shown(Anomaly {
        id: AnomalyId(format!("{}/{}/{}", RULE.name, object.kind.for_kubectl(), object.key).into()),
        rule: RULE.name.into(),
        subject: Subject::Object(object.clone()),
        severity: if standing.available == 0 { Severity::Critical } else { Severity::Warning },
        score: 0.75,
        onset,
        title: format!(
            "{} evicted in the last hour: they write more than their ephemeral storage may hold",
            text::count(group.sick.len(), "pod")
        ),
        evidence: facts,
        causes,
        touches: group.touches(),
        bindings,
        pages_at: None,
    })
}
