//! Strategic merge patch: lists merged by key, with its directives (`$patch`, `$retainKeys`,
//! `$setElementOrder`, `$deleteFromPrimitiveList`). It follows apimachinery's strategicpatch.
use serde_json::{Map, Value};

/// Merges `patch` into `target`.
pub fn merge(target: &mut Value, patch: &Value) -> Result<(), String> {
    let Some(patch) = patch.as_object() else {
        *target = patch.clone();
        return Ok(());
    };
    match patch.get("$patch").and_then(Value::as_str) {
        Some("replace") => {
            *target = without_directives(patch);
            return Ok(());
        }
        Some("delete") => {
            *target = Value::Object(Map::new());
            return Ok(());
        }
        Some("merge") | None => {}
        Some(other) => return Err(format!("Unknown patch type {other:?} found in patch")),
    }
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Some(fields) = target.as_object_mut() else { return Ok(()) };
    if let Some(keep) = patch.get("$retainKeys").and_then(Value::as_array) {
        fields.retain(|name, _| keep.iter().any(|kept| kept == name));
    }
    for (name, value) in patch {
        if let Some(list) = name.strip_prefix("$deleteFromPrimitiveList/") {
            let doomed = value.as_array().map_or(&[][..], Vec::as_slice);
            if let Some(items) = fields.get_mut(list).and_then(Value::as_array_mut) {
                items.retain(|item| !doomed.contains(item));
            }
        } else if !name.starts_with('$') {
            merge_field(fields, name, value)?;
        }
    }
    for (name, order) in patch {
        if let Some(list) = name.strip_prefix("$setElementOrder/")
            && let (Some(Value::Array(items)), Some(order)) = (fields.get_mut(list), order.as_array())
        {
            reorder(items, order, merge_key(list, order));
        }
    }
    Ok(())
}

fn merge_field(fields: &mut Map<String, Value>, name: &str, value: &Value) -> Result<(), String> {
    match value {
        Value::Null => {
            fields.remove(name);
            Ok(())
        }
        Value::Object(_) => merge(fields.entry(name).or_insert(Value::Null), value),
        Value::Array(items) => {
            let here = fields.entry(name).or_insert_with(|| Value::Array(Vec::new()));
            if !here.is_array() {
                *here = Value::Array(Vec::new());
            }
            here.as_array_mut().map_or(Ok(()), |here| merge_list(name, here, items))
        }
        scalar => {
            fields.insert(name.to_owned(), scalar.clone());
            Ok(())
        }
    }
}

fn merge_list(name: &str, target: &mut Vec<Value>, patch: &[Value]) -> Result<(), String> {
    if patch.iter().any(|item| item["$patch"] == "replace") {
        *target = patch.iter().filter(|item| item["$patch"] != "replace").map(clean).collect();
        return Ok(());
    }
    if name == "finalizers" {
        let new: Vec<Value> = patch.iter().filter(|item| !target.contains(item)).cloned().collect();
        target.extend(new);
        return Ok(());
    }
    let example = if patch.is_empty() { target.as_slice() } else { patch };
    let Some(key) = merge_key(name, example) else {
        *target = patch.iter().map(clean).collect();
        return Ok(());
    };
    for item in patch {
        let Some(identity) = item.get(key).filter(|identity| !identity.is_null()) else {
            return Err(format!("map: {item} does not contain declared merge key: {key}"));
        };
        let at = target.iter().position(|existing| existing.get(key) == Some(identity));
        match (item["$patch"].as_str(), at) {
            (Some("delete"), _) => target.retain(|existing| existing.get(key) != Some(identity)),
            (_, Some(at)) => merge(&mut target[at], item)?,
            (_, None) => target.push(clean(item)),
        }
    }
    Ok(())
}

/// The key a list is merged by. Lists not named here are replaced, as their types say.
fn merge_key(name: &str, example: &[Value]) -> Option<&'static str> {
    let first = example.first()?;
    Some(match name {
        "containers"
        | "initContainers"
        | "ephemeralContainers"
        | "volumes"
        | "imagePullSecrets"
        | "env"
        | "secrets"
        | "resourceClaims" => "name",
        "volumeMounts" => "mountPath",
        "volumeDevices" => "devicePath",
        "ports" if first.get("containerPort").is_some() => "containerPort",
        "ports" if first.get("port").is_some() => "port",
        "conditions" | "addresses" => "type",
        "ownerReferences" => "uid",
        "hostAliases" => "ip",
        "topologySpreadConstraints" => "topologyKey",
        _ => return None,
    })
}

