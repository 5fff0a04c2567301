//! Pods that go: deleted one by one, or evicted within the disruption budgets; each replacement is awaited
//! before the next one goes.

use std::collections::BTreeSet;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, DeleteParams, EvictParams, Preconditions};
use serde_json::Value;
use tokio::time::Instant;

use super::single::{refusal, untried};
use super::write::{Mode, post};
use super::{pin, watching};
use crate::domain::{Action, Kind, ObjectRef, PodTarget, Timestamp, text};
use crate::guard::{Confirmation, DiffTone, Draft, Guard, Hazard, Refusal, Warrant};
use crate::hands::difference::Regard;
use crate::hands::done::Done;
use crate::hands::hazards::{self, Scene, blockers, budgets};
use crate::hands::task::{Stopped, Task};
use crate::hands::{Hands, permission};
use crate::probes::cluster::Cluster;
use crate::probes::object::{
    is_finished, is_mirror, is_owned_by, is_ready, items, key, owner, restarts, selector_query, string, uid,
};
use crate::probes::trouble::{Trouble, TroubleKind};

/// Between two attempts that a disruption budget refused.
pub(super) const RETRY: Duration = Duration::from_secs(3);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Delete,
    Evict,
}

pub(super) async fn draft_delete(
    hands: &Hands,
    action: &Action,
    pods: &[PodTarget],
    at: Timestamp,
) -> Result<Draft, Refusal> {
    draft(hands, action, pods, Way::Delete, at).await
}

pub(super) async fn draft_evict(
    hands: &Hands,
    action: &Action,
    pod: &PodTarget,
    at: Timestamp,
) -> Result<Draft, Refusal> {
    draft(hands, action, std::slice::from_ref(pod), Way::Evict, at).await
}

async fn draft(
    hands: &Hands,
    action: &Action,
    pods: &[PodTarget],
    way: Way,
    at: Timestamp,
) -> Result<Draft, Refusal> {
    let object = action.object().ok_or_else(|| Refusal::new("no pod is named"))?;
    let mut hazards = Vec::new();
    let (verb, part) = if way == Way::Delete { ("delete", "") } else { ("create", "eviction") };
    let allowed = permission::check(hands, &object, verb, part).await.map_err(|denied| hazards.push(denied));
    let (mut found, mut gone) = (Vec::new(), 0);
    for pod in pods {
        match hands.cluster.find(&reference(pod)).await.map_err(refusal)? {
            Some(seen) if uid(&seen) == &*pod.uid => found.push(seen),
            _ => gone += 1,
        }
    }
    if found.is_empty() {
        return Err(Refusal::new("none of these pods exists any more").repair("look at the list again"));
    }
    if gone > 0 {
        hazards
            .push(Hazard::note(Guard::Target, format!("{} of them gone already", text::count(gone, "pod"))));
    }
    if allowed.is_ok() {
        for pod in &found {
            match take(&hands.cluster, pod, way, Mode::DryRun).await {
                // A budget's refusal is a hazard, told below with its numbers.
                Ok(()) | Err(Trouble { kind: TroubleKind::TooMany | TroubleKind::Absent, .. }) => {}
                Err(trouble) if trouble.is(TroubleKind::NoDryRun) => hazards.push(untried(&trouble)),
                Err(trouble) => return Err(refusal(trouble)),
            }
        }
    }
    let first = found[0].clone();
    let scene = Scene { action, object: &object, before: Some(&first), after: &first, victims: &found };
    hazards.extend(hazards::of(hands, &scene).await);
    hazards.extend(bare(&found));
    hazards.extend(hazards::protected(hands));
    let verb = if way == Way::Delete { "delete" } else { "evict" };
    let title = match found.as_slice() {
        [pod] => format!("{verb} pod {} and await its replacement", key(pod)),
        pods => format!("{verb} {} one by one, awaiting each replacement", text::count(pods.len(), "pod")),
    };
    Ok(Draft {
        at,
        title,
        targets: found.iter().map(|pod| format!("pod/{}", key(pod))).collect(),
        diff: found.iter().map(|pod| (DiffTone::Removed, line(pod))).collect(),
        pins: found.iter().map(|pod| pin(&of(pod), Some(pod), Regard::SPEC)).collect(),
        before: Value::Array(found.iter().map(|pod| crate::hands::difference::shown(pod, false)).collect()),
        undo: None,
        command: action.as_command(),
        confirmation: Confirmation::of(action, &hazards),
        hazards,
        action: action.clone(),
    })
}

