//! What changed: rollouts, edits, scaling, nodes and our own deeds, from what objects say of themselves.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use jiff::SignedDuration;

use crate::domain::{
    Change, ChangeKind, Event, Key, Kind, Name, Node, ObjectRef, Snapshot, Status, Timestamp, text,
};

use super::edits::edits;
use super::rollouts::rollouts;

/// More than this many are not read by anybody.
const MOST: usize = 500;

/// A period that ends now.
#[derive(Clone, Copy)]
pub(super) struct Window {
    pub from: Timestamp,
    pub to: Timestamp,
}

impl Window {
    pub fn contains(self, at: Timestamp) -> bool {
        self.from <= at && at <= self.to
    }
}

/// All changes in the `window` before `now`, the latest first.
pub fn changes(snapshot: &Snapshot, now: Timestamp, window: Duration) -> Vec<Change> {
    let back = SignedDuration::try_from(window).unwrap_or(SignedDuration::MAX);
    let window = Window { from: now.checked_sub(back).unwrap_or(Timestamp::MIN), to: now };
    let mut changes: Vec<Change> =
        snapshot.deeds.iter().filter(|deed| window.contains(deed.at)).cloned().collect();
    let rollouts = rollouts(snapshot, window);
    changes.extend(edits(snapshot, window));
    changes.extend(snapshot.seen_changes.iter().filter(|change| window.contains(change.at)).cloned());
    scaling(snapshot, window, &rollouts, &mut changes);
    changes.extend(rollouts);
    for node in snapshot.nodes.iter() {
        of_node(node, window, &mut changes);
    }
    changes.sort_by(|one, other| {
        other
            .at
            .cmp(&one.at)
            .then(one.kind.cmp(&other.kind))
            .then_with(|| one.object.cmp(&other.object))
            .then_with(|| one.says.cmp(&other.says))
    });
    changes.truncate(MOST);
    changes
}

/// What autoscalers did, and what people did to Deployments without one.
fn scaling(snapshot: &Snapshot, window: Window, rollouts: &[Change], changes: &mut Vec<Change>) {
    let scaled: HashSet<(&Name, &Name)> =
        snapshot.autoscalers.iter().map(|scaler| (&scaler.key.namespace, &scaler.target)).collect();
    let mut scalings: HashMap<&Key, Vec<&Event>> = HashMap::new();
    for event in snapshot.events.iter().filter(|event| &*event.reason == "ScalingReplicaSet") {
        scalings.entry(&event.about).or_default().push(event);
    }
    let by_a_rollout = |event: &Event| {
        let near = |other: Timestamp| event.last.duration_since(other).abs() <= ROLLING;
        let mut others = scalings.get(&event.about).into_iter().flatten();
        rollouts.iter().any(|rollout| rollout.object.key == event.about && near(rollout.at))
            || others.any(|other| replica_set(other) != replica_set(event) && near(other.last))
    };
    let mut told: HashSet<&Key> = HashSet::new();
    for event in snapshot.events.iter().filter(|event| window.contains(event.last)) {
        let kind = match (&*event.about_kind, &*event.reason) {
            ("HorizontalPodAutoscaler", "SuccessfulRescale") => {
                told.insert(&event.about);
                Kind::HorizontalPodAutoscaler
            }
            // A rollout scales too; that is told as a rollout.
            ("Deployment", "ScalingReplicaSet")
                if !scaled.contains(&(&event.about.namespace, &event.about.name))
                    && (!by_a_rollout(event) || is_at_rest(snapshot, &event.about)) =>
            {
                Kind::Deployment
            }
            _ => continue,
        };
        let says = text::redact(&text::clean(&event.message));
        let object = ObjectRef::new(kind, event.about.clone());
        let by = event.source.clone();
        changes.push(Change { at: event.last, kind: ChangeKind::Scaling, object, says, by });
    }
    // A StatefulSet tells of each pod that it takes away, and not of a scaling.
    for set in snapshot.stateful_sets.iter().filter(|set| set.desired == 0) {
        let own = |event: &&Event| event.about == set.key && &*event.reason == "SuccessfulDelete";
        let last = snapshot.events.iter().filter(own).map(|event| event.last).max();
        changes.extend(last.filter(|at| window.contains(*at)).map(|at| Change {
            at,
            kind: ChangeKind::Scaling,
            object: set.object(),
            says: format!("{} scaled to 0", set.key.name),
            by: None,
        }));
    }
    for scaler in snapshot.autoscalers.iter() {
        if let Some(at) = scaler.last_scaled.filter(|at| window.contains(*at) && !told.contains(&scaler.key))
        {
            changes.push(Change {
                at,
                kind: ChangeKind::Scaling,
                object: ObjectRef::new(Kind::HorizontalPodAutoscaler, scaler.key.clone()),
                says: format!(
                    "{} scaled to {}",
                    scaler.target,
                    text::count(scaler.desired as usize, "replica")
                ),
                by: Some("horizontal-pod-autoscaler".into()),
            });
        }
    }
}

/// Scalings so close to a revision, or to that of another ReplicaSet, are a rollout's.
const ROLLING: SignedDuration = SignedDuration::from_mins(2);

/// `web-5d9c` of `Scaled up replica set web-5d9c from 3 to 9`.
fn replica_set(event: &Event) -> Option<&str> {
    event.message.split_once("replica set ")?.1.split(' ').next()
}

/// Scaled to 0 as a whole, and not the older revisions of it only.
fn is_at_rest(snapshot: &Snapshot, deployment: &Key) -> bool {
    snapshot.deployments.get(deployment).is_some_and(|found| found.replicas == 0)
}

fn of_node(node: &Node, window: Window, changes: &mut Vec<Change>) {
    let name = &node.key.name;
    let mut add = |at: Timestamp, says: String| {
        if window.contains(at) {
            let object = ObjectRef::new(Kind::Node, node.key.clone());
            changes.push(Change { at, kind: ChangeKind::Node, object, says, by: None });
        }
    };
    add(node.created, format!("node {name} {}", Change::JOINED));
    // A node that has just joined becomes ready: that is one change, not two.
    let settled = node.created.checked_add(SignedDuration::from_mins(5)).unwrap_or(node.created);
    if let Some((ready, since)) = node.condition("Ready").and_then(|ready| Some((ready, ready.since?))) {
        match ready.status {
            Status::True if since > settled => add(since, format!("node {name} {}", Change::READY_AGAIN)),
            Status::True => {}
            Status::False | Status::Unknown => add(since, format!("node {name} became not ready")),
        }
    }
    for pressure in node.pressures() {
        if let Some(since) = pressure.since {
            add(since, format!("node {name}: {}", pressure.kind));
        }
    }
    let cordoned = node.taints.iter().find(|taint| &*taint.key == "node.kubernetes.io/unschedulable");
    if let Some(at) = cordoned.and_then(|taint| taint.added) {
        add(at, format!("node {name} cordoned"));
    }
}
