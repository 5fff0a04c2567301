//! One request, taken apart: what it wants done, to which resource, with which options.
//! It knows URLs and headers, not what any resource means.
use axum::extract::Query as Pairs;
use bytes::Bytes;
use http::{HeaderMap, Method, Uri, header};
use jiff::Timestamp;
use serde_json::Value;

use super::auth::User;
use super::protobuf;
use super::status::Status;
use crate::lab::store::{RESOURCES, Resource};

/// A request whose body has been read and whose caller is known.
pub struct Call {
    pub method: Method,
    /// The path as sent, still percent-encoded.
    pub path: String,
    pub query: Query,
    pub headers: HeaderMap,
    pub body: Bytes,
    pub user: User,
    pub now: Timestamp,
}

/// The query parameters in the order sent.
#[derive(Debug, Default, Clone)]
pub struct Query(Vec<(String, String)>);

/// What the path of a resource request names.
#[derive(Debug, Clone)]
pub struct Target {
    pub resource: &'static Resource,
    /// The group and version in the URL; differs from the resource's for events.k8s.io.
    pub group: String,
    pub version: String,
    pub namespace: Option<String>,
    pub name: Option<String>,
    pub subresource: Option<String>,
    /// What follows the subresource (`proxy/PATH`).
    pub rest: String,
}

impl Query {
    pub fn of(uri: &Uri) -> Self {
        Self(Pairs::<Vec<(String, String)>>::try_from_uri(uri).map(|pairs| pairs.0).unwrap_or_default())
    }

    /// The first non-empty value.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, value)| key == name && !value.is_empty()).map(|(_, value)| value.as_str())
    }

    pub fn all<'a>(&'a self, name: &str) -> Vec<&'a str> {
        self.0.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str()).collect()
    }

    pub fn is(&self, name: &str) -> bool {
        matches!(self.get(name), Some("true" | "1" | "True"))
    }

    pub fn number(&self, name: &str) -> Result<Option<u64>, Status> {
        let Some(text) = self.get(name) else { return Ok(None) };
        text.parse().map(Some).map_err(|_| {
            Status::bad_request(format!(
                "strconv.ParseUint: parsing {text:?}: invalid syntax (in parameter {name})"
            ))
        })
    }
}

impl Call {
    pub fn accept(&self) -> &str {
        self.headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or("*/*")
    }

    pub fn content_type(&self) -> &str {
        let whole = self.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        whole.unwrap_or_default().split(';').next().unwrap_or_default().trim()
    }

    pub fn takes_gzip(&self) -> bool {
        let accepted = self.headers.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok());
        accepted.unwrap_or_default().split(',').any(|one| one.trim().split(';').next() == Some("gzip"))
    }

    /// The body as JSON, whatever it was sent as: JSON, YAML (apply), or protobuf for the few kinds of `protobuf`.
    pub fn json(&self) -> Result<Value, Status> {
        if self.content_type() == "application/vnd.kubernetes.protobuf" {
            return protobuf::decode(&self.body)
                .ok_or_else(|| Status::unsupported("application/json, application/yaml"));
        }
        serde_json::from_slice(&self.body)
            .or_else(|error| self.yaml().ok_or(error))
            .map_err(|error| Status::bad_request(format!("error decoding the body: {error}")))
    }

    fn yaml(&self) -> Option<Value> {
        if !self.content_type().contains("yaml") {
            return None;
        }
        serde_saphyr::from_str(std::str::from_utf8(&self.body).ok()?).ok()
    }

    /// `dryRun=All`: everything but the storing.
    pub fn is_dry_run(&self) -> Result<bool, Status> {
        match self.query.all("dryRun").as_slice() {
            [] | [""] => Ok(false),
            ["All", ..] => Ok(true),
            [other, ..] => Err(Status::new(
                422,
                "Invalid",
                format!(" \"\" is invalid: dryRun: Unsupported value: {other:?}: supported values: \"All\""),
            )),
        }
    }

    /// Who writes, for managedFields: asked for, or the first word of the user agent.
    pub fn manager(&self) -> String {
        let agent =
            self.headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or("unknown");
        let own = agent.split(['/', ' ']).next().unwrap_or("unknown");
        self.query.get("fieldManager").unwrap_or(own).chars().take(128).collect()
    }

    /// The verb RBAC knows this request by.
    pub fn verb(&self, target: &Target) -> &'static str {
        match (self.method.as_str(), &target.name) {
            ("GET" | "HEAD", _) if self.query.is("watch") => "watch",
            ("GET" | "HEAD", Some(_)) => "get",
            ("GET" | "HEAD", None) => "list",
            ("POST", _) => "create",
            ("PUT", _) => "update",
            ("PATCH", _) => "patch",
            ("DELETE", Some(_)) => "delete",
            ("DELETE", None) => "deletecollection",
            _ => "unknown",
        }
    }
}

