//! Slots and who holds them, the settings that decide about them, and how far replicas are behind.

use super::rights;
use crate::config::{DatabaseRefusal, DatabaseSession, database_queries as queries};
use crate::domain::{ConnectionLimit, Tone, cause, text};
use crate::probes::answer::{Answer, columns};

/// The settings that explain most (audit, D31).
const SETTINGS: &str = "/* covet:settings */ SELECT name, setting, unit, context, pending_restart FROM pg_settings \
WHERE name IN ('max_connections','superuser_reserved_connections','reserved_connections',\
'rds.rds_superuser_reserved_connections','shared_buffers','work_mem','statement_timeout','lock_timeout',\
'idle_in_transaction_session_timeout','idle_session_timeout','log_min_duration_statement',\
'shared_preload_libraries','server_version') ORDER BY name";

/// From this share of its own limit on a role or a database is worth a word (the rule's own threshold).
const CLOSE: f64 = 0.9;
/// A replica this far behind can still answer reads (audit, section 4).
const LAG: f64 = 1.0;

pub(super) async fn capacity(session: &DatabaseSession) -> Result<Answer, DatabaseRefusal> {
    let mut answer = Answer::new();
    let rows = session.ask(queries::CAPACITY).await?;
    let Some(row) = rows.first() else { return Ok(Answer::failed("the database's answer has no row")) };
    let count = |column: &str| row.number::<u32>(column).unwrap_or_default();
    let (used, usable) = (count("used"), count("max_conn").saturating_sub(count("reserved")));
    answer.line(
        if used * 10 >= usable * 8 { Tone::Bad } else { Tone::Good },
        format!(
            "{used} of {usable} usable slots in use ({} in all, {} reserved)",
            count("max_conn"),
            count("reserved")
        ),
    );
    answer.line(
        Tone::Plain,
        format!(
            "{} active ({} on a CPU), {} idle, {} idle in transaction, {} waiting for locks",
            count("active"),
            count("on_cpu"),
            count("idle"),
            count("idle_in_tx"),
            count("lock_waiters")
        ),
    );
    let clients = session.ask(queries::CLIENTS).await?;
    let mut table = vec![
        ["slots", "state", "for at most", "application", "role", "database", "from"]
            .map(str::to_owned)
            .to_vec(),
    ];
    table.extend(clients.iter().map(|row| {
        let name = |column: &str| queries::name(row, column).to_string();
        vec![
            name("count"),
            name("state"),
            row.seconds("max_in_state_s").map(text::span).unwrap_or_default(),
            name("application_name"),
            name("usename"),
            name("datname"),
            name("client_addr"),
        ]
    }));
    answer.lines(columns(&table).into_iter().map(|line| (Tone::Plain, line)));
    let limits = session.ask(queries::LIMITS).await?;
    let limits: Vec<ConnectionLimit> = limits.iter().filter_map(queries::limit).collect();
    for limit in &limits {
        answer.line(if limit.fill() >= CLOSE { Tone::Bad } else { Tone::Plain }, limit.says());
    }
    rights(session, &mut answer).await;
    let stuck: u32 = clients
        .iter()
        .filter(|row| row.text("state").starts_with("idle in transaction"))
        .filter_map(|row| row.number::<u32>("over_5m"))
        .sum();
    let mut says = format!("{used} of {usable} usable slots in use");
    if stuck > 0 {
        let idle =
            format!("{} idle in a transaction for over 5 minutes", text::count(stuck as usize, "session"));
        answer.found(cause::IDLE_IN_TRANSACTION, &idle);
        says.push_str(&format!("; {idle}"));
    } else if let Some(first) = clients.first() {
        says.push_str(&format!(
            "; {} {} by {}",
            first.text("count"),
            queries::name(first, "state"),
            queries::name(first, "application_name")
        ));
    }
    if let Some(limit) = limits.first().filter(|limit| limit.fill() >= CLOSE) {
        answer.found(cause::CONNECTION_LIMIT, limit.says());
        answer.bind("connection_limit_command", limit.raised_by());
        says = format!("{}; {says}", limit.says());
    }
    answer.bind("connections_used", used.to_string());
    answer.bind("connections_usable", usable.to_string());
    answer.summary(says);
    Ok(answer)
}

pub(super) async fn settings(session: &DatabaseSession) -> Result<Answer, DatabaseRefusal> {
    let rows = session.ask(SETTINGS).await?;
    let mut answer = Answer::new();
    let mut table = Vec::new();
    let mut notes = Vec::new();
    for row in &rows {
        let (name, value) = (row.text("name"), row.text("setting"));
        let value = format!("{value} {}", row.text("unit"));
        table.push(vec![
            queries::name(row, "name").to_string(),
            value.trim().to_owned(),
            row.text("context").into(),
        ]);
        if row.text("pending_restart") == "t" {
            notes.push(format!("{name} was changed and waits for a restart of the server"));
        }
        if name == "idle_in_transaction_session_timeout" && row.text("setting") == "0" {
            notes
                .push("idle_in_transaction_session_timeout is off: leaked transactions stay for ever".into());
        }
    }
    answer.lines(columns(&table).into_iter().map(|line| (Tone::Plain, line)));
    answer.lines(notes.iter().map(|note| (Tone::Bad, note.clone())));
    let limit = rows.iter().find(|row| row.text("name") == "max_connections").map(|row| row.text("setting"));
    if let Some(limit) = limit {
        answer.bind("max_connections", limit);
    }
    answer.summary(notes.first().cloned().unwrap_or_else(|| {
        format!("max_connections is {}; nothing waits for a restart", limit.unwrap_or("not to be seen"))
    }));
    Ok(answer)
}

pub(super) async fn replicas(session: &DatabaseSession) -> Result<Answer, DatabaseRefusal> {
    let rows = session.ask(queries::REPLICAS).await?;
    let mut answer = Answer::new();
    let mut worst: Option<f64> = None;
    for row in &rows {
        // A replica with nothing to replay says nothing: it is up to date.
        let lag: f64 = row.number("replay_lag_s").unwrap_or_default();
        worst = Some(worst.map_or(lag, |worst| worst.max(lag)));
        answer.line(
            if lag < LAG { Tone::Good } else { Tone::Bad },
            format!(
                "{} at {}: {}, {lag:.1} s behind",
                queries::name(row, "application_name"),
                queries::name(row, "client_addr"),
                queries::name(row, "state")
            ),
        );
    }
    match worst {
        None => {
            answer.not_ok();
            answer
                .summary("no replica streams from this server (Aurora shows its readers in CloudWatch only)");
        }
        Some(lag) => {
            answer.bind("replica_lag_seconds", format!("{lag:.1}"));
            if lag >= LAG {
                answer.not_ok();
            }
            answer.summary(format!("{}, {lag:.1} s behind at most", text::count(rows.len(), "replica")));
        }
    }
    Ok(answer)
}
