//! The graph of explanations: no cycles, connected parts, and the member that explains the rest best.
//! Knows numbers and edges, not what they mean.

use std::collections::{BTreeMap, HashMap};

use crate::domain::Anomaly;

use super::links::Edge;

/// Keeps the edges that make no cycle, those that agree with the order of time and the heavier ones first.
pub(super) fn without_cycles(anomalies: &[Anomaly], mut edges: Vec<Edge>) -> Vec<Edge> {
    let in_time = |edge: &Edge| anomalies[edge.cause].onset <= anomalies[edge.effect].onset;
    edges.sort_by(|one, other| {
        in_time(other)
            .cmp(&in_time(one))
            .then(other.weight.total_cmp(&one.weight))
            .then_with(|| anomalies[one.cause].id.cmp(&anomalies[other.cause].id))
            .then_with(|| anomalies[one.effect].id.cmp(&anomalies[other.effect].id))
    });
    let mut kept: Vec<Edge> = Vec::new();
    let mut out: HashMap<usize, Vec<usize>> = HashMap::new();
    for edge in edges {
        if !reaches(&out, edge.effect, edge.cause) {
            out.entry(edge.cause).or_default().push(edge.effect);
            kept.push(edge);
        }
    }
    kept
}

fn reaches(out: &HashMap<usize, Vec<usize>>, from: usize, to: usize) -> bool {
    let mut open = vec![from];
    let mut seen = vec![from];
    while let Some(here) = open.pop() {
        if here == to {
            return true;
        }
        for next in out.get(&here).into_iter().flatten() {
            if !seen.contains(next) {
                seen.push(*next);
                open.push(*next);
            }
        }
    }
    false
}

/// The edges between these members, of so many anomalies.
pub(super) fn within<'e>(count: usize, members: &[usize], edges: &'e [Edge]) -> Vec<&'e Edge> {
    let mut inside = vec![false; count];
    for member in members {
        inside[*member] = true;
    }
    edges.iter().filter(|edge| inside[edge.cause] && inside[edge.effect]).collect()
}

/// Weakly connected components of these members, each sorted, in the order of their first members.
pub(super) fn components(count: usize, members: &[usize], edges: &[Edge]) -> Vec<Vec<usize>> {
    let mut leader: Vec<usize> = (0..count).collect();
    for edge in within(count, members, edges) {
        let (one, other) = (find(&mut leader, edge.cause), find(&mut leader, edge.effect));
        leader[one.max(other)] = one.min(other);
    }
    let mut components: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for member in members {
        let first = find(&mut leader, *member);
        components.entry(first).or_default().push(*member);
    }
    components.into_values().collect()
}

/// Who leads the component of a member.
fn find(leader: &mut [usize], mut member: usize) -> usize {
    while leader[member] != member {
        leader[member] = leader[leader[member]];
        member = leader[member];
    }
    member
}

/// Everything a member explains, directly or not, with the weight of the best explanation.
pub(super) fn descendants(root: usize, edges: &[&Edge]) -> BTreeMap<usize, f64> {
    let mut reached: BTreeMap<usize, f64> = BTreeMap::new();
    let mut open = vec![root];
    while let Some(here) = open.pop() {
        for edge in edges.iter().filter(|edge| edge.cause == here && edge.effect != root) {
            let known = reached.contains_key(&edge.effect);
            let weight = reached.entry(edge.effect).or_insert(0.0);
            *weight = weight.max(edge.weight);
            if !known {
                open.push(edge.effect);
            }
        }
    }
    reached
}

/// The member that nothing explains and that scores best: 0.35 earliness + 0.30 what it explains + 0.20 its own
/// score + 0.15 how deep its layer is (audit, section 5).
pub(super) fn root(
    anomalies: &[Anomaly],
    members: &[usize],
    edges: &[&Edge],
    changed: impl Fn(usize) -> bool,
) -> Option<(usize, f64)> {
    let onsets = || members.iter().map(|member| anomalies[*member].onset);
    let (first, last) = (onsets().min()?, onsets().max()?);
    let span = last.duration_since(first).as_secs_f64();
    let score = |member: usize| {
        let anomaly = &anomalies[member];
        let earliness =
            if span > 0.0 { last.duration_since(anomaly.onset).as_secs_f64() / span } else { 1.0 };
        let explained: f64 = descendants(member, edges).values().sum();
        let explained = explained / (members.len() - 1).max(1) as f64;
        let layer = if changed(member) { 1.0 } else { layer(&anomaly.rule) };
        0.35 * earliness + 0.30 * explained + 0.20 * anomaly.score + 0.15 * layer
    };
    members
        .iter()
        .copied()
        .filter(|member| !edges.iter().any(|edge| edge.effect == *member))
        .map(|member| (member, score(member)))
        .max_by(|(one, one_score), (other, other_score)| {
            one_score.total_cmp(other_score).then_with(|| anomalies[*other].id.cmp(&anomalies[*one].id))
        })
}

/// Change > node > storage > database > platform > application > edge. A change counts as the deepest.
fn layer(rule: &str) -> f64 {
    match rule {
        "node-notready" => 0.85,
        "disk-full" => 0.8,
        "db-pool" | "db-cpu" => 0.6,
        "cert-expiry" => 0.45,
        "crash-loop" | "image-pull" | "rollout-stuck" | "hpa-max" => 0.3,
        _ => 0.15,
    }
}
