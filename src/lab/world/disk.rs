//! The nodes' disks: what fills them, what their kubelets do about it, and what frees them again.
//! It knows bytes and inodes by pod and image; which commands ask for it is not known here.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::cluster::Cluster;
use super::conditions::{self, Shown};
use super::events::{About, Source};
use super::kubelet::Kubelet;
use super::objects::{Node, Pod};
use super::shelf::Key;
use crate::lab::store::seconds;

pub(super) const GIB: f64 = 1_073_741_824.0;
const CAPACITY: f64 = 80.0 * GIB;
const SYSTEM: f64 = 6.0 * GIB;
const INODES: f64 = 41_942_464.0;
/// The kubelet's defaults: images are collected from 85 % use down to 80 %, pods evicted below 10 % free
/// or 5 % of the inodes, and the condition stays for 5 min after that.
const COLLECT: f64 = 0.85;
const EVICT: f64 = 0.10;
const EVICT_INODES: f64 = 0.05;
const TRANSITION: f64 = 300.0;
/// Seconds between two evictions, and between two complaints about a failed clean-up.
const EVICTION: f64 = 30.0;
const COMPLAINT: f64 = 120.0;
/// Share of the disk, or of its inodes, that is added per minute of a fault.
const RATE: f64 = 0.04;
const PRESSURE: &str = "node.kubernetes.io/disk-pressure";

#[derive(Default)]
pub struct Disks {
    nodes: BTreeMap<String, Disk>,
    last: Option<Timestamp>,
}

/// One node's only disk.
pub struct Disk {
    pub(super) device: f64,
    pub(super) partition: f64,
    pub(super) capacity: f64,
    pub(super) journal: f64,
    /// Images that no container uses, and that are too young for the kubelet to collect.
    pub(super) unused: Vec<(String, f64)>,
    /// Bytes and inodes of pods beyond the usual.
    pods: HashMap<Key, (f64, f64)>,
    growing: Option<Growing>,
    pressed: bool,
    /// Since when it has had room again.
    relieved: Option<Timestamp>,
    next_eviction: Option<Timestamp>,
    next_complaint: Option<Timestamp>,
}

/// What makes a disk fuller.
#[derive(Clone)]
enum Growing {
    /// The log of a pod, by so many bytes a minute.
    Logs(Key, f64),
    Files(Key),
    Images,
}

impl Default for Disk {
    fn default() -> Self {
        Self {
            device: CAPACITY,
            partition: CAPACITY,
            capacity: CAPACITY,
            journal: 0.7 * GIB,
            unused: Vec::new(),
            pods: HashMap::new(),
            growing: None,
            pressed: false,
            relieved: None,
            next_eviction: None,
            next_complaint: None,
        }
    }
}

/// Bytes of an image: always the same for a name.
pub(super) fn image_size(image: &str) -> f64 {
    let sum: u64 = image.bytes().fold(7, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(byte)));
    (80 + sum % 320) as f64 * 1_048_576.0
}

impl Disks {
    pub(super) fn of(&mut self, node: &str) -> &mut Disk {
        self.nodes.entry(node.to_owned()).or_default()
    }

    /// A worker's log grows without end.
    pub fn spam(&mut self, cluster: &Cluster) {
        self.fault(cluster, |disk, hog, used| {
            disk.pods.insert(hog.clone(), (0.84 * CAPACITY - used, 40.0));
            disk.growing = Some(Growing::Logs(hog, RATE * CAPACITY));
        });
    }

    /// A worker's log grows by this share of the disk an hour, and begins now.
    pub fn trickle(&mut self, cluster: &Cluster, share_per_hour: f64) {
        self.fault(cluster, |disk, hog, _| {
            disk.pods.insert(hog.clone(), (0.0, 40.0));
            disk.growing = Some(Growing::Logs(hog, share_per_hour / 60.0 * CAPACITY));
        });
    }

    /// A worker writes millions of small files.
    pub fn litter(&mut self, cluster: &Cluster) {
        self.fault(cluster, |disk, hog, _| {
            disk.pods.insert(hog.clone(), (3.0 * GIB, 0.86 * INODES));
            disk.growing = Some(Growing::Files(hog));
        });
    }

