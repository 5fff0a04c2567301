//! The product's other tagged queries: locks, statements, tables, indexes, accounts, rights, picked sessions.
//! Each has its columns, its parameters and its rows.

use jiff::{SignedDuration, Timestamp};
use pgwire::api::Type;

use super::catalogue::{index, role_setting, settings, table_facts, table_indexes, users};
use super::cell::Cell;
use super::tables::{Asked, Value, is_client};
use super::view_columns::{
    INDEX, INVALID, LIMITS, LOCKS, PICKED, PROGRESS, REPLICAS, RIGHTS, ROLE_SETTINGS, SETTINGS,
    STATEMENT_TEXT, STATEMENTS, TABLE_FACTS, TABLE_INDEXES, TABLES, USERS,
};
use crate::lab::database::{Building, Index, is_superuser};
use crate::lab::signals::{Session, SessionState};

/// A tagged query.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum View {
    Locks,
    /// No role and no database of the lab has a limit of its own.
    ConnectionLimits,
    Opened,
    Rights,
    Statements,
    StatementText(i64),
    /// The product's own, which the lab does not count.
    OwnStatements,
    /// Functions of statements; those of the lab call none.
    Volatile,
    Tables,
    IndexProgress,
    InvalidIndexes,
    Picked(Pick),
    Settings,
    Replicas,
    TableIndexes,
    TableFacts,
    IndexesOf,
    Index,
    Users,
    AccountFailures,
    RoleSettings,
    ParameterRight,
    /// `pg_terminate_backend` or, if true, `pg_cancel_backend`: done before its row is shown.
    Signal(bool),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Pick {
    IdleInTransaction,
    Idle,
    LockRoots,
    LongQueries,
}

impl View {
    pub(super) fn tagged(tag: &str) -> Option<Self> {
        Some(match tag {
            "locks" => Self::Locks,
            "connection-limits" => Self::ConnectionLimits,
            "opened" => Self::Opened,
            "rights" => Self::Rights,
            "statements" => Self::Statements,
            "own-statements" => Self::OwnStatements,
            "volatile" => Self::Volatile,
            "tables" => Self::Tables,
            "index-progress" => Self::IndexProgress,
            "invalid-indexes" => Self::InvalidIndexes,
            "picked-idle-in-transaction" => Self::Picked(Pick::IdleInTransaction),
            "picked-idle" => Self::Picked(Pick::Idle),
            "picked-lock-roots" => Self::Picked(Pick::LockRoots),
            "picked-long-queries" => Self::Picked(Pick::LongQueries),
            "settings" => Self::Settings,
            "replicas" => Self::Replicas,
            "table-indexes" => Self::TableIndexes,
            "table-facts" => Self::TableFacts,
            "indexes-of" => Self::IndexesOf,
            "index" => Self::Index,
            "users" => Self::Users,
            "account-failures" => Self::AccountFailures,
            "role-settings" => Self::RoleSettings,
            "parameter-right" => Self::ParameterRight,
            "terminate" => Self::Signal(false),
            "cancel" => Self::Signal(true),
            _ => return None,
        })
    }

