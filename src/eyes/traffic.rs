//! The application's traffic in PromQL: which metrics and labels there are, and the questions made of them.

use std::collections::HashMap;

use super::kubernetes::names::own;
use super::prometheus::Prometheus;
use crate::config::{ConnectError, Settings};
use crate::domain::{BlindKind, Key, Name};

/// The window of rates: twice the usual five-minute windows' quickness, four samples at a scrape of 30 s.
const WINDOW: &str = "2m";

/// Counters of requests that applications, frameworks, ingresses and meshes export.
const REQUESTS: [&str; 7] = [
    "http_requests_total",
    "http_server_requests_seconds_count",
    "http_server_request_duration_seconds_count",
    "http_request_duration_seconds_count",
    "nginx_ingress_controller_requests",
    "traefik_service_requests_total",
    "istio_requests_total",
];
/// Their latency histograms, and what makes seconds of their unit.
const LATENCIES: [(&str, f64); 8] = [
    ("http_request_duration_seconds", 1.0),
    ("http_request_duration_highr_seconds", 1.0),
    ("http_server_requests_seconds", 1.0),
    ("http_server_request_duration_seconds", 1.0),
    ("http_request_latency_seconds", 1.0),
    ("nginx_ingress_controller_request_duration_seconds", 1.0),
    ("traefik_service_request_duration_seconds", 1.0),
    ("istio_request_duration_milliseconds", 0.001),
];
/// Labels of the path, or what stands for it.
const PATH_LABELS: [&str; 6] = ["path", "route", "handler", "http_route", "uri", "endpoint"];
/// Labels of the namespace: what scrapes an ingress may keep the scraped one for itself.
const PLACE_LABELS: [&str; 2] = ["exported_namespace", "namespace"];
const STATUS_LABELS: [&str; 5] =
    ["status", "code", "status_code", "http_response_status_code", "response_code"];

/// The label that tells the two rows of [`Queries::present`] apart, and its values.
pub(super) const OF: &str = "of";
pub(super) const REQUESTS_ROW: &str = "requests";
pub(super) const LATENCY_ROW: &str = "latency";

const NAME_LATENCY: &str = "name yours: [prometheus] latency = \"…\"";

#[derive(Debug, Clone)]
pub(super) struct SlowPaths {
    pub label: String,
    pub expression: String,
}

