//! What a causal link between two rules is: what both must have in common, and for how long it holds.

use jiff::SignedDuration;

use crate::domain::{Anomaly, Kind};

/// Onsets are estimates, and clocks differ.
pub(super) const SLACK: SignedDuration = SignedDuration::from_secs(60);

/// One row of the table of causal links.
#[derive(Clone, Copy)]
pub(super) struct Causation {
    pub cause: &'static str,
    pub effect: &'static str,
    pub join: Join,
    /// How long after the cause the effect may begin.
    pub window: SignedDuration,
    /// How much earlier than the cause the effect may seem to begin.
    pub slack: SignedDuration,
    pub weight: f64,
    /// What else must hold.
    pub when: fn(&Anomaly, &Anomaly) -> bool,
    pub why: &'static str,
}

/// What cause and effect must have in common.
#[derive(Clone, Copy)]
pub(super) enum Join {
    /// They touch the same object of this kind.
    Object(Kind),
    /// They touch objects of the same namespace.
    Namespace,
    /// They are about the same public host.
    Host,
    /// There is one database, or one of everything that matters.
    Anything,
}

/// Minutes, for what is one thing seen twice: both beginnings are estimates.
pub(super) const AT_ANY_TIME: i64 = 366 * 24 * 60;

pub(super) const fn row(
    (cause, effect): (&'static str, &'static str),
    join: Join,
    minutes: i64,
    weight: f64,
    why: &'static str,
) -> Causation {
    let window = SignedDuration::from_mins(minutes);
    Causation { cause, effect, join, window, slack: SLACK, weight, when: |_, _| true, why }
}

/// A rollout seems to be stuck since its last progress, which is before its pods fail.
pub(super) const fn of_rollout(row: Causation) -> Causation {
    Causation { slack: row.window, ..row }
}

/// As [`of_rollout`], of what befell a node: what had stood still for longer before did so for another reason. As long as
/// a rollout may stand still before it is told.
pub(super) const fn of_node(row: Causation) -> Causation {
    Causation { slack: SignedDuration::from_mins(3), ..row }
}

/// The cause was there first: estimates apart, the effect may not seem to begin earlier.
pub(super) const fn strictly(row: Causation) -> Causation {
    Causation { slack: SignedDuration::ZERO, ..row }
}

pub(super) const fn when(row: Causation, when: fn(&Anomaly, &Anomaly) -> bool) -> Causation {
    Causation { when, ..row }
}
