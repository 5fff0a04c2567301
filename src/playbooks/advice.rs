//! What goes into a plan and what comes out of it. Values only; how they are made is `plan` and `decide`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::domain::{Access, Action, Anomaly, Effect, Found, Snapshot, System, Timestamp, cause};

use super::{Grounds, StepPhase};

/// Everything a plan is made from.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    pub anomaly: &'a Anomaly,
    /// It is judged to be there now; otherwise `anomaly` is how it was seen last.
    pub fires: bool,
    pub snapshot: &'a Snapshot,
    /// Values for placeholders from settings; the names are in [`super::SETTINGS`].
    pub settings: &'a BTreeMap<String, String>,
    /// The systems that are configured; steps on others are blocked.
    pub systems: &'a BTreeSet<System>,
    pub read_only: bool,
    /// What the API server does not let us do.
    pub denied: &'a BTreeSet<Access>,
    pub now: Timestamp,
    pub progress: &'a Progress,
}

/// What has been done about one anomaly so far, by step id.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Progress {
    pub steps: BTreeMap<String, Done>,
    /// Changes that the guard refused to preview or to make: when, and why.
    pub refused: BTreeMap<String, (Timestamp, String)>,
}

/// A step that ran.
#[derive(Clone, PartialEq, Debug)]
pub struct Done {
    pub at: Timestamp,
    /// A change that worked, or a read that found nothing wrong.
    pub ok: bool,
    /// One line.
    pub says: String,
    /// Causes recognised in what was read (see [`super::find`]).
    pub found: Vec<Found>,
    /// Values it determined for later placeholders.
    pub bindings: BTreeMap<String, String>,
    /// What it was read for; None for a change, which is never outdated.
    pub grounds: Option<Grounds>,
    /// How a change was made; None for a read.
    pub change: Option<Made>,
    /// It was taken back.
    pub undone: bool,
    /// What it was done for, where its step is open again for more (see [`super::Step::each`]).
    pub covers: BTreeSet<String>,
}

/// A change as it was made.
#[derive(Clone, PartialEq, Debug)]
pub struct Made {
    /// How its step was called then: by now its words may mean another pod or revision.
    pub title: String,
    pub action: Action,
    /// When a person confirmed it; [`Done::at`] is when it had ended.
    pub began: Timestamp,
    /// How often its step was done in a row for this anomaly and not taken back, this time included.
    pub times: u32,
    /// The way back from it is known.
    pub undoable: bool,
}

/// A playbook bound to one anomaly: every step with its state, and the one to take next.
#[derive(Clone, PartialEq, Debug)]
pub struct Plan {
    /// The playbook's id.
    pub playbook: String,
    pub title: String,
    pub steps: Vec<PlannedStep>,
    /// Into `steps`; None only when it is resolved, or when every step is done or blocked.
    pub suggested: Option<usize>,
    /// Why this one, or why none, in one line.
    pub why: String,
    /// Into `steps`; at most two.
    pub alternatives: Vec<usize>,
    /// The playbook that has to go first.
    pub parent: Option<String>,
    pub resolved: Resolution,
    pub follow_up: Vec<ChecklistItem>,
}

#[derive(Clone, PartialEq, Debug)]
pub struct PlannedStep {
    pub id: String,
    pub phase: StepPhase,
    /// With its placeholders filled in, as far as they are known.
    pub title: String,
    /// Why the step exists; why it is suggested now is in its state.
    pub why: String,
    pub state: StepState,
    /// Bound to real targets; None while a value is missing.
    pub action: Option<Action>,
    /// What a person may change before it runs.
    pub inputs: Vec<Input>,
    /// What it would be done for now (see [`super::Step::each`]).
    pub covers: BTreeSet<String>,
    pub effect: Effect,
    /// How it is taken back; None if it can't be.
    pub undo: Option<String>,
    /// A read that runs by itself when the anomaly is opened.
    pub auto: bool,
    /// What to know before doing it: who would revert it, whom it touches.
    pub notes: Vec<String>,
    /// What the API server has to allow for it, as far as it is known before it is tried.
    pub access: Option<Access>,
    /// Why somebody else has to do it: this session may only look, or we lack the right. It stays what helps.
    pub not_ours: Option<String>,
    /// The step it takes back; no step of the playbook itself does.
    pub takes_back: Option<String>,
}

