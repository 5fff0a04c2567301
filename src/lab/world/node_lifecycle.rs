//! Nodes that live and die: leases, the Ready condition, taints, eviction, cleaning up after a node.
//! It knows kubelets only by whether they report.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::cluster::{Cluster, Work, later};
use super::conditions::{self, Shown};
use super::events::{About, Source};
use super::furnish;
use super::kubelet::Kubelet;
use super::objects::{Node, Pod, Taint};
use super::shelf::Key;
use crate::lab::store::{micros, seconds};

/// `--node-monitor-grace-period`: silence after which a node counts as gone.
const GRACE: f64 = 40.0;

/// Time between a kubelet's lease renewals, and between its status reports (as in Kubernetes).
const RENEWAL: SignedDuration = SignedDuration::from_secs(10);
const REPORT: SignedDuration = SignedDuration::from_secs(300);

/// Seconds the node group needs for a new instance after one was removed.
const REPLACEMENT: f64 = 180.0;

pub const UNREACHABLE: &str = "node.kubernetes.io/unreachable";
pub const NOT_READY: &str = "node.kubernetes.io/not-ready";
const OUT_OF_SERVICE: &str = "node.kubernetes.io/out-of-service";
const UNSCHEDULABLE: &str = "node.kubernetes.io/unschedulable";

#[derive(Default)]
pub struct NodeLifecycle {
    /// When to look again: once a second.
    next: Option<Timestamp>,
    /// When each kubelet was last heard of, and when it renews and reports next.
    heard: HashMap<String, Heard>,
    /// Instances that will join: when, and the node object.
    joining: Vec<(Timestamp, Value)>,
    /// Node objects as first seen: the mould of a replacement.
    moulds: HashMap<String, Value>,
}

struct Heard {
    at: Timestamp,
    renew: Timestamp,
    report: Timestamp,
}

impl NodeLifecycle {
    /// Renews leases and notices silence. Cheap when nothing is due.
    pub fn tick(&mut self, cluster: &mut Cluster, kubelet: &Kubelet) {
        let now = cluster.now;
        if self.next.is_some_and(|next| next > now) && self.heard.len() == cluster.nodes.len() {
            return;
        }
        self.next = Some(later(now, SignedDuration::from_secs(1)));
        let names: Vec<String> = cluster.nodes.iter().map(|(key, _)| key.name.clone()).collect();
        for name in &names {
            if !self.heard.contains_key(name) {
                let spread = SignedDuration::from_millis(cluster.rng.i64(0..10_000));
                let (renew, report) = (later(now, spread), later(now, spread * 30));
                self.heard.insert(name.clone(), Heard { at: now, renew, report });
            }
            let Some(heard) = self.heard.get_mut(name) else { continue };
            if kubelet.is_stopped(name) {
                if later(heard.at, cluster.lasting(GRACE)) <= now {
                    lose(cluster, name);
                }
                continue;
            }
            heard.at = now;
            if heard.renew <= now {
                heard.renew = later(now, RENEWAL);
                renew(cluster, name);
            }
            if heard.report <= now {
                heard.report = later(now, REPORT);
                heartbeat(cluster, name);
            }
        }
        self.heard.retain(|name, _| names.binary_search(name).is_ok());
        self.join(cluster);
    }

    /// A node object changed: taints follow conditions and cordon, pods follow taints.
    pub fn reconcile(&mut self, cluster: &mut Cluster, kubelet: &Kubelet, name: &str) {
        let key = Key::new("", name);
        let Some(node) = cluster.nodes.get(&key) else {
            self.orphaned(cluster, name);
            return;
        };
        if !self.moulds.contains_key(name)
            && let Some(stored) = cluster.store.get("nodes", "", name)
        {
            self.moulds.insert(name.to_owned(), stored.value());
        }
        if !kubelet.is_stopped(name) && !node.is_ready() {
            recover(cluster, name);
        }
        let cordoned = node.spec.taints.iter().any(|taint| taint.key == UNSCHEDULABLE);
        if cordoned != node.spec.unschedulable {
            let at = seconds(cluster.now);
            cluster.update::<Node>(&key, |object| {
                set_taint(object, UNSCHEDULABLE, &["NoSchedule"], node.spec.unschedulable, &at);
            });
            let (reason, state) = if node.spec.unschedulable {
                ("NodeNotSchedulable", "NodeNotSchedulable")
            } else {
                ("NodeSchedulable", "NodeSchedulable")
            };
            let message = format!("Node {name} status is now: {state}");
            cluster.normal(About::new("nodes", &node.metadata), kubelet_of(name), reason, &message);
        }
        evict(cluster, &node);
    }

