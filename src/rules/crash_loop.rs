//! Crash loops, by workload: containers that die again and again, or that the kubelet cannot start.
//! Reads container states and the events about their pods; logs are for the playbook to read.

use std::collections::HashSet;
use std::time::Duration;

use jiff::SignedDuration;

use crate::domain::{
    Anomaly, AnomalyId, Cause, Container, ContainerState, Event, Evidence, Key, Kind, Name, Origin, Pod,
    Severity, Subject, Terminated, Timestamp, between, cause, text,
};

use super::crash_cause::{CANNOT_START, Why, why};
use super::crash_onset::pods_onset;
use super::crash_title::{how, part, title};
use super::room::{Suggestion, suggest_memory};
use super::suspicion::{inherited_since, went_on_since};
use super::workload::{Bindings, Group, Standing, describe_suspicion, evidence, groups, quote};
use super::{Needs, Rule, Scene, Threshold, Unit, configuration, evicted, one_node, pages_at, shown};

const RESTARTS: Threshold = Threshold {
    key: "crash-loop.restarts",
    default: 2.0,
    unit: Unit::Count,
    says: "restarts after which a container that just died is suspected",
    source: "our own choice; CrashLoopBackOff counts at once",
};
const RECOVERED_AFTER: Threshold = Threshold {
    key: "crash-loop.recovered-after",
    default: 600.0,
    unit: Unit::Seconds,
    says: "a container that ran this long no longer loops",
    source: "kubelet: the back-off is reset after 10 min of running",
};
const SETTLED_AFTER: Threshold = Threshold {
    key: "crash-loop.settled-after",
    default: 180.0,
    unit: Unit::Seconds,
    says: "a ready container that ran this long, and much longer than it lived before, no longer loops",
    source: "our own choice; shorter than recovered-after, which holds for any container",
};
const WARNING_AFTER: Threshold = Threshold {
    key: "crash-loop.warning-after",
    default: 120.0,
    unit: Unit::Seconds,
    says: "how long it lasts before it is a warning",
    source: "our own choice; public alerts wait longer",
};
const CRITICAL_BELOW: Threshold = Threshold {
    key: "crash-loop.critical-below",
    default: 0.5,
    unit: Unit::Ratio,
    says: "available share of replicas below which it is critical",
    source: "our own choice",
};
const PAGES_AFTER: Threshold = Threshold {
    key: "crash-loop.pages-after",
    default: 900.0,
    unit: Unit::Seconds,
    says: "`for` of the public alert",
    source: "kubernetes-mixin: KubePodCrashLooping, 15m",
};

pub(super) static RULE: Rule = Rule {
    name: "crash-loop",
    title: "Pods crash-looping",
    says: "Containers in CrashLoopBackOff, containers that restarted twice and just died young again, \
           containers that the kubelet cannot create, and pods evicted again and again for what they write themselves. Silent about Jobs that run and retry, pods being deleted, and \
           containers that have been running for ten minutes since, or for three if that is ten times what they lived.",
    needs: Needs::All(&[Origin::Pods]),
    awaits: &[],
    thresholds: &[RESTARTS, RECOVERED_AFTER, SETTLED_AFTER, WARNING_AFTER, CRITICAL_BELOW, PAGES_AFTER],
    examine,
};

/// How many times its last life a container must have run to have settled.
const SETTLED_LIVES: u32 = 10;

/// Evidence about single pods is cut after this many.
const EXAMPLES: usize = 4;

fn examine(scene: &Scene<'_>) -> Vec<Anomaly> {
    let mut anomalies: Vec<Anomaly> =
        groups(scene, is_looping).iter().filter_map(|group| anomaly(scene, group)).collect();
    let told: Vec<AnomalyId> = anomalies.iter().map(|anomaly| anomaly.id.clone()).collect();
    anomalies.extend(evicted::examine(scene).into_iter().filter(|anomaly| !told.contains(&anomaly.id)));
    anomalies
}

