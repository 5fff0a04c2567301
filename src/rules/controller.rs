//! StatefulSets and DaemonSets: which of their revisions is to blame, which pods were left behind, how far a rollout
//! got. Of Deployments their own status and their ReplicaSets say as much.

use crate::domain::{
    Cause, Controller, ControllerRevision, Event, Key, Kind, Pod, Timestamp, Update, between, cause, text,
};

use super::Scene;
use super::revision::{BLAME, PROVEN, Revision, Suspicion, moments};

/// The revision its template stands for.
pub(super) fn newest<'a>(scene: &Scene<'a>, controller: &Controller) -> Option<&'a ControllerRevision> {
    let history = scene.history(&controller.uid);
    let named = controller.update_revision.as_ref();
    let by_name = history.iter().find(|row| Some(&row.key.name) == named);
    by_name.or(history.first()).copied()
}

/// More pods that stay are of an older revision than are meant to be.
pub(super) fn is_rolling(scene: &Scene<'_>, controller: &Controller) -> bool {
    if !controller.seems_to_roll() {
        return false;
    }
    let Some(newest) = newest(scene, controller) else { return true };
    let old = scene.siblings(&controller.uid).iter().filter(|pod| !newest.is_of(&pod.labels)).count();
    old as u32 > controller.desired.saturating_sub(controller.due())
}

/// When a revision was rolled out. One that was rolled back to is older than its rollout, but its pods aren't.
fn rolled_out_at(scene: &Scene<'_>, controller: &Controller, revision: &ControllerRevision) -> Timestamp {
    let history = scene.history(&controller.uid);
    let brought_back =
        history.iter().any(|other| other.created > revision.created && other.revision < revision.revision);
    if !brought_back {
        return revision.created;
    }
    let pods = scene.siblings(&controller.uid).iter().filter(|pod| revision.is_of(&pod.labels));
    pods.map(|pod| pod.created).min().unwrap_or(revision.created)
}

/// Suspects the newest revision when all sick pods are its own and an older one is, or was, healthy; as for
/// Deployments.
pub(super) fn suspect<'a>(
    scene: &Scene<'a>,
    controller: &Controller,
    sick: &[&Pod],
    onset: Timestamp,
) -> Option<Suspicion<'a>> {
    let newest = newest(scene, controller)?;
    let older: Vec<&ControllerRevision> =
        scene.history(&controller.uid).iter().copied().filter(|row| row.revision < newest.revision).collect();
    let before = older.first()?;
    if sick.is_empty() || !sick.iter().all(|pod| newest.is_of(&pod.labels)) {
        return None;
    }
    if newest.template.is_restart_of(&before.template) {
        return None;
    }
    let ready = |row: &ControllerRevision| {
        let pods = scene.siblings(&controller.uid).iter();
        pods.filter(|pod| pod.is_ready() && row.is_of(&pod.labels)).count()
    };
    let bad = Revision::from(newest);
    let rolled_out = rolled_out_at(scene, controller, newest);
    let serving = older.iter().find_map(|row| Some((*row, ready(row))).filter(|(_, ready)| *ready > 0));
    if let Some((good, ready)) = serving {
        let good = Revision::from(good);
        let why = format!("{good} has {}", text::count(ready, "ready pod"));
        let says = format!("only {bad} is affected; {why}");
        return Some(Suspicion { bad, good: Some((good, why)), says, weight: 0.9 });
    }
    if onset.duration_since(rolled_out) > BLAME {
        return None;
    }
    let served = rolled_out.duration_since(before.created);
    let good = (served >= PROVEN).then(|| {
        let good = Revision::from(*before);
        (good, format!("{good} served for {}", text::span(between(before.created, rolled_out))))
    });
    let says = format!("began {} {bad} was rolled out", text::after(between(rolled_out, onset)));
    // Pods of the same revision that work speak for chance rather than for the revision.
    let weight = if ready(newest) > 0 { 0.6 } else { 0.8 };
    Some(Suspicion { bad, good, says, weight })
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
    let rolled_out = rolled_out_at(scene, controller, newest);
    moments(of_newest.copied()).chain([rolled_out]).max().map(|at| at.min(scene.now))
}

/// Its controller tries again within 1000 s: a refusal that is not told again is over.
const AGAIN: jiff::SignedDuration = jiff::SignedDuration::from_mins(20);

/// The latest refusal of a pod that something of this kind needs and does not have.
pub(super) fn refusal<'a>(scene: &Scene<'a>, kind: Kind, key: &Key) -> Option<&'a Event> {
    let failed = |event: &&Event| &*event.reason == "FailedCreate";
    let latest = scene.events(kind, key).find(failed)?;
    (scene.now.duration_since(latest.last) <= AGAIN).then_some(latest)
}
