//! Rollouts that do not get on, by Deployment.
//! Reads their own status and their newest pods; how bad it is, and when it last got on, is for others to say.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::collections::{HashMap, HashSet};

use jiff::SignedDuration;

use crate::domain::{
    Anomaly, AnomalyId, Cause, Deployment, Kind, Node, ObjectRef, Origin, Pod, ReplicaSet, Severity, Status,
    Subject, Timestamp, cause, text,
};

use super::census::counted;
use super::crash_loop::is_looping;
use super::image_pull::is_failing;
use super::node_notready::JOINING;
use super::pods_missing::{self, fell_silent, unplaced_since};
use super::preempted::preempted;
use super::revision;
use super::rollout_about::{bindings, touches};
use super::rollout_cause::{blames_revision, obstacles};
use super::rollout_clock::last_progress;
use super::rollout_grade::{is_blocked, is_outage, is_short, score, severity};
use super::rollout_ignored::{ignored_since, unobserved};
use super::scheduling::unschedulable;
use super::suspicion::suspect;
use super::turned_away::{goes_on, is_turned_away};
use super::workload::{describe_suspicion, evidence};
use super::{
    Needs, Rule, Scene, Threshold, Unit, configuration, nowhere, one_node, overdue, pages_at, paused, shown,
    turned_away,
};

/// So many of the pods that nodes turned away stand for all of them.
const SHOWN: usize = 2;

pub(super) const NO_PROGRESS: Threshold = Threshold {
    key: "rollout-stuck.no-progress",
    default: 180.0,
    unit: Unit::Seconds,
    says: "no new pod and none newly ready for this long while some are missing",
    source: "our own choice; Kubernetes' progress deadline (600 s) makes it a warning",
};
const UNSCHEDULABLE: Threshold = Threshold {
    key: "rollout-stuck.unschedulable",
    default: 60.0,
    unit: Unit::Seconds,
    says: "how long a new pod finds no node before it is suspected",
    source: "our own choice; cluster autoscalers react within 10-60 s",
};
pub(super) const NONE_LEFT: Threshold = Threshold {
    key: "rollout-stuck.none-left",
    default: 60.0,
    unit: Unit::Seconds,
    says: "how long nothing has been left of what worked before that is suspected",
    source: "our own choice; the time of no-progress makes it critical",
};
pub(super) const MISSING: Threshold = Threshold {
    key: "rollout-stuck.missing",
    default: 900.0,
    unit: Unit::Seconds,
    says: "how long a completed rollout has had fewer replicas than its strategy allows",
    source: "kubernetes-mixin: KubeDeploymentReplicasMismatch, KubePodNotReady, 15m",
};
pub(super) const PAGES_AFTER: Threshold = Threshold {
    key: "rollout-stuck.pages-after",
    default: 900.0,
    unit: Unit::Seconds,
    says: "`for` of the public alert, from the progress deadline on",
    source: "kubernetes-mixin: KubeDeploymentRolloutStuck, 15m",
};

pub(super) static RULE: Rule = Rule {
    name: "rollout-stuck",
    title: "Rollouts stuck",
    says: "Deployments past their progress deadline; Deployments, StatefulSets and DaemonSets whose pods are refused, or \
           whose newest revision has not got on for three minutes; and workloads of which nothing has been available for as long, or too little \
           for a quarter of an hour, pods that stand alone among them, when no other rule says why; pods that do not go; and rollouts that were paused ten minutes ago and wait since. \
           Silent about rollouts that progress, wait at a partition or for somebody to delete pods, and about scaling.",
    needs: Needs::All(&[
        Origin::Deployments,
        Origin::ReplicaSets,
        Origin::StatefulSets,
        Origin::DaemonSets,
        Origin::Pods,
    ]),
    awaits: &[
        Origin::ReplicaSets,
        Origin::Pods,
        Origin::StatefulSets,
        Origin::DaemonSets,
        Origin::ControllerRevisions,
    ],
    thresholds: &[NO_PROGRESS, UNSCHEDULABLE, NONE_LEFT, MISSING, overdue::OVERDUE, PAGES_AFTER],
    examine,
};

fn examine(scene: &Scene<'_>) -> Vec<Anomaly> {
    let mut anomalies = of_deployments(scene);
    anomalies.extend(paused::examine(scene));
    anomalies.extend(pods_missing::examine(scene));
    anomalies.extend(nowhere::examine(scene));
    anomalies.extend(overdue::examine(scene, &anomalies));
    anomalies
}

