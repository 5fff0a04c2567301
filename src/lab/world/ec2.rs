//! The machines behind the nodes, as EC2 and Auto Scaling know them: instances, their status checks, and the group
//! that keeps their number. It knows nodes by name, and no protocol.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::cluster::{Cluster, later};
use super::kubelet::Kubelet;
use super::node_lifecycle::NodeLifecycle;
use super::objects::Node;
use super::shelf::Key;
use super::{World, fault};

pub const ACCOUNT: &str = "111122223333";
pub const REGION: &str = "us-east-1";
/// The cluster and its node group at EKS.
pub const CLUSTER: &str = "covet-cluster";
pub const NODE_GROUP: &str = "general";
/// The group that EKS made for the node group.
pub const AUTO_SCALING_GROUP: &str = "eks-general-0ac8d1f2-7b64-4b9a-9c53-2f1f4c1c9d0e";

/// Seconds between two status checks (EC2 user guide: every minute). The one that meets the failure has to time out.
const CHECK: f64 = 60.0;
/// Seconds that an impaired instance has to come back by itself, before its group replaces it.
const PATIENCE: f64 = 300.0;
/// Seconds an instance takes to shut down.
const SHUTDOWN: f64 = 20.0;
/// How long a terminated instance is still described (EC2 user guide: about an hour).
const REMEMBERED: SignedDuration = SignedDuration::from_hours(1);

/// An instance.
#[derive(Clone, Debug)]
pub struct Instance {
    pub id: String,
    /// Its private DNS name, which is also its node's name.
    pub node: String,
    /// Its private address.
    pub address: String,
    pub zone: String,
    /// `c6i.xlarge`.
    pub kind: String,
    pub launched: Timestamp,
    pub state: InstanceState,
    /// Its hardware failed; the status check of this moment is the first that notices.
    pub impaired: Option<Timestamp>,
    /// When its state ends.
    until: Option<Timestamp>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum InstanceState {
    Pending,
    Running,
    ShuttingDown,
    Terminated,
}

impl InstanceState {
    /// As EC2 writes it, name and code.
    pub fn shown(self) -> (&'static str, u8) {
        match self {
            Self::Pending => ("pending", 0),
            Self::Running => ("running", 16),
            Self::ShuttingDown => ("shutting-down", 32),
            Self::Terminated => ("terminated", 48),
        }
    }
}

/// Every instance of the account.
#[derive(Default)]
pub struct Ec2 {
    instances: BTreeMap<String, Instance>,
    /// Processes of the group that somebody suspended.
    pub suspended: Vec<String>,
    next: Option<Timestamp>,
}

impl Ec2 {
    /// Follows the nodes, and lets time do its work: once a second.
    pub(super) fn tick(&mut self, cluster: &mut Cluster, kubelet: &mut Kubelet, nodes: &NodeLifecycle) {
        let now = cluster.now;
        if self.next.is_some_and(|next| next > now) {
            return;
        }
        self.next = Some(later(now, SignedDuration::from_secs(1)));
        for (_, node) in cluster.nodes.iter().filter(|(_, node)| !node.spec.provider_id.is_empty()) {
            let instance = of_node(node, now);
            let known = self.instances.entry(instance.id.clone()).or_insert(instance);
            if known.state == InstanceState::Pending {
                known.state = InstanceState::Running;
            }
        }
        for instance in nodes.joining().filter_map(|node| pending(node, now)) {
            self.instances.entry(instance.id.clone()).or_insert(instance);
        }
        self.replace_unhealthy(cluster, kubelet);
        for instance in self.instances.values_mut() {
            let gone = cluster.nodes.get(&Key::new("", &instance.node)).is_none();
            let over = instance.until.is_some_and(|until| until <= now);
            match instance.state {
                InstanceState::Running if gone => instance.end(now),
                InstanceState::ShuttingDown if over || gone => {
                    instance.end(now);
                    // The cloud controller manager lets go of a node whose instance is no more.
                    cluster.delete::<Node>(&Key::new("", &instance.node));
                }
                _ => {}
            }
        }
        let forgotten = |one: &Instance| {
            one.state == InstanceState::Terminated && one.until.is_some_and(|until| until <= now)
        };
        self.instances.retain(|_, instance| !forgotten(instance));
    }

