//! Sets of pods by a name in a playbook, looked up in the Snapshot at the moment they are needed, so that
//! what is acted on is exactly what was seen.

use crate::domain::{Pod, PodTarget};

use super::view::View;

/// A set of pods.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum PodSet {
    /// All pods of the workload.
    All,
    /// Those that are not Ready, the one with most restarts first.
    Failing,
    /// The one that shows it best.
    Worst,
    /// Those of the newest revision that are not Ready. Never a pod of an older revision: these still serve.
    NewestUnready,
    /// Those that wait for their image.
    WaitingForImage,
    /// Those that a StatefulSet waits for although it is done with their revision.
    LeftBehind,
    /// All pods of the node.
    OnNode,
    /// The pod that fills the node's disk.
    Hog,
}

impl PodSet {
    pub const ALL: [(&'static str, PodSet); 8] = [
        ("all", PodSet::All),
        ("failing", PodSet::Failing),
        ("worst", PodSet::Worst),
        ("newest-unready", PodSet::NewestUnready),
        ("waiting-for-image", PodSet::WaitingForImage),
        ("left-behind", PodSet::LeftBehind),
        ("on-node", PodSet::OnNode),
        ("hog", PodSet::Hog),
    ];

    pub fn parse(name: &str) -> Option<PodSet> {
        Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, set)| *set)
    }

    /// As written in a playbook.
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(_, set)| *set == self).map_or("", |(name, _)| name)
    }

    /// The pods, in an order that does not depend on the order of arrival.
    pub(super) fn of<'a>(self, view: &View<'a>) -> Vec<&'a Pod> {
        match self {
            PodSet::All => view.pods.clone(),
            PodSet::Failing => view.failing(),
            PodSet::Worst => view.worst().into_iter().collect(),
            PodSet::NewestUnready => view.failing().into_iter().filter(|pod| view.is_newest(pod)).collect(),
            PodSet::WaitingForImage => view.pods.iter().copied().filter(|pod| waits_for_image(pod)).collect(),
            PodSet::LeftBehind => view.left_behind(),
            PodSet::OnNode => view.on_node(),
            PodSet::Hog => view.hog().into_iter().collect(),
        }
    }
}

/// Reasons for which a container waits for its image (kubelet images/types.go; audit D122).
pub const IMAGE_REASONS: [&str; 7] = [
    "ErrImagePull",
    "ImagePullBackOff",
    "InvalidImageName",
    "ErrImageNeverPull",
    "ImageInspectError",
    "RegistryUnavailable",
    "SignatureValidationFailed",
];

pub(super) fn waits_for_image(pod: &Pod) -> bool {
    pod.deleting.is_none()
        && pod
            .containers
            .iter()
            .any(|container| container.waiting().is_some_and(|reason| IMAGE_REASONS.contains(&&**reason)))
}

pub(super) fn targets(pods: &[&Pod]) -> Vec<PodTarget> {
    pods.iter().map(|pod| PodTarget { key: pod.key.clone(), uid: pod.uid.clone() }).collect()
}
