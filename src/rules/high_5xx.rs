//! Failing answers: the share of 5xx among all responses.

use crate::domain::{Anomaly, AnomalyId, Cause, Key, Kind, ObjectRef, Origin, Severity, cause};

use super::traffic::{ANSWERS, MIN_RATE, Step, bindings, climb, subject};
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
const ONE_POD: Threshold = Threshold {
    key: "high-5xx.one-pod",
    default: 0.8,
    unit: Unit::Ratio,
    says: "share of all errors that makes one pod the culprit",
    source: "our own choice",
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
    says: "The share of 5xx among all responses, never their number. Silent without traffic.",
    needs: ANSWERS,
    awaits: &[],
    thresholds: &[
        WARNING,
        WARNING_AFTER,
        CRITICAL,
        CRITICAL_AFTER,
        ONE_POD,
        PAGES_AFTER,
        MIN_RATE,
        HIT_RATIO,
        HIT_DROP,
        THROTTLED,
        DATABASE_FILL,
    ],
    examine,
};

fn examine(scene: &Scene<'_>) -> Vec<Anomaly> {
    Vec::from_iter(anomaly(scene))
}

fn anomaly(scene: &Scene<'_>) -> Option<Anomaly> {
    let traffic = &scene.snapshot.traffic;
    let steps = [
        Step { severity: Severity::Warning, level: scene.threshold(&WARNING), after: &WARNING_AFTER },
        Step { severity: Severity::Critical, level: scene.threshold(&CRITICAL), after: &CRITICAL_AFTER },
    ];
    let climb = climb(scene, traffic.errors_unseen.as_ref(), &traffic.error_ratio, &steps)?;
    let percent = |ratio: f64| format!("{:.1} %", ratio * 100.0);
    let mut facts = vec![evidence(
        Origin::Prometheus,
        Some(climb.onset),
        format!(
            "{} of responses are 5xx, above {} since then",
            percent(climb.value),
            percent(scene.threshold(&WARNING))
        ),
    )];
    facts.extend(
        traffic.rate.last().map(|(at, rate)| {
            evidence(Origin::Prometheus, Some(at), format!("{rate:.1} requests per second"))
        }),
    );
    let (subject, namespace) = subject(scene);
    let behind = behind(scene, &namespace, climb.onset);
    let mut bindings = bindings(scene, &namespace);
    bindings.extend(behind.bindings);
    bindings.insert("error_ratio", percent(climb.value));
    let mut causes = behind.causes;
    let mut touches = behind.touches;
    facts.extend(behind.facts);
    if let Some((pod, share)) = traffic.errors_by_pod.first() {
        facts.push(evidence(
            Origin::Prometheus,
            None,
            format!("{} causes {} of them", pod.name, percent(*share)),
        ));
        if *share > scene.threshold(&ONE_POD) && has_peers(scene, pod) {
            let says = format!("{} causes {} of all errors", pod.name, percent(*share));
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
    let paging = traffic.error_ratio.above_since(scene.threshold(&CRITICAL));
    shown(Anomaly {
        id: AnomalyId(format!("{}/{subject}", RULE.name).into()),
        rule: RULE.name.into(),
        subject,
        severity: climb.severity,
        score: score.min(1.0),
        onset: climb.onset,
        title: format!("{} of responses are errors", percent(climb.value)),
        evidence: facts,
        causes,
        touches,
        bindings,
        pages_at: paging.and_then(|since| pages_at(scene, since, &PAGES_AFTER)),
    })
}

/// Whether others do the same work: one pod causes all errors of a single-pod application, which says nothing.
fn has_peers(scene: &Scene<'_>, blamed: &Key) -> bool {
    let Some(pod) = scene.snapshot.pods.get(blamed) else { return false };
    match scene.workload_of(pod) {
        (_, Some(deployment)) => deployment.ready > 1,
        _ => pod.owner.as_ref().is_some_and(|owner| scene.siblings(&owner.uid).len() > 1),
    }
}
