//! g4: whether ResourceQuotas and LimitRanges leave room for what a change asks for. The server's dry run
//! does not tell, because only the pods are counted.

use serde_json::Value;

use super::{Scene, blind};
use crate::domain::Kind;
use crate::guard::{Guard, Hazard};
use crate::probes::cluster::Cluster;
use crate::probes::object::{asks, items, milli_at, name, number, string};
use crate::probes::trouble::TroubleKind;

pub(super) async fn hazards(cluster: &Cluster, scene: &Scene<'_>) -> Vec<Hazard> {
    let (mut hazards, limits) = tokio::join!(quotas(cluster, scene), limits(cluster, scene));
    hazards.extend(limits);
    hazards
}

async fn quotas(cluster: &Cluster, scene: &Scene<'_>) -> Vec<Hazard> {
    let Some(more) = more(scene) else { return Vec::new() };
    if more.values().all(|amount| amount <= 0) {
        return Vec::new();
    }
    match cluster.list(Kind::ResourceQuota, &scene.object.key.namespace, "", "").await {
        Ok(quotas) => quotas.iter().flat_map(|quota| over(quota, &more)).collect(),
        Err(trouble) => vec![blind(Guard::Quota, "quotas", &trouble)],
    }
}

/// What the change asks for on top, in thousandths.
struct More {
    pods: i128,
    parts: Vec<(&'static str, i128)>,
}

impl More {
    fn values(&self) -> impl Iterator<Item = i128> {
        self.parts.iter().map(|(_, amount)| *amount).chain([self.pods])
    }
}

fn more(scene: &Scene) -> Option<More> {
    let pods = match scene.object.kind {
        Kind::Deployment | Kind::StatefulSet | Kind::ReplicaSet => "/spec/replicas",
        Kind::DaemonSet => "/status/desiredNumberScheduled",
        Kind::Job => "/spec/parallelism",
        _ => return None,
    };
    let empty = Value::Null;
    let before = scene.before.unwrap_or(&empty);
    let count = |object: &Value| i128::from(number(object, pods));
    let total = |object: &Value, part: &str, resource: &str| {
        object.pointer("/spec/template/spec").map_or(0, |spec| asks(spec, part, resource)) * count(object)
    };
    let grows =
        |part: &str, resource: &str| total(scene.after, part, resource) - total(before, part, resource);
    Some(More {
        pods: (count(scene.after) - count(before)) * 1000,
        parts: vec![
            ("requests.cpu", grows("requests", "cpu")),
            ("requests.memory", grows("requests", "memory")),
            ("limits.cpu", grows("limits", "cpu")),
            ("limits.memory", grows("limits", "memory")),
        ],
    })
}

fn over(quota: &Value, more: &More) -> Vec<Hazard> {
    let also = more.parts.iter().filter_map(|(resource, amount)| match *resource {
        "requests.cpu" => Some(("cpu", *amount)),
        "requests.memory" => Some(("memory", *amount)),
        _ => None,
    });
    more.parts
        .iter()
        .copied()
        .chain(also)
        .chain([("pods", more.pods)])
        .filter(|(_, amount)| *amount > 0)
        .filter_map(|(resource, amount)| {
            let hard = format!("/status/hard/{resource}");
            let limit = quota.pointer(&hard).map(|_| milli_at(quota, &hard))?;
            let used = milli_at(quota, &format!("/status/used/{resource}"));
            (used + amount > limit).then(|| {
                let says = format!(
                    "quota {} allows {} {resource}, {} are used: the change needs {} more",
                    name(quota),
                    string(quota, &hard),
                    string(quota, &format!("/status/used/{resource}")),
                    shown(resource, amount)
                );
                Hazard::warn(Guard::Quota, says)
            })
        })
        .collect()
}

/// What LimitRanges of the namespace say to the containers as they will be.
async fn limits(cluster: &Cluster, scene: &Scene<'_>) -> Vec<Hazard> {
    let spec =
        |object: Option<&Value>| object.and_then(|found| found.pointer("/spec/template/spec")).cloned();
    let Some(after) = spec(Some(scene.after)) else { return Vec::new() };
    if spec(scene.before).as_ref() == Some(&after) {
        return Vec::new();
    }
    match cluster.list(Kind::LimitRange, &scene.object.key.namespace, "", "").await {
        Ok(ranges) => ranges.iter().flat_map(|range| outside(range, &after)).collect(),
        Err(trouble) if trouble.is(TroubleKind::Absent) => Vec::new(),
        Err(trouble) => vec![blind(Guard::Quota, "limit ranges", &trouble)],
    }
}

fn outside(range: &Value, spec: &Value) -> Vec<Hazard> {
    let mut hazards = Vec::new();
    let limits = items(range, "/spec/limits").iter().filter(|limit| string(limit, "/type") == "Container");
    for (limit, resource) in limits.flat_map(|limit| [(limit, "cpu"), (limit, "memory")]) {
        for (bound, part) in [("max", "limits"), ("min", "requests")] {
            let allowed = milli_at(limit, &format!("/{bound}/{resource}"));
            for container in items(spec, "/containers").iter().filter(|_| allowed > 0) {
                let place = format!("/resources/{part}/{resource}");
                let asked = milli_at(container, &place);
                let breaks = if bound == "max" { asked > allowed } else { asked > 0 && asked < allowed };
                if breaks {
                    let says = format!(
                        "limit range {} forbids {part} of {} {resource} for {} ({bound} {}): no new pod will start",
                        name(range),
                        string(container, &place),
                        string(container, "/name"),
                        string(limit, &format!("/{bound}/{resource}"))
                    );
                    hazards.push(Hazard::warn(Guard::Quota, says));
                }
            }
        }
    }
    hazards
}

fn shown(resource: &str, milli: i128) -> String {
    match resource {
        "pods" => (milli / 1000).to_string(),
        resource if resource.ends_with("cpu") => crate::domain::text::cores(milli as u64),
        _ => crate::domain::text::bytes((milli / 1000) as u64),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_limit_above_the_range_is_named() {
        let range = json!({"metadata": {"name": "small"}, "spec": {"limits": [
            {"type": "Container", "max": {"memory": "2Gi"}, "min": {"cpu": "50m"}}]}});
        let spec = |memory: &str, cpu: &str| json!({"containers": [{"name": "app", "resources": {"limits": {"memory": memory}, "requests": {"cpu": cpu}}}]});
        assert!(outside(&range, &spec("2Gi", "50m")).is_empty());
        let says = outside(&range, &spec("3Gi", "10m"));
        assert_eq!(says.len(), 2, "{says:?}");
        assert!(says.iter().any(|hazard| hazard.says.contains("limits of 3Gi memory for app (max 2Gi)")));
    }

    #[test]
    fn a_quota_that_would_burst_is_named() {
        let quota = json!({"metadata": {"name": "q"}, "status": {"hard": {"requests.memory": "10Gi", "pods": "10"},
            "used": {"requests.memory": "9Gi", "pods": "4"}}});
        let more = More { pods: 2000, parts: vec![("requests.memory", 2_147_483_648_000)] };
        let says = over(&quota, &more);
        assert_eq!(says.len(), 1);
        assert!(
            says[0].says.contains("10Gi requests.memory, 9Gi are used: the change needs 2.0 GiB more"),
            "{says:?}"
        );
    }
}
