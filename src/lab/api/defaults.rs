//! The defaults the real API server fills in, for the fields that clients and controllers look at.
//! Templates are completed only when an object is new, so that no later write starts a rollout by itself.
use serde_json::{Value, json};

use crate::lab::store::Resource;

/// Defaults outside templates, on every write.
pub fn fill(resource: &Resource, object: &mut Value) {
    const FILLED: &[&str] = &[
        "deployments",
        "statefulsets",
        "replicasets",
        "jobs",
        "cronjobs",
        "horizontalpodautoscalers",
        "services",
    ];
    if !FILLED.contains(&resource.plural) || !object["spec"].is_object() {
        return;
    }
    let spec = &mut object["spec"];
    match resource.plural {
        "deployments" => {
            or(spec, "replicas", || 1.into());
            or(spec, "revisionHistoryLimit", || 10.into());
            or(spec, "progressDeadlineSeconds", || 600.into());
            or(spec, "strategy", || json!({}));
            or(&mut spec["strategy"], "type", || "RollingUpdate".into());
            if spec["strategy"]["type"] == "RollingUpdate" {
                or(&mut spec["strategy"], "rollingUpdate", || json!({}));
                or(&mut spec["strategy"]["rollingUpdate"], "maxSurge", || "25%".into());
                or(&mut spec["strategy"]["rollingUpdate"], "maxUnavailable", || "25%".into());
            }
        }
        "statefulsets" => {
            or(spec, "replicas", || 1.into());
            or(spec, "podManagementPolicy", || "OrderedReady".into());
            or(
                spec,
                "updateStrategy",
                || json!({"type": "RollingUpdate", "rollingUpdate": {"partition": 0}}),
            );
        }
        "replicasets" => or(spec, "replicas", || 1.into()),
        "jobs" => {
            or(spec, "parallelism", || 1.into());
            or(spec, "completions", || 1.into());
            or(spec, "backoffLimit", || 6.into());
            or(spec, "completionMode", || "NonIndexed".into());
            or(spec, "suspend", || false.into());
            or(spec, "podReplacementPolicy", || "TerminatingOrFailed".into());
        }
        "cronjobs" => {
            or(spec, "concurrencyPolicy", || "Allow".into());
            or(spec, "suspend", || false.into());
            or(spec, "successfulJobsHistoryLimit", || 3.into());
            or(spec, "failedJobsHistoryLimit", || 1.into());
        }
        "horizontalpodautoscalers" => or(spec, "minReplicas", || 1.into()),
        _ => {
            or(spec, "type", || "ClusterIP".into());
            or(spec, "sessionAffinity", || "None".into());
            let ports = spec.get_mut("ports").and_then(Value::as_array_mut);
            for port in ports.into_iter().flatten() {
                or(port, "protocol", || "TCP".into());
                let number = port["port"].clone();
                or(port, "targetPort", || number);
            }
        }
    }
}

/// Defaults of pod specs and first statuses, when the object is new.
pub fn fill_new(resource: &Resource, object: &mut Value) {
    match resource.plural {
        "pods" => {
            pod_spec(&mut object["spec"]);
            or(&mut object["spec"], "enableServiceLinks", || true.into());
            object["status"] = json!({"phase": "Pending", "qosClass": quality(&object["spec"])});
        }
        "namespaces" => object["status"] = json!({"phase": "Active"}),
        "deployments" | "replicasets" | "statefulsets" | "daemonsets" | "jobs"
            if object["spec"]["template"]["spec"].is_object() =>
        {
            pod_spec(&mut object["spec"]["template"]["spec"]);
        }
        "cronjobs" if object["spec"]["jobTemplate"]["spec"]["template"]["spec"].is_object() => {
            pod_spec(&mut object["spec"]["jobTemplate"]["spec"]["template"]["spec"]);
        }
        "secrets" => {
            or(object, "type", || "Opaque".into());
            fold_string_data(object);
        }
        _ => {}
    }
}

fn pod_spec(spec: &mut Value) {
    if !spec.is_object() {
        return;
    }
    or(spec, "restartPolicy", || "Always".into());
    or(spec, "terminationGracePeriodSeconds", || 30.into());
    or(spec, "dnsPolicy", || "ClusterFirst".into());
    or(spec, "securityContext", || json!({}));
    or(spec, "schedulerName", || "default-scheduler".into());
    for list in ["containers", "initContainers"] {
        spec[list].as_array_mut().into_iter().flatten().for_each(container);
        if spec[list].is_null()
            && let Some(spec) = spec.as_object_mut()
        {
            spec.remove(list);
        }
    }
}

fn container(container: &mut Value) {
    if !container.is_object() {
        return;
    }
    let image = container["image"].as_str().unwrap_or_default();
    let last = image.rsplit('/').next().unwrap_or_default();
    let moving = !image.contains('@') && (!last.contains(':') || last.ends_with(":latest"));
    or(container, "imagePullPolicy", || if moving { "Always".into() } else { "IfNotPresent".into() });
    or(container, "terminationMessagePath", || "/dev/termination-log".into());
    or(container, "terminationMessagePolicy", || "File".into());
    or(container, "resources", || json!({}));
    if container["ports"].is_array() {
        for port in container["ports"].as_array_mut().into_iter().flatten() {
            or(port, "protocol", || "TCP".into());
        }
    }
    for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if container[probe].is_object() {
            for (field, value) in [
                ("timeoutSeconds", 1),
                ("periodSeconds", 10),
                ("successThreshold", 1),
                ("failureThreshold", 3),
            ] {
                or(&mut container[probe], field, || value.into());
            }
        } else if let Some(fields) = container.as_object_mut() {
            fields.remove(probe);
        }
    }
    if let Some(fields) = container.as_object_mut() {
        fields.retain(|_, value| !value.is_null());
    }
}

/// Guaranteed, Burstable or `BestEffort`, by requests and limits.
fn quality(spec: &Value) -> &'static str {
    let containers = || spec["containers"].as_array().into_iter().flatten();
    let none = containers().all(|one| {
        let empty = |part: &str| one["resources"][part].as_object().is_none_or(serde_json::Map::is_empty);
        empty("limits") && empty("requests")
    });
    let full = containers().all(|one| {
        ["cpu", "memory"].iter().all(|name| {
            let (limit, request) = (&one["resources"]["limits"][name], &one["resources"]["requests"][name]);
            limit.is_string() && (request.is_null() || request == limit)
        })
    });
    match (none, full) {
        (true, _) => "BestEffort",
        (_, true) => "Guaranteed",
        _ => "Burstable",
    }
}

/// `stringData` is written into `data` and never stored.
fn fold_string_data(secret: &mut Value) {
    use base64::{Engine, prelude::BASE64_STANDARD};
    let Some(Value::Object(plain)) = secret.as_object_mut().and_then(|fields| fields.remove("stringData"))
    else {
        return;
    };
    for (key, value) in plain {
        secret["data"][key.as_str()] = BASE64_STANDARD.encode(value.as_str().unwrap_or_default()).into();
    }
}

fn or(object: &mut Value, field: &str, value: impl FnOnce() -> Value) {
    if let Some(fields) = object.as_object_mut()
        && fields.get(field).is_none_or(Value::is_null)
    {
        fields.insert(field.to_owned(), value());
    }
}