/// Whether a container dies again and again, or cannot be started.
pub(super) fn is_looping(scene: &Scene<'_>, _pod: &Pod, container: &Container) -> bool {
    let waits = |reason: &Name| &**reason == "CrashLoopBackOff" || CANNOT_START.contains(&&**reason);
    if container.waiting().is_some_and(waits) {
        return true;
    }
    let Some(end) = container.termination() else { return false };
    let recovery = scene.thresholds.span(&RECOVERED_AFTER);
    let just_died = end.finished.is_some_and(|finished| scene.now.duration_since(finished) < recovery);
    // One that ran for long before it died restarted; it doesn't loop.
    let died_young =
        end.lived().is_none_or(|lived| SignedDuration::try_from(lived).is_ok_and(|lived| lived < recovery));
    let finished_its_work = container.init && end.exit_code == 0;
    if has_settled(scene, container, end) {
        return false;
    }
    f64::from(container.restarts) >= scene.threshold(&RESTARTS)
        && just_died
        && died_young
        && !finished_its_work
}

/// Whether it is ready and has been running much longer than it lived before: what it waited for has come.
fn has_settled(scene: &Scene<'_>, container: &Container, end: &Terminated) -> bool {
    let ContainerState::Running { since } = container.state else { return false };
    let (Some(began), Some(lived)) = (since.max(end.finished), end.lived()) else { return false };
    let running = between(began, scene.now);
    container.ready && scene.has_lasted(began, &SETTLED_AFTER) && running >= lived * SETTLED_LIVES
}

fn anomaly<'a>(scene: &Scene<'a>, group: &Group<'a>) -> Option<Anomaly> {
    let standing = group.standing(scene);
    let pods = group.pods();
    let (revisions, began) = (group.revisions(scene), pods_onset(scene, group));
    // Pods that were moved meanwhile began anew, and it did not.
    let went_on = went_on_since(scene, &revisions, began);
    let onset = inherited_since(scene, &revisions).into_iter().chain(went_on).chain([began]).min()?;
    let (worst, worst_why) = worst(scene, group)?;
    let injected = group.injected(scene, worst.1);
    let suspicion = group.suspect(scene, onset).filter(|_| injected.is_none());
    let mut bindings = group.bindings(scene, worst);
    let mut causes =
        vec![Cause { name: worst_why.name, says: worst_why.says.clone(), weight: worst_why.weight }];
    bindings.extend(worst_why.bindings.clone());
    bindings.insert("because", worst_why.label.clone());
    bindings.insert("how", how(group).to_owned());
    let mut facts = examples(group);
    if let Some(suspicion) = &suspicion {
        describe_suspicion(suspicion, &mut bindings);
        facts.push(evidence(Origin::ReplicaSets, Some(suspicion.bad.created), suspicion.says.clone()));
        let says = suspicion.says.clone();
        causes.push(Cause { name: cause::BAD_REVISION, says, weight: suspicion.weight });
    }
    causes.extend(injected);
    causes.extend(one_node::blame(scene, &group.revisions(scene), &group.pods()));
    if let Some(cause) = group.left_behind(scene) {
        facts.push(evidence(Origin::StatefulSets, None, cause.says.clone()));
        causes.push(cause);
    }
    group.blame_configuration(scene, onset, &mut causes, &mut facts, &mut bindings);
    if let Some(corrected) = corrected(scene, group, &mut bindings) {
        // Whatever was to blame, what is there now has not been tried.
        causes.retain(|cause| cause.name != cause::BAD_REVISION);
        facts.push(evidence(Origin::ConfigMaps, None, corrected.says.clone()));
        causes.push(corrected);
    }
    if let Some(kept) = group.kept_by(scene) {
        bindings.insert("kept_by", kept.says.clone());
        causes.push(kept);
    }
    let namespace = &group.object.key.namespace;
    configuration::blame_policy(scene, namespace, onset, &mut causes, &mut bindings);
    if matches!(worst_why.name, cause::OOM_KILLED | cause::MEMORY_LEAK) {
        describe_memory(scene, group, worst.1, &mut bindings, &mut facts);
    }
    facts.extend(about_events(scene, &pods));
    facts.push(evidence(Origin::Pods, None, standing_says(standing)));
    causes.sort_by(|one, other| other.weight.total_cmp(&one.weight));
    let score = score(scene, group, &worst_why, suspicion.is_some());
    let title = title(group, standing, &format!("{}{}", part(worst), worst_why.label));
    shown(Anomaly {
        id: AnomalyId(
            format!("{}/{}/{}", RULE.name, group.object.kind.for_kubectl(), group.object.key).into(),
        ),
        rule: RULE.name.into(),
        subject: Subject::Object(group.object.clone()),
        severity: severity(scene, group, standing, onset),
        score,
        onset,
        title,
        evidence: facts,
        causes,
        touches: group.touches(),
        bindings,
        pages_at: pages_at(scene, onset, &PAGES_AFTER),
    })
}

