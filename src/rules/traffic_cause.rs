//! What lies behind traffic that is slow or fails: a change just before, the database, the cache, CPU limits,
//! an autoscaler that may not go on. What both rules about traffic ask.

use jiff::SignedDuration;

use crate::domain::{
    BlindKind, Capacity, Cause, Deployment, Evidence, Kind, Name, ObjectRef, Origin, Timestamp, cause, text,
};

use super::db_since::{is_later, locked_since, used_since};
use super::own_traffic::Ill;
use super::suspicion::Suspicion;
use super::workload::{Bindings, describe_deployment, describe_suspicion, evidence};
use super::{Scene, Threshold, Unit, backing, cache_down, configuration, hpa_max, suspicion};

pub(super) const HIT_RATIO: Threshold = Threshold {
    key: "traffic.cache-hit-ratio",
    default: 0.8,
    unit: Unit::Ratio,
    says: "hit ratio of the cache below which it does not do its work",
    source: "our own choice",
};
pub(super) const HIT_DROP: Threshold = Threshold {
    key: "traffic.cache-hit-drop",
    default: 0.15,
    unit: Unit::Ratio,
    says: "fall of the hit ratio within the hour that speaks for the cache",
    source: "our own choice",
};
pub(super) const THROTTLED: Threshold = Threshold {
    key: "traffic.throttled",
    default: 0.25,
    unit: Unit::Ratio,
    says: "share of periods in which a container's CPU limit stops it",
    source: "kubernetes-mixin: CPUThrottlingHigh, 25 %",
};
pub(super) const DATABASE_FILL: Threshold = Threshold {
    key: "traffic.database-fill",
    default: 0.9,
    unit: Unit::Ratio,
    says: "share of the usable connections in use that makes the database the suspect",
    source: "our own choice",
};

/// Above this, more replicas only take what is left of the database (audit, section 4).
const DATABASE_HAS_ROOM: f64 = 0.7;

/// How sure it is that a revision is bad when only its pods fail.
const PROVEN: f64 = 0.97;
/// The share of errors that leaves no doubt whose they are.
const NEARLY_ALL: f64 = 0.95;

/// What was found, ready for an anomaly.
#[derive(Default)]
pub(super) struct Behind {
    pub causes: Vec<Cause>,
    pub facts: Vec<Evidence>,
    pub bindings: Bindings,
    pub touches: Vec<ObjectRef>,
}

impl Behind {
    fn blame(
        &mut self,
        origin: Origin,
        at: Option<Timestamp>,
        name: &'static str,
        says: String,
        weight: f64,
    ) {
        self.facts.push(evidence(origin, at, says.clone()));
        self.causes.push(Cause { name, says, weight });
    }
}

/// Everything that may be behind it, the likeliest first.
pub(super) fn behind(scene: &Scene<'_>, ill: &Ill<'_>) -> Behind {
    let mut behind = Behind::default();
    let (namespace, onset) = (&ill.namespace, ill.climb.onset);
    if !ill.is_database {
        changed(scene, ill, &mut behind);
    }
    database(scene, onset, &mut behind);
    cache(scene, onset, &mut behind);
    throttled(scene, namespace, ill.deployment, &mut behind);
    capacity(scene, namespace, ill.deployment, &mut behind);
    behind.causes.sort_by(|one, other| other.weight.total_cmp(&one.weight));
    behind
}

/// A rollout or an edit of its configuration shortly before.
fn changed(scene: &Scene<'_>, ill: &Ill<'_>, behind: &mut Behind) {
    let onset = ill.climb.onset;
    let mut serving: Vec<&Deployment> = match (ill.deployment, ill.workload) {
        (Some(deployment), _) => vec![deployment],
        // A workload that is no Deployment: no Deployment's revision has to do with it.
        (None, Some(_)) => Vec::new(),
        (None, None) => {
            let all = scene.snapshot.deployments.iter();
            all.filter(|deployment| serves(scene, deployment, &ill.namespace)).collect()
        }
    };
    serving.sort_by(|one, other| one.key.cmp(&other.key));
    let suspects = serving.iter().filter_map(|deployment| {
        let suspicion = suspicion::before(scene, deployment, onset)?;
        Some((*deployment, suspicion))
    });
    let latest = suspects.max_by_key(|(_, suspicion)| suspicion.bad.created);
    if let Some((deployment, suspicion)) = latest {
        let proven = only_its_pods_fail(scene, deployment, &suspicion);
        let proof = if proven { "; only its pods answer with errors" } else { "" };
        let says = format!("{}: {}{proof}", deployment.key.name, suspicion.says);
        // Above whatever slows or fails both revisions alike.
        let weight = if proven { suspicion.weight.max(PROVEN) } else { suspicion.weight };
        behind.blame(Origin::ReplicaSets, Some(suspicion.bad.created), cause::BAD_REVISION, says, weight);
        name(scene, deployment, behind);
        describe_suspicion(&suspicion, &mut behind.bindings);
        return;
    }
    // That pods are Ready with what was written proves nothing here: they answer, and badly.
    let edits = serving.iter().filter_map(|deployment| {
        Some((*deployment, configuration::edited_before(scene, (&deployment.template, &[]), onset)?))
    });
    if let Some((deployment, edited)) = edits.max_by_key(|(_, edited)| edited.at) {
        name(scene, deployment, behind);
        behind.causes.push(edited.cause);
        behind.facts.push(edited.fact);
        behind.bindings.extend([edited.binding]);
        return;
    }
    if let [only] = serving.as_slice() {
        name(scene, only, behind);
    }
}