    /// Images of a build job pile up faster than the kubelet may collect them.
    pub fn pile(&mut self, cluster: &Cluster) {
        self.fault(cluster, |disk, _, used| {
            let count = ((0.84 * CAPACITY - used) / (1.6 * GIB)) as usize;
            disk.unused = (0..count).map(built).collect();
            disk.growing = Some(Growing::Images);
        });
    }

    fn fault(&mut self, cluster: &Cluster, fill: impl FnOnce(&mut Disk, Key, f64)) {
        let worker = cluster.pods.within(super::NAMESPACE).find(|(key, pod)| {
            key.name.starts_with("covetpy-worker-") && pod.is_active() && !pod.spec.node_name.is_empty()
        });
        let Some((key, pod)) = worker else { return };
        let node = pod.spec.node_name.clone();
        let used = self.of(&node).used(cluster, &node, None);
        fill(self.of(&node), key.clone(), used);
    }

    /// Advances growth, and lets kubelets look. Cheap when nothing grows and nothing presses.
    pub fn tick(&mut self, cluster: &mut Cluster, kubelet: &mut Kubelet) {
        let now = cluster.now;
        let elapsed = self.last.map_or(0.0, |last| now.duration_since(last).as_secs_f64());
        if self.last.is_some() && elapsed < 1.0 {
            return;
        }
        self.last = Some(now);
        let minutes = elapsed * cluster.speed / 60.0;
        for (name, disk) in &mut self.nodes {
            if cluster.nodes.get(&Key::new("", name)).is_none() {
                continue;
            }
            disk.pods.retain(|key, _| cluster.pods.get(key).is_some_and(|pod| !pod.is_finished()));
            disk.grow(minutes);
            let reading = disk.read(cluster, name, kubelet);
            let full = reading.available < 0.02 * disk.capacity || reading.inodes_free < 0.01 * INODES;
            kubelet.set_full(name, full);
            if !kubelet.is_stopped(name) {
                disk.watch(cluster, name, &reading);
            }
        }
        self.nodes.retain(|name, _| cluster.nodes.get(&Key::new("", name)).is_some());
    }

    /// `stats/summary` of a kubelet; None while it is silent or there is no such node.
    pub fn summary(&mut self, cluster: &Cluster, kubelet: &Kubelet, node: &str) -> Option<Value> {
        cluster.nodes.get(&Key::new("", node))?;
        if kubelet.is_stopped(node) {
            return None;
        }
        let disk = self.of(node);
        let reading = disk.read(cluster, node, kubelet);
        let at = seconds(cluster.now);
        let fs = json!({
            "time": at, "availableBytes": reading.available as u64, "capacityBytes": disk.capacity as u64,
            "usedBytes": (disk.capacity - reading.available) as u64, "inodesFree": reading.inodes_free as u64,
            "inodes": INODES as u64, "inodesUsed": (INODES - reading.inodes_free) as u64,
        });
        let mut image = fs.clone();
        image["usedBytes"] = (reading.images as u64).into();
        let pods: Vec<Value> = cluster
            .pods_on(node)
            .iter()
            .filter(|pod| !pod.is_finished())
            .map(|pod| {
                let (bytes, inodes) = disk.of_pod(pod);
                json!({
                    "podRef": { "name": pod.metadata.name, "namespace": pod.metadata.namespace, "uid": pod.metadata.uid },
                    "startTime": at,
                    "ephemeral-storage": {
                        "time": at, "availableBytes": reading.available as u64, "capacityBytes": disk.capacity as u64,
                        "usedBytes": bytes as u64, "inodesFree": reading.inodes_free as u64, "inodes": INODES as u64,
                        "inodesUsed": inodes as u64,
                    },
                })
            })
            .collect();
        Some(
            json!({ "node": { "nodeName": node, "startTime": at, "fs": fs, "runtime": { "imageFs": image } }, "pods": pods }),
        )
    }
}

impl Disks {
    /// Bytes of a node's file system, and those that are free.
    pub fn space(&self, cluster: &Cluster, kubelet: &Kubelet, node: &str) -> (f64, f64) {
        let usual = Disk::default();
        let disk = self.nodes.get(node).unwrap_or(&usual);
        (disk.capacity, disk.read(cluster, node, kubelet).available)
    }
}

