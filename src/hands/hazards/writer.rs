//! Who else wrote the object a moment ago: two people who mend the same thing undo each other's work. Pure.

use jiff::SignedDuration;

use super::Scene;
use crate::domain::{MANAGER, STEWARDS, Timestamp, between, text};
use crate::guard::{Guard, Hazard};
use crate::probes::object::writers;

/// Whoever wrote so lately may still be at it; our own choice.
const LATELY: SignedDuration = SignedDuration::from_mins(2);
/// What somebody may want to be otherwise; a status, labels and annotations are not.
const WISHES: &[&str] = &["/f:spec", "/f:data"];

pub(super) fn hazard(scene: &Scene<'_>, now: Timestamp) -> Option<Hazard> {
    let before = scene.before?;
    let written = WISHES.iter().flat_map(|part| writers(before, part));
    let (at, by) = written.filter(|(_, by)| *by != MANAGER && !STEWARDS.contains(by)).max()?;
    if now.duration_since(at) > LATELY {
        return None;
    }
    let (by, ago) = (text::redact(&text::clean(by)), text::span(between(at, now)));
    let says = format!("{by} wrote it {ago} ago: somebody else may be at it");
    Some(Hazard::note(Guard::Target, says))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::domain::{Action, Key, Kind, ObjectRef};

    fn said(written: &[(&str, &str, &str)]) -> Option<String> {
        let fields = written
            .iter()
            .map(|(by, part, at)| json!({"manager": by, "fieldsV1": {(*part): {}}, "time": at}));
        let before = json!({"metadata": {"managedFields": fields.collect::<Vec<Value>>()}});
        let object = ObjectRef::new(Kind::Deployment, Key::new("shop", "web"));
        let action = Action::RolloutRestart { object: object.clone() };
        let scene =
            Scene { action: &action, object: &object, before: Some(&before), after: &before, victims: &[] };
        hazard(&scene, "2026-03-01T03:12:00Z".parse().ok()?).map(|hazard| hazard.says)
    }

    #[test]
    fn whoever_wrote_it_a_moment_ago_is_named() {
        let just_now = "2026-03-01T03:11:57Z";
        let named = Some("kubectl-patch wrote it 3s ago: somebody else may be at it".to_owned());
        assert_eq!(
            said(&[("helm", "f:spec", "2026-03-01T02:00:00Z"), ("kubectl-patch", "f:spec", just_now)]),
            named
        );
        assert_eq!(said(&[("kubectl-patch", "f:data", just_now)]), named, "a ConfigMap");
        assert_eq!(said(&[("kubectl-edit", "f:spec", "2026-03-01T03:09:00Z")]), None, "long ago");
        assert_eq!(said(&[("kube-controller-manager", "f:spec", just_now)]), None, "an autoscaler");
        assert_eq!(said(&[("kubelet", "f:status", just_now)]), None);
        assert_eq!(said(&[(MANAGER, "f:spec", just_now)]), None, "our own");
    }
}
