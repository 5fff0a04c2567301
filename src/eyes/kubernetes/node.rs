//! Nodes and their Leases on the wire, and the slim values made of them.

use serde::Deserialize;

use super::names::{Names, own};
use super::wire::{Amounts, ConditionWire, Meta, Scalar, condition, time};
use crate::domain::{Lease, Node, NodeCondition, Taint};

#[derive(Deserialize, Debug, Default)]
pub(in crate::eyes) struct NodeWire {
    #[serde(default)]
    metadata: Meta,
    spec: Option<Spec>,
    status: Option<StatusWire>,
}

#[derive(Deserialize, Debug, Default)]
#[serde(rename_all = "camelCase")]
struct Spec {
    unschedulable: Option<bool>,
    #[serde(rename = "providerID")]
    provider_id: Option<String>,
    taints: Option<Vec<TaintWire>>,
}

#[derive(Deserialize, Debug, Default)]
#[serde(rename_all = "camelCase")]
struct TaintWire {
    key: Option<String>,
    value: Option<String>,
    effect: Option<String>,
    time_added: Option<String>,
}

#[derive(Deserialize, Debug, Default)]
#[serde(rename_all = "camelCase")]
struct StatusWire {
    conditions: Option<Vec<ConditionWire>>,
    allocatable: Option<Amounts>,
    addresses: Option<Vec<Address>>,
    node_info: Option<NodeInfo>,
}

#[derive(Deserialize, Debug, Default)]
struct Address {
    #[serde(rename = "type")]
    kind: Option<String>,
    address: Option<String>,
}

#[derive(Deserialize, Debug, Default)]
#[serde(rename_all = "camelCase")]
struct NodeInfo {
    kubelet_version: Option<String>,
    os_image: Option<String>,
    container_runtime_version: Option<String>,
}

#[derive(Deserialize, Debug, Default)]
pub(in crate::eyes) struct LeaseWire {
    #[serde(default)]
    metadata: Meta,
    spec: Option<LeaseSpec>,
}

#[derive(Deserialize, Debug, Default)]
#[serde(rename_all = "camelCase")]
struct LeaseSpec {
    renew_time: Option<String>,
}

pub(in crate::eyes) fn read(wire: NodeWire, names: &mut Names) -> Option<Node> {
    let NodeWire { metadata, spec, status } = wire;
    let (spec, status) = (spec.unwrap_or_default(), status.unwrap_or_default());
    let info = status.node_info.unwrap_or_default();
    let taints = spec.taints.unwrap_or_default();
    let internal = |address: &&Address| address.kind.as_deref() == Some("InternalIP");
    Some(Node {
        key: metadata.key(names)?,
        uid: metadata.uid(),
        resource_version: metadata.version(),
        labels: names.labels(metadata.labels.as_ref()),
        created: metadata.created(),
        deleting: time(metadata.deletion_timestamp.as_ref()),
        unschedulable: spec.unschedulable == Some(true),
        taints: taints
            .iter()
            .filter_map(|taint| {
                Some(Taint {
                    key: names.shared(taint.key.as_deref()?),
                    value: names.maybe(taint.value.as_ref()),
                    effect: names.shared(taint.effect.as_deref().unwrap_or_default()),
                    added: time(taint.time_added.as_ref()),
                })
            })
            .collect(),
        conditions: status
            .conditions
            .iter()
            .flatten()
            .filter_map(|raw| {
                Some(NodeCondition {
                    condition: condition(raw, names)?,
                    heartbeat: time(raw.last_heartbeat_time.as_ref()),
                })
            })
            .collect(),
        allocatable: Amounts::quantities(status.allocatable.as_ref()),
        allocatable_pods: status
            .allocatable
            .as_ref()
            .and_then(|amounts| amounts.pods.as_ref())
            .and_then(Scalar::number)
            .map(|pods| pods as u32),
        provider_id: spec.provider_id.as_deref().map(own),
        internal_ip: status
            .addresses
            .iter()
            .flatten()
            .find(internal)
            .and_then(|address| address.address.as_deref())
            .map(own),
        kubelet_version: names.maybe(info.kubelet_version.as_ref()),
        os_image: names.maybe(info.os_image.as_ref()),
        container_runtime: names.maybe(info.container_runtime_version.as_ref()),
    })
}

pub(in crate::eyes) fn lease(wire: LeaseWire, names: &mut Names) -> Option<Lease> {
    Some(Lease {
        key: wire.metadata.key(names)?,
        renewed: time(wire.spec.and_then(|spec| spec.renew_time).as_ref()),
    })
}