impl Target {
    /// Takes `/api/v1/…` and `/apis/G/V/…` apart; `None` when the lab has no such resource.
    pub fn parse(path: &str) -> Option<Self> {
        let mut parts = path.trim_start_matches('/').split('/');
        let (group, version) = match parts.next()? {
            "api" => (String::new(), parts.next()?.to_owned()),
            "apis" => (parts.next()?.to_owned(), parts.next()?.to_owned()),
            _ => return None,
        };
        let parts: Vec<String> = parts.map(decode).collect();
        let (namespace, rest) = match parts.as_slice() {
            [word, namespace, plural, ..]
                if word == "namespaces" && known(&group, &version, plural).is_some() =>
            {
                (Some(namespace.clone()), &parts[2..])
            }
            _ => (None, &parts[..]),
        };
        let mut rest = rest.iter().filter(|part| !part.is_empty());
        let resource = known(&group, &version, rest.next()?)?;
        let (name, subresource) = (rest.next().cloned(), rest.next().cloned());
        let rest = after_subresource(path, subresource.as_deref());
        Some(Self { resource, group, version, namespace, name, subresource, rest })
    }

    /// The namespace for the store: empty for cluster-scoped objects.
    pub fn place(&self) -> &str {
        self.namespace.as_deref().unwrap_or_default()
    }

    pub fn name(&self) -> &str {
        self.name.as_deref().unwrap_or_default()
    }

    /// events.k8s.io shows the fields of an event under other names.
    pub fn is_new_events(&self) -> bool {
        self.group == "events.k8s.io"
    }
}

/// The resource a group, version and URL plural mean.
pub fn known(group: &str, version: &str, path: &str) -> Option<&'static Resource> {
    if (group, version, path) == ("events.k8s.io", "v1", "events") {
        return crate::lab::store::resource("events");
    }
    RESOURCES.iter().find(|row| row.group == group && row.version == version && row.path == path)
}

fn after_subresource(path: &str, subresource: Option<&str>) -> String {
    let Some(subresource) = subresource else { return String::new() };
    path.split_once(&format!("/{subresource}/")).map(|(_, rest)| rest.to_owned()).unwrap_or_default()
}

/// Percent-decoding of one path segment.
fn decode(segment: &str) -> String {
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.as_bytes();
    while let [first, tail @ ..] = rest {
        let escaped = (*first == b'%').then(|| segment_byte(tail)).flatten();
        bytes.push(escaped.unwrap_or(*first));
        rest = if escaped.is_some() { &tail[2..] } else { tail };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn segment_byte(after_percent: &[u8]) -> Option<u8> {
    u8::from_str_radix(std::str::from_utf8(after_percent.get(..2)?).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_name_resources() {
        let pod = Target::parse("/api/v1/namespaces/shop/pods/web-1/log").unwrap();
        assert_eq!((pod.resource.plural, pod.place(), pod.name()), ("pods", "shop", "web-1"));
        assert_eq!(pod.subresource.as_deref(), Some("log"));
        let namespace = Target::parse("/api/v1/namespaces/shop").unwrap();
        assert_eq!((namespace.resource.plural, namespace.name()), ("namespaces", "shop"));
        let status = Target::parse("/api/v1/namespaces/shop/status").unwrap();
        assert_eq!((status.resource.plural, status.subresource.as_deref()), ("namespaces", Some("status")));
        let proxy =
            Target::parse("/api/v1/namespaces/m/services/prometheus-server:80/proxy/api/v1/query").unwrap();
        assert_eq!((proxy.name(), proxy.rest.as_str()), ("prometheus-server:80", "api/v1/query"));
        let metrics = Target::parse("/apis/metrics.k8s.io/v1beta1/nodes").unwrap();
        assert_eq!(metrics.resource.plural, "nodemetrics");
        assert!(Target::parse("/apis/apps/v1beta1/deployments").is_none());
        assert_eq!(decode("a%3Ab%zz"), "a:b%zz");
    }
}
