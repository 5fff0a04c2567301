//! What ails a node, by its conditions, lease, taints and events; and whether somebody meant it to go.

use jiff::SignedDuration;

use crate::domain::{
    Cause, ChangeKind, Condition, Evidence, Kind, Node, Origin, Pod, Status, Timestamp, between, cause, text,
};

use super::Scene;
use super::node_notready::{FLAPS, JOINING, LEAVES, lease_of, lease_renewed};
use super::node_pulse::Pulse;
use super::node_sandbox::{Stillborn, starts_nothing};
use super::workload::{evidence, quote};

/// A heartbeat older than this says nothing about when the kubelet fell silent (it reports unchanged
/// status only every 5 min).
const HEARTBEAT: SignedDuration = SignedDuration::from_mins(5);

/// Taints by which an autoscaler or the cloud announces that it takes a node away.
const LEAVING: &[&str] = &[
    "ToBeDeletedByClusterAutoscaler",
    "karpenter.sh/disrupted",
    "karpenter.sh/disruption",
    "aws-node-termination-handler/spot-itn",
    "aws-node-termination-handler/asg-lifecycle-termination",
    "aws-node-termination-handler/scheduled-maintenance",
    "aws-node-termination-handler/rebalance-recommendation",
    "cloud.google.com/impending-node-termination",
];

/// How sure it is that a node is ill.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Grade {
    /// Others think so.
    Suspected,
    /// It is Ready, and says itself that it lacks something.
    Ill,
    /// Ready is not True.
    Down,
}

#[derive(Debug)]
pub(super) struct Ailment {
    pub since: Timestamp,
    pub grade: Grade,
    /// The kubelet says nothing, rather than that it is not ready.
    pub is_silent: bool,
    /// For a title: `not ready: kubelet stopped reporting`.
    pub label: String,
    pub causes: Vec<Cause>,
    pub evidence: Vec<Evidence>,
}

impl Ailment {
    /// Of a node that is Ready, and not well.
    pub(super) fn ill(since: Timestamp, label: &str, cause: Cause, evidence: Vec<Evidence>) -> Self {
        let label = label.to_owned();
        Self { since, grade: Grade::Ill, is_silent: false, label, causes: vec![cause], evidence }
    }
}

/// What ails a node, if anything does.
pub(super) fn ailment(
    scene: &Scene<'_>,
    node: &Node,
    pulse: Pulse,
    stillborn: &Stillborn<'_>,
) -> Option<Ailment> {
    // One whose object is being deleted (Karpenter drains behind a finalizer) is on its way out, for a while.
    let leaves = node.deleting.is_some_and(|since| !scene.has_lasted(since, &LEAVES));
    if leaves || node.taints.iter().any(|taint| LEAVING.contains(&&*taint.key)) {
        return None;
    }
    match node.condition("Ready") {
        Some(ready) if ready.status == Status::True => pulse
            .overdue(scene, node)
            .or_else(|| lacking(scene, node))
            .or_else(|| flapping(scene, node))
            .or_else(|| pulse.clock_off(scene, node))
            .or_else(|| starts_nothing(scene, node, stillborn)),
        Some(ready) if !is_unheard(node) => {
            let down = not_ready(scene, node, ready);
            Some(match flapping(scene, node) {
                Some(flaps) => again(down, flaps),
                None => down,
            })
        }
        _ => Some(unheard(scene, node)),
    }
}

/// One that is down once more has been ill since the first time: it will not be well before it stays.
fn again(down: Ailment, flaps: Ailment) -> Ailment {
    let mut causes: Vec<Cause> = flaps.causes.into_iter().chain(down.causes).collect();
    causes.sort_by(|one, other| other.weight.total_cmp(&one.weight));
    Ailment {
        since: down.since.min(flaps.since),
        label: format!("{}, and {}", down.label, flaps.label),
        causes,
        evidence: down.evidence.into_iter().chain(flaps.evidence).collect(),
        ..down
    }
}

/// The node controller's reason for one whose kubelet it has never heard of.
const NEVER_UPDATED: &str = "NodeStatusNeverUpdated";

fn is_unheard(node: &Node) -> bool {
    node.condition("Ready").is_none_or(|ready| ready.reason.as_deref() == Some(NEVER_UPDATED))
}

