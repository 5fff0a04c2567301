//! What metrics.k8s.io tells: CPU and memory in use, by container and by node.
//! It knows running containers and their load.

use std::collections::{BTreeMap, HashSet};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::cluster::{Cluster, later};
use super::container::Slot;
use super::kubelet::Kubelet;
use super::objects::Container;
use super::traffic::Traffic;
use crate::lab::store::seconds;

const MIB: f64 = 1_048_576.0;

/// What the operating system and the kubelet of a node use: cores, and bytes.
const SYSTEM: (f64, f64) = (0.09, 620.0 * MIB);

/// Working set of a running container, in bytes: it grows while it starts, and never over its limit.
pub fn memory(slot: &Slot, container: &Container, since: Timestamp, cluster: &Cluster) -> f64 {
    let age = cluster.now.duration_since(since).as_secs_f64() * cluster.speed;
    let full_after = slot.life.exit.as_ref().map_or(slot.life.boot + 5.0, |exit| exit.after * 0.95);
    let grown = (age / full_after.max(0.1)).clamp(0.15, 1.0);
    // a slow breath, so that the line is not dead straight
    let breath = 1.0 + 0.012 * (cluster.now.as_second() as f64 / 97.0 + slot.id.len() as f64).sin();
    let limit = container.limit("memory").unwrap_or(f64::MAX);
    let leaked = slot.life.leak_mib_per_minute * MIB * age / 60.0;
    (slot.life.memory_mib * MIB * grown * breath + leaked).min(limit)
}

/// CPU of one container of a pod, in cores: its share by request.
pub fn cores(container: &Container, pod_cores: f64, pod_request: f64) -> f64 {
    if pod_request > 0.0 { pod_cores * container.request("cpu") / pod_request } else { pod_cores }
}

/// Writes PodMetrics and NodeMetrics, and removes those of what is gone.
pub fn publish(cluster: &Cluster, kubelet: &Kubelet, traffic: &Traffic) {
    let mut by_node: BTreeMap<&str, (f64, f64)> = BTreeMap::new();
    for (key, node) in cluster.nodes.iter() {
        if !kubelet.is_stopped(&key.name) {
            by_node.insert(&node.metadata.name, SYSTEM);
        }
    }
    let mut known = HashSet::new();
    let pods: Vec<_> =
        kubelet.runs.iter().filter_map(|(key, run)| Some((key, run, cluster.pods.get(key)?))).collect();
    for (key, run, pod) in &pods {
        let Some(node) = by_node.get_mut(pod.spec.node_name.as_str()) else { continue };
        let total = traffic.cores.get(key).copied().unwrap_or(0.0);
        let mut containers = Vec::new();
        for (slot, container) in run.slots.iter().zip(&pod.spec.containers) {
            let Some(since) = slot.running_since() else { continue };
            let (cpu, bytes) =
                (cores(container, total, pod.requests("cpu")), memory(slot, container, since, cluster));
            node.0 += cpu;
            node.1 += bytes;
            containers.push(json!({ "name": container.name, "usage": usage(cpu, bytes) }));
        }
        if !containers.is_empty() {
            let labels = pod.metadata.labels.clone();
            put(
                cluster,
                "podmetrics",
                (&key.namespace, &key.name),
                &json!(labels),
                ("containers", containers.into()),
            );
            known.insert((key.namespace.as_str(), key.name.as_str()));
        }
    }
    for (node, (cpu, bytes)) in &by_node {
        put(cluster, "nodemetrics", ("", node), &json!({}), ("usage", usage(*cpu, *bytes)));
        known.insert(("", node));
    }
    for resource in ["podmetrics", "nodemetrics"] {
        for object in cluster.store.list(resource, None).0 {
            if !known.contains(&(object.namespace.as_str(), object.name.as_str())) {
                let _gone_already = cluster.store.delete(resource, &object.namespace, &object.name);
            }
        }
    }
}

fn usage(cpu: f64, bytes: f64) -> Value {
    json!({ "cpu": format!("{}n", (cpu * 1e9) as u64), "memory": format!("{}Ki", (bytes / 1024.0) as u64) })
}

fn put(
    cluster: &Cluster,
    resource: &str,
    (namespace, name): (&str, &str),
    labels: &Value,
    (field, value): (&str, Value),
) {
    let at = seconds(later(cluster.now, -jiff::SignedDuration::from_secs(1)));
    let known = cluster.store.update(resource, namespace, name, cluster.now, |object| {
        object["timestamp"] = at.clone().into();
        object[field] = value.clone();
    });
    if known.is_err() {
        let mut object = json!({
            "metadata": { "name": name, "labels": labels }, "timestamp": at, "window": "15s",
        });
        if !namespace.is_empty() {
            object["metadata"]["namespace"] = namespace.into();
        }
        object[field] = value;
        let _exists_only_in_a_race = cluster.store.create(resource, object, cluster.now);
    }
}
