//! `services/NAME:PORT/proxy/…` and `pods/NAME:PORT/proxy/…`: requests handed on to the lab's other servers.
//! It knows where services lead because someone routed them; it understands nothing of what it carries.
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, PoisonError, RwLock};

use axum::body::Body;
use http::{HeaderValue, Request, Response, header};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

use super::Api;
use super::call::{Call, Target};
use super::select::map_takes;
use super::status::Status;

/// namespace, service, port → the address that answers. Cheap to clone; routes can be added at any time.
#[derive(Clone, Default)]
pub struct ProxyRoutes(Arc<RwLock<HashMap<Backend, SocketAddr>>>, Kubelets, Arc<RwLock<Vec<PodRoute>>>);

/// Where pods with a label answer on a port, whatever Service selects them.
struct PodRoute {
    namespace: String,
    selector: Value,
    port: u16,
    to: SocketAddr,
}

type Backend = (String, String, u16);

/// What kubelets answer to `stats/summary`, by node; None while one is silent.
type Kubelets = Arc<RwLock<Option<Summaries>>>;
pub type Summaries = Arc<dyn Fn(&str) -> Option<Value> + Send + Sync>;

impl ProxyRoutes {
    /// `port` is the Service's port; the server there speaks plain HTTP/1.1. A pod in the place of the service is
    /// where a port-forward to it leads.
    pub fn add(&self, namespace: &str, service: &str, port: u16, to: SocketAddr) {
        let key = (namespace.to_owned(), service.to_owned(), port);
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(key, to);
    }

    /// Pods with a label answer on `port` of their own at this address.
    pub fn add_pods(&self, namespace: &str, (label, value): (&str, &str), port: u16, to: SocketAddr) {
        let selector = serde_json::json!({ label: value });
        let route = PodRoute { namespace: namespace.to_owned(), selector, port, to };
        self.2.write().unwrap_or_else(PoisonError::into_inner).push(route);
    }

    /// Who answers for the kubelets.
    pub fn answer_for_kubelets(&self, summaries: Summaries) {
        *self.1.write().unwrap_or_else(PoisonError::into_inner) = Some(summaries);
    }

    pub fn remove(&self, namespace: &str, service: &str, port: u16) {
        let key = (namespace.to_owned(), service.to_owned(), port);
        self.0.write().unwrap_or_else(PoisonError::into_inner).remove(&key);
    }

    pub(super) fn find(&self, namespace: &str, service: &str, port: u16) -> Option<SocketAddr> {
        let key = (namespace.to_owned(), service.to_owned(), port);
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(&key).copied()
    }
}

pub async fn forward(
    api: &Api,
    call: &Call,
    target: &Target,
    uri: &http::Uri,
) -> Result<Response<Body>, Status> {
    if target.resource.plural == "nodes" {
        return kubelet(api, target).await;
    }
    let (name, port) = parts(target.name());
    let to = match target.resource.plural {
        "services" => service(api, target, name, port)?,
        "pods" => pod(api, target, name, port)?,
        _ => return Err(Status::no_path()),
    };
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let path = format!("/{}{query}", target.rest);
    let refused = |error: &dyn std::fmt::Display| {
        let message = format!("error trying to reach service: dial tcp {to}: {error}");
        Status::new(503, "ServiceUnavailable", message)
    };
    let socket = TcpStream::connect(to).await.map_err(|error| refused(&error))?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(socket)).await.map_err(|error| refused(&error))?;
    tokio::spawn(connection);
    let mut request = Request::new(Body::from(call.body.clone()));
    *request.method_mut() = call.method.clone();
    *request.uri_mut() = path.parse().map_err(|_| Status::bad_request("the proxied path is not a path"))?;
    let passed = [header::ACCEPT, header::CONTENT_TYPE, header::USER_AGENT, header::ACCEPT_ENCODING];
    for name in passed {
        if let Some(value) = call.headers.get(&name) {
            request.headers_mut().insert(name, value.clone());
        }
    }
    let host = HeaderValue::from_str(&to.to_string()).map_err(Status::internal)?;
    request.headers_mut().insert(header::HOST, host);
    let mut response = sender.send_request(request).await.map_err(|error| refused(&error))?.map(Body::new);
    for hop in [header::CONNECTION, header::TRANSFER_ENCODING, header::UPGRADE] {
        response.headers_mut().remove(hop);
    }
    Ok(response)
}

