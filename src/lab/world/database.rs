//! Sessions on the database: pools of the app's pods, forgotten transactions, lock chains, and the others.
//! It knows limits and who is connected; what statements cost is `database_work`'s.

use std::collections::HashMap;
use std::net::IpAddr;

use jiff::Timestamp;

use super::NAMESPACE;
use super::cluster::Cluster;
use super::database_work::Work;
use super::kubelet::Kubelet;
use super::program;
use super::shelf::Key;
use super::traffic::Traffic;
use crate::lab::signals::{Database, Session, SessionState, Shown, Signals};

/// What forgets its transaction ran last, and what holds the row that everybody wants.
const FORGOTTEN: &str = "SELECT id, total FROM orders WHERE user_id = $1 FOR UPDATE";
const LOCKED: &str = "UPDATE items SET stock = stock - 1 WHERE id = $1";
/// Most sessions of one pod that wait behind the lock, and seconds until the next one does.
const WAITERS: usize = 3;
const NEXT_WAITER: f64 = 20.0;

pub struct Sessions {
    owners: HashMap<i32, Key>,
    /// Share of a pod's requests that get no connection.
    starved: HashMap<Key, f64>,
    /// Sessions that idle in a forgotten transaction.
    forgotten: HashMap<i32, Key>,
    /// Seconds until a pod forgets the next one.
    next_forgotten: HashMap<Key, f64>,
    /// Who holds the row that everybody wants, and since when.
    root: Option<(i32, Timestamp)>,
    /// How much longer than usual a request holds its connection.
    holding: f64,
    work: Work,
    next_pid: i32,
    rng: fastrand::Rng,
    last: Option<Timestamp>,
}

/// A client of the database: how many connections it wants.
struct Client {
    key: Key,
    application: &'static str,
    address: Option<IpAddr>,
    want: usize,
    /// Connections its pool keeps open when nobody wants them; what overflows is closed.
    keeps: usize,
    active: f64,
    forgets: Option<f64>,
}

impl Sessions {
    pub fn new(seed: u64) -> Self {
        let rng = fastrand::Rng::with_seed(seed ^ 0x6462);
        let (owners, starved) = (HashMap::new(), HashMap::new());
        Self {
            owners,
            starved,
            forgotten: HashMap::new(),
            next_forgotten: HashMap::new(),
            root: None,
            holding: 1.0,
            work: Work::default(),
            next_pid: 1200,
            rng,
            last: None,
        }
    }

    /// A report opens a transaction, updates a row that everybody wants, and is never heard of again.
    pub fn lock(&mut self, signals: &Signals, now: Timestamp) {
        let pid = self.pid();
        let mut session = Session::idle(pid, "monthly-report", Some([10, 0, 44, 7].into()), now);
        session.state = Some(SessionState::IdleInTransaction);
        (session.xact_start, session.query_start) = (Some(now), Some(now));
        LOCKED.clone_into(&mut session.query);
        signals.write(|shown| shown.database.sessions.push(session));
        self.root = Some((pid, now));
    }

    /// Requests hold their connections this many times longer.
    pub fn hold(&mut self, factor: f64) {
        self.holding = factor;
    }

    /// The server has so many CPUs from here on.
    pub fn set_cpus(&mut self, cpus: f64) {
        self.work.cpus = cpus;
    }

    /// The 95th percentile that the database alone would make, in seconds.
    pub fn delay(&self) -> f64 {
        self.work.delay()
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
        let mut clients = clients(cluster, kubelet, traffic, self.holding);
        let now = cluster.now;
        let elapsed = self.last.map_or(0.0, |last| now.duration_since(last).as_secs_f64()).clamp(0.0, 60.0);
        self.last = Some(now);
        let speed = cluster.speed;
        signals.write(|shown| {
            let apps = clients.iter().filter(|client| client.application == "covetpy").count().max(1);
            let active = self.work.load() / apps as f64;
            for client in clients.iter_mut().filter(|client| client.application == "covetpy") {
                client.active = active;
                client.want = client.want.max(active.ceil() as usize);
            }
            self.connect(shown, &clients, now);
            self.forget(shown, &clients, elapsed * speed, now);
            let waiting = self.wait(shown, &clients, now, speed);
            self.work.advance(&mut shown.database, traffic, (elapsed, speed), waiting);
        });
    }

    /// Pods that forget transactions open another connection for each.
    fn forget(&mut self, shown: &mut Shown, clients: &[Client], elapsed: f64, now: Timestamp) {
        let database = &mut shown.database;
        let alive = |owner: &Key| clients.iter().any(|client| client.key == *owner);
        let gone =
            |pid: &i32, forgotten: &HashMap<i32, Key>| forgotten.get(pid).is_some_and(|owner| !alive(owner));
        database.sessions.retain(|session| !gone(&session.pid, &self.forgotten));
        let present: Vec<i32> = database.sessions.iter().map(|session| session.pid).collect();
        self.forgotten.retain(|pid, _| present.contains(pid));
        self.next_forgotten.retain(|owner, _| alive(owner));
        for client in clients {
            let Some(every) = client.forgets else { continue };
            let left = self.next_forgotten.entry(client.key.clone()).or_insert(every);
            *left -= elapsed;
            if *left > 0.0 {
                continue;
            }
            *left += every;
            if free(database) == 0 {
                continue;
            }
            let pid = self.pid();
            let mut session = Session::idle(pid, client.application, client.address, now);
            session.state = Some(SessionState::IdleInTransaction);
            (session.xact_start, session.query_start) = (Some(now), Some(now));
            FORGOTTEN.clone_into(&mut session.query);
            database.sessions.push(session);
            self.forgotten.insert(pid, client.key.clone());
        }
    }

