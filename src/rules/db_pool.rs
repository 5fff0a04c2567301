//! Database connections running out: capacity only; who holds them is for the playbook to ask.

use jiff::SignedDuration;

use crate::domain::{
    Anomaly, AnomalyId, Capacity, Cause, Evidence, Origin, Severity, Subject, Timestamp, cause, text,
};

use super::workload::{Bindings, evidence, quote};
use super::{Needs, Rule, Scene, Threshold, Unit, shown};

const WARNING: Threshold = Threshold {
    key: "db-pool.warning",
    default: 0.8,
    unit: Unit::Ratio,
    says: "share of the usable connections in use",
    source: "postgres_mixin: PostgresTooManyConnections, 80 % of (max - reserved)",
};
const WARNING_AFTER: Threshold = Threshold {
    key: "db-pool.warning-after",
    default: 300.0,
    unit: Unit::Seconds,
    says: "how long it lasts before it is a warning",
    source: "our own choice; postgres_mixin waits 10 min",
};
const CRITICAL: Threshold = Threshold {
    key: "db-pool.critical",
    default: 0.9,
    unit: Unit::Ratio,
    says: "share of the usable connections in use",
    source: "our own choice; a refused connection (53300) is critical at once",
};
const CRITICAL_AFTER: Threshold = Threshold {
    key: "db-pool.critical-after",
    default: 60.0,
    unit: Unit::Seconds,
    says: "how long it lasts before it is critical",
    source: "our own choice",
};
const IDLE_IN_TRANSACTION: Threshold = Threshold {
    key: "db-pool.idle-in-transaction",
    default: 0.2,
    unit: Unit::Ratio,
    says: "share of used connections idle in a transaction that speaks for a leak",
    source: "our own choice",
};
const PAGES_AFTER: Threshold = Threshold {
    key: "db-pool.pages-after",
    default: 600.0,
    unit: Unit::Seconds,
    says: "`for` of the public alert at 80 %",
    source: "postgres_mixin: PostgresTooManyConnections, 10m",
};

pub(super) static RULE: Rule = Rule {
    name: "db-pool",
    title: "Database connections running out",
    says: "Client connections against what ordinary roles may use of the whole server, or a connection refused \
           for lack of slots (53300). Silent below 80 %.",
    needs: Needs::All(&[Origin::Postgres]),
    thresholds: &[WARNING, WARNING_AFTER, CRITICAL, CRITICAL_AFTER, IDLE_IN_TRANSACTION, PAGES_AFTER],
    examine,
};

fn examine(scene: &Scene<'_>) -> Vec<Anomaly> {
    // Old figures prove nothing; the rule is blind then.
    if scene.snapshot.blindness(Origin::Postgres, scene.now).is_some() {
        return Vec::new();
    }
    let exhausted = scene.snapshot.exhausted.as_ref();
    let capacity = scene.snapshot.capacity.as_ref();
    let fill = capacity.map_or(0.0, Capacity::fill);
    if exhausted.is_none() && fill < scene.threshold(&WARNING) {
        return Vec::new();
    }
    Vec::from_iter(anomaly(scene, capacity, exhausted.map(|(since, words)| (*since, &**words))))
}

fn anomaly(
    scene: &Scene<'_>,
    capacity: Option<&Capacity>,
    exhausted: Option<(Timestamp, &str)>,
) -> Option<Anomaly> {
    let usable = capacity.map_or(0.0, |capacity| f64::from(capacity.usable()));
    // `above_since` means strictly above; the threshold itself counts too.
    let above = |share: f64| scene.snapshot.connections.above_since(share * usable - 0.5);
    let over_warning = above(scene.threshold(&WARNING));
    let over_critical = above(scene.threshold(&CRITICAL));
    let refused = exhausted.map(|(since, _)| since);
    let onset = [over_warning, refused].into_iter().flatten().min().unwrap_or(scene.now);
    let critical = over_critical.is_some_and(|since| scene.has_lasted(since, &CRITICAL_AFTER));
    let severity = match () {
        () if refused.is_some() || critical => Severity::Critical,
        () if scene.has_lasted(onset, &WARNING_AFTER) => Severity::Warning,
        () => Severity::Suspect,
    };
    let mut facts = Vec::new();
    let mut causes = Vec::new();
    if let Some((since, words)) = exhausted {
        let says = format!("refuses connections: {}", quote(words));
        facts.push(evidence(Origin::Postgres, Some(since), says));
    }
    if let Some(capacity) = capacity {
        weigh(scene, capacity, &mut causes, &mut facts);
    }
    let scaled = scaled_up(scene, onset);
    causes.extend(scaled.clone());
    causes.sort_by(|one, other| other.weight.total_cmp(&one.weight));
    let leaks = causes.iter().any(|cause| cause.name == cause::IDLE_IN_TRANSACTION);
    let raises =
        [(refused.is_some(), 0.3), (over_critical.is_some(), 0.2), (leaks, 0.2), (scaled.is_some(), 0.1)];
    let score: f64 = 0.6 + raises.iter().filter(|(holds, _)| *holds).map(|(_, by)| by).sum::<f64>();
    let pages = onset.checked_add(scene.thresholds.span(&PAGES_AFTER)).ok();
    shown(Anomaly {
        id: AnomalyId(format!("{}/database/postgres", RULE.name).into()),
        rule: RULE.name.into(),
        subject: Subject::Database("postgres".into()),
        severity,
        score: score.min(1.0),
        onset,
        title: title(capacity, refused.is_some()),
        evidence: facts,
        causes,
        touches: Vec::new(),
        bindings: capacity.map(bindings).unwrap_or_default(),
        pages_at: pages.filter(|at| *at >= scene.now),
    })
}

