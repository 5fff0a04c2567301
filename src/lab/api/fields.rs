//! Sets of field paths, as `managedFields` writes them (fieldsV1), and who owns which.
//! It knows which lists are keyed; it decides no conflict.
use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::lab::store::seconds;

/// One step into an object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    Field(String),
    /// An item of a keyed list: the JSON of its key fields.
    Key(String),
    /// An item of a set.
    Item(String),
}

pub type Path = Vec<Step>;
pub type Paths = BTreeSet<Path>;

/// The fields that identify an item of the list called `name`, if the list is keyed.
pub fn list_keys(name: &str, items: &[Value]) -> Option<&'static [&'static str]> {
    let has = |key: &str| !items.is_empty() && items.iter().all(|item| item.get(key).is_some());
    let keys: &'static [&'static str] = match name {
        "containers"
        | "initContainers"
        | "ephemeralContainers"
        | "volumes"
        | "imagePullSecrets"
        | "env"
        | "secrets" => &["name"],
        "volumeMounts" => &["mountPath"],
        "volumeDevices" => &["devicePath"],
        "ports" if has("containerPort") => &["containerPort", "protocol"],
        "ports" if has("port") => &["port", "protocol"],
        "conditions" | "addresses" => &["type"],
        "ownerReferences" => &["uid"],
        "hostAliases" => &["ip"],
        "topologySpreadConstraints" => &["topologyKey", "whenUnsatisfiable"],
        _ => return None,
    };
    keys.first().is_some_and(|first| has(first)).then_some(keys)
}

/// The identity of an item under these keys.
pub fn key_of(item: &Value, keys: &[&str]) -> String {
    let pairs = keys.iter().map(|key| {
        let value = match &item[*key] {
            Value::Null if *key == "protocol" => "TCP".into(),
            value => value.clone(),
        };
        ((*key).to_owned(), value)
    });
    Value::Object(pairs.collect::<Map<_, _>>()).to_string()
}

/// Every leaf of an object, but for what the server fills in.
pub fn leaves(object: &Value) -> Paths {
    let mut object = object.clone();
    if let Some(fields) = object.as_object_mut() {
        fields.remove("apiVersion");
        fields.remove("kind");
        if let Some(metadata) = fields.get_mut("metadata").and_then(Value::as_object_mut) {
            for name in [
                "name",
                "namespace",
                "uid",
                "creationTimestamp",
                "resourceVersion",
                "generation",
                "managedFields",
                "deletionTimestamp",
                "deletionGracePeriodSeconds",
                "selfLink",
                "generateName",
            ] {
                metadata.remove(name);
            }
            if metadata.is_empty() {
                fields.remove("metadata");
            }
        }
    }
    let mut found = Paths::new();
    collect("", &object, &mut Vec::new(), &mut found);
    found.remove(&Path::new());
    found
}

fn collect(name: &str, value: &Value, path: &mut Path, found: &mut Paths) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (name, value) in fields {
                path.push(Step::Field(name.clone()));
                collect(name, value, path, found);
                path.pop();
            }
        }
        Value::Array(items) if name == "finalizers" => {
            for item in items {
                path.push(Step::Item(item.to_string()));
                found.insert(path.clone());
                path.pop();
            }
        }
        Value::Array(items) if list_keys(name, items).is_some() => {
            let keys = list_keys(name, items).unwrap_or_default();
            for item in items {
                path.push(Step::Key(key_of(item, keys)));
                found.insert(path.clone());
                collect("", item, path, found);
                path.pop();
            }
        }
        Value::Null => {}
        _ => {
            found.insert(path.clone());
        }
    }
}

/// The value at a path.
pub fn at<'a>(object: &'a Value, path: &[Step]) -> Option<&'a Value> {
    let mut here = object;
    for step in path {
        here = match step {
            Step::Field(name) => here.get(name)?,
            Step::Key(key) => here.as_array()?.iter().find(|item| is_keyed(item, key))?,
            Step::Item(text) => here.as_array()?.iter().find(|item| is_item(item, text))?,
        };
    }
    Some(here)
}

