//! Memory over hours and throttled CPU in PromQL, from cAdvisor's metrics. Asked once a minute, and only about
//! what stands out, so that ten thousand pods cost Prometheus no more than a few lines.

use std::collections::BTreeSet;

use prometheus_http_query::response::{InstantVector, RangeVector};

use super::disk_history;
use super::kubernetes::names::own;
use super::prometheus::{Prometheus, moment};
use crate::config::{ConnectError, Settings};
use crate::domain::{BlindKind, Key, MemoryTrend, Name, Series, Strain, Throttled, Timestamp};

/// How far back a leak is looked for, and in which steps, in seconds: ninety points a line.
const REACH: i64 = 6 * 3600;
const STEP: i64 = 240;
/// So many workloads are looked at closely.
const WORKLOADS: usize = 5;

/// The matchers of every question.
fn scope(settings: &Settings) -> String {
    let namespace = settings.namespace.one().map(|name| format!("namespace=\"{name}\","));
    format!("{}container!=\"\",container!=\"POD\"", namespace.unwrap_or_default())
}

/// One look.
///
/// # Errors
/// Prometheus can't be asked, or scrapes no cAdvisor.
pub(super) async fn look(
    prometheus: &Prometheus,
    settings: &Settings,
    now: Timestamp,
) -> Result<Strain, ConnectError> {
    let scope = scope(settings);
    let growing = format!(
        "topk(20, max by (namespace, pod, container) (deriv(container_memory_working_set_bytes{{{scope}}}[30m])) > 0)"
    );
    let throttled = format!(
        "topk(10, sum by (namespace, pod, container) (increase(container_cpu_cfs_throttled_periods_total{{{scope}}}[5m])) \
         / (sum by (namespace, pod, container) (increase(container_cpu_cfs_periods_total{{{scope}}}[5m])) > 0) > 0.05)"
    );
    let any = format!("count(container_memory_working_set_bytes{{{scope}}})");
    let (growing, throttled, any) = tokio::try_join!(
        prometheus.instant(&growing),
        prometheus.instant(&throttled),
        prometheus.instant(&any)
    )?;
    if any.is_empty() {
        let lately = format!("count(last_over_time(container_memory_working_set_bytes{{{scope}}}[1h]))");
        if !prometheus.instant(&lately).await?.is_empty() {
            return Err(ConnectError::new(
                BlindKind::Broken,
                "container_memory_working_set_bytes has no series any more; it had some within the hour",
                "look for its targets in Prometheus: up == 0",
            ));
        }
        return Err(ConnectError::new(
            BlindKind::NotConfigured,
            "Prometheus has no container_memory_working_set_bytes here",
            "scrape the kubelets' /metrics/cadvisor",
        ));
    }
    let to = now.as_second() / STEP * STEP;
    let mut memory = Vec::new();
    for question in closer(&growing) {
        for line in prometheus.range_in(&question, to - REACH, to, STEP).await? {
            memory.extend(trend(&line));
        }
    }
    let disks = disk_history::look(prometheus, now).await?;
    Ok(Strain { memory, throttled: throttled.iter().filter_map(stopped).collect(), disks })
}

/// The workloads behind the fastest growing containers, as questions about all their pods.
fn closer(growing: &[InstantVector]) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let mut questions = Vec::new();
    for row in growing {
        let Some((pod, container)) = whose(row.metric()) else { continue };
        let (namespace, workload) = (&pod.namespace, workload(&pod.name));
        if seen.insert((namespace.clone(), workload.to_owned(), container.clone())) {
            // Names of pods are DNS names; a dot is their only character that means something here.
            let pods = workload.replace('.', r"\\.");
            questions.push(format!(
                "topk(30, max by (namespace, pod, container) (container_memory_working_set_bytes\
                 {{namespace=\"{namespace}\",container=\"{container}\",pod=~\"{pods}-.+\"}}))"
            ));
        }
    }
    questions.truncate(WORKLOADS);
    questions
}

/// The name that a workload's pods share: without the pod's own part and, of a Deployment, the template's hash.
fn workload(pod: &str) -> &str {
    let Some((set, _)) = pod.rsplit_once('-') else { return pod };
    match set.rsplit_once('-') {
        Some((workload, hash)) if is_hash(hash) => workload,
        _ => set,
    }
}

/// Kubernetes writes template hashes with consonants and a few digits, so that they never spell a word.
fn is_hash(word: &str) -> bool {
    (6..=10).contains(&word.len()) && word.chars().all(|c| "bcdfghjklmnpqrstvwxz2456789".contains(c))
}

fn whose(labels: &std::collections::HashMap<String, String>) -> Option<(Key, Name)> {
    let label = |name: &str| labels.get(name).filter(|value| plain(value)).map(|value| own(value));
    Some((Key::new(label("namespace")?, label("pod")?), label("container")?))
}

/// As names of Kubernetes are; whatever else a label holds goes into no question.
fn plain(value: &str) -> bool {
    !value.is_empty() && value.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '.')
}

fn stopped(row: &InstantVector) -> Option<Throttled> {
    let (pod, container) = whose(row.metric())?;
    let share = row.sample().value();
    share.is_finite().then_some(Throttled { pod, container, share })
}

fn trend(line: &RangeVector) -> Option<MemoryTrend> {
    let (pod, container) = whose(line.metric())?;
    let points = line.samples().iter();
    let bytes = Series::new(points.filter_map(|sample| Some((moment(sample.timestamp())?, sample.value()))));
    (!bytes.is_empty()).then_some(MemoryTrend { pod, container, bytes })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pods_are_asked_about_by_their_workload() {
        assert_eq!(workload("web-7d9c5b8f6d-x2x4z"), "web");
        assert_eq!(workload("db-0"), "db");
        assert_eq!(workload("agent-k8v7m"), "agent");
        assert_eq!(workload("report-builder-5fd7c9b8c4-2lq5v"), "report-builder");
        assert_eq!(workload("alone"), "alone");
        assert!(plain("web-1.example") && !plain("x\"} or vector(1) #") && !plain(""));
    }
}