/// Puts the named items in the given order; items not named stay where they were between them.
fn reorder(items: &mut Vec<Value>, order: &[Value], key: Option<&str>) {
    let place = |item: &Value| {
        order.iter().position(|wanted| match key {
            Some(key) => wanted.get(key).is_some() && wanted.get(key) == item.get(key),
            None => wanted == item,
        })
    };
    let all: Vec<(usize, Value)> = items.drain(..).enumerate().collect();
    let (mut named, others): (Vec<_>, Vec<_>) = all.into_iter().partition(|(_, item)| place(item).is_some());
    named.sort_by_key(|(_, item)| place(item));
    for other in others {
        let before = named.iter().position(|(was, _)| *was > other.0).unwrap_or(named.len());
        named.insert(before, other);
    }
    items.extend(named.into_iter().map(|(_, item)| item));
}

/// A new value from a patch: nulls and directives mean nothing where there was nothing.
fn clean(value: &Value) -> Value {
    match value {
        Value::Object(fields) => without_directives(fields),
        Value::Array(items) => items.iter().filter(|item| item["$patch"] != "delete").map(clean).collect(),
        other => other.clone(),
    }
}

fn without_directives(fields: &Map<String, Value>) -> Value {
    let kept = fields.iter().filter(|(name, value)| !name.starts_with('$') && !value.is_null());
    Value::Object(kept.map(|(name, value)| (name.clone(), clean(value))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn patched(mut target: Value, patch: &Value) -> Value {
        merge(&mut target, patch).unwrap();
        target
    }

    #[test]
    fn keyed_lists_merge_and_delete_by_key() {
        let spec = json!({"containers": [{"name": "app", "image": "a:1", "env": [{"name": "A", "value": "1"}]},
                                         {"name": "side", "image": "s:1"}], "volumes": [{"name": "v", "emptyDir": {}}]});
        let after = patched(
            spec.clone(),
            &json!({"containers": [{"name": "app", "image": "a:2", "env": [{"name": "B", "value": "2"}]},
                                                         {"name": "side", "$patch": "delete"}]}),
        );
        let app = json!({"name": "app", "image": "a:2", "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]});
        assert_eq!(after["containers"], json!([app]));
        let after = patched(
            spec.clone(),
            &json!({"volumes": [{"name": "v", "configMap": {"name": "c"}, "emptyDir": null, "$retainKeys": ["name", "configMap"]}]}),
        );
        assert_eq!(after["volumes"], json!([{"name": "v", "configMap": {"name": "c"}}]));
        let error = merge(&mut spec.clone(), &json!({"containers": [{"image": "x"}]})).unwrap_err();
        assert!(error.ends_with("does not contain declared merge key: name"), "{error}");
    }

    #[test]
    fn atomic_lists_are_replaced_and_sets_are_joined() {
        let node = json!({"spec": {"taints": [{"key": "a", "effect": "NoSchedule"}]}, "metadata": {"finalizers": ["x", "y"]}});
        let after = patched(
            node,
            &json!({"spec": {"taints": [{"key": "b", "effect": "NoExecute"}]},
            "metadata": {"finalizers": ["z"], "$deleteFromPrimitiveList/finalizers": ["x"]}}),
        );
        assert_eq!(after["spec"]["taints"], json!([{"key": "b", "effect": "NoExecute"}]));
        assert_eq!(after["metadata"]["finalizers"], json!(["y", "z"]));
    }

    #[test]
    fn order_and_replace_directives() {
        let spec = json!({"env": [{"name": "a"}, {"name": "server"}, {"name": "b"}]});
        let after = patched(
            spec.clone(),
            &json!({"$setElementOrder/env": [{"name": "b"}, {"name": "a"}], "env": []}),
        );
        assert_eq!(after["env"], json!([{"name": "server"}, {"name": "b"}, {"name": "a"}]));
        let after = patched(spec, &json!({"env": [{"$patch": "replace"}, {"name": "only"}]}));
        assert_eq!(after["env"], json!([{"name": "only"}]));
        let strategy = json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}});
        let after = patched(strategy, &json!({"$patch": "replace", "type": "Recreate"}));
        assert_eq!(after, json!({"type": "Recreate"}));
    }
}
