//! Which revision is to blame, and which was the last good one: by who serves, by age and by who is sick. The same for
//! every kind of workload.

use jiff::SignedDuration;

use crate::domain::{Container, Deployment, Event, Key, Kind, Pod, Timestamp, between, text};

use super::revision::{Kept, Revision, of_deployment, rolled_out_at};
use super::{Scene, one_node};

/// A revision that was in service this long has proven itself (Kubernetes' own progress deadline).
const PROVEN: SignedDuration = SignedDuration::from_mins(10);
/// One that was in service for less was never tried: two edits of one deed.
const TRIED: SignedDuration = SignedDuration::from_secs(5);
/// Of a StatefulSet or a DaemonSet less is known: it replaces its pods one after the other.
const RAN: SignedDuration = SignedDuration::from_mins(2);

/// How long after its rollout a revision can be blamed when no older one runs beside it (audit, section 5:
/// changes explain what follows within 15 minutes; a crash may take a while to show).
const BLAME: SignedDuration = SignedDuration::from_mins(30);

/// Only the newest revision is sick.
pub(super) struct Suspicion<'a> {
    pub bad: Revision<'a>,
    /// The last revision that was healthy, and how we know.
    pub good: Option<(Revision<'a>, String)>,
    pub says: String,
    /// 0 to 1.
    pub weight: f64,
}

/// Suspects the first of these revisions when all sick pods are its own and an older one is, or was, healthy. Not one
/// that is only a restart: its pods do as the older would if they began now, so what they read at their start changed.
pub(super) fn suspect<'a>(
    scene: &Scene<'a>,
    revisions: &[Revision<'a>],
    sick: &[&Pod],
    onset: Timestamp,
) -> Option<Suspicion<'a>> {
    let bad = revisions.first()?;
    let blameless = blameless(revisions, sick);
    let suspects = &revisions[blameless..];
    let (culprit, older) = suspects.split_first()?;
    let before = older.first()?;
    if sick.is_empty() || !sick.iter().all(|pod| bad.is_of(pod)) {
        return None;
    }
    if one_node::blame(scene, revisions, sick).is_some() {
        return None;
    }
    let inherited = || inherited_since(scene, revisions).or_else(|| inherited_since(scene, suspects));
    if culprit.template.is_restart_of(before.template) || inherited().is_some() {
        return None;
    }
    let rolled_out = rolled_out_at(scene, suspects)?;
    // What crashes as well may be Ready for a moment.
    let mut sound = older.iter().filter(|older| !has_crashed(scene, older));
    let beside = sound.find_map(|older| Some((older, older.serves_with(scene)?)));
    let (mut says, weight) = match beside {
        Some((older, pods)) => (format!("only {bad} is affected; {older} has {pods}"), 0.9),
        None if onset.duration_since(rolled_out) <= BLAME => {
            let after = text::after(between(rolled_out, onset));
            // Pods of the same revision that work speak for chance rather than for the revision.
            let weight = if bad.serving(scene) > 0 { 0.6 } else { 0.8 };
            // Nothing is seen that its pods would do otherwise than those before.
            let weight = if culprit.template == before.template { weight - 0.35 } else { weight };
            (format!("began {after} {culprit} was rolled out"), weight)
        }
        None => return None,
    };
    if blameless > 0 {
        says.push_str("; what came after it only gave more memory");
    }
    // One that gave even less memory is nothing to go back to, nor one whose ConfigMap was taken away with it.
    let lacks_too =
        |older: &Revision<'_>| is_out_of_memory(sick) && bad.template.only_adds_memory_to(older.template);
    let older = older.iter().filter(|older| !lacks_too(older) && !needs_what_is_gone(scene, older));
    let older: Vec<Revision<'_>> = older.copied().collect();
    let good = last_good(scene, &older, rolled_out).or_else(|| {
        let good = last_tried(scene, &older, rolled_out)?;
        says.push_str("; ");
        says.push_str(&good.1);
        Some(good)
    });
    Some(Suspicion { bad: *bad, good, says, weight })
}

/// How many of the newest revisions only gave more memory than the one before, where memory is what is lacking: the
/// change that brought it came earlier.
fn blameless(revisions: &[Revision<'_>], sick: &[&Pod]) -> usize {
    if !is_out_of_memory(sick) {
        return 0;
    }
    let only_adds = |pair: &&[Revision<'_>]| pair[0].template.only_adds_memory_to(pair[1].template);
    revisions.windows(2).take_while(only_adds).count()
}

/// Whether each of these pods had a container killed at its memory limit.
fn is_out_of_memory(sick: &[&Pod]) -> bool {
    !sick.is_empty() && sick.iter().all(|pod| pod.containers.iter().any(Container::was_out_of_memory))
}

/// Since when the revision before the newest, which is gone, crashed as well, long after its own rollout: whatever
/// began then goes on, and the newest only inherited it. Events outlive their pods by an hour.
pub(super) fn inherited_since<'a>(scene: &Scene<'a>, revisions: &[Revision<'a>]) -> Option<Timestamp> {
    let before = revisions.get(1)?;
    let began = first_back_off(scene, before)?;
    (before.serving(scene) == 0 && began.duration_since(before.created) > BLAME).then_some(began)
}

/// When the kubelet first held back the restart of a container of this revision, within the last hour. Pods of a
/// StatefulSet have the same names in every revision: of them it is not known.
fn first_back_off(scene: &Scene<'_>, revision: &Revision<'_>) -> Option<Timestamp> {
    let Kept::Set(set) = revision.kept else { return None };
    back_offs(scene, &set.key).map(|event| event.first).min()
}

/// Since when pods of this owner had been crash-looping at that moment, by events, which outlive the pods by an hour. The
/// kubelet tells it again every five minutes at least.
pub(super) fn looping_since(scene: &Scene<'_>, owner: &Key, at: Timestamp) -> Option<Timestamp> {
    const AGAIN: SignedDuration = SignedDuration::from_mins(6);
    let lasted = |event: &&Event| event.first < at && at.duration_since(event.last) <= AGAIN;
    back_offs(scene, owner).filter(lasted).map(|event| event.first).min()
}

/// The same of the newest of these revisions, whose pods may have been replaced since.
pub(super) fn went_on_since(
    scene: &Scene<'_>,
    revisions: &[Revision<'_>],
    at: Timestamp,
) -> Option<Timestamp> {
    match revisions.first()?.kept {
        Kept::Set(set) => looping_since(scene, &set.key, at),
        Kept::Row(_) => None,
    }
}

fn back_offs<'a>(scene: &Scene<'a>, owner: &Key) -> impl Iterator<Item = &'a Event> {
    warnings(scene, owner)
        .filter(|event| &*event.reason == "BackOff" && event.message.contains("restarting failed container"))
}

/// What was said against the pods of this ReplicaSet within the last hour; only by their names, for they may be gone.
fn warnings<'a>(scene: &Scene<'a>, owner: &Key) -> impl Iterator<Item = &'a Event> {
    let is_its_pod = move |key: &Key| {
        let rest = key.name.strip_prefix(&*owner.name);
        key.namespace == owner.namespace && rest.is_some_and(|rest| rest.starts_with('-'))
    };
    scene.snapshot.events.iter().filter(move |event| {
        event.warning && &*event.about_kind == Kind::Pod.as_str() && is_its_pod(&event.about)
    })
}

