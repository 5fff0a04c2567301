//! The six panels by name: what each shows and where it looks.

use crate::domain::Origin;

#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Panel {
    Pods,
    Nodes,
    Autoscalers,
    Database,
    Latency,
    Certificates,
}

impl Panel {
    pub const ALL: [Panel; 6] =
        [Panel::Pods, Panel::Nodes, Panel::Autoscalers, Panel::Database, Panel::Latency, Panel::Certificates];

    pub fn title(self) -> &'static str {
        match self {
            Panel::Pods => "Pods",
            Panel::Nodes => "Nodes",
            Panel::Autoscalers => "HPA",
            Panel::Database => "DB connections",
            Panel::Latency => "Latency p95",
            Panel::Certificates => "Certificates",
        }
    }

    /// Its key, 1 to 6.
    pub fn number(self) -> usize {
        self as usize + 1
    }

    /// The origins it lives from; each may be missing alone (certificates are seen in two ways).
    pub fn origins(self) -> &'static [Origin] {
        match self {
            Panel::Pods => &[Origin::Pods],
            Panel::Nodes => &[Origin::Nodes],
            Panel::Autoscalers => &[Origin::Autoscalers],
            Panel::Database => &[Origin::Postgres],
            Panel::Latency => &[Origin::Prometheus],
            Panel::Certificates => &[Origin::Tls, Origin::Certificates],
        }
    }

    /// How to let it see, when nobody said where to look.
    pub fn how_to_configure(self) -> &'static str {
        match self {
            Panel::Pods | Panel::Nodes | Panel::Autoscalers => "set KUBECONFIG or --context",
            Panel::Database => "set DATABASE_URL or [database] url",
            Panel::Latency => "set PROMETHEUS_URL or [prometheus] url",
            Panel::Certificates => "add an Ingress with TLS or [tls] hosts",
        }
    }
}
