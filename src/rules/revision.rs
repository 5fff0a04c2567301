//! The revisions of a workload, wherever their history is kept: in ReplicaSets, or in ControllerRevisions.
//! It knows whose pods are whose and when a revision was rolled out, not whom to blame.

use crate::domain::{
    Controller, ControllerRevision, Deployment, Pod, ReplicaSet, Status, Template, Timestamp, text,
};

use super::{Scene, controller};

/// A revision of a workload.
#[derive(Clone, Copy)]
pub(super) struct Revision<'a> {
    pub number: Option<u64>,
    pub hash: Option<&'a str>,
    pub created: Timestamp,
    pub template: &'a Template,
    pub kept: Kept<'a>,
}

/// The object that stands for it.
#[derive(Clone, Copy)]
pub(super) enum Kept<'a> {
    Set(&'a ReplicaSet),
    Row(&'a ControllerRevision),
}

impl<'a> From<&'a ReplicaSet> for Revision<'a> {
    fn from(set: &'a ReplicaSet) -> Self {
        let (number, hash) = (set.revision, set.template_hash.as_deref());
        Self { number, hash, created: set.created, template: &set.template, kept: Kept::Set(set) }
    }
}

impl<'a> From<&'a ControllerRevision> for Revision<'a> {
    fn from(row: &'a ControllerRevision) -> Self {
        let (number, hash) = (Some(row.revision), Some(row.hash()));
        Self { number, hash, created: row.created, template: &row.template, kept: Kept::Row(row) }
    }
}

impl std::fmt::Display for Revision<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.number, self.hash, self.kept) {
            (Some(number), ..) => write!(f, "revision {number}"),
            (None, Some(hash), _) => write!(f, "rollout {hash}"),
            (None, None, Kept::Set(set)) => f.write_str(&set.key.name),
            (None, None, Kept::Row(row)) => f.write_str(&row.key.name),
        }
    }
}

/// The revisions of a Deployment, the one its template stands for first.
pub(super) fn of_deployment<'a>(scene: &Scene<'a>, deployment: &Deployment) -> Vec<Revision<'a>> {
    scene.revisions(deployment).iter().map(|set| Revision::from(*set)).collect()
}

/// The revisions of a StatefulSet or DaemonSet, the one its template stands for first, then the older ones.
pub(super) fn of_controller<'a>(scene: &Scene<'a>, controller: &Controller) -> Vec<Revision<'a>> {
    let Some(newest) = controller::newest(scene, controller) else { return Vec::new() };
    let older = scene.history(&controller.uid).iter().filter(|row| row.revision < newest.revision);
    std::iter::once(&newest).chain(older).map(|row| Revision::from(*row)).collect()
}

/// The newest revision of a Deployment: the one its template stands for.
pub(super) fn newest<'a>(scene: &Scene<'a>, deployment: &Deployment) -> Option<&'a ReplicaSet> {
    scene.revisions(deployment).first().copied()
}

/// When pods came and became ready: each is a step of their rollout.
pub(super) fn moments<'a>(pods: impl Iterator<Item = &'a Pod>) -> impl Iterator<Item = Timestamp> {
    pods.flat_map(|pod| {
        let ready = pod.condition("Ready").filter(|row| row.status == Status::True);
        [Some(pod.created), ready.and_then(|row| row.since)].into_iter().flatten()
    })
}

/// When the first of these revisions was rolled out. One that an undo brought back is older than its rollout, but
/// its pods aren't.
pub(super) fn rolled_out_at<'a>(scene: &Scene<'a>, revisions: &[Revision<'a>]) -> Option<Timestamp> {
    let newest = revisions.first()?;
    if !newest.is_brought_back(revisions) {
        return Some(newest.created);
    }
    let latest = revisions.iter().map(|revision| revision.created).max()?;
    let at = match newest.kept {
        Kept::Set(set) => scene.snapshot.brought_back_at(set, latest),
        Kept::Row(_) => newest.living(scene).into_iter().map(|pod| pod.created).min(),
    };
    Some(at.unwrap_or(newest.created))
}

impl<'a> Revision<'a> {
    /// Whether an undo brought it back: it says so, or is older than one it came after.
    fn is_brought_back(&self, all: &[Revision<'_>]) -> bool {
        let says_so = matches!(self.kept, Kept::Set(set) if !set.earlier_revisions.is_empty());
        says_so || all.iter().any(|other| other.created > self.created && other.number < self.number)
    }

    /// Whether the pod was made from it.
    pub fn is_of(&self, pod: &Pod) -> bool {
        let Some(owner) = &pod.owner else { return false };
        match self.kept {
            Kept::Set(set) => owner.uid == set.uid,
            Kept::Row(row) => self.owner_of_pods() == Some(&*owner.uid) && row.is_of(&pod.labels),
        }
    }

    /// uid of what owns its pods.
    pub fn owner_of_pods(&self) -> Option<&'a str> {
        match self.kept {
            Kept::Set(set) => Some(&set.uid),
            Kept::Row(row) => row.owner.as_ref().map(|owner| &*owner.uid),
        }
    }

    /// Its pods that live and stay.
    pub fn living(&self, scene: &Scene<'a>) -> Vec<&'a Pod> {
        match self.kept {
            Kept::Set(_) => {
                let pods = scene.snapshot.pods.iter();
                let stays = |pod: &&Pod| pod.deleting.is_none() && !pod.is_finished();
                pods.filter(stays).filter(|pod| self.is_of(pod)).collect()
            }
            Kept::Row(_) => {
                let pods = scene.siblings(self.owner_of_pods().unwrap_or_default()).iter();
                pods.copied().filter(|pod| self.is_of(pod)).collect()
            }
        }
    }

    /// How many of its pods serve.
    pub fn serving(&self, scene: &Scene<'a>) -> usize {
        match self.kept {
            Kept::Set(set) => set.available as usize,
            Kept::Row(_) => self.living(scene).into_iter().filter(|pod| pod.is_ready()).count(),
        }
    }

    /// The same in words; None where none does.
    pub fn serves_with(&self, scene: &Scene<'a>) -> Option<String> {
        let what = match self.kept {
            Kept::Set(_) => "available pod",
            Kept::Row(_) => "ready pod",
        };
        Some(self.serving(scene)).filter(|pods| *pods > 0).map(|pods| text::count(pods, what))
    }
}
