//! StatefulSets and DaemonSets: which pods were left behind, how far a rollout got. Of Deployments their own status and
//! their ReplicaSets say as much.

use crate::domain::{Cause, Controller, ControllerRevision, Event, Key, Kind, Pod, Timestamp, Update, cause};

use super::Scene;
use super::revision::{Revision, moments, of_controller, rolled_out_at};

/// The revision its template stands for.
pub(super) fn newest<'a>(scene: &Scene<'a>, controller: &Controller) -> Option<&'a ControllerRevision> {
    controller.newest(scene.history(&controller.uid).iter().copied())
}

pub(super) fn is_rolling(scene: &Scene<'_>, controller: &Controller) -> bool {
    let old = |newest| controller.older_than(newest, scene.siblings(&controller.uid).iter().copied());
    controller.seems_to_roll()
        && newest(scene, controller).is_none_or(|newest| old(newest) > controller.spared())
}

/// Sick pods of a revision that a StatefulSet is done with. It replaces its pods in order and waits for each to be
/// ready, also for one that it would only replace: somebody has to delete that one (kubernetes/kubernetes#67250).
pub(super) fn left_behind(scene: &Scene<'_>, controller: &Controller, sick: &[&Pod]) -> Option<Cause> {
    let newest = newest(scene, controller).filter(|_| controller.is_ordered)?;
    let behind = sick.iter().copied().find(|pod| is_left_behind(controller, newest, pod))?;
    let says = format!(
        "{} is still of an older revision than {}, and the StatefulSet waits until it is ready before it replaces it",
        behind.key.name,
        Revision::from(newest)
    );
    Some(Cause { name: cause::LEFT_BEHIND, says, weight: 0.96 })
}

fn is_left_behind(controller: &Controller, newest: &ControllerRevision, pod: &Pod) -> bool {
    let Update::Rolling { partition } = controller.update else { return false };
    let ordinal = pod.key.name.rsplit('-').next().and_then(|ordinal| ordinal.parse::<u32>().ok());
    !pod.is_ready()
        && pod.deleting.is_none()
        && ordinal.is_some_and(|ordinal| ordinal >= partition)
        && !newest.is_of(&pod.labels)
}

/// When the rollout last got on: the newest revision came, a pod of it was created, or one became ready.
pub(super) fn last_progress(scene: &Scene<'_>, controller: &Controller) -> Option<Timestamp> {
    let newest = newest(scene, controller)?;
    let of_newest = scene.siblings(&controller.uid).iter().filter(|pod| newest.is_of(&pod.labels));
    let rolled_out = rolled_out_at(scene, &of_controller(scene, controller));
    moments(of_newest.copied()).chain(rolled_out).max().map(|at| at.min(scene.now))
}

/// Its controller tries again within 1000 s: a refusal that is not told again is over.
const AGAIN: jiff::SignedDuration = jiff::SignedDuration::from_mins(20);

/// The latest refusal of a pod that something of this kind needs and does not have.
pub(super) fn refusal<'a>(scene: &Scene<'a>, kind: Kind, key: &Key) -> Option<&'a Event> {
    let failed = |event: &&Event| &*event.reason == "FailedCreate";
    let latest = scene.events(kind, key).find(failed)?;
    (scene.now.duration_since(latest.last) <= AGAIN).then_some(latest)
}
