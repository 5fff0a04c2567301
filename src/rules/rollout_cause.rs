//! Why the newest revision's pods do not come up: what refuses them, what they wait for, what they die of.

use jiff::SignedDuration;

use crate::domain::{
    Cause, Container, ContainerState, Deployment, Event, Evidence, Kind, Name, ObjectRef, Origin, Pod,
    ReplicaSet, Status, Timestamp, cause, text,
};

use super::crash_cause::{missing, why};
use super::crash_loop::is_looping;
use super::image_cause::trouble;
use super::image_pull::is_failing;
use super::pods_missing::{is_lost, was_ready};
use super::revision::Revision;
use super::rollout_stuck::NONE_LEFT;
use super::suspicion::Suspicion;
use super::workload::{Bindings, evidence, quote};
use super::{Scene, scheduling, turned_away};

/// Evidence about single pods is cut after this many.
const EXAMPLES: usize = 4;

/// One pod's, or one ReplicaSet's, obstacle.
pub(super) struct Obstacle {
    pub cause: Cause,
    /// For a title: `unschedulable`.
    pub label: String,
    pub evidence: Evidence,
    pub bindings: Bindings,
    /// The pod and container to look at, if it is one pod's.
    pub pod: Option<(ObjectRef, Option<String>)>,
}

/// What stands in the way of these unready pods, the likeliest first, each kind once.
pub(super) fn obstacles(
    scene: &Scene<'_>,
    deployment: &Deployment,
    newest: Option<&ReplicaSet>,
    unready: &[&Pod],
) -> Vec<Obstacle> {
    let refused = refusal(scene, deployment, newest);
    let pods = unready.iter().take(64).map(|pod| obstacle(scene, pod));
    let mut found: Vec<Obstacle> = Vec::new();
    for obstacle in refused.into_iter().chain(pods) {
        let same = found.iter().filter(|known| known.cause.name == obstacle.cause.name).count();
        if same < EXAMPLES {
            found.push(obstacle);
        }
    }
    // A pod whose words are lost waits for the same image as the one whose words are known.
    if found
        .iter()
        .map(|known| known.cause.name)
        .any(|name| (name.starts_with("image-") || name == cause::REGISTRY_DOWN) && name != cause::IMAGE_PULL)
    {
        found.retain(|known| known.cause.name != cause::IMAGE_PULL);
    }
    if found.iter().any(|known| known.cause.name != cause::STARTING_SLOWLY) {
        found.retain(|known| known.cause.name != cause::STARTING_SLOWLY);
    }
    if found.is_empty() {
        found.extend(lingering(scene, scene.revisions(deployment).iter().map(|set| &set.uid)));
    }
    found.sort_by(|one, other| other.cause.weight.total_cmp(&one.cause.weight));
    found
}

/// How long after its grace period a pod may still take to go.
const LINGERING: SignedDuration = SignedDuration::from_mins(5);

/// A pod of these owners that should be gone and whose place is not free. `deletionTimestamp` has its grace period in it.
pub(super) fn lingering<'a>(scene: &Scene<'_>, owners: impl Iterator<Item = &'a Name>) -> Option<Obstacle> {
    let owners: Vec<&Name> = owners.collect();
    let late = |pod: &&Pod| {
        let overdue = pod.deleting.is_some_and(|at| scene.now.duration_since(at) >= LINGERING);
        overdue
            && !is_lost(scene, pod)
            && pod.owner.as_ref().is_some_and(|owner| owners.contains(&&owner.uid))
    };
    stays(scene, scene.snapshot.pods.iter().filter(late).min_by_key(|pod| (pod.deleting, &pod.key))?)
}

/// A pod that should be gone.
pub(super) fn stays(scene: &Scene<'_>, pod: &Pod) -> Option<Obstacle> {
    let overdue = text::span(crate::domain::between(pod.deleting?, scene.now));
    let told = scene.events(Kind::Pod, &pod.key).next();
    let told = || told.map(|event| format!(": {}: {}", event.reason, quote(&event.message)));
    let held = pod.finalizers.iter().map(|name| quote(name)).collect::<Vec<_>>().join(", ");
    let held = (!held.is_empty()).then(|| format!(": finalizer {held} has not been taken off"));
    let told = held.or_else(told).unwrap_or_default();
    let says = format!("should have been gone {overdue} ago and is still there{told}");
    let cause =
        Cause { name: cause::STUCK_TERMINATING, says: format!("{} {says}", pod.key.name), weight: 0.9 };
    Some(about(pod, None, cause, "a pod does not go", &says))
}

