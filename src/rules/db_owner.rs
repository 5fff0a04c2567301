//! Whose connections they are: the workload in the cluster that holds them, that was scaled, or that was rolled out.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::SignedDuration;

use crate::domain::{Autoscaler, Cause, Key, Kind, Name, ObjectRef, Timestamp, cause, text};

use super::Scene;
use super::db_pool::activity;
use super::workload::Bindings;

/// A leak shows some time after its release (audit, section 5: a leak of memory within a day, this is quicker).
const BLAME: SignedDuration = SignedDuration::from_mins(30);

/// The autoscaler that acted in the ten minutes before: more replicas, more pools.
fn scaled_lately<'a>(scene: &Scene<'a>, onset: Timestamp) -> Option<&'a Autoscaler> {
    let window = SignedDuration::from_mins(10);
    // Onsets are estimates: the look that saw the first full server may be older than the last scaling.
    let slack = SignedDuration::from_secs(60);
    let lately = |at: Timestamp| {
        let before = onset.duration_since(at);
        before >= -slack && before <= window
    };
    scene
        .snapshot
        .autoscalers
        .iter()
        .filter(|scaler| scaler.current > scaler.min && scaler.last_scaled.is_some_and(lately))
        .min_by_key(|scaler| &scaler.key)
}

/// That more replicas, and their pools, came just before.
pub(super) fn scaled_up(scene: &Scene<'_>, onset: Timestamp) -> Option<Cause> {
    let scaler = scaled_lately(scene, onset)?;
    let says = format!("{} was scaled to {} shortly before", scaler.target, scaler.desired);
    Some(Cause { name: cause::POOL_BUDGET, says, weight: 0.65 })
}

/// Whose pools they are, as far as that is plain: the workload that holds most of the slots, by the name that its sessions
/// give; else the one that was scaled, else the only one with an autoscaler where the traffic is.
pub(super) fn owner(scene: &Scene<'_>, onset: Timestamp) -> (Vec<ObjectRef>, Bindings) {
    let namespace = &scene.snapshot.traffic.namespace;
    let mut here = scene
        .snapshot
        .autoscalers
        .iter()
        .filter(|scaler| namespace.is_empty() || scaler.key.namespace == *namespace);
    let only = match (here.next(), here.next()) {
        (Some(scaler), None) => Some(scaler),
        _ => None,
    };
    let scaled = || {
        let scaler = scaled_lately(scene, onset).or(only);
        let scaler = scaler.filter(|scaler| &*scaler.target_kind == "Deployment")?;
        Some(Key::new(scaler.key.namespace.clone(), scaler.target.clone()))
    };
    let Some(deployment) = by_application(scene).or_else(scaled) else {
        return (Vec::new(), Bindings::new());
    };
    let mut bindings = Bindings::from([
        ("namespace", deployment.namespace.to_string()),
        ("deployment", deployment.name.to_string()),
    ]);
    if let Some(scaler) = scene.autoscaler_of(&deployment) {
        bindings.insert("hpa", scaler.key.name.to_string());
        bindings.insert("hpa_min", scaler.min.to_string());
    }
    (vec![ObjectRef::new(Kind::Deployment, deployment)], bindings)
}

/// The only Deployment that the sessions with most of the slots can be of.
fn by_application(scene: &Scene<'_>) -> Option<Key> {
    let used = scene.snapshot.capacity.as_ref()?.used;
    let mut held: BTreeMap<&Name, u32> = BTreeMap::new();
    for holder in &activity(scene)?.holders {
        *held.entry(&holder.application).or_default() += holder.sessions;
    }
    let (application, sessions) = held.into_iter().max_by_key(|(_, sessions)| *sessions)?;
    if application.is_empty() || sessions * 2 <= used {
        return None;
    }
    let only = |fits: &dyn Fn(&str) -> bool| {
        let mut fitting = scene.snapshot.deployments.iter().filter(|one| fits(&one.key.name));
        let first = fitting.next();
        (first, fitting.next())
    };
    // Whoever has that very name is meant, whoever else has it as a part of theirs.
    let found = match only(&|name| *name == **application) {
        (None, _) => only(&|name| fits(application, name)),
        exact => exact,
    };
    match found {
        (Some(deployment), None) => Some(deployment.key.clone()),
        _ => None,
    }
}

/// Whether the words of one name end those of the other: `shop-cart` is of Deployment `cart`, `cart` of `shop-cart`.
fn fits(application: &str, deployment: &str) -> bool {
    let words = |name: &str| -> Vec<String> {
        name.split(|c: char| !c.is_alphanumeric())
            .filter(|word| !word.is_empty())
            .map(str::to_lowercase)
            .collect()
    };
    let (application, deployment) = (words(application), words(deployment));
    let neither_is_empty = !application.is_empty() && !deployment.is_empty();
    neither_is_empty && (application.ends_with(&deployment) || deployment.ends_with(&application))
}

/// The owner's newest revision, if the leak began soon after it was rolled out.
pub(super) fn rolled_out(scene: &Scene<'_>, key: &Key, onset: Timestamp) -> Option<(Cause, Bindings)> {
    let deployment = scene.snapshot.deployments.get(key)?;
    let [newest, older, ..] = scene.revisions(deployment) else { return None };
    let after = onset.duration_since(newest.created);
    if after < SignedDuration::ZERO || after > BLAME {
        return None;
    }
    let (bad, good) = (newest.revision?, older.revision?);
    let passed = text::after(Duration::try_from(after).unwrap_or_default());
    let says = format!("began {passed} revision {bad} was rolled out");
    let bindings = Bindings::from([("bad_revision", bad.to_string()), ("good_revision", good.to_string())]);
    Some((Cause { name: cause::BAD_REVISION, says, weight: 0.6 }, bindings))
}
