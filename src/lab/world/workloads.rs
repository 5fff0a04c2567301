//! Stateful sets and daemon sets, as far as the lab needs them: pods by name, and by node.
//! It knows owners and pods, and that a new template replaces them one by one.

use std::sync::Arc;

use serde_json::{Value, json};

use super::birth;
use super::cluster::{Cluster, StatefulSet, Work};
use super::conditions::{self, Shown};
use super::deployment::owner_reference;
use super::events::{About, Source};
use super::objects::{DaemonSet, Node, Pod, ReplicaSet, Taint};
use super::replica_set::{available, put_count};
use super::revisions;
use super::shelf::Key;
use crate::lab::store::seconds;

/// Ordered: pod N exists and is ready before N+1 is made.
pub fn stateful_set(cluster: &mut Cluster, key: &Key) {
    let Some(set) = cluster.stateful_sets.get(key) else { return };
    let want = set.spec.replicas.unwrap_or(1).max(0);
    let update = revisions::of(cluster, "StatefulSet", &set.metadata, &set.spec.template);
    let pods = cluster.owned_pods(&set.metadata.uid);
    let named = |ordinal: i32| pods.iter().find(|pod| pod.metadata.name == format!("{}-{ordinal}", key.name));
    let mut settled = true;
    for ordinal in 0..want {
        match named(ordinal) {
            Some(pod) if pod.is_finished() => cluster.delete_gracefully(pod),
            Some(pod) if pod.is_ready() && !pod.is_deleting() => continue,
            Some(_) => {}
            None => make_ordinal(cluster, &set, ordinal, &update),
        }
        settled = false;
        break;
    }
    // The last one first; a pod that never became ready stays, as in life (kubernetes/kubernetes#67250).
    let outdated: Vec<i32> = (0..want)
        .filter(|ordinal| named(*ordinal).is_some_and(|pod| !revisions::is_of(cluster, pod, &update)))
        .collect();
    if settled
        && let Some(pod) = outdated.last().and_then(|ordinal| named(*ordinal))
        && revisions::rolls(cluster, "statefulsets", key)
    {
        cluster.delete_gracefully(pod);
    }
    let surplus: Vec<&Arc<Pod>> = pods
        .iter()
        .filter(|pod| ordinal(&pod.metadata.name).is_some_and(|ordinal| ordinal >= want) && pod.is_active())
        .collect();
    for pod in surplus {
        cluster.delete_gracefully(pod);
    }
    let pods = cluster.owned_pods(&set.metadata.uid);
    let ready = pods.iter().filter(|pod| pod.is_ready() && pod.is_active()).count();
    // Pods on their way out are among all, and among no revision's.
    let staying = pods.iter().filter(|pod| !pod.is_deleting() && revisions::is_of(cluster, pod, &update));
    let updated = staying.count();
    let done = settled && outdated.is_empty() && pods.len() == want as usize;
    cluster.update::<StatefulSet>(key, |set| {
        let generation = set["metadata"]["generation"].clone();
        if !set["status"].is_object() {
            set["status"] = json!({});
        }
        let status = &mut set["status"];
        status["observedGeneration"] = generation;
        status["replicas"] = pods.len().into();
        for field in ["readyReplicas", "availableReplicas"] {
            put_count(status, field, ready);
        }
        if done || !status["currentRevision"].is_string() {
            status["currentRevision"] = update.as_str().into();
        }
        let is_current = status["currentRevision"] == *update;
        status["updateRevision"] = update.as_str().into();
        put_count(status, "currentReplicas", if is_current { updated } else { outdated.len() });
        put_count(status, "updatedReplicas", updated);
    });
}

fn make_ordinal(cluster: &mut Cluster, set: &ReplicaSet, ordinal: i32, revision: &str) {
    let meta = &set.metadata;
    let name = format!("{}-{ordinal}", meta.name);
    let owner = owner_reference("apps/v1", "StatefulSet", &meta.name, &meta.uid);
    let mut template = set.spec.template.clone();
    template["metadata"]["labels"]["statefulset.kubernetes.io/pod-name"] = name.clone().into();
    template["metadata"]["labels"]["apps.kubernetes.io/pod-index"] = ordinal.to_string().into();
    template["metadata"]["labels"][revisions::HASH] = revision.into();
    let about = About::new("statefulsets", meta);
    let source = Source::of("statefulset-controller");
    match birth::named_pod(cluster, meta, &template, &owner, &name) {
        Ok(_) => {
            let message = format!("create Pod {name} in StatefulSet {} successful", meta.name);
            cluster.normal(about, source, "SuccessfulCreate", &message);
        }
        Err(refused) => {
            let message =
                format!("create Pod {name} in StatefulSet {} failed error: {}", meta.name, refused.0);
            cluster.warn(about, source, "FailedCreate", &message);
            cluster.enqueue_in(15.0, Work::StatefulSet(Key::of(set)));
        }
    }
}

