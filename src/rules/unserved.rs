//! Services behind an Ingress that send nobody anywhere, and why, as far as the objects tell.

use std::collections::BTreeMap;

use crate::domain::{Ingress, Key, Name, Service, Timestamp, cause};

use super::backing::AtRest;
use super::{Scene, astray, backing};

/// A Service behind an Ingress that sends nobody anywhere.
pub(super) struct Unserved {
    pub service: Name,
    /// Since when that is known.
    pub since: Option<Timestamp>,
    pub is_absent: bool,
    /// Not even a pod that is not ready is behind it.
    pub is_empty: bool,
}

/// Services behind an Ingress that do not exist, or whose slices hold no ready endpoint.
pub(super) fn without_endpoints(scene: &Scene<'_>, ingress: &Ingress) -> Vec<Unserved> {
    let snapshot = scene.snapshot;
    if !snapshot.endpoint_slices.is_listed() {
        return Vec::new();
    }
    let mut ready: BTreeMap<&Name, (u32, u32)> = BTreeMap::new();
    for slice in snapshot.endpoint_slices.iter().filter(|slice| slice.key.namespace == ingress.key.namespace)
    {
        if let Some(service) = &slice.service {
            let (up, all) = ready.entry(service).or_default();
            *up += slice.ready;
            *all += slice.total;
        }
    }
    ingress
        .services
        .iter()
        .filter(|service| ready.get(service).is_none_or(|(up, _)| *up == 0))
        .map(|service| {
            let key = Key::new(ingress.key.namespace.clone(), service.clone());
            let is_absent = snapshot.services.is_listed() && snapshot.services.get(&key).is_none();
            let written = ingress.edited.as_ref().map_or(ingress.created, |edit| edit.at);
            let since = snapshot.unserved.get(&key).copied().or(is_absent.then_some(written));
            let is_empty = ready.get(service).is_none_or(|(_, all)| *all == 0);
            Unserved { service: service.clone(), since, is_absent, is_empty }
        })
        .collect()
}

fn found<'a>(scene: &Scene<'a>, ingress: &Ingress, service: &Name) -> Option<&'a Service> {
    scene.snapshot.services.get(&Key::new(ingress.key.namespace.clone(), service.clone()))
}

/// What the Service leads to, where that is scaled to 0.
pub(super) fn at_rest(scene: &Scene<'_>, ingress: &Ingress, service: &Name) -> Option<AtRest> {
    backing::at_rest(scene, found(scene, ingress, service)?)
}

pub(super) fn is_coming_up(scene: &Scene<'_>, ingress: &Ingress, service: &Name) -> bool {
    found(scene, ingress, service).is_some_and(|service| backing::is_coming_up(scene, service))
}

/// That nobody but people, or a controller of theirs, keeps the endpoints of the Service.
pub(super) fn by_hand(
    scene: &Scene<'_>,
    ingress: &Ingress,
    service: &Name,
) -> Option<(&'static str, String)> {
    let says =
        format!("Service {service} has no selector, its endpoints are written by hand, and none is there");
    found(scene, ingress, service)?.selector.is_empty().then_some((cause::ENDPOINTS_BY_HAND, says))
}

/// That nothing is there for the Service to lead to, nor anything that it may be meant for.
pub(super) fn gone(scene: &Scene<'_>, ingress: &Ingress, service: &Name) -> Option<(&'static str, String)> {
    let found = found(scene, ingress, service)?;
    let gone = backing::is_nobody(scene, found) && astray::meant(scene, found).is_none();
    gone.then(|| (cause::WORKLOAD_ABSENT, format!("nothing exists that Service {service} selects")))
}
