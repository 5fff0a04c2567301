//! Hands on PostgreSQL: sessions, indexes, settings of roles, accounts. A preview looks on the session that can
//! only look; a connection that can write is opened with a warrant in hand, for one action, and closed again.

mod alone;
mod indexes;
mod roles;
mod sessions;
mod table;
mod users;

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::time::timeout;
use tokio_postgres::types::{ToSql, Type};

use super::Hands;
use super::done::Done;
use super::hazards;
use super::task::Task;
use crate::config::{DatabaseRefusal, DatabaseRow, DatabaseSession, identifier};
use crate::domain::{Action, Sql, Timestamp};
use crate::guard::{Confirmation, DiffTone, Draft, Hazard, Refusal, Undo, Warrant};
use crate::probes::trouble::{Trouble, TroubleKind};

/// What a session for one change may do, and for how long it may hold what it takes.
const ACTING: &str = "-c statement_timeout=5000 -c lock_timeout=1000 -c idle_in_transaction_session_timeout=30000 -c intervalstyle=postgres";
/// One statement and its answer.
const PATIENCE: Duration = Duration::from_secs(7);

/// What would happen.
pub(super) async fn draft(hands: &Hands, sql: Sql, at: Timestamp) -> Result<Draft, Refusal> {
    match &sql {
        Sql::TerminateSessions { .. } | Sql::CancelQueries { .. } => sessions::draft(hands, &sql, at).await,
        Sql::CreateIndex { table, columns, index } => {
            indexes::draft_create(hands, (table, columns, index.as_ref()), at).await
        }
        Sql::DropIndex { index } => indexes::draft_drop(hands, &sql, index, at).await,
        Sql::SetRoleSetting { .. } => roles::draft(hands, &sql, at).await,
        Sql::DisableUsers { .. } | Sql::EnableUsers { .. } => users::draft(hands, &sql, at).await,
        _ => Err(Refusal::new("a read needs no hands")),
    }
}

/// Does it.
pub(super) async fn perform(hands: &Hands, warrant: &Warrant, sql: &Sql, task: &mut Task) -> Done {
    if task.is_called_off() {
        return Done::refused(Refusal::new("called off before anything was written"));
    }
    match sql {
        Sql::TerminateSessions { .. } | Sql::CancelQueries { .. } => {
            sessions::perform(hands, warrant, sql, task).await
        }
        Sql::CreateIndex { table, columns, index } => {
            indexes::create(hands, warrant, (table, columns, index.as_ref()), task).await
        }
        Sql::DropIndex { index } => indexes::remove(hands, warrant, index, task).await,
        Sql::SetRoleSetting { .. } => roles::perform(hands, warrant, sql, task).await,
        Sql::DisableUsers { .. } | Sql::EnableUsers { .. } => users::perform(hands, warrant, sql, task).await,
        _ => Done::refused(Refusal::new("a read needs no hands")),
    }
}

/// The session that can only look, for previews and for verifying.
async fn looking(hands: &Hands) -> Result<Arc<DatabaseSession>, Refusal> {
    hands.outside.database_session(Some(hands.cluster.client())).await.map_err(refused)
}

/// A connection that can write, for what the warrant allows.
async fn armed(hands: &Hands, _: &Warrant) -> Result<DatabaseSession, DatabaseRefusal> {
    let target = hands.outside.database(Some(hands.cluster.client())).map_err(DatabaseRefusal::NoWay)?;
    target.open(ACTING).await
}

/// A draft with everything that does not depend on the kind of change.
fn drafted(hands: &Hands, sql: Sql, at: Timestamp, parts: Parts) -> Draft {
    let action = Action::Postgres(sql);
    let mut found = parts.hazards;
    found.extend(hazards::protected(hands));
    Draft {
        at,
        title: parts.title,
        targets: parts.targets,
        diff: parts.diff,
        pins: Vec::new(),
        before: parts.before,
        undo: parts.undo,
        command: action.as_command(),
        confirmation: Confirmation::of(&action, &found),
        hazards: found,
        action,
    }
}

/// What a kind of change says of itself.
#[derive(Default)]
struct Parts {
    title: String,
    targets: Vec<String>,
    diff: Vec<(DiffTone, String)>,
    hazards: Vec<Hazard>,
    before: Value,
    undo: Option<Undo>,
}

/// A way back without Kubernetes objects to pin: its own draft looks whether anybody moved what it means.
fn way_back(sql: Sql, says: impl Into<String>) -> Undo {
    Undo { action: Action::Postgres(sql), says: says.into(), left: Vec::new() }
}

/// Statement in, rows of text out, within the deadline.
async fn run(
    session: &DatabaseSession,
    sql: &str,
    values: &[(&(dyn ToSql + Sync), Type)],
) -> Result<Vec<DatabaseRow>, Failed> {
    match timeout(PATIENCE, session.client().query_typed(sql, values)).await {
        Ok(Ok(rows)) => DatabaseRow::of(&rows).map_err(Failed::Said),
        Ok(Err(error)) => Err(of(error)),
        Err(_) => Err(Failed::Silence),
    }
}

/// A statement without an answer, by the simple protocol: DDL takes no bound values.
async fn command(session: &DatabaseSession, sql: &str, patience: Duration) -> Result<(), Failed> {
    match timeout(patience, session.client().simple_query(sql)).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(of(error)),
        Err(_) => Err(Failed::Silence),
    }
}

/// What came of a statement that was sent.
enum Failed {
    /// The server said no: nothing was done.
    Said(DatabaseRefusal),
    /// No answer, or the connection broke: it may have been done.
    Silence,
}

fn of(error: tokio_postgres::Error) -> Failed {
    match DatabaseRefusal::of(error) {
        DatabaseRefusal::Unreached(_) | DatabaseRefusal::NoWay(_) => Failed::Silence,
        said => Failed::Said(said),
    }
}

/// The server's no to a change. 42501 names the right that is missing.
fn failed(refusal: DatabaseRefusal, right: &str) -> Done {
    let denied = refusal.code() == Some("42501");
    let error = refusal.into_error();
    Done::failed(&Trouble {
        kind: if denied { TroubleKind::Forbidden } else { TroubleKind::Refused },
        says: error.why,
        repair: if denied { Some(right.to_owned()) } else { error.repair },
    })
}

fn refused(refusal: DatabaseRefusal) -> Refusal {
    let error = refusal.into_error();
    Refusal { says: error.why, repair: error.repair }
}

/// `1 session is`, `2 sessions are`.
fn are(number: usize, what: &str) -> String {
    format!("{} {}", crate::domain::text::count(number, what), if number == 1 { "is" } else { "are" })
}

/// A name made safe, or why it is left to psql.
fn name(name: &str) -> Result<String, Refusal> {
    identifier(name).map_err(|why| Refusal::new(why).repair("change such objects with psql"))
}

/// The world moved since the preview: nothing was written, here is what would happen now.
async fn moved(hands: &Hands, warrant: &Warrant, says: String) -> Done {
    let refusal = Refusal::new(format!("{says}; nothing was changed")).repair("look at the new preview");
    let fresh = match warrant.action() {
        Action::Postgres(sql) => draft(hands, sql.clone(), (hands.clock)()).await.ok(),
        _ => None,
    };
    Done::moved(refusal, fresh.map(|draft| warrant.seal(draft)))
}
