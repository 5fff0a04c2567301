//! Room for memory: what nodes have left, and how much a container that was killed at its limit could get.

use std::collections::HashMap;

use crate::domain::{Container, Node, Pod, Snapshot};

use super::Scene;

/// Suggestions are rounded up to this: nobody writes 1533Mi.
const STEP: u64 = 64 * 1024 * 1024;

/// A new memory limit, or why none can be suggested.
pub(super) enum Suggestion {
    /// In bytes.
    Limit(u64),
    /// What it would need and what the roomiest node has, in bytes.
    NoRoom { wanted: u64, free: u64 },
}

/// max(1.5 × limit, 1.3 × peak), at most what the roomiest node has free (audit, crash-loop.res.2a).
pub(super) fn suggest_memory(scene: &Scene<'_>, sick: &[(&Pod, &Container)]) -> Option<Suggestion> {
    let limit = sick.iter().filter_map(|(_, container)| container.limits.memory_bytes).max()?;
    let peak = sick
        .iter()
        .filter_map(|(pod, container)| {
            scene.snapshot.pod_usage.get(&(pod.key.clone(), container.name.clone()))
        })
        .map(|usage| usage.memory_bytes)
        .max()
        .unwrap_or(limit);
    let wanted = (limit / 2).saturating_mul(3).max((peak / 10).saturating_mul(13));
    let wanted = wanted.checked_next_multiple_of(STEP)?;
    let Some(free) = scene.roomiest() else { return Some(Suggestion::Limit(wanted)) };
    if wanted <= free {
        return Some(Suggestion::Limit(wanted));
    }
    let fits = free / STEP * STEP;
    Some(if fits > limit { Suggestion::Limit(fits) } else { Suggestion::NoRoom { wanted, free } })
}

/// Unrequested memory of the roomiest node that takes pods; None when no node is known.
pub(super) fn roomiest(snapshot: &Snapshot) -> Option<u64> {
    let mut requested: HashMap<&str, u64> = HashMap::new();
    for pod in snapshot.pods.iter().filter(|pod| !pod.is_finished()) {
        if let Some(node) = &pod.node {
            let sum = requested.entry(node).or_default();
            *sum = sum.saturating_add(requests(pod));
        }
    }
    let takes_pods = |node: &&Node| {
        node.is_ready()
            && !node.unschedulable
            && !node.taints.iter().any(|taint| &*taint.effect != "PreferNoSchedule")
    };
    snapshot
        .nodes
        .iter()
        .filter(takes_pods)
        .filter_map(|node| {
            let used = requested.get(&*node.key.name).copied().unwrap_or(0);
            Some(node.allocatable.memory_bytes?.saturating_sub(used))
        })
        .max()
}

/// A pod's memory request: that of its containers together, or of its largest init container.
fn requests(pod: &Pod) -> u64 {
    let of = |init: bool| {
        pod.containers
            .iter()
            .filter(move |container| container.init == init)
            .filter_map(|container| container.requests.memory_bytes)
    };
    of(false).fold(0, u64::saturating_add).max(of(true).max().unwrap_or(0))
}
