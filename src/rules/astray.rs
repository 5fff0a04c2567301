//! Services that select no pod while a Deployment beside them is plainly meant: one label differs, by a few letters;
//! or it was scaled to 0 lately. Services that were switched to pods none of which is ready, or that send to a port which
//! none of their pods has.
//! Many a Service is empty on purpose; those are not told.

use std::collections::{HashMap, HashSet};

use jiff::SignedDuration;

use crate::domain::{
    Anomaly, AnomalyId, CREATING, Cause, Deployment, EndpointSlice, Key, Kind, Name, ObjectRef, Origin,
    Service, Severity, Snapshot, Subject, Timestamp, cause,
};

use super::ingress_down::{NO_ENDPOINTS, RULE};
use super::workload::{Bindings, evidence, quote};
use super::{Scene, backing, shown};

/// Those that no Ingress leads to: of the others it is told where the users are.
pub(super) fn examine(scene: &Scene<'_>, told: &[Anomaly]) -> Vec<Anomaly> {
    let snapshot = scene.snapshot;
    if !snapshot.endpoint_slices.is_listed() || !snapshot.pods.is_listed() {
        return Vec::new();
    }
    let leads = |is_so: fn(&EndpointSlice) -> bool| -> HashSet<Key> {
        let slices = snapshot.endpoint_slices.iter().filter(|slice| is_so(slice));
        slices
            .filter_map(|slice| Some(Key::new(slice.key.namespace.clone(), slice.service.clone()?)))
            .collect()
    };
    let (led, ready) = (leads(|slice| slice.total > 0), leads(|slice| slice.ready > 0));
    let is_told = |key: &Key| {
        let service = ObjectRef::new(Kind::Service, key.clone());
        told.iter().any(|anomaly| anomaly.touches.contains(&service))
    };
    let mut untold: Vec<&Service> = snapshot
        .services
        .iter()
        .filter(|service| !service.selector.is_empty() && !is_told(&service.key))
        .collect();
    untold.sort_by(|one, other| one.key.cmp(&other.key));
    let reached = ports_reached(snapshot);
    untold
        .into_iter()
        .filter_map(|service| {
            if ready.contains(&service.key) {
                return portless(scene, service, reached.get(&service.key)?);
            }
            if led.contains(&service.key) {
                return switched(scene, service);
            }
            mistaken(scene, service).or_else(|| emptied(scene, service))
        })
        .collect()
}

/// A Service that was changed lately and that selects pods none of which is ready.
fn switched(scene: &Scene<'_>, service: &Service) -> Option<Anomaly> {
    let edit = service.edited.as_ref().filter(|edit| edit.at.duration_since(service.created) > CREATING)?;
    if scene.now.duration_since(edit.at) > LATELY {
        return None;
    }
    let lasts = scene.has_lasted(edit.at, &NO_ENDPOINTS);
    let by = edit.by.as_ref().map(|by| format!(" by {}", quote(by))).unwrap_or_default();
    let says = format!(
        "Service {} was changed{by}, and none of the pods that it selects is ready",
        service.key.name
    );
    let behind = backing::deployments(scene, service);
    let deployment = behind.first().map(|one| ("deployment", one.key.name.to_string()));
    told(
        scene,
        service,
        Trouble {
            lasts,
            since: edit.at,
            title: "nobody behind it is ready since it was changed".to_owned(),
            cause: Cause { name: cause::NO_ENDPOINTS, says, weight: 0.9 },
            touches: behind.iter().map(|one| ObjectRef::new(Kind::Deployment, one.key.clone())).collect(),
            bindings: deployment.into_iter().collect(),
        },
    )
}

/// The names of the ports at which ready pods are reached, for each Service that has any.
fn ports_reached(snapshot: &Snapshot) -> HashMap<Key, HashSet<&Name>> {
    let mut reached: HashMap<Key, HashSet<&Name>> = HashMap::new();
    for slice in snapshot.endpoint_slices.iter().filter(|slice| slice.ready > 0) {
        let Some(service) = &slice.service else { continue };
        let key = Key::new(slice.key.namespace.clone(), service.clone());
        reached.entry(key).or_default().extend(slice.ports.iter());
    }
    reached
}

