//! Scripts of the team's own. What a name runs stands in the settings, never in an action: a playbook can
//! only give values to a script that somebody configured.

use serde::{Deserialize, Serialize};

use crate::domain::{Effect, Name, mask};

/// A configured script.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(tag = "does", rename_all = "kebab-case")]
pub enum Script {
    RunScript {
        /// Its name under `[scripts]`.
        script: Name,
        /// Values for the placeholders among its arguments.
        with: Vec<(String, String)>,
    },
}

impl Script {
    /// Nobody can know what a script does, so it is of the worst kind.
    pub fn effect(&self) -> Effect {
        Effect::Destructive
    }

    /// What is typed to confirm it.
    pub fn target(&self) -> Option<Name> {
        let Script::RunScript { script, .. } = self;
        Some(script.clone())
    }

    /// Not the line itself, which stands in the settings: the preview shows it.
    pub(super) fn as_command(&self) -> String {
        let Script::RunScript { script, with } = self;
        let with: Vec<String> =
            with.iter().map(|(name, value)| format!(" {name}={}", super::shell_quote(value))).collect();
        format!("# [scripts] {script}:{}", with.concat())
    }

    /// Hides whatever is secret in it.
    pub(in crate::domain) fn mask(&mut self) {
        let Script::RunScript { with, .. } = self;
        for (name, value) in with {
            if mask::is_telling(name, value) {
                *value = mask::masked(value);
            }
        }
    }
}
