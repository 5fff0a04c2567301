//! Changes of a Deployment that its controller does not act on.

use crate::domain::{Cause, Deployment, Origin, Timestamp, between, cause, text};

use super::Scene;
use super::rollout_cause::Obstacle;
use super::rollout_stuck::NO_PROGRESS;
use super::workload::{Bindings, evidence};

/// Since when the last change of its specification has not been acted on, if for too long.
pub(super) fn ignored_since(scene: &Scene<'_>, deployment: &Deployment) -> Option<Timestamp> {
    if deployment.observed_generation >= deployment.generation {
        return None;
    }
    // At first sight a scaling may be of this second, whatever its date.
    let scaled = deployment.status_replicas != deployment.replicas;
    let since = match scene.snapshot.overtaken.get(&deployment.key) {
        Some((_, Some(seen))) => Some(*seen),
        _ => deployment.written.filter(|_| !scaled),
    };
    since.filter(|since| scene.has_lasted(*since, &NO_PROGRESS))
}

pub(super) fn unobserved(scene: &Scene<'_>, since: Timestamp) -> Obstacle {
    let ago = text::span(between(since, scene.now));
    let says = format!("the Deployment controller has not acted on the change of {ago} ago");
    Obstacle {
        cause: Cause { name: cause::CONTROLLER_SILENT, says: says.clone(), weight: 0.9 },
        label: "its controller does not act".to_owned(),
        evidence: evidence(Origin::Deployments, Some(since), says),
        bindings: Bindings::new(),
        pod: None,
    }
}
