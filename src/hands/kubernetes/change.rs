//! From an action to the one write it is, given the object as it is. Pure: it sends nothing.

use serde_json::{Map, Value, json};

use super::rollout;
use super::write::{How, Part, Write};
use crate::domain::{
    Action, DENYLIST, ImageChange, Key, Kind, ObjectRef, PatchKind, ResourceChange, Timestamp,
};
use crate::guard::Refusal;
use crate::hands::hazards::denylist;
use crate::probes::object::{flag, items, number, string};

/// What stands for the token until the moment of acting.
const PLACEHOLDER: &str = "covet-tui-dry-run";

/// What some changes are made of.
#[derive(Default)]
pub(super) struct Given<'a> {
    /// The revisions of a workload that is to go back.
    pub(super) history: &'a [Value],
    /// The pull token, at the moment of acting.
    pub(super) token: Option<&'a str>,
    /// The data of a Secret as it was.
    pub(super) kept: Option<Value>,
}

/// The write behind an action on one object. `before` is None when it does not exist; `at` is the moment of the
/// preview.
pub(super) fn write(
    action: &Action,
    before: Option<&Value>,
    given: &Given<'_>,
    at: Timestamp,
) -> Result<Write, Refusal> {
    let object = action.object().ok_or_else(|| Refusal::new("the action names no object"))?;
    match action {
        Action::Apply { manifest, force } => return apply(object, manifest, *force),
        Action::PullSecret { registry, username, .. } => {
            return Ok(pull_secret(object, registry, username, given.token.unwrap_or(PLACEHOLDER)));
        }
        _ => {}
    }
    let before = before.ok_or_else(|| Refusal::new(format!("{object} does not exist")))?;
    let merge = |body: Value, title: String| Write {
        object: object.clone(),
        part: Part::Whole,
        how: How::Merge,
        body,
        title,
    };
    let strategic = |body: Value, title: String| Write { how: How::Strategic, ..merge(body, title) };
    Ok(match action {
        Action::Scale { replicas, .. } => {
            let title =
                format!("scale {object} from {} to {replicas} replicas", number(before, "/spec/replicas"));
            Write { part: Part::Scale, ..merge(json!({"spec": {"replicas": replicas}}), title) }
        }
        Action::AutoscalerBounds { min, max, .. } => {
            if min > max || *max == 0 {
                return Err(Refusal::new(format!("{min}–{max} is no range an HPA accepts")));
            }
            let title = format!(
                "set bounds of {object} from {}–{} to {min}–{max}",
                before.pointer("/spec/minReplicas").and_then(Value::as_i64).unwrap_or(1),
                number(before, "/spec/maxReplicas")
            );
            merge(json!({"spec": {"minReplicas": min, "maxReplicas": max}}), title)
        }
        Action::Patch { kind, body, .. } => Write {
            how: match kind {
                PatchKind::Strategic => How::Strategic,
                PatchKind::Merge => How::Merge,
                PatchKind::Json => How::Json,
            },
            ..merge(body.clone(), format!("patch {object}"))
        },
        Action::RolloutRestart { .. } => {
            not_paused(before, "restarted")?;
            let stamp = at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
            let annotations = json!({"kubectl.kubernetes.io/restartedAt": stamp});
            let body = json!({"spec": {"template": {"metadata": {"annotations": annotations}}}});
            merge(body, format!("restart the pods of {object}, a few at a time"))
        }
        Action::RolloutUndo { to_revision, .. } => {
            rollout::undo(&object, before, given.history, *to_revision)?
        }
        Action::RolloutPause { .. } => {
            paused(before, true).map(|body| merge(body, format!("pause the rollout of {object}")))?
        }
        Action::RolloutResume { .. } => {
            paused(before, false).map(|body| merge(body, format!("resume the rollout of {object}")))?
        }
        Action::Cordon { .. } => {
            cordoned(before, true).map(|body| merge(body, format!("cordon {object}: no new pods on it")))?
        }
        Action::Uncordon { .. } => cordoned(before, false)
            .map(|body| merge(body, format!("uncordon {object}: pods may come again")))?,
        Action::Annotate { annotations, .. } => merge(
            json!({"metadata": {"annotations": pairs(annotations)}}),
            format!("annotate {object}: {}", keys(annotations)),
        ),
        Action::DenyAtIngress { networks, .. } => {
            let (list, added) = denylist::with(before, networks)?;
            let title = format!("turn {} away from {object}", added.join(", "));
            merge(json!({"metadata": {"annotations": {DENYLIST: list}}}), title)
        }
        Action::Label { labels, .. } => {
            merge(json!({"metadata": {"labels": pairs(labels)}}), format!("label {object}: {}", keys(labels)))
        }
        Action::Taint { key, value, effect, remove, .. } => {
            let taints = taints(before, key, value, effect, *remove)?;
            let verb = if *remove { "remove taint from" } else { "taint" };
            merge(json!({"spec": {"taints": taints}}), format!("{verb} {object}: {key}={value}:{effect}"))
        }
        Action::SetImage { images, .. } => {
            let (body, title) = images_of(before, images)?;
            strategic(body, format!("set image of {object}: {title}"))
        }
        Action::SetResources { container, change, .. } => {
            let body = resources(before, container, change)?;
            strategic(body, format!("set resources of {container} in {object}"))
        }
        Action::ReferencePullSecret { secret, .. } => strategic(
            json!({"spec": {"template": {"spec": {"imagePullSecrets": [{"name": secret}]}}}}),
            format!("let {object} pull with secret {secret}"),
        ),
        Action::SetConfig { data, .. } => {
            if flag(before, "/immutable") {
                return Err(Refusal::new(format!("{object} is immutable"))
                    .repair("create a new ConfigMap under another name and let the workload refer to it"));
            }
            merge(json!({"data": pairs(data)}), format!("set {} in {object}", keys(data)))
        }
        Action::RestoreSecret { kept, .. } => restore(&object, before, *kept, given.kept.as_ref())?,
        Action::PatchStatus { body, .. } => {
            Write { part: Part::Status, ..merge(status_body(body), format!("patch the status of {object}")) }
        }
        _ => return Err(Refusal::new("this action is not a change to one object")),
    })
}

