//! The database's own work: sessions that wait for each other's locks, and more sessions on a CPU than it has.
//! At RDS, CloudWatch's measure of the CPU counts as well. What a statement's plan looks like is for the playbook
//! to ask.

use std::time::Duration;

use jiff::SignedDuration;

use crate::domain::{
    Activity, Anomaly, AnomalyId, Blind, BlindKind, Capacity, Cause, Holder, LockRoot, Origin, Series,
    Severity, Snapshot, Subject, Timestamp, TopQuery, cause, text,
};

use super::db_owner::owner;
use super::db_pool::{activity, activity_bindings};
use super::workload::evidence;
use super::{Needs, Rule, Scene, Threshold, Unit, db_notice, db_rds, shown};

const WARNING: Threshold = Threshold {
    key: "db-cpu.warning",
    default: 0.8,
    unit: Unit::Ratio,
    says: "sessions on a CPU for each CPU of the server, or CPUUtilization",
    source: "our own choice, as for CPUUtilization; Performance Insights calls it load by CPU",
};
const WARNING_AFTER: Threshold = Threshold {
    key: "db-cpu.warning-after",
    default: 600.0,
    unit: Unit::Seconds,
    says: "how long it lasts before it is a warning",
    source: "our own choice",
};
const CRITICAL: Threshold = Threshold {
    key: "db-cpu.critical",
    default: 0.95,
    unit: Unit::Ratio,
    says: "sessions on a CPU for each CPU of the server, or CPUUtilization",
    source: "our own choice",
};
const CRITICAL_AFTER: Threshold = Threshold {
    key: "db-cpu.critical-after",
    default: 300.0,
    unit: Unit::Seconds,
    says: "how long it lasts before it is critical",
    source: "our own choice",
};
const WAITERS: Threshold = Threshold {
    key: "db-cpu.lock-waiters",
    default: 3.0,
    unit: Unit::Count,
    says: "sessions that wait for locks at the same time",
    source: "our own choice; one or two wait now and then on every busy server",
};
const WAITERS_AFTER: Threshold = Threshold {
    key: "db-cpu.lock-waiters-after",
    default: 60.0,
    unit: Unit::Seconds,
    says: "how long they wait before it is a warning",
    source: "our own choice; a lock is held for milliseconds",
};
const MANY_WAITERS: Threshold = Threshold {
    key: "db-cpu.many-lock-waiters",
    default: 10.0,
    unit: Unit::Count,
    says: "sessions that wait for locks before it is critical",
    source: "our own choice: a pool's worth",
};
const HOT: Threshold = Threshold {
    key: "db-cpu.hot-query",
    default: 0.5,
    unit: Unit::Ratio,
    says: "share of the database's time that makes one statement the one to look at",
    source: "our own choice",
};

pub(super) static RULE: Rule = Rule {
    name: "db-cpu",
    title: "Database overloaded or locked",
    says: "Sessions that wait for locks while the database has little else to do; and, where `[database] cpus` \
           says how many it has, more sessions on a CPU than CPUs; and, at RDS, a busy CPU by CloudWatch. One or two short \
           waits are silent. An index that was never finished and a replica that is behind are told as notices.",
    needs: Needs::Within(&[Origin::Postgres], cpus_unknown),
    awaits: &[],
    thresholds: &[
        WARNING,
        WARNING_AFTER,
        CRITICAL,
        CRITICAL_AFTER,
        WAITERS,
        WAITERS_AFTER,
        MANY_WAITERS,
        HOT,
        db_rds::AT_MOST,
        db_notice::LAG,
    ],
    examine,
};

/// Who is not told how many CPUs there are, and has no CloudWatch to ask, sees locks and no load.
fn cpus_unknown(snapshot: &Snapshot) -> Option<Blind> {
    let (_, activity) = snapshot.activity.as_ref()?;
    let (since, _) = *snapshot.connections.points().first()?;
    let unknown = activity.cpus.is_none() && snapshot.rds.is_none();
    unknown.then(|| Blind {
        kind: BlindKind::NotConfigured,
        why: "locks are watched, the load is not: nobody said how many CPUs the database has".into(),
        repair: Some("set [database] cpus".into()),
        since,
    })
}

