//! The sessions that a pick means, one by one: exactly those a hand would act upon.

use std::time::Duration;

use tokio_postgres::types::Type;

use crate::config::{DatabaseRefusal, DatabaseRow, DatabaseSession, database_queries as queries};
use crate::domain::{Name, Pick, SessionTarget, Tone, text};
use crate::probes::answer::Answer;

/// A session as it was seen.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Picked {
    pub target: SessionTarget,
    /// In one line: who it is, what it does and since when.
    pub says: String,
    pub role: Name,
    /// `app@shop shop-web`.
    pub who: String,
    pub state: String,
    /// How long it has been so.
    pub age: Duration,
    /// What it runs, or ran last.
    pub query: String,
    /// Superusers are never touched.
    pub is_super: bool,
    /// Our role may signal it.
    pub may_signal: bool,
}

pub(crate) async fn picked(session: &DatabaseSession, pick: &Pick) -> Result<Vec<Picked>, DatabaseRefusal> {
    let role = pick.role.as_deref();
    let older = pick.older.as_secs_f64();
    let rows = session
        .ask_with(&queries::picked(pick.which), &[(&role, Type::TEXT), (&older, Type::FLOAT8)])
        .await?;
    Ok(rows.iter().filter_map(of).collect())
}

fn of(row: &DatabaseRow) -> Option<Picked> {
    let name = |column: &str| queries::name(row, column);
    let target = SessionTarget {
        pid: row.number("pid")?,
        backend_start: row.moment("backend_start")?,
        since: row.moment("since")?,
    };
    let age = row.seconds("age_s").unwrap_or_default();
    let who = format!("{}@{} {}", name("usename"), name("datname"), name("application_name"));
    let query = queries::query(row.text("query"));
    let from = match name("client_addr") {
        local if local.is_empty() => "a local socket".into(),
        address => address,
    };
    let says =
        format!("pid {} {who} from {from}: {} for {}: {query}", target.pid, name("state"), text::span(age));
    Some(Picked {
        target,
        says,
        role: name("usename"),
        who,
        state: name("state").to_string(),
        age,
        query,
        is_super: row.text("is_super") == "true",
        may_signal: row.text("may_signal") == "true",
    })
}

pub(super) async fn read(session: &DatabaseSession, pick: &Pick) -> Result<Answer, DatabaseRefusal> {
    let found = picked(session, pick).await?;
    let mut answer = Answer::new();
    for row in &found {
        let (tone, note) = match (row.is_super, row.may_signal) {
            (true, _) => (Tone::Dim, " (a superuser's: never touched)"),
            (false, false) => (Tone::Dim, " (our role may not signal it)"),
            (false, true) => (Tone::Plain, ""),
        };
        answer.line(tone, format!("{}{note}", row.says));
    }
    let ours = found.iter().filter(|row| !row.is_super).count();
    answer.bind("picked_sessions", ours.to_string());
    answer.summary(match ours {
        0 => format!("no session is {} for {} or more", pick.which.says(), text::span(pick.older)),
        some => format!("{} {}", text::count(some, "session"), pick.which.says()),
    });
    Ok(answer)
}
