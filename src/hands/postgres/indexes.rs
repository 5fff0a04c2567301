//! Indexes, built and dropped CONCURRENTLY: each as its own statement outside of any transaction, without a
//! time limit of the server's, with progress, and stoppable. What a stopped build leaves behind is named.

use std::time::Duration;

use serde_json::json;
use tokio_postgres::types::Type;

use super::alone::{Ran, alone};
use super::table::{RIGHT, facts};
use super::{Failed, Parts, drafted, failed, looking, moved, name, refused, way_back};
use crate::config::{DatabaseRow, DatabaseSession, database_queries as queries};
use crate::domain::{Name, Sql, Timestamp, text};
use crate::guard::{DiffTone, Draft, Guard, Hazard, Refusal, Undo, Warrant};
use crate::hands::Hands;
use crate::hands::done::Done;
use crate::hands::task::Task;

/// No index may take longer without a person looking again.
const BUILT_WITHIN: Duration = Duration::from_hours(2);
const DROPPED_WITHIN: Duration = Duration::from_mins(10);
/// A transaction older than this holds a concurrent build back until it ends.
const OLD: f64 = 60.0;

type Index<'a> = (&'a Name, &'a [Name], Option<&'a Name>);

/// The name of an index that was given none, as PostgreSQL would make it.
fn index_name((table, columns, given): &Index<'_>) -> String {
    if let Some(given) = given {
        return given.to_string();
    }
    let table = table.rsplit('.').next().unwrap_or(table);
    let columns: Vec<&str> = columns.iter().map(|column| &**column).collect();
    let mut name = format!("{table}_{}", columns.join("_"));
    name.truncate(59);
    format!("{name}_idx")
}

/// Where the index will be: in the schema of its table.
fn qualified(index: &Index<'_>) -> String {
    match index.0.split_once('.') {
        Some((schema, _)) => format!("{schema}.{}", index_name(index)),
        None => index_name(index),
    }
}

fn create_statement(index: &Index<'_>) -> Result<String, Refusal> {
    let (table, columns, _) = index;
    let columns: Result<Vec<String>, Refusal> = columns.iter().map(|column| name(column)).collect();
    let columns = columns?;
    if columns.is_empty() || columns.len() > 8 || columns.iter().any(|column| column.contains("\".\"")) {
        return Err(Refusal::new("an index takes one to eight columns, by their plain names"));
    }
    let own = index_name(index);
    if own.contains('.') {
        return Err(Refusal::new("an index is made in the schema of its table: give it a plain name"));
    }
    Ok(format!(
        "/* covet:create-index */ CREATE INDEX CONCURRENTLY {} ON {} ({})",
        name(&own)?,
        name(table)?,
        columns.join(", ")
    ))
}

pub(super) async fn draft_create(
    hands: &Hands,
    (table, columns, given): (&Name, &[Name], Option<&Name>),
    at: Timestamp,
) -> Result<Draft, Refusal> {
    let index: Index<'_> = (table, columns, given);
    let statement = create_statement(&index)?;
    let own = index_name(&index);
    let look = looking(hands).await?;
    let facts = facts(&look, table, columns, &own).await?;
    let mut hazards = facts.hazards(&own);
    let old = look.ask(queries::TRANSACTIONS).await.map_err(refused)?;
    let old: Vec<&DatabaseRow> =
        old.iter().filter(|row| row.number::<f64>("xact_age_s").unwrap_or_default() > OLD).collect();
    if let Some(oldest) = old.first() {
        let age = oldest.seconds("xact_age_s").map(text::span).unwrap_or_default();
        hazards.push(Hazard::note(
            Guard::Target,
            format!(
                "it waits for {} that were open before, the oldest pid {} for {age}",
                text::count(old.len(), "transaction"),
                oldest.text("pid")
            ),
        ));
    }
    hazards.push(Hazard::note(Guard::Target, "it reads the whole table: more load until it is done"));
    let listed: Vec<&str> = columns.iter().map(|column| &**column).collect();
    // What is copied from the preview makes the very index that the way back drops.
    let named =
        Sql::CreateIndex { table: table.clone(), columns: columns.into(), index: Some(own.as_str().into()) };
    Ok(drafted(
        hands,
        named,
        at,
        Parts {
            title: format!("build index {own} on {table} ({})", listed.join(", ")),
            targets: vec![format!("table {table}: {} rows, {}", facts.rows, text::bytes(facts.bytes))],
            diff: vec![(
                DiffTone::Added,
                statement.trim_start_matches("/* covet:create-index */ ").to_owned(),
            )],
            hazards,
            before: json!({"indexes": facts.indexes}),
            undo: Some(drop_undo(&qualified(&index))),
        },
    ))
}

