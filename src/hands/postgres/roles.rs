//! Settings of a role in one database, and the exact way back. They hold for sessions that begin afterwards.

use serde_json::json;
use tokio_postgres::types::{ToSql, Type};

use super::{
    Failed, PATIENCE, Parts, armed, command, drafted, failed, looking, moved, name, refused, way_back,
};
use crate::config::DatabaseSession;
use crate::domain::{Name, Sql, Timestamp, is_telling, masked, text};
use crate::guard::{DiffTone, Draft, Guard, Hazard, Refusal, Undo, Warrant};
use crate::hands::Hands;
use crate::hands::done::Done;
use crate::hands::task::Task;

/// The setting as it stands, and what we may do about it.
#[derive(Clone, PartialEq, Debug)]
struct Standing {
    value: Option<String>,
    may_set: bool,
}

struct Change<'a> {
    role: &'a Name,
    database: &'a Name,
    setting: &'a Name,
    value: Option<&'a String>,
    instead_of: Option<&'a Option<String>>,
}

fn change(sql: &Sql) -> Option<Change<'_>> {
    match sql {
        Sql::SetRoleSetting { role, database, setting, value, instead_of } => {
            Some(Change { role, database, setting, value: value.as_ref(), instead_of: instead_of.as_ref() })
        }
        _ => None,
    }
}

impl Change<'_> {
    /// The statement, with every name quoted and the value as a literal: DDL takes no bound values.
    fn statement(&self) -> Result<String, Refusal> {
        let (role, database, setting) = (name(self.role)?, name(self.database)?, name(self.setting)?);
        // One word each; a dot separates an extension's name from its setting.
        if role.contains("\".\"") || database.contains("\".\"") {
            return Err(Refusal::new("a role and a database have one plain name each"));
        }
        let what = match self.value {
            Some(value) if value.chars().any(char::is_control) || value.contains('\\') => {
                return Err(Refusal::new("a value is one line, without backslashes"));
            }
            Some(value) => format!("SET {setting} = '{}'", value.replace('\'', "''")),
            None => format!("RESET {setting}"),
        };
        Ok(format!("/* covet:role-setting */ ALTER ROLE {role} IN DATABASE {database} {what}"))
    }

    fn shown(&self, value: Option<&str>) -> String {
        match value {
            Some(value) if is_telling(self.setting, value) => format!("{} = {}", self.setting, masked(value)),
            Some(value) => format!("{} = {}", self.setting, text::clean(value)),
            None => format!("{} not set for it", self.setting),
        }
    }

    fn undo(&self, before: Option<String>) -> Undo {
        let says = match &before {
            Some(before) => format!("set it back: {}", self.shown(Some(before))),
            None => format!("reset {}", self.setting),
        };
        way_back(
            Sql::SetRoleSetting {
                role: self.role.clone(),
                database: self.database.clone(),
                setting: self.setting.clone(),
                value: before,
                instead_of: Some(self.value.cloned()),
            },
            says,
        )
    }

    fn title(&self) -> String {
        let verb = if self.value.is_some() { "set" } else { "reset" };
        format!("{verb} {} for role {} in database {}", self.setting, self.role, self.database)
    }
}

pub(super) async fn draft(hands: &Hands, sql: &Sql, at: Timestamp) -> Result<Draft, Refusal> {
    let change = change(sql).ok_or_else(|| Refusal::new("no setting is meant"))?;
    change.statement()?;
    let session = looking(hands).await?;
    let standing = standing(&session, &change).await?;
    if let Some(expected) = change.instead_of
        && *expected != standing.value
    {
        let says = format!("{} was changed since: undoing now would undo that too", change.setting);
        return Err(Refusal::new(says).repair("look at it, then choose the step you want"));
    }
    let mut hazards = Vec::new();
    if !standing.may_set {
        let says = format!(
            "our role may not set {0}: GRANT SET ON PARAMETER {0} TO our role, or use an administrator's",
            change.setting
        );
        hazards.push(Hazard::stop(Guard::Permission, says));
    }
    if standing.value.as_ref() == change.value {
        hazards.push(Hazard::note(Guard::Target, "it is so already"));
    }
    hazards.push(Hazard::note(Guard::Target, "it holds for sessions that begin afterwards"));
    let before = standing.value.clone();
    let diff = vec![
        (DiffTone::Removed, change.shown(before.as_deref())),
        (DiffTone::Added, change.shown(change.value.map(String::as_str))),
    ];
    Ok(drafted(
        hands,
        sql.clone(),
        at,
        Parts {
            title: change.title(),
            targets: vec![format!("role {} in database {}", change.role, change.database)],
            diff,
            hazards,
            before: json!({ "setting": change.shown(before.as_deref()) }),
            undo: Some(change.undo(before)),
        },
    ))
}

