//! Prometheus itself, as its own endpoints and the cluster show it; and how much noise its alerts make.

use std::time::Duration;

use super::{Key, Name, ObjectRef, Timestamp, between};

/// One look at Prometheus as a program and a workload.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Monitoring {
    /// Why it does not answer `/-/healthy`, if it doesn't.
    pub silent: Option<Name>,
    /// Why `/-/ready` says no, if it does.
    pub unready: Option<Name>,
    /// The segment of the write-ahead log that is being replayed, and the last one.
    pub replaying: Option<(u64, u64)>,
    /// Whether the configuration that was written last is the one that runs.
    pub loaded: Option<bool>,
    /// Samples taken per second.
    pub ingest: Option<f64>,
    /// The age of the youngest sample of `up`.
    pub stale: Option<Duration>,
    /// Targets that answer, and all of them.
    pub targets: Option<(u32, u32)>,
    /// What it runs as, where the cluster shows it.
    pub workload: Option<ObjectRef>,
    /// Replicas that are wanted of it.
    pub replicas: Option<u32>,
    /// None when the cluster does not show its pods.
    pub pods: Option<Vec<MonitoringPod>>,
    pub volume: Option<Volume>,
    /// How long it took to say that it is alive.
    pub took: Option<Duration>,
    /// Targets that do not answer, of what is looked at and of those whose namespace nobody says.
    pub down: Vec<Target>,
    /// The file that its configuration is read from, asked for when that is refused.
    pub config_file: Option<Name>,
    /// What becomes of its alerts; None where it does not scrape itself.
    pub delivery: Option<Delivery>,
    /// Whether Alertmanager runs the configuration that was written last; None where Prometheus does not scrape it.
    pub notifier_loaded: Option<bool>,
}

/// What Prometheus scrapes, and cannot.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Target {
    pub job: Name,
    pub instance: Name,
    pub namespace: Option<Name>,
    pub pod: Option<Name>,
    /// When it was last seen to answer, within six hours.
    pub last_up: Option<Timestamp>,
    /// In the words of Prometheus.
    pub error: Option<Name>,
}

/// What becomes of the alerts that Prometheus sends, by its own counters, per second.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Delivery {
    /// Sent in the last two minutes, whether or not anybody took them.
    pub sent: f64,
    /// Of these, what no Alertmanager took.
    pub dropped: f64,
    /// What no Alertmanager took in the eight minutes before.
    pub dropped_before: f64,
}

/// A pod of Prometheus.
#[derive(Clone, PartialEq, Debug)]
pub struct MonitoringPod {
    pub key: Key,
    pub uid: Name,
    pub node: Option<Name>,
    pub ready: bool,
    /// Since when it has not been ready, by its own condition.
    pub unready_since: Option<Timestamp>,
    pub created: Option<Timestamp>,
    pub deleting: bool,
    /// Why its server container waits, or why the pod does: `CrashLoopBackOff`, `Unschedulable`.
    pub waits: Option<Name>,
    pub message: Option<Name>,
    /// How its server container ended last: `OOMKilled`, `Error`.
    pub ended: Option<Name>,
    pub restarts: u32,
    pub container: Option<Name>,
}

/// A volume, by the kubelet that mounts it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Volume {
    pub claim: Key,
    /// Used and total bytes; None while nobody mounts it.
    pub usage: Option<(u64, u64)>,
}

/// What alerts did lately.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Noise {
    /// Alerts that became active again and again in the last six hours, the most often first.
    pub flaps: Vec<Flapping>,
    /// By alert: its share of all firing in the last week, 0 to 1, the largest first.
    pub shares: Vec<(Name, f64)>,
    /// Notifications sent; None where Prometheus does not scrape Alertmanager.
    pub sent_15m: Option<f64>,
    pub sent_1h: Option<f64>,
    pub sent_12h: Option<f64>,
}

/// An alert that comes and goes.
#[derive(Clone, PartialEq, Debug)]
pub struct Flapping {
    pub alert: Name,
    /// How often it became active again in the last six hours.
    pub times: f64,
    /// When these episodes began, those before a pause of more than an hour apart; and when the last one did.
    pub since: Timestamp,
    pub last: Timestamp,
    /// The middle of the times between two of them.
    pub every: Duration,
}

impl Flapping {
    /// Whether the next episode is still to be expected: none for `quiet`, nor for twice the usual pause, means that it has
    /// ended; an hour always does.
    pub fn goes_on(&self, quiet: Duration, now: Timestamp) -> bool {
        const LONGEST: Duration = Duration::from_hours(1);
        between(self.last, now) < quiet.max(self.every * 2).min(LONGEST.max(quiet))
    }
}

impl Monitoring {
    /// Whether it serves at all.
    pub fn serves(&self) -> bool {
        self.silent.is_none() && self.unready.is_none() && self.replaying.is_none()
    }

    /// The cluster says that no pod of it is Ready.
    pub fn has_no_ready_pod(&self) -> bool {
        self.pods.as_ref().is_some_and(|pods| !pods.iter().any(|pod| pod.ready))
    }
}

impl Volume {
    /// Used ÷ total.
    pub fn fill(&self) -> Option<f64> {
        self.usage.map(|(used, total)| used as f64 / total.max(1) as f64)
    }
}
