//! What the servers beside Kubernetes show: database sessions, cache counters, certificates, the way in, the
//! service itself, names and registries.
//! The world writes it on every tick, the servers read it. It knows neither the world nor any protocol.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};

use jiff::Timestamp;

pub use super::database::Database;

/// The meeting point of the world and the servers. Clones share one state, and one time.
#[derive(Clone, Debug)]
pub struct Signals {
    shown: Arc<RwLock<Shown>>,
    clock: fn() -> Timestamp,
}

impl Default for Signals {
    fn default() -> Self {
        Self::at(Timestamp::now)
    }
}

/// Everything the servers show, at one moment.
#[derive(Clone, Debug, Default)]
pub struct Shown {
    pub database: Database,
    pub cache: Cache,
    /// One entry per certificate the HTTPS endpoint serves; chosen by the client's SNI.
    pub certificates: Vec<Certificate>,
    pub service: Service,
    pub edge: Edge,
    /// Every record of the lab's zones, as their name servers have it.
    pub dns: Vec<DnsRecord>,
    /// The same as resolvers remember it.
    pub remembered_dns: Vec<DnsRecord>,
    pub registry: Registry,
    pub server: Server,
    /// Notifications that the Alertmanager has sent.
    pub notified: u64,
}

impl Signals {
    /// With the time of this clock.
    pub fn at(clock: fn() -> Timestamp) -> Self {
        Self { shown: Arc::default(), clock }
    }

    /// The time in the lab.
    pub fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// Looks at the state. Keep `look` short: the world waits for it.
    pub fn read<R>(&self, look: impl FnOnce(&Shown) -> R) -> R {
        look(&self.shown.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes the state. The world's tick is the only regular writer.
    pub fn write<R>(&self, change: impl FnOnce(&mut Shown) -> R) -> R {
        change(&mut self.shown.write().unwrap_or_else(PoisonError::into_inner))
    }
}

/// One row of `pg_stat_activity`.
#[derive(Clone, Debug, PartialEq)]
pub struct Session {
    pub pid: i32,
    /// `datname`.
    pub database: String,
    /// `usename`.
    pub user: String,
    /// `application_name`.
    pub application: String,
    /// `None` for a local socket or a server process.
    pub client_addr: Option<IpAddr>,
    /// `client backend`, `autovacuum worker`, …
    pub backend_type: &'static str,
    pub backend_start: Timestamp,
    /// `None` for server processes.
    pub state: Option<SessionState>,
    pub state_change: Option<Timestamp>,
    pub xact_start: Option<Timestamp>,
    pub query_start: Option<Timestamp>,
    /// `Lock`, `Client`, `IO`, …; `None` while on CPU.
    pub wait_event_type: Option<&'static str>,
    pub wait_event: Option<&'static str>,
    pub query: String,
    /// Process ids of those whose locks it waits for.
    pub blocked_by: Vec<i32>,
}

impl Session {
    /// An idle client backend that connected at `since`; the caller changes what differs.
    pub fn idle(pid: i32, application: &str, client_addr: Option<IpAddr>, since: Timestamp) -> Self {
        Self {
            pid,
            database: "covetpy".to_owned(),
            user: "app".to_owned(),
            application: application.to_owned(),
            client_addr,
            backend_type: CLIENT_BACKEND,
            backend_start: since,
            state: Some(SessionState::Idle),
            state_change: Some(since),
            xact_start: None,
            query_start: Some(since),
            wait_event_type: Some("Client"),
            wait_event: Some("ClientRead"),
            query: String::new(),
            blocked_by: Vec::new(),
        }
    }
}

/// `backend_type` of an ordinary connection.
pub const CLIENT_BACKEND: &str = "client backend";

/// `pg_stat_activity.state`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionState {
    Active,
    Idle,
    IdleInTransaction,
    IdleInTransactionAborted,
}

impl SessionState {
    /// The word `PostgreSQL` uses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Idle => "idle",
            Self::IdleInTransaction => "idle in transaction",
            Self::IdleInTransactionAborted => "idle in transaction (aborted)",
        }
    }
}

