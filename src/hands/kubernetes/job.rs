//! A Job run once more, as a new Job whose end is awaited; and that Job taken away again while it runs.

use kube::api::{DeleteParams, Preconditions, PropagationPolicy};
use serde_json::Value;
use tokio::time::Instant;

use super::again::{self, ended, manifest, progress};
use super::single::{moved, refusal, still, untried, warned};
use super::write::{Mode, create};
use super::{pin, watching};
use crate::domain::{Action, Key, Kind, Name, ObjectRef, Timestamp, between, text};
use crate::guard::{Confirmation, DiffTone, Draft, Guard, Hazard, Level, Refusal, Undo, Warrant};
use crate::hands::difference::{Regard, diff, shown};
use crate::hands::done::Done;
use crate::hands::hazards::{self, Scene};
use crate::hands::task::{Stopped, Task};
use crate::hands::{Hands, permission};
use crate::probes::cluster::Cluster;
use crate::probes::object::{items, number, string, time, uid};
use crate::probes::trouble::{Trouble, TroubleKind};

/// Between two looks at what its pods wait for.
const LOOK: std::time::Duration = std::time::Duration::from_secs(15);

pub(super) async fn draft_run(
    hands: &Hands,
    from: &ObjectRef,
    name: Option<&Name>,
    at: Timestamp,
) -> Result<Draft, Refusal> {
    let source = hands.cluster.get(from).await.map_err(refusal)?;
    let name: Name = name.cloned().unwrap_or_else(|| again::name(from, at).into());
    let body = manifest(from, &source, &name)?;
    let job = again::job(from, &name);
    let action = Action::RunJobAgain { from: from.clone(), name: Some(name) };
    let mut hazards = Vec::new();
    let mut after = body.clone();
    if let Err(denied) = permission::check(hands, &job, "create", "").await {
        hazards.push(denied);
    } else {
        match create(&hands.cluster, &job, &body, Mode::DryRun).await {
            Ok(dry) => {
                hazards.extend(dry.warnings.iter().map(|says| warned(says)));
                after = dry.object;
            }
            Err(trouble) if trouble.is(TroubleKind::NoDryRun) => hazards.push(untried(&trouble)),
            Err(trouble) => return Err(refusal(trouble)),
        }
    }
    let scene = Scene { action: &action, object: &job, before: None, after: &after, victims: &[] };
    hazards.extend(hazards::of(hands, &scene).await);
    hazards.extend(hazards::before_a_run(&hands.cluster, from, &source, &body).await);
    hazards.extend(hazards::protected(hands));
    hazards.sort_by_key(|hazard| std::cmp::Reverse(hazard.level));
    let kind = if from.kind == Kind::CronJob { "of the template" } else { "as a copy" };
    Ok(Draft {
        at,
        title: format!("run {from} again, {kind}: {job}"),
        targets: vec![format!("{job} in {}", job.key.namespace)],
        diff: diff(None, Some(&after), false),
        pins: vec![pin(from, Some(&source), Regard::SPEC), pin(&job, None, Regard::SPEC)],
        before: shown(&source, false),
        undo: Some(undo(&job, uid(&after))),
        command: action.as_command(),
        confirmation: Confirmation::of(&action, &hazards),
        hazards,
        action,
    })
}

fn undo(job: &ObjectRef, uid: &str) -> Undo {
    let action = Action::DeleteJob { job: job.key.clone(), uid: uid.into() };
    Undo { action, says: "delete the new Job, as long as it runs".into(), left: Vec::new() }
}