fn drop_undo(index: &str) -> Undo {
    way_back(Sql::DropIndex { index: index.into() }, format!("drop index {index} again"))
}

pub(super) async fn create(
    hands: &Hands,
    warrant: &Warrant,
    (table, columns, given): (&Name, &[Name], Option<&Name>),
    task: &mut Task,
) -> Done {
    let index: Index<'_> = (table, columns, given);
    let (own, whole) = (index_name(&index), qualified(&index));
    let (statement, look) = match (create_statement(&index), looking(hands).await) {
        (Ok(statement), Ok(look)) => (statement, look),
        (Err(refusal), _) | (_, Err(refusal)) => return Done::refused(refusal),
    };
    match facts(&look, table, columns, &own).await {
        Ok(facts) if facts.hazards(&own).iter().any(|hazard| hazard.level == crate::guard::Level::Stop) => {
            return moved(hands, warrant, format!("the indexes of {table} are others by now")).await;
        }
        Ok(_) => {}
        Err(refusal) => return Done::refused(refusal),
    }
    let ran = alone(hands, warrant, &look, &statement, BUILT_WITHIN, task).await;
    let standing = state(&look, &whole).await;
    let undo = drop_undo(&whole);
    let drop_first =
        format!("index {whole} is INVALID: it slows writes and helps no read; drop it before trying again");
    match (ran, standing) {
        (Ran::Ended(Ok(()) | Err(Failed::Silence)), Ok(Some(true))) => {
            Done::performed(format!("index {whole} is built and valid"), Some(undo))
        }
        (Ran::Ended(Err(Failed::Said(refusal))), Ok(Some(false))) => {
            Done::unverified(format!("{}; {drop_first}", refusal.into_error()), Some(undo))
        }
        (Ran::Ended(Err(Failed::Said(refusal))), _) => failed(refusal, RIGHT),
        (Ran::Stopped, Ok(Some(false))) => Done::unverified(format!("called off; {drop_first}"), Some(undo)),
        (Ran::Stopped, Ok(None)) => Done::refused(Refusal::new("called off before the index was begun")),
        (Ran::Stopped, Ok(Some(true))) => {
            Done::performed(format!("index {whole} was done already"), Some(undo))
        }
        (Ran::Refused(refusal), _) => Done::refused(refusal),
        (Ran::Ended(_), Ok(Some(false))) => {
            Done::unknown(format!("no answer came; index {whole} is not valid (yet): look at its progress"))
        }
        (Ran::Ended(_), Ok(None)) => Done::unknown(format!("no answer came, and there is no index {whole}")),
        (_, Err(refusal)) => Done::unknown(format!("index {whole}? looking fails: {refusal}")),
    }
}

/// Whether the index is valid; None when there is none.
async fn state(look: &DatabaseSession, index: &str) -> Result<Option<bool>, Refusal> {
    Ok(described(look, index).await?.map(|row| row.text("valid") == "true"))
}

const DESCRIBED: &str = "/* covet:index */ SELECT c.relname::text AS index_name, i.indisvalid::text AS valid, \
    pg_get_indexdef(c.oid)::text AS definition, (n.nspname||'.'||t.relname)::text AS table_name, \
    pg_relation_size(c.oid)::text AS bytes, pg_has_role(current_user, t.relowner, 'USAGE')::text AS owns, \
    EXISTS (SELECT 1 FROM pg_constraint k WHERE k.conindid=c.oid)::text AS constrains, \
    EXISTS (SELECT 1 FROM pg_stat_progress_create_index p WHERE p.index_relid=c.oid)::text AS building, \
    (i.indpred IS NULL AND i.indexprs IS NULL AND NOT i.indisunique AND am.amname='btree')::text AS plain, \
    (SELECT string_agg(a.attname, ',' ORDER BY k.place) FROM unnest(i.indkey) WITH ORDINALITY AS k(number, place) \
     JOIN pg_attribute a ON a.attrelid=i.indrelid AND a.attnum=k.number)::text AS columns \
    FROM pg_index i JOIN pg_class c ON c.oid=i.indexrelid JOIN pg_class t ON t.oid=i.indrelid \
    JOIN pg_namespace n ON n.oid=t.relnamespace JOIN pg_am am ON am.oid=c.relam WHERE c.oid=to_regclass($1::text)";

async fn described(look: &DatabaseSession, index: &str) -> Result<Option<DatabaseRow>, Refusal> {
    let quoted = name(index)?;
    let rows = look.ask_with(DESCRIBED, &[(&quoted, Type::TEXT)]).await.map_err(refused)?;
    Ok(rows.into_iter().next())
}

