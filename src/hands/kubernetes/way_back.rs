//! The way back from a change, computed from the object before and after it. Pure.

use json_patch::PatchOperation;
use serde_json::{Map, Value, json};

use super::super::difference::essence;
use crate::domain::{Action, DENYLIST, ImageChange, ObjectRef, PatchKind};
use crate::guard::Undo;
use crate::probes::object::{annotation, items, label, number, string};
use crate::probes::rollout::present;

/// The action that undoes `action`, if there is one. `before` is None when the object did not exist; `history`
/// are its revisions where they matter.
pub(super) fn undo(
    action: &Action,
    before: Option<&Value>,
    after: Option<&Value>,
    history: &[Value],
) -> Option<Undo> {
    if let (Action::PullSecret { secret, .. }, None) = (action, before) {
        let action = Action::RestoreSecret { secret: secret.clone(), kept: None };
        return Some(Undo { action, says: "delete it: it was not there before".into(), left: Vec::new() });
    }
    let before = before?;
    let object = action.object()?;
    let (back, says) = match action {
        Action::Scale { object, .. } => {
            let replicas = u32::try_from(number(before, "/spec/replicas")).ok()?;
            (Action::Scale { object: object.clone(), replicas }, format!("scale back to {replicas}"))
        }
        Action::AutoscalerBounds { autoscaler, .. } => {
            let bound = |pointer| before.pointer(pointer).and_then(Value::as_u64);
            let min = bound("/spec/minReplicas").unwrap_or(1) as u32;
            let max = bound("/spec/maxReplicas")? as u32;
            let back = Action::AutoscalerBounds { autoscaler: autoscaler.clone(), min, max };
            (back, format!("bounds back to {min}–{max}"))
        }
        Action::RolloutUndo { object, .. } => {
            let to_revision = present(before, history)?;
            let back = Action::RolloutUndo { object: object.clone(), to_revision };
            (back, format!("redo revision {to_revision}"))
        }
        Action::RolloutPause { deployment } => {
            (Action::RolloutResume { deployment: deployment.clone() }, "resume".into())
        }
        Action::RolloutResume { deployment } => {
            (Action::RolloutPause { deployment: deployment.clone() }, "pause again".into())
        }
        Action::Cordon { node } => (Action::Uncordon { node: node.clone() }, "uncordon".into()),
        Action::Uncordon { node } => (Action::Cordon { node: node.clone() }, "cordon again".into()),
        Action::Annotate { object, annotations } => {
            let annotations = old(annotations, |key| annotation(before, key));
            (Action::Annotate { object: object.clone(), annotations }, "old annotations".into())
        }
        Action::DenyAtIngress { .. } => {
            let list = annotation(before, DENYLIST).map(str::to_owned);
            let annotations = vec![(DENYLIST.to_owned(), list)];
            (Action::Annotate { object, annotations }, "the list as it was".into())
        }
        Action::Label { object, labels } => {
            let labels = old(labels, |key| label(before, key));
            (Action::Label { object: object.clone(), labels }, "old labels".into())
        }
        Action::SetConfig { config_map, data } => {
            let data = old(data, |key| before.get("data")?.get(key)?.as_str());
            (Action::SetConfig { config_map: config_map.clone(), data }, "old values".into())
        }
        Action::Taint { .. } => untaint(action, before)?,
        Action::SetImage { object, images } => {
            let images = images.iter().filter_map(|change| old_image(before, change)).collect();
            (Action::SetImage { object: object.clone(), images }, "old image".into())
        }
        Action::PatchStatus { object, body } => {
            let body = inverse_merge(body.get("status").unwrap_or(body), before.get("status"));
            (Action::PatchStatus { object: object.clone(), body }, "old status".into())
        }
        Action::Patch { .. }
        | Action::SetResources { .. }
        | Action::ReferencePullSecret { .. }
        | Action::Apply { .. } => (inverse(&object, before, after?)?, "everything it changed, back".into()),
        // What it held is kept when it is overwritten; until then there is nothing to name.
        Action::PullSecret { secret, .. } => {
            let back = Action::RestoreSecret { secret: secret.clone(), kept: Some(0) };
            (back, "what it held before, as long as this session lives".into())
        }
        // A restart, a deletion, an eviction and a command have no way back.
        _ => return None,
    };
    Some(Undo { action: back, says, left: Vec::new() })
}

fn old<'a>(
    pairs: &[(String, Option<String>)],
    value: impl Fn(&str) -> Option<&'a str>,
) -> Vec<(String, Option<String>)> {
    pairs.iter().map(|(key, _)| (key.clone(), value(key).map(str::to_owned))).collect()
}

fn old_image(workload: &Value, change: &ImageChange) -> Option<ImageChange> {
    ["containers", "initContainers"]
        .iter()
        .flat_map(|list| items(workload, &format!("/spec/template/spec/{list}")))
        .find(|container| string(container, "/name") == &*change.container)
        .map(|container| ImageChange {
            container: change.container.clone(),
            image: string(container, "/image").to_owned(),
        })
}

