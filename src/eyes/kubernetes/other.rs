//! Events, Services and certificates on the wire, and the slim values made of them.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::names::{Names, own, says};
use super::wire::{ConditionWire, Meta, conditions, count, time};
use crate::domain::{Certificate, EndpointSlice, Event, Key, Selector, Service};

#[derive(Deserialize, Debug, Default)]
#[serde(rename_all = "camelCase")]
pub(in crate::eyes) struct EventWire {
    #[serde(default)]
    metadata: Meta,
    involved_object: Option<About>,
    #[serde(rename = "type")]
    kind: Option<String>,
    reason: Option<String>,
    message: Option<String>,
    count: Option<i64>,
    series: Option<EventSeries>,
    event_time: Option<String>,
    first_timestamp: Option<String>,
    last_timestamp: Option<String>,
    source: Option<EventSource>,
    reporting_component: Option<String>,
}

#[derive(Deserialize, Debug, Default)]
struct About {
    kind: Option<String>,
    namespace: Option<String>,
    name: Option<String>,
    uid: Option<String>,
}

#[derive(Deserialize, Debug, Default)]
#[serde(rename_all = "camelCase")]
struct EventSeries {
    count: Option<i64>,
    last_observed_time: Option<String>,
}

#[derive(Deserialize, Debug, Default)]
struct EventSource {
    component: Option<String>,
}

pub(in crate::eyes) fn event(wire: EventWire, names: &mut Names) -> Option<Event> {
    let about = wire.involved_object.unwrap_or_default();
    let series = wire.series.unwrap_or_default();
    let moments = [&wire.event_time, &series.last_observed_time, &wire.last_timestamp, &wire.first_timestamp];
    let last = moments.into_iter().filter_map(|moment| time(moment.as_ref())).max();
    let last = last.unwrap_or_else(|| wire.metadata.created());
    let first =
        time(wire.first_timestamp.as_ref()).or_else(|| time(wire.event_time.as_ref())).unwrap_or(last);
    // Those of events.k8s.io leave the old field empty.
    let component = wire.source.and_then(|source| source.component).filter(|name| !name.is_empty());
    let component = component.or(wire.reporting_component);
    Some(Event {
        key: wire.metadata.key(names)?,
        about_kind: names.shared(about.kind.as_deref().unwrap_or_default()),
        about: Key {
            namespace: names.shared(about.namespace.as_deref().unwrap_or_default()),
            name: names.shared(about.name.as_deref().unwrap_or_default()),
        },
        about_uid: names.maybe(about.uid.as_ref()),
        warning: wire.kind.as_deref() == Some("Warning"),
        reason: names.shared(wire.reason.as_deref().unwrap_or_default()),
        message: says(wire.message.as_deref().unwrap_or_default()),
        count: count(series.count.or(wire.count)).max(1),
        first,
        last,
        source: names.maybe(component.as_ref()),
    })
}

#[derive(Deserialize, Debug, Default)]
pub(in crate::eyes) struct ServiceWire {
    #[serde(default)]
    metadata: Meta,
    spec: Option<ServiceSpec>,
}

#[derive(Deserialize, Debug, Default)]
struct ServiceSpec {
    #[serde(rename = "clusterIP")]
    cluster_ip: Option<String>,
    selector: Option<BTreeMap<String, Option<String>>>,
    ports: Option<Vec<ServicePort>>,
}

#[derive(Deserialize, Debug, Default)]
struct ServicePort {
    name: Option<String>,
    port: Option<u16>,
}

pub(in crate::eyes) fn service(wire: ServiceWire, names: &mut Names) -> Option<Service> {
    let spec = wire.spec.unwrap_or_default();
    Some(Service {
        key: wire.metadata.key(names)?,
        created: wire.metadata.created(),
        edited: wire.metadata.edited(names),
        labels: names.labels(wire.metadata.labels.as_ref()),
        selector: Selector { labels: names.labels(spec.selector.as_ref()), has_expressions: false },
        ports: spec
            .ports
            .iter()
            .flatten()
            .filter_map(|port| Some((names.maybe(port.name.as_ref()), port.port?)))
            .collect(),
        is_headless: spec.cluster_ip.as_deref() == Some("None"),
    })
}

#[derive(Deserialize, Debug, Default)]
pub(in crate::eyes) struct SliceWire {
    #[serde(default)]
    metadata: Meta,
    endpoints: Option<Vec<Endpoint>>,
    ports: Option<Vec<SlicePort>>,
}

#[derive(Deserialize, Debug, Default)]
struct SlicePort {
    name: Option<String>,
}

