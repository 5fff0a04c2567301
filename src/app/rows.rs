//! The rows behind a panel opened full screen: their columns, their cells, and what to sort them by.

use std::cmp::Ordering;

use super::App;
use super::board::Health;
use super::panel::Panel;
use crate::domain::{
    Autoscaler, Handshake, Key, Kind, Name, Node, ObjectRef, Pod, Status, Timestamp, Tone, between, text,
};

#[derive(Debug)]
pub struct Column {
    pub title: &'static str,
    /// In cells; the first column takes what is left.
    pub width: u16,
    /// Numbers stand at the right.
    pub right: bool,
}

const fn column(title: &'static str, width: u16, right: bool) -> Column {
    Column { title, width, right }
}

/// One cell.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Cell {
    pub text: String,
    pub tone: Tone,
}

/// What a row is sorted by.
#[derive(Clone, PartialEq, Debug)]
pub enum Rank {
    Number(f64),
    Text(Name),
}

impl Rank {
    pub fn compare(&self, other: &Rank) -> Ordering {
        match (self, other) {
            (Rank::Number(one), Rank::Number(other)) => one.total_cmp(other),
            (Rank::Text(one), Rank::Text(other)) => one.cmp(other),
            (Rank::Number(_), Rank::Text(_)) => Ordering::Less,
            (Rank::Text(_), Rank::Number(_)) => Ordering::Greater,
        }
    }
}

/// The columns of a panel's rows, the name first; none for panels that are one chart.
pub fn columns(panel: Panel) -> &'static [Column] {
    const PODS: &[Column] = &[
        column("NAME", 0, false),
        column("NAMESPACE", 16, false),
        column("READY", 5, true),
        column("STATUS", 20, false),
        column("RESTARTS", 8, true),
        column("CPU", 6, true),
        column("MEMORY", 9, true),
        column("NODE", 14, false),
        column("AGE", 6, true),
    ];
    const NODES: &[Column] = &[
        column("NAME", 0, false),
        column("STATUS", 30, false),
        column("PODS", 8, true),
        column("CPU", 6, true),
        column("MEMORY", 6, true),
        column("TAINTS", 6, true),
        column("VERSION", 12, false),
        column("AGE", 6, true),
    ];
    const AUTOSCALERS: &[Column] = &[
        column("NAME", 0, false),
        column("TARGET", 28, false),
        column("REPLICAS", 8, true),
        column("WANTED", 6, true),
        column("MIN", 4, true),
        column("MAX", 4, true),
        column("LOAD", 22, false),
    ];
    const CERTIFICATES: &[Column] = &[
        column("HOST", 0, false),
        column("LEFT", 6, true),
        column("EXPIRES", 16, false),
        column("ISSUER", 24, false),
        column("SEEN", 28, false),
    ];
    match panel {
        Panel::Pods => PODS,
        Panel::Nodes => NODES,
        Panel::Autoscalers => AUTOSCALERS,
        Panel::Certificates => CERTIFICATES,
        Panel::Database | Panel::Latency => &[],
    }
}

/// A certificate as the panel shows it: where it was seen, and until when it is good.
#[derive(Clone, Debug)]
pub struct CertificateRow {
    pub key: Key,
    pub not_after: Option<Timestamp>,
    pub issuer: Name,
    /// `served`, `Certificate object`, or what is wrong with it.
    pub seen: String,
    pub bad: bool,
    pub object: Option<ObjectRef>,
}

impl App {
    /// Keys of a panel's rows in their natural order: the worst or the soonest first.
    pub(super) fn keys_of(&self, panel: Panel) -> Vec<Key> {
        match panel {
            Panel::Pods => self.board.iter().map(|(_, key)| key.clone()).collect(),
            Panel::Nodes => self.nodes().into_iter().map(|node| node.key.clone()).collect(),
            Panel::Autoscalers => self.autoscalers().into_iter().map(|scaler| scaler.key.clone()).collect(),
            Panel::Certificates => self.certificates().into_iter().map(|row| row.key).collect(),
            Panel::Database | Panel::Latency => Vec::new(),
        }
    }

    /// Nodes, the worst first, then by name.
    pub fn nodes(&self) -> Vec<&Node> {
        let mut nodes: Vec<&Node> = self.snapshot.nodes.iter().collect();
        nodes.sort_by(|one, other| {
            node_rank(one).cmp(&node_rank(other)).then_with(|| one.key.cmp(&other.key))
        });
        nodes
    }

    /// Autoscalers, the fullest first.
    pub fn autoscalers(&self) -> Vec<&Autoscaler> {
        let mut scalers: Vec<&Autoscaler> = self.snapshot.autoscalers.iter().collect();
        let room = |scaler: &Autoscaler| scaler.max.saturating_sub(scaler.current.max(scaler.desired));
        scalers.sort_by(|one, other| room(one).cmp(&room(other)).then_with(|| one.key.cmp(&other.key)));
        scalers
    }

