//! DELETE: preconditions, grace, finalizers, propagation. Pods leave in two steps: marked here, removed by
//! their kubelet. What belonged to the deleted is collected by `collect`.
use std::sync::Arc;

use axum::body::Body;
use http::Response;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::Api;
use super::call::{Call, Target};
use super::status::Status;
use super::{list, render, route};
use crate::lab::store::{Object, Store, seconds};

/// The finalizer that keeps an owner until its dependents are gone.
pub const FOREGROUND: &str = "foregroundDeletion";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Propagation {
    Background,
    Foreground,
    Orphan,
}

/// `DeleteOptions`, from the body and the query.
#[derive(Debug, Clone)]
pub struct Options {
    pub grace: Option<i64>,
    pub propagation: Propagation,
    /// Somebody chose it.
    chosen: bool,
    pub uid: Option<String>,
    pub version: Option<String>,
    pub dry_run: bool,
}

impl Default for Options {
    fn default() -> Self {
        let propagation = Propagation::Background;
        Self { grace: None, propagation, chosen: false, uid: None, version: None, dry_run: false }
    }
}

/// What became of the object.
pub enum Erased {
    Gone(Arc<Object>),
    /// Marked with a `deletionTimestamp`; someone has to finish it.
    Going(Arc<Object>),
}

impl Options {
    pub fn of(call: &Call) -> Result<Self, Status> {
        let body = if call.body.is_empty() { json!({}) } else { call.json()? };
        Self::from(&body, call)
    }

    /// `body` is a `DeleteOptions` object (an Eviction carries one, too).
    pub fn from(body: &Value, call: &Call) -> Result<Self, Status> {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let policy = text(&body["propagationPolicy"])
            .or_else(|| call.query.get("propagationPolicy").map(str::to_owned));
        let orphan = body["orphanDependents"] == true || call.query.is("orphanDependents");
        let propagation = match policy.as_deref() {
            Some("Orphan") => Propagation::Orphan,
            Some("Foreground") => Propagation::Foreground,
            _ if orphan => Propagation::Orphan,
            _ => Propagation::Background,
        };
        let grace = body["gracePeriodSeconds"].as_i64();
        let asked = call.query.get("gracePeriodSeconds").and_then(|text| text.parse().ok());
        Ok(Self {
            grace: grace.or(asked),
            propagation,
            chosen: policy.is_some() || orphan,
            uid: text(&body["preconditions"]["uid"]),
            version: text(&body["preconditions"]["resourceVersion"]),
            dry_run: call.is_dry_run()? || body["dryRun"][0] == "All",
        })
    }
}

pub fn one(api: &Api, call: &Call, target: &Target) -> Result<Response<Body>, Status> {
    let mut options = Options::of(call)?;
    let resource = target.resource;
    // Of batch/v1 alone: the pods of a Job that is deleted without a word stay.
    if resource.plural == "jobs" && !options.chosen {
        options.propagation = Propagation::Orphan;
    }
    let object = api
        .store
        .get(resource.plural, target.place(), target.name())
        .ok_or_else(|| Status::not_found(resource, target.name()))?;
    match erase(&api.store, &object, &options, call.now)? {
        Erased::Going(object) => render::object(call, target, 200, &object),
        Erased::Gone(object) if resource.plural == "pods" => render::object(call, target, 200, &object),
        Erased::Gone(object) => {
            let details = json!({"name": object.name, "group": resource.group, "kind": resource.path, "uid": object.uid});
            Ok(route::success(call, 200, &details))
        }
    }
}

pub fn many(api: &Api, call: &Call, target: &Target) -> Result<Response<Body>, Status> {
    let options = Options::of(call)?;
    let mut items = Vec::new();
    for object in list::selected(api, call, target)? {
        match erase(&api.store, &object, &options, call.now) {
            Ok(Erased::Gone(object) | Erased::Going(object)) => items.push(object.json().clone()),
            Err(status) if status.code == 404 => {}
            Err(status) => return Err(status),
        }
    }
    let metadata = json!({"resourceVersion": api.store.revision().to_string()});
    let (kind, version) = (target.resource.kind, target.resource.api_version());
    let head =
        format!("{{\"kind\":\"{kind}List\",\"apiVersion\":\"{version}\",\"metadata\":{metadata},\"items\":[");
    Ok(render::joined(call, head, items, "]}"))
}

