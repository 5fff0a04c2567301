//! Questions to PostgreSQL, on a session that can only look and stays open: it still answers when no slot is
//! left for others.

mod accounts;
mod budget;
mod capacity;
mod explain;
mod indexes;
mod locks;
pub(crate) mod picked;
mod ping;
mod plan;
pub(crate) mod pools;
pub(crate) mod slots;
mod statements;

use std::sync::Arc;

use super::answer::Answer;
use super::cluster::Cluster;
use super::trouble::Trouble;
use crate::config::{DatabaseRefusal, DatabaseSession, Outside, database_queries as queries};
use crate::domain::{Sql, Tone, cause};

pub(super) async fn read(outside: &Outside, cluster: &Cluster, sql: &Sql) -> Result<Answer, Trouble> {
    if let Sql::PingDatabase = sql {
        return Ok(ping::ping(outside, cluster.client()).await);
    }
    let session = match outside.database_session(Some(cluster.client())).await {
        Ok(session) => session,
        Err(refusal) => return Ok(refused(&refusal)),
    };
    if let Sql::PoolBudget { namespace, config_map } = sql {
        return budget::budget(cluster, &session, namespace, config_map.as_ref()).await;
    }
    let answer = ask(outside, &session, sql).await;
    Ok(answer.unwrap_or_else(|refusal| refused(&refusal)))
}

async fn ask(
    outside: &Outside,
    session: &Arc<DatabaseSession>,
    sql: &Sql,
) -> Result<Answer, DatabaseRefusal> {
    match sql {
        Sql::DatabaseCapacity => capacity::capacity(session).await,
        Sql::DatabaseSettings => capacity::settings(session).await,
        Sql::ReplicaLag => capacity::replicas(session).await,
        Sql::LongTransactions => locks::transactions(session).await,
        Sql::LockTree => locks::tree(session).await,
        Sql::PickedSessions { pick } => picked::read(session, pick).await,
        Sql::ExpensiveQueries { apart } => statements::expensive(session, *apart).await,
        Sql::TableScans => statements::tables(session).await,
        Sql::IndexState => indexes::state(session).await,
        Sql::ExplainQuery { query } => explain::explain(session, *query).await,
        Sql::AccountFailures { more_than } => match outside.users() {
            Ok(users) => accounts::failures(session, &users, *more_than).await,
            Err(error) => Ok(Answer::failed(&error.to_string())),
        },
        _ => Ok(Answer::failed("a change is no read")),
    }
}

/// What a refusal means, with what it gives away about the cause.
fn refused(refusal: &DatabaseRefusal) -> Answer {
    let code = refusal.code().map(str::to_owned);
    let error = refusal.clone().into_error();
    let found = match (code.as_deref(), refusal) {
        (Some("53300"), _) => Some(cause::DATABASE_EXHAUSTED),
        (Some("28P01" | "28000"), _) => Some(cause::DATABASE_AUTH),
        (None, DatabaseRefusal::Unreached(_)) => Some(cause::DATABASE_UNREACHABLE),
        _ => None,
    };
    let repair = match code.as_deref() {
        Some("53300") => {
            Some("no session was open before; a role with reserved slots still gets in".to_owned())
        }
        code => queries::repair(code, "our role").or(error.repair),
    };
    let says = match repair {
        Some(repair) => format!("{}; {repair}", error.why),
        None => error.why,
    };
    if let DatabaseRefusal::NoWay(_) = refusal {
        let mut answer = Answer::new().unseen(&says);
        answer.line(Tone::Bad, &says);
        return answer;
    }
    let mut answer = Answer::failed(&says);
    if let Some(found) = found {
        answer.found(found, &says);
    }
    if let Some(code) = code {
        answer.bind("sqlstate", code);
    }
    answer.line(Tone::Bad, &says);
    answer
}

/// A note about what is not to be seen for lack of a right, if so.
async fn rights(session: &DatabaseSession, answer: &mut Answer) {
    let Ok(rows) = session.ask(queries::RIGHTS).await else { return };
    let Some(row) = rows.first().filter(|row| row.text("sees_all") != "t") else { return };
    let role = queries::name(row, "role");
    answer.line(
        Tone::Bad,
        format!("what other roles do is hidden from {role}: GRANT pg_read_all_stats TO \"{role}\""),
    );
}
