//! The causal links that hold among the anomalies that exist. A link holds when both touch the same thing, and the cause did not begin after the effect.

use std::collections::HashMap;

use jiff::SignedDuration;

use super::causation::{Causation, Join, SLACK};
use super::causations::CAUSATIONS;
use super::conditions::{has_cause, is_sightless, was_before_us};
use super::dependencies;
use super::doors::DOORS;
use crate::domain::{Anomaly, Kind, ObjectRef, Subject, cause};

/// One anomaly, by its place in the list, explains another.
pub(super) struct Edge {
    pub cause: usize,
    pub effect: usize,
    pub why: &'static str,
    pub weight: f64,
}

/// Every link that holds among these anomalies.
pub(super) fn edges(anomalies: &[Anomaly]) -> Vec<Edge> {
    let mut by_rule: HashMap<&str, Vec<usize>> = HashMap::new();
    for (index, anomaly) in anomalies.iter().enumerate() {
        by_rule.entry(&anomaly.rule).or_default().push(index);
    }
    let of = |rule: &str| by_rule.get(rule).map_or(&[][..], Vec::as_slice);
    let mut edges: Vec<Edge> = Vec::new();
    for causation in CAUSATIONS.iter().chain(DOORS) {
        for (cause, effect) in joined(causation.join, anomalies, of(causation.cause), of(causation.effect)) {
            if holds(causation, &anomalies[cause], &anomalies[effect]) {
                edges.push(Edge { cause, effect, why: causation.why, weight: causation.weight });
            }
        }
    }
    edges.extend(dependencies::edges(anomalies));
    edges.extend(storms(anomalies));
    edges.extend(together(anomalies));
    edges.extend(shared(anomalies));
    edges.extend(teams(anomalies));
    edges
}

fn holds(causation: &Causation, cause: &Anomaly, effect: &Anomaly) -> bool {
    let after = effect.onset.duration_since(cause.onset);
    // One that cannot measure neither wants more nor is wanted more of.
    if is_sightless(cause) || is_sightless(effect) && &*cause.rule != "prom-down" {
        return false;
    }
    // What was so at the first look may have begun long before it.
    let slack = if was_before_us(cause, effect) { causation.window } else { causation.slack };
    after >= -slack && after <= causation.window && (causation.when)(cause, effect)
}

/// A burst of alerts is a symptom of whatever goes on in the same place (audit, section 5).
fn storms(anomalies: &[Anomaly]) -> Vec<Edge> {
    let window = SignedDuration::from_mins(15);
    let mut edges = Vec::new();
    for (effect, storm) in anomalies.iter().enumerate() {
        if &*storm.rule != "alert-fatigue" || !has_cause(storm, &[cause::ALERT_STORM]) {
            continue;
        }
        let there = |object: &ObjectRef| {
            storm.touches.iter().any(|place| {
                object == place || place.kind == Kind::Namespace && object.key.namespace == place.key.name
            })
        };
        for (cause, anomaly) in anomalies.iter().enumerate() {
            let traffic = matches!(&anomaly.subject, Subject::Traffic(namespace)
                if storm.touches.iter().any(|place| place.kind == Kind::Namespace && place.key.name == *namespace));
            if cause != effect
                && &*anomaly.rule != "prom-down"
                && (traffic || anomaly.touches.iter().any(there))
            {
                let why = "its alerts come all at once: one incident, no rule's fault";
                let after = storm.onset.duration_since(anomaly.onset);
                let near = after >= -SLACK && after <= window;
                edges.extend(near.then_some(Edge { cause, effect, why, weight: 0.8 }));
            }
        }
    }
    edges
}

/// What falls silent in the same moment has one story.
fn together(anomalies: &[Anomaly]) -> Vec<Edge> {
    let is_node =
        |anomaly: &Anomaly| &*anomaly.rule == "node-notready" && has_cause(anomaly, &[cause::KUBELET_SILENT]);
    // Two or three may be chance; what they share is a rack, a zone, a network.
    let nodes =
        at_once(anomalies, is_node, (4, SignedDuration::from_mins(2)), |one, other| one.rule == other.rule);
    let is_deserted = |anomaly: &Anomaly| has_cause(anomaly, &[cause::FELL_SILENT]);
    // That all pods of two workloads stop within seconds is none.
    let workloads = at_once(anomalies, is_deserted, (2, SignedDuration::from_secs(30)), |one, other| {
        one.bindings.get("namespace") == other.bindings.get("namespace")
    });
    nodes.into_iter().chain(workloads).collect()
}

