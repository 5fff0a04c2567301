//! Actions on Prometheus and Alertmanager: what they say, and what they are told. No client, no document.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{PodTarget, shell_quote};
use crate::domain::{Effect, Key, Name, ObjectRef, System, masked, text};

/// What is asked of Prometheus and Alertmanager, or changed in them.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(tag = "does", rename_all = "kebab-case")]
pub enum Alerting {
    // Reads.
    /// /-/healthy, /-/ready, replay, reload, ingest, targets, the Watchdog at Alertmanager.
    PrometheusHealth,
    /// Which targets are down, and why.
    PrometheusTargets,
    /// The server container's output, present and previous, with what it gives away.
    PrometheusLogs,
    /// Where its configuration is kept, whether it is well-formed, and what could be gone back to.
    PrometheusConfig,
    /// How full a volume is, by the kubelet that mounts it, and whether it can grow.
    VolumeUsage {
        claim: Key,
    },
    /// The alerting rules with state, health and source; all of them, or those of one alert.
    AlertRules {
        alert: Option<Name>,
    },
    /// Any expression: now, or over a window.
    Promql {
        expr: String,
        window: Option<Duration>,
        step: Option<Duration>,
    },
    /// Who is noisy and who flaps, and how many notifications that made.
    AlertHistory {
        window: Duration,
    },
    /// Alerts as Alertmanager groups and routes them now.
    AlertGroups,
    /// Silences in force.
    AlertSilences,
    /// The configuration Alertmanager runs, and where it is kept; secrets struck out.
    AlertmanagerConfig,

    // Changes.
    /// Never for good: one to four hours, with a reason.
    SilenceAlerts {
        matchers: Vec<String>,
        lasts: Duration,
        comment: String,
    },
    ExpireSilence {
        id: Name,
    },
    /// Another expression, or another `for`, of one alerting rule. Labels and annotations stay.
    TuneRule {
        alert: Name,
        group: Option<Name>,
        expr: Option<String>,
        lasts: Option<Duration>,
    },
    /// The root route's grouping; what is None or empty stays.
    GroupAlerts {
        by: Vec<Name>,
        wait: Option<Duration>,
        interval: Option<Duration>,
        repeat: Option<Duration>,
    },
    /// One inhibition more: while a source fires, targets that share the `equal` labels are quiet.
    InhibitAlerts {
        source: Vec<String>,
        target: Vec<String>,
        equal: Vec<Name>,
    },
    /// One route more, before the others: alerts with these labels go to that receiver.
    RouteAlerts {
        matchers: Vec<String>,
        receiver: Name,
    },
    /// A whole document put back into a ConfigMap or Secret. Its text is never shown, nor kept in a journal.
    RestoreDocument {
        object: ObjectRef,
        entry: String,
        document: String,
    },
    /// Prometheus' configuration as it was before the last edit.
    RestorePrometheusConfig,
    /// A larger claim. It never shrinks again.
    GrowVolume {
        claim: Key,
        size: String,
    },
    /// Deletes the server's pod, unless it is replaying its log.
    RestartPrometheus {
        pod: PodTarget,
    },
    /// Deployment, StatefulSet, or the operator's Prometheus.
    ScalePrometheus {
        object: ObjectRef,
        replicas: u32,
    },
    /// Keeps less: the oldest samples beyond this size are deleted.
    LimitRetention {
        object: ObjectRef,
        size: String,
    },
}

impl Alerting {
    /// Fixed by the type.
    pub fn effect(&self) -> Effect {
        match self {
            Alerting::PrometheusHealth
            | Alerting::PrometheusTargets
            | Alerting::PrometheusLogs
            | Alerting::PrometheusConfig
            | Alerting::VolumeUsage { .. }
            | Alerting::AlertRules { .. }
            | Alerting::Promql { .. }
            | Alerting::AlertHistory { .. }
            | Alerting::AlertGroups
            | Alerting::AlertSilences
            | Alerting::AlertmanagerConfig => Effect::Read,
            Alerting::SilenceAlerts { .. }
            | Alerting::ExpireSilence { .. }
            | Alerting::TuneRule { .. }
            | Alerting::GroupAlerts { .. }
            | Alerting::InhibitAlerts { .. }
            | Alerting::RouteAlerts { .. }
            | Alerting::RestoreDocument { .. }
            | Alerting::RestorePrometheusConfig => Effect::Change,
            Alerting::GrowVolume { .. }
            | Alerting::RestartPrometheus { .. }
            | Alerting::ScalePrometheus { .. } => Effect::Disruptive,
            Alerting::LimitRetention { .. } => Effect::Destructive,
        }
    }

