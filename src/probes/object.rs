//! Looking into objects as JSON: names, labels, owners, quantities, selectors. Pure.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::domain::{Key, Kind, Timestamp};

/// The string at a JSON pointer, or "".
pub fn string<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// The number at a JSON pointer, or 0, as Kubernetes reads absent counts.
pub fn number(object: &Value, pointer: &str) -> i64 {
    object.pointer(pointer).and_then(Value::as_i64).unwrap_or_default()
}

pub fn flag(object: &Value, pointer: &str) -> bool {
    object.pointer(pointer).and_then(Value::as_bool).unwrap_or_default()
}

/// The items at a JSON pointer, or none.
pub fn items<'a>(object: &'a Value, pointer: &str) -> &'a [Value] {
    object.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

pub fn name(object: &Value) -> &str {
    string(object, "/metadata/name")
}

pub fn uid(object: &Value) -> &str {
    string(object, "/metadata/uid")
}

pub fn key(object: &Value) -> Key {
    Key::new(string(object, "/metadata/namespace"), name(object))
}

pub fn kind(object: &Value) -> Option<Kind> {
    Kind::parse(string(object, "/kind"))
}

pub fn annotation<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    object.pointer("/metadata/annotations")?.get(key)?.as_str()
}

pub fn label<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    object.pointer("/metadata/labels")?.get(key)?.as_str()
}

pub fn time(object: &Value, pointer: &str) -> Option<Timestamp> {
    string(object, pointer).parse().ok()
}

/// Who wrote a part of an object, by its managedFields, and when; the last one first. The part is a pointer into
/// `fieldsV1`, e.g. `/f:spec/f:selector`; "" is all of it.
pub fn writers<'a>(object: &'a Value, part: &str) -> Vec<(Timestamp, &'a str)> {
    let mut writers: Vec<(Timestamp, &str)> = items(object, "/metadata/managedFields")
        .iter()
        .filter(|entry| entry.get("fieldsV1").is_some_and(|fields| fields.pointer(part).is_some()))
        .filter_map(|entry| Some((time(entry, "/time")?, string(entry, "/manager"))))
        .collect();
    writers.sort_by(|one, other| other.cmp(one));
    writers
}

/// Annotation `deployment.kubernetes.io/revision`.
pub fn revision(object: &Value) -> Option<u64> {
    annotation(object, "deployment.kubernetes.io/revision")?.parse().ok()
}

/// The owner reference with `controller: true`.
pub fn owner(object: &Value) -> Option<&Value> {
    items(object, "/metadata/ownerReferences").iter().find(|owner| flag(owner, "/controller"))
}

pub fn is_owned_by(object: &Value, uid: &str) -> bool {
    owner(object).is_some_and(|owner| string(owner, "/uid") == uid)
}

/// The condition of that type.
pub fn condition<'a>(object: &'a Value, kind: &str) -> Option<&'a Value> {
    items(object, "/status/conditions").iter().find(|condition| string(condition, "/type") == kind)
}

/// A pod that is Ready and not being deleted.
pub fn is_ready(pod: &Value) -> bool {
    pod.pointer("/metadata/deletionTimestamp").is_none()
        && condition(pod, "Ready").is_some_and(|ready| string(ready, "/status") == "True")
}

/// A pod that holds no resources any more.
pub fn is_finished(pod: &Value) -> bool {
    matches!(string(pod, "/status/phase"), "Succeeded" | "Failed")
}

/// A pod the kubelet made from a file: it cannot be evicted.
pub fn is_mirror(pod: &Value) -> bool {
    annotation(pod, "kubernetes.io/config.mirror").is_some()
}

pub fn has_empty_dir(pod: &Value) -> bool {
    items(pod, "/spec/volumes").iter().any(|volume| volume.get("emptyDir").is_some())
}

/// Restarts of all containers.
pub fn restarts(pod: &Value) -> i64 {
    items(pod, "/status/containerStatuses").iter().map(|status| number(status, "/restartCount")).sum()
}

/// Whether a label selector selects these labels. Understands every operator; an absent or empty selector
/// selects nothing, as for a PodDisruptionBudget of policy/v1 this matters little and nowhere else is safer.
pub fn selects(selector: Option<&Value>, labels: Option<&Value>) -> bool {
    let Some(selector) = selector else { return false };
    let get = |key: &str| labels.and_then(|labels| labels.get(key)).and_then(Value::as_str);
    let wanted = selector.get("matchLabels").and_then(Value::as_object);
    let expressions = items(selector, "/matchExpressions");
    if wanted.is_none_or(serde_json::Map::is_empty) && expressions.is_empty() {
        return false;
    }
    wanted.into_iter().flatten().all(|(key, value)| get(key) == value.as_str())
        && expressions.iter().all(|expression| {
            let found = get(string(expression, "/key"));
            let among =
                |found: &str| items(expression, "/values").iter().any(|value| value.as_str() == Some(found));
            match string(expression, "/operator") {
                "In" => found.is_some_and(among),
                "NotIn" => !found.is_some_and(among),
                "Exists" => found.is_some(),
                "DoesNotExist" => found.is_none(),
                _ => false,
            }
        })
}