/// A Node that nobody has ever reported for: its machine did not join, or somebody made the object.
fn unheard(scene: &Scene<'_>, node: &Node) -> Ailment {
    let says = "its kubelet has never reported";
    Ailment {
        since: node.created.min(scene.now),
        grade: Grade::Suspected,
        is_silent: false,
        label: "has never reported".to_owned(),
        causes: vec![Cause { name: cause::NEVER_REPORTED, says: says.to_owned(), weight: 0.6 }],
        evidence: vec![evidence(Origin::Nodes, Some(node.created), format!("{}: {says}", node.key.name))],
    }
}

/// Ready, and short of memory or process ids, or without a route to its pods. Its disk has a rule of its own.
fn lacking(scene: &Scene<'_>, node: &Node) -> Option<Ailment> {
    let troubles: Vec<&Condition> =
        node.troubles().filter(|trouble| &*trouble.kind != "DiskPressure").collect();
    let since = troubles.iter().map(|trouble| trouble.since.unwrap_or(node.created)).min()?.min(scene.now);
    let (name, label) = match &*troubles[0].kind {
        "MemoryPressure" => (cause::NODE_PRESSURE, "under memory pressure"),
        "PIDPressure" => (cause::NODE_PRESSURE, "short of process ids"),
        "NetworkUnavailable" => (cause::NODE_NETWORK, "without a route to its pods"),
        "ReadonlyFilesystem" => (cause::NODE_PROBLEM, "cannot write to its file system"),
        "KernelDeadlock" => (cause::NODE_PROBLEM, "its kernel hangs"),
        kind if kind.ends_with("Pressure") => (cause::NODE_PRESSURE, "under pressure"),
        _ => (cause::NODE_PROBLEM, "has a problem that its detector reports"),
    };
    let says = told(&troubles[0].kind, troubles[0].message.as_deref());
    let facts = troubles.iter().map(|trouble| {
        evidence(Origin::Nodes, trouble.since, told(&trouble.kind, trouble.message.as_deref()))
    });
    Some(Ailment::ill(since, label, Cause { name, says, weight: 0.85 }, facts.collect()))
}

/// `MemoryPressure: kubelet has insufficient memory available`; the name alone where nothing is said.
fn told(name: &str, message: Option<&str>) -> String {
    match message.map(quote).filter(|message| !message.is_empty()) {
        Some(message) => format!("{name}: {message}"),
        None => name.to_owned(),
    }
}

fn not_ready(scene: &Scene<'_>, node: &Node, ready: &Condition) -> Ailment {
    let marked = ready.since.unwrap_or(node.created).min(scene.now);
    let silent = ready.status == Status::Unknown;
    let lease = lease_renewed(scene, node).filter(|renewed| *renewed <= marked);
    let since = match lease {
        Some(renewed) if silent && marked.duration_since(renewed) <= HEARTBEAT => renewed,
        _ => marked,
    };
    let words = ready.message.as_deref().unwrap_or_default();
    let says = told(ready.reason.as_deref().unwrap_or("not Ready"), Some(words));
    let mut facts = vec![evidence(Origin::Nodes, Some(marked), format!("{}: {says}", node.key.name))];
    if let Some(renewed) = lease.filter(|_| silent) {
        let says = format!("lease not renewed for {}", text::span(between(renewed, scene.now)));
        facts.push(evidence(Origin::Leases, Some(renewed), says));
    }
    let mut causes = vec![main_cause(node, silent, words)];
    for pressure in node.pressures() {
        let says = told(&pressure.kind, pressure.message.as_deref());
        facts.push(evidence(Origin::Nodes, pressure.since, says.clone()));
        causes.push(Cause { name: cause::NODE_PRESSURE, says, weight: 0.8 });
    }
    causes.sort_by(|one, other| other.weight.total_cmp(&one.weight));
    causes.dedup_by(|one, other| one.name == other.name);
    let label = format!("not ready: {}", label(causes[0].name));
    Ailment { since, grade: Grade::Down, is_silent: silent, label, causes, evidence: facts }
}

fn main_cause(node: &Node, silent: bool, raw: &str) -> Cause {
    let (message, lower) = (quote(raw), raw.to_lowercase());
    let says = |words: &str| if message.is_empty() { words.to_owned() } else { message.clone() };
    let (name, says, weight) = match () {
        () if node.has_taint("node.cloudprovider.kubernetes.io/shutdown") => {
            (cause::NODE_STOPPED, "the cloud says that the machine is shut down".to_owned(), 0.95)
        }
        () if lower.contains("node is shutting down") => (cause::NODE_STOPPED, message.clone(), 0.85),
        () if silent => (cause::KUBELET_SILENT, says("the kubelet stopped reporting"), 0.75),
        // Without a runtime there is no network either, and the kubelet says both.
        () if ["runtime is down", "pleg", "runtime status check"]
            .iter()
            .any(|words| lower.contains(words)) =>
        {
            (cause::RUNTIME, says(""), 0.85)
        }
        () if lower.contains("cni") || lower.contains("network") => (cause::NODE_NETWORK, says(""), 0.85),
        () if lower.contains("runtime") => (cause::RUNTIME, says(""), 0.85),
        () => (cause::NODE_UNREADY, says("the kubelet says it is not ready"), 0.4),
    };
    Cause { name, says, weight }
}

