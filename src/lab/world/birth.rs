//! How a controller's pod comes into the world: template, defaults, admission by quota.
//! It knows what the API server and its admission fill in; nothing of nodes.

use std::sync::Arc;

use serde_json::{Value, json};

use super::cluster::Cluster;
use super::objects::{Meta, Pod, Quota, decode};
use super::quantity;

/// Admission said no, in the API server's words.
pub struct Refused(pub String);

/// Creates a pod from a template for its owner.
pub fn pod(
    cluster: &mut Cluster,
    owner: &Meta,
    template: &Value,
    reference: &Value,
) -> Result<Arc<Pod>, Refused> {
    let pod = from_template(owner, template, reference, &format!("{}-", owner.name));
    admit(cluster, &pod)?;
    cluster.create::<Pod>(pod).map_err(|why| Refused(why.to_string()))
}

/// A pod of a fixed name, as stateful sets and this world's furnishing need it.
pub fn named_pod(
    cluster: &mut Cluster,
    owner: &Meta,
    template: &Value,
    reference: &Value,
    name: &str,
) -> Result<Arc<Pod>, Refused> {
    let mut pod = from_template(owner, template, reference, "");
    pod["metadata"]["name"] = name.into();
    admit(cluster, &pod)?;
    cluster.create::<Pod>(pod).map_err(|why| Refused(why.to_string()))
}

/// The pod object itself, with everything the API server defaults.
pub fn from_template(owner: &Meta, template: &Value, reference: &Value, prefix: &str) -> Value {
    let mut metadata = template["metadata"].clone();
    if !metadata.is_object() {
        metadata = json!({});
    }
    if !prefix.is_empty() {
        metadata["generateName"] = prefix.into();
    }
    metadata["namespace"] = owner.namespace.clone().into();
    metadata["ownerReferences"] = json!([reference]);
    let mut spec = template["spec"].clone();
    default_spec(&mut spec);
    let class = quality(&spec);
    json!({ "metadata": metadata, "spec": spec, "status": { "phase": "Pending", "qosClass": class } })
}

fn default_spec(spec: &mut Value) {
    for (field, value) in [
        ("restartPolicy", json!("Always")),
        ("dnsPolicy", json!("ClusterFirst")),
        ("schedulerName", json!("default-scheduler")),
        ("securityContext", json!({})),
        ("serviceAccountName", json!("default")),
        ("serviceAccount", json!("default")),
        ("terminationGracePeriodSeconds", json!(30)),
        ("enableServiceLinks", json!(true)),
        ("preemptionPolicy", json!("PreemptLowerPriority")),
        ("priority", json!(0)),
        ("volumes", json!([])),
        ("tolerations", json!([])),
    ] {
        if spec[field].is_null() {
            spec[field] = value;
        }
    }
    tolerate_dying_nodes(&mut spec["tolerations"]);
    mount_token(spec);
    let pull = |image: &str| {
        if image.ends_with(":latest") || !image.contains(':') { "Always" } else { "IfNotPresent" }
    };
    for container in spec["containers"].as_array_mut().into_iter().flatten() {
        let policy = pull(container["image"].as_str().unwrap_or_default());
        for (field, value) in [
            ("imagePullPolicy", policy),
            ("terminationMessagePath", "/dev/termination-log"),
            ("terminationMessagePolicy", "File"),
        ] {
            if container[field].is_null() {
                container[field] = value.into();
            }
        }
        if container["resources"].is_null() {
            container["resources"] = json!({});
        }
    }
}

/// The `DefaultTolerationSeconds` admission: five minutes on a node that is gone.
fn tolerate_dying_nodes(tolerations: &mut Value) {
    let Some(list) = tolerations.as_array_mut() else { return };
    for key in ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"] {
        let known = list.iter().any(|toleration| {
            toleration["key"] == key || (toleration["key"].is_null() && toleration["operator"] == "Exists")
        });
        if !known {
            list.push(json!({
                "key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300,
            }));
        }
    }
}

fn mount_token(spec: &mut Value) {
    const VOLUME: &str = "kube-api-access";
    let Some(volumes) = spec["volumes"].as_array_mut() else { return };
    if volumes.iter().any(|volume| volume["name"] == VOLUME) {
        return;
    }
    volumes.push(json!({
        "name": VOLUME,
        "projected": { "defaultMode": 420, "sources": [
            { "serviceAccountToken": { "expirationSeconds": 3607, "path": "token" } },
            { "configMap": { "name": "kube-root-ca.crt", "items": [{ "key": "ca.crt", "path": "ca.crt" }] } },
            { "downwardAPI": { "items": [{
                "path": "namespace", "fieldRef": { "apiVersion": "v1", "fieldPath": "metadata.namespace" } }] } },
        ] },
    }));
    for container in spec["containers"].as_array_mut().into_iter().flatten() {
        if container["volumeMounts"].is_null() {
            container["volumeMounts"] = json!([]);
        }
        if let Some(mounts) = container["volumeMounts"].as_array_mut() {
            mounts.push(json!({
                "name": VOLUME, "readOnly": true,
                "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount",
            }));
        }
    }
}