    /// While the root holds its row, more and more sessions wait for it; how many there are.
    fn wait(&mut self, shown: &mut Shown, clients: &[Client], now: Timestamp, speed: f64) -> usize {
        let database = &mut shown.database;
        let holds = self.root.filter(|(root, _)| {
            let of = database.sessions.iter().find(|session| session.pid == *root);
            of.is_some_and(|session| session.state == Some(SessionState::IdleInTransaction))
        });
        let Some((root, since)) = holds else {
            self.root = None;
            for session in database.sessions.iter_mut().filter(|session| !session.blocked_by.is_empty()) {
                rest(session, now);
            }
            return 0;
        };
        let passed = now.duration_since(since).as_secs_f64() * speed;
        let wanted = ((passed / NEXT_WAITER) as usize).min(WAITERS);
        let mut waiting = 0;
        for client in clients.iter().filter(|client| client.application == "covetpy") {
            let mine = database
                .sessions
                .iter_mut()
                .filter(|session| self.owners.get(&session.pid) == Some(&client.key));
            for session in mine.take(wanted) {
                waiting += 1;
                if session.blocked_by.is_empty() {
                    session.blocked_by = vec![root];
                    session.state = Some(SessionState::Active);
                    (session.query_start, session.xact_start) = (Some(now), Some(now));
                    session.state_change = Some(now);
                    LOCKED.clone_into(&mut session.query);
                }
                (session.wait_event_type, session.wait_event) = (Some("Lock"), Some("transactionid"));
            }
        }
        waiting
    }

    /// Brings the sessions to what the clients want, as far as there are slots. Sessions that others ended
    /// are simply missing, and are opened again.
    fn connect(&mut self, shown: &mut Shown, clients: &[Client], now: Timestamp) {
        let database = &mut shown.database;
        let alive = |owner: &Key| clients.iter().any(|client| client.key == *owner);
        database.sessions.retain(|session| self.owners.get(&session.pid).is_none_or(&alive));
        let present: Vec<i32> = database.sessions.iter().map(|session| session.pid).collect();
        self.owners.retain(|pid, _| present.contains(pid));
        self.starved.clear();
        for client in clients {
            let mut have = self.owners.values().filter(|owner| **owner == client.key).count();
            while have < client.want && free(database) > 0 && database.up {
                let pid = self.pid();
                self.owners.insert(pid, client.key.clone());
                let mut session = Session::idle(pid, client.application, client.address, now);
                if client.application == "rdsadmin" {
                    "rdsadmin".clone_into(&mut session.user);
                }
                database.sessions.push(session);
                have += 1;
            }
            let mut surplus = have.saturating_sub(client.want.max(client.keeps));
            database.sessions.retain(|session| {
                let overflows = surplus > 0
                    && session.state == Some(SessionState::Idle)
                    && self.owners.get(&session.pid) == Some(&client.key);
                surplus -= usize::from(overflows);
                !overflows
            });
            if have < client.want {
                self.starved.insert(client.key.clone(), 1.0 - have as f64 / client.want as f64);
            }
            let mine = database.sessions.iter_mut().filter(|session| {
                self.owners.get(&session.pid) == Some(&client.key) && session.blocked_by.is_empty()
            });
            let text = |rng: &mut fastrand::Rng| self.work.some_text(rng);
            show_activity(mine, client.active, now, &mut self.rng, text);
        }
    }

    fn pid(&mut self) -> i32 {
        self.next_pid += self.rng.i32(1..40);
        self.next_pid
    }
}

/// Slots that ordinary roles can still have.
fn free(database: &Database) -> usize {
    let usable = database.max_connections.saturating_sub(database.reserved) as usize;
    usable.saturating_sub(database.sessions.len() + database.visitors as usize)
}

fn rest(session: &mut Session, now: Timestamp) {
    session.state = Some(SessionState::Idle);
    session.state_change = Some(now);
    session.xact_start = None;
    session.blocked_by.clear();
    (session.wait_event_type, session.wait_event) = (Some("Client"), Some("ClientRead"));
}

fn clients(cluster: &Cluster, kubelet: &Kubelet, traffic: &Traffic, holding: f64) -> Vec<Client> {
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
            let need = if worker { 3 } else { (rate * 0.24 * holding).ceil() as usize + 1 };
            clients.push(Client {
                key: key.clone(),
                application: if worker { "covetpy-worker" } else { "covetpy" },
                address: pod.status.pod_ip.parse().ok(),
                want: need.min(size + overflow),
                keeps: size,
                active: rate * 0.03,
                forgets: slot.life.forgets,
            });
        }
    }
    for (name, want) in [("postgres_exporter", 1), ("rdsadmin", 2)] {
        let key = Key::new("", name);
        clients.push(Client {
            key,
            application: name,
            address: None,
            want,
            keeps: want,
            active: 0.1,
            forgets: None,
        });
    }
    clients
}

fn show_activity<'a>(
    sessions: impl Iterator<Item = &'a mut Session>,
    active: f64,
    now: Timestamp,
    rng: &mut fastrand::Rng,
    text: impl Fn(&mut fastrand::Rng) -> String,
) {
    let mut busy = active.floor() as usize + usize::from(rng.f64() < active.fract());
    for session in sessions {
        if busy > 0 {
            busy -= 1;
            session.state = Some(SessionState::Active);
            session.query = text(rng);
            (session.query_start, session.xact_start) = (Some(now), Some(now));
            (session.wait_event_type, session.wait_event) = (None, None);
            session.state_change = Some(now);
        } else if session.state != Some(SessionState::Idle) {
            rest(session, now);
        }
    }
}
