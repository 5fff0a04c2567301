//! What stands in the cells of a full-screen list, and how it is meant.

use super::App;
use super::board::Health;
use super::panel::Panel;
use super::rows::CertificateRow;
use crate::domain::{Autoscaler, Key, Name, Node, Pod, Status, Timestamp, Tone, between, text};

/// One cell.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Cell {
    pub text: String,
    pub tone: Tone,
}

impl App {
    /// The cells of one row, in the order of [`columns`].
    pub fn cells(&self, panel: Panel, key: &Key) -> Vec<Cell> {
        match panel {
            Panel::Pods => self.snapshot.pods.get(key).map(|pod| self.pod_cells(pod)),
            Panel::Nodes => self.snapshot.nodes.get(key).map(|node| self.node_cells(node)),
            Panel::Autoscalers => self.snapshot.autoscalers.get(key).map(autoscaler_cells),
            Panel::Certificates => {
                self.certificates().iter().find(|row| row.key == *key).map(|row| self.certificate_cells(row))
            }
            Panel::Database | Panel::Latency => None,
        }
        .unwrap_or_default()
    }

    /// CPU in thousandths of a core and memory in bytes, of all containers together.
    pub(super) fn pod_usage(&self, pod: &Pod) -> Option<(u64, u64)> {
        let used: Vec<_> = pod
            .containers
            .iter()
            .filter_map(|container| self.snapshot.pod_usage.get(&(pod.key.clone(), container.name.clone())))
            .collect();
        (!used.is_empty()).then(|| {
            (
                used.iter().map(|usage| usage.cpu_milli).sum(),
                used.iter().map(|usage| usage.memory_bytes).sum(),
            )
        })
    }

    /// CPU and memory in use ÷ allocatable.
    pub fn node_load(&self, node: &Node) -> (Option<f64>, Option<f64>) {
        let usage = self.snapshot.node_usage.get(&node.key.name);
        let share =
            |used: Option<u64>, whole: Option<u64>| Some(used? as f64 / whole.filter(|all| *all > 0)? as f64);
        (
            share(usage.map(|usage| usage.cpu_milli), node.allocatable.cpu_milli),
            share(usage.map(|usage| usage.memory_bytes), node.allocatable.memory_bytes),
        )
    }

    fn pod_cells(&self, pod: &Pod) -> Vec<Cell> {
        let health = Health::of(pod);
        let tone = tone_of(health);
        let app: Vec<_> = pod.containers.iter().filter(|container| !container.init).collect();
        let ready = app.iter().filter(|container| container.ready).count();
        let usage = self.pod_usage(pod);
        vec![
            cell(pod.key.name.as_ref(), Tone::Plain),
            cell(pod.key.namespace.as_ref(), Tone::Dim),
            cell(format!("{ready}/{}", app.len()), tone),
            cell(pod.headline().as_ref(), tone),
            cell(pod.restarts().to_string(), if pod.restarts() > 0 { Tone::Plain } else { Tone::Dim }),
            cell(usage.map_or_else(dash, |(cpu, _)| text::cores(cpu)), Tone::Plain),
            cell(usage.map_or_else(dash, |(_, memory)| text::bytes(memory)), Tone::Plain),
            // Nodes differ before the first dot.
            cell(pod.node.as_deref().map_or("—", |node| node.split('.').next().unwrap_or(node)), Tone::Dim),
            cell(text::span_short(between(pod.created, self.now)), Tone::Dim),
            self.last_exit(pod),
            self.of_limit(pod),
            cell(
                pod.owner
                    .as_ref()
                    .map_or_else(dash, |owner| format!("{}/{}", owner.kind.to_lowercase(), owner.name)),
                Tone::Dim,
            ),
            cell(app.first().map_or("—", |container| &*container.image), Tone::Dim),
        ]
    }

    /// `OOMKilled 137, 4m`: the latest end of any of its containers.
    fn last_exit(&self, pod: &Pod) -> Cell {
        let ends = pod.containers.iter().filter_map(|container| container.termination());
        let Some(end) = ends.max_by_key(|end| end.finished) else { return cell("—", Tone::Dim) };
        let ago = end
            .finished
            .map_or_else(String::new, |at| format!(", {} ago", text::span_short(between(at, self.now))));
        let tone = if end.exit_code == 0 { Tone::Dim } else { Tone::Plain };
        cell(format!("{} {}{ago}", end.reason, end.exit_code), tone)
    }

    /// Memory in use ÷ limits, where every container has one.
    pub(super) fn memory_share(&self, pod: &Pod) -> Option<f64> {
        let (_, used) = self.pod_usage(pod)?;
        let app = pod.containers.iter().filter(|container| !container.init);
        let limit: Option<u64> = app.map(|container| container.limits.memory_bytes).sum();
        Some(used as f64 / limit.filter(|limit| *limit > 0)? as f64)
    }

