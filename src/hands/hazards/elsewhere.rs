//! Whether pods that are about to leave a node can be anywhere else, by their `nodeSelector`; and whether they were told
//! to go before.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::domain::{Kind, Name, text};
use crate::guard::{Guard, Hazard};
use crate::probes::cluster::Cluster;
use crate::probes::object::{flag, key, labels, name};

/// Pods of one sentence that are named.
const NAMED: usize = 3;

/// What a drain of this node should know of the pods that go.
pub(in crate::hands) async fn elsewhere(cluster: &Cluster, node: &Name, going: &[Value]) -> Vec<Hazard> {
    let nodes = cluster.list(Kind::Node, "", "", "").await.ok();
    let stranded = nodes.map(|nodes| stranded(&nodes, node, going)).unwrap_or_default();
    told(going).into_iter().chain(stranded).collect()
}

fn told(going: &[Value]) -> Option<Hazard> {
    let told: Vec<&Value> =
        going.iter().filter(|pod| pod.pointer("/metadata/deletionTimestamp").is_some()).collect();
    let says = "told to go already and not gone: no eviction changes that, only their kubelet or the end of the node";
    (!told.is_empty()).then(|| Hazard::warn(Guard::Target, format!("{}: {says}", named(&told))))
}

fn stranded(nodes: &[Value], node: &Name, going: &[Value]) -> Vec<Hazard> {
    let open: Vec<&Value> =
        nodes.iter().filter(|one| name(one) != &**node && !flag(one, "/spec/unschedulable")).collect();
    let mut stranded: BTreeMap<String, Vec<&Value>> = BTreeMap::new();
    for pod in going {
        let Some(wanted) = pod.pointer("/spec/nodeSelector").and_then(Value::as_object) else { continue };
        let has = |one: &Value, label: &str| labels(one).and_then(|all| all.get(label)).cloned();
        let fits = |one: &Value| wanted.iter().all(|(label, value)| has(one, label).as_ref() == Some(value));
        if !wanted.is_empty() && !open.iter().any(|one| fits(one)) {
            let pair =
                |(label, value): (&String, &Value)| format!("{label}={}", value.as_str().unwrap_or_default());
            stranded.entry(wanted.iter().map(pair).collect::<Vec<_>>().join(", ")).or_default().push(pod);
        }
    }
    let says = |(pairs, pods): (String, Vec<&Value>)| {
        format!("{}: no other node that takes pods has {pairs}; they will wait for one", named(&pods))
    };
    stranded.into_iter().map(|row| Hazard::warn(Guard::Target, text::clean(&says(row)))).collect()
}

fn named(pods: &[&Value]) -> String {
    let first: Vec<String> = pods.iter().take(NAMED).map(|pod| key(pod).to_string()).collect();
    match pods.len().saturating_sub(NAMED) {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(name: &str, pool: Option<&str>, going: bool) -> Value {
        let mut pod = json!({"metadata": {"name": name, "namespace": "shop"}, "spec": {}});
        if let Some(pool) = pool {
            pod["spec"]["nodeSelector"] = json!({"pool": pool});
        }
        if going {
            pod["metadata"]["deletionTimestamp"] = json!("2026-03-01T03:00:00Z");
        }
        pod
    }

    #[test]
    fn pods_that_fit_nowhere_else_are_told_before_a_drain() {
        let node = |name: &str, pool: &str, cordoned: bool| json!({"metadata": {"name": name, "labels": {"pool": pool}}, "spec": {"unschedulable": cordoned}});
        let nodes = [
            node("w1", "batch", false),
            node("w2", "batch", true),
            node("w3", "web", false),
            node("w4", "web", false),
        ];
        let going = [
            pod("etl-1", Some("batch"), false),
            pod("front-1", Some("web"), false),
            pod("any-1", None, true),
        ];
        let says = |hazards: Vec<Hazard>| hazards.into_iter().map(|hazard| hazard.says).collect::<Vec<_>>();
        let stuck = says(stranded(&nodes, &"w1".into(), &going));
        assert_eq!(
            stuck,
            ["shop/etl-1: no other node that takes pods has pool=batch; they will wait for one"]
        );
        assert!(stranded(&nodes, &"w3".into(), &going).is_empty());
        assert!(told(&going).is_some_and(|hazard| hazard.says.starts_with("shop/any-1: told to go already")));
    }
}
