//! Who does what on the database: holders of slots, lock chains, the statement that costs most, unfinished
//! indexes. What our role may not see, or the server does not have, is named with its repair.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use crate::config::{DatabaseRefusal, DatabaseRow, DatabaseSession, database_queries as queries};
use crate::domain::{
    Activity, Capacity, Holder, Locked, Name, Replica, Timestamp, TopQuery, between, lock_roots,
    lock_waiters, longest_wait, text,
};

/// Statements and indexes are looked at this often: the former are thousands of rows on a busy server.
const SELDOM: Duration = Duration::from_secs(30);
const MOST: usize = 10;

/// What one connection remembers between two looks.
pub(super) struct Watching {
    cpus: Option<f64>,
    rights: Option<Vec<Name>>,
    counts: bool,
    seldom: Option<Timestamp>,
    statements: Option<(Timestamp, HashMap<i64, Counted>)>,
    /// Statements that are ours.
    own: HashSet<i64>,
    top: Option<TopQuery>,
    invalid: Vec<Name>,
    replicas: Vec<Replica>,
}

#[derive(Clone, Copy, Default)]
struct Counted {
    calls: f64,
    milliseconds: f64,
}

impl Watching {
    pub(super) fn new(cpus: Option<f64>) -> Self {
        Self {
            cpus,
            rights: None,
            counts: false,
            seldom: None,
            statements: None,
            own: HashSet::new(),
            top: None,
            invalid: Vec::new(),
            replicas: Vec::new(),
        }
    }

    /// One look. Only a broken connection is an error: what is refused is listed as unseen.
    pub(super) async fn look(
        &mut self,
        session: &DatabaseSession,
        capacity: &Capacity,
        now: Timestamp,
    ) -> Result<Activity, DatabaseRefusal> {
        let mut opened = Vec::new();
        if self.rights.is_none() {
            // What came before we looked: from then on it is counted.
            let rows = allowed(session.ask(queries::OPENED).await)?;
            opened.extend(rows.iter().filter_map(|row| row.moment("backend_start")));
            let rows = allowed(session.ask(queries::RIGHTS).await)?;
            self.counts = rows.first().is_some_and(|row| row.text("counts_statements") == "t");
            self.rights = Some(lacking(&rows));
        }
        let clients = allowed(session.ask(queries::CLIENTS).await)?;
        // The last five minutes are forgiven (audit, section 3).
        let stuck = clients.iter().filter(|row| row.text("state").starts_with("idle in transaction"));
        let stuck = stuck.filter_map(|row| row.number::<u32>("over_5m")).sum();
        let limits = allowed(session.ask(queries::LIMITS).await)?;
        let locked: Vec<Locked> = if capacity.lock_waiters > 0 {
            let rows = allowed(session.ask(queries::LOCKS).await)?;
            rows.iter().filter_map(queries::locked).collect()
        } else {
            Vec::new()
        };
        if self.seldom.is_none_or(|last| between(last, now) >= SELDOM) {
            self.seldom = Some(now);
            self.look_seldom(session, now).await?;
        }
        let building = allowed(session.ask(queries::BUILDING).await)?.first().map(progress);
        Ok(Activity {
            holders: clients.iter().map(holder).take(MOST).collect(),
            limits: limits.iter().filter_map(queries::limit).collect(),
            stuck,
            roots: lock_roots(&locked).into_iter().take(MOST).collect(),
            longest_wait: longest_wait(&locked),
            waiting: lock_waiters(&locked).into_iter().take(MOST).collect(),
            top: self.top.clone(),
            invalid_indexes: self.invalid.clone(),
            building,
            opened,
            replicas: self.replicas.clone(),
            cpus: self.cpus,
            unseen: self.rights.clone().unwrap_or_default(),
        })
    }

    async fn look_seldom(
        &mut self,
        session: &DatabaseSession,
        now: Timestamp,
    ) -> Result<(), DatabaseRefusal> {
        let rows = allowed(session.ask(queries::INVALID).await)?;
        self.invalid = rows.iter().map(index).collect();
        let rows = allowed(session.ask(queries::REPLICAS).await)?;
        self.replicas = rows.iter().map(replica).take(MOST).collect();
        if !self.counts {
            return Ok(());
        }
        let rows = match session.ask(queries::STATEMENTS).await {
            Err(refusal @ DatabaseRefusal::Refused { .. }) => {
                // It is installed and does not answer: say so once and leave it.
                self.counts = false;
                let repair = queries::repair(refusal.code(), "our role");
                let says = repair.unwrap_or_else(|| refusal.into_error().to_string());
                self.rights
                    .get_or_insert_default()
                    .push(format!("which statements cost most: {says}").into());
                return Ok(());
            }
            other => other?,
        };
        let own = allowed(session.ask(queries::OWN_STATEMENTS).await)?;
        self.own.extend(own.iter().filter_map(|row| row.number::<i64>("queryid")));
        let counted = rows.iter().filter_map(statement).filter(|(id, _)| !self.own.contains(id));
        let counted: HashMap<i64, Counted> = counted.collect();
        let before = self.statements.replace((now, counted));
        self.top = match (&before, &self.statements) {
            (Some(before), Some(after)) => most_expensive(before, after),
            _ => None,
        };
        if let Some(top) = &mut self.top {
            let rows = allowed(session.ask(&queries::statement_text(top.id)).await)?;
            top.text = rows.first().map(|row| queries::query(row.text("query"))).unwrap_or_default().into();
        }
        Ok(())
    }
}

/// What cannot be seen on this connection, each with its repair.
pub(in crate::eyes) async fn unseen(session: &DatabaseSession) -> Result<Vec<Name>, DatabaseRefusal> {
    Ok(lacking(&allowed(session.ask(queries::RIGHTS).await)?))
}

