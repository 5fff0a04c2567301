//! Nodes: their state, what their pods ask of them, and whether their kubelet still reports.

use std::collections::BTreeMap;

use serde_json::Value;

use super::answer::{Answer, ago, columns};
use super::cluster::Cluster;
use super::object::{asks, condition, flag, is_finished, items, milli_at, name, string, time};
use super::trouble::Trouble;
use crate::domain::{Key, Kind, ObjectRef, Timestamp, Tone, between, cause, text};

/// A kubelet renews its Lease every 10 s; the controller gives up after 40 s (node-monitor-grace-period).
const LEASE_LIMIT: std::time::Duration = std::time::Duration::from_secs(40);

pub(super) async fn list(cluster: &Cluster, now: Timestamp) -> Result<Answer, Trouble> {
    let nodes = cluster.list(Kind::Node, "", "", "").await?;
    let mut rows: Vec<(bool, Vec<String>)> =
        nodes.iter().map(|node| (is_ready(node), row(node, now))).collect();
    rows.sort();
    let mut answer = Answer::new();
    let down: Vec<_> = nodes.iter().filter(|node| !is_ready(node)).map(name).collect();
    answer.summary(match down.as_slice() {
        [] => format!("all {} ready", text::count(nodes.len(), "node")),
        down => {
            format!("{} of {} not ready: {}", down.len(), text::count(nodes.len(), "node"), down.join(", "))
        }
    });
    let heading = ["NODE", "READY", "SCHEDULING", "AGE", "VERSION", "NOTES"].map(str::to_owned).to_vec();
    let tones: Vec<_> = rows.iter().map(|(ready, _)| if *ready { Tone::Plain } else { Tone::Bad }).collect();
    let cells: Vec<_> = std::iter::once(heading).chain(rows.into_iter().map(|(_, row)| row)).collect();
    answer.lines(std::iter::once(Tone::Heading).chain(tones).zip(columns(&cells)));
    Ok(answer)
}

fn is_ready(node: &Value) -> bool {
    condition(node, "Ready").is_some_and(|ready| string(ready, "/status") == "True")
}

fn row(node: &Value, now: Timestamp) -> Vec<String> {
    let ready = condition(node, "Ready");
    let state = match ready.map(|ready| string(ready, "/status")) {
        Some("True") => "yes".into(),
        Some("False") => "no".into(),
        _ => format!("unknown {}", ago(ready.and_then(|ready| time(ready, "/lastTransitionTime")), now)),
    };
    let pressures = items(node, "/status/conditions")
        .iter()
        .filter(|condition| string(condition, "/type") != "Ready" && string(condition, "/status") == "True")
        .map(|condition| string(condition, "/type").to_owned());
    let taints = items(node, "/spec/taints")
        .iter()
        .map(|taint| format!("{}:{}", string(taint, "/key"), string(taint, "/effect")));
    vec![
        name(node).into(),
        state,
        if flag(node, "/spec/unschedulable") { "cordoned".into() } else { "yes".into() },
        ago(time(node, "/metadata/creationTimestamp"), now),
        string(node, "/status/nodeInfo/kubeletVersion").into(),
        pressures.chain(taints).collect::<Vec<_>>().join(", "),
    ]
}

/// Sums of what pods ask for, in thousandths.
#[derive(Default)]
struct Asked {
    pods: usize,
    cpu: i128,
    memory: i128,
    memory_limits: i128,
}