fn of_deployments(scene: &Scene<'_>) -> Vec<Anomaly> {
    let census = OnceCell::new();
    let homeless = homeless(scene);
    let rolling: Vec<(Cow<'_, Deployment>, Option<&ReplicaSet>)> = scene
        .snapshot
        .deployments
        .iter()
        .map(|deployment| counted(scene, deployment, &census))
        .filter(|deployment| {
            is_rolling(deployment)
                || refused_since(deployment).is_some()
                || missing_since(scene, deployment).is_some()
                || ignored_since(scene, deployment).is_some()
                || is_short(deployment)
                    && scene.revisions(deployment).iter().any(|set| homeless.contains(&*set.uid))
        })
        .map(|deployment| {
            let newest = revision::newest(scene, &deployment);
            (deployment, newest)
        })
        .collect();
    if rolling.is_empty() {
        return Vec::new();
    }
    let mut members: HashMap<&str, Vec<&Pod>> =
        rolling.iter().filter_map(|(_, newest)| Some((&*(*newest)?.uid, Vec::new()))).collect();
    let mut away: HashMap<&str, Vec<&Pod>> = HashMap::new();
    for pod in scene.snapshot.pods.iter().filter(|pod| pod.deleting.is_none()) {
        let Some(owner) = pod.owner.as_ref() else { continue };
        let Some(pods) = members.get_mut(&*owner.uid) else { continue };
        if is_turned_away(pod) {
            away.entry(&owner.uid).or_default().push(pod);
        } else if !pod.is_finished() {
            pods.push(pod);
        }
    }
    for pods in members.values_mut().chain(away.values_mut()) {
        pods.sort_by(|one, other| one.key.cmp(&other.key));
    }
    let none = Vec::new();
    rolling
        .into_iter()
        .filter_map(|(deployment, newest)| {
            let pods = newest.and_then(|set| members.get(&*set.uid)).unwrap_or(&none);
            let away = newest.and_then(|set| away.get(&*set.uid)).unwrap_or(&none);
            anomaly(scene, &deployment, newest, (pods, away))
        })
        .collect()
}

/// Owners of pods that have found no node for so long that no node may be on its way.
fn homeless<'a>(scene: &Scene<'a>) -> HashSet<&'a str> {
    let patience = |pod: &Pod| if preempted(scene, pod).is_some() { &UNSCHEDULABLE } else { &NO_PROGRESS };
    let waits =
        |pod: &&&Pod| unschedulable(pod).is_some() && scene.has_lasted(unplaced_since(pod), patience(pod));
    // A node that joins may be for them.
    let joins = |node: &Node| !node.is_ready() && !scene.has_lasted(node.created, &JOINING);
    if scene.snapshot.nodes.iter().any(joins) {
        return HashSet::new();
    }
    let owners = scene.unwell().iter().filter(waits).filter_map(|pod| pod.owner.as_ref());
    owners.map(|owner| &*owner.uid).collect()
}

/// A rollout that is neither complete nor paused. One that was completed stays so for Kubernetes, however
/// many of its pods are missing later, and so does one that is merely scaled.
fn is_rolling(deployment: &Deployment) -> bool {
    is_unfinished(deployment) && !deployment.was_completed()
}

/// Something is still to be done for it, and nobody holds it back.
fn is_unfinished(deployment: &Deployment) -> bool {
    !deployment.paused && deployment.replicas > 0 && !deployment.is_rolled_out()
}

/// Since when its pods have not even been accepted.
fn refused_since(deployment: &Deployment) -> Option<Timestamp> {
    let condition = deployment.condition("ReplicaFailure").filter(|row| row.status == Status::True)?;
    is_unfinished(deployment).then(|| condition.since.unwrap_or(deployment.created))
}

