//! The rules of pod specs, alone and inside templates.
//! It judges; it changes nothing.
use std::collections::BTreeSet;

use serde_json::Value;

use super::quantity;
use super::status::Cause;

/// Checks a pod spec found at `path`.
pub fn pod_spec(spec: &Value, path: &str, causes: &mut Vec<Cause>) {
    let volumes: BTreeSet<&str> =
        items(&spec["volumes"]).filter_map(|volume| volume["name"].as_str()).collect();
    if items(&spec["containers"]).next().is_none() {
        causes.push(Cause::required(format!("{path}.containers"), ""));
    }
    let mut names = BTreeSet::new();
    for list in ["initContainers", "containers"] {
        for (number, one) in items(&spec[list]).enumerate() {
            let at = format!("{path}.{list}[{number}]");
            match one["name"].as_str() {
                None | Some("") => causes.push(Cause::required(format!("{at}.name"), "")),
                Some(name) if !names.insert(name) => {
                    causes.push(Cause::duplicate(format!("{at}.name"), &one["name"]));
                }
                Some(_) => {}
            }
            container(one, &at, &volumes, causes);
        }
    }
    let restart = spec["restartPolicy"].as_str().unwrap_or("Always");
    if !["Always", "OnFailure", "Never"].contains(&restart) {
        causes.push(Cause {
            field: format!("{path}.restartPolicy"),
            reason: "FieldValueNotSupported",
            message: format!(
                "Unsupported value: {restart:?}: supported values: \"Always\", \"OnFailure\", \"Never\""
            ),
        });
    }
}

/// A stored pod may change its images, tolerations and deadline only.
pub fn pod_change(before: &Value, after: &Value, causes: &mut Vec<Cause>) {
    let stripped = |pod: &Value| {
        let mut spec = pod["spec"].clone();
        for list in ["containers", "initContainers"] {
            for one in spec[list].as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut) {
                one.remove("image");
            }
        }
        if let Some(spec) = spec.as_object_mut() {
            for field in [
                "activeDeadlineSeconds",
                "tolerations",
                "terminationGracePeriodSeconds",
                "ephemeralContainers",
            ] {
                spec.remove(field);
            }
        }
        spec
    };
    for (number, one) in items(&after["spec"]["containers"]).enumerate() {
        if one["image"].as_str().is_none_or(str::is_empty) {
            causes.push(Cause::required(format!("spec.containers[{number}].image"), ""));
        }
    }
    if stripped(before) != stripped(after) {
        let note = "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";
        causes.push(Cause::forbidden("spec", note));
    }
}

fn container(one: &Value, at: &str, volumes: &BTreeSet<&str>, causes: &mut Vec<Cause>) {
    if one["image"].as_str().is_none_or(str::is_empty) {
        causes.push(Cause::required(format!("{at}.image"), ""));
    }
    for (number, variable) in items(&one["env"]).enumerate() {
        if variable["name"].as_str().is_none_or(str::is_empty) {
            causes.push(Cause::required(format!("{at}.env[{number}].name"), ""));
        }
        if !variable["value"].is_null() && !variable["value"].is_string() {
            causes.push(Cause::invalid(
                format!("{at}.env[{number}].value"),
                &variable["value"],
                "must be a string",
            ));
        }
    }
    for (number, mount) in items(&one["volumeMounts"]).enumerate() {
        let name = mount["name"].as_str().unwrap_or_default();
        if !volumes.contains(name) {
            causes.push(Cause::not_found(format!("{at}.volumeMounts[{number}].name"), &mount["name"]));
        }
    }
    resources(&one["resources"], at, causes);
}

fn resources(resources: &Value, at: &str, causes: &mut Vec<Cause>) {
    let note = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
    for part in ["limits", "requests"] {
        for (name, value) in resources[part].as_object().into_iter().flatten() {
            match amount(value) {
                None => causes.push(Cause::invalid(format!("{at}.resources.{part}[{name}]"), value, note)),
                Some(number) if number < 0.0 => {
                    let field = format!("{at}.resources.{part}[{name}]");
                    causes.push(Cause::invalid(field, value, "must be greater than or equal to 0"));
                }
                Some(_) => {}
            }
        }
    }
    for (name, request) in resources["requests"].as_object().into_iter().flatten() {
        let limit = &resources["limits"][name];
        if let (Some(wanted), Some(most)) = (amount(request), amount(limit))
            && wanted > most
        {
            let shown = limit.as_str().map_or_else(|| limit.to_string(), str::to_owned);
            let note = format!("must be less than or equal to {name} limit of {shown}");
            causes.push(Cause::invalid(format!("{at}.resources.requests"), request, &note));
        }
    }
}

fn amount(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| quantity::parse(value.as_str()?))
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}