fn not_paused(object: &Value, what: &str) -> Result<(), Refusal> {
    if flag(object, "/spec/paused") {
        return Err(Refusal::new(format!("the rollout is paused and can't be {what}"))
            .repair("resume the rollout first"));
    }
    Ok(())
}

fn paused(object: &Value, pause: bool) -> Result<Value, Refusal> {
    if flag(object, "/spec/paused") == pause {
        let state = if pause { "paused already" } else { "not paused" };
        return Err(Refusal::new(format!("the rollout is {state}")));
    }
    Ok(json!({"spec": {"paused": if pause { Value::Bool(true) } else { Value::Null }}}))
}

fn cordoned(node: &Value, cordon: bool) -> Result<Value, Refusal> {
    if flag(node, "/spec/unschedulable") == cordon {
        let state = if cordon { "cordoned already" } else { "not cordoned" };
        return Err(Refusal::new(format!("the node is {state}")));
    }
    Ok(json!({"spec": {"unschedulable": if cordon { Value::Bool(true) } else { Value::Null }}}))
}

/// Strings are forced: ConfigMaps, annotations and labels take nothing else (audit D14).
fn pairs(pairs: &[(String, Option<String>)]) -> Value {
    let map: Map<String, Value> = pairs
        .iter()
        .map(|(key, value)| (key.clone(), value.clone().map_or(Value::Null, Value::String)))
        .collect();
    Value::Object(map)
}

fn keys(pairs: &[(String, Option<String>)]) -> String {
    pairs
        .iter()
        .map(|(key, value)| if value.is_some() { key.clone() } else { format!("{key} (remove)") })
        .collect::<Vec<_>>()
        .join(", ")
}

fn taints(node: &Value, key: &str, value: &str, effect: &str, remove: bool) -> Result<Value, Refusal> {
    let same = |taint: &&Value| string(taint, "/key") == key && string(taint, "/effect") == effect;
    let present = items(node, "/spec/taints");
    if remove && !present.iter().any(|taint| same(&taint)) {
        return Err(Refusal::new(format!("the node has no taint {key}:{effect}")));
    }
    let mut taints: Vec<Value> = present.iter().filter(|taint| !same(taint)).cloned().collect();
    if !remove {
        taints.push(json!({"key": key, "value": value, "effect": effect}));
    }
    Ok(Value::Array(taints))
}

