//! Services' endpoints: which ready pods stand behind a name, as EndpointSlice and as Endpoints.
//! It knows labels and readiness, not traffic.

use std::sync::Arc;

use serde_json::{Value, json};

use super::cluster::Cluster;
use super::deployment::owner_reference;
use super::objects::{Bare, Pod, Service};
use super::shelf::Key;

pub fn reconcile(cluster: &mut Cluster, key: &Key) {
    let Some(service) = cluster.services.get(key) else { return };
    if service.spec.selector.is_empty() {
        return;
    }
    let pods = behind(cluster, &service);
    write_slice(cluster, &service, &pods);
    write_endpoints(cluster, &service, &pods);
}

/// The pods a service selects that have an address.
fn behind(cluster: &Cluster, service: &Service) -> Vec<Arc<Pod>> {
    let selector = &service.spec.selector;
    cluster
        .pods
        .within(&service.metadata.namespace)
        .filter(|(_, pod)| !pod.status.pod_ip.is_empty() && !pod.is_finished())
        .filter(|(_, pod)| selector.iter().all(|(key, value)| pod.metadata.labels.get(key) == Some(value)))
        .map(|(_, pod)| pod.clone())
        .collect()
}

fn write_slice(cluster: &mut Cluster, service: &Service, pods: &[Arc<Pod>]) {
    let meta = &service.metadata;
    let endpoints: Vec<Value> = pods.iter().map(|pod| endpoint(pod)).collect();
    let ports: Vec<Value> = ports(service, pods)
        .into_iter()
        .map(|(name, port, protocol)| json!({ "name": name, "port": port, "protocol": protocol }))
        .collect();
    let suffix = super::deployment::template_hash(&json!([meta.uid]));
    let key = Key::new(&meta.namespace, &format!("{}-{}", meta.name, &suffix[..5]));
    let written = cluster.update::<Bare>(&key, |slice| {
        slice["endpoints"] = endpoints.clone().into();
        slice["ports"] = ports.clone().into();
    });
    if !written {
        let owner = owner_reference("v1", "Service", &meta.name, &meta.uid);
        let _made_before_by_nobody = cluster.create::<Bare>(json!({
            "metadata": {
                "name": key.name, "namespace": key.namespace, "generateName": format!("{}-", meta.name),
                "labels": {
                    "kubernetes.io/service-name": meta.name,
                    "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
                },
                "ownerReferences": [owner],
            },
            "addressType": "IPv4",
            "endpoints": endpoints,
            "ports": ports,
        }));
    }
}

fn endpoint(pod: &Pod) -> Value {
    let serving = pod.is_ready();
    json!({
        "addresses": [pod.status.pod_ip],
        "conditions": {
            "ready": serving && !pod.is_deleting(), "serving": serving, "terminating": pod.is_deleting(),
        },
        "nodeName": pod.spec.node_name,
        "targetRef": {
            "kind": "Pod", "namespace": pod.metadata.namespace, "name": pod.metadata.name, "uid": pod.metadata.uid,
        },
    })
}

fn write_endpoints(cluster: &mut Cluster, service: &Service, pods: &[Arc<Pod>]) {
    let meta = &service.metadata;
    let address = |pod: &Pod| {
        json!({ "ip": pod.status.pod_ip, "nodeName": pod.spec.node_name, "targetRef": {
            "kind": "Pod", "namespace": pod.metadata.namespace, "name": pod.metadata.name, "uid": pod.metadata.uid } })
    };
    let alive = || pods.iter().filter(|pod| !pod.is_deleting());
    let ready: Vec<Value> = alive().filter(|pod| pod.is_ready()).map(|pod| address(pod)).collect();
    let unready: Vec<Value> = alive().filter(|pod| !pod.is_ready()).map(|pod| address(pod)).collect();
    let mut subset = json!({ "ports": ports(service, pods).into_iter()
        .map(|(name, port, protocol)| json!({ "name": name, "port": port, "protocol": protocol }))
        .collect::<Vec<_>>() });
    for (field, list) in [("addresses", &ready), ("notReadyAddresses", &unready)] {
        if !list.is_empty() {
            subset[field] = list.clone().into();
        }
    }
    let subsets = if ready.is_empty() && unready.is_empty() { json!([]) } else { json!([subset]) };
    let known = cluster.store.update("endpoints", &meta.namespace, &meta.name, cluster.now, |endpoints| {
        endpoints["subsets"] = subsets.clone();
    });
    if known.is_err() {
        let _made_before_by_nobody = cluster.store.create(
            "endpoints",
            json!({
                "metadata": { "name": meta.name, "namespace": meta.namespace, "labels": meta.labels },
                "subsets": subsets,
            }),
            cluster.now,
        );
    }
}

fn ports(service: &Service, pods: &[Arc<Pod>]) -> Vec<(String, u16, String)> {
    let resolve = |wanted: &Value, fallback: u16| {
        pods.iter()
            .flat_map(|pod| &pod.spec.containers)
            .find_map(|container| container.port(wanted))
            .or_else(|| wanted.as_u64().map(|port| port as u16))
            .unwrap_or(fallback)
    };
    service
        .spec
        .ports
        .iter()
        .map(|port| {
            let protocol = if port.protocol.is_empty() { "TCP" } else { &port.protocol };
            (port.name.clone(), resolve(&port.target_port, port.port), protocol.to_owned())
        })
        .collect()
}