/// The questions, ready to ask.
#[derive(Debug, Clone)]
pub(super) struct Queries {
    /// What was found, for whoever wants to write it down.
    pub requests: Option<String>,
    pub latency: Option<String>,
    /// Why errors or latency cannot be asked for at all.
    pub errors_lack: Option<ConnectError>,
    pub latency_lack: Option<ConnectError>,
    /// How many series of either there are.
    pub present: Option<String>,
    pub status_label: Option<String>,
    /// By the field of [`Traffic`]: p50, p95, p99.
    pub quantiles: Option<[String; 3]>,
    pub error_ratio: Option<String>,
    pub rate: Option<String>,
    pub denied: Option<String>,
    pub denied_usual: Option<String>,
    /// By the label of the namespace.
    pub denied_in: Option<(&'static str, String)>,
    pub errors_by_pod: Option<String>,
    pub slow_paths: Option<SlowPaths>,
    pub p95_last_week: Option<String>,
    pub parts: Vec<(&'static str, String)>,
    pub memory: String,
    /// The one namespace whose traffic it is; empty when all of it is asked for.
    pub namespace: Name,
    pub unit: f64,
}

impl Queries {
    /// Looks up what there is. What the settings name is not doubted.
    ///
    /// # Errors
    /// Prometheus can't be asked, or knows no metrics of requests.
    pub(super) async fn discover(settings: &Settings, prometheus: &Prometheus) -> Result<Self, ConnectError> {
        let named = &settings.prometheus;
        let present = present(prometheus).await?;
        let requests = named.requests.value.clone().or_else(|| {
            REQUESTS
                .iter()
                .find(|name| present.iter().any(|found| found == *name))
                .map(|name| (*name).to_owned())
        });
        let latency = named.latency.value.clone().map(|name| (name, 1.0)).or_else(|| {
            let known = LATENCIES.iter().find(|(name, _)| present.contains(&format!("{name}_bucket")));
            known.map(|(name, unit)| ((*name).to_owned(), *unit))
        });
        if requests.is_none() && latency.is_none() {
            return Err(ConnectError::new(
                BlindKind::NotConfigured,
                "Prometheus has no metric of requests that is known here (http_requests_total and its like)",
                "name yours: [prometheus] requests = \"…\", latency = \"…\"",
            ));
        }
        let probe = match (&requests, &latency) {
            (Some(requests), _) => requests.clone(),
            (None, Some((latency, _))) => format!("{latency}_bucket"),
            (None, None) => String::new(),
        };
        let labels = prometheus.labels(&probe).await?;
        let status = named.status_label.value.clone().or_else(|| {
            let known = STATUS_LABELS.iter().find(|name| labels.iter().any(|label| label == *name));
            known.map(|name| (*name).to_owned())
        });
        let place = PLACE_LABELS.into_iter().find(|name| labels.iter().any(|label| label == name));
        let namespace = place.zip(settings.namespace.one().map(ToString::to_string));
        let selector = named.selector.value.clone().unwrap_or_default();
        let path = PATH_LABELS.iter().find(|name| labels.iter().any(|label| label == *name)).copied();
        Ok(Self::build(requests, latency, (status.as_deref(), path, place), namespace.as_ref(), &selector))
    }

    /// Some metric or label wasn't there yet: a fresh Prometheus, an application without requests so far.
    pub(super) fn is_partial(&self) -> bool {
        self.quantiles.is_none() || self.rate.is_none() || self.error_ratio.is_none()
    }

    /// What is asked about, for the doctor.
    pub(super) fn summary(&self) -> String {
        let parts = [
            ("latency", self.quantiles.is_some()),
            ("request rate", self.rate.is_some()),
            ("error ratio", self.error_ratio.is_some()),
        ];
        let (there, missing): (Vec<_>, Vec<_>) = parts.iter().partition(|(_, is_there)| *is_there);
        let names = |parts: Vec<&(&'static str, bool)>| {
            parts.into_iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
        };
        match missing.len() {
            0 => format!("has {}", names(there)),
            _ => format!("has {}; lacks {}", names(there), names(missing)),
        }
    }

    fn build(
        requests_metric: Option<String>,
        latency: Option<(String, f64)>,
        (status, path, place): (Option<&str>, Option<&str>, Option<&'static str>),
        namespace: Option<&(&'static str, String)>,
        selector: &str,
    ) -> Self {
        let mut matchers: Vec<String> =
            namespace.map(|(label, name)| format!("{label}=\"{name}\"")).into_iter().collect();
        matchers.extend((!selector.trim().is_empty()).then(|| selector.trim().to_owned()));
        let all = matchers.join(",");
        let pods = match namespace {
            Some((_, name)) => format!("namespace=\"{name}\",container!=\"\",container!=\"POD\""),
            None => "container!=\"\",container!=\"POD\"".to_owned(),
        };
        let requests = requests_metric.as_deref();
        let answered = |codes: &str| {
            let (metric, label) = requests.zip(status)?;
            let with = if all.is_empty() { String::new() } else { format!(",{all}") };
            Some(format!("{metric}{{{label}=~\"{codes}\"{with}}}[{WINDOW}]"))
        };
        let failing = answered("5..");
        let rate = requests.map(|metric| format!("sum(rate({metric}{{{all}}}[{WINDOW}]))"));
        let counted = |row: &str, metric: String| {
            format!("label_replace(count({metric}{{{all}}}), \"{OF}\", \"{row}\", \"\", \"\")")
        };
        let present: Vec<String> = [
            requests.map(|metric| counted(REQUESTS_ROW, metric.to_owned())),
            latency.as_ref().map(|(metric, _)| counted(LATENCY_ROW, format!("{metric}_count"))),
        ]
        .into_iter()
        .flatten()
        .collect();
        Self {
            errors_lack: errors_lack(requests, status),
            latency_lack: latency.is_none().then(|| {
                let why = "Prometheus has no histogram of latency that is known here";
                ConnectError::new(BlindKind::NotConfigured, why, NAME_LATENCY)
            }),
            present: (!present.is_empty()).then(|| present.join(" or ")),
            quantiles: latency.as_ref().map(|(metric, _)| {
                ["0.5", "0.95", "0.99"].map(|quantile| {
                    format!("histogram_quantile({quantile}, sum by (le) (rate({metric}_bucket{{{all}}}[{WINDOW}])))")
                })
            }),
            error_ratio: failing
                .as_ref()
                .zip(rate.as_ref())
                .map(|(failing, rate)| format!("(sum(rate({failing})) or vector(0)) / {rate}")),
            slow_paths: latency.as_ref().zip(path).map(|((metric, _), label)| SlowPaths {
                label: label.to_owned(),
                expression: slow_paths(metric, label, &all),
            }),
            p95_last_week: latency.as_ref().map(|(metric, _)| {
                format!("histogram_quantile(0.95, sum by (le) (rate({metric}_bucket{{{all}}}[30m] offset 1w)))")
            }),
            parts: parts(requests.zip(status), latency.as_ref().map(|(metric, _)| metric.as_str()), path, &all),
            denied_usual: answered("401|403|429").map(|denied| {
                let over = |range: &str| format!("sum(rate({}", denied.replace(&format!("[{WINDOW}]"), range)) + "))";
                // The second only where samples are half a day old: a younger past may be all attack.
                format!(
                    "{} or quantile_over_time(0.25, {}[1d:5m]) and {}",
                    over("[1h] offset 1d"),
                    over("[5m]"),
                    over("[5m] offset 12h")
                )
            }),
            denied_in: place.zip(answered("401|403|429")).map(|(label, denied)| {
                (label, format!("topk(1, sum by ({label}) (rate({denied})))"))
            }),
            denied: answered("401|403|429").map(|denied| format!("sum(rate({denied})) or vector(0)")),
            errors_by_pod: failing.map(|failing| {
                format!("topk(10, sum by (namespace, exported_namespace, pod) (rate({failing})))")
            }),
            memory: format!("max(sum by (namespace, pod) (container_memory_working_set_bytes{{{pods}}}))"),
            rate,
            unit: latency.as_ref().map_or(1.0, |(_, unit)| *unit),
            status_label: status.map(str::to_owned),
            latency: latency.map(|(name, _)| name),
            requests: requests_metric,
            namespace: namespace.map(|(_, name)| own(name)).unwrap_or_default(),
        }
    }

    /// Where they are asked about, after a verb: ` in shop`.
    pub(super) fn place(&self) -> String {
        if self.namespace.is_empty() { String::new() } else { format!(" in {}", self.namespace) }
    }

    /// The pod that a series is about; None when its labels do not say.
    pub(super) fn pod(&self, labels: &HashMap<String, String>) -> Option<Key> {
        let label = |name: &str| labels.get(name).filter(|value| !value.is_empty()).map(|value| own(value));
        let namespace = label("exported_namespace").or_else(|| label("namespace"));
        Some(Key::new(namespace.unwrap_or_else(|| self.namespace.clone()), label("pod")?))
    }
}

/// What errors lack to be told: a counter of requests, or the code of their answers.
fn errors_lack(requests: Option<&str>, status: Option<&str>) -> Option<ConnectError> {
    let (why, repair) = match (requests, status) {
        (Some(_), Some(_)) => return None,
        (None, _) => (
            "Prometheus has no counter of requests that is known here".to_owned(),
            "name yours: [prometheus] requests = \"…\"",
        ),
        (Some(metric), None) => (
            format!("{metric} has no label of the response code that is known here"),
            "name yours: [prometheus] status_label = \"…\"",
        ),
    };
    Some(ConnectError::new(BlindKind::NotConfigured, why, repair))
}

/// The same questions by path and by pod, for people who look closer.
fn parts(
    requests: Option<(&str, &str)>,
    latency: Option<&str>,
    path: Option<&str>,
    matchers: &str,
) -> Vec<(&'static str, String)> {
    let with = if matchers.is_empty() { String::new() } else { format!(",{matchers}") };
    let mut parts = Vec::new();
    for (label, errors, slow) in [
        (path, "errors_by_path_promql", "latency_by_path_promql"),
        (Some("pod"), "errors_by_pod_promql", "latency_by_pod_promql"),
    ] {
        let Some(label) = label else { continue };
        if let Some((metric, status)) = requests {
            let failing = format!("{metric}{{{status}=~\"5..\"{with}}}[5m]");
            parts.push((
                errors,
                format!(
                    "topk(10, sum by ({label}) (rate({failing})) / sum by ({label}) (rate({metric}{{{matchers}}}[5m])))"
                ),
            ));
        }
        if let Some(metric) = latency {
            parts.push((
                slow,
                format!(
                    "topk(10, histogram_quantile(0.95, sum by (le, {label}) (rate({metric}_bucket{{{matchers}}}[5m]))))"
                ),
            ));
        }
    }
    parts
}

/// p95 by path, of paths that are asked for at all.
fn slow_paths(metric: &str, label: &str, matchers: &str) -> String {
    format!(
        "topk(5, histogram_quantile(0.95, sum by (le, {label}) (rate({metric}_bucket{{{matchers}}}[5m]))) \
         and on ({label}) sum by ({label}) (rate({metric}_count{{{matchers}}}[5m])) > 0.05)"
    )
}

/// Which of the known metrics have series.
async fn present(prometheus: &Prometheus) -> Result<Vec<String>, ConnectError> {
    let buckets = LATENCIES.iter().map(|(name, _)| format!("{name}_bucket"));
    let names: Vec<String> = REQUESTS.iter().map(|name| (*name).to_owned()).chain(buckets).collect();
    let expression = format!("count by (__name__) ({{__name__=~\"{}\"}})", names.join("|"));
    let found = prometheus.instant(&expression).await?;
    Ok(found.iter().filter_map(|series| series.metric().get("__name__").cloned()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_name_what_was_found() {
        let namespace = ("namespace", "shop".to_owned());
        let queries = Queries::build(
            Some("http_requests_total".into()),
            Some(("http_request_duration_seconds".into(), 1.0)),
            (Some("code"), Some("path"), Some("namespace")),
            Some(&namespace),
            "job=\"web\"",
        );
        assert_eq!(
            queries.error_ratio.unwrap(),
            "(sum(rate(http_requests_total{code=~\"5..\",namespace=\"shop\",job=\"web\"}[2m])) or vector(0)) / \
             sum(rate(http_requests_total{namespace=\"shop\",job=\"web\"}[2m]))"
        );
        assert!(queries.quantiles.unwrap()[1].starts_with("histogram_quantile(0.95, sum by (le) (rate("));
    }

    #[test]
    fn without_a_status_label_nothing_is_called_an_error() {
        let queries = Queries::build(Some("http_requests_total".into()), None, (None, None, None), None, "");
        assert!(
            queries.error_ratio.is_none() && queries.errors_by_pod.is_none() && queries.quantiles.is_none()
        );
        assert_eq!(queries.rate.unwrap(), "sum(rate(http_requests_total{}[2m]))");
    }
}
