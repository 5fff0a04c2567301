//! What the server offers: groups, versions, resources and verbs, plain and aggregated.
//! It is made from the resource table and the few review kinds that are never stored.
use axum::body::Body;
use http::{HeaderValue, Response, header};
use serde_json::{Value, json};

use super::call::Call;
use super::render;
use super::status::Status;
use crate::lab::store::{RESOURCES, Resource};

const STORED: &[&str] = &["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];
const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

/// One line of discovery.
struct Entry {
    path: String,
    singular: String,
    kind: String,
    /// Where the kind lives, if not in the group asked for.
    foreign: Option<(&'static str, &'static str)>,
    namespaced: bool,
    verbs: &'static [&'static str],
    short_names: &'static [&'static str],
    categories: &'static [&'static str],
}

/// Answers the paths of discovery; `None` for any other.
pub fn answer(call: &Call) -> Option<Result<Response<Body>, Status>> {
    let parts: Vec<&str> = call.path.trim_matches('/').split('/').collect();
    let aggregated = call.accept().contains("apidiscovery.k8s.io") && call.accept().contains("v=v2;");
    Some(Ok(match parts.as_slice() {
        ["api"] if aggregated => aggregate(call, &[("", "v1")]),
        ["apis"] if aggregated => aggregate(call, &versions()),
        ["api"] => render::value(call, 200, &json!({"kind": "APIVersions", "versions": ["v1"]})),
        ["apis"] => {
            let groups: Vec<Value> =
                versions().iter().map(|(group, version)| named_group(group, version)).collect();
            render::value(call, 200, &json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}))
        }
        ["apis", group] => {
            let versions = versions();
            let Some((group, version)) = versions.iter().find(|(name, _)| name == group) else {
                return Some(Err(Status::no_path()));
            };
            let mut found = named_group(group, version);
            found["kind"] = "APIGroup".into();
            found["apiVersion"] = "v1".into();
            render::value(call, 200, &found)
        }
        ["api", "v1"] => resource_list(call, "", "v1"),
        ["apis", group, version] if versions().contains(&(*group, *version)) => {
            resource_list(call, group, version)
        }
        _ => return None,
    }))
}

/// Every group and version but core, in the table's order.
pub fn versions() -> Vec<(&'static str, &'static str)> {
    let mut all = Vec::new();
    for row in RESOURCES.iter().filter(|row| !row.group.is_empty()) {
        if !all.contains(&(row.group, row.version)) {
            all.push((row.group, row.version));
        }
    }
    all.extend([("events.k8s.io", "v1"), ("authentication.k8s.io", "v1"), ("authorization.k8s.io", "v1")]);
    all
}

fn named_group(group: &str, version: &str) -> Value {
    let version = json!({"groupVersion": format!("{group}/{version}"), "version": version});
    json!({"name": group, "versions": [version], "preferredVersion": version})
}

fn resource_list(call: &Call, group: &str, version: &str) -> Response<Body> {
    let resources: Vec<Value> = entries(group, version).iter().map(Entry::plain).collect();
    let group_version = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
    let list = json!({
        "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": resources,
    });
    render::value(call, 200, &list)
}

fn aggregate(call: &Call, versions: &[(&str, &str)]) -> Response<Body> {
    let items: Vec<Value> = versions
        .iter()
        .map(|(group, version)| {
            json!({
                "metadata": {"name": group, "creationTimestamp": null},
                "versions": [{"version": version, "freshness": "Current", "resources": nested(group, version)}],
            })
        })
        .collect();
    let list = json!({
        "kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items,
    });
    let mut response = render::value(call, 200, &list);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(AGGREGATED));
    response
}

