//! Which metrics of requests and of latency there are for what is watched, and what their labels are called. Names are
//! looked up, not assumed; what the settings name is not doubted.

use std::collections::{BTreeMap, BTreeSet};

use super::prometheus::Prometheus;
use crate::config::{ConnectError, Settings};
use crate::domain::BlindKind;

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
/// Their latency histograms.
const LATENCIES: [&str; 10] = [
    "http_request_duration_seconds",
    "http_request_duration_highr_seconds",
    "http_server_requests_seconds",
    "http_server_request_duration_seconds",
    "http_request_latency_seconds",
    "http_server_duration_milliseconds",
    "http_request_duration_milliseconds",
    "nginx_ingress_controller_request_duration_seconds",
    "traefik_service_request_duration_seconds",
    "istio_request_duration_milliseconds",
];
/// Labels of the path, or what stands for it.
const PATHS: [&str; 6] = ["path", "route", "handler", "http_route", "uri", "endpoint"];
/// Labels of the namespace: what scrapes an ingress may keep the scraped one for itself.
const PLACES: [&str; 3] = ["exported_namespace", "destination_workload_namespace", "namespace"];
const STATUSES: [&str; 5] = ["status", "code", "status_code", "http_response_status_code", "response_code"];
/// Labels that tell workloads apart, the surest first.
const WORKLOADS: [&str; 6] = ["deployment", "pod", "app", "app_kubernetes_io_name", "service", "job"];
/// What counts at a door, and the labels of what is behind it: the pod is the door's own.
const DOORS: [&str; 3] = ["nginx_ingress_", "traefik_", "istio_"];
const BEHIND_DOORS: [&str; 4] = ["destination_workload", "exported_service", "service", "ingress"];
/// Series that vanished within this time are still asked for, to tell that they did.
const LATELY: &str = "[1h]";

/// A metric that has series where we look.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Metric {
    /// Of a histogram without `_bucket`.
    pub name: String,
    /// The label of the namespace.
    pub place: Option<&'static str>,
    pub path: Option<&'static str>,
    pub status: Option<String>,
    /// The label that tells workloads apart.
    pub workload: Option<&'static str>,
}

/// What was found of either.
#[derive(Debug, Clone, Default)]
pub(super) struct Metrics {
    pub requests: Option<Metric>,
    pub latency: Option<Metric>,
    /// What makes seconds of its unit.
    pub unit: f64,
}

