//! Actions on AWS: calls with their parameters, no client.

use serde::{Deserialize, Serialize};

use crate::domain::{Effect, Name};

/// What is asked of AWS, or changed there.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(tag = "does", rename_all = "kebab-case")]
pub enum AwsCall {}

impl AwsCall {
    /// Fixed by the type.
    pub fn effect(&self) -> Effect {
        match *self {}
    }

    /// What is typed to confirm it.
    pub fn target(&self) -> Option<Name> {
        match *self {}
    }

    /// The line a person could paste into a shell.
    pub(super) fn as_command(&self) -> String {
        match *self {}
    }

    /// Hides whatever is secret in it.
    pub(in crate::domain) fn mask(&mut self) {
        match *self {}
    }
}
