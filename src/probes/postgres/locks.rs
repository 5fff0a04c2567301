//! Open transactions, and who waits for whose locks.

use std::time::Duration;

use super::rights;
use crate::config::{DatabaseRefusal, DatabaseSession, database_queries as queries};
use crate::domain::{LockRoot, Tone, cause, lock_roots, lock_tree, text};
use crate::probes::answer::{Answer, columns};

/// One execution that takes longer than this is a runaway in an application that serves requests.
const LONG: Duration = Duration::from_mins(1);

pub(super) async fn transactions(session: &DatabaseSession) -> Result<Answer, DatabaseRefusal> {
    let rows = session.ask(queries::TRANSACTIONS).await?;
    let mut answer = Answer::new();
    let mut table = vec![
        ["pid", "open for", "state", "waits for", "application", "role", "last statement"]
            .map(str::to_owned)
            .to_vec(),
    ];
    table.extend(rows.iter().map(|row| {
        let name = |column: &str| queries::name(row, column).to_string();
        vec![
            name("pid"),
            row.seconds("xact_age_s").map(text::span).unwrap_or_default(),
            name("state"),
            name("wait_event"),
            name("application_name"),
            name("usename"),
            queries::query(row.text("query")),
        ]
    }));
    if rows.is_empty() {
        answer.summary("no transaction is open beside this look");
    } else {
        answer.lines(columns(&table).into_iter().map(|line| (Tone::Plain, line)));
        let oldest = rows.first().and_then(|row| row.seconds("xact_age_s")).unwrap_or_default();
        answer.summary(format!(
            "{} open, the oldest for {}",
            text::count(rows.len(), "transaction"),
            text::span(oldest)
        ));
    }
    // The longest that really works, not one that waits for somebody else.
    let long =
        rows.iter().filter(|row| row.text("state") == "active" && row.text("wait_event_type") != "Lock");
    let long = long.filter_map(|row| Some((row.seconds("query_age_s")?, row)));
    if let Some((age, row)) = long.max_by_key(|(age, _)| *age).filter(|(age, _)| *age > LONG) {
        let words = queries::query(row.text("query"));
        answer.found(
            cause::LONG_QUERY,
            format!("pid {} has been running for {}: {words}", row.text("pid"), text::span(age)),
        );
    }
    rights(session, &mut answer).await;
    Ok(answer)
}

pub(super) async fn tree(session: &DatabaseSession) -> Result<Answer, DatabaseRefusal> {
    let rows = session.ask(queries::LOCKS).await?;
    let locked: Vec<_> = rows.iter().filter_map(queries::locked).collect();
    let mut answer = Answer::new();
    for (depth, row) in lock_tree(&locked) {
        let tone = if depth == 0 { Tone::Bad } else { Tone::Plain };
        let lead = if depth == 0 { String::new() } else { format!("{}└ ", "  ".repeat(depth - 1)) };
        answer.line(tone, format!("{lead}{}", line(&row.session)));
    }
    if locked.iter().any(|row| row.blocked_by.contains(&0)) {
        answer.line(
            Tone::Bad,
            "a prepared transaction holds locks: see pg_prepared_xacts, then COMMIT or ROLLBACK PREPARED",
        );
    }
    let roots = lock_roots(&locked);
    match roots.first() {
        None if locked.is_empty() => answer.summary("nobody waits for a lock"),
        None => answer.summary("sessions wait for locks, and no session is at the root"),
        Some(root) => {
            let says = root_says(root);
            answer.found(cause::LOCK_CHAIN, &says);
            let root = LockRoot::to_be_ended(&roots).unwrap_or(root);
            answer.bind("lock_root_superuser", root.only_by());
            answer.bind("lock_root", root.pid.to_string());
            answer.bind("lock_root_state", root_state(root));
            answer.bind("lock_waiters", root.blocked.to_string());
            answer.summary(says);
        }
    }
    rights(session, &mut answer).await;
    Ok(answer)
}

/// `idle` or `active`: a cancel does nothing to the former.
fn root_state(root: &LockRoot) -> &'static str {
    if &*root.state == "active" { "active" } else { "idle" }
}

fn root_says(root: &LockRoot) -> String {
    let since = root.transaction.map(|age| format!(", {}", text::span(age))).unwrap_or_default();
    format!(
        "pid {} ({}, {}{since}) blocks {}",
        root.pid,
        if root.application.is_empty() { &root.role } else { &root.application },
        root.state,
        text::count(root.blocked as usize, "session")
    )
}

fn line(session: &LockRoot) -> String {
    format!(
        "{} {}{}@{} {} {}{}: {}",
        session.pid,
        session.role,
        if session.superuser { " (superuser)" } else { "" },
        session.database,
        session.application,
        session.state,
        session.transaction.map(|age| format!(" for {}", text::span(age))).unwrap_or_default(),
        session.query
    )
}