pub(super) async fn perform(hands: &Hands, warrant: &Warrant, sql: &Sql, task: &mut Task) -> Done {
    let Some(change) = change(sql) else { return Done::refused(Refusal::new("no setting is meant")) };
    let (statement, look) = match (change.statement(), looking(hands).await) {
        (Ok(statement), Ok(look)) => (statement, look),
        (Err(refusal), _) | (_, Err(refusal)) => return Done::refused(refusal),
    };
    let before = match standing(&look, &change).await {
        Ok(standing) => standing.value,
        Err(refusal) => return Done::refused(refusal),
    };
    // What was shown as the present value is in the preview's before-image.
    if warrant.preview().before["setting"] != change.shown(before.as_deref()) {
        return moved(hands, warrant, format!("{} was changed meanwhile", change.setting)).await;
    }
    let session = match armed(hands, warrant).await {
        Ok(session) => session,
        Err(refusal) => return Done::refused(refused(refusal)),
    };
    match command(&session, &statement, PATIENCE).await {
        Ok(()) => task.say("written"),
        Err(Failed::Said(refusal)) => {
            return failed(refusal, "it takes a superuser, or CREATEROLE and the right to set the parameter");
        }
        Err(Failed::Silence) => task.say("no answer came: looking whether it was written"),
    }
    match standing(&look, &change).await {
        Ok(now) if now.value.as_ref() == change.value => {
            let shown = change.shown(change.value.map(String::as_str));
            Done::performed(
                format!("{}: {shown}; new sessions have it", change.title()),
                Some(change.undo(before)),
            )
        }
        Ok(now) => {
            Done::unknown(format!("{}: a read shows {}", change.title(), change.shown(now.value.as_deref())))
        }
        Err(refusal) => Done::unknown(format!("{}: reading it back fails: {refusal}", change.title())),
    }
}

async fn standing(session: &DatabaseSession, change: &Change<'_>) -> Result<Standing, Refusal> {
    let sql = "/* covet:role-settings */ SELECT \
        (SELECT oid::text FROM pg_roles WHERE rolname=$1::text) AS role_id, \
        (SELECT oid::text FROM pg_database WHERE datname=$2::text) AS database_id, \
        (SELECT context FROM pg_settings WHERE name=$3::text) AS context, \
        (SELECT c FROM pg_db_role_setting s \
         CROSS JOIN LATERAL unnest(s.setconfig) AS c \
         WHERE s.setrole=(SELECT oid FROM pg_roles WHERE rolname=$1::text) \
         AND s.setdatabase=(SELECT oid FROM pg_database WHERE datname=$2::text) \
         AND split_part(c, '=', 1)=$3::text) AS entry, \
        (SELECT rolsuper::text FROM pg_roles WHERE rolname=current_user) AS is_super, \
        current_setting('server_version_num') AS version";
    let (role, database, setting) = (&**change.role, &**change.database, &**change.setting);
    let values: [(&(dyn ToSql + Sync), Type); 3] =
        [(&role, Type::TEXT), (&database, Type::TEXT), (&setting, Type::TEXT)];
    let rows = session.ask_with(sql, &values).await.map_err(refused)?;
    let row = rows.first().ok_or_else(|| Refusal::new("the database's answer has no row"))?;
    for (column, what, word) in [("role_id", "role", role), ("database_id", "database", database)] {
        if row.get(column).is_none() {
            return Err(Refusal::new(format!("there is no {what} {}", text::clean(word))));
        }
    }
    let value = row.text("entry").split_once('=').map(|(_, value)| value.to_owned());
    let is_super = row.text("is_super") == "true";
    let restricted = row.text("context").starts_with("superuser");
    let mut may_set = is_super || !restricted;
    if !may_set && row.number::<u32>("version").is_some_and(|version| version >= 150_000) {
        let sql = "/* covet:parameter-right */ SELECT has_parameter_privilege(current_user, $1::text, 'SET')::text AS may";
        let rows = session.ask_with(sql, &[(&setting, Type::TEXT)]).await.map_err(refused)?;
        may_set = rows.first().is_some_and(|row| row.text("may") == "true");
    }
    Ok(Standing { value, may_set })
}
