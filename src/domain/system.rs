//! The systems the cockpit works with, and how each is configured.

use serde::{Deserialize, Serialize};

/// A system that is reached by its own client.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum System {
    Kubernetes,
    Postgres,
    Redis,
    Prometheus,
    Alertmanager,
    Aws,
    /// The nodes' machines.
    Ssh,
    /// TLS, DNS, HTTP, registries: nothing is configured to reach them.
    Network,
    /// The team's own scripts.
    Scripts,
}

impl System {
    /// For a person.
    pub fn as_str(self) -> &'static str {
        match self {
            System::Kubernetes => "Kubernetes",
            System::Postgres => "PostgreSQL",
            System::Redis => "Redis",
            System::Prometheus => "Prometheus",
            System::Alertmanager => "Alertmanager",
            System::Aws => "AWS",
            System::Ssh => "SSH",
            System::Network => "network",
            System::Scripts => "scripts",
        }
    }

    /// The one line that configures it.
    pub fn configure(self) -> &'static str {
        match self {
            System::Kubernetes => "give a kubeconfig with --kubeconfig or $KUBECONFIG",
            System::Postgres => "set DATABASE_URL or [database] url",
            System::Redis => "set REDIS_URL or [redis] url",
            System::Prometheus => "set PROMETHEUS_URL or [prometheus] url",
            System::Alertmanager => "set ALERTMANAGER_URL or [alertmanager] url",
            System::Aws => "set AWS_PROFILE or [aws] profile",
            System::Ssh => "set [ssh] user or COVET_SSH_USER",
            System::Network => "nothing to configure",
            System::Scripts => "name it under [scripts]",
        }
    }
}