    /// The node object is gone: so are its pods, and the group replaces the instance.
    fn orphaned(&mut self, cluster: &mut Cluster, name: &str) {
        for pod in cluster.pods_on(name) {
            let about = About::new("pods", &pod.metadata);
            let source = Source::of("pod-garbage-collector");
            cluster.normal(about, source, "PodGC", &format!("PodGC: node {name} no longer exists"));
            cluster.delete::<Pod>(&Key::of(&*pod));
        }
        let _gone_with_it = cluster.store.delete("leases", "kube-node-lease", name);
        let _gone_with_it = cluster.store.delete("nodemetrics", "", name);
        self.heard.remove(name);
        if let Some(mould) = self.moulds.remove(name) {
            self.replace(cluster, &mould);
        }
    }

    /// Lets a new instance of the group join in a while, shaped like an old one.
    fn replace(&mut self, cluster: &mut Cluster, mould: &Value) {
        let at = cluster.after_about(REPLACEMENT * 0.9, REPLACEMENT * 0.2);
        let index = cluster.rng.usize(0..3);
        let name = format!("ip-10-0-{}-{}.ec2.internal", 1 + index, cluster.rng.u8(10..250));
        let mut node = furnish::node(&name, index, &seconds(at));
        for part in ["capacity", "allocatable"] {
            node["status"][part] = mould["status"][part].clone();
        }
        self.joining.push((at, node));
    }

    /// One more node than there are joins in a while.
    pub(super) fn grow(&mut self, cluster: &mut Cluster) {
        let mould = self.moulds.values().next().cloned();
        if let Some(mould) = mould {
            self.replace(cluster, &mould);
        }
    }

    /// Nobody comes in the place of a node.
    pub(super) fn shrink(&mut self, node: &str) {
        self.moulds.remove(node);
    }

    /// Nodes whose instance has yet to join.
    pub fn joining(&self) -> impl Iterator<Item = &Value> {
        self.joining.iter().map(|(_, node)| node)
    }

    fn join(&mut self, cluster: &mut Cluster) {
        let now = cluster.now;
        let (due, waiting): (Vec<_>, Vec<_>) = self.joining.drain(..).partition(|(at, _)| *at <= now);
        self.joining = waiting;
        for (_, mut node) in due {
            let at = seconds(now);
            for condition in node["status"]["conditions"].as_array_mut().into_iter().flatten() {
                condition["lastTransitionTime"] = at.clone().into();
                condition["lastHeartbeatTime"] = at.clone().into();
            }
            ready_again(&mut node["status"], &at);
            if let Ok(node) = cluster.create::<Node>(node) {
                let name = node.metadata.name.clone();
                let message = format!("Node {name} event: Registered Node {name} in Controller");
                let about = About::new("nodes", &node.metadata);
                cluster.normal(about, Source::of("node-controller"), "RegisteredNode", &message);
                renew(cluster, &name);
            }
        }
    }
}

fn kubelet_of(node: &str) -> Source<'_> {
    Source { component: "kubelet", host: node }
}

fn renew(cluster: &mut Cluster, node: &str) {
    let at = micros(cluster.now);
    let renewed = cluster.store.update("leases", "kube-node-lease", node, cluster.now, |lease| {
        lease["spec"]["renewTime"] = at.clone().into();
    });
    if renewed.is_err() {
        let lease = json!({
            "metadata": { "name": node, "namespace": "kube-node-lease" },
            "spec": { "holderIdentity": node, "leaseDurationSeconds": 40, "renewTime": at },
        });
        let _exists_only_in_a_race = cluster.store.create("leases", lease, cluster.now);
    }
}

fn heartbeat(cluster: &mut Cluster, node: &str) {
    let at = seconds(cluster.now);
    cluster.update::<Node>(&Key::new("", node), |node| {
        for condition in node["status"]["conditions"].as_array_mut().into_iter().flatten() {
            condition["lastHeartbeatTime"] = at.clone().into();
        }
    });
}

/// Nobody heard of the kubelet for the grace period.
fn lose(cluster: &mut Cluster, name: &str) {
    let key = Key::new("", name);
    let Some(node) = cluster.nodes.get(&key) else { return };
    if conditions_unknown(&node) {
        return;
    }
    let at = seconds(cluster.now);
    cluster.update::<Node>(&key, |node| {
        for kind in ["MemoryPressure", "DiskPressure", "PIDPressure", "Ready"] {
            let shown = Shown {
                kind,
                status: "Unknown",
                reason: "NodeStatusUnknown",
                message: "Kubelet stopped posting node status.",
            };
            conditions::put(&mut node["status"], &shown, &at);
        }
        set_taint(node, UNREACHABLE, &["NoSchedule", "NoExecute"], true, &at);
    });
    let source = Source::of("node-controller");
    let message = format!("Node {name} status is now: NodeNotReady");
    cluster.normal(About::new("nodes", &node.metadata), source, "NodeNotReady", &message);
    for pod in cluster.pods_on(name) {
        if pod.is_ready() {
            cluster.update::<Pod>(&Key::of(&*pod), |pod| {
                let shown = Shown { kind: "Ready", status: "False", reason: "", message: "" };
                conditions::put(&mut pod["status"], &shown, &at);
            });
        }
        cluster.warn(About::new("pods", &pod.metadata), source, "NodeNotReady", "Node is not ready");
    }
}

