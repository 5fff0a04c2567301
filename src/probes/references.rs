//! ConfigMaps and Secrets a workload refers to: which are missing, which keys, which changed lately. Of
//! Secrets only key names are kept, values are dropped where they arrive.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Value;

use super::answer::{Answer, clock};
use super::cluster::Cluster;
use super::object::{condition, flag, items, key, name, string, time, writers};
use super::trouble::{Trouble, TroubleKind};
use crate::domain::{Key, Kind, ObjectRef, Timestamp, Tone, between, cause, text};

/// A change this recent is worth a word (audit, section 4: config changed within the hour).
const RECENT: Duration = Duration::from_hours(1);

/// One object the template needs, with the keys it names. A reference to the whole has no keys.
#[derive(Default)]
struct Needed {
    keys: BTreeSet<String>,
    /// Every reference to it is optional.
    optional: bool,
}

pub(super) async fn check(
    cluster: &Cluster,
    workload: &ObjectRef,
    kind: Kind,
    now: Timestamp,
) -> Result<Answer, Trouble> {
    let object = cluster.get(workload).await?;
    let empty = Value::Null;
    let spec = match workload.kind {
        Kind::Pod => "/spec",
        Kind::CronJob => "/spec/jobTemplate/spec/template/spec",
        _ => "/spec/template/spec",
    };
    let needed = needed(object.pointer(spec).unwrap_or(&empty), kind);
    let word = kind.as_str();
    let mut answer = Answer::new();
    if needed.is_empty() {
        answer.summary(format!("{workload} refers to no {word}"));
        return Ok(answer);
    }
    let (mut missing, mut recent, mut unread) = (Vec::new(), Vec::new(), Vec::new());
    for (wanted, need) in &needed {
        let reference = ObjectRef::new(kind, Key::new(workload.key.namespace.clone(), wanted.as_str()));
        match cluster.find(&reference).await {
            Ok(Some(found)) => {
                let (line, absent) = present(&found, need, now);
                if !absent.is_empty() && !need.optional {
                    answer.bind("missing_key", absent[0].as_str());
                    answer.bind("missing_part", "key");
                    answer.bind("missing_object", wanted);
                    missing.push(format!("{word} {wanted} has no key {}", absent.join(", ")));
                }
                // To come into being is no change of what was there.
                let created = time(&found, "/metadata/creationTimestamp");
                if let Some(&(at, by)) = writers(&found, "").first()
                    && created.is_none_or(|created| created < at)
                    && between(at, now) < RECENT
                {
                    recent.push(format!("{word} {wanted} was changed at {} by {by}", clock(at, now)));
                }
                let tone = if absent.is_empty() { Tone::Good } else { Tone::Bad };
                answer.line(tone, format!("{wanted}: {line}"));
            }
            Ok(None) if need.optional => answer.line(Tone::Dim, format!("{wanted}: absent, but optional")),
            Ok(None) => {
                answer.bind("missing_object", wanted);
                answer.bind("missing_part", "object");
                missing.push(format!("{word} {wanted} does not exist"));
                answer.line(Tone::Bad, format!("{wanted}: does not exist"));
            }
            Err(trouble) if trouble.is(TroubleKind::Forbidden) => {
                unread.push(wanted.clone());
                answer.line(Tone::Dim, format!("{wanted}: {trouble}"));
            }
            Err(trouble) => return Err(trouble),
        }
    }
    for says in &missing {
        answer.found(cause::MISSING_REFERENCE, says);
    }
    if unread.len() == needed.len() {
        answer.not_ok();
    }
    let count = text::count(needed.len(), word);
    answer.summary(match (missing.first(), recent.first(), unread.as_slice()) {
        (Some(says), ..) => says.clone(),
        (None, Some(says), _) => says.clone(),
        (None, None, []) => format!("all {count} it needs are there, none changed within the hour"),
        (None, None, unread) => {
            format!("{} may not be read: {}", text::count(unread.len(), word), unread.join(", "))
        }
    });
    Ok(answer)
}

/// Whether something that a workload's pods read at their start was written after this moment.
pub(crate) async fn written_since(cluster: &Cluster, workload: &Value, at: Timestamp) -> bool {
    let Some(spec) = workload.pointer("/spec/template/spec") else { return false };
    for kind in [Kind::ConfigMap, Kind::Secret] {
        for name in needed(spec, kind).into_keys() {
            let object = ObjectRef::new(kind, Key::new(key(workload).namespace, name));
            let Ok(Some(found)) = cluster.find(&object).await else { continue };
            if writers(&found, "").first().is_some_and(|(written, _)| *written > at) {
                return true;
            }
        }
    }
    false
}

/// ConfigMaps and Secrets that a workload's pods cannot start without and that do not exist: `ConfigMap settings`.
pub(crate) async fn absent(cluster: &Cluster, workload: &Value) -> Vec<String> {
    let Some(spec) = workload.pointer("/spec/template/spec") else { return Vec::new() };
    let mut absent = Vec::new();
    for kind in [Kind::ConfigMap, Kind::Secret] {
        for (name, _) in needed(spec, kind).into_iter().filter(|(_, need)| !need.optional) {
            let object = ObjectRef::new(kind, Key::new(key(workload).namespace, name.as_str()));
            if let Ok(None) = cluster.find(&object).await {
                absent.push(format!("{} {name}", kind.as_str()));
            }
        }
    }
    absent
}

