//! What the systems beside Kubernetes say: traffic, alerts, the database, the cache, served certificates.

use std::time::Duration;

use super::{Activity, Blind, Key, Labels, Name, Series, Timestamp};

/// What Prometheus knows about the application's traffic.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Traffic {
    /// The namespace whose traffic it is; empty when all of it was asked for.
    pub namespace: Name,
    /// Why requests and their share of errors cannot be told, if they can't: an empty answer is neither 0 % errors nor
    /// the last number.
    pub errors_unseen: Option<Blind>,
    /// Why latency cannot be told, if it can't.
    pub latency_unseen: Option<Blind>,
    /// Latency quantiles in seconds.
    pub p50: Series,
    pub p95: Series,
    pub p99: Series,
    /// 5xx responses ÷ all responses, 0 to 1.
    pub error_ratio: Series,
    /// Requests per second.
    pub rate: Series,
    /// The least of them around this time yesterday and a week ago; None where neither is remembered, or while there was
    /// no need to ask.
    pub rate_earlier: Option<f64>,
    /// How many series count them.
    pub series: Series,
    /// Requests per second that are refused: 401, 403, 429.
    pub denied: Series,
    /// What is usual of them: in the hour before this time yesterday, else the lower quarter of the last day. None
    /// where Prometheus does not remember a day.
    pub denied_usual: Option<f64>,
    /// The namespace that refuses most of them.
    pub denied_in: Option<Name>,
    /// The workload that refuses most of them, and how many a second, where labels tell workloads apart.
    pub denied_by: Option<(Key, f64)>,
    /// Share of all 5xx responses by pod, largest first, 0 to 1.
    pub errors_by_pod: Vec<(Key, f64)>,
    /// Questions about parts of it in PromQL, by the placeholder that stands for each in playbooks.
    pub questions: Vec<(&'static str, String)>,
    /// p95 by path over five minutes in seconds, the slowest first; only paths with some traffic.
    pub slow_paths: Vec<(Name, f64)>,
    /// p95 in seconds at the same time a week ago.
    pub p95_last_week: Option<f64>,
    /// The same by workload, as far as labels tell them apart: those that stand out and the busiest, by key.
    pub workloads: Vec<WorkloadTraffic>,
    /// Working-set memory of the application's containers in bytes, the largest pod.
    pub memory: Series,
}

/// The traffic of one workload.
#[derive(Clone, PartialEq, Debug)]
pub struct WorkloadTraffic {
    /// As labels call it: mostly the Deployment's name, else that of a Service or a job.
    pub key: Key,
    /// 5xx responses ÷ all responses, 0 to 1, while it is among those with the most errors.
    pub error_ratio: Series,
    /// In seconds, while it is among the slowest.
    pub p95: Series,
    /// In seconds, at the same time a week ago.
    pub p95_last_week: Option<f64>,
    /// Requests per second, up to when they were last seen.
    pub rate: Series,
    /// The least of them around this time yesterday and a week ago, as for all together.
    pub rate_earlier: Option<f64>,
}

impl WorkloadTraffic {
    /// Of which nothing is known yet.
    pub fn new(key: Key) -> Self {
        let (error_ratio, p95, rate) = (Series::default(), Series::default(), Series::default());
        Self { key, error_ratio, p95, p95_last_week: None, rate, rate_earlier: None }
    }
}

/// One look at Alertmanager.
#[derive(Clone, PartialEq, Debug)]
pub struct Alert {
    pub fingerprint: Name,
    pub name: Name,
    pub labels: Labels,
    /// Annotation `summary`, else `description`, else `message`.
    pub summary: Option<Name>,
    pub starts: Timestamp,
    pub state: AlertState,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum AlertState {
    Active,
    Silenced { by: Box<[Name]> },
    Inhibited { by: Box<[Name]> },
    Unprocessed,
}

/// How much an alert's label `severity` asks of people.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum AlertGrade {
    /// For information, or nothing said.
    Other,
    Warning,
    /// It wakes somebody.
    Grave,
}