/// A kubelet answers one path only.
async fn kubelet(api: &Api, target: &Target) -> Result<Response<Body>, Status> {
    let node = target.name().to_owned();
    if api.store.get("nodes", "", &node).is_none() {
        return Err(Status::not_found(target.resource, &node));
    }
    if target.rest != "stats/summary" {
        return Err(Status::no_path());
    }
    let summaries = api.routes.1.read().unwrap_or_else(PoisonError::into_inner).clone();
    let Some(summaries) = summaries else { return Err(Status::no_path()) };
    let asked = node.clone();
    let summary = tokio::task::spawn_blocking(move || summaries(&asked)).await.ok().flatten();
    let summary = summary.ok_or_else(|| {
        let message =
            format!("error trying to reach service: dial tcp {node}:10250: connect: connection refused");
        Status::new(503, "ServiceUnavailable", message)
    })?;
    let mut response = Response::new(Body::from(summary.to_string()));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

/// `[scheme:]name[:port]`.
fn parts(text: &str) -> (&str, &str) {
    match text.split(':').collect::<Vec<_>>().as_slice() {
        [name] => (name, ""),
        [name, port] | [_, name, port, ..] => (name, port),
        [] => ("", ""),
    }
}

fn service(api: &Api, target: &Target, name: &str, port: &str) -> Result<SocketAddr, Status> {
    let object = api
        .store
        .get("services", target.place(), name)
        .ok_or_else(|| Status::not_found(target.resource, name))?;
    let value = object.value();
    let mut ports = value["spec"]["ports"].as_array().into_iter().flatten();
    let found = ports.find(|one| port.is_empty() || one["name"] == port || is_number(&one["port"], port));
    let number = found.and_then(|one| one["port"].as_u64()).unwrap_or(0) as u16;
    api.routes.find(target.place(), name, number).ok_or_else(|| {
        let message = format!("no endpoints available for service {name:?}");
        Status::new(503, "ServiceUnavailable", message)
    })
}

/// A pod is reached like the Service that selects it.
fn pod(api: &Api, target: &Target, name: &str, port: &str) -> Result<SocketAddr, Status> {
    let object = api
        .store
        .get("pods", target.place(), name)
        .ok_or_else(|| Status::not_found(target.resource, name))?;
    let routes = api.routes.2.read().unwrap_or_else(PoisonError::into_inner);
    let own = routes.iter().find(|route| {
        let fits = port.is_empty() || route.port.to_string() == port;
        route.namespace == target.place() && fits && map_takes(&route.selector, &object.labels)
    });
    if let Some(own) = own {
        return Ok(own.to);
    }
    let services = api.store.list("services", Some(target.place())).0;
    let found = services.iter().find_map(|service| {
        let value = service.value();
        if !map_takes(&value["spec"]["selector"], &object.labels) {
            return None;
        }
        let leads = |one: &&Value| {
            let named = one["targetPort"] == port || is_number(&one["targetPort"], port);
            port.is_empty() || named || is_number(&one["port"], port)
        };
        let ports = value["spec"]["ports"].as_array()?;
        let number = ports.iter().find(leads)?["port"].as_u64()? as u16;
        api.routes.find(target.place(), &service.name, number)
    });
    found.ok_or_else(|| {
        let message =
            format!("error trying to reach service: dial tcp: connect to {name}:{port}: connection refused");
        Status::new(503, "ServiceUnavailable", message)
    })
}

fn is_number(value: &Value, text: &str) -> bool {
    value.as_u64().is_some() && value.as_u64() == text.parse().ok()
}
