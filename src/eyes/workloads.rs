//! Traffic by workload in PromQL, as far as labels tell workloads apart, and the lines grown from the answers. Only what
//! stands out is asked for, so that a cluster of many workloads costs no more than a few lines.

use std::collections::{BTreeMap, HashMap};

use prometheus_http_query::response::{InstantVector, RangeVector};

use super::charts::joined;
use super::kubernetes::names::own;
use super::metrics::Metric;
use super::traffic::{WINDOW, around_this_time};
use crate::domain::{Key, Name, Series, WorkloadTraffic};

/// So many workloads with the most errors, or the slowest, are looked at closely.
const WORST: usize = 20;
/// Of so many it is asked how busy they are.
const BUSIEST: usize = 200;
/// Requests per second below which a quantile says nothing: it is the rule's to say from when on it says enough.
const SEEN: f64 = 0.1;
/// What a pod's name becomes.
const WORKLOAD: &str = "workload";
/// The names of pods of Deployments, DaemonSets and StatefulSets begin with those of their owners; Kubernetes' own
/// letters follow.
const POD: &str = "(.+?)(?:-[bcdfghjklmnpqrstvwxz0-9]{3,10}-[bcdfghjklmnpqrstvwxz2456789]{5}\
                   |-[bcdfghjklmnpqrstvwxz2456789]{5}|-[0-9]+)?";

/// The questions, ready to ask; none where labels do not tell workloads apart.
#[derive(Debug, Clone, Default)]
pub(super) struct ByWorkload {
    pub error_ratio: Option<String>,
    /// Requests per second of the busiest and of those with errors.
    pub rate: Option<String>,
    pub rate_earlier: Option<String>,
    pub p95: Option<String>,
    pub p95_last_week: Option<String>,
    /// Who refuses most.
    pub denied: Option<String>,
}

impl ByWorkload {
    /// `requests` is the counter, its failing answers and all of them, both as ranges, `denied` those that it refuses;
    /// `timed` the matchers of the histogram.
    pub(super) fn of(
        requests: Option<((&Metric, &str), &str)>,
        denied: Option<&str>,
        latency: Option<&Metric>,
        timed: &str,
    ) -> Self {
        let mut questions = Self::default();
        if let Some(((metric, failing), all)) = requests
            && let (Some(errors), Some(rates)) = (rates(metric, failing, false), rates(metric, all, false))
            && let Some(there) = by(metric, all.trim_end_matches(&format!("[{WINDOW}]")), false)
        {
            // A rate outlives its series, and falls while it does.
            let live = format!("{rates} and {there}");
            let worst = format!("topk({WORST}, {errors})");
            questions.error_ratio = Some(format!("{worst} / {rates}"));
            questions.rate = Some(format!("{live} and {worst} or topk({BUSIEST}, {live})"));
            let whose = metric.place.into_iter().chain([label(metric)]).collect::<Vec<_>>().join(", ");
            questions.rate_earlier =
                Some(format!("topk({BUSIEST}, {})", around_this_time(&rates, &format!("by ({whose}) "))));
        }
        questions.denied = requests
            .zip(denied)
            .and_then(|(((metric, _), _), denied)| rates(metric, denied, false))
            .map(|rates| format!("topk(1, {rates})"));
        if let Some(metric) = latency {
            let name = &metric.name;
            let quantile = |range: &str| {
                let buckets = rates(metric, &format!("{name}_bucket{{{timed}}}{range}"), true)?;
                Some(format!("histogram_quantile(0.95, {buckets})"))
            };
            let counted = rates(metric, &format!("{name}_count{{{timed}}}[{WINDOW}]"), false);
            questions.p95 = quantile(&format!("[{WINDOW}]"))
                .zip(counted)
                .map(|(p95, counted)| format!("topk({WORST}, {p95} and {counted} > {SEEN})"));
            questions.p95_last_week =
                quantile("[30m] offset 1w").map(|p95| format!("topk({BUSIEST}, {p95})"));
        }
        questions
    }
}

/// The rates of a range, summed by workload.
fn rates(metric: &Metric, range: &str, buckets: bool) -> Option<String> {
    by(metric, &format!("rate({range})"), buckets)
}

fn by(metric: &Metric, vector: &str, buckets: bool) -> Option<String> {
    let label = metric.workload?;
    let kept = |last: &str| {
        let labels = buckets.then_some("le").into_iter().chain(metric.place).chain([last]);
        labels.collect::<Vec<_>>().join(", ")
    };
    let summed = format!("sum by ({}) ({vector})", kept(label));
    if label != "pod" {
        return Some(summed);
    }
    Some(format!(
        "sum by ({}) (label_replace({summed}, \"{WORKLOAD}\", \"$1\", \"pod\", \"{POD}\"))",
        kept(WORKLOAD)
    ))
}

/// What stands for a workload in an answer.
fn label(metric: &Metric) -> &'static str {
    metric.workload.filter(|label| *label != "pod").unwrap_or(WORKLOAD)
}

/// What Prometheus answered.
pub(super) struct Answers {
    pub error_ratio: Vec<RangeVector>,
    pub p95: Vec<RangeVector>,
    pub rate: Vec<RangeVector>,
}