/// How a disk stands.
pub(super) struct DiskReading {
    pub(super) available: f64,
    pub(super) inodes_free: f64,
    pub(super) images: f64,
}

impl Disk {
    fn grow(&mut self, minutes: f64) {
        match self.growing.clone() {
            Some(Growing::Logs(key, rate)) => match self.pods.get_mut(&key) {
                Some((bytes, _)) => *bytes += rate * minutes,
                None => self.growing = None,
            },
            Some(Growing::Files(key)) => match self.pods.get_mut(&key) {
                Some((bytes, inodes)) => {
                    *inodes += 1.5 * RATE * INODES * minutes;
                    *bytes += 0.2 * GIB * minutes;
                }
                None => self.growing = None,
            },
            Some(Growing::Images) => {
                let sum: f64 = self.unused.iter().map(|(_, bytes)| bytes).sum();
                // Once nothing fits any more, the build job's pulls fail.
                let wanted = (sum + RATE * CAPACITY * minutes).min(0.84 * CAPACITY);
                if let Some((_, last)) = self.unused.last_mut() {
                    *last += wanted - sum;
                    if *last > 3.2 * GIB {
                        *last -= 1.6 * GIB;
                        self.unused.push(built(self.unused.len()));
                    }
                }
            }
            None => {}
        }
    }

    /// Whoever made it fuller has stopped.
    pub(super) fn calm(&mut self) {
        self.growing = None;
    }

    fn of_pod(&self, pod: &Pod) -> (f64, f64) {
        let (bytes, inodes) = self.pods.get(&Key::of(pod)).copied().unwrap_or_default();
        (bytes + 0.05 * GIB, inodes + 900.0)
    }

    fn used(&self, cluster: &Cluster, node: &str, images: Option<f64>) -> f64 {
        let pods: f64 = cluster.pods_on(node).iter().map(|pod| self.of_pod(pod).0).sum();
        let unused: f64 = self.unused.iter().map(|(_, bytes)| bytes).sum();
        SYSTEM + self.journal + pods + unused + images.unwrap_or(4.0 * GIB)
    }

    pub(super) fn read(&self, cluster: &Cluster, node: &str, kubelet: &Kubelet) -> DiskReading {
        let here: f64 = kubelet.images_on(node).map(|image| image_size(image)).sum();
        let unused: f64 = self.unused.iter().map(|(_, bytes)| bytes).sum();
        let inodes: f64 = cluster.pods_on(node).iter().map(|pod| self.of_pod(pod).1).sum();
        let used = self.used(cluster, node, Some(here)).min(self.capacity);
        DiskReading {
            available: self.capacity - used,
            inodes_free: (INODES - 260_000.0 - inodes).max(0.0),
            images: here + unused,
        }
    }

    /// What the kubelet of the node does about it.
    fn watch(&mut self, cluster: &mut Cluster, name: &str, reading: &DiskReading) {
        let now = cluster.now;
        let free = reading.available / self.capacity;
        let source = Source { component: "kubelet", host: name };
        let Some(node) = cluster.nodes.get(&Key::new("", name)) else { return };
        let about = About::new("nodes", &node.metadata);
        if 1.0 - free > COLLECT && self.next_complaint.is_none_or(|next| next <= now) {
            self.next_complaint = Some(cluster.after(COMPLAINT));
            let wanted = ((0.8 * self.capacity) - (self.capacity - reading.available)).abs() as u64;
            let message = format!(
                "Failed to garbage collect required amount of images. Attempted to free {wanted} bytes, but only found 0 bytes eligible to free."
            );
            cluster.warn(about, source, "FreeDiskSpaceFailed", &message);
            cluster.warn(about, source, "ImageGCFailed", &message);
        }
        let out = free < EVICT || reading.inodes_free < EVICT_INODES * INODES;
        if out {
            self.relieved = None;
            if !self.pressed {
                self.pressed = true;
                press(cluster, &node, true);
            }
            if self.next_eviction.is_none_or(|next| next <= now) {
                self.next_eviction = Some(cluster.after(EVICTION));
                let what = if free < EVICT { "ephemeral-storage" } else { "inodes" };
                let message = format!("Attempting to reclaim {what}");
                cluster.warn(about, source, "EvictionThresholdMet", &message);
                self.evict(cluster, name, what, reading);
            }
        } else if self.pressed {
            let since = *self.relieved.get_or_insert(now);
            if now.duration_since(since) >= cluster.lasting(TRANSITION) {
                self.pressed = false;
                self.relieved = None;
                press(cluster, &node, false);
            }
        }
    }