fn untaint(action: &Action, before: &Value) -> Option<(Action, String)> {
    let Action::Taint { node, key, value, effect, remove } = action else { return None };
    let present = items(before, "/spec/taints")
        .iter()
        .find(|taint| string(taint, "/key") == key && string(taint, "/effect") == effect);
    let back = |value: &str, remove: bool| Action::Taint {
        node: node.clone(),
        key: key.clone(),
        value: value.to_owned(),
        effect: effect.clone(),
        remove,
    };
    Some(match present {
        Some(taint) => (back(string(taint, "/value"), false), "the taint as it was".into()),
        None if *remove => return None,
        None => (back(value, true), "remove the taint".into()),
    })
}

/// A JSON patch from after to before that tests each value it takes away.
fn inverse(object: &ObjectRef, before: &Value, after: &Value) -> Option<Action> {
    let annotated = after.pointer("/metadata/annotations").is_some();
    let (mut before, mut after) = (essence(before, false), essence(after, false));
    // Beside those that people write stand those that are left out here: the map itself is not ours to take away.
    for side in [&mut before, &mut after].into_iter().filter(|_| annotated) {
        if let Some(metadata) = side.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.entry("annotations").or_insert_with(|| json!({}));
        }
    }
    let patch = json_patch::diff(&after, &before);
    let mut tests = Vec::new();
    for operation in &patch.0 {
        if let PatchOperation::Replace(_) | PatchOperation::Remove(_) = operation {
            let place = operation.path().to_string();
            // Only before the first removal do the indices of lists mean what they meant.
            if let Some(value) = after.pointer(&place) {
                tests.push(json!({"op": "test", "path": place, "value": value}));
            }
        }
    }
    let operations = serde_json::to_value(&patch).ok()?;
    tests.extend(operations.as_array()?.iter().cloned());
    (!patch.0.is_empty()).then(|| Action::Patch {
        object: object.clone(),
        kind: PatchKind::Json,
        body: Value::Array(tests),
    })
}

/// A merge patch that restores what `patch` sets: the old value, or null for what was not there.
fn inverse_merge(patch: &Value, before: Option<&Value>) -> Value {
    match patch {
        Value::Object(map) => {
            let restored: Map<String, Value> = map
                .iter()
                .map(|(key, value)| {
                    let old = before.and_then(|before| before.get(key));
                    let restored = match (value, old) {
                        (Value::Object(_), Some(Value::Object(_))) => inverse_merge(value, old),
                        _ => old.cloned().unwrap_or(Value::Null),
                    };
                    (key.clone(), restored)
                })
                .collect();
            Value::Object(restored)
        }
        _ => before.cloned().unwrap_or(Value::Null),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Key, Kind};

    #[test]
    fn an_inverse_patch_brings_the_object_back_exactly() {
        let before = json!({"metadata": {"name": "web", "labels": {"a": "1"}}, "spec": {"template": {"spec": {"containers":
            [{"name": "app", "image": "a:1", "resources": {"limits": {"memory": "1Gi"}}}, {"name": "side", "image": "s:1"}]}}}});
        let mut after = before.clone();
        after["spec"]["template"]["spec"]["containers"][0]["resources"] =
            json!({"limits": {"memory": "2Gi"}, "requests": {"cpu": "1"}});
        after["spec"]["template"]["spec"]["containers"][1]["image"] = json!("s:2");
        after["metadata"]["labels"] = json!({"b": "2"});
        let object = ObjectRef::new(Kind::Deployment, Key::new("shop", "web"));
        let back = inverse(&object, &before, &after).expect("a way back");
        let Action::Patch { body, .. } = back else { unreachable!("a patch is undone by a patch") };
        let patch: json_patch::Patch = serde_json::from_value(body).expect("a JSON patch");
        let mut back = after.clone();
        json_patch::patch(&mut back, &patch).expect("it applies");
        assert_eq!(back, before);
        after["spec"]["template"]["spec"]["containers"][1]["image"] = json!("s:3");
        assert!(json_patch::patch(&mut after, &patch).is_err(), "a moved value must fail the test");
    }

    #[test]
    fn annotations_of_controllers_and_kubectl_stay_when_ours_goes() {
        let kept = "kubectl.kubernetes.io/last-applied-configuration";
        let object = ObjectRef::new(Kind::ConfigMap, Key::new("shop", "config"));
        let bare = json!({"metadata": {"name": "config"}, "data": {"a": "1"}});
        let mut applied = bare.clone();
        applied["metadata"]["annotations"] = json!({ kept: "{}" });
        for before in [bare, applied] {
            let mut after = before.clone();
            after["metadata"]["annotations"]["x"] = json!("y");
            // A controller writes its own at the same moment.
            after["metadata"]["annotations"][kept] = json!("{}");
            let Some(Action::Patch { body, .. }) = inverse(&object, &before, &after) else {
                unreachable!("a patch is undone by a patch")
            };
            let patch: json_patch::Patch = serde_json::from_value(body).expect("a JSON patch");
            json_patch::patch(&mut after, &patch).expect("it applies to the object as the server has it");
            assert_eq!(after["metadata"]["annotations"], json!({ kept: "{}" }));
        }
    }

    #[test]
    fn a_merge_is_undone_by_old_values_and_nulls() {
        let before = json!({"conditions": [{"type": "Ready"}], "a": {"x": 1}});
        let patch = json!({"conditions": [{"type": "Issuing"}], "a": {"x": 2, "y": 3}, "new": true});
        assert_eq!(
            inverse_merge(&patch, Some(&before)),
            json!({"conditions": [{"type": "Ready"}], "a": {"x": 1, "y": null}, "new": null})
        );
    }
}
