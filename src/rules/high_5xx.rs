//! Failing answers: the share of 5xx among all responses.

use crate::domain::{
    Anomaly, AnomalyId, Cause, Key, Kind, ObjectRef, Origin, Severity, Subject, WorkloadTraffic, cause,
};

use super::own_traffic::{ALONE_AFTER, Ill, Measure, ill};
use super::traffic::{ANSWERS, MIN_RATE, Step, bindings, climb};
use super::traffic_cause::{DATABASE_FILL, HIT_DROP, HIT_RATIO, THROTTLED, behind};
use super::workload::evidence;
use super::{Rule, Scene, Threshold, Unit, pages_at, shown};

const WARNING: Threshold = Threshold {
    key: "high-5xx.warning",
    default: 0.01,
    unit: Unit::Ratio,
    says: "share of 5xx among all responses",
    source: "our own choice; public rules alert from 5 %",
};
const WARNING_AFTER: Threshold = Threshold {
    key: "high-5xx.warning-after",
    default: 300.0,
    unit: Unit::Seconds,
    says: "how long it lasts before it is a warning",
    source: "our own choice",
};
const CRITICAL: Threshold = Threshold {
    key: "high-5xx.critical",
    default: 0.05,
    unit: Unit::Ratio,
    says: "share of 5xx among all responses",
    source: "samber/awesome-prometheus-alerts, nginx, traefik, haproxy: 5 %",
};
const CRITICAL_AFTER: Threshold = Threshold {
    key: "high-5xx.critical-after",
    default: 300.0,
    unit: Unit::Seconds,
    says: "how long it lasts before it is critical",
    source: "our own choice",
};
const OUTAGE: Threshold = Threshold {
    key: "high-5xx.outage",
    default: 0.2,
    unit: Unit::Ratio,
    says: "share of 5xx that is an outage, not a fault of some",
    source: "our own choice: every fifth user is turned away",
};
const OUTAGE_AFTER: Threshold = Threshold {
    key: "high-5xx.outage-after",
    default: 60.0,
    unit: Unit::Seconds,
    says: "how long an outage lasts before it is critical",
    source: "our own choice: rates over five minutes are slow to rise already",
};
const ONE_POD: Threshold = Threshold {
    key: "high-5xx.one-pod",
    default: 0.8,
    unit: Unit::Ratio,
    says: "share of all errors that makes one pod the culprit",
    source: "our own choice",
};
const FEWEST: Threshold = Threshold {
    key: "high-5xx.fewest",
    default: 0.03,
    unit: Unit::PerSecond,
    says: "errors per second below which one workload alone is not judged",
    source: "our own choice: four within the window of rates",
};
const PAGES_AFTER: Threshold = Threshold {
    key: "high-5xx.pages-after",
    default: 60.0,
    unit: Unit::Seconds,
    says: "`for` of the public alert, from 5 % on",
    source: "samber/awesome-prometheus-alerts, nginx: 1m",
};

pub(super) static RULE: Rule = Rule {
    name: "high-5xx",
    title: "Errors high",
    says: "The share of 5xx among all responses, of each workload that labels tell apart and of all together; never \
           their number. Silent without traffic.",
    needs: ANSWERS,
    awaits: &[],
    thresholds: &[
        WARNING,
        WARNING_AFTER,
        CRITICAL,
        CRITICAL_AFTER,
        OUTAGE,
        OUTAGE_AFTER,
        ONE_POD,
        FEWEST,
        PAGES_AFTER,
        MIN_RATE,
        ALONE_AFTER,
        HIT_RATIO,
        HIT_DROP,
        THROTTLED,
        DATABASE_FILL,
    ],
    examine,
};

fn examine(scene: &Scene<'_>) -> Vec<Anomaly> {
    let traffic = &scene.snapshot.traffic;
    let steps = [
        Step { severity: Severity::Warning, level: scene.threshold(&WARNING), after: &WARNING_AFTER },
        Step { severity: Severity::Critical, level: scene.threshold(&CRITICAL), after: &CRITICAL_AFTER },
        Step { severity: Severity::Critical, level: scene.threshold(&OUTAGE), after: &OUTAGE_AFTER },
    ];
    let unseen = traffic.errors_unseen.as_ref();
    let whole = climb(scene, unseen, &traffic.error_ratio, &steps);
    let measure = Measure {
        unseen,
        series: |workload| &workload.error_ratio,
        steps: &|_| steps.to_vec(),
        is_enough: &|workload, ratio| {
            workload.rate.last().is_some_and(|(_, rate)| rate * ratio >= scene.threshold(&FEWEST))
        },
        adds_up: true,
    };
    ill(scene, whole, &measure).into_iter().filter_map(|ill| anomaly(scene, &ill)).collect()
}

fn percent(ratio: f64) -> String {
    format!("{:.1} %", ratio * 100.0)
}