/// What they read at their start was written while they all wait to be started again.
fn corrected(scene: &Scene<'_>, group: &Group<'_>, bindings: &mut Bindings) -> Option<Cause> {
    let template = group.template()?;
    if group.sick.iter().any(|(_, container)| container.waiting().is_none()) {
        return None;
    }
    let ends = group.sick.iter().filter_map(|(_, container)| container.termination()?.finished);
    let needed = template.references.iter().map(|reference| &reference.object);
    configuration::corrected(scene, needed, ends.max()?, bindings)
}

fn standing_says(standing: Standing) -> String {
    format!("{} of {} available", standing.available, text::count(standing.desired as usize, "replica"))
}

/// The container to look at: that with the strongest cause, then the most restarts, then by name.
fn worst<'a>(scene: &Scene<'a>, group: &Group<'a>) -> Option<((&'a Pod, &'a Container), Why)> {
    // In a storm every pod of a workload tells the same story; a few are enough to hear it.
    let heard = group.sick.iter().take(32).map(|row| (*row, why(scene, row.0, row.1)));
    heard.max_by(|((pod, one), one_why), ((other_pod, other), other_why)| {
        one_why
            .weight
            .total_cmp(&other_why.weight)
            .then(one.restarts.cmp(&other.restarts))
            .then_with(|| other_pod.key.cmp(&pod.key))
    })
}

fn severity(scene: &Scene<'_>, group: &Group<'_>, standing: Standing, onset: Timestamp) -> Severity {
    let lasting = scene.has_lasted(onset, &WARNING_AFTER);
    let backing_off = group.sick.iter().any(|(_, container)| container.waiting().is_some());
    if group.is_job() {
        // Trying again helps a Job that fails, not one that cannot start.
        let stuck = lasting && cannot_start(group);
        return if stuck { Severity::Warning } else { Severity::Suspect };
    }
    // Nobody promised that a pod without a controller is there.
    let bare = group.object.kind == Kind::Pod && group.sick.iter().all(|(pod, _)| pod.owner.is_none());
    // What lives for moments only counts as available in between, and serves nobody.
    let in_between = group.sick.iter().filter(|(pod, container)| pod.is_ready() && is_short_lived(container));
    let in_between: HashSet<&Key> = in_between.map(|(pod, _)| &pod.key).collect();
    let available = standing.available.saturating_sub(in_between.len() as u32);
    let share = Standing { available, ..standing }.share();
    if !bare && share < scene.threshold(&CRITICAL_BELOW) && (lasting || backing_off) {
        return Severity::Critical;
    }
    if lasting { Severity::Warning } else { Severity::Suspect }
}

fn is_short_lived(container: &Container) -> bool {
    const MOMENTS: Duration = Duration::from_mins(1);
    container.termination().and_then(Terminated::lived).is_some_and(|lived| lived < MOMENTS)
}

fn cannot_start(group: &Group<'_>) -> bool {
    group.sick.iter().any(|(_, row)| row.waiting().is_some_and(|reason| CANNOT_START.contains(&&**reason)))
}

/// The audit's arithmetic: base signal, raises and lowers.
fn score(scene: &Scene<'_>, group: &Group<'_>, why: &Why, only_newest: bool) -> f64 {
    let waits = |reasons: &[&str]| {
        group.sick.iter().any(|(_, row)| row.waiting().is_some_and(|reason| reasons.contains(&&**reason)))
    };
    let base = match () {
        () if cannot_start(group) => 0.7,
        () if waits(&["CrashLoopBackOff"]) => 0.6,
        () => 0.5,
    };
    let is_job = group.is_job();
    let same_reason =
        |row: &&(&Pod, &Container)| super::crash_cause::why(scene, row.0, row.1).name == why.name;
    // Pods of one Job run the same attempt: two of them prove no more than one.
    let several =
        !is_job && group.pods().len() >= 2 && group.sick.iter().take(8).filter(same_reason).count() >= 2;
    let fresh = group.sick.iter().any(|(_, row)| {
        let ended = row.termination().and_then(|end| end.finished);
        ended.is_some_and(|ended| scene.now.duration_since(ended) < SignedDuration::from_mins(5))
    });
    let retries = is_job && !cannot_start(group) && !is_too_large(group);
    let raises = [(several, 0.2), (only_newest, 0.2), (fresh, 0.1), (retries, -0.3)];
    let sum: f64 = raises.iter().filter(|(holds, _)| *holds).map(|(_, by)| by).sum();
    (base + sum).clamp(0.0, 1.0)
}