/// Whether nearly all errors come from pods of the suspect while pods of an older revision serve beside them.
fn only_its_pods_fail(scene: &Scene<'_>, deployment: &Deployment, suspicion: &Suspicion<'_>) -> bool {
    let errors = scene.snapshot.traffic.errors_by_pod.iter().filter_map(|(key, share)| {
        let pod = scene.snapshot.pods.get(key)?;
        let owner = scene.workload_of(pod).1?;
        (owner.key == deployment.key).then(|| (suspicion.bad.is_of(pod), *share))
    });
    let (own, all) = errors.fold((0.0, 0.0), |(own, all), (is_own, share)| {
        (own + if is_own { share } else { 0.0 }, all + share)
    });
    let beside = scene.revisions(deployment).iter().skip(1).any(|older| older.available > 0);
    beside && all > 0.0 && own >= NEARLY_ALL * all
}

fn name(scene: &Scene<'_>, deployment: &Deployment, behind: &mut Behind) {
    behind.bindings.insert("deployment", deployment.key.name.to_string());
    behind.bindings.insert("namespace", deployment.key.namespace.to_string());
    behind.bindings.insert("workload", format!("deployment/{}", deployment.key.name));
    if let Some(container) = deployment.template.containers.first() {
        behind.bindings.insert("container", container.name.to_string());
    }
    describe_deployment(scene, deployment, &mut behind.bindings);
    behind.touches.push(ObjectRef::new(Kind::Deployment, deployment.key.clone()));
}

/// Whether requests may reach it: it has replicas, and a Service of its namespace selects its pods.
fn serves(scene: &Scene<'_>, deployment: &Deployment, namespace: &Name) -> bool {
    (namespace.is_empty() || deployment.key.namespace == *namespace)
        && deployment.replicas > 0
        && scene.snapshot.services.iter().any(|service| backing::is_behind(service, deployment))
}

fn database(scene: &Scene<'_>, onset: Timestamp, behind: &mut Behind) {
    if let Some((since, words)) = &scene.snapshot.exhausted {
        let says = format!("the database refuses connections: {}", super::workload::quote(words));
        behind.blame(Origin::Postgres, Some(*since), cause::DATABASE_EXHAUSTED, says, 0.9);
        return;
    }
    if let Some(blind) = scene.snapshot.blindness(Origin::Postgres, scene.now) {
        let refuses = scene.snapshot.sight(Origin::Postgres).is_some_and(|sight| sight.blind.is_some());
        if refuses && blind.kind == BlindKind::Unreachable && !scene.is_cut_off() {
            let says = super::workload::quote(&blind.why);
            behind.blame(Origin::Postgres, Some(blind.since), cause::DATABASE_UNREACHABLE, says, 0.75);
        }
        return;
    }
    let Some(capacity) = &scene.snapshot.capacity else { return };
    let Capacity { used, lock_waiters, .. } = *capacity;
    let mut blame = |since: Option<Timestamp>, name, says: String, weight| {
        if is_later(since, onset) {
            let says =
                format!("{says}, and that only since this began: it comes of it, or of something else");
            behind.facts.push(evidence(Origin::Postgres, since, says));
        } else {
            behind.blame(Origin::Postgres, since, name, says, weight);
        }
    };
    if capacity.fill() >= scene.threshold(&DATABASE_FILL) {
        let since = used_since(scene, scene.threshold(&DATABASE_FILL) * f64::from(capacity.usable()) - 0.5);
        let says = format!("{used} of {} database connections are in use", capacity.usable());
        blame(since, cause::DATABASE_EXHAUSTED, says, 0.85);
    }
    if lock_waiters > 2 || f64::from(lock_waiters) > 0.1 * f64::from(used.max(10)) {
        let says = format!("{lock_waiters} database sessions wait for locks");
        blame(locked_since(scene), cause::LOCK_CHAIN, says, 0.8);
    }
}

