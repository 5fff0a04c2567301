//! StatefulSets and DaemonSets, slim, and the ControllerRevisions that keep their history.

use super::config_object::Edit;
use super::{Keeper, Key, Kind, Labels, Name, ObjectRef, Owner, Pod, Selector, Template, Timestamp};

/// A StatefulSet or a DaemonSet, as far as its rollouts show in its status.
#[derive(Clone, PartialEq, Debug)]
pub struct Controller {
    /// [`Kind::StatefulSet`] or [`Kind::DaemonSet`].
    pub kind: Kind,
    pub key: Key,
    pub uid: Name,
    pub resource_version: Name,
    pub created: Timestamp,
    /// The last write to its specification.
    pub edited: Option<Edit>,
    pub keeper: Option<Keeper>,
    pub selector: Selector,
    pub update: Update,
    /// One pod after the other, each only when the one before is ready (`podManagementPolicy: OrderedReady`).
    pub is_ordered: bool,
    /// How long a pod must be ready before the next one is replaced.
    pub min_ready_seconds: u32,
    /// How many pods there should be: `spec.replicas`, or `status.desiredNumberScheduled`.
    pub desired: u32,
    /// How many there are: `status.replicas`, or `status.currentNumberScheduled`.
    pub existing: u32,
    /// How many of them are of the newest revision.
    pub updated: u32,
    pub ready: u32,
    pub available: u32,
    /// `status.updateRevision` of a StatefulSet: the name of its newest ControllerRevision.
    pub update_revision: Option<Name>,
    pub template: Template,
}

/// `spec.updateStrategy`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Update {
    /// A pod changes when somebody deletes it.
    OnDelete,
    /// Pods below the partition keep the old revision on purpose (0 for DaemonSets).
    Rolling { partition: u32 },
}

/// One entry of a StatefulSet's or DaemonSet's history.
#[derive(Clone, PartialEq, Debug)]
pub struct ControllerRevision {
    pub key: Key,
    pub owner: Option<Owner>,
    pub created: Timestamp,
    /// Counted up; one that was rolled back to gets a new number.
    pub revision: u64,
    /// Annotation `kubernetes.io/change-cause`.
    pub change_cause: Option<Name>,
    pub template: Template,
}

/// The label by which a pod names its ControllerRevision.
const HASH: &str = "controller-revision-hash";

impl Controller {
    pub fn object(&self) -> ObjectRef {
        ObjectRef::new(self.kind, self.key.clone())
    }

    /// How many pods the newest revision is meant to have; none while nothing rolls out by itself.
    pub fn due(&self) -> u32 {
        match self.update {
            Update::OnDelete => 0,
            Update::Rolling { partition } => self.desired.saturating_sub(partition),
        }
    }

    /// How many pods may stay of an older revision.
    pub fn spared(&self) -> u32 {
        self.desired.saturating_sub(self.due())
    }

    /// More pods are of an older revision than are meant to be, or are on their way out: its status counts those among
    /// all, and not among the updated.
    pub fn seems_to_roll(&self) -> bool {
        self.existing.saturating_sub(self.updated) > self.spared()
    }

    /// The revision its template stands for, of its history: the one it names, else the last.
    pub fn newest<'r>(
        &self,
        history: impl Iterator<Item = &'r ControllerRevision>,
    ) -> Option<&'r ControllerRevision> {
        history.max_by_key(|row| (Some(&row.key.name) == self.update_revision.as_ref(), row.revision))
    }

    /// How many of these pods, its own that stay, are of another revision than the newest.
    pub fn older_than<'p>(&self, newest: &ControllerRevision, pods: impl Iterator<Item = &'p Pod>) -> u32 {
        pods.filter(|pod| !newest.is_of(&pod.labels)).count() as u32
    }
}

impl ControllerRevision {
    /// Whether a pod with these labels is of this revision: a StatefulSet's pods bear its name, a DaemonSet's only
    /// the hash at its end.
    pub fn is_of(&self, labels: &Labels) -> bool {
        let Some(hash) = labels.get(HASH) else { return false };
        let rest = self.key.name.strip_suffix(&**hash);
        rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('-'))
    }

    /// What its name ends with: `6c9f7d8b5`.
    pub fn hash(&self) -> &str {
        self.key.name.rsplit('-').next().unwrap_or(&self.key.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pods_know_their_revision_by_its_name_or_its_hash() {
        let revision = ControllerRevision {
            key: Key::new("shop", "agent-6c9f"),
            owner: None,
            created: Timestamp::UNIX_EPOCH,
            revision: 3,
            change_cause: None,
            template: Template::default(),
        };
        let labels = |hash: &str| Labels::new(vec![(HASH.into(), hash.into())]);
        assert!(revision.is_of(&labels("agent-6c9f")) && revision.is_of(&labels("6c9f")));
        assert!(!revision.is_of(&labels("c9f")) && !revision.is_of(&Labels::default()));
        assert_eq!(revision.hash(), "6c9f");
    }
}
