//! What would change, as people read it; and what an object is, apart from its noise. Pure.

use std::borrow::Cow;

use serde_json::Value;
use sha2::{Digest, Sha256};
use similar::{ChangeTag, TextDiff};

use crate::domain::{Action, Name, mask, text};
use crate::guard::DiffTone;
use crate::probes::object::{string, yaml};

/// Lines of unchanged text around a change.
const AROUND: usize = 3;

/// Annotations that controllers keep for themselves.
const BOOKKEEPING: [&str; 2] =
    ["kubectl.kubernetes.io/last-applied-configuration", "deployment.kubernetes.io/revision"];

/// The object without what the server and controllers write by themselves.
pub(super) fn essence(object: &Value, with_status: bool) -> Value {
    let mut object = object.clone();
    if let Some(map) = object.as_object_mut()
        && !with_status
    {
        map.remove("status");
    }
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        for noise in ["managedFields", "resourceVersion", "generation", "selfLink", "creationTimestamp"] {
            metadata.remove(noise);
        }
        if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
            for noise in BOOKKEEPING {
                annotations.remove(noise);
            }
            if annotations.is_empty() {
                metadata.remove("annotations");
            }
        }
    }
    object
}

/// What of an object an action is about, apart from what people write into it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Regard {
    pub(super) status: bool,
    /// Autoscalers change them all the time; only who scales cares.
    pub(super) replicas: bool,
}

impl Regard {
    /// Everything people decide.
    pub(super) const SPEC: Regard = Regard { status: false, replicas: true };

    pub(super) fn of(action: &Action) -> Regard {
        let indifferent = matches!(
            action,
            Action::SetImage { .. }
                | Action::SetResources { .. }
                | Action::RolloutRestart { .. }
                | Action::RolloutUndo { .. }
                | Action::RolloutPause { .. }
                | Action::RolloutResume { .. }
                | Action::ReferencePullSecret { .. }
                | Action::Annotate { .. }
                | Action::DenyAtIngress { .. }
                | Action::Label { .. }
        );
        Regard { status: matches!(action, Action::PatchStatus { .. }), replicas: !indifferent }
    }
}

/// A hash of what people decide about the object.
pub(super) fn content(object: &Value, regard: Regard) -> Name {
    let mut object = essence(object, regard.status);
    if let Some(spec) = object.get_mut("spec").and_then(Value::as_object_mut) {
        if !regard.replicas {
            spec.remove("replicas");
        }
        // Controllers follow a node's state with taints of their own.
        if let Some(taints) = spec.get_mut("taints").and_then(Value::as_array_mut) {
            taints.retain(|taint| !is_followed(string(taint, "/key")));
            if taints.is_empty() {
                spec.remove("taints");
            }
        }
    }
    let hash = Sha256::digest(object.to_string().as_bytes());
    hash.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into()
}

fn is_followed(taint: &str) -> bool {
    taint.starts_with("node.kubernetes.io/")
        || taint.starts_with("node.cloudprovider.kubernetes.io/")
        || taint == "DeletionCandidateOfClusterAutoscaler"
}

/// The object as it may be shown and kept: without noise and secrets.
pub(super) fn shown(object: &Value, with_status: bool) -> Value {
    let mut object = essence(object, with_status);
    mask(&mut object);
    object
}

/// The difference as YAML, secrets masked; None stands for an object that does not exist.
pub(super) fn diff(
    before: Option<&Value>,
    after: Option<&Value>,
    with_status: bool,
) -> Vec<(DiffTone, String)> {
    let render = |object: Option<&Value>| -> String {
        object
            .map(|object| {
                let mut object = shown(object, with_status);
                if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
                    metadata.remove("uid");
                }
                yaml(&object)
            })
            .unwrap_or_default()
    };
    let (before, after) = (render(before), render(after));
    lines(&before, &after)
}

