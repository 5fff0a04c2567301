//! What the two rules about traffic share: series that are fresh, steps of severity, whose traffic it is.

use jiff::SignedDuration;

use crate::domain::{Name, Origin, Series, Severity, Subject, Timestamp};

use super::workload::Bindings;
use super::{Scene, Threshold, Unit};

/// Below this a ratio or a quantile says little (audit, section 3: 0.5 requests a second).
pub(super) const MIN_RATE: Threshold = Threshold {
    key: "traffic.min-rate",
    default: 0.5,
    unit: Unit::PerSecond,
    says: "requests per second below which traffic is not judged",
    source: "our own choice",
};

/// A sample older than this is history, whatever Prometheus' eye says of itself.
const FRESH: SignedDuration = SignedDuration::from_mins(5);

/// One step of severity: above a level for a while.
pub(super) struct Step<'a> {
    pub severity: Severity,
    pub level: f64,
    pub after: &'a Threshold,
}

/// How far up the steps a series is.
pub(super) struct Climb {
    pub value: f64,
    pub severity: Severity,
    /// Since when it has been above the lowest step.
    pub onset: Timestamp,
}

/// Judges the last sample of a series; None when it is below the lowest step, old, or there is no traffic.
pub(super) fn climb(scene: &Scene<'_>, series: &Series, steps: &[Step<'_>]) -> Option<Climb> {
    let traffic = &scene.snapshot.traffic;
    let (at, value) = series.last()?;
    let (_, rate) = traffic.rate.last()?;
    let idle = rate < scene.threshold(&MIN_RATE);
    if idle
        || scene.now.duration_since(at) > FRESH
        || scene.snapshot.blindness(Origin::Prometheus, scene.now).is_some()
    {
        return None;
    }
    let lowest = steps.iter().map(|step| step.level).reduce(f64::min)?;
    let onset = series.above_since(lowest)?;
    let reached = steps.iter().filter(|step| {
        let since = series.above_since(step.level);
        since.is_some_and(|since| scene.has_lasted(since, step.after))
    });
    let severity = reached.map(|step| step.severity).max().unwrap_or(Severity::Suspect);
    Some(Climb { value, severity, onset })
}

pub(super) fn subject(scene: &Scene<'_>) -> (Subject, Name) {
    let namespace = scene.snapshot.traffic.namespace.clone();
    (Subject::Traffic(namespace.clone()), namespace)
}

/// Bindings of the traffic's namespace, and of the only Deployment with an autoscaler or Service there, if
/// there is just one to mean.
pub(super) fn bindings(scene: &Scene<'_>, namespace: &Name) -> Bindings {
    let mut bindings = Bindings::new();
    if namespace.is_empty() {
        return bindings;
    }
    bindings.insert("namespace", namespace.to_string());
    let mut here = scene.snapshot.autoscalers.iter().filter(|scaler| scaler.key.namespace == *namespace);
    if let (Some(scaler), None) = (here.next(), here.next()) {
        bindings.insert("hpa", scaler.key.name.to_string());
        bindings.insert("deployment", scaler.target.to_string());
    }
    bindings
}
