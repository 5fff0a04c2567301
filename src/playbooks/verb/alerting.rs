//! The verbs of Prometheus and Alertmanager. What mends a Prometheus that is down needs the cluster alone.

use super::ParamKind::{Count, Line, Name, OneOf, Quantity, Span, Words};
use super::{IN, Param, Verb, changes, destroys, disrupts, may, must, reads};
use crate::domain::System::{Alertmanager, Prometheus};

const WORKLOAD: &[&str] = &["Deployment", "StatefulSet", "Prometheus"];

/// The workload of Prometheus; its kind is mostly a placeholder.
const KIND: Param = must("kind", Line);

pub(in crate::playbooks) static VERBS: &[Verb] = &[
    reads("prometheus-health", &[]).on(Prometheus),
    reads("prometheus-targets", &[]).on(Prometheus),
    reads("prometheus-logs", &[]),
    reads("prometheus-config", &[]),
    reads("volume-usage", &[must("claim", Name), IN]),
    reads("alert-rules", &[may("alert", Line)]).on(Prometheus),
    reads("promql", &[must("expr", Line), may("window", Span), may("step", Span)]).on(Prometheus),
    reads("alert-history", &[may("window", Span)]).on(Prometheus),
    reads("alert-groups", &[]).on(Alertmanager),
    reads("alert-silences", &[]).on(Alertmanager),
    reads("alertmanager-config", &[]).on(Alertmanager),
    changes("silence-alerts", &[must("matchers", Words), must("for", Span), must("comment", Line)])
        .on(Alertmanager),
    changes("expire-silence", &[must("id", Line)]).on(Alertmanager),
    changes("tune-rule", &[must("alert", Line), may("group", Line), may("expr", Line), may("for", Span)])
        .on(Prometheus),
    changes(
        "group-alerts",
        &[must("by", Words), may("wait", Span), may("interval", Span), may("repeat", Span)],
    )
    .on(Alertmanager),
    changes("inhibit-alerts", &[must("source", Words), must("target", Words), must("equal", Words)])
        .on(Alertmanager),
    changes("route-alerts", &[must("matchers", Words), must("receiver", Line)]).on(Alertmanager),
    changes(
        "restore-document",
        &[
            must("kind", OneOf(&["ConfigMap", "Secret"])),
            must("name", Name),
            IN,
            must("entry", Line),
            must("lines", Words),
        ],
    ),
    changes("restore-prometheus-config", &[]),
    disrupts("grow-volume", &[must("claim", Name), IN, must("size", Quantity)]),
    disrupts("restart-prometheus", &[must("pod", Name), IN, must("uid", Line)]),
    disrupts("scale-prometheus", &[KIND, must("name", Name), IN, must("replicas", Count)]),
    destroys("limit-retention", &[KIND, must("name", Name), IN, must("size", Line)]),
];

/// The kinds of workload that Prometheus runs as.
pub(in crate::playbooks) fn is_workload(kind: &str) -> bool {
    WORKLOAD.contains(&kind)
}
