//! Jobs whose pods do not even start: no node, no volume, no network for them. Kubernetes counts no failure then, and
//! such a Job waits for ever.

use crate::domain::{Container, ContainerState, Job, Origin, Pod, Severity, cause};

use super::crash_loop::is_looping;
use super::image_pull::is_failing;
use super::job_failed::Trouble;
use super::rollout_cause::obstacle;
use super::workload::evidence;
use super::{Scene, Threshold, Unit};

pub(super) const NOT_STARTED: Threshold = Threshold {
    key: "job-failed.not-started",
    default: 600.0,
    unit: Unit::Seconds,
    says: "how long the pods of a Job may wait before their first start; queues for room are told as suspects only",
    source: "our own choice; as long as a rollout's progress deadline",
};

/// What keeps the pods of a Job from starting, when none of them runs.
pub(super) fn trouble<'a>(scene: &Scene<'a>, job: &'a Job) -> Option<Trouble<'a>> {
    if job.active == 0 || job.suspended {
        return None;
    }
    let own: Vec<&Pod> = scene.siblings(&job.uid).iter().copied().filter(|pod| !pod.is_finished()).collect();
    let has_started = |row: &Container| {
        row.restarts > 0
            || matches!(row.state, ContainerState::Running { .. } | ContainerState::Terminated(_))
    };
    if own.iter().any(|pod| pod.node.is_some() && pod.containers.iter().any(has_started)) {
        return None;
    }
    let oldest = own.into_iter().min_by_key(|pod| (pod.created, &pod.key))?;
    let is_told = oldest.containers.iter().any(|row| is_failing(row) || is_looping(scene, oldest, row));
    if is_told || !scene.has_lasted(oldest.created, &NOT_STARTED) {
        return None;
    }
    let found = obstacle(scene, oldest);
    // Many a Job is meant to wait until there is room, or until its queue lets it go.
    let queues = matches!(
        found.cause.name,
        cause::UNSCHEDULABLE | cause::PREEMPTED | cause::SCHEDULING_GATED | cause::STARTING_SLOWLY
    );
    let mut bindings = found.bindings;
    bindings.insert("pod", oldest.key.name.to_string());
    bindings.extend(oldest.node.as_ref().map(|node| ("node", node.to_string())));
    Some(Trouble {
        since: oldest.created,
        severity: if queues { Severity::Suspect } else { Severity::Warning },
        score: if queues { 0.55 } else { 0.75 },
        title: format!("has not started: {}", found.label),
        facts: vec![evidence(Origin::Pods, Some(oldest.created), found.cause.says.clone())],
        causes: vec![found.cause],
        job: Some(job),
        bindings,
    })
}