/// Changes explain what follows within this time (audit, section 5).
const CHANGE: SignedDuration = SignedDuration::from_mins(15);
/// Onsets are estimates: a rate over five minutes shows late, a rollout's first pods early.
const SLACK: SignedDuration = SignedDuration::from_mins(1);

/// Suspects a revision that was rolled out shortly before something began that shows on no pod.
pub(super) fn before<'a>(
    scene: &Scene<'a>,
    deployment: &Deployment,
    onset: Timestamp,
) -> Option<Suspicion<'a>> {
    let runs = scene.revisions(deployment).first()?.replicas > 0;
    let revisions = of_deployment(scene, deployment);
    let (bad, older) = revisions.split_first()?;
    let rolled_out = rolled_out_at(scene, &revisions)?;
    let after = onset.duration_since(rolled_out);
    if older.is_empty() || after < -SLACK || after > CHANGE || !runs {
        return None;
    }
    // What a restart brought to light stands in what its pods read at their start.
    if older.first().is_some_and(|before| bad.template.is_restart_of(before.template)) {
        return None;
    }
    let says = format!("began {} {bad} was rolled out", text::after(between(rolled_out, onset)));
    // The closer, the likelier.
    let weight = if after <= CHANGE / 3 { 0.9 } else { 0.8 };
    Some(Suspicion { bad: *bad, good: last_good(scene, older, rolled_out), says, weight })
}

/// The last older revision that proved itself: it has pods that serve, or served for a while before the next one came.
fn last_good<'a>(
    scene: &Scene<'a>,
    older: &[Revision<'a>],
    rolled_out: Timestamp,
) -> Option<(Revision<'a>, String)> {
    let mut until = rolled_out;
    for revision in older {
        let is_sound = !has_crashed(scene, revision);
        if let Some(pods) = revision.serves_with(scene).filter(|_| is_sound) {
            return Some((*revision, format!("{revision} has {pods}")));
        }
        if is_sound && until.duration_since(revision.created) >= PROVEN {
            let served = text::span(between(revision.created, until));
            return Some((*revision, format!("{revision} served for {served}")));
        }
        until = until.min(revision.created);
    }
    None
}

/// The last one that ran and against whose pods no event says a word, where none is proven. Those in between were
/// mends that failed, or edits of one deed.
fn last_tried<'a>(
    scene: &Scene<'a>,
    older: &[Revision<'a>],
    rolled_out: Timestamp,
) -> Option<(Revision<'a>, String)> {
    let ends = std::iter::once(rolled_out).chain(older.iter().map(|revision| revision.created));
    older.iter().zip(ends).find_map(|(revision, until)| {
        let ran = until.duration_since(revision.created);
        let span = text::span(between(revision.created, until));
        let is_sound = !has_crashed(scene, revision);
        let says = match revision.kept {
            // By their names its pods cannot be told from those of today.
            Kept::Row(_) => (is_sound && ran >= RAN).then(|| format!("{revision} ran for {span} before"))?,
            Kept::Set(set) => {
                let praised = is_sound && ran >= TRIED && warnings(scene, &set.key).next().is_none();
                praised.then(|| format!("{revision} ran for {span}, and nothing is known against it"))?
            }
        };
        Some((*revision, says))
    })
}

/// Whether its pods could not start again, for want of a ConfigMap or a Secret.
fn needs_what_is_gone(scene: &Scene<'_>, revision: &Revision<'_>) -> bool {
    let (maps, secrets) = (&scene.snapshot.config_maps, &scene.snapshot.secrets);
    revision.template.references.iter().filter(|reference| !reference.optional).any(|reference| {
        let table = if reference.object.kind == Kind::Secret { secrets } else { maps };
        table.is_listed() && table.get(&reference.object.key).is_none()
    })
}

fn has_crashed(scene: &Scene<'_>, revision: &Revision<'_>) -> bool {
    let unwell = scene.unwell_of(revision.owner_of_pods().unwrap_or_default());
    unwell.iter().any(|pod| revision.is_of(pod) && pod.restarts() > 0)
        || first_back_off(scene, revision).is_some()
}
