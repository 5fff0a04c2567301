//! How the systems beside the API server are reached, for reads on demand and for hands.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::Settings;
use super::net::Dns;
use crate::domain::System;

/// What was configured of each system; what is None was not.
#[derive(Clone, Debug, Default)]
pub struct Outside {
    /// PostgreSQL, as applications write it; `postgresql+driver://` is understood.
    pub database_url: Option<String>,
    /// Redis.
    pub redis_url: Option<String>,
    pub dns: Dns,
    /// Registries that are asked elsewhere than at their own host: host and base URL.
    pub registries: Vec<(String, String)>,
    /// A PEM file of authorities trusted beside the machine's own.
    pub tls_authority: Option<PathBuf>,
}

impl Outside {
    pub fn of(settings: &Settings) -> Outside {
        Outside {
            database_url: settings.database_url.value.clone(),
            redis_url: settings.redis_url.value.clone(),
            dns: Dns::of(settings),
            registries: registries(settings),
            tls_authority: settings.tls_authority.value.clone(),
        }
    }

    /// The systems that can be asked; steps on others are blocked as not configured.
    pub fn systems(&self) -> BTreeSet<System> {
        let optional =
            [(System::Postgres, self.database_url.is_some()), (System::Redis, self.redis_url.is_some())];
        let configured = optional.into_iter().filter_map(|(system, is)| is.then_some(system));
        [System::Kubernetes, System::Network, System::Prometheus, System::Alertmanager]
            .into_iter()
            .chain(configured)
            .collect()
    }
}

/// `[registry] endpoints`, taken apart.
fn registries(settings: &Settings) -> Vec<(String, String)> {
    let pairs = settings.registry_endpoints.iter().filter_map(|pair| pair.split_once('='));
    pairs.map(|(host, url)| (host.trim().to_owned(), url.trim().trim_end_matches('/').to_owned())).collect()
}