/// A run was killed at its memory limit so often that the next will be.
fn is_too_large(group: &Group<'_>) -> bool {
    const OFTEN: u32 = 3;
    group.sick.iter().any(|(_, row)| row.restarts >= OFTEN && row.was_out_of_memory())
}

fn examples(group: &Group<'_>) -> Vec<Evidence> {
    let mut lines: Vec<Evidence> = group
        .sick
        .iter()
        .take(EXAMPLES)
        .map(|(pod, container)| {
            let end = container.termination();
            let ended = end.map(|end| format!("ended {}", end.how()));
            let how = match (container.waiting(), ended) {
                (Some(reason), Some(ended)) => format!("{reason}, last {ended}"),
                (Some(reason), None) => reason.to_string(),
                (None, Some(ended)) => ended,
                (None, None) => "not ready".to_owned(),
            };
            let restarts = text::count(container.restarts as usize, "restart");
            let says = format!("{}/{}: {how}, {restarts}", pod.key.name, container.name);
            evidence(Origin::Pods, end.and_then(|end| end.finished), says)
        })
        .collect();
    if group.sick.len() > EXAMPLES {
        let more = text::count(group.sick.len() - EXAMPLES, "more container");
        lines.push(evidence(Origin::Pods, None, format!("and {more}")));
    }
    lines
}

/// What the kubelet and the scheduler say of a pod that cannot begin.
const BEFORE_A_START: &[&str] =
    &["FailedScheduling", "FailedCreatePodSandBox", "FailedMount", "FailedAttachVolume", "FailedMapVolume"];

/// The latest warnings about the first pods, one per reason.
fn about_events(scene: &Scene<'_>, pods: &[&Pod]) -> Vec<Evidence> {
    let mut seen: Vec<&str> = vec!["BackOff"];
    let mut lines = Vec::new();
    let events = pods.iter().take(EXAMPLES).flat_map(|pod| {
        let ran = pod.containers.iter().filter_map(|row| row.termination()?.started).min();
        // What kept it from starting is over for one that ran.
        let is_over = move |event: &&Event| {
            BEFORE_A_START.contains(&&*event.reason) && ran.is_some_and(|ran| event.last <= ran)
        };
        scene.events(Kind::Pod, &pod.key).filter(move |event| !is_over(event))
    });
    for event in events {
        if !seen.contains(&&*event.reason) {
            seen.push(&event.reason);
            let says = format!("{}: {}", event.reason, quote(&event.message));
            lines.push(evidence(Origin::Events, Some(event.last), says));
        }
    }
    lines
}

fn describe_memory<'a>(
    scene: &Scene<'a>,
    group: &Group<'a>,
    container: &Container,
    bindings: &mut Bindings,
    facts: &mut Vec<Evidence>,
) {
    if let Some(limit) = container.limits.memory_bytes {
        bindings.insert("memory_limit", text::quantity(limit));
    }
    if let Some(request) = container.requests.memory_bytes {
        bindings.insert("memory_request", text::quantity(request));
    }
    if let Some(lived) = container.termination().and_then(crate::domain::Terminated::lived) {
        bindings.insert("crash_period", text::span(lived));
    }
    match suggest_memory(scene, &group.sick) {
        Some(Suggestion::Limit(bytes)) => {
            bindings.insert("memory_suggestion", text::quantity(bytes));
        }
        Some(Suggestion::NoRoom { wanted, free }) => {
            let says = format!(
                "no node has room for a limit of {}: the roomiest has {} unrequested",
                text::bytes(wanted),
                text::bytes(free)
            );
            facts.push(evidence(Origin::Nodes, None, says));
        }
        None => {}
    }
    let ended = container.termination().and_then(|end| Some(between(end.started?, end.finished?)));
    if let Some(ended) = ended {
        facts.push(evidence(Origin::Pods, None, format!("the last run took {}", text::span(ended))));
    }
}
