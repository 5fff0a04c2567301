//! Nodes that are not ready, one by one, or the whole cluster when it is many at once.
//! Reads conditions, taints and leases; the machine behind a node is for others to look at.

use std::collections::HashMap;

use jiff::SignedDuration;

use crate::domain::{
    Anomaly, AnomalyId, Cause, Key, Kind, Lease, Node, ObjectRef, Origin, Pod, Severity, Subject, Timestamp,
    cause,
};

use super::node_ailment::{Ailment, Grade, ailment, is_expected};
use super::node_load::{Load, load, pods_here};
use super::node_pulse::Pulse;
use super::node_sandbox::stillborn;
use super::workload::{Bindings, evidence};
use super::{Needs, Rule, Scene, Threshold, Unit, node_unseen, pages_at, shown};

pub(super) const LEASE: Threshold = Threshold {
    key: "node-notready.lease",
    default: 50.0,
    unit: Unit::Seconds,
    says: "how much older than the others' a node's lease is before it is suspected",
    source: "Kubernetes: --node-monitor-grace-period, 50s since 1.32",
};
pub(super) const CLOCK_OFF: Threshold = Threshold {
    key: "node-notready.clock-off",
    default: 60.0,
    unit: Unit::Seconds,
    says: "by how much a node's clock differs from the others' before it is suspected",
    source: "our own choice; tokens and new certificates are refused by less",
};
pub(super) const WARNING_AFTER: Threshold = Threshold {
    key: "node-notready.warning-after",
    default: 120.0,
    unit: Unit::Seconds,
    says: "how long it lasts before it is a warning",
    source: "our own choice; public alerts wait 10 or 15 min",
};
const CRITICAL_SHARE: Threshold = Threshold {
    key: "node-notready.critical-share",
    default: 0.2,
    unit: Unit::Ratio,
    says: "share of nodes at which it is critical",
    source: "our own choice",
};
const CONTROL_PLANE_SHARE: Threshold = Threshold {
    key: "node-notready.control-plane-share",
    default: 0.3,
    unit: Unit::Ratio,
    says: "share of nodes (and at least two) that points at the control plane or the network",
    source: "our own choice; Kubernetes stops evicting in a zone at 55 % (--unhealthy-zone-threshold)",
};
pub(super) const JOINING: Threshold = Threshold {
    key: "node-notready.joining",
    default: 300.0,
    unit: Unit::Seconds,
    says: "a node younger than this, that shows no sign of having worked, is still joining",
    source: "our own choice",
};
pub(super) const LEAVES: Threshold = Threshold {
    key: "node-notready.leaves",
    default: 1800.0,
    unit: Unit::Seconds,
    says: "a node being deleted for less long than this is expected to go",
    source: "our own choice; Karpenter's drain waits for disruption budgets",
};
pub(super) const FLAPS: Threshold = Threshold {
    key: "node-notready.flaps",
    default: 3.0,
    unit: Unit::Count,
    says: "times a node went within 15 min for it to be called flapping",
    source: "kubernetes-mixin: KubeNodeReadinessFlapping, more than 2 changes in 15m",
};
const PAGES_AFTER: Threshold = Threshold {
    key: "node-notready.pages-after",
    default: 900.0,
    unit: Unit::Seconds,
    says: "`for` of the public alert",
    source: "kubernetes-mixin: KubeNodeNotReady, 15m",
};

/// Nodes that one thing takes fall within this time: the node controller looks at each every few seconds, and waits
/// for its grace period (kube-controller-manager: `--node-monitor-grace-period`, 50 s).
const AT_ONCE: SignedDuration = SignedDuration::from_mins(2);

pub(super) static RULE: Rule = Rule {
    name: "node-notready",
    title: "Nodes not ready",
    says: "Nodes whose Ready condition is not True, that are short of memory or process ids or have no network, whose \
           lease is overdue, whose clock is wrong, that come and go, or that start the pods of no workload. Silent about nodes that join, that were cordoned and drained first, \
           and that an autoscaler takes away. At 30 % of the nodes it is one anomaly of the control plane, and no \
           node should be drained.",
    needs: Needs::All(&[Origin::Nodes]),
    awaits: &[],
    thresholds: &[
        LEASE,
        CLOCK_OFF,
        WARNING_AFTER,
        CRITICAL_SHARE,
        CONTROL_PLANE_SHARE,
        JOINING,
        LEAVES,
        FLAPS,
        PAGES_AFTER,
    ],
    examine,
};