fn ordinal(name: &str) -> Option<i32> {
    name.rsplit_once('-')?.1.parse().ok()
}

/// One pod on every node it tolerates; bound directly, as its affinity to one node leaves no choice.
pub fn daemon_set(cluster: &mut Cluster, key: &Key) {
    let Some(set) = cluster.daemon_sets.get(key) else { return };
    let revision = revisions::of(cluster, "DaemonSet", &set.metadata, &set.spec.template);
    let hash = revisions::label("DaemonSet", &set.metadata.name, &revision).to_owned();
    let pods = cluster.owned_pods(&set.metadata.uid);
    let nodes: Vec<String> = cluster
        .nodes
        .iter()
        .filter(|(_, node)| selected(node, &set))
        .filter(|(_, node)| node.spec.taints.iter().all(|taint| daemon_tolerates(taint, &set)))
        .map(|(key, _)| key.name.clone())
        .collect();
    for node in &nodes {
        if pods.iter().all(|pod| pod.spec.node_name != *node || pod.is_finished()) {
            place(cluster, &set, node, &hash);
        }
    }
    let pods: Vec<Arc<Pod>> =
        cluster.owned_pods(&set.metadata.uid).into_iter().filter(|pod| pod.is_active()).collect();
    let ready = pods.iter().filter(|pod| pod.is_ready()).count();
    let able = available(cluster, &pods, set.spec.min_ready_seconds, Work::DaemonSet(key.clone()));
    let outdated: Vec<&Arc<Pod>> = pods.iter().filter(|pod| !revisions::is_of(cluster, pod, &hash)).collect();
    // One unavailable at a time; those that do not work go first, and cost nothing.
    let broken = outdated.iter().find(|pod| !pod.is_ready() && !pod.is_deleting());
    let next = broken.or_else(|| outdated.first().filter(|_| able >= nodes.len()));
    if let Some(pod) = next
        && revisions::rolls(cluster, "daemonsets", key)
    {
        cluster.delete_gracefully(pod);
    }
    let updated = pods.len().saturating_sub(outdated.len());
    cluster.update::<DaemonSet>(key, |set| {
        let generation = set["metadata"]["generation"].clone();
        let mut status = json!({
            "observedGeneration": generation, "currentNumberScheduled": pods.len(), "numberMisscheduled": 0,
            "desiredNumberScheduled": nodes.len(), "numberReady": ready,
        });
        put_count(&mut status, "numberAvailable", able);
        put_count(&mut status, "updatedNumberScheduled", updated);
        put_count(&mut status, "numberUnavailable", nodes.len().saturating_sub(able));
        set["status"] = status;
    });
}

fn selected(node: &Node, set: &DaemonSet) -> bool {
    let selector = set.spec.template["spec"]["nodeSelector"].as_object();
    let has = |key: &str, value: &Value| node.metadata.labels.get(key).map(String::as_str) == value.as_str();
    selector.is_none_or(|selector| selector.iter().all(|(key, value)| has(key, value)))
}

/// Daemon pods stay on nodes that are cordoned, under pressure or gone.
fn daemon_tolerates(taint: &Taint, set: &DaemonSet) -> bool {
    let spec = &set.spec.template["spec"]["tolerations"];
    let everything = spec
        .as_array()
        .is_some_and(|list| list.iter().any(|t| t["operator"] == "Exists" && t["key"].is_null()));
    everything || taint.key.starts_with("node.kubernetes.io/") || taint.effect == "PreferNoSchedule"
}

fn place(cluster: &mut Cluster, set: &DaemonSet, node: &str, hash: &str) {
    let meta = &set.metadata;
    let owner = owner_reference("apps/v1", "DaemonSet", &meta.name, &meta.uid);
    let mut template = set.spec.template.clone();
    let at = seconds(cluster.now);
    let tolerations: Vec<_> =
        ["not-ready", "unreachable", "disk-pressure", "memory-pressure", "pid-pressure", "unschedulable"]
            .iter()
            .map(|name| json!({ "key": format!("node.kubernetes.io/{name}"), "operator": "Exists" }))
            .collect();
    let known = template["spec"]["tolerations"].as_array().cloned().unwrap_or_default();
    template["spec"]["tolerations"] = known.into_iter().chain(tolerations).collect();
    template["spec"]["nodeName"] = node.into();
    template["metadata"]["labels"][revisions::HASH] = hash.into();
    if let Ok(pod) = birth::pod(cluster, meta, &template, &owner) {
        cluster.update::<Pod>(&Key::of(&*pod), |pod| {
            let shown = Shown { kind: "PodScheduled", status: "True", reason: "", message: "" };
            conditions::put(&mut pod["status"], &shown, &at);
        });
        let message = format!("Created pod: {}", pod.metadata.name);
        let about = About::new("daemonsets", meta);
        cluster.normal(about, Source::of("daemonset-controller"), "SuccessfulCreate", &message);
    }
}
