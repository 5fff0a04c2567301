//! Starts the whole lab on free loopback ports, and stops it again.
//! It knows which servers there are and what each needs; what they do is theirs.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use tokio::net::{TcpListener, UdpSocket};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::access::Access;
use super::alertmanager::{self, Alertmanager};
use super::api::{self, ProxyRoutes};
use super::aws;
use super::folder::Folder;
use super::https::{self, Authority, Https, HttpsError};
use super::logs::Logs;
use super::moves::{Evaluation, Moves};
use super::prometheus::{self, Prometheus};
use super::rules::{Rules, RulesError};
use super::running::{Addresses, Lab};
use super::signals::Signals;
use super::ssh::Machines;
use super::store::Store;
use super::tsdb::Tsdb;
use super::world::{self, Scale, World};
use super::{dns, postgres, redis, registry};

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
    /// Serve the nodes' machines over SSH, where there is an sshd to do it with.
    pub machines: bool,
    /// The time in the lab: its servers, objects and samples know no other.
    pub clock: fn() -> Timestamp,
    /// Nothing moves by itself: whoever moves the clock calls [`Lab::step`].
    pub by_hand: bool,
    /// Also write the kubeconfig here.
    pub kubeconfig_out: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            drill: None,
            speed: 1.0,
            seed: 1,
            pods: None,
            nodes: None,
            churn: 0.0,
            machines: false,
            clock: Timestamp::now,
            by_hand: false,
            kubeconfig_out: None,
        }
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

/// Nodes of a full cluster hold this many pods, unless the number of nodes is said.
const PODS_PER_NODE: usize = 20;

/// Minutes of samples before the start, where the clock is moved by hand.
const SHORT_PAST: u32 = 45;

/// Every listener, bound before anything runs, so that a failure leaves nothing behind.
struct Listeners {
    prometheus: TcpListener,
    alertmanager: TcpListener,
    database: TcpListener,
    cache: TcpListener,
    https: TcpListener,
    http: TcpListener,
    registry: TcpListener,
    pods: TcpListener,
    dns: (UdpSocket, TcpListener),
    aws: TcpListener,
}

/// One port for datagrams and streams.
async fn both() -> io::Result<(UdpSocket, TcpListener)> {
    let mut last = None;
    for _ in 0..20 {
        let streams = TcpListener::bind(("127.0.0.1", 0)).await?;
        match UdpSocket::bind(streams.local_addr()?).await {
            Ok(datagrams) => return Ok((datagrams, streams)),
            Err(why) => last = Some(why),
        }
    }
    Err(last.unwrap_or_else(|| io::Error::other("no port is free")))
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
            http: free().await?,
            registry: free().await?,
            pods: free().await?,
            dns: both().await?,
            aws: free().await?,
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
            http: self.http.local_addr()?,
            registry: self.registry.local_addr()?,
            dns: self.dns.1.local_addr()?,
            aws: self.aws.local_addr()?,
        })
    }
}

