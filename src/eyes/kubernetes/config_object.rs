//! Objects of which the server is asked for nothing but the metadata: ConfigMaps, Secrets and a namespace's policies.

use serde::Deserialize;

use super::names::Names;
use super::wire::Meta;
use crate::domain::{ConfigObject, Kind};

#[derive(Deserialize, Debug, Default)]
pub(in crate::eyes) struct ConfigWire {
    #[serde(default)]
    metadata: Meta,
}

macro_rules! readers {
    ($($name:ident: $kind:ident),+ $(,)?) => { $(
        pub(in crate::eyes) fn $name(wire: ConfigWire, names: &mut Names) -> Option<ConfigObject> {
            read(Kind::$kind, &wire.metadata, names)
        }
    )+ };
}

readers! {
    config_map: ConfigMap,
    secret: Secret,
    network_policy: NetworkPolicy,
    quota: ResourceQuota,
    limit_range: LimitRange,
}

fn read(kind: Kind, metadata: &Meta, names: &mut Names) -> Option<ConfigObject> {
    Some(ConfigObject {
        kind,
        key: metadata.key(names)?,
        uid: metadata.uid(),
        resource_version: metadata.version(),
        created: metadata.created(),
        edited: metadata.edited(names),
        keeper: metadata.keeper(names),
    })
}
