//! What the product's tagged queries about sessions show, row by row: capacity, clients, transactions. The
//! others are in `views`.

use jiff::Timestamp;
use pgwire::api::Type;

use super::cell::Cell;
use super::views::View;
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
    /// One of the others.
    View(View),
}

/// Who asks, of what, and with which bound values.
pub(super) struct Asked<'a> {
    pub database: &'a Database,
    pub pid: i32,
    pub role: &'a str,
    pub now: Timestamp,
    pub values: &'a [Value],
}

/// A bound value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Null,
    Text(String),
    Number(f64),
    List(Vec<String>),
}

impl Table {
    pub(super) fn tagged(tag: &str) -> Option<Self> {
        Some(match tag {
            "capacity" => Self::Capacity,
            "clients" | "by-client" => Self::Clients,
            "transactions" | "long-transactions" => Self::Transactions,
            other => Self::View(View::tagged(other)?),
        })
    }

    /// The types of its parameters.
    pub(super) fn parameters(self) -> &'static [Type] {
        match self {
            Self::View(view) => view.parameters(),
            _ => &[],
        }
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
                ("over_5m", Type::INT8),
                ("max_in_state", Type::INTERVAL),
            ],
            Self::View(view) => view.columns(),
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
    pub(super) fn rows(self, asked: &Asked<'_>) -> Vec<Vec<Cell>> {
        match self {
            Self::Capacity => vec![capacity(asked)],
            Self::Clients => clients(asked.database, asked.now),
            Self::Transactions => transactions(asked.database, asked.pid, asked.now),
            Self::View(view) => view.rows(asked),
        }
    }
}

fn capacity(&Asked { database, pid, now, .. }: &Asked<'_>) -> Vec<Cell> {
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
        count(&|s| s.state == Some(SessionState::Active) && s.wait_event_type.is_none() && s.pid != pid),
        Cell::age(oldest, now),
    ]
}

fn clients(database: &Database, now: Timestamp) -> Vec<Vec<Cell>> {
    let mut groups: Vec<(Vec<Cell>, i64, i64, Option<Timestamp>)> = Vec::new();
    let old = |session: &Session| {
        let long = |at: Timestamp| now.duration_since(at) > jiff::SignedDuration::from_mins(5);
        i64::from(session.state_change.is_some_and(long))
    };
    for session in database.sessions.iter().filter(|session| is_client(session)) {
        let key = vec![
            Cell::text(&session.database),
            Cell::text(&session.user),
            Cell::text(&session.application),
            session.client_addr.map_or(Cell::Null, Cell::Inet),
            Cell::word(session.state.map(SessionState::as_str)),
        ];
        match groups.iter_mut().find(|(group, ..)| *group == key) {
            Some((_, count, over, oldest)) => {
                *count += 1;
                *over += old(session);
                *oldest = [*oldest, session.state_change].into_iter().flatten().min();
            }
            None => groups.push((key, 1, old(session), session.state_change)),
        }
    }
    groups.sort_by_key(|(_, count, ..)| std::cmp::Reverse(*count));
    groups.truncate(30);
    let row = |(mut key, count, over, oldest): (Vec<Cell>, i64, i64, Option<Timestamp>)| {
        key.extend([Cell::Int8(count), Cell::Int8(over), Cell::age(oldest, now)]);
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

pub(super) fn is_client(session: &Session) -> bool {
    session.backend_type == CLIENT_BACKEND
}
