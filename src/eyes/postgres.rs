//! The database's capacity, asked each few seconds on one kept-open, read-only connection. A refusal for lack of
//! slots (53300) is itself an observation; every other failure is blindness, in words.

use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config, Error, SimpleQueryMessage, SimpleQueryRow};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::kubernetes::names::says;
use super::tell::{Backoff, Tell, Unheard};
use super::trouble::deepest;
use crate::config::{self, ConnectError, Encryption, Settings};
use crate::domain::{BlindKind, Capacity, Database, Fact, Origin};

const EVERY: Duration = Duration::from_secs(5);
/// The server ends statements after five seconds; this is for the network.
const PATIENCE: Duration = Duration::from_secs(7);
/// What a session must never do, and how long it may take, said before it begins.
const MANNERS: &str =
    "-c default_transaction_read_only=on -c statement_timeout=5000 -c intervalstyle=postgres";

/// Q1: slots and who holds them, for the whole server.
const CAPACITY: &str = "/* covet:capacity */ \
SELECT (SELECT setting::int FROM pg_settings WHERE name='max_connections') AS max_conn, \
COALESCE((SELECT sum(setting::int) FROM pg_settings WHERE name IN \
('superuser_reserved_connections','reserved_connections','rds.rds_superuser_reserved_connections')),0) AS reserved, \
count(*) FILTER (WHERE backend_type='client backend') AS used, \
count(*) FILTER (WHERE state='active') AS active, \
count(*) FILTER (WHERE state='idle') AS idle, \
count(*) FILTER (WHERE state LIKE 'idle in transaction%') AS idle_in_tx, \
count(*) FILTER (WHERE wait_event_type='Lock') AS lock_waiters, \
count(*) FILTER (WHERE state='active' AND wait_event_type IS NULL) AS on_cpu, \
max(now()-xact_start) FILTER (WHERE backend_type='client backend') AS oldest_xact \
FROM pg_stat_activity";

/// An open connection; dropping it closes it.
pub(super) struct Session {
    client: Client,
    driver: JoinHandle<()>,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// Why there is no answer.
pub(super) enum Refusal {
    /// No slot was left for us.
    Exhausted(String),
    Error(ConnectError),
}

/// Looks for ever.
pub(super) async fn watch(settings: Settings, tell: Tell) {
    let Some(url) = settings.database_url.value.as_deref().filter(|url| *url != "off") else {
        let repair = "set DATABASE_URL to a role that may read pg_stat_activity (pg_monitor)";
        let _ = tell.not_configured(Origin::Postgres, "no database was given", repair).await;
        return;
    };
    let (config, encryption) = match config::database(url) {
        Ok(found) => found,
        Err(error) => {
            let _ = tell.blind(Origin::Postgres, error).await;
            return;
        }
    };
    let mut backoff = Backoff::new(Duration::from_secs(2), Duration::from_secs(30));
    loop {
        let ended = match open(&config, &encryption).await {
            Ok(session) => follow(&session, &tell, &mut backoff).await,
            Err(refusal) => Ok(refusal),
        };
        let wait = match ended {
            Err(Unheard) => return,
            Ok(Refusal::Exhausted(message)) => {
                let fact = Fact::Database(Database::Exhausted { message: says(&message) });
                if tell.fact(Origin::Postgres, fact).await.is_err() {
                    return;
                }
                EVERY
            }
            Ok(Refusal::Error(error)) => {
                if tell.blind(Origin::Postgres, error).await.is_err() {
                    return;
                }
                backoff.next()
            }
        };
        tell.rest(wait).await;
    }
}

/// Until the connection breaks.
async fn follow(session: &Session, tell: &Tell, backoff: &mut Backoff) -> Result<Refusal, Unheard> {
    let mut ticks = tell.beat(EVERY);
    loop {
        ticks.tick().await;
        match capacity(session).await {
            Ok(capacity) => {
                backoff.reset();
                tell.fact(Origin::Postgres, Fact::Database(Database::Capacity(capacity))).await?;
            }
            Err(refusal) => return Ok(refusal),
        }
    }
}

/// Connects with good manners. A pooler that refuses start-up options is told them afterwards.
pub(super) async fn open(config: &Config, encryption: &Encryption) -> Result<Session, Refusal> {
    let tls = MakeRustlsConnect::new(encryption.client().map_err(Refusal::Error)?);
    let mut polite = config.clone();
    let given = config.get_options().unwrap_or_default();
    polite.options(format!("{given} {MANNERS}").trim().to_owned());
    match connect(&polite, tls.clone()).await {
        Err(error) if is_about_options(&error) => {
            let session = connect(config, tls).await.map_err(|error| refusal(&error))?;
            let manners = MANNERS.replace("-c ", "SET ").replace(" SET", "; SET");
            session.client.batch_execute(&manners).await.map_err(|error| refusal(&error.into()))?;
            Ok(session)
        }
        other => other.map_err(|error| refusal(&error)),
    }
}

/// Either the client's error, or silence.
pub(super) enum Failure {
    Postgres(Error),
    Silence,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure::Postgres(error)
    }
}

