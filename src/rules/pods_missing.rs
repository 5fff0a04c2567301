//! StatefulSets and DaemonSets whose pods do not come up: refused, left behind, or never ready, as far as no other rule
//! says why; and pods that stand alone, or that a ReplicaSet or an operator of no Deployment keeps. Of Deployments
//! their own status says more, of Jobs theirs.

use std::collections::BTreeMap;

use jiff::SignedDuration;

use crate::domain::{
    Anomaly, AnomalyId, Cause, Container, ContainerState, Controller, Evidence, Key, Kind, ObjectRef, Origin,
    Pod, Severity, Subject, Timestamp, cause, text,
};

use super::revision::of_controller;
use super::rollout_cause::{Obstacle, about, blames_revision, lingering, obstacle, refused};
use super::rollout_stuck::{MISSING, NO_PROGRESS, NONE_LEFT, PAGES_AFTER, RULE, is_told};
use super::scheduling::{gated, unschedulable};
use super::suspicion::{Suspicion, suspect};
use super::workload::{Bindings, Families, called, describe_suspicion, evidence, operated_by, service};
use super::{Scene, configuration, controller, pages_at, shown};

/// Without progress for this long a rollout is stuck, as a Deployment is by default (`progressDeadlineSeconds`).
const DEADLINE: SignedDuration = SignedDuration::from_secs(600);

/// Pods whose words are heard; the others of a workload mostly say the same.
const HEARD: usize = 8;

/// One workload and its pods that are not ready.
struct Missing<'a> {
    object: ObjectRef,
    controller: Option<&'a Controller>,
    /// All that live; of a ReplicaSet, whose own status counts them, those that are not ready.
    pods: Vec<&'a Pod>,
    ready: usize,
    /// How many there should be.
    wanted: usize,
    /// That none is ready is an outage: it is a workload of its own, not a part of one that we do not know.
    is_whole: bool,
    unready: Vec<&'a Pod>,
    /// Others are not ready either, and another rule says why: it may be what the rollout waits for.
    is_told: bool,
}

/// What is wrong with it.
struct Trouble {
    onset: Timestamp,
    severity: Severity,
    score: f64,
    /// `rollout stuck at 1 of 3 updated`; `2 of 3 pods not ready`.
    what: String,
}

pub(super) fn examine(scene: &Scene<'_>) -> Vec<Anomaly> {
    let mut unready: BTreeMap<ObjectRef, Vec<&Pod>> = BTreeMap::new();
    let mut families = Families::default();
    for pod in scene.unwell().iter().copied().filter(|pod| !pod.is_ready()) {
        let (object, _) = families.workload_of(scene, pod);
        match object.kind {
            Kind::StatefulSet | Kind::DaemonSet | Kind::ReplicaSet => {}
            Kind::Pod if is_kept_waiting(pod) => {}
            _ => continue,
        }
        unready.entry(object).or_default().push(pod);
    }
    let snapshot = scene.snapshot;
    let lacking = snapshot.stateful_sets.iter().chain(snapshot.daemon_sets.iter());
    for controller in lacking.filter(|one| one.existing < one.desired || controller::is_rolling(scene, one)) {
        unready.entry(controller.object()).or_default();
    }
    // Until it is gone, nothing takes its place.
    for pod in snapshot.pods.iter().filter(|pod| pod.deleting.is_some()) {
        let (object, _) = scene.workload_of(pod);
        if matches!(object.kind, Kind::StatefulSet | Kind::DaemonSet) && !is_lost(scene, pod) {
            unready.entry(object).or_default();
        }
    }
    unready
        .into_iter()
        .filter_map(|(object, all_unready)| {
            let controller = snapshot.controller(object.kind, &object.key);
            let set = snapshot.replica_sets.get(&object.key).filter(|_| object.kind == Kind::ReplicaSet);
            let pods = living(scene, &object, controller, &all_unready);
            let ready = pods.iter().filter(|pod| pod.is_ready()).count();
            let ready = set.map_or(ready, |set| set.ready as usize);
            let desired = controller.map(|one| one.desired).or(set.map(|set| set.replicas));
            let wanted = pods.len().max(desired.unwrap_or(0) as usize);
            let is_whole = match object.kind {
                Kind::ReplicaSet => set.is_some_and(|set| set.owner.is_none()),
                kind => kind != Kind::Pod,
            };
            let told = |pod: &Pod| is_told(scene, pod) || is_lost(scene, pod);
            let unready: Vec<&Pod> = all_unready.iter().copied().filter(|pod| !told(pod)).collect();
            let is_told = unready.len() < all_unready.len();
            anomaly(scene, &Missing { object, controller, pods, ready, wanted, is_whole, unready, is_told })
        })
        .collect()
}

