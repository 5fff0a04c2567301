//! The drills: each a file in `assets/drills`, saying what breaks, what heals it and what harms.
//! It knows faults as data; the world carries them out.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use jiff::Timestamp;
use serde::Deserialize;

use super::program::Behaviour;
use crate::lab::alertmanager;
use crate::lab::rules::RULES;

/// One drill, as its file says.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Drill {
    /// `playbook.variant`, the name of the file.
    pub name: String,
    /// The playbook that leads out of it.
    pub playbook: String,
    pub title: String,
    /// What happens, for the person who chooses a drill, and for the talk afterwards.
    pub story: String,
    /// Seconds from the start until it happens.
    pub after: f64,
    pub root: Root,
    /// It passes by itself: nothing is to be changed.
    #[serde(default)]
    pub waits: bool,
    /// What a person of this team knows and no system tells: answers to what steps ask for, by name.
    #[serde(default)]
    pub knows: BTreeMap<String, String>,
    pub fixes: Vec<Step>,
    pub worse: Vec<Step>,
    /// In the order in which they strike.
    #[serde(default, rename = "fault")]
    pub faults: Vec<Fault>,
    /// How the faulty version behaves.
    #[serde(default, rename = "behaviour")]
    pub behaviours: Vec<Behaviour>,
    #[serde(default)]
    pub world: Furnishing,
}

/// What a good diagnosis finds.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Root {
    /// The slug of the playbook whose anomaly is the root.
    pub rule: String,
    /// In words.
    pub cause: String,
    /// By name, as a diagnosis may put it: any of these first.
    #[serde(default)]
    pub is: Vec<String>,
    /// `Kind/name`; `*` in place of a name the seed decides.
    pub object: String,
}

/// Something a person may do.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    pub id: String,
    pub says: String,
    /// A shell line that does it, if one line can.
    #[serde(default)]
    pub command: Option<String>,
    /// The same as an action of a cockpit, as far as it matters which: `{ action = "scale", replicas = 0 }`. Words
    /// stand for what only the moment knows: `pods = "ready"` (one of them serves), `node = "other"` (than the one
    /// in trouble), `to_revision = "broken"`, and `"at least 8Gi"` for an amount.
    #[serde(default)]
    pub does: Option<serde_json::Value>,
    /// The guards that warn of it before it is done, any of these: `last-replica`, `rollout`, ….
    #[serde(default)]
    pub warned_by: Vec<String>,
}

/// How this drill's world differs from the common one.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Furnishing {
    /// `spec.progressDeadlineSeconds` of the app; by default 600.
    #[serde(default)]
    pub progress_deadline_seconds: Option<u32>,
    /// What the workers ask of the node's disk: a kubelet spares a pod that keeps within it.
    #[serde(default)]
    pub worker_storage: Option<String>,
    /// The share of its node's disk that a worker's log takes in an hour, for as long as there are samples.
    #[serde(default)]
    pub worker_log_per_hour: Option<f64>,
    /// In how many seconds, and up to a minute more, the nightly cleanup is due; by default it ran this very night.
    #[serde(default)]
    pub cleanup_in: Option<i64>,
    /// Minutes of samples that precede the start, where the usual past is too short.
    #[serde(default)]
    pub past_minutes: Option<u32>,
    /// Connections in the workers' own pool; by default theirs is the app's.
    #[serde(default)]
    pub worker_pool: Option<u32>,
    /// `spec.maxReplicas` of the app's autoscaler; by default 10.
    #[serde(default)]
    pub most_replicas: Option<u32>,
    /// A group of alerting rules beside the usual ones, in Prometheus' own format.
    #[serde(default)]
    pub rules: String,
    /// The Alertmanager's configuration, where it is not the usual one.
    #[serde(default)]
    pub alertmanager: Option<String>,
    /// Series of exporters that the common world does not have.
    #[serde(default)]
    pub exported: Vec<Exported>,
    /// A quota that exists from the beginning: hard limits by resource.
    #[serde(default)]
    pub quota: BTreeMap<String, String>,
    /// Processes of the nodes' Auto Scaling group that somebody suspended.
    #[serde(default)]
    pub suspended_processes: Vec<String>,
    /// The load balancer is an application load balancer, with a web application firewall; by default it only passes
    /// connections on.
    #[serde(default)]
    pub firewall: bool,
}

/// A series that an exporter shows all the time.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exported {
    pub name: String,
    pub labels: BTreeMap<String, String>,
    pub value: f64,
}

