//! ConfigMaps and Secrets on the wire: metadata alone, because the server is asked for nothing else.

use serde::Deserialize;

use super::names::Names;
use super::wire::{Meta, time};
use crate::domain::{ConfigObject, Kind};

#[derive(Deserialize, Debug, Default)]
pub(in crate::eyes) struct ConfigWire {
    #[serde(default)]
    metadata: Meta,
}

pub(in crate::eyes) fn config_map(wire: ConfigWire, names: &mut Names) -> Option<ConfigObject> {
    let ConfigWire { metadata } = wire;
    read(Kind::ConfigMap, &metadata, names)
}

pub(in crate::eyes) fn secret(wire: ConfigWire, names: &mut Names) -> Option<ConfigObject> {
    let ConfigWire { metadata } = wire;
    read(Kind::Secret, &metadata, names)
}

fn read(kind: Kind, metadata: &Meta, names: &mut Names) -> Option<ConfigObject> {
    let latest = metadata
        .managed_fields
        .iter()
        .flatten()
        .filter_map(|entry| Some((time(entry.time.as_ref())?, entry.manager.as_ref())))
        .max_by_key(|(at, _)| *at);
    Some(ConfigObject {
        kind,
        key: metadata.key(names)?,
        uid: metadata.uid(),
        resource_version: metadata.version(),
        created: metadata.created(),
        modified: latest.map(|(at, _)| at),
        modified_by: latest.and_then(|(_, manager)| names.maybe(manager)),
        keeper: metadata.keeper(names),
    })
}
