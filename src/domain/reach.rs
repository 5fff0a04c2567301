//! What a user meets on the way to a public host: layer by layer, and the first one that fails.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Name, Timestamp};

/// A layer between a user and the application, from the outside in.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Layer {
    Dns,
    Tcp,
    Tls,
    /// What the load balancer or the ingress controller answers.
    Http,
    /// The Service's endpoints.
    Service,
    /// The pods' own answers.
    Pod,
}

impl Layer {
    pub fn as_str(self) -> &'static str {
        match self {
            Layer::Dns => "DNS",
            Layer::Tcp => "TCP",
            Layer::Tls => "TLS",
            Layer::Http => "HTTP",
            Layer::Service => "Service",
            Layer::Pod => "pods",
        }
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One walk from outside to a public host.
#[derive(Clone, PartialEq, Debug)]
pub struct Walk {
    pub host: Name,
    pub at: Timestamp,
    pub ended: Ended,
    /// Where DNS leads.
    pub addresses: Box<[Name]>,
    /// Where the load balancer of its Ingress is, as far as known.
    pub balancers: Box<[Name]>,
    /// What is odd on this machine alone: its resolver, the authorities it trusts.
    pub note: Option<Name>,
}

/// How a walk ended.
#[derive(Clone, PartialEq, Debug)]
pub enum Ended {
    /// The application, or whoever stands for it, answered with this status.
    Answered { status: u16 },
    /// The first layer that fails, and in whose words.
    Failed { layer: Layer, says: Name },
    /// Only this machine's own resolver was heard, and it does not know the way.
    Doubtful { says: Name },
}

impl Walk {
    pub fn failed(&self) -> Option<(Layer, &Name)> {
        match &self.ended {
            Ended::Failed { layer, says } => Some((*layer, says)),
            _ => None,
        }
    }
}

/// A public host as the walks of the last minutes found it.
#[derive(Clone, PartialEq, Debug)]
pub struct Reach {
    pub last: Walk,
    /// Failed walks in a row.
    pub fails: u32,
    /// When the first of them was.
    pub since: Option<Timestamp>,
    /// When the first of the walks that went well was, while they do.
    pub well_since: Option<Timestamp>,
}

impl Reach {
    /// After one more walk.
    pub fn after(before: Option<&Reach>, walk: Walk) -> Reach {
        let failed = walk.failed().is_some();
        let row = before.filter(|before| before.fails > 0 && failed);
        Reach {
            fails: row.map_or(0, |row| row.fails) + u32::from(failed),
            since: row.map_or_else(|| failed.then_some(walk.at), |row| row.since),
            well_since: match before.and_then(|before| before.well_since) {
                _ if failed => None,
                Some(since) => Some(since),
                None => Some(walk.at),
            },
            last: walk,
        }
    }
}