fn conditions_unknown(node: &Node) -> bool {
    super::objects::condition(&node.status.conditions, "Ready").is_some_and(|ready| ready.status == "Unknown")
}

/// The kubelet reports again.
fn recover(cluster: &mut Cluster, name: &str) {
    let key = Key::new("", name);
    let at = seconds(cluster.now);
    cluster.update::<Node>(&key, |node| {
        ready_again(&mut node["status"], &at);
        set_taint(node, UNREACHABLE, &[], false, &at);
        set_taint(node, NOT_READY, &[], false, &at);
    });
    renew(cluster, name);
    if let Some(node) = cluster.nodes.get(&key) {
        let message = format!("Node {name} status is now: NodeReady");
        cluster.normal(About::new("nodes", &node.metadata), kubelet_of(name), "NodeReady", &message);
    }
    for pod in cluster.pods_on(name) {
        cluster.enqueue(Work::Pod(Key::of(&*pod)));
    }
}

fn ready_again(status: &mut Value, at: &str) {
    for (kind, holds, reason, message) in [
        ("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
        ("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
        ("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
        ("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
    ] {
        conditions::put(status, &Shown { kind, status: holds, reason, message }, at);
        if let Some(condition) = conditions::at(status, kind) {
            condition["lastHeartbeatTime"] = at.into();
        }
    }
}

pub(super) fn set_taint(node: &mut Value, key: &str, effects: &[&str], wanted: bool, at: &str) {
    let spec = &mut node["spec"];
    let mut taints = spec["taints"].as_array().cloned().unwrap_or_default();
    taints.retain(|taint| taint["key"] != key);
    if wanted {
        taints.extend(effects.iter().map(|effect| json!({ "key": key, "effect": effect, "timeAdded": at })));
    }
    if taints.is_empty() {
        if let Some(spec) = spec.as_object_mut() {
            spec.remove("taints");
        }
    } else {
        spec["taints"] = taints.into();
    }
}

/// Deletes what does not tolerate a `NoExecute` taint any longer; asks for another look when a toleration
/// runs out later.
fn evict(cluster: &mut Cluster, node: &Node) {
    let name = &node.metadata.name;
    let deadly: Vec<&Taint> = node.spec.taints.iter().filter(|taint| taint.effect == "NoExecute").collect();
    if deadly.is_empty() {
        return;
    }
    let pods: Vec<Arc<Pod>> = cluster.pods_on(name);
    if deadly.iter().any(|taint| taint.key == OUT_OF_SERVICE) {
        // the operator vouches that the machine is off: nothing on it needs to be waited for
        for pod in pods.iter().filter(|pod| pod.is_deleting() || !tolerates(pod, OUT_OF_SERVICE)) {
            cluster.delete::<Pod>(&Key::of(&**pod));
        }
        return;
    }
    for pod in pods.iter().filter(|pod| !pod.is_deleting()) {
        match deadly.iter().map(|taint| end_of_patience(cluster, pod, taint)).min().flatten() {
            Some(due) if due <= cluster.now => {
                let Pod { metadata, .. } = &**pod;
                let message = format!("Marking for deletion Pod {}/{}", metadata.namespace, metadata.name);
                let source = Source::of("taint-eviction-controller");
                cluster.normal(About::new("pods", metadata), source, "TaintManagerEviction", &message);
                disrupt(cluster, pod);
                cluster.delete_gracefully(pod);
            }
            Some(due) => cluster.enqueue_at(due, Work::Node(name.clone())),
            None => {}
        }
    }
}

fn tolerates(pod: &Pod, key: &str) -> bool {
    let taint = Taint { key: key.to_owned(), effect: "NoExecute".to_owned(), ..Taint::default() };
    pod.spec.tolerations.iter().any(|toleration| toleration.tolerates(&taint))
}

/// When a pod must leave because of a taint; `None` if it may stay for ever.
fn end_of_patience(cluster: &Cluster, pod: &Pod, taint: &Taint) -> Option<Timestamp> {
    let since = taint.time_added.unwrap_or(cluster.now);
    let tolerations: Vec<_> =
        pod.spec.tolerations.iter().filter(|toleration| toleration.tolerates(taint)).collect();
    if tolerations.is_empty() {
        return Some(since);
    }
    let shortest = tolerations.iter().filter_map(|toleration| toleration.seconds).min()?;
    Some(later(since, cluster.lasting(shortest as f64)))
}

fn disrupt(cluster: &mut Cluster, pod: &Pod) {
    let at = seconds(cluster.now);
    cluster.update::<Pod>(&Key::of(pod), |pod| {
        let shown = Shown {
            kind: "DisruptionTarget",
            status: "True",
            reason: "DeletionByTaintManager",
            message: "Taint manager: deleting due to NoExecute taint",
        };
        conditions::put(&mut pod["status"], &shown, &at);
    });
}
