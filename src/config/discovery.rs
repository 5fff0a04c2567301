//! What the cluster itself says about where its monitoring is: services with the labels that charts and operators
//! put on them, reached through the API server.

use serde::Deserialize;

use super::{ConnectError, Door};
use crate::config::connect::whole;
use crate::domain::{BlindKind, Grant, refused_user, text};

/// Labels of Prometheus' service, the likeliest first: its chart, the operator, older charts.
const PROMETHEUS: &[&str] = &[
    "app.kubernetes.io/name=prometheus,app.kubernetes.io/component=server",
    "operated-prometheus=true",
    "app.kubernetes.io/name=prometheus",
    "app=kube-prometheus-stack-prometheus",
    "app=prometheus",
    "app=prometheus-server",
];

const ALERTMANAGER: &[&str] =
    &["app.kubernetes.io/name=alertmanager", "operated-alertmanager=true", "app=alertmanager"];

/// A service that was found, and the way to it.
#[derive(Clone)]
pub struct Discovered {
    pub door: Door,
    /// `service monitoring/prometheus-server:80`.
    pub object: String,
    pub namespace: String,
}

/// Looks for Prometheus. `Ok(None)`: there is none that can be recognised.
pub async fn prometheus(client: &kube::Client) -> Result<Option<Discovered>, ConnectError> {
    find(client, PROMETHEUS, &["http", "web", "http-web", "prometheus"], 9090).await
}

/// Looks for Alertmanager.
pub async fn alertmanager(client: &kube::Client) -> Result<Option<Discovered>, ConnectError> {
    find(client, ALERTMANAGER, &["http", "web", "http-web", "alertmanager"], 9093).await
}

#[derive(Deserialize)]
struct List {
    #[serde(default)]
    items: Vec<ServiceWire>,
}

#[derive(Deserialize)]
struct ServiceWire {
    metadata: Meta,
    #[serde(default)]
    spec: Spec,
}

#[derive(Deserialize)]
struct Meta {
    #[serde(default)]
    name: String,
    #[serde(default)]
    namespace: String,
}

#[derive(Deserialize, Default)]
struct Spec {
    #[serde(default)]
    ports: Vec<Port>,
}

#[derive(Deserialize)]
struct Port {
    name: Option<String>,
    port: u16,
}

async fn find(
    client: &kube::Client,
    selectors: &[&str],
    names: &[&str],
    usual: u16,
) -> Result<Option<Discovered>, ConnectError> {
    for selector in selectors {
        let encoded = selector.replace('/', "%2F").replace('=', "%3D").replace(',', "%2C");
        let request = http::Request::get(format!("/api/v1/services?labelSelector={encoded}"))
            .body(Vec::new())
            .map_err(|error| ConnectError::new(BlindKind::Broken, error.to_string(), ""))?;
        let list: List = client.request(request).await.map_err(|error| refused(&error))?;
        let found = list.items.iter().find_map(|service| Some((service, port(service, names, usual)?)));
        if let Some((service, (scheme, port))) = found {
            let Meta { name, namespace } = &service.metadata;
            return Ok(Some(Discovered {
                door: Door::Proxied {
                    client: client.clone(),
                    path: format!("/api/v1/namespaces/{namespace}/services/{scheme}{name}:{port}/proxy"),
                },
                object: text::clean(&format!("service {namespace}/{name}:{port}")),
                namespace: namespace.clone(),
            }));
        }
    }
    Ok(None)
}

/// The port of the web interface, and `https:` where its name says so.
fn port(service: &ServiceWire, names: &[&str], usual: u16) -> Option<(&'static str, u16)> {
    let ports = &service.spec.ports;
    let is_web = |port: &&Port| port.name.as_deref().is_some_and(|name| names.contains(&name));
    let found = ports
        .iter()
        .find(|port| port.port == usual)
        .or_else(|| ports.iter().find(is_web))
        .or_else(|| ports.first())?;
    let scheme = if found.name.as_deref() == Some("https") { "https:" } else { "" };
    Some((scheme, found.port))
}

fn grant(message: &str) -> Grant<'_> {
    let user = refused_user(message);
    Grant { verbs: &["list"], group: "", resource: "services", namespace: None, user }
}

fn refused(error: &kube::Error) -> ConnectError {
    match error {
        kube::Error::Api(status) if status.code == 403 => ConnectError::new(
            BlindKind::NotConfigured,
            "not looked for in the cluster: may not list services cluster-wide (403)",
            &format!("give its URL, or let an admin run: {}", grant(&status.message).as_command()),
        ),
        other => ConnectError::new(
            BlindKind::Unreachable,
            format!("not found: the API server cannot be asked: {}", whole(other)),
            "",
        ),
    }
}