/// Resources with their subresources inside, as the aggregated form wants them.
fn nested(group: &str, version: &str) -> Vec<Value> {
    let mut found: Vec<Value> = Vec::new();
    for entry in entries(group, version) {
        let kind = entry.response_kind(group, version);
        if let Some((_, subresource)) = entry.path.split_once('/') {
            let inner = json!({"subresource": subresource, "responseKind": kind, "verbs": entry.verbs});
            if let Some(list) = found.last_mut().and_then(|last| last["subresources"].as_array_mut()) {
                list.push(inner);
            }
        } else {
            let scope = if entry.namespaced { "Namespaced" } else { "Cluster" };
            found.push(json!({
                "resource": entry.path, "responseKind": kind, "scope": scope, "singularResource": entry.singular,
                "verbs": entry.verbs, "shortNames": entry.short_names, "categories": entry.categories,
                "subresources": [],
            }));
        }
    }
    found
}

fn entries(group: &str, version: &str) -> Vec<Entry> {
    let mut found = Vec::new();
    for row in RESOURCES.iter().filter(|row| row.group == group && row.version == version) {
        found.push(Entry::of(row));
        found.extend(row.subresources.iter().map(|name| Entry::sub(row, name)));
    }
    match group {
        "events.k8s.io" => found.extend(crate::lab::store::resource("events").map(Entry::of)),
        "authentication.k8s.io" => found.push(Entry::review("selfsubjectreviews", "SelfSubjectReview")),
        "authorization.k8s.io" => found.extend([
            Entry::review("selfsubjectaccessreviews", "SelfSubjectAccessReview"),
            Entry::review("selfsubjectrulesreviews", "SelfSubjectRulesReview"),
        ]),
        _ => {}
    }
    found
}

impl Entry {
    fn of(row: &Resource) -> Self {
        Self {
            path: row.path.to_owned(),
            singular: row.singular.to_owned(),
            kind: row.kind.to_owned(),
            foreign: None,
            namespaced: row.namespaced,
            verbs: if row.is_read_only() { &["get", "list"] } else { STORED },
            short_names: row.short_names,
            categories: row.categories,
        }
    }

    fn sub(row: &Resource, name: &str) -> Self {
        let (kind, foreign, verbs): (&str, _, &'static [&'static str]) = match name {
            "scale" => ("Scale", Some(("autoscaling", "v1")), &["get", "patch", "update"]),
            "eviction" => ("Eviction", Some(("policy", "v1")), &["create"]),
            "exec" => ("PodExecOptions", None, &["create", "get"]),
            "portforward" => ("PodPortForwardOptions", None, &["create", "get"]),
            "log" => (row.kind, None, &["get"]),
            "proxy" => (proxy_options(row), None, &["create", "delete", "get", "patch", "update"]),
            _ => (row.kind, None, &["get", "patch", "update"]),
        };
        let path = format!("{}/{name}", row.path);
        Self {
            path,
            kind: kind.to_owned(),
            foreign,
            verbs,
            singular: String::new(),
            short_names: &[],
            categories: &[],
            ..Self::of(row)
        }
    }

    fn review(path: &str, kind: &str) -> Self {
        Self {
            path: path.to_owned(),
            singular: kind.to_lowercase(),
            kind: kind.to_owned(),
            foreign: None,
            namespaced: false,
            verbs: &["create"],
            short_names: &[],
            categories: &[],
        }
    }

    fn response_kind(&self, group: &str, version: &str) -> Value {
        let (group, version) = self.foreign.unwrap_or((group, version));
        json!({"group": group, "version": version, "kind": self.kind})
    }

    fn plain(&self) -> Value {
        let mut line = json!({
            "name": self.path, "singularName": self.singular, "namespaced": self.namespaced, "kind": self.kind,
            "verbs": self.verbs,
        });
        if let Some((group, version)) = self.foreign {
            line["group"] = group.into();
            line["version"] = version.into();
        }
        if !self.short_names.is_empty() {
            line["shortNames"] = json!(self.short_names);
        }
        if !self.categories.is_empty() {
            line["categories"] = json!(self.categories);
        }
        line
    }
}

fn proxy_options(row: &Resource) -> &'static str {
    match row.plural {
        "pods" => "PodProxyOptions",
        "services" => "ServiceProxyOptions",
        _ => "NodeProxyOptions",
    }
}
