//! What the database answers: rows as text, and refusals in words with what to do about them. It knows the
//! client's errors, no connection.

use std::sync::Arc;
use std::time::Duration;

use tokio_postgres::error::SqlState;
use tokio_postgres::{Error, SimpleQueryMessage};

use super::ConnectError;
use super::connect::deepest;
use crate::domain::{BlindKind, Timestamp};

/// How long one question may take: the server ends statements after five seconds, this is for the network.
pub(super) const PATIENCE: Duration = Duration::from_secs(7);

/// Why there is no answer.
#[derive(Clone, PartialEq, Debug)]
pub enum DatabaseRefusal {
    /// No slot was left for us (53300).
    Exhausted(String),
    /// The server refused, with this SQLSTATE.
    Refused { code: String, error: ConnectError },
    /// The server was not reached, or fell silent.
    Unreached(ConnectError),
    /// Our own way to it does not work (a port-forward, a tunnel, a setting): it says nothing of the server.
    NoWay(ConnectError),
}

/// A row of an answer, as text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DatabaseRow {
    names: Arc<[String]>,
    pub(super) cells: Vec<Option<String>>,
}

pub(super) fn typed(rows: &[tokio_postgres::Row]) -> Result<Vec<DatabaseRow>, DatabaseRefusal> {
    let Some(first) = rows.first() else { return Ok(Vec::new()) };
    let names: Arc<[String]> = first.columns().iter().map(|column| column.name().to_owned()).collect();
    rows.iter()
        .map(|row| {
            let cells: Result<Vec<Option<String>>, Error> =
                (0..names.len()).map(|index| row.try_get(index)).collect();
            let cells = cells.map_err(|error| refusal(error.into()))?;
            Ok(DatabaseRow { names: Arc::clone(&names), cells })
        })
        .collect()
}

pub(super) fn rows(messages: Vec<SimpleQueryMessage>) -> Vec<DatabaseRow> {
    let mut names: Arc<[String]> = Arc::from([]);
    let mut rows = Vec::new();
    for message in messages {
        match message {
            SimpleQueryMessage::RowDescription(columns) => {
                names = columns.iter().map(|column| column.name().to_owned()).collect();
            }
            SimpleQueryMessage::Row(row) => {
                let cells = (0..row.len()).map(|index| row.get(index).map(str::to_owned)).collect();
                rows.push(DatabaseRow { names: Arc::clone(&names), cells });
            }
            _ => {}
        }
    }
    rows
}

impl DatabaseRow {
    /// Rows from a typed answer, all of whose columns are text.
    ///
    /// # Errors
    /// A column is of another type.
    pub fn of(rows: &[tokio_postgres::Row]) -> Result<Vec<DatabaseRow>, DatabaseRefusal> {
        typed(rows)
    }

    pub fn get(&self, column: &str) -> Option<&str> {
        let at = self.names.iter().position(|name| name == column)?;
        self.cells.get(at)?.as_deref()
    }

    /// Empty when it is null.
    pub fn text(&self, column: &str) -> &str {
        self.get(column).unwrap_or_default()
    }

    /// A number of whatever type, if it is one.
    pub fn number<T: std::str::FromStr>(&self, column: &str) -> Option<T> {
        self.get(column)?.parse().ok()
    }

    /// A moment that was selected as whole microseconds since 1970.
    pub fn moment(&self, column: &str) -> Option<Timestamp> {
        Timestamp::from_microsecond(self.number(column)?).ok()
    }

    /// A length of time that was selected as seconds; a clock that went backwards makes zero.
    pub fn seconds(&self, column: &str) -> Option<Duration> {
        Duration::try_from_secs_f64(self.number::<f64>(column)?.max(0.0)).ok()
    }
}

/// Why there is no session.
pub(super) enum Failure {
    Postgres(Error),
    /// Our way does not lead there.
    Way(ConnectError),
    /// It does, and ends where nothing answers.
    Beyond(ConnectError),
    /// For so long.
    Silence(Duration),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure::Postgres(error)
    }
}