    /// The group gives up on an instance that stays impaired, unless somebody told it not to.
    fn replace_unhealthy(&mut self, cluster: &Cluster, kubelet: &mut Kubelet) {
        if self.suspended.iter().any(|process| process == "ReplaceUnhealthy") {
            return;
        }
        let patience = cluster.lasting(PATIENCE);
        let given_up = |one: &&Instance| {
            one.state == InstanceState::Running
                && one.impaired.is_some_and(|at| later(at, patience) <= cluster.now)
        };
        let ids: Vec<String> = self.instances.values().filter(given_up).map(|one| one.id.clone()).collect();
        for id in ids {
            self.terminate(&id, cluster, kubelet);
        }
    }

    /// Shuts an instance down; false when there is none that runs.
    fn terminate(&mut self, id: &str, cluster: &Cluster, kubelet: &mut Kubelet) -> bool {
        let Some(instance) = self.instances.get_mut(id) else { return false };
        if instance.state == InstanceState::Running {
            instance.state = InstanceState::ShuttingDown;
            instance.until = Some(cluster.after(SHUTDOWN));
            kubelet.stop(&instance.node);
        }
        true
    }

    fn of(&self, node: &str) -> Option<&Instance> {
        let live = |one: &&Instance| one.node == node && one.state != InstanceState::Terminated;
        self.instances.values().find(live)
    }
}

impl Instance {
    fn end(&mut self, now: Timestamp) {
        self.state = InstanceState::Terminated;
        self.until = Some(later(now, REMEMBERED));
    }

    /// Whether the status checks call it impaired.
    pub fn is_impaired(&self, now: Timestamp) -> bool {
        self.state == InstanceState::Running && self.impaired.is_some_and(|at| at <= now)
    }
}

impl World {
    /// Every instance that is described.
    pub fn instances(&self) -> impl Iterator<Item = &Instance> {
        self.ec2.instances.values()
    }

    pub fn suspended_processes(&self) -> &[String] {
        &self.ec2.suspended
    }

    /// Terminates an instance; its group makes a new one. False when there is no such instance.
    pub fn terminate_instance(&mut self, id: &str) -> bool {
        self.ec2.terminate(id, &self.cluster, &mut self.kubelet)
    }

    /// Whether nothing on a node's machine answers any more.
    pub(super) fn is_machine_dead(&self, node: &str) -> bool {
        let dead = |one: &Instance| one.impaired.is_some() || one.state != InstanceState::Running;
        self.ec2.of(node).is_some_and(dead)
    }

    /// The hardware under one node that runs the app fails.
    pub(super) fn impair_instance(&mut self) {
        let Some(node) = fault::victim(&mut self.cluster) else { return };
        self.kubelet.stop(&node);
        let noticed = self.cluster.after_about(CHECK, CHECK);
        let hit = self.ec2.instances.values_mut().find(|one| one.node == node);
        if let Some(instance) = hit {
            instance.impaired = Some(noticed);
        }
    }
}

fn of_node(node: &Node, now: Timestamp) -> Instance {
    let label = |name: &str| node.metadata.labels.get(name).cloned().unwrap_or_default();
    Instance {
        id: node.spec.provider_id.rsplit('/').next().unwrap_or_default().to_owned(),
        node: node.metadata.name.clone(),
        address: node.status.addresses.first().map(|first| first.address.clone()).unwrap_or_default(),
        zone: label("topology.kubernetes.io/zone"),
        kind: label("node.kubernetes.io/instance-type"),
        launched: node.metadata.creation_timestamp.unwrap_or(now),
        state: InstanceState::Running,
        impaired: None,
        until: None,
    }
}

/// An instance whose node has yet to join.
fn pending(node: &Value, now: Timestamp) -> Option<Instance> {
    let node: Node = serde_json::from_value(node.clone()).ok()?;
    Some(Instance { state: InstanceState::Pending, launched: now, ..of_node(&node, now) })
}
