//! The part of the Snapshot that one anomaly is about: its workload, pods, revisions and node, and what is
//! known about its causes by now. Looked up once for a plan.

use crate::domain::{
    self, Autoscaler, Controller, ControllerRevision, Deployment, Key, Kind, Node, ObjectRef, Phase, Pod,
    ReplicaSet, Snapshot, Subject, Template, WrongPort, cause,
};

use super::{Done, Facts, Playbook};

/// A cause that speaks for or against a step.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Reason {
    pub name: String,
    pub says: String,
}

pub(super) struct View<'a> {
    pub facts: Facts<'a>,
    pub deployment: Option<&'a Deployment>,
    /// Of the Deployment, the newest first.
    pub revisions: Vec<&'a ReplicaSet>,
    /// The StatefulSet or DaemonSet it is about.
    pub controller: Option<&'a Controller>,
    /// Of the workload, or those the anomaly touches; sorted by name, without the finished ones. A Job's failed ones
    /// stay: they are what there is to read.
    pub pods: Vec<&'a Pod>,
    pub node: Option<&'a Node>,
    pub autoscaler: Option<&'a Autoscaler>,
    /// What the rule says, the likeliest first, then what reads found.
    pub causes: Vec<Reason>,
}

/// Causes less likely than this don't steer the advice.
const LIKELY: f64 = 0.3;
/// A revision less likely than this is not gone back on where the program says that others fail it.
const DOUBTFUL: f64 = 0.5;
const OUTSIDE: &[&str] = &[cause::DATABASE_UNREACHABLE, cause::DATABASE_EXHAUSTED, cause::DATABASE_AUTH];

impl<'a> View<'a> {
    pub fn new(facts: &Facts<'a>) -> Self {
        let snapshot = facts.snapshot;
        let deployment = deployment(facts);
        let controller = [Kind::StatefulSet, Kind::DaemonSet]
            .into_iter()
            .find_map(|kind| snapshot.controller(kind, subject_of(facts, kind)?));
        let mut pods: Vec<&Pod> = match (deployment, controller) {
            (Some(deployment), _) => snapshot.pods_of(deployment),
            (None, Some(controller)) => snapshot.owned_by(&controller.uid),
            (None, None) => touched(facts, Kind::Pod).filter_map(|key| snapshot.pods.get(key)).collect(),
        };
        let ends = subject_of(facts, Kind::Job).or(subject_of(facts, Kind::CronJob)).is_some();
        pods.retain(|pod| !pod.is_finished() || (ends && pod.phase == Phase::Failed));
        pods.sort_by(|one, other| one.key.cmp(&other.key));
        let node_key = subject_of(facts, Kind::Node)
            .cloned()
            .or_else(|| facts.anomaly.bindings.get("node").map(|node| Key::cluster(node.as_str())));
        let node = node_key.and_then(|key| snapshot.nodes.get(&key));
        let revisions = deployment.map(|deployment| snapshot.revisions_of(deployment)).unwrap_or_default();
        Self {
            facts: *facts,
            causes: causes(facts, node, &revisions),
            deployment,
            controller,
            revisions,
            pods,
            node,
            autoscaler: autoscaler(facts, deployment),
        }
    }