/// A Service with ready pods, none of which has a port that it sends to.
fn portless(scene: &Scene<'_>, service: &Service, reached: &HashSet<&Name>) -> Option<Anomaly> {
    let unnamed = Name::default();
    let is_reached = |name: &Option<Name>| reached.contains(name.as_ref().unwrap_or(&unnamed));
    let mut missed = service.ports.iter().filter(|(name, _)| !is_reached(name));
    let (name, number) = missed.next().filter(|_| !service.is_headless)?;
    let port = name.as_ref().map_or(number.to_string(), |name| format!("{number} ({name})"));
    let behind = backing::deployments(scene, service);
    let newest = behind.iter().filter_map(|one| scene.revisions(one).first());
    let written = service.edited.as_ref().map_or(service.created, |edit| edit.at.max(service.created));
    let since = newest.map(|set| set.created).fold(written, Timestamp::max).min(scene.now);
    let (is_whole, lasts) = (missed.count() + 1 == service.ports.len(), scene.now.duration_since(since));
    // The slices follow an edit after a moment. One of several, and nobody minds for an hour: it is not used.
    if lasts <= CREATING || (!is_whole && lasts > LATELY) {
        return None;
    }
    let says = format!("its port {port} leads to a port that no container of its ready pods has");
    told(
        scene,
        service,
        Trouble {
            lasts: is_whole && scene.has_lasted(since, &NO_ENDPOINTS),
            since,
            title: format!("nobody is reached at its port {port}"),
            cause: Cause { name: cause::SERVICE_PORT, says, weight: 0.9 },
            touches: behind.iter().map(|one| ObjectRef::new(Kind::Deployment, one.key.clone())).collect(),
            bindings: Bindings::new(),
        },
    )
}

/// What is wrong with a Service.
struct Trouble {
    /// For long enough to be more than suspected.
    lasts: bool,
    since: Timestamp,
    /// Without the Service's name.
    title: String,
    cause: Cause,
    /// Beside the Service.
    touches: Vec<ObjectRef>,
    bindings: Bindings,
}

fn told(scene: &Scene<'_>, service: &Service, trouble: Trouble) -> Option<Anomaly> {
    let Trouble { lasts, since, title, cause, touches, mut bindings } = trouble;
    let (object, name) = (ObjectRef::new(Kind::Service, service.key.clone()), &service.key.name);
    bindings.insert("namespace", service.key.namespace.to_string());
    bindings.insert("service", name.to_string());
    shown(Anomaly {
        id: AnomalyId(format!("{}/service/{}", RULE.name, service.key).into()),
        rule: RULE.name.into(),
        subject: Subject::Object(object.clone()),
        severity: if lasts { Severity::Warning } else { Severity::Suspect },
        score: if lasts { 0.75 } else { 0.55 },
        onset: since.min(scene.now),
        title: format!("service {name}: {title}"),
        evidence: vec![evidence(Origin::Services, Some(since), cause.says.clone())],
        causes: vec![cause],
        touches: std::iter::once(object).chain(touches).collect(),
        bindings,
        pages_at: None,
    })
}

/// The label that differs: its name, what the Service asks for, and what the pods have.
type Difference<'a> = (&'a Name, &'a Name, &'a Name);

fn mistaken<'a>(scene: &Scene<'a>, service: &'a Service) -> Option<Anomaly> {
    let pods = scene.snapshot.pods.iter().filter(|pod| pod.key.namespace == service.key.namespace);
    let mut living = pods.filter(|pod| !pod.is_finished());
    if living.any(|pod| service.selector.matches(&pod.labels)) {
        return None;
    }
    let (meant, (label, wrong, right)) = meant(scene, service)?;
    let written = service.edited.as_ref().map_or(service.created, |edit| edit.at.max(service.created));
    let onset = written.max(meant.created).min(scene.now);
    let lasts = scene.has_lasted(onset, &NO_ENDPOINTS);
    let says =
        format!("its selector asks for {label}={wrong}, the pods of {} are {label}={right}", meant.key.name);
    told(
        scene,
        service,
        Trouble {
            lasts,
            since: onset,
            title: format!("selects no pod, where those of {} are meant", meant.key.name),
            cause: Cause { name: cause::SERVICE_SELECTOR, says, weight: 0.9 },
            touches: vec![ObjectRef::new(Kind::Deployment, meant.key.clone())],
            bindings: Bindings::from([
                ("deployment", meant.key.name.to_string()),
                ("selector_service", service.key.name.to_string()),
                // As JSON Patch writes a key.
                ("selector_key", label.replace('~', "~0").replace('/', "~1")),
                ("selector_label", label.to_string()),
                ("selector_wrong", wrong.to_string()),
                ("selector_right", right.to_string()),
            ]),
        },
    )
}

