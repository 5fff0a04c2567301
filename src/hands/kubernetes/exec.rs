//! A command in a container: an argument list, no shell, no terminal, its output cleaned, redacted, bounded.

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Status;
use kube::api::{Api, AttachParams};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::Instant;

use super::pin;
use super::single::refusal;
use crate::domain::{Action, Key, Kind, Name, ObjectRef, Timestamp, text};
use crate::guard::{Confirmation, DiffTone, Draft, Guard, Hazard, Refusal, Warrant};
use crate::hands::difference::Regard;
use crate::hands::done::Done;
use crate::hands::task::{Stopped, Task};
use crate::hands::{Hands, hazards, permission};
use crate::journal::Ending;
use crate::probes::object::{items, owner, string, uid};
use crate::probes::trouble::Trouble;

/// Bytes of output that are read; the rest is cut off.
const OUTPUT: u64 = 64 * 1024;
/// Lines of output that are kept.
const LINES: usize = 200;

pub(super) async fn draft(
    hands: &Hands,
    action: &Action,
    pod: &Key,
    container: &Name,
    argv: &[String],
    at: Timestamp,
) -> Result<Draft, Refusal> {
    let object = ObjectRef::new(Kind::Pod, pod.clone());
    if argv.is_empty() {
        return Err(Refusal::new("there is no command to run"));
    }
    let found = hands.cluster.get(&object).await.map_err(refusal)?;
    running(&found, container)?;
    let mut hazards = Vec::new();
    hazards.extend(permission::check(hands, &object, "create", "exec").await.err());
    hazards.push(Hazard::note(Guard::Target, "there is no dry run of a command: this is what will run"));
    if owner(&found).is_none() {
        hazards.push(Hazard::note(
            Guard::Target,
            format!("{pod} has no controller: what it breaks stays broken"),
        ));
    }
    hazards.extend(hazards::protected(hands));
    let shown = action.masked().as_command();
    let mut pinned = pin(&object, Some(&found), Regard::SPEC);
    // A label more or less makes it no other container.
    pinned.content = None;
    Ok(Draft {
        at,
        title: format!("run a command in {container} of pod {pod}"),
        targets: vec![format!("pod/{pod}, container {container}")],
        diff: vec![(DiffTone::Added, text::clean(&shown))],
        pins: vec![pinned],
        before: Value::Null,
        undo: None,
        command: shown,
        confirmation: Confirmation::of(action, &hazards),
        hazards,
        action: action.clone(),
    })
}

pub(super) async fn exec(
    hands: &Hands,
    warrant: &Warrant,
    pod: &Key,
    container: &Name,
    argv: &[String],
    task: &mut Task,
) -> Done {
    let object = ObjectRef::new(Kind::Pod, pod.clone());
    let found = match hands.cluster.find(&object).await {
        Ok(found) => found,
        Err(trouble) => return Done::failed(&trouble),
    };
    let pinned = warrant.preview().pins.first().and_then(|pin| pin.uid.clone());
    match found {
        Some(found) if Some(uid(&found)) == pinned.as_deref() => {
            if let Err(refusal) = running(&found, container) {
                return Done::refused(refusal);
            }
        }
        _ => {
            return Done::refused(
                Refusal::new(format!("pod {pod} is not the one you saw")).repair("choose again"),
            );
        }
    }
    let deadline = Instant::now() + hands.patience.exec;
    let run = run(hands, pod, container, argv);
    match task.until(deadline, run).await {
        Ok(Ok(ran)) => report(ran, task),
        Ok(Err(trouble)) => Done::failed(&trouble),
        Err(Stopped::TimedOut) => Done::unknown(format!(
            "the command has not ended within {}; it may still be running in {pod}",
            text::span(hands.patience.exec)
        )),
        Err(Stopped::CalledOff) => {
            Done::unknown(format!("called off; the command may still be running in {pod}"))
        }
    }
}

struct Ran {
    out: Vec<u8>,
    err: Vec<u8>,
    status: Option<Status>,
}

#[expect(clippy::disallowed_methods, reason = "the hands are the room that acts")]
async fn run(hands: &Hands, pod: &Key, container: &Name, argv: &[String]) -> Result<Ran, Trouble> {
    let api: Api<Pod> = Api::namespaced(hands.cluster.client(), &pod.namespace);
    let params = AttachParams {
        container: Some(container.to_string()),
        stdin: false,
        stdout: true,
        stderr: true,
        tty: false,
        ..AttachParams::default()
    };
    let mut process = api.exec(&pod.name, argv.iter().cloned(), &params).await?;
    let status = process.take_status();
    let (out, err) = (process.stdout(), process.stderr());
    let (out, err, status) = tokio::join!(bounded(out), bounded(err), async {
        match status {
            Some(status) => status.await,
            None => None,
        }
    });
    process.abort();
    Ok(Ran { out, err, status })
}

/// Reads to the end, keeps the beginning: a full pipe would stop the command.
async fn bounded(stream: Option<impl AsyncRead + Unpin>) -> Vec<u8> {
    let mut kept = Vec::new();
    if let Some(mut stream) = stream {
        let _ = (&mut stream).take(OUTPUT).read_to_end(&mut kept).await;
        let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
    }
    kept
}

fn report(ran: Ran, task: &mut Task) -> Done {
    for (mark, bytes) in [("", &ran.out), ("stderr: ", &ran.err)] {
        let text = String::from_utf8_lossy(bytes);
        let mut lines = text.lines();
        for line in lines.by_ref().take(LINES) {
            task.say(format!("{mark}{line}"));
        }
        let more = lines.count();
        if more > 0 || bytes.len() as u64 == OUTPUT {
            task.say(format!("{mark}… {} or more not shown", text::count(more.max(1), "line")));
        }
    }
    let Some(status) = ran.status else {
        return Done::unknown("the connection ended before the command's exit code came");
    };
    if status.status.as_deref() == Some("Success") {
        return Done::performed("the command ended with exit code 0", None);
    }
    let code = status
        .details
        .as_ref()
        .and_then(|details| {
            details.causes.iter().flatten().find(|cause| cause.reason.as_deref() == Some("ExitCode"))
        })
        .and_then(|cause| cause.message.clone());
    let says = match code {
        Some(code) => format!("the command ended with exit code {}", text::clean(&code)),
        None => format!(
            "the command could not be run: {}",
            text::redact(&text::clean(status.message.as_deref().unwrap_or("no reason was given")))
        ),
    };
    Done { ending: Ending::Failed(says), undo: None }
}

/// The container exists and runs.
fn running(pod: &Value, container: &str) -> Result<(), Refusal> {
    let named = |entry: &&Value| string(entry, "/name") == container;
    if !items(pod, "/spec/containers").iter().any(|entry| named(&entry)) {
        let known: Vec<_> =
            items(pod, "/spec/containers").iter().map(|entry| string(entry, "/name")).collect();
        return Err(Refusal::new(format!("there is no container {container}"))
            .repair(format!("it has {}", known.join(", "))));
    }
    let status = items(pod, "/status/containerStatuses").iter().find(named);
    if status.is_none_or(|status| status.pointer("/state/running").is_none()) {
        return Err(
            Refusal::new(format!("container {container} is not running")).repair("choose a running one")
        );
    }
    Ok(())
}