/// A statement that runs for this long is what a person looks at first (the audit's D30b cancels from a minute on).
const RUNAWAY: Duration = Duration::from_mins(1);
/// Requests are answered sooner: a statement that runs for this long is none of theirs, and is what the CPU is spent on.
const LONG: Duration = Duration::from_secs(10);
/// A single waiter that waits for this long is worth a look too.
const LONG_WAIT: SignedDuration = SignedDuration::from_mins(2);
/// Sessions on a CPU are counted at an instant; the mean of a minute is what a chart shows.
const SMOOTH: Duration = Duration::from_mins(1);

fn examine(scene: &Scene<'_>) -> Vec<Anomaly> {
    let blind = scene.snapshot.blindness(Origin::Postgres, scene.now).is_some();
    let capacity = scene.snapshot.capacity.as_ref().filter(|_| !blind);
    let (load, locks) = (overloaded(scene), capacity.and_then(|_| locked(scene)));
    let told = match (load, locks) {
        (None, None) => None,
        (load, locks) => anomaly(scene, capacity, load.as_ref(), locks.as_ref()),
    };
    let notices = if blind { Vec::new() } else { db_notice::notices(scene, told.is_some()) };
    told.into_iter().chain(notices).collect()
}

/// One of the signals.
struct Signal {
    onset: Timestamp,
    severity: Severity,
    /// Sessions on a CPU for each CPU, the share of the CPU that is used, or sessions that wait.
    value: f64,
    /// As a title, and as a reason.
    says: String,
}

/// By the sessions that we see, or by the CPU that CloudWatch measures: the worse of both.
fn overloaded(scene: &Scene<'_>) -> Option<Signal> {
    match (by_sessions(scene), by_cpu(scene)) {
        (Some(sessions), Some(cpu)) => Some(Signal {
            onset: sessions.onset.min(cpu.onset),
            severity: sessions.severity.max(cpu.severity),
            ..sessions
        }),
        (sessions, cpu) => sessions.or(cpu),
    }
}

fn by_sessions(scene: &Scene<'_>) -> Option<Signal> {
    let cpus = activity(scene)?.cpus.filter(|cpus| *cpus > 0.0)?;
    let load = scene.snapshot.on_cpu.mean_over(SMOOTH);
    let per_cpu = Series::new(load.points().iter().map(|(at, sessions)| (*at, sessions / cpus)));
    let (onset, severity, value) = busy(scene, &per_cpu)?;
    let says = format!("{value:.1} sessions on a CPU for each CPU");
    Some(Signal { onset, severity, value, says })
}

fn by_cpu(scene: &Scene<'_>) -> Option<Signal> {
    let (onset, severity, value) = busy(scene, &db_rds::cpu(scene)?)?;
    Some(Signal { onset, severity, value, says: format!("{:.0} % of its CPU used", value * 100.0) })
}

/// Since when a load of 1 at most is high, how bad that is, and what it is now.
fn busy(scene: &Scene<'_>, load: &Series) -> Option<(Timestamp, Severity, f64)> {
    let above = |level: &Threshold| load.above_since(scene.threshold(level) - 1e-9);
    let onset = above(&WARNING)?;
    let critical = above(&CRITICAL).is_some_and(|since| scene.has_lasted(since, &CRITICAL_AFTER));
    let severity = match () {
        () if critical => Severity::Critical,
        () if scene.has_lasted(onset, &WARNING_AFTER) => Severity::Warning,
        () => Severity::Suspect,
    };
    Some((onset, severity, load.last()?.1))
}