#[derive(Deserialize, Debug, Default)]
struct Endpoint {
    conditions: Option<EndpointConditions>,
}

#[derive(Deserialize, Debug, Default)]
struct EndpointConditions {
    ready: Option<bool>,
}

pub(in crate::eyes) fn slice(wire: SliceWire, names: &mut Names) -> Option<EndpointSlice> {
    let endpoints = wire.endpoints.unwrap_or_default();
    // A condition that isn't given counts as ready, by the API's definition.
    let ready = |endpoint: &&Endpoint| {
        endpoint.conditions.as_ref().and_then(|conditions| conditions.ready).unwrap_or(true)
    };
    let label = |key: &str| wire.metadata.labels.as_ref()?.get(key)?.as_deref();
    let ports = wire.ports.iter().flatten();
    Some(EndpointSlice {
        service: label("kubernetes.io/service-name").map(|name| names.shared(name)),
        key: wire.metadata.key(names)?,
        ready: endpoints.iter().filter(ready).count() as u32,
        total: endpoints.len() as u32,
        ports: ports.map(|port| names.shared(port.name.as_deref().unwrap_or_default())).collect(),
    })
}

#[derive(Deserialize, Debug, Default)]
pub(in crate::eyes) struct CertificateWire {
    #[serde(default)]
    metadata: Meta,
    spec: Option<CertificateSpec>,
    status: Option<CertificateStatus>,
}

#[derive(Deserialize, Debug, Default)]
#[serde(rename_all = "camelCase")]
struct CertificateSpec {
    secret_name: Option<String>,
    dns_names: Option<Vec<String>>,
    issuer_ref: Option<Issuer>,
}

#[derive(Deserialize, Debug, Default)]
struct Issuer {
    name: Option<String>,
}

#[derive(Deserialize, Debug, Default)]
#[serde(rename_all = "camelCase")]
struct CertificateStatus {
    not_after: Option<String>,
    renewal_time: Option<String>,
    last_failure_time: Option<String>,
    failed_issuance_attempts: Option<i64>,
    conditions: Option<Vec<ConditionWire>>,
}

pub(in crate::eyes) fn certificate(wire: CertificateWire, names: &mut Names) -> Option<Certificate> {
    let (spec, status) = (wire.spec.unwrap_or_default(), wire.status.unwrap_or_default());
    Some(Certificate {
        key: wire.metadata.key(names)?,
        resource_version: wire.metadata.version(),
        secret: names.shared(spec.secret_name.as_deref().unwrap_or_default()),
        dns_names: spec.dns_names.iter().flatten().map(|name| own(name)).collect(),
        issuer: names.shared(spec.issuer_ref.and_then(|issuer| issuer.name).as_deref().unwrap_or_default()),
        not_after: time(status.not_after.as_ref()),
        renewal_time: time(status.renewal_time.as_ref()),
        last_failure: time(status.last_failure_time.as_ref()),
        failed_attempts: count(status.failed_issuance_attempts),
        conditions: conditions(status.conditions.as_ref(), names),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_of_the_new_api_as_the_old_one_shows_them() {
        let read = |text: &str| {
            let wire: EventWire = serde_json::from_str(text).expect("an event");
            event(wire, &mut Names::default()).expect("a name")
        };
        let new = read(
            r#"{"metadata": {"name": "a", "namespace": "shop", "creationTimestamp": "2026-03-01T03:00:00Z"},
            "involvedObject": {"kind": "Pod", "name": "web", "namespace": "shop"}, "type": "Warning", "reason": "Failed",
            "message": "no", "source": {}, "firstTimestamp": null, "lastTimestamp": null, "count": 0,
            "eventTime": "2026-03-01T03:00:00.123456Z", "reportingComponent": "kubelet", "reportingInstance": "n1",
            "series": {"count": 7, "lastObservedTime": "2026-03-01T03:09:00.000000Z"}}"#,
        );
        assert_eq!((new.count, new.source.as_deref()), (7, Some("kubelet")));
        assert_eq!(new.last.to_string(), "2026-03-01T03:09:00Z");
        assert_eq!(new.first.to_string(), "2026-03-01T03:00:00.123456Z");
        let bare = read(
            r#"{"metadata": {"name": "b", "creationTimestamp": "2026-03-01T03:00:00Z"}, "involvedObject": {},
            "source": {"component": ""}, "reportingComponent": "", "eventTime": null}"#,
        );
        assert_eq!((bare.count, bare.source), (1, None));
        assert_eq!(
            bare.last.to_string(),
            "2026-03-01T03:00:00Z",
            "when nothing else is known, when it was made"
        );
    }
}
