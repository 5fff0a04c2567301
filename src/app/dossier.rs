//! What is known and was done about one anomaly: its plan, the reads that ran, the step a person looks at.
//! Kept after the anomaly is gone, so that the way to "resolved" stays on the screen.

use std::collections::BTreeMap;

use super::event::Request;
use crate::domain::{Anomaly, Reading, Timestamp};
use crate::journal::Outcome;
use crate::playbooks::{Done, Plan, PlannedStep, Progress, Step, StepState, find};

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
    pub since: Timestamp,
    pub says: Option<String>,
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

    /// Everything the cursor can stand on: steps, then the checklist.
    pub fn places(&self) -> Vec<&str> {
        let Some(plan) = &self.plan else { return Vec::new() };
        let steps = plan.steps.iter().map(|step| step.id.as_str());
        steps.chain(plan.follow_up.iter().map(|item| item.id.as_str())).collect()
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

    /// Reads that should run by themselves now.
    pub fn due(&self) -> Vec<PlannedStep> {
        let Some(plan) = &self.plan else { return Vec::new() };
        plan.steps
            .iter()
            .filter(|step| step.auto && step.action.is_some())
            .filter(|step| matches!(step.state, StepState::Suggested { .. } | StepState::Available))
            .filter(|step| !self.asked.contains_key(&step.id) && !self.readings.contains_key(&step.id))
            .cloned()
            .collect()
    }

    /// The step a request belongs to.
    pub fn asking(&self, request: Request) -> Option<&str> {
        self.asked.iter().find(|(_, asked)| asked.request == request).map(|(step, _)| step.as_str())
    }

    /// A read came back.
    pub fn read(&mut self, step: &str, known: Option<&Step>, reading: Reading) {
        self.asked.remove(step);
        let found = known.map_or_else(|| reading.found.clone(), |known| find(known, &reading));
        let done = Done {
            at: reading.at,
            ok: reading.ok,
            says: reading.summary.clone(),
            found,
            bindings: reading.bindings.clone(),
            undone: false,
        };
        self.progress.steps.insert(step.to_owned(), done);
        self.readings.insert(step.to_owned(), reading);
    }
}