pub(super) async fn delete(hands: &Hands, warrant: &Warrant, pods: &[PodTarget], task: &mut Task) -> Done {
    take_all(hands, warrant, pods, Way::Delete, task).await
}

pub(super) async fn evict(hands: &Hands, warrant: &Warrant, pod: &PodTarget, task: &mut Task) -> Done {
    take_all(hands, warrant, std::slice::from_ref(pod), Way::Evict, task).await
}

async fn take_all(hands: &Hands, warrant: &Warrant, pods: &[PodTarget], way: Way, task: &mut Task) -> Done {
    // Only what the preview showed: it left out the pods that were gone by then.
    let meant: Vec<_> = pods
        .iter()
        .filter(|pod| warrant.preview().pins.iter().any(|pin| pin.uid.as_ref() == Some(&pod.uid)))
        .collect();
    let (mut done, total) = (0, meant.len());
    let participle = if way == Way::Delete { "deleted" } else { "evicted" };
    for pod in meant {
        if task.is_called_off() {
            let says = format!("called off: {done} of {total} pods {participle}");
            return if done == 0 { Done::refused(Refusal::new(says)) } else { Done::unverified(says, None) };
        }
        match take_one(hands, pod, way, task).await {
            One::Done => done += 1,
            One::Gone => task.say(format!("{} is gone already", pod.key)),
            One::Stop(says) if done == 0 && total == 1 => return Done::unverified(says, None),
            One::Stop(says) => {
                return Done::unverified(format!("{says}; stopped after {} of {total} pods", done + 1), None);
            }
            One::Failed(trouble) if done == 0 => return Done::failed(&trouble),
            One::Failed(trouble) => {
                let says = format!("{done} of {total} pods {participle}, then {trouble}");
                return Done { ending: crate::journal::Ending::Failed(says), undo: None };
            }
            One::Unknown(says) => return Done::unknown(says),
        }
    }
    match done {
        0 => Done::refused(Refusal::new("the pods were gone already").repair("look at the list again")),
        done => Done::performed(format!("{} {participle} and replaced", text::count(done, "pod")), None),
    }
}

/// What came of one pod.
enum One {
    Done,
    Gone,
    /// It went, but what should follow did not.
    Stop(String),
    Failed(Trouble),
    Unknown(String),
}

async fn take_one(hands: &Hands, pod: &PodTarget, way: Way, task: &mut Task) -> One {
    let seen = match hands.cluster.find(&reference(pod)).await {
        Ok(Some(seen)) if uid(&seen) == &*pod.uid => seen,
        Ok(_) => return One::Gone,
        Err(trouble) => return One::Failed(trouble),
    };
    let family = Family::of(&hands.cluster, &seen).await;
    if let Err(refused) = within_budget(hands, &seen, way, task).await {
        return refused;
    }
    task.say(format!("{} {}", if way == Way::Delete { "deleted" } else { "evicted" }, pod.key));
    let patience = hands.patience.replacement;
    match family.replaced(hands, &seen, task).await {
        Ok(says) => {
            task.say(says);
            One::Done
        }
        Err(Stopped::CalledOff) => One::Stop(format!("{} went; its replacement was not awaited", pod.key)),
        Err(Stopped::TimedOut) => One::Stop(format!(
            "{} went, but its replacement is not ready after {}",
            pod.key,
            text::span(patience)
        )),
    }
}