async fn connect(config: &Config, tls: MakeRustlsConnect) -> Result<Session, Failure> {
    let (client, connection) =
        timeout(PATIENCE, config.connect(tls)).await.map_err(|_| Failure::Silence)??;
    let driver = tokio::spawn(async move {
        // Its error reaches whoever asks next.
        let _ = connection.await;
    });
    Ok(Session { client, driver })
}

/// One look, in the simple protocol: poolers in transaction mode lose prepared statements.
pub(super) async fn capacity(session: &Session) -> Result<Capacity, Refusal> {
    let asked = timeout(PATIENCE, session.client.simple_query(CAPACITY)).await;
    let answer = match asked {
        Ok(answer) => answer.map_err(|error| refusal(&error.into()))?,
        Err(_) => return Err(refusal(&Failure::Silence)),
    };
    let row = answer.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    });
    let row = row.ok_or_else(|| {
        Refusal::Error(ConnectError::new(BlindKind::Broken, "the database's answer has no row", ""))
    })?;
    let count = |column: &str| number(row, column).unwrap_or_default();
    Ok(Capacity {
        max_connections: count("max_conn"),
        reserved: count("reserved"),
        used: count("used"),
        active: count("active"),
        idle: count("idle"),
        idle_in_transaction: count("idle_in_tx"),
        lock_waiters: count("lock_waiters"),
        on_cpu: count("on_cpu"),
        oldest_transaction: row.try_get("oldest_xact").ok().flatten().and_then(interval_text),
    })
}

fn number(row: &SimpleQueryRow, column: &str) -> Option<u32> {
    row.try_get(column).ok()??.parse().ok()
}

/// PostgreSQL's own style: `1 day 02:03:04.5`, `00:00:01.2`. Months count 30 days.
fn interval_text(text: &str) -> Option<Duration> {
    let mut seconds = 0.0;
    let mut words = text.split_whitespace().peekable();
    while let Some(word) = words.next() {
        if let Some((hours, rest)) = word.split_once(':') {
            let (minutes, rest) = rest.split_once(':')?;
            let negative = hours.starts_with('-');
            let hours: f64 = hours.trim_start_matches(['-', '+']).parse().ok()?;
            let time = hours * 3600.0 + minutes.parse::<f64>().ok()? * 60.0 + rest.parse::<f64>().ok()?;
            seconds += if negative { -time } else { time };
        } else {
            let count: f64 = word.parse().ok()?;
            let unit = words.next()?;
            seconds += count
                * match unit.trim_end_matches('s') {
                    "day" => 86_400.0,
                    "mon" => 2_592_000.0,
                    "year" => 31_557_600.0,
                    _ => return None,
                };
        }
    }
    Some(Duration::from_secs_f64(seconds.max(0.0)))
}

fn is_about_options(failure: &Failure) -> bool {
    let Failure::Postgres(error) = failure else { return false };
    error.as_db_error().is_some_and(|refused| {
        *refused.code() == SqlState::PROTOCOL_VIOLATION && refused.message().contains("startup parameter")
            || refused.message().contains("unsupported startup")
    })
}

/// What a failure means.
pub(super) fn refusal(failure: &Failure) -> Refusal {
    let error = match failure {
        Failure::Silence => {
            let why = format!("the database does not answer (timed out after {} s)", PATIENCE.as_secs());
            let repair = "check the network path to it: security group, tunnel, port";
            return Refusal::Error(ConnectError::new(BlindKind::Unreachable, why, repair));
        }
        Failure::Postgres(error) => error,
    };
    let Some(refused) = error.as_db_error() else { return Refusal::Error(broken_connection(error)) };
    let message = refused.message();
    let code = refused.code();
    if *code == SqlState::TOO_MANY_CONNECTIONS || message.contains("no more connections allowed") {
        return Refusal::Exhausted(message.to_owned());
    }
    let (kind, repair) = match code.code() {
        "28P01" => (BlindKind::Refused, "check the password in DATABASE_URL"),
        "28000" => (BlindKind::Refused, "check the role in DATABASE_URL, sslmode, and pg_hba.conf"),
        "3D000" => (BlindKind::Broken, "check the database's name in DATABASE_URL"),
        "42501" => (BlindKind::Refused, "GRANT pg_monitor to the role"),
        "57P03" => (BlindKind::Unreachable, "the server is starting or stopping; trying again"),
        _ => (BlindKind::Broken, ""),
    };
    let why = format!("the database says: {message} ({})", code.code());
    Refusal::Error(ConnectError::new(kind, why, repair))
}

fn broken_connection(error: &Error) -> ConnectError {
    let said = deepest(error);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_as_postgres_writes_them() {
        for (text, seconds) in
            [("00:00:01.5", 1.5), ("1 day 02:00:00", 93_600.0), ("-00:00:01", 0.0), ("3 days", 259_200.0)]
        {
            assert_eq!(interval_text(text), Some(Duration::from_secs_f64(seconds)), "{text}");
        }
        assert_eq!(interval_text("soon"), None);
    }
}
