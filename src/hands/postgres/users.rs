//! Accounts in the application's own table: disabled by name, enabled again by exactly the ids that were.
//! Disabling keeps open sessions and tokens alive: that is another step.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tokio_postgres::types::{ToSql, Type};

use super::{
    Failed, PATIENCE, Parts, are, armed, command, drafted, failed, looking, moved, refused, run, way_back,
};
use crate::config::{DatabaseRow, DatabaseSession, DatabaseUsers, database_queries as queries};
use crate::domain::{Sql, Timestamp, text};
use crate::guard::{DiffTone, Draft, Guard, Hazard, Refusal, Undo, Warrant};
use crate::hands::Hands;
use crate::hands::done::Done;
use crate::hands::task::Task;

/// By what the rows are known, and what becomes of them.
struct Change<'a> {
    keys: &'a [String],
    by_id: bool,
    disables: bool,
}

fn change(sql: &Sql) -> Option<Change<'_>> {
    match sql {
        Sql::DisableUsers { users } => Some(Change { keys: users, by_id: false, disables: true }),
        Sql::EnableUsers { ids } => Some(Change { keys: ids, by_id: true, disables: false }),
        _ => None,
    }
}

impl Change<'_> {
    fn key<'a>(&self, users: &'a DatabaseUsers) -> &'a str {
        if self.by_id { &users.id } else { &users.name }
    }

    fn verb(&self) -> &'static str {
        if self.disables { "disable" } else { "enable" }
    }

    /// The undo of what was done to these ids.
    fn undo(&self, ids: Vec<String>) -> Option<Undo> {
        let says = format!("enable {} again", text::count(ids.len(), "user"));
        self.disables.then(|| way_back(Sql::EnableUsers { ids }, says))
    }
}

pub(super) async fn draft(hands: &Hands, sql: &Sql, at: Timestamp) -> Result<Draft, Refusal> {
    let change = change(sql).ok_or_else(|| Refusal::new("no users are meant"))?;
    let users = settings(hands)?;
    let session = looking(hands).await?;
    let rows = rows(&session, &users, &change).await?;
    let is_active = |row: &&DatabaseRow| row.text("is_active") == "true";
    let (touched, rest): (Vec<&DatabaseRow>, Vec<&DatabaseRow>) =
        rows.iter().partition(|row| is_active(row) == change.disables);
    let column = if change.by_id { "id" } else { "username" };
    let known: BTreeSet<&str> = rows.iter().map(|row| row.text(column)).collect();
    let absent: Vec<&str> =
        change.keys.iter().map(String::as_str).filter(|key| !known.contains(key)).collect();
    if touched.is_empty() {
        let says = match absent.as_slice() {
            [] => format!("all of them are {}d already", change.verb()),
            absent => format!("no such user: {}", text::clean(&absent.join(", "))),
        };
        return Err(Refusal::new(says));
    }
    let mut hazards = Vec::new();
    if !absent.is_empty() {
        let says = format!("no such user: {}", text::clean(&absent.join(", ")));
        hazards.push(Hazard::warn(Guard::Target, says));
    }
    if !rest.is_empty() {
        let says = format!("{} so already", are(rest.len(), "user"));
        hazards.push(Hazard::note(Guard::Target, says));
    }
    if rows.first().is_some_and(|row| row.text("may_update") == "false") {
        hazards
            .push(Hazard::stop(Guard::Permission, format!("our role may not update it: {}", right(&users))));
    }
    let line =
        |row: &DatabaseRow| format!("{} (id {})", queries::name(row, "username"), queries::name(row, "id"));
    let targets: Vec<String> = touched.iter().map(|row| line(row)).collect();
    let ids: Vec<String> = touched.iter().map(|row| row.text("id").to_owned()).collect();
    let tone = if change.disables { DiffTone::Removed } else { DiffTone::Added };
    let before: Vec<Value> = touched
        .iter()
        .map(|row| json!({"id": row.text("id"), "name": queries::name(row, "username"), "active": is_active(row)}))
        .collect();
    Ok(drafted(
        hands,
        sql.clone(),
        at,
        Parts {
            title: format!(
                "{} {} in {}",
                change.verb(),
                text::count(touched.len(), "user"),
                users.table.replace('"', "")
            ),
            diff: targets.iter().map(|target| (tone, target.clone())).collect(),
            targets,
            hazards,
            before: before.into(),
            undo: change.undo(ids),
        },
    ))
}

