//! Prometheus as a workload: its configuration put back, its volume grown, its pod replaced, its replicas set.
//! What the cluster's own hands can do is handed on to them.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::document::{self, Wish};
use super::running::loaded;
use super::silence::refusal;
use super::write::{Body, pin, send, version};
use crate::domain::{Action, Alerting, Key, Kind, ObjectRef, PatchKind, PodTarget, Timestamp, text};
use crate::guard::{Confirmation, Draft, Guard, Hazard, Refusal, Warrant};
use crate::hands::difference::{Regard, diff, shown};
use crate::hands::done::Done;
use crate::hands::hazards::{self, Scene};
use crate::hands::kubernetes;
use crate::hands::task::Task;
use crate::hands::{Hands, permission};
use crate::probes::alerting::api::{self, Api};
use crate::probes::alerting::health::replay;
use crate::probes::alerting::held::{self, Held};
use crate::probes::alerting::prometheus_yml::{mistakes, rule_mistakes};
use crate::probes::alerting::server::{container, earlier, expandable};
use crate::probes::object::{condition, is_ready, items, milli, milli_at, restarts, string};
use crate::probes::trouble::{Trouble, TroubleKind};

pub(super) async fn prometheus(hands: &Hands) -> Result<Api, Trouble> {
    api::prometheus(&hands.cluster.client(), &hands.outside).await
}

/// The configuration as it was before the last edit.
pub(super) async fn draft_restore(hands: &Hands, action: &Alerting, at: Timestamp) -> Result<Draft, Refusal> {
    let held = held::prometheus(&hands.cluster).await.map_err(refusal)?;
    let (from, text) = earlier(&held, &prometheus(hands).await).await.ok_or_else(|| {
        Refusal::new("no earlier configuration is known").repair("take it from the chart's values or git")
    })?;
    let mut hazards = vec![Hazard::note(Guard::Target, format!("back to {}", from.says()))];
    if mistakes(&held.text).is_empty() {
        hazards.push(Hazard::warn(Guard::Target, "the present one is well-formed: is it really the cause?"));
    }
    if from == held::Earlier::Running {
        let says = "it is written as Prometheus tells it: comments are lost, defaults are written out";
        hazards.push(Hazard::note(Guard::Target, says));
    }
    let title = format!("put {} of {} back to {}", held.entry, held.object, from.says());
    document::draft(hands, action, &held, Wish { title, text, hazards, effects: Vec::new() }, at).await
}

pub(super) async fn restore(hands: &Hands, warrant: &Warrant, task: &mut Task) -> Done {
    let held = match held::prometheus(&hands.cluster).await {
        Ok(held) => held,
        Err(trouble) => return Done::failed(&trouble),
    };
    match earlier(&held, &prometheus(hands).await).await {
        Some((_, text)) => load(hands, warrant, &held, &text, task).await,
        None => Done::refused(Refusal::new("the earlier configuration is no longer known")),
    }
}

/// Writes a document of Prometheus and watches until it runs with it.
pub(super) async fn load(hands: &Hands, warrant: &Warrant, held: &Held, text: &str, task: &mut Task) -> Done {
    let undo = match document::put(hands, warrant, held, text, task).await {
        Ok(undo) => undo,
        Err(done) => return done,
    };
    let title = warrant.preview().title.clone();
    match loaded(hands, (&held.entry, text), task).await {
        Ok(says) => Done::performed(format!("{title}: {says}"), Some(undo)),
        Err(says) => Done::unverified(format!("{title}: written, but {says}"), Some(undo)),
    }
}

/// A document put back, of either server.
pub(super) async fn draft_document(
    hands: &Hands,
    action: &Alerting,
    (object, entry, document): (&ObjectRef, &str, &str),
    at: Timestamp,
) -> Result<Draft, Refusal> {
    document::kept(object, document)?;
    let held = document::entry(hands, object, entry).await.map_err(refusal)?;
    let mut hazards = Vec::new();
    for why in wrong(entry, document) {
        hazards.push(Hazard::warn(Guard::Target, format!("the old document would be refused: {why}")));
    }
    let title = format!("put {} of {object} back", text::clean(entry));
    let wish = Wish { title, text: document.to_owned(), hazards, effects: Vec::new() };
    document::draft(hands, action, &held, wish, at).await
}

pub(super) fn wrong(entry: &str, document: &str) -> Vec<String> {
    match entry {
        "alertmanager.yml" | "alertmanager.yaml" => {
            crate::probes::alerting::document::read(document).err().unwrap_or_default()
        }
        "prometheus.yml" | "prometheus.yaml" => mistakes(document),
        _ => rule_mistakes(document),
    }
}

pub(super) async fn document(
    hands: &Hands,
    warrant: &Warrant,
    (object, entry, document): (&ObjectRef, &str, &str),
    task: &mut Task,
) -> Done {
    if let Err(refused) = document::kept(object, document) {
        return Done::refused(refused);
    }
    let held = match document::entry(hands, object, entry).await {
        Ok(held) => held,
        Err(trouble) => return Done::failed(&trouble),
    };
    if entry.starts_with("alertmanager.") {
        super::alertmanager::load(hands, warrant, &held, document, task).await
    } else {
        load(hands, warrant, &held, document, task).await
    }
}

