//! g4: whether ResourceQuotas and LimitRanges leave room for what a change asks for. The server's dry run
//! does not tell, because only the pods are counted.

use serde_json::Value;

use super::{Scene, blind};
use crate::domain::Kind;
use crate::guard::{Guard, Hazard};
use crate::probes::cluster::Cluster;
use crate::probes::object::{asks, milli_at, name, number, string};

pub(super) async fn hazards(cluster: &Cluster, scene: &Scene<'_>) -> Vec<Hazard> {
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
    if !matches!(scene.object.kind, Kind::Deployment | Kind::StatefulSet | Kind::ReplicaSet) {
        return None;
    }
    let empty = Value::Null;
    let before = scene.before.unwrap_or(&empty);
    let count = |object: &Value| i128::from(number(object, "/spec/replicas"));
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

fn shown(resource: &str, milli: i128) -> String {
    match resource {
        "pods" => (milli / 1000).to_string(),
        resource if resource.ends_with("cpu") => crate::domain::text::cores(milli as u64),
        _ => crate::domain::text::bytes((milli / 1000) as u64),
    }
}
