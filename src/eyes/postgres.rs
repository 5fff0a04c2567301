//! The database's capacity and activity, asked each few seconds on one kept-open, read-only connection, which
//! goes on answering when no slot is left for others. A refusal for lack of slots (53300) is itself an
//! observation; every other failure is blindness, in words.

mod activity;

use std::time::Duration;

use tokio::time::timeout;

use super::api_server::{Sessions, session};
use super::kubernetes::names::says;
use super::tell::{Backoff, Tell, Unheard};
use crate::config::{
    ConnectError, DatabaseRefusal, DatabaseSession, DatabaseTarget, DatabaseWay, Outside, Settings,
    database_queries as queries,
};
use crate::domain::{BlindKind, Capacity, Database, Fact, Origin};
use activity::Watching;
pub(super) use activity::{unexplained, unseen};

const EVERY: Duration = Duration::from_secs(5);

/// Looks for ever.
pub(super) async fn watch(settings: Settings, mut sessions: Sessions, tell: Tell) {
    let target = match target(&settings) {
        Ok(target) => target,
        Err(error) => {
            let _ = tell.blind(Origin::Postgres, error).await;
            return;
        }
    };
    let cpus = settings.database_cpus.as_deref().and_then(|text| text.trim().parse().ok());
    let mut backoff = Backoff::new(Duration::from_secs(2), Duration::from_secs(30));
    if let DatabaseWay::PortForward { .. } = target.way() {
        // Nothing is wrong yet while the cluster is still being connected to.
        let _ = timeout(EVERY, session(&mut sessions)).await;
    }
    loop {
        let target = match carried(&target, &sessions) {
            Ok(target) => target,
            Err(error) => {
                if tell.blind(Origin::Postgres, error).await.is_err() {
                    return;
                }
                tell.rest(backoff.next()).await;
                continue;
            }
        };
        let ended = match target.look().await {
            Ok(session) => follow(&session, cpus, &tell, &mut backoff).await,
            Err(refusal) => Ok(refusal),
        };
        let wait = match ended {
            Err(Unheard) => return,
            Ok(DatabaseRefusal::Exhausted(message)) => {
                let fact = Fact::Database(Database::Exhausted { message: says(&message) });
                if tell.fact(Origin::Postgres, fact).await.is_err() {
                    return;
                }
                EVERY
            }
            Ok(refusal) => {
                if tell.blind(Origin::Postgres, refusal.into_error()).await.is_err() {
                    return;
                }
                backoff.next()
            }
        };
        tell.rest(wait).await;
    }
}

/// The database that the settings mean.
pub(super) fn target(settings: &Settings) -> Result<DatabaseTarget, ConnectError> {
    Outside::of(settings).database(None).map_err(|error| match error.kind {
        BlindKind::NotConfigured => {
            let repair = "set DATABASE_URL to a role that may read pg_stat_activity (pg_monitor)";
            ConnectError::new(BlindKind::NotConfigured, "no database was given", repair)
        }
        _ => error,
    })
}

/// With the cluster that carries its port-forward, as soon as that is reached.
fn carried(target: &DatabaseTarget, sessions: &Sessions) -> Result<DatabaseTarget, ConnectError> {
    let client = sessions.borrow().as_ref().map(|reached| reached.client.clone());
    match (target.way(), &client) {
        (DatabaseWay::PortForward { .. }, None) => Err(ConnectError::new(
            BlindKind::Unreachable,
            "the API server that carries the port-forward to the database is not reached",
            "see the row of the API server",
        )),
        _ => Ok(target.clone().through(client)),
    }
}

/// Until the connection breaks.
async fn follow(
    session: &DatabaseSession,
    cpus: Option<f64>,
    tell: &Tell,
    backoff: &mut Backoff,
) -> Result<DatabaseRefusal, Unheard> {
    let mut ticks = tell.beat(EVERY);
    let mut watching = Watching::new(cpus);
    loop {
        ticks.tick().await;
        let capacity = match capacity(session).await {
            Ok(capacity) => capacity,
            Err(refusal) => return Ok(refusal),
        };
        backoff.reset();
        tell.fact(Origin::Postgres, Fact::Database(Database::Capacity(capacity))).await?;
        match watching.look(session, &capacity, tell.now()).await {
            Ok(activity) => {
                tell.fact(Origin::Postgres, Fact::Database(Database::Activity(Box::new(activity)))).await?;
            }
            Err(refusal) => return Ok(refusal),
        }
    }
}

/// One look at the slots.
pub(super) async fn capacity(session: &DatabaseSession) -> Result<Capacity, DatabaseRefusal> {
    let rows = session.ask(queries::CAPACITY).await?;
    let row = rows.first().ok_or_else(|| {
        let error = ConnectError::new(BlindKind::Broken, "the database's answer has no row", "");
        DatabaseRefusal::Unreached(error)
    })?;
    let count = |column: &str| row.number(column).unwrap_or_default();
    Ok(Capacity {
        max_connections: count("max_conn"),
        reserved: count("reserved"),
        used: count("used"),
        active: count("active"),
        idle: count("idle"),
        idle_in_transaction: count("idle_in_tx"),
        lock_waiters: count("lock_waiters"),
        on_cpu: count("on_cpu"),
        oldest_transaction: row.seconds("oldest_xact_s"),
    })
}
