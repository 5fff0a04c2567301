//! A pod template on the wire: its containers and what configuration they need.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::names::Names;
use super::wire::{Amounts, Annotations, Resources, Scalar, count};
use crate::domain::{ConfigReference, Key, Kind, ObjectRef, Probe, Template, TemplateContainer};

#[derive(Deserialize, Debug, Default)]
pub(in crate::eyes) struct TemplateWire {
    metadata: Option<TemplateMeta>,
    spec: Option<Spec>,
}

#[derive(Deserialize, Debug, Default)]
struct TemplateMeta {
    annotations: Option<Annotations>,
}

#[derive(Deserialize, Debug, Default)]
#[serde(rename_all = "camelCase")]
struct Spec {
    init_containers: Option<Vec<ContainerWire>>,
    containers: Option<Vec<ContainerWire>>,
    volumes: Option<Vec<Volume>>,
    image_pull_secrets: Option<Vec<Named>>,
    service_account_name: Option<String>,
    node_selector: Option<BTreeMap<String, Option<String>>>,
}

#[derive(Deserialize, Debug, Default)]
#[serde(rename_all = "camelCase")]
struct ContainerWire {
    name: Option<String>,
    image: Option<String>,
    resources: Option<Resources>,
    ports: Option<Vec<Port>>,
    env: Option<Vec<Variable>>,
    env_from: Option<Vec<Import>>,
    liveness_probe: Option<ProbeWire>,
    readiness_probe: Option<ProbeWire>,
    startup_probe: Option<ProbeWire>,
}

#[derive(Deserialize, Debug, Default)]
#[serde(rename_all = "camelCase")]
struct Port {
    container_port: Option<u16>,
}

#[derive(Deserialize, Debug, Default)]
#[serde(rename_all = "camelCase")]
struct Variable {
    value_from: Option<ValueFrom>,
}

#[derive(Deserialize, Debug, Default)]
#[serde(rename_all = "camelCase")]
struct ValueFrom {
    config_map_key_ref: Option<Named>,
    secret_key_ref: Option<Named>,
}

#[derive(Deserialize, Debug, Default)]
#[serde(rename_all = "camelCase")]
struct Import {
    config_map_ref: Option<Named>,
    secret_ref: Option<Named>,
}

/// References name their object as `name`, or as `secretName` in a volume.
#[derive(Deserialize, Debug, Default)]
struct Named {
    #[serde(alias = "secretName")]
    name: Option<String>,
    key: Option<String>,
    optional: Option<bool>,
}

#[derive(Deserialize, Debug, Default)]
#[serde(rename_all = "camelCase")]
struct Volume {
    config_map: Option<Named>,
    secret: Option<Named>,
    projected: Option<Projected>,
}

#[derive(Deserialize, Debug, Default)]
struct Projected {
    sources: Option<Vec<Volume>>,
}

#[derive(Deserialize, Debug, Default)]
#[serde(rename_all = "camelCase")]
struct ProbeWire {
    http_get: Option<Target>,
    tcp_socket: Option<Target>,
    period_seconds: Option<i64>,
    failure_threshold: Option<i64>,
    timeout_seconds: Option<i64>,
}

#[derive(Deserialize, Debug, Default)]
struct Target {
    path: Option<String>,
    port: Option<Scalar>,
}

/// The slim template of the workload `owner`.
pub(in crate::eyes) fn template(raw: Option<TemplateWire>, owner: &Key, names: &mut Names) -> Template {
    let Some(raw) = raw else { return Template::default() };
    let spec = raw.spec.unwrap_or_default();
    let annotations = raw.metadata.and_then(|meta| meta.annotations).unwrap_or_default();
    let mut references = References { owner, names, found: Vec::new() };
    for container in spec.init_containers.iter().chain(&spec.containers).flatten() {
        references.container(container);
    }
    for volume in spec.volumes.iter().flatten() {
        references.volume(volume);
    }
    let found = references.found.into_boxed_slice();
    Template {
        containers: spec.containers.iter().flatten().map(|raw| container(raw, names)).collect(),
        init_containers: spec.init_containers.iter().flatten().map(|raw| container(raw, names)).collect(),
        references: found,
        pull_secrets: spec
            .image_pull_secrets
            .iter()
            .flatten()
            .filter_map(|secret| names.maybe(secret.name.as_ref()))
            .collect(),
        service_account: names.maybe(spec.service_account_name.as_ref()),
        node_selector: names.labels(spec.node_selector.as_ref()),
        restarted_at: annotations.restarted_at.as_deref().map(super::names::own),
    }
}

fn container(raw: &ContainerWire, names: &mut Names) -> TemplateContainer {
    let resources = raw.resources.as_ref();
    TemplateContainer {
        name: names.shared(raw.name.as_deref().unwrap_or_default()),
        image: names.shared(raw.image.as_deref().unwrap_or_default()),
        requests: Amounts::quantities(resources.and_then(|resources| resources.requests.as_ref())),
        limits: Amounts::quantities(resources.and_then(|resources| resources.limits.as_ref())),
        ports: raw.ports.iter().flatten().filter_map(|port| port.container_port).collect(),
        liveness: probe(raw.liveness_probe.as_ref(), names),
        readiness: probe(raw.readiness_probe.as_ref(), names),
        startup: probe(raw.startup_probe.as_ref(), names),
    }
}

/// Kubernetes' defaults: every 10 s, 3 failures, 1 s patience.
fn probe(raw: Option<&ProbeWire>, names: &mut Names) -> Option<Probe> {
    let raw = raw?;
    let target = raw.http_get.as_ref().or(raw.tcp_socket.as_ref());
    Some(Probe {
        path: raw.http_get.as_ref().and_then(|get| names.maybe(get.path.as_ref())),
        port: target.and_then(|target| target.port.as_ref()).map(|port| names.shared(&port.text())),
        period_seconds: count(Some(raw.period_seconds.unwrap_or(10))),
        failure_threshold: count(Some(raw.failure_threshold.unwrap_or(3))),
        timeout_seconds: count(Some(raw.timeout_seconds.unwrap_or(1))),
    })
}

/// Collects each reference once.
struct References<'a> {
    owner: &'a Key,
    names: &'a mut Names,
    found: Vec<ConfigReference>,
}

impl References<'_> {
    fn container(&mut self, container: &ContainerWire) {
        for source in container.env.iter().flatten().filter_map(|variable| variable.value_from.as_ref()) {
            self.add(Kind::ConfigMap, source.config_map_key_ref.as_ref());
            self.add(Kind::Secret, source.secret_key_ref.as_ref());
        }
        for import in container.env_from.iter().flatten() {
            self.add(Kind::ConfigMap, import.config_map_ref.as_ref());
            self.add(Kind::Secret, import.secret_ref.as_ref());
        }
    }

    fn volume(&mut self, volume: &Volume) {
        self.add(Kind::ConfigMap, volume.config_map.as_ref());
        self.add(Kind::Secret, volume.secret.as_ref());
        for source in volume.projected.iter().flat_map(|projected| projected.sources.iter().flatten()) {
            self.volume(source);
        }
    }

    fn add(&mut self, kind: Kind, named: Option<&Named>) {
        let Some(named) = named else { return };
        let Some(name) = self.names.maybe(named.name.as_ref()) else { return };
        let reference = ConfigReference {
            object: ObjectRef::new(kind, Key { namespace: self.owner.namespace.clone(), name }),
            key: self.names.maybe(named.key.as_ref()),
            optional: named.optional == Some(true),
        };
        if !self.found.contains(&reference) {
            self.found.push(reference);
        }
    }
}
