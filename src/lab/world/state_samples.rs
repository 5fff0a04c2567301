//! The part of a scrape that kube-state-metrics and the node exporters answer: objects as numbers.
//! It knows metric names and objects, not load.

use super::cluster::Cluster;
use super::objects::{Deployment, Node, Pod, condition};
use super::samples::Scrape;
use super::scale;

pub(super) fn flag(holds: bool) -> f64 {
    f64::from(u8::from(holds))
}

pub(super) fn pod_state(scrape: &mut Scrape, pod: &Pod) {
    let (namespace, name) = (pod.metadata.namespace.as_str(), pod.metadata.name.as_str());
    let base = [("namespace", namespace), ("pod", name)];
    let owner = pod.metadata.controller();
    scrape.put(
        "kube_pod_info",
        &[
            base[0],
            base[1],
            ("node", &pod.spec.node_name),
            ("pod_ip", &pod.status.pod_ip),
            ("uid", &pod.metadata.uid),
            ("created_by_kind", owner.map_or("", |owner| &owner.kind)),
            ("created_by_name", owner.map_or("", |owner| &owner.name)),
        ],
        1.0,
    );
    for phase in ["Pending", "Running", "Succeeded", "Failed"] {
        scrape.put(
            "kube_pod_status_phase",
            &[base[0], base[1], ("phase", phase)],
            flag(pod.status.phase == phase),
        );
    }
    for (word, holds) in [("true", pod.is_ready()), ("false", !pod.is_ready())] {
        scrape.put("kube_pod_status_ready", &[base[0], base[1], ("condition", word)], flag(holds));
    }
    scrape.put(
        "kube_pod_status_reason",
        &[base[0], base[1], ("reason", "Evicted")],
        flag(pod.status.reason == "Evicted"),
    );
    for status in &pod.status.container_statuses {
        let base = [base[0], base[1], ("container", status.name.as_str())];
        scrape.put("kube_pod_container_status_restarts_total", &base, f64::from(status.restart_count));
        scrape.put("kube_pod_container_status_ready", &base, flag(status.ready));
        scrape.put("kube_pod_container_status_running", &base, flag(status.state.running.is_some()));
        if let Some(waiting) = &status.state.waiting {
            let labels = [base[0], base[1], base[2], ("reason", waiting.reason.as_str())];
            scrape.put("kube_pod_container_status_waiting_reason", &labels, 1.0);
        }
        if let Some(ended) = &status.last_state.terminated {
            let labels = [base[0], base[1], base[2], ("reason", ended.reason.as_str())];
            scrape.put("kube_pod_container_status_last_terminated_reason", &labels, 1.0);
        }
    }
}