/// A selector as a query parameter: `app=web,tier in (a,b)`.
pub fn selector_query(selector: &Value) -> String {
    let mut parts: Vec<String> = selector
        .get("matchLabels")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()))
        .collect();
    for expression in items(selector, "/matchExpressions") {
        let key = string(expression, "/key");
        let values: Vec<_> = items(expression, "/values").iter().filter_map(Value::as_str).collect();
        let values = values.join(",");
        parts.push(match string(expression, "/operator") {
            "In" => format!("{key} in ({values})"),
            "NotIn" => format!("{key} notin ({values})"),
            "DoesNotExist" => format!("!{key}"),
            _ => key.to_owned(),
        });
    }
    parts.join(",")
}

/// A Kubernetes quantity in thousandths: CPU in millicores, memory in bytes × 1000, pods × 1000.
pub fn milli(quantity: &str) -> Option<i128> {
    Some((crate::domain::quantity(quantity)? * 1000.0).round() as i128)
}

/// The quantity at a pointer in thousandths, a number or a string; 0 when absent.
pub fn milli_at(object: &Value, pointer: &str) -> i128 {
    match object.pointer(pointer) {
        Some(Value::String(quantity)) => milli(quantity).unwrap_or_default(),
        Some(Value::Number(number)) => milli(&number.to_string()).unwrap_or_default(),
        _ => 0,
    }
}

/// What a pod spec asks for: the sum over containers, or the largest init container if that is more.
/// `part` is `requests` or `limits`, `resource` is `cpu` or `memory`; in thousandths.
pub fn asks(spec: &Value, part: &str, resource: &str) -> i128 {
    let of = |container: &Value| milli_at(container, &format!("/resources/{part}/{resource}"));
    let sum: i128 = items(spec, "/containers").iter().map(of).sum();
    // An init container that keeps running (a sidecar) counts with the containers.
    let (sidecars, inits): (Vec<&Value>, Vec<&Value>) =
        items(spec, "/initContainers").iter().partition(|init| string(init, "/restartPolicy") == "Always");
    let steady = sum + sidecars.into_iter().map(of).sum::<i128>();
    steady.max(inits.into_iter().map(of).max().unwrap_or_default())
}

/// Labels of a pod or template as text to compare with a selector.
pub fn labels(object: &Value) -> Option<&Value> {
    object.pointer("/metadata/labels")
}

/// As YAML, long lines unbroken, so that a difference is about content.
pub fn yaml(object: &Value) -> String {
    let options = serde_saphyr::ser_options! { folded_wrap_chars: 1_000_000 };
    serde_saphyr::to_string_with_options(object, options).unwrap_or_else(|_| object.to_string())
}

/// Counts by word, most frequent first.
pub fn tally<'a>(words: impl Iterator<Item = &'a str>) -> Vec<(&'a str, usize)> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for word in words {
        *counts.entry(word).or_default() += 1;
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    counts
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn quantities_of_every_kind() {
        for (quantity, expected) in [
            ("250m", 250),
            ("1.5", 1500),
            ("2", 2000),
            ("1Ki", 1_024_000),
            ("1G", 1_000_000_000_000),
            ("1e3", 1_000_000),
        ] {
            assert_eq!(milli(quantity), Some(expected), "{quantity}");
        }
        assert_eq!(milli("many"), None);
    }

    #[test]
    fn selectors_with_expressions_select_what_kubernetes_selects() {
        let selector = json!({"matchLabels": {"app": "web"}, "matchExpressions": [
            {"key": "tier", "operator": "In", "values": ["a", "b"]},
            {"key": "canary", "operator": "DoesNotExist"}]});
        assert!(selects(Some(&selector), Some(&json!({"app": "web", "tier": "b"}))));
        assert!(!selects(Some(&selector), Some(&json!({"app": "web", "tier": "c"}))));
        assert!(!selects(Some(&selector), Some(&json!({"app": "web", "tier": "a", "canary": "1"}))));
        assert!(!selects(Some(&json!({})), Some(&json!({"app": "web"}))));
        assert_eq!(selector_query(&selector), "app=web,tier in (a,b),!canary");
    }

    #[test]
    fn a_pod_asks_for_its_containers_or_its_largest_init_container() {
        let spec = json!({"containers": [{"resources": {"requests": {"cpu": "100m"}}}, {"resources": {"requests": {"cpu": "200m"}}}],
            "initContainers": [{"resources": {"requests": {"cpu": "1"}}}]});
        assert_eq!(asks(&spec, "requests", "cpu"), 1000);
    }
}
