//! Which workloads a Service leads to, by their selectors: also when no pod of theirs is there to be asked.

use jiff::SignedDuration;

use crate::domain::{Controller, Deployment, Event, Key, Kind, Labels, ObjectRef, Service, Timestamp};

use super::Scene;
use super::rollout_stuck::{NO_PROGRESS, is_told};
use super::scheduling::unschedulable;
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

/// A Deployment or a StatefulSet that a Service leads to and that somebody scaled to 0.
pub(super) struct AtRest {
    pub object: ObjectRef,
    /// When it was scaled, as far as is known.
    pub since: Option<Timestamp>,
    /// How many replicas it had; 1 where nobody remembers.
    pub before: u32,
}

impl AtRest {
    /// `Service web leads to web alone, which is scaled to 0 (it had 3)`.
    pub fn says(&self, service: &str) -> String {
        let name = &self.object.key.name;
        format!("Service {service} leads to {name} alone, which is scaled to 0 (it had {})", self.before)
    }

    pub fn bindings(&self) -> Bindings {
        let kind = if self.object.kind == Kind::StatefulSet { "stateful_set" } else { "deployment" };
        Bindings::from([
            (kind, self.object.key.name.to_string()),
            ("replicas_before", self.before.to_string()),
        ])
    }
}

/// What a Service leads to, where all of that is scaled to 0.
pub(super) fn at_rest(scene: &Scene<'_>, service: &Service) -> Option<AtRest> {
    let behind = deployments(scene, service);
    let here = |set: &&Controller| {
        set.key.namespace == service.key.namespace && selects(service, &set.selector.labels)
    };
    let sets: Vec<&Controller> = scene.snapshot.stateful_sets.iter().filter(here).collect();
    let mut agents = scene.snapshot.daemon_sets.iter().filter(here);
    let runs = behind.iter().any(|one| one.replicas > 0) || sets.iter().any(|set| set.desired > 0);
    if runs || agents.next().is_some() || has_pods(scene, service) {
        return None;
    }
    match behind.first() {
        Some(deployment) => Some(resting(scene, deployment)),
        None => sets.iter().min_by_key(|set| &set.key).map(|set| resting_set(scene, set)),
    }
}

fn resting(scene: &Scene<'_>, deployment: &Deployment) -> AtRest {
    let scaled = scalings(scene, deployment).max_by_key(|event| event.last);
    let told = scaled.and_then(|event| from(&event.message)).filter(|before| *before > 0);
    let least = || scene.autoscaler_of(&deployment.key).map(|scaler| scaler.min.max(1));
    AtRest {
        object: ObjectRef::new(Kind::Deployment, deployment.key.clone()),
        since: scaled.map(|event| event.last).or(deployment.written),
        before: told.or_else(least).unwrap_or(1),
    }
}

/// It tells of each pod that it takes away, and of nothing else.
fn resting_set(scene: &Scene<'_>, set: &Controller) -> AtRest {
    let gone = scene.snapshot.events.iter().filter(|event| {
        event.about == set.key
            && &*event.about_kind == Kind::StatefulSet.as_str()
            && &*event.reason == "SuccessfulDelete"
    });
    let moments: Vec<Timestamp> = gone.map(|event| event.last).collect();
    let last = moments.iter().max().copied();
    // Those of one scaling: pods end one after the other.
    let together = moments.iter().filter(|at| last.is_some_and(|last| last.duration_since(**at) <= ENDING));
    AtRest { object: set.object(), since: last, before: (together.count() as u32).max(1) }
}

/// How long a StatefulSet may take to end its pods one after the other.
const ENDING: SignedDuration = SignedDuration::from_mins(5);

fn has_pods(scene: &Scene<'_>, service: &Service) -> bool {
    let pods = scene.snapshot.pods.iter().filter(|pod| pod.key.namespace == service.key.namespace);
    let mut pods = pods.filter(|pod| pod.deleting.is_none() && !pod.is_finished());
    pods.any(|pod| service.selector.matches(&pod.labels))
}

/// Whether a StatefulSet, a DaemonSet or a pod of anybody else is selected, too.
fn is_led_elsewhere(scene: &Scene<'_>, service: &Service) -> bool {
    let here = |key: &Key| key.namespace == service.key.namespace;
    let snapshot = scene.snapshot;
    let mut sets = snapshot.stateful_sets.iter().chain(snapshot.daemon_sets.iter());
    sets.any(|set| here(&set.key) && selects(service, &set.selector.labels)) || has_pods(scene, service)
}

/// Whether all that a Service leads to has just been installed, or scaled up from 0, and starts without trouble: so far
/// nobody was served, and nobody expects to be.
pub(super) fn is_coming_up(scene: &Scene<'_>, service: &Service) -> bool {
    let behind = deployments(scene, service);
    let pods = scene.snapshot.pods.iter().filter(|pod| pod.key.namespace == service.key.namespace);
    let mut pods = pods.filter(|pod| pod.deleting.is_none() && service.selector.matches(&pod.labels));
    !behind.is_empty()
        && behind.iter().all(|deployment| began_from_nothing(scene, deployment))
        && pods.all(|pod| pod.restarts() == 0 && !is_told(scene, pod) && unschedulable(pod).is_none())
}

fn began_from_nothing(scene: &Scene<'_>, deployment: &Deployment) -> bool {
    if !scene.has_lasted(deployment.created, &NO_PROGRESS) {
        return true;
    }
    let Some(newest) = scene.revisions(deployment).first() else { return false };
    let lately = scalings(scene, deployment).filter(|event| !scene.has_lasted(event.last, &NO_PROGRESS));
    let (up, down): (Vec<&Event>, Vec<&Event>) =
        lately.partition(|event| event.message.starts_with("Scaled up"));
    let from_zero =
        |event: &&Event| from(&event.message) == Some(0) && event.message.contains(&*newest.key.name);
    // A revision that takes the place of another comes from 0 as well.
    let replaces = down.iter().any(|event| !event.message.contains(&*newest.key.name));
    up.iter().any(from_zero) && !replaces
}

fn scalings<'s>(scene: &'s Scene<'_>, deployment: &'s Deployment) -> impl Iterator<Item = &'s Event> {
    let about = move |event: &&Event| event.about == deployment.key && &*event.reason == "ScalingReplicaSet";
    scene.snapshot.events.iter().filter(about)
}

/// Whether nothing is there that a Service with a selector could lead to, nor ever will be by itself.
pub(super) fn is_nobody(scene: &Scene<'_>, service: &Service) -> bool {
    let snapshot = scene.snapshot;
    let all_seen = snapshot.deployments.is_listed()
        && snapshot.stateful_sets.is_listed()
        && snapshot.daemon_sets.is_listed()
        && snapshot.pods.is_listed();
    all_seen
        && !service.selector.is_empty()
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
