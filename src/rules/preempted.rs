//! Pods that made way for others of a higher priority: the scheduler says it once, of the pod that goes.

use crate::domain::{Event, Pod};

use super::Scene;
use super::workload::quote;

/// Who took the place of a workload's pods.
pub(super) struct Preempted {
    /// `deployment/gold`, or what is known instead.
    pub by: String,
    /// `3 of its pods made way for deployment/gold`.
    pub says: String,
}

/// Whether siblings of a pod that finds no node were preempted in the last hour.
pub(super) fn preempted(scene: &Scene<'_>, pod: &Pod) -> Option<Preempted> {
    let owner = pod.owner.as_ref()?;
    let is_sibling = |event: &&&Event| {
        let name = event.about.name.strip_prefix(&*owner.name).and_then(|rest| rest.strip_prefix('-'));
        event.about.namespace == pod.key.namespace && name.is_some_and(|rest| !rest.contains('-'))
    };
    let gone: Vec<&&Event> = scene.preemptions().iter().filter(is_sibling).collect();
    let by = preemptor(scene, &gone.first()?.message);
    Some(Preempted { says: format!("{} of its pods made way for {by}", gone.len()), by })
}

/// `Preempted by pod 0d9c… on node w1`, by its UID; before Kubernetes 1.29 by namespace and name.
fn preemptor(scene: &Scene<'_>, message: &str) -> String {
    let unknown = || "a pod with a higher priority".to_owned();
    let Some((_, rest)) = message.split_once("Preempted by ") else { return unknown() };
    let who = rest.strip_prefix("pod ").unwrap_or(rest).split(' ').next().unwrap_or_default();
    match scene.snapshot.pods.iter().find(|pod| &*pod.uid == who) {
        Some(pod) => {
            let (object, _) = scene.workload_of(pod);
            let elsewhere = scene.snapshot.scope.is_none().then(|| format!(" in {}", object.key.namespace));
            format!("{}/{}{}", object.kind.for_kubectl(), object.key.name, elsewhere.unwrap_or_default())
        }
        None if who.contains('/') => quote(who),
        None => unknown(),
    }
}
