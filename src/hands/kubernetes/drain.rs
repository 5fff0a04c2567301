//! Emptying a node: cordon, then evict pod by pod within the disruption budgets, naming the one that blocks.
//! Never without an end: a timeout and a person can stop it, and the node then stays cordoned.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::single::{refusal, still};
use super::write::Mode;
use super::{change, pin, pods};
use crate::domain::{Action, DrainOptions, Key, Kind, Name, ObjectRef, Timestamp, text};
use crate::guard::{Confirmation, DiffTone, Draft, Guard, Hazard, Refusal, Undo, Warrant};
use crate::hands::difference::Regard;
use crate::hands::done::Done;
use crate::hands::hazards::{self, Scene, blockers, budgets};
use crate::hands::task::Task;
use crate::hands::{Hands, permission};
use crate::probes::object::{flag, has_empty_dir, is_finished, is_mirror, key, owner, string, uid};
use crate::probes::trouble::{Trouble, TroubleKind};

/// Between two looks at what is left.
const LOOK: Duration = Duration::from_secs(1);
/// So long after its grace a pod that is still there waits for a kubelet that does not come.
const ABANDONED: jiff::SignedDuration = jiff::SignedDuration::from_secs(30);

/// The pods of a node, sorted by what a drain does with them.
struct Sorted {
    go: Vec<Value>,
    /// With the reason why they stay.
    stay: Vec<(Value, &'static str)>,
}

impl Sorted {
    fn of(pods: Vec<Value>) -> Sorted {
        let mut sorted = Sorted { go: Vec::new(), stay: Vec::new() };
        for pod in pods {
            if is_mirror(&pod) {
                sorted.stay.push((pod, "static pod of the kubelet"));
            } else if owner(&pod).is_some_and(|owner| string(owner, "/kind") == "DaemonSet") {
                sorted.stay.push((pod, "DaemonSet"));
            } else if is_finished(&pod) {
                sorted.stay.push((pod, "finished"));
            } else {
                sorted.go.push(pod);
            }
        }
        sorted.go.sort_by_key(key);
        sorted
    }