/// Which objects of the kind the pod spec needs: env, envFrom, volumes, projected volumes.
fn needed(spec: &Value, kind: Kind) -> BTreeMap<String, Needed> {
    let (selector, from, volume) = match kind {
        Kind::Secret => ("secretKeyRef", "secretRef", "secret"),
        _ => ("configMapKeyRef", "configMapRef", "configMap"),
    };
    let mut found: BTreeMap<String, Needed> = BTreeMap::new();
    let mut need = |reference: &Value, name_field: &str, keys: Vec<String>| {
        let named = string(reference, name_field);
        if !named.is_empty() {
            let optional = flag(reference, "/optional");
            let entry = found
                .entry(named.to_owned())
                .or_insert_with(|| Needed { keys: BTreeSet::new(), optional: true });
            entry.optional &= optional;
            if !optional {
                entry.keys.extend(keys);
            }
        }
    };
    for container in ["/initContainers", "/containers"].iter().flat_map(|list| items(spec, list)) {
        for variable in items(container, "/env") {
            if let Some(reference) = variable.pointer(&format!("/valueFrom/{selector}")) {
                need(reference, "/name", vec![string(reference, "/key").to_owned()]);
            }
        }
        for source in items(container, "/envFrom") {
            if let Some(reference) = source.get(from) {
                need(reference, "/name", Vec::new());
            }
        }
    }
    let listed = |reference: &Value| -> Vec<String> {
        items(reference, "/items").iter().map(|item| string(item, "/key").to_owned()).collect()
    };
    for mounted in items(spec, "/volumes") {
        if let Some(reference) = mounted.get(volume) {
            let field = if volume == "secret" { "/secretName" } else { "/name" };
            need(reference, field, listed(reference));
        }
        for source in items(mounted, "/projected/sources") {
            if let Some(reference) = source.get(volume) {
                need(reference, "/name", listed(reference));
            }
        }
    }
    found
}

/// What is there, in words, and the keys that are not.
fn present(found: &Value, need: &Needed, now: Timestamp) -> (String, Vec<String>) {
    let has = |wanted: &str| {
        ["data", "binaryData"].iter().any(|part| found.get(part).and_then(|data| data.get(wanted)).is_some())
    };
    let count: usize = ["data", "binaryData"]
        .iter()
        .filter_map(|part| found.get(part)?.as_object().map(serde_json::Map::len))
        .sum();
    let absent: Vec<String> = need.keys.iter().filter(|wanted| !has(wanted)).cloned().collect();
    let changed = writers(found, "")
        .first()
        .map(|(at, by)| format!(", changed at {} by {by}", clock(*at, now)))
        .unwrap_or_default();
    let immutable = if flag(found, "/immutable") { ", immutable" } else { "" };
    let mut line = format!("{}{changed}{immutable}", text::count(count, "key"));
    if !absent.is_empty() {
        line.push_str(&format!("; missing: {}", absent.join(", ")));
    }
    (line, absent)
}

/// ExternalSecrets and whether they are in sync.
pub(super) async fn external_secrets(cluster: &Cluster, namespace: &str) -> Result<Answer, Trouble> {
    let mut answer = Answer::new();
    let found = match cluster.list(Kind::ExternalSecret, namespace, "", "").await {
        Ok(found) => found,
        Err(trouble) if trouble.is(TroubleKind::Absent) => {
            answer.summary("External Secrets is not installed here");
            return Ok(answer);
        }
        Err(trouble) => return Err(trouble),
    };
    let mut out = Vec::new();
    let fills = |secret: &Value| {
        let target = string(secret, "/spec/target/name");
        format!("{}→{}", name(secret), if target.is_empty() { name(secret) } else { target })
    };
    answer.bind("external_secrets", found.iter().map(fills).collect::<Vec<_>>().join(", "));
    for secret in &found {
        let ready = condition(secret, "Ready");
        let is_ready = ready.is_some_and(|ready| string(ready, "/status") == "True");
        let says = ready.map_or_else(
            || "no status yet".to_owned(),
            |ready| format!("{} {}", string(ready, "/reason"), string(ready, "/message")),
        );
        answer.line(if is_ready { Tone::Good } else { Tone::Bad }, format!("{}: {says}", key(secret)));
        if !is_ready {
            answer.bind("external_secret", name(secret));
            out.push(name(secret));
        }
    }
    answer.summary(match (found.len(), out.as_slice()) {
        (0, _) => "no ExternalSecrets here".to_owned(),
        (all, []) => format!("{} in sync", text::count(all, "ExternalSecret")),
        (all, out) => {
            format!("{} of {} out of sync: {}", out.len(), text::count(all, "ExternalSecret"), out.join(", "))
        }
    });
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn references_are_found_wherever_a_pod_spec_can_hold_them() {
        let spec = json!({"containers": [{"env": [
                {"name": "A", "valueFrom": {"configMapKeyRef": {"name": "one", "key": "a"}}},
                {"name": "B", "valueFrom": {"secretKeyRef": {"name": "s", "key": "pw"}}}],
                "envFrom": [{"configMapRef": {"name": "two", "optional": true}}]}],
            "volumes": [{"name": "v", "configMap": {"name": "three", "items": [{"key": "k", "path": "p"}]}},
                {"name": "w", "projected": {"sources": [{"configMap": {"name": "four"}}]}},
                {"name": "x", "secret": {"secretName": "t"}}]});
        let found = needed(&spec, Kind::ConfigMap);
        assert_eq!(found.keys().collect::<Vec<_>>(), ["four", "one", "three", "two"]);
        assert!(found["two"].optional && !found["one"].optional);
        assert!(found["one"].keys.contains("a") && found["three"].keys.contains("k"));
        assert_eq!(needed(&spec, Kind::Secret).keys().collect::<Vec<_>>(), ["s", "t"]);
    }
}
