//! A Kubernetes API server over the lab's store, good enough for kubectl, kube-rs and client-go.
//! It knows the protocol; what the objects do in between is the world's business.
//!
//! Reading order: `server` (TLS, connections) → `route` (who, what, may they) → `list`, `watch`, `write`,
//! `patch`, `delete` and the subresources → `render` (bytes out).
mod admit;
mod apply;
mod auth;
mod call;
mod collect;
mod columns;
mod commands;
mod defaults;
mod delete;
mod discovery;
mod events;
mod evict;
mod exec;
mod fields;
mod list;
mod log;
mod openapi;
mod patch;
mod pod_words;
mod portforward;
mod protobuf;
mod protobuf_job;
mod proxy;
mod quantity;
mod rbac;
mod render;
mod review;
mod route;
mod scale;
mod select;
mod server;
mod status;
mod strategic;
mod table;
mod tls;
mod validate;
mod validate_pod;
mod watch;
mod workload_columns;
mod write;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

pub use auth::{Role, Tokens};
pub use proxy::{ProxyRoutes, Summaries};
pub use server::{Running, serve};
pub use tls::{Authority, TlsError};

use crate::lab::logs::Logs;
use crate::lab::store::Store;

/// What time it is, in the objects the server writes.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// What a server serves, and to whom.
#[derive(Clone)]
pub struct Settings {
    pub store: Store,
    pub logs: Logs,
    pub tokens: Tokens,
    /// Where `services/NAME:PORT/proxy` and `pods/NAME:PORT/proxy` lead.
    pub routes: ProxyRoutes,
    pub clock: Clock,
}

/// How often each user did each verb on each resource (`get pods/log`), since the start.
#[derive(Clone, Default)]
pub struct Audit(Arc<Mutex<Counts>>);

/// (user, verb, resource) → count.
pub type Counts = BTreeMap<(String, String, String), u64>;

impl Audit {
    fn note(&self, user: &str, verb: &str, resource: &str) {
        let key = (user.to_owned(), verb.to_owned(), resource.to_owned());
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(key).or_default() += 1;
    }

    pub fn counts(&self) -> Counts {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The running server's parts.
struct Api {
    store: Store,
    logs: Logs,
    tokens: Tokens,
    routes: ProxyRoutes,
    clock: Clock,
    audit: Audit,
    pages: list::Pages,
    stopping: CancellationToken,
}

/// A kubeconfig with one cluster, user and context (`covet-lab`). `namespace` is the context's default.
pub fn kubeconfig(addr: SocketAddr, ca_pem: &str, token: &str, namespace: &str) -> String {
    use base64::{Engine, prelude::BASE64_STANDARD};
    let authority = BASE64_STANDARD.encode(ca_pem);
    format!(
        "apiVersion: v1\nkind: Config\nclusters:\n- name: covet-lab\n  cluster:\n    server: https://{addr}\n    \
         certificate-authority-data: {authority}\ncontexts:\n- name: covet-lab\n  context:\n    cluster: covet-lab\n    \
         user: covet-lab\n    namespace: {namespace}\ncurrent-context: covet-lab\nusers:\n- name: covet-lab\n  user:\n    \
         token: {token}\n"
    )
}
