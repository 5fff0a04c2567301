//! Which changes can have to do with an anomaly: those of objects it touches or depends on, and our own.

use std::collections::HashSet;

use jiff::SignedDuration;

use super::conditions::has_cause;
use crate::domain::{
    Anomaly, Change, ChangeKind, Key, Kind, Name, ObjectRef, Snapshot, Subject, Template, cause,
};

/// How long before an onset a change is blamed (audit, section 5).
const BLAME: SignedDuration = SignedDuration::from_mins(15);
/// Onsets are estimates, and clocks differ.
const SLACK: SignedDuration = SignedDuration::from_secs(60);
/// Of our own deeds we know the moment; the API server tells whole seconds only.
const OURS: SignedDuration = SignedDuration::from_secs(2);

/// Relevant changes that may have caused an anomaly.
pub(super) fn before<'a>(
    anomaly: &'a Anomaly,
    changes: &'a [Change],
    snapshot: &'a Snapshot,
) -> impl Iterator<Item = &'a Change> {
    let sphere = Sphere::of(anomaly, snapshot);
    changes.iter().filter(move |change| {
        let before = anomaly.onset.duration_since(change.at);
        let slack = if change.kind == ChangeKind::Ours { OURS } else { SLACK };
        before >= -slack && before <= BLAME && sphere.contains(change)
    })
}

/// Relevant changes in the time before an onset and since, the nearest before the onset first.
pub(super) fn around(
    anomaly: &Anomaly,
    changes: &[Change],
    snapshot: &Snapshot,
    back: SignedDuration,
) -> Vec<Change> {
    let sphere = Sphere::of(anomaly, snapshot);
    let mut relevant: Vec<&Change> = changes
        .iter()
        .filter(|change| anomaly.onset.duration_since(change.at) <= back && sphere.contains(change))
        .collect();
    relevant.sort_by_key(|change| {
        let before = anomaly.onset.duration_since(change.at);
        (before < SignedDuration::ZERO, before.unsigned_abs())
    });
    relevant.into_iter().cloned().collect()
}

/// What an anomaly depends on.
struct Sphere<'a> {
    objects: HashSet<ObjectRef>,
    /// Traffic depends on everything in its namespace, a database on everything that connects to it.
    namespace: Option<&'a Name>,
    everything: bool,
    /// It runs elsewhere: no node is its reason.
    outside: bool,
    /// Kinds whose objects concern every pod of a namespace.
    around: Option<(&'a Name, &'static [Kind])>,
    /// It is about the nodes among the objects.
    of_nodes: bool,
    /// The autoscaler it is about.
    scaler: Option<&'a ObjectRef>,
    /// It may lack others of its namespace, whatever was done to them.
    lacks_others: bool,
    /// It finds no node, whichever of these was closed.
    lacks_nodes: Option<&'a Snapshot>,
}

impl<'a> Sphere<'a> {
    fn of(anomaly: &'a Anomaly, snapshot: &'a Snapshot) -> Self {
        let mut objects: HashSet<ObjectRef> = anomaly.touches.iter().cloned().collect();
        for object in &anomaly.touches {
            let references = template(snapshot, object).into_iter().flat_map(|template| &template.references);
            objects.extend(references.map(|reference| reference.object.clone()));
            objects.extend(claims(snapshot, object));
        }
        for object in anomaly.touches.iter().filter(|object| object.kind == Kind::Deployment) {
            // An autoscaler of the same name is the usual one; its binding names any other.
            objects.insert(ObjectRef::new(Kind::HorizontalPodAutoscaler, object.key.clone()));
        }
        if let (Some(hpa), Some(namespace)) = (anomaly.bindings.get("hpa"), anomaly.bindings.get("namespace"))
        {
            let key = Key::new(namespace.as_str(), hpa.as_str());
            objects.insert(ObjectRef::new(Kind::HorizontalPodAutoscaler, key));
        }
        let of_one = matches!(&anomaly.subject, Subject::Object(object) if object.kind == Kind::Node);
        let of_nodes = of_one || &*anomaly.rule == "node-notready";
        if of_one && !has_cause(anomaly, FILLED_BY_PODS) {
            // What DaemonSets bring to a node is its network, its storage, its agents; not its kubelet.
            let agents = !has_cause(anomaly, &[cause::KUBELET_SILENT]);
            objects.retain(|object| object.kind == Kind::Node || agents && object.kind == Kind::DaemonSet);
        }
        // Nodes do not fall for what one namespace does.
        let of_all = of_nodes && anomaly.subject == Subject::Cluster;
        if of_all {
            objects.retain(|object| object.kind == Kind::Node);
        }
        let outside = matches!(anomaly.subject, Subject::Database(_) | Subject::Cache(_));
        let (namespace, everything) = match &anomaly.subject {
            Subject::Traffic(namespace) => (Some(namespace), namespace.is_empty()),
            Subject::Cluster if MONITORS.contains(&&*anomaly.rule) => (None, false),
            Subject::Database(_) | Subject::Cache(_) | Subject::Cluster => (None, !of_all),
            _ => (None, false),
        };
        let around = match &anomaly.subject {
            Subject::Object(object) => concerned(anomaly).map(|kinds| (&object.key.namespace, kinds)),
            _ => None,
        };
        let scaler = match &anomaly.subject {
            Subject::Object(object) if object.kind == Kind::HorizontalPodAutoscaler => Some(object),
            _ => None,
        };
        let lacks_others = has_cause(anomaly, LACKS_OTHERS);
        let lacks_nodes = has_cause(anomaly, LACKS_NODES).then_some(snapshot);
        Self { objects, namespace, everything, outside, around, of_nodes, scaler, lacks_others, lacks_nodes }
    }

