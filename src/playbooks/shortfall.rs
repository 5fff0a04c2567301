//! Whether what was changed did what it was changed for, by what is seen after it. It must not know what comes next.

use jiff::SignedDuration;

use crate::domain::{Action, Container, ContainerState, Pod, Terminated, between, cause};

use super::sessions::reopened;
use super::view::{Reason, View};
use super::{Done, Made, Playbook, Step};

/// A step is done so often; if that does not suffice, more of the same does not either.
pub(super) const ENOUGH: u32 = 2;

/// Why a change that was made did not suffice, in one line; None while that is not proven. It is when a cause that the
/// change is for stands, and pods that it made fail of it, or an autoscaler is at the bounds that it set, or the sessions
/// that it ended are back; or when the cause still stands after the time in which the trouble would have counted as resolved.
pub(super) fn shortfall(view: &View<'_>, playbook: &Playbook, step: &Step, done: &Done) -> Option<String> {
    let made = done.change.as_ref().filter(|_| done.ok)?;
    let passed = between(done.at, view.facts.now);
    if !view.facts.fires || passed < step.settle {
        return None;
    }
    let stands = standing(view, step, done)?;
    let proven = fails_anew(view, Some(&stands.name), done)
        || is_at_its_bounds(view, made)
        || reopened(view, done).is_some();
    let lasts = passed >= step.settle + playbook.resolved.for_;
    (proven || lasts).then(|| format!("“{}” did not suffice: {}", made.title, stands.says))
}

/// The likeliest cause that the step is for, judged now or read after the change had settled.
fn standing<'v>(view: &'v View<'_>, step: &Step, done: &Done) -> Option<&'v Reason> {
    let facts = &view.facts;
    let judged = |name: &str| facts.anomaly.causes.iter().any(|cause| cause.name == name);
    let read = |name: &str| {
        let since = facts.progress.steps.values().filter(|read| between(done.at, read.at) >= step.settle);
        since.flat_map(|read| &read.found).any(|found| found.cause == name)
    };
    let is_its = |reason: &&Reason| step.for_causes.contains(&reason.name);
    view.causes.iter().filter(is_its).find(|reason| judged(&reason.name) || read(&reason.name))
}

/// Whether pods of the newest revision fail that the change made, or in a run that began after it. Where the cause is
/// named, of that cause, as far as a pod's status tells.
pub(super) fn fails_anew(view: &View<'_>, of: Option<&str>, done: &Done) -> bool {
    made_by(view, done).into_iter().any(|row| fails(row) && is_of(row, of))
}

/// The container, and its run, that ended last of those that the change made: one run is no proof, and no health.
pub(super) fn ended_anew<'v>(view: &View<'v>, done: &Done) -> Option<(&'v Container, &'v Terminated)> {
    let ended = made_by(view, done).into_iter().filter(|row| !row.init);
    ended.filter_map(|row| Some((row, row.termination()?))).max_by_key(|(_, end)| end.finished)
}

/// Containers of pods of the newest revision that the change made, or whose last run began after it.
fn made_by<'v>(view: &View<'v>, done: &Done) -> Vec<&'v Container> {
    let Some(made) = &done.change else { return Vec::new() };
    // Moments of creation are whole seconds.
    let by_it = |pod: &Pod| pod.created.duration_since(made.began) > -SignedDuration::from_secs(1);
    let began = |row: &Container| row.termination().and_then(|end| end.started);
    let since = |row: &Container| began(row).is_some_and(|began| began >= done.at);
    let newest = view.staying().filter(|pod| view.is_newest(pod));
    let rows = newest.flat_map(|pod| pod.containers.iter().filter(move |row| by_it(pod) || since(row)));
    rows.collect()
}

/// Whether a container dies again and again, or waits for what does not come by itself.
fn fails(row: &Container) -> bool {
    let waits = |reason: &str| !matches!(reason, "ContainerCreating" | "PodInitializing");
    match &row.state {
        ContainerState::Waiting { .. } => row.waiting().is_some_and(|reason| waits(reason)),
        _ => row.restarts >= 2 && row.termination().is_some(),
    }
}

fn is_of(row: &Container, of: Option<&str>) -> bool {
    match of {
        Some(cause::OOM_KILLED | cause::MEMORY_LEAK) => row.was_out_of_memory(),
        _ => true,
    }
}

/// Whether the last run of one of its containers ended at its memory limit.
pub(super) fn is_killed_for_memory(pod: &Pod) -> bool {
    pod.containers.iter().any(Container::was_out_of_memory)
}

/// Whether the autoscaler has come to the bounds that were set for it, and is judged to want more.
fn is_at_its_bounds(view: &View<'_>, made: &Made) -> bool {
    let Action::AutoscalerBounds { autoscaler, max, .. } = &made.action else { return false };
    view.autoscaler.is_some_and(|scaler| {
        scaler.key == *autoscaler && scaler.max == *max && scaler.current >= *max && scaler.desired >= *max
    })
}

impl Made {
    /// Whether the next time would be another change, and not one time too many.
    pub(super) fn is_open_again(&self, bound: Option<&Action>) -> bool {
        self.times < ENOUGH && bound != Some(&self.action)
    }
}
