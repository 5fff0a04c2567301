//! What is known by its metadata alone: ConfigMaps and Secrets, whose contents are read only when a person asks (Secret
//! values never), and the policies of a namespace, of which only matters that they were changed.

use super::{Key, Kind, Name, Timestamp};

/// A ConfigMap, a Secret, a NetworkPolicy, a ResourceQuota or a LimitRange.
#[derive(Clone, PartialEq, Debug)]
pub struct ConfigObject {
    pub kind: Kind,
    pub key: Key,
    pub uid: Name,
    pub resource_version: Name,
    pub created: Timestamp,
    pub edited: Option<Edit>,
    pub keeper: Option<Keeper>,
}

/// The last write to an object itself, rather than to its status, by `managedFields`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Edit {
    pub at: Timestamp,
    /// The field manager: `kubectl-edit`, `helm`.
    pub by: Option<Name>,
}

/// What the cluster writes into every namespace for itself.
pub fn is_made_by_the_cluster(config_map: &str) -> bool {
    matches!(config_map, "kube-root-ca.crt" | "openshift-service-ca.crt" | "istio-ca-root-cert")
}

/// Field managers that write while they do their work, and change nobody's mind.
pub const STEWARDS: &[&str] = &["kube-controller-manager", "kube-scheduler", "cloud-controller-manager"];

/// The field manager of what this cockpit writes to Kubernetes.
pub const MANAGER: &str = "covet-tui";

impl Edit {
    pub fn is_ours(&self) -> bool {
        self.by.as_deref() == Some(MANAGER)
    }
}

/// Who would revert a change made by hand (guard g2 of the audit).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Keeper {
    /// `Argo CD`, `Flux`, `Helm`.
    pub tool: Name,
    /// Its application, kustomization or release.
    pub name: Name,
}