    fn of_limit(&self, pod: &Pod) -> Cell {
        let share = self.memory_share(pod);
        let tone = if share.is_some_and(|share| share >= 0.9) { Tone::Bad } else { Tone::Plain };
        cell(share.map_or_else(dash, |share| format!("{:.0}%", share * 100.0)), tone)
    }

    fn node_cells(&self, node: &Node) -> Vec<Cell> {
        let (cpu, memory) = self.node_load(node);
        let percent = |share: Option<f64>| share.map_or_else(dash, |share| format!("{:.0}%", share * 100.0));
        let pods = self.board.on_node(&node.key.name);
        let room = node.allocatable_pods.map_or_else(|| pods.to_string(), |room| format!("{pods}/{room}"));
        vec![
            cell(node.key.name.as_ref(), Tone::Plain),
            cell(node_status(node), if node_rank(node) < 2 { Tone::Bad } else { Tone::Plain }),
            cell(room, Tone::Plain),
            cell(percent(cpu), Tone::Plain),
            cell(percent(memory), Tone::Plain),
            cell(node.taints.len().to_string(), Tone::Dim),
            cell(node.kubelet_version.as_deref().unwrap_or("—"), Tone::Dim),
            cell(text::span_short(between(node.created, self.now)), Tone::Dim),
            known(node.internal_ip.as_ref()),
            known(node.labels.get("topology.kubernetes.io/zone")),
            known(node.labels.get("node.kubernetes.io/instance-type")),
            known(node.os_image.as_ref()),
            known(node.container_runtime.as_ref()),
        ]
    }

    fn certificate_cells(&self, row: &CertificateRow) -> Vec<Cell> {
        let left = row.not_after.map(|end| days_left(end, self.now));
        let tone = if row.bad || left.is_none_or(|days| days < 14) { Tone::Bad } else { Tone::Plain };
        vec![
            cell(row.key.name.as_ref(), Tone::Plain),
            cell(left.map_or_else(dash, |days| format!("{days}d")), tone),
            cell(
                row.not_after.map_or_else(dash, |end| end.strftime("%Y-%m-%d %H:%M").to_string()),
                Tone::Dim,
            ),
            cell(row.issuer.as_ref(), Tone::Dim),
            cell(row.seen.as_str(), if row.bad { Tone::Bad } else { Tone::Dim }),
        ]
    }
}

/// Whole days until `end`; negative once it has passed.
pub fn days_left(end: Timestamp, now: Timestamp) -> i64 {
    end.duration_since(now).as_secs().div_euclid(86_400)
}

/// How bad a node is: 0 not ready, 1 unwell (under pressure, or without a network), 2 cordoned, 3 fine.
pub fn node_rank(node: &Node) -> u8 {
    match node {
        node if !node.is_ready() => 0,
        node if node.troubles().next().is_some() => 1,
        node if node.unschedulable => 2,
        _ => 3,
    }
}

/// The STATUS of `kubectl get nodes`, with what else ails it.
pub fn node_status(node: &Node) -> String {
    let ready = node.condition("Ready").map_or(Status::Unknown, |ready| ready.status);
    let mut status = match ready {
        Status::True => "Ready".to_owned(),
        Status::False => "NotReady".to_owned(),
        Status::Unknown => "NotReady (unknown)".to_owned(),
    };
    if node.unschedulable {
        status.push_str(", cordoned");
    }
    for trouble in node.troubles() {
        status.push_str(&format!(", {}", trouble.kind));
    }
    status
}

fn autoscaler_cells(scaler: &Autoscaler) -> Vec<Cell> {
    let full = scaler.current >= scaler.max;
    let load: Vec<String> = scaler
        .metrics
        .iter()
        .map(|metric| {
            let value = |value: &Option<Name>| value.as_deref().unwrap_or("?").to_owned();
            format!("{} {}/{}", metric.name, value(&metric.current), value(&metric.target))
        })
        .collect();
    vec![
        cell(scaler.key.name.as_ref(), Tone::Plain),
        cell(scaler.key.namespace.as_ref(), Tone::Dim),
        cell(format!("{}/{}", scaler.target_kind.to_lowercase(), scaler.target), Tone::Dim),
        cell(scaler.current.to_string(), if full { Tone::Bad } else { Tone::Plain }),
        cell(scaler.desired.to_string(), Tone::Plain),
        cell(scaler.min.to_string(), Tone::Dim),
        cell(scaler.max.to_string(), Tone::Dim),
        cell(load.join(" "), Tone::Plain),
    ]
}

fn tone_of(health: Health) -> Tone {
    match health {
        bad if bad.is_bad() => Tone::Bad,
        Health::Ready => Tone::Plain,
        Health::Finished | Health::Terminating => Tone::Dim,
        _ => Tone::Plain,
    }
}

fn known(name: Option<&Name>) -> Cell {
    cell(name.map_or("—", |name| &**name), Tone::Dim)
}

fn dash() -> String {
    "—".into()
}

fn cell(text: impl Into<String>, tone: Tone) -> Cell {
    Cell { text: text.into(), tone }
}
