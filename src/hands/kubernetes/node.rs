//! Removing a node's object from the cluster, for a machine that will not come back. There is no undo: a
//! kubelet that lives registers itself anew.

use kube::api::{DeleteParams, Preconditions};
use serde_json::Value;
use tokio::time::Instant;

use super::single::{refusal, still};
use super::write::Mode;
use super::{pin, pods, watching};
use crate::domain::{Action, Key, Kind, Name, ObjectRef, Timestamp, text};
use crate::guard::{Confirmation, DiffTone, Draft, Guard, Hazard, Refusal, Warrant};
use crate::hands::difference::Regard;
use crate::hands::done::Done;
use crate::hands::hazards::{self, Scene};
use crate::hands::task::Task;
use crate::hands::{Hands, permission};
use crate::probes::cluster::Cluster;
use crate::probes::object::{condition, string, uid};
use crate::probes::trouble::{Trouble, TroubleKind};

pub(super) async fn draft_delete(
    hands: &Hands,
    action: &Action,
    node: &Name,
    at: Timestamp,
) -> Result<Draft, Refusal> {
    let object = ObjectRef::new(Kind::Node, Key::cluster(node.clone()));
    let found = hands.cluster.get(&object).await.map_err(refusal)?;
    let fields = format!("spec.nodeName={node}");
    let here = hands.cluster.list(Kind::Pod, "", "", &fields).await.map_err(refusal)?;
    let mut hazards = Vec::new();
    match permission::check(hands, &object, "delete", "").await {
        Ok(()) => remove(&hands.cluster, &found, Mode::DryRun).await.map_err(refusal)?,
        Err(denied) => hazards.push(denied),
    }
    if condition(&found, "Ready").is_some_and(|ready| string(ready, "/status") == "True") {
        let says = "the node is Ready: its pods are killed, and its kubelet registers it anew";
        hazards.push(Hazard::warn(Guard::Target, says));
    }
    let scene = Scene { action, object: &object, before: Some(&found), after: &found, victims: &here };
    hazards.extend(hazards::of(hands, &scene).await);
    hazards.extend(hazards::protected(hands));
    let mut diff = vec![(DiffTone::Removed, format!("node/{node}"))];
    diff.extend(here.iter().map(|pod| (DiffTone::Removed, pods::line(pod))));
    Ok(Draft {
        at,
        title: format!("delete node {node} with its {}", text::count(here.len(), "pod")),
        targets: vec![object.to_string()],
        diff,
        pins: vec![pin(&object, Some(&found), Regard::SPEC)],
        before: crate::hands::difference::shown(&found, false),
        undo: None,
        command: action.as_command(),
        confirmation: Confirmation::of(action, &hazards),
        hazards,
        action: action.clone(),
    })
}

pub(super) async fn delete(hands: &Hands, warrant: &Warrant, node: &Name, task: &mut Task) -> Done {
    let object = ObjectRef::new(Kind::Node, Key::cluster(node.clone()));
    let found = match hands.cluster.find(&object).await {
        Ok(found) => found,
        Err(trouble) => return Done::failed(&trouble),
    };
    let as_pinned =
        warrant.preview().pins.first().is_some_and(|pin| still(pin, found.as_ref(), Regard::SPEC));
    let Some(found) = found.filter(|_| as_pinned) else {
        let refusal = Refusal::new(format!("node {node} changed since you saw it; nothing was done"));
        let fresh = draft_delete(hands, warrant.action(), node, (hands.clock)()).await.ok();
        let refusal = refusal.repair("look at the new preview");
        return Done::moved(refusal, fresh.map(|draft| warrant.seal(draft)));
    };
    match remove(&hands.cluster, &found, Mode::Real).await {
        Ok(()) => task.say(format!("node {node} is deleted")),
        Err(trouble) if trouble.is(TroubleKind::Unanswered) => {
            return match hands.cluster.find(&object).await {
                Ok(seen) if seen.as_ref().map(uid) != Some(uid(&found)) => {
                    Done::performed(format!("node {node} is gone (no answer came, a read shows it)"), None)
                }
                _ => Done::unknown(format!("delete node {node}: {}", trouble.says)),
            };
        }
        Err(trouble) => return Done::failed(&trouble),
    }
    let deadline = Instant::now() + hands.patience.replacement;
    let seen = watching::object(&hands.cluster, &object, task, deadline, |seen, _| {
        (seen.map(uid) != Some(uid(&found))).then_some(())
    });
    match seen.await {
        Ok(()) => Done::performed(format!("node {node} is gone"), None),
        Err(stopped) => Done::unverified(
            format!(
                "node {node} is being deleted, but it is still there ({})",
                stopped.says(hands.patience.replacement)
            ),
            None,
        ),
    }
}

#[expect(clippy::disallowed_methods, reason = "the hands are the room that writes")]
async fn remove(cluster: &Cluster, node: &Value, mode: Mode) -> Result<(), Trouble> {
    let this = Preconditions { uid: Some(uid(node).to_owned()), resource_version: None };
    let mut params = DeleteParams::default().preconditions(this);
    params.dry_run = mode == Mode::DryRun;
    let api = cluster.api(Kind::Node, "");
    let sent = api.delete(string(node, "/metadata/name"), &params);
    match tokio::time::timeout(cluster.deadline(), sent).await {
        Ok(answer) => Ok(answer.map(drop)?),
        Err(_) => Err(Trouble::unanswered(cluster.deadline())),
    }
}