fn locked(scene: &Scene<'_>) -> Option<Signal> {
    let waiters = &scene.snapshot.lock_waiters;
    let (_, value) = waiters.last().filter(|(_, value)| *value > 0.0)?;
    let seen = waiters.above_since(0.0)?;
    // They may have been waiting long before anybody looked.
    let longest = activity(scene).and_then(|seen| SignedDuration::try_from(seen.longest_wait?).ok());
    let any = longest.and_then(|longest| scene.now.checked_sub(longest).ok()).map_or(seen, |at| at.min(seen));
    let several = waiters.above_since(scene.threshold(&WAITERS) - 0.5);
    let many = waiters.above_since(scene.threshold(&MANY_WAITERS) - 0.5);
    let lasted =
        |since: Option<Timestamp>| since.is_some_and(|since| scene.has_lasted(since, &WAITERS_AFTER));
    let severity = match () {
        () if lasted(many) => Severity::Critical,
        () if lasted(several) => Severity::Warning,
        () if several.is_some() || scene.now.duration_since(any) >= LONG_WAIT => Severity::Suspect,
        () => return None,
    };
    let says = format!("{} wait for locks", text::count(value as usize, "session"));
    Some(Signal { onset: any, severity, value, says })
}

fn anomaly(
    scene: &Scene<'_>,
    capacity: Option<&Capacity>,
    load: Option<&Signal>,
    locks: Option<&Signal>,
) -> Option<Anomaly> {
    let signals = || [load, locks].into_iter().flatten();
    let onset = signals().map(|signal| signal.onset).min()?;
    let severity = signals().map(|signal| signal.severity).max()?;
    let seen = activity(scene);
    let mut causes = causes(scene, seen, load, locks);
    causes.sort_by(|one, other| other.weight.total_cmp(&one.weight));
    let mut facts = Vec::new();
    if let Some(capacity) = capacity {
        let says = format!(
            "{} active, {} of them on a CPU{}, {} waiting for locks",
            capacity.active,
            capacity.on_cpu,
            seen.and_then(|seen| seen.cpus).map(|cpus| format!(" of {cpus}")).unwrap_or_default(),
            capacity.lock_waiters
        );
        facts.push(evidence(Origin::Postgres, None, says));
    }
    facts.extend(db_rds::facts(scene));
    for root in seen.into_iter().flat_map(|seen| seen.roots.iter().take(3)) {
        facts.push(evidence(Origin::Postgres, None, format!("{}: {}", root_says(root), root.query)));
    }
    if let Some(top) = seen.and_then(|seen| seen.top.as_ref()) {
        facts.push(evidence(Origin::Postgres, None, top_says(top)));
    }
    facts.extend(running(seen).filter(|_| load.is_some()).map(|says| evidence(Origin::Postgres, None, says)));
    for index in seen.into_iter().flat_map(|seen| &seen.invalid_indexes) {
        facts.push(evidence(Origin::Postgres, None, format!("index {index} is INVALID")));
    }
    let named = causes.iter().any(|cause| cause.weight >= 0.7);
    let lasting = [(severity >= Severity::Warning, 0.1), (severity == Severity::Critical, 0.1)];
    let raises = lasting.into_iter().chain([(named, 0.1)]);
    let score: f64 = 0.6 + raises.filter(|(holds, _)| *holds).map(|(_, by)| by).sum::<f64>();
    let (touches, mut bindings) = owner(scene, onset);
    bindings.extend(seen.map(activity_bindings).unwrap_or_default());
    bindings.extend(capacity.map(|capacity| ("on_cpu", capacity.on_cpu.to_string())));
    if let Some(load) = load {
        bindings.insert("cpu_load", format!("{:.0}", load.value * 100.0));
    }
    shown(Anomaly {
        id: AnomalyId(format!("{}/database/postgres", RULE.name).into()),
        rule: RULE.name.into(),
        subject: Subject::Database("postgres".into()),
        severity,
        score,
        onset,
        title: title(seen, load, locks),
        evidence: facts,
        causes,
        touches,
        bindings,
        pages_at: None,
    })
}

