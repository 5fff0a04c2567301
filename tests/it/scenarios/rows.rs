//! The compact rows of a scenario file. Ages are spans before now: `3m`, `2d4h`.

use std::collections::BTreeMap;

use serde::Deserialize;

fn yes() -> bool {
    true
}
fn one() -> u32 {
    1
}
fn thirty_days() -> String {
    "30d".into()
}

fn ten_days() -> String {
    "10d".into()
}
fn shop() -> String {
    "shop".into()
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeRow {
    pub name: String,
    /// `true`, `false` or `unknown`; `none` where nobody has ever reported a condition.
    #[serde(default = "NodeRow::fine")]
    pub ready: String,
    /// How long it has been so.
    #[serde(default = "ten_days")]
    pub since: String,
    #[serde(default)]
    pub message: String,
    /// Of its condition Ready, where it is not the usual one.
    pub reason: Option<String>,
    #[serde(default = "ten_days")]
    pub age: String,
    /// How long ago its lease was renewed; `none` where it has no lease.
    pub lease: Option<String>,
    /// How long ago it was cordoned.
    pub cordoned: Option<String>,
    /// How long its object has been on its way out.
    pub deleting: Option<String>,
    #[serde(default)]
    pub taints: Vec<String>,
    /// Pressure conditions that are True, and `NetworkUnavailable`.
    #[serde(default)]
    pub pressure: Vec<String>,
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    #[serde(default = "NodeRow::memory")]
    pub memory: String,
}

impl NodeRow {
    fn fine() -> String {
        "true".into()
    }
    fn memory() -> String {
        "8Gi".into()
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeploymentRow {
    pub name: String,
    #[serde(default = "shop")]
    pub namespace: String,
    pub replicas: u32,
    #[serde(default = "thirty_days")]
    pub age: String,
    /// `spec.minReadySeconds`.
    #[serde(default)]
    pub min_ready: u32,
    #[serde(default)]
    pub paused: bool,
    /// Reason of Progressing; worked out from the pods when absent.
    pub progressing: Option<String>,
    /// How long ago Progressing changed.
    #[serde(default = "DeploymentRow::minute")]
    pub progressing_since: String,
    /// How long Available has been False.
    pub unavailable_since: Option<String>,
    /// Message of ReplicaFailure, if pods are refused.
    pub refused: Option<String>,
    /// `configmap/name`, `secret/name` or `secret/name:key`.
    #[serde(default)]
    pub refs: Vec<String>,
    #[serde(default)]
    pub pull_secrets: Vec<String>,
    pub revisions: Vec<RevisionRow>,
    /// How long ago it was changed, when its controller has not seen that.
    pub unseen: Option<String>,
    /// Overrides what the pods add up to.
    pub available: Option<u32>,
    /// `counts`: without conditions and generation; `none`: nobody wrote any.
    pub status: Option<String>,
}

impl DeploymentRow {
    fn minute() -> String {
        "1m".into()
    }
}

/// A StatefulSet or DaemonSet; its status follows from its pods.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ControllerRow {
    /// `statefulset/db`, `daemonset/agent`.
    pub of: String,
    #[serde(default = "shop")]
    pub namespace: String,
    pub replicas: u32,
    #[serde(default)]
    pub partition: u32,
    #[serde(default)]
    pub on_delete: bool,
    #[serde(default)]
    pub parallel: bool,
    /// In seconds.
    #[serde(default)]
    pub min_ready: u32,
    #[serde(default)]
    pub refs: Vec<String>,
    pub revisions: Vec<RevisionRow>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobRow {
    pub name: String,
    #[serde(default = "shop")]
    pub namespace: String,
    /// The CronJob it is a run of.
    pub cron: Option<String>,
    #[serde(default = "DeploymentRow::minute")]
    pub age: String,
    /// How long ago it gave up.
    pub failed: Option<String>,
    #[serde(default = "JobRow::reason")]
    pub reason: String,
    #[serde(default)]
    pub message: String,
    #[serde(default)]
    pub complete: bool,
    #[serde(default)]
    pub active: u32,
    #[serde(default)]
    pub suspended: bool,
    #[serde(default)]
    pub refs: Vec<String>,
}

impl JobRow {
    fn reason() -> String {
        "BackoffLimitExceeded".into()
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CronJobRow {
    pub name: String,
    #[serde(default = "shop")]
    pub namespace: String,
    #[serde(default = "CronJobRow::long")]
    pub age: String,
    pub schedule: String,
    #[serde(default)]
    pub suspended: bool,
    #[serde(default = "CronJobRow::allow")]
    pub concurrency: String,
    pub scheduled: Option<String>,
    pub successful: Option<String>,
    pub edited: Option<String>,
    pub by: Option<String>,
}

impl CronJobRow {
    fn allow() -> String {
        "Allow".into()
    }
    fn long() -> String {
        "90d".into()
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RevisionRow {
    pub n: u64,
    /// Its numbers before it was rolled back to.
    #[serde(default)]
    pub was: Vec<u64>,
    pub age: String,
    #[serde(default = "RevisionRow::image")]
    pub image: String,
    pub memory: Option<String>,
    pub cpu: Option<u64>,
    pub hash: Option<String>,
    /// `spec.nodeSelector`.
    #[serde(default)]
    pub selects: BTreeMap<String, String>,
    /// Nothing but a restart of the one before.
    #[serde(default)]
    pub restart: bool,
    /// Names of the containers that it is written with.
    #[serde(default = "RevisionRow::containers")]
    pub containers: Vec<String>,
    /// And of its init containers, native sidecars among them.
    #[serde(default)]
    pub init_containers: Vec<String>,
}

impl RevisionRow {
    pub fn containers() -> Vec<String> {
        vec![PodRow::app()]
    }
    fn image() -> String {
        "ghcr.io/acme/app:v1".into()
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PodRow {
    /// `web@7` (a revision of a Deployment), `statefulset/db`, `daemonset/agent@4` (with its revision), `job/import`,
    /// `pod/name`, or `Workflow/etl` of a kind that only its operator knows.
    pub of: String,
    #[serde(default = "shop")]
    pub namespace: String,
    #[serde(default = "one")]
    pub count: u32,
    /// `running`, `unready`, `crash`, `ended`, `waiting`, `unschedulable`, `unseen` (by any scheduler), `gated`, `creating`,
    /// `completed`, `failed`, `turned-away` (by the kubelet, before anything ran),
    /// `init-crash`, `init-running`, `sidecar-crash` (`init` is a sidecar), `native-sidecar-crash` (`init` is an init
    /// container that goes on running), `half-done` (its sidecar, `init`, runs on), `two-troubles` (the image does not come, and the sidecar crashes).
    #[serde(default = "PodRow::running")]
    pub is: String,
    #[serde(default = "ten_days")]
    pub age: String,
    pub node: Option<String>,
    #[serde(default)]
    pub restarts: u32,
    #[serde(default = "PodRow::exit")]
    pub exit: i32,
    #[serde(default = "PodRow::error")]
    pub reason: String,
    #[serde(default)]
    pub message: String,
    /// How long the last run took.
    #[serde(default = "PodRow::lived")]
    pub lived: String,
    /// How long ago it ended.
    pub ended: Option<String>,
    pub limit: Option<String>,
    /// Memory in use.
    pub usage: Option<String>,
    #[serde(default)]
    pub deleting: bool,
    /// How long ago it was to be gone.
    pub deleted: Option<String>,
    #[serde(default)]
    pub finalizers: Vec<String>,
    #[serde(default)]
    pub claims: Vec<String>,
    #[serde(default)]
    pub empty_dir: bool,
    /// Condition Ready, when it does not follow from the containers.
    pub ready: Option<bool>,
    /// Since when it has not been ready.
    pub unready: Option<String>,
    /// How long ago its container started, when that was long after the pod came.
    pub started: Option<String>,
    /// A static pod, whose manifest is a file on its node.
    #[serde(default)]
    pub mirror: bool,
    /// What the kubelet says of a readiness gate that is not true.
    pub gate: Option<String>,
    /// Names of its main and its init container.
    #[serde(default = "PodRow::app")]
    pub container: String,
    #[serde(default = "PodRow::prepare")]
    pub init: String,
    /// `system-node-critical`.
    pub priority: Option<String>,
    /// `status.reason`: `Evicted`.
    pub status_reason: Option<String>,
    /// The reason of its condition DisruptionTarget: `DeletionByTaintManager`.
    pub disrupted: Option<String>,
}

impl PodRow {
    fn app() -> String {
        "app".into()
    }
    fn prepare() -> String {
        "prepare".into()
    }
    fn running() -> String {
        "running".into()
    }
    fn exit() -> i32 {
        1
    }
    fn error() -> String {
        "Error".into()
    }
    fn lived() -> String {
        "5s".into()
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventRow {
    /// `pod/web-h7-1`, `replicaset/web-h7`, `node/n1`.
    pub about: String,
    #[serde(default = "shop")]
    pub namespace: String,
    pub reason: String,
    pub message: String,
    #[serde(default = "yes")]
    pub warning: bool,
    pub first: String,
    pub last: Option<String>,
    #[serde(default = "one")]
    pub count: u32,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AutoscalerRow {
    pub name: String,
    #[serde(default = "shop")]
    pub namespace: String,
    pub target: String,
    pub min: u32,
    pub max: u32,
    pub current: u32,
    pub desired: Option<u32>,
    /// current ÷ target of its CPU metric.
    pub ratio: Option<f64>,
    /// How long ScalingLimited (TooManyReplicas) has been True.
    pub limited: Option<String>,
    /// Condition ScalingActive, when it says anything.
    pub active: Option<bool>,
    /// `FailedGetScale: the words`: why it cannot scale, when that is not for want of metrics.
    pub unable: Option<String>,
    pub scaled: Option<String>,
    pub edited: Option<String>,
    pub by: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfigRow {
    /// `configmap/name`, `secret/name`, `networkpolicy/name`, …
    pub object: String,
    #[serde(default = "shop")]
    pub namespace: String,
    #[serde(default = "ten_days")]
    pub age: String,
    pub edited: Option<String>,
    pub by: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrafficRow {
    #[serde(default = "shop")]
    pub namespace: String,
    #[serde(default)]
    pub rate: f64,
    /// Requests per second over time, instead of `rate`.
    #[serde(default)]
    pub rates: Vec<String>,
    /// The least of them around this time on earlier days.
    pub earlier: Option<f64>,
    /// How many series there are, over time.
    #[serde(default)]
    pub series: Vec<String>,
    /// `0.2 for 20m`, oldest first; sampled every 30 s up to now. `nan` is a gap.
    #[serde(default)]
    pub p95: Vec<String>,
    #[serde(default)]
    pub errors: Vec<String>,
    #[serde(default)]
    pub errors_by_pod: Vec<(String, f64)>,
    #[serde(default)]
    pub denied: Vec<String>,
    pub denied_usual: Option<f64>,
    /// The workload that refuses most, and how many a second.
    pub denied_by: Option<(String, f64)>,
    /// Since when there have been no series: the last samples are from then.
    pub gone: Option<String>,
    /// By workload.
    #[serde(default)]
    pub workloads: Vec<WorkloadTrafficRow>,
    /// p95 a week ago, in seconds.
    pub last_week: Option<f64>,
    /// Pods of the workload `name`, and how much of their time the CPU limit stops them.
    #[serde(default)]
    pub throttled: Vec<(String, f64)>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkloadTrafficRow {
    pub name: String,
    #[serde(default = "shop")]
    pub namespace: String,
    pub rate: Option<f64>,
    #[serde(default)]
    pub rates: Vec<String>,
    pub earlier: Option<f64>,
    #[serde(default)]
    pub errors: Vec<String>,
    #[serde(default)]
    pub p95: Vec<String>,
    /// p95 a week ago, in seconds.
    pub last_week: Option<f64>,
    /// Since when it has had no series.
    pub gone: Option<String>,
}

/// What CloudWatch has of a cluster's writer: each `20 for 10m`, oldest first; sampled every minute.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RdsRow {
    pub writer: String,
    /// Least and most ACUs.
    pub capacity: Option<(f64, f64)>,
    pub figures: BTreeMap<String, Vec<String>>,
}

/// The working set of one pod's container.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemoryRow {
    pub pod: String,
    #[serde(default = "shop")]
    pub namespace: String,
    #[serde(default = "app")]
    pub container: String,
    /// In MiB: `500..900 for 3h`, oldest first, up to now; sampled every 4 min.
    pub mib: Vec<String>,
    /// The line ended this long ago.
    pub ended: Option<String>,
}

fn app() -> String {
    "app".into()
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CacheRow {
    /// `0.92 for 20m`, oldest first; sampled every 30 s up to now.
    pub hits: Vec<String>,
    /// Keys per second.
    #[serde(default)]
    pub evicted: f64,
    /// In MiB.
    #[serde(default)]
    pub used: u64,
    /// In MiB; 0 is no limit.
    #[serde(default)]
    pub max: u64,
    /// maxmemory-policy noeviction.
    #[serde(default)]
    pub keeps_all: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatabaseRow {
    pub max: u32,
    #[serde(default)]
    pub reserved: u32,
    /// `40 for 20m`, oldest first; sampled every 5 s up to now.
    pub used: Vec<String>,
    #[serde(default)]
    pub active: u32,
    #[serde(default)]
    pub idle: u32,
    #[serde(default)]
    pub idle_in_transaction: u32,
    #[serde(default)]
    pub lock_waiters: u32,
    /// `1 for 10m`, oldest first, like `used`: sessions on a CPU, and sessions that wait for locks.
    #[serde(default)]
    pub on_cpu: Vec<String>,
    #[serde(default)]
    pub waiting: Vec<String>,
    /// Who does what, seen just now.
    pub activity: Option<ActivityRow>,
    /// What 53300 said, and how long ago first.
    pub exhausted: Option<(String, String)>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActivityRow {
    pub cpus: Option<f64>,
    /// Idle in a transaction for over five minutes.
    #[serde(default)]
    pub stuck: u32,
    /// `role app 12 of 12`.
    #[serde(default)]
    pub limits: Vec<String>,
    /// `34 idle in transaction by web for 6m`.
    #[serde(default)]
    pub holders: Vec<String>,
    /// `4711 reports idle in transaction for 6m blocks 12`; `dba` is a superuser's.
    #[serde(default)]
    pub roots: Vec<String>,
    /// Applications whose sessions wait for locks.
    #[serde(default)]
    pub waiting: Vec<String>,
    /// Share and text of the statement that costs most.
    pub top: Option<(f64, String)>,
    #[serde(default)]
    pub invalid: Vec<String>,
    /// `28 for 75s`: so many of the sessions that live were opened so long ago.
    #[serde(default)]
    pub opened: Vec<String>,
    /// `standby 43s`: how far it is behind.
    #[serde(default)]
    pub replicas: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CertificateRow {
    pub name: String,
    #[serde(default = "shop")]
    pub namespace: String,
    pub dns: Vec<String>,
    /// Time left; negative when it has expired.
    pub left: String,
    /// When it should be renewed, from now; negative when that has passed.
    pub renewal: String,
    #[serde(default = "yes")]
    pub ready: bool,
    #[serde(default = "ten_days")]
    pub since: String,
    #[serde(default)]
    pub message: String,
    /// How long Issuing has been True.
    pub issuing: Option<String>,
    #[serde(default)]
    pub failed: u32,
    /// How long ago the last attempt failed.
    pub failure: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HandshakeRow {
    pub host: String,
    #[serde(default = "HandshakeRow::port")]
    pub port: u16,
    #[serde(default = "HandshakeRow::address")]
    pub address: String,
    /// Time left, and the whole life.
    #[serde(default = "HandshakeRow::left")]
    pub left: String,
    #[serde(default = "HandshakeRow::life")]
    pub life: String,
    #[serde(default = "HandshakeRow::issuer")]
    pub issuer: String,
    /// Names in the certificate; the host alone when empty.
    #[serde(default)]
    pub names: Vec<String>,
    pub distrust: Option<String>,
    /// It was served without its issuers.
    #[serde(default)]
    pub alone: bool,
    /// The settings name the address.
    #[serde(default)]
    pub given: bool,
    /// Why there was no handshake.
    pub fails: Option<String>,
}

impl HandshakeRow {
    fn port() -> u16 {
        443
    }
    fn address() -> String {
        "192.0.2.1".into()
    }
    fn left() -> String {
        "60d".into()
    }
    fn life() -> String {
        "90d".into()
    }
    fn issuer() -> String {
        "R11".into()
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceRow {
    pub name: String,
    #[serde(default = "shop")]
    pub namespace: String,
    pub selector: BTreeMap<String, String>,
    /// `http:80`.
    #[serde(default)]
    pub ports: Vec<String>,
    #[serde(default)]
    pub headless: bool,
    pub edited: Option<String>,
    pub by: Option<String>,
}

/// A claim of a volume.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClaimRow {
    pub name: String,
    #[serde(default = "shop")]
    pub namespace: String,
    pub asks: String,
    /// What it has; without, it waits for a volume.
    pub has: Option<String>,
    pub class: Option<String>,
    #[serde(default = "ten_days")]
    pub age: String,
    pub edited: Option<String>,
    pub by: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeedRow {
    pub at: String,
    /// `deployment/web`, `node/n1`.
    pub object: String,
    #[serde(default = "shop")]
    pub namespace: String,
    pub says: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IngressRow {
    pub name: String,
    #[serde(default = "shop")]
    pub namespace: String,
    #[serde(default = "ten_days")]
    pub age: String,
    pub hosts: Vec<String>,
    /// The Secret of its certificate, for all hosts.
    pub secret: Option<String>,
    /// `web`, or `web:http` with the port.
    #[serde(default)]
    pub services: Vec<String>,
    #[serde(default = "IngressRow::addresses")]
    pub addresses: Vec<String>,
    pub edited: Option<String>,
    pub by: Option<String>,
}

impl IngressRow {
    fn addresses() -> Vec<String> {
        vec!["192.0.2.1".into()]
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EndpointsRow {
    pub service: String,
    #[serde(default = "shop")]
    pub namespace: String,
    pub ready: u32,
    #[serde(default)]
    pub total: u32,
    /// Names of the ports they have.
    #[serde(default)]
    pub ports: Vec<String>,
    /// How long ago it was first seen so.
    #[serde(default)]
    pub since: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WalkRow {
    pub host: String,
    /// Answered with this status.
    #[serde(default = "WalkRow::ok")]
    pub status: u16,
    /// `tcp: 192.0.2.1:443: connection refused`.
    pub fails: Option<String>,
    /// Only this machine's resolver was heard.
    pub doubt: Option<String>,
    pub note: Option<String>,
    /// Walks in a row, twenty seconds apart, the last one now.
    #[serde(default = "WalkRow::three")]
    pub times: u32,
}

impl WalkRow {
    fn ok() -> u16 {
        200
    }
    fn three() -> u32 {
        3
    }
}
