//! Whether the database answers, how quickly, or with which SQLSTATE it refuses. One connection of its own,
//! one `SELECT 1`, closed again: the question is whether anybody still gets in.

use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::refused;
use crate::config::{DatabaseRefusal, Outside};
use crate::domain::{Tone, cause, text};
use crate::probes::answer::Answer;

/// Connecting and asking together.
const PATIENCE: Duration = Duration::from_secs(5);

pub(super) async fn ping(outside: &Outside, cluster: kube::Client) -> Answer {
    let target = match outside.database(Some(cluster)) {
        Ok(target) => target,
        Err(error) => return Answer::failed(&error.to_string()),
    };
    let started = Instant::now();
    let asked = timeout(PATIENCE, async {
        let session = target.look().await?;
        let connected = started.elapsed();
        session.ask("SELECT 1").await.map(|_| connected)
    });
    match asked.await {
        Ok(Ok(connected)) => {
            let all = started.elapsed();
            let says = format!(
                "the database answers: connected in {}, SELECT 1 in {}",
                text::span(connected),
                text::span(all.saturating_sub(connected))
            );
            let mut answer = Answer::new();
            answer.line(Tone::Good, &says);
            answer.summary(says);
            answer.bind("database_ms", all.as_millis().to_string());
            answer
        }
        Ok(Err(refusal)) => {
            let mut answer = refused(&refusal);
            if !matches!(refusal, DatabaseRefusal::NoWay(_)) {
                answer.answered();
            }
            answer
        }
        Err(_) => {
            let says = format!("the database does not answer within {}", text::span(PATIENCE));
            let mut answer = Answer::new();
            answer.found(cause::DATABASE_UNREACHABLE, &says);
            answer.line(Tone::Bad, &says);
            answer.summary(says);
            answer
        }
    }
}
