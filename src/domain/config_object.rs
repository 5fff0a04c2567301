//! ConfigMaps and Secrets by their metadata alone: their contents are read only when a person asks, and
//! Secret values never.

use super::{Key, Kind, Name, Timestamp};

/// A ConfigMap or a Secret.
#[derive(Clone, PartialEq, Debug)]
pub struct ConfigObject {
    /// [`Kind::ConfigMap`] or [`Kind::Secret`].
    pub kind: Kind,
    pub key: Key,
    pub uid: Name,
    pub resource_version: Name,
    pub created: Timestamp,
    /// The latest time in `managedFields`, and the manager that wrote it.
    pub modified: Option<Timestamp>,
    pub modified_by: Option<Name>,
    pub keeper: Option<Keeper>,
}

/// Who would revert a change made by hand (guard g2 of the audit).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Keeper {
    /// `Argo CD`, `Flux`, `Helm`.
    pub tool: Name,
    /// Its application, kustomization or release.
    pub name: Name,
}
