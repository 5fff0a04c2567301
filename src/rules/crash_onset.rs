//! When a container began to die again and again: the API keeps its last end and how often it was started, not when that
//! began.

use jiff::SignedDuration;

use crate::domain::{Container, ContainerState, Kind, Pod, Terminated, Timestamp};

use super::Scene;
use super::workload::Group;

/// Clocks of nodes and ours may be this far apart.
const CLOCKS_DIFFER: SignedDuration = SignedDuration::from_mins(1);

/// The API server keeps events for so long (kube-apiserver: `--event-ttl`, 1 h).
const EVENTS_LIVE: SignedDuration = SignedDuration::from_hours(1);

/// A container that ended for the first time is started again at once: after at most so long.
const SECOND_START: SignedDuration = SignedDuration::from_secs(5);

/// The earliest beginning among the sick pods.
pub(super) fn pods_onset(scene: &Scene<'_>, group: &Group<'_>) -> Timestamp {
    group.sick.iter().map(|(pod, container)| began(scene, pod, container)).min().unwrap_or(scene.now)
}

/// When a container began to loop: its last end less the back-off that its restarts must have taken (10 s, doubled up
/// to 5 min), but not after the first event about it, nor long before it, nor before the pod was there.
fn began(scene: &Scene<'_>, pod: &Pod, container: &Container) -> Timestamp {
    let telling = ["BackOff", "Unhealthy", "Killing", "Failed"];
    let events = scene.events(Kind::Pod, &pod.key).filter(|event| telling.contains(&&*event.reason));
    let first_event = events.map(|event| event.first).min();
    let end = container.termination();
    let lived = end.and_then(Terminated::lived).and_then(|lived| SignedDuration::try_from(lived).ok());
    let lived = lived.unwrap_or_default();
    let first_end = end.and_then(|end| {
        let earlier = ends_before(pod, container, end, lived).min(12);
        let backoffs = (0..earlier).fold(SignedDuration::ZERO, |sum, attempt| {
            // The kubelet restarts at once the first time.
            let wait = if attempt == 0 { 0 } else { (10_i64 << (attempt - 1)).min(300) };
            sum.saturating_add(SignedDuration::from_secs(wait)).saturating_add(lived)
        });
        end.finished?.checked_sub(backoffs).ok()
    });
    // What lies further ahead than clocks differ is no moment of a beginning.
    let possible = |at: &Timestamp| at.duration_since(scene.now) <= CLOCKS_DIFFER;
    // The kubelet tells it at the second end, unless the event is of a later series.
    let told = first_event.filter(possible).zip(first_end);
    let bound = told.filter(|(event, end)| event.duration_since(*end) <= EVENTS_LIVE);
    let bound = bound.and_then(|(event, _)| event.checked_sub(lived.saturating_add(SECOND_START)).ok());
    let first_end = first_end.map(|end| bound.map_or(end, |bound| end.max(bound)));
    let known = [first_event, first_end].into_iter().flatten().filter(possible).min();
    known.unwrap_or(pod.created).max(pod.created).min(scene.now)
}

/// How many ends came before the one that is shown. The restarts count what was started since the first run: one that runs
/// has had as many ends, one that waits or has ended one more. A run that began with its pod was the first.
fn ends_before(pod: &Pod, container: &Container, end: &Terminated, lived: SignedDuration) -> u32 {
    let began = end.started.map(|at| at.duration_since(pod.created));
    if began.is_some_and(|after| after < lived) {
        return 0;
    }
    let runs = matches!(container.state, ContainerState::Running { .. });
    container.restarts.saturating_sub(u32::from(runs))
}