    /// One pod: of those that use more than they asked for, the largest (kubelet eviction/helpers.go).
    fn evict(&mut self, cluster: &mut Cluster, node: &str, what: &str, reading: &DiskReading) {
        let mut candidates: Vec<(f64, Arc<Pod>)> = cluster
            .pods_on(node)
            .into_iter()
            .filter(|pod| pod.is_active())
            .filter(|pod| pod.metadata.controller().is_none_or(|owner| owner.kind == "ReplicaSet"))
            .filter(|pod| pod.metadata.namespace == super::NAMESPACE)
            .map(|pod| (self.of_pod(&pod).0, pod))
            .filter(|(bytes, pod)| *bytes > pod.requests("ephemeral-storage"))
            .collect();
        candidates.sort_by(|one, other| {
            other.0.total_cmp(&one.0).then_with(|| one.1.metadata.name.cmp(&other.1.metadata.name))
        });
        let Some((bytes, pod)) = candidates.into_iter().next() else { return };
        let container = pod.spec.containers.first().map_or("", |container| container.name.as_str());
        let message = format!(
            "The node was low on resource: {what}. Threshold quantity: {}, available: {}Ki. Container {container} was using {}Ki, request is 0, has larger consumption of {what}. ",
            (EVICT * self.capacity) as u64,
            (reading.available / 1024.0) as u64,
            (bytes / 1024.0) as u64
        );
        let source = Source { component: "kubelet", host: node };
        cluster.warn(About::new("pods", &pod.metadata), source, "Evicted", &message);
        let at = seconds(cluster.now);
        cluster.update::<Pod>(&Key::of(&*pod), |object| {
            let status = &mut object["status"];
            status["phase"] = "Failed".into();
            status["reason"] = "Evicted".into();
            status["message"] = message.clone().into();
            for container in status["containerStatuses"].as_array_mut().into_iter().flatten() {
                let started = container.pointer("/state/running/startedAt").cloned().unwrap_or_default();
                container["ready"] = false.into();
                container["state"] = json!({ "terminated": {
                    "exitCode": 137, "reason": "Error", "startedAt": started, "finishedAt": at,
                } });
            }
            for kind in ["Ready", "ContainersReady"] {
                let shown = Shown { kind, status: "False", reason: "PodFailed", message: "" };
                conditions::put(status, &shown, &at);
            }
            let shown = Shown {
                kind: "DisruptionTarget",
                status: "True",
                reason: "TerminationByKubelet",
                message: message.trim(),
            };
            conditions::put(status, &shown, &at);
        });
    }
}

fn built(number: usize) -> (String, f64) {
    (format!("ghcr.io/yourorg/ci-builder:run-{}", 1840 + number), 1.6 * GIB)
}

/// The condition, its event, and the taint that the node controller adds for it.
fn press(cluster: &mut Cluster, node: &Node, pressed: bool) {
    let at = seconds(cluster.now);
    let name = node.metadata.name.clone();
    let (status, reason, message, event) = if pressed {
        ("True", "KubeletHasDiskPressure", "kubelet has disk pressure", "NodeHasDiskPressure")
    } else {
        ("False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure", "NodeHasNoDiskPressure")
    };
    cluster.update::<Node>(&Key::new("", &name), |object| {
        let shown = Shown { kind: "DiskPressure", status, reason, message };
        conditions::put(&mut object["status"], &shown, &at);
        super::node_lifecycle::set_taint(object, PRESSURE, &["NoSchedule"], pressed, &at);
    });
    let source = Source { component: "kubelet", host: &name };
    cluster.normal(
        About::new("nodes", &node.metadata),
        source,
        event,
        &format!("Node {name} status is now: {event}"),
    );
}