#[derive(Clone, PartialEq, Debug)]
pub enum StepState {
    Done {
        at: Timestamp,
        ok: bool,
        says: String,
    },
    Suggested {
        why: String,
    },
    Available,
    /// It can be done, but the evidence speaks against it.
    NotAdvised {
        why: String,
    },
    /// It can't be done now, and this is what stands in the way.
    Blocked {
        why: String,
    },
}

/// A value a person may change.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Input {
    pub name: String,
    pub label: String,
    /// What the playbook computed, if it could.
    pub default: Option<String>,
    /// What holds now: the default, until a person changes it.
    pub value: Option<String>,
}

/// A value that is missing or not acceptable.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MissingInput {
    /// The placeholder or parameter.
    pub name: String,
    /// What is wrong and what would be right, in one line.
    pub says: String,
}

/// How far the anomaly is from being resolved.
#[derive(Clone, PartialEq, Debug)]
pub struct Resolution {
    /// What holds, what doesn't yet, and how much time is left.
    pub says: String,
    /// Since when everything has held; None while something doesn't.
    pub holds_since: Option<Timestamp>,
    /// For how long it has to hold.
    pub for_: Duration,
    pub reached: bool,
}

impl Resolution {
    /// How long it still has to hold; None while something doesn't hold.
    pub fn left(&self, now: Timestamp) -> Option<Duration> {
        Some(self.for_.saturating_sub(crate::domain::between(self.holds_since?, now)))
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ChecklistItem {
    pub id: String,
    pub says: String,
    /// What the cockpit sees by itself; None where only a person can tell.
    pub auto: Option<bool>,
}

impl Plan {
    pub fn step(&self, id: &str) -> Option<&PlannedStep> {
        self.steps.iter().find(|step| step.id == id)
    }

    /// The step to take next.
    pub fn suggestion(&self) -> Option<&PlannedStep> {
        self.steps.get(self.suggested?)
    }

    /// Something was done about it, and all that has to hold does so far.
    pub fn fix_holds(&self) -> bool {
        let done = |step: &PlannedStep| matches!(step.state, StepState::Done { ok: true, .. });
        let mut changes = self.steps.iter().filter(|step| step.effect > Effect::Read);
        self.resolved.holds_since.is_some() && changes.any(done)
    }

    /// What the API server has to allow for the suggested step and its alternatives.
    pub fn rights_at_hand(&self) -> BTreeSet<Access> {
        let at_hand = self.suggested.iter().chain(&self.alternatives).filter_map(|at| self.steps.get(*at));
        at_hand.filter_map(|step| step.access.clone()).collect()
    }
}

impl Done {
    /// A change that worked, or a read that answered its question. Where the answer is no, it says so by what it
    /// found; a read that failed has nothing to show.
    pub fn says_something(&self) -> bool {
        self.ok || !self.found.is_empty() || !self.bindings.is_empty()
    }
}

impl Progress {
    /// What its containers' logs say of somebody whom they could not reach.
    pub fn last_words(&self) -> Option<&str> {
        let logs = self.steps.iter().filter(|(step, _)| step.ends_with("logs"));
        let found = logs.flat_map(|(_, done)| &done.found);
        let mut unreached = found.filter(|found| found.cause == cause::DATABASE_UNREACHABLE);
        unreached.next().map(|found| found.says.as_str())
    }

    /// The step, unless it was taken back.
    pub fn done(&self, step: &str) -> Option<&Done> {
        self.steps.get(step).filter(|done| !done.undone)
    }
}
