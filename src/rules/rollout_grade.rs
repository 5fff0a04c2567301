//! How bad it is that a rollout does not get on: what is left of the workload, for how long, and whether it can mend itself.

use crate::domain::{Cause, Deployment, Severity, Status, cause};

pub(super) fn severity(deployment: &Deployment, firing: bool, failing: bool) -> Severity {
    let floor = deployment.replicas.saturating_sub(deployment.max_unavailable());
    match () {
        () if firing && deployment.available < floor => Severity::Critical,
        () if firing || failing => Severity::Warning,
        () => Severity::Suspect,
    }
}

/// Less than half of it is left. That its strategy allows fewer than all is why it is told at all.
pub(super) fn is_outage(deployment: &Deployment) -> bool {
    deployment.available.saturating_mul(2) < deployment.replicas
}

/// Fewer are available than its strategy allows.
pub(super) fn is_short(deployment: &Deployment) -> bool {
    deployment.condition("Available").is_some_and(|row| row.status == Status::False)
}

/// Whether what stands in its way is known, and does not end by itself, as a slow start does.
pub(super) fn is_blocked(causes: &[Cause]) -> bool {
    const SLOW: &[&str] =
        &[cause::READINESS, cause::STARTING_SLOWLY, cause::INIT_WAITS, cause::SCHEDULING_GATED];
    causes.first().is_some_and(|cause| cause.weight >= 0.7 && !SLOW.contains(&cause.name))
}

pub(super) fn score(
    deployment: &Deployment,
    firing: bool,
    refused: bool,
    homeless: bool,
    causes: &[Cause],
) -> f64 {
    let floor = deployment.replicas.saturating_sub(deployment.max_unavailable());
    let base = match () {
        () if firing => 0.8,
        () if refused => 0.75,
        () if homeless => 0.65,
        () => 0.6,
    };
    let proven = causes.first().is_some_and(|cause| cause.weight >= 0.7);
    let within_gap = deployment.available >= floor;
    let raises = [(proven, 0.1), (within_gap && !firing && !refused, -0.1)];
    let sum: f64 = raises.iter().filter(|(holds, _)| *holds).map(|(_, by)| by).sum();
    (base + sum).clamp(0.0, 1.0)
}