/// Requests of the pods on each node against what it can allocate: the room that is left.
pub(super) async fn allocation(cluster: &Cluster, node: Option<&str>) -> Result<Answer, Trouble> {
    let nodes = cluster.list(Kind::Node, "", "", "").await?;
    let fields = node.map(|node| format!("spec.nodeName={node}")).unwrap_or_default();
    let mut by_node: BTreeMap<String, Asked> = BTreeMap::new();
    let (mut homeless, mut rows_here) = (0, Vec::new());
    cluster
        .each(Kind::Pod, "", "", &fields, |pod| {
            let (Some(spec), false) = (pod.get("spec"), is_finished(&pod)) else { return };
            let home = string(&pod, "/spec/nodeName");
            if home.is_empty() {
                homeless += 1;
                return;
            }
            let sum = by_node.entry(home.to_owned()).or_default();
            sum.pods += 1;
            sum.cpu += asks(spec, "requests", "cpu");
            sum.memory += asks(spec, "requests", "memory");
            sum.memory_limits += asks(spec, "limits", "memory");
            if node.is_some() {
                rows_here.push(vec![
                    super::object::key(&pod).to_string(),
                    format!("cpu {}", cores(asks(spec, "requests", "cpu"))),
                    format!("memory {}", bytes(asks(spec, "requests", "memory"))),
                ]);
            }
        })
        .await?;
    let mut answer = Answer::new();
    let mut rows = vec![
        ["NODE", "PODS", "CPU ASKED", "MEMORY ASKED", "MEMORY LIMITS", "FREE"].map(str::to_owned).to_vec(),
    ];
    let (mut most_cpu, mut most_memory) = (0, 0);
    for object in nodes.iter().filter(|object| node.is_none_or(|node| node == name(object))) {
        let none = Asked::default();
        let sum = by_node.get(name(object)).unwrap_or(&none);
        let cpu = milli_at(object, "/status/allocatable/cpu");
        let memory = milli_at(object, "/status/allocatable/memory");
        if is_ready(object) && !flag(object, "/spec/unschedulable") {
            most_cpu = most_cpu.max(cpu - sum.cpu);
            most_memory = most_memory.max(memory - sum.memory);
        }
        rows.push(vec![
            name(object).into(),
            format!("{}/{}", sum.pods, string(object, "/status/allocatable/pods")),
            share(sum.cpu, cpu, cores),
            share(sum.memory, memory, bytes),
            share(sum.memory_limits, memory, bytes),
            format!("cpu {}, memory {}", cores(cpu - sum.cpu), bytes(memory - sum.memory)),
        ]);
    }
    let count = rows.len() - 1;
    answer.summary(format!(
        "largest free room on one of {}: cpu {}, memory {}{}",
        text::count(count, "node"),
        cores(most_cpu),
        bytes(most_memory),
        if homeless > 0 { format!("; {} nowhere yet", text::count(homeless, "pod")) } else { String::new() }
    ));
    answer.bind("largest_free_cpu_milli", most_cpu.max(0).to_string());
    answer.bind("largest_free_memory_bytes", (most_memory.max(0) / 1000).to_string());
    answer.lines(
        columns(&rows)
            .into_iter()
            .enumerate()
            .map(|(index, line)| (if index == 0 { Tone::Heading } else { Tone::Plain }, line)),
    );
    if !rows_here.is_empty() {
        answer.line(Tone::Heading, "pods on it");
        rows_here.sort();
        answer.lines(columns(&rows_here).into_iter().map(|line| (Tone::Plain, line)));
    }
    Ok(answer)
}

fn share(asked: i128, of: i128, words: fn(i128) -> String) -> String {
    let percent = if of > 0 { asked * 100 / of } else { 0 };
    format!("{} of {} ({percent} %)", words(asked), words(of))
}

pub(super) fn cores(milli: i128) -> String {
    text::cores(milli.max(0) as u64)
}

pub(super) fn bytes(milli: i128) -> String {
    text::bytes((milli.max(0) / 1000) as u64)
}

/// Whether the kubelet still renews its Lease.
pub(super) async fn lease(cluster: &Cluster, node: &str, now: Timestamp) -> Result<Answer, Trouble> {
    let lease = ObjectRef::new(Kind::Lease, Key::new("kube-node-lease", node));
    let mut answer = Answer::new();
    let Some(lease) = cluster.find(&lease).await? else {
        answer
            .summary(format!("node {node} has no Lease: its kubelet never reported, or the node is deleted"));
        answer.found(cause::KUBELET_SILENT, "no Lease");
        return Ok(answer);
    };
    let renewed = time(&lease, "/spec/renewTime");
    let Some(renewed) = renewed else {
        answer.summary(format!("the Lease of {node} was never renewed"));
        return Ok(answer);
    };
    let age = between(renewed, now);
    let silent = age > LEASE_LIMIT;
    let says = format!("kubelet of {node} last reported {} ago (usual: 10 s)", text::span(age));
    answer.summary(&says);
    answer.line(if silent { Tone::Bad } else { Tone::Good }, &says);
    answer.bind("lease_age_seconds", age.as_secs().to_string());
    if silent {
        answer.found(cause::KUBELET_SILENT, says);
    }
    Ok(answer)
}
