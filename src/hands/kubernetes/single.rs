//! Changes that are one write to one object: drafted by a dry run, performed with the same request.
//! What was confirmed is what runs; what moved meanwhile is refused with a fresh draft.

use std::time::Duration;

use serde_json::{Value, json};

use super::change::{self, Given};
use super::pin;
use super::rollout;
use super::verify::{Proof, Seen, verify};
use super::way_back;
use super::write::{Answer, How, Mode, Part, Write};
use crate::domain::{Action, ObjectRef, Timestamp, shell_quote, text};
use crate::guard::{Confirmation, DiffTone, Draft, Guard, Hazard, Pin, Refusal, Undo, Warrant};
use crate::hands::difference::{Regard, content, diff, shown};
use crate::hands::done::Done;
use crate::hands::hazards::{self, Scene};
use crate::hands::task::Task;
use crate::hands::{Hands, permission};
use crate::probes::object::{selector_query, string};
use crate::probes::trouble::{Trouble, TroubleKind};

/// How often a write is tried again when only noise moved in between.
const TRIES: usize = 5;

pub(super) async fn draft(hands: &Hands, action: Action, at: Timestamp) -> Result<Draft, Refusal> {
    let object = action.object().ok_or_else(|| Refusal::new("the action names no object"))?;
    let Tried { before, history, write, dry } = dry_run(hands, &action, &object, at).await?;
    let with_status = write.part == Part::Status;
    let mut hazards = Vec::new();
    let after = match dry {
        Err(hazard) => {
            hazards.push(hazard);
            None
        }
        Ok(dry) => {
            hazards.extend(dry.warnings.iter().map(|says| warned(says)));
            Some(whole(&write, before.as_ref(), dry.object))
        }
    };
    let mut lines = match &after {
        Some(after) => difference(&action, before.as_ref(), after, with_status),
        None => Vec::new(),
    };
    if let Some(after) = &after {
        if lines.is_empty() {
            hazards.push(Hazard::note(Guard::Target, "the dry run changes nothing: it is so already"));
        }
        let scene = Scene { action: &action, object: &object, before: before.as_ref(), after, victims: &[] };
        hazards.extend(hazards::of(hands, &scene).await);
    }
    hazards.extend(token_missing(hands, &action));
    hazards.extend(hazards::protected(hands));
    lines.truncate(2_000);
    Ok(Draft {
        at,
        title: write.title.clone(),
        targets: vec![describe(&object)],
        diff: lines,
        pins: vec![pin(&object, before.as_ref(), Regard::of(&action))],
        before: before.as_ref().map(|before| shown(before, with_status)).unwrap_or_default(),
        undo: way_back::undo(&action, before.as_ref(), after.as_ref(), &history),
        command: action.as_command(),
        confirmation: Confirmation::of(&action, &hazards),
        hazards,
        action,
    })
}

/// What the server made of a write that it only tried, or why it was not tried.
struct Tried {
    before: Option<Value>,
    history: Vec<Value>,
    write: Write,
    dry: Result<Answer, Hazard>,
}

/// Tries the write without doing it; again, where the object was written to between the look and the trial: an
/// autoscaler's status is, every few seconds.
async fn dry_run(
    hands: &Hands,
    action: &Action,
    object: &ObjectRef,
    at: Timestamp,
) -> Result<Tried, Refusal> {
    let mut tries = TRIES;
    loop {
        tries -= 1;
        let before = hands.cluster.find(object).await.map_err(refusal)?;
        let history = history(hands, action, before.as_ref()).await?;
        let given = Given { history: &history, token: None, kept: kept(hands, action) };
        let write = change::write(action, before.as_ref(), &given, at)?;
        let verb = if write.how == How::Delete { "delete" } else { "patch" };
        if let Err(denied) = permission::check(hands, object, verb, part_name(&write)).await {
            return Ok(Tried { before, history, write, dry: Err(denied) });
        }
        let version = version(before.as_ref());
        match write.send(&hands.cluster, version, Mode::DryRun).await {
            Ok(answer) => return Ok(Tried { before, history, write, dry: Ok(answer) }),
            Err(trouble) if trouble.is(TroubleKind::NoDryRun) => {
                return Ok(Tried { before, history, write, dry: Err(untried(&trouble)) });
            }
            Err(trouble) if tries > 0 && is_moved(&trouble) && has_moved(hands, object, version).await => {}
            Err(trouble) => return Err(refusal(trouble)),
        }
    }
}

pub(super) async fn perform(hands: &Hands, warrant: &Warrant, task: &mut Task) -> Done {
    let action = warrant.action();
    let Some(pin) = warrant.preview().pins.first() else {
        return Done::refused(Refusal::new("the preview pinned no object").repair("preview again"));
    };
    let object = pin.object.clone();
    let written = match put(hands, warrant, &object, pin, task).await {
        Ok(written) => written,
        Err(done) => return done,
    };
    let Written { before, after, history, title } = written;
    task.say(format!("written: {title}"));
    let proof = Proof::of(object.kind, before.as_ref(), &after);
    let seen = verify(hands, &object, proof, &after, task).await;
    let undo = way_back::undo(action, before.as_ref(), Some(&after), &history);
    let undo = match undo.map(|undo| keep(hands, undo, before.as_ref())) {
        Some(undo) => Some(leave(hands, undo, &object).await),
        None => None,
    };
    match seen {
        Seen::Yes(says) => Done::performed(format!("{title}: {says}"), undo),
        Seen::No(says) => Done::unverified(format!("{title}: written, but {says}"), undo),
    }
}