fn claim_ref(claim: &Key) -> ObjectRef {
    ObjectRef::new(Kind::PersistentVolumeClaim, claim.clone())
}

fn growth(size: &str) -> Body {
    Body::Merge(json!({"spec": {"resources": {"requests": {"storage": size}}}}))
}

/// A claim can only grow, only while Bound, and only where its class allows it (audit D92).
pub(super) async fn draft_grow(
    hands: &Hands,
    action: &Alerting,
    claim: &Key,
    size: &str,
    at: Timestamp,
) -> Result<Draft, Refusal> {
    let object = claim_ref(claim);
    let before = hands.cluster.get(&object).await.map_err(refusal)?;
    let mut hazards = Vec::new();
    let class = string(&before, "/spec/storageClassName");
    match expandable(&hands.cluster, class).await {
        Some(true) => {}
        Some(false) => {
            let says = format!("StorageClass {class} does not allow growing (allowVolumeExpansion)");
            hazards.push(Hazard::stop(Guard::Target, says));
        }
        None => hazards.push(Hazard::warn(
            Guard::Target,
            format!("whether StorageClass {class} allows growing is not to be seen"),
        )),
    }
    let phase = string(&before, "/status/phase");
    if phase != "Bound" {
        hazards.push(Hazard::stop(Guard::Target, format!("the claim is {phase}, only a Bound one can grow")));
    }
    let (wanted, has) = (milli(size).unwrap_or_default(), milli_at(&before, "/status/capacity/storage"));
    if wanted <= has {
        let has = text::bytes((has / 1000) as u64);
        hazards.push(Hazard::stop(
            Guard::Target,
            format!("{size} is not more than the {has} it has: a claim never shrinks"),
        ));
    }
    hazards.push(Hazard::note(Guard::Target, "it cannot be made smaller again"));
    let mut after = before.clone();
    if !hazards.iter().any(|hazard| hazard.level == crate::guard::Level::Stop) {
        match permission::check(hands, &object, "patch", "").await {
            Err(denied) => hazards.push(denied),
            Ok(()) => {
                after = send(&hands.cluster, &object, version(&before), &growth(size), true)
                    .await
                    .map_err(refusal)?;
            }
        }
    }
    let outer = Action::Alerting(action.clone());
    let scene = Scene { action: &outer, object: &object, before: Some(&before), after: &after, victims: &[] };
    hazards.extend(hazards::of(hands, &scene).await);
    hazards.extend(hazards::protected(hands));
    Ok(Draft {
        at,
        title: format!("grow {object} to {size}"),
        targets: vec![format!("{object} in {}", claim.namespace)],
        diff: diff(Some(&before), Some(&after), false),
        pins: vec![pin(&object, &before)],
        before: shown(&before, false),
        undo: None,
        command: outer.as_command(),
        confirmation: Confirmation::of(&outer, &hazards),
        hazards,
        action: outer,
    })
}

pub(super) async fn grow(hands: &Hands, warrant: &Warrant, claim: &Key, size: &str, task: &mut Task) -> Done {
    let object = claim_ref(claim);
    let before = match hands.cluster.get(&object).await {
        Ok(before) => before,
        Err(trouble) => return Done::failed(&trouble),
    };
    let pinned = warrant.preview().pins.first();
    if !pinned.is_some_and(|pin| kubernetes::still(pin, Some(&before), Regard::SPEC)) {
        let refusal = Refusal::new(format!("{object} changed since you saw it; nothing was written"));
        return Done::moved(refusal.repair("preview again"), None);
    }
    let sent = send(&hands.cluster, &object, version(&before), &growth(size), false).await;
    if let Err(trouble) = sent {
        if !trouble.is(TroubleKind::Unanswered) {
            return Done::failed(&trouble);
        }
        let now = hands.cluster.get(&object).await.ok();
        if now.is_none_or(|now| string(&now, "/spec/resources/requests/storage") != size) {
            return Done::unknown(format!("{}; a read does not show the change", trouble.says));
        }
        task.say("no answer came, but a read shows that it was written");
    }
    match grown(hands, &object, size, task).await {
        Ok(says) => Done::performed(format!("{object} to {size}: {says}"), None),
        Err(says) => Done::unverified(format!("{object} to {size}: asked for, but {says}"), None),
    }
}

async fn grown(hands: &Hands, object: &ObjectRef, size: &str, task: &mut Task) -> Result<String, String> {
    let patience = hands.patience.rollout;
    let deadline = Instant::now() + patience;
    loop {
        match hands.cluster.get(object).await {
            Ok(now) => {
                if milli_at(&now, "/status/capacity/storage") >= milli(size).unwrap_or(i128::MAX) {
                    return Ok(format!("it has {size} now"));
                }
                if condition(&now, "FileSystemResizePending").is_some() {
                    return Ok(
                        "the volume has grown; its file system follows when the pod starts again".into()
                    );
                }
                let said = condition(&now, "Resizing").map(|row| string(row, "/message").to_owned());
                task.say(said.filter(|said| !said.is_empty()).unwrap_or_else(|| "growing".into()));
            }
            Err(trouble) => task.say(trouble.says),
        }
        if Instant::now() > deadline {
            return Err(format!("it has not grown within {}", text::span(patience)));
        }
        if task.is_called_off() {
            return Err("watching was called off".into());
        }
        task.pause(Duration::from_secs(2)).await;
    }
}

