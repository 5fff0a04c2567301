//! Autoscalers that cannot measure, or cannot find what they scale: the replicas stay as they are, whatever the load.

use crate::domain::{
    Anomaly, AnomalyId, Autoscaler, Cause, Key, Kind, ObjectRef, Origin, Severity, Subject, cause,
};

use super::hpa_max::{RULE, WARNING_AFTER, bindings};
use super::workload::{evidence, quote};
use super::{Scene, shown};

pub(super) fn anomaly(scene: &Scene<'_>, scaler: &Autoscaler) -> Option<Anomaly> {
    let condition = scaler.cannot_measure()?;
    let since = condition.since.unwrap_or(scaler.created).min(scene.now);
    let kind = Kind::parse(&scaler.target_kind).unwrap_or(Kind::Deployment);
    let target = ObjectRef::new(kind, Key::new(scaler.key.namespace.clone(), scaler.target.clone()));
    // What has no ready pod uses nothing that could be measured, and another rule says why.
    let deployment = scene.snapshot.deployments.get(&target.key).filter(|_| kind == Kind::Deployment);
    if deployment.is_some_and(|found| found.ready == 0) || !scene.has_lasted(since, &WARNING_AFTER) {
        return None;
    }
    let reason = condition.reason.as_deref().unwrap_or("no reason given");
    let message = condition.message.as_deref().map(|said| format!(": {}", quote(said))).unwrap_or_default();
    let says = format!("{reason}{message}");
    let object = ObjectRef::new(Kind::HorizontalPodAutoscaler, scaler.key.clone());
    let current = scaler.current;
    shown(Anomaly {
        id: AnomalyId(format!("{}/hpa/{}", RULE.name, scaler.key).into()),
        rule: RULE.name.into(),
        subject: Subject::Object(object.clone()),
        severity: Severity::Suspect,
        score: 0.55,
        onset: since,
        title: format!("cannot scale {}, which stays at {current}: {says}", scaler.target),
        evidence: vec![evidence(Origin::Autoscalers, Some(since), says.clone())],
        causes: vec![Cause { name: cause::AUTOSCALER_SIGHTLESS, says, weight: 0.9 }],
        touches: vec![object, target],
        bindings: bindings(scaler),
        pages_at: None,
    })
}
