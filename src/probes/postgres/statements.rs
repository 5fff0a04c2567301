//! Which statements the time goes to, by two looks at what the server counts; and which tables are read whole.

use std::collections::HashMap;
use std::time::Duration;

use crate::config::{DatabaseRefusal, DatabaseRow, DatabaseSession, database_queries as queries};
use crate::domain::{Tone, cause, text};
use crate::probes::answer::{Answer, columns};

/// How long the two looks may be apart: a read must not hang.
const LONGEST: Duration = Duration::from_secs(30);
const TOP: usize = 10;
/// Seconds of statements per second below which it does not matter what they are.
const IDLE: f64 = 0.1;
/// One statement with more than this share of the time is the one to look at (audit, section 4).
const HOT: f64 = 0.5;

struct Spent {
    query: i64,
    milliseconds: f64,
    calls: f64,
    rows: f64,
    blocks: f64,
}

pub(super) async fn expensive(session: &DatabaseSession, apart: Duration) -> Result<Answer, DatabaseRefusal> {
    let before = session.ask(queries::STATEMENTS).await?;
    let apart = apart.clamp(Duration::from_secs(1), LONGEST);
    tokio::time::sleep(apart).await;
    let after = session.ask(queries::STATEMENTS).await?;
    let own = session.ask(queries::OWN_STATEMENTS).await?;
    let is_own = |row: &Spent| own.iter().any(|one| one.number("queryid") == Some(row.query));
    let mut spent = spent(&before, &after);
    spent.retain(|row| !is_own(row));
    let all: f64 = spent.iter().map(|row| row.milliseconds).sum();
    spent.sort_by(|one, other| other.milliseconds.total_cmp(&one.milliseconds));
    spent.truncate(TOP);
    let mut answer = Answer::new();
    if all <= 0.0 {
        answer.summary(format!("no statement ended within {}", text::span(apart)));
        return Ok(answer);
    }
    let mut table = vec![
        ["share", "calls/s", "mean", "rows/call", "blocks read", "id", "statement"]
            .map(str::to_owned)
            .to_vec(),
    ];
    let mut texts = Vec::new();
    for row in spent.iter().filter(|row| row.milliseconds > 0.0) {
        let found = session.ask(&queries::statement_text(row.query)).await?;
        let words = found.first().map(|row| queries::query(row.text("query"))).unwrap_or_default();
        table.push(vec![
            format!("{:.0} %", row.milliseconds / all * 100.0),
            format!("{:.1}", row.calls / apart.as_secs_f64()),
            format!("{:.1} ms", row.milliseconds / row.calls.max(1.0)),
            format!("{:.0}", row.rows / row.calls.max(1.0)),
            format!("{:.0}", row.blocks),
            row.query.to_string(),
            words.clone(),
        ]);
        texts.push(words);
    }
    answer.lines(columns(&table).into_iter().map(|line| (Tone::Plain, line)));
    let (Some(top), Some(words)) = (spent.first(), texts.first()) else { return Ok(answer) };
    let share = top.milliseconds / all;
    let says = format!("{:.0} % of the time goes to: {words}", share * 100.0);
    let load = all / 1000.0 / apart.as_secs_f64();
    if load < IDLE {
        answer.summary(format!("the statements of {} took {all:.0} ms: next to nothing", text::span(apart)));
        return Ok(answer);
    }
    if share > HOT {
        answer.found(cause::HOT_QUERY, &says);
    } else {
        let spread = format!("no statement has more than {:.0} % of the time", share * 100.0);
        answer.found(cause::LOAD_SPREAD, spread);
    }
    // A busy server spends more than a second a second: sessions work side by side.
    answer.bind("database_load", format!("{load:.1}"));
    answer.bind("top_query", top.query.to_string());
    answer.bind("top_query_share", format!("{:.0}", share * 100.0));
    answer.summary(says);
    Ok(answer)
}

/// What each statement cost between two looks. Counters that shrank were reset.
fn spent(before: &[DatabaseRow], after: &[DatabaseRow]) -> Vec<Spent> {
    let number = |row: &DatabaseRow, column: &str| row.number::<f64>(column).unwrap_or_default();
    let earlier: HashMap<&str, &DatabaseRow> = before.iter().map(|row| (row.text("queryid"), row)).collect();
    after
        .iter()
        .filter_map(|row| {
            let then = earlier.get(row.text("queryid"));
            let delta =
                |column: &str| (number(row, column) - then.map_or(0.0, |then| number(then, column))).max(0.0);
            Some(Spent {
                query: row.number("queryid")?,
                milliseconds: delta("total_ms"),
                calls: delta("calls"),
                rows: delta("rows"),
                blocks: delta("blocks_read"),
            })
        })
        .collect()
}

pub(super) async fn tables(session: &DatabaseSession) -> Result<Answer, DatabaseRefusal> {
    let rows = session.ask(queries::TABLES).await?;
    let mut answer = Answer::new();
    let mut table =
        vec![["table", "read whole", "rows so read", "by index", "rows", "size"].map(str::to_owned).to_vec()];
    table.extend(rows.iter().map(|row| {
        vec![
            format!("{}.{}", queries::name(row, "schemaname"), queries::name(row, "relname")),
            row.text("seq_scan").to_owned(),
            row.text("seq_tup_read").to_owned(),
            row.text("idx_scan").to_owned(),
            row.text("n_live_tup").to_owned(),
            row.number("bytes").map(text::bytes).unwrap_or_default(),
        ]
    }));
    if rows.is_empty() {
        answer.summary("this database has no tables of its own");
        return Ok(answer);
    }
    answer.lines(columns(&table).into_iter().map(|line| (Tone::Plain, line)));
    let most = rows.first().map(|row| {
        format!(
            "{} was read whole {} times, {} rows in all",
            queries::name(row, "relname"),
            row.text("seq_scan"),
            row.text("seq_tup_read")
        )
    });
    answer.summary(most.unwrap_or_default());
    Ok(answer)
}