impl Alert {
    pub fn grade(&self) -> AlertGrade {
        /// Prometheus' and Alertmanager's own examples.
        const GRAVE: &[&str] = &["critical", "page", "error", "emergency"];
        match self.labels.get("severity").map(|grade| grade.to_lowercase()) {
            Some(grade) if GRAVE.contains(&grade.as_str()) => AlertGrade::Grave,
            Some(grade) if grade == "warning" => AlertGrade::Warning,
            _ => AlertGrade::Other,
        }
    }
}

#[derive(Clone, PartialEq, Debug)]
pub struct Silence {
    pub id: Name,
    /// As written in PromQL: `alertname="X"`.
    pub matchers: Box<[Name]>,
    pub ends: Timestamp,
    pub by: Name,
    pub comment: Name,
}

/// What the database said, or how it refused.
#[derive(Clone, PartialEq, Debug)]
pub enum Database {
    Capacity(Capacity),
    /// Who does what on it.
    Activity(Box<Activity>),
    /// SQLSTATE 53300 on connect: no slot is left for us. An observation, not blindness.
    Exhausted {
        message: Name,
    },
}

/// The capacity query (Q1): counts of server processes, for the whole server.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Capacity {
    pub max_connections: u32,
    /// Slots for superusers and reserved roles.
    pub reserved: u32,
    pub used: u32,
    pub active: u32,
    pub idle: u32,
    pub idle_in_transaction: u32,
    pub lock_waiters: u32,
    /// Active and waiting for nothing: on a CPU, or wanting one.
    pub on_cpu: u32,
    pub oldest_transaction: Option<Duration>,
}

impl Capacity {
    /// Slots ordinary roles can use.
    pub fn usable(&self) -> u32 {
        self.max_connections.saturating_sub(self.reserved)
    }

    /// used ÷ usable.
    pub fn fill(&self) -> f64 {
        f64::from(self.used) / f64::from(self.usable().max(1))
    }
}

/// Redis, by two INFOs and a PING.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Cache {
    pub ping: Duration,
    /// hits ÷ (hits + misses) between the last two looks; None without lookups.
    pub hit_ratio: Option<f64>,
    pub evicted_per_second: f64,
    pub used_memory: u64,
    /// 0 means no limit.
    pub max_memory: u64,
    /// It may evict nothing (maxmemory-policy noeviction).
    pub keeps_all: bool,
    /// There was a look before this one to compare with.
    pub is_compared: bool,
    /// Commands refused for want of memory (OOM), between the last two looks.
    pub refused_per_second: f64,
    pub clients: u32,
}

impl Cache {
    /// What would be written now is refused.
    pub fn refuses_writes(&self) -> bool {
        let is_full = self.max_memory > 0 && self.used_memory >= self.max_memory;
        self.refused_per_second > 0.0 || self.keeps_all && is_full
    }
}

/// The last TLS handshake with a host.
#[derive(Clone, PartialEq, Debug)]
pub struct Handshake {
    pub host: Name,
    pub port: u16,
    /// Where we connected: one row per address.
    pub address: Name,
    /// The settings name that address: it is not where the name leads.
    pub is_given: bool,
    pub at: Timestamp,
    /// The certificate, or why there was none, in words.
    pub served: Result<Served, Name>,
}

impl Handshake {
    /// The host, and its port where that is not 443.
    pub fn place(&self) -> Name {
        if self.port == 443 { self.host.clone() } else { format!("{}:{}", self.host, self.port).into() }
    }
}

#[derive(Clone, PartialEq, Debug)]
pub struct Served {
    pub not_before: Timestamp,
    pub not_after: Timestamp,
    pub names: Box<[Name]>,
    pub issuer: Name,
    /// Hexadecimal.
    pub serial: Name,
    /// The host is among the names.
    pub name_matches: bool,
    /// None when a client would trust it, else why not.
    pub distrust: Option<Name>,
    /// None of its issuers was served with it, and it did not sign itself.
    pub is_alone: bool,
}

/// CPU and memory in use by a pod's container or a node.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Usage {
    pub cpu_milli: u64,
    pub memory_bytes: u64,
}

/// Who measured usage.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum UsageSource {
    MetricsServer,
    Prometheus,
}
