//! What the product's tagged queries are about: capacity, clients, transactions, row by row.

use jiff::Timestamp;
use pgwire::api::Type;

use super::cell::Cell;
use crate::lab::signals::{CLIENT_BACKEND, Database, Session, SessionState};

/// The tagged queries.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Table {
    /// `/* covet:capacity */`: connection slots and who holds them.
    Capacity,
    /// `/* covet:clients */`: sessions by client.
    Clients,
    /// `/* covet:transactions */`: long transactions.
    Transactions,
}

impl Table {
    pub(super) fn tagged(tag: &str) -> Option<Self> {
        Some(match tag {
            "capacity" => Self::Capacity,
            "clients" | "by-client" => Self::Clients,
            "transactions" | "long-transactions" => Self::Transactions,
            _ => return None,
        })
    }

    /// Every column the table can show, with its natural type.
    pub(super) fn columns(self) -> Vec<(&'static str, Type)> {
        match self {
            Self::Capacity => vec![
                ("max_conn", Type::INT4),
                ("reserved", Type::INT8),
                ("used", Type::INT8),
                ("active", Type::INT8),
                ("idle", Type::INT8),
                ("idle_in_tx", Type::INT8),
                ("lock_waiters", Type::INT8),
                ("on_cpu", Type::INT8),
                ("oldest_xact", Type::INTERVAL),
            ],
            Self::Clients => vec![
                ("datname", Type::NAME),
                ("usename", Type::NAME),
                ("application_name", Type::TEXT),
                ("client_addr", Type::INET),
                ("state", Type::TEXT),
                ("count", Type::INT8),
                ("max_in_state", Type::INTERVAL),
            ],
            Self::Transactions => vec![
                ("pid", Type::INT4),
                ("usename", Type::NAME),
                ("application_name", Type::TEXT),
                ("client_addr", Type::INET),
                ("state", Type::TEXT),
                ("xact_age", Type::INTERVAL),
                ("query_age", Type::INTERVAL),
                ("wait_event_type", Type::TEXT),
                ("wait_event", Type::TEXT),
                ("left", Type::TEXT),
                ("datname", Type::NAME),
                ("backend_start", Type::TIMESTAMPTZ),
                ("xact_start", Type::TIMESTAMPTZ),
                ("state_change", Type::TIMESTAMPTZ),
            ],
        }
    }

    /// All rows, in the order of [`Table::columns`].
    pub(super) fn rows(self, database: &Database, asking: i32, now: Timestamp) -> Vec<Vec<Cell>> {
        match self {
            Self::Capacity => vec![capacity(database, now)],
            Self::Clients => clients(database, now),
            Self::Transactions => transactions(database, asking, now),
        }
    }
}

fn capacity(database: &Database, now: Timestamp) -> Vec<Cell> {
    let count = |wanted: &dyn Fn(&Session) -> bool| {
        Cell::Int8(database.sessions.iter().filter(|session| wanted(session)).count() as i64)
    };
    let oldest = database.sessions.iter().filter(|s| is_client(s)).filter_map(|s| s.xact_start).min();
    vec![
        Cell::Int4(database.max_connections as i32),
        Cell::Int8(database.reserved.into()),
        count(&is_client),
        count(&|s| s.state == Some(SessionState::Active)),
        count(&|s| s.state == Some(SessionState::Idle)),
        count(&|s| {
            let idle = [SessionState::IdleInTransaction, SessionState::IdleInTransactionAborted];
            s.state.is_some_and(|state| idle.contains(&state))
        }),
        count(&|s| s.wait_event_type == Some("Lock")),
        count(&|s| s.state == Some(SessionState::Active) && s.wait_event_type.is_none()),
        Cell::age(oldest, now),
    ]
}

fn clients(database: &Database, now: Timestamp) -> Vec<Vec<Cell>> {
    let mut groups: Vec<(Vec<Cell>, i64, Option<Timestamp>)> = Vec::new();
    for session in database.sessions.iter().filter(|session| is_client(session)) {
        let key = vec![
            Cell::text(&session.database),
            Cell::text(&session.user),
            Cell::text(&session.application),
            session.client_addr.map_or(Cell::Null, Cell::Inet),
            Cell::word(session.state.map(SessionState::as_str)),
        ];
        match groups.iter_mut().find(|(group, ..)| *group == key) {
            Some((_, count, oldest)) => {
                *count += 1;
                *oldest = [*oldest, session.state_change].into_iter().flatten().min();
            }
            None => groups.push((key, 1, session.state_change)),
        }
    }
    groups.sort_by_key(|(_, count, _)| std::cmp::Reverse(*count));
    groups.truncate(30);
    let row = |(mut key, count, oldest): (Vec<Cell>, i64, Option<Timestamp>)| {
        key.extend([Cell::Int8(count), Cell::age(oldest, now)]);
        key
    };
    groups.into_iter().map(row).collect()
}

fn transactions(database: &Database, pid: i32, now: Timestamp) -> Vec<Vec<Cell>> {
    let mut open: Vec<&Session> = database
        .sessions
        .iter()
        .filter(|session| is_client(session) && session.pid != pid && session.xact_start.is_some())
        .collect();
    open.sort_by_key(|session| session.xact_start);
    open.truncate(20);
    let row = |session: &Session| {
        vec![
            Cell::Int4(session.pid),
            Cell::text(&session.user),
            Cell::text(&session.application),
            session.client_addr.map_or(Cell::Null, Cell::Inet),
            Cell::word(session.state.map(SessionState::as_str)),
            Cell::age(session.xact_start, now),
            Cell::age(session.query_start, now),
            Cell::word(session.wait_event_type),
            Cell::word(session.wait_event),
            Cell::Text(session.query.chars().take(200).collect()),
            Cell::text(&session.database),
            Cell::Moment(session.backend_start),
            session.xact_start.map_or(Cell::Null, Cell::Moment),
            session.state_change.map_or(Cell::Null, Cell::Moment),
        ]
    };
    open.into_iter().map(row).collect()
}

fn is_client(session: &Session) -> bool {
    session.backend_type == CLIENT_BACKEND
}
