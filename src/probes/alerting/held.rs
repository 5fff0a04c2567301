//! Where a configuration is kept: a ConfigMap of the chart, or a Secret the operator reads. What is in it stays
//! here and in the hands; what is shown goes through `redacted`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::api::Which;
use super::rules::config_maps;
use crate::domain::{Key, Kind, ObjectRef};
use crate::probes::cluster::Cluster;
use crate::probes::object::{annotation, key, string};
use crate::probes::trouble::{Trouble, TroubleKind};

/// A document in an entry of an object.
#[derive(Clone)]
pub struct Held {
    pub object: ObjectRef,
    /// The key of `data`.
    pub entry: String,
    /// The document, secrets and all.
    pub text: String,
    /// The whole object.
    pub value: Value,
}

/// Where the document could be gone back to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Earlier {
    /// What Prometheus still runs since its reload was refused.
    Running,
    /// What was applied last, before somebody edited it.
    Applied,
}

impl Earlier {
    pub fn says(&self) -> &'static str {
        match self {
            Earlier::Running => "the configuration it still runs",
            Earlier::Applied => "the configuration as it was last applied, before it was edited by hand",
        }
    }
}

/// Alertmanager's configuration.
pub async fn alertmanager(cluster: &Cluster) -> Result<Held, Trouble> {
    if let Some(held) = of_operator(cluster).await? {
        return Ok(held);
    }
    let label = "app.kubernetes.io/name=alertmanager";
    for value in config_maps(cluster, &Which::Alertmanager, label).await? {
        if let Some(held) = in_config_map(&value, &["alertmanager.yml", "alertmanager.yaml"]) {
            return Ok(held);
        }
    }
    Err(Trouble {
        kind: TroubleKind::Absent,
        says: "neither a ConfigMap with alertmanager.yml nor the operator's Secret was found".into(),
        repair: Some("edit it where it is kept, then POST /-/reload".into()),
    })
}

/// The Secret that an Alertmanager of the operator is configured by.
async fn of_operator(cluster: &Cluster) -> Result<Option<Held>, Trouble> {
    let own = match cluster.list(Kind::Alertmanager, "", "", "").await {
        Ok(own) => own,
        // Not installed, or not ours to see: the chart's way is tried.
        Err(trouble) if trouble.is(TroubleKind::Absent) || trouble.is(TroubleKind::Forbidden) => {
            return Ok(None);
        }
        Err(trouble) => return Err(trouble),
    };
    for custom in own {
        let Key { namespace, name } = key(&custom);
        let secret = match string(&custom, "/spec/configSecret") {
            "" => format!("alertmanager-{name}"),
            secret => secret.to_owned(),
        };
        let object = ObjectRef::new(Kind::Secret, Key::new(namespace, secret));
        if let Some(value) = cluster.find(&object).await?
            && let Some(held) = in_secret(&value, "alertmanager.yaml")
        {
            return Ok(Some(held));
        }
    }
    Ok(None)
}

/// Prometheus' own configuration in the chart's ConfigMap. The operator generates its: there is none to edit.
pub async fn prometheus(cluster: &Cluster) -> Result<Held, Trouble> {
    let label = "app.kubernetes.io/name=prometheus";
    for value in config_maps(cluster, &Which::Prometheus, label).await? {
        if let Some(held) = in_config_map(&value, &["prometheus.yml", "prometheus.yaml"]) {
            return Ok(held);
        }
    }
    Err(Trouble {
        kind: TroubleKind::Absent,
        says: "no ConfigMap with prometheus.yml was found; the operator generates its own configuration"
            .into(),
        repair: Some("look at the operator's log and at the last change of ServiceMonitors and rules".into()),
    })
}

fn in_config_map(value: &Value, entries: &[&str]) -> Option<Held> {
    let data = value.get("data")?;
    entries.iter().find_map(|entry| {
        let text = data.get(entry)?.as_str()?.to_owned();
        let object = ObjectRef::new(Kind::ConfigMap, key(value));
        Some(Held { object, entry: (*entry).to_owned(), text, value: value.clone() })
    })
}

fn in_secret(value: &Value, entry: &str) -> Option<Held> {
    let coded = value.get("data")?.get(entry)?.as_str()?;
    let text = String::from_utf8(STANDARD.decode(coded).ok()?).ok()?;
    let object = ObjectRef::new(Kind::Secret, key(value));
    Some(Held { object, entry: entry.to_owned(), text, value: value.clone() })
}

/// The document of an entry, wherever it is kept.
pub fn entry_of(value: &Value, object: &ObjectRef, entry: &str) -> Option<String> {
    match object.kind {
        Kind::Secret => in_secret(value, entry).map(|held| held.text),
        _ => in_config_map(value, &[entry]).map(|held| held.text),
    }
}

/// The same entry as it was last applied, if that was something else.
pub fn applied(held: &Held) -> Option<String> {
    let last = annotation(&held.value, "kubectl.kubernetes.io/last-applied-configuration")?;
    let last: Value = serde_json::from_str(last).ok()?;
    entry_of(&last, &held.object, &held.entry).filter(|text| *text != held.text)
}
