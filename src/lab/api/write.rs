//! Create and replace, and the one way any change reaches the store (or, in a dry run, does not).
//! It knows preconditions of writing; field rules are in `admit`.
use std::sync::Arc;

use axum::body::Body;
use http::Response;
use serde_json::Value;

use super::Api;
use super::admit;
use super::call::{Call, Target};
use super::events;
use super::render;
use super::status::Status;
use super::validate;
use crate::lab::job;
use crate::lab::object::count_generation;
use crate::lab::store::Object;

pub fn create(api: &Api, call: &Call, target: &Target) -> Result<Response<Body>, Status> {
    let body = body(call, target)?;
    let object = insert(api, call, target, body)?;
    render::object(call, target, 201, &object)
}

/// Stores a new object made of `body`.
pub fn insert(api: &Api, call: &Call, target: &Target, mut body: Value) -> Result<Arc<Object>, Status> {
    let resource = target.resource;
    place(&mut body, target)?;
    if resource.namespaced
        && api.store.count("namespaces") > 0
        && api.store.get("namespaces", "", target.place()).is_none()
    {
        let namespaces = crate::lab::store::resource("namespaces").ok_or_else(Status::no_path)?;
        return Err(Status::not_found(namespaces, target.place()));
    }
    admit::new(resource, &mut body, call)?;
    if resource.plural == "jobs" {
        let uid = api.store.uid();
        job::select_own_pods(&mut body, &uid);
        validate::own_pods(resource, &body, &uid)?;
    }
    if call.is_dry_run()? {
        let whole = api.store.completed(resource, body, call.now);
        let name = whole["metadata"]["name"].as_str().unwrap_or_default();
        if api.store.get(resource.plural, target.place(), name).is_some() {
            return Err(Status::exists(resource, name));
        }
        return Ok(Arc::new(Object::new(resource, whole, api.store.revision())));
    }
    Ok(api.store.create(resource.plural, body, call.now)?)
}

pub fn replace(api: &Api, call: &Call, target: &Target) -> Result<Response<Body>, Status> {
    let mut body = body(call, target)?;
    place(&mut body, target)?;
    let named = body["metadata"]["name"].as_str().unwrap_or_default();
    if named != target.name() {
        let why = format!(
            "the name of the object ({named}) does not match the name on the URL ({})",
            target.name()
        );
        return Err(Status::bad_request(why));
    }
    let object = commit(api, call, target, |object| {
        *object = body;
        Ok(())
    })?;
    render::object(call, target, 200, &object)
}

/// Applies a change to the stored object: checks it, notes who made it, and stores it unless this is a dry run.
pub fn commit(
    api: &Api,
    call: &Call,
    target: &Target,
    change: impl FnOnce(&mut Value) -> Result<(), Status>,
) -> Result<Arc<Object>, Status> {
    let resource = target.resource;
    let settled = |object: &mut Value| {
        let before = object.clone();
        change(object)?;
        admit::changed(target, &before, object, call)
    };
    if !call.is_dry_run()? {
        return api.store.try_update(resource.plural, target.place(), target.name(), call.now, settled);
    }
    let stored = api
        .store
        .get(resource.plural, target.place(), target.name())
        .ok_or_else(|| Status::not_found(resource, target.name()))?;
    let before = stored.value();
    let mut after = before.clone();
    settled(&mut after)?;
    count_generation(&before, &mut after);
    Ok(Arc::new(Object::new(resource, after, stored.revision)))
}

/// The object sent, as core/v1 stores it, after checking that it is what the URL says.
pub fn body(call: &Call, target: &Target) -> Result<Value, Status> {
    let mut body = call.json()?;
    if !body.is_object() {
        return Err(Status::bad_request("the object provided is unrecognized (must be of type Object)"));
    }
    let expected =
        if target.is_new_events() { "events.k8s.io/v1".to_owned() } else { target.resource.api_version() };
    for (field, expected, what) in
        [("apiVersion", expected.as_str(), "API version"), ("kind", target.resource.kind, "kind")]
    {
        match body[field].as_str() {
            None | Some("") => {}
            Some(given) if given == expected => {}
            Some(given) => {
                return Err(Status::bad_request(format!(
                    "the {what} in the data ({given}) does not match the expected {what} ({expected})"
                )));
            }
        }
    }
    if target.is_new_events() {
        body = events::to_core(&body);
    }
    Ok(body)
}

/// The namespace of the object is that of the URL.
fn place(body: &mut Value, target: &Target) -> Result<(), Status> {
    if !body["metadata"].is_object() {
        body["metadata"] = serde_json::json!({});
    }
    let Some(namespace) = &target.namespace else { return Ok(()) };
    match body["metadata"]["namespace"].as_str() {
        None | Some("") => {
            body["metadata"]["namespace"] = namespace.clone().into();
            Ok(())
        }
        Some(given) if given == namespace => Ok(()),
        Some(_) => Err(Status::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        )),
    }
}
