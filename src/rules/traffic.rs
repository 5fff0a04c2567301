//! What the two rules about traffic share: series that are fresh, steps of severity, whose traffic it is.

use jiff::SignedDuration;

use crate::domain::{Blind, BlindKind, Name, Origin, Series, Severity, Snapshot, Subject, Timestamp};

use super::workload::Bindings;
use super::{Needs, Scene, Threshold, Unit, own_traffic};

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

/// What is said of requests and their answers needs their series.
pub(super) const ANSWERS: Needs = Needs::Within(&[Origin::Prometheus], errors_unseen);
/// What is said of how long they take needs its own.
pub(super) const DURATIONS: Needs = Needs::Within(&[Origin::Prometheus], latency_unseen);

fn errors_unseen(snapshot: &Snapshot) -> Option<Blind> {
    unseen(snapshot, snapshot.traffic.errors_unseen.as_ref()).or_else(|| own_traffic::gone(snapshot))
}

fn latency_unseen(snapshot: &Snapshot) -> Option<Blind> {
    unseen(snapshot, snapshot.traffic.latency_unseen.as_ref()).or_else(|| own_traffic::gone(snapshot))
}

/// Silence where replicas are missing may be an outage: that is said with it.
fn unseen(snapshot: &Snapshot, blind: Option<&Blind>) -> Option<Blind> {
    let mut blind = blind?.clone();
    let namespace = &snapshot.traffic.namespace;
    if blind.kind == BlindKind::Broken && !namespace.is_empty() {
        let here = snapshot.deployments.iter().filter(|deployment| deployment.key.namespace == *namespace);
        let (wanted, ready) =
            here.fold((0, 0), |sum, deployment| (sum.0 + deployment.replicas, sum.1 + deployment.ready));
        if ready < wanted {
            blind.why.push_str(&format!("; {} of {wanted} replicas there are not ready", wanted - ready));
        }
    }
    Some(blind)
}

/// One step of severity: above a level for a while.
#[derive(Clone, Copy)]
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

/// Judges the last sample of a series; None when it is below the lowest step, old, not seen any more, or there is no
/// traffic.
pub(super) fn climb(
    scene: &Scene<'_>,
    unseen: Option<&Blind>,
    series: &Series,
    steps: &[Step<'_>],
) -> Option<Climb> {
    let traffic = &scene.snapshot.traffic;
    let (at, _) = series.last()?;
    let (_, rate) = traffic.rate.last()?;
    let idle = rate < scene.threshold(&MIN_RATE);
    if idle
        || unseen.is_some()
        || scene.now.duration_since(at) > FRESH
        || scene.snapshot.blindness(Origin::Prometheus, scene.now).is_some()
    {
        return None;
    }
    rise(scene, series, steps)
}

/// How far up the steps its last sample is, whatever its age.
pub(super) fn rise(scene: &Scene<'_>, series: &Series, steps: &[Step<'_>]) -> Option<Climb> {
    let (_, value) = series.last()?;
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
