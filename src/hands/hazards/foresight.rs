//! What a change of a workload would come to although the server accepts it: pods that fit on no node, a stuck
//! rollout that looks healthy again, a revision that somebody went back from.

use serde_json::Value;

use super::{Scene, blind};
use crate::domain::{Action, Kind, text};
use crate::guard::{Guard, Hazard};
use crate::probes::cluster::Cluster;
use crate::probes::object::{asks, milli_at, time};
use crate::probes::rollout::{Rollout, revisions, rollout};

pub(super) async fn hazards(cluster: &Cluster, scene: &Scene<'_>) -> Vec<Hazard> {
    let (room, back) = tokio::join!(room(cluster, scene), gone_back_from(cluster, scene));
    room.into_iter().chain(hides(scene)).chain(back).collect()
}

/// A pod that asks for more than any node has is placed nowhere, ever.
async fn room(cluster: &Cluster, scene: &Scene<'_>) -> Option<Hazard> {
    let asked = |object: &Value, resource: &str| {
        object.pointer("/spec/template/spec").map_or(0, |spec| asks(spec, "requests", resource))
    };
    let more: Vec<(&str, i128)> = ["cpu", "memory"]
        .into_iter()
        .map(|resource| (resource, asked(scene.after, resource)))
        .filter(|(resource, wanted)| *wanted > scene.before.map_or(0, |before| asked(before, resource)))
        .collect();
    if more.is_empty() {
        return None;
    }
    let nodes = match cluster.list(Kind::Node, "", "", "").await {
        Ok(nodes) => nodes,
        Err(trouble) => return Some(blind(Guard::Target, "the room on the nodes", &trouble)),
    };
    more.into_iter().find_map(|(resource, wanted)| {
        let largest =
            nodes.iter().map(|node| milli_at(node, &format!("/status/allocatable/{resource}"))).max()?;
        (wanted > largest).then(|| {
            let shown = |amount: i128| match resource {
                "memory" => text::bytes((amount / 1000) as u64),
                _ => format!("{amount}m"),
            };
            let says = format!(
                "no node has {} of {resource} for one pod, the largest has {}: new pods would stay Pending",
                shown(wanted),
                shown(largest)
            );
            Hazard::warn(Guard::Target, says)
        })
    })
}

/// A new strategy counts as progress (audit D111): what was stuck looks healthy until its next deadline.
fn hides(scene: &Scene<'_>) -> Option<Hazard> {
    let before = scene.before.filter(|_| scene.object.kind == Kind::Deployment)?;
    let strategy = |object: &Value| object.pointer("/spec/strategy").cloned();
    if strategy(before) == strategy(scene.after) || matches!(rollout(before), Rollout::Done(_)) {
        return None;
    }
    let says = "it resets the progress condition: a rollout that is stuck looks healthy again for a while";
    Some(Hazard::warn(Guard::Rollout, says))
}

/// The revision that runs now is older than the one to go to: somebody went back from that one.
async fn gone_back_from(cluster: &Cluster, scene: &Scene<'_>) -> Option<Hazard> {
    let Action::RolloutUndo { to_revision, .. } = scene.action else { return None };
    let sets = match cluster.list(Kind::ReplicaSet, &scene.object.key.namespace, "", "").await {
        Ok(sets) => sets,
        Err(trouble) => return Some(blind(Guard::Rollout, "its history", &trouble)),
    };
    let known = revisions(scene.before?, &sets);
    let created = |set: &Value| time(set, "/metadata/creationTimestamp");
    let (_, newest) = known.first()?;
    let (_, wanted) = known.iter().find(|(revision, _)| revision == to_revision)?;
    (created(wanted)? > created(newest)?).then(|| {
        let says = format!("revision {to_revision} is what was rolled back from: it would come back");
        Hazard::warn(Guard::Rollout, says)
    })
}
