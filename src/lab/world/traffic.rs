//! Requests: how many come, who serves them, how long that takes, and what fails when capacity is short.
//! It knows endpoints and capacity; it decides nothing about pods.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use jiff::Timestamp;

use super::NAMESPACE;
use super::attack::{Knocking, log_login};
use super::cluster::Cluster;
use super::database::Sessions;
use super::kubelet::Kubelet;
use super::objects::Pod;
use super::perimeter;
use super::shelf::Key;
use crate::lab::signals::Signals;

/// Requests per second that come on average, and that one pod can serve.
pub const BASE: f64 = 100.0;
pub const CAPACITY: f64 = 40.0;

/// 95th percentile of the duration at the usual load, in seconds; the median is a third.
const USUAL_P95: f64 = 0.18;

/// Paths with their share of the requests.
pub const PATHS: [(&str, f64); 5] = [
    ("/api/v1/items", 0.46),
    ("/api/v1/search", 0.22),
    ("/api/v1/orders", 0.18),
    ("/login", 0.09),
    ("/api/v1/users", 0.05),
];

/// Seconds of CPU that comparing a password takes.
const HASHING: f64 = 0.02;

/// Share of logins among the usual requests.
pub const LOGINS: f64 = 0.09;

/// How often a pod prints that a user mistyped a password, per second.
const MISTYPED: f64 = 0.06;

/// Upper bounds of the duration histogram, in seconds.
pub const BOUNDS: [f64; 12] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 7.5, 10.0];

/// Counters of one pod since its container started.
#[derive(Clone, Debug, Default)]
pub struct Counters {
    /// Requests by path and status.
    pub requests: BTreeMap<(&'static str, &'static str), f64>,
    /// Requests at or below each bound, by path; then all of them.
    pub buckets: BTreeMap<&'static str, [f64; BOUNDS.len() + 1]>,
    pub sum: BTreeMap<&'static str, f64>,
    pub cpu_seconds: f64,
    pub periods: f64,
    pub throttled: f64,
    /// Restarts of the container these belong to.
    pub instance: u32,
    /// Requests per second it serves now.
    pub rate: f64,
}

pub struct Traffic {
    /// CPU in use, in cores, by pod.
    pub cores: HashMap<Key, f64>,
    pub counters: BTreeMap<Key, Counters>,
    /// Requests the ingress answered, by status.
    pub ingress: BTreeMap<&'static str, f64>,
    /// Requests per second that come now.
    pub load: f64,
    /// Share of the users that get through the door.
    pub door: f64,
    pub p95: f64,
    /// Share of requests that fail now.
    pub failing: f64,
    /// Who tries passwords, beside the users.
    pub knocking: Knocking,
    /// Logins come this many times more often than usual.
    pub logins: f64,
    surge: Option<Surge>,
    last: Option<Timestamp>,
    rng: fastrand::Rng,
    phase: f64,
    noise: f64,
}

/// More requests than usual, growing for a while.
#[derive(Clone, Copy)]
struct Surge {
    since: Timestamp,
    seconds: f64,
    requests: f64,
    logins: f64,
}

/// What one pod does for a moment.
#[derive(Clone, Copy)]
struct Share {
    served: f64,
    refused: f64,
    broken: f64,
    p95: f64,
    /// CPU it uses.
    cores: f64,
    /// Share of its requests that are somebody's guesses at passwords.
    guesses: f64,
    /// Share of the time slices in which its CPU limit stops it.
    stopped: f64,
}

