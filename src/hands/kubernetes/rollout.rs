//! Going back to a pinned revision. The API server has no such call: the template of the ReplicaSet or the
//! ControllerRevision with that revision becomes the workload's again, as kubectl does it. Pure.

use serde_json::{Map, Value, json};

use super::write::{How, Part, Write};
use crate::domain::{Kind, ObjectRef};
use crate::guard::Refusal;
use crate::probes::object::{annotation, flag, items, string};
use crate::probes::rollout::{present, revisions, template};

const CAUSE: &str = "kubernetes.io/change-cause";

/// Where the history of a kind of workload is kept.
pub(super) fn history_of(kind: Kind) -> Option<Kind> {
    match kind {
        Kind::Deployment => Some(Kind::ReplicaSet),
        Kind::StatefulSet | Kind::DaemonSet => Some(Kind::ControllerRevision),
        _ => None,
    }
}

/// The write that brings back `to`; refused when paused, without that revision, or when it is the present.
pub(super) fn undo(
    object: &ObjectRef,
    workload: &Value,
    history: &[Value],
    to: u64,
) -> Result<Write, Refusal> {
    if history_of(object.kind).is_none() {
        return Err(Refusal::new(format!("a {} has no revisions to go back to", object.kind))
            .repair("roll back the Deployment, StatefulSet or DaemonSet it belongs to"));
    }
    if flag(workload, "/spec/paused") {
        return Err(Refusal::new(format!("{object} is paused and can't be rolled back"))
            .repair("resume the rollout first"));
    }
    let known = revisions(workload, history);
    let Some((_, entry)) = known.iter().find(|(revision, _)| *revision == to) else {
        let list: Vec<_> = known.iter().map(|(revision, _)| revision.to_string()).collect();
        let repair = match list.as_slice() {
            [] => "it has no history".into(),
            list => format!("its history has {}", list.join(", ")),
        };
        return Err(Refusal::new(format!("{object} has no revision {to}")).repair(repair));
    };
    let template = template(entry);
    if Some(&template) == workload.pointer("/spec/template") {
        return Err(Refusal::new(format!("{object} is at revision {to} already")));
    }
    let mut operations = vec![
        json!({"op": "test", "path": "/metadata/uid", "value": string(workload, "/metadata/uid")}),
        json!({"op": "replace", "path": "/spec/template", "value": template}),
    ];
    operations.extend(change_cause(workload, entry));
    let from = present(workload, history).map_or_else(|| "the present".into(), |from| from.to_string());
    let title = format!("roll {object} back from revision {from} to {to}: {}", images(&template));
    Ok(Write {
        object: object.clone(),
        part: Part::Whole,
        how: How::Json,
        body: Value::Array(operations),
        title,
    })
}

/// The words that explained the revision come back with it.
fn change_cause(workload: &Value, entry: &Value) -> Option<Value> {
    let path = format!("/metadata/annotations/{}", CAUSE.replace('/', "~1"));
    match (annotation(workload, CAUSE), annotation(entry, CAUSE)) {
        (old, Some(new)) if old != Some(new) => {
            if workload.pointer("/metadata/annotations").is_some() {
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
    use crate::domain::Key;

    fn set(revision: u64, image: &str) -> Value {
        json!({"metadata": {"name": format!("web-{revision}"), "annotations": {"deployment.kubernetes.io/revision": revision.to_string()},
            "ownerReferences": [{"controller": true, "uid": "d", "kind": "Deployment", "name": "web"}]},
            "spec": {"template": {"metadata": {"labels": {"app": "web", "pod-template-hash": "x"}}, "spec": {"containers": [{"name": "app", "image": image}]}}}})
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
    #[test]
    fn a_stateful_set_goes_back_by_its_controller_revisions() {
        let template = |image: &str| json!({"metadata": {"labels": {"app": "db"}}, "spec": {"containers": [{"name": "db", "image": image}]}});
        let entry = |number: u64, image: &str| {
            let mut recorded = template(image);
            recorded["$patch"] = json!("replace");
            json!({"metadata": {"name": format!("db-{number}"), "ownerReferences": [{"controller": true, "uid": "s", "kind": "StatefulSet", "name": "db"}]},
                "revision": number, "data": {"spec": {"template": recorded}}})
        };
        let workload = json!({"kind": "StatefulSet", "metadata": {"uid": "s"}, "spec": {"template": template("db:2")},
            "status": {"updateRevision": "db-2"}});
        let object = ObjectRef::new(Kind::StatefulSet, Key::new("shop", "db"));
        let history = [entry(1, "db:1"), entry(2, "db:2")];
        let write = undo(&object, &workload, &history, 1).expect("revision 1 exists");
        assert_eq!(write.body.pointer("/1/value"), Some(&template("db:1")));
        assert_eq!(write.title, "roll statefulset/db back from revision 2 to 1: db:1");
        assert!(undo(&object, &workload, &history, 2).expect_err("there already").says.contains("already"));
        let job = ObjectRef::new(Kind::Job, Key::new("shop", "db"));
        assert!(undo(&job, &workload, &history, 1).is_err());
    }
}