fn label(name: &str) -> &'static str {
    match name {
        cause::NODE_STOPPED => "the machine is stopped",
        cause::KUBELET_SILENT => "kubelet stopped reporting",
        cause::NODE_NETWORK => "network plugin not ready",
        cause::RUNTIME => "container runtime hangs",
        cause::NODE_PRESSURE => "out of resources",
        _ => "for a reason of its own",
    }
}

fn flapping(scene: &Scene<'_>, node: &Node) -> Option<Ailment> {
    let window = SignedDuration::from_mins(15);
    let gone: Vec<_> = scene
        .events(Kind::Node, &node.key)
        .filter(|event| &*event.reason == "NodeNotReady" && scene.now.duration_since(event.last) <= window)
        .filter(|event| scene.now.duration_since(event.first) <= window)
        .collect();
    let told: u32 = gone.iter().map(|event| event.count.max(1)).sum();
    let falls = scene.snapshot.falls.get(&node.key).into_iter().flatten();
    let falls: Vec<Timestamp> = falls.copied().filter(|at| scene.now.duration_since(*at) <= window).collect();
    let times = told.max(falls.len() as u32);
    if f64::from(times) < scene.threshold(&FLAPS) {
        return None;
    }
    let since = gone.iter().map(|event| event.first).chain(falls).min()?;
    let says = format!("not ready {times} times since {}", text::span(between(since, scene.now)));
    let facts = vec![evidence(Origin::Events, Some(since), format!("{}: {says}", node.key.name))];
    Some(Ailment::ill(
        since,
        "comes and goes",
        Cause { name: cause::NODE_FLAPPING, says, weight: 0.8 },
        facts,
    ))
}

/// Whether this is how it should be: the node joins, nobody uses it yet, or somebody took it out.
pub(super) fn is_expected(scene: &Scene<'_>, node: &Node, ailment: &Ailment, pods: &[&Pod]) -> bool {
    let is_unused = || pods.is_empty() && lease_of(scene, node).is_none();
    is_joining(scene, node, pods) || is_unheard(node) && is_unused() || is_planned(scene, node, ailment, pods)
}

/// Young, and without a sign that it ever worked: a kubelet that stopped had reported, and none but pods that go
/// everywhere (DaemonSets', static ones, those of the system) are placed on a node that was never ready.
fn is_joining(scene: &Scene<'_>, node: &Node, pods: &[&Pod]) -> bool {
    let stopped = || {
        let ready = node.condition("Ready").filter(|ready| ready.status == Status::Unknown);
        ready.is_some_and(|ready| ready.reason.as_deref() == Some("NodeStatusUnknown"))
    };
    let goes_everywhere = |pod: &&Pod| {
        let of_system = pod.priority_class.as_ref().is_some_and(|class| class.starts_with("system-"));
        pod.is_mirror || pod.is_owned_by("DaemonSet") || of_system
    };
    !scene.has_lasted(node.known_since(), &JOINING) && !stopped() && pods.iter().all(goes_everywhere)
}

/// Whether somebody took the node out on purpose: cordoned before it went, and drained. A cordon that came
/// after is how people, and our own playbook, answer a dead node: the trouble stays.
fn is_planned(scene: &Scene<'_>, node: &Node, ailment: &Ailment, pods: &[&Pod]) -> bool {
    if !node.unschedulable {
        return false;
    }
    let stays = |pod: &&&Pod| pod.deleting.is_none() && !pod.is_mirror && !pod.is_owned_by("DaemonSet");
    let cordoned = node
        .taints
        .iter()
        .find(|taint| &*taint.key == "node.kubernetes.io/unschedulable")
        .and_then(|taint| taint.added);
    let ours =
        scene.snapshot.deeds.iter().any(|deed| {
            deed.kind == ChangeKind::Ours && deed.object.key == node.key && deed.at >= ailment.since
        });
    match cordoned {
        Some(at) if at > ailment.since => false,
        _ => !ours && pods.iter().filter(stays).count() == 0,
    }
}
