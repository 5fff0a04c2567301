//! Ends or cancels exactly the sessions that were previewed: the pair of process id and start, and still in the
//! state in which they were seen. Never superusers, walsenders, our own sessions, or a pool that works.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use serde_json::json;
use tokio::time::{Duration, Instant};
use tokio_postgres::types::Type;

use super::{Failed, Parts, are, armed, drafted, failed, looking, moved, refused, run};
use crate::config::{DatabaseRefusal, DatabaseSession, database_queries as queries};
use crate::domain::{Pick, SessionTarget, Sql, Timestamp, Which, text};
use crate::guard::{DiffTone, Draft, Guard, Hazard, Refusal, Warrant};
use crate::hands::Hands;
use crate::hands::done::Done;
use crate::hands::task::Task;
use crate::probes::postgres::picked::{Picked, picked};

/// So many sessions are listed one by one.
const FEW: usize = 5;
/// Of many, it is told now and then how far it is.
const EACH: usize = 10;
const RIGHT: &str = "GRANT pg_signal_backend TO our role, or make it a member of theirs";
/// Pools give idle sessions up after ten minutes or later (HikariCP's idleTimeout, pgbouncer's server_idle_timeout).
const KEPT_BY_POOLS: Duration = Duration::from_mins(10);
/// A backend that was told to end mostly does so at once.
const GONE_WITHIN: Duration = Duration::from_secs(10);

fn parts(sql: &Sql) -> Option<(&Pick, bool, &[SessionTarget])> {
    match sql {
        Sql::TerminateSessions { pick, sessions } => Some((pick, false, sessions)),
        Sql::CancelQueries { pick, sessions } => Some((pick, true, sessions)),
        _ => None,
    }
}

pub(super) async fn draft(hands: &Hands, sql: &Sql, at: Timestamp) -> Result<Draft, Refusal> {
    let Some((pick, cancels, _)) = parts(sql) else { return Err(Refusal::new("no sessions are meant")) };
    let session = looking(hands).await?;
    let found = picked(&session, pick).await.map_err(refused)?;
    let (supers, found): (Vec<Picked>, Vec<Picked>) = found.into_iter().partition(|row| row.is_super);
    // A cancel means nothing to a session that runs nothing.
    let (ours, idle): (Vec<Picked>, Vec<Picked>) =
        found.into_iter().partition(|row| !cancels || row.state == "active");
    let mut hazards = Vec::new();
    if let Some(says) = left_alone(&supers) {
        hazards.push(Hazard::note(Guard::Target, says));
    }
    if !idle.is_empty() {
        let says = format!("{} run nothing that could be cancelled", text::count(idle.len(), "session"));
        hazards.push(Hazard::note(Guard::Target, says));
    }
    if pick.which == Which::Idle && pick.older < KEPT_BY_POOLS {
        let says = "a pool keeps sessions idle for minutes, and opens them again within seconds: nothing is freed, \
                    and requests that just took one fail";
        hazards.push(Hazard::warn(Guard::Target, says));
    }
    if ours.is_empty() {
        if let Some(says) = only_by_superusers(&supers, cancels).filter(|_| idle.is_empty()) {
            return Err(Refusal::new(says));
        }
        return Err(nobody(pick, &hazards, !idle.is_empty()));
    }
    if let Some(row) = ours.iter().find(|row| !row.may_signal) {
        hazards
            .push(Hazard::stop(Guard::Permission, format!("our role may not signal {}: {RIGHT}", row.says)));
    }
    let verb = if cancels { "cancel" } else { "terminate" };
    let title = match (cancels, pick.which) {
        (true, Which::LongQueries) => {
            let age = text::span(pick.older);
            format!("{verb} {} that run for {age} or more", text::count(ours.len(), "statement"))
        }
        (true, which) => {
            format!("{verb} {} of sessions {}", text::count(ours.len(), "statement"), which.says())
        }
        (false, which) => format!("{verb} {} {}", text::count(ours.len(), "session"), which.says()),
    };
    let sessions: Vec<SessionTarget> = ours.iter().map(|row| row.target.clone()).collect();
    let action = if cancels {
        Sql::CancelQueries { pick: pick.clone(), sessions }
    } else {
        Sql::TerminateSessions { pick: pick.clone(), sessions }
    };
    // Many are read by whose they are; their process ids stand among the targets.
    let few = ours.len() <= FEW;
    let lines = if few { ours.iter().map(|row| row.says.clone()).collect() } else { grouped(&ours) };
    let before = ours.iter().map(|row| json!({"session": row.target, "was": row.says})).collect();
    Ok(drafted(
        hands,
        action,
        at,
        Parts {
            title,
            targets: ours.iter().map(|row| if few { row.says.clone() } else { pid(row) }).collect(),
            diff: lines.into_iter().map(|line| (DiffTone::Removed, line)).collect(),
            hazards,
            before,
            undo: None,
        },
    ))
}

