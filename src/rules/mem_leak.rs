//! Memory that only grows, by workload: how fast, for how long still, and since which revision.
//! Reads Prometheus' lines of the working set and the limits of the pods.

use std::collections::BTreeMap;

use jiff::SignedDuration;

use crate::domain::{
    Anomaly, AnomalyId, Cause, Deployment, Kind, MemoryTrend, Name, ObjectRef, Origin, Pod, ReplicaSet,
    Severity, Subject, between, cause, text,
};

use super::memory_trend::{Growth, correlation, growth, leaks};
use super::revision::Revision;
use super::room::{Suggestion, suggest_memory};
use super::suspicion::Suspicion;
use super::workload::{Bindings, called, describe_deployment, evidence};
use super::{Needs, Rule, Scene, Threshold, Unit, shown};

const WARNING_WITHIN: Threshold = Threshold {
    key: "mem-leak.warning-within",
    default: 14400.0,
    unit: Unit::Seconds,
    says: "time left until the limit that is a warning",
    source: "our own choice; public rules know levels and slopes only",
};
const CRITICAL_WITHIN: Threshold = Threshold {
    key: "mem-leak.critical-within",
    default: 3600.0,
    unit: Unit::Seconds,
    says: "time left until the limit that is critical",
    source: "our own choice",
};
const FULL: Threshold = Threshold {
    key: "mem-leak.full",
    default: 0.85,
    unit: Unit::Ratio,
    says: "share of the limit that is a warning while it grows",
    source: "our own choice; samber/awesome-prometheus-alerts, google-cadvisor: 80 %",
};
const KILLS: Threshold = Threshold {
    key: "mem-leak.kills",
    default: 2.0,
    unit: Unit::Count,
    says: "containers killed at their limit within six hours that speak for a leak",
    source: "our own choice",
};

pub(super) static RULE: Rule = Rule {
    name: "mem-leak",
    title: "Memory leaking",
    says: "Containers whose working set grows steadily towards their limit. Silent while they warm up, where \
           memory follows the load, where it levels off, and about containers without a limit.",
    needs: Needs::All(&[Origin::Containers, Origin::Pods]),
    awaits: &[],
    thresholds: &[WARNING_WITHIN, CRITICAL_WITHIN, FULL, KILLS],
    examine,
};

/// One container that grows.
struct Leak<'a> {
    pod: &'a Pod,
    trend: &'a MemoryTrend,
    growth: Growth,
    limit: f64,
    /// Seconds until the limit.
    left: f64,
}

/// The leaking containers of one workload, and its Deployment, if it is one.
type Leaks<'a> = (Option<&'a Deployment>, Vec<Leak<'a>>);

fn examine(scene: &Scene<'_>) -> Vec<Anomaly> {
    if scene.snapshot.blindness(Origin::Containers, scene.now).is_some() {
        return Vec::new();
    }
    let mut groups: BTreeMap<(ObjectRef, &Name), Leaks<'_>> = BTreeMap::new();
    for trend in &scene.snapshot.strain.memory {
        let Some(leak) = leaking(scene, trend) else { continue };
        let (object, deployment) = scene.workload_of(leak.pod);
        groups.entry((object, &trend.container)).or_insert((deployment, Vec::new())).1.push(leak);
    }
    groups
        .into_iter()
        .filter_map(|((object, container), (deployment, leaks))| {
            anomaly(scene, object, container, deployment, leaks)
        })
        .collect()
}

/// A living container that grows and will reach its limit within the time that is a warning, or is near it.
fn leaking<'a>(scene: &Scene<'a>, trend: &'a MemoryTrend) -> Option<Leak<'a>> {
    let pod = scene.snapshot.pods.get(&trend.pod)?;
    let container = pod.containers.iter().find(|container| container.name == trend.container)?;
    let limit = container.limits.memory_bytes? as f64;
    let growth = growth(&trend.bytes)?;
    if pod.deleting.is_some() || pod.is_finished() || !leaks(&trend.bytes, &growth) {
        return None;
    }
    let left = growth.until(limit)?;
    let near = left <= scene.threshold(&WARNING_WITHIN) || growth.now >= scene.threshold(&FULL) * limit;
    near.then_some(Leak { pod, trend, growth, limit, left })
}