pub(super) fn lines(before: &str, after: &str) -> Vec<(DiffTone, String)> {
    let diff = TextDiff::from_lines(before, after);
    let old: Vec<&str> = before.lines().collect();
    let mut out = Vec::new();
    for group in diff.grouped_ops(AROUND) {
        let start = group.first().map_or(0, |op| op.old_range().start);
        let place = place(&old, start);
        if !place.is_empty() {
            out.push((DiffTone::Place, place));
        }
        for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
            let tone = match change.tag() {
                ChangeTag::Equal => DiffTone::Same,
                ChangeTag::Delete => DiffTone::Removed,
                ChangeTag::Insert => DiffTone::Added,
            };
            let line: Cow<str> = change.to_string_lossy();
            out.push((tone, text::clean(line.trim_end_matches(['\n', '\r']))));
        }
    }
    out
}

/// The keys above a line of YAML, by indentation: `spec.template.spec`.
fn place(lines: &[&str], index: usize) -> String {
    let indent = |line: &str| line.len() - line.trim_start_matches([' ', '-']).len();
    let Some(mut above) = lines.get(index).map(|line| indent(line)) else { return String::new() };
    let mut keys = Vec::new();
    for line in lines[..index].iter().rev() {
        if above == 0 {
            break;
        }
        if indent(line) < above && line.trim_end().ends_with(':') {
            above = indent(line);
            keys.push(text::clean(line.trim_start_matches([' ', '-']).trim_end().trim_end_matches(':')));
        }
    }
    keys.reverse();
    keys.join(".")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn noise_is_no_difference_and_a_change_is_one() {
        let before = json!({"kind": "Deployment", "metadata": {"name": "web", "resourceVersion": "1", "generation": 1,
            "managedFields": [1]}, "spec": {"replicas": 4, "template": {"spec": {"containers": [{"image": "a:1", "name": "app"}]}}},
            "status": {"replicas": 4}});
        let mut after = before.clone();
        after["metadata"]["resourceVersion"] = json!("2");
        after["status"]["replicas"] = json!(3);
        assert_eq!(content(&before, Regard::SPEC), content(&after, Regard::SPEC));
        let with_status = Regard { status: true, ..Regard::SPEC };
        assert_ne!(content(&before, with_status), content(&after, with_status));
        let mut scaled = before.clone();
        scaled["spec"]["replicas"] = json!(7);
        let any = Regard { replicas: false, ..Regard::SPEC };
        assert_ne!(content(&before, Regard::SPEC), content(&scaled, Regard::SPEC));
        assert_eq!(content(&before, any), content(&scaled, any));
        let node = json!({"kind": "Node", "metadata": {"name": "n"}, "spec": {"unschedulable": true}});
        let mut tainted = node.clone();
        tainted["spec"]["taints"] =
            json!([{"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}]);
        assert_eq!(content(&node, Regard::SPEC), content(&tainted, Regard::SPEC));
        tainted["spec"]["taints"] = json!([{"key": "team", "effect": "NoSchedule"}]);
        assert_ne!(content(&node, Regard::SPEC), content(&tainted, Regard::SPEC));
        assert!(diff(Some(&before), Some(&after), false).is_empty());
        after["spec"]["template"]["spec"]["containers"][0]["image"] = json!("a:2");
        let lines = diff(Some(&before), Some(&after), false);
        let of = |wanted: DiffTone| {
            lines.iter().filter(|(tone, _)| *tone == wanted).map(|(_, line)| line.trim()).collect::<Vec<_>>()
        };
        assert!(of(DiffTone::Removed)[0].contains("image: a:1"), "{lines:?}");
        assert!(of(DiffTone::Added)[0].contains("image: a:2"), "{lines:?}");
    }

    #[test]
    fn secret_values_do_not_show_in_a_difference() {
        let before = json!({"kind": "Secret", "metadata": {"name": "db"}, "data": {"pw": "b2xk"}});
        let after = json!({"kind": "Secret", "metadata": {"name": "db"}, "data": {"pw": "aHVudGVyMg=="}});
        let lines = format!("{:?}", diff(Some(&before), Some(&after), false));
        assert!(
            lines.contains("sha256") && !lines.contains("b2xk") && !lines.contains("aHVudGVyMg"),
            "{lines}"
        );
    }
}
