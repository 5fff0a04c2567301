//! Hands on the nodes' machines, over SSH: looked at for the preview, looked at again before the hand moves,
//! and once more for what came of it. Nothing runs there but the fixed words of an action.

mod change;
mod draft;
mod facts;
mod verify;

use super::Hands;
use super::done::Done;
use super::task::{Stopped, Task};
use crate::config::ssh::{Machine, NoResult, Ran, Ssh};
use crate::domain::{Kind, MachineCommand, ObjectRef, OnMachine, Timestamp, text};
use crate::guard::{Pin, Refusal, Warrant};
use crate::probes::machine::{self as looking, OutOfReach};
use crate::probes::object::uid;
use facts::Facts;

pub(super) use draft::draft;

/// A machine that was reached, and its node as the API server has it.
struct Reached<'a> {
    ssh: &'a Ssh,
    machine: Machine,
    pin: Pin,
}

async fn reach<'a>(hands: &'a Hands, command: &OnMachine) -> Result<Reached<'a>, Refusal> {
    let refuse = |out: OutOfReach| Refusal { says: out.says, repair: out.repair };
    let ssh = looking::configured(&hands.outside).map_err(refuse)?;
    let node = command.node();
    let object = looking::find(&hands.cluster, node).await.map_err(refuse)?;
    let machine = looking::connect(ssh, node, &object).await.map_err(refuse)?;
    let pin = Pin {
        object: ObjectRef::new(Kind::Node, crate::domain::Key::cluster(node.clone())),
        uid: Some(uid(&object).into()),
        resource_version: None,
        // A node changes all the time; that it is the same one is what counts.
        content: None,
    };
    Ok(Reached { ssh, machine, pin })
}

fn refusal(none: NoResult) -> Refusal {
    Refusal { says: none.says, repair: none.repair }
}

/// Does it.
pub(super) async fn perform(hands: &Hands, warrant: &Warrant, command: &OnMachine, task: &mut Task) -> Done {
    let reached = match reach(hands, command).await {
        Ok(reached) => reached,
        // Nothing was sent yet.
        Err(refusal) => return Done::refused(refusal),
    };
    task.say(format!("connected to {} ({})", command.node(), reached.machine.host()));
    let done = on_machine(hands, warrant, command, &reached, task).await;
    reached.machine.close().await;
    done
}

async fn on_machine(
    hands: &Hands,
    warrant: &Warrant,
    command: &OnMachine,
    reached: &Reached<'_>,
    task: &mut Task,
) -> Done {
    let preview = warrant.preview();
    if preview.pins.first().is_none_or(|pin| pin.uid != reached.pin.uid) {
        let says = format!("{} is not the node you saw; nothing was done", command.node());
        return Done::refused(Refusal::new(says).repair("choose again"));
    }
    let now = match Facts::of(&reached.machine, command).await {
        Ok(facts) => facts,
        Err(none) => return Done::refused(refusal(none)),
    };
    if let Some(moved) = now.moved_since(&preview.before, command) {
        let refusal = Refusal::new(format!("{moved}; nothing was done")).repair("look at the new preview");
        let fresh = draft(hands, warrant.action().clone(), command, (hands.clock)()).await.ok();
        return Done::moved(refusal, fresh.map(|draft| warrant.seal(draft)));
    }
    let began = (hands.clock)();
    match run(hands, command, &now, &reached.machine, task).await {
        Ok(()) => verify::verify(hands, command, &now, reached, began, task).await,
        Err(Ended::Failed(says)) => Done::failed_with(says),
        Err(Ended::Unknown(says)) => {
            task.say(format!("{says}; looking what became of it"));
            find_out(hands, command, &now, began, says, task).await
        }
    }
}

enum Ended {
    Failed(String),
    /// It may have happened.
    Unknown(String),
}

/// Everything that has to run, in order; ends at the first failure.
async fn run(
    hands: &Hands,
    command: &OnMachine,
    facts: &Facts,
    machine: &Machine,
    task: &mut Task,
) -> Result<(), Ended> {
    for line in change::lines(command, facts) {
        if task.is_called_off() {
            return Err(Ended::Failed("called off before it was sent".into()));
        }
        let shown = line.line(machine.is_root());
        task.say(format!("$ {shown}"));
        let ran = send(hands, machine, &line, task).await?;
        report(&ran, task);
        if !ran.is_ok() && !change::is_fine(&line, &ran) {
            return Err(Ended::Failed(format!("`{shown}` ended with {}: {}", ran.code, ran.complaint())));
        }
    }
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "the hands are the room that changes machines")]
async fn send(hands: &Hands, machine: &Machine, line: &MachineCommand, task: &Task) -> Result<Ran, Ended> {
    let patience = hands.patience.rollout;
    let shown = line.line(machine.is_root());
    let deadline = tokio::time::Instant::now() + patience;
    match task.until(deadline, machine.run(line, patience)).await {
        Ok(Ok(ran)) => Ok(ran),
        Ok(Err(none)) => Err(Ended::Unknown(none.says)),
        Err(Stopped::CalledOff) => {
            Err(Ended::Unknown(format!("called off; `{shown}` may still be running on {}", machine.host())))
        }
        Err(Stopped::TimedOut) => Err(Ended::Unknown(format!(
            "`{shown}` has not ended on {} within {}",
            machine.host(),
            text::span(patience)
        ))),
    }
}

/// What it printed, bounded.
fn report(ran: &Ran, task: &mut Task) {
    const LINES: usize = 100;
    for (mark, text) in [("", &ran.out), ("stderr: ", &ran.err)] {
        let mut lines = text.lines().filter(|line| !line.trim().is_empty());
        for line in lines.by_ref().take(LINES) {
            task.say(format!("{mark}{line}"));
        }
        let more = lines.count();
        if more > 0 {
            task.say(format!("{mark}… {} not shown", text::count(more, "line")));
        }
    }
}

/// After a command whose end nobody saw: a new connection, and a look.
async fn find_out(
    hands: &Hands,
    command: &OnMachine,
    before: &Facts,
    began: Timestamp,
    says: String,
    task: &mut Task,
) -> Done {
    match reach(hands, command).await {
        Err(refusal) => Done::unknown(format!("{says}; and looking fails too: {}", refusal.says)),
        Ok(reached) => {
            let done = match Facts::of(&reached.machine, command).await {
                Ok(after) if after.shows_effect(before, command) => {
                    task.say("no answer came, but a look shows that it took effect");
                    verify::verify(hands, command, before, &reached, began, task).await
                }
                Ok(_) => Done::unknown(format!("{says}; a look shows no effect so far, it may still come")),
                Err(none) => Done::unknown(format!("{says}; and looking fails too: {}", none.says)),
            };
            reached.machine.close().await;
            done
        }
    }
}