/// Starts a lab.
///
/// # Errors
/// When a port, a thread or a file cannot be had.
pub async fn start(options: Options) -> Result<Lab, LabError> {
    let (clock, by_hand) = (options.clock, options.by_hand);
    let now = clock();
    let wanted = wanted(&options)?;
    let drill = wanted.drill;
    let (store, logs, signals, tsdb) =
        (Store::new(options.seed), Logs::default(), Signals::at(clock), Tsdb::default());
    let listeners = Listeners::bind().await.map_err(LabError::Listen)?;
    let access = Access::new(clock)?;
    let routes = ProxyRoutes::default();
    let api = access.serve(store.clone(), logs.clone(), routes.clone()).await?;
    let addresses = listeners.addresses(api.addr).map_err(LabError::Listen)?;
    routes.add("monitoring", "prometheus-server", 80, addresses.prometheus);
    routes.add("monitoring", "alertmanager", 9093, addresses.alertmanager);
    let pods = listeners.pods.local_addr().map_err(LabError::Listen)?;
    routes.add_pods(world::NAMESPACE, ("app", "covetpy"), 8000, pods);
    let web_authority = Arc::new(Authority::new("covet lab web CA")?);
    let mut folder = Folder::new().map_err(writing("the lab's folder"))?;
    let files =
        access.write(&mut folder, api.addr, &web_authority.pem(), options.kubeconfig_out.as_deref())?;
    let furnishing = drill.map(|drill| drill.world.clone()).unwrap_or_default();
    let rules = Rules::of(&furnishing.rules_file(), options.speed)?;
    let alertmanager =
        Alertmanager::of(furnishing.alertmanager_file(), now).reading(signals.clone()).at(clock);
    let prometheus = Prometheus {
        tsdb: tsdb.clone(),
        rules: rules.clone(),
        started: now,
        signals: signals.clone(),
        speed: options.speed,
        clock,
        alertmanager_url: format!("http://{}", addresses.alertmanager),
    };
    let stopping = CancellationToken::new();
    let parts = (store.clone(), logs, signals.clone(), tsdb.clone());
    let world = tokio::task::spawn_blocking(move || {
        let (store, logs, signals, tsdb) = parts;
        let mut world = World::new(store, logs, signals, tsdb, wanted, now);
        world.tick(now);
        world
    });
    let world = world.await.map_err(|why| LabError::Thread(io::Error::other(why)))?;
    let generator = format!("http://{}", addresses.prometheus);
    let evaluation = Evaluation::new(rules, tsdb, alertmanager.clone(), generator, signals.clone());
    let moves = Moves::new(clock, world, evaluation);
    let servers =
        serve(listeners, signals, prometheus, alertmanager, (web_authority, moves.clone()), &stopping)?;
    routes.answer_for_kubelets(kubelets(&moves));
    let machines = if options.machines { Machines::serve(&folder, &moves).await } else { None };
    let stopping = stopping.drop_guard();
    let mut lab = Lab {
        drill,
        moves,
        stopping,
        addresses,
        files,
        api,
        routes,
        machines,
        tickers: Vec::new(),
        servers,
        _folder: folder,
    };
    lab.lead_ingresses_home(&store);
    if !by_hand {
        lab.live()?;
    }
    Ok(lab)
}

/// Kubelets answer from the one state of the world.
fn kubelets(moves: &Moves) -> api::Summaries {
    let moves = moves.clone();
    Arc::new(move |node| moves.world(|world| world.disk_summary(node)))
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
    // Whoever moves the clock by hand is in a hurry.
    let usual = if options.by_hand { SHORT_PAST } else { world::Options::default().back_fill_minutes };
    Ok(world::Options {
        drill,
        speed: options.speed,
        seed: options.seed,
        scale,
        back_fill_minutes: drill.and_then(|drill| drill.world.past_minutes).unwrap_or(usual),
    })
}

pub(super) fn writing(what: impl Into<String>) -> impl FnOnce(io::Error) -> LabError {
    move |why| LabError::Write(what.into(), why)
}

fn serve(
    listeners: Listeners,
    signals: Signals,
    prometheus: Prometheus,
    alertmanager: Alertmanager,
    (authority, moves): (Arc<Authority>, Moves),
    stopping: &CancellationToken,
) -> Result<JoinSet<()>, LabError> {
    let ingress = Https::new(signals.clone(), authority)?;
    let mut servers = JoinSet::new();
    servers.spawn(http(listeners.prometheus, prometheus::router(prometheus), stopping.clone()));
    servers.spawn(http(listeners.alertmanager, alertmanager::router(alertmanager), stopping.clone()));
    servers.spawn(http(listeners.http, https::router(signals.clone()), stopping.clone()));
    let database = postgres::serve(listeners.database, signals.clone(), None);
    servers.spawn(until(stopping.clone(), database));
    servers.spawn(http(listeners.registry, registry::router(signals.clone()), stopping.clone()));
    servers.spawn(http(listeners.pods, https::pods(signals.clone()), stopping.clone()));
    let (datagrams, streams) = listeners.dns;
    servers.spawn(http(listeners.aws, aws::router(moves), stopping.clone()));
    servers.spawn(until(stopping.clone(), dns::serve(datagrams, streams, signals.clone())));
    servers.spawn(until(stopping.clone(), redis::serve(listeners.cache, signals)));
    servers.spawn(until(stopping.clone(), ingress.serve(listeners.https)));
    Ok(servers)
}

/// Serves until told to stop; then open connections end too, each after the answer it is giving.
async fn http(listener: TcpListener, router: axum::Router, stopping: CancellationToken) {
    // Ends with the lab alone: a listener on loopback does not break.
    let _ = axum::serve(listener, router).with_graceful_shutdown(stopping.cancelled_owned()).await;
}

async fn until(stopping: CancellationToken, serving: impl Future<Output = io::Result<()>>) {
    tokio::select! {
        () = stopping.cancelled() => {}
        _ = serving => {}
    }
}