struct Written {
    before: Option<Value>,
    after: Value,
    history: Vec<Value>,
    title: String,
}

/// Writes, on condition that the object is what was confirmed.
async fn put(
    hands: &Hands,
    warrant: &Warrant,
    object: &ObjectRef,
    pin: &Pin,
    task: &mut Task,
) -> Result<Written, Done> {
    let action = warrant.action();
    let token = token(hands, action).map_err(Done::refused)?;
    for _ in 0..TRIES {
        if task.is_called_off() {
            return Err(Done::refused(Refusal::new("called off before anything was written")));
        }
        let before = hands.cluster.find(object).await.map_err(|trouble| Done::failed(&trouble))?;
        if !still(pin, before.as_ref(), Regard::of(action)) {
            return Err(moved(hands, warrant, object).await);
        }
        let history = history(hands, action, before.as_ref()).await.map_err(Done::refused)?;
        let given = Given { history: &history, token: token.as_deref(), kept: kept(hands, action) };
        let write =
            change::write(action, before.as_ref(), &given, warrant.preview().at).map_err(Done::refused)?;
        let version = version(before.as_ref());
        let dry = write.send(&hands.cluster, version, Mode::DryRun).await;
        let expected = match dry {
            Ok(dry) => Some(whole(&write, before.as_ref(), dry.object)),
            // Known since the preview, which said so.
            Err(trouble) if trouble.is(TroubleKind::NoDryRun) => None,
            Err(trouble) if is_moved(&trouble) && has_moved(hands, object, version).await => continue,
            // Nothing was written: a dry run leaves nothing behind.
            Err(trouble) => return Err(Done::failed(&trouble)),
        };
        match write.send(&hands.cluster, version, Mode::Real).await {
            Ok(answer) => {
                for says in &answer.warnings {
                    task.say(format!("the API server warns: {says}"));
                }
                let after = whole(&write, before.as_ref(), answer.object);
                return Ok(Written { before, after, history, title: write.title });
            }
            Err(trouble) if is_moved(&trouble) && has_moved(hands, object, version).await => {}
            Err(trouble) if trouble.is(TroubleKind::Unanswered) => {
                task.say(format!("{}; looking whether it was written", trouble.says));
                let found = match &expected {
                    Some(expected) => find_out(hands, object, expected, &write, task).await,
                    None => Err("and what it should look like was never tried".into()),
                };
                return match found {
                    Ok(after) => Ok(Written { before, after, history, title: write.title }),
                    Err(says) => Err(Done::unknown(format!("{}: {}; {says}", write.title, trouble.says))),
                };
            }
            Err(trouble) => return Err(Done::failed(&trouble)),
        }
    }
    Err(Done::refused(
        Refusal::new(format!("{object} changes faster than it can be written")).repair("try again"),
    ))
}

/// After a write without an answer: reads until the object shows it, a few seconds at most.
async fn find_out(
    hands: &Hands,
    object: &ObjectRef,
    expected: &Value,
    write: &Write,
    task: &mut Task,
) -> Result<Value, String> {
    let regard = Regard { status: write.part == Part::Status, ..Regard::SPEC };
    let wanted = content(expected, regard);
    let mut last = String::new();
    for _ in 0..4 {
        match hands.cluster.find(object).await {
            Ok(None) if write.how == How::Delete => {
                task.say("no answer came, but a read shows that it is gone");
                return Ok(Value::Null);
            }
            Ok(Some(found)) if content(&found, regard) == wanted => {
                task.say("no answer came, but a read shows that it was written");
                return Ok(found);
            }
            Ok(_) => last = "a read shows that it was not written so far; it may still arrive".into(),
            Err(trouble) => last = format!("and reading fails too: {}", trouble.says),
        }
        task.pause(Duration::from_secs(2)).await;
    }
    Err(last)
}

pub(super) async fn moved(hands: &Hands, warrant: &Warrant, object: &ObjectRef) -> Done {
    let now = (hands.clock)();
    match super::draft(hands, warrant.action().clone(), now).await {
        Ok(fresh) => {
            let refusal = Refusal::new(format!("{object} changed since you saw it; nothing was written"));
            Done::moved(refusal.repair("look at the new preview"), Some(warrant.seal(fresh)))
        }
        // It is gone, or it can no longer be done to it.
        Err(refusal) => Done::refused(refusal),
    }
}

/// Whether the object is still what was pinned.
pub(in crate::hands) fn still(pin: &Pin, found: Option<&Value>, regard: Regard) -> bool {
    match (found, &pin.uid) {
        (None, None) => true,
        (Some(found), Some(uid)) => {
            string(found, "/metadata/uid") == &**uid
                && pin.content.as_ref().is_none_or(|pinned| content(found, regard) == *pinned)
        }
        _ => false,
    }
}

