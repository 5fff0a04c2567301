//! How the systems beside the API server are reached, for reads on demand and for hands.

use std::collections::BTreeSet;

use super::Settings;
use super::aws::Aws;
use crate::domain::System;

/// What was configured of each system; what is None was not.
#[derive(Clone, Debug, Default)]
pub struct Outside {
    /// PostgreSQL, as applications write it; `postgresql+driver://` is understood.
    pub database_url: Option<String>,
    /// Redis.
    pub redis_url: Option<String>,
    pub aws: Option<Aws>,
}

impl Outside {
    pub fn of(settings: &Settings) -> Outside {
        Outside {
            database_url: settings.database_url.value.clone(),
            redis_url: settings.redis_url.value.clone(),
            aws: Aws::of(&settings.aws),
        }
    }

    /// The systems that can be asked; steps on others are blocked as not configured.
    pub fn systems(&self) -> BTreeSet<System> {
        let optional = [
            (System::Postgres, self.database_url.is_some()),
            (System::Redis, self.redis_url.is_some()),
            (System::Aws, self.aws.is_some()),
        ];
        let configured = optional.into_iter().filter_map(|(system, is)| is.then_some(system));
        [System::Kubernetes, System::Network, System::Prometheus, System::Alertmanager]
            .into_iter()
            .chain(configured)
            .collect()
    }
}
