//! Autoscalers that want more replicas than they may have.

use crate::domain::{
    Anomaly, AnomalyId, Autoscaler, Cause, Key, Kind, ObjectRef, Origin, Severity, Status, Subject,
    Timestamp, cause,
};

use super::workload::{Bindings, describe_suspicion, evidence};
use super::{Needs, Rule, Scene, Threshold, Unit, hpa_sightless, pages_at, shown, suspicion};

pub(super) const WARNING_AFTER: Threshold = Threshold {
    key: "hpa-max.warning-after",
    default: 300.0,
    unit: Unit::Seconds,
    says: "how long it wants more before it is a warning",
    source: "our own choice; Kubernetes' scale-down stabilisation is 300 s",
};
const PAGES_AFTER: Threshold = Threshold {
    key: "hpa-max.pages-after",
    default: 900.0,
    unit: Unit::Seconds,
    says: "`for` of the public alert",
    source: "kubernetes-mixin: KubeHpaMaxedOut, 15m",
};

pub(super) static RULE: Rule = Rule {
    name: "hpa-max",
    title: "Autoscalers at their maximum",
    says: "Autoscalers at their maximum that want more (ScalingLimited, TooManyReplicas, or a metric above its \
           target), and those that have not been able to measure for five minutes. Silent at the maximum when that is enough, \
           and where minimum and maximum are equal.",
    needs: Needs::All(&[Origin::Autoscalers]),
    awaits: &[],
    thresholds: &[WARNING_AFTER, PAGES_AFTER],
    examine,
};

fn examine(scene: &Scene<'_>) -> Vec<Anomaly> {
    let scalers = scene.snapshot.autoscalers.iter();
    scalers
        .filter_map(|scaler| anomaly(scene, scaler).or_else(|| hpa_sightless::anomaly(scene, scaler)))
        .collect()
}

/// Since when an autoscaler at its maximum has wanted more.
pub(super) fn limited_since(scene: &Scene<'_>, scaler: &Autoscaler) -> Option<Timestamp> {
    if scaler.max == scaler.min || scaler.current < scaler.max || scaler.desired < scaler.max {
        return None;
    }
    // 10 % is the tolerance within which an autoscaler does nothing.
    let wants = scaler.metrics.iter().any(|metric| metric.ratio.is_some_and(|ratio| ratio > 1.1));
    // One that cannot see its metrics leaves ScalingLimited as it was when it still could.
    let sightless = scaler.condition("ScalingActive").is_some_and(|row| row.status == Status::False);
    if sightless && !wants {
        return None;
    }
    let too_many = scaler.held_at_its_maximum();
    if too_many.is_none() && !wants {
        return None;
    }
    let since = too_many.and_then(|row| row.since).or(scaler.last_scaled);
    Some(since.unwrap_or(scene.now).min(scene.now))
}

