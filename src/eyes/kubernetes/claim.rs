//! Claims of volumes on the wire, and the slim values made of them.

use serde::Deserialize;

use super::names::Names;
use super::wire::{Amounts, Meta, Resources, Scalar};
use crate::domain::PersistentVolumeClaim;

#[derive(Deserialize, Debug, Default)]
pub(in crate::eyes) struct ClaimWire {
    #[serde(default)]
    metadata: Meta,
    spec: Option<ClaimSpec>,
    status: Option<ClaimStatus>,
}

#[derive(Deserialize, Debug, Default)]
#[serde(rename_all = "camelCase")]
struct ClaimSpec {
    storage_class_name: Option<String>,
    resources: Option<Resources>,
}

#[derive(Deserialize, Debug, Default)]
struct ClaimStatus {
    phase: Option<String>,
    capacity: Option<Amounts>,
}

pub(in crate::eyes) fn claim(wire: ClaimWire, names: &mut Names) -> Option<PersistentVolumeClaim> {
    let ClaimWire { metadata, spec, status } = wire;
    let (spec, status) = (spec.unwrap_or_default(), status.unwrap_or_default());
    let storage = |amounts: Option<&Amounts>| amounts?.storage.as_ref().and_then(Scalar::number);
    let asked = spec.resources.as_ref().and_then(|resources| resources.requests.as_ref());
    let asked = storage(asked).map(|bytes| bytes as u64);
    Some(PersistentVolumeClaim {
        key: metadata.key(names)?,
        phase: names.shared(status.phase.as_deref().unwrap_or("Pending")),
        created: metadata.created(),
        edited: metadata.edited(names),
        capacity_bytes: storage(status.capacity.as_ref()).map(|bytes| bytes as u64).or(asked),
        requested_bytes: asked,
        storage_class: names.maybe(spec.storage_class_name.as_ref()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_that_asks_for_more_than_it_has_and_who_asked() {
        let wire = serde_json::from_str(
            r#"{"metadata": {"name": "data", "namespace": "shop", "creationTimestamp": "2026-01-01T00:00:00Z", "managedFields": [
                {"manager": "kubectl-edit", "time": "2026-03-01T03:00:00Z"},
                {"manager": "csi-resizer", "subresource": "status", "time": "2026-03-01T03:01:00Z"},
                {"manager": "kube-controller-manager", "time": "2026-03-01T03:02:00Z"}]},
            "spec": {"storageClassName": "gp3", "resources": {"requests": {"storage": "30Gi"}}},
            "status": {"phase": "Bound", "capacity": {"storage": "20Gi"}}}"#,
        );
        let claim = claim(wire.expect("a claim"), &mut Names::default()).expect("a name");
        let gib = 1 << 30;
        assert_eq!((claim.requested_bytes, claim.capacity_bytes), (Some(30 * gib), Some(20 * gib)));
        let edit = claim.edited.expect("somebody wrote it");
        assert_eq!(
            (edit.at.to_string().as_str(), edit.by.as_deref()),
            ("2026-03-01T03:00:00Z", Some("kubectl-edit"))
        );
    }
}