pub(super) async fn run(hands: &Hands, warrant: &Warrant, task: &mut Task) -> Done {
    let Action::RunJobAgain { from, name: Some(name) } = warrant.action() else {
        return Done::refused(Refusal::new("the preview named no new Job").repair("preview again"));
    };
    let job = again::job(from, name);
    let source = match hands.cluster.find(from).await {
        Ok(source) => source,
        Err(trouble) => return Done::failed(&trouble),
    };
    let as_pinned =
        warrant.preview().pins.first().is_some_and(|pin| still(pin, source.as_ref(), Regard::SPEC));
    let Some(source) = source.filter(|_| as_pinned) else { return moved(hands, warrant, from).await };
    let body = match manifest(from, &source, name) {
        Ok(body) => body,
        Err(refusal) => return Done::refused(refusal),
    };
    // A run may have begun since the preview.
    let now = hazards::before_a_run(&hands.cluster, from, &source, &body).await;
    if let Some(stop) = now.into_iter().find(|hazard| hazard.level == Level::Stop) {
        return Done::refused(Refusal::new(stop.says));
    }
    if task.is_called_off() {
        return Done::refused(Refusal::new("called off before anything was written"));
    }
    let made = match create(&hands.cluster, &job, &body, Mode::Real).await {
        Ok(answer) => {
            for says in &answer.warnings {
                task.say(format!("the API server warns: {says}"));
            }
            answer.object
        }
        Err(trouble) if trouble.is(TroubleKind::Unanswered) => match hands.cluster.find(&job).await {
            Ok(Some(found)) => found,
            _ => return Done::unknown(format!("run {from} again as {job}: {}", trouble.says)),
        },
        Err(trouble) => return Done::failed(&trouble),
    };
    task.say(format!("created {job}"));
    let back = undo(&job, uid(&made));
    match end(hands, &job, uid(&made), task).await {
        End::Well(says) => Done::performed(format!("{job} {says}"), None),
        End::Failed(says) => Done::unverified(format!("{job} was run, and failed: {says}"), None),
        End::Gone => Done::unverified(format!("{job} was created, and deleted by somebody since"), None),
        End::Runs(says) => Done::unverified(format!("{job} was created, and {says}"), Some(back)),
    }
}

/// How a Job came out, as far as was seen.
enum End {
    Well(String),
    Failed(String),
    Gone,
    Runs(String),
}

/// Watches a Job until it ends, or patience does.
async fn end(hands: &Hands, job: &ObjectRef, own: &str, task: &mut Task) -> End {
    let patience = hands.patience.run;
    let deadline = Instant::now() + patience;
    loop {
        let judge = |found: Option<&Value>, task: &mut Task| match found.filter(|found| uid(found) == own) {
            None => Some(End::Gone),
            Some(found) => match ended(found) {
                Some(Ok(())) => Some(End::Well(completed(found))),
                Some(Err(says)) => Some(End::Failed(says)),
                None => {
                    task.say(progress(found));
                    None
                }
            },
        };
        let look = deadline.min(Instant::now() + LOOK);
        let seen = watching::object(&hands.cluster, job, task, look, judge).await;
        let pods = match &seen {
            Ok(End::Well(_) | End::Gone) => None,
            _ => trouble_of_pods(&hands.cluster, job).await,
        };
        let with_pods = |says: String| match &pods {
            Some(pods) => format!("{says}; {pods}"),
            None => says,
        };
        match seen {
            Ok(End::Failed(says)) => return End::Failed(with_pods(says)),
            Ok(end) => return end,
            Err(Stopped::TimedOut) if Instant::now() < deadline => {
                if let Some(pods) = pods {
                    task.say(pods);
                }
            }
            Err(Stopped::TimedOut) => {
                return End::Runs(with_pods(format!("it still runs after {}", text::span(patience))));
            }
            Err(stopped) => return End::Runs(with_pods(stopped.says(patience))),
        }
    }
}

/// `completed in 14s, on the second attempt`.
fn completed(job: &Value) -> String {
    let took = time(job, "/status/startTime").zip(time(job, "/status/completionTime"));
    let took = took.map(|(from, to)| format!(" in {}", text::span(between(from, to)))).unwrap_or_default();
    match number(job, "/status/failed") {
        0 => format!("completed{took}"),
        failed => format!("completed{took}, after {}", text::count(failed as usize, "failed attempt")),
    }
}

/// What its youngest pod waits for or ended with, if that is trouble.
async fn trouble_of_pods(cluster: &Cluster, job: &ObjectRef) -> Option<String> {
    let labels = format!("job-name={}", job.key.name);
    let pods = cluster.list(Kind::Pod, &job.key.namespace, &labels, "").await.ok()?;
    let born = |pod: &&Value| string(pod, "/metadata/creationTimestamp").to_owned();
    pods.iter()
        .filter_map(|pod| Some((pod, in_trouble(pod)?)))
        .max_by_key(|(pod, _)| born(pod))
        .map(|(pod, says)| text::redact(&text::clean(&format!("{}: {says}", string(pod, "/metadata/name")))))
}

