//! Which revision is to blame, and which was the last good one: by availability, age and who is sick.

use jiff::SignedDuration;

use crate::domain::{
    ControllerRevision, Deployment, Event, Key, Kind, Pod, ReplicaSet, Status, Template, Timestamp, between,
    text,
};

use super::Scene;

/// A revision that was in service this long has proven itself (Kubernetes' own progress deadline).
pub(super) const PROVEN: SignedDuration = SignedDuration::from_mins(10);

/// How long after its rollout a revision can be blamed when no older one runs beside it (audit, section 5:
/// changes explain what follows within 15 minutes; a crash may take a while to show).
pub(super) const BLAME: SignedDuration = SignedDuration::from_mins(30);

/// Only the newest revision is sick.
pub(super) struct Suspicion<'a> {
    pub bad: Revision<'a>,
    /// The last revision that was healthy, and how we know.
    pub good: Option<(Revision<'a>, String)>,
    pub says: String,
    /// 0 to 1.
    pub weight: f64,
}

/// A revision of a workload, wherever its history is kept.
#[derive(Clone, Copy)]
pub(super) struct Revision<'a> {
    pub number: Option<u64>,
    pub hash: Option<&'a str>,
    pub created: Timestamp,
    pub template: &'a Template,
    name: &'a str,
}

impl<'a> From<&'a ReplicaSet> for Revision<'a> {
    fn from(set: &'a ReplicaSet) -> Self {
        let (number, hash) = (set.revision, set.template_hash.as_deref());
        Self { number, hash, created: set.created, template: &set.template, name: &set.key.name }
    }
}

impl<'a> From<&'a ControllerRevision> for Revision<'a> {
    fn from(row: &'a ControllerRevision) -> Self {
        let (number, hash) = (Some(row.revision), Some(row.hash()));
        Self { number, hash, created: row.created, template: &row.template, name: &row.key.name }
    }
}

impl std::fmt::Display for Revision<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.number, self.hash) {
            (Some(number), _) => write!(f, "revision {number}"),
            (None, Some(hash)) => write!(f, "rollout {hash}"),
            (None, None) => f.write_str(self.name),
        }
    }
}

/// The newest revision of a Deployment: the one its template stands for.
pub(super) fn newest<'a>(scene: &Scene<'a>, deployment: &Deployment) -> Option<&'a ReplicaSet> {
    scene.revisions(deployment).first().copied()
}

/// When pods came and became ready: each is a step of their rollout.
pub(super) fn moments<'a>(pods: impl Iterator<Item = &'a Pod>) -> impl Iterator<Item = Timestamp> {
    pods.flat_map(|pod| {
        let ready = pod.condition("Ready").filter(|row| row.status == Status::True);
        [Some(pod.created), ready.and_then(|row| row.since)].into_iter().flatten()
    })
}

/// Whether an undo brought it back: it says so, or is older than one it came after.
fn is_brought_back(set: &ReplicaSet, sets: &[&ReplicaSet]) -> bool {
    let after_newer = |other: &&ReplicaSet| other.created > set.created && other.revision < set.revision;
    !set.earlier_revisions.is_empty() || sets.iter().any(after_newer)
}

/// When a revision was rolled out. A ReplicaSet that an undo brought back is older than its rollout, but
/// its pods aren't.
pub(super) fn rolled_out_at(scene: &Scene<'_>, set: &ReplicaSet, sets: &[&ReplicaSet]) -> Timestamp {
    if !is_brought_back(set, sets) {
        return set.created;
    }
    let pods = scene.unwell_of(&set.uid).iter();
    pods.map(|pod| pod.created).min().unwrap_or(set.created)
}

/// Suspects the newest revision when all sick pods are its own and an older one is, or was, healthy. Not one that
/// is only a restart: its pods do as the older would if they began now, so what they read at their start changed.
pub(super) fn suspect<'a>(
    scene: &Scene<'a>,
    deployment: &Deployment,
    sick: &[&Pod],
    onset: Timestamp,
) -> Option<Suspicion<'a>> {
    let sets = scene.revisions(deployment);
    let (bad, older) = sets.split_first()?;
    let owned_by = |pod: &Pod, set: &ReplicaSet| pod.owner.as_ref().is_some_and(|owner| owner.uid == set.uid);
    if older.is_empty() || sick.is_empty() || !sick.iter().all(|pod| owned_by(pod, bad)) {
        return None;
    }
    if older.first().is_some_and(|before| bad.template.is_restart_of(&before.template)) {
        return None;
    }
    if inherited_since(scene, sets).is_some() {
        return None;
    }
    let number = Revision::from(*bad);
    let beside = older.iter().find(|set| set.available > 0);
    let rolled_out = rolled_out_at(scene, bad, sets);
    let good = last_good(scene, older, rolled_out);
    let (says, weight) = match beside {
        Some(set) => {
            let others = text::count(set.available as usize, "available pod");
            (format!("only {number} is affected; {} has {others}", Revision::from(*set)), 0.9)
        }
        None if onset.duration_since(rolled_out) <= BLAME => {
            let after = text::after(between(rolled_out, onset));
            // Pods of the same revision that work speak for chance rather than for the revision.
            let weight = if bad.available > 0 { 0.6 } else { 0.8 };
            (format!("began {after} {number} was rolled out"), weight)
        }
        None => return None,
    };
    Some(Suspicion { bad: number, good, says, weight })
}