/// Pods that the API server does not even accept (`ReplicaFailure`/`FailedCreate`).
fn refusal(scene: &Scene<'_>, deployment: &Deployment, newest: Option<&ReplicaSet>) -> Option<Obstacle> {
    let failing = |condition: &&crate::domain::Condition| condition.status == Status::True;
    let condition = deployment
        .condition("ReplicaFailure")
        .filter(failing)
        .or_else(|| newest?.conditions.iter().find(|row| &*row.kind == "ReplicaFailure").filter(failing))?;
    let event = newest.and_then(|set| {
        scene.events(Kind::ReplicaSet, &set.key).find(|event| &*event.reason == "FailedCreate")
    });
    let words = condition.message.clone().or_else(|| event.map(|event| event.message.clone()));
    Some(refused(&words.unwrap_or_default(), Origin::Deployments, condition.since))
}

/// What the API server's words against a pod come down to.
pub(super) fn refused(words: &str, origin: Origin, at: Option<Timestamp>) -> Obstacle {
    let (message, lower) = (quote(words), words.to_lowercase());
    let obstacle = |name, label: String, bindings| Obstacle {
        evidence: evidence(origin, at, format!("FailedCreate: {message}")),
        cause: Cause { name, says: message.clone(), weight: 0.95 },
        label,
        bindings,
        pod: None,
    };
    if let Some(why) = missing("its service account", words) {
        return obstacle(why.name, why.label, why.bindings);
    }
    if let Some((kind, name)) = absent_class(words) {
        let mut bindings = Bindings::from([("missing_part", "object".to_owned())]);
        bindings.insert("missing_kind", kind.to_owned());
        bindings.insert("missing_object", quote(name));
        return obstacle(cause::MISSING_REFERENCE, format!("{kind} {} missing", quote(name)), bindings);
    }
    if let Some(forbidden) = pod_security(words) {
        let mut told = obstacle(cause::POD_SECURITY, "PodSecurity forbids them".into(), Bindings::new());
        told.cause.says = forbidden;
        return told;
    }
    let (name, label) = match () {
        () if lower.contains("must specify") && lower.contains("quota") => {
            (cause::QUOTA_DEMANDS, "quota demands requests or limits")
        }
        () if lower.contains("exceeded quota") || lower.contains("limitrange") => {
            (cause::QUOTA, "quota exceeded")
        }
        // The LimitRanger's own words: `maximum memory usage per Container is 2Gi, but limit is 3Gi`.
        () if lower.contains("usage per ") || lower.contains("limit to request ratio per ") => {
            (cause::QUOTA, "limit range exceeded")
        }
        () if lower.contains("failed calling webhook") => {
            (cause::WEBHOOK, "an admission webhook does not answer")
        }
        () if lower.contains("webhook") => (cause::WEBHOOK, "an admission webhook refuses"),
        () => (cause::POD_REFUSED, "the API server refuses the pods"),
    };
    obstacle(name, label.to_owned(), Bindings::new())
}

/// A class that the pods name and that does not exist, in the words of the admission of pods.
fn absent_class(words: &str) -> Option<(&'static str, &str)> {
    let priority = words.split_once("no PriorityClass with name ").map(|(_, rest)| ("PriorityClass", rest));
    let runtime = words.split_once("RuntimeClass \"").map(|(_, rest)| ("RuntimeClass", rest));
    let (kind, rest) = priority.or(runtime.filter(|(_, rest)| rest.contains("not found")))?;
    let name = rest.split(['"', ' ']).find(|word| !word.is_empty())?;
    Some((kind, name))
}

/// What the namespace's PodSecurity level finds wrong, one thing after the other without its long explanation:
/// `PodSecurity "restricted:latest" forbids: allowPrivilegeEscalation != false, runAsNonRoot != true`.
fn pod_security(words: &str) -> Option<String> {
    let (_, rest) = words.split_once("violates PodSecurity ")?;
    let (level, rest) = rest.split_once(": ")?;
    let (mut depth, mut plain) = (0_u32, String::new());
    for letter in rest.chars() {
        match letter {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ if depth == 0 => plain.push(letter),
            _ => {}
        }
    }
    let plain: Vec<&str> = plain.split(',').map(str::trim).filter(|part| !part.is_empty()).collect();
    Some(quote(&format!("PodSecurity {level} forbids: {}", plain.join(", "))))
}

