//! Pods that the kubelet of their node turns away before anything of them runs: a device is gone, or more is asked for
//! than the node has left. They end as Failed, and their controller makes the next ones at once, without any back-off.

use jiff::SignedDuration;

use crate::domain::{Cause, ContainerState, Evidence, Origin, Phase, Pod, Timestamp, between, cause, text};

use super::Scene;
use super::rollout_cause::{Obstacle, about};
use super::workload::{evidence, quote};

/// It goes on when there were so many, over so long, and the last came so lately: a kubelet that restarts turns a few
/// away, and the next find a place.
const AGAIN: usize = 3;
const LASTS: SignedDuration = SignedDuration::from_secs(20);
const LATELY: SignedDuration = SignedDuration::from_mins(1);

/// Reasons of Failed pods that were let in before.
const LET_IN: &[&str] =
    &["Evicted", "NodeLost", "NodeShutdown", "Shutdown", "Terminated", "Preempting", "DeadlineExceeded"];

pub(super) fn is_turned_away(pod: &Pod) -> bool {
    let never_ran = pod.containers.iter().all(|row| {
        matches!(row.state, ContainerState::Unreported | ContainerState::Waiting { .. }) && row.last.is_none()
    });
    let by_kubelet = pod.reason.as_deref().is_some_and(|reason| !LET_IN.contains(&reason));
    pod.phase == Phase::Failed && never_ran && by_kubelet
}

/// Since when the pods of an owner are turned away one after the other, if that goes on.
pub(super) fn goes_on(scene: &Scene<'_>, pods: &[&Pod]) -> Option<Timestamp> {
    let first = pods.iter().map(|pod| pod.created).min()?;
    let last = pods.iter().map(|pod| pod.created).max()?;
    let lately = scene.now.duration_since(last) <= LATELY;
    (pods.len() >= AGAIN && last.duration_since(first) >= LASTS && lately).then_some(first)
}

pub(super) fn counted(scene: &Scene<'_>, pods: &[&Pod], since: Timestamp) -> Evidence {
    let pods = text::count(pods.len(), "pod");
    let says = format!("{pods} turned away by their nodes in {}", text::span(between(since, scene.now)));
    evidence(Origin::Pods, Some(since), says)
}

pub(super) fn obstacle(pod: &Pod) -> Option<Obstacle> {
    if !is_turned_away(pod) {
        return None;
    }
    let reason = quote(pod.reason.as_deref().unwrap_or_default());
    let says = match pod.message.as_deref().map(quote).filter(|words| !words.is_empty()) {
        Some(words) => format!("{reason}: {words}"),
        None => reason.clone(),
    };
    let cause = Cause { name: cause::TURNED_AWAY, says: says.clone(), weight: 0.85 };
    Some(about(pod, None, cause, &format!("nodes turn the pods away: {reason}"), &says))
}