impl Furnishing {
    /// When the nightly cleanup was due last: half an hour ago, or a day before it will be.
    pub fn last_cleanup(&self, now: Timestamp) -> Timestamp {
        let ago = self.cleanup_in.map_or(37 * 60, |seconds| 24 * 3600 - seconds - 59);
        let due = (now.as_second() - ago).div_euclid(60) * 60;
        Timestamp::from_second(due).unwrap_or(now)
    }

    /// Every alerting rule there is, as one file.
    pub fn rules_file(&self) -> String {
        format!("{RULES}{}", self.rules)
    }

    /// The file of the Alertmanager.
    pub fn alertmanager_file(&self) -> &str {
        self.alertmanager.as_deref().unwrap_or(alertmanager::CONFIG)
    }
}

/// One thing that goes wrong.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Fault {
    /// A new revision of the app is rolled out.
    Revision {
        image: String,
        change_cause: String,
        #[serde(default)]
        env: BTreeMap<String, String>,
        #[serde(default)]
        requests: BTreeMap<String, String>,
        #[serde(default)]
        limits: BTreeMap<String, String>,
        /// The path that its readiness probe asks.
        #[serde(default)]
        readiness_path: Option<String>,
        /// All pods are replaced at once (strategy `Recreate`).
        #[serde(default)]
        recreate: bool,
    },
    /// Somebody edits the app's ConfigMap.
    Config { key: String, value: String },
    /// Somebody renames a key in the app's Secret.
    SecretKey { from: String, to: String },
    /// Every pod of the app is replaced (`kubectl rollout restart`).
    Restart,
    /// The registry does not have this tag.
    TagMissing { tag: String },
    /// The cluster's registry token is no longer accepted.
    TokenExpires,
    /// The registry answers 429 for so many seconds.
    RateLimit { host: String, seconds: f64 },
    /// The app wants to keep more in the cache than it has room for, in MiB.
    CacheFills { wanted_mib: f64 },
    /// One pod of the app begins to fail this share of its requests; the seed chooses.
    PodFails { errors: f64, log: String },
    /// The kubelet of one node that runs the app stops.
    KubeletStops,
    /// The hardware under one node that runs the app fails.
    InstanceImpaired,
    /// The app's certificate has so many hours left; its renewals fail because the issuer's solver uses this
    /// ingress class, which is gone.
    SolverClass { class: String, hours_left: f64 },
    /// The app's certificate has so many hours left, and the authority answers 429 to its renewals for so many seconds.
    IssuanceLimited { seconds: f64, hours_left: f64 },
    /// The certificate was renewed, and the ingress controller still serves the old one.
    ServedStale { hours_left: f64 },
    /// Somebody scales the ingress controller to 0.
    ControllerGone,
    /// Somebody edits the selector of the app's Service.
    ServiceSelector { key: String, value: String },
    /// The record of a public name leads to the load balancer that was there before.
    DnsAstray { host: String },
    /// Somebody takes away the rule of a security group that opens a port of the load balancer.
    PortClosed { port: u16 },
    /// Somebody edits an entry of Prometheus' ConfigMap.
    MonitoringConfig { entry: String, from: String, to: String },
    /// The containers of a workload end.
    ContainersEnd { namespace: String, workload: String, code: i32 },
    /// More requests come, and logins among them: this many times the usual, after growing for so many seconds.
    Surge { seconds: f64, requests: f64, logins: f64 },
    /// Requests hold their database connections this many times longer.
    HoldConnections { factor: f64 },
    /// A session updates a row that everybody wants and forgets its transaction.
    LockRoot,
    /// Somebody drops an index of the database.
    IndexMissing { index: String },
    /// Passwords are tried from so many addresses, this often from each; when those are shut out for five minutes,
    /// from as many others as the next number says. One of them may be right.
    PasswordGuessing {
        addresses: usize,
        per_second: f64,
        /// They are spread over the network of the users.
        #[serde(default)]
        at_homes: bool,
        #[serde(default)]
        moves_to: Vec<usize>,
        #[serde(default)]
        finds: Option<Guess>,
    },
    /// The disk of a node that runs a worker fills up.
    DiskFills { with: Filling },
}

/// A password that is found after so many seconds.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Guess {
    pub username: String,
    pub after: f64,
}

/// What fills a disk.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Filling {
    /// The log of one pod.
    Logs,
    /// Images that nothing uses.
    Images,
    /// Small files of one pod, until no inode is left.
    Files,
}