/// What stands in the way of one pod.
pub(super) fn obstacle(scene: &Scene<'_>, pod: &Pod) -> Obstacle {
    if let Some(obstacle) = turned_away::obstacle(pod) {
        return obstacle;
    }
    let failing = pod.containers.iter().find(|container| is_failing(container));
    let looping = || pod.containers.iter().find(|container| is_looping(scene, pod, container));
    if let Some(container) = failing {
        let trouble = trouble(scene, pod, container);
        let cause = trouble.causes.into_iter().next();
        let cause = cause.unwrap_or(Cause { name: cause::IMAGE_PULL, says: String::new(), weight: 0.3 });
        return about(pod, Some(container), cause, trouble.label, &trouble.message);
    }
    if let Some(container) = looping() {
        let why = why(scene, pod, container);
        let cause = Cause { name: why.name, says: why.says.clone(), weight: why.weight };
        let mut obstacle =
            about(pod, Some(container), cause, &format!("crash-looping ({})", why.label), &why.says);
        obstacle.bindings = why.bindings;
        return obstacle;
    }
    if let Some(obstacle) = scheduling::obstacle(scene, pod) {
        return obstacle;
    }
    let preparing =
        |row: &&Container| row.init && !row.ready && matches!(row.state, ContainerState::Running { .. });
    if let Some(container) = pod.containers.iter().find(preparing) {
        let began = match container.state {
            ContainerState::Running { since: Some(since) } => since.max(pod.created),
            _ => pod.created,
        };
        let since = text::span(crate::domain::between(began, scene.now));
        let says = format!("init container {} has been running for {since} and does not end", container.name);
        // By then the rollout has stood still for longer.
        let waits = scene.has_lasted(began, &NONE_LEFT);
        let (name, weight) = if waits { (cause::INIT_WAITS, 0.7) } else { (cause::STARTING_SLOWLY, 0.3) };
        let cause = Cause { name, says: says.clone(), weight };
        return about(pod, Some(container), cause, "an init container does not end", &says);
    }
    match pod.containers.iter().find(|container| !container.init && !container.ready) {
        Some(container) if has_just_begun(scene, container) => {
            let says = format!("{} has just begun and is not ready yet", container.name);
            // Too little to steer the advice: nobody needs more time yet.
            let cause = Cause { name: cause::STARTING_SLOWLY, says: says.clone(), weight: 0.2 };
            about(pod, Some(container), cause, "pods are starting", &says)
        }
        Some(container) if matches!(container.state, ContainerState::Running { .. }) => {
            let unhealthy = scene
                .events(Kind::Pod, &pod.key)
                .find(|event| &*event.reason == "Unhealthy" && event.message.contains("Readiness"));
            let said = unhealthy.map_or_else(
                || format!("{} runs but is not ready", container.name),
                |event| quote(&event.message),
            );
            let weight = if unhealthy.is_some() { 0.85 } else { 0.7 };
            let cause = Cause { name: cause::READINESS, says: said.clone(), weight };
            let label = if was_ready(pod) {
                "pods that were ready are not any more"
            } else {
                "pods do not become ready"
            };
            about(pod, Some(container), cause, label, &said)
        }
        container => creating(scene, pod, container),
    }
}

/// Its first run is so young that it may only need its time.
fn has_just_begun(scene: &Scene<'_>, container: &Container) -> bool {
    let ContainerState::Running { since: Some(since) } = container.state else { return false };
    container.restarts == 0 && !scene.has_lasted(since, &NONE_LEFT)
}