/// Which statements get no plan on this connection, with the repair; None where all tables may be read.
pub(in crate::eyes) async fn unexplained(
    session: &DatabaseSession,
) -> Result<Option<String>, DatabaseRefusal> {
    let rows = allowed(session.ask(queries::UNREADABLE).await)?;
    let Some((row, tables)) = rows.first().and_then(|row| Some((row, row.number::<usize>("tables")?))) else {
        return Ok(None);
    };
    let (role, largest) = (queries::name(row, "role"), queries::name(row, "largest"));
    let repair = match row.text("knows_readers") {
        "t" => format!("GRANT pg_read_all_data TO \"{role}\""),
        _ => format!("GRANT SELECT ON {largest} TO \"{role}\""),
    };
    let tables = text::count(tables, "table");
    Ok((!largest.is_empty()).then(|| format!("no plan of statements on {tables} ({largest}, …): {repair}")))
}

fn lacking(rows: &[DatabaseRow]) -> Vec<Name> {
    let Some(row) = rows.first() else { return Vec::new() };
    let is = |column: &str| row.text(column) == "t";
    let mut lacking: Vec<Name> = Vec::new();
    if !is("sees_all") {
        let role = queries::name(row, "role");
        lacking.push(format!("what other roles do: GRANT pg_read_all_stats TO \"{role}\"").into());
    }
    if !is("counts_statements") {
        lacking.push("which statements cost most: CREATE EXTENSION pg_stat_statements".into());
    }
    lacking
}

/// A query that was refused has no rows; a connection that broke is an error.
fn allowed(answer: Result<Vec<DatabaseRow>, DatabaseRefusal>) -> Result<Vec<DatabaseRow>, DatabaseRefusal> {
    match answer {
        Err(DatabaseRefusal::Refused { code, .. }) if !code.starts_with("57P") => Ok(Vec::new()),
        other => other,
    }
}

fn holder(row: &DatabaseRow) -> Holder {
    Holder {
        database: queries::name(row, "datname"),
        role: queries::name(row, "usename"),
        application: queries::name(row, "application_name"),
        state: queries::name(row, "state"),
        sessions: row.number("count").unwrap_or_default(),
        longest: row.seconds("max_in_state_s"),
    }
}

fn index(row: &DatabaseRow) -> Name {
    match row.text("schema_name") {
        "public" => queries::name(row, "index_name"),
        schema => format!("{}.{}", text::clean(schema), queries::name(row, "index_name")).into(),
    }
}

fn replica(row: &DatabaseRow) -> Replica {
    let name = match row.text("application_name") {
        "" => queries::name(row, "client_addr"),
        _ => queries::name(row, "application_name"),
    };
    Replica { name, lag: row.seconds("replay_lag_s") }
}

fn progress(row: &DatabaseRow) -> f64 {
    let count = |column: &str| row.number::<f64>(column).unwrap_or_default();
    (count("blocks_done") / count("blocks_total").max(1.0)).clamp(0.0, 1.0)
}

fn statement(row: &DatabaseRow) -> Option<(i64, Counted)> {
    let counted = Counted { calls: row.number("calls")?, milliseconds: row.number("total_ms")? };
    Some((row.number("queryid")?, counted))
}

/// The statement that most of the time between two looks went to. Counters that shrank were reset.
fn most_expensive(
    (then, before): &(Timestamp, HashMap<i64, Counted>),
    (now, after): &(Timestamp, HashMap<i64, Counted>),
) -> Option<TopQuery> {
    let spent = after.iter().map(|(id, counted)| {
        let earlier = before.get(id).copied().unwrap_or_default();
        let (calls, milliseconds) =
            (counted.calls - earlier.calls, counted.milliseconds - earlier.milliseconds);
        (*id, Counted { calls: calls.max(0.0), milliseconds: milliseconds.max(0.0) })
    });
    let spent: Vec<(i64, Counted)> = spent.collect();
    let all: f64 = spent.iter().map(|(_, counted)| counted.milliseconds).sum();
    let (id, most) =
        spent.into_iter().max_by(|one, other| one.1.milliseconds.total_cmp(&other.1.milliseconds))?;
    let seconds = between(*then, *now).as_secs_f64().max(1.0);
    (all > 0.0).then(|| TopQuery {
        id,
        text: "".into(),
        share: most.milliseconds / all,
        calls_per_second: most.calls / seconds,
        mean: most.milliseconds / most.calls.max(1.0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_expensive_statement_is_that_of_the_time_between() {
        let now = Timestamp::UNIX_EPOCH;
        let look = |seconds: i64, rows: &[(i64, f64, f64)]| {
            let rows = rows.iter().map(|(id, calls, milliseconds)| {
                (*id, Counted { calls: *calls, milliseconds: *milliseconds })
            });
            (now + jiff::SignedDuration::from_secs(seconds), rows.collect::<HashMap<_, _>>())
        };
        // the first is the champion of its whole life, the second of the last half minute
        let before = look(0, &[(1, 1e6, 1e9), (2, 10.0, 1e3), (3, 5.0, 10.0)]);
        let after = look(30, &[(1, 1e6 + 10.0, 1e9 + 250.0), (2, 70.0, 1e3 + 750.0), (3, 1.0, 2.0)]);
        let top = most_expensive(&before, &after).unwrap();
        assert_eq!((top.id, top.share, top.calls_per_second, top.mean), (2, 0.75, 2.0, 12.5));
        assert!(most_expensive(&before, &look(30, &[])).is_none());
    }
}
