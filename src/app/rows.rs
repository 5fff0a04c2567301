//! The rows behind a panel: which there are, their natural order, and what to sort them by.

use std::cmp::Ordering;

use super::App;
use super::board::Health;
use super::cells::node_rank;
use super::panel::Panel;
use crate::domain::{Autoscaler, Handshake, Key, Kind, Name, Node, ObjectRef, Pod, Status, Timestamp};

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
        nodes.sort_by_cached_key(|node| (node_rank(node), &node.key));
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
                7 => number(-(node.created.as_second() as f64)),
                _ => self.rank_of_cell(panel, key, column),
            }),
            _ => self.rank_of_cell(panel, key, column),
        }
    }

    /// By what stands there: a number where it is one.
    fn rank_of_cell(&self, panel: Panel, key: &Key, column: usize) -> Rank {
        let cell = self.cells(panel, key).into_iter().nth(column).unwrap_or_default();
        cell.text.trim().parse().map_or_else(|_| Rank::Text(cell.text.into()), Rank::Number)
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
            8 => Rank::Number(-(pod.created.as_second() as f64)),
            9 => {
                let ends = pod.containers.iter().filter_map(|container| container.termination()?.finished);
                Rank::Number(-(ends.max().map_or(0, Timestamp::as_second) as f64))
            }
            10 => Rank::Number(-self.memory_share(pod).unwrap_or_default()),
            11 => Rank::Text(pod.owner.as_ref().map(|owner| owner.name.clone()).unwrap_or_default()),
            _ => Rank::Text(
                pod.containers.iter().find(|c| !c.init).map(|c| c.image.clone()).unwrap_or_default(),
            ),
        }
    }
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
