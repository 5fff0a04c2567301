//! The node group, and its roll to another release: a new node joins, then one old node after the other is cordoned,
//! emptied within the disruption budgets, and replaced (EKS user guide, "managed node update behavior"). It knows nodes
//! and pods, and no protocol.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::World;
use super::cluster::{Cluster, later};
use super::objects::{Node, Pod};
use super::shelf::Key;
use super::upkeep;

/// What the nodes run, and what AWS has released since.
const RELEASES: [&str; 2] = ["1.35.2-20260105", "1.35.2-20260218"];
/// Seconds after which a node that does not become empty ends the update.
const PATIENCE: f64 = 900.0;

/// An update of the node group.
#[derive(Clone, Debug)]
pub struct Update {
    pub id: String,
    pub began: Timestamp,
    pub status: UpdateStatus,
    /// What it failed of.
    pub trouble: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum UpdateStatus {
    InProgress,
    Successful,
    Failed,
}

impl UpdateStatus {
    /// As EKS writes it.
    pub fn shown(self) -> &'static str {
        match self {
            Self::InProgress => "InProgress",
            Self::Successful => "Successful",
            Self::Failed => "Failed",
        }
    }
}

#[derive(Default)]
pub(super) struct NodeGroup {
    /// Whether it came to the newer release.
    newest: bool,
    /// The last is the newest.
    updates: Vec<Update>,
    roll: Option<Roll>,
    next: Option<Timestamp>,
}

/// A roll under way.
struct Roll {
    /// Nodes that are still to go, the next one last.
    old: Vec<String>,
    /// So many new nodes must be ready before the next old one goes.
    wanted: usize,
    /// The nodes that were there when it began.
    before: Vec<String>,
    /// The node that is being emptied, until when.
    draining: Option<(String, Timestamp)>,
}

enum Step {
    Waits,
    Ends(UpdateStatus, Option<String>),
    /// This node is empty; whether another comes in its place.
    Empty(String, bool),
}

impl Roll {
    fn step(&mut self, cluster: &mut Cluster) -> Step {
        if let Some((node, until)) = self.draining.clone() {
            let left = to_evict(cluster, &node);
            if left.is_empty() {
                self.draining = None;
                self.wanted += 1;
                return Step::Empty(node, !self.old.is_empty());
            }
            if until <= cluster.now {
                let says = format!(
                    "Reached max retries while trying to evict pods from nodes in node group: {node}"
                );
                return Step::Ends(UpdateStatus::Failed, Some(says));
            }
            let first = left.into_iter().find(|pod| !pod.is_deleting() && upkeep::may_evict(cluster, pod));
            if let Some(pod) = first {
                cluster.delete_gracefully(&pod);
            }
            return Step::Waits;
        }
        let joined = |(key, node): &(&Key, &Arc<Node>)| node.is_ready() && !self.before.contains(&key.name);
        let is_gone = |name: &String| cluster.nodes.get(&Key::new("", name)).is_none();
        let leaving = self.before.iter().filter(|name| !self.old.contains(name) && !is_gone(name)).count();
        let ready = cluster.nodes.iter().filter(joined).count();
        // The last old node has nobody in its place: the one that came first.
        let wanted = self.wanted.min(self.before.len());
        if leaving > 0 || ready < wanted {
            return Step::Waits;
        }
        let Some(node) = self.old.pop() else { return Step::Ends(UpdateStatus::Successful, None) };
        cluster.update::<Node>(&Key::new("", &node), |node| node["spec"]["unschedulable"] = true.into());
        self.draining = Some((node, cluster.after(PATIENCE)));
        Step::Waits
    }
}

/// Pods that have to leave a node before it goes.
fn to_evict(cluster: &Cluster, node: &str) -> Vec<Arc<Pod>> {
    let of_daemon = |pod: &Pod| pod.metadata.controller().is_some_and(|owner| owner.kind == "DaemonSet");
    let mut pods = cluster.pods_on(node);
    pods.retain(|pod| !pod.is_finished() && !of_daemon(pod));
    pods
}

impl World {
    /// The release of the node group's nodes.
    pub fn node_release(&self) -> &'static str {
        RELEASES[usize::from(self.node_group.newest)]
    }

    /// The release that a roll leads to.
    pub fn newest_release(&self) -> &'static str {
        RELEASES[1]
    }

    /// Updates of the node group, the newest first.
    pub fn node_updates(&self) -> impl Iterator<Item = &Update> {
        self.node_group.updates.iter().rev()
    }

    /// Begins to roll the node group to the newest release; None while another roll is under way.
    pub fn roll_node_group(&mut self) -> Option<Update> {
        if self.node_group.roll.is_some() {
            return None;
        }
        let mut before: Vec<String> = self.cluster.nodes.iter().map(|(key, _)| key.name.clone()).collect();
        before.sort();
        self.node_group.roll = Some(Roll { old: before.clone(), wanted: 1, before, draining: None });
        self.nodes.grow(&mut self.cluster);
        let id = uuid::Builder::from_random_bytes(self.cluster.rng.u128(..).to_be_bytes()).into_uuid();
        let update = Update {
            id: id.to_string(),
            began: self.cluster.now,
            status: UpdateStatus::InProgress,
            trouble: None,
        };
        self.node_group.updates.push(update.clone());
        Some(update)
    }

    /// One step of a roll, once a second.
    pub(super) fn roll_nodes(&mut self) {
        let now = self.cluster.now;
        let group = &mut self.node_group;
        let Some(roll) = group.roll.as_mut().filter(|_| group.next.is_none_or(|next| next <= now)) else {
            return;
        };
        group.next = Some(later(now, SignedDuration::from_secs(1)));
        match roll.step(&mut self.cluster) {
            Step::Waits => {}
            Step::Empty(node, replaced) => {
                if !replaced {
                    self.nodes.shrink(&node);
                }
                let id = self.instances().find(|one| one.node == node).map(|one| one.id.clone());
                if let Some(id) = id {
                    self.terminate_instance(&id);
                }
            }
            Step::Ends(status, trouble) => {
                group.roll = None;
                group.newest |= status == UpdateStatus::Successful;
                if let Some(update) = group.updates.last_mut() {
                    (update.status, update.trouble) = (status, trouble);
                }
            }
        }
    }
}