fn in_trouble(pod: &Value) -> Option<String> {
    let rows = ["initContainerStatuses", "containerStatuses"];
    let mut rows = rows.iter().flat_map(|list| items(pod, &format!("/status/{list}")));
    let of_container = rows.find_map(|row| {
        let waits = string(row, "/state/waiting/reason");
        if !["", "ContainerCreating", "PodInitializing"].contains(&waits) {
            return Some(format!("{waits} {}", string(row, "/state/waiting/message")).trim_end().to_owned());
        }
        let end = row.pointer("/state/terminated")?;
        let code = number(end, "/exitCode");
        (code != 0).then(|| format!("{} (exit code {code})", string(end, "/reason")))
    });
    let own = string(pod, "/status/reason");
    of_container.or_else(|| (!own.is_empty()).then(|| own.to_owned()))
}

pub(super) async fn draft_delete(
    hands: &Hands,
    action: &Action,
    job: &Key,
    own: &Name,
    at: Timestamp,
) -> Result<Draft, Refusal> {
    let object = ObjectRef::new(Kind::Job, job.clone());
    let found = running(hands, &object, own).await?;
    let mut hazards = Vec::new();
    match permission::check(hands, &object, "delete", "").await {
        Ok(()) => remove(&hands.cluster, &object, own, Mode::DryRun).await.map_err(refusal)?,
        Err(denied) => hazards.push(denied),
    }
    let says = "its pods are stopped in the middle of their work, and their logs go with them";
    hazards.push(Hazard::note(Guard::Evidence, says));
    hazards.extend(hazards::protected(hands));
    Ok(Draft {
        at,
        title: format!("delete {object} with its pods: {}", progress(&found)),
        targets: vec![format!("{object} in {}", job.namespace)],
        diff: vec![(DiffTone::Removed, object.to_string())],
        pins: vec![pin(&object, Some(&found), Regard::SPEC)],
        before: shown(&found, false),
        undo: None,
        command: action.as_command(),
        confirmation: Confirmation::of(action, &hazards),
        hazards,
        action: action.clone(),
    })
}

/// The Job, as long as there is something of it to stop. What it did by its end stays done, and its log is all that
/// deleting would take away.
async fn running(hands: &Hands, object: &ObjectRef, own: &str) -> Result<Value, Refusal> {
    let found = hands.cluster.find(object).await.map_err(refusal)?;
    let Some(found) = found.filter(|found| uid(found) == own) else {
        return Err(Refusal::new(format!("{object} is gone already")));
    };
    match ended(&found) {
        None => Ok(found),
        Some(end) => {
            let end = if end.is_ok() { "has completed" } else { "has failed" };
            Err(Refusal::new(format!("{object} {end}: what it did stays done"))
                .repair("keep it for its log; there is nothing left to stop"))
        }
    }
}

pub(super) async fn delete(hands: &Hands, job: &Key, own: &Name, task: &mut Task) -> Done {
    let object = ObjectRef::new(Kind::Job, job.clone());
    if let Err(refusal) = running(hands, &object, own).await {
        return Done::refused(refusal);
    }
    match remove(&hands.cluster, &object, own, Mode::Real).await {
        Ok(()) => task.say(format!("{object} is deleted")),
        Err(trouble) if trouble.is(TroubleKind::Unanswered) => task.say(trouble.says),
        Err(trouble) => return Done::failed(&trouble),
    }
    let patience = hands.patience.replacement;
    let gone = |found: Option<&Value>, _: &mut Task| (found.map(uid) != Some(&**own)).then_some(());
    match watching::object(&hands.cluster, &object, task, Instant::now() + patience, gone).await {
        Ok(()) => Done::performed(format!("{object} is gone, and its pods with it"), None),
        Err(stopped) => {
            Done::unverified(format!("{object} is still there ({})", stopped.says(patience)), None)
        }
    }
}

/// Only this very Job; its pods are collected after it.
#[expect(clippy::disallowed_methods, reason = "the hands are the room that writes")]
async fn remove(cluster: &Cluster, job: &ObjectRef, own: &str, mode: Mode) -> Result<(), Trouble> {
    let this = Preconditions { uid: Some(own.to_owned()), resource_version: None };
    let mut params = DeleteParams::default().preconditions(this);
    params.propagation_policy = Some(PropagationPolicy::Background);
    params.dry_run = mode == Mode::DryRun;
    let api = cluster.api(Kind::Job, &job.key.namespace);
    match tokio::time::timeout(cluster.deadline(), api.delete(&job.key.name, &params)).await {
        Ok(answer) => Ok(answer.map(drop)?),
        Err(_) => Err(Trouble::unanswered(cluster.deadline())),
    }
}