fn left_alone(supers: &[Picked]) -> Option<String> {
    match supers {
        [] => None,
        [one] => Some(format!("pid {} of the superuser {} is left alone", one.target.pid, one.role)),
        many => Some(format!("{} sessions of superusers are left alone", many.len())),
    }
}

/// Why none of them is touched, where all that were picked are superusers'.
fn only_by_superusers(supers: &[Picked], cancels: bool) -> Option<String> {
    let verb = if cancels { "cancel what is run by" } else { "end" };
    match supers {
        [] => None,
        [one] => Some(format!("only a superuser may {verb} pid {} of {}", one.target.pid, one.role)),
        [first, ..] => {
            let (many, pid, role) = (supers.len(), first.target.pid, &first.role);
            Some(format!("only a superuser may {verb} these {many} sessions, like pid {pid} of {role}"))
        }
    }
}

fn pid(row: &Picked) -> String {
    format!("pid {}", row.target.pid)
}

/// One line for each client and state, the most sessions first.
fn grouped(sessions: &[Picked]) -> Vec<String> {
    let mut groups: BTreeMap<(&str, &str), Vec<&Picked>> = BTreeMap::new();
    for row in sessions {
        groups.entry((&row.who, &row.state)).or_default().push(row);
    }
    let mut groups: Vec<_> = groups.into_iter().collect();
    groups.sort_by_key(|(_, rows)| Reverse(rows.len()));
    let line = |((who, state), rows): ((&str, &str), Vec<&Picked>)| {
        let ages = || rows.iter().map(|row| row.age);
        let (youngest, oldest) = (ages().min().unwrap_or_default(), ages().max().unwrap_or_default());
        let (youngest, oldest) = (text::span(youngest), text::span(oldest));
        let age = if youngest == oldest { oldest } else { format!("{youngest} to {oldest}") };
        let mut queries: Vec<&str> = rows.iter().map(|row| row.query.as_str()).collect();
        queries.sort_unstable();
        queries.dedup();
        let more = match queries.len() {
            0 | 1 => String::new(),
            several => format!(" (and {} more)", text::count(several - 1, "statement")),
        };
        let query = queries.first().copied().unwrap_or_default();
        format!("{} × {who}: {state} for {age}: {query}{more}", rows.len())
    };
    groups.into_iter().map(line).collect()
}

fn nobody(pick: &Pick, hazards: &[Hazard], idle: bool) -> Refusal {
    let mut says = format!("no session is {}", pick.which.says());
    if !pick.older.is_zero() {
        says.push_str(&format!(" for {} or more", text::span(pick.older)));
    }
    for hazard in hazards {
        says.push_str(&format!("; {}", hazard.says));
    }
    let refusal = Refusal::new(says);
    if idle {
        refusal.repair("terminate them instead: an idle transaction cannot be cancelled")
    } else {
        refusal
    }
}

pub(super) async fn perform(hands: &Hands, warrant: &Warrant, sql: &Sql, task: &mut Task) -> Done {
    let Some((pick, cancels, wanted)) = parts(sql) else {
        return Done::refused(Refusal::new("no sessions are meant"));
    };
    let look = match looking(hands).await {
        Ok(look) => look,
        Err(refusal) => return Done::refused(refusal),
    };
    // An age that was reached stays reached: the state itself is what may have changed.
    let now = match picked(&look, &Pick { older: Duration::ZERO, ..pick.clone() }).await {
        Ok(now) => now,
        Err(refusal) => return Done::refused(refused(refusal)),
    };
    let gone = wanted.iter().filter(|target| !now.iter().any(|row| row.target == **target)).count();
    if gone > 0 {
        let says = format!("{} no longer as you saw them", are(gone, "session"));
        return moved(hands, warrant, says).await;
    }
    let own = match armed(hands, warrant).await {
        Ok(session) => Some(session),
        Err(DatabaseRefusal::Exhausted(_)) => {
            task.say("no slot is left for another connection: the one that is open does it");
            None
        }
        Err(refusal) => return Done::refused(refused(refusal)),
    };
    let ended = match signal_all(own.as_ref().unwrap_or(&look), pick.which, cancels, wanted, task).await {
        Ok(ended) => ended,
        Err(done) => return done,
    };
    verify(&look, pick, cancels, wanted, ended, task).await
}