/// The way back, pinned to the object as it was left.
async fn leave(hands: &Hands, undo: Undo, object: &ObjectRef) -> Undo {
    let left = hands.cluster.find(object).await.ok().flatten();
    Undo { left: vec![pin(object, left.as_ref(), Regard::of(&undo.action))], ..undo }
}

async fn has_moved(hands: &Hands, object: &ObjectRef, version: Option<&str>) -> bool {
    let found = hands.cluster.find(object).await.ok().flatten();
    self::version(found.as_ref()) != version
}

fn is_moved(trouble: &Trouble) -> bool {
    trouble.is(TroubleKind::Conflict) || trouble.is(TroubleKind::Invalid)
}

/// What the API server says of a write besides accepting it.
pub(super) fn warned(says: &str) -> Hazard {
    Hazard::warn(Guard::Target, format!("the API server warns: {says}"))
}

/// An admission webhook with side effects cannot be asked to pretend.
pub(super) fn untried(trouble: &Trouble) -> Hazard {
    let says =
        format!("there is no dry run here ({}): what it changes is not shown, nor checked", trouble.says);
    Hazard::warn(Guard::Target, says)
}

/// What a Secret held before it was overwritten: it goes into memory, its number into the way back.
fn keep(hands: &Hands, mut undo: Undo, before: Option<&Value>) -> Undo {
    if let Action::RestoreSecret { kept: Some(kept), .. } = &mut undo.action {
        *kept = hands.kept.keep(before.and_then(|before| before.get("data")).cloned().unwrap_or_default());
    }
    undo
}

fn kept(hands: &Hands, action: &Action) -> Option<Value> {
    let Action::RestoreSecret { kept, .. } = action else { return None };
    hands.kept.get((*kept)?)
}

/// The revisions of a workload that is to go back.
async fn history(hands: &Hands, action: &Action, before: Option<&Value>) -> Result<Vec<Value>, Refusal> {
    let Action::RolloutUndo { object, .. } = action else { return Ok(Vec::new()) };
    let (Some(kind), Some(selector)) =
        (rollout::history_of(object.kind), before.and_then(|found| found.pointer("/spec/selector")))
    else {
        return Ok(Vec::new());
    };
    let labels = selector_query(selector);
    hands.cluster.list(kind, &object.key.namespace, &labels, "").await.map_err(refusal)
}

fn version(object: Option<&Value>) -> Option<&str> {
    object.map(|object| string(object, "/metadata/resourceVersion")).filter(|version| !version.is_empty())
}

/// The whole object after the write, also where the server answers with a Scale.
fn whole(write: &Write, before: Option<&Value>, answer: Value) -> Value {
    match (write.part, before) {
        (Part::Scale, Some(before)) => {
            let mut after = before.clone();
            after["spec"]["replicas"] = answer.pointer("/spec/replicas").cloned().unwrap_or(json!(0));
            after
        }
        _ => answer,
    }
}

fn part_name(write: &Write) -> &'static str {
    match write.part {
        Part::Whole => "",
        Part::Scale => "scale",
        Part::Status => "status",
    }
}

fn token(hands: &Hands, action: &Action) -> Result<Option<String>, Refusal> {
    let Action::PullSecret { token_env, .. } = action else { return Ok(None) };
    match (hands.env)(token_env).filter(|token| !token.trim().is_empty()) {
        Some(token) => Ok(Some(token.trim().to_owned())),
        None => {
            Err(Refusal::new(format!("the environment variable {} holds no token", shell_quote(token_env)))
                .repair("set it before starting the cockpit"))
        }
    }
}

fn token_missing(hands: &Hands, action: &Action) -> Option<Hazard> {
    token(hands, action).err().map(|refusal| Hazard::stop(Guard::Target, refusal.to_string()))
}

/// The difference as shown. The dry run of a pull secret carried no token: the line says where it comes from.
fn difference(
    action: &Action,
    before: Option<&Value>,
    after: &Value,
    with_status: bool,
) -> Vec<(DiffTone, String)> {
    let Action::PullSecret { registry, username, token_env, .. } = action else {
        return diff(before, Some(after).filter(|after| !after.is_null()), with_status);
    };
    let mut after = after.clone();
    after["data"] = before.and_then(|before| before.get("data")).cloned().unwrap_or_default();
    let mut lines = diff(before, Some(&after), with_status);
    let says = format!(".dockerconfigjson: {username} at {registry}, token from {token_env} when acting");
    lines.push((DiffTone::Place, "data".into()));
    lines.push((DiffTone::Added, text::clean(&says)));
    lines
}

/// `deployment/web in shop`.
fn describe(object: &ObjectRef) -> String {
    match &*object.key.namespace {
        "" => object.to_string(),
        namespace => format!("{object} in {namespace}"),
    }
}

/// A trouble met before anything was written.
pub(super) fn refusal(trouble: Trouble) -> Refusal {
    Refusal { says: trouble.says, repair: trouble.repair }
}
