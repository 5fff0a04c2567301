//! The scheduler: a node for each pod, by requests, taints, selectors and spread; or the reason why not.
//! It knows what pods ask for and nodes offer, not what runs.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::cluster::{Cluster, Work};
use super::conditions::{self, Shown};
use super::events::{About, Source};
use super::objects::{Node, Pod, Taint};
use super::shelf::Key;
use crate::lab::store::seconds;

const SOURCE: &str = "default-scheduler";

/// Seconds after which an unschedulable pod is tried again even if nothing was seen to change
/// (kube-scheduler's back-off is 1-10 s, then it waits for events or five minutes).
const RETRY: f64 = 60.0;

pub fn schedule(cluster: &mut Cluster, key: &Key) {
    let Some(pod) = cluster.pods.get(key) else { return };
    if !pod.spec.node_name.is_empty() || pod.is_deleting() || pod.is_finished() {
        return;
    }
    let nodes: Vec<Arc<Node>> = cluster.nodes.iter().map(|(_, node)| node.clone()).collect();
    let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
    let mut best: Option<(f64, String)> = None;
    for node in &nodes {
        match fits(cluster, &pod, node) {
            Ok(score) => {
                if best.as_ref().is_none_or(|(highest, _)| score > *highest) {
                    best = Some((score, node.metadata.name.clone()));
                }
            }
            Err(whys) => whys.into_iter().for_each(|why| *reasons.entry(why).or_default() += 1),
        }
    }
    match best {
        Some((_, node)) => bind(cluster, &pod, &node),
        None => refuse(cluster, &pod, nodes.len(), &reasons),
    }
}

/// The score of a node (higher is better), or every reason against it.
fn fits(cluster: &Cluster, pod: &Pod, node: &Node) -> Result<f64, Vec<String>> {
    let tolerated = |taint: &Taint| pod.spec.tolerations.iter().any(|toleration| toleration.tolerates(taint));
    if let Some(taint) = node
        .spec
        .taints
        .iter()
        .find(|taint| matches!(taint.effect.as_str(), "NoSchedule" | "NoExecute") && !tolerated(taint))
    {
        let why = if taint.key == "node.kubernetes.io/unschedulable" {
            "node(s) were unschedulable".to_owned()
        } else {
            format!("node(s) had untolerated taint {{{}: {}}}", taint.key, taint.value)
        };
        return Err(vec![why]);
    }
    if node.spec.unschedulable && !tolerated(&unschedulable()) {
        return Err(vec!["node(s) were unschedulable".to_owned()]);
    }
    if !pod.spec.node_selector.iter().all(|(key, value)| node.metadata.labels.get(key) == Some(value)) {
        return Err(vec!["node(s) didn't match Pod's node affinity/selector".to_owned()]);
    }
    let there: Vec<Arc<Pod>> =
        cluster.pods_on(&node.metadata.name).into_iter().filter(|other| !other.is_finished()).collect();
    let mut score = 0.0;
    let mut whys = Vec::new();
    for (resource, name) in [("cpu", "cpu"), ("memory", "memory")] {
        let room = node.allocatable(resource);
        let used: f64 = there.iter().map(|other| other.requests(resource)).sum();
        let asked = pod.requests(resource);
        if asked > 0.0 && used + asked > room + 1e-9 {
            whys.push(format!("Insufficient {name}"));
        }
        score += 50.0 * (1.0 - (used + asked) / room.max(1e-9));
    }
    if there.len() as f64 + 1.0 > node.allocatable("pods") {
        whys.push("Too many pods".to_owned());
    }
    score -= skew(cluster, pod, node, &there, &mut whys);
    if whys.is_empty() { Ok(score) } else { Err(whys) }
}

fn unschedulable() -> Taint {
    Taint {
        key: "node.kubernetes.io/unschedulable".to_owned(),
        effect: "NoSchedule".to_owned(),
        ..Taint::default()
    }
}

/// What spreading says: a penalty per pod of the same kind here, or a refusal if the skew is binding.
fn skew(cluster: &Cluster, pod: &Pod, node: &Node, there: &[Arc<Pod>], whys: &mut Vec<String>) -> f64 {
    let same = |others: &[Arc<Pod>]| -> i64 {
        let mine = pod.metadata.controller().map(|owner| &owner.uid);
        others
            .iter()
            .filter(|other| !other.is_deleting() && mine.is_some())
            .filter(|other| {
                let spread = pod.spec.topology_spread_constraints.first();
                match spread {
                    Some(spread) => {
                        spread.label_selector.matches(&other.metadata.labels)
                            && other.metadata.namespace == pod.metadata.namespace
                    }
                    None => other.metadata.controller().map(|owner| &owner.uid) == mine,
                }
            })
            .count() as i64
    };
    let here = same(there);
    for spread in &pod.spec.topology_spread_constraints {
        if spread.when_unsatisfiable != "DoNotSchedule" || spread.topology_key != "kubernetes.io/hostname" {
            continue;
        }
        let fewest = cluster
            .nodes
            .iter()
            .filter(|(_, other)| other.metadata.name != node.metadata.name)
            .map(|(key, _)| same(&cluster.pods_on(&key.name)))
            .min()
            .unwrap_or(here);
        if here + 1 - fewest.min(here) > spread.max_skew {
            whys.push("node(s) didn't match pod topology spread constraints".to_owned());
        }
    }
    here as f64 * 40.0
}

fn bind(cluster: &mut Cluster, pod: &Pod, node: &str) {
    let at = seconds(cluster.now);
    cluster.update::<Pod>(&Key::of(pod), |pod| {
        pod["spec"]["nodeName"] = node.into();
        let shown = Shown { kind: "PodScheduled", status: "True", reason: "", message: "" };
        conditions::put(&mut pod["status"], &shown, &at);
    });
    let Pod { metadata, .. } = pod;
    let message = format!("Successfully assigned {}/{} to {node}", metadata.namespace, metadata.name);
    cluster.normal(About::new("pods", metadata), Source::of(SOURCE), "Scheduled", &message);
}

fn refuse(cluster: &mut Cluster, pod: &Pod, nodes: usize, reasons: &BTreeMap<String, usize>) {
    let listed: Vec<String> = reasons.iter().map(|(why, count)| format!("{count} {why}")).collect();
    let listed =
        if listed.is_empty() { "no nodes available to schedule pods".to_owned() } else { listed.join(", ") };
    let help = if reasons.keys().any(|why| why.starts_with("Insufficient")) {
        "No preemption victims found for incoming pod"
    } else {
        "Preemption is not helpful for scheduling"
    };
    let message = format!(
        "0/{nodes} nodes are available: {listed}. preemption: 0/{nodes} nodes are available: {nodes} {help}."
    );
    let at = seconds(cluster.now);
    cluster.update::<Pod>(&Key::of(pod), |pod| {
        let shown =
            Shown { kind: "PodScheduled", status: "False", reason: "Unschedulable", message: &message };
        conditions::put(&mut pod["status"], &shown, &at);
    });
    let about = About::new("pods", &pod.metadata);
    cluster.warn(about, Source::of(SOURCE), "FailedScheduling", &message);
    cluster.enqueue_in(RETRY, Work::Schedule(Key::of(pod)));
}