/// Takes the pod as soon as the budgets allow it, or says which one does not.
async fn within_budget(hands: &Hands, pod: &Value, way: Way, task: &mut Task) -> Result<(), One> {
    let deadline = Instant::now() + hands.patience.eviction;
    loop {
        let blocking = match budgets(&hands.cluster, string(pod, "/metadata/namespace")).await {
            // A pod that isn't ready costs no budget, and deleting asks nobody: so we do.
            Ok(budgets) if way == Way::Evict || is_ready(pod) => blockers(&budgets, pod),
            _ => Vec::new(),
        };
        let refused = if way == Way::Delete && !blocking.is_empty() {
            Trouble { kind: TroubleKind::TooMany, says: blocking.join(", "), repair: None }
        } else {
            match take(&hands.cluster, pod, way, Mode::Real).await {
                Ok(()) => return Ok(()),
                Err(trouble) if trouble.is(TroubleKind::TooMany) => Trouble {
                    says: if blocking.is_empty() { trouble.says } else { blocking.join(", ") },
                    ..trouble
                },
                Err(trouble) if trouble.is(TroubleKind::Absent) || trouble.is(TroubleKind::Conflict) => {
                    return Err(One::Gone);
                }
                Err(trouble) if trouble.is(TroubleKind::Unanswered) => {
                    return find_out(hands, pod, trouble).await;
                }
                Err(trouble) => return Err(One::Failed(trouble)),
            }
        };
        if Instant::now() >= deadline || task.is_called_off() {
            let repair = Some("scale up or wait until more replicas are healthy".into());
            return Err(One::Failed(Trouble { repair, ..refused }));
        }
        task.say(format!("waiting: {}", refused.says));
        task.pause(RETRY.min(hands.patience.eviction)).await;
    }
}

