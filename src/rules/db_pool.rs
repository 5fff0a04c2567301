//! Database connections running out: how many are used, and what they are spent on. Whose pools they are in
//! the cluster is `db_owner`'s to tell; what they do to each other is `db_cpu`'s.

use jiff::SignedDuration;

use crate::domain::{
    Activity, Anomaly, AnomalyId, Capacity, Cause, Evidence, Holder, LockRoot, Origin, Severity, Subject,
    Timestamp, cause, text,
};

use super::db_limits::{Limits, OWN_LIMIT};
use super::db_owner::{owner, rolled_out, scaled_up};
use super::workload::{Bindings, evidence, quote};
use super::{Needs, Rule, Scene, Threshold, Unit, db_cpu, db_gone, db_since, shown};

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
const STUCK: Threshold = Threshold {
    key: "db-pool.stuck",
    default: 1.0,
    unit: Unit::Count,
    says: "sessions idle in a transaction for over five minutes that are worth a look by themselves",
    source: "our own choice; nothing healthy keeps a transaction open for so long without doing anything",
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
           for lack of slots (53300); roles and databases at a connection limit of their own; and transactions that \
           somebody forgot for more than five minutes. Otherwise silent below 80 %.",
    needs: Needs::All(&[Origin::Postgres]),
    awaits: &[],
    thresholds: &[
        WARNING,
        WARNING_AFTER,
        CRITICAL,
        CRITICAL_AFTER,
        IDLE_IN_TRANSACTION,
        STUCK,
        OWN_LIMIT,
        db_gone::GONE,
        db_gone::CLOSED,
        PAGES_AFTER,
    ],
    examine,
};

fn examine(scene: &Scene<'_>) -> Vec<Anomaly> {
    // Old figures prove nothing; the rule is blind then.
    if scene.snapshot.blindness(Origin::Postgres, scene.now).is_some() {
        return Vec::from_iter(db_gone::gone(scene));
    }
    let exhausted = scene.snapshot.exhausted.as_ref();
    let capacity = scene.snapshot.capacity.as_ref();
    let fill = capacity.map_or(0.0, Capacity::fill);
    let forgotten = f64::from(stuck(scene)) >= scene.threshold(&STUCK).max(1.0);
    let limits = Limits::of(scene);
    if exhausted.is_none() && fill < scene.threshold(&WARNING) && !forgotten && limits.is_none() {
        return Vec::new();
    }
    Vec::from_iter(anomaly(
        scene,
        capacity,
        limits.as_ref(),
        exhausted.map(|(since, words)| (*since, &**words)),
    ))
}

