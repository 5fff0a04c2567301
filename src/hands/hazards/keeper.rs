//! g2: who keeps the object as declared elsewhere, and would revert what is changed by hand. Pure.

use super::Scene;
use crate::domain::{Action, Kind};
use crate::guard::{Guard, Hazard};
use crate::probes::object::{annotation, items, label, string};

pub(super) fn hazard(scene: &Scene) -> Option<Hazard> {
    let object = scene.before?;
    // Pods and nodes are nobody's declaration.
    if matches!(scene.object.kind, Kind::Pod | Kind::Node) {
        return None;
    }
    let manager = |name: &str| {
        items(object, "/metadata/managedFields")
            .iter()
            .any(|entry| string(entry, "/manager").starts_with(name))
    };
    let argo = annotation(object, "argocd.argoproj.io/tracking-id")
        .map(|id| id.split(':').next().unwrap_or(id))
        .or_else(|| label(object, "argocd.argoproj.io/instance"));
    let flux = label(object, "kustomize.toolkit.fluxcd.io/name")
        .or_else(|| label(object, "helm.toolkit.fluxcd.io/name"));
    let helm = annotation(object, "meta.helm.sh/release-name");
    let says = if argo.is_some() || manager("argocd") {
        reverted("Argo CD", argo, "at its next sync")
    } else if flux.is_some() || manager("kustomize-controller") || manager("helm-controller") {
        reverted("Flux", flux, "at its next reconciliation")
    } else if helm.is_some()
        || manager("helm")
        || label(object, "app.kubernetes.io/managed-by") == Some("Helm")
    {
        reverted("Helm", helm, "at the next upgrade")
    } else {
        return None;
    };
    // What nobody declared, nobody reverts.
    let lasting = matches!(
        scene.action,
        Action::RolloutRestart { .. }
            | Action::Annotate { .. }
            | Action::DenyAtIngress { .. }
            | Action::Label { .. }
            | Action::PatchStatus { .. }
    );
    Some(if lasting { Hazard::note(Guard::Keeper, says) } else { Hazard::warn(Guard::Keeper, says) })
}

fn reverted(tool: &str, name: Option<&str>, when: &str) -> String {
    let name = name.map(|name| format!(" ({name})")).unwrap_or_default();
    format!("{tool}{name} keeps this object: the change will be reverted {when} unless it is made there too")
}
