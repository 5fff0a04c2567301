//! The kubelets: every pod with a node gets its containers pulled, started, probed, restarted and stopped.
//! It knows containers and their lives; which pods exist is decided by others.

use std::collections::{HashMap, HashSet};

use jiff::{SignedDuration, Timestamp};

use super::cluster::{Cluster, Work, later};
use super::container::{Slot, State};
use super::env;
use super::events::{About, Source};
use super::objects::{Container, Pod};
use super::pod_status;
use super::program::{self, Behaviour};
use super::registry::Registry;
use super::shelf::Key;

/// First and longest pause between restarts of a crashing container, and between pulls of a failing image.
const FIRST_DELAY: f64 = 10.0;
const LONGEST_DELAY: f64 = 300.0;

/// A container that ran this long starts its back-off from the beginning.
const FORGIVEN: f64 = 600.0;

/// Seconds from SIGTERM until a well-behaved container is gone.
const SHUTDOWN: f64 = 3.0;

#[derive(Default)]
pub struct Kubelet {
    pub(super) runs: HashMap<Key, Run>,
    images: HashMap<String, HashSet<String>>,
    stopped: HashSet<String>,
    pub registry: Registry,
    pub behaviours: Vec<Behaviour>,
    /// Pods whose readiness endpoint answers 503 at the moment.
    pub unhealthy: HashSet<Key>,
    addresses: u32,
}

/// A pod on its node.
pub struct Run {
    pub uid: String,
    pub slots: Vec<Slot>,
    pub since: Timestamp,
    pub ip: String,
    /// When its containers will have stopped, once it is being deleted.
    ending: Option<Timestamp>,
}

/// The pod and container a step is about.
#[derive(Clone, Copy)]
pub(super) struct Spot<'a> {
    pub pod: &'a Pod,
    pub container: &'a Container,
}

impl<'a> Spot<'a> {
    pub fn source(self) -> Source<'a> {
        Source { component: "kubelet", host: &self.pod.spec.node_name }
    }

    pub fn note(self, cluster: &mut Cluster, kind: &str, reason: &str, message: &str) {
        let field = format!("spec.containers{{{}}}", self.container.name);
        let about = About { field: &field, ..About::new("pods", &self.pod.metadata) };
        if kind == "Normal" {
            cluster.normal(about, self.source(), reason, message);
        } else {
            cluster.warn(about, self.source(), reason, message);
        }
    }
}

impl Kubelet {
    /// Stops the kubelet of a node: its pods go on as they are, and nobody reports or manages them.
    pub fn stop(&mut self, node: &str) {
        self.stopped.insert(node.to_owned());
    }

    pub fn start(&mut self, node: &str) {
        self.stopped.remove(node);
    }

    pub fn is_stopped(&self, node: &str) -> bool {
        self.stopped.contains(node)
    }

    /// Images a node need not pull.
    pub fn cache_image(&mut self, node: &str, image: &str) {
        self.images.entry(node.to_owned()).or_default().insert(image.to_owned());
    }

    pub fn run(&self, key: &Key) -> Option<&Run> {
        self.runs.get(key)
    }

    /// The next address of the pod network.
    pub fn address(&mut self) -> String {
        self.addresses += 1;
        format!("10.0.{}.{}", 16 + self.addresses / 250, 2 + self.addresses % 250)
    }

    /// Looks at one pod, and does what is due.
    pub fn sync(&mut self, cluster: &mut Cluster, key: &Key) {
        let Some(pod) = cluster.pods.get(key) else {
            if self.runs.remove(key).is_some() {
                self.unhealthy.remove(key);
                cluster.logs.forget(&key.namespace, &key.name);
            }
            return;
        };
        let node = &pod.spec.node_name;
        let absent = node.is_empty() || cluster.nodes.get(&Key::new("", node)).is_none();
        // the crowd runs without a kubelet until somebody deletes one of it
        let crowd = super::scale::is_crowd(&key.namespace) && !pod.is_deleting() && pod.is_ready();
        if crowd || absent || self.is_stopped(node) || (pod.is_finished() && !pod.is_deleting()) {
            return;
        }
        let known = self.runs.remove(key).filter(|run| run.uid == pod.metadata.uid);
        let mut run = known.unwrap_or_else(|| self.adopt(cluster, &pod));
        if pod.is_deleting() {
            if self.finish(cluster, &pod, &mut run) {
                return;
            }
        } else {
            let mut due: Option<Timestamp> = None;
            for (slot, container) in run.slots.iter_mut().zip(&pod.spec.containers) {
                let next = self.step(cluster, Spot { pod: &pod, container }, slot);
                due = [due, next].into_iter().flatten().min();
            }
            if let Some(due) = due {
                cluster.enqueue_at(
                    due.max(later(cluster.now, SignedDuration::from_millis(1))),
                    Work::Pod(key.clone()),
                );
            }
        }
        pod_status::write(cluster, &pod, &run);
        self.runs.insert(key.clone(), run);
    }