impl Traffic {
    pub fn new(seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed ^ 0x7261_6666);
        let phase = rng.f64() * std::f64::consts::TAU;
        Self {
            cores: HashMap::new(),
            counters: BTreeMap::new(),
            ingress: BTreeMap::new(),
            load: BASE,
            door: 1.0,
            p95: USUAL_P95,
            failing: 0.0,
            knocking: Knocking::default(),
            logins: 1.0,
            surge: None,
            last: None,
            rng,
            phase,
            noise: 0.0,
        }
    }

    /// From now on more requests come, and more logins among them: growing for so many seconds, then staying.
    pub fn surge(&mut self, since: Timestamp, seconds: f64, requests: f64, logins: f64) {
        self.surge = Some(Surge { since, seconds, requests, logins });
    }

    /// Nothing is counted for the time up to `now`.
    pub fn skip_to(&mut self, now: Timestamp) {
        self.last = Some(now);
    }

    /// Counts what happened since the last call, at most once a second; says whether it did.
    pub fn advance(
        &mut self,
        cluster: &Cluster,
        kubelet: &mut Kubelet,
        sessions: &Sessions,
        slowness: f64,
    ) -> bool {
        let now = cluster.now;
        let elapsed = self.last.map_or(1.0, |last| now.duration_since(last).as_secs_f64());
        if elapsed < 1.0 {
            return false;
        }
        self.last = Some(now);
        self.noise = self.noise * 0.9 + (self.rng.f64() - 0.5) * 0.012;
        let wave = (now.as_second() as f64 / 1800.0 * std::f64::consts::TAU + self.phase).sin();
        let usual = BASE * (1.0 + 0.05 * wave + self.noise);
        let grown = |factor: f64| match self.surge {
            Some(surge) => {
                let passed = now.duration_since(surge.since).as_secs_f64() / surge.seconds.max(1.0);
                1.0 + (factor - 1.0) * passed.clamp(0.0, 1.0)
            }
            None => 1.0,
        };
        let (requests, logins) = self.surge.map_or((1.0, 1.0), |surge| (surge.requests, surge.logins));
        self.logins = grown(logins);
        self.load =
            (usual * (grown(requests) + LOGINS * (self.logins - 1.0)) + self.knocking.reach) * self.door;
        self.serve(cluster, kubelet, sessions, (elapsed, slowness));
        self.idle_pods(cluster, kubelet, elapsed);
        true
    }

    fn serve(
        &mut self,
        cluster: &Cluster,
        kubelet: &mut Kubelet,
        sessions: &Sessions,
        (elapsed, slowness): (f64, f64),
    ) {
        let targets = targets(cluster);
        let each = self.load / targets.len().max(1) as f64;
        let (mut failed, mut lost, mut slowest) = (0.0, 0.0, USUAL_P95 / 2.0);
        for pod in &targets {
            let key = Key::of(&**pod);
            let running = kubelet
                .run(&key)
                .is_some_and(|run| run.slots.iter().all(|slot| slot.running_since().is_some()));
            if kubelet.is_stopped(&pod.spec.node_name) || !running {
                lost += each;
                continue;
            }
            let life = kubelet.run(&key).and_then(|run| run.slots.first()).map(|slot| &slot.life);
            let (errors, cost) = life.map_or((0.0, 1.0), |life| (life.errors, life.cpu_factor));
            let limit = pod.spec.containers.first().and_then(|container| container.limit("cpu"));
            let mut share = share(each, sessions.starved(&key), errors, slowness);
            share.guesses = (self.knocking.reach * self.door / self.load.max(1.0)).min(1.0);
            let wanted = (0.02 + 0.012 * share.served + HASHING * share.served * share.guesses) * cost;
            let stopped = limit.map_or(0.0, |limit| (1.0 - limit / wanted.max(0.001)).max(0.0));
            // whoever waits for the database makes its requests wait
            share.p95 = f64::max(share.p95, sessions.delay()).min(4.0);
            share.p95 = (share.p95 * (1.0 + 14.0 * stopped)).min(8.0);
            share.cores = wanted.min(limit.unwrap_or(f64::MAX));
            share.stopped = stopped;
            failed += share.refused + share.broken;
            slowest = f64::max(slowest, share.p95);
            self.count(&key, share, elapsed, kubelet);
        }
        if targets.is_empty() {
            lost = self.load;
        }
        for pod in &targets {
            let key = Key::of(&**pod);
            if sessions.starved(&key) > 0.5 {
                kubelet.unhealthy.insert(key);
            } else {
                kubelet.unhealthy.remove(&key);
            }
        }
        // a dead endpoint answers nothing: the ingress gives up on it
        self.p95 = if lost > 0.0 && !targets.is_empty() { slowest * 1.4 } else { slowest };
        self.failing = (failed + lost) / self.load.max(1.0);
        let unanswered = if targets.is_empty() { "503" } else { "504" };
        *self.ingress.entry(unanswered).or_default() += lost * elapsed;
        *self.ingress.entry("503").or_default() += failed * elapsed;
        *self.ingress.entry("403").or_default() += self.knocking.away * elapsed;
        *self.ingress.entry("200").or_default() += (self.load - lost - failed).max(0.0) * elapsed;
    }

    fn count(&mut self, key: &Key, share: Share, elapsed: f64, kubelet: &Kubelet) {
        let instance = kubelet.run(key).map_or(0, |run| run.slots.iter().map(|slot| slot.restarts).sum());
        let counters = self.counters.entry(key.clone()).or_default();
        if counters.instance != instance {
            *counters = Counters { instance, ..Counters::default() };
        }
        counters.rate = share.served;
        let guesses = share.served * share.guesses * elapsed;
        *counters.requests.entry(("/login", "401")).or_default() += guesses;
        for (path, weight) in PATHS {
            let users = share.served * (1.0 - share.guesses) * weight * elapsed;
            let missing = if path == "/login" { ("401", 0.03) } else { ("404", 0.006) };
            for (status, part) in [("200", 0.9996 - missing.1), (missing.0, missing.1), ("500", 0.0004)] {
                *counters.requests.entry((path, status)).or_default() += users * part;
            }
            *counters.requests.entry((path, "503")).or_default() += share.refused * weight * elapsed;
            *counters.requests.entry((path, "500")).or_default() += share.broken * weight * elapsed;
            let slower = if path == "/api/v1/search" { 1.5 } else { 0.85 };
            let many = if path == "/login" { users + guesses } else { users };
            let all = many + (share.refused + share.broken) * weight * elapsed;
            let buckets = counters.buckets.entry(path).or_default();
            for (bucket, bound) in buckets.iter_mut().zip(BOUNDS) {
                *bucket += all * below(bound, share.p95 * slower);
            }
            buckets[BOUNDS.len()] += all;
            *counters.sum.entry(path).or_default() += all * share.p95 * slower / 2.4;
        }
        self.work(key, share.cores, elapsed);
        let counters = self.counters.entry(key.clone()).or_default();
        counters.throttled += 10.0 * elapsed * share.stopped;
    }

    fn work(&mut self, key: &Key, cores: f64, elapsed: f64) {
        let cores = cores * (0.98 + 0.04 * self.rng.f64());
        self.cores.insert(key.clone(), cores);
        let counters = self.counters.entry(key.clone()).or_default();
        counters.cpu_seconds += cores * elapsed;
        counters.periods += 10.0 * elapsed;
    }

    /// Everything that runs but serves no requests of ours burns a little; what is gone is forgotten.
    fn idle_pods(&mut self, cluster: &Cluster, kubelet: &Kubelet, elapsed: f64) {
        let serving: Vec<Key> = targets(cluster).iter().map(|pod| Key::of(&**pod)).collect();
        let running: Vec<(Key, f64)> = kubelet
            .runs
            .iter()
            .filter(|(key, run)| {
                !serving.contains(key) && run.slots.iter().any(|slot| slot.running_since().is_some())
            })
            .filter_map(|(key, _)| cluster.pods.get(key).map(|pod| (key.clone(), pod)))
            .map(|(key, pod)| (key, pod.requests("cpu").max(0.01) * 0.3))
            .collect();
        self.cores.retain(|key, _| kubelet.runs.contains_key(key));
        self.counters.retain(|key, _| kubelet.runs.contains_key(key));
        for (key, cores) in running {
            if let Some(counters) = self.counters.get_mut(&key) {
                counters.rate = 0.0;
            }
            self.work(&key, cores, elapsed);
        }
    }
}

