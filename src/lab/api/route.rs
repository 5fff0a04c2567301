//! From a request to the function that answers it: who asks, what for, may they.
//! It knows paths and verbs; the answers are made elsewhere.
use std::sync::Arc;

use axum::body::{Body, to_bytes};
use http::{Request, Response, header};
use hyper::upgrade::OnUpgrade;
use serde_json::json;

use super::auth::Wish;
use super::call::{Call, Query, Target};
use super::status::Status;
use super::{
    Api, apply, delete, discovery, evict, exec, list, log, openapi, patch, portforward, proxy, render,
    review, scale, watch, write,
};

/// The largest body the real server takes.
const LARGEST_BODY: usize = 3 * 1024 * 1024;

type Answer = Result<Response<Body>, Status>;

pub async fn answer(api: &Arc<Api>, mut request: Request<Body>) -> Response<Body> {
    let upgrade = request.headers().contains_key(header::UPGRADE).then(|| hyper::upgrade::on(&mut request));
    match respond(api, request, upgrade).await {
        Ok(response) => response,
        Err(status) => status.response(),
    }
}

async fn respond(api: &Arc<Api>, request: Request<Body>, upgrade: Option<OnUpgrade>) -> Answer {
    let (parts, body) = request.into_parts();
    if let Some(open) = open_to_all(parts.uri.path()) {
        return Ok(open);
    }
    let user = api.tokens.caller(&parts.headers)?;
    let body = to_bytes(body, LARGEST_BODY).await.map_err(|_| {
        let message = format!("Request entity too large: limit is {LARGEST_BODY}");
        Status::new(413, "RequestEntityTooLarge", message)
    })?;
    let call = Call {
        method: parts.method,
        path: parts.uri.path().to_owned(),
        query: Query::of(&parts.uri),
        headers: parts.headers,
        body,
        user,
        now: (api.clock)(),
    };
    if let Some(found) = discovery::answer(&call).or_else(|| openapi::answer(&call)) {
        return found;
    }
    if let Some(reviewed) = review::answer(&call) {
        api.audit.note(&call.user.name, "create", "reviews");
        return reviewed;
    }
    let target = Target::parse(&call.path).ok_or_else(Status::no_path)?;
    let verb = call.verb(&target);
    let asked = match &target.subresource {
        Some(subresource) => format!("{}/{subresource}", target.resource.path),
        None => target.resource.path.to_owned(),
    };
    api.audit.note(&call.user.name, verb, &asked);
    call.user.require(&Wish::of(verb, &target))?;
    match &target.subresource {
        Some(_) => subresource(api, call, target, verb, upgrade, &parts.uri).await,
        None => resource(api, call, target, verb),
    }
}

fn resource(api: &Arc<Api>, call: Call, target: Target, verb: &str) -> Answer {
    if target.resource.is_read_only() && !["get", "list"].contains(&verb) {
        return Err(Status::method_not_allowed());
    }
    match verb {
        "watch" => watch::watch(api, call, target),
        "get" => list::get(api, &call, &target),
        "list" => list::list(api, &call, &target),
        "create" if target.name.is_none() => write::create(api, &call, &target),
        "update" if target.name.is_some() => write::replace(api, &call, &target),
        "patch" if target.name.is_some() && apply::is_asked(&call) => apply::apply(api, &call, &target),
        "patch" if target.name.is_some() => patch::patch(api, &call, &target),
        "delete" => delete::one(api, &call, &target),
        "deletecollection" => delete::many(api, &call, &target),
        _ => Err(Status::method_not_allowed()),
    }
}

async fn subresource(
    api: &Arc<Api>,
    call: Call,
    target: Target,
    verb: &str,
    upgrade: Option<OnUpgrade>,
    uri: &http::Uri,
) -> Answer {
    let name = target.subresource.clone().unwrap_or_default();
    if !target.resource.has(&name) {
        return Err(Status::no_path());
    }
    match (name.as_str(), verb) {
        ("status", "get") => list::get(api, &call, &target),
        ("status", "update") => write::replace(api, &call, &target),
        ("status", "patch") if apply::is_asked(&call) => apply::apply(api, &call, &target),
        ("status", "patch") => patch::patch(api, &call, &target),
        ("scale", "get") => scale::get(api, &call, &target),
        ("scale", "update") => scale::replace(api, &call, &target),
        ("scale", "patch") => scale::patch(api, &call, &target),
        ("log", "get") => log::read(api, &call, &target),
        ("portforward", "get" | "create") => portforward::forward(api, &call, &target, upgrade),
        ("exec", "get" | "create") => exec::exec(api, &call, &target, upgrade),
        ("eviction", "create") => evict::evict(api, &call, &target),
        ("proxy", _) => proxy::forward(api, &call, &target, uri).await,
        _ => Err(Status::method_not_allowed()),
    }
}

/// What even strangers may read.
fn open_to_all(path: &str) -> Option<Response<Body>> {
    match path {
        "/healthz" | "/livez" | "/readyz" => Some(Response::new(Body::from("ok"))),
        "/version" | "/version/" => {
            let version = json!({
                "major": "1", "minor": "35", "gitVersion": "v1.35.2+covet-lab", "gitCommit": "", "gitTreeState": "clean",
                "buildDate": "2026-02-01T00:00:00Z", "goVersion": "go1.25.6", "compiler": "gc", "platform": "linux/amd64",
            });
            let mut response = Response::new(Body::from(version.to_string()));
            let json = http::HeaderValue::from_static("application/json");
            response.headers_mut().insert(header::CONTENT_TYPE, json);
            Some(response)
        }
        _ => None,
    }
}

/// A `Status` that says it worked.
pub fn success(call: &Call, code: u16, details: &serde_json::Value) -> Response<Body> {
    let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details});
    render::value(call, code, &status)
}