fn examine(scene: &Scene<'_>) -> Vec<Anomaly> {
    let pulse = Pulse::of(scene);
    let stillborn = stillborn(scene);
    let mut ill: Vec<(&Node, Ailment)> = scene
        .snapshot
        .nodes
        .iter()
        .filter_map(|node| Some((node, ailment(scene, node, pulse, &stillborn)?)))
        .collect();
    if ill.is_empty() {
        return node_unseen::examine(scene);
    }
    ill.sort_by(|(one, _), (other, _)| one.key.cmp(&other.key));
    let mut pods: HashMap<&str, Vec<&Pod>> =
        ill.iter().map(|(node, _)| (&*node.key.name, Vec::new())).collect();
    for pod in scene.snapshot.pods.iter().filter(|pod| !pod.is_finished()) {
        if let Some(here) = pod.node.as_ref().and_then(|node| pods.get_mut(&**node)) {
            here.push(pod);
        }
    }
    for here in pods.values_mut() {
        here.sort_by(|one, other| one.key.cmp(&other.key));
    }
    let none = Vec::new();
    let on = |node: &Node| pods.get(&*node.key.name).unwrap_or(&none);
    ill.retain(|(node, ailment)| !is_expected(scene, node, ailment, on(node)));
    let down = ill.iter().filter(|(_, ailment)| ailment.grade == Grade::Down).count();
    let share = down as f64 / scene.snapshot.nodes.len().max(1) as f64;
    if down >= 2 && share >= scene.threshold(&CONTROL_PLANE_SHARE) {
        ill.retain(|(_, ailment)| ailment.grade == Grade::Down);
        let here: Vec<&Pod> = ill.iter().flat_map(|(node, _)| on(node).iter().copied()).collect();
        return Vec::from_iter(of_cluster(scene, &ill, &here));
    }
    ill.iter().filter_map(|(node, ailment)| of_node(scene, node, ailment, on(node), down, share)).collect()
}

fn of_node(
    scene: &Scene<'_>,
    node: &Node,
    ailment: &Ailment,
    pods: &[&Pod],
    down: usize,
    share: f64,
) -> Option<Anomaly> {
    let load = load(scene, pods);
    let lasting = scene.has_lasted(ailment.since, &WARNING_AFTER);
    let grave = down > 1 || share >= scene.threshold(&CRITICAL_SHARE) || load.is_precious();
    // The node controller waits for its grace period before it says Unknown; the kubelet says False at once,
    // also while it restarts.
    let certain = lasting || ailment.is_silent;
    let severity = match ailment.grade {
        Grade::Down if grave && certain => Severity::Critical,
        Grade::Down | Grade::Ill if lasting => Severity::Warning,
        _ => Severity::Suspect,
    };
    let base = match ailment.grade {
        Grade::Down => 0.8,
        Grade::Ill if lasting => 0.7,
        Grade::Suspected if ailment.is_silent => 0.6,
        _ => 0.55,
    };
    let raise = if load.is_precious() { 0.1 } else { 0.0 };
    let mut facts = ailment.evidence.clone();
    facts.extend(load.evidence(scene));
    shown(Anomaly {
        id: AnomalyId(format!("{}/node/{}", RULE.name, node.key.name).into()),
        rule: RULE.name.into(),
        subject: Subject::Object(ObjectRef::new(Kind::Node, node.key.clone())),
        severity,
        score: base + raise,
        onset: ailment.since,
        title: format!("{}; {} on it", ailment.label, pods_here(scene, pods.len())),
        evidence: facts,
        causes: ailment.causes.clone(),
        touches: touches(scene, &[node], pods),
        bindings: bindings(node, &load),
        pages_at: (ailment.grade == Grade::Down)
            .then(|| pages_at(scene, ailment.since, &PAGES_AFTER))
            .flatten(),
    })
}

/// When many fell: what one of them had before is a story of its own.
fn fell(mut moments: Vec<Timestamp>) -> Option<Timestamp> {
    moments.sort_unstable();
    let most = *moments.get(moments.len() / 2)?;
    moments.into_iter().find(|moment| most.duration_since(*moment) <= AT_ONCE)
}