/// That a metric has series somewhere.
#[derive(Debug, Clone, PartialEq)]
struct Row {
    name: String,
    /// The label that says where, and what it says.
    place: Option<(&'static str, String)>,
}

impl Row {
    fn is_in(&self, namespace: &str) -> bool {
        self.place.as_ref().is_some_and(|(_, found)| found == namespace)
    }
}

impl Metrics {
    /// Looks up what there is.
    ///
    /// # Errors
    /// Prometheus can't be asked, or knows no metrics of requests for what is watched.
    pub(super) async fn discover(settings: &Settings, prometheus: &Prometheus) -> Result<Self, ConnectError> {
        let named = &settings.prometheus;
        let counters = candidates(named.requests.as_deref(), &REQUESTS);
        let given = named.latency.as_deref().map(|name| name.strip_suffix("_bucket").unwrap_or(name));
        let histograms = candidates(given, &LATENCIES);
        let namespace = settings.namespace.one().map(ToString::to_string);
        let namespace = namespace.as_deref();
        let all: Vec<String> =
            counters.iter().cloned().chain(histograms.iter().map(|name| format!("{name}_bucket"))).collect();
        let mut rows = present(prometheus, &all, None).await?;
        let found = |rows: &[Row]| {
            (choose(&counters, "", rows, namespace), choose(&histograms, "_bucket", rows, namespace))
        };
        if let (Some(namespace), (None, _) | (_, None)) = (namespace, found(&rows)) {
            rows.extend(present(prometheus, &all, Some(namespace)).await?);
        }
        let (requests, latency) = found(&rows);
        let requests = requests.or_else(|| elsewhere(named.requests.as_deref(), "", &rows));
        let latency = latency.or_else(|| elsewhere(given, "_bucket", &rows));
        if requests.is_none() && latency.is_none() {
            return Err(nothing(&rows, namespace));
        }
        let unit = latency.as_ref().map_or(1.0, |found| unit(&found.name, &named.latency_unit));
        Ok(Self {
            requests: labelled(prometheus, requests, "", (settings, namespace)).await?,
            latency: labelled(prometheus, latency, "_bucket", (settings, namespace)).await?,
            unit,
        })
    }
}

fn candidates(named: Option<&str>, known: &[&str]) -> Vec<String> {
    named.map_or_else(|| known.iter().map(ToString::to_string).collect(), |name| vec![name.to_owned()])
}

/// The first of these metrics that has series in the namespace, or says of none where they are; of all namespaces the
/// one that is in most.
fn choose(names: &[String], suffix: &str, rows: &[Row], namespace: Option<&str>) -> Option<Metric> {
    let of = |name: &String| {
        let full = format!("{name}{suffix}");
        rows.iter().filter(move |row| row.name == full)
    };
    let metric = |name: &String, row: &Row| Metric {
        name: name.clone(),
        place: row.place.as_ref().map(|(label, _)| *label),
        ..Metric::default()
    };
    let Some(namespace) = namespace else {
        let places = |name: &String| of(name).map(|row| row.place.as_ref()).collect::<BTreeSet<_>>().len();
        // The first of those that are in as many.
        let name = names.iter().rev().filter(|name| places(name) > 0).max_by_key(|name| places(name))?;
        let mut labels: BTreeMap<Option<&str>, (usize, &Row)> = BTreeMap::new();
        for row in of(name) {
            labels.entry(row.place.as_ref().map(|(label, _)| *label)).or_insert((0, row)).0 += 1;
        }
        let (_, row) = labels.into_values().max_by_key(|(count, _)| *count)?;
        return Some(metric(name, row));
    };
    let first = |fits: &dyn Fn(&&Row) -> bool| {
        names.iter().find_map(|name| of(name).find(fits).map(|row| metric(name, row)))
    };
    first(&|row| row.is_in(namespace)).or_else(|| first(&|row| row.place.is_none()))
}

/// What the settings name is asked for, wherever it is.
fn elsewhere(named: Option<&str>, suffix: &str, rows: &[Row]) -> Option<Metric> {
    let name = named?;
    let place =
        rows.iter().find(|row| row.name == format!("{name}{suffix}")).and_then(|row| row.place.as_ref());
    Some(Metric { name: name.to_owned(), place: place.map(|(label, _)| *label), ..Metric::default() })
}

/// With the names of its labels.
async fn labelled(
    prometheus: &Prometheus,
    metric: Option<Metric>,
    suffix: &str,
    (settings, namespace): (&Settings, Option<&str>),
) -> Result<Option<Metric>, ConnectError> {
    let Some(metric) = metric else { return Ok(None) };
    let here = metric.place.zip(namespace).map(|(label, name)| format!("{{{label}=\"{name}\"}}"));
    let probe = format!("{}{suffix}{}", metric.name, here.unwrap_or_default());
    let labels = prometheus.labels(&probe).await?;
    let known =
        |names: &[&'static str]| names.iter().copied().find(|name| labels.iter().any(|label| label == name));
    let given = settings.prometheus.status_label.value.clone();
    let is_door = DOORS.iter().any(|door| metric.name.starts_with(door));
    Ok(Some(Metric {
        path: known(&PATHS),
        status: given.or_else(|| known(&STATUSES).map(str::to_owned)),
        workload: known(if is_door { &BEHIND_DOORS } else { &WORKLOADS }),
        ..metric
    }))
}

/// Where these metrics have series now; or where they had some lately, in one namespace.
async fn present(
    prometheus: &Prometheus,
    names: &[String],
    lately: Option<&str>,
) -> Result<Vec<Row>, ConnectError> {
    let names = names.join("|");
    let series = match lately {
        None => format!("{{__name__=~\"{names}\"}}"),
        Some(namespace) => PLACES
            .map(|place| format!("last_over_time({{__name__=~\"{names}\",{place}=\"{namespace}\"}}{LATELY})"))
            .join(" or "),
    };
    let expression = format!("count by (__name__, {}) ({series})", PLACES.join(", "));
    let found = prometheus.instant(&expression).await?;
    let row = |labels: &std::collections::HashMap<String, String>| {
        let place = PLACES.into_iter().find_map(|label| {
            let value = labels.get(label).filter(|value| !value.is_empty())?;
            Some((label, value.clone()))
        });
        Some(Row { name: labels.get("__name__")?.clone(), place })
    };
    Ok(found.iter().filter_map(|series| row(series.metric())).collect())
}

/// Nothing to ask for, in words: nothing at all, or nothing here.
fn nothing(rows: &[Row], namespace: Option<&str>) -> ConnectError {
    let places: BTreeSet<&str> =
        rows.iter().filter_map(|row| row.place.as_ref()).map(|(_, place)| place.as_str()).collect();
    let why = match (namespace, rows.first()) {
        (Some(namespace), Some(row)) => {
            let places: Vec<&str> = places.into_iter().take(3).collect();
            format!(
                "Prometheus has no metric of requests that is known here for {namespace} ({} is there of {})",
                row.name,
                places.join(", ")
            )
        }
        _ => "Prometheus has no metric of requests that is known here (http_requests_total and its like)"
            .to_owned(),
    };
    let repair = "name yours: [prometheus] requests = \"…\", latency = \"…\"";
    ConnectError::new(BlindKind::NotConfigured, why, repair)
}

/// What makes seconds of a histogram's numbers: the unit that the settings say, else the one in its name.
fn unit(metric: &str, said: &str) -> f64 {
    let of = |word: &str| match word {
        "s" | "seconds" => Some(1.0),
        "ms" | "millis" | "milliseconds" => Some(0.001),
        "us" | "micros" | "microseconds" => Some(0.000_001),
        _ => None,
    };
    of(said).or_else(|| metric.rsplit(['_', ':']).find_map(of)).unwrap_or(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(all: &[(&str, &'static str, &str)]) -> Vec<Row> {
        let place = |label: &'static str, name: &str| (!name.is_empty()).then(|| (label, name.to_owned()));
        all.iter().map(|(name, label, at)| Row { name: (*name).into(), place: place(label, at) }).collect()
    }

    fn chosen(rows: &[Row], namespace: Option<&str>) -> Option<(String, Option<&'static str>)> {
        let names: Vec<String> = REQUESTS.iter().map(ToString::to_string).collect();
        choose(&names, "", rows, namespace).map(|metric| (metric.name, metric.place))
    }

    #[test]
    fn the_metric_of_the_watched_namespace_is_chosen() {
        let rows = rows(&[
            ("http_requests_total", "namespace", "tools"),
            ("nginx_ingress_controller_requests", "exported_namespace", "shop"),
            ("nginx_ingress_controller_requests", "exported_namespace", "pay"),
        ]);
        let nginx = Some(("nginx_ingress_controller_requests".to_owned(), Some("exported_namespace")));
        assert_eq!(chosen(&rows, Some("shop")), nginx);
        assert_eq!(chosen(&rows, Some("tools")), Some(("http_requests_total".into(), Some("namespace"))));
        assert_eq!(chosen(&rows, Some("mail")), None);
        assert_eq!(chosen(&rows, None), nginx, "it is in most");
        let why = nothing(&rows, Some("mail")).why;
        assert!(why.contains("for mail (http_requests_total is there of pay, shop, tools)"), "{why}");
    }

    #[test]
    fn series_without_a_namespace_are_everybodys() {
        let rows = rows(&[
            ("http_requests_total", "namespace", ""),
            ("traefik_service_requests_total", "namespace", "kube-system"),
        ]);
        assert_eq!(chosen(&rows, Some("shop")), Some(("http_requests_total".into(), None)));
        assert_eq!(chosen(&rows, None), Some(("http_requests_total".into(), None)), "the first of equals");
    }

    #[test]
    fn the_unit_is_what_is_said_or_what_the_name_says() {
        for (metric, said, expected) in [
            ("http_request_duration_seconds", "auto", 1.0),
            ("http_request_duration_milliseconds", "auto", 0.001),
            ("checkout_latency_ms", "auto", 0.001),
            ("api_us_latency_seconds", "auto", 1.0),
            ("rpc_micros", "auto", 0.000_001),
            ("duration", "auto", 1.0),
            ("duration", "ms", 0.001),
            ("lies_seconds", "ms", 0.001),
        ] {
            assert!((unit(metric, said) - expected).abs() < 1e-12, "{metric} {said}");
        }
    }
}