    /// The Service whose port its program calls in vain, as it says itself.
    pub fn wrong_port(&self) -> Option<WrongPort<'a>> {
        wrong_port(&self.facts)
    }

    pub fn snapshot(&self) -> &'a Snapshot {
        self.facts.snapshot
    }

    pub fn has(&self, cause: &str) -> bool {
        self.causes.iter().any(|reason| reason.name == cause)
    }

    pub fn ready(&self) -> usize {
        self.pods.iter().filter(|pod| pod.is_ready()).count()
    }

    /// Pods that nobody deletes.
    pub fn staying(&self) -> impl Iterator<Item = &'a Pod> {
        self.pods.iter().copied().filter(|pod| pod.deleting.is_none())
    }

    /// Pods that are not Ready although nobody deletes them, the one with most restarts first. Between two crashes they
    /// are all Ready for a moment: then those that are known to crash. A run that does not end is Ready all the time.
    pub fn failing(&self) -> Vec<&'a Pod> {
        let mut failing: Vec<&Pod> = self.staying().filter(|pod| !pod.is_ready()).collect();
        if failing.is_empty() && self.facts.fires {
            let told: Vec<&Key> = touched(&self.facts, Kind::Pod).collect();
            let is_run = |pod: &Pod| pod.owner.as_ref().is_some_and(|owner| &*owner.kind == "Job");
            let crashes = |pod: &Pod| pod.restarts() > 0 || is_run(pod);
            failing = self.staying().filter(|pod| crashes(pod) && told.contains(&&pod.key)).collect();
        }
        failing.sort_by_key(|pod| std::cmp::Reverse(pod.restarts()));
        failing
    }

    /// The pod that shows it best: the rule's choice, if it still exists.
    pub fn worst(&self) -> Option<&'a Pod> {
        let named = ["worst_pod", "pod"].iter().find_map(|name| self.facts.anomaly.bindings.get(name));
        let namespace = self.namespace();
        let chosen = named.and_then(|name| {
            self.snapshot().pods.get(&Key::new(namespace.clone().unwrap_or_default(), name.as_str()))
        });
        chosen.or_else(|| self.failing().first().copied()).or_else(|| self.pods.first().copied())
    }

    /// Pods fail, and none of their containers has ever ended.
    pub fn never_ended(&self) -> bool {
        let failing = self.failing();
        !failing.is_empty()
            && failing
                .iter()
                .all(|pod| pod.containers.iter().all(|container| container.termination().is_none()))
    }

    /// The revisions of the StatefulSet or DaemonSet.
    fn revisions_of_controller(&self) -> impl Iterator<Item = &'a ControllerRevision> {
        let uid = self.controller.map(|controller| &controller.uid);
        let own = move |row: &&ControllerRevision| row.owner.as_ref().map(|owner| &owner.uid) == uid;
        self.snapshot().controller_revisions.iter().filter(move |row| uid.is_some() && own(row))
    }

    pub fn newest_of_controller(&self) -> Option<&'a ControllerRevision> {
        self.controller?.newest(self.revisions_of_controller())
    }

    /// What its pods were and are made from.
    pub fn templates_of_controller(&self) -> impl Iterator<Item = &'a Template> {
        self.revisions_of_controller().map(|row| &row.template)
    }

    /// Pods of an older revision that are not Ready and that an ordered StatefulSet waits for.
    pub fn left_behind(&self) -> Vec<&'a Pod> {
        let ordered = self.controller.is_some_and(|controller| controller.is_ordered);
        match self.newest_of_controller().filter(|_| ordered) {
            Some(newest) => self.failing().into_iter().filter(|pod| !newest.is_of(&pod.labels)).collect(),
            None => Vec::new(),
        }
    }

    /// Whether a pod belongs to the newest revision.
    pub fn is_newest(&self, pod: &Pod) -> bool {
        if self.controller.is_some() {
            return self.newest_of_controller().is_some_and(|newest| newest.is_of(&pod.labels));
        }
        self.revisions
            .first()
            .is_some_and(|newest| pod.owner.as_ref().is_some_and(|owner| owner.uid == newest.uid))
    }

    pub fn on_node(&self) -> Vec<&'a Pod> {
        let Some(node) = self.node else { return Vec::new() };
        let mut pods: Vec<&Pod> = self
            .snapshot()
            .pods
            .iter()
            .filter(|pod| pod.node.as_ref() == Some(&node.key.name) && !pod.is_finished())
            .collect();
        pods.sort_by(|one, other| one.key.cmp(&other.key));
        pods
    }

    /// Of those, what a drain moves: neither pods of DaemonSets nor static ones.
    pub fn movable(&self) -> Vec<&'a Pod> {
        let stays =
            |pod: &Pod| pod.is_mirror || pod.owner.as_ref().is_some_and(|owner| &*owner.kind == "DaemonSet");
        self.on_node().into_iter().filter(|pod| !stays(pod)).collect()
    }

    pub fn namespace(&self) -> Option<String> {
        namespace(&self.facts)
    }

    /// The Certificate the anomaly is about, by its subject or by name.
    pub fn certificate(&self) -> Option<Key> {
        self.named(Kind::Certificate, "certificate")
    }

    pub fn ingress(&self) -> Option<Key> {
        self.named(Kind::Ingress, "ingress")
    }

    fn named(&self, kind: Kind, binding: &str) -> Option<Key> {
        let name = self.facts.anomaly.bindings.get(binding);
        subject_of(&self.facts, kind).cloned().or_else(|| Some(Key::new(self.namespace()?, name?.as_str())))
    }

    /// Fewer replicas serve than the strategy promises.
    pub fn users_affected(&self) -> bool {
        self.deployment.is_some_and(|deployment| {
            deployment.replicas > 0
                && (deployment.available == 0
                    || deployment.available
                        < deployment.replicas.saturating_sub(deployment.max_unavailable()))
        })
    }

    /// The pod that fills the node's disk: as a read found it, else as the rule saw it.
    pub fn hog(&self) -> Option<&'a Pod> {
        let reads = self.facts.progress.steps.values().filter(|done| !done.undone);
        let read = reads.max_by_key(|done| (done.bindings.contains_key("hog"), done.at));
        let read = read.and_then(|done| {
            let (namespace, name) = (done.bindings.get("hog_namespace")?, done.bindings.get("hog")?);
            Some(Key::new(namespace.as_str(), name.as_str()))
        });
        let bindings = &self.facts.anomaly.bindings;
        let seen = || {
            let (namespace, name) = (bindings.get("hog_namespace")?, bindings.get("hog")?);
            Some(Key::new(namespace.as_str(), name.as_str()))
        };
        self.snapshot().pods.get(&read.or_else(seen)?)
    }

    /// Nodes that are not Ready, and all nodes.
    pub fn nodes_down(&self) -> (usize, usize) {
        let nodes = &self.snapshot().nodes;
        (nodes.iter().filter(|node| !node.is_ready()).count(), nodes.len())
    }

    /// Whether a step of the playbook, or an earlier session of this cockpit, cordoned the node.
    pub fn cordoned_by_us(&self, playbook: &Playbook) -> bool {
        let by_step = playbook
            .steps
            .iter()
            .filter(|step| step.todo.verb.name == "cordon")
            .any(|step| self.done(&step.id).is_some_and(|done| done.ok));
        by_step || self.node.is_some_and(|node| self.snapshot().was_cordoned_from_here(&node.key))
    }

    /// Whether the rule of an alert was tuned for its noise.
    pub fn is_tuned(&self, alert: &str) -> bool {
        self.done("tune-rule").is_some_and(|done| done.ok && done.covers.contains(alert))
    }

    /// The last time that a step was done and not taken back.
    pub fn done(&self, step: &str) -> Option<&'a Done> {
        self.facts.progress.done(step)
    }
}