/// Deletes an object, or begins to.
pub fn erase(store: &Store, object: &Object, options: &Options, now: Timestamp) -> Result<Erased, Status> {
    check_preconditions(object, options)?;
    let value = object.value();
    let grace = grace_of(object, &value, options);
    let foreground =
        options.propagation == Propagation::Foreground && !dependents(store, &object.uid).is_empty();
    let waits = grace > 0
        || foreground
        || value["metadata"]["finalizers"].as_array().is_some_and(|all| !all.is_empty());
    if options.dry_run {
        let mut marked = value;
        if waits {
            mark(&mut marked, grace, foreground, now);
        }
        return Ok(Erased::Going(Arc::new(Object::new(object.resource, marked, object.revision))));
    }
    if options.propagation == Propagation::Orphan {
        orphan(store, &object.uid, now);
    }
    let plural = object.resource.plural;
    if waits {
        let marked = store.update(plural, &object.namespace, &object.name, now, |object| {
            mark(object, grace, foreground, now);
        })?;
        return Ok(Erased::Going(marked));
    }
    Ok(Erased::Gone(store.delete(plural, &object.namespace, &object.name)?))
}

/// Everything controlled by the owner with this uid.
pub fn dependents(store: &Store, uid: &str) -> Vec<Arc<Object>> {
    let owned = |object: &Arc<Object>| object.controller.as_deref() == Some(uid);
    crate::lab::store::RESOURCES.iter().flat_map(|row| store.list(row.plural, None).0).filter(owned).collect()
}

fn check_preconditions(object: &Object, options: &Options) -> Result<(), Status> {
    let (resource, name) = (object.resource, object.name.as_str());
    if let Some(uid) = options.uid.as_ref().filter(|uid| **uid != object.uid) {
        let why =
            format!("Precondition failed: UID in precondition: {uid}, UID in object meta: {}", object.uid);
        return Err(Status::conflict(resource, name, &why));
    }
    let version = object.revision.to_string();
    if let Some(wanted) = options.version.as_ref().filter(|wanted| **wanted != version) {
        let why = format!(
            "Precondition failed: ResourceVersion in precondition: {wanted}, ResourceVersion in object meta: {version}"
        );
        return Err(Status::conflict(resource, name, &why));
    }
    Ok(())
}

/// Only pods that a kubelet may be running have a grace period.
fn grace_of(object: &Object, value: &Value, options: &Options) -> i64 {
    let ended = ["Succeeded", "Failed"].contains(&value["status"]["phase"].as_str().unwrap_or_default());
    if object.resource.plural != "pods"
        || ended
        || value["spec"]["nodeName"].as_str().is_none_or(str::is_empty)
    {
        return 0;
    }
    options
        .grace
        .unwrap_or_else(|| value["spec"]["terminationGracePeriodSeconds"].as_i64().unwrap_or(30))
        .max(0)
}

fn mark(object: &mut Value, grace: i64, foreground: bool, now: Timestamp) {
    let metadata = &mut object["metadata"];
    let planned = metadata["deletionGracePeriodSeconds"].as_i64();
    if planned.is_none_or(|planned| grace < planned) {
        let end = now.saturating_add(SignedDuration::from_secs(grace)).unwrap_or(now);
        metadata["deletionTimestamp"] = seconds(end).into();
        metadata["deletionGracePeriodSeconds"] = grace.into();
    }
    if foreground {
        let mut finalizers = metadata["finalizers"].as_array().cloned().unwrap_or_default();
        if !finalizers.iter().any(|one| one == FOREGROUND) {
            finalizers.push(FOREGROUND.into());
        }
        metadata["finalizers"] = Value::Array(finalizers);
    }
}

fn orphan(store: &Store, uid: &str, now: Timestamp) {
    for dependent in dependents(store, uid) {
        let cut = |object: &mut Value| {
            let Some(metadata) = object["metadata"].as_object_mut() else { return };
            if let Some(owners) = metadata.get_mut("ownerReferences").and_then(Value::as_array_mut) {
                owners.retain(|owner| owner["uid"] != uid);
            }
        };
        let _ = store.update(dependent.resource.plural, &dependent.namespace, &dependent.name, now, cut);
    }
}
