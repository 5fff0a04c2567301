//! What is wrong, in one line of words.

use crate::domain::{Anomaly, Blind, Timestamp};
use crate::rules::Rule;

use super::Incident;

/// An incident's title in its parts, so that its age is fresh whenever it is drawn.
#[derive(Clone, PartialEq, Debug)]
pub struct Title {
    /// `rollout 7f9c of covetpy-app crash-looping: OOMKilled`.
    pub what: String,
    /// How many symptoms it explains.
    pub symptoms: usize,
    pub began: Timestamp,
    /// The change nearest before: how long before in seconds, and what: `revision 7`.
    pub after: Option<(u64, String)>,
}

impl Title {
    /// In full, with its age at `now`.
    pub fn at(&self, _now: Timestamp) -> String {
        self.what.clone()
    }
}

/// What is wrong in one line: the worst incident, how many others, or that all is well, or that nobody can tell.
pub fn headline(
    _incidents: &[Incident],
    _anomalies: &[Anomaly],
    _blind: &[(&'static Rule, Blind)],
    _now: Timestamp,
) -> String {
    String::new()
}
