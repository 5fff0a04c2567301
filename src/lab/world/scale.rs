//! Scale mode: a crowd of quiet pods of other teams, and status updates at a steady rate.
//! It knows how to make many believable objects quickly; nothing acts on them until somebody does.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::birth;
use super::cluster::{Cluster, later};
use super::deployment::{HASH, REVISION, owner_reference, template_hash};
use super::furnish;
use super::neighbours;
use super::objects::{Deployment, Node, Pod, ReplicaSet};
use super::shelf::Key;
use crate::lab::store::seconds;

/// How large.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scale {
    pub pods: usize,
    pub nodes: usize,
    /// Pod status updates per second.
    pub churn_per_second: f64,
}

/// Pods of one deployment of the crowd.
const REPLICAS: usize = 25;

/// Deployments of one team.
const PER_TEAM: usize = 20;

/// Whether a namespace belongs to the crowd.
pub fn is_crowd(namespace: &str) -> bool {
    namespace.starts_with("team-")
}

/// The updates still owed.
pub struct Churn {
    pods: Vec<Key>,
    per_second: f64,
    owed: f64,
    last: Timestamp,
}

impl Churn {
    pub fn tick(&mut self, cluster: &mut Cluster) {
        let elapsed = cluster.now.duration_since(self.last).as_secs_f64();
        self.last = cluster.now;
        self.owed = (self.owed + elapsed * self.per_second).min(self.per_second * 5.0);
        let at = seconds(cluster.now);
        while self.owed >= 1.0 && !self.pods.is_empty() {
            self.owed -= 1.0;
            let key = &self.pods[cluster.rng.usize(..self.pods.len())];
            let revision = cluster.rng.u32(..);
            cluster.update::<Pod>(key, |pod| {
                pod["metadata"]["annotations"]["team.example.com/heartbeat"] =
                    format!("{revision:08x}").into();
                for condition in pod["status"]["conditions"].as_array_mut().into_iter().flatten() {
                    condition["lastProbeTime"] = at.clone().into();
                }
            });
        }
    }
}

/// Makes the crowd.
pub fn populate(cluster: &mut Cluster, scale: Scale) -> Churn {
    let now = cluster.now;
    let first = later(now, -SignedDuration::from_hours(24 * 20));
    cluster.drain();
    cluster.furnishing = true;
    let present: Vec<String> = cluster.nodes.iter().map(|(key, _)| key.name.clone()).collect();
    let mut nodes = Vec::new();
    for index in present.len()..scale.nodes.max(present.len()) {
        let name =
            format!("ip-10-{}-{}-{}.ec2.internal", 1 + index / 40_000, (index / 200) % 200, 10 + index % 200);
        let mut node = furnish::node(&name, index, &seconds(first));
        for part in ["capacity", "allocatable"] {
            node["status"][part]["cpu"] = "32".into();
            node["status"][part]["memory"] = "128Gi".into();
            node["status"][part]["pods"] = "250".into();
        }
        node["metadata"]["labels"]["eks.amazonaws.com/nodegroup"] = "teams".into();
        node["metadata"]["creationTimestamp"] = seconds(first).into();
        // the crowd keeps to itself: what the drills are about finds no room here
        node["spec"]["taints"] = json!([{ "key": "dedicated", "value": "teams", "effect": "NoSchedule" }]);
        let _unique_by_index = cluster.create::<Node>(node);
        nodes.push(name);
    }
    let nodes = if nodes.is_empty() { present } else { nodes };
    let mut pods = Vec::with_capacity(scale.pods);
    let mut number = 0;
    while pods.len() < scale.pods {
        let replicas = REPLICAS.min(scale.pods - pods.len());
        deployment(cluster, number, replicas, first, &nodes, &mut pods);
        number += 1;
    }
    cluster.open();
    Churn { pods, per_second: scale.churn_per_second, owed: 0.0, last: now }
}

fn deployment(
    cluster: &mut Cluster,
    number: usize,
    replicas: usize,
    first: Timestamp,
    nodes: &[String],
    made: &mut Vec<Key>,
) {
    const KINDS: [&str; 12] = [
        "api", "worker", "frontend", "search", "billing", "mailer", "gateway", "reports", "sessions",
        "catalog", "pricing", "ledger",
    ];
    let namespace = format!("team-{:02}", number / PER_TEAM);
    if number.is_multiple_of(PER_TEAM) {
        let _unique_by_number = cluster.store.create("namespaces", neighbours::namespace(&namespace), first);
    }
    let name = format!("{}-{}", KINDS[number % KINDS.len()], number % PER_TEAM);
    let at = seconds(first);
    let template = template(&name, &namespace, number);
    let hash = template_hash(&template);
    let mut labelled = template.clone();
    labelled["metadata"]["labels"][HASH] = hash.clone().into();
    let counts = json!({
        "observedGeneration": 1, "replicas": replicas, "readyReplicas": replicas, "availableReplicas": replicas,
    });
    let Ok(owner) =
        cluster.create::<Deployment>(deployment_object(&name, &namespace, &template, replicas, &at, &counts))
    else {
        return;
    };
    let set_name = format!("{name}-{hash}");
    let mut selector = json!({ "matchLabels": { "app": name } });
    selector["matchLabels"][HASH] = hash.into();
    let mut set_counts = counts;
    set_counts["fullyLabeledReplicas"] = replicas.into();
    let set = cluster.create::<ReplicaSet>(json!({
        "metadata": {
            "name": set_name, "namespace": namespace, "labels": labelled["metadata"]["labels"], "creationTimestamp": at,
            "annotations": {
                REVISION: "1", "deployment.kubernetes.io/desired-replicas": replicas.to_string(),
                "deployment.kubernetes.io/max-replicas": replicas.div_ceil(4).saturating_add(replicas).to_string(),
            },
            "ownerReferences": [owner_reference("apps/v1", "Deployment", &name, &owner.metadata.uid)],
        },
        "spec": { "replicas": replicas, "selector": selector, "template": labelled },
        "status": set_counts,
    }));
    let Ok(set) = set else { return };
    let reference = owner_reference("apps/v1", "ReplicaSet", &set_name, &set.metadata.uid);
    let mut pod = birth::from_template(&set.metadata, &labelled, &reference, &format!("{set_name}-"));
    finish_template(&mut pod, &name, &at);
    for index in 0..replicas {
        let total = made.len();
        let mut pod = pod.clone();
        let address = format!("10.{}.{}.{}", 100 + total / 60_000, (total / 240) % 250, 5 + total % 240);
        pod["spec"]["nodeName"] = nodes[(number * 7 + index) % nodes.len()].clone().into();
        pod["status"]["podIP"] = address.clone().into();
        pod["status"]["podIPs"] = json!([{ "ip": address }]);
        if let Ok(pod) = cluster.create::<Pod>(pod) {
            made.push(Key::of(&*pod));
        }
    }
}