fn anomaly(
    scene: &Scene<'_>,
    capacity: Option<&Capacity>,
    limits: Option<&Limits<'_>>,
    exhausted: Option<(Timestamp, &str)>,
) -> Option<Anomaly> {
    let usable = capacity.map_or(0.0, |capacity| f64::from(capacity.usable()));
    // `above_since` means strictly above; the threshold itself counts too.
    let above = |share: f64| db_since::used_since(scene, share * usable - 0.5);
    let over_warning = above(scene.threshold(&WARNING));
    let over_critical = above(scene.threshold(&CRITICAL));
    let refused = exhausted.map(|(since, _)| since);
    let full = over_warning.is_some() || refused.is_some();
    let onset = [over_warning, refused].into_iter().flatten().min();
    let limited = limits.map(|limits| limits.since).filter(|_| stuck(scene) == 0);
    let onset = onset.or(limited).unwrap_or_else(|| forgotten_since(scene));
    let none_left = capacity.is_some_and(|capacity| capacity.used >= capacity.usable());
    let critical = over_critical.is_some_and(|since| scene.has_lasted(since, &CRITICAL_AFTER));
    let severity = match () {
        // With no slot left the next one is refused, whether or not it was seen.
        () if refused.is_some() || critical || none_left => Severity::Critical,
        () if full && scene.has_lasted(onset, &WARNING_AFTER) => Severity::Warning,
        () => Severity::Suspect,
    };
    let severity = limits.map_or(severity, |limits| severity.max(limits.severity()));
    let mut facts = Vec::new();
    let mut causes = Vec::new();
    if let Some((since, words)) = exhausted {
        let says = format!("refuses connections: {}", quote(words));
        facts.push(evidence(Origin::Postgres, Some(since), says));
    }
    if let Some(capacity) = capacity {
        weigh(scene, capacity, &mut causes, &mut facts);
    }
    if let Some(limits) = limits {
        facts.extend(limits.facts());
        causes.push(limits.cause());
    }
    let scaled = scaled_up(scene, onset);
    causes.extend(scaled.clone());
    causes.sort_by(|one, other| other.weight.total_cmp(&one.weight));
    let leaks = causes.iter().any(|cause| cause.name == cause::IDLE_IN_TRANSACTION);
    let raises = [
        (refused.is_some(), 0.3),
        (over_critical.is_some(), 0.2),
        (leaks && full, 0.2),
        (scaled.is_some(), 0.1),
        (limits.is_some(), 0.2),
    ];
    let score: f64 = 0.6 + raises.iter().filter(|(holds, _)| *holds).map(|(_, by)| by).sum::<f64>();
    let pages = onset.checked_add(scene.thresholds.span(&PAGES_AFTER)).ok().filter(|_| full);
    let (touches, owned) = owner(scene, onset);
    let released = touches.first().filter(|_| leaks).and_then(|object| rolled_out(scene, &object.key, onset));
    let (released, revisions) = released.unzip();
    causes.extend(released);
    causes.sort_by(|one, other| other.weight.total_cmp(&one.weight));
    let mut bindings = capacity.map(bindings).unwrap_or_default();
    bindings.extend(owned);
    bindings.extend(revisions.unwrap_or_default());
    // With few slots left there is no time to be patient.
    bindings.insert("idle_age", if full { "1m" } else { "5m" }.into());
    bindings.extend(activity(scene).map(activity_bindings).unwrap_or_default());
    bindings.extend(limits.map(Limits::bindings).unwrap_or_default());
    shown(Anomaly {
        id: AnomalyId(format!("{}/database/postgres", RULE.name).into()),
        rule: RULE.name.into(),
        subject: Subject::Database("postgres".into()),
        severity,
        score: score.min(1.0),
        onset,
        title: match limits.filter(|_| !full) {
            Some(limits) => limits.says(),
            None => title(scene, capacity, full, refused.is_some()),
        },
        evidence: facts,
        causes,
        touches,
        bindings,
        pages_at: pages.filter(|at| *at >= scene.now),
    })
}

/// What was seen of the sessions, as long as it is fresh: a full server still answers us, another may not.
pub(super) fn activity<'a>(scene: &Scene<'a>) -> Option<&'a Activity> {
    const FRESH: SignedDuration = SignedDuration::from_secs(60);
    let (at, activity) = scene.snapshot.activity.as_ref()?;
    (scene.now.duration_since(*at) <= FRESH).then_some(activity)
}

fn stuck(scene: &Scene<'_>) -> u32 {
    activity(scene).map_or(0, |activity| activity.stuck)
}

/// Five minutes after the oldest forgotten transaction fell asleep, as far as it is known.
fn forgotten_since(scene: &Scene<'_>) -> Timestamp {
    let idle = |holder: &&Holder| holder.state.starts_with("idle in transaction");
    let longest = activity(scene)
        .and_then(|activity| activity.holders.iter().filter(idle).filter_map(|holder| holder.longest).max());
    let back = longest.and_then(|longest| SignedDuration::try_from(longest).ok()).unwrap_or_default();
    scene.now.checked_sub(back).unwrap_or(scene.now)
}