/// Whether a pod that nobody's status counts is meant to become ready. One whose containers end one after the other
/// does not, and one that a queue holds back is not late.
fn is_kept_waiting(pod: &Pod) -> bool {
    let waits =
        |row: &Container| !row.init && !row.ready && !matches!(row.state, ContainerState::Terminated(_));
    gated(pod).is_none() && (pod.containers.is_empty() || pod.containers.iter().any(waits))
}

/// The pods of the workload that live, as far as nobody else counts them.
fn living<'a>(
    scene: &Scene<'a>,
    object: &ObjectRef,
    controller: Option<&Controller>,
    unready: &[&'a Pod],
) -> Vec<&'a Pod> {
    let of_pod = || unready.first()?.owner.as_ref().map(|owner| &*owner.uid);
    let owner = match object.kind {
        Kind::ReplicaSet => None,
        Kind::Pod => unready.first().and_then(|pod| operated_by(pod)),
        _ => controller.map(|one| &*one.uid).or_else(of_pod),
    };
    match owner {
        Some(owner) => scene.siblings(owner).to_vec(),
        None => unready.to_vec(),
    }
}

/// Whether its node does not answer: then that is what there is to tell.
pub(super) fn is_lost(scene: &Scene<'_>, pod: &Pod) -> bool {
    let node = pod.node.as_ref().map(|name| Key::cluster(name.clone()));
    node.and_then(|key| scene.snapshot.nodes.get(&key)).is_some_and(|node| !node.is_ready())
}

fn unready_since(pod: &Pod) -> Timestamp {
    pod.condition("Ready").and_then(|row| row.since).unwrap_or(pod.created).max(pod.created)
}

/// Whether it lost what it had: its containers ran before. The kubelet says of a pod that is new that it is not ready
/// when it first sees it, however long that waited for its node.
pub(super) fn was_ready(pod: &Pod) -> bool {
    let since = unready_since(pod);
    let ran = |row: &Container| {
        let running = match row.state {
            ContainerState::Running { since } => since,
            _ => None,
        };
        let started = running.into_iter().chain(row.termination().and_then(|end| end.started)).min();
        row.restarts > 0 || started.is_some_and(|started| started < since)
    };
    since.duration_since(pod.created) > SignedDuration::from_secs(30)
        && pod.containers.iter().any(|row| !row.init && ran(row))
}

/// That all pods of a workload behind a Service were ready, and none of them is any more: what they have in common went,
/// and there is no slow start to wait for.
pub(super) fn fell_silent(scene: &Scene<'_>, wanted: usize, unready: &[&Pod]) -> Option<Cause> {
    let all = wanted > 0 && unready.len() >= wanted && unready.iter().all(|pod| was_ready(pod));
    let service = scene.service_of(unready.first().filter(|_| all)?)?;
    let pods = if wanted == 1 { "its pod was".into() } else { format!("all {wanted} pods were") };
    let says = format!(
        "{pods} ready, and none is any more: nobody is behind Service {}; nothing of theirs was replaced",
        service.key.name
    );
    Some(Cause { name: cause::FELL_SILENT, says, weight: 0.6 })
}

/// Pods that the API server does not even accept.
fn not_accepted(scene: &Scene<'_>, missing: &Missing<'_>) -> Option<(Obstacle, Timestamp)> {
    missing.controller.filter(|one| one.existing < one.desired)?;
    let event = controller::refusal(scene, missing.object.kind, &missing.object.key)?;
    Some((refused(&event.message, Origin::Events, Some(event.last)), event.first.min(scene.now)))
}

/// A rollout that has not got on for a while.
fn standing_still(scene: &Scene<'_>, missing: &Missing<'_>) -> Option<Trouble> {
    let controller =
        missing.controller.filter(|one| !missing.is_told && controller::is_rolling(scene, one))?;
    // It goes no further before that one is ready, whatever becomes of the others meanwhile.
    let held = missing.unready.iter().filter(|_| controller.is_ordered).map(|pod| unready_since(pod)).min();
    let progressed = controller::last_progress(scene, controller)?;
    let progressed = held.map_or(progressed, |held| held.min(progressed));
    let waits = SignedDuration::from_secs(i64::from(controller.min_ready_seconds));
    let progressed = progressed.checked_add(waits).ok()?;
    if !scene.has_lasted(progressed, &NO_PROGRESS) {
        return None;
    }
    let firing = scene.now.duration_since(progressed) >= DEADLINE;
    let severity = match () {
        () if missing.ready == 0 => Severity::Critical,
        () if firing => Severity::Warning,
        () => Severity::Suspect,
    };
    let what = format!("rollout stuck at {} of {} updated", controller.updated, controller.due());
    Some(Trouble { onset: progressed, severity, score: if firing { 0.8 } else { 0.6 }, what })
}