fn template(name: &str, namespace: &str, number: usize) -> Value {
    let variables: Vec<Value> = (0..14)
        .map(|index| json!({ "name": format!("SETTING_{index:02}"), "value": format!("{name}-{namespace}-value-{index:04}") }))
        .collect();
    json!({
        "metadata": {
            "labels": {
                "app": name, "team": namespace, "app.kubernetes.io/name": name, "app.kubernetes.io/part-of": namespace,
                "app.kubernetes.io/version": format!("3.{}.1", number % 17),
            },
            "annotations": {
                "prometheus.io/scrape": "true", "prometheus.io/port": "9090",
                "team.example.com/heartbeat": "00000000",
            },
        },
        "spec": {
            "tolerations": [{ "key": "dedicated", "operator": "Equal", "value": "teams", "effect": "NoSchedule" }],
            "containers": [{
                "name": name,
                "image": format!("registry.example.com/{namespace}/{name}:3.{}.1", number % 17),
                "imagePullPolicy": "IfNotPresent",
                "args": ["serve", "--listen=0.0.0.0:8080", "--config=/etc/app/config.yaml"],
                "ports": [{ "name": "http", "containerPort": 8080, "protocol": "TCP" }],
                "env": variables,
                "resources": { "requests": { "cpu": "50m", "memory": "96Mi" }, "limits": { "memory": "192Mi" } },
                "readinessProbe": {
                    "httpGet": { "path": "/ready", "port": "http", "scheme": "HTTP" }, "periodSeconds": 10,
                    "timeoutSeconds": 1, "failureThreshold": 3, "successThreshold": 1,
                },
            }],
        },
    })
}

fn deployment_object(
    name: &str,
    namespace: &str,
    template: &Value,
    replicas: usize,
    at: &str,
    counts: &Value,
) -> Value {
    let mut status = counts.clone();
    status["updatedReplicas"] = replicas.into();
    status["conditions"] = json!([
        { "type": "Available", "status": "True", "reason": "MinimumReplicasAvailable",
          "message": "Deployment has minimum availability.", "lastTransitionTime": at, "lastUpdateTime": at },
        { "type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable",
          "message": format!("ReplicaSet for \"{name}\" has successfully progressed."),
          "lastTransitionTime": at, "lastUpdateTime": at },
    ]);
    json!({
        "metadata": {
            "name": name, "namespace": namespace, "creationTimestamp": at,
            "labels": { "app": name, "team": namespace }, "annotations": { REVISION: "1" },
        },
        "spec": {
            "replicas": replicas, "revisionHistoryLimit": 10, "progressDeadlineSeconds": 600,
            "selector": { "matchLabels": { "app": name } }, "template": template,
            "strategy": { "type": "RollingUpdate", "rollingUpdate": { "maxSurge": "25%", "maxUnavailable": "25%" } },
        },
        "status": status,
    })
}

/// Everything the pods of one deployment share: times, status and managed fields.
fn finish_template(pod: &mut Value, container: &str, at: &str) {
    pod["metadata"]["creationTimestamp"] = at.into();
    let condition = |kind: &str| json!({ "type": kind, "status": "True", "lastProbeTime": null, "lastTransitionTime": at });
    let conditions = ["PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"]
        .map(condition);
    pod["status"] = json!({
        "phase": "Running", "qosClass": "Burstable", "startTime": at, "hostIP": "10.0.0.1", "hostIPs": [{ "ip": "10.0.0.1" }],
        "conditions": conditions,
        "containerStatuses": [{
            "name": container, "ready": true, "started": true, "restartCount": 0,
            "image": pod["spec"]["containers"][0]["image"],
            "imageID": format!("registry.example.com/{container}@sha256:{}", "5e".repeat(32)),
            "containerID": format!("containerd://{}", "c4".repeat(32)),
            "state": { "running": { "startedAt": at } }, "lastState": {},
        }],
    });
    let spec = furnish::fields(&pod["spec"]);
    let status = furnish::fields(&pod["status"]);
    let labels = furnish::fields(&pod["metadata"]["labels"]);
    pod["metadata"]["managedFields"] = json!([
        { "manager": "kube-controller-manager", "operation": "Update", "apiVersion": "v1", "time": at,
          "fieldsType": "FieldsV1", "fieldsV1": { "f:metadata": { "f:labels": labels }, "f:spec": spec } },
        { "manager": "kubelet", "operation": "Update", "apiVersion": "v1", "time": at, "subresource": "status",
          "fieldsType": "FieldsV1", "fieldsV1": { "f:status": status } },
    ]);
}