/// What somebody scales to 0 for the night stays there for longer.
const LATELY: SignedDuration = SignedDuration::from_hours(1);

/// A Service whose workload was scaled to 0 lately.
fn emptied(scene: &Scene<'_>, service: &Service) -> Option<Anomaly> {
    let rests = backing::at_rest(scene, service)?;
    let since = rests.since?.min(scene.now);
    // KEDA scales to 0 by itself, and back.
    let scaler = scene.autoscaler_of(&rests.object.key);
    if scene.now.duration_since(since) > LATELY
        || !scene.has_lasted(since, &NO_ENDPOINTS)
        || scaler.is_some_and(|scaler| scaler.key.name.starts_with("keda-hpa-"))
    {
        return None;
    }
    told(
        scene,
        service,
        Trouble {
            // It may be meant.
            lasts: false,
            since,
            title: format!("{} is scaled to 0", rests.object.key.name),
            cause: Cause { name: cause::SCALED_TO_ZERO, says: rests.says(&service.key.name), weight: 0.9 },
            bindings: rests.bindings(),
            touches: vec![rests.object],
        },
    )
}

/// The Deployment with replicas that no other Service leads to and that differs in one label: the one of the Service's
/// name, else the only one that differs by little.
pub(super) fn meant<'a>(scene: &Scene<'a>, service: &'a Service) -> Option<(&'a Deployment, Difference<'a>)> {
    let snapshot = scene.snapshot;
    let here = |key: &Key| key.namespace == service.key.namespace;
    let is_led_to = |deployment: &Deployment| {
        let mut others = snapshot.services.iter().filter(|other| here(&other.key));
        others.any(|other| other.selector.matches(&deployment.selector.labels))
    };
    let deployments = snapshot.deployments.iter().filter(|one| here(&one.key));
    let close = deployments.filter(|one| one.replicas > 0 && !is_led_to(one)).filter_map(|one| {
        let difference = difference(service, one)?;
        Some((one, difference))
    });
    let candidates: Vec<_> = close.collect();
    let named = candidates.iter().find(|(one, _)| one.key.name == service.key.name);
    let mut near = candidates.iter().filter(|(_, (_, wrong, right))| is_near(wrong, right));
    named.or_else(|| near.next().filter(|_| near.next().is_none())).copied()
}

fn difference<'a>(service: &'a Service, deployment: &'a Deployment) -> Option<Difference<'a>> {
    let mut differing = None;
    for (label, wanted) in service.selector.labels.0.iter() {
        match deployment.selector.labels.get(label)? {
            own if own == wanted => {}
            own if differing.is_none() => differing = Some((label, wanted, own)),
            _ => return None,
        }
    }
    differing
}

/// Whether one was meant to be the other: the same letters in another order, or all but two of several.
fn is_near(one: &str, other: &str) -> bool {
    let letters = |word: &str| {
        let mut letters: Vec<char> = word.chars().collect();
        letters.sort_unstable();
        letters
    };
    if letters(one) == letters(other) {
        return true;
    }
    let alike = |(one, other): &(char, char)| one == other;
    let before = one.chars().zip(other.chars()).take_while(alike).count();
    let rest = |word: &str| word.chars().count() - before;
    let (one_rest, other_rest) = (rest(one), rest(other));
    let after = one.chars().rev().zip(other.chars().rev()).take_while(alike).count();
    let after = after.min(one_rest).min(other_rest);
    one_rest.max(other_rest) - after <= 2 && before + after >= 3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_pen_is_near() {
        for (one, other) in [("docks", "dock"), ("wbe", "web"), ("hulls", "hull"), ("cart-v1", "cart-v2")] {
            assert!(is_near(one, other), "{one} {other}");
        }
        for (one, other) in
            [("green", "blue"), ("canary", "stable"), ("api", "web"), ("api", "app"), ("a", "b")]
        {
            assert!(!is_near(one, other), "{one} {other}");
        }
    }
}
