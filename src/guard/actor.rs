//! Who acts, as the journal names them. Finding it out is the hands' business.

use serde::{Deserialize, Serialize};

use crate::domain::text;

/// The person and place behind an action.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Actor {
    /// As the API server knows them (SelfSubjectReview), or what the kubeconfig calls them.
    pub kube_user: String,
    pub os_user: String,
    pub host: String,
    /// The tmux session, where there is one.
    pub tmux: Option<String>,
    /// The kubeconfig's context they acted in; empty when there was none, or in lines that are older than this.
    #[serde(default)]
    pub context: String,
}

impl std::fmt::Display for Actor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({}@{}", text::clean(&self.kube_user), self.os_user, self.host)?;
        match &self.tmux {
            Some(session) => write!(f, ", tmux {session})"),
            None => f.write_str(")"),
        }
    }
}