/// Removes what a path names.
pub fn remove(object: &mut Value, path: &[Step]) {
    let Some((last, parents)) = path.split_last() else { return };
    let mut here = object;
    for step in parents {
        let next = match step {
            Step::Field(name) => here.get_mut(name),
            Step::Key(key) => {
                here.as_array_mut().and_then(|all| all.iter_mut().find(|item| is_keyed(item, key)))
            }
            Step::Item(_) => None,
        };
        let Some(next) = next else { return };
        here = next;
    }
    match (last, here) {
        (Step::Field(name), Value::Object(fields)) => {
            fields.remove(name);
        }
        (Step::Key(key), Value::Array(items)) => items.retain(|item| !is_keyed(item, key)),
        (Step::Item(text), Value::Array(items)) => {
            items.retain(|item| !is_item(item, text));
        }
        _ => {}
    }
}

fn is_item(item: &Value, text: &str) -> bool {
    serde_json::from_str::<Value>(text).is_ok_and(|wanted| wanted == *item)
}

fn is_keyed(item: &Value, key: &str) -> bool {
    let Ok(Value::Object(wanted)) = serde_json::from_str::<Value>(key) else { return false };
    let names: Vec<&str> = wanted.keys().map(String::as_str).collect();
    key_of(item, &names) == key
}

/// `.spec.containers[name="app"].image`.
pub fn display(path: &[Step]) -> String {
    path.iter()
        .map(|step| match step {
            Step::Field(name) => format!(".{name}"),
            Step::Key(key) => {
                let key: Map<String, Value> = serde_json::from_str(key).unwrap_or_default();
                let pairs: Vec<String> = key.iter().map(|(name, value)| format!("{name}={value}")).collect();
                format!("[{}]", pairs.join(","))
            }
            Step::Item(text) => format!("[={text}]"),
        })
        .collect()
}

/// fieldsV1 of a set of paths.
pub fn encode(paths: &Paths) -> Value {
    let mut root = json!({});
    for path in paths {
        let mut here = &mut root;
        for step in path {
            let name = match step {
                Step::Field(name) => format!("f:{name}"),
                Step::Key(key) => format!("k:{key}"),
                Step::Item(text) => format!("v:{text}"),
            };
            if here.get(&name).is_none() {
                here[&name] = json!({});
            }
            here = &mut here[&name];
        }
        if matches!(path.last(), Some(Step::Key(_))) {
            here["."] = json!({});
        }
    }
    root
}

/// The set of paths of a fieldsV1.
pub fn decode(fields: &Value) -> Paths {
    fn walk(fields: &Value, path: &mut Path, found: &mut Paths) {
        let Some(fields) = fields.as_object().filter(|fields| !fields.is_empty()) else {
            found.insert(path.clone());
            return;
        };
        for (name, inner) in fields {
            let step = match name.split_once(':') {
                Some(("f", name)) => Step::Field(name.to_owned()),
                Some(("k", key)) => Step::Key(key.to_owned()),
                Some(("v", text)) => Step::Item(text.to_owned()),
                _ => {
                    found.insert(path.clone());
                    continue;
                }
            };
            path.push(step);
            walk(inner, path, found);
            path.pop();
        }
    }
    let mut found = Paths::new();
    walk(fields, &mut Path::new(), &mut found);
    found.remove(&Path::new());
    found
}

