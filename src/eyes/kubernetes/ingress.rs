//! Ingresses on the wire, the slim values made of them, and the hosts that they name to shake hands with.

use serde::Deserialize;

use super::names::{Names, own};
use super::wire::Meta;
use crate::domain::{Backing, Ingress, Name};

#[derive(Deserialize, Debug, Default)]
pub(in crate::eyes) struct IngressWire {
    #[serde(default)]
    metadata: Meta,
    spec: Option<IngressSpec>,
    status: Option<IngressStatus>,
}

#[derive(Deserialize, Debug, Default)]
#[serde(rename_all = "camelCase")]
struct IngressSpec {
    ingress_class_name: Option<String>,
    default_backend: Option<Backend>,
    rules: Option<Vec<IngressRule>>,
    tls: Option<Vec<IngressTls>>,
}

#[derive(Deserialize, Debug, Default)]
struct IngressRule {
    host: Option<String>,
    http: Option<Paths>,
}

#[derive(Deserialize, Debug, Default)]
struct Paths {
    paths: Option<Vec<HttpPath>>,
}

#[derive(Deserialize, Debug, Default)]
struct HttpPath {
    backend: Option<Backend>,
}

#[derive(Deserialize, Debug, Default)]
struct Backend {
    service: Option<BackendService>,
}

#[derive(Deserialize, Debug, Default)]
struct BackendService {
    name: Option<String>,
    port: Option<BackendPort>,
}

#[derive(Deserialize, Debug, Default)]
struct BackendPort {
    name: Option<String>,
    number: Option<u16>,
}

#[derive(Deserialize, Debug, Default)]
#[serde(rename_all = "camelCase")]
struct IngressTls {
    hosts: Option<Vec<String>>,
    secret_name: Option<String>,
}

#[derive(Deserialize, Debug, Default)]
#[serde(rename_all = "camelCase")]
struct IngressStatus {
    load_balancer: Option<LoadBalancer>,
}

#[derive(Deserialize, Debug, Default)]
struct LoadBalancer {
    ingress: Option<Vec<LoadBalancerAddress>>,
}

#[derive(Deserialize, Debug, Default)]
struct LoadBalancerAddress {
    ip: Option<String>,
    hostname: Option<String>,
    ports: Option<Vec<LoadBalancerPort>>,
}

#[derive(Deserialize, Debug, Default)]
struct LoadBalancerPort {
    port: Option<u16>,
}

/// A host to shake hands with, and where: without addresses, where DNS says.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(in crate::eyes) struct Target {
    pub host: String,
    pub port: u16,
    pub addresses: Vec<String>,
    /// By the settings, not by an Ingress.
    pub is_given: bool,
    /// Its Ingress says with which certificate it is served.
    pub secured: bool,
}

/// The hosts of an Ingress that are served with a certificate, if any. Wildcards have no address to ask.
pub(in crate::eyes) fn targets(wire: IngressWire, _: &mut Names) -> Option<Vec<Target>> {
    let spec = wire.spec.unwrap_or_default();
    let balancer = wire.status.and_then(|status| status.load_balancer).unwrap_or_default();
    let balancers = balancer.ingress.unwrap_or_default();
    let ports: Vec<u16> =
        balancers.iter().flat_map(|one| one.ports.iter().flatten()).filter_map(|one| one.port).collect();
    let port = match ports[..] {
        [only] if only != 80 => only,
        _ => 443,
    };
    let addresses: Vec<String> =
        balancers.into_iter().filter_map(|address| address.ip.or(address.hostname)).collect();
    let of_tls: Vec<String> =
        spec.tls.into_iter().flatten().flat_map(|entry| entry.hosts.unwrap_or_default()).collect();
    let secured = of_tls.clone();
    let covers = move |host: &str| secured.iter().any(|name| stands_for(name, host));
    let of_rules = spec.rules.into_iter().flatten().filter_map(|rule| rule.host);
    let mut hosts: Vec<String> =
        of_tls.into_iter().chain(of_rules).filter(|host| !host.is_empty() && !host.contains('*')).collect();
    hosts.sort();
    hosts.dedup();
    let all = hosts.into_iter().map(|host| {
        let secured = covers(&host);
        Target { host, port, addresses: addresses.clone(), is_given: false, secured }
    });
    let all: Vec<Target> = all.collect();
    (!all.is_empty()).then_some(all)
}

/// Address or name, with the port when its status names a single unusual one.
fn balancer_address(balancer: &LoadBalancerAddress) -> Option<Name> {
    let address = balancer.ip.as_deref().or(balancer.hostname.as_deref())?;
    let ports: Vec<u16> = balancer.ports.iter().flatten().filter_map(|one| one.port).collect();
    Some(match ports[..] {
        [only] if !matches!(only, 80 | 443) => own(&format!("{address}:{only}")),
        _ => own(address),
    })
}

/// Whether a name, maybe with a wildcard for one label, stands for a host.
fn stands_for(name: &str, host: &str) -> bool {
    match name.strip_prefix("*.") {
        Some(zone) => host.split_once('.').is_some_and(|(_, rest)| rest.eq_ignore_ascii_case(zone)),
        None => name.eq_ignore_ascii_case(host),
    }
}

pub(in crate::eyes) fn ingress(wire: IngressWire, names: &mut Names) -> Option<Ingress> {
    let spec = wire.spec.unwrap_or_default();
    let rules = spec.rules.unwrap_or_default();
    let backends = rules.iter().filter_map(|rule| rule.http.as_ref()?.paths.as_ref()).flatten();
    let backends = backends.filter_map(|path| path.backend.as_ref()).chain(&spec.default_backend);
    let mut backends: Vec<Backing> = backends
        .filter_map(|backend| {
            let service = backend.service.as_ref()?;
            let port = service.port.as_ref();
            let number = || port?.number.map(|number| number.to_string());
            let port = port.and_then(|port| port.name.clone()).or_else(number);
            Some(Backing {
                service: names.shared(service.name.as_deref()?),
                port: port.as_deref().map(|port| names.shared(port)),
            })
        })
        .collect();
    backends.sort();
    backends.dedup();
    let mut services: Vec<Name> = backends.iter().map(|backend| backend.service.clone()).collect();
    services.dedup();
    let balancer = wire.status.and_then(|status| status.load_balancer).unwrap_or_default();
    let mut tls = Vec::new();
    for entry in spec.tls.iter().flatten() {
        let secret = names.shared(entry.secret_name.as_deref().unwrap_or_default());
        let hosts: Box<[Name]> = entry.hosts.iter().flatten().map(|host| own(host)).collect();
        tls.push((hosts, secret));
    }
    Some(Ingress {
        key: wire.metadata.key(names)?,
        created: wire.metadata.created(),
        edited: wire.metadata.edited(names),
        class: names.maybe(spec.ingress_class_name.as_ref()),
        hosts: rules.iter().filter_map(|rule| rule.host.as_deref()).map(own).collect(),
        tls: tls.into(),
        services: services.into(),
        backends: backends.into(),
        addresses: balancer.ingress.iter().flatten().filter_map(balancer_address).collect(),
    })
}
