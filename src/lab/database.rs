//! The `PostgreSQL` server as its own views would show it, and what clients may do to it. It knows sessions,
//! statements, tables, indexes and accounts, neither a protocol nor what the world makes of them.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::signals::{Session, SessionState};

/// What the server shows and keeps.
#[derive(Clone, Debug)]
pub struct Database {
    /// False: connections are refused at the socket (closed at once).
    pub up: bool,
    /// `pg_settings.max_connections`.
    pub max_connections: u32,
    /// Sum of `superuser_reserved_connections` and its kin; usable = `max_connections - reserved`.
    pub reserved: u32,
    /// One row of `pg_stat_activity` each; only client backends count as used.
    /// Connections really open to the lab's own server are added by that server, not listed here.
    pub sessions: Vec<Session>,
    /// How many of those there are: they take slots too.
    pub visitors: u32,
    /// Rows of `pg_stat_statements`.
    pub statements: Vec<Statement>,
    pub tables: Vec<Table>,
    pub indexes: Vec<Index>,
    pub users: Vec<User>,
    /// `ALTER ROLE … IN DATABASE … SET`: value by role, database and name.
    pub role_settings: BTreeMap<(String, String, String), String>,
    /// Share of its CPUs in use, 0 to 1.
    pub cpu: f64,
    /// Sessions that run or wait for a CPU: what Performance Insights calls load.
    pub load: f64,
}

/// One row of `pg_stat_statements`. Counters only grow.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Statement {
    pub id: i64,
    pub text: String,
    pub calls: f64,
    pub milliseconds: f64,
    pub rows: f64,
    pub blocks: f64,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    pub name: String,
    pub columns: Vec<String>,
    pub rows: f64,
    pub bytes: f64,
    pub scans: f64,
    pub rows_scanned: f64,
    pub index_scans: f64,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Index {
    pub name: String,
    pub table: String,
    pub columns: Vec<String>,
    pub valid: bool,
    /// A constraint stands on it.
    pub constrains: bool,
    pub building: Option<Building>,
}

/// An index on its way.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Building {
    /// The session that builds it.
    pub pid: i32,
    pub since: Timestamp,
    /// 0 to 1.
    pub share: f64,
}

/// An account of the application.
#[derive(Clone, Debug, PartialEq)]
pub struct User {
    pub id: i64,
    pub username: String,
    pub is_active: bool,
    pub failed_attempts: i64,
    pub last_login: Option<Timestamp>,
}

/// Roles with all rights, whose sessions nobody else may end.
const SUPERUSERS: [&str; 2] = ["postgres", "rdsadmin"];

pub fn is_superuser(role: &str) -> bool {
    SUPERUSERS.contains(&role)
}

impl Default for Database {
    fn default() -> Self {
        let index = |name: &str, table: &str, column: &str, constrains: bool| Index {
            name: name.to_owned(),
            table: table.to_owned(),
            columns: vec![column.to_owned()],
            valid: true,
            constrains,
            building: None,
        };
        let table = |name: &str, columns: &[&str], rows: f64| Table {
            name: name.to_owned(),
            columns: columns.iter().map(|column| (*column).to_owned()).collect(),
            rows,
            bytes: rows * 180.0,
            ..Table::default()
        };
        let account = |(id, name): (i64, &str)| User {
            id,
            username: name.to_owned(),
            is_active: true,
            failed_attempts: 0,
            last_login: None,
        };
        let users = ["admin", "alice", "bob", "svc-report", "carol", "dave"];
        Self {
            up: true,
            max_connections: 90,
            reserved: 3,
            sessions: Vec::new(),
            visitors: 0,
            statements: Vec::new(),
            tables: vec![
                table(
                    "users",
                    &["id", "username", "email", "is_active", "failed_attempts", "last_login", "last_seen"],
                    2_400_000.0,
                ),
                table("orders", &["id", "user_id", "total", "created_at"], 9_100_000.0),
                table("items", &["id", "name", "price", "category_id", "stock"], 140_000.0),
                table("jobs", &["id", "state", "payload"], 800.0),
            ],
            indexes: vec![
                index("users_pkey", "users", "id", true),
                index("users_email_idx", "users", "email", false),
                index("orders_pkey", "orders", "id", true),
                index("items_category_id_idx", "items", "category_id", false),
            ],
            users: (1..).zip(users).map(account).collect(),
            role_settings: BTreeMap::new(),
            cpu: 0.2,
            load: 0.8,
        }
    }
}

impl Database {
    pub fn table(&self, name: &str) -> Option<&Table> {
        self.tables.iter().find(|table| table.name == name)
    }

    pub fn index(&self, name: &str) -> Option<&Index> {
        self.indexes.iter().find(|index| index.name == name)
    }

    /// Whether a search by this column finds its rows without reading the whole table.
    pub fn has_index(&self, table: &str, column: &str) -> bool {
        self.indexes.iter().any(|index| {
            index.valid && index.table == table && index.columns.first().is_some_and(|own| own == column)
        })
    }

    /// `pg_blocking_pids` of a session.
    pub fn blockers(&self, session: &Session) -> Vec<i32> {
        session
            .blocked_by
            .iter()
            .copied()
            .filter(|pid| self.sessions.iter().any(|other| other.pid == *pid))
            .collect()
    }

    /// Ends a session of the world: its client opens another when it wants one.
    pub fn terminate(&mut self, pid: i32) -> bool {
        let before = self.sessions.len();
        self.sessions.retain(|session| session.pid != pid);
        self.sessions.len() < before
    }

    /// Cancels what a session runs; one that runs nothing does not notice.
    pub fn cancel(&mut self, pid: i32, now: Timestamp) -> bool {
        let Some(session) = self.sessions.iter_mut().find(|session| session.pid == pid) else { return false };
        if session.state == Some(SessionState::Active) {
            session.state = Some(SessionState::Idle);
            session.state_change = Some(now);
            session.xact_start = None;
            session.blocked_by.clear();
            (session.wait_event_type, session.wait_event) = (Some("Client"), Some("ClientRead"));
        }
        true
    }

    /// The oldest transaction that was open before `than`: what a concurrent build waits for.
    pub fn older_transaction(&self, than: Timestamp) -> Option<i32> {
        let open =
            self.sessions.iter().filter(|session| session.state == Some(SessionState::IdleInTransaction));
        open.filter(|session| session.xact_start.is_some_and(|start| start < than))
            .min_by_key(|session| session.xact_start)
            .map(|session| session.pid)
    }
}
