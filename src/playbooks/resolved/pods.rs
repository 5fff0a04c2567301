//! Whether the pods of a workload run, and since when.

use std::time::Duration;

use super::Held;
use crate::domain::{ContainerState, Pod, Status, Timestamp, between};
use crate::playbooks::pods::waits_for_image;
use crate::playbooks::verdict::crash_loops;
use crate::playbooks::view::View;

pub(super) fn pods_ready(view: &View<'_>) -> Held {
    let wanted = match view.deployment {
        Some(deployment) => deployment.replicas as usize,
        None => view.controller.map_or_else(
            || view.pods.iter().filter(|pod| pod.deleting.is_none()).count(),
            |controller| controller.desired as usize,
        ),
    };
    let ready = view.ready();
    if view.deployment.is_some_and(|deployment| deployment.replicas == 0) {
        return Err("scaled to 0: nothing serves".into());
    }
    if view.facts.fires && view.controller.is_some_and(|controller| controller.desired == 0) {
        return Err("it runs on no node".into());
    }
    if ready < wanted || !view.failing().is_empty() {
        let all = wanted.max(ready + view.failing().len());
        return Err(format!("{ready} of {all} pods ready"));
    }
    Ok(ready_since(view))
}

pub(super) fn images_pulled(view: &View<'_>) -> Held {
    let waiting = view.pods.iter().filter(|pod| waits_for_image(pod)).count();
    if waiting > 0 { Err(format!("{} for an image", waits(waiting))) } else { Ok(None) }
}

pub(super) fn no_new_restart(view: &View<'_>) -> Held {
    if view.staying().any(crash_loops) {
        return Err("containers still crash".into());
    }
    let ends = view.staying().flat_map(|pod| pod.containers.iter()).filter(|container| !container.init);
    Ok(ends.filter_map(|container| container.termination()?.finished).max())
}

pub(super) fn rollout_complete(view: &View<'_>) -> Held {
    if let Some(controller) = view.controller {
        let newest = view.newest_of_controller();
        let (old, updated) = match newest.map(|newest| controller.older_than(newest, view.staying())) {
            Some(old) => (old, (view.staying().count() as u32).saturating_sub(old)),
            // Without its history its status has to do, which counts what is on its way out among the old ones.
            None => (controller.existing.saturating_sub(controller.updated), controller.updated),
        };
        if old > controller.spared() || updated < controller.due() {
            return Err(format!("rollout at {updated} of {} updated", controller.due()));
        }
    }
    let Some(deployment) = view.deployment else { return Ok(None) };
    if !deployment.is_rolled_out() {
        return Err(format!(
            "rollout at {} of {} updated, {} available",
            deployment.updated, deployment.replicas, deployment.available
        ));
    }
    Ok(ready_since(view))
}

pub(super) fn pods_scheduled(view: &View<'_>) -> Held {
    let namespace = view.namespace();
    let pending = view
        .snapshot()
        .pods
        .iter()
        .filter(|pod| namespace.as_deref().is_none_or(|namespace| &*pod.key.namespace == namespace))
        .filter(|pod| pod.deleting.is_none())
        .filter(|pod| {
            pod.condition("PodScheduled").is_some_and(|condition| condition.status == Status::False)
        })
        .count();
    if pending > 0 { Err(format!("{} for a node", waits(pending))) } else { Ok(None) }
}

fn ready_since(view: &View<'_>) -> Option<Timestamp> {
    view.staying().filter_map(|pod| pod.condition("Ready").and_then(|ready| ready.since)).max()
}

/// From the start of the run that ended last to the start of the present one: life and back-off.
pub(super) fn crash_period(pod: &Pod) -> Option<Duration> {
    pod.containers
        .iter()
        .filter(|container| container.restarts > 0)
        .filter_map(|container| {
            let began = container.last.as_ref()?.started?;
            match &container.state {
                ContainerState::Running { since: Some(since) } => Some(between(began, *since)),
                _ => container.last.as_ref()?.lived(),
            }
        })
        .max()
}

pub(super) fn waits(number: usize) -> String {
    if number == 1 { "1 waits".into() } else { format!("{number} wait") }
}
