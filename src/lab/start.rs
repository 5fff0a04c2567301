//! Starts the whole lab on free loopback ports, and stops it again.
//! It knows which servers there are and what each needs; what they do is theirs.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::alertmanager::{self, Alertmanager};
use super::folder::{Folder, write_private};
use super::https::{Authority, Https, HttpsError};
use super::prometheus::{self, Prometheus};
use super::rules::{Rules, RulesError};
use super::signals::Signals;
use super::ticker::Ticker;
use super::tsdb::Tsdb;
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
    #[error("listening on loopback: {0}")]
    Listen(io::Error),
    #[error("writing {0}: {1}")]
    Write(String, io::Error),
    #[error("starting a thread: {0}")]
    Thread(io::Error),
    #[error(transparent)]
    Rules(#[from] RulesError),
    #[error(transparent)]
    Https(#[from] HttpsError),
}

/// How often the rules are evaluated: often enough for a drill, seldom enough for a full cluster.
const EVALUATE: Duration = Duration::from_secs(5);

/// A running lab. Dropping it stops it; [`Lab::stop`] also waits until all is gone.
pub struct Lab {
    addresses: Addresses,
    tickers: Vec<Ticker>,
    servers: JoinSet<()>,
    folder: Folder,
}

/// Where the servers listen.
#[derive(Clone, Copy, Debug)]
pub struct Addresses {
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

    fn addresses(&self) -> io::Result<Addresses> {
        Ok(Addresses {
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
    let listeners = Listeners::bind().await.map_err(LabError::Listen)?;
    let addresses = listeners.addresses().map_err(LabError::Listen)?;
    let folder = Folder::new().map_err(|why| LabError::Write("the lab's folder".to_owned(), why))?;
    let (signals, tsdb) = (Signals::default(), Tsdb::default());
    let rules = Rules::load(options.speed)?;
    let alertmanager = Alertmanager::new(now);
    let authority = Arc::new(Authority::new("covet lab web CA")?);
    let prometheus = Prometheus {
        tsdb: tsdb.clone(),
        rules: rules.clone(),
        started: now,
        alertmanager_url: format!("http://{}", addresses.alertmanager),
    };
    let servers = serve(listeners, signals, prometheus, alertmanager.clone(), authority)?;
    let mut lab = Lab { addresses, tickers: Vec::new(), servers, folder };
    lab.evaluate(rules, tsdb, alertmanager)?;
    Ok(lab)
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
            ("DATABASE_URL", format!("postgresql://app@{database}/covetpy")),
            ("REDIS_URL", format!("redis://{cache}/0")),
            ("PROMETHEUS_URL", format!("http://{prometheus}")),
            ("ALERTMANAGER_URL", format!("http://{alertmanager}")),
        ]
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
