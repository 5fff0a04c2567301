//! SQL triggers: each query in a read-only transaction on one kept-open connection, its first row looked at. The
//! session cannot write, and no statement lasts longer than five seconds.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_postgres::{Client, SimpleQueryMessage};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{EVERY, answer};
use crate::config::{self, ConnectError, Settings, connect::whole};
use crate::domain::{Ask, BlindKind, Case, Labels, Name, Timestamp, Trigger, text};
use crate::eyes::kubernetes::names::says;
use crate::eyes::tell::Tell;

/// The server ends statements after five seconds; this is for the network.
const PATIENCE: Duration = Duration::from_secs(8);
/// What the session must never do, and how long it may take, said before it begins.
const MANNERS: &str = "-c default_transaction_read_only=on -c statement_timeout=5000 -c lock_timeout=1000";
/// Longest value of a column that is kept.
const LONGEST: usize = 120;

struct Session {
    client: Client,
    driver: JoinHandle<()>,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// Asks for ever.
pub(super) async fn watch(settings: Settings, triggers: Vec<Trigger>, tell: Tell) {
    let mut session: Option<Session> = None;
    // Since when each has held: a database keeps no past.
    let mut held: BTreeMap<Name, Timestamp> = BTreeMap::new();
    let mut ticks = tell.beat(EVERY);
    loop {
        ticks.tick().await;
        for trigger in &triggers {
            let seen = ask(&settings, &mut session, trigger).await;
            let seen = seen.map(|found| match found {
                None => {
                    held.remove(&trigger.playbook);
                    Vec::new()
                }
                Some(mut case) => {
                    case.since = *held.entry(trigger.playbook.clone()).or_insert(tell.now());
                    vec![case]
                }
            });
            if answer(&tell, trigger, seen).await.is_err() {
                return;
            }
        }
    }
}

async fn ask(
    settings: &Settings,
    session: &mut Option<Session>,
    trigger: &Trigger,
) -> Result<Option<Case>, ConnectError> {
    let Ask::Sql { query, above } = &trigger.ask else { return Ok(None) };
    if session.as_ref().is_none_or(|session| session.client.is_closed()) {
        *session = Some(open(settings).await?);
    }
    let Some(open) = session.as_ref() else { return Ok(None) };
    let query = query.trim().trim_end_matches(';');
    // A statement that fails leaves its transaction: the next one begins anew.
    let statement = format!("BEGIN READ ONLY; {query}; ROLLBACK");
    let asked = timeout(PATIENCE, open.client.simple_query(&statement)).await;
    let rows = match asked {
        Ok(Ok(rows)) => rows,
        Ok(Err(error)) => {
            let _ = timeout(PATIENCE, open.client.simple_query("ROLLBACK")).await;
            return Err(refused(&error));
        }
        Err(_) => {
            *session = None;
            let why = format!("no answer within {}", text::span(PATIENCE));
            return Err(ConnectError::new(BlindKind::Unreachable, why, "make the query cheaper"));
        }
    };
    let mut rows = rows.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    });
    let Some(row) = rows.next() else { return Ok(None) };
    let broken = |why: String| {
        ConnectError::new(BlindKind::Broken, why, "the first column of the first row has to be a number")
    };
    let first = row.try_get(0).map_err(|error| broken(error.to_string()))?;
    let Some(first) = first else { return Ok(None) };
    let value: f64 = first.trim().parse().map_err(|_| broken(format!("“{}” is no number", short(first))))?;
    if value <= *above {
        return Ok(None);
    }
    let columns: Vec<(Name, Name)> = row
        .columns()
        .iter()
        .enumerate()
        .skip(1)
        .filter_map(|(index, column)| Some((says(column.name()), says(&short(row.try_get(index).ok()??)))))
        .collect();
    let name = row.columns().first().map_or("value", |column| column.name());
    Ok(Some(Case {
        labels: Labels::new(columns),
        value: Some(value),
        says: says(&format!("{name} is {value}, above {above}")),
        object: None,
        since: Timestamp::UNIX_EPOCH,
    }))
}

fn short(value: &str) -> String {
    text::redact(&value.chars().take(LONGEST).collect::<String>())
}

async fn open(settings: &Settings) -> Result<Session, ConnectError> {
    let missing = || {
        ConnectError::new(
            BlindKind::NotConfigured,
            "no database was given",
            "set DATABASE_URL or [database] url",
        )
    };
    let url = settings.database_url.value.as_deref().filter(|url| *url != "off").ok_or_else(missing)?;
    let (mut config, encryption) = config::database(url)?;
    let given = config.get_options().unwrap_or_default().to_owned();
    config.options(format!("{given} {MANNERS}").trim().to_owned());
    let tls = MakeRustlsConnect::new(encryption.client()?);
    match timeout(PATIENCE, config.connect(tls)).await {
        Ok(Ok((client, connection))) => {
            let driver = tokio::spawn(async move { drop(connection.await) });
            Ok(Session { client, driver })
        }
        Ok(Err(error)) => Err(refused(&error)),
        Err(_) => Err(ConnectError::new(BlindKind::Unreachable, "the database does not answer", "")),
    }
}

/// In the server's words where it has any.
fn refused(error: &tokio_postgres::Error) -> ConnectError {
    match error.as_db_error() {
        Some(refusal) => {
            let why =
                format!("the database refuses: {} (SQLSTATE {})", refusal.message(), refusal.code().code());
            ConnectError::new(BlindKind::Broken, why, "try the query in psql with the same role")
        }
        None => ConnectError::new(
            BlindKind::Unreachable,
            format!("the database cannot be asked: {}", whole(error)),
            "check DATABASE_URL",
        ),
    }
}
