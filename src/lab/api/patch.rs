//! PATCH in its three older kinds: JSON patch, merge patch, strategic merge patch.
//! It applies a patch to a value; what may be stored is decided by `admit`.
use axum::body::Body;
use http::Response;
use serde_json::Value;

use super::Api;
use super::call::{Call, Target};
use super::render;
use super::status::Status;
use super::strategic;
use super::write::commit;
use crate::lab::store::Resource;

pub fn patch(api: &Api, call: &Call, target: &Target) -> Result<Response<Body>, Status> {
    let patch = Patch::of(call, target.resource)?;
    let object = commit(api, call, target, |object| patch.apply(object))?;
    render::object(call, target, 200, &object)
}

/// A patch that has been read.
pub enum Patch {
    Json(json_patch::Patch),
    Merge(Value),
    Strategic(Value),
}

impl Patch {
    pub fn of(call: &Call, resource: &Resource) -> Result<Self, Status> {
        let unreadable =
            |error: serde_json::Error| Status::bad_request(format!("error decoding patch: {error}"));
        let value = || serde_json::from_slice::<Value>(&call.body).map_err(unreadable);
        match call.content_type() {
            "application/json-patch+json" => {
                serde_json::from_slice(&call.body).map(Self::Json).map_err(unreadable)
            }
            "application/merge-patch+json" => object(value()?).map(Self::Merge),
            "application/strategic-merge-patch+json" if takes_strategic(resource) => {
                object(value()?).map(Self::Strategic)
            }
            _ if takes_strategic(resource) => Err(Status::unsupported(
                "application/json-patch+json, application/merge-patch+json, application/strategic-merge-patch+json, application/apply-patch+yaml",
            )),
            _ => Err(Status::unsupported(
                "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml",
            )),
        }
    }

    pub fn apply(&self, object: &mut Value) -> Result<(), Status> {
        match self {
            // the real server keeps the reason (which test failed) to itself, too
            Self::Json(patch) => json_patch::patch(object, patch).map_err(|_| {
                Status::unprocessable("the server rejected our request due to an error in our request")
            }),
            Self::Merge(patch) => {
                json_patch::merge(object, patch);
                Ok(())
            }
            Self::Strategic(patch) => strategic::merge(object, patch).map_err(Status::bad_request),
        }
    }
}

/// Custom resources have no types to merge by.
pub fn takes_strategic(resource: &Resource) -> bool {
    !["cert-manager.io", "external-secrets.io"].contains(&resource.group)
}

fn object(value: Value) -> Result<Value, Status> {
    if value.is_object() {
        Ok(value)
    } else {
        Err(Status::bad_request("error decoding patch: it is not an object"))
    }
}
