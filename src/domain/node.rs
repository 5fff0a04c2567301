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

/// The conditions of node-problem-detector's own monitors (kernel, containerd, docker, health checkers).
const PROBLEMS: &[&str] = &[
    "KernelDeadlock",
    "ReadonlyFilesystem",
    "CorruptDockerOverlay2",
    "KubeletUnhealthy",
    "ContainerRuntimeUnhealthy",
    "FrequentKubeletRestart",
    "FrequentContainerdRestart",
    "FrequentDockerRestart",
    "FrequentUnregisterNetDevice",
];

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

impl Taint {
    /// It keeps away, or drives away, who does not tolerate it; `PreferNoSchedule` only asks.
    pub fn closes(&self) -> bool {
        &*self.effect != "PreferNoSchedule"
    }
}

impl Node {
    pub fn condition(&self, kind: &str) -> Option<&Condition> {
        self.conditions.iter().map(|node| &node.condition).find(|condition| &*condition.kind == kind)
    }

    /// The first moment that is known of it. The object of an old machine may be young; what its conditions tell is
    /// then older.
    pub fn known_since(&self) -> Timestamp {
        let ready = self.conditions.iter().find(|node| &*node.condition.kind == "Ready");
        let told = ready.into_iter().flat_map(|ready| [ready.condition.since, ready.heartbeat]).flatten();
        told.fold(self.created, Timestamp::min)
    }

    pub fn is_ready(&self) -> bool {
        self.condition("Ready").is_some_and(|ready| ready.status == Status::True)
    }

    pub fn has_taint(&self, key: &str) -> bool {
        self.taints.iter().any(|taint| &*taint.key == key)
    }

    /// Pressure conditions that are True: `MemoryPressure`, `DiskPressure`, `PIDPressure`.
    pub fn pressures(&self) -> impl Iterator<Item = &Condition> {
        self.troubles().filter(|condition| condition.kind.ends_with("Pressure"))
    }

    /// Conditions other than Ready that are True and should not be: pressures, `NetworkUnavailable` (no route to its
    /// pods), and what node-problem-detector reports.
    pub fn troubles(&self) -> impl Iterator<Item = &Condition> {
        self.conditions.iter().map(|node| &node.condition).filter(|condition| {
            let is_bad = condition.kind.ends_with("Pressure")
                || &*condition.kind == "NetworkUnavailable"
                || PROBLEMS.contains(&&*condition.kind);
            is_bad && condition.status == Status::True
        })
    }
}

/// The AWS region of a node, from `aws:///ZONE/INSTANCE`; None for machines of others.
pub fn aws_region(provider_id: &str) -> Option<String> {
    let zone = provider_id.strip_prefix("aws:///")?.split('/').next()?;
    let mut region = Vec::new();
    for part in zone.split('-') {
        let digits = part.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        if !digits.is_empty() && digits.chars().all(|c| c.is_ascii_digit()) {
            // What follows the number is the zone's letter, or the city of a local zone.
            region.push(digits);
            return (region.len() >= 3).then(|| region.join("-"));
        }
        region.push(part);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_is_read_from_a_zone() {
        for (id, region) in [
            ("aws:///eu-west-1a/i-0abc", Some("eu-west-1")),
            ("aws:///us-gov-west-1b/i-0abc", Some("us-gov-west-1")),
            ("aws:///us-west-2-lax-1a/i-0abc", Some("us-west-2")),
            ("gce://project/europe-west1-b/vm", None),
            ("aws:///", None),
        ] {
            assert_eq!(aws_region(id).as_deref(), region, "{id}");
        }
    }
}
