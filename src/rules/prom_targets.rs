//! What Prometheus scraped a while ago and cannot scrape now, though its pods are well: what it would tell is not known.

use crate::domain::{BlindKind, Key, Monitoring, Severity, Target, Timestamp};

use super::Scene;
use super::prom_down::TARGETS_AFTER;
use super::workload::quote;

/// Targets of what is looked at that do not answer.
pub(super) struct Unreached {
    pub severity: Severity,
    pub since: Timestamp,
    /// After "Prometheus".
    pub title: String,
    pub says: String,
}

/// Those that answered within six hours: what never did is badly written, and tells of no trouble. Where series are gone
/// with them that is told at once, else one may be restarting.
pub(super) fn unreached(scene: &Scene<'_>, seen: &Monitoring) -> Option<Unreached> {
    let traffic = &scene.snapshot.traffic;
    let broken = [&traffic.errors_unseen, &traffic.latency_unseen];
    let series_gone = broken.into_iter().flatten().any(|blind| blind.kind == BlindKind::Broken);
    let is_meant = |target: &&Target| match &target.namespace {
        // Whose it is nobody says: it may be what the series came from.
        None => series_gone,
        Some(namespace) => scene.snapshot.scope.as_ref().is_none_or(|scope| scope == namespace),
    };
    let mut down: Vec<(&Target, Timestamp)> = seen
        .down
        .iter()
        .filter(is_meant)
        .filter(|target| is_well(scene, target))
        .filter_map(|target| Some((target, target.last_up?)))
        .collect();
    down.sort_by_key(|(_, since)| *since);
    let (first, since) = *down.first()?;
    let lasted = scene.has_lasted(since, &TARGETS_AFTER);
    if !lasted && !series_gone {
        return None;
    }
    let more = match down.len() - 1 {
        0 => String::new(),
        others => format!(" (and {others} more)"),
    };
    let why = first.error.as_deref().map(|error| format!(": {}", quote(error))).unwrap_or_default();
    let place = first.namespace.as_ref().or(scene.snapshot.scope.as_ref());
    let of = place.map(|name| format!(" of {name}")).unwrap_or_default();
    Some(Unreached {
        severity: if lasted { Severity::Warning } else { Severity::Suspect },
        since,
        title: format!("does not reach {}{of}", if down.len() == 1 { "a target" } else { "targets" }),
        says: format!(
            "target {} {}{more} is down since {}{why}",
            first.job,
            first.instance,
            since.strftime("%H:%M")
        ),
    })
}

/// What is not Ready, or gone, has its own story; so may have what is not in sight yet.
fn is_well(scene: &Scene<'_>, target: &Target) -> bool {
    let (Some(namespace), Some(pod)) = (&target.namespace, &target.pod) else { return true };
    let found = scene.snapshot.pods.get(&Key::new(namespace.clone(), pod.clone()));
    found.is_some_and(|pod| pod.is_ready() && pod.deleting.is_none())
}