/// Pods that have not been ready for too long.
fn not_ready(scene: &Scene<'_>, missing: &Missing<'_>) -> Option<Trouble> {
    let none_ready = missing.ready == 0 && missing.is_whole;
    let patience = |pod: &Pod| match () {
        () if !none_ready => &MISSING,
        // What never was ready may start slowly, if it has a node.
        () if was_ready(pod) || unschedulable(pod).is_some() => &NONE_LEFT,
        () => &NO_PROGRESS,
    };
    let late: Vec<Timestamp> = missing
        .unready
        .iter()
        .filter(|pod| scene.has_lasted(unready_since(pod), patience(pod)))
        .map(|pod| unready_since(pod))
        .collect();
    // Of an ordered set only the first of those that lack is there.
    let lacks = missing.controller.is_some_and(|one| one.existing < one.desired);
    let what = |pods: usize| {
        let wanted = text::count(missing.wanted, "pod");
        if lacks {
            format!("{} of {wanted} ready", missing.ready)
        } else {
            format!("{pods} of {wanted} not ready")
        }
    };
    if let Some(onset) = late.iter().min() {
        let onset = (*onset).min(scene.now);
        let (severity, score) = match () {
            () if fell_silent(scene, missing.wanted, &missing.unready).is_some() => (Severity::Critical, 0.8),
            () if none_ready && !scene.has_lasted(onset, &NO_PROGRESS) => (Severity::Suspect, 0.6),
            () if none_ready => (Severity::Critical, 0.8),
            () => (Severity::Warning, 0.8),
        };
        return Some(Trouble { onset, severity, score, what: what(late.len()) });
    }
    // No slow start: nothing starts before there is a node for it.
    let homeless = missing.unready.iter().filter(|pod| unschedulable(pod).is_some());
    let since: Vec<Timestamp> = homeless
        .map(|pod| unplaced_since(pod))
        .filter(|since| scene.has_lasted(*since, &NO_PROGRESS))
        .collect();
    let onset = since.iter().min()?.to_owned();
    Some(Trouble { onset, severity: Severity::Suspect, score: 0.6, what: what(since.len()) })
}

pub(super) fn unplaced_since(pod: &Pod) -> Timestamp {
    pod.condition("PodScheduled").and_then(|row| row.since).unwrap_or(pod.created)
}

/// A pod that should be gone holds the place of its successor.
fn occupied(scene: &Scene<'_>, missing: &Missing<'_>) -> Option<(Obstacle, Timestamp)> {
    let obstacle = lingering(scene, std::iter::once(&missing.controller?.uid));
    let obstacle = obstacle.or_else(|| left_on_a_lost_node(scene, missing))?;
    let since = scene.snapshot.pods.get(&obstacle.pod.as_ref()?.0.key)?.deleting?;
    Some((obstacle, since))
}

/// A pod that is to go from a node that does not answer: a StatefulSet makes no other until it is known to have ended.
/// Where only that one is missing, its node is all there is to tell.
fn left_on_a_lost_node(scene: &Scene<'_>, missing: &Missing<'_>) -> Option<Obstacle> {
    let controller = missing.controller.filter(|one| one.is_ordered)?;
    let is_its = |pod: &&Pod| pod.owner.as_ref().is_some_and(|owner| owner.uid == controller.uid);
    let left = scene.snapshot.pods.iter().filter(is_its);
    let left: Vec<&Pod> = left.filter(|pod| pod.deleting.is_some() && is_lost(scene, pod)).collect();
    if missing.ready > 0 && missing.pods.len() + left.len() >= controller.desired as usize {
        return None;
    }
    let pod = *left.iter().min_by_key(|pod| &pod.key)?;
    if !scene.has_lasted(pod.deleting?, &NO_PROGRESS) {
        return None;
    }
    let node = pod.node.as_deref().unwrap_or_default();
    let says =
        format!("waits to end on {node}, which does not answer; until then the set makes no other pod");
    let cause =
        Cause { name: cause::STUCK_TERMINATING, says: format!("{} {says}", pod.key.name), weight: 0.9 };
    Some(about(pod, None, cause, "a pod cannot end on a node that does not answer", &says))
}

