//! What changes the lab's database: sessions ended or cancelled, indexes, settings of roles, accounts. Read from
//! the statement's text; done to the signals, from where the world takes it up.

use std::sync::LazyLock;

use jiff::Timestamp;
use regex::Regex;

use super::tables::Value;
use super::views::bare;
use crate::lab::database::{Building, Index, is_superuser};
use crate::lab::signals::{CLIENT_BACKEND, Database, Session, SessionState};

/// A statement that changes something.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Command {
    CreateIndex {
        name: String,
        table: String,
        columns: Vec<String>,
        concurrently: bool,
        if_absent: bool,
    },
    DropIndex {
        name: String,
        concurrently: bool,
    },
    RoleSetting {
        role: String,
        database: String,
        name: String,
        value: Option<String>,
    },
    /// `UPDATE users SET is_active = … WHERE … RETURNING …`: keys are names or ids.
    Users {
        active: bool,
        keys: Vec<String>,
    },
}

/// An error by its SQLSTATE.
pub(super) type Refused = (&'static str, String);

fn pattern(cell: &'static LazyLock<Option<Regex>>) -> Option<&'static Regex> {
    cell.as_ref()
}

impl Command {
    /// Understands a statement that changes something; None when it is not one the lab can do.
    pub(super) fn parse(sql: &str) -> Option<Command> {
        static CREATE: LazyLock<Option<Regex>> = LazyLock::new(|| {
            Regex::new(r#"(?i)^create index (concurrently )?(if not exists )?(?:("?[\w]+"?) )?on (?:only )?([\w".]+) ?(?:using btree ?)?\(([^)]+)\);?$"#).ok()
        });
        static DROP: LazyLock<Option<Regex>> = LazyLock::new(|| {
            Regex::new(r#"(?i)^drop index (concurrently )?(?:if exists )?([\w".]+);?$"#).ok()
        });
        static ROLE: LazyLock<Option<Regex>> = LazyLock::new(|| {
            Regex::new(r#"(?i)^alter role ("?\w+"?) in database ("?\w+"?) (?:set ([\w".]+) ?(?:=|to) ?(.+?)|reset ([\w".]+));?$"#).ok()
        });
        static USERS: LazyLock<Option<Regex>> = LazyLock::new(|| {
            Regex::new(r#"(?i)^update "?users"? set "?is_active"? ?= ?(true|false) where (.*?)(?: returning .*)?;?$"#).ok()
        });
        if let Some(found) = pattern(&CREATE)?.captures(sql) {
            let columns: Vec<String> = found[5].split(',').map(|column| bare(column.trim())).collect();
            let table = bare(&found[4]);
            let name = found
                .get(3)
                .map_or_else(|| format!("{table}_{}_idx", columns.join("_")), |name| bare(name.as_str()));
            let (concurrently, if_absent) = (found.get(1).is_some(), found.get(2).is_some());
            return Some(Command::CreateIndex { name, table, columns, concurrently, if_absent });
        }
        if let Some(found) = pattern(&DROP)?.captures(sql) {
            return Some(Command::DropIndex { name: bare(&found[2]), concurrently: found.get(1).is_some() });
        }
        if let Some(found) = pattern(&ROLE)?.captures(sql) {
            let value = found.get(4).map(|value| value.as_str().trim_matches('\'').replace("''", "'"));
            let name = found.get(3).or(found.get(5)).map(|name| bare(name.as_str())).unwrap_or_default();
            return Some(Command::RoleSetting {
                role: bare(&found[1]),
                database: bare(&found[2]),
                name,
                value,
            });
        }
        let found = pattern(&USERS)?.captures(sql)?;
        Some(Command::Users { active: found[1].eq_ignore_ascii_case("true"), keys: literals(&found[2]) })
    }

    /// What the server says when it is done.
    pub(super) fn tag(&self) -> &'static str {
        match self {
            Command::CreateIndex { .. } => "CREATE INDEX",
            Command::DropIndex { .. } => "DROP INDEX",
            Command::RoleSetting { .. } => "ALTER ROLE",
            Command::Users { .. } => "UPDATE",
        }
    }

    /// CONCURRENTLY is its own transaction.
    pub(super) fn alone(&self) -> Option<&'static str> {
        match self {
            Command::CreateIndex { concurrently: true, .. } => Some("CREATE INDEX CONCURRENTLY"),
            Command::DropIndex { concurrently: true, .. } => Some("DROP INDEX CONCURRENTLY"),
            _ => None,
        }
    }

    /// With the values that were bound to it.
    pub(super) fn bound(self, values: &[Value]) -> Command {
        match (self, values.first()) {
            (Command::Users { active, .. }, Some(Value::List(keys))) => {
                Command::Users { active, keys: keys.clone() }
            }
            (command, _) => command,
        }
    }
}

/// The quoted words of a condition.
fn literals(condition: &str) -> Vec<String> {
    condition.split('\'').skip(1).step_by(2).map(str::to_owned).collect()
}

/// Begins an index; the world builds it.
pub(super) fn begin_index(
    database: &mut Database,
    pid: i32,
    now: Timestamp,
    (name, table, columns): (&str, &str, &[String]),
) -> Result<(), Refused> {
    let Some(found) = database.table(table) else {
        return Err(("42P01", format!("relation \"{table}\" does not exist")));
    };
    if let Some(column) = columns.iter().find(|column| !found.columns.contains(column)) {
        return Err(("42703", format!("column \"{column}\" does not exist")));
    }
    if database.index(name).is_some() {
        return Err(("42P07", format!("relation \"{name}\" already exists")));
    }
    database.indexes.push(Index {
        name: name.to_owned(),
        table: table.to_owned(),
        columns: columns.to_vec(),
        valid: false,
        constrains: false,
        building: Some(Building { pid, since: now, share: 0.0 }),
    });
    Ok(())
}

/// Whether an index is done; a build whose session is gone is given up.
pub(super) fn index_is_done(database: &Database, name: &str) -> bool {
    database.index(name).is_none_or(|index| index.building.is_none())
}

/// Gives up a build: what is there stays, INVALID.
pub(super) fn give_up(database: &mut Database, pid: i32) {
    for index in &mut database.indexes {
        if index.building.is_some_and(|building| building.pid == pid) {
            index.building = None;
        }
    }
}

/// Does what takes no time. The answer is the ids of the rows that were changed.
pub(super) fn perform(database: &mut Database, command: &Command) -> Result<Vec<i64>, Refused> {
    match command {
        Command::DropIndex { name, .. } => {
            let Some(index) = database.index(name) else {
                return Err(("42704", format!("index \"{name}\" does not exist")));
            };
            if index.constrains {
                let says = format!(
                    "cannot drop index {name} because constraint {name} on table {} requires it",
                    index.table
                );
                return Err(("2BP01", says));
            }
            database.indexes.retain(|index| index.name != *name);
        }
        Command::RoleSetting { role, database: of, name, value } => {
            if !["app", "postgres", "rdsadmin"].contains(&role.as_str()) {
                return Err(("42704", format!("role \"{role}\" does not exist")));
            }
            let key = (role.clone(), of.clone(), name.clone());
            match value {
                Some(value) => database.role_settings.insert(key, value.clone()),
                None => database.role_settings.remove(&key),
            };
        }
        Command::Users { active, keys } => {
            let mut changed = Vec::new();
            for user in &mut database.users {
                let named = keys.contains(&user.username) || keys.contains(&user.id.to_string());
                if named && user.is_active != *active {
                    user.is_active = *active;
                    changed.push(user.id);
                }
            }
            return Ok(changed);
        }
        Command::CreateIndex { .. } => {}
    }
    Ok(Vec::new())
}

/// Which sessions a `SELECT pg_terminate_backend(…)` means: these, or all that its conditions are true of.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Whom {
    pub cancels: bool,
    pids: Vec<i32>,
    application: Option<String>,
    state: Option<String>,
}

impl Whom {
    pub(super) fn parse(sql: &str) -> Option<Whom> {
        static CALL: LazyLock<Option<Regex>> =
            LazyLock::new(|| Regex::new(r"(?i)^select .*pg_(terminate|cancel)_backend\((\d+)?").ok());
        static PAIRS: LazyLock<Option<Regex>> =
            LazyLock::new(|| Regex::new(r"\((\d+), ?'[^']+'\)|pid ?= ?(\d+)").ok());
        static WORDS: LazyLock<Option<Regex>> =
            LazyLock::new(|| Regex::new(r"(?i)(application_name|state) (?:=|like) '([^'%]+)%?'").ok());
        let call = pattern(&CALL)?.captures(sql)?;
        let number = |found: regex::Match<'_>| found.as_str().parse().ok();
        let mut pids: Vec<i32> = call.get(2).and_then(number).into_iter().collect();
        for pair in pattern(&PAIRS)?.captures_iter(sql) {
            pids.extend(pair.get(1).or(pair.get(2)).and_then(number));
        }
        let word = |name: &str| {
            let mut words = pattern(&WORDS)?.captures_iter(sql);
            words.find(|word| word[1].eq_ignore_ascii_case(name)).map(|word| word[2].to_owned())
        };
        let cancels = call[1].eq_ignore_ascii_case("cancel");
        Some(Whom { cancels, pids, application: word("application_name"), state: word("state") })
    }

    /// Their process ids, of those there are; never that of who asks.
    pub(super) fn among(&self, database: &Database, asking: i32) -> Vec<i32> {
        if self.application.is_none() && self.state.is_none() {
            return self.pids.clone();
        }
        let is = |session: &&Session| {
            let state = session.state.map(SessionState::as_str).unwrap_or_default();
            session.pid != asking
                && session.backend_type == CLIENT_BACKEND
                && self.application.as_ref().is_none_or(|name| session.application == *name)
                && self.state.as_ref().is_none_or(|wanted| state.starts_with(wanted.as_str()))
        };
        database.sessions.iter().filter(is).map(|session| session.pid).collect()
    }
}

/// Ends or cancels a session of the world, if the role may.
pub(super) fn signal(
    database: &mut Database,
    pid: i32,
    cancels: bool,
    role: &str,
    now: Timestamp,
) -> Result<bool, Refused> {
    let of = database.sessions.iter().find(|session| session.pid == pid).map(|session| session.user.clone());
    if of.is_some_and(|of| is_superuser(&of)) && !is_superuser(role) {
        let what = if cancels { "cancel" } else { "terminate" };
        return Err(("42501", format!("must be a superuser to {what} superuser process")));
    }
    Ok(if cancels { database.cancel(pid, now) } else { database.terminate(pid) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_read_as_people_and_the_product_write_them() {
        let create =
            Command::parse(r#"CREATE INDEX CONCURRENTLY "users_email_idx" ON "public"."users" ("email")"#);
        let Some(Command::CreateIndex { name, table, columns, concurrently: true, .. }) = create else {
            panic!()
        };
        assert_eq!(
            (name.as_str(), table.as_str(), columns),
            ("users_email_idx", "users", vec!["email".to_owned()])
        );
        let unnamed = Command::parse("create index on users (email, id);");
        let Some(Command::CreateIndex { name, concurrently: false, .. }) = unnamed else { panic!() };
        assert_eq!(name, "users_email_id_idx");
        let set =
            Command::parse("ALTER ROLE app IN DATABASE covetpy SET log_min_duration_statement = '500ms'");
        let Some(Command::RoleSetting { value, .. }) = set else { panic!() };
        assert_eq!(value.as_deref(), Some("500ms"));
        let users = Command::parse(
            "UPDATE users SET is_active = false WHERE username IN ('a', 'b') AND is_active RETURNING id",
        );
        assert_eq!(users, Some(Command::Users { active: false, keys: vec!["a".into(), "b".into()] }));
        assert_eq!(Command::parse("DELETE FROM users"), None);
        let pairs = "SELECT pid, pg_terminate_backend(pid) FROM pg_stat_activity WHERE (pid, backend_start) IN ((7,'2026-01-01'), (8,'2026-01-01'))";
        assert_eq!(Whom::parse(pairs).unwrap().pids, [7, 8]);
        let one = Whom::parse("SELECT pg_cancel_backend(9)").unwrap();
        assert!(one.cancels && one.pids == [9]);
        let all =
            "SELECT pid, pg_terminate_backend(pid) FROM pg_stat_activity WHERE state = 'idle in transaction'";
        assert_eq!(Whom::parse(all).unwrap().state.as_deref(), Some("idle in transaction"));
        assert_eq!(Whom::parse("SELECT 1"), None);
    }
}