pub(super) async fn draft_drop(
    hands: &Hands,
    sql: &Sql,
    index: &Name,
    at: Timestamp,
) -> Result<Draft, Refusal> {
    let look = looking(hands).await?;
    let Some(row) = described(&look, index).await? else {
        return Err(Refusal::new(format!("there is no index {index} in this database")));
    };
    let is = |column: &str| row.text(column) == "true";
    let mut hazards = Vec::new();
    for (stops, guard, says) in [
        (!is("owns"), Guard::Permission, RIGHT),
        (is("constrains"), Guard::Target, "a constraint (a primary key, a unique rule) stands on it"),
        (is("building"), Guard::Target, "it is being built just now: let it end, or cancel that first"),
    ] {
        if stops {
            hazards.push(Hazard::stop(guard, says));
        }
    }
    if is("valid") {
        hazards.push(Hazard::warn(Guard::Target, "it is valid: statements that use it become slow"));
    }
    let definition = queries::definition(row.text("definition"));
    let size = row.number("bytes").map(text::bytes).unwrap_or_default();
    Ok(drafted(
        hands,
        sql.clone(),
        at,
        Parts {
            title: format!("drop {}index {index}", if is("valid") { "" } else { "the INVALID " }),
            targets: vec![format!("index {index} on {}, {size}", queries::name(&row, "table_name"))],
            diff: vec![(DiffTone::Removed, definition.clone())],
            hazards,
            before: json!({"definition": definition, "valid": is("valid")}),
            undo: rebuild(&row),
        },
    ))
}

/// A valid, plain index can be built again as it was; of others the journal keeps the definition.
fn rebuild(row: &DatabaseRow) -> Option<Undo> {
    if row.text("valid") != "true" || row.text("plain") != "true" {
        return None;
    }
    let index = queries::name(row, "index_name");
    let says = format!("build {index} again");
    let columns = row.text("columns").split(',').map(Name::from).collect();
    let table = queries::name(row, "table_name");
    Some(way_back(Sql::CreateIndex { table, columns, index: Some(index) }, says))
}

pub(super) async fn remove(hands: &Hands, warrant: &Warrant, index: &Name, task: &mut Task) -> Done {
    let look = match looking(hands).await {
        Ok(look) => look,
        Err(refusal) => return Done::refused(refusal),
    };
    let row = match described(&look, index).await {
        Ok(Some(row)) => row,
        Ok(None) => return Done::refused(Refusal::new(format!("there is no index {index} any more"))),
        Err(refusal) => return Done::refused(refusal),
    };
    let before = &warrant.preview().before;
    let same = before["definition"] == queries::definition(row.text("definition"))
        && before["valid"] == (row.text("valid") == "true")
        && row.text("building") != "true";
    if !same {
        return moved(hands, warrant, format!("index {index} is another by now")).await;
    }
    let quoted = match name(index) {
        Ok(quoted) => quoted,
        Err(refusal) => return Done::refused(refusal),
    };
    let statement = format!("/* covet:drop-index */ DROP INDEX CONCURRENTLY {quoted}");
    let ran = alone(hands, warrant, &look, &statement, DROPPED_WITHIN, task).await;
    let undo = rebuild(&row);
    match (ran, state(&look, index).await) {
        (Ran::Refused(refusal), _) => Done::refused(refusal),
        (_, Ok(None)) => Done::performed(format!("index {index} is gone"), undo),
        (Ran::Ended(Err(Failed::Said(refusal))), _) => failed(refusal, RIGHT),
        (Ran::Stopped, Ok(Some(_))) => {
            Done::unverified(format!("called off; index {index} is still there"), None)
        }
        (_, Ok(Some(_))) => Done::unknown(format!("no answer came, and index {index} is still there")),
        (_, Err(refusal)) => Done::unknown(format!("index {index}? looking fails: {refusal}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_is_named_after_its_columns_and_quoted() {
        let columns: Vec<Name> = vec!["tenant".into(), "email".into()];
        let table: Name = "public.users".into();
        let index: Index<'_> = (&table, &columns, None);
        assert_eq!(qualified(&index), "public.users_tenant_email_idx");
        assert_eq!(
            create_statement(&index).unwrap(),
            r#"/* covet:create-index */ CREATE INDEX CONCURRENTLY "users_tenant_email_idx" ON "public"."users" ("tenant", "email")"#
        );
        let hostile: Vec<Name> = vec!["email); DROP TABLE users; --".into()];
        assert!(create_statement(&(&table, &hostile, None)).is_err());
        let other: Name = "shop.idx".into();
        assert!(create_statement(&(&table, &columns, Some(&other))).is_err());
    }
}