/// The key of the anomaly's subject, if it is of this kind.
fn subject_of<'a>(facts: &Facts<'a>, kind: Kind) -> Option<&'a Key> {
    match &facts.anomaly.subject {
        Subject::Object(ObjectRef { kind: own, key }) if *own == kind => Some(key),
        _ => None,
    }
}

fn touched<'a>(facts: &Facts<'a>, kind: Kind) -> impl Iterator<Item = &'a Key> {
    let own = subject_of(facts, kind);
    let others =
        facts.anomaly.touches.iter().filter(move |object| object.kind == kind).map(|object| &object.key);
    own.into_iter().chain(others.filter(move |key| Some(*key) != own))
}

fn deployment<'a>(facts: &Facts<'a>) -> Option<&'a Deployment> {
    let snapshot = facts.snapshot;
    if let Some(found) = subject_of(facts, Kind::Deployment).and_then(|key| snapshot.deployments.get(key)) {
        return Some(found);
    }
    let bindings = &facts.anomaly.bindings;
    if let (Some(namespace), Some(name)) = (bindings.get("namespace"), bindings.get("deployment"))
        && let Some(found) = snapshot.deployments.get(&Key::new(namespace.as_str(), name.as_str()))
    {
        return Some(found);
    }
    if subject_of(facts, Kind::Node).is_some() {
        return None;
    }
    if let Some(scaler) =
        subject_of(facts, Kind::HorizontalPodAutoscaler).and_then(|key| snapshot.autoscalers.get(key))
    {
        return snapshot.deployments.get(&Key::new(scaler.key.namespace.clone(), scaler.target.clone()));
    }
    let of_pod = subject_of(facts, Kind::Pod)
        .and_then(|key| snapshot.pods.get(key))
        .and_then(|pod| snapshot.deployment_of(pod));
    of_pod.or_else(|| touched(facts, Kind::Deployment).find_map(|key| snapshot.deployments.get(key)))
}