/// One by one: a refusal in the middle must not hide what was done before it.
async fn signal_all(
    session: &DatabaseSession,
    which: Which,
    cancels: bool,
    wanted: &[SessionTarget],
    task: &mut Task,
) -> Result<usize, Done> {
    let sql = statement(which, cancels);
    let mut ended = 0_usize;
    for target in wanted {
        let so_far = format!("{ended} of {} done", wanted.len());
        if task.is_called_off() {
            return Err(Done::unverified(format!("called off: {so_far}"), None));
        }
        let (start, since) = (target.backend_start.as_microsecond(), target.since.as_microsecond());
        let values: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 3] =
            [(&target.pid, Type::INT4), (&start, Type::INT8), (&since, Type::INT8)];
        match run(session, &sql, &values).await {
            Ok(rows) if rows.first().is_some_and(|row| row.text("done") == "true") => {
                ended += 1;
                if wanted.len() <= FEW {
                    task.say(format!("pid {} was told", target.pid));
                } else if ended.is_multiple_of(EACH) || ended == wanted.len() {
                    task.say(format!("{ended} of {} were told", wanted.len()));
                }
            }
            Ok(_) => task.say(format!("pid {} is no longer as it was seen: left alone", target.pid)),
            Err(Failed::Said(refusal)) if ended == 0 => return Err(failed(refusal, RIGHT)),
            Err(Failed::Said(refusal)) => {
                return Err(Done::unverified(format!("{so_far}; then {}", refusal.into_error()), None));
            }
            Err(Failed::Silence) => task.say(format!("no answer about pid {}: looking", target.pid)),
        }
    }
    Ok(ended)
}

fn statement(which: Which, cancels: bool) -> String {
    let (tag, function) =
        if cancels { ("cancel", "pg_cancel_backend") } else { ("terminate", "pg_terminate_backend") };
    let since = queries::since(which);
    format!(
        "/* covet:{tag} */ SELECT {function}(a.pid)::text AS done FROM pg_stat_activity a \
         JOIN pg_roles r ON r.oid=a.usesysid WHERE a.pid=$1::int4 \
         AND (extract(epoch FROM a.backend_start)*1000000)::int8=$2::int8 \
         AND (extract(epoch FROM {since})*1000000)::int8=$3::int8 \
         AND NOT r.rolsuper AND a.backend_type='client backend' AND a.pid<>pg_backend_pid()"
    )
}

/// Looks until none of them is as it was, and says what that brought.
async fn verify(
    look: &DatabaseSession,
    pick: &Pick,
    cancels: bool,
    wanted: &[SessionTarget],
    ended: usize,
    task: &mut Task,
) -> Done {
    let deadline = Instant::now() + GONE_WITHIN;
    let verb = if cancels { "cancelled" } else { "terminated" };
    loop {
        let left = match picked(look, &Pick { older: Duration::ZERO, ..pick.clone() }).await {
            Ok(now) => wanted.iter().filter(|target| now.iter().any(|row| row.target == **target)).count(),
            Err(refusal) => {
                let says =
                    format!("{ended} of {} told; looking fails: {}", wanted.len(), refusal.into_error());
                return Done::unverified(says, None);
            }
        };
        if left == 0 {
            let slots = slots(look).await.map(|slots| format!("; {slots}")).unwrap_or_default();
            let what = text::count(ended, if cancels { "statement" } else { "session" });
            return Done::performed(format!("{what} {verb}{slots}"), None);
        }
        if Instant::now() >= deadline || task.is_called_off() {
            let says = format!("{ended} of {} told, {left} still there", wanted.len());
            return Done::unverified(says, None);
        }
        task.say(if cancels {
            format!("waiting for {} to end", text::count(left, "statement"))
        } else {
            format!("waiting for {} to go", text::count(left, "session"))
        });
        task.pause(Duration::from_millis(300)).await;
    }
}

async fn slots(look: &DatabaseSession) -> Option<String> {
    let rows = look.ask(queries::CAPACITY).await.ok()?;
    let count = |column: &str| rows.first().and_then(|row| row.number::<u32>(column)).unwrap_or_default();
    let usable = count("max_conn").saturating_sub(count("reserved"));
    let waiters = match count("lock_waiters") {
        0 => String::new(),
        some => format!(", {some} still wait for locks"),
    };
    Some(format!("{} of {usable} slots in use now{waiters}", count("used")))
}
