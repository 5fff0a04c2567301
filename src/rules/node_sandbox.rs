//! Nodes that are Ready and start no pod: their runtime, or what gives pods their network, fails each of them.

use std::collections::{HashMap, HashSet};

use jiff::SignedDuration;

use crate::domain::{
    Cause, ContainerState, Event, Kind, Node, ObjectRef, Origin, Pod, Timestamp, cause, text,
};

use super::Scene;
use super::node_ailment::Ailment;
use super::rollout_cause::is_about_network;
use super::workload::{evidence, quote};

/// The kubelet tries again within seconds: what it said longer ago is over.
const LATELY: SignedDuration = SignedDuration::from_mins(5);
/// As little says nothing of a node: one workload may ask for what its runtime does not have.
const WORKLOADS: usize = 2;

/// Pods that could not be started lately, and what the kubelet says of them, by node.
pub(super) type Stillborn<'a> = HashMap<&'a str, Vec<(&'a Pod, &'a Event)>>;

pub(super) fn stillborn<'a>(scene: &Scene<'a>) -> Stillborn<'a> {
    let mut all: Stillborn<'a> = HashMap::new();
    let is_idle = |pod: &&Pod| pod.containers.iter().all(|row| row.init || !row.ready);
    for pod in scene.unwell().iter().copied().filter(is_idle) {
        let Some(node) = &pod.node else { continue };
        let failed = scene.events(Kind::Pod, &pod.key).find(|event| {
            &*event.reason == "FailedCreatePodSandBox" && scene.now.duration_since(event.last) <= LATELY
        });
        if let Some(event) = failed {
            all.entry(node).or_default().push((pod, event));
        }
    }
    all
}

/// What ails a node on which pods of several workloads could not be started, and none was since.
pub(super) fn starts_nothing(scene: &Scene<'_>, node: &Node, stillborn: &Stillborn<'_>) -> Option<Ailment> {
    let here = stillborn.get(&*node.key.name)?;
    let workloads: HashSet<ObjectRef> = here.iter().map(|(pod, _)| scene.workload_of(pod).0).collect();
    let since = here.iter().map(|(_, event)| event.first).min()?.min(scene.now);
    if workloads.len() < WORKLOADS || scene.snapshot.pods.iter().any(|pod| began(node, pod) > Some(since)) {
        return None;
    }
    let (_, latest) = here.iter().max_by_key(|(pod, event)| (event.last, &pod.key))?;
    let (name, label) = if is_about_network(&latest.message) {
        (cause::NODE_NETWORK, "starts no pods: no network for them")
    } else {
        (cause::RUNTIME, "starts no pods: its container runtime fails")
    };
    let says = quote(&latest.message);
    let told = format!("{} could not be started: {says}", text::count(here.len(), "pod"));
    let facts = vec![evidence(Origin::Events, Some(latest.last), told)];
    Some(Ailment::ill(since, label, Cause { name, says, weight: 0.85 }, facts))
}

/// When the last of a pod's containers began, if it is on the node.
fn began(node: &Node, pod: &Pod) -> Option<Timestamp> {
    let began = pod.containers.iter().filter_map(|row| match row.state {
        ContainerState::Running { since } => since,
        _ => None,
    });
    if pod.node.as_ref() == Some(&node.key.name) { began.max() } else { None }
}
