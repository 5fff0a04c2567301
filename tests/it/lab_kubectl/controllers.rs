//! Just enough controllers for kubectl: Deployment → ReplicaSets → pods that become ready at once,
//! deletions that finish, and a PDB's arithmetic.
use std::time::Duration;

use covet_tui::lab::logs::Logs;
use covet_tui::lab::store::{Object, Store, seconds};
use jiff::Timestamp;
use serde_json::{Value, json};

const REVISION: &str = "deployment.kubernetes.io/revision";

pub async fn run(store: Store, logs: Logs) {
    loop {
        let now = Timestamp::now();
        for pod in store.list("pods", None).0 {
            kubelet(&store, &logs, &pod, now);
        }
        for deployment in store.list("deployments", None).0 {
            roll(&store, &deployment, now);
        }
        for set in store.list("replicasets", None).0 {
            replicate(&store, &set, now);
        }
        for budget in store.list("poddisruptionbudgets", None).0 {
            count(&store, &budget, now);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn owned(store: &Store, resource: &str, owner: &Object) -> Vec<std::sync::Arc<Object>> {
    let all = store.list(resource, Some(&owner.namespace)).0;
    all.into_iter().filter(|object| object.controller.as_deref() == Some(&owner.uid)).collect()
}

fn owner(object: &Object) -> Value {
    let kind = object.resource.kind;
    json!([{"apiVersion": "apps/v1", "kind": kind, "name": object.name, "uid": object.uid, "controller": true, "blockOwnerDeletion": true}])
}

fn kubelet(store: &Store, logs: &Logs, pod: &Object, now: Timestamp) {
    if pod.deleting {
        logs.forget(&pod.namespace, &pod.name);
        let _ = store.delete("pods", &pod.namespace, &pod.name);
        return;
    }
    if pod.field("status.phase") == Some("Running") {
        return;
    }
    let nodes = store.list("nodes", None).0;
    let Some(node) = nodes.iter().find(|node| node.field("spec.unschedulable") != Some("true")) else {
        return;
    };
    let name = pod.value()["spec"]["containers"][0]["name"].as_str().unwrap().to_owned();
    logs.append(&pod.namespace, &pod.name, &name, 0, "listening on :8000", now);
    let _ = store.update("pods", &pod.namespace, &pod.name, now, |value| {
        value["spec"]["nodeName"] = node.name.clone().into();
        let image = value["spec"]["containers"][0]["image"].clone();
        value["status"] = json!({
            "phase": "Running", "podIP": "10.1.1.7", "hostIP": "10.0.0.1", "startTime": seconds(now),
            "conditions": [{"type": "Ready", "status": "True"}, {"type": "PodScheduled", "status": "True"}],
            "containerStatuses": [{"name": name, "image": image, "imageID": "", "ready": true, "started": true,
                "restartCount": 0, "containerID": "containerd://x", "state": {"running": {"startedAt": seconds(now)}}, "lastState": {}}],
        });
    });
    let _ = store.create("podmetrics", json!({"metadata": {"name": pod.name, "namespace": pod.namespace, "labels": pod.labels},
        "timestamp": seconds(now), "window": "15s", "containers": [{"name": name, "usage": {"cpu": "153m", "memory": "402Mi"}}]}), now);
}

fn roll(store: &Store, deployment: &Object, now: Timestamp) {
    let value = deployment.value();
    let sets = owned(store, "replicasets", deployment);
    let bare = |template: &Value| {
        let mut template = template.clone();
        template["metadata"]["labels"].as_object_mut().unwrap().remove("pod-template-hash");
        template
    };
    let revision =
        |set: &Value| set["metadata"]["annotations"][REVISION].as_str().unwrap().parse::<u64>().unwrap();
    let highest = sets.iter().map(|set| revision(&set.value())).max().unwrap_or(0);
    let current =
        sets.iter().find(|set| bare(&set.value()["spec"]["template"]) == bare(&value["spec"]["template"]));
    let Some(current) = current else {
        let hash = store.suffix();
        let mut template = value["spec"]["template"].clone();
        template["metadata"]["labels"]["pod-template-hash"] = hash.clone().into();
        let labels = template["metadata"]["labels"].clone();
        let mut annotations = value["metadata"]["annotations"].as_object().cloned().unwrap_or_default();
        annotations.insert(REVISION.into(), (highest + 1).to_string().into());
        store
            .create("replicasets", json!({
                "metadata": {"name": format!("{}-{hash}", deployment.name), "namespace": deployment.namespace, "labels": labels,
                             "annotations": annotations, "ownerReferences": owner(deployment)},
                "spec": {"replicas": 0, "selector": {"matchLabels": labels}, "template": template},
                "status": {"replicas": 0},
            }), now)
            .unwrap();
        return;
    };
    let old = revision(&current.value());
    let number = if old < highest { highest + 1 } else { old };
    for set in &sets {
        let wanted = if set.uid == current.uid { value["spec"]["replicas"].as_i64().unwrap_or(1) } else { 0 };
        let _ = store.update("replicasets", &set.namespace, &set.name, now, |object| {
            object["spec"]["replicas"] = wanted.into();
            if set.uid == current.uid {
                object["metadata"]["annotations"][REVISION] = number.to_string().into();
            }
        });
    }
    let total: i64 = sets.iter().map(|set| set.value()["status"]["replicas"].as_i64().unwrap_or(0)).sum();
    let ready = current.value()["status"]["readyReplicas"].as_i64().unwrap_or(0);
    let _ = store.update("deployments", &deployment.namespace, &deployment.name, now, |object| {
        object["metadata"]["annotations"][REVISION] = number.to_string().into();
        object["status"] = json!({
            "observedGeneration": value["metadata"]["generation"], "replicas": total, "updatedReplicas": ready,
            "readyReplicas": ready, "availableReplicas": ready,
            "conditions": [{"type": "Available", "status": "True", "reason": "MinimumReplicasAvailable"},
                           {"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"}],
        });
    });
}

fn replicate(store: &Store, set: &Object, now: Timestamp) {
    let value = set.value();
    let pods: Vec<_> = owned(store, "pods", set).into_iter().filter(|pod| !pod.deleting).collect();
    let wanted = value["spec"]["replicas"].as_u64().unwrap_or(0) as usize;
    for _ in pods.len()..wanted.max(pods.len()) {
        let template = &value["spec"]["template"];
        let _ = store.create("pods", json!({
            "metadata": {"generateName": format!("{}-", set.name), "namespace": set.namespace,
                         "labels": template["metadata"]["labels"], "annotations": template["metadata"]["annotations"],
                         "ownerReferences": owner(set)},
            "spec": template["spec"], "status": {"phase": "Pending"},
        }), now);
    }
    for pod in pods.iter().skip(wanted) {
        let _ = store.delete("pods", &pod.namespace, &pod.name);
    }
    let ready = pods.iter().take(wanted).filter(|pod| pod.field("status.phase") == Some("Running")).count();
    let total = pods.len().min(wanted);
    let _ = store.update("replicasets", &set.namespace, &set.name, now, |object| {
        object["status"] = json!({"replicas": total, "readyReplicas": ready, "availableReplicas": ready,
                                  "observedGeneration": value["metadata"]["generation"]});
    });
}

fn count(store: &Store, budget: &Object, now: Timestamp) {
    let value = budget.value();
    let app = value["spec"]["selector"]["matchLabels"]["app"].as_str().unwrap_or_default().to_owned();
    let pods = store.list("pods", Some(&budget.namespace)).0;
    let healthy = pods
        .iter()
        .filter(|pod| {
            pod.labels.get("app") == Some(&app)
                && !pod.deleting
                && pod.field("status.phase") == Some("Running")
        })
        .count() as i64;
    let wanted = value["spec"]["minAvailable"].as_i64().unwrap_or(0);
    let _ = store.update("poddisruptionbudgets", &budget.namespace, &budget.name, now, |object| {
        object["status"] = json!({"observedGeneration": object["metadata"]["generation"], "currentHealthy": healthy,
            "desiredHealthy": wanted, "disruptionsAllowed": (healthy - wanted).max(0), "expectedPods": healthy});
    });
}