fn anomaly(scene: &Scene<'_>, scaler: &Autoscaler) -> Option<Anomaly> {
    let since = limited_since(scene, scaler)?;
    let kind = Kind::parse(&scaler.target_kind).unwrap_or(Kind::Deployment);
    let target = ObjectRef::new(kind, Key::new(scaler.key.namespace.clone(), scaler.target.clone()));
    let mut facts = vec![evidence(
        Origin::Autoscalers,
        Some(since),
        format!("{} of {} replicas, all it may have (minimum {})", scaler.current, scaler.max, scaler.min),
    )];
    for metric in &scaler.metrics {
        let part = |value: &Option<crate::domain::Name>| value.as_deref().unwrap_or("?").to_owned();
        let says = format!("{}: {} of target {}", metric.name, part(&metric.current), part(&metric.target));
        facts.push(evidence(Origin::Autoscalers, None, says));
    }
    let ratio = ratio(scaler);
    let says = needs(scaler);
    let mut causes = vec![Cause { name: cause::AT_CAPACITY, says, weight: 0.6 }];
    let deployment = scene.snapshot.deployments.get(&target.key).filter(|_| kind == Kind::Deployment);
    let ready = deployment.map(|deployment| deployment.ready);
    if let Some(ready) = ready.filter(|ready| *ready < scaler.current) {
        let says = format!("only {ready} of {} replicas are ready and carry the load", scaler.current);
        facts.push(evidence(Origin::Deployments, None, says.clone()));
        causes.insert(0, Cause { name: cause::REPLICAS_NOT_READY, says, weight: 0.8 });
    }
    let suspicion = deployment.and_then(|deployment| suspicion::before(scene, deployment, since));
    let mut bindings = bindings(scaler);
    if let Some(suspicion) = &suspicion {
        facts.push(evidence(Origin::ReplicaSets, Some(suspicion.bad.created), suspicion.says.clone()));
        causes.push(Cause {
            name: cause::BAD_REVISION,
            says: suspicion.says.clone(),
            weight: suspicion.weight,
        });
        causes.sort_by(|one, other| other.weight.total_cmp(&one.weight));
        describe_suspicion(suspicion, &mut bindings);
    }
    let lasting = scene.has_lasted(since, &WARNING_AFTER);
    let raises =
        [(ratio > 1.5, 0.1), (lasting, 0.1), (ready.is_some_and(|ready| ready < scaler.current), 0.05)];
    let score: f64 = 0.6 + raises.iter().filter(|(holds, _)| *holds).map(|(_, by)| by).sum::<f64>();
    shown(Anomaly {
        id: AnomalyId(format!("{}/hpa/{}", RULE.name, scaler.key).into()),
        rule: RULE.name.into(),
        subject: Subject::Object(ObjectRef::new(Kind::HorizontalPodAutoscaler, scaler.key.clone())),
        severity: if lasting { Severity::Warning } else { Severity::Suspect },
        score,
        onset: since,
        title: format!("at its maximum of {} and wants more", scaler.max),
        evidence: facts,
        causes,
        touches: vec![ObjectRef::new(Kind::HorizontalPodAutoscaler, scaler.key.clone()), target],
        bindings,
        pages_at: pages_at(scene, since, &PAGES_AFTER),
    })
}

/// How far the metric that asks for the most is above its target.
fn ratio(scaler: &Autoscaler) -> f64 {
    scaler.metrics.iter().filter_map(|metric| metric.ratio).fold(0.0, f64::max)
}

/// How many replicas its metrics ask for, by the autoscaler's own arithmetic; None where they ask for no more.
fn asked(scaler: &Autoscaler) -> Option<u32> {
    // 1.1 × 10 is a little more than 11.
    let asked = (f64::from(scaler.current) * ratio(scaler) - 1e-6).ceil() as u32;
    (asked > scaler.max).then_some(asked)
}

/// What its metrics ask for, but not more than twice as many at a time, as Kubernetes' own scale-up policy has it;
/// where they are not known, half as many again, as the audit suggests for high-5xx.res.1.
fn suggestion(scaler: &Autoscaler) -> u32 {
    match asked(scaler) {
        Some(asked) => asked.min(scaler.max.saturating_mul(2)),
        None => scaler.max.saturating_add(scaler.max.div_ceil(2)),
    }
}

fn needs(scaler: &Autoscaler) -> String {
    let says = format!("{} needs more than its {} replicas", scaler.target, scaler.max);
    let suggested = suggestion(scaler);
    match asked(scaler) {
        Some(asked) if asked > suggested => {
            format!("{says}: {asked} by its metrics, of which {suggested} at first (twice as many at a time)")
        }
        Some(asked) => format!("{says}: {asked} by its metrics"),
        None => says,
    }
}

pub(super) fn bindings(scaler: &Autoscaler) -> Bindings {
    let mut bindings = Bindings::from([
        ("namespace", scaler.key.namespace.to_string()),
        ("hpa", scaler.key.name.to_string()),
        ("hpa_min", scaler.min.to_string()),
        ("hpa_max", scaler.max.to_string()),
        ("replicas_recorded", scaler.current.to_string()),
        ("hpa_max_suggestion", suggestion(scaler).to_string()),
    ]);
    if &*scaler.target_kind == "Deployment" {
        bindings.insert("deployment", scaler.target.to_string());
    }
    bindings
}