pub(super) fn is_about_options(error: &Error) -> bool {
    error.as_db_error().is_some_and(|refused| {
        *refused.code() == SqlState::PROTOCOL_VIOLATION && refused.message().contains("startup parameter")
            || refused.message().contains("unsupported startup")
    })
}

impl DatabaseRefusal {
    /// What an error of the client means.
    pub fn of(error: Error) -> DatabaseRefusal {
        refusal(Failure::Postgres(error))
    }

    /// The SQLSTATE, where the server spoke.
    pub fn code(&self) -> Option<&str> {
        match self {
            DatabaseRefusal::Exhausted(_) => Some("53300"),
            DatabaseRefusal::Refused { code, .. } => Some(code),
            DatabaseRefusal::Unreached(_) | DatabaseRefusal::NoWay(_) => None,
        }
    }

    /// As an error with its repair.
    pub fn into_error(self) -> ConnectError {
        match self {
            DatabaseRefusal::Exhausted(message) => ConnectError::new(
                BlindKind::Refused,
                format!("no connection slot is left (53300): {message}"),
                "this is an incident: see the playbook db-pool",
            ),
            DatabaseRefusal::Refused { error, .. }
            | DatabaseRefusal::Unreached(error)
            | DatabaseRefusal::NoWay(error) => error,
        }
    }
}

/// What a failure means.
pub(super) fn refusal(failure: Failure) -> DatabaseRefusal {
    let error = match failure {
        Failure::Way(error) => return DatabaseRefusal::NoWay(error),
        Failure::Beyond(error) => return DatabaseRefusal::Unreached(error),
        Failure::Silence(waited) => {
            let why = format!("the database does not answer (timed out after {} s)", waited.as_secs());
            let repair = "check the network path to it: security group, tunnel, port";
            return DatabaseRefusal::Unreached(ConnectError::new(BlindKind::Unreachable, why, repair));
        }
        Failure::Postgres(error) => error,
    };
    let Some(refused) = error.as_db_error() else {
        let broken = broken_connection(&error);
        // What our own settings do not let through says nothing of the server.
        return match broken.kind {
            BlindKind::Unreachable => DatabaseRefusal::Unreached(broken),
            _ => DatabaseRefusal::NoWay(broken),
        };
    };
    let message = refused.message();
    let code = refused.code();
    if *code == SqlState::TOO_MANY_CONNECTIONS || message.contains("no more connections allowed") {
        return DatabaseRefusal::Exhausted(message.to_owned());
    }
    let (kind, repair) = match code.code() {
        "28P01" => (BlindKind::Refused, "check the password in DATABASE_URL"),
        "28000" => (BlindKind::Refused, "check the role in DATABASE_URL, sslmode, and pg_hba.conf"),
        "3D000" => (BlindKind::Broken, "check the database's name in DATABASE_URL"),
        "42501" => (BlindKind::Refused, "GRANT pg_monitor to the role"),
        "57P03" => (BlindKind::Unreachable, "the server is starting or stopping; trying again"),
        "57014" => (BlindKind::Unreachable, "the server is too busy for this; try again"),
        "55P03" => (BlindKind::Unreachable, "somebody holds the lock: see who with the lock tree"),
        _ => (BlindKind::Broken, ""),
    };
    let why = format!("the database says: {message} ({})", code.code());
    DatabaseRefusal::Refused { code: code.code().to_owned(), error: ConnectError::new(kind, why, repair) }
}

fn broken_connection(error: &Error) -> ConnectError {
    let said =
        deepest(error).replace("Other(OtherError(CaUsedAsEndEntity))", "it is that of an authority itself");
    let lower = said.to_lowercase();
    let (kind, repair) = if lower.contains("certificate") {
        (BlindKind::Refused, "check sslmode and sslrootcert in DATABASE_URL")
    } else if lower.contains("tls") || lower.contains("ssl") {
        (BlindKind::Broken, "the server offers no TLS: use sslmode=prefer or disable only where that is safe")
    } else if lower.contains("password") {
        (BlindKind::Refused, "put the password into DATABASE_URL")
    } else {
        (BlindKind::Unreachable, "check host and port in DATABASE_URL, and the network path")
    };
    ConnectError::new(kind, format!("the database cannot be reached: {said}"), repair)
}
