//! The table of causal links: which rule's anomaly can cause which (audit, section 5).

use super::causation::{AT_ANY_TIME, Causation, Join, of_node, of_rollout, row, strictly, when};
use super::conditions::{
    ITS_OWN, asks_prometheus, has_cause, is_a_cache, is_out_of_disk, lacks_database, lacks_the_cache,
    lost_with_a_node, may_come_of_a_node, may_fail_requests, network_of_its_node, serves,
    unready_for_database,
};
use crate::domain::{Kind, Severity, cause};

pub(super) static CAUSATIONS: &[Causation] = &[
    of_rollout(row(
        ("image-pull", "rollout-stuck"),
        Join::Object(Kind::ReplicaSet),
        20,
        0.95,
        "its newest pods have no image, so the rollout cannot complete",
    )),
    of_rollout(row(
        ("crash-loop", "rollout-stuck"),
        Join::Object(Kind::ReplicaSet),
        AT_ANY_TIME,
        0.95,
        "its newest pods crash, so the rollout cannot complete",
    )),
    of_rollout(row(
        ("image-pull", "crash-loop"),
        Join::Object(Kind::ReplicaSet),
        AT_ANY_TIME,
        0.6,
        "another container of the same pods has no image",
    )),
    of_node(when(
        row(
            ("node-notready", "rollout-stuck"),
            Join::Object(Kind::Pod),
            15,
            0.9,
            "its newest pods are on that node",
        ),
        may_come_of_a_node,
    )),
    of_rollout(when(
        row(
            ("crash-loop", "rollout-stuck"),
            Join::Anything,
            30,
            0.8,
            "what gives pods their network crashes on that node",
        ),
        network_of_its_node,
    )),
    of_rollout(when(
        row(
            ("crash-loop", "node-notready"),
            Join::Anything,
            30,
            0.8,
            "what gives pods their network crashes on that node",
        ),
        network_of_its_node,
    )),
    of_node(when(
        row(
            ("node-notready", "rollout-stuck"),
            Join::Object(Kind::Deployment),
            15,
            0.7,
            "replicas lost with the node find no other",
        ),
        lost_with_a_node,
    )),
    row(("node-notready", "high-5xx"), Join::Namespace, 15, 0.9, "requests still go to pods on that node"),
    row(
        ("node-notready", "high-latency"),
        Join::Namespace,
        15,
        0.9,
        "the pods elsewhere carry that node's load",
    ),
    row(
        ("node-notready", "hpa-max"),
        Join::Object(Kind::Deployment),
        15,
        0.9,
        "the autoscaler replaces replicas lost with the node",
    ),
    row(
        ("disk-full", "node-notready"),
        Join::Object(Kind::Node),
        60,
        0.85,
        "a kubelet without disk cannot do its work",
    ),
    when(
        row(
            ("disk-full", "image-pull"),
            Join::Object(Kind::Node),
            60,
            0.85,
            "the node has no space for the image",
        ),
        |_, effect| has_cause(effect, &[cause::IMAGE_DISK]),
    ),
    when(
        row(("disk-full", "crash-loop"), Join::Object(Kind::Pod), 60, 0.85, "its containers cannot write"),
        |_, effect| has_cause(effect, &[cause::NO_SPACE]),
    ),
    of_node(when(
        row(
            ("disk-full", "rollout-stuck"),
            Join::Object(Kind::Deployment),
            60,
            0.7,
            "its pods are evicted from the node without disk, or not placed there",
        ),
        |cause, effect| cause.severity == Severity::Critical && may_come_of_a_node(cause, effect),
    )),
    when(
        row(
            ("disk-full", "high-5xx"),
            Join::Namespace,
            60,
            0.6,
            "pods are evicted from the node without disk",
        ),
        |cause, _| is_out_of_disk(cause),
    ),
    when(
        row(
            ("disk-full", "high-latency"),
            Join::Namespace,
            60,
            0.6,
            "pods are evicted from the node without disk",
        ),
        |cause, _| is_out_of_disk(cause),
    ),
    when(
        row(("crash-loop", "high-5xx"), Join::Namespace, 30, 0.85, "requests fail while pods crash"),
        serves,
    ),
    when(row(("crash-loop", "high-latency"), Join::Namespace, 30, 0.7, "fewer pods carry the load"), serves),
    row(
        ("crash-loop", "hpa-max"),
        Join::Object(Kind::Deployment),
        15,
        0.6,
        "replicas that crash carry no load",
    ),
    when(
        row(("image-pull", "high-5xx"), Join::Namespace, 30, 0.6, "pods without an image carry no load"),
        serves,
    ),
    when(
        row(("image-pull", "high-latency"), Join::Namespace, 30, 0.6, "pods without an image carry no load"),
        serves,
    ),
    row(
        ("image-pull", "hpa-max"),
        Join::Object(Kind::Deployment),
        15,
        0.6,
        "pods without an image carry no load",
    ),
    when(
        row(("rollout-stuck", "high-5xx"), Join::Namespace, 20, 0.6, "replicas are missing from the rollout"),
        serves,
    ),
    when(
        row(
            ("rollout-stuck", "high-latency"),
            Join::Namespace,
            20,
            0.6,
            "replicas are missing from the rollout",
        ),
        serves,
    ),
    row(
        ("db-cpu", "db-pool"),
        Join::Anything,
        10,
        0.85,
        "sessions that wait hold their slots, and pools open more",
    ),
    when(
        row(
            ("db-cpu", "high-5xx"),
            Join::Anything,
            10,
            0.85,
            "requests wait for the database until they fail",
        ),
        may_fail_requests,
    ),
    when(
        row(("db-cpu", "high-latency"), Join::Anything, 10, 0.85, "requests wait for the database"),
        may_fail_requests,
    ),
    row(("db-cpu", "hpa-max"), Join::Anything, 10, 0.6, "slow requests keep replicas busy"),
    when(
        row(("db-cpu", "crash-loop"), Join::Anything, 10, 0.85, "containers die waiting for the database"),
        lacks_database,
    ),
    when(
        row(
            ("mem-leak", "crash-loop"),
            Join::Object(Kind::Deployment),
            24 * 60,
            0.85,
            "its memory grows until the kernel kills it",
        ),
        |_, effect| has_cause(effect, &[cause::OOM_KILLED, cause::MEMORY_LEAK]),
    ),
    when(
        row(
            ("db-cpu", "rollout-stuck"),
            Join::Anything,
            10,
            0.7,
            "pods that wait for the database are not ready",
        ),
        unready_for_database,
    ),
    when(
        row(
            ("db-pool", "rollout-stuck"),
            Join::Anything,
            10,
            0.85,
            "pods are not ready without the database",
        ),
        unready_for_database,
    ),
    when(
        row(("db-pool", "high-5xx"), Join::Anything, 10, 0.85, "requests find no database connection"),
        may_fail_requests,
    ),
    when(
        row(("db-pool", "high-latency"), Join::Anything, 10, 0.85, "requests wait for a database connection"),
        may_fail_requests,
    ),
    row(
        ("db-pool", "hpa-max"),
        Join::Anything,
        10,
        0.6,
        "requests that wait for a connection keep replicas busy",
    ),
    when(
        row(
            ("db-pool", "crash-loop"),
            Join::Anything,
            10,
            0.85,
            "containers die without a database connection",
        ),
        lacks_database,
    ),
    when(
        row(("db-cpu", "job-failed"), Join::Anything, 60, 0.7, "its runs die waiting for the database"),
        lacks_database,
    ),
    when(
        row(("db-pool", "job-failed"), Join::Anything, 60, 0.7, "its runs find no database connection"),
        lacks_database,
    ),
    when(
        row(("disk-full", "job-failed"), Join::Object(Kind::Pod), 60, 0.85, "its pods cannot write"),
        |_, effect| has_cause(effect, &[cause::NO_SPACE]),
    ),
    when(
        row(("cache-down", "high-latency"), Join::Anything, 10, 0.85, "requests go on without the cache"),
        lacks_the_cache,
    ),
    when(
        row(("cache-down", "high-5xx"), Join::Anything, 10, 0.85, "requests fail without the cache"),
        lacks_the_cache,
    ),
    when(row(("crash-loop", "cache-down"), Join::Anything, 10, 0.9, "its own pod crashes"), is_a_cache),
    when(row(("image-pull", "cache-down"), Join::Anything, 10, 0.9, "its own pod has no image"), is_a_cache),
    when(
        row(("rollout-stuck", "cache-down"), Join::Anything, 20, 0.9, "its own rollout is stuck"),
        is_a_cache,
    ),
    when(row(("node-notready", "cache-down"), Join::Anything, 10, 0.85, "it is on that node"), is_a_cache),
    row(
        ("node-notready", "prom-down"),
        Join::Object(Kind::Node),
        15,
        0.9,
        "Prometheus runs on that node, and its volume is held there",
    ),
    row(
        ("disk-full", "prom-down"),
        Join::Object(Kind::PersistentVolumeClaim),
        24 * 60,
        0.9,
        "its volume is full",
    ),
    when(
        row(("crash-loop", "prom-down"), Join::Object(Kind::Pod), 30, 0.85, "its own pod crashes"),
        |_, effect| !has_cause(effect, &[cause::WAL_REPLAY]),
    ),
    when(
        row(
            ("hpa-max", "high-latency"),
            Join::Namespace,
            15,
            0.7,
            "no more replicas may come to share the load",
        ),
        |_, effect| !has_cause(effect, ITS_OWN),
    ),
    when(
        row(
            ("prom-down", "hpa-max"),
            Join::Anything,
            15,
            0.6,
            "the autoscaler's metric comes from Prometheus",
        ),
        asks_prometheus,
    ),
    strictly(row(("hpa-max", "db-pool"), Join::Anything, 10, 0.6, "more replicas hold more connections")),
    row(("hpa-max", "high-5xx"), Join::Namespace, 15, 0.7, "no more replicas may come to share the load"),
    row(
        ("auth-attack", "high-latency"),
        Join::Namespace,
        15,
        0.6,
        "the attacker's logins load the application",
    ),
    row(("auth-attack", "high-5xx"), Join::Namespace, 15, 0.6, "the attacker's logins load the application"),
    row(("auth-attack", "db-pool"), Join::Anything, 15, 0.6, "the attacker's logins load the database"),
    row(("high-latency", "high-5xx"), Join::Namespace, 15, 0.7, "slow requests run into timeouts"),
    row(("high-latency", "hpa-max"), Join::Namespace, 10, 0.6, "slow requests keep replicas busy"),
    when(
        row(
            ("high-latency", "crash-loop"),
            Join::Namespace,
            10,
            0.7,
            "probes time out and the kubelet kills",
        ),
        |_, effect| has_cause(effect, &[cause::LIVENESS_KILLED]),
    ),
    when(
        of_rollout(row(
            ("cert-expiry", "rollout-stuck"),
            Join::Anything,
            60,
            0.6,
            "the webhook's certificate is bad",
        )),
        |_, effect| {
            let refused = effect.causes.iter().find(|row| row.name == cause::WEBHOOK);
            refused.is_some_and(|row| row.says.contains("x509") || row.says.contains("certificate"))
        },
    ),
];
