//! Objects without their secrets: values become sizes and hashes, before anything shows or remembers them.
//! Knows the shapes of Kubernetes objects, no system that serves them.

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{Action, Kind, PatchKind, text};

/// What stands for a secret value: its size, and enough of a hash to see that it changed.
pub fn masked(value: &str) -> String {
    let hash = Sha256::digest(value.as_bytes());
    let short: String = hash.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    format!("••• {} bytes, sha256 {short}", value.len())
}

/// Masks an object in place: the data of Secrets, telling keys of ConfigMaps and of environment variables,
/// and whatever looks like a secret in any other string.
pub fn mask(object: &mut Value) {
    if object.get("kind").and_then(Value::as_str) == Some(Kind::Secret.as_str()) {
        mask_secret(object);
    }
    walk(object);
}

/// Whether a value under this key looks like a secret.
pub fn is_telling(key: &str, value: &str) -> bool {
    const SHIELD: &str = "•••";
    !value.contains(SHIELD)
        && (text::redact(&format!("{key}={value}")).contains(SHIELD) || text::redact(value).contains(SHIELD))
}

fn mask_secret(secret: &mut Value) {
    for part in ["data", "stringData"] {
        if let Some(values) = secret.get_mut(part).and_then(Value::as_object_mut) {
            for value in values.values_mut() {
                mask_all(value);
            }
        }
    }
}

fn mask_all(value: &mut Value) {
    match value {
        Value::String(string) => *string = masked(string),
        Value::Array(items) => items.iter_mut().for_each(mask_all),
        Value::Object(map) => map.values_mut().for_each(mask_all),
        Value::Number(number) => *value = Value::String(masked(&number.to_string())),
        Value::Null | Value::Bool(_) => {}
    }
}

fn walk(value: &mut Value) {
    match value {
        Value::String(string) => {
            if string.contains('\n') {
                *string = string.split('\n').map(text::redact).collect::<Vec<_>>().join("\n");
            } else {
                *string = text::redact(string);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(walk),
        Value::Object(map) => {
            if let (Some(Value::String(name)), Some(Value::String(set))) = (map.get("name"), map.get("value"))
                && is_telling(name, set)
            {
                let shown = masked(set);
                map.insert("value".into(), Value::String(shown));
            }
            for part in ["data", "annotations", "labels"] {
                if let Some(Value::Object(pairs)) = map.get_mut(part) {
                    mask_pairs(pairs);
                }
            }
            map.values_mut().for_each(walk);
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn mask_pairs(pairs: &mut serde_json::Map<String, Value>) {
    for (key, value) in pairs {
        if let Value::String(string) = value
            && !string.contains('\n')
            && is_telling(key, string)
        {
            *string = masked(string);
        }
    }
}

impl Action {
    /// The same action with secrets masked: for the screen, the clipboard and the journal, never for a hand.
    #[must_use]
    pub fn masked(&self) -> Action {
        let mut action = self.clone();
        match &mut action {
            Action::Patch { object, kind, body } => {
                if object.kind == Kind::Secret {
                    mask_secret_patch(*kind, body);
                } else {
                    mask(body);
                }
            }
            Action::PatchStatus { body, .. } => mask(body),
            Action::Apply { manifest, .. } => mask(manifest),
            Action::SetConfig { data: pairs, .. }
            | Action::Annotate { annotations: pairs, .. }
            | Action::Label { labels: pairs, .. } => {
                for (key, value) in pairs {
                    if let Some(set) = value
                        && is_telling(key, set)
                    {
                        *set = masked(set);
                    }
                }
            }
            Action::Exec { argv, .. } => {
                // `--password hunter2`: the telling word and its value are two arguments.
                for index in 0..argv.len() {
                    let telling =
                        index > 0 && is_telling(argv[index - 1].trim_start_matches('-'), &argv[index]);
                    let shown = if telling { masked(&argv[index]) } else { text::redact(&argv[index]) };
                    argv[index] = shown;
                }
            }
            Action::Postgres(sql) => sql.mask(),
            Action::Alerting(call) => call.mask(),
            Action::Aws(call) => call.mask(),
            Action::Machine(command) => command.mask(),
            Action::Network(probe) => probe.mask(),
            Action::Script(script) => script.mask(),
            _ => {}
        }
        action
    }
}

fn mask_secret_patch(kind: PatchKind, body: &mut Value) {
    if kind == PatchKind::Json {
        for operation in body.as_array_mut().into_iter().flatten() {
            if let Some(value) = operation.get_mut("value") {
                mask_all(value);
            }
        }
    } else {
        mask_secret(body);
        walk(body);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::{Key, ObjectRef};

    #[test]
    fn secret_values_become_sizes_and_hashes() {
        let mut secret =
            json!({"kind": "Secret", "metadata": {"name": "db"}, "data": {"password": "aHVudGVyMg=="}});
        mask(&mut secret);
        assert_eq!(secret["data"]["password"], masked("aHVudGVyMg=="));
        assert!(!secret.to_string().contains("aHVudGVyMg"));
    }

    #[test]
    fn telling_variables_and_config_keys_are_masked_and_the_rest_stays() {
        let mut pod = json!({"kind": "Pod", "spec": {"imagePullSecrets": [{"name": "regcred"}], "containers": [
            {"env": [{"name": "DB_PASSWORD", "value": "hunter2"}, {"name": "WORKERS", "value": "4"}],
             "args": ["--dsn=postgres://app:hunter2@db/x"]}]}});
        mask(&mut pod);
        let text = pod.to_string();
        assert!(!text.contains("hunter2"), "{text}");
        assert!(text.contains("regcred") && text.contains(r#""value":"4""#), "{text}");
        let mut config = json!({"kind": "ConfigMap", "data": {"API_TOKEN": "abcdefgh", "MODE": "fast"}});
        mask(&mut config);
        assert!(!config.to_string().contains("abcdefgh"));
        assert_eq!(config["data"]["MODE"], "fast");
    }

    #[test]
    fn masked_actions_hold_no_secret() {
        let secret = ObjectRef::new(Kind::Secret, Key::new("shop", "db"));
        for action in [
            Action::Patch {
                object: secret.clone(),
                kind: PatchKind::Merge,
                body: json!({"data": {"pw": "hunter2"}}),
            },
            Action::Patch {
                object: secret,
                kind: PatchKind::Json,
                body: json!([{"op": "add", "path": "/data/pw", "value": "hunter2"}]),
            },
            Action::Apply {
                manifest: json!({"kind": "Secret", "stringData": {"pw": "hunter2"}}),
                force: false,
            },
            Action::SetConfig {
                config_map: Key::new("shop", "env"),
                data: vec![("DB_PASSWORD".into(), Some("hunter2".into()))],
            },
            Action::Exec {
                pod: Key::new("shop", "a"),
                container: "app".into(),
                argv: vec!["login".into(), "--password".into(), "hunter2".into()],
            },
        ] {
            let shown = format!("{:?}", action.masked());
            assert!(!shown.contains("hunter2"), "{shown}");
        }
    }
}