/// After an unanswered deletion: whether the pod is going.
async fn find_out(hands: &Hands, pod: &Value, trouble: Trouble) -> Result<(), One> {
    for _ in 0..3 {
        match hands.cluster.find(&of(pod)).await {
            Ok(Some(seen))
                if uid(&seen) == uid(pod) && seen.pointer("/metadata/deletionTimestamp").is_none() => {}
            Ok(_) => return Ok(()),
            Err(_) => {}
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    Err(One::Unknown(format!("{}: no sign so far that {} is going", trouble.says, key(pod))))
}

/// Sends the deletion or eviction, for exactly this pod.
#[expect(clippy::disallowed_methods, reason = "the hands are the room that writes")]
async fn take(cluster: &Cluster, pod: &Value, way: Way, mode: Mode) -> Result<(), Trouble> {
    let api = cluster.api(Kind::Pod, string(pod, "/metadata/namespace"));
    let name = string(pod, "/metadata/name");
    let this = Preconditions { uid: Some(uid(pod).to_owned()), resource_version: None };
    let mut delete = DeleteParams::default().preconditions(this);
    let sent = async {
        match way {
            Way::Delete => {
                delete.dry_run = mode == Mode::DryRun;
                api.delete(name, &delete).await.map(drop)
            }
            Way::Evict => {
                let eviction = EvictParams { delete_options: Some(delete), post_options: post(mode) };
                let pods: Api<Pod> = Api::namespaced(cluster.client(), string(pod, "/metadata/namespace"));
                pods.evict(name, &eviction).await.map(drop)
            }
        }
    };
    match tokio::time::timeout(cluster.deadline(), sent).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(Trouble::unanswered(cluster.deadline())),
    }
}

/// One eviction, for the drain.
pub(super) async fn evict_now(cluster: &Cluster, pod: &Value, mode: Mode) -> Result<(), Trouble> {
    take(cluster, pod, Way::Evict, mode).await
}

/// The pods of the same controller, as they were before one of them went.
struct Family {
    /// None when nothing will replace the pod.
    controller: Option<String>,
    selector: String,
    known: BTreeSet<String>,
}

impl Family {
    async fn of(cluster: &Cluster, pod: &Value) -> Family {
        let none = Family { controller: None, selector: String::new(), known: BTreeSet::new() };
        let Some(owner) = owner(pod).filter(|_| !is_finished(pod)) else { return none };
        let Some(kind) = Kind::parse(string(owner, "/kind")) else { return none };
        let namespace = string(pod, "/metadata/namespace");
        let reference = ObjectRef::new(kind, crate::domain::Key::new(namespace, string(owner, "/name")));
        let Ok(Some(controller)) = cluster.find(&reference).await else { return none };
        let Some(selector) = controller.pointer("/spec/selector").map(selector_query) else { return none };
        let Ok(pods) = cluster.list(Kind::Pod, namespace, &selector, "").await else { return none };
        let known = pods.iter().map(|pod| uid(pod).to_owned()).collect();
        Family { controller: Some(string(owner, "/uid").to_owned()), selector, known }
    }

    /// Waits until the pod is gone and another one is ready in its place.
    async fn replaced(&self, hands: &Hands, pod: &Value, task: &mut Task) -> Result<String, Stopped> {
        let deadline = Instant::now() + hands.patience.replacement;
        let namespace = string(pod, "/metadata/namespace");
        let (fields, left) = match &self.controller {
            None => (format!("metadata.name={}", string(pod, "/metadata/name")), uid(pod)),
            Some(_) => (String::new(), uid(pod)),
        };
        let labels = &self.selector;
        watching::set(&hands.cluster, Kind::Pod, namespace, labels, &fields, task, deadline, |pods, task| {
            let is_gone = !pods.values().any(|pod| uid(pod) == left);
            let Some(controller) = &self.controller else {
                return is_gone.then(|| format!("{} is gone", key(pod)));
            };
            let new: Vec<_> = pods
                .values()
                .filter(|pod| is_owned_by(pod, controller) && !self.known.contains(uid(pod)))
                .collect();
            if let Some(ready) = new.iter().find(|pod| is_ready(pod)) {
                return is_gone.then(|| format!("replacement {} is ready", key(ready)));
            }
            match new.first() {
                Some(pod) => task.say(format!("replacement {}", line(pod))),
                None => task.say("waiting for the replacement"),
            }
            None
        })
        .await
    }
}

fn bare(pods: &[Value]) -> Vec<Hazard> {
    let mirrors = pods.iter().filter(|pod| is_mirror(pod)).map(|pod| {
        let says =
            format!("{} is a static pod: this takes away its picture only, its kubelet runs on", key(pod));
        Hazard::warn(Guard::Target, says)
    });
    let mut hazards: Vec<Hazard> = mirrors.collect();
    hazards.extend(bare_ones(pods));
    hazards
}

fn bare_ones(pods: &[Value]) -> Vec<Hazard> {
    pods.iter()
        .filter(|pod| owner(pod).is_none() && !is_mirror(pod))
        .map(|pod| {
            Hazard::warn(Guard::Target, format!("{} has no controller: it will not come back", key(pod)))
        })
        .collect()
}

/// `shop/web-abc: Running, not ready, 5 restarts, on node-2`.
pub(super) fn line(pod: &Value) -> String {
    let waiting = items(pod, "/status/containerStatuses")
        .iter()
        .map(|status| string(status, "/state/waiting/reason"))
        .find(|reason| !reason.is_empty());
    let ready = if is_ready(pod) { "ready" } else { "not ready" };
    let state = waiting.unwrap_or_else(|| string(pod, "/status/phase"));
    let restarts = match restarts(pod) {
        0 => String::new(),
        many => format!(", {}", text::count(many as usize, "restart")),
    };
    let node = match string(pod, "/spec/nodeName") {
        "" => "nowhere yet".to_owned(),
        node => format!("on {node}"),
    };
    text::clean(&format!("{}: {state}, {ready}{restarts}, {node}", key(pod)))
}

fn reference(pod: &PodTarget) -> ObjectRef {
    ObjectRef::new(Kind::Pod, pod.key.clone())
}

fn of(pod: &Value) -> ObjectRef {
    ObjectRef::new(Kind::Pod, key(pod))
}
