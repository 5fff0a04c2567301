//! Whether the database answers, how quickly, or with which SQLSTATE it refuses. One connection, one
//! `SELECT 1`, closed again.

use std::time::Duration;

use tokio::time::{Instant, timeout};
use tokio_postgres::error::SqlState;
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::config::{connect, database};
use crate::domain::{Tone, cause, text};
use crate::probes::answer::Answer;

/// Connecting and asking together.
const PATIENCE: Duration = Duration::from_secs(5);

pub(super) async fn ping(url: Option<&str>) -> Answer {
    let Some(url) = url else {
        return Answer::failed("no database is configured; set DATABASE_URL or database.url");
    };
    let (config, encryption) = match database(url) {
        Ok(parsed) => parsed,
        Err(error) => return Answer::failed(&error.why),
    };
    let tls = match encryption.client() {
        Ok(tls) => tls,
        Err(error) => return Answer::failed(&error.why),
    };
    let mut answer = Answer::new();
    let started = Instant::now();
    let asked = timeout(PATIENCE, ask(&config, MakeRustlsConnect::new(tls))).await;
    match asked {
        Ok(Ok(connected)) => {
            let all = started.elapsed();
            let says = format!(
                "the database answers: connected in {}, SELECT 1 in {}",
                text::span(connected),
                text::span(all.saturating_sub(connected))
            );
            answer.line(Tone::Good, &says);
            answer.summary(says);
            answer.bind("database_ms", all.as_millis().to_string());
        }
        Ok(Err(error)) => refused(&mut answer, &error),
        Err(_) => {
            let says = format!("the database does not answer within {}", text::span(PATIENCE));
            answer.found(cause::DATABASE_UNREACHABLE, &says);
            answer.line(Tone::Bad, &says);
            answer.summary(says);
        }
    }
    answer
}

async fn ask(
    config: &tokio_postgres::Config,
    tls: MakeRustlsConnect,
) -> Result<Duration, tokio_postgres::Error> {
    let started = Instant::now();
    let (client, connection) = config.connect(tls).await?;
    let connected = started.elapsed();
    let carrying = tokio::spawn(connection);
    let asked = client.simple_query("SELECT 1").await;
    drop(client);
    carrying.abort();
    asked.map(|_| connected)
}

fn refused(answer: &mut Answer, error: &tokio_postgres::Error) {
    let (found, says) = if let Some(refusal) = error.as_db_error() {
        let code = refusal.code();
        answer.bind("sqlstate", code.code());
        let says = format!("the database refuses: {} (SQLSTATE {})", refusal.message(), code.code());
        (cause_of(code), says)
    } else {
        let says = format!("the database can't be reached: {}", connect::whole(error));
        (Some(cause::DATABASE_UNREACHABLE), says)
    };
    if let Some(found) = found {
        answer.found(found, &says);
    }
    answer.line(Tone::Bad, &says);
    answer.summary(says);
}

fn cause_of(code: &SqlState) -> Option<&'static str> {
    if *code == SqlState::TOO_MANY_CONNECTIONS {
        Some(cause::DATABASE_EXHAUSTED)
    } else if [SqlState::INVALID_PASSWORD, SqlState::INVALID_AUTHORIZATION_SPECIFICATION].contains(code) {
        Some(cause::DATABASE_AUTH)
    } else {
        None
    }
}
