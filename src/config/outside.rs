//! How the systems beside the API server are reached, for reads on demand and for hands.

use std::collections::BTreeSet;

use super::Settings;
use crate::domain::System;

/// What was configured of each system; what is None was not.
#[derive(Clone, Debug, Default)]
pub struct Outside {
    /// PostgreSQL, as applications write it; `postgresql+driver://` is understood.
    pub database_url: Option<String>,
    /// Redis.
    pub redis_url: Option<String>,
    /// Prometheus; looked for in the cluster when None, not used when `off`.
    pub prometheus_url: Option<String>,
    /// Alertmanager; the same.
    pub alertmanager_url: Option<String>,
}

impl Outside {
    pub fn of(settings: &Settings) -> Outside {
        Outside {
            database_url: settings.database_url.value.clone(),
            redis_url: settings.redis_url.value.clone(),
            prometheus_url: settings.prometheus.url.value.clone(),
            alertmanager_url: settings.alertmanager_url.value.clone(),
        }
    }

    /// The systems that can be asked; steps on others are blocked as not configured.
    pub fn systems(&self) -> BTreeSet<System> {
        let used = |url: &Option<String>| url.as_deref() != Some("off");
        let optional = [
            (System::Postgres, self.database_url.is_some()),
            (System::Redis, self.redis_url.is_some()),
            (System::Prometheus, used(&self.prometheus_url)),
            (System::Alertmanager, used(&self.alertmanager_url)),
        ];
        let configured = optional.into_iter().filter_map(|(system, is)| is.then_some(system));
        [System::Kubernetes, System::Network].into_iter().chain(configured).collect()
    }
}
