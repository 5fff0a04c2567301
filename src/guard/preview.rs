//! What a person sees before they confirm: the difference, the exact targets, the hazards, the way back.
//! Holds nothing secret: whoever drafts it has masked it.

use std::ops::Deref;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::domain::{Action, Effect, Name, ObjectRef, Timestamp};

/// A preview that was closed by [`super::Armed::seal`]: read it through [`Draft`]'s fields.
#[derive(Clone, PartialEq, Debug)]
pub struct Preview {
    draft: Draft,
}

/// The contents of a preview, while hands are still writing it.
#[derive(Clone, PartialEq, Debug)]
pub struct Draft {
    pub action: Action,
    pub at: Timestamp,
    /// One line: `scale deployment/web from 4 to 6 replicas`.
    pub title: String,
    /// Every object that will be touched, in order.
    pub targets: Vec<String>,
    /// The server's own answer to the dry run against what is there now.
    pub diff: Vec<(DiffTone, String)>,
    pub hazards: Vec<Hazard>,
    /// What must still be so when the hand moves.
    pub pins: Vec<Pin>,
    /// The objects before, masked.
    pub before: Value,
    pub undo: Option<Undo>,
    /// The command a person could paste instead.
    pub command: String,
    pub confirmation: Confirmation,
}

/// How a line of a difference is meant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DiffTone {
    Same,
    Removed,
    Added,
    /// Where in the object the following lines are.
    Place,
}

/// Something to know before confirming.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Hazard {
    pub guard: Guard,
    pub level: Level,
    pub says: String,
}

/// The guards of the audit, g1 to g10 (g6, the database's budget, is the playbooks' to compute).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Guard {
    /// g1: an HPA or KEDA owns the replicas.
    Autoscaler,
    /// g2: GitOps or Helm would revert it.
    Keeper,
    /// g3: what the disruption budgets leave.
    DisruptionBudget,
    /// g4: ResourceQuota and LimitRange.
    Quota,
    /// g5: paused, or another rollout in flight.
    Rollout,
    /// g6: the database's connection budget.
    Connections,
    /// g7: what the API server lets us do.
    Permission,
    /// g8: a protected context.
    Protected,
    /// g9: the last ready replica or endpoint.
    LastReplica,
    /// g10: evidence that would be destroyed.
    Evidence,
    /// What the action itself cannot do: an immutable ConfigMap, a bare pod, a missing token.
    Target,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Good to know.
    Note,
    /// Raises the confirmation to typing the name.
    Warn,
    /// Cannot be confirmed.
    Stop,
}

/// An object as it was seen: acting refuses when it has become another.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Pin {
    pub object: ObjectRef,
    /// None when it did not exist.
    pub uid: Option<Name>,
    pub resource_version: Option<Name>,
    /// A hash of what people decide (spec, data, labels, annotations), not of status: a pod that restarts
    /// meanwhile is no reason to refuse. Written to the journal with a way back alone.
    #[serde(skip)]
    pub content: Option<Name>,
}

/// The way back from an action, itself an action to be previewed.
#[derive(Clone, PartialEq, Debug)]
pub struct Undo {
    pub action: Action,
    pub says: String,
    /// As the objects were left: the way back is refused when somebody moved them since.
    pub left: Vec<Pin>,
}

/// What confirms an action.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Confirmation {
    /// One key.
    Key,
    /// This name, typed.
    Type(Name),
}

impl Preview {
    pub(super) fn seal(draft: Draft) -> Self {
        Self { draft }
    }

    /// The worst hazard's level.
    pub fn worst(&self) -> Option<Level> {
        self.hazards.iter().map(|hazard| hazard.level).max()
    }
}

impl Deref for Preview {
    type Target = Draft;

    fn deref(&self) -> &Draft {
        &self.draft
    }
}

impl Hazard {
    pub fn note(guard: Guard, says: impl Into<String>) -> Self {
        Self { guard, level: Level::Note, says: says.into() }
    }

    pub fn warn(guard: Guard, says: impl Into<String>) -> Self {
        Self { guard, level: Level::Warn, says: says.into() }
    }

    pub fn stop(guard: Guard, says: impl Into<String>) -> Self {
        Self { guard, level: Level::Stop, says: says.into() }
    }
}

impl Guard {
    /// For a person: `autoscaler`, `disruption budget`.
    pub fn as_str(self) -> &'static str {
        match self {
            Guard::Autoscaler => "autoscaler",
            Guard::Keeper => "keeper",
            Guard::DisruptionBudget => "disruption budget",
            Guard::Quota => "quota",
            Guard::Rollout => "rollout",
            Guard::Connections => "connections",
            Guard::Permission => "permission",
            Guard::Protected => "protected context",
            Guard::LastReplica => "last replica",
            Guard::Evidence => "evidence",
            Guard::Target => "target",
        }
    }
}

impl Confirmation {
    /// One key for a change; the name typed for anything disruptive, destructive or hazardous.
    pub fn of(action: &Action, hazards: &[Hazard]) -> Self {
        let hazardous = hazards.iter().any(|hazard| hazard.level >= Level::Warn);
        match action.effect() {
            Effect::Read | Effect::Change if !hazardous => Confirmation::Key,
            _ => Confirmation::Type(action.target().unwrap_or_else(|| "yes".into())),
        }
    }
}
