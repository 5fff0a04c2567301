//! Going back to a pinned revision. The API server has no such call: the template of the ReplicaSet with
//! that revision becomes the Deployment's again, as kubectl does it. Pure.

use serde_json::{Map, Value, json};

use super::write::{How, Part, Write};
use crate::domain::ObjectRef;
use crate::guard::Refusal;
use crate::probes::object::{annotation, flag, items, revision, string};
use crate::probes::rollout::revisions;

const HASH: &str = "pod-template-hash";
const CAUSE: &str = "kubernetes.io/change-cause";

/// The write that brings back `to`; refused when paused, without that revision, or when it is the present.
pub(super) fn undo(
    object: &ObjectRef,
    deployment: &Value,
    sets: &[Value],
    to: u64,
) -> Result<Write, Refusal> {
    if flag(deployment, "/spec/paused") {
        return Err(Refusal::new(format!("{object} is paused and can't be rolled back"))
            .repair("resume the rollout first"));
    }
    let known = revisions(deployment, sets);
    let Some((_, set)) = known.iter().find(|(revision, _)| *revision == to) else {
        let list: Vec<_> = known.iter().map(|(revision, _)| revision.to_string()).collect();
        let repair = match list.as_slice() {
            [] => "it has no history".into(),
            list => format!("its history has {}", list.join(", ")),
        };
        return Err(Refusal::new(format!("{object} has no revision {to}")).repair(repair));
    };
    let template = template_of(set);
    if Some(&template) == deployment.pointer("/spec/template") {
        return Err(Refusal::new(format!("{object} is at revision {to} already")));
    }
    let mut operations = vec![
        json!({"op": "test", "path": "/metadata/uid", "value": string(deployment, "/metadata/uid")}),
        json!({"op": "replace", "path": "/spec/template", "value": template}),
    ];
    operations.extend(change_cause(deployment, set));
    let from = revision(deployment).map_or_else(|| "the present".into(), |from| from.to_string());
    let title = format!("roll {object} back from revision {from} to {to}: {}", images(&template));
    Ok(Write {
        object: object.clone(),
        part: Part::Whole,
        how: How::Json,
        body: Value::Array(operations),
        title,
    })
}

/// A ReplicaSet's template as its Deployment had it.
fn template_of(set: &Value) -> Value {
    let mut template = set.pointer("/spec/template").cloned().unwrap_or_default();
    if let Some(labels) = template.pointer_mut("/metadata/labels").and_then(Value::as_object_mut) {
        labels.remove(HASH);
    }
    template
}

/// The words that explained the revision come back with it.
fn change_cause(deployment: &Value, set: &Value) -> Option<Value> {
    let path = format!("/metadata/annotations/{}", CAUSE.replace('/', "~1"));
    match (annotation(deployment, CAUSE), annotation(set, CAUSE)) {
        (old, Some(new)) if old != Some(new) => {
            if deployment.pointer("/metadata/annotations").is_some() {
                Some(json!({"op": "add", "path": path, "value": new}))
            } else {
                let annotations: Map<String, Value> = [(CAUSE.to_owned(), json!(new))].into_iter().collect();
                Some(json!({"op": "add", "path": "/metadata/annotations", "value": annotations}))
            }
        }
        (Some(_), None) => Some(json!({"op": "remove", "path": path})),
        _ => None,
    }
}

fn images(template: &Value) -> String {
    let images: Vec<_> =
        items(template, "/spec/containers").iter().map(|container| string(container, "/image")).collect();
    images.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Key, Kind};

    fn set(revision: u64, image: &str) -> Value {
        json!({"metadata": {"name": format!("web-{revision}"), "annotations": {"deployment.kubernetes.io/revision": revision.to_string()},
            "ownerReferences": [{"controller": true, "uid": "d", "kind": "Deployment", "name": "web"}]},
            "spec": {"template": {"metadata": {"labels": {"app": "web", HASH: "x"}}, "spec": {"containers": [{"name": "app", "image": image}]}}}})
    }

    fn deployment(image: &str) -> Value {
        json!({"metadata": {"uid": "d", "annotations": {"deployment.kubernetes.io/revision": "7"}}, "spec": {"template":
            {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "app", "image": image}]}}}})
    }

    #[test]
    fn a_pinned_revision_comes_back_without_its_hash_and_only_once() {
        let object = ObjectRef::new(Kind::Deployment, Key::new("shop", "web"));
        let sets = [set(6, "a:6"), set(7, "a:7")];
        let write = undo(&object, &deployment("a:7"), &sets, 6).expect("revision 6 exists");
        let template = write.body.pointer("/1/value").expect("the template");
        assert_eq!(template.pointer("/metadata/labels"), Some(&json!({"app": "web"})));
        assert_eq!(string(template, "/spec/containers/0/image"), "a:6");
        let again = undo(&object, &deployment("a:6"), &sets, 6).expect_err("there already");
        assert!(again.says.contains("already"), "{again}");
        let missing = undo(&object, &deployment("a:7"), &sets, 3).expect_err("no revision 3");
        assert_eq!(missing.repair.as_deref(), Some("its history has 7, 6"));
    }
}