fn anomaly(scene: &Scene<'_>, missing: &Missing<'_>) -> Option<Anomaly> {
    let not_accepted = not_accepted(scene, missing).or_else(|| occupied(scene, missing));
    let refused_trouble = not_accepted.as_ref().map(|(_, onset)| Trouble {
        onset: *onset,
        severity: if missing.ready == 0 && scene.has_lasted(*onset, &NO_PROGRESS) {
            Severity::Critical
        } else {
            Severity::Warning
        },
        score: 0.75,
        what: format!("{} of {} there", missing.pods.len(), text::count(missing.wanted, "pod")),
    });
    let Trouble { onset, severity, score, what } =
        refused_trouble.or_else(|| standing_still(scene, missing)).or_else(|| not_ready(scene, missing))?;
    let heard = missing.unready.iter().take(HEARD).map(|pod| obstacle(scene, pod));
    let mut obstacles: Vec<Obstacle> =
        not_accepted.map(|(obstacle, _)| obstacle).into_iter().chain(heard).collect();
    obstacles.sort_by(|one, other| other.cause.weight.total_cmp(&one.cause.weight));
    let worst = obstacles.first();
    let mut bindings = bindings(scene, missing, worst);
    let mut causes: Vec<Cause> = worst.map(|obstacle| obstacle.cause.clone()).into_iter().collect();
    causes.extend(fell_silent(scene, missing.wanted, &missing.unready));
    let mut facts: Vec<Evidence> = worst.map(|obstacle| obstacle.evidence.clone()).into_iter().collect();
    let mut label = worst.map_or("no progress", |obstacle| &obstacle.label).to_owned();
    if let Some(controller) = missing.controller {
        if let Some(cause) = controller::left_behind(scene, controller, &missing.unready) {
            "it waits for a pod that it left behind".clone_into(&mut label);
            facts.push(evidence(Origin::StatefulSets, None, cause.says.clone()));
            causes.push(cause);
        }
        if let Some(suspicion) = suspicion(scene, controller, missing, worst, onset) {
            describe_suspicion(&suspicion, &mut bindings);
            facts.push(evidence(
                Origin::ControllerRevisions,
                Some(suspicion.bad.created),
                suspicion.says.clone(),
            ));
            let weight = suspicion.weight.min(0.8);
            causes.push(Cause { name: cause::BAD_REVISION, says: suspicion.says, weight });
        }
        let blamed = (&controller.template, &[&controller.key][..]);
        configuration::blame(scene, blamed, onset, &mut causes, &mut facts, &mut bindings);
    }
    causes.sort_by(|one, other| other.weight.total_cmp(&one.weight));
    bindings.insert("because", label.clone());
    let total = text::count(missing.wanted, "pod");
    facts.push(evidence(Origin::Pods, None, format!("{} of {total} ready", missing.ready)));
    let named = worst.and_then(|obstacle| obstacle.pod.as_ref()).map(|(pod, _)| pod.clone());
    let unready = missing.unready.iter().map(|pod| ObjectRef::new(Kind::Pod, pod.key.clone()));
    let touches = unready.filter(|pod| Some(pod) != named.as_ref()).chain(named.clone());
    let proven = if causes.first().is_some_and(|cause| cause.weight >= 0.7) { 0.1 } else { 0.0 };
    let object = &missing.object;
    shown(Anomaly {
        id: AnomalyId(format!("{}/{}/{}", RULE.name, object.kind.for_kubectl(), object.key).into()),
        rule: RULE.name.into(),
        subject: Subject::Object(object.clone()),
        severity,
        score: score + proven,
        onset,
        title: format!("{what}: {label}"),
        evidence: facts,
        causes,
        touches: std::iter::once(object.clone()).chain(touches).collect(),
        bindings,
        pages_at: pages_at(scene, onset, &PAGES_AFTER),
    })
}

fn suspicion<'a>(
    scene: &Scene<'a>,
    controller: &Controller,
    missing: &Missing<'_>,
    worst: Option<&Obstacle>,
    onset: Timestamp,
) -> Option<Suspicion<'a>> {
    let found = suspect(scene, &of_controller(scene, controller), &missing.unready, onset)?;
    blames_revision(&found, worst).then_some(found)
}

fn bindings(scene: &Scene<'_>, missing: &Missing<'_>, worst: Option<&Obstacle>) -> Bindings {
    let object = &missing.object;
    let mut bindings = called(object);
    bindings.extend(missing.controller.map(|one| ("selector", one.selector.to_string())));
    let named = worst.and_then(|obstacle| obstacle.pod.as_ref());
    let pod =
        named.and_then(|(pod, _)| scene.snapshot.pods.get(&pod.key)).or(missing.unready.first().copied());
    if let Some(pod) = pod {
        bindings.insert("pod", pod.key.name.to_string());
        let waiting = pod.containers.iter().find(|container| !container.init && !container.ready);
        bindings.extend(waiting.map(|container| ("container", container.name.to_string())));
        bindings.extend(pod.node.as_ref().map(|node| ("node", node.to_string())));
        bindings.extend(service(scene, pod));
    }
    bindings.extend(worst.map(|obstacle| obstacle.bindings.clone()).unwrap_or_default());
    bindings
}
