//! A cache that answered and does not any more, that is full and refuses every write, or that throws away what is asked for
//! a moment later. Whether anybody suffers is
//! for the rules about traffic.

use std::time::Duration;

use crate::domain::{
    Anomaly, AnomalyId, Cache, Cause, Origin, Severity, Subject, Timestamp, between, cause, text,
};

use super::workload::{Bindings, evidence, quote};
use super::{Needs, Rule, Scene, Threshold, Unit, shown};

const GONE: Threshold = Threshold {
    key: "cache-down.gone",
    default: 20.0,
    unit: Unit::Seconds,
    says: "how long a cache that answered before does not answer before it is an outage",
    source: "our own choice: several tries, longer than a failover of Sentinel",
};
const FULL: Threshold = Threshold {
    key: "cache-down.full",
    default: 20.0,
    unit: Unit::Seconds,
    says: "how long it is at its maxmemory before it is more than suspected, when no refused write was counted",
    source: "our own choice: buffers of clients come and go",
};

const POOR: Threshold = Threshold {
    key: "cache-down.poor",
    default: 0.5,
    unit: Unit::Ratio,
    says: "hit ratio below which a cache that evicts is worth a word",
    source: "public runbooks of a low hit rate: 50 %; those of a good one: 80 to 95 %",
};
const EVICTS: Threshold = Threshold {
    key: "cache-down.evicts",
    default: 1.0,
    unit: Unit::PerSecond,
    says: "keys evicted, beside a poor hit ratio",
    source: "GoogleCloudPlatform/monitoring-dashboard-samples, redis: high rate of evicted keys, 1 a second",
};
/// A cache that has hit no more for this long is as its owners want it.
const AS_EVER: Duration = Duration::from_mins(30);
/// Better than now, by so much, is another cache.
const FELL: f64 = 0.15;

pub(super) static RULE: Rule = Rule {
    name: "cache-down",
    title: "Cache gone or full",
    says: "A Redis that answered and refuses or drops connections now, and one at its maxmemory that may evict nothing \
           and refuses writes; as a notice, one that evicts and hits less than half of the time. Silent about one that was \
           never reached, and about one that evicts and hits.",
    needs: Needs::All(&[Origin::Redis]),
    awaits: &[],
    thresholds: &[GONE, FULL, POOR, EVICTS],
    examine: |scene| Vec::from_iter(gone(scene).or_else(|| full(scene)).or_else(|| too_small(scene))),
};

/// A cache that answered and does not any more. One that was never reached may be none of this network's.
fn gone(scene: &Scene<'_>) -> Option<Anomaly> {
    let blind = scene.lost(Origin::Redis).filter(|blind| scene.has_lasted(blind.since, &GONE))?;
    let title = "the cache does not answer any more".to_owned();
    let cause = Cause { name: cause::CACHE_DOWN, says: quote(&blind.why), weight: 0.8 };
    anomaly(Severity::Critical, blind.since, title, cause, Bindings::new())
}

/// Every write is refused, and reads go on.
fn full(scene: &Scene<'_>) -> Option<Anomaly> {
    let (since, cache) = refusing(scene)?;
    let is_sure = cache.refused_per_second > 0.0 || scene.has_lasted(since, &FULL);
    let title = format!("the cache is full ({}) and refuses writes", text::bytes(cache.max_memory));
    let cause = Cause { name: cause::CACHE_FULL, says: refuses(cache), weight: 0.9 };
    // Somebody who looks only once would never be told.
    let severity = if is_sure { Severity::Critical } else { Severity::Suspect };
    anomaly(severity, since, title, cause, memory(cache))
}

/// It evicts what is asked for again.
fn too_small(scene: &Scene<'_>) -> Option<Anomaly> {
    let cache = scene.snapshot.cache.as_ref()?;
    if scene.snapshot.blindness(Origin::Redis, scene.now).is_some()
        || cache.evicted_per_second < scene.threshold(&EVICTS)
    {
        return None;
    }
    let looks = scene.snapshot.hit_ratio.mean_over(Duration::from_mins(1));
    let (_, ratio) = looks.last().filter(|(_, ratio)| *ratio < scene.threshold(&POOR))?;
    let (first, _) = *looks.points().first()?;
    let fell = looks.max().is_some_and(|best| best - ratio > FELL);
    if !fell && between(first, scene.now) >= AS_EVER {
        return None;
    }
    let better = looks.points().iter().rposition(|(_, ratio)| *ratio >= scene.threshold(&POOR));
    let (since, _) = *looks.points().get(better.map_or(0, |index| index + 1))?;
    let percent = ratio * 100.0;
    let title = format!("the cache is too small: {percent:.0} % of lookups hit");
    let says = format!(
        "it evicts {:.0} keys a second at {}, and {percent:.0} % of lookups hit",
        cache.evicted_per_second,
        text::bytes(cache.max_memory)
    );
    let cause = Cause { name: cause::CACHE_EVICTING, says, weight: 0.7 };
    anomaly(Severity::Suspect, since, title, cause, memory(cache))
}

fn anomaly(
    severity: Severity,
    since: Timestamp,
    title: String,
    cause: Cause,
    bindings: Bindings,
) -> Option<Anomaly> {
    let subject = Subject::Cache("redis".into());
    shown(Anomaly {
        id: AnomalyId(format!("{}/{subject}", RULE.name).into()),
        rule: RULE.name.into(),
        subject,
        severity,
        score: if severity == Severity::Critical { 0.85 } else { 0.6 },
        onset: since,
        title,
        evidence: vec![evidence(Origin::Redis, Some(since), cause.says.clone())],
        causes: vec![cause],
        touches: Vec::new(),
        bindings,
        pages_at: None,
    })
}

/// Since when the cache that is seen now has refused every write.
pub(super) fn refusing<'a>(scene: &Scene<'a>) -> Option<(Timestamp, &'a Cache)> {
    let seen = scene.snapshot.blindness(Origin::Redis, scene.now).is_none();
    scene.snapshot.cache_refuses.zip(scene.snapshot.cache.as_ref()).filter(|_| seen)
}

/// In words, why it refuses writes.
pub(super) fn refuses(cache: &Cache) -> String {
    let policy = if cache.keeps_all { " and may evict nothing (noeviction)" } else { "" };
    let refused = match cache.refused_per_second {
        0.0 => "every write is refused".to_owned(),
        rate => format!("{rate:.1} writes a second are refused"),
    };
    let (used, limit) = (text::bytes(cache.used_memory), text::bytes(cache.max_memory));
    format!("the cache is full, {used} of {limit}{policy}: {refused}")
}

/// What a step that gives it more memory needs to know.
pub(super) fn memory(cache: &Cache) -> Bindings {
    let twice = cache.max_memory.saturating_mul(2);
    Bindings::from([
        ("cache_memory", text::quantity(cache.max_memory)),
        ("cache_memory_suggestion", text::quantity(twice)),
    ])
}
