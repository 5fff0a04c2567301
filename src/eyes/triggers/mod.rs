//! The questions of a team's own playbooks: asked calmly, read-only, each with its deadline. What is wrong with one
//! blinds that one alone.

mod object;
mod promql;
mod sql;

use std::time::Duration;

use tokio::task::JoinSet;

use super::api_server::Sessions;
use super::prometheus::Found;
use super::tell::{Tell, Unheard};
use crate::config::{ConnectError, Settings};
use crate::domain::{Ask, Asked, Case, Fact, Origin, Trigger};

/// Between two rounds of questions.
const EVERY: Duration = Duration::from_secs(15);

/// Opens an eye for each kind of question.
pub(super) fn open(
    settings: &Settings,
    triggers: &[Trigger],
    sessions: &Sessions,
    prometheus: &Found,
    tell: &Tell,
    tasks: &mut JoinSet<()>,
) {
    let of = |kind: fn(&Ask) -> bool| -> Vec<Trigger> {
        triggers.iter().filter(|trigger| kind(&trigger.ask)).cloned().collect()
    };
    let (series, rows) =
        (of(|ask| matches!(ask, Ask::Promql { .. })), of(|ask| matches!(ask, Ask::Sql { .. })));
    // Without a question the answer is known.
    let told = tell.clone();
    tasks.spawn(async move {
        let _ = told.fact(Origin::Triggers, Fact::Asked(Vec::new())).await;
    });
    if !series.is_empty() {
        tasks.spawn(promql::watch(series, prometheus.clone(), tell.clone()));
    }
    if !rows.is_empty() {
        tasks.spawn(sql::watch(settings.clone(), rows, tell.clone()));
    }
    for trigger in of(|ask| matches!(ask, Ask::Object { .. })) {
        tasks.spawn(object::watch(settings.namespace.value.clone(), trigger, sessions.clone(), tell.clone()));
    }
}

/// Tells what one question brought.
async fn answer(
    tell: &Tell,
    trigger: &Trigger,
    seen: Result<Vec<Case>, ConnectError>,
) -> Result<(), Unheard> {
    let seen = seen.map_err(|error| error.into_blind(tell.now()));
    let asked = Asked { playbook: trigger.playbook.clone(), seen };
    tell.fact(Origin::Triggers, Fact::Asked(vec![asked])).await
}