fn title(capacity: Option<&Capacity>, refused: bool) -> String {
    match (capacity, refused) {
        (_, true) => "database refuses connections: no slot left".to_owned(),
        (Some(capacity), false) => format!(
            "{} of {} database connections in use ({:.0} %)",
            capacity.used,
            capacity.usable(),
            capacity.fill() * 100.0
        ),
        (None, false) => "database connections running out".to_owned(),
    }
}

/// What the slots are spent on.
fn weigh(scene: &Scene<'_>, capacity: &Capacity, causes: &mut Vec<Cause>, facts: &mut Vec<Evidence>) {
    let Capacity { used, active, idle, idle_in_transaction, lock_waiters, .. } = *capacity;
    let says = format!(
        "{used} of {} usable: {active} active, {idle} idle, {idle_in_transaction} idle in transaction, \
         {lock_waiters} waiting for locks",
        capacity.usable()
    );
    facts.push(evidence(Origin::Postgres, None, says));
    if let Some(oldest) = capacity.oldest_transaction {
        facts.push(evidence(Origin::Postgres, None, format!("oldest transaction: {}", text::span(oldest))));
    }
    let share = |part: u32| f64::from(part) / f64::from(used.max(1));
    if share(idle_in_transaction) > scene.threshold(&IDLE_IN_TRANSACTION) {
        let says = format!("{idle_in_transaction} of {used} sessions are idle in a transaction");
        causes.push(Cause { name: cause::IDLE_IN_TRANSACTION, says, weight: 0.85 });
    }
    if lock_waiters > 0 && share(lock_waiters) > 0.1 {
        let says = format!("{lock_waiters} sessions wait for locks");
        causes.push(Cause { name: cause::LOCK_CHAIN, says, weight: 0.75 });
    }
    if share(idle) > 0.5 {
        let says = format!("{idle} of {used} sessions are idle: pools hold more than they use");
        causes.push(Cause { name: cause::CONNECTIONS_IDLE, says, weight: 0.6 });
    } else if share(active) > 0.5 {
        let says = format!("{active} of {used} sessions are working");
        causes.push(Cause { name: cause::CONNECTIONS_BUSY, says, weight: 0.5 });
    }
}

/// An autoscaler that acted in the ten minutes before: more replicas, more pools.
fn scaled_up(scene: &Scene<'_>, onset: Timestamp) -> Option<Cause> {
    let window = SignedDuration::from_mins(10);
    let lately = |at: Timestamp| at <= onset && onset.duration_since(at) <= window;
    let scaler = scene
        .snapshot
        .autoscalers
        .iter()
        .filter(|scaler| scaler.current > scaler.min && scaler.last_scaled.is_some_and(lately))
        .min_by_key(|scaler| &scaler.key)?;
    let says = format!("{} was scaled to {} shortly before", scaler.target, scaler.desired);
    Some(Cause { name: cause::POOL_BUDGET, says, weight: 0.6 })
}

fn bindings(capacity: &Capacity) -> Bindings {
    Bindings::from([
        ("connections_used", capacity.used.to_string()),
        ("connections_usable", capacity.usable().to_string()),
        ("max_connections", capacity.max_connections.to_string()),
        ("idle_in_transaction", capacity.idle_in_transaction.to_string()),
    ])
}