    fn hazards(&self, options: &DrainOptions) -> Vec<Hazard> {
        let mut hazards = Vec::new();
        for pod in &self.go {
            if owner(pod).is_none() {
                let says = format!("{} has no controller: it will not come back", key(pod));
                hazards.push(if options.force {
                    Hazard::warn(Guard::Target, says)
                } else {
                    Hazard::stop(Guard::Target, format!("{says}; drain with force to lose it"))
                });
            }
            if has_empty_dir(pod) {
                let says = format!("{} has an emptyDir whose data will be lost", key(pod));
                hazards.push(if options.delete_empty_dir {
                    Hazard::warn(Guard::Target, says)
                } else {
                    Hazard::stop(Guard::Target, format!("{says}; allow it to drain"))
                });
            }
        }
        hazards
    }
}

pub(super) async fn draft(
    hands: &Hands,
    action: &Action,
    node: &Name,
    options: &DrainOptions,
    at: Timestamp,
) -> Result<Draft, Refusal> {
    let object = reference(node);
    let found = hands.cluster.get(&object).await.map_err(refusal)?;
    let sorted = Sorted::of(on(hands, node).await.map_err(refusal)?);
    let mut hazards = sorted.hazards(options);
    hazards.extend(hazards::elsewhere(&hands.cluster, node, &sorted.go).await);
    hazards.extend(permissions(hands, &object, &sorted).await);
    if !flag(&found, "/spec/unschedulable") && !hazards.iter().any(|hazard| hazard.guard == Guard::Permission)
    {
        let cordon = Action::Cordon { node: node.clone() };
        let write = change::write(&cordon, Some(&found), &change::Given::default(), at)?;
        let version = string(&found, "/metadata/resourceVersion");
        match write.send(&hands.cluster, Some(version), Mode::DryRun).await {
            Ok(_) | Err(Trouble { kind: TroubleKind::NoDryRun, .. }) => {}
            Err(trouble) => return Err(refusal(trouble)),
        }
    }
    let scene = Scene { action, object: &object, before: Some(&found), after: &found, victims: &sorted.go };
    hazards.extend(hazards::of(hands, &scene).await);
    hazards.extend(hazards::protected(hands));
    let mut diff: Vec<_> = sorted.go.iter().map(|pod| (DiffTone::Removed, pods::line(pod))).collect();
    diff.extend(
        sorted
            .stay
            .iter()
            .map(|(pod, why)| (DiffTone::Same, text::clean(&format!("{} stays: {why}", key(pod))))),
    );
    Ok(Draft {
        at,
        title: format!(
            "cordon node {node} and evict its {}, at most {} long",
            text::count(sorted.go.len(), "pod"),
            text::span(options.timeout)
        ),
        targets: targets(node, &sorted.go),
        diff,
        pins: vec![pin(&object, Some(&found), Regard::SPEC)],
        before: crate::hands::difference::shown(&found, false),
        undo: (!flag(&found, "/spec/unschedulable")).then(|| uncordon(node)),
        command: action.as_command(),
        confirmation: Confirmation::of(action, &hazards),
        hazards,
        action: action.clone(),
    })
}

pub(super) async fn drain(
    hands: &Hands,
    warrant: &Warrant,
    node: &Name,
    options: &DrainOptions,
    task: &mut Task,
) -> Done {
    let deadline = Instant::now() + options.timeout;
    let object = reference(node);
    let found = match hands.cluster.find(&object).await {
        Ok(found) => found,
        Err(trouble) => return Done::failed(&trouble),
    };
    let as_pinned =
        warrant.preview().pins.first().is_some_and(|pin| still(pin, found.as_ref(), Regard::SPEC));
    let here = match on(hands, node).await {
        Ok(pods) => Sorted::of(pods).go,
        Err(trouble) => return Done::failed(&trouble),
    };
    let shown = &warrant.preview().targets;
    let news = targets(node, &here).iter().any(|target| !shown.contains(target));
    if !as_pinned || news {
        let refusal =
            Refusal::new(format!("node {node} or its pods changed since you saw them; nothing was done"));
        let fresh = draft(hands, warrant.action(), node, options, (hands.clock)()).await.ok();
        let refusal = refusal.repair("look at the new preview");
        return Done::moved(refusal, fresh.map(|draft| warrant.seal(draft)));
    }
    let ours = match cordon(hands, node, warrant.preview().at).await {
        Ok(ours) => ours,
        Err(done) => return done,
    };
    task.say(format!("node {node} is cordoned"));
    let total = here.len();
    let left = empty(hands, node, here, deadline, task).await;
    let undo = if ours { Some(left_as(hands, node).await) } else { None };
    match left {
        Left::None => {
            Done::performed(format!("node {node} is drained: {} evicted", text::count(total, "pod")), undo)
        }
        Left::Some(left, why) => Done::unverified(
            format!("{why}: {left} of {} left on {node}, which stays cordoned", text::count(total, "pod")),
            undo,
        ),
    }
}

/// Cordons unless it is; true when it was us.
async fn cordon(hands: &Hands, node: &Name, at: Timestamp) -> Result<bool, Done> {
    let object = reference(node);
    let action = Action::Cordon { node: node.clone() };
    for _ in 0..5 {
        let found = hands.cluster.get(&object).await.map_err(|trouble| Done::failed(&trouble))?;
        if flag(&found, "/spec/unschedulable") {
            return Ok(false);
        }
        let write =
            change::write(&action, Some(&found), &change::Given::default(), at).map_err(Done::refused)?;
        let version = string(&found, "/metadata/resourceVersion");
        match write.send(&hands.cluster, Some(version), Mode::Real).await {
            Ok(_) => return Ok(true),
            Err(trouble) if trouble.is(TroubleKind::Conflict) => {}
            Err(trouble) if trouble.is(TroubleKind::Unanswered) => {
                return match hands.cluster.get(&object).await {
                    Ok(found) if flag(&found, "/spec/unschedulable") => Ok(true),
                    _ => Err(Done::unknown(format!("cordon node {node}: {}", trouble.says))),
                };
            }
            Err(trouble) => return Err(Done::failed(&trouble)),
        }
    }
    Err(Done::refused(Refusal::new(format!("node {node} changes faster than it can be written"))))
}

enum Left {
    None,
    Some(usize, String),
}

/// Evicts round by round until nothing is left, time is up, or it is called off.
async fn empty(hands: &Hands, node: &Name, mut left: Vec<Value>, deadline: Instant, task: &mut Task) -> Left {
    let mut next_try = Instant::now();
    let mut blocking = String::new();
    let mut waits = BTreeMap::new();
    loop {
        if Instant::now() >= next_try {
            blocking = match round(hands, &left, &mut waits, task).await {
                Ok(blocking) => blocking,
                Err(trouble) => return Left::Some(left.len(), trouble.to_string()),
            };
            next_try = Instant::now() + pods::RETRY;
        }
        task.pause(LOOK).await;
        match on(hands, node).await {
            Ok(present) => {
                let before = left.len();
                left.retain(|pod| present.iter().any(|here| uid(here) == uid(pod)));
                if left.len() < before && !left.is_empty() {
                    task.say(format!("{} left on {node}", text::count(left.len(), "pod")));
                }
                let now = (hands.clock)();
                let mut here = present.iter().filter(|here| left.iter().any(|pod| uid(here) == uid(pod)));
                if !left.is_empty() && here.all(|pod| is_abandoned(pod, now)) {
                    return Left::Some(
                        left.len(),
                        "every pod was told to go, and no kubelet ends them".into(),
                    );
                }
            }
            Err(trouble) => task.say(format!("looking failed: {trouble}")),
        }
        if left.is_empty() {
            return Left::None;
        }
        if task.is_called_off() {
            return Left::Some(left.len(), "called off".into());
        }
        if Instant::now() >= deadline {
            let why = if blocking.is_empty() {
                "time is up (pods of a dead kubelet stay Terminating)".to_owned()
            } else {
                format!("time is up, blocked by {blocking}")
            };
            return Left::Some(left.len(), why);
        }
    }
}

/// Told to go, and not gone well after its grace (`deletionTimestamp` is when that ends): the kubelet is dead.
fn is_abandoned(pod: &Value, now: Timestamp) -> bool {
    let until = string(pod, "/metadata/deletionTimestamp").parse::<Timestamp>();
    until.is_ok_and(|until| now.duration_since(until) > ABANDONED)
}

/// Asks for the eviction of everything that isn't going yet; says which budgets block, and again only when that changes.
async fn round(
    hands: &Hands,
    left: &[Value],
    waits: &mut BTreeMap<Key, String>,
    task: &mut Task,
) -> Result<String, Trouble> {
    let mut blocking: Vec<String> = Vec::new();
    for pod in left {
        if task.is_called_off() {
            break;
        }
        let Ok(Some(seen)) = hands.cluster.find(&ObjectRef::new(Kind::Pod, key(pod))).await else { continue };
        if uid(&seen) != uid(pod) || seen.pointer("/metadata/deletionTimestamp").is_some() {
            continue;
        }
        match pods::evict_now(&hands.cluster, &seen, Mode::Real).await {
            Ok(()) => task.say(format!("evicted {}", key(pod))),
            Err(trouble) if trouble.is(TroubleKind::TooMany) => {
                let namespace = string(pod, "/metadata/namespace");
                let named = budgets(&hands.cluster, namespace).await.unwrap_or_default();
                let named = blockers(&named, &seen);
                let why = if named.is_empty() { trouble.says } else { named.join(", ") };
                if waits.insert(key(pod), why.clone()).as_ref() != Some(&why) {
                    task.say(format!("{} waits: {why}", key(pod)));
                }
                blocking.push(why);
            }
            Err(trouble) if trouble.is(TroubleKind::Forbidden) => return Err(trouble),
            Err(trouble) if trouble.is(TroubleKind::Absent) || trouble.is(TroubleKind::Conflict) => {}
            // Asked again in the next round: an eviction of a pod that is going does nothing.
            Err(trouble) => task.say(format!("{}: {}", key(pod), trouble.says)),
        }
    }
    blocking.dedup();
    Ok(blocking.join("; "))
}

async fn permissions(hands: &Hands, node: &ObjectRef, sorted: &Sorted) -> Vec<Hazard> {
    let mut hazards = Vec::new();
    hazards.extend(permission::check(hands, node, "patch", "").await.err());
    let mut asked: Vec<Name> = Vec::new();
    for pod in &sorted.go {
        let key = key(pod);
        if !asked.contains(&key.namespace) {
            asked.push(key.namespace.clone());
            let pod = ObjectRef::new(Kind::Pod, key);
            hazards.extend(permission::check(hands, &pod, "create", "eviction").await.err());
        }
    }
    hazards
}

async fn on(hands: &Hands, node: &Name) -> Result<Vec<Value>, Trouble> {
    hands.cluster.list(Kind::Pod, "", "", &format!("spec.nodeName={node}")).await
}

async fn left_as(hands: &Hands, node: &Name) -> Undo {
    let object = reference(node);
    let found = hands.cluster.find(&object).await.ok().flatten();
    Undo { left: vec![pin(&object, found.as_ref(), Regard::SPEC)], ..uncordon(node) }
}

fn uncordon(node: &Name) -> Undo {
    Undo {
        action: Action::Uncordon { node: node.clone() },
        says: "uncordon (the pods do not move back)".into(),
        left: Vec::new(),
    }
}

fn targets(node: &Name, pods: &[Value]) -> Vec<String> {
    std::iter::once(format!("node/{node}"))
        .chain(pods.iter().map(|pod| format!("pod/{}", key(pod))))
        .collect()
}

fn reference(node: &Name) -> ObjectRef {
    ObjectRef::new(Kind::Node, Key::cluster(node.clone()))
}
