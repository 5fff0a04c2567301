//! What a change of a workload would come to although the server accepts it: pods that fit on no node, a stuck
//! rollout that looks healthy again, a revision that somebody went back from.

use serde_json::Value;

use super::{Scene, blind};
use crate::domain::{Action, Kind, text};
use crate::guard::{Guard, Hazard};
use crate::probes::cluster::Cluster;
use crate::probes::object::{asks, items, milli_at, selector_query, string, time};
use crate::probes::rollout::{Rollout, revisions, rollout};

pub(super) async fn hazards(cluster: &Cluster, scene: &Scene<'_>) -> Vec<Hazard> {
    let (room, less, back) =
        tokio::join!(room(cluster, scene), less(cluster, scene), gone_back_from(cluster, scene));
    room.into_iter().chain(less).chain(hides(scene)).chain(back).collect()
}

/// A container that was killed at its memory limit gets less.
async fn less(cluster: &Cluster, scene: &Scene<'_>) -> Option<Hazard> {
    let limit = |row: &Value| Some(milli_at(row, "/resources/limits/memory")).filter(|limit| *limit > 0);
    let rows = |object| items(object, "/spec/template/spec/containers");
    let before = scene.before?;
    let lowered: Vec<(&str, i128, i128, bool)> = rows(scene.after)
        .iter()
        .filter_map(|row| {
            let old = rows(before).iter().find(|old| name_of(old) == name_of(row))?;
            let (was, is) = (limit(old)?, limit(row)?);
            let same = string(old, "/image") == string(row, "/image");
            (is < was).then_some((name_of(row), was, is, same))
        })
        .collect();
    if lowered.is_empty() {
        return None;
    }
    let selector = before.pointer("/spec/selector").map(selector_query).filter(|query| !query.is_empty())?;
    let pods = match cluster.list(Kind::Pod, &scene.object.key.namespace, &selector, "").await {
        Ok(pods) => pods,
        Err(trouble) => return Some(blind(Guard::Target, "whether it was killed for memory", &trouble)),
    };
    let killed = |name: &str| {
        let mut rows = pods.iter().flat_map(|pod| items(pod, "/status/containerStatuses"));
        rows.any(|row| {
            let reason = |state| string(row, &format!("/{state}/terminated/reason"));
            name_of(row) == name && (reason("state") == "OOMKilled" || reason("lastState") == "OOMKilled")
        })
    };
    let (name, was, is, same) = lowered.into_iter().find(|(name, ..)| killed(name))?;
    let [was, is] = [was, is].map(|limit| text::bytes((limit / 1000) as u64));
    let says = format!("{name} was OOMKilled at its limit of {was}: this gives it {is}");
    // Another image may need less.
    Some(if same { Hazard::warn(Guard::Target, says) } else { Hazard::note(Guard::Target, says) })
}

fn name_of(container: &Value) -> &str {
    string(container, "/name")
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
