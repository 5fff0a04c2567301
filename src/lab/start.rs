//! Starts the whole lab on free loopback ports, and stops it again.
//! It knows which servers there are and what each needs; what they do is theirs.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::alertmanager::{self, Alertmanager};
use super::api::{self, ProxyRoutes, Role, Running, Tokens};
use super::folder::Folder;
use super::https::{Authority, Https, HttpsError};
use super::logs::Logs;
use super::prometheus::{self, Prometheus};
use super::rules::{Rules, RulesError};
use super::signals::Signals;
use super::store::Store;
use super::ticker::Ticker;
use super::tsdb::Tsdb;
use super::world::{self, Drill, Scale, World};
use super::{postgres, redis};

/// What kind of lab.
#[derive(Clone, Debug)]
pub struct Options {
    /// The name of a drill; `None`: nothing goes wrong.
    pub drill: Option<String>,
    /// How many times faster than life processes go.
    pub speed: f64,
    pub seed: u64,
    /// Fill the cluster with this many pods of others …
    pub pods: Option<usize>,
    /// … on this many nodes.
    pub nodes: Option<usize>,
    /// Pod status updates per second of the filled cluster.
    pub churn: f64,
    /// Also write the kubeconfig here.
    pub kubeconfig_out: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self { drill: None, speed: 1.0, seed: 1, pods: None, nodes: None, churn: 0.0, kubeconfig_out: None }
    }
}