fn anomaly<'a>(
    scene: &Scene<'a>,
    object: ObjectRef,
    container: &Name,
    deployment: Option<&'a Deployment>,
    mut leaks: Vec<Leak<'a>>,
) -> Option<Anomaly> {
    leaks.sort_by(|one, other| one.left.total_cmp(&other.left).then_with(|| one.pod.key.cmp(&other.pod.key)));
    let worst = leaks.first()?;
    let kills = killed(scene, &object, container);
    let severity = match () {
        () if worst.left <= scene.threshold(&CRITICAL_WITHIN) => Severity::Critical,
        () => Severity::Warning,
    };
    let onset = leaks.iter().map(|leak| leak.growth.began).min().unwrap_or(scene.now);
    let rate = format!("{}/min", text::bytes((worst.growth.slope * 60.0) as u64));
    let left = text::span(std::time::Duration::from_secs_f64(worst.left.min(1e8)));
    let title = format!("memory grows by {rate}, at its limit in {left}");
    let mut facts = vec![evidence(
        Origin::Containers,
        Some(worst.growth.since),
        format!(
            "{}: {} of {}, {rate} for {}",
            worst.pod.key.name,
            text::bytes(worst.growth.now as u64),
            text::bytes(worst.limit as u64),
            text::span(between(worst.growth.since, scene.now))
        ),
    )];
    if leaks.len() > 1 {
        facts.push(evidence(Origin::Containers, None, format!("{} of its pods grow", leaks.len())));
    }
    if kills > 0 {
        let says = format!("{} killed at the limit within six hours", text::count(kills, "container"));
        facts.push(evidence(Origin::Pods, None, says));
    }
    let mut causes = vec![Cause {
        name: cause::MEMORY_LEAK,
        says: format!("{container} grows by {rate} and does not give it back"),
        weight: 0.75,
    }];
    let mut bindings = bindings(scene, &object, worst, deployment);
    let since = deployment.and_then(|deployment| since_revision(scene, deployment, container, &leaks));
    if let Some(since) = &since {
        facts.push(evidence(Origin::ReplicaSets, Some(since.bad.created), since.says.clone()));
        causes.push(Cause { name: cause::BAD_REVISION, says: since.says.clone(), weight: 0.85 });
        super::workload::describe_suspicion(since, &mut bindings);
    }
    causes.sort_by(|one, other| other.weight.total_cmp(&one.weight));
    let follows =
        correlation(&worst.trend.bytes, &scene.snapshot.traffic.rate).is_some_and(|with| with > 0.8);
    if follows {
        facts.push(evidence(Origin::Prometheus, None, "it follows the number of requests"));
    }
    let raises = [
        (worst.growth.steadiness >= 0.8, 0.1),
        (worst.growth.teeth > 0, 0.1),
        (kills as f64 >= scene.threshold(&KILLS), 0.15),
        (since.is_some(), 0.1),
        (follows, -0.3),
    ];
    let score: f64 = 0.6 + raises.iter().filter(|(holds, _)| *holds).map(|(_, by)| by).sum::<f64>();
    let kind = object.kind.as_str().to_lowercase();
    let mut touches = vec![object.clone()];
    touches.extend(leaks.iter().map(|leak| ObjectRef::new(Kind::Pod, leak.pod.key.clone())));
    touches.extend(leaks.iter().filter_map(|leak| {
        let node = leak.pod.node.as_ref()?;
        Some(ObjectRef::new(Kind::Node, crate::domain::Key::cluster(node.clone())))
    }));
    shown(Anomaly {
        id: AnomalyId(format!("{}/{kind}/{}/{container}", RULE.name, object.key).into()),
        rule: RULE.name.into(),
        subject: Subject::Object(object),
        severity,
        score: score.min(1.0),
        onset,
        title,
        evidence: facts,
        causes,
        touches,
        bindings,
        pages_at: None,
    })
}

/// How often its containers were killed at the limit within six hours, having run for longer than a start takes.
fn killed(scene: &Scene<'_>, object: &ObjectRef, container: &Name) -> usize {
    const WITHIN: SignedDuration = SignedDuration::from_hours(6);
    const START: std::time::Duration = std::time::Duration::from_mins(2);
    let ends = scene.unwell().iter().filter(|pod| scene.workload_of(pod).0 == *object);
    let ends = ends.flat_map(|pod| pod.containers.iter()).filter(|found| found.name == *container);
    ends.filter_map(|found| found.last.as_ref())
        .filter(|end| &*end.reason == "OOMKilled" && end.lived().is_none_or(|lived| lived >= START))
        .filter(|end| end.finished.is_none_or(|at| scene.now.duration_since(at) <= WITHIN))
        .count()
}

/// The newest revision, when the pods of an older one did not grow.
fn since_revision<'a>(
    scene: &Scene<'a>,
    deployment: &Deployment,
    container: &Name,
    leaking: &[Leak<'_>],
) -> Option<Suspicion<'a>> {
    let sets = scene.revisions(deployment);
    let (bad, older) = sets.split_first()?;
    let of = |name: &Name, set: &ReplicaSet| {
        name.strip_prefix(&*set.key.name).is_some_and(|rest| rest.starts_with('-'))
    };
    if !leaking.iter().all(|leak| of(&leak.pod.key.name, bad)) {
        return None;
    }
    let calm = |set: &&&ReplicaSet| {
        let mut lines = scene
            .snapshot
            .strain
            .memory
            .iter()
            .filter(|trend| trend.container == *container && trend.pod.namespace == set.key.namespace)
            .filter(|trend| of(&trend.pod.name, set))
            .filter_map(|trend| Some((trend, growth(&trend.bytes)?)))
            .peekable();
        lines.peek().is_some() && lines.all(|(trend, growth)| !leaks(&trend.bytes, &growth))
    };
    let good = older.iter().find(calm)?;
    let (bad, good) = (Revision::from(*bad), Revision::from(*good));
    let ago = text::span(between(bad.created, scene.now));
    Some(Suspicion {
        bad,
        good: Some((good, format!("the pods of {good} did not grow"))),
        says: format!("grows since {bad}, {ago} ago; the pods of {good} did not"),
        weight: 0.85,
    })
}

fn bindings(
    scene: &Scene<'_>,
    object: &ObjectRef,
    worst: &Leak<'_>,
    deployment: Option<&Deployment>,
) -> Bindings {
    let pod = worst.pod;
    let mut bindings = called(object);
    bindings.extend([
        ("pod", pod.key.name.to_string()),
        ("worst_pod", pod.key.name.to_string()),
        ("container", worst.trend.container.to_string()),
        ("memory_limit", text::quantity(worst.limit as u64)),
        ("because", "memory leak".to_owned()),
    ]);
    if object.kind == Kind::Deployment {
        bindings.insert("deployment", object.key.name.to_string());
    }
    if let Some(deployment) = deployment {
        describe_deployment(scene, deployment, &mut bindings);
    }
    let sick = pod.containers.iter().find(|container| container.name == worst.trend.container);
    if let Some(Suggestion::Limit(bytes)) = sick.and_then(|sick| suggest_memory(scene, &[(pod, sick)])) {
        bindings.insert("memory_suggestion", text::quantity(bytes));
    }
    bindings
}
