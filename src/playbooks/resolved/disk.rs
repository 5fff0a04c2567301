//! Whether a node's disk, or a volume, has room again.

use super::Held;
use crate::domain::{LOW, Phase, Status, Subject, Timestamp, cause};
use crate::playbooks::view::View;

/// No pressure, more than a fifth free (audit, section 4), and nothing evicted since.
pub(super) fn free(view: &View<'_>) -> Held {
    if matches!(view.facts.anomaly.subject, Subject::Object(ref object) if object.kind != crate::domain::Kind::Node)
    {
        return Ok(None);
    }
    // Replaced: its disk went with it.
    let Some(node) = view.node else { return Ok(None) };
    let pressure = node.condition("DiskPressure");
    match pressure.map(|pressure| pressure.status) {
        Some(Status::True) => {
            return Err("DiskPressure; it ends 5 min after there is room again".into());
        }
        Some(Status::Unknown) => return Err("the kubelet does not report".into()),
        Some(Status::False) | None => {}
    }
    let disk = view.snapshot().disks.get(&node.key.name).map(|(_, disk)| disk);
    if let Some(disk) = disk.filter(|disk| disk.is_low()) {
        return Err(format!("{}, to be more than {:.0} %", disk.root.says(), LOW * 100.0));
    }
    // There is room, and it is still there: what is foretold does not pass by waiting.
    if view.facts.fires {
        return Err(view.facts.anomaly.title.clone());
    }
    let evicted: Option<Timestamp> = view
        .snapshot()
        .pods
        .iter()
        .filter(|pod| pod.phase == Phase::Failed && pod.reason.as_deref() == Some("Evicted"))
        .filter(|pod| pod.node.as_ref() == Some(&node.key.name))
        .filter_map(|pod| pod.conditions.iter().filter_map(|condition| condition.since).max())
        .max();
    Ok(pressure.and_then(|pressure| pressure.since).max(evicted))
}

/// The volume that the anomaly is about has room.
pub(super) fn claim_free(view: &View<'_>) -> Held {
    if !view.has(cause::CLAIM_FULL) {
        return Ok(None);
    }
    let Subject::Object(object) = &view.facts.anomaly.subject else { return Ok(None) };
    let full = view
        .snapshot()
        .disks
        .values()
        .flat_map(|(_, disk)| disk.full_claims())
        .find(|claim| claim.key == object.key);
    match full {
        Some(claim) => Err(format!("{}: {}", claim.key, claim.filesystem.says())),
        None => Ok(None),
    }
}
