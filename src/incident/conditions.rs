//! What else must hold for one trouble to explain another: what both are about, and what each proves of itself.

use crate::domain::{Anomaly, Kind, Severity, Subject, cause};

/// What stands in the way of a rollout may come of what befell a node; of its image, its specification or its program
/// it does not.
pub(super) fn may_come_of_a_node(node: &Anomaly, rollout: &Anomaly) -> bool {
    const OF_NODES: &[&str] = &[
        cause::UNSCHEDULABLE,
        cause::SPREAD_CONSTRAINT,
        cause::NO_NODE_MATCHES,
        cause::NODES_AWAY,
        cause::STARTING_SLOWLY,
        cause::READINESS,
        cause::READINESS_GATE,
        cause::RUNTIME,
        cause::NODE_NETWORK,
        cause::NODE_OOM,
        cause::IMAGE_DISK,
        cause::IMAGE_NETWORK,
        cause::IMAGE_PULL,
        cause::VOLUME_STUCK,
        cause::VOLUME_HELD,
        cause::VOLUME_ELSEWHERE,
        cause::STUCK_TERMINATING,
        cause::LEFT_BEHIND,
        cause::NO_SPACE,
        cause::KILLED,
    ];
    let first = rollout.causes.first();
    first.is_none_or(|first| OF_NODES.contains(&first.name)) && !lacked_room_before(node, rollout)
}

/// What found no room before the node fell had none with it either.
fn lacked_room_before(node: &Anomaly, rollout: &Anomaly) -> bool {
    const LACKS_ROOM: &[&str] = &[cause::UNSCHEDULABLE, cause::SPREAD_CONSTRAINT, cause::NO_NODE_MATCHES];
    let lacks_room = rollout.causes.first().is_some_and(|first| LACKS_ROOM.contains(&first.name));
    lacks_room && rollout.onset < node.onset
}

/// Whether a workload finds no room for replicas that were lost with a node.
pub(super) fn lost_with_a_node(node: &Anomaly, rollout: &Anomaly) -> bool {
    const FINDS_NO_OTHER: &[&str] = &[cause::UNSCHEDULABLE, cause::SPREAD_CONSTRAINT, cause::NODES_AWAY];
    (rollout.causes.is_empty() || has_cause(rollout, FINDS_NO_OTHER)) && !lacked_room_before(node, rollout)
}

/// A DaemonSet's pod is down on the node that cannot set up the network of the other's, or on one of the nodes that fell.
pub(super) fn network_of_its_node(plugin: &Anomaly, effect: &Anomaly) -> bool {
    let node = |anomaly: &Anomaly| anomaly.bindings.get("node").cloned();
    let shares_node = || node(plugin).is_some() && node(plugin) == node(effect);
    let is_on_them = || match &plugin.subject {
        Subject::Object(own) => effect.subject == Subject::Cluster && effect.touches.contains(own),
        _ => false,
    };
    has_cause(effect, &[cause::NODE_NETWORK])
        && plugin.bindings.get("workload_kind").is_some_and(|kind| kind == "DaemonSet")
        && (shares_node() || is_on_them())
}

/// Clients come to the door and turn away.
pub(super) const TLS: &[&str] =
    &[cause::EXPIRED, cause::NAME_MISMATCH, cause::HANDSHAKE_FAILED, cause::DEFAULT_CERTIFICATE];

pub(super) fn is_sightless(autoscaler: &Anomaly) -> bool {
    has_cause(autoscaler, &[cause::AUTOSCALER_SIGHTLESS])
}

/// An autoscaler whose metric is not metrics-server's to give: of most, Prometheus has it.
pub(super) fn asks_prometheus(_: &Anomaly, autoscaler: &Anomaly) -> bool {
    let given = |cause: &crate::domain::Cause| !cause.says.starts_with("FailedGetResourceMetric");
    is_sightless(autoscaler) && autoscaler.causes.iter().all(given)
}

/// Not wrong as it is written, whatever its pods do.
pub(super) fn lacks_pods(_: &Anomaly, ingress: &Anomaly) -> bool {
    const WRITTEN: &[&str] = &[
        cause::SERVICE_SELECTOR,
        cause::SERVICE_ABSENT,
        cause::SERVICE_PORT,
        cause::SCALED_TO_ZERO,
        cause::WORKLOAD_ABSENT,
        cause::BACKEND_PORT,
        cause::CERTIFICATE_ABSENT,
    ];
    ingress.causes.first().is_none_or(|first| !WRITTEN.contains(&first.name))
}