    pub(super) fn parameters(self) -> &'static [Type] {
        match self {
            Self::Picked(_) => &[Type::TEXT, Type::FLOAT8],
            Self::TableFacts => &[Type::TEXT, Type::TEXT_ARRAY],
            Self::IndexesOf | Self::Index | Self::ParameterRight => &[Type::TEXT],
            Self::Users => &[Type::TEXT_ARRAY],
            Self::RoleSettings => &[Type::TEXT, Type::TEXT, Type::TEXT],
            Self::Signal(_) => &[Type::INT4, Type::INT8, Type::INT8],
            _ => &[],
        }
    }

    pub(super) fn columns(self) -> Vec<(&'static str, Type)> {
        let columns = match self {
            Self::Locks => LOCKS,
            Self::ConnectionLimits => LIMITS,
            Self::Opened => &[("backend_start", Type::INT8)],
            Self::Rights => RIGHTS,
            Self::Statements => STATEMENTS,
            Self::StatementText(_) => STATEMENT_TEXT,
            Self::OwnStatements => &[("queryid", Type::INT8)],
            Self::Volatile => &[("name", Type::TEXT)],
            Self::Tables => TABLES,
            Self::IndexProgress => PROGRESS,
            Self::InvalidIndexes => INVALID,
            Self::Picked(_) => PICKED,
            Self::Settings => SETTINGS,
            Self::Replicas => REPLICAS,
            Self::TableIndexes | Self::IndexesOf => TABLE_INDEXES,
            Self::TableFacts => TABLE_FACTS,
            Self::Index => INDEX,
            Self::Users | Self::AccountFailures => USERS,
            Self::RoleSettings => ROLE_SETTINGS,
            Self::ParameterRight => &[("may", Type::BOOL)],
            Self::Signal(_) => &[("done", Type::BOOL)],
        };
        columns.to_vec()
    }

    pub(super) fn rows(self, asked: &Asked<'_>) -> Vec<Vec<Cell>> {
        let database = asked.database;
        match self {
            Self::Locks => locks(asked),
            Self::Opened => {
                let clients = database.sessions.iter().filter(|session| is_client(session));
                let mut opened: Vec<Timestamp> = clients.map(|session| session.backend_start).collect();
                opened.sort();
                opened.into_iter().map(|at| vec![micros(at)]).collect()
            }
            Self::Rights => vec![vec![Cell::text(asked.role), Cell::Bool(true), Cell::Bool(true)]],
            Self::Statements => database
                .statements
                .iter()
                .map(|row| {
                    let whole = |value: f64| Cell::Int8(value as i64);
                    let cost = Cell::Float8(row.milliseconds);
                    vec![Cell::Int8(row.id), whole(row.calls), cost, whole(row.rows), whole(row.blocks)]
                })
                .collect(),
            Self::StatementText(id) => {
                let found = database.statements.iter().filter(|row| row.id == id);
                found.map(|row| vec![Cell::Int8(row.id), Cell::text(&row.text)]).collect()
            }
            Self::OwnStatements | Self::ConnectionLimits | Self::Volatile => Vec::new(),
            Self::Tables => tables(asked),
            Self::IndexProgress => progress(asked),
            Self::InvalidIndexes => {
                let left = database.indexes.iter().filter(|index| !index.valid && index.building.is_none());
                let row = |index: &Index| {
                    vec![
                        Cell::text("public"),
                        Cell::text(&index.name),
                        Cell::text(&index.table),
                        Cell::text(asked.role),
                        Cell::Bool(true),
                    ]
                };
                left.map(row).collect()
            }
            Self::Picked(pick) => picked(asked, pick),
            Self::Settings => settings(asked),
            Self::Replicas => vec![vec![
                Cell::text("covet-aurora-reader-1"),
                Cell::Inet([10, 0, 31, 19].into()),
                Cell::text("streaming"),
                Cell::Float8(0.02),
            ]],
            Self::TableIndexes => table_indexes(asked, None),
            Self::IndexesOf => table_indexes(asked, text(asked, 0)),
            Self::TableFacts => table_facts(asked),
            Self::Index => index(asked),
            Self::Users => {
                let keys = list(asked, 0);
                users(asked, |id, name, _| keys.contains(id) || keys.contains(name))
            }
            Self::AccountFailures => users(asked, |_, _, failures| failures > 10),
            Self::RoleSettings => vec![role_setting(asked)],
            Self::ParameterRight | Self::Signal(_) => vec![vec![Cell::Bool(true)]],
        }
    }
}

pub(super) fn text(asked: &Asked<'_>, index: usize) -> Option<String> {
    match asked.values.get(index) {
        Some(Value::Text(text)) => Some(text.clone()),
        _ => None,
    }
}

pub(super) fn list(asked: &Asked<'_>, index: usize) -> Vec<String> {
    match asked.values.get(index) {
        Some(Value::List(list)) => list.clone(),
        _ => Vec::new(),
    }
}

/// A quoted name, `"public"."users"`, as its last part.
pub(super) fn bare(name: &str) -> String {
    name.rsplit('.').next().unwrap_or(name).trim_matches('"').to_owned()
}

fn micros(at: Timestamp) -> Cell {
    Cell::Int8(at.as_microsecond())
}

fn seconds(of: Option<Timestamp>, now: Timestamp) -> Cell {
    of.map_or(Cell::Null, |of| Cell::Float8(now.duration_since(of).as_secs_f64()))
}

fn shortened(query: &str, most: usize) -> Cell {
    Cell::Text(query.chars().take(most).collect())
}

fn locks(asked: &Asked<'_>) -> Vec<Vec<Cell>> {
    let database = asked.database;
    let waiting: Vec<(&Session, Vec<i32>)> = database
        .sessions
        .iter()
        .map(|session| (session, database.blockers(session)))
        .filter(|(_, blockers)| !blockers.is_empty())
        .collect();
    let blocks = |pid: i32| waiting.iter().any(|(_, blockers)| blockers.contains(&pid));
    let mut rows: Vec<(i32, Vec<Cell>)> = Vec::new();
    for session in &database.sessions {
        let blockers = database.blockers(session);
        if blockers.is_empty() && !blocks(session.pid) {
            continue;
        }
        let by: Vec<String> = blockers.iter().map(ToString::to_string).collect();
        let by = if by.is_empty() { Cell::Null } else { Cell::Text(by.join(",")) };
        rows.push((
            session.pid,
            vec![
                Cell::Int4(session.pid),
                micros(session.backend_start),
                Cell::text(&session.database),
                Cell::text(&session.user),
                Cell::text(&session.application),
                Cell::word(session.state.map(SessionState::as_str)),
                seconds(session.xact_start, asked.now),
                seconds(session.query_start, asked.now),
                Cell::Bool(is_superuser(&session.user)),
                shortened(&session.query, 200),
                by,
            ],
        ));
    }
    rows.sort_by_key(|(pid, _)| *pid);
    rows.into_iter().map(|(_, row)| row).collect()
}

