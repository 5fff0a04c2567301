//! One pass over a snapshot: what every rule asks for, found once. Healthy pods cost one look each.

use crate::domain::{Snapshot, Timestamp};

use super::Thresholds;

/// What a rule looks at.
#[derive(Debug)]
pub struct Scene<'a> {
    pub snapshot: &'a Snapshot,
    pub thresholds: &'a Thresholds,
    pub now: Timestamp,
}

impl<'a> Scene<'a> {
    pub fn new(snapshot: &'a Snapshot, thresholds: &'a Thresholds, now: Timestamp) -> Self {
        Self { snapshot, thresholds, now }
    }
}