fn anomaly(scene: &Scene<'_>, ill: &Ill<'_>) -> Option<Anomaly> {
    let traffic = &scene.snapshot.traffic;
    let climb = &ill.climb;
    let of = ill.workload.map_or_else(String::new, |workload| format!(" of {}", workload.key.name));
    let mut facts = vec![evidence(
        Origin::Prometheus,
        Some(climb.onset),
        format!(
            "{} of responses{of} are 5xx, above {} since then",
            percent(climb.value),
            percent(scene.threshold(&WARNING))
        ),
    )];
    let rate = ill.workload.map_or_else(|| traffic.rate.last(), |workload| workload.rate.last());
    facts.extend(rate.map(|(at, rate)| {
        evidence(Origin::Prometheus, Some(at), format!("{rate:.1} requests per second{of}"))
    }));
    if let Some((at, all)) = traffic.error_ratio.last().filter(|_| ill.workload.is_some()) {
        let says = format!("{} of all responses together", percent(all));
        facts.push(evidence(Origin::Prometheus, Some(at), says));
    }
    facts.extend(ill.others.iter().take(3).filter_map(|workload| {
        let (at, ratio) = workload.error_ratio.last()?;
        let says = format!("{}: {} of its responses are 5xx", workload.key.name, percent(ratio));
        Some(evidence(Origin::Prometheus, Some(at), says))
    }));
    let subject = Subject::Traffic(ill.namespace.clone());
    let behind = behind(scene, ill);
    let mut bindings = bindings(scene, &ill.namespace);
    bindings.extend(behind.bindings);
    bindings.insert("error_ratio", percent(climb.value));
    let mut causes = behind.causes;
    let mut touches = behind.touches;
    facts.extend(behind.facts);
    if let Some((pod, share)) = worst_pod(scene, ill) {
        facts.push(evidence(
            Origin::Prometheus,
            None,
            format!("{} causes {} of them", pod.name, percent(share)),
        ));
        if share > scene.threshold(&ONE_POD) && has_peers(scene, pod) {
            let says = format!("{} causes {} of all errors", pod.name, percent(share));
            causes.push(Cause { name: cause::ONE_POD, says, weight: 0.85 });
            causes.sort_by(|one, other| other.weight.total_cmp(&one.weight));
            bindings.insert("namespace", pod.namespace.to_string());
            bindings.insert("pod", pod.name.to_string());
            bindings.insert("worst_pod", pod.name.to_string());
            touches.push(ObjectRef::new(Kind::Pod, pod.clone()));
        }
    }
    let severe = climb.value > scene.threshold(&CRITICAL);
    let raises = [(severe, 0.2), (climb.severity > Severity::Suspect, 0.1), (!causes.is_empty(), 0.1)];
    let score: f64 = 0.6 + raises.iter().filter(|(holds, _)| *holds).map(|(_, by)| by).sum::<f64>();
    let series = ill.workload.map_or(&traffic.error_ratio, |workload| &workload.error_ratio);
    let paging = series.above_since(scene.threshold(&CRITICAL));
    shown(Anomaly {
        id: AnomalyId(format!("{}/{subject}", RULE.name).into()),
        rule: RULE.name.into(),
        subject,
        severity: climb.severity,
        score: score.min(1.0),
        onset: climb.onset,
        title: format!("{} of responses{of} are errors", percent(climb.value)),
        evidence: facts,
        causes,
        touches,
        bindings,
        pages_at: paging.and_then(|since| pages_at(scene, since, &PAGES_AFTER)),
    })
}

/// The pod with most of the errors, and its share: of the workload's, where it is one workload that fails.
fn worst_pod<'a>(scene: &Scene<'a>, ill: &Ill<'_>) -> Option<(&'a Key, f64)> {
    let by_pod = &scene.snapshot.traffic.errors_by_pod;
    let meant = |key: &Key| {
        let is_its_own = |workload: &WorkloadTraffic| {
            let owner = scene.snapshot.pods.get(key).map(|pod| scene.workload_of(pod).0.key);
            let name = ill.deployment.map_or(&workload.key, |deployment| &deployment.key);
            owner.is_some_and(|owner| owner == *name)
        };
        (ill.namespace.is_empty() || key.namespace == ill.namespace) && ill.workload.is_none_or(is_its_own)
    };
    let all: f64 = by_pod.iter().filter(|(key, _)| meant(key)).map(|(_, share)| share).sum();
    let (key, share) = by_pod.iter().find(|(key, _)| meant(key))?;
    // The sum's shares are of all errors, also of those that no pod is named for.
    Some((key, if ill.workload.is_some() { share / all } else { *share }))
}

/// Whether others do the same work: one pod causes all errors of a single-pod application, which says nothing.
fn has_peers(scene: &Scene<'_>, blamed: &Key) -> bool {
    let Some(pod) = scene.snapshot.pods.get(blamed) else { return false };
    match scene.workload_of(pod) {
        (_, Some(deployment)) => deployment.ready > 1,
        _ => pod.owner.as_ref().is_some_and(|owner| scene.siblings(&owner.uid).len() > 1),
    }
}
