//! One value of a ConfigMap exactly as it is, to be edited by a person. The one read that redacts nothing,
//! so it never goes near a Secret.

use serde_json::Value;

use super::cluster::Cluster;
use crate::domain::{Key, Kind, ObjectRef, text};

/// None when the ConfigMap has no such key. Errors are sentences for the person.
pub(super) async fn of(cluster: &Cluster, config_map: &Key, key: &str) -> Result<Option<String>, String> {
    let object = ObjectRef::new(Kind::ConfigMap, config_map.clone());
    let found = cluster.get(&object).await.map_err(|trouble| trouble.to_string())?;
    if found.get("immutable").and_then(Value::as_bool) == Some(true) {
        return Err(format!("{object} is immutable: create a new one and let the workload refer to it"));
    }
    if found.get("binaryData").and_then(|data| data.get(key)).is_some() {
        return Err(format!("{key} in {object} is binary data, not text"));
    }
    Ok(found.get("data").and_then(|data| data.get(key)).and_then(Value::as_str).map(str::to_owned))
}

/// The keys whose values are text.
pub(super) async fn keys(cluster: &Cluster, config_map: &Key) -> Result<Vec<String>, String> {
    let object = ObjectRef::new(Kind::ConfigMap, config_map.clone());
    let found = cluster.get(&object).await.map_err(|trouble| trouble.to_string())?;
    let data = found.get("data").and_then(Value::as_object);
    Ok(data.map(|data| data.keys().map(|key| text::clean(key)).collect()).unwrap_or_default())
}