    /// A pod seen for the first time: new, or already running when the world began.
    fn adopt(&mut self, cluster: &mut Cluster, pod: &Pod) -> Run {
        if pod.status.container_statuses.iter().any(|status| status.state.running.is_some()) {
            return pod_status::adopt(cluster, pod);
        }
        let until = cluster.after_about(0.8, 1.0);
        let slots = pod.spec.containers.iter().map(|container| Slot::new(&container.name, until)).collect();
        Run { uid: pod.metadata.uid.clone(), slots, since: cluster.now, ip: self.address(), ending: None }
    }

    /// Stops a pod that is being deleted; true once it is gone.
    fn finish(&mut self, cluster: &mut Cluster, pod: &Pod, run: &mut Run) -> bool {
        let key = Key::of(pod);
        let Some(until) = run.ending else {
            for (slot, container) in run.slots.iter().zip(&pod.spec.containers) {
                if slot.running_since().is_some() {
                    let message = format!("Stopping container {}", container.name);
                    Spot { pod, container }.note(cluster, "Normal", "Killing", &message);
                }
            }
            let grace = pod.spec.termination_grace_period_seconds.unwrap_or(30) as f64;
            let until = cluster.after_about(SHUTDOWN.min(grace) * 0.7, SHUTDOWN.min(grace) * 0.6);
            run.ending = Some(until);
            cluster.enqueue_at(until, Work::Pod(key));
            return false;
        };
        if until > cluster.now {
            cluster.enqueue_at(until, Work::Pod(key));
            return false;
        }
        self.unhealthy.remove(&key);
        cluster.logs.forget(&key.namespace, &key.name);
        cluster.delete::<Pod>(&key);
        true
    }

    /// Does what is due for one container; says when something will be due next.
    fn step(&mut self, cluster: &mut Cluster, at: Spot<'_>, slot: &mut Slot) -> Option<Timestamp> {
        // each pass ends one state; a container goes through few of them at one instant
        for _ in 0..12 {
            let now = cluster.now;
            match slot.state {
                State::Creating { until } => {
                    if until > now {
                        return Some(until);
                    }
                    match env::missing_volume(cluster, at.pod) {
                        Some(missing) => {
                            let about = About::new("pods", &at.pod.metadata);
                            cluster.warn(about, at.source(), "FailedMount", &missing);
                            slot.state = State::Creating { until: cluster.after(15.0) };
                        }
                        None => self.need_image(cluster, at, slot),
                    }
                }
                State::Pulling { began, until } => {
                    if until > now {
                        return Some(until);
                    }
                    self.pull(cluster, at, slot, began);
                }
                State::PullFailed { turn, retry, ref message } => {
                    let message = message.clone();
                    if slot.waiting.0 == "ErrImagePull" {
                        if turn > now {
                            return Some(turn);
                        }
                        let shown = format!("Back-off pulling image \"{}\"", at.container.image);
                        slot.waiting = ("ImagePullBackOff", format!("{shown}: ErrImagePull: {message}"));
                        at.note(cluster, "Normal", "BackOff", &shown);
                        at.note(cluster, "Warning", "Failed", "Error: ImagePullBackOff");
                    }
                    if retry > now {
                        return Some(retry);
                    }
                    self.need_image(cluster, at, slot);
                }
                State::Unconfigured { retry } => {
                    if retry > now {
                        return Some(retry);
                    }
                    self.need_image(cluster, at, slot);
                }
                State::Running { since } => {
                    let due = self.live(cluster, at, slot, since);
                    if slot.running_since().is_some() {
                        return due;
                    }
                }
                State::Exited { at: exited, until } => {
                    if until > now {
                        return Some(until);
                    }
                    self.after_exit(cluster, at, slot, exited);
                }
                State::CrashLoop { until } => {
                    if until > now {
                        return Some(until);
                    }
                    slot.crash_delay = (slot.crash_delay * 2.0).min(LONGEST_DELAY);
                    self.restart(cluster, at, slot);
                }
                State::Finished => return None,
            }
        }
        Some(cluster.after(1.0))
    }