/// A pod that was placed and whose containers do not exist yet.
fn creating(scene: &Scene<'_>, pod: &Pod, container: Option<&Container>) -> Obstacle {
    // A volume that cannot be attached explains why mounting it times out; a missing object explains either.
    let rank = |event: &&Event| match &*event.reason {
        "FailedMount" if missing("", &event.message).is_some() => 0,
        "FailedAttachVolume" => 1,
        "FailedMapVolume" | "FailedCreatePodSandBox" => 2,
        _ => 3,
    };
    let volumes = ["FailedMount", "FailedAttachVolume", "FailedMapVolume", "FailedCreatePodSandBox"];
    let telling = scene.events(Kind::Pod, &pod.key).filter(|event| volumes.contains(&&*event.reason));
    let telling = telling.min_by_key(rank);
    let Some(event) = telling else {
        if let Some(says) = container.is_none().then(|| closed_gate(pod)).flatten() {
            let cause = Cause { name: cause::READINESS_GATE, says: says.clone(), weight: 0.85 };
            return about(pod, None, cause, "a readiness gate is not true", &says);
        }
        let (name, says, label) = if container.is_none() {
            (cause::READINESS, "its containers are ready but the pod is not", "pods do not become ready")
        } else {
            (cause::STARTING_SLOWLY, "its containers are still being created", "new pods start slowly")
        };
        return about(pod, container, Cause { name, says: says.into(), weight: 0.3 }, label, says);
    };
    let message = quote(&event.message);
    if let Some(why) = missing(container.map_or("the pod", |container| &container.name), &event.message) {
        let cause = Cause { name: why.name, says: why.says, weight: why.weight };
        let mut obstacle = about(pod, container, cause, &why.label, &message);
        obstacle.bindings = why.bindings;
        return obstacle;
    }
    let (name, label) = match &*event.reason {
        "FailedCreatePodSandBox" if is_about_network(&event.message) => {
            (cause::NODE_NETWORK, "the node cannot set up the pods' network")
        }
        "FailedCreatePodSandBox" => (cause::RUNTIME, "the node's container runtime cannot start the pods"),
        _ if event.message.contains("Multi-Attach error") => {
            (cause::VOLUME_HELD, "another node holds its volume")
        }
        _ => (cause::VOLUME_STUCK, "a volume cannot be mounted"),
    };
    about(pod, container, Cause { name, says: message.clone(), weight: 0.7 }, label, &message)
}

/// Which readiness gate of a pod is not true, in the kubelet's words.
fn closed_gate(pod: &Pod) -> Option<String> {
    let ready = pod.condition("Ready").filter(|row| row.status == Status::False)?;
    let gated = ready.reason.as_deref() == Some("ReadinessGatesNotReady");
    gated.then(|| quote(ready.message.as_deref().unwrap_or("a readiness gate is not true")))
}

/// Whether a sandbox was refused by what connects it: CNI plugins, address pools.
pub(super) fn is_about_network(message: &str) -> bool {
    let lower = message.to_lowercase();
    ["network", "cni", "ip address", "plugin type="].iter().any(|words| lower.contains(words))
}

pub(super) fn about(
    pod: &Pod,
    container: Option<&Container>,
    cause: Cause,
    label: &str,
    says: &str,
) -> Obstacle {
    Obstacle {
        cause,
        label: label.to_owned(),
        evidence: evidence(Origin::Pods, Some(pod.created), format!("{}: {says}", pod.key.name)),
        bindings: Bindings::new(),
        pod: Some((
            ObjectRef::new(Kind::Pod, pod.key.clone()),
            container
                .or(pod.containers.iter().find(|row| !row.init))
                .map(|container| container.name.to_string()),
        )),
    }
}

/// Whether the obstacle could be the revision's own doing. A lack of room is, when it asks for more than before.
pub(super) fn blames_revision(suspicion: &Suspicion<'_>, obstacle: Option<&Obstacle>) -> bool {
    match obstacle.map(|obstacle| obstacle.cause.name) {
        Some(cause::QUOTA | cause::WEBHOOK | cause::POD_REFUSED | cause::POD_SECURITY) => false,
        Some(cause::NODE_NETWORK | cause::RUNTIME) => false,
        // A disk that another node holds is nobody's template.
        Some(
            cause::VOLUME_HELD | cause::VOLUME_STUCK | cause::VOLUME_ELSEWHERE | cause::STUCK_TERMINATING,
        ) => false,
        Some(cause::SCHEDULING_GATED | cause::READINESS_GATE | cause::PREEMPTED) => false,
        Some(cause::SCHEDULER_SILENT | cause::CONTROLLER_SILENT | cause::NODES_AWAY) => false,
        Some(cause::UNSCHEDULABLE | cause::SPREAD_CONSTRAINT | cause::HOST_PORT) => {
            let Some((good, _)) = &suspicion.good else { return false };
            let asks = |revision: &Revision<'_>| {
                let rows = revision.template.containers.iter();
                rows.fold((0_u64, 0_u64), |(cpu, memory), row| {
                    (
                        cpu.saturating_add(row.requests.cpu_milli.unwrap_or(0)),
                        memory.saturating_add(row.requests.memory_bytes.unwrap_or(0)),
                    )
                })
            };
            let (cpu, memory) = asks(&suspicion.bad);
            let (good_cpu, good_memory) = asks(good);
            cpu > good_cpu || memory > good_memory
        }
        _ => true,
    }
}
