//! Server-side apply: what a manager applied is what it owns; others' fields are not touched unless forced.
//! It works on field sets (`fields`), not on types.
use axum::body::Body;
use http::Response;
use serde_json::{Map, Value, json};

use super::Api;
use super::call::{Call, Target};
use super::fields::{self, Paths, Step};
use super::render;
use super::status::Status;
use super::write;

/// Whether this PATCH is an apply.
pub fn is_asked(call: &Call) -> bool {
    ["application/apply-patch+yaml", "application/apply-patch+json"].contains(&call.content_type())
}

pub fn apply(api: &Api, call: &Call, target: &Target) -> Result<Response<Body>, Status> {
    let manager = call.query.get("fieldManager").ok_or_else(|| {
        let why = "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for apply patch";
        Status::new(422, "Invalid", why)
    })?;
    let mut config = write::body(call, target)?;
    if config["metadata"]["managedFields"].as_array().is_some_and(|entries| !entries.is_empty()) {
        return Err(Status::bad_request("metadata.managedFields must be nil"));
    }
    for field in ["apiVersion", "kind"] {
        if !config[field].is_string() {
            return Err(Status::bad_request(format!(
                "invalid object type: {field} must be set to apply an object"
            )));
        }
    }
    config["metadata"]["name"] = target.name().into();
    let exists = api.store.get(target.resource.plural, target.place(), target.name()).is_some();
    if !exists {
        let mut fresh = config.clone();
        if let Some(namespace) = &target.namespace {
            fresh["metadata"]["namespace"] = namespace.clone().into();
        }
        let object = create(api, call, target, manager, fresh)?;
        return render::object(call, target, 201, &object);
    }
    let force = call.query.is("force");
    let object = write::commit(api, call, target, |live| merge(live, &config, manager, force, target, call))?;
    render::object(call, target, 200, &object)
}

/// A new object belongs to its applier in every field it applied.
fn create(
    api: &Api,
    call: &Call,
    target: &Target,
    manager: &str,
    config: Value,
) -> Result<std::sync::Arc<crate::lab::store::Object>, Status> {
    let owned = fields::leaves(&config);
    let version = config["apiVersion"].clone();
    let object = write::insert(api, call, target, config)?;
    if call.is_dry_run()? {
        return Ok(object);
    }
    let note = |object: &mut Value| {
        let mut entries = Vec::new();
        fields::put(
            &mut entries,
            manager,
            "Apply",
            target.subresource.as_deref(),
            &owned,
            true,
            &version,
            call.now,
        );
        fields::store(object, entries);
    };
    Ok(api.store.update(target.resource.plural, target.place(), target.name(), call.now, note)?)
}

fn merge(
    live: &mut Value,
    config: &Value,
    manager: &str,
    force: bool,
    target: &Target,
    call: &Call,
) -> Result<(), Status> {
    let subresource = target.subresource.as_deref();
    let wanted = fields::leaves(config);
    let mut entries = fields::entries_of(live);
    let is_own = |entry: &Value| fields::is_entry(entry, manager, "Apply", subresource);
    let mut conflicts = Vec::new();
    let mut others = Paths::new();
    let mut before = Paths::new();
    for entry in &mut entries {
        let mut paths = fields::decode(&entry["fieldsV1"]);
        if is_own(entry) {
            before = paths;
            continue;
        }
        let differs = |path: &fields::Path| {
            !matches!(path.last(), Some(Step::Key(_))) && fields::at(live, path) != fields::at(config, path)
        };
        let clash: Paths = paths.intersection(&wanted).filter(|path| differs(path)).cloned().collect();
        if !clash.is_empty() && force {
            paths.retain(|path| !clash.contains(path));
            entry["fieldsV1"] = fields::encode(&paths);
        } else if !clash.is_empty() {
            conflicts.push((entry.clone(), clash));
        }
        others.extend(paths);
    }
    if !conflicts.is_empty() {
        return Err(conflict(&conflicts));
    }
    let dropped: Vec<_> = before
        .difference(&wanted)
        .filter(|path| !others.iter().any(|other| other.starts_with(path)))
        .collect();
    for path in dropped.iter().rev() {
        fields::remove(live, path);
    }
    let mut given = config.clone();
    if let Some(metadata) = given["metadata"].as_object_mut() {
        metadata.remove("managedFields");
    }
    put("", live, &given);
    fields::put(&mut entries, manager, "Apply", subresource, &wanted, true, &config["apiVersion"], call.now);
    fields::store(live, entries);
    Ok(())
}

/// Lays the applied values over the live ones; keyed lists item by item.
fn put(name: &str, live: &mut Value, config: &Value) {
    match config {
        Value::Null => {}
        Value::Object(given) => {
            if !live.is_object() {
                *live = Value::Object(Map::new());
            }
            for (name, value) in given.iter().filter(|(_, value)| !value.is_null()) {
                put(name, &mut live[name.as_str()], value);
            }
        }
        Value::Array(items) if fields::list_keys(name, items).is_some() || name == "finalizers" => {
            if !live.is_array() {
                *live = Value::Array(Vec::new());
            }
            let keys = fields::list_keys(name, items);
            let Some(live) = live.as_array_mut() else { return };
            for item in items {
                let same = |other: &&mut Value| match keys {
                    Some(keys) => fields::key_of(other, keys) == fields::key_of(item, keys),
                    None => **other == *item,
                };
                match live.iter_mut().find(same) {
                    Some(found) => put("", found, item),
                    None => live.push(item.clone()),
                }
            }
        }
        other => *live = other.clone(),
    }
}

fn conflict(conflicts: &[(Value, Paths)]) -> Status {
    let who = |entry: &Value| {
        let text = |field: &str| entry[field].as_str().unwrap_or_default().to_owned();
        let sub = entry["subresource"]
            .as_str()
            .map(|name| format!(" with subresource {name:?}"))
            .unwrap_or_default();
        format!("{:?}{sub} using {}", text("manager"), text("apiVersion"))
    };
    let count: usize = conflicts.iter().map(|(_, paths)| paths.len()).sum();
    let mut lines = Vec::new();
    let mut causes = Vec::new();
    for (entry, paths) in conflicts {
        let shown: Vec<String> = paths.iter().map(|path| fields::display(path)).collect();
        lines.push(match shown.as_slice() {
            [one] => format!("conflict with {}: {one}", who(entry)),
            many => format!("conflicts with {}:\n- {}", who(entry), many.join("\n- ")),
        });
        causes.extend(shown.into_iter().map(|field| {
            json!({"reason": "FieldManagerConflict", "message": format!("conflict with {}", who(entry)), "field": field})
        }));
    }
    let plural = if count == 1 { "conflict" } else { "conflicts" };
    let message = format!("Apply failed with {count} {plural}: {}", lines.join("\n"));
    Status::new(409, "Conflict", message).with(json!({"causes": causes}))
}
