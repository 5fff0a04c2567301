//! What somebody wrote to objects that keep no history of their own: by whom and when, as `managedFields` tell. What
//! was written they do not tell.

use jiff::SignedDuration;

use super::changes::Window;
use crate::domain::{
    CREATING, Change, ChangeKind, ConfigObject, Edit, Key, Kind, ObjectRef, PersistentVolumeClaim, Snapshot,
    Table, Timestamp, is_made_by_the_cluster, text,
};

/// Our own deed, and what the API server notes of it, are this close.
const SAME: SignedDuration = SignedDuration::from_secs(90);

/// Every edit in the window; those by this cockpit as its own deeds, each once.
pub(super) fn edits(snapshot: &Snapshot, window: Window) -> Vec<Change> {
    let mut changes = Vec::new();
    let mut tell = |kind: Kind, key: &Key, (created, edit): (Timestamp, Option<&Edit>), more: &str| {
        let at = edit.map_or(created, |edit| edit.at);
        let object = ObjectRef::new(kind, key.clone());
        let is_ours = edit.is_some_and(Edit::is_ours);
        if !window.contains(at) || (is_ours && is_told(snapshot, &object, at)) {
            return;
        }
        let verb = if at.duration_since(created) > CREATING { "changed" } else { Change::CREATED };
        changes.push(Change {
            at,
            kind: if is_ours { ChangeKind::Ours } else { ChangeKind::Config },
            says: format!("{kind} {} {verb}{more}", key.name),
            object,
            by: edit.and_then(|edit| edit.by.clone()),
        });
    };
    for claim in snapshot.claims.iter() {
        tell(
            Kind::PersistentVolumeClaim,
            &claim.key,
            (claim.created, claim.edited.as_ref()),
            &wish(claim).unwrap_or_default(),
        );
    }
    let mut add = |kind: Kind, key: &Key, created: Timestamp, edit: Option<&Edit>| {
        tell(kind, key, (created, edit), "");
    };
    let metadata = [
        &snapshot.config_maps,
        &snapshot.secrets,
        &snapshot.network_policies,
        &snapshot.quotas,
        &snapshot.limit_ranges,
    ];
    for object in metadata.into_iter().flat_map(Table::iter).filter(|object| !is_noise(object)) {
        add(object.kind, &object.key, object.created, object.edited.as_ref());
    }
    for service in snapshot.services.iter() {
        add(Kind::Service, &service.key, service.created, service.edited.as_ref());
    }
    for ingress in snapshot.ingresses.iter().filter(|ingress| !is_solver(&ingress.key)) {
        add(Kind::Ingress, &ingress.key, ingress.created, ingress.edited.as_ref());
    }
    for scaler in snapshot.autoscalers.iter() {
        add(Kind::HorizontalPodAutoscaler, &scaler.key, scaler.created, scaler.edited.as_ref());
    }
    for cron in snapshot.cron_jobs.iter() {
        add(Kind::CronJob, &cron.key, cron.created, cron.edited.as_ref());
    }
    changes
}

/// The storage that a claim asks for and has not got.
fn wish(claim: &PersistentVolumeClaim) -> Option<String> {
    let asked = text::quantity(claim.requested_bytes?);
    match claim.capacity_bytes.filter(|_| &*claim.phase == "Bound") {
        Some(has) if has == claim.requested_bytes? => None,
        Some(has) => Some(format!(": it asks for {asked} and has {}", text::quantity(has))),
        None => {
            let class = claim.storage_class.as_ref().map(|class| format!(" of class {class}"));
            Some(format!(": it asks for {asked}{}", class.unwrap_or_default()))
        }
    }
}

/// A deed of this session says more of it.
fn is_told(snapshot: &Snapshot, object: &ObjectRef, at: Timestamp) -> bool {
    snapshot.deeds.iter().any(|deed| deed.object == *object && deed.at.duration_since(at).abs() <= SAME)
}

/// Objects that the cluster writes for itself.
fn is_noise(object: &ConfigObject) -> bool {
    let name = &*object.key.name;
    is_made_by_the_cluster(name)
        || name.starts_with("sh.helm.release.")
        || (&*object.key.namespace == "kube-system" && name.ends_with("-lock"))
}

/// Comes and goes with every challenge of cert-manager.
fn is_solver(key: &Key) -> bool {
    key.name.starts_with("cm-acme-http-solver-")
}
