//! How the systems beside the API server are reached, for reads on demand and for hands.

use std::collections::{BTreeMap, BTreeSet};

use super::ssh::{AddressOf, Ssh};
use super::{ScriptSetting, Settings};
use crate::domain::System;

/// What was configured of each system; what is None was not.
#[derive(Clone, Debug, Default)]
pub struct Outside {
    /// PostgreSQL, as applications write it; `postgresql+driver://` is understood.
    pub database_url: Option<String>,
    /// Redis.
    pub redis_url: Option<String>,
    /// The nodes' machines.
    pub ssh: Option<Ssh>,
    /// The team's scripts, by name.
    pub scripts: BTreeMap<String, ScriptSetting>,
}

impl Outside {
    pub fn of(settings: &Settings) -> Outside {
        Outside {
            database_url: settings.database_url.value.clone(),
            redis_url: settings.redis_url.value.clone(),
            ssh: ssh(settings),
            scripts: settings
                .scripts
                .iter()
                .map(|(name, script)| (name.clone(), script.value.clone()))
                .collect(),
        }
    }

    /// The systems that can be asked; steps on others are blocked as not configured.
    pub fn systems(&self) -> BTreeSet<System> {
        let optional = [
            (System::Postgres, self.database_url.is_some()),
            (System::Redis, self.redis_url.is_some()),
            (System::Ssh, self.ssh.is_some()),
            (System::Scripts, !self.scripts.is_empty()),
        ];
        let configured = optional.into_iter().filter_map(|(system, is)| is.then_some(system));
        [System::Kubernetes, System::Network, System::Prometheus, System::Alertmanager]
            .into_iter()
            .chain(configured)
            .collect()
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
