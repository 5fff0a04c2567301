//! A restart of what is well, and a log level that costs the logs so far: what is read only at a start.

use serde_json::Value;

use super::{Scene, blind};
use crate::domain::{Action, Kind, text};
use crate::guard::{Guard, Hazard};
use crate::probes::cluster::Cluster;
use crate::probes::object::{is_ready, selector_query, time};
use crate::probes::references::written_since;
use crate::probes::rollout::{Rollout, rollout};

/// Every pod is ready, and would read the same again.
pub(super) async fn of_what_is_well(cluster: &Cluster, scene: &Scene<'_>) -> Option<Hazard> {
    let workload = scene.before.filter(|_| matches!(scene.action, Action::RolloutRestart { .. }))?;
    if !matches!(rollout(workload), Rollout::Done(_)) {
        return None;
    }
    let selector = selector_query(workload.pointer("/spec/selector")?);
    let pods = match cluster.list(Kind::Pod, &scene.object.key.namespace, &selector, "").await {
        Ok(pods) => pods,
        Err(trouble) => return Some(blind(Guard::Rollout, "whether its pods are well", &trouble)),
    };
    let oldest = pods.iter().filter_map(|pod| time(pod, "/status/startTime")).min()?;
    if !pods.iter().all(is_ready) || written_since(cluster, workload, oldest).await {
        return None;
    }
    let pods = text::count(pods.len(), "pod");
    let says = format!("{pods} are ready and would read the same again: what is wrong outside of them stays");
    Some(Hazard::warn(Guard::Rollout, says))
}

/// The finest log levels print what requests carry, and take effect by a restart.
pub(super) fn fine_log_level(scene: &Scene<'_>) -> Option<Hazard> {
    let Action::SetConfig { data, .. } = scene.action else { return None };
    let fine = |value: &str| ["debug", "trace"].iter().any(|level| value.eq_ignore_ascii_case(level));
    let level = |key: &str| key.to_ascii_uppercase().contains("LOG_LEVEL");
    let has = |key: &str| scene.before.and_then(|map| map.pointer("/data")?.get(key)).and_then(Value::as_str);
    let (key, value) = data.iter().find_map(|(key, value)| {
        let value = value.as_deref().filter(|value| level(key) && fine(value))?;
        (has(key) != Some(value)).then_some((key, value))
    })?;
    let says = format!(
        "{key} {value} is read at a start, which takes the logs so far with it; and such logs hold tokens and passwords"
    );
    Some(Hazard::warn(Guard::Evidence, says))
}
