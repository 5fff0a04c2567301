//! Who may come in: the API server's authority and tokens, and the files that point clients at the lab.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;

use super::api::{self, ProxyRoutes, Role, Running, Tokens};
use super::folder::Folder;
use super::logs::Logs;
use super::start::{LabError, writing};
use super::store::Store;
use super::world;

/// What clients are pointed at, in a folder only its owner may look into.
#[derive(Clone, Debug)]
pub(super) struct Files {
    pub(super) kubeconfig: PathBuf,
    pub(super) view_kubeconfig: PathBuf,
    pub(super) edit_kubeconfig: PathBuf,
    pub(super) web_authority: PathBuf,
}

/// What the API server needs before it can serve: its authority and a token per role.
pub(super) struct Access {
    authority: api::Authority,
    admin: String,
    view: String,
    edit: String,
    clock: fn() -> Timestamp,
}

impl Access {
    pub(super) fn new(clock: fn() -> Timestamp) -> Result<Self, LabError> {
        let token = || uuid::Uuid::now_v7().simple().to_string();
        Ok(Self {
            authority: api::Authority::new(clock())?,
            admin: token(),
            view: token(),
            edit: token(),
            clock,
        })
    }

    pub(super) async fn serve(
        &self,
        store: Store,
        logs: Logs,
        routes: ProxyRoutes,
    ) -> Result<Running, LabError> {
        let tokens = Tokens::default();
        tokens.grant(&self.admin, "oncall@covet.example", Role::Admin);
        tokens.grant(&self.view, "viewer@covet.example", Role::View);
        tokens.grant(&self.edit, "developer@covet.example", Role::Edit(world::NAMESPACE));
        let settings = api::Settings { store, logs, tokens, routes, clock: Arc::new(self.clock) };
        let tls = self.authority.server((self.clock)(), &["h2", "http/1.1"])?;
        api::serve(settings, tls, ([127, 0, 0, 1], 0).into()).await.map_err(LabError::Listen)
    }

    pub(super) fn write(
        &self,
        folder: &mut Folder,
        addr: SocketAddr,
        web_authority: &str,
        copy: Option<&Path>,
    ) -> Result<Files, LabError> {
        let config = |token: &str| api::kubeconfig(addr, self.authority.pem(), token, world::NAMESPACE);
        if let Some(copy) = copy {
            folder.write_outside(copy, &config(&self.admin)).map_err(writing(copy.display().to_string()))?;
        }
        let write = |name: &str, text: &str| folder.write(name, text).map_err(writing(name));
        Ok(Files {
            kubeconfig: write("kubeconfig", &config(&self.admin))?,
            view_kubeconfig: write("kubeconfig-view", &config(&self.view))?,
            edit_kubeconfig: write("kubeconfig-edit", &config(&self.edit))?,
            web_authority: write("web-ca.crt", web_authority)?,
        })
    }
}
