//! Questions to the network: TLS, DNS, HTTP and registries.

use serde::{Deserialize, Serialize};

use super::shell_quote;
use crate::domain::{Effect, text};

/// What is asked; nothing on the network is ever changed.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(tag = "does", rename_all = "kebab-case")]
pub enum NetworkProbe {
    /// The status that a URL answers with.
    HttpProbe { url: String, times: u32 },
}

impl NetworkProbe {
    /// Fixed by the type.
    pub fn effect(&self) -> Effect {
        match self {
            NetworkProbe::HttpProbe { .. } => Effect::Read,
        }
    }

    /// The line a person could paste into a shell.
    pub(super) fn as_command(&self) -> String {
        match self {
            NetworkProbe::HttpProbe { url, .. } => {
                format!("curl -fsS -o /dev/null -w '%{{http_code}}\\n' {}", shell_quote(url))
            }
        }
    }

    /// Hides whatever is secret in it.
    pub(in crate::domain) fn mask(&mut self) {
        match self {
            NetworkProbe::HttpProbe { url, .. } => *url = text::redact(url),
        }
    }
}
