//! CPU and memory in use, from metrics.k8s.io, against what was asked for. Says so where there is no
//! metrics server.

use std::collections::BTreeMap;

use kube::api::{Api, ApiResource, DynamicObject, ListParams};
use serde_json::Value;

use super::answer::{Answer, columns};
use super::cluster::Cluster;
use super::nodes::{bytes, cores};
use super::object::{items, key, milli_at, name, string};
use super::trouble::{Trouble, TroubleKind};
use crate::domain::{Key, Kind, Tone, text};

/// A container this near its memory limit is shown as bad, in percent.
const NEAR: i128 = 90;

pub(super) async fn pods(cluster: &Cluster, namespace: &str, only: &[Key]) -> Result<Answer, Trouble> {
    let Some(metrics) = metrics(cluster, "PodMetrics", "pods", namespace).await? else { return Ok(absent()) };
    let mut limits: BTreeMap<(Key, String), (i128, i128)> = BTreeMap::new();
    cluster
        .each(Kind::Pod, namespace, "", "", |pod| {
            for container in items(&pod, "/spec/containers") {
                let limit = |resource: &str| milli_at(container, &format!("/resources/limits/{resource}"));
                limits
                    .insert((key(&pod), string(container, "/name").into()), (limit("cpu"), limit("memory")));
            }
        })
        .await?;
    let mut rows: Vec<(i128, Vec<String>)> = Vec::new();
    for pod in metrics.iter().filter(|pod| only.is_empty() || only.contains(&key(pod))) {
        for container in items(pod, "/containers") {
            let place = (key(pod), string(container, "/name").to_owned());
            let (cpu_limit, memory_limit) = limits.get(&place).copied().unwrap_or_default();
            let (cpu, memory) = (milli_at(container, "/usage/cpu"), milli_at(container, "/usage/memory"));
            let percent = if memory_limit > 0 { memory * 100 / memory_limit } else { 0 };
            rows.push((
                percent,
                vec![
                    place.0.to_string(),
                    place.1,
                    of(cpu, cpu_limit, cores),
                    of(memory, memory_limit, bytes),
                ],
            ));
        }
    }
    rows.sort_by_key(|(percent, _)| std::cmp::Reverse(*percent));
    let mut answer = Answer::new();
    answer.summary(match rows.first() {
        None => "no usage measured for these pods (yet)".to_owned(),
        Some((0, _)) => format!("usage of {}; none has a memory limit", text::count(rows.len(), "container")),
        Some((percent, row)) => format!("nearest its memory limit: {} {} at {percent} %", row[0], row[1]),
    });
    let tones: Vec<_> =
        rows.iter().map(|(percent, _)| if *percent >= NEAR { Tone::Bad } else { Tone::Plain }).collect();
    if let Some((percent, _)) = rows.first() {
        answer.bind("memory_percent", percent.to_string());
    }
    let heading = ["POD", "CONTAINER", "CPU", "MEMORY"].map(str::to_owned).to_vec();
    let cells: Vec<_> = std::iter::once(heading).chain(rows.into_iter().map(|(_, row)| row)).collect();
    answer.lines(std::iter::once(Tone::Heading).chain(tones).zip(columns(&cells)));
    Ok(answer)
}

pub(super) async fn nodes(cluster: &Cluster) -> Result<Answer, Trouble> {
    let Some(metrics) = metrics(cluster, "NodeMetrics", "nodes", "").await? else { return Ok(absent()) };
    let nodes = cluster.list(Kind::Node, "", "", "").await?;
    let mut answer = Answer::new();
    let mut rows = vec![["NODE", "CPU", "MEMORY"].map(str::to_owned).to_vec()];
    let (mut worst, mut silent) = ((0, String::new()), Vec::new());
    for node in &nodes {
        let allocatable = |resource: &str| milli_at(node, &format!("/status/allocatable/{resource}"));
        let Some(usage) = metrics.iter().find(|usage| name(usage) == name(node)) else {
            silent.push(name(node));
            rows.push(vec![name(node).into(), "not measured".into(), "not measured".into()]);
            continue;
        };
        let memory = milli_at(usage, "/usage/memory");
        let percent = memory * 100 / allocatable("memory").max(1);
        if percent > worst.0 {
            worst = (percent, name(node).to_owned());
        }
        rows.push(vec![
            name(node).into(),
            of(milli_at(usage, "/usage/cpu"), allocatable("cpu"), cores),
            of(memory, allocatable("memory"), bytes),
        ]);
    }
    answer.summary(match silent.as_slice() {
        [] => format!("fullest memory: {} at {} %", worst.1, worst.0),
        silent => {
            format!("no usage from {}; fullest memory: {} at {} %", silent.join(", "), worst.1, worst.0)
        }
    });
    answer.lines(
        columns(&rows)
            .into_iter()
            .enumerate()
            .map(|(index, line)| (if index == 0 { Tone::Heading } else { Tone::Plain }, line)),
    );
    Ok(answer)
}

fn of(used: i128, limit: i128, words: fn(i128) -> String) -> String {
    if limit > 0 {
        format!("{} of {} ({} %)", words(used), words(limit), used * 100 / limit)
    } else {
        format!("{} (no limit)", words(used))
    }
}

fn absent() -> Answer {
    Answer::failed("the cluster has no metrics server (metrics.k8s.io); look at Prometheus instead")
}

/// None where the API is not served.
async fn metrics(
    cluster: &Cluster,
    kind: &str,
    plural: &str,
    namespace: &str,
) -> Result<Option<Vec<Value>>, Trouble> {
    let resource = ApiResource {
        group: "metrics.k8s.io".into(),
        version: "v1beta1".into(),
        api_version: "metrics.k8s.io/v1beta1".into(),
        kind: kind.into(),
        plural: plural.into(),
    };
    let api: Api<DynamicObject> = if namespace.is_empty() {
        Api::all_with(cluster.client(), &resource)
    } else {
        Api::namespaced_with(cluster.client(), namespace, &resource)
    };
    let params = ListParams::default();
    match tokio::time::timeout(cluster.deadline(), api.list(&params)).await {
        Err(_) => Err(Trouble::unanswered(cluster.deadline())),
        Ok(Ok(list)) => {
            Ok(Some(list.items.iter().map(|item| serde_json::to_value(item).unwrap_or_default()).collect()))
        }
        Ok(Err(kube::Error::Api(status))) if status.code == 503 => Ok(None),
        Ok(Err(error)) => match Trouble::from(error) {
            trouble if trouble.is(TroubleKind::Absent) => Ok(None),
            trouble => Err(trouble),
        },
    }
}
