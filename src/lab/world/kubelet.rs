//! The kubelets: every pod with a node gets its containers pulled, started, probed, restarted and stopped.
//! It knows containers and their lives; which pods exist is decided by others.

use std::collections::{HashMap, HashSet};

use jiff::{SignedDuration, Timestamp};

use super::cluster::{Cluster, Work, later};
use super::container::{Slot, State};
use super::course;
use super::env;
use super::events::{About, Source};
use super::objects::{Container, Pod};
use super::pod_status;
use super::program::Behaviour;
use super::registry::Registry;
use super::shelf::Key;

/// Seconds from SIGTERM until a well-behaved container is gone.
const SHUTDOWN: f64 = 3.0;

#[derive(Default)]
pub struct Kubelet {
    pub(super) runs: HashMap<Key, Run>,
    pub(super) images: HashMap<String, HashSet<String>>,
    stopped: HashSet<String>,
    /// Nodes without space for another image.
    full: HashSet<String>,
    pub registry: Registry,
    pub behaviours: Vec<Behaviour>,
    /// What a starting container finds beside its environment, as if it were in it.
    pub facts: Vec<(String, String)>,
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
    /// What was last written of it, as a fingerprint.
    pub written: Option<u64>,
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

    /// The image has to be pulled again there.
    pub fn forget_image(&mut self, node: &str, image: &str) {
        if let Some(images) = self.images.get_mut(node) {
            images.remove(image);
        }
    }

    pub fn images_on(&self, node: &str) -> impl Iterator<Item = &String> {
        self.images.get(node).into_iter().flatten()
    }

    /// Whether a node's disk is so full that nothing can be written.
    pub fn set_full(&mut self, node: &str, full: bool) {
        if full {
            self.full.insert(node.to_owned());
        } else {
            self.full.remove(node);
        }
    }

    pub fn is_full(&self, node: &str) -> bool {
        self.full.contains(node)
    }

    pub fn run(&self, key: &Key) -> Option<&Run> {
        self.runs.get(key)
    }

    /// Whether the app in this pod listens and is fit, whatever its probes ask.
    pub fn answers_well(&self, cluster: &Cluster, key: &Key) -> bool {
        let slot = self.run(key).and_then(|run| run.slots.first()).filter(|slot| slot.life.ready);
        let since = slot.and_then(|slot| Some((slot.running_since()?, slot.life.boot)));
        let listens = since.is_some_and(|(since, boot)| later(since, cluster.lasting(boot)) <= cluster.now);
        listens && !self.unhealthy.contains(key)
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
        pod_status::write(cluster, &pod, &mut run);
        self.runs.insert(key.clone(), run);
    }

    /// A pod seen for the first time: new, or already running when the world began.
    fn adopt(&mut self, cluster: &mut Cluster, pod: &Pod) -> Run {
        if pod.status.container_statuses.iter().any(|status| status.state.running.is_some()) {
            return pod_status::adopt(cluster, pod);
        }
        let until = cluster.after_about(0.8, 1.0);
        let slots = pod.spec.containers.iter().map(|container| Slot::new(&container.name, until)).collect();
        Run {
            uid: pod.metadata.uid.clone(),
            slots,
            since: cluster.now,
            ip: self.address(),
            written: None,
            ending: None,
        }
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
                    self.restart(cluster, at, slot);
                }
                State::Finished => return None,
            }
        }
        Some(cluster.after(1.0))
    }

    /// Ends the running containers of a pod with `code`.
    pub fn crash(&mut self, cluster: &mut Cluster, key: &Key, code: i32) {
        let (Some(pod), Some(mut run)) = (cluster.pods.get(key), self.runs.remove(key)) else { return };
        for (slot, container) in run.slots.iter_mut().zip(&pod.spec.containers) {
            if let Some(since) = slot.running_since() {
                course::exit(cluster, Spot { pod: &pod, container }, slot, since, (code, "Error"));
            }
        }
        self.runs.insert(key.clone(), run);
    }
}

impl Run {
    pub fn new(uid: &str, slots: Vec<Slot>, since: Timestamp, ip: String) -> Self {
        Self { uid: uid.to_owned(), slots, since, ip, written: None, ending: None }
    }
}
