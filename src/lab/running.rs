//! A running lab: where it is, what it says of itself, and its end.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio_util::sync::DropGuard;

use super::access::Files;
use super::alertmanager::Alertmanager;
use super::api::{self, Running};
use super::folder::Folder;
use super::rules::Rules;
use super::start::LabError;
use super::store::Store;
use super::ticker::Ticker;
use super::tsdb::Tsdb;
use super::world::{Drill, World};

/// How often the world moves.
const TICK: Duration = Duration::from_millis(200);
/// How often the rules are evaluated: often enough for a drill, seldom enough for a full cluster.
const EVALUATE: Duration = Duration::from_secs(5);

/// How long answers being given may take when the lab stops.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

/// A running lab. Dropping it stops it; [`Lab::stop`] also waits until all is gone.
pub struct Lab {
    pub(super) drill: Option<&'static Drill>,
    pub(super) world: Arc<Mutex<World>>,
    pub(super) addresses: Addresses,
    pub(super) files: Files,
    pub(super) api: Running,
    pub(super) tickers: Vec<Ticker>,
    pub(super) servers: JoinSet<()>,
    /// Dropping it tells the servers to stop.
    pub(super) stopping: DropGuard,
    pub(super) _folder: Folder,
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
    /// The same without TLS.
    pub http: SocketAddr,
    /// Image registries, by the first part of the path.
    pub registry: SocketAddr,
    /// The name server of the public zones, UDP and TCP.
    pub dns: SocketAddr,
}

impl Lab {
    /// The environment that points clients at this lab. The last ones only the cockpit understands: who
    /// issues the ingress's certificates, what tells whether users are served, whom to ask for names and images.
    pub fn env(&self) -> Vec<(&'static str, String)> {
        let Addresses { prometheus, alertmanager, database, cache, http, registry, dns, .. } = self.addresses;
        let registries = ["ghcr.io", "docker.io", "quay.io", "registry.k8s.io"];
        let registries = registries.map(|host| format!("{host}=http://{registry}/{host}"));
        vec![
            ("KUBECONFIG", self.files.kubeconfig.display().to_string()),
            ("DATABASE_URL", format!("postgresql://app@{database}/covetpy")),
            ("REDIS_URL", format!("redis://{cache}/0")),
            ("PROMETHEUS_URL", format!("http://{prometheus}")),
            ("ALERTMANAGER_URL", format!("http://{alertmanager}")),
            ("COVET_TLS_AUTHORITY", self.files.web_authority.display().to_string()),
            ("COVET_PROBE_URL", format!("http://{http}/health/ready")),
            ("COVET_DNS_SYSTEM", dns.to_string()),
            ("COVET_DNS_PUBLIC", dns.to_string()),
            ("COVET_DNS_AUTHORITATIVE", dns.to_string()),
            ("COVET_REGISTRY_ENDPOINTS", registries.join(",")),
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
        drop(self.stopping);
        let ended = async { while self.servers.join_next().await.is_some() {} };
        // A client that does not read its answer must not keep the lab alive.
        if tokio::time::timeout(LAST_ANSWERS, ended).await.is_err() {
            self.servers.shutdown().await;
        }
        self.api.stop().await;
    }

    /// What goes wrong in this lab.
    pub fn drill(&self) -> Option<&'static Drill> {
        self.drill
    }

    /// Works on the world itself, as somebody at its machines could. Keep it short: time stands still meanwhile.
    pub fn world<R>(&self, work: impl FnOnce(&mut World) -> R) -> R {
        work(&mut self.world.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn live(&mut self) -> Result<(), LabError> {
        let world = Arc::clone(&self.world);
        let ticker = Ticker::start("lab-world", TICK, move |now| {
            world.lock().unwrap_or_else(PoisonError::into_inner).tick(now);
        });
        self.tickers.push(ticker.map_err(LabError::Thread)?);
        Ok(())
    }

    /// Says in every Ingress that its load balancer is the lab's HTTPS endpoint, port and all.
    pub(super) fn lead_ingresses_home(&self, store: &Store) {
        let port = self.addresses.https.port();
        let home = json!([{"ip": "127.0.0.1", "ports": [{"port": port, "protocol": "TCP"}]}]);
        for ingress in store.list("ingresses", None).0 {
            let change = |object: &mut Value| object["status"]["loadBalancer"]["ingress"] = home.clone();
            // It was there a moment ago, and nobody else is at work yet.
            let _ = store.update("ingresses", &ingress.namespace, &ingress.name, Timestamp::now(), change);
        }
    }

    pub(super) fn evaluate(
        &mut self,
        rules: Rules,
        tsdb: Tsdb,
        alertmanager: Alertmanager,
    ) -> Result<(), LabError> {
        let generator = format!("http://{}", self.addresses.prometheus);
        let ticker = Ticker::start("lab-rules", EVALUATE, move |now| {
            alertmanager.tell(rules.evaluate(&tsdb, now), &generator, now);
        });
        self.tickers.push(ticker.map_err(LabError::Thread)?);
        Ok(())
    }
}
