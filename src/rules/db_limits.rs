//! Roles and databases at a connection limit of their own: clients are turned away while the server has room.

use crate::domain::{Cause, ConnectionLimit, Evidence, Origin, Severity, Timestamp, cause};

use super::db_pool::activity;
use super::workload::{Bindings, evidence};
use super::{Scene, Threshold, Unit};

pub(super) const OWN_LIMIT: Threshold = Threshold {
    key: "db-pool.own-limit",
    default: 0.9,
    unit: Unit::Ratio,
    says: "share of a role's or a database's own connection limit in use; at the limit it is critical",
    source: "our own choice, as for the whole server",
};

/// The fullest of those that are close to what they may have, and since when that has been seen.
pub(super) struct Limits<'a> {
    pub since: Timestamp,
    close: Vec<&'a ConnectionLimit>,
}

impl<'a> Limits<'a> {
    pub(super) fn of(scene: &Scene<'a>) -> Option<Self> {
        let seen = activity(scene)?;
        let (since, _) = scene.snapshot.activity.as_ref()?;
        let share = scene.threshold(&OWN_LIMIT);
        let mut close: Vec<_> = seen.limits.iter().filter(|limit| limit.fill() >= share - 1e-9).collect();
        close.sort_by(|one, other| other.fill().total_cmp(&one.fill()));
        (!close.is_empty()).then_some(Self { since: *since, close })
    }

    pub(super) fn says(&self) -> String {
        self.close[0].says()
    }

    pub(super) fn severity(&self) -> Severity {
        if self.close[0].is_reached() { Severity::Critical } else { Severity::Warning }
    }

    pub(super) fn facts(&self) -> impl Iterator<Item = Evidence> {
        self.close.iter().map(|limit| evidence(Origin::Postgres, None, limit.says()))
    }

    /// What the server has left does not help them.
    pub(super) fn cause(&self) -> Cause {
        Cause { name: cause::CONNECTION_LIMIT, says: self.says(), weight: 0.95 }
    }

    pub(super) fn bindings(&self) -> Bindings {
        Bindings::from([("connection_limit_command", self.close[0].raised_by())])
    }
}