/// An unknown container name would be merged as a new container (audit D21).
fn container_list(workload: &Value, name: &str) -> Result<(&'static str, usize), Refusal> {
    for list in ["containers", "initContainers"] {
        let containers = items(workload, &format!("/spec/template/spec/{list}"));
        if let Some(index) = containers.iter().position(|container| string(container, "/name") == name) {
            return Ok((list, index));
        }
    }
    let known: Vec<_> = items(workload, "/spec/template/spec/containers")
        .iter()
        .map(|container| string(container, "/name"))
        .collect();
    Err(Refusal::new(format!("there is no container {name}")).repair(format!("it has {}", known.join(", "))))
}

fn images_of(workload: &Value, images: &[ImageChange]) -> Result<(Value, String), Refusal> {
    let mut spec: Map<String, Value> = Map::new();
    let mut title = Vec::new();
    for change in images {
        let (list, index) = container_list(workload, &change.container)?;
        let old = string(workload, &format!("/spec/template/spec/{list}/{index}/image"));
        title.push(format!("{} {old} → {}", change.container, change.image));
        if let Some(containers) = spec.entry(list).or_insert_with(|| json!([])).as_array_mut() {
            containers.push(json!({"name": change.container, "image": change.image}));
        }
    }
    Ok((json!({"spec": {"template": {"spec": spec}}}), title.join(", ")))
}

fn resources(workload: &Value, container: &str, change: &ResourceChange) -> Result<Value, Refusal> {
    let (list, _) = container_list(workload, container)?;
    let mut resources: Map<String, Value> = Map::new();
    for (part, resource, value) in [
        ("requests", "cpu", &change.cpu_request),
        ("requests", "memory", &change.memory_request),
        ("limits", "cpu", &change.cpu_limit),
        ("limits", "memory", &change.memory_limit),
    ] {
        if let (Some(value), Some(quantities)) =
            (value, resources.entry(part).or_insert_with(|| json!({})).as_object_mut())
        {
            quantities.insert(resource.into(), json!(value));
        }
    }
    Ok(json!({"spec": {"template": {"spec": {list: [{"name": container, "resources": resources}]}}}}))
}

fn apply(object: ObjectRef, manifest: &Value, force: bool) -> Result<Write, Refusal> {
    if string(manifest, "/kind") != object.kind.as_str()
        || string(manifest, "/apiVersion") != object.kind.api_version()
    {
        return Err(Refusal::new(format!(
            "the manifest's kind {} {} is not one covet-tui applies",
            string(manifest, "/apiVersion"),
            string(manifest, "/kind")
        )));
    }
    let title = format!("apply {object}{}", if force { ", taking over fields of others" } else { "" });
    Ok(Write { object, part: Part::Whole, how: How::Apply { force }, body: manifest.clone(), title })
}

fn pull_secret(object: ObjectRef, registry: &str, username: &str, token: &str) -> Write {
    use base64::Engine;
    let encode = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
    let auth =
        json!({"username": username, "password": token, "auth": encode(&format!("{username}:{token}"))});
    let config = json!({"auths": {registry: auth}}).to_string();
    let Key { namespace, name } = object.key.clone();
    let body = json!({"apiVersion": "v1", "kind": Kind::Secret.as_str(),
        "metadata": {"name": name, "namespace": namespace},
        "type": "kubernetes.io/dockerconfigjson", "data": {".dockerconfigjson": encode(&config)}});
    let title = format!("write pull secret {name} for {registry} as {username}");
    Write { object, part: Part::Whole, how: How::Apply { force: true }, body, title }
}

/// The data as it was, or the end of a Secret that was not there.
fn restore(
    object: &ObjectRef,
    before: &Value,
    number: Option<u64>,
    data: Option<&Value>,
) -> Result<Write, Refusal> {
    let write = |how: How, body: Value, title: String| Write {
        object: object.clone(),
        part: Part::Whole,
        how,
        body,
        title,
    };
    if number.is_none() {
        return Ok(write(How::Delete, Value::Null, format!("delete {object}, which was not there before")));
    }
    let Some(data) = data else {
        return Err(Refusal::new(format!("what {object} held before is not known any more"))
            .repair("it was only in the memory of the session that wrote it; write the secret anew"));
    };
    let operation = if data.is_null() {
        json!({"op": "remove", "path": "/data"})
    } else {
        json!({"op": "add", "path": "/data", "value": data})
    };
    let same = json!({"op": "test", "path": "/metadata/uid", "value": string(before, "/metadata/uid")});
    Ok(write(How::Json, json!([same, operation]), format!("put back what {object} held before")))
}

/// A body with or without the outer `status`.
fn status_body(body: &Value) -> Value {
    if body.get("status").is_some() { body.clone() } else { json!({"status": body}) }
}
