//! Rollouts that somebody paused and that have waited since: no trouble, but the answer to "why is it not out yet".

use jiff::SignedDuration;

use crate::domain::{
    Anomaly, AnomalyId, Cause, Deployment, Kind, ObjectRef, Origin, ReplicaSet, Severity, Subject, cause,
    text,
};

use super::rollout_stuck::RULE;
use super::workload::{called, describe_deployment, evidence};
use super::{Scene, revision, shown};

/// As long as a rollout may stand still before Kubernetes says so (`progressDeadlineSeconds`).
const FORGOTTEN: SignedDuration = SignedDuration::from_secs(600);
/// What has been paused for longer is meant to be.
const MEANT: SignedDuration = SignedDuration::from_hours(7 * 24);

pub(super) fn examine(scene: &Scene<'_>) -> Vec<Anomaly> {
    let paused = scene.snapshot.deployments.iter().filter(|deployment| {
        deployment.paused && deployment.replicas > 0 && deployment.updated < deployment.replicas
    });
    paused.filter_map(|deployment| anomaly(scene, deployment)).collect()
}

fn anomaly(scene: &Scene<'_>, deployment: &Deployment) -> Option<Anomaly> {
    let condition = deployment.condition("Progressing");
    let condition = condition.filter(|row| row.reason.as_deref() == Some("DeploymentPaused"));
    let since = condition.and_then(|row| row.since).or(deployment.written)?.min(scene.now);
    let rests = scene.now.duration_since(since);
    if rests < FORGOTTEN || rests > MEANT {
        return None;
    }
    let newest = revision::newest(scene, deployment);
    let what = waiting(deployment, newest);
    let (updated, wanted) = (deployment.updated, deployment.replicas);
    let says = format!(
        "paused for {}: {what} is on {updated} of {wanted} replicas",
        text::span(rests.unsigned_abs())
    );
    let object = ObjectRef::new(Kind::Deployment, deployment.key.clone());
    let mut bindings = called(&object);
    bindings.extend([("deployment", object.key.name.to_string()), ("because", "it is paused".to_owned())]);
    describe_deployment(scene, deployment, &mut bindings);
    shown(Anomaly {
        id: AnomalyId(format!("{}/deployment/{}", RULE.name, deployment.key).into()),
        rule: RULE.name.into(),
        subject: Subject::Object(object.clone()),
        severity: Severity::Suspect,
        score: 0.55,
        onset: since,
        title: format!("rollout paused at {updated} of {wanted} updated: {what} waits"),
        evidence: vec![evidence(Origin::Deployments, Some(since), says.clone())],
        causes: vec![Cause { name: cause::ROLLOUT_PAUSED, says, weight: 0.9 }],
        touches: vec![object],
        bindings,
        pages_at: None,
    })
}

/// What has not been rolled out: the image, where that changed.
fn waiting(deployment: &Deployment, newest: Option<&ReplicaSet>) -> String {
    let old = newest.map_or(&[][..], |set| &set.template.containers);
    let mut images = deployment.template.containers.iter().filter_map(|new| {
        let old = old.iter().find(|old| old.name == new.name)?;
        (old.image != new.image).then(|| format!("image {}", new.image))
    });
    let numbered = newest.and_then(|set| set.revision).filter(|_| deployment.updated > 0);
    images
        .next()
        .or_else(|| numbered.map(|number| format!("revision {number}")))
        .unwrap_or_else(|| "its last change".into())
}