    fn need_image(&mut self, cluster: &mut Cluster, at: Spot<'_>, slot: &mut Slot) {
        let Container { image, image_pull_policy: policy, .. } = at.container;
        let here = self.images.get(&at.pod.spec.node_name).is_some_and(|images| images.contains(image));
        if policy == "Never" && !here {
            let message = format!("Container image \"{image}\" is not present with pull policy of Never");
            at.note(cluster, "Warning", "ErrImageNeverPull", &message);
            slot.waiting = ("ErrImageNeverPull", message);
            slot.state = State::Unconfigured { retry: cluster.after(FIRST_DELAY) };
        } else if here && policy != "Always" {
            let message = format!("Container image \"{image}\" already present on machine");
            at.note(cluster, "Normal", "Pulled", &message);
            self.create(cluster, at, slot);
        } else {
            at.note(cluster, "Normal", "Pulling", &format!("Pulling image \"{image}\""));
            let until = cluster.after_about(1.2, 2.0);
            slot.state = State::Pulling { began: cluster.now, until };
        }
    }

    fn pull(&mut self, cluster: &mut Cluster, at: Spot<'_>, slot: &mut Slot, began: Timestamp) {
        let image = &at.container.image;
        let credentials = env::pull_credentials(cluster, at.pod);
        match self.registry.pull(image, &credentials, cluster.now) {
            Ok(_) => {
                slot.pull_delay = 0.0;
                self.cache_image(&at.pod.spec.node_name, image);
                let took = cluster.now.duration_since(began).as_secs_f64() * cluster.speed;
                let message = format!(
                    "Successfully pulled image \"{image}\" in {took:.3}s ({took:.3}s including waiting). Image size: 184320512 bytes."
                );
                at.note(cluster, "Normal", "Pulled", &message);
                self.create(cluster, at, slot);
            }
            Err(why) => {
                let reason = if why.contains("invalid reference format") {
                    "InvalidImageName"
                } else {
                    "ErrImagePull"
                };
                at.note(cluster, "Warning", "Failed", &format!("Failed to pull image \"{image}\": {why}"));
                at.note(cluster, "Warning", "Failed", &format!("Error: {reason}"));
                slot.pull_delay = (slot.pull_delay * 2.0).clamp(FIRST_DELAY, LONGEST_DELAY);
                slot.waiting = (reason, why.clone());
                let (turn, retry) = (cluster.after(4.0), cluster.after(slot.pull_delay));
                slot.state = State::PullFailed { turn, retry, message: why };
            }
        }
    }

    /// The image is here: read the environment and start.
    fn create(&mut self, cluster: &mut Cluster, at: Spot<'_>, slot: &mut Slot) {
        let container = at.container;
        let env = match env::resolve(cluster, at.pod, container) {
            Ok(env) => env,
            Err(missing) => {
                at.note(cluster, "Warning", "Failed", &format!("Error: {missing}"));
                slot.waiting = ("CreateContainerConfigError", missing);
                slot.state = State::Unconfigured { retry: cluster.after(FIRST_DELAY) };
                return;
            }
        };
        let owner = at.pod.metadata.controller().map_or("", |owner| owner.kind.as_str());
        slot.life = self
            .behaviours
            .iter()
            .find(|behaviour| behaviour.applies(container, &env))
            .map_or_else(|| program::usual(container, &env, owner), |behaviour| behaviour.life(&env));
        slot.life.respect_limit(container);
        slot.env = env;
        slot.id = pod_status::container_id(&mut cluster.rng);
        slot.image_id = pod_status::image_id(&container.image);
        slot.state = State::Running { since: cluster.now };
        at.note(cluster, "Normal", "Created", &format!("Created container: {}", container.name));
        at.note(cluster, "Normal", "Started", &format!("Started container {}", container.name));
        super::probes::begin(cluster, container, slot);
        print(cluster, at, slot, |first, ends| first || !ends);
    }