fn cache(scene: &Scene<'_>, onset: Timestamp, behind: &mut Behind) {
    if let Some(blind) = scene.snapshot.blindness(Origin::Redis, scene.now) {
        let answered = scene.snapshot.sight(Origin::Redis).is_some_and(|sight| sight.seen.is_some());
        // Silence that began with the trouble; a cache that answers, if only to refuse us, is no suspect.
        if answered
            && !scene.is_cut_off()
            && blind.kind == BlindKind::Unreachable
            && onset.duration_since(blind.since) > -SLACK
        {
            let says = format!("the cache: {}", blind.why);
            behind.blame(Origin::Redis, Some(blind.since), cause::CACHE_DOWN, says, 0.8);
        }
        return;
    }
    if let Some((since, cache)) = cache_down::refusing(scene)
        && onset.duration_since(since) > -SLACK
    {
        behind.blame(Origin::Redis, Some(since), cause::CACHE_FULL, cache_down::refuses(cache), 0.8);
        behind.bindings.extend(cache_down::memory(cache));
        return;
    }
    let Some(cache) = &scene.snapshot.cache else { return };
    let full = cache.max_memory > 0 && cache.used_memory as f64 >= 0.95 * cache.max_memory as f64;
    let Some(ratio) = cache.hit_ratio else { return };
    let best = scene.snapshot.hit_ratio.max().unwrap_or(ratio);
    // A cache that never did better is as its owners want it, unless it throws away what it should keep.
    let fell = best - ratio > scene.threshold(&HIT_DROP);
    let poor = ratio < scene.threshold(&HIT_RATIO);
    if !poor || !(fell || cache.evicted_per_second > 0.0) {
        return;
    }
    let percent = |ratio: f64| format!("{:.0} %", ratio * 100.0);
    let from = if fell { format!(", from {}", percent(best)) } else { String::new() };
    if full && cache.evicted_per_second > 0.0 {
        let says = format!(
            "the cache is full ({}) and evicts {:.0} keys a second; {} of lookups hit{from}",
            text::bytes(cache.max_memory),
            cache.evicted_per_second,
            percent(ratio)
        );
        behind.blame(Origin::Redis, None, cause::CACHE_EVICTING, says, 0.85);
        behind.bindings.extend(cache_down::memory(cache));
    } else {
        let says = format!("only {} of the cache's lookups hit{from}", percent(ratio));
        behind.blame(Origin::Redis, None, cause::CACHE_COLD, says, 0.7);
    }
}

/// Estimates and clocks differ.
const SLACK: SignedDuration = SignedDuration::from_mins(1);

fn throttled(scene: &Scene<'_>, namespace: &Name, only: Option<&Deployment>, behind: &mut Behind) {
    if scene.snapshot.blindness(Origin::Containers, scene.now).is_some() {
        return;
    }
    let bound = scene.threshold(&THROTTLED);
    let here = scene
        .snapshot
        .strain
        .throttled
        .iter()
        .filter(|row| row.share > bound && (namespace.is_empty() || row.pod.namespace == *namespace));
    // Only what serves the traffic: a batch pod may wait as long as it likes.
    let mut serving = here.filter_map(|row| {
        let pod = scene.snapshot.pods.get(&row.pod)?;
        let is_meant = only.is_none_or(|only| only.selector.matches(&pod.labels));
        scene.service_of(pod).filter(|_| is_meant).map(|_| (pod, row))
    });
    let Some((pod, worst)) = serving.next() else { return };
    let others = serving.count();
    let more = if others > 0 { format!(" and {others} more") } else { String::new() };
    let says = format!(
        "the CPU limit stops {}{more} in {:.0} % of the time slices",
        worst.pod.name,
        worst.share * 100.0
    );
    behind.blame(Origin::Containers, None, cause::CPU_THROTTLED, says, 0.75);
    let (_, deployment) = scene.workload_of(pod);
    if let Some(deployment) = deployment.filter(|_| !behind.bindings.contains_key("deployment")) {
        name(scene, deployment, behind);
    }
    behind.bindings.insert("container", worst.container.to_string());
    let limit = pod.containers.iter().find(|container| container.name == worst.container);
    if let Some(cpu) = limit.and_then(|container| container.limits.cpu_milli) {
        behind.bindings.insert("cpu_limit", format!("{cpu}m"));
        behind.bindings.insert("cpu_suggestion", format!("{}m", cpu * 2));
    }
}

fn capacity(scene: &Scene<'_>, namespace: &Name, only: Option<&Deployment>, behind: &mut Behind) {
    let has_room = scene.snapshot.exhausted.is_none()
        && scene.snapshot.capacity.as_ref().is_none_or(|capacity| capacity.fill() < DATABASE_HAS_ROOM);
    let here = |scaler: &&crate::domain::Autoscaler| {
        (namespace.is_empty() || scaler.key.namespace == *namespace)
            && only.is_none_or(|only| scaler.target == only.key.name)
    };
    let mut limited: Vec<_> = scene
        .snapshot
        .autoscalers
        .iter()
        .filter(here)
        .filter_map(|scaler| Some((scaler, hpa_max::limited_since(scene, scaler)?)))
        .collect();
    limited.sort_by(|(one, _), (other, _)| one.key.cmp(&other.key));
    let Some((scaler, since)) = limited.first() else { return };
    let says = format!("{} has all the {} replicas it may have", scaler.target, scaler.max);
    if has_room {
        behind.blame(Origin::Autoscalers, Some(*since), cause::AT_CAPACITY, says, 0.7);
    } else {
        behind.facts.push(evidence(Origin::Autoscalers, Some(*since), says));
    }
}