/// Of the nodes that are down; what else ails the others is told when these are back.
fn of_cluster(scene: &Scene<'_>, ill: &[(&Node, Ailment)], pods: &[&Pod]) -> Option<Anomaly> {
    let onset = fell(ill.iter().map(|(_, ailment)| ailment.since).collect())?;
    let (down, total) = (ill.len(), scene.snapshot.nodes.len());
    let load = load(scene, pods);
    let says =
        format!("{down} of {total} nodes at once: look at the control plane and the network, do not drain");
    let mut facts = vec![evidence(Origin::Nodes, Some(onset), says.clone())];
    facts.extend(ill.iter().take(4).filter_map(|(_, ailment)| ailment.evidence.first().cloned()));
    facts.extend(load.evidence(scene));
    let mut causes = vec![Cause { name: cause::CONTROL_PLANE, says, weight: 0.9 }];
    for cause in ill.iter().flat_map(|(_, ailment)| &ailment.causes) {
        if !causes.iter().any(|known| known.name == cause.name) {
            causes.push(Cause { weight: cause.weight.min(0.5), ..cause.clone() });
        }
    }
    let nodes: Vec<&Node> = ill.iter().map(|(node, _)| *node).collect();
    let names: Vec<&str> = nodes.iter().take(20).map(|node| &*node.key.name).collect();
    let mut bindings = nodes.first().map(|node| self::bindings(node, &load)).unwrap_or_default();
    bindings.insert("nodes", names.join(","));
    bindings.insert("nodes_down", down.to_string());
    shown(Anomaly {
        id: AnomalyId(format!("{}/cluster", RULE.name).into()),
        rule: RULE.name.into(),
        subject: Subject::Cluster,
        severity: Severity::Critical,
        score: 0.95,
        onset,
        title: format!("{down} of {total} nodes not ready at once; {} on them", pods_here(scene, pods.len())),
        evidence: facts,
        causes,
        touches: touches(scene, &nodes, pods),
        bindings,
        pages_at: pages_at(scene, onset, &PAGES_AFTER),
    })
}

pub(super) fn touches(scene: &Scene<'_>, nodes: &[&Node], pods: &[&Pod]) -> Vec<ObjectRef> {
    let mut touches: Vec<ObjectRef> =
        nodes.iter().map(|node| ObjectRef::new(Kind::Node, node.key.clone())).collect();
    for pod in pods {
        touches.push(ObjectRef::new(Kind::Pod, pod.key.clone()));
        touches.push(scene.workload_of(pod).0);
    }
    touches.sort();
    touches.dedup();
    touches
}

pub(super) fn bindings(node: &Node, load: &Load) -> Bindings {
    let mut bindings = Bindings::from([
        ("node", node.key.name.to_string()),
        ("cordoned", node.unschedulable.to_string()),
        ("pods_on_node", load.pods.to_string()),
        ("bare_pods", load.bare.join(",")),
        ("empty_dir_pods", load.empty_dir.to_string()),
        ("daemon_set_pods", load.daemon_set.to_string()),
    ]);
    let known = [
        ("node_ip", &node.internal_ip),
        ("provider_id", &node.provider_id),
        ("os_image", &node.os_image),
        ("kubelet_version", &node.kubelet_version),
        ("container_runtime", &node.container_runtime),
    ];
    bindings.extend(known.into_iter().filter_map(|(name, value)| Some((name, value.as_ref()?.to_string()))));
    // `aws:///eu-west-1a/i-0abc`: the machine is the last part.
    let instance = node.provider_id.as_ref().and_then(|id| id.rsplit('/').next().map(str::to_owned));
    bindings.extend(instance.map(|instance| ("instance", instance)));
    let group = node.labels.get("eks.amazonaws.com/nodegroup");
    bindings.extend(group.map(|group| ("node_group", group.to_string())));
    bindings
}

pub(super) fn lease_of<'a>(scene: &Scene<'a>, node: &Node) -> Option<&'a Lease> {
    scene.snapshot.leases.get(&Key::new("kube-node-lease", node.key.name.clone()))
}

/// When a node's lease was renewed last.
pub(super) fn lease_renewed(scene: &Scene<'_>, node: &Node) -> Option<Timestamp> {
    lease_of(scene, node)?.renewed
}
