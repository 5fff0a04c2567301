//! When a rollout last got on. A clock of its own, because a patch of the strategy resets the condition (audit D111).

use crate::domain::{Deployment, Pod, Timestamp};

use super::rollout_stuck::NO_PROGRESS;
use super::{Scene, revision};

/// When the rollout last got on: its controller saw it do so, the newest revision came, a pod of it was created, or
/// one became ready. None while none of that is known.
///
/// Where a pod of the newest revision has waited for long while none became ready, that alone counts: its controller
/// takes every pod that is evicted and replaced for progress.
pub(super) fn last_progress(scene: &Scene<'_>, deployment: &Deployment, pods: &[&Pod]) -> Option<Timestamp> {
    let rolled_out = revision::rolled_out_at(scene, &revision::of_deployment(scene, deployment));
    let waits = waiting_since(pods).filter(|_| !deployment.was_completed());
    let waits = waits.map(|since| rolled_out.map_or(since, |at| at.max(since)));
    if let Some(since) = waits.filter(|since| scene.has_lasted(*since, &NO_PROGRESS)) {
        return Some(since);
    }
    revision::moments(pods.iter().copied())
        .chain(rolled_out)
        .chain(deployment.progressed)
        .chain(if pods.is_empty() { last_told_to_go(scene, deployment) } else { None })
        .max()
        .map(|progressed| progressed.min(scene.now))
}

/// Since when one of these pods has not been ready while no other became it.
fn waiting_since(pods: &[&Pod]) -> Option<Timestamp> {
    let turned =
        |pod: &Pod| pod.condition("Ready").and_then(|row| row.since).unwrap_or(pod.created).max(pod.created);
    let (ready, waiting): (Vec<&Pod>, Vec<&Pod>) = pods.iter().partition(|pod| pod.is_ready());
    let since = waiting.into_iter().map(turned).min()?;
    Some(ready.into_iter().map(turned).max().map_or(since, |became| became.max(since)))
}

/// When the last of the pods that are still there was told to go: until then it had them.
fn last_told_to_go(scene: &Scene<'_>, deployment: &Deployment) -> Option<Timestamp> {
    let sets = scene.revisions(deployment);
    let is_its =
        |pod: &&Pod| pod.owner.as_ref().is_some_and(|owner| sets.iter().any(|set| set.uid == owner.uid));
    let leaving = scene.snapshot.pods.iter().filter(|pod| pod.deleting.is_some());
    leaving.filter(is_its).filter_map(|pod| pod.deleting).max()
}
