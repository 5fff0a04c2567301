//! The rules of objects that guards and playbooks rely on, with the real server's words.
//! It judges a value (and what it replaces); it changes nothing.
use serde_json::Value;

use super::quantity;
use super::select::label_selector_takes;
use super::status::{Cause, Status};
use super::validate_pod::{pod_change, pod_spec};
use crate::lab::store::Resource;

/// 422 with every broken rule, if any is.
pub fn check(resource: &Resource, before: Option<&Value>, after: &Value) -> Result<(), Status> {
    let mut causes = Vec::new();
    metadata(after, &mut causes);
    match resource.plural {
        "pods" => match before {
            None => pod_spec(&after["spec"], "spec", &mut causes),
            Some(before) => pod_change(before, after, &mut causes),
        },
        "deployments" => {
            workload(before, after, &mut causes);
            strategy(&after["spec"]["strategy"], &mut causes);
        }
        "replicasets" | "statefulsets" | "daemonsets" => workload(before, after, &mut causes),
        "jobs" => job(before, &after["spec"], "spec", &mut causes),
        "cronjobs" => job(None, &after["spec"]["jobTemplate"]["spec"], "spec.jobTemplate.spec", &mut causes),
        "horizontalpodautoscalers" => autoscaler(&after["spec"], &mut causes),
        "poddisruptionbudgets" => budget(&after["spec"], &mut causes),
        "configmaps" | "secrets" => data(before, after, &mut causes),
        "persistentvolumeclaims" => claim(before, after, &mut causes),
        _ => {}
    }
    refused(resource, after, &causes)
}

/// Whether a new Job, which is to have this uid, selects its own pods and no others.
pub fn own_pods(resource: &Resource, job: &Value, uid: &str) -> Result<(), Status> {
    let wrong = crate::lab::job::not_generated(job, uid);
    let causes: Vec<Cause> =
        wrong.iter().map(|(field, value, says)| Cause::invalid(field.clone(), value, says)).collect();
    refused(resource, job, &causes)
}

fn refused(resource: &Resource, object: &Value, causes: &[Cause]) -> Result<(), Status> {
    if causes.is_empty() {
        return Ok(());
    }
    let metadata = &object["metadata"];
    let name = metadata["name"].as_str().or(metadata["generateName"].as_str()).unwrap_or_default();
    Err(Status::invalid(resource, name, causes))
}

/// The spec of a Job: its pods end, and what they are made of stays.
fn job(before: Option<&Value>, spec: &Value, path: &str, causes: &mut Vec<Cause>) {
    let pods = &spec["template"]["spec"];
    pod_spec(pods, &format!("{path}.template.spec"), causes);
    if !["Never", "OnFailure"].contains(&pods["restartPolicy"].as_str().unwrap_or_default()) {
        causes.push(Cause {
            field: format!("{path}.template.spec.restartPolicy"),
            reason: "FieldValueNotSupported",
            message: format!(
                "Unsupported value: {}: supported values: \"OnFailure\", \"Never\"",
                pods["restartPolicy"]
            ),
        });
    }
    let changed = |field: &str| before.is_some_and(|before| before["spec"][field] != spec[field]);
    for field in ["template", "selector"].into_iter().filter(|field| changed(field)) {
        let field_path = format!("{path}.{field}");
        causes.push(Cause::invalid(field_path, &spec[field], "field is immutable"));
    }
}

fn metadata(object: &Value, causes: &mut Vec<Cause>) {
    let metadata = &object["metadata"];
    if let Some(name) = metadata["name"].as_str() {
        let legal =
            |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || "-.:".contains(letter);
        let ends = |end: Option<char>| end.is_some_and(|letter| letter.is_ascii_alphanumeric());
        if name.len() > 253
            || !name.chars().all(legal)
            || !ends(name.chars().next())
            || !ends(name.chars().last())
        {
            let note = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
            causes.push(Cause::invalid("metadata.name", &metadata["name"], note));
        }
    } else if !metadata["generateName"].is_string() {
        causes.push(Cause::required("metadata.name", "name or generateName is required"));
    }
    for (key, value) in metadata["labels"].as_object().into_iter().flatten() {
        let text = value.as_str().unwrap_or_default();
        let legal = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
        if !value.is_string() || text.len() > 63 || !text.chars().all(legal) || key.is_empty() {
            let note = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
            causes.push(Cause::invalid("metadata.labels", value, note));
        }
    }
    for (key, value) in metadata["annotations"].as_object().into_iter().flatten() {
        if !value.is_string() {
            causes.push(Cause::invalid(format!("metadata.annotations.{key}"), value, "must be a string"));
        }
    }
}