/// Since when a completed rollout has lacked replicas, if it has for too long; or one under way has had none.
fn missing_since(scene: &Scene<'_>, deployment: &Deployment) -> Option<Timestamp> {
    if deployment.paused || deployment.replicas == 0 {
        return None;
    }
    let condition = deployment.condition("Available").filter(|row| row.status == Status::False)?;
    if is_rolling(deployment) {
        // Nobody is served, however often a pod is replaced by the next.
        let lasts = condition.since.map(|since| scene.now.duration_since(since));
        let long = lasts.is_some_and(|lasts| lasts >= deadline_span(deployment));
        return condition.since.filter(|_| long && deployment.available == 0);
    }
    let patience = if deployment.available == 0 { &NONE_LEFT } else { &MISSING };
    condition.since.filter(|since| scene.has_lasted(*since, patience))
}

/// Whether another rule says what ails this pod.
pub(super) fn is_told(scene: &Scene<'_>, pod: &Pod) -> bool {
    pod.containers.iter().any(|container| is_failing(container) || is_looping(scene, pod, container))
}

fn is_past_deadline(deployment: &Deployment) -> Option<Timestamp> {
    let condition = deployment.condition("Progressing").filter(|row| row.status == Status::False)?;
    let exceeded = condition.reason.as_deref() == Some("ProgressDeadlineExceeded");
    exceeded.then(|| condition.since.unwrap_or(deployment.created))
}