/// Whose series it is: its namespace, else the one that is watched, and what stands for the workload.
pub(super) fn whose(labels: &HashMap<String, String>, watched: &Name) -> Option<Key> {
    const PLACES: [&str; 3] = ["exported_namespace", "destination_workload_namespace", "namespace"];
    let place =
        PLACES.iter().find_map(|label| labels.get(*label)).map_or_else(|| watched.clone(), |name| own(name));
    let mut names = labels.iter().filter(|(label, _)| !PLACES.contains(&label.as_str()));
    let name = names.next().map(|(_, name)| own(name)).filter(|name| !name.is_empty())?;
    Some(Key::new(place, name))
}

/// Adds what is new to the lines, and forgets who has been silent for longer than they reach back.
pub(super) fn grow(
    workloads: &mut Vec<WorkloadTraffic>,
    answers: &Answers,
    (unit, watched): (f64, &Name),
    (from, oldest, kept): (i64, i64, i64),
) {
    let mut all: BTreeMap<Key, WorkloadTraffic> =
        workloads.drain(..).map(|workload| (workload.key.clone(), workload)).collect();
    let lines = |answer: &[RangeVector]| -> BTreeMap<Key, RangeVector> {
        answer.iter().filter_map(|line| Some((whose(line.metric(), watched)?, line.clone()))).collect()
    };
    let (errors, slow, rates) = (lines(&answers.error_ratio), lines(&answers.p95), lines(&answers.rate));
    for key in errors.keys().chain(slow.keys()).chain(rates.keys()) {
        all.entry(key.clone()).or_insert_with(|| WorkloadTraffic::new(key.clone()));
    }
    let is_full = rates.len() >= BUSIEST;
    for (key, workload) in &mut all {
        workload.error_ratio = joined(&workload.error_ratio, errors.get(key), 1.0, from, oldest);
        workload.p95 = joined(&workload.p95, slow.get(key), unit, from, oldest);
        workload.rate = match rates.get(key) {
            // It may only be less busy than others.
            None if is_full => Series::default(),
            line => joined(&workload.rate, line, 1.0, from, kept),
        };
    }
    let lately = |workload: &WorkloadTraffic| {
        let lines = !workload.error_ratio.is_empty() || !workload.p95.is_empty();
        lines || workload.rate.last().is_some_and(|(at, _)| at.as_second() >= oldest)
    };
    workloads.extend(all.into_values().filter(lately));
}

/// How busy they were around this time on earlier days.
pub(super) fn remember_rates(workloads: &mut [WorkloadTraffic], earlier: &[InstantVector], watched: &Name) {
    let of = |row: &InstantVector| Some((whose(row.metric(), watched)?, row.sample().value()));
    let earlier: BTreeMap<Key, f64> = earlier.iter().filter_map(of).collect();
    for workload in workloads {
        workload.rate_earlier = earlier.get(&workload.key).copied().filter(|rate| rate.is_finite());
    }
}

/// What was usual a week ago, also of those that come into sight with this look.
pub(super) fn remember(
    workloads: &mut Vec<WorkloadTraffic>,
    last_week: &[InstantVector],
    (unit, watched): (f64, &Name),
) {
    for workload in workloads.iter_mut() {
        workload.p95_last_week = None;
    }
    for row in last_week {
        let value = row.sample().value() * unit;
        let Some(key) = whose(row.metric(), watched).filter(|_| value.is_finite()) else { continue };
        let known = workloads.iter().position(|workload| workload.key == key).unwrap_or_else(|| {
            workloads.push(WorkloadTraffic::new(key));
            workloads.len() - 1
        });
        workloads[known].p95_last_week = Some(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pods_are_told_by_their_owners() {
        let pattern = regex::Regex::new(&format!("^(?:{POD})$")).unwrap();
        for (pod, owner) in [
            ("web-7d4b9c6f58-x2k9z", "web"),
            ("pay-api-5f6c-bq7wm", "pay-api"),
            ("node-exporter-x7k2p", "node-exporter"),
            ("redis-0", "redis"),
            ("kafka-broker-12", "kafka-broker"),
            ("web-proxy", "web-proxy"),
            ("batch", "batch"),
        ] {
            assert_eq!(&pattern.captures(pod).unwrap()[1], owner, "{pod}");
        }
    }

    #[test]
    fn workloads_are_told_apart_by_the_labels_there_are() {
        let by_app = Metric {
            name: "hits".into(),
            place: Some("namespace"),
            workload: Some("app"),
            ..Metric::default()
        };
        let questions = ByWorkload::of(
            Some(((&by_app, "hits{code=~\"5..\"}[2m]"), "hits{}[2m]")),
            Some("hits{code=~\"4..\"}[2m]"),
            None,
            "",
        );
        assert_eq!(
            questions.error_ratio.unwrap(),
            "topk(20, sum by (namespace, app) (rate(hits{code=~\"5..\"}[2m]))) / sum by (namespace, app) (rate(hits{}[2m]))"
        );
        assert_eq!(
            questions.denied.unwrap(),
            "topk(1, sum by (namespace, app) (rate(hits{code=~\"4..\"}[2m])))"
        );
        let untold = Metric { workload: None, ..by_app.clone() };
        let questions = ByWorkload::of(Some(((&untold, "a"), "b")), Some("c"), Some(&untold), "");
        assert!(questions.error_ratio.is_none() && questions.rate.is_none() && questions.p95.is_none());
        let by_pod = Metric { workload: Some("pod"), ..by_app };
        let p95 = ByWorkload::of(None, None, Some(&by_pod), "").p95.unwrap();
        assert!(
            p95.contains("sum by (le, namespace, workload) (label_replace(sum by (le, namespace, pod)"),
            "{p95}"
        );
    }
}
