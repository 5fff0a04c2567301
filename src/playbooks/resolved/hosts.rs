//! Whether public hosts are reached and serve a certificate that lasts.

use std::time::Duration;

use super::Held;
use crate::domain::{
    Cause, Ended, EndpointSlice, Key, Kind, Name, Reach, Served, Status, Subject, between, cause, text,
};
use crate::playbooks::view::View;

/// Where a host is served that says no port.
const HTTPS: u16 = 443;
/// A certificate that is valid for longer than this is well (audit, section 4).
const CERTIFICATE: Duration = Duration::from_hours(21 * 24);

pub(super) fn certificate_valid(view: &View<'_>) -> Held {
    let snapshot = view.snapshot();
    let hosts = hosts(view);
    let own = view.facts.anomaly.subject.host();
    let is_meant = |port: u16| own.is_none_or(|(_, own)| own.unwrap_or(HTTPS) == port);
    let rows: Vec<_> = snapshot
        .handshakes
        .iter()
        .filter(|((name, port), _)| hosts.iter().any(|host| **host == **name) && is_meant(*port))
        .flat_map(|(_, rows)| rows)
        .collect();
    let key = view.certificate();
    let certificate = key.as_ref().and_then(|key| snapshot.certificates.get(key));
    if let Some(row) =
        certificate.and_then(|one| one.condition("Ready")).filter(|row| row.status != Status::True)
    {
        return Err(format!("the Certificate is not Ready: {}", row.message.as_deref().unwrap_or_default()));
    }
    if rows.is_empty() {
        return Err("no handshake was seen".into());
    }
    for row in &rows {
        match &row.served {
            Err(why) => return Err(format!("{}: {why}", row.address)),
            Ok(served) if !served.name_matches => return Err(format!("{} serves another name", row.address)),
            Ok(served) if served.distrust.is_some() => return Err(format!("{} is not trusted", row.address)),
            Ok(served) if between(view.facts.now, served.not_after) <= enough(served) => {
                let left = text::span_short(between(view.facts.now, served.not_after));
                return Err(format!("{} serves a certificate with {left} left", row.address));
            }
            Ok(_) => {}
        }
    }
    Ok(None)
}

/// Three weeks, or a third of a short life.
fn enough(served: &Served) -> Duration {
    CERTIFICATE.min(between(served.not_before, served.not_after).mul_f64(0.3))
}

/// The public hosts that the anomaly is about, without wildcards.
fn hosts(view: &View<'_>) -> Vec<Name> {
    if let Some((host, _)) = view.facts.anomaly.subject.host() {
        return vec![host.into()];
    }
    let snapshot = view.snapshot();
    let certificate = view.certificate().and_then(|key| snapshot.certificates.get(&key));
    let ingress = view.ingress().and_then(|key| snapshot.ingresses.get(&key));
    let mut hosts: Vec<Name> = match (&*view.facts.anomaly.rule, certificate, ingress) {
        ("ingress-down", _, Some(ingress)) => ingress.hosts.to_vec(),
        (_, Some(certificate), _) => certificate.dns_names.to_vec(),
        (_, None, Some(ingress)) => ingress.hosts.to_vec(),
        (_, None, None) => {
            view.facts.anomaly.bindings.get("host").map(|host| host.as_str().into()).into_iter().collect()
        }
    };
    hosts.retain(|host| !host.contains('*'));
    hosts
}

/// Every host answers; since the first good walk after the last bad one.
pub(super) fn hosts_reached(view: &View<'_>) -> Held {
    let snapshot = view.snapshot();
    let hosts = hosts(view);
    if hosts.is_empty() && service(view).is_some() {
        return Ok(None);
    }
    let reaches: Vec<_> = hosts.iter().filter_map(|host| snapshot.reaches.get(host)).collect();
    if let Some((layer, says)) = reaches.iter().find_map(|reach| reach.last.failed()) {
        return Err(format!("{layer} still fails: {says}"));
    }
    let doubtful = |reach: &&Reach| matches!(reach.last.ended, Ended::Doubtful { .. });
    if reaches.is_empty() || reaches.iter().all(doubtful) {
        return Err("no walk to the hosts was seen".into());
    }
    Ok(reaches.iter().filter_map(|reach| reach.well_since).max())
}

/// The Service that it is about, where there is no way in from outside.
fn service<'v>(view: &View<'v>) -> Option<&'v Key> {
    match &view.facts.anomaly.subject {
        Subject::Object(object) if object.kind == Kind::Service => Some(&object.key),
        _ => None,
    }
}

/// The Service, or every Service behind the Ingress, has a ready endpoint.
pub(super) fn endpoints_ready(view: &View<'_>) -> Held {
    let snapshot = view.snapshot();
    // Endpoints that are ready at a port that nobody has are of no use.
    let leads_nowhere = |cause: &&Cause| cause.name == cause::SERVICE_PORT;
    if let Some(cause) = view.facts.anomaly.causes.iter().find(leads_nowhere).filter(|_| view.facts.fires) {
        return Err(cause.says.clone());
    }
    let ingress = view.ingress().and_then(|key| snapshot.ingresses.get(&key));
    let (namespace, services): (&Name, &[Name]) = match (ingress, service(view)) {
        (Some(ingress), _) => (&ingress.key.namespace, &ingress.services),
        (None, Some(service)) => (&service.namespace, std::slice::from_ref(&service.name)),
        (None, None) => return Ok(None),
    };
    for service in services {
        let of_service = |slice: &&EndpointSlice| {
            slice.key.namespace == *namespace && slice.service.as_ref() == Some(service)
        };
        let ready: u32 = snapshot.endpoint_slices.iter().filter(of_service).map(|slice| slice.ready).sum();
        if ready == 0 {
            return Err(format!("Service {service} has no ready endpoint"));
        }
    }
    Ok(None)
}
