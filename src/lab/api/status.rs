//! Refusals as `metav1.Status`, in the words the real API server uses.
//! It knows wording and codes only, not when a refusal is due.
use axum::body::Body;
use http::{HeaderValue, Response, StatusCode, header};
use serde_json::{Value, json};

use crate::lab::store::{Expired, Resource, StoreError};

/// An error answer. `Display` is its message.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct Status {
    pub code: u16,
    pub reason: &'static str,
    pub message: String,
    pub details: Value,
    /// Only set on an expired page: the token to go on with, inconsistently.
    pub resume: Option<String>,
}

/// One broken field: `spec.replicas: Invalid value: -1: must be …`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    pub field: String,
    pub reason: &'static str,
    pub message: String,
}

impl Cause {
    pub fn required(field: impl Into<String>, note: &str) -> Self {
        let message =
            if note.is_empty() { "Required value".into() } else { format!("Required value: {note}") };
        Self { field: field.into(), reason: "FieldValueRequired", message }
    }
    pub fn invalid(field: impl Into<String>, value: &Value, note: &str) -> Self {
        let message = format!("Invalid value: {value}: {note}");
        Self { field: field.into(), reason: "FieldValueInvalid", message }
    }
    pub fn forbidden(field: impl Into<String>, note: &str) -> Self {
        Self { field: field.into(), reason: "FieldValueForbidden", message: format!("Forbidden: {note}") }
    }
    pub fn duplicate(field: impl Into<String>, value: &Value) -> Self {
        let message = format!("Duplicate value: {value}");
        Self { field: field.into(), reason: "FieldValueDuplicate", message }
    }
    pub fn not_found(field: impl Into<String>, value: &Value) -> Self {
        Self { field: field.into(), reason: "FieldValueNotFound", message: format!("Not found: {value}") }
    }
}

impl Status {
    pub fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self { code, reason, message: message.into(), details: json!({}), resume: None }
    }

    #[must_use]
    pub fn with(mut self, details: Value) -> Self {
        self.details = details;
        self
    }

    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    pub fn unauthorized() -> Self {
        Self::new(401, "Unauthorized", "Unauthorized")
    }

    pub fn forbidden(resource: &Resource, name: &str, why: &str) -> Self {
        let what = format!("{} \"{name}\" is forbidden: {why}", resource.qualified());
        Self::new(403, "Forbidden", what).with(about(resource, name))
    }

    /// A path that leads nowhere.
    pub fn no_path() -> Self {
        Self::new(404, "NotFound", "the server could not find the requested resource")
    }

    pub fn not_found(resource: &Resource, name: &str) -> Self {
        let what = format!("{} \"{name}\" not found", resource.qualified());
        Self::new(404, "NotFound", what).with(about(resource, name))
    }

    pub fn method_not_allowed() -> Self {
        Self::new(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")
    }

    pub fn exists(resource: &Resource, name: &str) -> Self {
        let what = format!("{} \"{name}\" already exists", resource.qualified());
        Self::new(409, "AlreadyExists", what).with(about(resource, name))
    }

    pub fn conflict(resource: &Resource, name: &str, why: &str) -> Self {
        let what = format!("Operation cannot be fulfilled on {} \"{name}\": {why}", resource.qualified());
        Self::new(409, "Conflict", what).with(about(resource, name))
    }

    /// The caller's resourceVersion is not the stored one.
    pub fn modified(resource: &Resource, name: &str) -> Self {
        let why =
            "the object has been modified; please apply your changes to the latest version and try again";
        Self::conflict(resource, name, why)
    }

    pub fn unsupported(accepted: &str) -> Self {
        let message = format!(
            "the body of the request was in an unknown format - accepted media types include: {accepted}"
        );
        Self::new(415, "UnsupportedMediaType", message)
    }

    pub fn invalid(resource: &Resource, name: &str, causes: &[Cause]) -> Self {
        let each: Vec<String> =
            causes.iter().map(|cause| format!("{}: {}", cause.field, cause.message)).collect();
        let all = if each.len() == 1 { each.concat() } else { format!("[{}]", each.join(", ")) };
        let kind = if resource.group.is_empty() {
            resource.kind.to_owned()
        } else {
            format!("{}.{}", resource.kind, resource.group)
        };
        let causes: Vec<Value> = causes
            .iter()
            .map(|cause| json!({"reason": cause.reason, "message": cause.message, "field": cause.field}))
            .collect();
        let details = json!({"name": name, "group": resource.group, "kind": resource.kind, "causes": causes});
        Self::new(422, "Invalid", format!("{kind} \"{name}\" is invalid: {all}")).with(details)
    }

    /// A well-formed patch that cannot be applied.
    pub fn unprocessable(message: impl Into<String>) -> Self {
        Self::new(422, "Invalid", message)
    }

    pub fn too_large_version(wanted: u64, current: u64) -> Self {
        let message = format!("Too large resource version: {wanted}, current: {current}");
        let causes = json!([{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]);
        Self::new(504, "Timeout", message).with(json!({"causes": causes, "retryAfterSeconds": 1}))
    }

    pub fn internal(message: impl std::fmt::Display) -> Self {
        Self::new(500, "InternalError", format!("Internal error occurred: {message}"))
    }

    /// The object on the wire.
    pub fn body(&self) -> Value {
        let mut metadata = json!({});
        if let Some(token) = &self.resume {
            metadata["continue"] = Value::String(token.clone());
        }
        json!({
            "kind": "Status", "apiVersion": "v1", "metadata": metadata, "status": "Failure",
            "message": self.message, "reason": self.reason, "details": self.details, "code": self.code,
        })
    }

    pub fn response(&self) -> Response<Body> {
        let mut response = Response::new(Body::from(self.body().to_string()));
        *response.status_mut() = StatusCode::from_u16(self.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(seconds) = self.details["retryAfterSeconds"].as_u64() {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl From<StoreError> for Status {
    fn from(error: StoreError) -> Self {
        match &error {
            StoreError::NotFound(plural, name) => Self::named(plural, name, Self::not_found),
            StoreError::Exists(plural, name) => Self::named(plural, name, Self::exists),
            StoreError::Nameless => {
                Self::new(422, "Invalid", "resource name may not be empty: name or generateName is required")
            }
            StoreError::UnknownResource(_) => Self::no_path(),
        }
    }
}

impl From<Expired> for Status {
    fn from(error: Expired) -> Self {
        Self::new(410, "Expired", error.to_string())
    }
}

impl Status {
    fn named(plural: &str, name: &str, make: fn(&Resource, &str) -> Self) -> Self {
        crate::lab::store::resource(plural).map_or_else(Self::no_path, |row| make(row, name))
    }
}

fn about(resource: &Resource, name: &str) -> Value {
    json!({"name": name, "group": resource.group, "kind": resource.path})
}
