//! The plan of an expensive statement, never executed, and the index it lacks.

use serde_json::Value;

use super::plan::{Scan, costliest_scan, lines};
use crate::config::{DatabaseRefusal, DatabaseSession, database_queries as queries, identifier};
use crate::domain::{Tone, cause, text};
use crate::probes::answer::Answer;

/// Below this many rows reading the whole table is no trouble.
const SMALL: f64 = 10_000.0;

pub(super) async fn explain(
    session: &DatabaseSession,
    query: Option<i64>,
) -> Result<Answer, DatabaseRefusal> {
    let Some(query) = (match query {
        Some(query) => Some(query),
        None => most_expensive(session).await?,
    }) else {
        return Ok(Answer::failed("no statement of this database has been counted yet"));
    };
    let rows = session.ask(&queries::statement_text(query)).await?;
    let Some(statement) = rows.first().and_then(|row| row.get("query")) else {
        return Ok(Answer::failed(&format!("no statement {query} is counted any more")));
    };
    if statement == "<insufficient privilege>" {
        return Ok(Answer::failed("the statement is another role's: GRANT pg_read_all_stats TO our role"));
    }
    let mut answer = Answer::new();
    answer.line(Tone::Heading, queries::query(statement));
    let parameters = parameters(statement);
    let plan = match session.explain(statement, parameters).await {
        Ok(plan) => serde_json::from_str::<Value>(&plan).unwrap_or_default(),
        Err(refusal) if refusal.code() == Some("42501") => {
            return denied(session, &refusal.into_error().why, statement, answer).await;
        }
        Err(refusal) if refusal.code().is_some_and(|code| code != "53300") => {
            let says = format!("the statement cannot be planned: {}", refusal.into_error());
            answer.line(Tone::Bad, &says);
            answer.not_ok();
            answer.summary(says);
            return Ok(answer);
        }
        Err(refusal) => return Err(refusal),
    };
    answer.lines(lines(&plan).into_iter().map(|line| (Tone::Plain, queries::query(&line))));
    match costliest_scan(&plan) {
        None => answer.summary("no table is read whole for a few of its rows"),
        Some(scan) => judge(session, &scan, &mut answer).await?,
    }
    Ok(answer)
}

/// The server's no for want of a right, and the GRANT that would turn it into a yes.
async fn denied(
    session: &DatabaseSession,
    why: &str,
    statement: &str,
    mut answer: Answer,
) -> Result<Answer, DatabaseRefusal> {
    let rows = session.ask(queries::RIGHTS).await?;
    let role = rows.first().map(|row| queries::name(row, "role")).unwrap_or_default();
    let object = refused_object(why);
    let grant = object.as_ref().map(|(kind, name)| grant(kind, name, &role, statement));
    let what = object.map_or_else(|| "what it reads".to_owned(), |(kind, name)| format!("{kind} {name}"));
    let mut says = format!("our role {role} may not explain it, for it may not use {what}");
    if let Some(grant) = &grant {
        says.push_str(&format!(": {grant}"));
        answer.bind("denied_grant", grant);
    }
    answer.bind("denied_object", &what);
    answer.line(Tone::Bad, &says);
    let owner = format!(
        "or have its owner explain it (PostgreSQL 16 or newer): EXPLAIN (GENERIC_PLAN) {}",
        queries::query(statement)
    );
    answer.line(Tone::Plain, owner);
    answer.found(cause::EXPLAIN_DENIED, &says);
    answer.not_ok();
    answer.summary(says);
    Ok(answer)
}

/// `permission denied for table orders`: what kind of thing, and its name.
fn refused_object(why: &str) -> Option<(&str, &str)> {
    let (_, rest) = why.split_once("permission denied for ")?;
    let rest = rest.split([',', ';', '(']).next()?.trim();
    rest.rsplit_once(' ')
}

fn grant(kind: &str, name: &str, role: &str, statement: &str) -> String {
    let quoted =
        |name: &str| identifier(name).unwrap_or_else(|_| format!("\"{}\"", name.replace('"', "\"\"")));
    let (name, role) = (quoted(name), quoted(role));
    match kind {
        "schema" => format!("GRANT USAGE ON SCHEMA {name} TO {role}"),
        "function" | "procedure" => format!("GRANT EXECUTE ON FUNCTION {name} TO {role}"),
        // A plan of what writes needs the right to write, which a reader of ours should not have.
        _ if writes(statement) => format!("let a role that may write to {name} explain it"),
        _ => format!("GRANT SELECT ON {name} TO {role}"),
    }
}

fn writes(statement: &str) -> bool {
    let first = statement.split_whitespace().next().unwrap_or_default();
    ["insert", "update", "delete", "merge"].iter().any(|word| first.eq_ignore_ascii_case(word))
}