/// The Redis server as INFO would show it. Counters only grow.
#[derive(Clone, Debug)]
pub struct Cache {
    pub up: bool,
    /// `requirepass`; commands before AUTH answer NOAUTH when set.
    pub password: Option<String>,
    pub started: Timestamp,
    pub keyspace_hits: u64,
    pub keyspace_misses: u64,
    pub evicted_keys: u64,
    pub expired_keys: u64,
    pub total_commands_processed: u64,
    pub instantaneous_ops_per_sec: u64,
    /// Bytes.
    pub used_memory: u64,
    /// Bytes; 0 means no limit.
    pub maxmemory: u64,
    pub maxmemory_policy: &'static str,
    /// Clients of the world; connections really open to the lab's server are added by that server.
    pub connected_clients: u64,
    pub blocked_clients: u64,
    pub maxclients: u64,
    pub keys: u64,
    pub keys_with_expiry: u64,
}

impl Default for Cache {
    fn default() -> Self {
        Self {
            up: true,
            password: None,
            started: Timestamp::UNIX_EPOCH,
            keyspace_hits: 0,
            keyspace_misses: 0,
            evicted_keys: 0,
            expired_keys: 0,
            total_commands_processed: 0,
            instantaneous_ops_per_sec: 0,
            used_memory: 64 << 20,
            maxmemory: 256 << 20,
            maxmemory_policy: "allkeys-lru",
            connected_clients: 0,
            blocked_clients: 0,
            maxclients: 10_000,
            keys: 0,
            keys_with_expiry: 0,
        }
    }
}

/// A served certificate: the HTTPS endpoint issues a new one (new serial) whenever this changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// Subject alternative names; the first is the common name.
    pub hosts: Vec<String>,
    pub not_before: Timestamp,
    pub not_after: Timestamp,
}

/// What `GET /health/ready` answers on the HTTPS endpoint.
#[derive(Clone, Debug)]
pub struct Service {
    /// False: 503.
    pub ready: bool,
    /// How long an answer takes, in milliseconds.
    pub latency_ms: f64,
}

impl Default for Service {
    fn default() -> Self {
        Self { ready: true, latency_ms: 20.0 }
    }
}

/// The ingress controller and what is behind it, as the load balancer meets them.
#[derive(Clone, Debug)]
pub struct Edge {
    /// False: nobody takes connections.
    pub up: bool,
    /// False: 503 for everything, by the controller.
    pub endpoints: bool,
    /// The app's pods answer well when they are asked themselves.
    pub pods_well: bool,
    /// Answers of running HTTP-01 challenges, by token.
    pub challenges: BTreeMap<String, String>,
}

impl Default for Edge {
    fn default() -> Self {
        Self { up: true, endpoints: true, pods_well: true, challenges: BTreeMap::new() }
    }
}

/// One record, names in lower case and without the last dot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsRecord {
    pub name: String,
    /// `A`, `CNAME`, `NS`, `TXT` or `SOA` (its value is the first name server).
    pub kind: &'static str,
    pub ttl: u32,
    pub value: String,
}

/// What the registries hold, and whom they refuse.
#[derive(Clone, Debug, Default)]
pub struct Registry {
    /// The repository that both registries carry.
    pub repository: &'static str,
    /// Its tags and their digests.
    pub tags: BTreeMap<String, String>,
    /// Passwords that once worked and no longer do.
    pub expired: BTreeSet<String>,
    /// A host that refuses everybody until then.
    pub limited: Option<(String, Timestamp)>,
}

impl Registry {
    /// Whether a password is one of the kind that opens the private repositories.
    pub fn accepts(&self, password: &str) -> bool {
        let formed =
            password.len() >= 20 && (password.starts_with("ghp_") || password.starts_with("github_pat_"));
        formed && !self.expired.contains(password)
    }
}

/// Prometheus and the files that it and Alertmanager see.
#[derive(Clone, Debug, Default)]
pub struct Server {
    pub serving: Serving,
    /// prometheus.yml, its rules, and alertmanager.yml, as they are in the containers now.
    pub mounted: Option<(String, String, String)>,
    /// The prometheus.yml that was loaded, when, and whether the last attempt was refused.
    pub loaded: Option<Loaded>,
    /// Used and total bytes of its volume.
    pub volume: (u64, u64),
}

#[derive(Clone, Debug)]
pub struct Loaded {
    pub config: String,
    pub at: Timestamp,
    pub refused: bool,
}

/// Whether Prometheus serves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Serving {
    Yes { since: Timestamp },
    Replays { current: u64, last: u64 },
    No,
}

impl Default for Serving {
    fn default() -> Self {
        Serving::Yes { since: Timestamp::UNIX_EPOCH }
    }
}