fn autoscaler<'a>(facts: &Facts<'a>, deployment: Option<&Deployment>) -> Option<&'a Autoscaler> {
    subject_of(facts, Kind::HorizontalPodAutoscaler)
        .and_then(|key| facts.snapshot.autoscalers.get(key))
        .or_else(|| facts.snapshot.autoscaler_of(Kind::Deployment.as_str(), &deployment?.key))
}

fn causes(facts: &Facts<'_>, node: Option<&Node>, revisions: &[&ReplicaSet]) -> Vec<Reason> {
    let mut known: Vec<_> = facts.anomaly.causes.iter().filter(|cause| cause.weight >= LIKELY).collect();
    known.sort_by(|one, other| other.weight.total_cmp(&one.weight));
    let found = || facts.progress.steps.values().flat_map(|done| &done.found);
    let lies_outside = known.iter().any(|cause| OUTSIDE.contains(&cause.name))
        || found().any(|found| OUTSIDE.contains(&&*found.cause));
    known.retain(|cause| cause.name != cause::BAD_REVISION || cause.weight >= DOUBTFUL || !lies_outside);
    let called = wrong_port(facts);
    let called = called.map(|called| Reason { name: cause::WRONG_PORT.into(), says: called.says() });
    let mut reasons: Vec<Reason> =
        called.into_iter().chain(node.and_then(|node| closed(facts, node))).collect();
    reasons.extend(
        known.into_iter().map(|cause| Reason { name: cause.name.to_owned(), says: cause.says.clone() }),
    );
    // A reading compared revisions as they were then: the older has to serve still.
    let compares = |name: &str| name == cause::BAD_REVISION && !revisions.is_empty();
    let is_over = |name: &str| compares(name) && !revisions.iter().skip(1).any(|older| older.ready > 0);
    for found in found().filter(|found| !is_over(&found.cause)) {
        if !reasons.iter().any(|reason| reason.name == found.cause) {
            reasons.push(Reason { name: found.cause.clone(), says: found.says.clone() });
        }
    }
    reasons
}

fn wrong_port<'a>(facts: &Facts<'a>) -> Option<WrongPort<'a>> {
    let home = namespace(facts)?;
    let told = facts.anomaly.causes.iter().filter(|known| known.name == cause::DATABASE_UNREACHABLE);
    let mut words = told.map(|known| &*known.says).chain(facts.progress.last_words());
    words.find_map(|words| domain::wrong_port(&facts.snapshot.services, &home, words))
}

/// A node without a fault that was cordoned from here, and that its pods may be waiting for.
fn closed(facts: &Facts<'_>, node: &Node) -> Option<Reason> {
    const NO_PLACE: &[&str] = &[cause::NODES_AWAY, cause::NO_NODE_MATCHES, cause::UNSCHEDULABLE];
    let waits = facts.anomaly.causes.first().is_some_and(|first| NO_PLACE.contains(&first.name));
    let is_well = node.is_ready() && node.troubles().next().is_none();
    let from_here = || facts.snapshot.was_cordoned_from_here(&node.key);
    (waits && node.unschedulable && is_well && from_here()).then(|| Reason {
        name: cause::CLOSED_FROM_HERE.into(),
        says: format!(
            "{} was cordoned from here, is well again, and its pods wait for a node",
            node.key.name
        ),
    })
}

fn namespace(facts: &Facts<'_>) -> Option<String> {
    let anomaly = facts.anomaly;
    anomaly.bindings.get("namespace").cloned().or_else(|| match &anomaly.subject {
        Subject::Object(object) if object.kind.is_namespaced() => Some(object.key.namespace.to_string()),
        Subject::Traffic(namespace) => Some(namespace.to_string()).filter(|name| !name.is_empty()),
        _ => None,
    })
}