const FILES: &[&str] = &[
    include_str!("../../../assets/drills/crash-loop.oom.toml"),
    include_str!("../../../assets/drills/crash-loop.secret.toml"),
    include_str!("../../../assets/drills/crash-loop.config.toml"),
    include_str!("../../../assets/drills/crash-loop.db-host.toml"),
    include_str!("../../../assets/drills/rollout-stuck.readiness.toml"),
    include_str!("../../../assets/drills/rollout-stuck.unschedulable.toml"),
    include_str!("../../../assets/drills/rollout-stuck.quota.toml"),
    include_str!("../../../assets/drills/image-pull.tag.toml"),
    include_str!("../../../assets/drills/image-pull.token.toml"),
    include_str!("../../../assets/drills/image-pull.rate-limit.toml"),
    include_str!("../../../assets/drills/node-notready.kubelet.toml"),
    include_str!("../../../assets/drills/node-notready.impaired.toml"),
    include_str!("../../../assets/drills/cert-expiry.challenge.toml"),
    include_str!("../../../assets/drills/cert-expiry.stale.toml"),
    include_str!("../../../assets/drills/cert-expiry.rate-limit.toml"),
    include_str!("../../../assets/drills/ingress-down.selector.toml"),
    include_str!("../../../assets/drills/ingress-down.controller.toml"),
    include_str!("../../../assets/drills/ingress-down.dns.toml"),
    include_str!("../../../assets/drills/ingress-down.firewall.toml"),
    include_str!("../../../assets/drills/ingress-down.readiness.toml"),
    include_str!("../../../assets/drills/prom-down.volume.toml"),
    include_str!("../../../assets/drills/prom-down.config.toml"),
    include_str!("../../../assets/drills/prom-down.memory.toml"),
    include_str!("../../../assets/drills/db-pool.leak.toml"),
    include_str!("../../../assets/drills/db-pool.scale.toml"),
    include_str!("../../../assets/drills/db-cpu.index.toml"),
    include_str!("../../../assets/drills/db-cpu.lock.toml"),
    include_str!("../../../assets/drills/disk-full.logs.toml"),
    include_str!("../../../assets/drills/disk-full.slow.toml"),
    include_str!("../../../assets/drills/disk-full.images.toml"),
    include_str!("../../../assets/drills/disk-full.inodes.toml"),
    include_str!("../../../assets/drills/alert-fatigue.flapping.toml"),
    include_str!("../../../assets/drills/alert-fatigue.noise.toml"),
    include_str!("../../../assets/drills/auth-attack.spray.toml"),
    include_str!("../../../assets/drills/auth-attack.taken.toml"),
    include_str!("../../../assets/drills/auth-attack.botnet.toml"),
    include_str!("../../../assets/drills/high-5xx.revision.toml"),
    include_str!("../../../assets/drills/high-5xx.one-pod.toml"),
    include_str!("../../../assets/drills/high-latency.cache.toml"),
    include_str!("../../../assets/drills/high-latency.throttled.toml"),
    include_str!("../../../assets/drills/mem-leak.revision.toml"),
    include_str!("../../../assets/drills/job-failed.secret.toml"),
];

static DRILLS: LazyLock<Vec<Drill>> =
    LazyLock::new(|| FILES.iter().filter_map(|file| toml::from_str(file).ok()).collect());

/// Every drill, in the order of the playbooks.
pub fn drills() -> &'static [Drill] {
    &DRILLS
}

/// The drill of this name; a playbook's name alone means its first.
pub fn drill(name: &str) -> Option<&'static Drill> {
    let exact = drills().iter().find(|drill| drill.name == name);
    exact.or_else(|| drills().iter().find(|drill| drill.playbook == name))
}

/// How the app behaves in every drill.
pub fn common_behaviours() -> Vec<Behaviour> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct File {
        behaviour: Vec<Behaviour>,
    }
    let file: Result<File, _> = toml::from_str(include_str!("../../../assets/drills/app/covetpy.toml"));
    file.map(|file| file.behaviour).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_a_drill() {
        for file in FILES {
            let drill: Drill = toml::from_str(file).unwrap_or_else(|why| panic!("{why}\n{file}"));
            assert!(drill.name.starts_with(&drill.playbook), "{}", drill.name);
            assert!(!drill.fixes.is_empty() && !drill.worse.is_empty(), "{}", drill.name);
        }
        assert!(!common_behaviours().is_empty());
    }
}
