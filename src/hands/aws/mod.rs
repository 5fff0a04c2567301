//! Changes on AWS: planned against how things are, compared again before acting, verified by describing.
//! EC2 rehearses its calls itself (DryRun); elsewhere the difference is computed.

mod acl;
mod capacity;
mod database;
mod instance;
mod ip_set;
mod networks;
mod node_group;
mod on_node;
mod parameter;
mod plan;
mod port;
mod rate;
mod record;
mod secret;
mod volume;

use std::time::Duration;

use tokio::time::Instant;

use plan::{Plan, Receipt, Seen};

use super::Hands;
use super::difference::{Regard, content, diff, shown};
use super::done::Done;
use super::hazards;
use super::task::Task;
use crate::config::aws::{AwsError, AwsTrouble, Session};
use crate::domain::{Action, AwsCall, System, Timestamp};
use crate::guard::{Confirmation, Draft, Guard, Hazard, Refusal, Undo, Warrant};
use crate::probes::trouble::{Trouble, TroubleKind};

/// What AWS says of a thing is all state: every part of it counts.
const WHOLE: Regard = Regard { status: true, replicas: true };
/// Between two looks at what became of a change.
const PAUSE: Duration = Duration::from_secs(2);

pub(super) async fn draft(hands: &Hands, action: Action, at: Timestamp) -> Result<Draft, Refusal> {
    let call = call_of(&action)?.clone();
    let session = open(hands, &call).await?;
    let plan = plan::of(hands, &session, &call.does).await?;
    if call.left.as_ref().is_some_and(|left| *left != content(&plan.before, WHOLE)) {
        let says = format!("{} was changed since: undoing now would undo that too", plan.targets.join(", "));
        return Err(Refusal::new(says).repair("look at it, then choose the step you want"));
    }
    let mut hazards = plan.hazards.clone();
    hazards.push(who(&session, &plan).await?);
    if let Err(error) = plan::rehearse(&session, &call.does, &plan).await {
        hazards.push(Hazard::stop(Guard::Permission, format!("EC2's dry run says no: {error}")));
    }
    hazards.extend(hazards::protected(hands));
    hazards.sort_by_key(|hazard| std::cmp::Reverse(hazard.level));
    Ok(Draft {
        at,
        title: plan.title.clone(),
        targets: plan.targets.clone(),
        diff: diff(Some(&plan.before), Some(&plan.after), true),
        pins: Vec::new(),
        before: shown(&plan.before, true),
        undo: plan.undo.as_ref().map(|(does, says)| Undo {
            action: Action::Aws(AwsCall::new(call.region.clone(), does.clone())),
            says: says.clone(),
            left: Vec::new(),
        }),
        command: action.as_command(),
        confirmation: Confirmation::of(&action, &hazards),
        hazards,
        action,
    })
}

pub(super) async fn perform(hands: &Hands, warrant: &Warrant, task: &mut Task) -> Done {
    match act(hands, warrant, task).await {
        Ok(done) | Err(done) => done,
    }
}

async fn act(hands: &Hands, warrant: &Warrant, task: &mut Task) -> Result<Done, Done> {
    let call = call_of(warrant.action()).map_err(Done::refused)?;
    let session = open(hands, call).await.map_err(Done::refused)?;
    let plan = plan::of(hands, &session, &call.does).await.map_err(Done::refused)?;
    if shown(&plan.before, true) != warrant.preview().before {
        return Err(moved(hands, warrant, &plan).await);
    }
    if task.is_called_off() {
        return Err(Done::refused(Refusal::new("called off before anything was changed")));
    }
    let receipt = match plan::send(&session.once(), &call.does, &plan).await {
        Ok(receipt) => receipt,
        // Somebody changed it between our look and our call: AWS itself refused.
        Err(error) if error.kind == AwsTrouble::Conflict => {
            task.say(error.to_string());
            return Err(moved(hands, warrant, &plan).await);
        }
        Err(error) if error.kind == AwsTrouble::Unanswered => {
            task.say(format!("{}; looking whether it was done", error.says));
            let seen = watch(hands, &session, call, &plan, &Receipt::default(), task, PAUSE * 4).await;
            let Seen::Yes(says) = seen else {
                let says = format!("{}: {}; so far it does not show", plan.title, error.says);
                return Err(Done::unknown(says));
            };
            task.say("no answer came, but a look shows that it was done");
            return Ok(Done::performed(format!("{}: {says}", plan.title), undo(&session, call, &plan).await));
        }
        Err(error) => return Err(Done::failed(&trouble(&error))),
    };
    task.say(format!("sent: {}", plan.title));
    let patience = plan.patience.unwrap_or(hands.patience.rollout);
    let seen = watch(hands, &session, call, &plan, &receipt, task, patience).await;
    let undo = undo(&session, call, &plan).await;
    Ok(match seen {
        Seen::Yes(says) => Done::performed(format!("{}: {says}", plan.title), undo),
        Seen::NotYet(says) | Seen::No(says) => {
            Done::unverified(format!("{}: sent, but {says}", plan.title), undo)
        }
    })
}

