//! Sessions on the database: pools of the app's pods, and the others.
//! It knows limits and who is connected, not queries' meaning.

use std::collections::HashMap;
use std::net::IpAddr;

use jiff::Timestamp;

use super::NAMESPACE;
use super::cluster::Cluster;
use super::kubelet::Kubelet;
use super::program;
use super::shelf::Key;
use super::traffic::Traffic;
use crate::lab::signals::{Session, SessionState, Shown, Signals};

/// Queries the app runs, for `pg_stat_activity`.
const QUERIES: [&str; 4] = [
    "SELECT items.id, items.name, items.price FROM items WHERE items.category_id = $1 ORDER BY items.id LIMIT $2",
    "SELECT users.id, users.email FROM users WHERE users.email = $1",
    "INSERT INTO orders (user_id, total, created_at) VALUES ($1, $2, now()) RETURNING id",
    "SELECT id, payload FROM jobs WHERE state = 'queued' ORDER BY id LIMIT 10 FOR UPDATE SKIP LOCKED",
];

pub struct Sessions {
    owners: HashMap<i32, Key>,
    /// Share of a pod's requests that get no connection.
    starved: HashMap<Key, f64>,
    next_pid: i32,
    rng: fastrand::Rng,
}

/// A client of the database: how many connections it wants.
struct Client {
    key: Key,
    application: &'static str,
    address: Option<IpAddr>,
    want: usize,
    active: f64,
}

impl Sessions {
    pub fn new(seed: u64) -> Self {
        let rng = fastrand::Rng::with_seed(seed ^ 0x6462);
        let (owners, starved) = (HashMap::new(), HashMap::new());
        Self { owners, starved, next_pid: 1200, rng }
    }

    /// Share of a pod's requests that get no connection, 0 to 1.
    pub fn starved(&self, pod: &Key) -> f64 {
        self.starved.get(pod).copied().unwrap_or(0.0)
    }

    pub fn advance(
        &mut self,
        cluster: &mut Cluster,
        kubelet: &Kubelet,
        traffic: &Traffic,
        signals: &Signals,
    ) {
        let clients = clients(cluster, kubelet, traffic);
        let now = cluster.now;
        signals.write(|shown| self.connect(shown, &clients, now));
    }

    /// Brings the sessions to what the clients want, as far as there are slots. Sessions that others ended
    /// are simply missing, and are opened again.
    fn connect(&mut self, shown: &mut Shown, clients: &[Client], now: Timestamp) {
        let database = &mut shown.database;
        let alive = |owner: &Key| clients.iter().any(|client| client.key == *owner);
        database.sessions.retain(|session| self.owners.get(&session.pid).is_none_or(&alive));
        let present: Vec<i32> = database.sessions.iter().map(|session| session.pid).collect();
        self.owners.retain(|pid, _| present.contains(pid));
        let usable = database.max_connections.saturating_sub(database.reserved) as usize;
        self.starved.clear();
        for client in clients {
            let mut have = self.owners.values().filter(|owner| **owner == client.key).count();
            while have < client.want && database.sessions.len() < usable && database.up {
                let pid = self.pid();
                self.owners.insert(pid, client.key.clone());
                database.sessions.push(Session::idle(pid, client.application, client.address, now));
                have += 1;
            }
            if have < client.want {
                self.starved.insert(client.key.clone(), 1.0 - have as f64 / client.want as f64);
            }
            let mine = database
                .sessions
                .iter_mut()
                .filter(|session| self.owners.get(&session.pid) == Some(&client.key));
            show_activity(mine, client.active, now, &mut self.rng);
        }
    }

    fn pid(&mut self) -> i32 {
        self.next_pid += self.rng.i32(1..40);
        self.next_pid
    }
}

fn clients(cluster: &Cluster, kubelet: &Kubelet, traffic: &Traffic) -> Vec<Client> {
    let mut clients = Vec::new();
    for (key, pod) in cluster.pods.within(NAMESPACE) {
        let Some(run) = kubelet.run(key) else { continue };
        for (slot, container) in run.slots.iter().zip(&pod.spec.containers) {
            let up = slot.running_since().is_some() && slot.life.exit.is_none();
            if !up || !program::is_app(&container.image) {
                continue;
            }
            let rate = traffic.counters.get(key).map_or(0.0, |counters| counters.rate);
            let number = |name: &str, usual: usize| {
                slot.env.get(name).and_then(|text| text.parse().ok()).unwrap_or(usual)
            };
            let (size, overflow) = (number("DB_POOL_SIZE", 10), number("DB_POOL_MAX_OVERFLOW", 5));
            let worker = key.name.starts_with("covetpy-worker");
            let need = if worker { 3 } else { (rate * 0.24).ceil() as usize + 1 };
            clients.push(Client {
                key: key.clone(),
                application: if worker { "covetpy-worker" } else { "covetpy" },
                address: pod.status.pod_ip.parse().ok(),
                want: need.min(size + overflow),
                active: rate * 0.03,
            });
        }
    }
    for (name, want) in [("postgres_exporter", 1), ("rdsadmin", 2)] {
        let key = Key::new("", name);
        clients.push(Client { key, application: name, address: None, want, active: 0.1 });
    }
    clients
}

fn show_activity<'a>(
    sessions: impl Iterator<Item = &'a mut Session>,
    active: f64,
    now: Timestamp,
    rng: &mut fastrand::Rng,
) {
    let (mut sure, chance) = (active.floor() as usize, active.fract());
    for session in sessions {
        let busy = sure > 0 || rng.f64() < chance / 4.0;
        sure = sure.saturating_sub(1);
        if busy {
            session.state = Some(SessionState::Active);
            QUERIES[rng.usize(..QUERIES.len())].clone_into(&mut session.query);
            (session.query_start, session.xact_start) = (Some(now), Some(now));
            (session.wait_event_type, session.wait_event) = (None, None);
            session.state_change = Some(now);
        } else if session.state != Some(SessionState::Idle) {
            session.state = Some(SessionState::Idle);
            session.state_change = Some(now);
            session.xact_start = None;
            (session.wait_event_type, session.wait_event) = (Some("Client"), Some("ClientRead"));
        }
    }
}