pub(super) async fn perform(hands: &Hands, warrant: &Warrant, sql: &Sql, task: &mut Task) -> Done {
    let Some(change) = change(sql) else { return Done::refused(Refusal::new("no users are meant")) };
    let users = match settings(hands) {
        Ok(users) => users,
        Err(refusal) => return Done::refused(refusal),
    };
    let wanted: BTreeSet<String> = warrant
        .preview()
        .before
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|row| row["id"].as_str().map(str::to_owned))
        .collect();
    let session = match armed(hands, warrant).await {
        Ok(session) => session,
        Err(refusal) => return Done::refused(refused(refusal)),
    };
    match update(&session, &users, &change, &wanted).await {
        Updated::Done => task.say("written"),
        Updated::Other(found) => {
            let says = format!("{found} rows would be changed, you saw {}", wanted.len());
            return moved(hands, warrant, says).await;
        }
        Updated::Refused(Failed::Said(refusal)) => return failed(refusal, &right(&users)),
        Updated::Refused(Failed::Silence) => {
            task.say("no answer came: looking whether it was written");
        }
    }
    verify(hands, &users, &change, wanted).await
}

enum Updated {
    Done,
    /// So many other rows; rolled back.
    Other(usize),
    Refused(Failed),
}

/// In one transaction that is rolled back unless the rows are exactly those that were confirmed.
async fn update(
    session: &DatabaseSession,
    users: &DatabaseUsers,
    change: &Change<'_>,
    wanted: &BTreeSet<String>,
) -> Updated {
    let DatabaseUsers { table, id, active, .. } = users;
    let (to, only) =
        if change.disables { ("false", active.clone()) } else { ("true", format!("NOT {active}")) };
    let sql = format!(
        "/* covet:{}-users */ UPDATE {table} SET {active} = {to} WHERE {}::text = ANY($1::text[]) AND {only} \
         RETURNING {id}::text AS id",
        change.verb(),
        change.key(users)
    );
    let keys: &(dyn ToSql + Sync) = &change.keys;
    if let Err(failure) = command(session, "BEGIN", PATIENCE).await {
        return Updated::Refused(failure);
    }
    let rows = match run(session, &sql, &[(keys, Type::TEXT_ARRAY)]).await {
        Ok(rows) => rows,
        Err(failure) => return Updated::Refused(failure),
    };
    let changed: BTreeSet<String> = rows.iter().map(|row| row.text("id").to_owned()).collect();
    if changed != *wanted {
        // The connection is closed next, which rolls back what this could not.
        let _ = command(session, "ROLLBACK", PATIENCE).await;
        return Updated::Other(changed.len());
    }
    match command(session, "COMMIT", PATIENCE).await {
        Ok(()) => Updated::Done,
        Err(failure) => Updated::Refused(failure),
    }
}

/// Reads them back by id.
async fn verify(hands: &Hands, users: &DatabaseUsers, change: &Change<'_>, wanted: BTreeSet<String>) -> Done {
    let ids: Vec<String> = wanted.into_iter().collect();
    let by_id = Change { keys: &ids, by_id: true, disables: change.disables };
    let found = match looking(hands).await {
        Ok(session) => rows(&session, users, &by_id).await,
        Err(refusal) => Err(refusal),
    };
    let title = format!("{} {}d", text::count(ids.len(), "user"), change.verb());
    match found {
        Err(refusal) => Done::unknown(format!("{title}? reading them back fails: {refusal}")),
        Ok(rows) => {
            let still =
                rows.iter().filter(|row| (row.text("is_active") == "true") == change.disables).count();
            if still == 0 {
                Done::performed(title, change.undo(ids))
            } else {
                Done::unknown(format!("{title}? a read shows {still} of them unchanged"))
            }
        }
    }
}

async fn rows(
    session: &DatabaseSession,
    users: &DatabaseUsers,
    change: &Change<'_>,
) -> Result<Vec<DatabaseRow>, Refusal> {
    let DatabaseUsers { table, id, name, active, .. } = users;
    let sql = format!(
        "/* covet:users */ SELECT {id}::text AS id, {name}::text AS username, {active}::text AS is_active, \
         has_column_privilege('{table}', '{}', 'UPDATE')::text AS may_update \
         FROM {table} WHERE {}::text = ANY($1::text[]) ORDER BY 1 LIMIT 1000",
        active.replace('"', ""),
        change.key(users)
    );
    let keys: &(dyn ToSql + Sync) = &change.keys;
    session.ask_with(&sql, &[(keys, Type::TEXT_ARRAY)]).await.map_err(|refusal| {
        let code = refusal.code().map(str::to_owned);
        let refusal = super::refused(refusal);
        match code.as_deref() {
            Some("42P01" | "42703") => refusal
                .repair(r#"say what it is called: [database] users = "users(id, username, is_active, …)""#),
            Some("42501") => refusal.repair(right(users)),
            _ => refusal,
        }
    })
}

fn settings(hands: &Hands) -> Result<DatabaseUsers, Refusal> {
    hands.outside.users().map_err(|error| Refusal { says: error.why, repair: error.repair })
}

fn right(users: &DatabaseUsers) -> String {
    format!("GRANT SELECT, UPDATE ({}) ON {} TO our role", users.active, users.table)
}
