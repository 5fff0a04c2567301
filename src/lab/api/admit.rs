//! What happens to every object before it is stored: what the caller may not set is put back, defaults are
//! filled in, rules are checked, and the writer is noted. It stores nothing.
use serde_json::{Value, json};

use super::call::{Call, Target};
use super::status::Status;
use super::{apply, defaults, fields, validate};
use crate::lab::store::Resource;

/// Fields of metadata that only the server writes.
const SERVERS: &[&str] = &[
    "namespace",
    "uid",
    "creationTimestamp",
    "generation",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "selfLink",
];

/// A new object.
pub fn new(resource: &'static Resource, object: &mut Value, call: &Call) -> Result<(), Status> {
    if let Some(metadata) = object["metadata"].as_object_mut() {
        for field in SERVERS.iter().filter(|field| **field != "namespace") {
            metadata.remove(*field);
        }
        metadata.remove("managedFields");
        if let Some(version) = metadata.remove("resourceVersion")
            && version.as_str().is_some_and(|text| !text.is_empty())
        {
            return Err(Status::bad_request("resourceVersion should not be set on objects to be created"));
        }
    }
    if resource.has("status")
        && let Some(fields) = object.as_object_mut()
    {
        fields.remove("status");
    }
    object["apiVersion"] = resource.api_version().into();
    object["kind"] = resource.kind.into();
    defaults::fill(resource, object);
    defaults::fill_new(resource, object);
    validate::check(resource, None, object)?;
    fields::record(&json!({"metadata": {}}), object, &call.manager(), None, call.now);
    Ok(())
}

/// A changed object: `after` is what the caller wants `before` to become.
pub fn changed(target: &Target, before: &Value, after: &mut Value, call: &Call) -> Result<(), Status> {
    let resource = target.resource;
    if !after["metadata"].is_object() {
        after["metadata"] = json!({});
    }
    check_identity(target, before, after)?;
    restore(&before["metadata"], &mut after["metadata"], SERVERS);
    restore(before, after, &["apiVersion", "kind"]);
    restore(&before["metadata"], &mut after["metadata"], &["resourceVersion", "name"]);
    if !after["metadata"]["managedFields"].is_array() {
        restore(&before["metadata"], &mut after["metadata"], &["managedFields"]);
    }
    if target.subresource.as_deref() == Some("status") {
        let status = after["status"].take();
        let managed = after["metadata"]["managedFields"].take();
        *after = before.clone();
        after["status"] = status;
        after["metadata"]["managedFields"] = managed;
    } else if resource.has("status") {
        restore(before, after, &["status"]);
    }
    drop_nulls(after);
    defaults::fill(resource, after);
    validate::check(resource, Some(before), after)?;
    if apply::is_asked(call) {
        return Ok(()); // it keeps its own books
    }
    fields::record(before, after, &call.manager(), target.subresource.as_deref(), call.now);
    Ok(())
}

fn check_identity(target: &Target, before: &Value, after: &Value) -> Result<(), Status> {
    let text =
        |object: &Value, field: &str| object["metadata"][field].as_str().unwrap_or_default().to_owned();
    let name = text(after, "name");
    if !name.is_empty() && name != text(before, "name") {
        return Err(Status::bad_request(format!(
            "the name of the object ({name}) does not match the name on the URL ({})",
            target.name()
        )));
    }
    let (uid, stored) = (text(after, "uid"), text(before, "uid"));
    if !uid.is_empty() && uid != stored {
        let why = format!("Precondition failed: UID in precondition: {uid}, UID in object meta: {stored}");
        return Err(Status::conflict(target.resource, target.name(), &why));
    }
    let version = text(after, "resourceVersion");
    if !version.is_empty() && version != text(before, "resourceVersion") {
        return Err(Status::modified(target.resource, target.name()));
    }
    Ok(())
}

/// Puts these fields back to what they were (or were not).
fn restore(before: &Value, after: &mut Value, names: &[&str]) {
    let Some(after) = after.as_object_mut() else { return };
    for name in names {
        match before.get(name) {
            Some(value) => {
                after.insert((*name).to_owned(), value.clone());
            }
            None => {
                after.remove(*name);
            }
        }
    }
}

/// A null at the top of an object or its metadata is an absent field.
fn drop_nulls(object: &mut Value) {
    if let Some(fields) = object.as_object_mut() {
        fields.retain(|_, value| !value.is_null());
    }
    if let Some(fields) = object["metadata"].as_object_mut() {
        fields.retain(|_, value| !value.is_null());
    }
}