    /// Certificates, the soonest to expire first.
    pub fn certificates(&self) -> Vec<CertificateRow> {
        let mut rows: Vec<CertificateRow> = self
            .snapshot
            .handshakes
            .iter()
            .filter_map(|((host, port), rows)| Some(served_row(host, *port, worst_of(rows)?)))
            .collect();
        let seen: Vec<Name> = self.snapshot.handshakes.keys().map(|(host, _)| host.clone()).collect();
        // A Certificate whose hosts are all served adds nothing unless it says something is wrong.
        rows.extend(self.snapshot.certificates.iter().filter_map(|certificate| {
            let failing = certificate.condition("Ready").is_some_and(|ready| ready.status == Status::False);
            let covered = certificate.dns_names.iter().any(|name| seen.contains(name));
            (failing || !covered).then(|| CertificateRow {
                key: certificate.key.clone(),
                not_after: certificate.not_after,
                issuer: certificate.issuer.clone(),
                seen: if failing { "Certificate not ready".into() } else { "Certificate".into() },
                bad: failing,
                object: Some(ObjectRef::new(Kind::Certificate, certificate.key.clone())),
            })
        }));
        rows.sort_by(|one, other| {
            let end = |row: &CertificateRow| row.not_after.unwrap_or(Timestamp::MIN);
            end(one).cmp(&end(other)).then_with(|| one.key.cmp(&other.key))
        });
        rows
    }

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

    pub(super) fn rank(&self, panel: Panel, key: &Key, column: usize) -> Rank {
        let number = |value: f64| Rank::Number(value);
        match (panel, column) {
            (_, 0) => Rank::Text(key.name.clone()),
            (Panel::Pods, _) => {
                self.snapshot.pods.get(key).map_or(number(0.0), |pod| self.pod_rank(pod, column))
            }
            (Panel::Nodes, _) => self.snapshot.nodes.get(key).map_or(number(0.0), |node| match column {
                1 => number(f64::from(node_rank(node))),
                2 => number(-(self.board.on_node(&node.key.name) as f64)),
                3 => number(-self.node_load(node).0.unwrap_or_default()),
                4 => number(-self.node_load(node).1.unwrap_or_default()),
                5 => number(-(node.taints.len() as f64)),
                6 => Rank::Text(node.kubelet_version.clone().unwrap_or_default()),
                _ => number(-(node.created.as_second() as f64)),
            }),
            _ => {
                let cell = self.cells(panel, key).into_iter().nth(column).unwrap_or_default();
                cell.text.trim().parse().map_or_else(|_| Rank::Text(cell.text.into()), Rank::Number)
            }
        }
    }

    fn pod_rank(&self, pod: &Pod, column: usize) -> Rank {
        match column {
            1 => Rank::Text(pod.key.namespace.clone()),
            2 => Rank::Number(f64::from(u8::from(pod.is_ready()))),
            3 => Rank::Number(f64::from(Health::of(pod) as u8)),
            4 => Rank::Number(-f64::from(pod.restarts())),
            5 => Rank::Number(-(self.pod_usage(pod).map_or(0, |usage| usage.0) as f64)),
            6 => Rank::Number(-(self.pod_usage(pod).map_or(0, |usage| usage.1) as f64)),
            7 => Rank::Text(pod.node.clone().unwrap_or_default()),
            _ => Rank::Number(-(pod.created.as_second() as f64)),
        }
    }

    /// CPU in thousandths of a core and memory in bytes, of all containers together.
    fn pod_usage(&self, pod: &Pod) -> Option<(u64, u64)> {
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
            cell(pod.node.as_deref().unwrap_or("—"), Tone::Dim),
            cell(text::span_short(between(pod.created, self.now)), Tone::Dim),
        ]
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

/// How bad a node is: 0 not ready, 1 under pressure, 2 cordoned, 3 fine.
pub fn node_rank(node: &Node) -> u8 {
    match node {
        node if !node.is_ready() => 0,
        node if node.pressures().next().is_some() => 1,
        node if node.unschedulable => 2,
        _ => 3,
    }
}

/// The STATUS of `kubectl get nodes`, with pressures.
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
    for pressure in node.pressures() {
        status.push_str(&format!(", {}", pressure.kind));
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
        cell(format!("{}/{}", scaler.target_kind.to_lowercase(), scaler.target), Tone::Dim),
        cell(scaler.current.to_string(), if full { Tone::Bad } else { Tone::Plain }),
        cell(scaler.desired.to_string(), Tone::Plain),
        cell(scaler.min.to_string(), Tone::Dim),
        cell(scaler.max.to_string(), Tone::Dim),
        cell(load.join(" "), Tone::Plain),
    ]
}

fn served_row(host: &Name, port: u16, handshake: &Handshake) -> CertificateRow {
    let key = Key::new("", if port == 443 { host.clone() } else { format!("{host}:{port}").into() });
    match &handshake.served {
        Ok(served) => {
            let wrong = if served.name_matches { served.distrust.clone() } else { Some("wrong name".into()) };
            CertificateRow {
                key,
                not_after: Some(served.not_after),
                issuer: served.issuer.clone(),
                bad: wrong.is_some(),
                seen: wrong.map_or_else(|| format!("served by {}", handshake.address), |why| why.to_string()),
                object: None,
            }
        }
        Err(why) => CertificateRow {
            key,
            not_after: None,
            issuer: "—".into(),
            seen: why.to_string(),
            bad: true,
            object: None,
        },
    }
}

/// Of all addresses of a host, the one to worry about.
fn worst_of(rows: &[Handshake]) -> Option<&Handshake> {
    rows.iter().min_by_key(|row| row.served.as_ref().map_or(Timestamp::MIN, |served| served.not_after))
}

fn tone_of(health: Health) -> Tone {
    match health {
        bad if bad.is_bad() => Tone::Bad,
        Health::Ready => Tone::Plain,
        Health::Finished | Health::Terminating => Tone::Dim,
        _ => Tone::Plain,
    }
}

fn dash() -> String {
    "—".into()
}

fn cell(text: impl Into<String>, tone: Tone) -> Cell {
    Cell { text: text.into(), tone }
}
