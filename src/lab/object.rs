//! One stored object: its bytes, the small index beside them, and what a server fills in.
//! It knows nothing of revisions' order, of watches, or of what a kind means.
use std::collections::BTreeMap;

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::resources::Resource;

/// A stored object at one revision. Never changes; an update makes a new one.
#[derive(Debug)]
pub struct Object {
    pub resource: &'static Resource,
    pub namespace: String,
    pub name: String,
    pub uid: String,
    pub labels: BTreeMap<String, String>,
    /// uid of the controlling owner, if there is one.
    pub controller: Option<String>,
    pub revision: u64,
    /// `metadata.deletionTimestamp` is set.
    pub deleting: bool,
    /// Values of `resource.fields`, in that order.
    fields: Box<[String]>,
    json: Bytes,
}

impl Object {
    pub(super) fn new(resource: &'static Resource, mut object: Value, revision: u64) -> Self {
        object["metadata"]["resourceVersion"] = Value::String(revision.to_string());
        let labels = object["metadata"]["labels"].as_object().map_or_else(BTreeMap::new, |labels| {
            labels
                .iter()
                .map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned()))
                .collect()
        });
        let owners = list_at(&object, "/metadata/ownerReferences");
        let controller = owners.iter().find(|owner| owner["controller"] == true);
        Self {
            resource,
            namespace: text(&object, "/metadata/namespace"),
            name: text(&object, "/metadata/name"),
            uid: text(&object, "/metadata/uid"),
            labels,
            controller: controller.map(|owner| text(owner, "/uid")),
            revision,
            deleting: object["metadata"]["deletionTimestamp"].is_string(),
            fields: resource.fields.iter().map(|path| field(&object, path)).collect(),
            json: serde_json::to_vec(&object).map(Bytes::from).unwrap_or_default(),
        }
    }

    /// The object as JSON, serialised once and shared by everyone who sends it.
    pub fn json(&self) -> &Bytes {
        &self.json
    }

    /// The object, parsed now; keep it if you need it twice.
    pub fn value(&self) -> Value {
        serde_json::from_slice(&self.json).unwrap_or_default()
    }

    /// The value a field selector sees, e.g. `spec.nodeName`; `None` if the resource does not support it.
    pub fn field(&self, path: &str) -> Option<&str> {
        match path {
            "metadata.name" => Some(&self.name),
            "metadata.namespace" => Some(&self.namespace),
            path => {
                let at = self.resource.fields.iter().position(|known| *known == path)?;
                self.fields.get(at).map(String::as_str)
            }
        }
    }
}

/// `2026-11-23T03:12:00Z`, as `metav1.Time` is written.
pub fn seconds(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// `2026-11-23T03:12:00.000000Z`, as `metav1.MicroTime` (leases, new events) is written.
pub fn micros(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()
}

pub(super) fn text(object: &Value, pointer: &str) -> String {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
}

pub(super) fn list_at<'a>(object: &'a Value, pointer: &str) -> &'a [Value] {
    object.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn field(object: &Value, path: &str) -> String {
    let path = if path == "source" { "source.component" } else { path };
    match object.pointer(&format!("/{}", path.replace('.', "/"))) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Null) | None if path == "spec.unschedulable" => "false".to_owned(),
        Some(Value::Null) | None => String::new(),
        Some(other) => other.to_string(),
    }
}

pub(super) fn complete(
    row: &'static Resource,
    object: &mut Value,
    random: &mut fastrand::Rng,
    now: Timestamp,
) {
    if !object.is_object() {
        *object = json!({});
    }
    object["apiVersion"] = Value::String(row.api_version());
    object["kind"] = Value::String(row.kind.to_owned());
    if !object["metadata"].is_object() {
        object["metadata"] = json!({});
    }
    let has_spec = object.get("spec").is_some();
    let Some(metadata) = object["metadata"].as_object_mut() else { return };
    let prefix = metadata.get("generateName").and_then(Value::as_str).unwrap_or_default().to_owned();
    if !filled(metadata, "name") && !prefix.is_empty() {
        metadata.insert("name".into(), Value::String(format!("{prefix}{}", suffix(random))));
    }
    if !row.namespaced {
        metadata.remove("namespace");
    } else if !filled(metadata, "namespace") {
        metadata.insert("namespace".into(), "default".into());
    }
    if !filled(metadata, "uid") {
        metadata.insert("uid".into(), Value::String(uid(random)));
    }
    if !filled(metadata, "creationTimestamp") {
        metadata.insert("creationTimestamp".into(), Value::String(seconds(now)));
    }
    if has_spec && !metadata.contains_key("generation") {
        metadata.insert("generation".into(), 1.into());
    }
}

fn filled(metadata: &Map<String, Value>, name: &str) -> bool {
    metadata.get(name).and_then(Value::as_str).is_some_and(|text| !text.is_empty())
}

pub(super) fn count_generation(before: &Value, after: &mut Value) {
    if before.get("spec") != after.get("spec") {
        let generation = before["metadata"]["generation"].as_i64().unwrap_or(0);
        after["metadata"]["generation"] = (generation + 1).into();
    }
}

pub(super) fn uid(random: &mut fastrand::Rng) -> String {
    uuid::Builder::from_random_bytes(random.u128(..).to_be_bytes()).into_uuid().to_string()
}

/// Letters that cannot spell words, as Kubernetes chooses them.
pub(super) fn suffix(random: &mut fastrand::Rng) -> String {
    const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    (0..5).map(|_| char::from(LETTERS[random.usize(..LETTERS.len())])).collect()
}