pub(super) fn deployment_state(scrape: &mut Scrape, deployment: &Deployment) {
    let Deployment { metadata, spec, status } = deployment;
    let base = [("namespace", metadata.namespace.as_str()), ("deployment", metadata.name.as_str())];
    for (name, value) in [
        ("kube_deployment_spec_replicas", spec.replicas.unwrap_or(1)),
        ("kube_deployment_status_replicas", status.replicas),
        ("kube_deployment_status_replicas_updated", status.updated_replicas),
        ("kube_deployment_status_replicas_ready", status.ready_replicas),
        ("kube_deployment_status_replicas_available", status.available_replicas),
        ("kube_deployment_status_replicas_unavailable", (status.replicas - status.available_replicas).max(0)),
        ("kube_deployment_metadata_generation", metadata.generation as i32),
        ("kube_deployment_status_observed_generation", status.observed_generation as i32),
    ] {
        scrape.put(name, &base, f64::from(value));
    }
    scrape.put("kube_deployment_spec_paused", &base, flag(spec.paused));
    for condition in &status.conditions {
        for word in ["true", "false", "unknown"] {
            let labels = [base[0], base[1], ("condition", condition.r#type.as_str()), ("status", word)];
            scrape.put(
                "kube_deployment_status_condition",
                &labels,
                flag(condition.status.eq_ignore_ascii_case(word)),
            );
        }
    }
}

/// `space` is what its file system holds and has free; None where nobody answers for the machine.
pub(super) fn node_state(scrape: &mut Scrape, node: &Node, space: Option<(f64, f64)>) {
    let name = node.metadata.name.as_str();
    for kind in ["Ready", "MemoryPressure", "DiskPressure", "PIDPressure"] {
        let status =
            condition(&node.status.conditions, kind).map_or("Unknown", |shown| shown.status.as_str());
        for word in ["true", "false", "unknown"] {
            let labels = [("node", name), ("condition", kind), ("status", word)];
            scrape.put("kube_node_status_condition", &labels, flag(status.eq_ignore_ascii_case(word)));
        }
    }
    scrape.put("kube_node_info", &[("node", name)], 1.0);
    scrape.put("kube_node_spec_unschedulable", &[("node", name)], flag(node.spec.unschedulable));
    for (resource, unit) in [("cpu", "core"), ("memory", "byte"), ("pods", "integer")] {
        let labels = [("node", name), ("resource", resource), ("unit", unit)];
        scrape.put("kube_node_status_allocatable", &labels, node.allocatable(resource));
    }
    let instance = [("instance", name), ("job", "node-exporter")];
    scrape.put("up", &instance, flag(space.is_some()));
    if let Some((size, free)) = space {
        let disk =
            [instance[0], instance[1], ("device", "/dev/nvme0n1p1"), ("fstype", "xfs"), ("mountpoint", "/")];
        scrape.put("node_filesystem_size_bytes", &disk, size);
        scrape.put("node_filesystem_avail_bytes", &disk, free);
        scrape.put("node_filesystem_readonly", &disk, 0.0);
    }
}

pub(super) fn autoscalers(scrape: &mut Scrape, cluster: &Cluster) {
    for (key, hpa) in cluster.hpas.iter() {
        let base = [("namespace", key.namespace.as_str()), ("horizontalpodautoscaler", key.name.as_str())];
        for (name, value) in [
            ("kube_horizontalpodautoscaler_spec_min_replicas", hpa.spec.min_replicas.unwrap_or(1)),
            ("kube_horizontalpodautoscaler_spec_max_replicas", hpa.spec.max_replicas),
            ("kube_horizontalpodautoscaler_status_current_replicas", hpa.status.current_replicas),
            ("kube_horizontalpodautoscaler_status_desired_replicas", hpa.status.desired_replicas),
        ] {
            scrape.put(name, &base, f64::from(value));
        }
        for condition in &hpa.status.conditions {
            for word in ["true", "false", "unknown"] {
                let labels = [base[0], base[1], ("condition", condition.r#type.as_str()), ("status", word)];
                let holds = flag(condition.status.eq_ignore_ascii_case(word));
                scrape.put("kube_horizontalpodautoscaler_status_condition", &labels, holds);
            }
        }
    }
}

pub(super) fn services(scrape: &mut Scrape, cluster: &Cluster) {
    for (key, service) in cluster.services.iter().filter(|(key, _)| !scale::is_crowd(&key.namespace)) {
        let base = [("namespace", key.namespace.as_str())];
        scrape.put("kube_service_info", &[base[0], ("service", &key.name)], 1.0);
        let selector = &service.spec.selector;
        let pods = cluster.pods.within(&key.namespace).filter(|(_, pod)| {
            !selector.is_empty()
                && selector.iter().all(|(key, value)| pod.metadata.labels.get(key) == Some(value))
        });
        for (_, pod) in pods.filter(|(_, pod)| !pod.status.pod_ip.is_empty() && !pod.is_finished()) {
            let ready = if pod.is_ready() && !pod.is_deleting() { "true" } else { "false" };
            let labels = [
                base[0],
                ("endpoint", key.name.as_str()),
                ("ip", pod.status.pod_ip.as_str()),
                ("ready", ready),
            ];
            scrape.put("kube_endpoint_address", &labels, 1.0);
        }
    }
}