/// Pods the service sends requests to, as far as anybody knows.
pub fn targets(cluster: &Cluster) -> Vec<Arc<Pod>> {
    let selector = super::edge::selector(cluster);
    cluster
        .pods
        .within(NAMESPACE)
        .filter(|(_, pod)| {
            let labels = &pod.metadata.labels;
            !selector.is_empty() && selector.iter().all(|(key, value)| labels.get(key) == Some(value))
        })
        .filter(|(_, pod)| pod.is_ready() && !pod.is_deleting())
        .map(|(_, pod)| pod.clone())
        .collect()
}

fn share(offered: f64, starved: f64, errors: f64, slowness: f64) -> Share {
    let broken = offered * (1.0 - (1.0 - starved) * (1.0 - errors));
    let wanted = offered - broken;
    let served = wanted.min(CAPACITY);
    let use_of = wanted / CAPACITY;
    let queue = 1.0 + 12.0 * (use_of - 0.65).max(0.0).powi(2) + 9.0 * (use_of - 1.0).max(0.0);
    let p95 = (USUAL_P95 * queue * slowness).min(4.0);
    Share { served, refused: wanted - served, broken, p95, cores: 0.0, guesses: 0.0, stopped: 0.0 }
}

/// The share of requests faster than `bound` when 95 % are faster than `p95`: log-normal, the median a third.
fn below(bound: f64, p95: f64) -> f64 {
    let sigma = 3.0_f64.ln() / 1.6449;
    normal(((bound / p95).ln() + 3.0_f64.ln()) / sigma)
}