fn workload(before: Option<&Value>, after: &Value, causes: &mut Vec<Cause>) {
    let (spec, template) = (&after["spec"], &after["spec"]["template"]);
    replicas(spec, causes);
    let selector = &spec["selector"];
    if let Some(before) = before {
        if before["spec"]["selector"] != *selector {
            causes.push(Cause::invalid("spec.selector", selector, "field is immutable"));
        }
    } else if selector.as_object().is_none_or(serde_json::Map::is_empty) {
        causes.push(Cause::required("spec.selector", ""));
    }
    let labels = template["metadata"]["labels"].as_object().into_iter().flatten();
    let labels =
        labels.map(|(key, value)| (key.clone(), value.as_str().unwrap_or_default().to_owned())).collect();
    if !label_selector_takes(selector, &labels) {
        let note = "`selector` does not match template `labels`";
        causes.push(Cause::invalid("spec.template.metadata.labels", &template["metadata"]["labels"], note));
    }
    if before.is_none_or(|before| before["spec"]["template"] != *template) {
        pod_spec(&template["spec"], "spec.template.spec", causes);
    }
}

/// Also used for the `scale` subresource.
pub fn replicas(spec: &Value, causes: &mut Vec<Cause>) {
    let value = &spec["replicas"];
    if value.as_i64().is_some_and(|count| count < 0) {
        causes.push(Cause::invalid("spec.replicas", value, "must be greater than or equal to 0"));
    } else if !value.is_null() && value.as_i64().is_none() {
        causes.push(Cause::invalid("spec.replicas", value, "must be an integer"));
    }
}

fn strategy(strategy: &Value, causes: &mut Vec<Cause>) {
    let rolling = &strategy["rollingUpdate"];
    match strategy["type"].as_str() {
        Some("Recreate") if !rolling.is_null() => {
            let note = "may not be specified when strategy `type` is 'Recreate'";
            causes.push(Cause::forbidden("spec.strategy.rollingUpdate", note));
        }
        Some("RollingUpdate") => {
            let is_zero = |value: &Value| value == 0 || value == "0%" || value == "0";
            if is_zero(&rolling["maxSurge"]) && is_zero(&rolling["maxUnavailable"]) {
                let note = "may not be 0 when `maxSurge` is 0";
                let field = "spec.strategy.rollingUpdate.maxUnavailable";
                causes.push(Cause::invalid(field, &rolling["maxUnavailable"], note));
            }
            for field in ["maxSurge", "maxUnavailable"] {
                let value = &rolling[field];
                let percent = value.as_str().and_then(|text| text.strip_suffix('%')).map(str::parse::<u32>);
                let number = value.as_i64().is_some_and(|count| count >= 0);
                if !number && !matches!(percent, Some(Ok(_))) {
                    let field = format!("spec.strategy.rollingUpdate.{field}");
                    let note = "must be a non-negative integer or a percentage (e.g. '5%')";
                    causes.push(Cause::invalid(field, value, note));
                }
            }
        }
        Some("Recreate") => {}
        _ => causes.push(Cause {
            field: "spec.strategy.type".into(),
            reason: "FieldValueNotSupported",
            message: format!(
                "Unsupported value: {}: supported values: \"Recreate\", \"RollingUpdate\"",
                strategy["type"]
            ),
        }),
    }
}

fn autoscaler(spec: &Value, causes: &mut Vec<Cause>) {
    let (least, most) =
        (spec["minReplicas"].as_i64().unwrap_or(1), spec["maxReplicas"].as_i64().unwrap_or(0));
    if least < 1 {
        causes.push(Cause::invalid(
            "spec.minReplicas",
            &spec["minReplicas"],
            "must be greater than or equal to 1",
        ));
    }
    if most < 1 {
        causes.push(Cause::invalid("spec.maxReplicas", &spec["maxReplicas"], "must be greater than 0"));
    }
    if most < least {
        let note = "must be greater than or equal to `minReplicas`";
        causes.push(Cause::invalid("spec.maxReplicas", &spec["maxReplicas"], note));
    }
}

