//! The database's own work: sessions that wait for each other's locks, and more sessions on a CPU than it has.
//! What a statement's plan looks like, or what CloudWatch measures, is for the playbook to ask.

use std::time::Duration;

use jiff::SignedDuration;

use crate::domain::{
    Activity, Anomaly, AnomalyId, Capacity, Cause, LockRoot, Origin, Severity, Subject, Timestamp, TopQuery,
    cause, text,
};

use super::db_pool::{activity, activity_bindings, owner};
use super::workload::evidence;
use super::{Needs, Rule, Scene, Threshold, Unit, shown};

const WARNING: Threshold = Threshold {
    key: "db-cpu.warning",
    default: 0.8,
    unit: Unit::Ratio,
    says: "sessions on a CPU for each CPU of the server",
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
    says: "sessions on a CPU for each CPU of the server",
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
           says how many it has, more sessions on a CPU than CPUs. One or two short waits are silent.",
    needs: Needs::All(&[Origin::Postgres]),
    thresholds: &[
        WARNING,
        WARNING_AFTER,
        CRITICAL,
        CRITICAL_AFTER,
        WAITERS,
        WAITERS_AFTER,
        MANY_WAITERS,
        HOT,
    ],
    examine,
};

/// A single waiter that waits for this long is worth a look too.
const LONG_WAIT: SignedDuration = SignedDuration::from_mins(2);
/// Sessions on a CPU are counted at an instant; the mean of a minute is what a chart shows.
const SMOOTH: Duration = Duration::from_mins(1);

fn examine(scene: &Scene<'_>) -> Vec<Anomaly> {
    if scene.snapshot.blindness(Origin::Postgres, scene.now).is_some() {
        return Vec::new();
    }
    let Some(capacity) = scene.snapshot.capacity.as_ref() else { return Vec::new() };
    let (load, locks) = (overloaded(scene), locked(scene));
    match (load, locks) {
        (None, None) => Vec::new(),
        (load, locks) => Vec::from_iter(anomaly(scene, capacity, load.as_ref(), locks.as_ref())),
    }
}

/// One of the two signals.
struct Signal {
    onset: Timestamp,
    severity: Severity,
    /// Sessions on a CPU for each CPU, or sessions that wait.
    value: f64,
}

fn overloaded(scene: &Scene<'_>) -> Option<Signal> {
    let cpus = activity(scene)?.cpus.filter(|cpus| *cpus > 0.0)?;
    let load = scene.snapshot.on_cpu.mean_over(SMOOTH);
    let above = |level: &Threshold| load.above_since(scene.threshold(level) * cpus - 1e-9);
    let onset = above(&WARNING)?;
    let value = load.last()?.1 / cpus;
    let critical = above(&CRITICAL).is_some_and(|since| scene.has_lasted(since, &CRITICAL_AFTER));
    let severity = match () {
        () if critical => Severity::Critical,
        () if scene.has_lasted(onset, &WARNING_AFTER) => Severity::Warning,
        () => Severity::Suspect,
    };
    Some(Signal { onset, severity, value })
}

fn locked(scene: &Scene<'_>) -> Option<Signal> {
    let waiters = &scene.snapshot.lock_waiters;
    let (_, value) = waiters.last().filter(|(_, value)| *value > 0.0)?;
    let any = waiters.above_since(0.0)?;
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
    Some(Signal { onset: any, severity, value })
}

fn anomaly(
    scene: &Scene<'_>,
    capacity: &Capacity,
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
    let says = format!(
        "{} active, {} of them on a CPU{}, {} waiting for locks",
        capacity.active,
        capacity.on_cpu,
        seen.and_then(|seen| seen.cpus).map(|cpus| format!(" of {cpus}")).unwrap_or_default(),
        capacity.lock_waiters
    );
    facts.push(evidence(Origin::Postgres, None, says));
    for root in seen.into_iter().flat_map(|seen| seen.roots.iter().take(3)) {
        facts.push(evidence(Origin::Postgres, None, format!("{}: {}", root_says(root), root.query)));
    }
    if let Some(top) = seen.and_then(|seen| seen.top.as_ref()) {
        facts.push(evidence(Origin::Postgres, None, top_says(top)));
    }
    for index in seen.into_iter().flat_map(|seen| &seen.invalid_indexes) {
        facts.push(evidence(Origin::Postgres, None, format!("index {index} is INVALID")));
    }
    let named = causes.iter().any(|cause| cause.weight >= 0.7);
    let lasting = [(severity >= Severity::Warning, 0.1), (severity == Severity::Critical, 0.1)];
    let raises = lasting.into_iter().chain([(named, 0.1)]);
    let score: f64 = 0.6 + raises.filter(|(holds, _)| *holds).map(|(_, by)| by).sum::<f64>();
    let (touches, mut bindings) = owner(scene, onset);
    bindings.extend(seen.map(activity_bindings).unwrap_or_default());
    bindings.insert("on_cpu", capacity.on_cpu.to_string());
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
        (None, Some(locks), None) => {
            format!("{} wait for locks", text::count(locks.value as usize, "session"))
        }
        (Some(load), ..) => format!("database busy: {:.1} sessions on a CPU for each CPU", load.value),
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
            None => format!("{} wait for locks", text::count(locks.value as usize, "session")),
        };
        // Low load with waiters is a lock's doing; under high load locks are held longer by everybody.
        add(cause::LOCK_CHAIN, says, if load.is_none() { 0.9 } else { 0.6 });
    }
    if let Some(load) = load {
        let top = seen.and_then(|seen| seen.top.as_ref());
        match top {
            Some(top) if top.share > scene.threshold(&HOT) => add(cause::HOT_QUERY, top_says(top), 0.8),
            Some(top) => {
                let says = format!("no statement has more than {:.0} % of the time", top.share * 100.0);
                add(cause::LOAD_SPREAD, says, 0.6);
            }
            None => {}
        }
        let says = format!("{:.1} sessions want a CPU for each that there is", load.value);
        add(cause::DATABASE_BUSY, says, 0.5);
    }
    if let Some(index) = seen.and_then(|seen| seen.invalid_indexes.first()) {
        add(cause::INVALID_INDEX, format!("index {index} was begun and never finished"), 0.4);
    }
    causes
}

/// `pid 4711 (reports, idle in transaction for 6m) blocks 12 sessions`.
pub(super) fn root_says(root: &LockRoot) -> String {
    let who = if root.application.is_empty() { &root.role } else { &root.application };
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