/// The door is open, and nobody is behind it.
pub(super) const NOBODY_ANSWERS: &[&str] = &[
    cause::NO_ENDPOINTS,
    cause::ENDPOINTS_BY_HAND,
    cause::SCALED_TO_ZERO,
    cause::WORKLOAD_ABSENT,
    cause::SERVICE_ABSENT,
    cause::BACKEND_PORT,
    cause::BAD_GATEWAY,
];

/// What makes requests slow on any number of replicas.
pub(super) const ITS_OWN: &[&str] = &[
    cause::BAD_REVISION,
    cause::CPU_THROTTLED,
    cause::CACHE_EVICTING,
    cause::CACHE_COLD,
    cause::CACHE_FULL,
    cause::CACHE_DOWN,
];

/// Whether a crash is one for want of the database: it says so, or does not say, beside what uses the database.
pub(super) fn lacks_database(database: &Anomaly, crash: &Anomaly) -> bool {
    has_cause(crash, &[cause::DATABASE_EXHAUSTED, cause::DATABASE_UNREACHABLE])
        || has_cause(crash, &[cause::LIVENESS_KILLED, cause::STARTUP_KILLED, cause::CRASH])
            && are_neighbours(database, crash)
}

pub(super) fn unready_for_database(database: &Anomaly, rollout: &Anomaly) -> bool {
    has_cause(rollout, &[cause::READINESS]) && are_neighbours(database, rollout)
}

fn are_neighbours(one: &Anomaly, other: &Anomaly) -> bool {
    let touches = |anomaly: &Anomaly, namespace: &str| {
        anomaly.touches.iter().any(|object| &*object.key.namespace == namespace)
    };
    let mut places = one.touches.iter().filter(|object| object.kind.is_namespaced());
    places.any(|object| touches(other, &object.key.namespace))
}

/// Whether requests may reach what is ill: nothing of a batch worker's shows in the answers of others.
pub(super) fn serves(cause: &Anomaly, _: &Anomaly) -> bool {
    cause.bindings.get("serves").is_none_or(|serves| serves != "nobody")
}

/// Nobody knows since when the database has been gone, for it never answered us; and the other lacks it.
pub(super) fn was_before_us(database: &Anomaly, effect: &Anomaly) -> bool {
    const LACKS_IT: &[&str] = &[cause::DATABASE_UNREACHABLE];
    database.bindings.contains_key("never_answered")
        && has_cause(database, LACKS_IT)
        && has_cause(effect, LACKS_IT)
}

pub(super) fn has_cause(anomaly: &Anomaly, names: &[&str]) -> bool {
    anomaly.causes.iter().any(|cause| names.contains(&cause.name))
}

/// A node that evicts, rather than one that soon might.
pub(super) fn is_out_of_disk(anomaly: &Anomaly) -> bool {
    anomaly.severity == Severity::Critical && !has_cause(anomaly, &[cause::CLAIM_FULL])
}

/// What went is the cache's own workload, by its name; nobody draws us a map of what it serves.
pub(super) fn is_a_cache(ill: &Anomaly, _: &Anomaly) -> bool {
    const CACHES: &[&str] = &["redis", "valkey", "keydb", "dragonfly"];
    ill.touches.iter().any(|object| {
        matches!(object.kind, Kind::Deployment | Kind::StatefulSet)
            && CACHES.iter().any(|name| object.key.name.contains(name))
    })
}

/// The traffic that fails with the cache has it among its causes, or none at all.
pub(super) fn lacks_the_cache(_: &Anomaly, traffic: &Anomaly) -> bool {
    traffic.causes.is_empty()
        || has_cause(traffic, &[cause::CACHE_DOWN, cause::CACHE_FULL, cause::CACHE_EVICTING])
}

/// A revision is to blame for this from here on: only its pods fail, or it began right after it.
const STRONG: f64 = 0.9;

/// Whether what fails may come from the database at all: a revision whose own pods fail is reason enough, unless its
/// own sessions wait there, and waited first.
pub(super) fn may_fail_requests(database: &Anomaly, traffic: &Anomaly) -> bool {
    let own = traffic.causes.first().filter(|first| first.name == cause::BAD_REVISION);
    if own.is_none_or(|own| own.weight < STRONG) || !has_cause(database, &[cause::LOCK_CHAIN]) {
        return true;
    }
    let (waiting, workload) = (database.bindings.get("lock_waiters_of"), traffic.bindings.get("deployment"));
    let is_its_own = waiting.zip(workload).is_none_or(|(waiting, workload)| {
        waiting.split(',').any(|who| who.contains(workload.as_str()) || workload.contains(who))
    });
    is_its_own && database.onset <= traffic.onset
}