async fn judge(session: &DatabaseSession, scan: &Scan, answer: &mut Answer) -> Result<(), DatabaseRefusal> {
    let Scan { schema, table, filter, .. } = scan;
    let columns = scan.columns(&volatile(session, &scan.functions()).await?);
    let read = format!("{table} is read whole for {}", queries::query(filter));
    // Their names come from the server; what is not a plain name is not put into a query.
    if identifier(schema).is_err() || identifier(table).is_err() || schema.contains('.') {
        answer.summary(read);
        return Ok(());
    }
    let rows = session.ask(&indexes(schema, table)).await?;
    let number = |column: &str| rows.first().and_then(|row| row.number::<f64>(column)).unwrap_or_default();
    let (many, bytes) = (number("row_count"), number("bytes"));
    let size = format!("{many:.0} rows, {}", text::bytes(bytes as u64));
    let wanted = columns.join(",");
    let existing = rows.iter().find(|row| {
        let have = row.text("columns");
        have == wanted || have.starts_with(&format!("{wanted},"))
    });
    let whole = if schema == "public" { table.clone() } else { format!("{schema}.{table}") };
    if columns.is_empty() {
        answer.summary(format!(
            "{read} ({size}); no plain column to index: an expression, an OR, or another value for each row"
        ));
    } else if let Some(row) = existing {
        let index = queries::name(row, "index_name");
        if row.text("valid") == "f" {
            answer.found(cause::INVALID_INDEX, format!("the index {index} on ({wanted}) was never finished"));
            answer.bind("invalid_index", &index);
        }
        answer.summary(format!("{read} ({size}), although there is {index}"));
    } else if many < SMALL {
        answer.summary(format!("{read}, but it is small ({size}): an index would not help much"));
    } else {
        let says = format!("{read} ({size}): no index on ({wanted})");
        answer.found(cause::MISSING_INDEX, &says);
        answer.bind("index_table", &whole);
        answer.bind("index_columns", &wanted);
        answer.bind("index_table_bytes", format!("{bytes:.0}"));
        let owner = rows.first().filter(|row| row.text("owns") == "f").map(|row| queries::name(row, "owner"));
        answer.bind("index_owner", owner.unwrap_or_default());
        answer.summary(says);
    }
    Ok(())
}

/// Those of these functions that may say another thing each time they are called.
async fn volatile(session: &DatabaseSession, names: &[String]) -> Result<Vec<String>, DatabaseRefusal> {
    let is_plain = |name: &&String| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let quoted: Vec<String> = names.iter().filter(is_plain).map(|name| format!("'{name}'")).collect();
    if quoted.is_empty() {
        return Ok(Vec::new());
    }
    let sql = format!(
        "/* covet:volatile */ SELECT DISTINCT proname::text AS name FROM pg_proc \
         WHERE provolatile='v' AND proname::text IN ({})",
        quoted.join(",")
    );
    Ok(session.ask(&sql).await?.iter().map(|row| row.text("name").to_owned()).collect())
}

fn indexes(schema: &str, table: &str) -> String {
    format!(
        "/* covet:table-indexes */ SELECT c.relname AS index_name, i.indisvalid AS valid, \
         (SELECT string_agg(a.attname, ',' ORDER BY k.place) FROM unnest(i.indkey) WITH ORDINALITY AS k(number, place) \
         JOIN pg_attribute a ON a.attrelid=i.indrelid AND a.attnum=k.number) AS columns, \
         t.reltuples::int8 AS row_count, pg_table_size(t.oid) AS bytes, \
         pg_get_userbyid(t.relowner) AS owner, pg_has_role(current_user,t.relowner,'USAGE') AS owns \
         FROM pg_class t JOIN pg_namespace n ON n.oid=t.relnamespace LEFT JOIN pg_index i ON i.indrelid=t.oid \
         LEFT JOIN pg_class c ON c.oid=i.indexrelid WHERE n.nspname='{schema}' AND t.relname='{table}'"
    )
}

async fn most_expensive(session: &DatabaseSession) -> Result<Option<i64>, DatabaseRefusal> {
    let rows = session.ask(queries::STATEMENTS).await?;
    let most = rows.iter().max_by(|one, other| {
        let total = |row: &crate::config::DatabaseRow| row.number::<f64>("total_ms").unwrap_or_default();
        total(one).total_cmp(&total(other))
    });
    Ok(most.and_then(|row| row.number("queryid")))
}

/// The highest `$n` in a statement.
fn parameters(statement: &str) -> usize {
    let numbers = statement.split('$').skip(1).filter_map(|rest| {
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        digits.parse::<usize>().ok()
    });
    // No statement has more; the text may be a literal.
    numbers.max().unwrap_or_default().min(200)
}
