//! New revisions of workloads: when they were rolled out and what is different in them.

use std::collections::HashMap;

use jiff::SignedDuration;

use crate::domain::{
    Change, ChangeKind, ControllerRevision, Key, Kind, MANAGER, ObjectRef, Quantities, ReplicaSet, Snapshot,
    Template, Timestamp, text,
};

use super::changes::Window;

/// Revisions that were rolled out, or brought back, in the window.
pub(super) fn rollouts(snapshot: &Snapshot, window: Window) -> Vec<Change> {
    let deployed = |set: &&ReplicaSet| set.owner.as_ref().is_some_and(|owner| &*owner.kind == "Deployment");
    let sets = || {
        let sets = snapshot.replica_sets.iter().filter(deployed);
        sets.filter_map(|set| Some((&*set.owner.as_ref()?.uid, set)))
    };
    // Most Deployments have not changed lately: only the others' families are put together.
    let mut tops: HashMap<&str, (&ReplicaSet, Timestamp)> = HashMap::new();
    for (uid, set) in sets() {
        let (newest, latest) = tops.entry(uid).or_insert((set, set.created));
        *latest = set.created.max(*latest);
        if (set.revision, set.created) > (newest.revision, newest.created) {
            *newest = set;
        }
    }
    tops.retain(|_, (newest, latest)| window.contains(*latest) || is_brought_back(newest, *latest));
    let mut families: HashMap<&str, Vec<&ReplicaSet>> = HashMap::new();
    if !tops.is_empty() {
        for (uid, set) in sets().filter(|(uid, _)| tops.contains_key(uid)) {
            families.entry(uid).or_default().push(set);
        }
    }
    let mut changes = of_controllers(snapshot, window);
    for family in families.into_values() {
        let lately = family.iter().any(|set| window.contains(set.created));
        let Some(newest) = family.iter().copied().max_by_key(|set| (set.revision, set.created)) else {
            continue;
        };
        let latest = family.iter().map(|set| set.created).max();
        let brought_back = latest.is_some_and(|latest| is_brought_back(newest, latest));
        if !lately && !brought_back {
            continue;
        }
        let came: Vec<_> = family.iter().map(|set| (first_number(set), set.created)).collect();
        for set in family.iter().filter(|set| window.contains(set.created)) {
            if is_passing((first_number(set), set.created), &came) {
                continue;
            }
            let number = first_number(set);
            let before = before(set, number, &family);
            changes.extend(rollout(set, number, set.created, before, "revision"));
        }
        if brought_back {
            changes.extend(undo(snapshot, window, newest, &family));
        }
    }
    for change in &mut changes {
        change.by = is_ours(snapshot, change).then(|| MANAGER.into());
    }
    changes
}

/// Whether this cockpit did something to the workload just before.
fn is_ours(snapshot: &Snapshot, rollout: &Change) -> bool {
    let just_before = |deed: &Change| {
        // Two clocks, and one of them tells whole seconds only.
        let after = rollout.at.duration_since(deed.at);
        after >= -SignedDuration::from_secs(2) && after <= SignedDuration::from_secs(30)
    };
    snapshot.deeds.iter().any(|deed| deed.object == rollout.object && just_before(deed))
}

/// Revisions of StatefulSets and DaemonSets, as their ControllerRevisions tell.
fn of_controllers(snapshot: &Snapshot, window: Window) -> Vec<Change> {
    let mut families: HashMap<&str, Vec<&ControllerRevision>> = HashMap::new();
    for row in snapshot.controller_revisions.iter() {
        if let Some(owner) = &row.owner {
            families.entry(&owner.uid).or_default().push(row);
        }
    }
    let mut changes = Vec::new();
    for mut family in families.into_values() {
        let Some(newest) = family.iter().copied().max_by_key(|row| row.revision) else { continue };
        let Some(latest) = family.iter().map(|row| row.created).max() else { continue };
        // One that was brought back got a new number, and what it was called at first is not known any more.
        let is_back = newest.created < latest;
        family.sort_by_key(|row| (row.created, row.revision));
        let came: Vec<_> = family.iter().map(|row| (Some(row.revision), row.created)).collect();
        for (place, row) in family.iter().enumerate().filter(|(_, row)| window.contains(row.created)) {
            if is_back && row.revision == newest.revision
                || is_passing((Some(row.revision), row.created), &came)
            {
                continue;
            }
            let what = match place.checked_sub(1).and_then(|before| family.get(before)) {
                Some(before) => difference(&before.template, &row.template),
                None => "first".to_owned(),
            };
            changes.extend(revised(row, row.created, &format!("revision {}: {what}", row.revision)));
        }
        let back = is_back.then(|| {
            let pods = snapshot.pods.iter().filter(|pod| {
                pod.owner.as_ref().map(|owner| &owner.uid) == newest.owner.as_ref().map(|owner| &owner.uid)
                    && newest.is_of(&pod.labels)
            });
            pods.map(|pod| pod.created).filter(|at| *at >= latest && window.contains(*at)).min()
        });
        if let Some(at) = back.flatten() {
            changes.extend(revised(newest, at, &format!("undo, as revision {}", newest.revision)));
        }
    }
    changes
}

