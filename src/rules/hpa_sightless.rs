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
    let mut bindings = bindings(scaler);
    bindings.insert("autoscaler_repair", repair(reason, &message).into());
    let stays = match reason {
        "FailedGetScale" if message.contains("not found") => "which does not exist".to_owned(),
        _ => format!("which stays at {}", scaler.current),
    };
    shown(Anomaly {
        id: AnomalyId(format!("{}/hpa/{}", RULE.name, scaler.key).into()),
        rule: RULE.name.into(),
        subject: Subject::Object(object.clone()),
        severity: Severity::Suspect,
        score: 0.55,
        onset: since,
        title: format!("cannot scale {}, {stays}: {says}", scaler.target),
        evidence: vec![evidence(Origin::Autoscalers, Some(since), says.clone())],
        causes: vec![Cause { name: cause::AUTOSCALER_SIGHTLESS, says, weight: 0.9 }],
        touches: vec![object, target],
        bindings,
        pages_at: None,
    })
}

/// What the words of its controller ask for (kubernetes: `pkg/controller/podautoscaler/horizontal.go`).
fn repair(reason: &str, message: &str) -> &'static str {
    match reason {
        "FailedGetScale" if message.contains("not found") => {
            "what it is to scale does not exist: correct its scaleTargetRef, or delete it"
        }
        "FailedGetScale" => {
            "it cannot read what it is to scale: look at its rights and at the API of its target"
        }
        "AmbiguousSelector" => "several of them scale the same pods: delete all but one",
        "FailedGetResourceMetric" if message.contains("missing request") => {
            "a container of its target has no request for what is measured: set one"
        }
        "FailedGetResourceMetric" => "see that metrics-server runs (apiservice v1beta1.metrics.k8s.io)",
        _ => {
            "see that what measures for it runs (metrics-server, or the adapter of its metric), and that every container of its target has a request"
        }
    }
}
