//! A running lab: where it is, what it says of itself, and its end.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio_util::sync::DropGuard;

use super::access::Files;
use super::api::{self, Running};
use super::aws;
use super::folder::Folder;
use super::moves::{EVALUATE, Moves};
use super::ssh::Machines;
use super::start::LabError;
use super::store::Store;
use super::ticker::Ticker;
use super::world::{BALANCER, CLUSTER, DB_CLUSTER, Drill, REGION, World};

/// How often the world moves.
const TICK: Duration = Duration::from_millis(200);

/// How long answers being given may take when the lab stops.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

/// A running lab. Dropping it stops it; [`Lab::stop`] also waits until all is gone.
pub struct Lab {
    pub(super) drill: Option<&'static Drill>,
    pub(super) moves: Moves,
    pub(super) addresses: Addresses,
    pub(super) files: Files,
    /// Where there is an sshd to serve the nodes' machines with.
    pub(super) machines: Option<Machines>,
    pub(super) api: Running,
    pub(super) routes: api::ProxyRoutes,
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
    /// AWS, all services.
    pub aws: SocketAddr,
}

impl Lab {
    /// The environment that points clients at this lab. The last ones only the cockpit understands: who
    /// issues the ingress's certificates, what tells whether users are served, whom to ask for names and images.
    pub fn env(&self) -> Vec<(&'static str, String)> {
        let Addresses { prometheus, alertmanager, database, cache, http, registry, dns, aws, .. } =
            self.addresses;
        let registries = ["ghcr.io", "docker.io", "quay.io", "registry.k8s.io"];
        let registries = registries.map(|host| format!("{host}=http://{registry}/{host}"));
        let mut env = vec![
            ("KUBECONFIG", self.files.kubeconfig.display().to_string()),
            ("DATABASE_URL", format!("postgresql://app@{database}/covetpy")),
            ("COVET_DATABASE_CPUS", crate::lab::world::DATABASE_CPUS.to_string()),
            ("REDIS_URL", format!("redis://{cache}/0")),
            ("PROMETHEUS_URL", format!("http://{prometheus}")),
            ("ALERTMANAGER_URL", format!("http://{alertmanager}")),
            ("AWS_ENDPOINT_URL", format!("http://{aws}")),
            ("AWS_ACCESS_KEY_ID", aws::ACCESS_KEY.to_owned()),
            ("AWS_SECRET_ACCESS_KEY", aws::SECRET_KEY.to_owned()),
            ("AWS_REGION", REGION.to_owned()),
            ("COVET_AWS_EKS_CLUSTER", CLUSTER.to_owned()),
            ("COVET_AWS_DB_CLUSTER", DB_CLUSTER.to_owned()),
            ("COVET_TLS_AUTHORITY", self.files.web_authority.display().to_string()),
            ("COVET_PROBE_URL", format!("http://{http}/health/ready")),
            ("COVET_DNS_SYSTEM", dns.to_string()),
            ("COVET_DNS_PUBLIC", dns.to_string()),
            ("COVET_DNS_AUTHORITATIVE", dns.to_string()),
            ("COVET_REGISTRY_ENDPOINTS", registries.join(",")),
        ];
        env.extend(
            self.machines.as_ref().map(|ssh| ("COVET_SSH_CONFIG", ssh.config().display().to_string())),
        );
        env
    }

    /// The kubeconfig of somebody who may do everything.
    pub fn kubeconfig(&self) -> &Path {
        &self.files.kubeconfig
    }

    /// The kubeconfig of somebody bound to the ClusterRole `view`: no nodes, leases or Secrets, nothing to change.
    pub fn view_kubeconfig(&self) -> &Path {
        &self.files.view_kubeconfig
    }

    /// The kubeconfig of somebody bound to `edit` in the namespace of the app, and to nothing else.
    pub fn edit_kubeconfig(&self) -> &Path {
        &self.files.edit_kubeconfig
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

    /// Lets a pod carry port-forwards for one of its ports to this address.
    pub fn carry(&self, namespace: &str, pod: &str, port: u16, to: SocketAddr) {
        self.routes.add(namespace, pod, port, to);
    }

    /// What goes wrong in this lab.
    pub fn drill(&self) -> Option<&'static Drill> {
        self.drill
    }

    /// Works on the world itself, as somebody at its machines could. Keep it short: time stands still meanwhile.
    pub fn world<R>(&self, work: impl FnOnce(&mut World) -> R) -> R {
        self.moves.world(work)
    }

    /// Moves the lab to where its clock stands, in a lab that is moved by hand.
    pub fn step(&self) {
        self.moves.world(|world| world.tick((self.moves.clock)()));
        self.moves.evaluation.when_due((self.moves.clock)());
    }

    /// From here on it moves by itself.
    pub(super) fn live(&mut self) -> Result<(), LabError> {
        let Moves { clock, .. } = self.moves;
        let moves = self.moves.clone();
        let tick = move || moves.world(|world| world.tick(clock()));
        self.tickers.push(Ticker::start("lab-world", TICK, tick).map_err(LabError::Thread)?);
        let evaluation = self.moves.evaluation.clone();
        let evaluate = move || evaluation.run(clock());
        self.tickers.push(Ticker::start("lab-rules", EVALUATE, evaluate).map_err(LabError::Thread)?);
        Ok(())
    }

    /// Says in every Ingress that its load balancer is the lab's HTTPS endpoint, port and all.
    pub(super) fn lead_ingresses_home(&self, store: &Store) {
        let port = self.addresses.https.port();
        let home = json!([{"hostname": BALANCER, "ports": [{"port": port, "protocol": "TCP"}]}]);
        for ingress in store.list("ingresses", None).0 {
            let change = |object: &mut Value| object["status"]["loadBalancer"]["ingress"] = home.clone();
            // It was there a moment ago, and nobody else is at work yet.
            let _ =
                store.update("ingresses", &ingress.namespace, &ingress.name, (self.moves.clock)(), change);
        }
    }
}
