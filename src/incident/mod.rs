//! Findings in, Incidents out: causal links, root ranking, what changed before the onset.
//! Knows which anomaly can cause which. It must not know playbooks or the screen.

mod changes;
mod headline;
mod memory;

use std::fmt;

use crate::domain::{Anomaly, AnomalyId, Change, Name, Severity, Snapshot, Timestamp};

pub use changes::changes;
pub use headline::{Title, headline};
pub use memory::{Memory, Resolved};

/// Anomalies that one thing explains.
#[derive(Clone, PartialEq, Debug)]
pub struct Incident {
    pub id: IncidentId,
    pub title: Title,
    /// The worst of its members.
    pub severity: Severity,
    /// The earliest of its members.
    pub onset: Timestamp,
    /// What best explains the others.
    pub root: AnomalyId,
    /// The root first, then by severity.
    pub members: Vec<AnomalyId>,
    /// The members that the root explains, directly or not.
    pub symptoms: Vec<AnomalyId>,
    pub links: Vec<Link>,
    /// What changed in the window before the onset and since, the nearest before the onset first.
    pub changes: Vec<Change>,
    /// How well the root explains the rest, 0 to 1.
    pub score: f64,
}

/// The id of the incident's earliest anomaly: it stays when the root turns out to be another.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct IncidentId(pub Name);

impl fmt::Display for IncidentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One anomaly explains another.
#[derive(Clone, PartialEq, Debug)]
pub struct Link {
    pub cause: AnomalyId,
    pub effect: AnomalyId,
    /// In words: `the newest revision cannot become available while its pods crash`.
    pub why: String,
    /// 0 to 1.
    pub weight: f64,
}

/// Groups anomalies into incidents, the worst first. Anomalies below the score of 0.7 alone make none.
pub fn incidents(_anomalies: &[Anomaly], _snapshot: &Snapshot, _now: Timestamp) -> Vec<Incident> {
    Vec::new()
}