fn budget(spec: &Value, causes: &mut Vec<Cause>) {
    if !spec["minAvailable"].is_null() && !spec["maxUnavailable"].is_null() {
        causes.push(Cause::invalid("spec", spec, "minAvailable and maxUnavailable cannot be both set"));
    }
}

/// `ConfigMaps` and Secrets: immutable ones stay as they are, and a registry secret holds JSON.
fn data(before: Option<&Value>, after: &Value, causes: &mut Vec<Cause>) {
    let note = "field is immutable when `immutable` is set";
    if let Some(before) = before {
        if before["immutable"] == true {
            for field in ["data", "binaryData"] {
                if before[field] != after[field] {
                    causes.push(Cause::forbidden(field, note));
                }
            }
            if after["immutable"] != true {
                causes.push(Cause::forbidden("immutable", note));
            }
        }
        if before["type"] != after["type"] {
            causes.push(Cause::invalid("type", &after["type"], "field is immutable"));
        }
    }
    for (key, value) in after["data"].as_object().into_iter().flatten() {
        if !value.is_string() {
            causes.push(Cause::invalid(format!("data[{key}]"), &Value::Null, "must be a string"));
        }
    }
    if after["type"] == "kubernetes.io/dockerconfigjson" {
        use base64::{Engine, prelude::BASE64_STANDARD};
        let field = "data[.dockerconfigjson]";
        match after["data"][".dockerconfigjson"].as_str() {
            None => causes.push(Cause::required(field, "")),
            Some(text) => {
                let bytes = BASE64_STANDARD.decode(text).unwrap_or_default();
                if serde_json::from_slice::<Value>(&bytes).is_err() {
                    let hidden = Value::String("<secret contents redacted>".into());
                    causes.push(Cause::invalid(
                        field,
                        &hidden,
                        "invalid character looking for beginning of value",
                    ));
                }
            }
        }
    }
}

fn claim(before: Option<&Value>, after: &Value, causes: &mut Vec<Cause>) {
    let size = |claim: &Value| {
        claim["spec"]["resources"]["requests"]["storage"].as_str().and_then(quantity::parse).unwrap_or(0.0)
    };
    if before.is_some_and(|before| size(after) < size(before)) {
        let note = "field can not be less than status.capacity";
        causes.push(Cause::forbidden("spec.resources.requests.storage", note));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::store::resource;
    use serde_json::json;

    fn refusal(plural: &str, before: Option<&Value>, after: &Value) -> String {
        check(resource(plural).unwrap(), before, after).unwrap_err().message
    }

    #[test]
    fn the_servers_own_words() {
        let good = json!({"metadata": {"name": "web"}, "spec": {
            "replicas": 2, "selector": {"matchLabels": {"app": "web"}},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "web", "image": "w:1"}]}}}});
        assert!(check(resource("deployments").unwrap(), None, &good).is_ok());
        let mut bad = good.clone();
        bad["spec"]["template"]["spec"]["containers"] =
            json!([{"name": "wrong"}, {"name": "web", "image": "w:1"}]);
        assert_eq!(
            refusal("deployments", Some(&good), &bad),
            "Deployment.apps \"web\" is invalid: spec.template.spec.containers[0].image: Required value"
        );
        bad = good.clone();
        bad["spec"]["replicas"] = json!(-1);
        bad["spec"]["selector"]["matchLabels"]["app"] = "x".into();
        bad["spec"]["strategy"] = json!({"type": "Recreate", "rollingUpdate": {}});
        let said = refusal("deployments", Some(&good), &bad);
        assert!(
            said.contains("spec.replicas: Invalid value: -1: must be greater than or equal to 0"),
            "{said}"
        );
        assert!(said.contains("field is immutable"), "{said}");
        assert!(said.contains("may not be specified when strategy `type` is 'Recreate'"), "{said}");
        let frozen = json!({"metadata": {"name": "c"}, "immutable": true, "data": {"a": "1"}});
        let mut thawed = frozen.clone();
        thawed["data"]["a"] = "2".into();
        assert!(
            refusal("configmaps", Some(&frozen), &thawed)
                .contains("data: Forbidden: field is immutable when `immutable` is set")
        );
    }
}