/// Edges from the first of these to each that came within this time after it, where there are so many at least.
fn at_once(
    anomalies: &[Anomaly],
    is_one: impl Fn(&Anomaly) -> bool,
    (many, within): (usize, SignedDuration),
    are_near: impl Fn(&Anomaly, &Anomaly) -> bool,
) -> Vec<Edge> {
    let mut rest: Vec<usize> =
        anomalies.iter().enumerate().filter(|(_, anomaly)| is_one(anomaly)).map(|(index, _)| index).collect();
    rest.sort_by_key(|index| (anomalies[*index].onset, &anomalies[*index].id));
    let mut edges = Vec::new();
    while let Some(cause) = rest.first().copied() {
        let first = &anomalies[cause];
        let is_with_it =
            |other: &Anomaly| other.onset.duration_since(first.onset) <= within && are_near(first, other);
        let (with_it, later): (Vec<usize>, Vec<usize>) =
            rest[1..].iter().partition(|other| is_with_it(&anomalies[**other]));
        if with_it.len() + 1 >= many {
            let why = "they fell silent together: look for what they share";
            edges.extend(with_it.iter().map(|effect| Edge { cause, effect: *effect, why, weight: 0.8 }));
        }
        rest = later;
    }
    edges
}

/// What several suffer from one and the same thing is one story: what one node's runtime or network cannot start, what
/// lacks the same ConfigMap or the same room, what asks the same registry in vain, or reads the same that was changed.
fn shared(anomalies: &[Anomaly]) -> Vec<Edge> {
    let mut firsts: HashMap<(&str, &str, &str), usize> = HashMap::new();
    let mut ill: Vec<usize> = (0..anomalies.len()).collect();
    // A node's trouble is what others suffer from, a stuck rollout is what comes of it.
    ill.sort_by_key(|index| {
        let anomaly = &anomalies[*index];
        let depth = match &*anomaly.rule {
            "node-notready" => 0,
            "rollout-stuck" => 2,
            _ => 1,
        };
        (depth, anomaly.onset, &anomaly.id)
    });
    let mut edges = Vec::new();
    for effect in ill {
        let Some((thing, why)) = shared_thing(&anomalies[effect]) else { continue };
        let cause = *firsts.entry(thing).or_insert(effect);
        if cause != effect {
            edges.push(Edge { cause, effect, why, weight: 0.8 });
        }
    }
    edges
}

/// What others may suffer from as well, by its kind, place and name.
fn shared_thing(anomaly: &Anomaly) -> Option<((&str, &str, &str), &'static str)> {
    let of = |name: &str| anomaly.bindings.get(name).map(String::as_str);
    let has = |cause: &str| has_cause(anomaly, &[cause]);
    if has(cause::CORRECTED) || has(cause::CONFIG_CHANGED) && !has(cause::BAD_REVISION) {
        return Some((
            ("changed", of("namespace")?, of("changed_object")?),
            "it uses the same, which was changed",
        ));
    }
    if has(cause::NETWORK_POLICY) {
        let thing = ("NetworkPolicy", of("namespace")?, of("network_policy")?);
        return Some((thing, "the same NetworkPolicy was written before it"));
    }
    if has(cause::INJECTED) {
        let thing = ("injected", of("container")?, of("image")?);
        return Some((thing, "the same container is added to its pods, and fails there too"));
    }
    match anomaly.causes.first()?.name {
        cause::WRONG_PORT => Some((("called", "", of("called")?), "it calls the same port in vain")),
        name @ (cause::RUNTIME | cause::NODE_NETWORK) => {
            Some(((name, "", of("node")?), "the same node cannot start it either"))
        }
        name @ (cause::IMAGE_NETWORK
        | cause::IMAGE_TRUST
        | cause::IMAGE_RATE_LIMIT
        | cause::REGISTRY_DOWN) => {
            Some(((name, "", of("registry")?), "it is the same registry that is asked"))
        }
        // In the very same words, with the same counts of nodes, and the same labels that none has.
        cause::UNSCHEDULABLE | cause::NO_NODE_MATCHES | cause::NODES_AWAY => {
            of("scheduler_says")?;
            let thing = ("scheduler", "", &*anomaly.causes.first()?.says);
            Some((thing, "the scheduler says the same of its pods"))
        }
        cause::PREEMPTED => Some((("preemptor", "", of("preemptor")?), "its pods made way for the same")),
        cause::MISSING_REFERENCE => {
            let thing = (of("missing_kind")?, of("namespace")?, of("missing_object")?);
            Some((thing, "it lacks the same"))
        }
        _ => None,
    }
}

