//! Whether a rollout is done, as `kubectl rollout status` judges it, and which revisions exist. Pure.

use serde_json::Value;

use super::object::{condition, is_owned_by, number, revision, string, uid};

/// How far a rollout is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Rollout {
    Done(String),
    Waiting(String),
    /// It will not get there by itself.
    Stalled(String),
}

/// Judges a Deployment, StatefulSet or DaemonSet.
pub fn rollout(object: &Value) -> Rollout {
    if number(object, "/status/observedGeneration") < number(object, "/metadata/generation") {
        return Rollout::Waiting("waiting for the controller to see the change".into());
    }
    match string(object, "/kind") {
        "StatefulSet" => stateful_set(object),
        "DaemonSet" => daemon_set(object),
        _ => deployment(object),
    }
}

fn deployment(object: &Value) -> Rollout {
    let progressing = condition(object, "Progressing");
    if progressing.is_some_and(|condition| string(condition, "/reason") == "ProgressDeadlineExceeded") {
        return Rollout::Stalled(format!(
            "exceeded its progress deadline: {}",
            progressing.map(|condition| string(condition, "/message")).unwrap_or_default()
        ));
    }
    let wanted = object.pointer("/spec/replicas").and_then(Value::as_i64).unwrap_or(1);
    let [replicas, updated, available] =
        ["replicas", "updatedReplicas", "availableReplicas"].map(|field| status(object, field));
    if updated < wanted {
        Rollout::Waiting(format!("{updated} of {wanted} replicas updated"))
    } else if replicas > updated {
        Rollout::Waiting(format!("{} old replicas still to go", replicas - updated))
    } else if available < updated {
        Rollout::Waiting(format!("{available} of {updated} updated replicas available"))
    } else {
        Rollout::Done(format!("{available} of {wanted} replicas available"))
    }
}

/// A StatefulSet or DaemonSet whose pods change only when somebody deletes them.
pub fn is_on_delete(object: &Value) -> bool {
    string(object, "/spec/updateStrategy/type") == "OnDelete"
}

const ON_DELETE: &str = "nothing rolls out by itself (OnDelete): a pod changes when it is deleted";

fn stateful_set(object: &Value) -> Rollout {
    if is_on_delete(object) {
        return Rollout::Done(ON_DELETE.into());
    }
    let wanted = object.pointer("/spec/replicas").and_then(Value::as_i64).unwrap_or(1);
    let partition = number(object, "/spec/updateStrategy/rollingUpdate/partition");
    let [ready, updated] = ["readyReplicas", "updatedReplicas"].map(|field| status(object, field));
    let same = string(object, "/status/currentRevision") == string(object, "/status/updateRevision");
    if ready < wanted {
        Rollout::Waiting(format!("{ready} of {wanted} replicas ready"))
    } else if partition > 0 {
        // Below the partition the old revision stays on purpose, so the two never become the same.
        match wanted - partition {
            due if updated < due => Rollout::Waiting(format!("{updated} of {due} replicas updated")),
            _ => Rollout::Done(format!("{updated} of {wanted} replicas updated (partition {partition})")),
        }
    } else if !same {
        Rollout::Waiting(format!("{updated} of {wanted} replicas updated"))
    } else {
        Rollout::Done(format!("{ready} of {wanted} replicas ready"))
    }
}

fn daemon_set(object: &Value) -> Rollout {
    if is_on_delete(object) {
        return Rollout::Done(ON_DELETE.into());
    }
    let [wanted, updated, available] =
        ["desiredNumberScheduled", "updatedNumberScheduled", "numberAvailable"]
            .map(|field| status(object, field));
    if updated < wanted {
        Rollout::Waiting(format!("{updated} of {wanted} pods updated"))
    } else if available < wanted {
        Rollout::Waiting(format!("{available} of {wanted} pods available"))
    } else {
        Rollout::Done(format!("{available} of {wanted} pods available"))
    }
}

fn status(object: &Value, field: &str) -> i64 {
    number(object, &format!("/status/{field}"))
}

/// The history of a workload with its revisions, newest first: ReplicaSets of a Deployment,
/// ControllerRevisions of a StatefulSet or DaemonSet.
pub fn revisions<'a>(workload: &Value, history: &'a [Value]) -> Vec<(u64, &'a Value)> {
    let owner = uid(workload);
    let number =
        |entry: &Value| revision(entry).or_else(|| entry.pointer("/revision").and_then(Value::as_u64));
    let mut found: Vec<_> = history
        .iter()
        .filter(|entry| is_owned_by(entry, owner))
        .filter_map(|entry| Some((number(entry)?, entry)))
        .collect();
    found.sort_by_key(|(revision, _)| std::cmp::Reverse(*revision));
    found
}

/// The pod template of an entry of the history, as its workload had it.
pub fn template(entry: &Value) -> Value {
    let recorded = entry.pointer("/data/spec/template").or_else(|| entry.pointer("/spec/template"));
    let mut template = recorded.cloned().unwrap_or_default();
    // ControllerRevisions are patches, ReplicaSets carry a label of their own.
    if let Some(map) = template.as_object_mut() {
        map.remove("$patch");
    }
    if let Some(labels) = template.pointer_mut("/metadata/labels").and_then(Value::as_object_mut) {
        labels.remove("pod-template-hash");
    }
    template
}

/// The revision a workload is at, by its annotation, its status or its template.
pub fn present(workload: &Value, history: &[Value]) -> Option<u64> {
    if let Some(revision) = revision(workload) {
        return Some(revision);
    }
    let known = revisions(workload, history);
    let named = string(workload, "/status/updateRevision");
    let by_status = known.iter().find(|(_, entry)| string(entry, "/metadata/name") == named);
    let has_template =
        |entry: &Value| workload.pointer("/spec/template").is_some_and(|now| template(entry) == *now);
    by_status
        .or_else(|| known.iter().find(|(_, entry)| has_template(entry)))
        .or_else(|| known.first())
        .map(|(revision, _)| *revision)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_deployment_is_done_when_kubectl_would_say_so() {
        let mut object = json!({"kind": "Deployment", "metadata": {"generation": 2}, "spec": {"replicas": 3},
            "status": {"observedGeneration": 1, "replicas": 4, "updatedReplicas": 2, "availableReplicas": 3}});
        assert!(matches!(rollout(&object), Rollout::Waiting(_)));
        object["status"]["observedGeneration"] = json!(2);
        assert_eq!(rollout(&object), Rollout::Waiting("2 of 3 replicas updated".into()));
        object["status"]["updatedReplicas"] = json!(3);
        assert_eq!(rollout(&object), Rollout::Waiting("1 old replicas still to go".into()));
        object["status"]["replicas"] = json!(3);
        assert_eq!(rollout(&object), Rollout::Done("3 of 3 replicas available".into()));
        object["status"]["conditions"] =
            json!([{"type": "Progressing", "reason": "ProgressDeadlineExceeded", "message": "m"}]);
        assert!(matches!(rollout(&object), Rollout::Stalled(_)));
    }
}