fn title(seen: Option<&Activity>, load: Option<&Signal>, locks: Option<&Signal>) -> String {
    let root = seen.and_then(|seen| seen.roots.first());
    match (load, locks, root) {
        (None, Some(_), Some(root)) => root_says(root),
        (None, Some(locks), None) => locks.says.clone(),
        (Some(load), ..) => format!("database busy: {}", load.says),
        (None, None, _) => "database overloaded or locked".to_owned(),
    }
}

fn causes(
    scene: &Scene<'_>,
    seen: Option<&Activity>,
    load: Option<&Signal>,
    locks: Option<&Signal>,
) -> Vec<Cause> {
    let mut causes = Vec::new();
    let mut add = |name, says: String, weight| causes.push(Cause { name, says, weight });
    if let Some(locks) = locks {
        let root = seen.and_then(|seen| seen.roots.first());
        let says = match root {
            Some(root) => root_says(root),
            None => locks.says.clone(),
        };
        // Low load with waiters is a lock's doing; under high load locks are held longer by everybody.
        let idle = load.is_none() || db_rds::is_idle(scene);
        add(cause::LOCK_CHAIN, says, if idle { 0.9 } else { 0.6 });
    }
    if let Some(load) = load {
        let top = seen.and_then(|seen| seen.top.as_ref());
        // What has not ended is counted nowhere else.
        let running = seen.and_then(|seen| seen.holders.iter().find(|holder| runs_for(holder, RUNAWAY)));
        if let Some(holder) = running {
            add(cause::LONG_QUERY, runs(holder), 0.85);
        }
        match top {
            _ if running.is_some() => {}
            Some(top) if top.share > scene.threshold(&HOT) => add(cause::HOT_QUERY, top_says(top), 0.8),
            Some(top) => {
                let says = format!("no statement has more than {:.0} % of the time", top.share * 100.0);
                add(cause::LOAD_SPREAD, says, 0.6);
            }
            None => {}
        }
        if let Some(says) = db_rds::at_most(scene) {
            add(cause::DATABASE_AT_MOST, says, 0.75);
        }
        add(cause::DATABASE_BUSY, load.says.clone(), 0.5);
    }
    // What runs now takes the CPU; a leftover beside it does not, and to drop it would mend nothing.
    let explained = load.is_some() && running(seen).is_some();
    if let Some(index) = seen.and_then(|seen| seen.invalid_indexes.first()).filter(|_| !explained) {
        add(cause::INVALID_INDEX, db_notice::left_behind(index), 0.4);
    }
    causes
}

/// Who runs statements for longer than requests do.
fn running(seen: Option<&Activity>) -> Option<String> {
    seen?.holders.iter().find(|holder| runs_for(holder, LONG)).map(runs)
}

fn runs(holder: &Holder) -> String {
    let longest = holder.longest.map(text::span).unwrap_or_default();
    let sessions = text::count(holder.sessions as usize, "session");
    format!("{sessions} of {} run statements, for up to {longest}", holder.who())
}

/// Runs a statement for so long, and is no backup, which takes its time.
fn runs_for(holder: &Holder, least: Duration) -> bool {
    let is_backup = ["pg_dump", "pg_basebackup", "pgbackrest", "barman", "wal-g"];
    &*holder.state == "active"
        && holder.longest.is_some_and(|longest| longest >= least)
        && !is_backup.iter().any(|name| holder.application.contains(name))
}

/// `pid 4711 (reports, idle in transaction for 6m) blocks 12 sessions`.
pub(super) fn root_says(root: &LockRoot) -> String {
    let who = root.who();
    let since = root.transaction.map(|age| format!(" for {}", text::span(age))).unwrap_or_default();
    format!(
        "pid {} ({who}, {}{since}) blocks {}",
        root.pid,
        root.state,
        text::count(root.blocked as usize, "session")
    )
}

/// `62 % of the time goes to: SELECT …`.
pub(super) fn top_says(top: &TopQuery) -> String {
    format!("{:.0} % of the time goes to: {}", top.share * 100.0, top.text)
}
