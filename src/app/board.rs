//! Pods by health, worst first, kept in order as observations are folded, so that no frame ever counts or
//! sorts pods. It knows health as a status says it, not what rules make of it.

use std::collections::{BTreeSet, HashMap};

use crate::domain::{ContainerState, Delta, Key, Name, Phase, Pod, Table};

/// How a pod is, the worst first.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Health {
    /// Crashing, failed, or unable to get its image or configuration.
    Failing,
    /// Nobody knows: its node does not report.
    Unknown,
    /// Runs but is not ready, after having been started more than once.
    Unready,
    /// Waits for a place to run.
    Pending,
    /// On its way up.
    Starting,
    /// Being deleted.
    Terminating,
    Ready,
    /// Ended as it should; or ended otherwise, and its ReplicaSet has made another in its place.
    Finished,
}

impl Health {
    pub const ALL: [Health; 8] = [
        Health::Failing,
        Health::Unknown,
        Health::Unready,
        Health::Pending,
        Health::Starting,
        Health::Terminating,
        Health::Ready,
        Health::Finished,
    ];

    pub fn of(pod: &Pod) -> Health {
        if pod.deleting.is_some() {
            return match pod.reason.as_deref() {
                Some("NodeLost") => Health::Unknown,
                _ => Health::Terminating,
            };
        }
        match pod.phase {
            Phase::Succeeded => return Health::Finished,
            // What was evicted or turned away stays to be read until somebody deletes it.
            Phase::Failed if pod.is_owned_by("ReplicaSet") => return Health::Finished,
            Phase::Failed => return Health::Failing,
            Phase::Unknown => return Health::Unknown,
            Phase::Pending | Phase::Running => {}
        }
        if pod.is_ready() {
            return Health::Ready;
        }
        if pod.containers.iter().any(is_failing) {
            return Health::Failing;
        }
        if pod.node.is_none() {
            return Health::Pending;
        }
        if pod.phase == Phase::Running && (pod.restarts() > 0 || pod.containers.iter().all(|c| c.ready)) {
            // All containers ready but the pod is not: a readiness gate, or a node that stopped reporting.
            return Health::Unready;
        }
        Health::Starting
    }

    /// In a word.
    pub fn as_str(self) -> &'static str {
        match self {
            Health::Failing => "failing",
            Health::Unknown => "unknown",
            Health::Unready => "not ready",
            Health::Pending => "pending",
            Health::Starting => "starting",
            Health::Terminating => "terminating",
            Health::Ready => "ready",
            Health::Finished => "finished",
        }
    }

    /// Worth a look: neither ready nor on a usual way.
    pub fn is_bad(self) -> bool {
        self <= Health::Pending
    }
}

fn is_failing(container: &crate::domain::Container) -> bool {
    match &container.state {
        ContainerState::Waiting { reason, .. } => {
            !matches!(&**reason, "" | "ContainerCreating" | "PodInitializing")
        }
        ContainerState::Terminated(ended) => ended.exit_code != 0,
        // Up again for a moment between two crashes.
        ContainerState::Running { .. } => {
            !container.ready && container.last.as_ref().is_some_and(|ended| ended.exit_code != 0)
        }
        ContainerState::Unreported => false,
    }
}

/// All pods in the order worst first, then by key.
#[derive(Debug, Default)]
pub struct PodBoard {
    order: BTreeSet<(Health, Key)>,
    places: HashMap<Key, (Health, Option<Name>)>,
    counts: [usize; Health::ALL.len()],
    per_node: HashMap<Name, usize>,
}

impl PodBoard {
    /// Follows a piece of the pod list; `after` is the table it was folded into.
    pub fn fold(&mut self, delta: &Followed, after: &Table<Pod>) {
        match delta {
            Followed::Changed(keys) => {
                for key in keys {
                    match after.get(key) {
                        Some(pod) => self.put(pod),
                        None => self.take(key),
                    }
                }
            }
            Followed::Listed if after.len() != self.places.len() => {
                let gone: Vec<Key> =
                    self.places.keys().filter(|key| after.get(key).is_none()).cloned().collect();
                for key in &gone {
                    self.take(key);
                }
            }
            Followed::Listed => {}
        }
    }

    fn put(&mut self, pod: &Pod) {
        let place = (Health::of(pod), pod.node.clone());
        if self.places.get(&pod.key) == Some(&place) {
            return;
        }
        self.take(&pod.key);
        self.order.insert((place.0, pod.key.clone()));
        self.counts[place.0 as usize] += 1;
        if let Some(node) = &place.1 {
            *self.per_node.entry(node.clone()).or_default() += 1;
        }
        self.places.insert(pod.key.clone(), place);
    }

    fn take(&mut self, key: &Key) {
        let Some((health, node)) = self.places.remove(key) else { return };
        self.order.remove(&(health, key.clone()));
        self.counts[health as usize] -= 1;
        if let Some(count) = node.and_then(|node| self.per_node.get_mut(&node)) {
            *count -= 1;
        }
    }

    pub fn count(&self, health: Health) -> usize {
        self.counts[health as usize]
    }

    pub fn len(&self) -> usize {
        self.places.len()
    }

    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    pub fn on_node(&self, node: &Name) -> usize {
        self.per_node.get(node).copied().unwrap_or_default()
    }

    pub fn health(&self, key: &Key) -> Option<Health> {
        self.places.get(key).map(|(health, _)| *health)
    }

    /// Worst first.
    pub fn iter(&self) -> impl Iterator<Item = (Health, &Key)> {
        self.order.iter().map(|(health, key)| (*health, key))
    }
}

/// What a delta touched, noted before the table consumes it.
#[derive(Debug)]
pub enum Followed {
    Changed(Vec<Key>),
    Listed,
}

impl Followed {
    pub fn of(delta: &Delta<Pod>) -> Option<Followed> {
        match delta {
            Delta::Relisting => None,
            Delta::Seen(pods) => Some(Followed::Changed(pods.iter().map(|pod| pod.key.clone()).collect())),
            Delta::Gone(keys) => Some(Followed::Changed(keys.clone())),
            Delta::Listed => Some(Followed::Listed),
        }
    }
}
