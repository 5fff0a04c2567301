//! Which workloads a Service leads to, by their selectors: also when no pod of theirs is there to be asked.

use crate::domain::{Deployment, Key, Kind, Labels, ObjectRef, Service, Timestamp};

use super::Scene;
use super::workload::Bindings;

/// The Deployments of its namespace whose pods a Service selects, by name.
pub(super) fn deployments<'a>(scene: &Scene<'a>, service: &Service) -> Vec<&'a Deployment> {
    let mut found: Vec<&Deployment> =
        scene.snapshot.deployments.iter().filter(|one| is_behind(service, one)).collect();
    found.sort_by(|one, other| one.key.cmp(&other.key));
    found
}

pub(super) fn is_behind(service: &Service, deployment: &Deployment) -> bool {
    service.key.namespace == deployment.key.namespace && selects(service, &deployment.selector.labels)
}

/// Pods may have more labels than their workload selects them by: one of the two asks for all that the other does.
fn selects(service: &Service, own: &Labels) -> bool {
    let wanted = &service.selector.labels;
    let within = |few: &Labels, many: &Labels| {
        !few.0.is_empty() && few.0.iter().all(|(label, value)| many.get(label) == Some(value))
    };
    within(wanted, own) || within(own, wanted)
}

/// A workload that a Service leads to and that somebody scaled to 0.
pub(super) struct AtRest<'a> {
    pub deployment: &'a Deployment,
    /// When it was scaled, as far as is known.
    pub since: Option<Timestamp>,
    /// How many replicas it had; 1 where nobody remembers.
    pub before: u32,
}

impl AtRest<'_> {
    /// `Service web leads to web alone, which is scaled to 0 (it had 3)`.
    pub fn says(&self, service: &str) -> String {
        let name = &self.deployment.key.name;
        format!("Service {service} leads to {name} alone, which is scaled to 0 (it had {})", self.before)
    }

    pub fn bindings(&self) -> Bindings {
        Bindings::from([
            ("deployment", self.deployment.key.name.to_string()),
            ("replicas_before", self.before.to_string()),
        ])
    }
}

/// What a Service leads to, where all of that is scaled to 0.
pub(super) fn at_rest<'a>(scene: &Scene<'a>, service: &Service) -> Option<AtRest<'a>> {
    let behind = deployments(scene, service);
    let deployment = *behind.first()?;
    if behind.iter().any(|one| one.replicas > 0) || is_led_elsewhere(scene, service) {
        return None;
    }
    let object = ObjectRef::new(Kind::Deployment, deployment.key.clone());
    let scaled = scene
        .snapshot
        .events
        .iter()
        .filter(|event| event.about == object.key && &*event.reason == "ScalingReplicaSet")
        .max_by_key(|event| event.last);
    let told = scaled.and_then(|event| from(&event.message)).filter(|before| *before > 0);
    let least = || scene.autoscaler_of(&deployment.key).map(|scaler| scaler.min.max(1));
    Some(AtRest {
        deployment,
        since: scaled.map(|event| event.last).or(deployment.written),
        before: told.or_else(least).unwrap_or(1),
    })
}

/// Whether a StatefulSet, a DaemonSet or a pod of anybody else is selected, too.
fn is_led_elsewhere(scene: &Scene<'_>, service: &Service) -> bool {
    let here = |key: &Key| key.namespace == service.key.namespace;
    let snapshot = scene.snapshot;
    let mut sets = snapshot.stateful_sets.iter().chain(snapshot.daemon_sets.iter());
    let mut pods = snapshot.pods.iter().filter(|pod| here(&pod.key) && pod.deleting.is_none());
    sets.any(|set| here(&set.key) && selects(service, &set.selector.labels))
        || pods.any(|pod| !pod.is_finished() && service.selector.matches(&pod.labels))
}

/// Whether nothing is there that a Service with a selector could lead to, nor ever will be by itself.
pub(super) fn is_nobody(scene: &Scene<'_>, service: &Service) -> bool {
    let snapshot = scene.snapshot;
    let all_seen = snapshot.deployments.is_listed()
        && snapshot.stateful_sets.is_listed()
        && snapshot.daemon_sets.is_listed()
        && snapshot.pods.is_listed();
    all_seen
        && !service.selector.labels.0.is_empty()
        && deployments(scene, service).is_empty()
        && !is_led_elsewhere(scene, service)
}

/// `Scaled down replica set web-5d9c to 0 from 3`.
fn from(message: &str) -> Option<u32> {
    let mut words = message.split_whitespace();
    words.find(|word| *word == "from")?;
    words.next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_remember_how_many_there_were() {
        assert_eq!(from("Scaled down replica set web-5d9c to 0 from 3"), Some(3));
        assert_eq!(from("Scaled down replica set from-5d9c from 12 to 0"), Some(12));
        assert_eq!(from("Scaled down replica set web-5d9c to 0"), None);
    }
}