fn quality(spec: &Value) -> &'static str {
    let containers = spec["containers"].as_array().map_or(&[][..], Vec::as_slice);
    let none = |container: &Value| {
        container["resources"]["requests"].is_null() && container["resources"]["limits"].is_null()
    };
    let equal = |container: &Value| {
        let Value::Object(resources) = &container["resources"] else { return false };
        let limits = resources.get("limits");
        limits.is_some_and(|limits| !limits["cpu"].is_null() && !limits["memory"].is_null())
            && resources.get("requests").is_none_or(|requests| Some(requests) == limits)
    };
    if containers.iter().all(none) {
        "BestEffort"
    } else if containers.iter().all(equal) {
        "Guaranteed"
    } else {
        "Burstable"
    }
}

/// The `ResourceQuota` admission: what is used plus what is asked must fit every hard limit.
fn admit(cluster: &Cluster, object: &Value) -> Result<(), Refused> {
    let namespace = object["metadata"]["namespace"].as_str().unwrap_or_default();
    let quotas: Vec<Arc<Quota>> = cluster.quotas.within(namespace).map(|(_, quota)| quota.clone()).collect();
    if quotas.is_empty() {
        return Ok(());
    }
    let Some(pod) = serde_json::to_vec(object).ok().and_then(|json| decode::<Pod>(&json)) else {
        return Ok(());
    };
    for quota in quotas {
        let mut over: Vec<(&str, f64, f64, f64)> = Vec::new();
        for (resource, hard) in &quota.spec.hard {
            let (asked, used) = (asked(&pod, resource), used(cluster, namespace, resource));
            if let (Some(asked), Some(used)) = (asked, used)
                && asked > 0.0
                && used + asked > hard.value() + 1e-9
            {
                over.push((resource, asked, used, hard.value()));
            }
        }
        if !over.is_empty() {
            let name = object["metadata"]["generateName"].as_str().or(object["metadata"]["name"].as_str());
            return Err(Refused(exceeded(name.unwrap_or_default(), &quota.metadata.name, &over)));
        }
    }
    Ok(())
}

fn exceeded(pod: &str, quota: &str, over: &[(&str, f64, f64, f64)]) -> String {
    let list = |pick: fn(&(&str, f64, f64, f64)) -> f64| {
        let texts: Vec<String> =
            over.iter().map(|row| format!("{}={}", row.0, amount(row.0, pick(row)))).collect();
        texts.join(",")
    };
    format!(
        "pods \"{pod}\" is forbidden: exceeded quota: {quota}, requested: {}, used: {}, limited: {}",
        list(|row| row.1),
        list(|row| row.2),
        list(|row| row.3),
    )
}

/// How much of a quota's resource a pod takes; `None` for what is not counted here.
pub fn asked(pod: &Pod, resource: &str) -> Option<f64> {
    match resource {
        "pods" | "count/pods" => Some(1.0),
        "cpu" | "requests.cpu" => Some(pod.requests("cpu")),
        "memory" | "requests.memory" => Some(pod.requests("memory")),
        "limits.cpu" => Some(pod.limits("cpu")),
        "limits.memory" => Some(pod.limits("memory")),
        _ => None,
    }
}

/// How much of it the namespace uses now.
pub fn used(cluster: &Cluster, namespace: &str, resource: &str) -> Option<f64> {
    let pods = cluster.pods.within(namespace).filter(|(_, pod)| !pod.is_finished());
    pods.map(|(_, pod)| asked(pod, resource)).try_fold(0.0, |sum, asked| asked.map(|asked| sum + asked))
}

/// The amount in the notation of its resource.
pub fn amount(resource: &str, value: f64) -> String {
    if resource.ends_with("memory") {
        quantity::bytes(value)
    } else if resource.ends_with("cpu") {
        quantity::cores(value)
    } else {
        format!("{value:.0}")
    }
}

/// Keeps `status.used` of the quotas of a namespace.
pub fn count_quota(cluster: &mut Cluster, namespace: &str) {
    let quotas: Vec<Arc<Quota>> = cluster.quotas.within(namespace).map(|(_, quota)| quota.clone()).collect();
    for quota in quotas {
        let mut used_now = json!({});
        for resource in quota.spec.hard.keys() {
            if let Some(value) = used(cluster, namespace, resource) {
                used_now[resource] = amount(resource, value).into();
            }
        }
        cluster.update::<Quota>(&super::shelf::Key::of(&*quota), |quota| {
            quota["status"]["hard"] = quota["spec"]["hard"].clone();
            quota["status"]["used"] = used_now;
        });
    }
}
