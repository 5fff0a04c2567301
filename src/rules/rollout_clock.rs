//! When a rollout last got on. A clock of its own, because a patch of the strategy resets the condition (audit D111).

use crate::domain::{Deployment, Pod, Timestamp};

use super::{Scene, revision};

/// When the rollout last got on: its controller saw it do so, the newest revision came, a pod of it was created, or
/// one became ready. None while none of that is known.
pub(super) fn last_progress(scene: &Scene<'_>, deployment: &Deployment, pods: &[&Pod]) -> Option<Timestamp> {
    let rolled_out = revision::rolled_out_at(scene, &revision::of_deployment(scene, deployment));
    revision::moments(pods.iter().copied())
        .chain(rolled_out)
        .chain(deployment.progressed)
        .chain(if pods.is_empty() { last_told_to_go(scene, deployment) } else { None })
        .max()
        .map(|progressed| progressed.min(scene.now))
}

/// When the last of the pods that are still there was told to go: until then it had them.
fn last_told_to_go(scene: &Scene<'_>, deployment: &Deployment) -> Option<Timestamp> {
    let sets = scene.revisions(deployment);
    let is_its =
        |pod: &&Pod| pod.owner.as_ref().is_some_and(|owner| sets.iter().any(|set| set.uid == owner.uid));
    let leaving = scene.snapshot.pods.iter().filter(|pod| pod.deleting.is_some());
    leaving.filter(is_its).filter_map(|pod| pod.deleting).max()
}
