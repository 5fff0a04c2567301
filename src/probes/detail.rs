//! Everything about one object for the detail view: words, events, and its YAML without noise and secrets.

use serde_json::Value;

use super::answer::bounded;
use super::cluster::Cluster;
use super::trouble::Trouble;
use super::{Detail, describe, events};
use crate::domain::{ObjectRef, Timestamp, Tone, mask, text};

/// Most lines of YAML.
const LINES: usize = 5_000;

pub(super) async fn detail(cluster: &Cluster, object: &ObjectRef, now: Timestamp) -> Result<Detail, Trouble> {
    let found = cluster.get(object).await?;
    let happened = match events::lines(cluster, object, Some(&found), now).await {
        Ok(lines) => lines,
        Err(trouble) => vec![(Tone::Dim, format!("events could not be read: {trouble}"))],
    };
    let harmless = |lines: Vec<(Tone, String)>| -> Vec<(Tone, String)> {
        lines.into_iter().map(|(tone, line)| (tone, bounded(&line))).collect()
    };
    Ok(Detail {
        describe: harmless(describe::words(&found, now)),
        events: harmless(happened),
        yaml: yaml(&found),
    })
}

/// As `kubectl get -o yaml`, without managedFields, with secrets masked.
pub(super) fn yaml(object: &Value) -> Vec<String> {
    let mut object = object.clone();
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("managedFields");
        if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
            // A whole copy of the object, for a Secret with its values.
            annotations.remove("kubectl.kubernetes.io/last-applied-configuration");
        }
    }
    mask(&mut object);
    super::object::yaml(&object).lines().take(LINES).map(text::clean).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn yaml_has_no_noise_and_no_secrets() {
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db", "managedFields": [{"manager": "x"}],
            "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{\"data\":{\"pw\":\"aHVudGVyMg==\"}}"}},
            "data": {"pw": "aHVudGVyMg=="}});
        let yaml = yaml(&secret).join("\n");
        assert!(yaml.contains("kind: Secret") && yaml.contains("sha256"), "{yaml}");
        assert!(!yaml.contains("aHVudGVyMg") && !yaml.contains("managedFields"), "{yaml}");
    }
}
