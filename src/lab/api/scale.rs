//! The `scale` subresource: an `autoscaling/v1 Scale` in front of a workload's replicas.
//! It knows that one translation.
use axum::body::Body;
use http::Response;
use serde_json::{Value, json};

use super::Api;
use super::call::{Call, Target};
use super::patch::Patch;
use super::render;
use super::status::{Cause, Status};
use super::validate;
use super::write::commit;

pub fn get(api: &Api, call: &Call, target: &Target) -> Result<Response<Body>, Status> {
    let object = api
        .store
        .get(target.resource.plural, target.place(), target.name())
        .ok_or_else(|| Status::not_found(target.resource, target.name()))?;
    Ok(render::value(call, 200, &scale_of(&object.value())))
}

pub fn replace(api: &Api, call: &Call, target: &Target) -> Result<Response<Body>, Status> {
    let wanted = call.json()?;
    change(api, call, target, |scale| {
        *scale = wanted;
        Ok(())
    })
}

pub fn patch(api: &Api, call: &Call, target: &Target) -> Result<Response<Body>, Status> {
    let patch = Patch::of(call, target.resource)?;
    change(api, call, target, |scale| patch.apply(scale))
}

fn change(
    api: &Api,
    call: &Call,
    target: &Target,
    edit: impl FnOnce(&mut Value) -> Result<(), Status>,
) -> Result<Response<Body>, Status> {
    let object = commit(api, call, target, |object| {
        let mut scale = scale_of(object);
        edit(&mut scale)?;
        check(&scale, target)?;
        for field in ["resourceVersion", "uid"] {
            if scale["metadata"][field].is_string() {
                object["metadata"][field] = scale["metadata"][field].clone();
            }
        }
        object["spec"]["replicas"] = scale["spec"]["replicas"].as_i64().unwrap_or(0).into();
        Ok(())
    })?;
    Ok(render::value(call, 200, &scale_of(&object.value())))
}

fn check(scale: &Value, target: &Target) -> Result<(), Status> {
    let mut causes = Vec::new();
    validate::replicas(&scale["spec"], &mut causes);
    if causes.is_empty() {
        return Ok(());
    }
    let each: Vec<String> =
        causes.iter().map(|Cause { field, message, .. }| format!("{field}: {message}")).collect();
    let message = format!("Scale.autoscaling {:?} is invalid: {}", target.name(), each.join(", "));
    let details: Vec<Value> = causes
        .iter()
        .map(|cause| json!({"reason": cause.reason, "message": cause.message, "field": cause.field}))
        .collect();
    let details = json!({"name": target.name(), "group": "autoscaling", "kind": "Scale", "causes": details});
    Err(Status::new(422, "Invalid", message).with(details))
}

fn scale_of(object: &Value) -> Value {
    let metadata = &object["metadata"];
    let labels = object["spec"]["selector"]["matchLabels"].as_object().into_iter().flatten();
    let selector: Vec<String> =
        labels.map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default())).collect();
    json!({
        "kind": "Scale", "apiVersion": "autoscaling/v1",
        "metadata": {
            "name": metadata["name"], "namespace": metadata["namespace"], "uid": metadata["uid"],
            "resourceVersion": metadata["resourceVersion"], "creationTimestamp": metadata["creationTimestamp"],
        },
        "spec": {"replicas": object["spec"]["replicas"].as_i64().unwrap_or(0)},
        "status": {"replicas": object["status"]["replicas"].as_i64().unwrap_or(0), "selector": selector.join(",")},
    })
}