/// The pod deleted, unless it replays: a restart would begin the replay anew (audit D91).
pub(super) async fn draft_restart(hands: &Hands, pod: &PodTarget, at: Timestamp) -> Result<Draft, Refusal> {
    let action = Action::DeletePods { pods: vec![pod.clone()] };
    let mut draft = kubernetes::draft(hands, action, at).await?;
    if let Ok(api) = prometheus(hands).await
        && let Some(replay) = replay(&api).await
    {
        let says = format!(
            "it is replaying its log (segment {} of {}): a restart would begin again; wait",
            replay.current, replay.last
        );
        draft.hazards.push(Hazard::stop(Guard::Target, says));
    }
    let object = ObjectRef::new(Kind::Pod, pod.key.clone());
    let found = hands.cluster.find(&object).await.map_err(refusal)?;
    if let Some(found) = found.filter(|found| restarts(found) > 0 && !is_ready(found)) {
        let says = format!(
            "it was started again {} already: a new pod meets the same, and its back-off begins anew",
            text::count(restarts(&found) as usize, "time")
        );
        draft.hazards.push(Hazard::warn(Guard::Target, says));
    }
    Ok(draft)
}

/// Replicas of whatever it runs as; of the operator's Prometheus by its own field.
pub(super) async fn draft_scale(
    hands: &Hands,
    object: &ObjectRef,
    replicas: u32,
    at: Timestamp,
) -> Result<Draft, Refusal> {
    let action = match object.kind {
        Kind::Prometheus => Action::Patch {
            object: object.clone(),
            kind: PatchKind::Merge,
            body: json!({"spec": {"replicas": replicas}}),
        },
        _ => Action::Scale { object: object.clone(), replicas },
    };
    let mut draft = kubernetes::draft(hands, action, at).await?;
    if replicas == 0 && !draft.hazards.iter().any(|hazard| hazard.guard == Guard::LastReplica) {
        let says = "nobody watches anything until it is scaled up again, whoever remembers";
        draft.hazards.push(Hazard::warn(Guard::LastReplica, says));
        draft.confirmation = Confirmation::of(&draft.action, &draft.hazards);
    }
    Ok(draft)
}

/// `--storage.tsdb.retention.size`, or the operator's field of that name. What is beyond it is deleted for good.
pub(super) async fn draft_retention(
    hands: &Hands,
    object: &ObjectRef,
    size: &str,
    at: Timestamp,
) -> Result<Draft, Refusal> {
    let digits = size.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = &size[digits.len()..];
    if digits.parse::<u64>().is_err() || !["B", "KB", "MB", "GB", "TB"].contains(&unit) {
        return Err(Refusal::new(format!("{} is not a size such as 6GB", text::clean(size))));
    }
    let found = hands.cluster.get(object).await.map_err(refusal)?;
    let action = if object.kind == Kind::Prometheus {
        Action::Patch {
            object: object.clone(),
            kind: PatchKind::Merge,
            body: json!({"spec": {"retentionSize": size}}),
        }
    } else {
        let template = found.pointer("/spec/template").cloned().unwrap_or_default();
        let name = container(&template)
            .ok_or_else(|| Refusal::new(format!("{object} has no Prometheus container")))?;
        let index = items(&template, "/spec/containers").iter().position(|row| string(row, "/name") == name);
        let place = format!("/spec/template/spec/containers/{}/args", index.unwrap_or_default());
        Action::Patch { object: object.clone(), kind: PatchKind::Json, body: arguments(&found, &place, size) }
    };
    let mut draft = kubernetes::draft(hands, action, at).await?;
    let says = "the oldest samples beyond this size are deleted for good";
    draft.hazards.push(Hazard::warn(Guard::Evidence, says));
    draft.confirmation = Confirmation::Type(object.key.name.clone());
    draft.undo = None;
    Ok(draft)
}

fn arguments(object: &Value, place: &str, size: &str) -> Value {
    const FLAG: &str = "--storage.tsdb.retention.size=";
    let wanted = json!(format!("{FLAG}{size}"));
    let old = items(object, place);
    match old.iter().position(|row| row.as_str().is_some_and(|row| row.starts_with(FLAG))) {
        Some(index) => json!([
            {"op": "test", "path": format!("{place}/{index}"), "value": old[index]},
            {"op": "replace", "path": format!("{place}/{index}"), "value": wanted},
        ]),
        None if object.pointer(place).is_some() => {
            json!([{"op": "add", "path": format!("{place}/-"), "value": wanted}])
        }
        None => json!([{"op": "add", "path": place, "value": [wanted]}]),
    }
}
