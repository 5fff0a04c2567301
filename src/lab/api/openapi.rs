//! OpenAPI as far as clients need it to learn that the server validates and patches: paths, no schemas.
//! It is made from the resource table.
use axum::body::Body;
use http::Response;
use serde_json::{Map, Value, json};

use super::call::Call;
use super::discovery::versions;
use super::render;
use super::status::Status;
use crate::lab::store::{RESOURCES, Resource};

/// Answers `/openapi/…`; `None` for any other path.
pub fn answer(call: &Call) -> Option<Result<Response<Body>, Status>> {
    let rest = call.path.strip_prefix("/openapi/")?.trim_end_matches('/');
    if rest == "v2" {
        return Some(v2(call));
    }
    if rest == "v3" {
        return Some(Ok(render::value(call, 200, &index())));
    }
    let parts: Vec<&str> = rest.split('/').collect();
    let (group, version) = match parts.as_slice() {
        ["v3", "api", version] => ("", *version),
        ["v3", "apis", group, version] => (*group, *version),
        _ => return Some(Err(Status::no_path())),
    };
    Some(Ok(render::value(call, 200, &document(group, version))))
}

/// Swagger 2 is asked for as protobuf, which the lab does not speak; as JSON it is an empty but honest one.
fn v2(call: &Call) -> Result<Response<Body>, Status> {
    let accept = call.accept();
    if accept.contains("json") || accept.contains("*/*") {
        let paths: Map<String, Value> = RESOURCES.iter().flat_map(paths_of).collect();
        let document = json!({"swagger": "2.0", "info": info(), "paths": paths, "definitions": {}});
        return Ok(render::value(call, 200, &document));
    }
    Err(Status::new(406, "NotAcceptable", "only the following media types are accepted: application/json"))
}

fn index() -> Value {
    let versions = versions().into_iter().map(|(group, version)| format!("apis/{group}/{version}"));
    let paths: Map<String, Value> = std::iter::once("api/v1".to_owned())
        .chain(versions)
        .map(|path| {
            let url = format!("/openapi/v3/{path}?hash={}", env!("CARGO_PKG_VERSION"));
            (path, json!({"serverRelativeURL": url}))
        })
        .collect();
    json!({"paths": paths})
}

fn document(group: &str, version: &str) -> Value {
    let rows = RESOURCES.iter().filter(|row| row.group == group && row.version == version);
    let paths: Map<String, Value> = rows.flat_map(paths_of).collect();
    json!({"openapi": "3.0.0", "info": info(), "paths": paths, "components": {"schemas": {}}})
}

fn info() -> Value {
    json!({"title": "Kubernetes", "version": "v1.35.2"})
}

fn paths_of(row: &Resource) -> Vec<(String, Value)> {
    let root =
        if row.group.is_empty() { "/api/v1".to_owned() } else { format!("/apis/{}", row.api_version()) };
    let place = if row.namespaced { "/namespaces/{namespace}" } else { "" };
    let list = format!("{root}{place}/{}", row.path);
    let kind = json!({"group": row.group, "version": row.version, "kind": row.kind});
    let operation = |id: &str, action: &str| {
        let parameters: Vec<Value> = ["dryRun", "fieldManager", "fieldValidation", "force"]
            .iter()
            .map(|name| json!({"name": name, "in": "query", "schema": {"type": "string", "uniqueItems": true}}))
            .collect();
        json!({"operationId": format!("{id}{}", row.kind), "parameters": parameters, "responses": {},
               "x-kubernetes-action": action, "x-kubernetes-group-version-kind": kind})
    };
    if row.is_read_only() {
        return vec![(list, json!({"get": operation("list", "list")}))];
    }
    let mut patch = operation("patch", "patch");
    // Strategic merge is understood but not announced for kinds: clients that read it here would then
    // want the schema, and without the announcement they fall back to what they know of the kind.
    patch["requestBody"] = json!({"content": {
        "application/json-patch+json": {}, "application/merge-patch+json": {}, "application/apply-patch+yaml": {},
    }});
    vec![
        (list.clone(), json!({"get": operation("list", "list"), "post": operation("create", "post")})),
        (
            format!("{list}/{{name}}"),
            json!({"get": operation("read", "get"), "put": operation("replace", "put"), "patch": patch,
                   "delete": operation("delete", "delete")}),
        ),
    ]
}