fn title(scene: &Scene<'_>, capacity: Option<&Capacity>, full: bool, refused: bool) -> String {
    if !full {
        let sessions = text::count(stuck(scene) as usize, "session");
        return format!("{sessions} idle in a transaction for over 5 minutes");
    }
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
    if let Some(activity) = activity(scene) {
        // The largest groups explain most; more is a key away.
        for holder in activity.holders.iter().take(3) {
            facts.push(evidence(Origin::Postgres, None, holds(holder)));
        }
    }
    let share = |part: u32| f64::from(part) / f64::from(used.max(1));
    let stuck = stuck(scene);
    if share(idle_in_transaction) > scene.threshold(&IDLE_IN_TRANSACTION) {
        let says = format!("{idle_in_transaction} of {used} sessions are idle in a transaction");
        causes.push(Cause { name: cause::IDLE_IN_TRANSACTION, says, weight: 0.85 });
    } else if f64::from(stuck) >= scene.threshold(&STUCK).max(1.0) {
        let sessions = text::count(stuck as usize, "session");
        let says = format!("{sessions} idle in a transaction for over 5 minutes");
        causes.push(Cause { name: cause::IDLE_IN_TRANSACTION, says, weight: 0.7 });
    }
    let root = activity(scene).and_then(|activity| activity.roots.first());
    if let Some(root) = root.filter(|root| share(root.blocked) > 0.1) {
        let says = db_cpu::root_says(root);
        causes.push(Cause { name: cause::LOCK_CHAIN, says, weight: 0.9 });
    } else if lock_waiters > 0 && share(lock_waiters) > 0.1 {
        let says = format!("{lock_waiters} sessions wait for locks");
        causes.push(Cause { name: cause::LOCK_CHAIN, says, weight: 0.75 });
    }
    if share(idle) > 0.5 {
        let says = format!("{idle} of {used} sessions are idle: pools hold more than they use");
        causes.push(Cause { name: cause::CONNECTIONS_IDLE, says, weight: 0.6 });
    } else if share(active) > 0.5 {
        let says = format!("{active} of {used} sessions are working");
        causes.push(Cause { name: cause::CONNECTIONS_BUSY, says, weight: 0.5 });
        let top = activity(scene).and_then(|activity| activity.top.as_ref());
        if let Some(top) = top.filter(|top| top.share > 0.5) {
            causes.push(Cause { name: cause::HOT_QUERY, says: db_cpu::top_says(top), weight: 0.7 });
        }
    }
}

fn holds(holder: &Holder) -> String {
    let who = holder.who();
    let state = if holder.state.is_empty() { "state hidden" } else { &holder.state };
    let longest = holder.longest.map(|longest| format!(", for up to {}", text::span(longest)));
    format!(
        "{} by {who} on {}: {state}{}",
        text::count(holder.sessions as usize, "slot"),
        holder.database,
        longest.unwrap_or_default()
    )
}

/// What steps need to know of the sessions.
pub(super) fn activity_bindings(activity: &Activity) -> Bindings {
    let mut bindings = Bindings::from([("stuck_sessions", activity.stuck.to_string())]);
    if let Some(root) = LockRoot::to_be_ended(&activity.roots) {
        bindings.insert("lock_root", root.pid.to_string());
        bindings.insert("lock_root_superuser", root.only_by().to_owned());
        bindings.insert("lock_root_state", if &*root.state == "active" { "active" } else { "idle" }.into());
        bindings.insert("lock_waiters", root.blocked.to_string());
    }
    if !activity.waiting.is_empty() {
        bindings.insert("lock_waiters_of", activity.waiting.join(","));
    }
    if let Some(top) = &activity.top {
        bindings.insert("top_query", top.id.to_string());
        bindings.insert("top_query_share", format!("{:.0}", top.share * 100.0));
    }
    if let Some(index) = activity.invalid_indexes.first() {
        bindings.insert("invalid_index", index.to_string());
    }
    bindings
}

fn bindings(capacity: &Capacity) -> Bindings {
    Bindings::from([
        ("connections_used", capacity.used.to_string()),
        ("connections_usable", capacity.usable().to_string()),
        ("max_connections", capacity.max_connections.to_string()),
        ("idle_in_transaction", capacity.idle_in_transaction.to_string()),
    ])
}