/// Notes in `after` that `manager` wrote whatever differs from `before`; others lose those fields.
pub fn record(before: &Value, after: &mut Value, manager: &str, subresource: Option<&str>, now: Timestamp) {
    let (old, new) = (leaves(before), leaves(after));
    let written: Paths = new.iter().filter(|path| at(before, path) != at(after, path)).cloned().collect();
    let gone: Paths = old.difference(&new).cloned().collect();
    if written.is_empty() && gone.is_empty() {
        return;
    }
    let written: Paths = written
        .into_iter()
        .filter(|path| !(matches!(path.last(), Some(Step::Key(_))) && old.contains(path)))
        .collect();
    let mut entries = entries_of(after);
    for entry in &mut entries {
        let own = is_entry(entry, manager, "Update", subresource);
        let mut paths = decode(&entry["fieldsV1"]);
        let before = paths.len();
        paths.retain(|path| !gone.contains(path) && (own || !written.contains(path)));
        if paths.len() != before {
            entry["fieldsV1"] = encode(&paths);
        }
    }
    put(&mut entries, manager, "Update", subresource, &written, false, &after["apiVersion"], now);
    store(after, entries);
}

pub fn entries_of(object: &Value) -> Vec<Value> {
    object["metadata"]["managedFields"].as_array().cloned().unwrap_or_default()
}

pub fn is_entry(entry: &Value, manager: &str, operation: &str, subresource: Option<&str>) -> bool {
    entry["manager"] == manager
        && entry["operation"] == operation
        && entry["subresource"].as_str() == subresource
}

/// Adds to a manager's entry, or replaces it.
#[expect(clippy::too_many_arguments, reason = "one line of managedFields has this many columns")]
pub fn put(
    entries: &mut Vec<Value>,
    manager: &str,
    operation: &str,
    subresource: Option<&str>,
    paths: &Paths,
    replace: bool,
    version: &Value,
    now: Timestamp,
) {
    let found = entries.iter().position(|entry| is_entry(entry, manager, operation, subresource));
    let mut all = paths.clone();
    if let Some(old) = found.map(|at| entries.remove(at)) {
        let owned = decode(&old["fieldsV1"]);
        if replace && owned == all {
            entries.push(old); // nothing new: the old time stands
            return;
        }
        all.extend(owned.into_iter().filter(|_| !replace));
    }
    let mut entry = json!({
        "manager": manager, "operation": operation, "apiVersion": version, "time": seconds(now),
        "fieldsType": "FieldsV1", "fieldsV1": encode(&all),
    });
    if let Some(subresource) = subresource {
        entry["subresource"] = subresource.into();
    }
    entries.push(entry);
}

pub fn store(object: &mut Value, mut entries: Vec<Value>) {
    entries.retain(|entry| entry["fieldsV1"].as_object().is_some_and(|fields| !fields.is_empty()));
    object["metadata"]["managedFields"] = Value::Array(entries);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_survives_writing_and_reading() {
        let object = json!({"metadata": {"name": "x", "labels": {"a": "b"}}, "spec": {"replicas": 2, "template": {
            "spec": {"containers": [{"name": "app", "image": "a:1", "ports": [{"containerPort": 80}]}]}}}});
        let paths = leaves(&object);
        assert_eq!(decode(&encode(&paths)), paths);
        let shown: Vec<String> = paths.iter().map(|path| display(path)).collect();
        assert!(shown.contains(&".spec.template.spec.containers[name=\"app\"].image".to_owned()));
        assert!(paths.iter().all(|path| at(&object, path).is_some()));
    }

    #[test]
    fn a_writer_takes_over_the_fields_it_changes() {
        let before = json!({"apiVersion": "v1", "metadata": {"managedFields": [
            {"manager": "old", "operation": "Update", "fieldsV1": {"f:data": {"f:a": {}, "f:b": {}}}}]},
            "data": {"a": "1", "b": "1"}});
        let mut after = before.clone();
        after["data"]["a"] = "2".into();
        record(&before, &mut after, "new", None, Timestamp::UNIX_EPOCH);
        let entries = entries_of(&after);
        assert_eq!(entries[0]["fieldsV1"], json!({"f:data": {"f:b": {}}}));
        assert_eq!(entries[1]["fieldsV1"], json!({"f:data": {"f:a": {}}}));
    }
}
