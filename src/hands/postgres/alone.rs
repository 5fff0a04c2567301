//! One statement on a connection of its own, without the server's time limits: with progress, and stoppable. It
//! knows how a statement runs, not what it builds.

use std::time::Duration;

use tokio::time::Instant;

use super::{Failed, PATIENCE, armed, command, of, refused};
use crate::config::{DatabaseSession, DatabaseTarget, database_queries as queries};
use crate::guard::{Refusal, Warrant};
use crate::hands::Hands;
use crate::hands::task::Task;

const LOOK: Duration = Duration::from_secs(1);

/// How a statement on a connection of its own ended.
pub(super) enum Ran {
    Ended(Result<(), Failed>),
    /// We stopped it: called off, or out of patience.
    Stopped,
    /// It could not begin.
    Refused(Refusal),
}

/// Runs one statement alone, without the server's time limits, and reports its progress meanwhile.
pub(super) async fn alone(
    hands: &Hands,
    warrant: &Warrant,
    look: &DatabaseSession,
    statement: &str,
    patience: Duration,
    task: &mut Task,
) -> Ran {
    let target = match hands.outside.database(Some(hands.cluster.client())) {
        Ok(target) => target,
        Err(error) => return Ran::Refused(Refusal { says: error.why, repair: error.repair }),
    };
    let session = match armed(hands, warrant).await {
        Ok(session) => session,
        Err(refusal) => return Ran::Refused(refused(refusal)),
    };
    if let Err(Failed::Said(refusal)) =
        command(&session, "SET statement_timeout = 0; SET lock_timeout = 0", PATIENCE).await
    {
        return Ran::Refused(refused(refusal));
    }
    task.say("begun");
    let deadline = Instant::now() + patience;
    let token = session.client().cancel_token();
    let running = session.client().simple_query(statement);
    tokio::pin!(running);
    let mut stopped = false;
    loop {
        tokio::select! {
            ended = &mut running => {
                let ended = ended.map(drop).map_err(of);
                return match ended {
                    // 57014: cancelled, and it was we who asked.
                    Err(Failed::Said(refusal)) if stopped && refusal.code() == Some("57014") => Ran::Stopped,
                    ended => Ran::Ended(ended),
                };
            }
            () = tokio::time::sleep(LOOK) => {}
        }
        if (task.is_called_off() || Instant::now() >= deadline) && !stopped {
            stopped = true;
            stop(&target, &token, task).await;
        } else if stopped && Instant::now() >= deadline + PATIENCE * 2 {
            return Ran::Ended(Err(Failed::Silence));
        } else if let Some(says) = progress(look).await {
            task.say(says);
        }
    }
}

async fn stop(target: &DatabaseTarget, token: &tokio_postgres::CancelToken, task: &mut Task) {
    match target.cancel(token).await {
        Ok(()) => task.say("asked the server to stop it"),
        Err(refusal) => task.say(format!("it cannot be stopped: {}", refusal.into_error())),
    }
}

/// In tenths, so that a progress line is worth reading.
async fn progress(look: &DatabaseSession) -> Option<String> {
    let rows = look.ask(queries::BUILDING).await.ok()?;
    let row = rows.first()?;
    let count = |column: &str| row.number::<f64>(column).unwrap_or_default();
    let tenths = (count("blocks_done") / count("blocks_total").max(1.0) * 10.0).floor() * 10.0;
    let waits = match row.number::<i32>("waits_for") {
        Some(pid) if pid > 0 => format!(": waits for the transaction of pid {pid}"),
        _ if count("blocks_total") > 0.0 => format!(": {tenths:.0} %"),
        _ => String::new(),
    };
    Some(format!("{}{waits}", queries::name(row, "phase")))
}
