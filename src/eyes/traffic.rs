//! The application's traffic in PromQL: the questions made of the metrics and labels that there are.

use std::collections::HashMap;

use super::kubernetes::names::own;
use super::metrics::{Metric, Metrics};
use super::prometheus::Prometheus;
use super::workloads::ByWorkload;
use crate::config::{ConnectError, Settings};
use crate::domain::{BlindKind, Key, Name};

/// The window of rates: twice the usual five-minute windows' quickness, four samples at a scrape of 30 s.
pub(super) const WINDOW: &str = "2m";

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
    pub rate_earlier: Option<String>,
    pub denied: Option<String>,
    pub denied_usual: Option<String>,
    /// By the label of the namespace.
    pub denied_in: Option<(&'static str, String)>,
    pub errors_by_pod: Option<String>,
    pub by_workload: ByWorkload,
    pub slow_paths: Option<SlowPaths>,
    pub p95_last_week: Option<String>,
    pub parts: Vec<(&'static str, String)>,
    pub memory: String,
    /// The one namespace whose traffic it is; empty when all of it is asked for.
    pub namespace: Name,
    pub unit: f64,
}

impl Queries {
    /// Looks up what there is.
    ///
    /// # Errors
    /// Prometheus can't be asked, or knows no metrics of requests for what is watched.
    pub(super) async fn discover(settings: &Settings, prometheus: &Prometheus) -> Result<Self, ConnectError> {
        let metrics = Metrics::discover(settings, prometheus).await?;
        let selector = settings.prometheus.selector.value.clone().unwrap_or_default();
        let namespace = settings.namespace.one().map(ToString::to_string);
        Ok(Self::build(metrics, namespace.as_deref().unwrap_or_default(), &selector))
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
        Metrics { requests: counter, latency: histogram, unit }: Metrics,
        namespace: &str,
        selector: &str,
    ) -> Self {
        let within = |metric: Option<&Metric>| matchers(metric, namespace, selector);
        let (all, timed) = (within(counter.as_ref()), within(histogram.as_ref()));
        let own_scope =
            if namespace.is_empty() { String::new() } else { format!("namespace=\"{namespace}\",") };
        let pods = format!("{own_scope}container!=\"\",container!=\"POD\"");
        let requests = counter.as_ref().map(|metric| metric.name.as_str());
        let latency = histogram.as_ref().map(|metric| metric.name.as_str());
        let status = counter.as_ref().and_then(|metric| metric.status.as_deref());
        let place = counter.as_ref().and_then(|metric| metric.place);
        let answered = |codes: &str| {
            let (metric, label) = requests.zip(status)?;
            let with = if all.is_empty() { String::new() } else { format!(",{all}") };
            Some(format!("{metric}{{{label}=~\"{codes}\"{with}}}[{WINDOW}]"))
        };
        let failing = answered("5..");
        // Whoever only measures how long requests take counts them as well.
        let counted_in = requests
            .map(|metric| format!("{metric}{{{all}}}[{WINDOW}]"))
            .or_else(|| latency.map(|metric| format!("{metric}_count{{{timed}}}[{WINDOW}]")));
        let rate = counted_in.as_ref().map(|counted| format!("sum(rate({counted}))"));
        let quantile = |quantile: &str, range: &str| {
            let buckets = format!("{}_bucket{{{timed}}}{range}", latency?);
            Some(format!("histogram_quantile({quantile}, sum by (le) (rate({buckets})))"))
        };
        let now = format!("[{WINDOW}]");
        let counted = |row: &str, series: String| {
            format!("label_replace(count({series}), \"{OF}\", \"{row}\", \"\", \"\")")
        };
        let present: Vec<String> = [
            requests.map(|metric| counted(REQUESTS_ROW, format!("{metric}{{{all}}}"))),
            latency.map(|metric| counted(LATENCY_ROW, format!("{metric}_count{{{timed}}}"))),
        ]
        .into_iter()
        .flatten()
        .collect();
        Self {
            errors_lack: errors_lack(requests, status),
            latency_lack: latency.is_none().then(|| {
                let why = "Prometheus has no histogram of latency that is known here";
                let at = if namespace.is_empty() { String::new() } else { format!(" for {namespace}") };
                ConnectError::new(BlindKind::NotConfigured, why.to_owned() + &at, NAME_LATENCY)
            }),
            present: (!present.is_empty()).then(|| present.join(" or ")),
            quantiles: quantile("0.5", &now)
                .zip(quantile("0.95", &now))
                .zip(quantile("0.99", &now))
                .map(|((p50, p95), p99)| [p50, p95, p99]),
            error_ratio: failing
                .as_ref()
                .zip(rate.as_ref())
                .map(|(failing, rate)| format!("(sum(rate({failing})) or vector(0)) / {rate}")),
            slow_paths: histogram.as_ref().and_then(|metric| {
                let label = metric.path?;
                Some(SlowPaths {
                    label: label.to_owned(),
                    expression: slow_paths(&metric.name, label, &timed),
                })
            }),
            p95_last_week: quantile("0.95", "[30m] offset 1w"),
            by_workload: ByWorkload::of(
                counter.as_ref().zip(failing.as_deref()).zip(counted_in.as_deref()),
                answered("401|403|429").as_deref(),
                histogram.as_ref(),
                &timed,
            ),
            parts: parts((counter.as_ref(), &all), (histogram.as_ref(), &timed), unit),
            denied_usual: answered("401|403|429").map(|denied| {
                let over = |range: &str| {
                    format!("sum(rate({}", denied.replace(&format!("[{WINDOW}]"), range)) + "))"
                };
                // The second only where samples are half a day old: a younger past may be all attack.
                format!(
                    "{} or quantile_over_time(0.25, {}[1d:5m]) and {}",
                    over("[1h] offset 1d"),
                    over("[5m]"),
                    over("[5m] offset 12h")
                )
            }),
            denied_in: place
                .zip(answered("401|403|429"))
                .map(|(label, denied)| (label, format!("topk(1, sum by ({label}) (rate({denied})))"))),
            denied: answered("401|403|429").map(|denied| format!("sum(rate({denied})) or vector(0)")),
            errors_by_pod: failing.map(|failing| {
                format!("topk(10, sum by (namespace, exported_namespace, pod) (rate({failing})))")
            }),
            memory: format!("max(sum by (namespace, pod) (container_memory_working_set_bytes{{{pods}}}))"),
            rate_earlier: rate.as_ref().map(|rate| around_this_time(rate, "")),
            rate,
            unit,
            status_label: status.map(str::to_owned),
            latency: latency.map(str::to_owned),
            requests: requests.map(str::to_owned),
            namespace: own(namespace),
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

/// The least that a rate was in the ten minutes before and after this time yesterday and a week ago, whichever of the two is
/// remembered. `by` keeps its labels.
pub(super) fn around_this_time(rate: &str, by: &str) -> String {
    const MINUTES_OF_A_DAY: u32 = 24 * 60;
    let days = [1, 7].map(|days| {
        let ended = days * MINUTES_OF_A_DAY - 10;
        format!(
            "label_replace(min_over_time({rate}[20m:1m] offset {ended}m), \"days\", \"{days}\", \"\", \"\")"
        )
    });
    format!("min {by}({})", days.join(" or "))
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

/// The matchers of a metric's series: its namespace, where it says one, and what the settings add.
fn matchers(metric: Option<&Metric>, namespace: &str, selector: &str) -> String {
    let place = metric.and_then(|metric| metric.place).filter(|_| !namespace.is_empty());
    let place = place.map(|label| format!("{label}=\"{namespace}\""));
    let more = Some(selector.trim().to_owned()).filter(|more| !more.is_empty());
    place.into_iter().chain(more).collect::<Vec<_>>().join(",")
}

/// The same questions by path and by pod, for people who look closer; latency in seconds.
fn parts(
    (requests, all): (Option<&Metric>, &str),
    (latency, timed): (Option<&Metric>, &str),
    unit: f64,
) -> Vec<(&'static str, String)> {
    let with = if all.is_empty() { String::new() } else { format!(",{all}") };
    let mut parts = Vec::new();
    if let Some((metric, status)) = requests.and_then(|metric| Some((metric, metric.status.as_ref()?))) {
        let name = &metric.name;
        let failing = format!("{name}{{{status}=~\"5..\"{with}}}[5m]");
        for (label, errors) in [(metric.path, "errors_by_path_promql"), (Some("pod"), "errors_by_pod_promql")]
        {
            let Some(label) = label else { continue };
            let share = format!(
                "topk(10, sum by ({label}) (rate({failing})) / sum by ({label}) (rate({name}{{{all}}}[5m])))"
            );
            parts.push((errors, share));
        }
    }
    if let Some(metric) = latency {
        let times = if (unit - 1.0).abs() < f64::EPSILON { String::new() } else { format!("{unit} * ") };
        for (label, slow) in [(metric.path, "latency_by_path_promql"), (Some("pod"), "latency_by_pod_promql")]
        {
            let Some(label) = label else { continue };
            let buckets = format!("{}_bucket{{{timed}}}[5m]", metric.name);
            let p95 =
                format!("topk(10, {times}histogram_quantile(0.95, sum by (le, {label}) (rate({buckets}))))");
            parts.push((slow, p95));
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

#[cfg(test)]
mod tests {
    use super::*;

    fn metric(name: &str, place: Option<&'static str>, status: Option<&str>) -> Metric {
        Metric { name: name.into(), place, status: status.map(str::to_owned), ..Metric::default() }
    }

    #[test]
    fn questions_name_what_was_found() {
        let metrics = Metrics {
            requests: Some(metric("http_requests_total", Some("exported_namespace"), Some("code"))),
            latency: Some(metric("http_request_duration_ms", Some("namespace"), None)),
            unit: 0.001,
        };
        let queries = Queries::build(metrics, "shop", "job=\"web\"");
        assert_eq!(
            queries.error_ratio.unwrap(),
            "(sum(rate(http_requests_total{code=~\"5..\",exported_namespace=\"shop\",job=\"web\"}[2m])) or vector(0)) / \
             sum(rate(http_requests_total{exported_namespace=\"shop\",job=\"web\"}[2m]))"
        );
        assert_eq!(
            queries.quantiles.unwrap()[1],
            "histogram_quantile(0.95, sum by (le) (rate(http_request_duration_ms_bucket{namespace=\"shop\",job=\"web\"}[2m])))"
        );
        let by_pod = queries.parts.iter().find(|(name, _)| *name == "latency_by_pod_promql").unwrap();
        assert!(by_pod.1.contains("0.001 * histogram_quantile"), "in seconds: {}", by_pod.1);
        assert!(queries.errors_lack.is_none() && queries.latency_lack.is_none());
    }

    #[test]
    fn without_a_status_label_nothing_is_called_an_error() {
        let requests = Some(metric("http_requests_total", None, None));
        let queries = Queries::build(Metrics { requests, latency: None, unit: 1.0 }, "", "");
        assert!(
            queries.error_ratio.is_none() && queries.errors_by_pod.is_none() && queries.quantiles.is_none()
        );
        assert_eq!(queries.rate.unwrap(), "sum(rate(http_requests_total{}[2m]))");
        assert!(queries.errors_lack.unwrap().repair.unwrap().contains("status_label"));
        assert!(queries.latency_lack.unwrap().repair.unwrap().contains("latency"));
    }

    #[test]
    fn who_only_measures_latency_still_counts_requests() {
        let latency = Some(metric("checkout_seconds", Some("namespace"), None));
        let queries = Queries::build(Metrics { requests: None, latency, unit: 1.0 }, "pay", "");
        assert_eq!(queries.rate.unwrap(), "sum(rate(checkout_seconds_count{namespace=\"pay\"}[2m]))");
        assert!(queries.errors_lack.is_some());
    }
}
