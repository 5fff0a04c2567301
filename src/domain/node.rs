//! A node and its Lease, slim.

use super::pod::Condition;
use super::{Key, Labels, Name, Quantities, Status, Timestamp};

#[derive(Clone, PartialEq, Debug)]
pub struct Node {
    /// Cluster-scoped: the namespace is empty.
    pub key: Key,
    pub uid: Name,
    pub resource_version: Name,
    pub labels: Labels,
    pub created: Timestamp,
    /// Since when its object is being deleted: a finalizer (Karpenter's) keeps it until it is drained.
    pub deleting: Option<Timestamp>,
    /// `spec.unschedulable`: cordoned.
    pub unschedulable: bool,
    pub taints: Box<[Taint]>,
    pub conditions: Box<[NodeCondition]>,
    pub allocatable: Quantities,
    /// `status.allocatable.pods`.
    pub allocatable_pods: Option<u32>,
    /// `spec.providerID`, e.g. `aws:///eu-west-1a/i-0abc`.
    pub provider_id: Option<Name>,
    pub internal_ip: Option<Name>,
    pub kubelet_version: Option<Name>,
    pub os_image: Option<Name>,
    pub container_runtime: Option<Name>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Taint {
    pub key: Name,
    pub value: Option<Name>,
    /// `NoSchedule`, `PreferNoSchedule` or `NoExecute`.
    pub effect: Name,
    pub added: Option<Timestamp>,
}

/// A node condition: like any condition, with the kubelet's heartbeat.
#[derive(Clone, PartialEq, Debug)]
pub struct NodeCondition {
    pub condition: Condition,
    pub heartbeat: Option<Timestamp>,
}

/// A node's Lease in `kube-node-lease`: the kubelet renews it every 10 s.
#[derive(Clone, PartialEq, Debug)]
pub struct Lease {
    pub key: Key,
    pub renewed: Option<Timestamp>,
}

impl Node {
    pub fn condition(&self, kind: &str) -> Option<&Condition> {
        self.conditions.iter().map(|node| &node.condition).find(|condition| &*condition.kind == kind)
    }

    pub fn is_ready(&self) -> bool {
        self.condition("Ready").is_some_and(|ready| ready.status == Status::True)
    }

    pub fn has_taint(&self, key: &str) -> bool {
        self.taints.iter().any(|taint| &*taint.key == key)
    }

    /// Pressure conditions that are True: `MemoryPressure`, `DiskPressure`, `PIDPressure`.
    pub fn pressures(&self) -> impl Iterator<Item = &Condition> {
        self.conditions
            .iter()
            .map(|node| &node.condition)
            .filter(|condition| condition.kind.ends_with("Pressure") && condition.status == Status::True)
    }
}