/// What a team's trigger says of a pod, node, workload or volume is a symptom of what a rule of ours says of the
/// same thing, when that began first.
fn teams(anomalies: &[Anomaly]) -> Vec<Edge> {
    const JOINED: &[Kind] = &[
        Kind::Pod,
        Kind::Node,
        Kind::Deployment,
        Kind::StatefulSet,
        Kind::DaemonSet,
        Kind::Job,
        Kind::CronJob,
        Kind::PersistentVolumeClaim,
        Kind::HorizontalPodAutoscaler,
    ];
    let is_team = |anomaly: &Anomaly| crate::rules::rule(&anomaly.rule).is_none();
    let window = SignedDuration::from_mins(30);
    let mut edges = Vec::new();
    for (effect, of_team) in anomalies.iter().enumerate().filter(|(_, anomaly)| is_team(anomaly)) {
        for (cause, own) in anomalies.iter().enumerate().filter(|(_, anomaly)| !is_team(anomaly)) {
            let shared = of_team
                .touches
                .iter()
                .any(|object| JOINED.contains(&object.kind) && own.touches.contains(object));
            let after = of_team.onset.duration_since(own.onset);
            if shared && after >= -SLACK && after <= window {
                let why = "it is about the same thing, and began with it";
                edges.push(Edge { cause, effect, why, weight: 0.6 });
            }
        }
    }
    edges
}

/// Pairs of causes and effects that have in common what the join says, each pair once.
fn joined(join: Join, anomalies: &[Anomaly], causes: &[usize], effects: &[usize]) -> Vec<(usize, usize)> {
    if causes.is_empty() || effects.is_empty() {
        return Vec::new();
    }
    match join {
        Join::Object(kind) => {
            let of_kind =
                |index: usize| anomalies[index].touches.iter().filter(move |object| object.kind == kind);
            let mut touching: HashMap<&ObjectRef, Vec<usize>> = HashMap::new();
            for effect in effects {
                for object in of_kind(*effect) {
                    touching.entry(object).or_default().push(*effect);
                }
            }
            let mut pairs: Vec<_> = causes
                .iter()
                .flat_map(|cause| of_kind(*cause).map(move |object| (*cause, object)))
                .flat_map(|(cause, object)| {
                    touching.get(object).into_iter().flatten().map(move |effect| (cause, *effect))
                })
                .collect();
            pairs.sort_unstable();
            pairs.dedup();
            pairs
        }
        Join::Namespace => pairs(causes, effects)
            .filter(|(cause, effect)| share_namespace(&anomalies[*cause], &anomalies[*effect]))
            .collect(),
        Join::Host => pairs(causes, effects)
            .filter(|(cause, effect)| share_host(&anomalies[*cause], &anomalies[*effect]))
            .collect(),
        Join::Anything => pairs(causes, effects).collect(),
    }
}

fn pairs<'a>(causes: &'a [usize], effects: &'a [usize]) -> impl Iterator<Item = (usize, usize)> + 'a {
    causes.iter().flat_map(move |cause| effects.iter().map(move |effect| (*cause, *effect)))
}

/// One of the two is about traffic; the other touches that traffic's namespace.
fn share_namespace(one: &Anomaly, other: &Anomaly) -> bool {
    let traffic = |anomaly: &Anomaly| match &anomaly.subject {
        Subject::Traffic(namespace) => Some(namespace.clone()),
        _ => None,
    };
    match (traffic(one), traffic(other)) {
        // That of all namespaces is everybody's.
        (Some(one), Some(other)) => one == other || one.is_empty() || other.is_empty(),
        (Some(namespace), None) => is_in(other, &namespace),
        (None, Some(namespace)) => is_in(one, &namespace),
        (None, None) => false,
    }
}

/// One names a host that the other is about, or both touch the same Ingress or Certificate.
fn share_host(one: &Anomaly, other: &Anomaly) -> bool {
    let hosts = |anomaly: &Anomaly| -> Vec<String> {
        let names = anomaly.bindings.get("dns_names").into_iter().flat_map(|names| names.split(','));
        let own = anomaly.bindings.get("host").map(String::as_str);
        names.chain(own).map(str::to_lowercase).collect()
    };
    let same = |object: &&ObjectRef| matches!(object.kind, Kind::Ingress | Kind::Certificate);
    let others = hosts(other);
    hosts(one).iter().any(|host| others.contains(host))
        || one.touches.iter().filter(same).any(|object| other.touches.contains(object))
}

fn is_in(anomaly: &Anomaly, namespace: &str) -> bool {
    namespace.is_empty() || anomaly.touches.iter().any(|object| &*object.key.namespace == namespace)
}