    /// A running container: its end, or its probes.
    fn live(
        &mut self,
        cluster: &mut Cluster,
        at: Spot<'_>,
        slot: &mut Slot,
        since: Timestamp,
    ) -> Option<Timestamp> {
        if let Some(exit) = slot.life.exit.clone() {
            let due = later(since, cluster.lasting(exit.after));
            if due <= cluster.now {
                print(cluster, at, slot, |first, _| !first);
                self.exit(cluster, at, slot, since, (exit.code, exit.reason()));
                return None;
            }
            let next = super::probes::check(self, cluster, at, slot, since);
            return Some(next.map_or(due, |next| next.min(due)));
        }
        super::probes::check(self, cluster, at, slot, since)
    }

    /// The container ended, by itself or killed.
    pub(super) fn exit(
        &mut self,
        cluster: &mut Cluster,
        at: Spot<'_>,
        slot: &mut Slot,
        since: Timestamp,
        (code, reason): (i32, &str),
    ) {
        let now = cluster.now;
        slot.end(since, now, code, reason);
        let again = match at.pod.spec.restart_policy.as_str() {
            "Never" => false,
            "OnFailure" => code != 0,
            _ => true,
        };
        if now.duration_since(since) >= cluster.lasting(FORGIVEN) {
            slot.crash_delay = 0.0;
        }
        slot.state =
            if again { State::Exited { at: now, until: cluster.after(2.0) } } else { State::Finished };
    }

    fn after_exit(&mut self, cluster: &mut Cluster, at: Spot<'_>, slot: &mut Slot, exited: Timestamp) {
        if slot.crash_delay == 0.0 {
            slot.crash_delay = FIRST_DELAY;
            return self.restart(cluster, at, slot);
        }
        let Pod { metadata, .. } = at.pod;
        let pod = format!("{}_{}({})", metadata.name, metadata.namespace, metadata.uid);
        let (name, delay) = (&at.container.name, wait(slot.crash_delay));
        slot.waiting =
            ("CrashLoopBackOff", format!("back-off {delay} restarting failed container={name} pod={pod}"));
        let message = format!("Back-off restarting failed container {name} in pod {pod}");
        at.note(cluster, "Warning", "BackOff", &message);
        slot.state = State::CrashLoop { until: later(exited, cluster.lasting(slot.crash_delay)) };
    }

    fn restart(&mut self, cluster: &mut Cluster, at: Spot<'_>, slot: &mut Slot) {
        slot.restarts += 1;
        self.need_image(cluster, at, slot);
    }

    /// Ends the running containers of a pod with `code`.
    pub fn crash(&mut self, cluster: &mut Cluster, key: &Key, code: i32) {
        let (Some(pod), Some(mut run)) = (cluster.pods.get(key), self.runs.remove(key)) else { return };
        for (slot, container) in run.slots.iter_mut().zip(&pod.spec.containers) {
            if let Some(since) = slot.running_since() {
                self.exit(cluster, Spot { pod: &pod, container }, slot, since, (code, "Error"));
            }
        }
        self.runs.insert(key.clone(), run);
    }
}

impl Run {
    pub fn new(uid: &str, slots: Vec<Slot>, since: Timestamp, ip: String) -> Self {
        Self { uid: uid.to_owned(), slots, since, ip, ending: None }
    }
}

/// Prints those lines of a container's life for which `when(is first, it will end)`.
fn print(cluster: &mut Cluster, at: Spot<'_>, slot: &Slot, when: fn(bool, bool) -> bool) {
    let Pod { metadata, .. } = at.pod;
    let ends = slot.life.exit.is_some();
    for (number, line) in slot.life.log.iter().enumerate() {
        if when(number == 0, ends) {
            let (namespace, pod) = (&metadata.namespace, &metadata.name);
            cluster.logs.append(namespace, pod, &slot.name, slot.restarts, line, cluster.now);
        }
    }
}

/// `10s`, `2m40s`, as Go prints a duration.
fn wait(seconds: f64) -> String {
    let whole = seconds as u64;
    if whole < 60 { format!("{whole}s") } else { format!("{}m{}s", whole / 60, whole % 60) }
}