    /// What was done to a neighbour concerns who needs it, and what was done to a node who finds none.
    fn is_near(&self, object: &ObjectRef) -> bool {
        let here = |namespace: &Name| self.objects.iter().any(|object| object.key.namespace == *namespace);
        match object.kind {
            Kind::Node => self.lacks_nodes.is_some_and(|snapshot| !is_open(snapshot, &object.key)),
            _ => self.lacks_others && here(&object.key.namespace),
        }
    }

    fn contains(&self, change: &Change) -> bool {
        // That a node went is what its anomaly says already.
        if change.kind == ChangeKind::Node && self.of_nodes && self.objects.contains(&change.object) {
            return false;
        }
        if self.outside && change.kind == ChangeKind::Node {
            return false;
        }
        if self.lacks_nodes.is_some() && change.is_arrival() {
            return false;
        }
        // So is what an autoscaler did itself.
        if change.kind == ChangeKind::Scaling && self.scaler == Some(&change.object) {
            return false;
        }
        self.everything
            || self.is_near(&change.object)
                && (change.kind == ChangeKind::Ours || change.kind == ChangeKind::Node)
            || self.objects.contains(&change.object)
            || self.namespace == Some(&change.object.key.namespace)
            || self.around.is_some_and(|(namespace, kinds)| {
                *namespace == change.object.key.namespace
                    && kinds.contains(&change.object.kind)
                    && !change.is_new_service()
            })
    }
}

/// Rules about what watches: of what is watched nothing is their reason.
const MONITORS: &[&str] = &["prom-down", "alertmanager-down"];

/// What the pods of a node do to it. Of anything else that ails a node they are not the cause.
const FILLED_BY_PODS: &[&str] = &[
    cause::NODE_PRESSURE,
    cause::NODE_OOM,
    cause::POD_FILLS_DISK,
    cause::IMAGES_FILL_DISK,
    cause::LARGE_LOGS,
];

/// What a workload's pods are made from.
fn template<'a>(snapshot: &'a Snapshot, object: &ObjectRef) -> Option<&'a Template> {
    match object.kind {
        Kind::Deployment => snapshot.deployments.get(&object.key).map(|found| &found.template),
        Kind::Job => snapshot.jobs.get(&object.key).map(|found| &found.template),
        kind => snapshot.controller(kind, &object.key).map(|found| &found.template),
    }
}

/// The claims of a pod's volumes.
fn claims(snapshot: &Snapshot, pod: &ObjectRef) -> impl Iterator<Item = ObjectRef> {
    let found = snapshot.pods.get(&pod.key).filter(|_| pod.kind == Kind::Pod);
    let names = found.map_or_else(Vec::new, |found| found.claims.to_vec());
    let space = pod.key.namespace.clone();
    names
        .into_iter()
        .map(move |name| ObjectRef::new(Kind::PersistentVolumeClaim, Key::new(space.clone(), name)))
}

/// Whether a node is there, and takes whatever comes.
fn is_open(snapshot: &Snapshot, node: &Key) -> bool {
    let node = snapshot.nodes.get(node);
    node.is_some_and(|node| node.is_ready() && !node.unschedulable && node.taints.is_empty())
}

/// Troubles behind which others of the namespace may be, or the ways to them.
const LACKS_OTHERS: &[&str] = &[
    cause::CRASH,
    cause::DATABASE_UNREACHABLE,
    cause::READINESS,
    cause::LIVENESS_KILLED,
    cause::STARTUP_KILLED,
    cause::NO_ENDPOINTS,
    cause::SERVICE_ABSENT,
    cause::BAD_GATEWAY,
];
/// Pods for which there is no node.
const LACKS_NODES: &[&str] = &[
    cause::UNSCHEDULABLE,
    cause::NODES_AWAY,
    cause::NO_NODE_MATCHES,
    cause::SPREAD_CONSTRAINT,
    cause::VOLUME_ELSEWHERE,
    cause::HOST_PORT,
];

/// What of a namespace may be behind such a trouble: its ways, or its limits.
fn concerned(anomaly: &Anomaly) -> Option<&'static [Kind]> {
    if has_cause(anomaly, &[cause::QUOTA, cause::QUOTA_DEMANDS]) {
        return Some(&[Kind::ResourceQuota, Kind::LimitRange]);
    }
    has_cause(anomaly, LACKS_OTHERS).then_some(&[Kind::NetworkPolicy, Kind::Service])
}