fn tables(asked: &Asked<'_>) -> Vec<Vec<Cell>> {
    let mut tables: Vec<_> = asked.database.tables.iter().collect();
    tables.sort_by(|one, other| other.rows_scanned.total_cmp(&one.rows_scanned));
    let whole = |value: f64| Cell::Int8(value as i64);
    tables
        .iter()
        .map(|table| {
            vec![
                Cell::text("public"),
                Cell::text(&table.name),
                whole(table.scans),
                whole(table.rows_scanned),
                whole(table.index_scans),
                whole(table.rows),
                whole(table.bytes),
            ]
        })
        .collect()
}

fn progress(asked: &Asked<'_>) -> Vec<Vec<Cell>> {
    let building = asked.database.indexes.iter().filter_map(|index| Some((index, index.building?)));
    building
        .map(|(index, Building { pid, since, share })| {
            let waits = asked.database.older_transaction(since).filter(|_| share <= 0.0);
            let blocks = asked.database.table(&index.table).map_or(1.0, |table| table.bytes / 8192.0);
            let phase = match waits {
                Some(_) => "waiting for writers before build",
                None => "building index: scanning table",
            };
            vec![
                Cell::Int4(pid),
                Cell::text(&index.table),
                Cell::text(phase),
                Cell::Int8((blocks * share) as i64),
                Cell::Int8(if waits.is_some() { 0 } else { blocks as i64 }),
                waits.map_or(Cell::Int8(0), |pid| Cell::Int8(pid.into())),
            ]
        })
        .collect()
}

fn picked(asked: &Asked<'_>, pick: Pick) -> Vec<Vec<Cell>> {
    let role = text(asked, 0);
    let older = match asked.values.get(1) {
        Some(Value::Number(seconds)) => SignedDuration::from_millis((seconds * 1000.0) as i64),
        _ => SignedDuration::ZERO,
    };
    let sessions = &asked.database.sessions;
    let means = |session: &Session| match pick {
        Pick::IdleInTransaction => session.state.is_some_and(|state| {
            [SessionState::IdleInTransaction, SessionState::IdleInTransactionAborted].contains(&state)
        }),
        // Whatever has a twin is a pool.
        Pick::Idle => {
            let twin = |other: &&Session| {
                other.pid != session.pid
                    && other.user == session.user
                    && other.application == session.application
            };
            session.state == Some(SessionState::Idle) && !sessions.iter().any(|other| twin(&other))
        }
        Pick::LockRoots => {
            asked.database.blockers(session).is_empty()
                && sessions.iter().any(|other| other.blocked_by.contains(&session.pid))
        }
        Pick::LongQueries => {
            session.state == Some(SessionState::Active) && session.wait_event_type != Some("Lock")
        }
    };
    let mut found: Vec<(Timestamp, &Session)> = sessions
        .iter()
        .filter(|session| {
            is_client(session) && session.pid != asked.pid && session.application != "covet-tui"
        })
        .filter(|session| role.as_ref().is_none_or(|role| session.user == *role) && means(session))
        .filter_map(|session| Some((since(session, pick)?, session)))
        .filter(|(since, _)| asked.now.duration_since(*since) >= older)
        .collect();
    found.sort_by_key(|(since, session)| (*since, session.pid));
    let row = |(since, session): (Timestamp, &Session)| {
        vec![
            Cell::Int4(session.pid),
            micros(session.backend_start),
            micros(since),
            Cell::text(&session.database),
            Cell::text(&session.user),
            Cell::text(&session.application),
            session.client_addr.map_or(Cell::Null, Cell::Inet),
            Cell::word(session.state.map(SessionState::as_str)),
            seconds(Some(since), asked.now),
            shortened(&session.query, 120),
            Cell::Bool(is_superuser(&session.user)),
            Cell::Bool(true),
        ]
    };
    found.into_iter().map(row).collect()
}

fn since(session: &Session, pick: Pick) -> Option<Timestamp> {
    match pick {
        Pick::IdleInTransaction | Pick::Idle => session.state_change,
        Pick::LockRoots => session.xact_start,
        Pick::LongQueries => session.query_start,
    }
}