/// Why the lab does not start.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    #[error("there is no drill {0}; there are: {1}")]
    Drill(String, String),
    #[error("listening on loopback: {0}")]
    Listen(io::Error),
    #[error("writing {0}: {1}")]
    Write(String, io::Error),
    #[error("starting a thread: {0}")]
    Thread(io::Error),
    #[error(transparent)]
    Rules(#[from] RulesError),
    #[error("the API server: {0}")]
    Api(#[from] api::TlsError),
    #[error(transparent)]
    Https(#[from] HttpsError),
}

/// How often the rules are evaluated: often enough for a drill, seldom enough for a full cluster.
const EVALUATE: Duration = Duration::from_secs(5);

/// How often the world moves.
const TICK: Duration = Duration::from_millis(200);
/// Nodes of a full cluster hold this many pods, unless the number of nodes is said.
const PODS_PER_NODE: usize = 20;

/// A running lab. Dropping it stops it; [`Lab::stop`] also waits until all is gone.
pub struct Lab {
    drill: Option<&'static Drill>,
    addresses: Addresses,
    files: Files,
    api: Running,
    tickers: Vec<Ticker>,
    servers: JoinSet<()>,
    _folder: Folder,
}

/// What clients are pointed at, in a folder only its owner may look into.
#[derive(Clone, Debug)]
struct Files {
    kubeconfig: PathBuf,
    view_kubeconfig: PathBuf,
    web_authority: PathBuf,
}

/// Where the servers listen.
#[derive(Clone, Copy, Debug)]
pub struct Addresses {
    /// TLS, a bearer token per role.
    pub kubernetes: SocketAddr,
    pub prometheus: SocketAddr,
    pub alertmanager: SocketAddr,
    pub database: SocketAddr,
    pub cache: SocketAddr,
    /// The ingress: TLS for the hosts of the Ingress objects.
    pub https: SocketAddr,
}

/// Every listener, bound before anything runs, so that a failure leaves nothing behind.
struct Listeners {
    prometheus: TcpListener,
    alertmanager: TcpListener,
    database: TcpListener,
    cache: TcpListener,
    https: TcpListener,
}

impl Listeners {
    async fn bind() -> io::Result<Self> {
        let free = || TcpListener::bind(("127.0.0.1", 0));
        Ok(Self {
            prometheus: free().await?,
            alertmanager: free().await?,
            database: free().await?,
            cache: free().await?,
            https: free().await?,
        })
    }

    fn addresses(&self, kubernetes: SocketAddr) -> io::Result<Addresses> {
        Ok(Addresses {
            kubernetes,
            prometheus: self.prometheus.local_addr()?,
            alertmanager: self.alertmanager.local_addr()?,
            database: self.database.local_addr()?,
            cache: self.cache.local_addr()?,
            https: self.https.local_addr()?,
        })
    }
}

/// Starts a lab.
///
/// # Errors
/// When a port, a thread or a file cannot be had.
pub async fn start(options: Options) -> Result<Lab, LabError> {
    let now = Timestamp::now();
    let wanted = wanted(&options)?;
    let drill = wanted.drill;
    let (store, logs, signals, tsdb) =
        (Store::new(options.seed), Logs::default(), Signals::default(), Tsdb::default());
    let listeners = Listeners::bind().await.map_err(LabError::Listen)?;
    let kubernetes = Kubernetes::new(now)?;
    let routes = ProxyRoutes::default();
    let api = kubernetes.serve(store.clone(), logs.clone(), routes.clone()).await?;
    let addresses = listeners.addresses(api.addr).map_err(LabError::Listen)?;
    routes.add("monitoring", "prometheus-server", 80, addresses.prometheus);
    routes.add("monitoring", "alertmanager", 9093, addresses.alertmanager);
    let web_authority = Arc::new(Authority::new("covet lab web CA")?);
    let mut folder = Folder::new().map_err(writing("the lab's folder"))?;
    let files =
        kubernetes.write(&mut folder, api.addr, &web_authority.pem(), options.kubeconfig_out.as_deref())?;
    let rules = Rules::load(options.speed)?;
    let alertmanager = Alertmanager::new(now);
    let prometheus = Prometheus {
        tsdb: tsdb.clone(),
        rules: rules.clone(),
        started: now,
        alertmanager_url: format!("http://{}", addresses.alertmanager),
    };
    let servers = serve(listeners, signals.clone(), prometheus, alertmanager.clone(), web_authority)?;
    let mut lab = Lab { drill, addresses, files, api, tickers: Vec::new(), servers, _folder: folder };
    let parts = (store.clone(), logs, signals, tsdb.clone());
    let world = tokio::task::spawn_blocking(move || {
        let (store, logs, signals, tsdb) = parts;
        let mut world = World::new(store, logs, signals, tsdb, wanted, now);
        world.tick(now);
        world
    });
    lab.live(world.await.map_err(|why| LabError::Thread(io::Error::other(why)))?)?;
    lab.lead_ingresses_home(&store);
    lab.evaluate(rules, tsdb, alertmanager)?;
    Ok(lab)
}

/// The world that was asked for.
fn wanted(options: &Options) -> Result<world::Options, LabError> {
    let drill = match &options.drill {
        None => None,
        Some(name) => Some(world::drill(name).ok_or_else(|| {
            let names: Vec<&str> = world::drills().iter().map(|drill| drill.name.as_str()).collect();
            LabError::Drill(name.clone(), names.join(", "))
        })?),
    };
    let scale = options.pods.map(|pods| Scale {
        pods,
        nodes: options.nodes.unwrap_or_else(|| pods.div_ceil(PODS_PER_NODE)),
        churn_per_second: options.churn,
    });
    Ok(world::Options { drill, speed: options.speed, seed: options.seed, scale, ..world::Options::default() })
}

fn writing(what: impl Into<String>) -> impl FnOnce(io::Error) -> LabError {
    move |why| LabError::Write(what.into(), why)
}

/// What the API server needs before it can serve: its authority and a token per role.
struct Kubernetes {
    authority: api::Authority,
    admin: String,
    view: String,
    started: Timestamp,
}

impl Kubernetes {
    fn new(now: Timestamp) -> Result<Self, LabError> {
        let token = || uuid::Uuid::now_v7().simple().to_string();
        Ok(Self { authority: api::Authority::new(now)?, admin: token(), view: token(), started: now })
    }

    async fn serve(&self, store: Store, logs: Logs, routes: ProxyRoutes) -> Result<Running, LabError> {
        let tokens = Tokens::default();
        tokens.grant(&self.admin, "oncall@covet.example", Role::Admin);
        tokens.grant(&self.view, "viewer@covet.example", Role::View);
        let settings = api::Settings { store, logs, tokens, routes, clock: Arc::new(Timestamp::now) };
        let tls = self.authority.server(self.started, &["h2", "http/1.1"])?;
        api::serve(settings, tls, ([127, 0, 0, 1], 0).into()).await.map_err(LabError::Listen)
    }

    fn write(
        &self,
        folder: &mut Folder,
        addr: SocketAddr,
        web_authority: &str,
        copy: Option<&Path>,
    ) -> Result<Files, LabError> {
        let config = |token: &str| api::kubeconfig(addr, self.authority.pem(), token, world::NAMESPACE);
        if let Some(copy) = copy {
            folder.write_outside(copy, &config(&self.admin)).map_err(writing(copy.display().to_string()))?;
        }
        let write = |name: &str, text: &str| folder.write(name, text).map_err(writing(name));
        Ok(Files {
            kubeconfig: write("kubeconfig", &config(&self.admin))?,
            view_kubeconfig: write("kubeconfig-view", &config(&self.view))?,
            web_authority: write("web-ca.crt", web_authority)?,
        })
    }
}

fn serve(
    listeners: Listeners,
    signals: Signals,
    prometheus: Prometheus,
    alertmanager: Alertmanager,
    authority: Arc<Authority>,
) -> Result<JoinSet<()>, LabError> {
    let mut servers = JoinSet::new();
    let https = Https::new(signals.clone(), authority)?;
    // A server ends only with the lab: its listener does not break on loopback.
    servers.spawn(async move {
        let _ = axum::serve(listeners.prometheus, prometheus::router(prometheus)).await;
    });
    servers.spawn(async move {
        let _ = axum::serve(listeners.alertmanager, alertmanager::router(alertmanager)).await;
    });
    let of_database = signals.clone();
    servers.spawn(async move {
        let _ = postgres::serve(listeners.database, of_database, None).await;
    });
    servers.spawn(async move {
        let _ = redis::serve(listeners.cache, signals).await;
    });
    servers.spawn(async move {
        let _ = https.serve(listeners.https).await;
    });
    Ok(servers)
}

impl Lab {
    /// The environment that points clients at this lab.
    pub fn env(&self) -> Vec<(&'static str, String)> {
        let Addresses { prometheus, alertmanager, database, cache, .. } = self.addresses;
        vec![
            ("KUBECONFIG", self.files.kubeconfig.display().to_string()),
            ("DATABASE_URL", format!("postgresql://app@{database}/covetpy")),
            ("REDIS_URL", format!("redis://{cache}/0")),
            ("PROMETHEUS_URL", format!("http://{prometheus}")),
            ("ALERTMANAGER_URL", format!("http://{alertmanager}")),
        ]
    }

    /// The kubeconfig of somebody who may do everything.
    pub fn kubeconfig(&self) -> &Path {
        &self.files.kubeconfig
    }

    /// The kubeconfig of somebody who may look at everything but Secrets.
    pub fn view_kubeconfig(&self) -> &Path {
        &self.files.view_kubeconfig
    }

    /// The authority that issues the certificates of the HTTPS endpoint.
    pub fn web_authority(&self) -> &Path {
        &self.files.web_authority
    }

    /// What was asked of the API server, by whom.
    pub fn audit(&self) -> &api::Audit {
        &self.api.audit
    }

    /// Where the servers listen.
    pub fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// Stops everything and removes the lab's files.
    pub async fn stop(mut self) {
        let tickers = std::mem::take(&mut self.tickers);
        // Dropping a ticker waits for the step it is in.
        let _ = tokio::task::spawn_blocking(move || drop(tickers)).await;
        self.servers.shutdown().await;
        self.api.stop().await;
    }

    /// What goes wrong in this lab.
    pub fn drill(&self) -> Option<&'static Drill> {
        self.drill
    }

    fn live(&mut self, mut world: World) -> Result<(), LabError> {
        let ticker = Ticker::start("lab-world", TICK, move |now| world.tick(now));
        self.tickers.push(ticker.map_err(LabError::Thread)?);
        Ok(())
    }

    /// Says in every Ingress that its load balancer is the lab's HTTPS endpoint, port and all.
    fn lead_ingresses_home(&self, store: &Store) {
        let port = self.addresses.https.port();
        let home = json!([{"ip": "127.0.0.1", "ports": [{"port": port, "protocol": "TCP"}]}]);
        for ingress in store.list("ingresses", None).0 {
            let change = |object: &mut Value| object["status"]["loadBalancer"]["ingress"] = home.clone();
            // It was there a moment ago, and nobody else is at work yet.
            let _ = store.update("ingresses", &ingress.namespace, &ingress.name, Timestamp::now(), change);
        }
    }

    fn evaluate(&mut self, rules: Rules, tsdb: Tsdb, alertmanager: Alertmanager) -> Result<(), LabError> {
        let generator = format!("http://{}", self.addresses.prometheus);
        let ticker = Ticker::start("lab-rules", EVALUATE, move |now| {
            alertmanager.tell(rules.evaluate(&tsdb, now), &generator, now);
        });
        self.tickers.push(ticker.map_err(LabError::Thread)?);
        Ok(())
    }
}