    /// What is typed to confirm it.
    pub fn target(&self) -> Option<Name> {
        Some(match self {
            Alerting::SilenceAlerts { matchers, .. } => alert_name(matchers).unwrap_or("silence").into(),
            Alerting::ExpireSilence { .. } => "silence".into(),
            Alerting::TuneRule { alert, .. } => alert.clone(),
            Alerting::GroupAlerts { .. } | Alerting::InhibitAlerts { .. } | Alerting::RouteAlerts { .. } => {
                "alertmanager".into()
            }
            Alerting::RestoreDocument { object, .. }
            | Alerting::ScalePrometheus { object, .. }
            | Alerting::LimitRetention { object, .. } => object.key.name.clone(),
            Alerting::RestorePrometheusConfig => "prometheus".into(),
            Alerting::GrowVolume { claim, .. } => claim.name.clone(),
            Alerting::RestartPrometheus { pod } => pod.key.name.clone(),
            _ => return None,
        })
    }

    /// What has to be reached: what mends a Prometheus that is down must not need it.
    pub fn system(&self) -> System {
        match self {
            Alerting::PrometheusHealth
            | Alerting::PrometheusTargets
            | Alerting::AlertRules { .. }
            | Alerting::Promql { .. }
            | Alerting::AlertHistory { .. }
            | Alerting::TuneRule { .. } => System::Prometheus,
            Alerting::AlertGroups
            | Alerting::AlertSilences
            | Alerting::AlertmanagerConfig
            | Alerting::SilenceAlerts { .. }
            | Alerting::ExpireSilence { .. }
            | Alerting::GroupAlerts { .. }
            | Alerting::InhibitAlerts { .. }
            | Alerting::RouteAlerts { .. } => System::Alertmanager,
            Alerting::PrometheusLogs
            | Alerting::PrometheusConfig
            | Alerting::VolumeUsage { .. }
            | Alerting::RestoreDocument { .. }
            | Alerting::RestorePrometheusConfig
            | Alerting::GrowVolume { .. }
            | Alerting::RestartPrometheus { .. }
            | Alerting::ScalePrometheus { .. }
            | Alerting::LimitRetention { .. } => System::Kubernetes,
        }
    }

