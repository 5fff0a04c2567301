//! The verbs of AWS. Where a cluster may be left out, it is found by the database's host.

use super::ParamKind::{Cidr, Count, Flag, Line, Name, OneOf, Span, Words};
use super::{Param, Verb, changes, destroys, disrupts, may, must, reads};
use crate::domain::System::Aws;

const INSTANCE: &[Param] = &[must("instance", Name)];
const CLUSTER: Param = may("cluster", Name);
const WINDOW: Param = may("window", Span);
const IP_SET: Param = must("ip_set", Line);
const WEB_ACL: Param = must("web_acl", Line);

pub(super) static VERBS: &[Verb] = &[
    reads("database-cluster", &[CLUSTER]).on(Aws),
    reads("database-metrics", &[CLUSTER, WINDOW]).on(Aws),
    reads("database-load", &[CLUSTER, WINDOW]).on(Aws),
    reads("instance-health", INSTANCE).on(Aws),
    reads("instance-state", INSTANCE).on(Aws),
    reads("node-group", &[must("cluster", Line), must("node_group", Line)]).on(Aws),
    reads("instance-volumes", INSTANCE).on(Aws),
    reads("load-balancer", &[must("host", Line)]).on(Aws),
    reads("target-groups", &[must("load_balancer", Line)]).on(Aws),
    reads("target-health", &[must("of", Line)]).on(Aws),
    reads("hosted-records", &[may("zone", Line), must("name", Line)]).on(Aws),
    reads("security-groups", &[must("load_balancer", Line)]).on(Aws),
    reads("network-acls", &[must("load_balancer", Line)]).on(Aws),
    reads("access-logs", &[must("bucket", Line), WINDOW]).on(Aws),
    reads("access-log-sources", &[must("bucket", Line), may("path", Line), WINDOW]).on(Aws),
    reads("api-denials", &[must("cluster", Line), WINDOW]).on(Aws),
    reads("log-events", &[must("group", Line), must("pattern", Line), WINDOW]).on(Aws),
    reads("account-events", &[WINDOW]).on(Aws),
    reads("ip-set", &[IP_SET]).on(Aws),
    reads("secret-rotation", &[must("secret", Line)]).on(Aws),
    reads(
        "ask-node",
        &[must("instance", Name), must("question", OneOf(&["kubelet-log", "resources", "kubelet-active"]))],
    )
    .on(Aws),
    destroys("replace-instance", INSTANCE).on(Aws),
    destroys("update-node-group", &[must("cluster", Line), must("node_group", Line)]).on(Aws),
    disrupts("grow-volume", &[must("volume", Name), must("size_gib", Count)]).on(Aws),
    changes(
        "set-database-capacity",
        &[must("cluster", Name), must("min", Line), must("max", Line), may("may_lower", Flag)],
    )
    .on(Aws),
    disrupts("set-database-class", &[must("instance", Name), must("class", Name)]).on(Aws),
    changes(
        "set-database-parameter",
        &[must("group", Name), must("parameter", Line), may("value", Count), may("may_lower", Flag)],
    )
    .on(Aws),
    disrupts("reboot-database", INSTANCE).on(Aws),
    disrupts("fail-over-database", &[must("cluster", Name)]).on(Aws),
    disrupts("deny-address", &[must("network_acl", Name), must("cidr", Cidr)]).on(Aws),
    disrupts("undeny-address", &[must("network_acl", Name), must("rule", Count), must("cidr", Cidr)]).on(Aws),
    disrupts("open-port", &[must("group", Name), must("port", Count), must("cidr", Cidr)]).on(Aws),
    disrupts("close-port", &[must("group", Name), must("port", Count), must("cidr", Cidr)]).on(Aws),
    disrupts("block-addresses", &[IP_SET, must("addresses", Words)]).on(Aws),
    disrupts("unblock-addresses", &[IP_SET, must("addresses", Words)]).on(Aws),
    disrupts("limit-rate", &[WEB_ACL, must("path", Line), must("limit", Count)]).on(Aws),
    disrupts("unlimit-rate", &[WEB_ACL, must("rule", Line)]).on(Aws),
    disrupts("set-record", RECORD).on(Aws),
    disrupts("delete-record", RECORD).on(Aws),
    disrupts(
        "restart-on-node",
        &[must("instance", Name), must("service", OneOf(&["kubelet", "containerd"]))],
    )
    .on(Aws),
    destroys("rotate-secret", &[must("secret", Line)]).on(Aws),
    destroys("restore-secret", &[must("secret", Line), must("version", Line)]).on(Aws),
];

const RECORD: &[Param] = &[
    must("zone", Line),
    must("name", Line),
    must("type", Line),
    may("ttl", Count),
    // Comma-separated; for an alias, `alias:ZONE:dns-name`.
    must("values", Line),
];
