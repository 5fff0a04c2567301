//! How the systems beside the API server are reached, for reads on demand and for hands.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use super::aws::Aws;
use super::net::Dns;
use super::ssh::{AddressOf, Ssh};
use super::{
    ConnectError, DatabaseKeeper, DatabaseRefusal, DatabaseSession, DatabaseTarget, DatabaseUsers,
    DatabaseWay, ScriptSetting, Settings,
};
use crate::domain::{BlindKind, System};

/// What was configured of each system; what is None was not.
#[derive(Clone, Debug, Default)]
pub struct Outside {
    /// PostgreSQL, as applications write it; `postgresql+driver://` is understood.
    pub database_url: Option<String>,
    /// The way to it, as written; None is direct.
    pub database_via: Option<String>,
    /// The application's table of accounts, as written; None is the usual one.
    pub database_users: Option<String>,
    /// The namespace of a forwarder whose namespace is not written.
    pub namespace: Option<String>,
    /// The database session that reads on demand and previews share.
    pub database_kept: DatabaseKeeper,
    /// Redis.
    pub redis_url: Option<String>,
    pub dns: Dns,
    /// Registries that are asked elsewhere than at their own host: host and base URL.
    pub registries: Vec<(String, String)>,
    /// A PEM file of authorities trusted beside the machine's own.
    pub tls_authority: Option<PathBuf>,
    /// Prometheus; looked for in the cluster when None, not used when `off`.
    pub prometheus_url: Option<String>,
    /// Alertmanager; the same.
    pub alertmanager_url: Option<String>,
    pub aws: Option<Aws>,
    /// The nodes' machines.
    pub ssh: Option<Ssh>,
    /// The team's scripts, by name.
    pub scripts: BTreeMap<String, ScriptSetting>,
}

impl Outside {
    pub fn of(settings: &Settings) -> Outside {
        Outside {
            database_url: settings.database_url.value.clone().filter(|url| url != "off"),
            database_via: settings.database_via.value.clone(),
            database_users: Some(settings.database_users.value.clone()),
            namespace: settings.namespace.one().map(ToString::to_string),
            database_kept: DatabaseKeeper::default(),
            redis_url: settings.redis_url.value.clone(),
            dns: Dns::of(settings),
            registries: registries(settings),
            tls_authority: settings.tls_authority.value.clone(),
            prometheus_url: settings.prometheus.url.value.clone(),
            alertmanager_url: settings.alertmanager_url.value.clone(),
            aws: Aws::of(&settings.aws),
            ssh: ssh(settings),
            scripts: settings
                .scripts
                .iter()
                .map(|(name, script)| (name.clone(), script.value.clone()))
                .collect(),
        }
    }

    /// The region in the name of the database's host, if it is at RDS.
    pub fn database_region(&self) -> Option<String> {
        let host = super::aws::host_of(self.database_url.as_deref()?)?;
        super::aws::region_of(&host).map(ToOwned::to_owned)
    }

    /// The systems that can be asked; steps on others are blocked as not configured.
    pub fn systems(&self) -> BTreeSet<System> {
        let used = |url: &Option<String>| url.as_deref() != Some("off");
        let optional = [
            (System::Postgres, self.database_url.is_some()),
            (System::Redis, self.redis_url.is_some()),
            (System::Prometheus, used(&self.prometheus_url)),
            (System::Alertmanager, used(&self.alertmanager_url)),
            (System::Aws, self.aws.is_some()),
            (System::Ssh, self.ssh.is_some()),
            (System::Scripts, !self.scripts.is_empty()),
        ];
        let configured = optional.into_iter().filter_map(|(system, is)| is.then_some(system));
        [System::Kubernetes, System::Network].into_iter().chain(configured).collect()
    }

    /// The database and the way to it; `cluster` carries port-forwards.
    ///
    /// # Errors
    /// None is configured, or what is configured is not understood.
    pub fn database(&self, cluster: Option<kube::Client>) -> Result<DatabaseTarget, ConnectError> {
        let Some(url) = self.database_url.as_deref() else {
            let why = "no database is configured";
            return Err(ConnectError::new(BlindKind::NotConfigured, why, System::Postgres.configure()));
        };
        let ssh = self.ssh.as_ref().and_then(|ssh| ssh.config.as_deref());
        let way = self.database_via.as_deref().unwrap_or_default();
        let way = DatabaseWay::parse(way, self.namespace.as_deref(), ssh)?;
        Ok(DatabaseTarget::new(url, way)?.through(cluster))
    }

    /// The session that is kept open to look at the database. Asking for it early keeps a slot for later.
    ///
    /// # Errors
    /// Why it cannot be had.
    pub async fn database_session(
        &self,
        cluster: Option<kube::Client>,
    ) -> Result<Arc<DatabaseSession>, DatabaseRefusal> {
        let target = self.database(cluster).map_err(DatabaseRefusal::NoWay)?;
        self.database_kept.session(&target).await
    }

    /// The application's accounts.
    ///
    /// # Errors
    /// What is configured is not of the form `table(id, name, active, …)`.
    pub fn users(&self) -> Result<DatabaseUsers, ConnectError> {
        match self.database_users.as_deref() {
            Some(text) => DatabaseUsers::parse(text),
            None => DatabaseUsers::parse(&Settings::default().database_users.value),
        }
    }
}

/// A user or a config file says that somebody wants machines to be reached.
fn ssh(settings: &Settings) -> Option<Ssh> {
    let ssh = &settings.ssh;
    let wanted = ssh.user.is_some() || ssh.config.is_some();
    wanted.then(|| Ssh {
        user: ssh.user.value.clone(),
        port: ssh.port.value,
        config: ssh.config.value.clone(),
        jump: ssh.jump.value.clone(),
        address: AddressOf::parse(&ssh.address).unwrap_or_default(),
    })
}

/// `[registry] endpoints`, taken apart.
fn registries(settings: &Settings) -> Vec<(String, String)> {
    let pairs = settings.registry_endpoints.iter().filter_map(|pair| pair.split_once('='));
    pairs.map(|(host, url)| (host.trim().to_owned(), url.trim().trim_end_matches('/').to_owned())).collect()
}