    /// The line a person could paste into a shell.
    pub(super) fn as_command(&self) -> String {
        match self {
            Alerting::PrometheusHealth => {
                r#"curl -sS "$PROMETHEUS_URL/-/healthy" "$PROMETHEUS_URL/-/ready""#.into()
            }
            Alerting::PrometheusTargets => r#"curl -sS "$PROMETHEUS_URL/api/v1/targets?state=active""#.into(),
            Alerting::PrometheusLogs => {
                "kubectl logs -A -l app.kubernetes.io/name=prometheus --all-containers --tail=200".into()
            }
            Alerting::PrometheusConfig => {
                "kubectl get configmap -A -l app.kubernetes.io/name=prometheus -o yaml".into()
            }
            Alerting::VolumeUsage { claim } => on("describe pvc", claim, ""),
            Alerting::AlertRules { .. } => r#"promtool query instant "$PROMETHEUS_URL" ALERTS"#.into(),
            Alerting::Promql { expr, window, .. } => promql(expr, *window),
            Alerting::AlertHistory { window } => promql(
                &format!(
                    "topk(10, sum by (alertname) (changes(ALERTS_FOR_STATE[{}])))",
                    text::span_short(*window)
                ),
                None,
            ),
            Alerting::AlertGroups => r#"curl -sS "$ALERTMANAGER_URL/api/v2/alerts/groups""#.into(),
            Alerting::AlertSilences => {
                r#"amtool silence query --alertmanager.url="$ALERTMANAGER_URL""#.into()
            }
            Alerting::AlertmanagerConfig => {
                r#"amtool config show --alertmanager.url="$ALERTMANAGER_URL""#.into()
            }
            Alerting::SilenceAlerts { matchers, lasts, comment } => format!(
                r#"amtool silence add {} --alertmanager.url="$ALERTMANAGER_URL" --duration={} --comment={}"#,
                matchers.iter().map(|matcher| shell_quote(matcher)).collect::<Vec<_>>().join(" "),
                go_span(*lasts),
                shell_quote(comment)
            ),
            Alerting::ExpireSilence { id } => {
                format!(r#"amtool silence expire --alertmanager.url="$ALERTMANAGER_URL" {}"#, shell_quote(id))
            }
            Alerting::TuneRule { alert, .. } => {
                format!("kubectl edit prometheusrule -A  # the rule of alert {}", shell_quote(alert))
            }
            Alerting::GroupAlerts { .. } | Alerting::InhibitAlerts { .. } | Alerting::RouteAlerts { .. } => {
                r#"amtool check-config alertmanager.yml && curl -sS -X POST "$ALERTMANAGER_URL/-/reload""#
                    .into()
            }
            Alerting::RestoreDocument { object, entry, .. } => format!(
                "kubectl -n {} edit {} {}  # entry {}",
                shell_quote(&object.key.namespace),
                object.kind.for_kubectl(),
                shell_quote(&object.key.name),
                shell_quote(entry)
            ),
            Alerting::RestorePrometheusConfig => {
                r#"curl -sS "$PROMETHEUS_URL/api/v1/status/config"  # what it still runs"#.into()
            }
            Alerting::GrowVolume { claim, size } => on(
                "patch pvc",
                claim,
                &format!(
                    " --type=merge -p {}",
                    shell_quote(&format!(
                        r#"{{"spec":{{"resources":{{"requests":{{"storage":"{size}"}}}}}}}}"#
                    ))
                ),
            ),
            Alerting::RestartPrometheus { pod } => on("delete pod", &pod.key, ""),
            Alerting::ScalePrometheus { object, replicas } => on(
                &format!("patch {}", object.kind.for_kubectl()),
                &object.key,
                &format!(" --type=merge -p '{{\"spec\":{{\"replicas\":{replicas}}}}}'"),
            ),
            Alerting::LimitRetention { object, size } => on(
                &format!("edit {}", object.kind.for_kubectl()),
                &object.key,
                &format!("  # --storage.tsdb.retention.size={}", text::clean(size)),
            ),
        }
    }

    /// Hides whatever is secret in it.
    pub(in crate::domain) fn mask(&mut self) {
        if let Alerting::RestoreDocument { document, .. } = self {
            *document = masked(document);
        }
        if let Alerting::SilenceAlerts { comment, .. } = self {
            *comment = text::redact(comment);
        }
    }
}

/// The alert's name among matchers, if one matcher names it exactly.
fn alert_name(matchers: &[String]) -> Option<&str> {
    let value = matchers.iter().find_map(|matcher| matcher.trim().strip_prefix("alertname="))?;
    let value = value.trim_matches('"');
    (!value.starts_with('~') && !value.is_empty()).then_some(value)
}

/// A duration as Prometheus and amtool write it: `1h30m`.
fn go_span(span: Duration) -> String {
    let seconds = span.as_secs();
    let parts = [(seconds / 3_600, "h"), (seconds / 60 % 60, "m"), (seconds % 60, "s")];
    let written: String = parts
        .iter()
        .filter(|(number, _)| *number > 0)
        .map(|(number, unit)| format!("{number}{unit}"))
        .collect();
    if written.is_empty() { "0s".into() } else { written }
}

fn promql(expr: &str, window: Option<Duration>) -> String {
    match window {
        None => format!(r#"promtool query instant "$PROMETHEUS_URL" {}"#, shell_quote(expr)),
        Some(window) => format!(
            r#"promtool query range --start="$(date -d -{}seconds +%s)" "$PROMETHEUS_URL" {}"#,
            window.as_secs(),
            shell_quote(expr)
        ),
    }
}

fn on(verb: &str, key: &Key, rest: &str) -> String {
    format!("kubectl {verb} {} -n {}{rest}", shell_quote(&key.name), shell_quote(&key.namespace))
}