/// The cumulative normal distribution (Abramowitz and Stegun 26.2.17; error below 1e-7).
fn normal(x: f64) -> f64 {
    let t = 1.0 / (1.0 + 0.231_641_9 * x.abs());
    let tail = t
        * (0.319_381_530
            + t * (-0.356_563_782 + t * (1.781_477_937 + t * (-1.821_255_978 + t * 1.330_274_429))))
        * (-x * x / 2.0).exp()
        / std::f64::consts::TAU.sqrt();
    if x >= 0.0 { 1.0 - tail } else { tail }
}

/// Puts what outsiders see of the service into the signals.
pub fn show(traffic: &Traffic, cluster: &Cluster, signals: &Signals) {
    let ready = !targets(cluster).is_empty() && (traffic.failing < 0.9 || traffic.load < 1.0);
    signals.write(|shown| {
        shown.service.ready = ready;
        shown.service.latency_ms = traffic.p95 / 3.0 * 1000.0;
    });
}

/// Now and then a line of the access log, and of what goes wrong.
pub fn print_access_logs(traffic: &Traffic, cluster: &mut Cluster) {
    let at = cluster.now;
    for pod in targets(cluster) {
        let key = Key::of(&*pod);
        let busy = traffic.counters.get(&key).is_some_and(|counters| counters.rate > 0.0);
        if busy && cluster.rng.f64() < MISTYPED {
            // Users mistype, each from an address of their own.
            let [a, b, c, d] =
                (perimeter::USERS.0 | cluster.rng.u32(..1 << (32 - perimeter::USERS.1))).to_be_bytes();
            let name = format!("user{}", cluster.rng.u32(..90_000));
            let address = format!("{a}.{b}.{c}.{d}");
            log_login(cluster, &pod, ("warning", "authentication failed", 401), &name, &address);
        }
        if !busy || cluster.rng.f64() > 0.3 {
            continue;
        }
        let (path, _) = PATHS[cluster.rng.usize(..PATHS.len())];
        let short = cluster.rng.f64() < traffic.failing;
        let (status, level) = if short { (503, "error") } else { (200, "info") };
        let millis = traffic.p95 * 1000.0 * (0.15 + 0.5 * cluster.rng.f64());
        let id = cluster.rng.u32(..);
        let stamp = at.strftime("%Y-%m-%dT%H:%M:%S.%3fZ");
        let line = format!(
            r#"{{"timestamp":"{stamp}","level":"{level}","event":"request","method":"GET","path":"{path}","status":{status},"duration_ms":{millis:.1},"request_id":"{id:08x}"}}"#
        );
        let instance = pod.restarts();
        cluster.logs.append(&key.namespace, &key.name, "covetpy", instance, &line, at);
    }
}
