//! Slow answers: the 95th percentile of all requests.

use crate::domain::{Anomaly, AnomalyId, Origin, Series, Severity, Subject};

use super::own_traffic::{ALONE_AFTER, Ill, Measure, ill};
use super::traffic::{DURATIONS, MIN_RATE, Step, bindings, climb};
use super::traffic_cause::{DATABASE_FILL, HIT_DROP, HIT_RATIO, THROTTLED, behind};
use super::workload::evidence;
use super::{Rule, Scene, Threshold, Unit, shown};

const WARNING: Threshold = Threshold {
    key: "high-latency.warning",
    default: 1.0,
    unit: Unit::Seconds,
    says: "p95 latency",
    source: "our own choice; public rules: 1 s for probes and for Istio's p99",
};
const WARNING_AFTER: Threshold = Threshold {
    key: "high-latency.warning-after",
    default: 600.0,
    unit: Unit::Seconds,
    says: "how long it lasts before it is a warning",
    source: "our own choice",
};
const CRITICAL: Threshold = Threshold {
    key: "high-latency.critical",
    default: 2.0,
    unit: Unit::Seconds,
    says: "p95 latency",
    source: "our own choice; public rules: 2 s mean for a load balancer",
};
const CRITICAL_AFTER: Threshold = Threshold {
    key: "high-latency.critical-after",
    default: 300.0,
    unit: Unit::Seconds,
    says: "how long it lasts before it is critical",
    source: "our own choice",
};

const LAST_WEEK: Threshold = Threshold {
    key: "high-latency.last-week",
    default: 1.5,
    unit: Unit::Count,
    says: "times the p95 of a week ago from which it is more than usual",
    source: "our own choice",
};

const NOTICED: Threshold = Threshold {
    key: "high-latency.noticed",
    default: 0.4,
    unit: Unit::Seconds,
    says: "p95 below which nobody notices, whatever it was a week ago",
    source: "the Doherty threshold: answers within 400 ms feel immediate",
};

pub(super) static RULE: Rule = Rule {
    name: "high-latency",
    title: "Latency high",
    says: "The p95 latency of all requests together, and of each workload that labels tell apart. Silent without traffic, about gaps, and about single slow \
           paths that do not move it.",
    needs: DURATIONS,
    awaits: &[],
    thresholds: &[
        WARNING,
        WARNING_AFTER,
        CRITICAL,
        CRITICAL_AFTER,
        LAST_WEEK,
        NOTICED,
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
    let steps = |usual: Option<f64>| {
        let above = slow_from(scene, usual);
        [
            Step { severity: Severity::Warning, level: above, after: &WARNING_AFTER },
            Step { severity: Severity::Critical, level: scene.threshold(&CRITICAL), after: &CRITICAL_AFTER },
        ]
    };
    let unseen = traffic.latency_unseen.as_ref();
    let whole = climb(scene, unseen, &traffic.p95, &steps(usual(traffic.p95_last_week)));
    let measure = Measure {
        unseen,
        series: |workload| &workload.p95,
        steps: &|workload| steps(usual(workload.p95_last_week)).to_vec(),
        // What one workload has always taken is its design, an export's.
        is_enough: &|workload, p95| {
            let usual = usual(workload.p95_last_week);
            usual.is_none_or(|usual| p95 >= usual * scene.threshold(&LAST_WEEK))
        },
        adds_up: false,
    };
    ill(scene, whole, &measure).into_iter().filter_map(|ill| anomaly(scene, &ill)).collect()
}

/// What was usual, if anything was.
fn usual(last_week: Option<f64>) -> Option<f64> {
    last_week.filter(|usual| *usual > 0.0)
}

fn seconds(value: f64) -> String {
    if value < 1.0 { format!("{:.0} ms", value * 1000.0) } else { format!("{value:.1} s") }
}

/// From which p95 on it is slow: the threshold, or well above what it was a week ago.
fn slow_from(scene: &Scene<'_>, usual: Option<f64>) -> f64 {
    let level = scene.threshold(&WARNING);
    let more_than_usual = usual.map(|usual| usual * scene.threshold(&LAST_WEEK));
    more_than_usual.map_or(level, |more| level.min(more.max(scene.threshold(&NOTICED))))
}

fn anomaly(scene: &Scene<'_>, ill: &Ill<'_>) -> Option<Anomaly> {
    let traffic = &scene.snapshot.traffic;
    let climb = &ill.climb;
    let usual = usual(ill.workload.map_or(traffic.p95_last_week, |workload| workload.p95_last_week));
    let above = slow_from(scene, usual);
    let of = ill.workload.map_or_else(String::new, |workload| format!(" of {}", workload.key.name));
    let p95 = seconds(climb.value);
    let mut facts = vec![evidence(
        Origin::Prometheus,
        Some(climb.onset),
        format!("p95{of} {p95}, above {} since then", seconds(above)),
    )];
    let together: &[(&str, &Series)] = match ill.workload {
        None => &[("p50", &traffic.p50), ("p99", &traffic.p99)],
        Some(_) => &[("p95 of all together", &traffic.p95)],
    };
    for (name, series) in together {
        facts.extend(
            series.last().map(|(at, value)| {
                evidence(Origin::Prometheus, Some(at), format!("{name} {}", seconds(value)))
            }),
        );
    }
    let rate = ill.workload.map_or_else(|| traffic.rate.last(), |workload| workload.rate.last());
    facts.extend(rate.map(|(at, rate)| {
        evidence(Origin::Prometheus, Some(at), format!("{rate:.1} requests per second{of}"))
    }));
    facts.extend(ill.others.iter().take(3).filter_map(|workload| {
        let (at, p95) = workload.p95.last()?;
        Some(evidence(Origin::Prometheus, Some(at), format!("p95 of {} {}", workload.key.name, seconds(p95))))
    }));
    let subject = Subject::Traffic(ill.namespace.clone());
    if let Some(usual) = usual {
        facts.push(evidence(Origin::Prometheus, None, format!("p95 a week ago: {}", seconds(usual))));
    }
    // A service that is as slow as ever is no incident, unless its owners say that it should not be.
    let as_ever = usual.is_some_and(|usual| climb.value < usual * scene.threshold(&LAST_WEEK));
    for (path, p95) in traffic.slow_paths.iter().take(if ill.workload.is_some() { 0 } else { 2 }) {
        facts.push(evidence(Origin::Prometheus, None, format!("p95 of {path}: {}", seconds(*p95))));
    }
    let behind = behind(scene, ill);
    facts.extend(behind.facts);
    let severe = climb.value > scene.threshold(&CRITICAL);
    let raises = [
        (severe, 0.2),
        (climb.severity > Severity::Suspect, 0.1),
        (!behind.causes.is_empty(), 0.1),
        (as_ever, -0.3),
    ];
    let score: f64 = 0.6 + raises.iter().filter(|(holds, _)| *holds).map(|(_, by)| by).sum::<f64>();
    let mut bindings = bindings(scene, &ill.namespace);
    bindings.insert("p95", p95.clone());
    bindings.extend(behind.bindings);
    shown(Anomaly {
        id: AnomalyId(format!("{}/{subject}", RULE.name).into()),
        rule: RULE.name.into(),
        subject,
        severity: climb.severity,
        score: score.min(1.0),
        onset: climb.onset,
        title: format!("p95 latency{of} {p95}"),
        evidence: facts,
        causes: behind.causes,
        touches: behind.touches,
        bindings,
        pages_at: None,
    })
}