fn anomaly(
    scene: &Scene<'_>,
    deployment: &Deployment,
    newest: Option<&ReplicaSet>,
    (pods, away): (&[&Pod], &[&Pod]),
) -> Option<Anomaly> {
    let turned_away = goes_on(scene, away).filter(|_| is_unfinished(deployment));
    let mut unready: Vec<&Pod> = pods.iter().copied().filter(|pod| !pod.is_ready()).collect();
    unready.extend(away.iter().copied().take(if turned_away.is_some() { SHOWN } else { 0 }));
    let deadline = is_past_deadline(deployment);
    let refused = refused_since(deployment).or(turned_away);
    // What was complete did not have to get on before it was told to grow.
    let grows = refused.filter(|_| !is_rolling(deployment));
    let progressed = last_progress(scene, deployment, pods).map(|at| grows.map_or(at, |since| since.max(at)));
    // As in `status.unavailableReplicas`: with a surge, old pods may fill the number while no new one comes up.
    let wanted = deployment.replicas.max(deployment.status_replicas);
    let missing = deployment.available < wanted || deployment.updated < deployment.replicas;
    // Pods that have to be ready for a while before they count do not stand still meanwhile.
    let due = |progressed: Timestamp| {
        progressed.checked_add(SignedDuration::from_secs(i64::from(deployment.min_ready_seconds))).ok()
    };
    let standing_still =
        missing && progressed.and_then(due).is_some_and(|due| scene.has_lasted(due, &NO_PROGRESS));
    let unplaced = unready.iter().filter(|pod| unschedulable(pod).is_some()).map(|pod| unplaced_since(pod));
    let homeless = unplaced.min().filter(|since| scene.has_lasted(*since, &UNSCHEDULABLE));
    let gone = missing_since(scene, deployment);
    let ignored = ignored_since(scene, deployment);
    let mut obstacles = obstacles(scene, deployment, newest, &unready);
    // What is not there does not come by itself.
    let needs = obstacles.first().is_some_and(|obstacle| obstacle.cause.name == cause::MISSING_REFERENCE)
        && missing
        && progressed.is_some_and(|progressed| scene.has_lasted(progressed, &NONE_LEFT))
        && !unready.iter().any(|pod| is_told(scene, pod));
    if deadline.is_none()
        && refused.is_none()
        && !standing_still
        && !needs
        && homeless.is_none()
        && gone.is_none()
        && ignored.is_none()
    {
        return None;
    }
    if gone.is_some() && unready.iter().any(|pod| is_told(scene, pod)) {
        return None;
    }
    let progressed = progressed.unwrap_or(deployment.created);
    let rolls = is_rolling(deployment);
    // Whichever came first: the pods that found no node, or that it was too few.
    let lacking = [gone, homeless.filter(|_| !rolls)].into_iter().flatten().min();
    // Pods that wait meanwhile, or were refused, date it better than what its status last noted of the others.
    let stopped = [homeless, refused].into_iter().flatten().fold(progressed, Timestamp::min);
    let began = ignored.or(lacking).or(grows).unwrap_or(stopped);
    obstacles.extend(ignored.map(|since| unobserved(scene, since)));
    let revisions = revision::of_deployment(scene, deployment);
    let suspicion = suspect(scene, &revisions, &unready, began);
    // What was rolled out and served needs only the time of its start.
    let starts = obstacles.first().is_some_and(|obstacle| obstacle.cause.name == cause::STARTING_SLOWLY);
    let suspicion = suspicion.filter(|suspicion| {
        blames_revision(suspicion, obstacles.first()) && !(starts && deployment.was_completed())
    });
    let mut causes: Vec<Cause> = Vec::new();
    for obstacle in &obstacles {
        if !causes.iter().any(|known| known.name == obstacle.cause.name) {
            causes.push(obstacle.cause.clone());
        }
    }
    let mut facts = vec![evidence(Origin::Deployments, None, counts(deployment))];
    if let Some(since) = deadline {
        let limit = deployment.progress_deadline_seconds;
        facts.push(evidence(
            Origin::Deployments,
            Some(since),
            format!("progress deadline of {limit} s exceeded"),
        ));
    }
    facts.extend(turned_away.map(|since| turned_away::counted(scene, away, since)));
    facts.extend(obstacles.iter().map(|obstacle| obstacle.evidence.clone()));
    let mut bindings = bindings(scene, deployment, newest, &unready, obstacles.first());
    if let Some(suspicion) = &suspicion {
        describe_suspicion(suspicion, &mut bindings);
        facts.push(evidence(Origin::ReplicaSets, Some(suspicion.bad.created), suspicion.says.clone()));
        let weight = suspicion.weight.min(0.8);
        causes.push(Cause { name: cause::BAD_REVISION, says: suspicion.says.clone(), weight });
    }
    let fell = gone.and_then(|_| fell_silent(scene, deployment.replicas as usize, &unready));
    causes.extend(fell.clone());
    causes.extend(one_node::blame(scene, &revisions, &unready));
    configuration::blame_of(scene, deployment, began, &mut causes, &mut facts, &mut bindings);
    causes.sort_by(|one, other| other.weight.total_cmp(&one.weight));
    let label = obstacles.first().map_or("no progress", |obstacle| &obstacle.label).to_owned();
    bindings.insert("because", label.clone());
    let (updated, available, wanted) = (deployment.updated, deployment.available, deployment.replicas);
    let title = if rolls || ignored.is_some() {
        format!("rollout stuck at {updated} of {wanted} updated: {label}")
    } else {
        format!("{available} of {wanted} available: {label}")
    };
    let long_gone = gone.is_some_and(|since| scene.has_lasted(since, &NO_PROGRESS));
    let firing = long_gone
        || ignored.is_some()
        || deadline.is_some()
        || rolls && lasted_the_deadline(scene, deployment, progressed);
    let deadline_at = gone
        .or(deadline)
        .unwrap_or_else(|| progressed.checked_add(deadline_span(deployment)).unwrap_or(Timestamp::MAX));
    shown(Anomaly {
        id: AnomalyId(format!("{}/deployment/{}", RULE.name, deployment.key).into()),
        rule: RULE.name.into(),
        subject: Subject::Object(ObjectRef::new(Kind::Deployment, deployment.key.clone())),
        severity: match () {
            () if fell.is_some() => Severity::Critical,
            () if (long_gone || grows.is_some()) && !is_outage(deployment) => Severity::Warning,
            () if standing_still && deployment.available == 0 && is_blocked(&causes) => Severity::Critical,
            () => {
                severity(deployment, firing, refused.is_some() || homeless.is_some() && is_short(deployment))
            }
        },
        score: score(deployment, firing, refused.is_some(), homeless.is_some(), &causes),
        onset: began,
        title,
        evidence: facts,
        causes,
        touches: touches(deployment, newest, &unready),
        bindings,
        pages_at: pages_at(scene, deadline_at, &PAGES_AFTER),
    })
}

fn deadline_span(deployment: &Deployment) -> SignedDuration {
    SignedDuration::from_secs(i64::from(deployment.progress_deadline_seconds))
}

fn lasted_the_deadline(scene: &Scene<'_>, deployment: &Deployment, progressed: Timestamp) -> bool {
    scene.now.duration_since(progressed) >= deadline_span(deployment)
}

fn counts(deployment: &Deployment) -> String {
    format!(
        "{} of {} updated, {} available, {}",
        deployment.updated,
        deployment.replicas,
        deployment.available,
        text::count(deployment.status_replicas as usize, "pod")
    )
}
