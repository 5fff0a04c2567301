//! What is known and was done about one anomaly: its plan, the reads that ran, the step a person looks at.
//! Kept after the anomaly is gone, so that the way to "resolved" stays on the screen.

use std::collections::{BTreeMap, BTreeSet};

use super::event::Request;
use crate::domain::{Action, Anomaly, Reading, Timestamp, Tone};
use crate::journal::Outcome;
use crate::playbooks::{Done, Grounds, Plan, PlannedStep, Progress, Step, StepPhase, StepState, find};

#[derive(Debug)]
pub struct Dossier {
    /// As last judged.
    pub anomaly: Anomaly,
    pub progress: Progress,
    pub plan: Option<Plan>,
    /// By step id.
    pub readings: BTreeMap<String, Reading>,
    pub outcomes: BTreeMap<String, Outcome>,
    /// Reads that are under way, by step id.
    pub asked: BTreeMap<String, Asked>,
    /// The step or checklist item a person moved to; None follows the suggestion.
    pub cursor: Option<String>,
    /// Values a person gave, by step and input.
    pub inputs: BTreeMap<String, BTreeMap<String, String>>,
}

/// A read that is under way.
#[derive(Clone, PartialEq, Debug)]
pub struct Asked {
    pub request: Request,
    /// How the anomaly was judged then.
    pub grounds: Grounds,
    /// What it is read for (see [`crate::playbooks::Step::each`]).
    pub covers: BTreeSet<String>,
    pub since: Timestamp,
    pub says: Option<String>,
    /// A person asked for it, and wants to see the answer.
    pub by_person: bool,
}

impl Dossier {
    pub fn new(anomaly: Anomaly) -> Self {
        Self {
            anomaly,
            progress: Progress::default(),
            plan: None,
            readings: BTreeMap::new(),
            outcomes: BTreeMap::new(),
            asked: BTreeMap::new(),
            cursor: None,
            inputs: BTreeMap::new(),
        }
    }

    /// The steps as they are listed: by phase, within a phase as the playbook has them.
    pub fn steps(&self) -> Vec<&PlannedStep> {
        const PHASES: [StepPhase; 4] =
            [StepPhase::Investigate, StepPhase::Mitigate, StepPhase::Resolve, StepPhase::Verify];
        let steps = || self.plan.iter().flat_map(|plan| &plan.steps);
        PHASES.into_iter().flat_map(|phase| steps().filter(move |step| step.phase == phase)).collect()
    }

    /// Everything the cursor can stand on: steps, then the checklist.
    pub fn places(&self) -> Vec<&str> {
        let steps = self.steps().into_iter().map(|step| step.id.as_str());
        let items = self.plan.iter().flat_map(|plan| &plan.follow_up);
        steps.chain(items.map(|item| item.id.as_str())).collect()
    }

    /// The reading that tells the most: of the step the cursor is on, where it has one; else a log with
    /// something bad in it, else whatever named a cause, else the latest.
    pub fn telling(&self, at_cursor: bool) -> Option<(&PlannedStep, &Reading)> {
        let read =
            |step: &'_ PlannedStep| self.readings.get(&step.id).filter(|reading| !reading.lines.is_empty());
        if at_cursor && let Some(step) = self.step() {
            return Some((step, read(step)?));
        }
        let steps = self.steps();
        let all = || steps.iter().filter_map(|step| Some((*step, read(step)?)));
        let is_log = |step: &PlannedStep| matches!(step.action, Some(Action::Logs { .. }));
        let speaks = |reading: &Reading| reading.lines.iter().any(|(tone, _)| *tone == Tone::Bad);
        all()
            .find(|(step, reading)| is_log(step) && (speaks(reading) || !reading.found.is_empty()))
            .or_else(|| all().rfind(|(_, reading)| !reading.found.is_empty()))
            .or_else(|| all().find(|(_, reading)| speaks(reading)))
            .or_else(|| all().max_by_key(|(_, reading)| reading.at))
    }

    /// It came back after it was gone: what was read then says nothing about now. What was done stays known.
    pub fn begin_anew(&mut self) {
        let reads: Vec<String> = self.readings.keys().cloned().collect();
        for step in reads {
            self.readings.remove(&step);
            self.progress.steps.remove(&step);
        }
        self.cursor = None;
    }

    /// Where the cursor stands: where a person put it, else the suggestion, else the top.
    pub fn place(&self) -> Option<&str> {
        let plan = self.plan.as_ref()?;
        let places = self.places();
        let chosen = self.cursor.as_deref().filter(|id| places.contains(id));
        chosen.or_else(|| plan.suggestion().map(|step| step.id.as_str())).or_else(|| places.first().copied())
    }

    pub fn step(&self) -> Option<&PlannedStep> {
        self.plan.as_ref()?.step(self.place()?)
    }

    /// Reads that should run by themselves now: those not taken yet, and those that are outdated.
    pub fn due(&self, now: Timestamp) -> Vec<PlannedStep> {
        let Some(plan) = &self.plan else { return Vec::new() };
        plan.steps
            .iter()
            .filter(|step| step.auto && step.action.is_some())
            .filter(|step| matches!(step.state, StepState::Suggested { .. } | StepState::Available))
            .filter(|step| !self.asked.contains_key(&step.id))
            .filter(|step| self.progress.done(&step.id).is_none_or(|done| done.has_rested(now)))
            .cloned()
            .collect()
    }

    /// The step a request belongs to.
    pub fn asking(&self, request: Request) -> Option<&str> {
        self.asked.iter().find(|(_, asked)| asked.request == request).map(|(step, _)| step.as_str())
    }

    /// A read came back.
    pub fn read(&mut self, step: &str, known: Option<&Step>, reading: Reading) {
        let asked = self.asked.remove(step);
        let found = known.map_or_else(|| reading.found.clone(), |known| find(known, &reading));
        let done = Done {
            at: reading.at,
            ok: reading.ok,
            says: reading.summary.clone(),
            found,
            bindings: reading.bindings.clone(),
            covers: asked.as_ref().map(|asked| asked.covers.clone()).unwrap_or_default(),
            grounds: asked.map(|asked| asked.grounds),
            change: None,
            undone: false,
        };
        self.progress.steps.insert(step.to_owned(), done);
        self.readings.insert(step.to_owned(), reading);
    }
}
