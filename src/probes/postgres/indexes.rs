//! Indexes that are being built, how far they are, and those that were never finished.

use crate::config::{DatabaseRefusal, DatabaseRow, DatabaseSession, database_queries as queries};
use crate::domain::{Tone, cause, text};
use crate::probes::answer::Answer;

pub(super) async fn state(session: &DatabaseSession) -> Result<Answer, DatabaseRefusal> {
    let mut answer = Answer::new();
    let building = session.ask(queries::BUILDING).await?;
    for row in &building {
        answer.line(Tone::Plain, progress(row));
    }
    let invalid = session.ask(queries::INVALID).await?;
    let name = |row: &DatabaseRow| match row.text("schema_name") {
        "public" => queries::name(row, "index_name").to_string(),
        schema => format!("{}.{}", text::clean(schema), queries::name(row, "index_name")),
    };
    for row in &invalid {
        let says = format!("{} on {} is INVALID", name(row), queries::name(row, "table_name"));
        answer.line(Tone::Bad, says);
    }
    if let Some(first) = invalid.first() {
        let says =
            format!("the index {} was never finished: drop it first, then build it again", name(first));
        answer.found(cause::INVALID_INDEX, &says);
        answer.bind("invalid_index", name(first));
        let owner = Some(first).filter(|row| row.text("owns") == "f").map(|row| queries::name(row, "owner"));
        answer.bind("invalid_index_owner", owner.unwrap_or_default());
        answer.summary(says);
    } else if let Some(first) = building.first() {
        answer.summary(progress(first));
    } else {
        answer.summary("no index is being built, and all are valid");
    }
    Ok(answer)
}

/// How far an index is: `users: building index: scanning table, 42 %`.
fn progress(row: &DatabaseRow) -> String {
    let count = |column: &str| row.number::<f64>(column).unwrap_or_default();
    let share = match count("blocks_total") {
        total if total > 0.0 => format!(", {:.0} %", count("blocks_done") / total * 100.0),
        _ => String::new(),
    };
    let waits = match row.number::<i32>("waits_for") {
        Some(pid) if pid > 0 => format!(", waits for the transaction of pid {pid}"),
        _ => String::new(),
    };
    format!("{}: {}{share}{waits}", queries::name(row, "table_name"), queries::name(row, "phase"))
}
