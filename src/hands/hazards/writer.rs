//! Who else wrote the object a moment ago: two people who mend the same thing undo each other's work. Pure.

use jiff::SignedDuration;

use super::Scene;
use crate::domain::{MANAGER, Timestamp, between, text};
use crate::guard::{Guard, Hazard};
use crate::probes::object::{items, string, time};

/// Whoever wrote so lately may still be at it; our own choice.
const LATELY: SignedDuration = SignedDuration::from_mins(2);
/// The control plane writes all the time.
const MACHINES: &[&str] =
    &["kube-controller-manager", "kube-scheduler", "kubelet", "kube-apiserver", MANAGER];

pub(super) fn hazard(scene: &Scene<'_>, now: Timestamp) -> Option<Hazard> {
    let entries = items(scene.before?, "/metadata/managedFields");
    // Status and scale are written by controllers.
    let by_hand = entries.iter().filter(|entry| {
        string(entry, "/subresource").is_empty() && !MACHINES.contains(&string(entry, "/manager"))
    });
    let (at, by) =
        by_hand.filter_map(|entry| Some((time(entry, "/time")?, string(entry, "/manager")))).max()?;
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
        let fields =
            written.iter().map(|(by, part, at)| json!({"manager": by, "subresource": part, "time": at}));
        let before = json!({"metadata": {"managedFields": fields.collect::<Vec<Value>>()}});
        let object = ObjectRef::new(Kind::Deployment, Key::new("shop", "web"));
        let action = Action::RolloutRestart { object: object.clone() };
        let scene =
            Scene { action: &action, object: &object, before: Some(&before), after: &before, victims: &[] };
        hazard(&scene, "2026-03-01T03:12:00Z".parse().ok()?).map(|hazard| hazard.says)
    }

    #[test]
    fn whoever_wrote_it_a_moment_ago_is_named() {
        assert_eq!(
            said(&[("helm", "", "2026-03-01T02:00:00Z"), ("kubectl-patch", "", "2026-03-01T03:11:57Z")]),
            Some("kubectl-patch wrote it 3s ago: somebody else may be at it".into())
        );
        assert_eq!(said(&[("kubectl-edit", "", "2026-03-01T03:09:00Z")]), None, "long ago");
        assert_eq!(said(&[("kube-controller-manager", "", "2026-03-01T03:11:57Z")]), None);
        assert_eq!(said(&[("keda", "scale", "2026-03-01T03:11:57Z")]), None);
        assert_eq!(said(&[(MANAGER, "", "2026-03-01T03:11:57Z")]), None, "our own");
    }
}