fn revised(row: &ControllerRevision, at: Timestamp, says: &str) -> Option<Change> {
    let owner = row.owner.as_ref()?;
    let kind = Kind::parse(&owner.kind)?;
    let cause = row.change_cause.as_ref().map(|cause| format!(" ({cause})")).unwrap_or_default();
    let object = ObjectRef::new(kind, Key::new(row.key.namespace.clone(), owner.name.clone()));
    Some(Change { at, kind: ChangeKind::Rollout, object, says: format!("{says}{cause}"), by: None })
}

/// Whether the next revision came at once: two edits of one deed, of which only the last is told.
fn is_passing((number, at): (Option<u64>, Timestamp), came: &[(Option<u64>, Timestamp)]) -> bool {
    const AT_ONCE: SignedDuration = SignedDuration::from_secs(2);
    let mut later = came.iter().filter(|(other, _)| *other > number);
    later.any(|(_, then)| (SignedDuration::ZERO..=AT_ONCE).contains(&then.duration_since(at)))
}

/// It was rolled out before, and is the newest once more.
fn is_brought_back(newest: &ReplicaSet, latest: Timestamp) -> bool {
    newest.created < latest || !newest.earlier_revisions.is_empty()
}

/// The number it was rolled out with: undos have renumbered it since.
fn first_number(set: &ReplicaSet) -> Option<u64> {
    set.earlier_revisions.first().copied().or(set.revision)
}

/// What ran before this set was rolled out with this number.
fn before<'a>(set: &ReplicaSet, number: Option<u64>, family: &[&'a ReplicaSet]) -> Option<&'a ReplicaSet> {
    let earlier = |other: &ReplicaSet| {
        let numbers = other.earlier_revisions.iter().copied().chain(other.revision);
        numbers.filter(|one| Some(*one) < number).max()
    };
    let others = family.iter().copied().filter(|other| other.created < set.created);
    others.max_by_key(|other| (earlier(other), other.created))
}

fn rollout(
    set: &ReplicaSet,
    number: Option<u64>,
    at: Timestamp,
    before: Option<&ReplicaSet>,
    word: &str,
) -> Option<Change> {
    let owner = set.owner.as_ref()?;
    let number = number.map_or_else(|| set.key.name.to_string(), |number| number.to_string());
    let what = match before {
        Some(before) => difference(&before.template, &set.template),
        None => "first".to_owned(),
    };
    let cause = set.change_cause.as_ref().map(|cause| format!(" ({})", text::redact(&text::clean(cause))));
    Some(Change {
        at,
        kind: ChangeKind::Rollout,
        object: ObjectRef::new(Kind::Deployment, Key::new(set.key.namespace.clone(), owner.name.clone())),
        says: format!("{word} {number}: {what}{}", cause.unwrap_or_default()),
        by: None,
    })
}

/// A revision that is the newest although its ReplicaSet is an old one: an undo. Its pods tell when.
fn undo(snapshot: &Snapshot, window: Window, newest: &ReplicaSet, family: &[&ReplicaSet]) -> Option<Change> {
    let others = family.iter().copied().filter(|set| set.uid != newest.uid);
    let replaced = others.max_by_key(|set| (set.revision, set.created))?;
    let after = family.iter().map(|set| set.created).max()?;
    let at = snapshot.brought_back_at(newest, after).filter(|at| window.contains(*at))?;
    rollout(newest, newest.revision, at, Some(replaced), "undo to revision")
}

/// What is different in a template, in words.
fn difference(old: &Template, new: &Template) -> String {
    let mut words = Vec::new();
    for container in new.containers.iter().chain(&new.init_containers) {
        let name = &container.name;
        let Some(before) = old.container(name) else {
            words.push(format!("new container {name}"));
            continue;
        };
        if before.image != container.image {
            words.push(format!("image {} → {}", short(&before.image), short(&container.image)));
        }
        if before.limits != container.limits || before.requests != container.requests {
            words.push(format!("{name}: {}", resources(before.limits, container.limits)));
        }
        if before.liveness != container.liveness || before.readiness != container.readiness {
            words.push(format!("{name}: probes"));
        }
    }
    let known = old.containers.iter().chain(&old.init_containers);
    let gone = known.filter(|row| new.container(&row.name).is_none());
    words.extend(gone.map(|row| format!("without container {}", row.name)));
    if old.references != new.references {
        words.push("references to configuration".to_owned());
    }
    if old.restarted_at != new.restarted_at && words.is_empty() {
        return "restarted".to_owned();
    }
    if words.is_empty() { "template changed".to_owned() } else { words.join(", ") }
}

fn resources(before: Quantities, after: Quantities) -> String {
    match (before.memory_bytes, after.memory_bytes) {
        (Some(before), Some(after)) if before != after => {
            format!("memory limit {} → {}", text::quantity(before), text::quantity(after))
        }
        _ => "resources".to_owned(),
    }
}

/// An image without its registry and path: `web:v1.2.4`.
fn short(image: &str) -> &str {
    image.rsplit('/').next().unwrap_or(image)
}
