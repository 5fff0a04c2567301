//! A whole document in a ConfigMap or Secret: shown as a difference without its secrets, written by server-side
//! apply, pinned to what was seen, put back by the document it was.

use serde_json::json;

use super::silence::refusal;
use super::write::{Body, pin, send, version};
use crate::domain::{Action, Alerting, Kind, ObjectRef, Timestamp, text};
use crate::guard::{Confirmation, DiffTone, Draft, Guard, Hazard, Refusal, Undo, Warrant};
use crate::hands::difference::{Regard, content, lines};
use crate::hands::done::Done;
use crate::hands::hazards::{self, Scene};
use crate::hands::kubernetes;
use crate::hands::task::Task;
use crate::hands::{Hands, permission};
use crate::probes::alerting::document::redacted;
use crate::probes::alerting::held::{Held, entry_of};
use crate::probes::trouble::{Trouble, TroubleKind};

/// What the document shall become, and what to know about it.
pub(super) struct Wish {
    pub title: String,
    pub text: String,
    pub hazards: Vec<Hazard>,
    /// Lines under the difference: what it does to alerts, how a rule would have fired.
    pub effects: Vec<(DiffTone, String)>,
}

pub(super) async fn draft(
    hands: &Hands,
    action: &Alerting,
    held: &Held,
    wish: Wish,
    at: Timestamp,
) -> Result<Draft, Refusal> {
    let outer = Action::Alerting(action.clone());
    let mut hazards = wish.hazards;
    let mut after = held.value.clone();
    match permission::check(hands, &held.object, "patch", "").await {
        Err(denied) => hazards.push(denied),
        Ok(()) => {
            let body = Body::Document { entry: held.entry.clone(), text: wish.text.clone() };
            let dry = send(&hands.cluster, &held.object, version(&held.value), &body, true).await;
            after = dry.map_err(refusal)?;
        }
    }
    if held.value.get("immutable") == Some(&json!(true)) {
        hazards.push(Hazard::stop(Guard::Target, format!("{} is immutable", held.object)));
    }
    let scene = Scene {
        action: &outer,
        object: &held.object,
        before: Some(&held.value),
        after: &after,
        victims: &[],
    };
    hazards.extend(hazards::of(hands, &scene).await);
    hazards.extend(hazards::protected(hands));
    let mut diff = lines(&redacted(&held.text), &redacted(&wish.text));
    if diff.is_empty() {
        let says = if held.text == wish.text {
            "it is so already"
        } else {
            "only secrets differ: they are not shown"
        };
        hazards.push(Hazard::note(Guard::Target, says));
    }
    diff.extend(wish.effects);
    diff.truncate(2_000);
    Ok(Draft {
        at,
        title: wish.title,
        targets: vec![format!("{} of {} in {}", held.entry, held.object, held.object.key.namespace)],
        diff,
        pins: vec![pin(&held.object, &held.value)],
        before: json!({held.entry.as_str(): redacted(&held.text)}),
        undo: Some(back(&held.object, &held.entry, &held.text, Vec::new())),
        command: outer.as_command(),
        confirmation: Confirmation::of(&outer, &hazards),
        hazards,
        action: outer,
    })
}

/// The way back to a document.
fn back(object: &ObjectRef, entry: &str, text: &str, left: Vec<crate::guard::Pin>) -> Undo {
    let restore = Alerting::RestoreDocument {
        object: object.clone(),
        entry: entry.to_owned(),
        document: text.to_owned(),
    };
    Undo { action: Action::Alerting(restore), says: "the old document".into(), left }
}

/// Writes a document if it is still the one that was confirmed.
pub(super) async fn put(
    hands: &Hands,
    warrant: &Warrant,
    held: &Held,
    text: &str,
    task: &mut Task,
) -> Result<Undo, Done> {
    let object = &held.object;
    let Some(pinned) = warrant.preview().pins.iter().find(|pin| pin.object == *object) else {
        return Err(Done::refused(Refusal::new("the preview pinned another object").repair("preview again")));
    };
    if !kubernetes::still(pinned, Some(&held.value), Regard::SPEC) {
        return Err(moved(hands, warrant, object).await);
    }
    if task.is_called_off() {
        return Err(Done::refused(Refusal::new("called off before anything was written")));
    }
    let body = Body::Document { entry: held.entry.clone(), text: text.to_owned() };
    let sent = match send(&hands.cluster, object, version(&held.value), &body, true).await {
        Ok(expected) => {
            let real = send(&hands.cluster, object, version(&held.value), &body, false).await;
            real.map_err(|trouble| (trouble, Some(expected)))
        }
        Err(trouble) => Err((trouble, None)),
    };
    let after = match sent {
        Ok(after) => after,
        Err((trouble, _)) if trouble.is(TroubleKind::Conflict) => {
            return Err(moved(hands, warrant, object).await);
        }
        Err((trouble, Some(expected))) if trouble.is(TroubleKind::Unanswered) => {
            task.say(format!("{}; looking whether it was written", trouble.says));
            find_out(hands, object, &content(&expected, Regard::SPEC), &trouble).await?
        }
        Err((trouble, _)) => return Err(Done::failed(&trouble)),
    };
    task.say(format!("written: {} of {object}", held.entry));
    Ok(back(object, &held.entry, &held.text, vec![pin(object, &after)]))
}

async fn find_out(
    hands: &Hands,
    object: &ObjectRef,
    wanted: &str,
    trouble: &Trouble,
) -> Result<serde_json::Value, Done> {
    match hands.cluster.get(object).await {
        Ok(found) if *content(&found, Regard::SPEC) == *wanted => Ok(found),
        Ok(_) => Err(Done::unknown(format!("{}; a read shows that it was not written so far", trouble.says))),
        Err(again) => Err(Done::unknown(format!("{}; and reading fails too: {}", trouble.says, again.says))),
    }
}

async fn moved(hands: &Hands, warrant: &Warrant, object: &ObjectRef) -> Done {
    let refusal = Refusal::new(format!("{object} changed since you saw it; nothing was written"))
        .repair("look at the new preview");
    let fresh = hands.draft(warrant.action().clone(), (hands.clock)()).await.ok();
    Done::moved(refusal, fresh.map(|draft| warrant.seal(draft)))
}

/// The entry that a restoring action means, as it is now.
pub(super) async fn entry(hands: &Hands, object: &ObjectRef, entry: &str) -> Result<Held, Trouble> {
    let value = hands.cluster.get(object).await?;
    let text = entry_of(&value, object, entry).ok_or_else(|| Trouble {
        kind: TroubleKind::Absent,
        says: format!("{object} has no entry {}", text::clean(entry)),
        repair: None,
    })?;
    Ok(Held { object: object.clone(), entry: entry.to_owned(), text, value })
}

/// Whether a document came back from a journal, where only its size and hash are kept.
pub(super) fn is_masked(document: &str) -> bool {
    document.starts_with("••• ")
}

/// What a restoring action puts back, when it still has it.
pub(super) fn kept(object: &ObjectRef, document: &str) -> Result<(), Refusal> {
    if is_masked(document) {
        return Err(Refusal::new("the old document was not kept: it may hold secrets, so no journal has it")
            .repair("take it from version control"));
    }
    if !matches!(object.kind, Kind::ConfigMap | Kind::Secret) {
        return Err(Refusal::new(format!("{} holds no documents", object.kind)));
    }
    Ok(())
}