/// Looks until it shows, it shows that it failed, or patience ends.
async fn watch(
    hands: &Hands,
    session: &Session,
    call: &AwsCall,
    plan: &Plan,
    receipt: &Receipt,
    task: &mut Task,
    patience: Duration,
) -> Seen {
    let deadline = Instant::now() + patience;
    loop {
        let last = match plan::look(hands, session, &call.does, plan, receipt).await {
            Ok(Seen::NotYet(says)) => says,
            Ok(seen) => return seen,
            Err(error) => format!("looking fails: {error}"),
        };
        task.say(&last);
        if task.is_called_off() {
            return Seen::NotYet(format!("watching was called off ({last})"));
        }
        if Instant::now() + PAUSE > deadline {
            return Seen::NotYet(last);
        }
        task.pause(PAUSE).await;
    }
}

/// The way back, pinned to how things were left.
async fn undo(session: &Session, call: &AwsCall, plan: &Plan) -> Option<Undo> {
    let (does, says) = plan.undo.clone()?;
    let left = plan::image(session, &does).await.ok().map(|image| content(&image, WHOLE));
    let action = Action::Aws(AwsCall { region: call.region.clone(), left, does });
    Some(Undo { action, says, left: Vec::new() })
}

async fn moved(hands: &Hands, warrant: &Warrant, plan: &Plan) -> Done {
    let says = format!("{} changed since you saw it; nothing was changed", plan.targets.join(", "));
    let refusal = Refusal::new(says).repair("look at the new preview");
    let fresh = draft(hands, warrant.action().clone(), (hands.clock)()).await.ok();
    Done::moved(refusal, fresh.map(|draft| warrant.seal(draft)))
}

/// Whose account it is in; refused when that is not the machine's.
async fn who(session: &Session, plan: &Plan) -> Result<Hazard, Refusal> {
    let identity = session.identity().await.map_err(refusal)?;
    if let Some(owner) = plan.owner.as_ref().filter(|owner| **owner != identity.account) {
        let says = format!("the machine belongs to account {owner}, and you act in {}", identity.account);
        return Err(Refusal::new(says).repair("choose the profile of that account: [aws] profile"));
    }
    let says = format!("in account {}, {}, as {}", identity.account, session.region, identity.arn);
    Ok(Hazard::note(Guard::Permission, says))
}

async fn open(hands: &Hands, call: &AwsCall) -> Result<Session, Refusal> {
    let Some(aws) = &hands.outside.aws else {
        return Err(Refusal::new("AWS is not configured").repair(System::Aws.configure()));
    };
    let fallback = hands.outside.database_region();
    let region = call.region.as_deref().or(fallback.as_deref().filter(|_| !call.does.is_on_node()));
    let session = if call.does.is_on_node() {
        aws.session_at(region, hands.clock).await
    } else {
        aws.session(region, hands.clock).await
    };
    session.map_err(refusal)
}

fn call_of(action: &Action) -> Result<&AwsCall, Refusal> {
    match action {
        Action::Aws(call) => Ok(call),
        _ => Err(Refusal::new("this is not an action on AWS")),
    }
}

/// A trouble met before anything was sent.
fn refusal(error: AwsError) -> Refusal {
    Refusal { says: error.says, repair: error.repair }
}

fn trouble(error: &AwsError) -> Trouble {
    let kind = match error.kind {
        AwsTrouble::Credentials | AwsTrouble::Forbidden => TroubleKind::Forbidden,
        AwsTrouble::Absent => TroubleKind::Absent,
        AwsTrouble::Conflict => TroubleKind::Conflict,
        AwsTrouble::Throttled => TroubleKind::TooMany,
        AwsTrouble::Unanswered => TroubleKind::Unanswered,
        AwsTrouble::NotConfigured | AwsTrouble::Elsewhere | AwsTrouble::Refused => TroubleKind::Refused,
    };
    Trouble { kind, says: error.says.clone(), repair: error.repair.clone() }
}