/// Since when the revision before the newest, which is gone, crashed as well, long after its own rollout: whatever
/// began then goes on, and the newest only inherited it. Events outlive their pods by an hour.
pub(super) fn inherited_since(scene: &Scene<'_>, sets: &[&ReplicaSet]) -> Option<Timestamp> {
    let before = sets.get(1).filter(|set| set.available == 0)?;
    let began = first_back_off(scene, before)?;
    (began.duration_since(before.created) > BLAME).then_some(began)
}

/// When the kubelet first held back the restart of a container of this revision, within the last hour.
fn first_back_off(scene: &Scene<'_>, set: &ReplicaSet) -> Option<Timestamp> {
    back_offs(scene, &set.key).map(|event| event.first).min()
}

/// Whether pods of this owner were crash-looping at that moment, by events, which outlive the pods by an hour. The
/// kubelet tells it again every five minutes at least.
pub(super) fn was_looping(scene: &Scene<'_>, owner: &Key, at: Timestamp) -> bool {
    const AGAIN: SignedDuration = SignedDuration::from_mins(6);
    back_offs(scene, owner).any(|event| event.first < at && at.duration_since(event.last) <= AGAIN)
}

fn back_offs<'a>(scene: &Scene<'a>, owner: &Key) -> impl Iterator<Item = &'a Event> {
    let is_its_pod = move |key: &Key| {
        let rest = key.name.strip_prefix(&*owner.name);
        key.namespace == owner.namespace && rest.is_some_and(|rest| rest.starts_with('-'))
    };
    scene.snapshot.events.iter().filter(move |event| {
        &*event.reason == "BackOff"
            && &*event.about_kind == Kind::Pod.as_str()
            && event.message.contains("restarting failed container")
            && is_its_pod(&event.about)
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
    let sets = scene.revisions(deployment);
    let (bad, older) = sets.split_first()?;
    let rolled_out = started_at(scene, bad, sets);
    let after = onset.duration_since(rolled_out);
    if older.is_empty() || after < -SLACK || after > CHANGE || bad.replicas == 0 {
        return None;
    }
    // What a restart brought to light stands in what its pods read at their start.
    if older.first().is_some_and(|set| bad.template.is_restart_of(&set.template)) {
        return None;
    }
    let good = last_good(scene, older, rolled_out);
    let bad = Revision::from(*bad);
    let says = format!("began {} {bad} was rolled out", text::after(between(rolled_out, onset)));
    // The closer, the likelier.
    let weight = if after <= CHANGE / 3 { 0.9 } else { 0.8 };
    Some(Suspicion { bad, good, says, weight })
}

/// When a revision was rolled out, by its pods where its ReplicaSet is older than its rollout.
fn started_at(scene: &Scene<'_>, set: &ReplicaSet, sets: &[&ReplicaSet]) -> Timestamp {
    if !is_brought_back(set, sets) {
        return set.created;
    }
    let owned = |pod: &&Pod| pod.owner.as_ref().is_some_and(|owner| owner.uid == set.uid);
    scene.snapshot.pods.iter().filter(owned).map(|pod| pod.created).min().unwrap_or(set.created)
}

/// The last older revision that proved itself: it has available pods, or served for a while before the
/// next one came.
fn last_good<'a>(
    scene: &Scene<'a>,
    older: &[&'a ReplicaSet],
    rolled_out: Timestamp,
) -> Option<(Revision<'a>, String)> {
    let mut until = rolled_out;
    for set in older {
        let revision = Revision::from(*set);
        if set.available > 0 {
            let why = format!("{revision} has {}", text::count(set.available as usize, "available pod"));
            return Some((revision, why));
        }
        let sick = scene.unwell_of(&set.uid).iter().any(|pod| pod.restarts() > 0);
        let sick = sick || first_back_off(scene, set).is_some();
        if !sick && until.duration_since(set.created) >= PROVEN {
            let why = format!("{revision} served for {}", text::span(between(set.created, until)));
            return Some((revision, why));
        }
        until = until.min(set.created);
    }
    None
}
