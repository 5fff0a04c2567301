//! Why Prometheus does not work, as its pods, its volume and its own words tell.

use crate::domain::{Cause, Evidence, Monitoring, MonitoringPod, Origin, cause};

use super::prom_down::VOLUME;
use super::workload::{evidence, quote};
use super::{Scene, prom_targets};

pub(super) fn causes(scene: &Scene<'_>, seen: &Monitoring) -> (Vec<Cause>, Vec<Evidence>) {
    let mut causes = Vec::new();
    let mut facts = Vec::new();
    let mut add = |name: &'static str, says: String, weight: f64| {
        facts.push(evidence(Origin::Monitoring, None, says.clone()));
        causes.push(Cause { name, says, weight });
    };
    if let Some((current, last)) = seen.replaying {
        add(cause::WAL_REPLAY, format!("replaying segment {current} of {last} of its write-ahead log"), 0.95);
    }
    if seen.replicas == Some(0) {
        add(cause::MONITORING_STOPPED, "it is scaled to 0".into(), 0.9);
    }
    let full = scene.threshold(&VOLUME);
    if let Some(volume) = &seen.volume
        && let Some(fill) = volume.fill().filter(|fill| *fill > full)
    {
        add(cause::STORAGE_FULL, format!("its volume {} is {:.0} % full", volume.claim, fill * 100.0), 0.9);
    }
    if scene.snapshot.monitoring_since.refused.is_some() {
        add(cause::MONITORING_CONFIG, "its configuration or a rules file is refused".into(), 0.9);
    }
    for pod in seen.pods.iter().flatten().filter(|pod| !pod.ready && !pod.deleting) {
        of_pod(pod, &mut add);
    }
    if let Some((up, all)) = seen.targets.filter(|(up, all)| up * 2 < *all) {
        add(cause::TARGETS_DOWN, format!("{} of {all} targets do not answer", all - up), 0.6);
    }
    if let Some(unreached) = prom_targets::unreached(scene, seen) {
        add(cause::TARGETS_DOWN, unreached.says, 0.6);
    }
    if scene.snapshot.monitoring_since.stopped.is_some() {
        add(cause::INGEST_STOPPED, "it runs and takes no samples".into(), 0.5);
    }
    causes.sort_by(|one: &Cause, other: &Cause| other.weight.total_cmp(&one.weight));
    causes.dedup_by(|one, other| one.name == other.name);
    (causes, facts)
}

fn of_pod(pod: &MonitoringPod, add: &mut impl FnMut(&'static str, String, f64)) {
    let name = &pod.key.name;
    let message = pod.message.as_deref().unwrap_or_default();
    let has = |part: &str| message.to_ascii_lowercase().contains(part);
    if pod.ended.as_deref() == Some("OOMKilled") {
        add(
            cause::MONITORING_OOM,
            format!("{name} was killed at its memory limit, {} restarts", pod.restarts),
            0.9,
        );
    } else if has("no space left") {
        add(cause::STORAGE_FULL, format!("{name}: {}", quote(message)), 0.9);
    } else if has("error loading config") {
        add(cause::MONITORING_CONFIG, format!("{name}: {}", quote(message)), 0.9);
    } else if has("multi-attach") || has("failedattachvolume") || has("failedmount") {
        add(cause::VOLUME_STUCK, format!("{name}: {}", quote(message)), 0.9);
    } else if pod.waits.as_deref() == Some("Unschedulable") {
        add(cause::MONITORING_UNPLACED, format!("{name} waits for a node: {}", quote(message)), 0.85);
    }
}

/// In a few words, after what is wrong.
pub(super) fn because(cause: &str) -> &'static str {
    match cause {
        cause::STORAGE_FULL => "its volume is full",
        cause::MONITORING_CONFIG => "bad configuration",
        cause::MONITORING_OOM => "OOMKilled",
        cause::WAL_REPLAY => "it will be ready by itself",
        cause::MONITORING_STOPPED => "scaled to 0",
        cause::VOLUME_STUCK => "its volume cannot be attached",
        cause::MONITORING_UNPLACED => "its pod waits for a node",
        cause::TARGETS_DOWN => "targets do not answer",
        _ => "no samples",
    }
}
