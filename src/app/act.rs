//! One change on its way: previewed, confirmed, running, ended. One at a time, and always the same path for a
//! step, its undo, and a fresh preview after the world moved.

use std::collections::BTreeMap;

use super::event::{Effect, Request};
use super::form::Form;
use super::line::Line;
use super::text_view::TextView;
use super::{App, Layer, TextLayer};
use crate::domain::{Action, AnomalyId, Effect as Kind, Reading, Timestamp, Tone};
use crate::guard::{Confirmation, Level, Preview, Refusal};
use crate::journal::{Ending, EntryId, Outcome};
use crate::playbooks::{self, Grounds, MissingInput, PlannedStep, StepState};

/// A change under way.
#[derive(Debug)]
pub struct Act {
    pub origin: Origin,
    pub title: String,
    pub action: Action,
    pub phase: Phase,
    pub scroll: usize,
    /// The action it takes back.
    pub undoes: Option<EntryId>,
}

/// Where a change comes from.
#[derive(Clone, PartialEq, Debug)]
pub struct Origin {
    pub anomaly: AnomalyId,
    pub step: String,
    pub undoing: bool,
}

/// Stands for the anomaly of a deed that only the journal remembers.
pub(super) const OF_THE_JOURNAL: &str = "journal/";

impl Origin {
    /// Another session's: only the journal remembers it.
    pub fn is_earlier(&self) -> bool {
        self.anomaly.0.starts_with(OF_THE_JOURNAL)
    }
}

#[derive(Debug)]
pub enum Phase {
    Previewing { request: Request, since: Timestamp },
    Confirming { preview: Box<Preview>, typed: Line, refused: Option<Refusal> },
    Running { request: Request, since: Timestamp, preview: Box<Preview>, lines: Vec<String>, cancelled: bool },
    Refused(Refusal),
    Ended(Box<Outcome>),
}

impl Act {
    pub fn is_waiting(&self) -> bool {
        matches!(self.phase, Phase::Previewing { .. } | Phase::Running { .. })
    }

    /// Something outside may be changing because of it.
    pub fn is_running(&self) -> bool {
        matches!(self.phase, Phase::Running { .. })
    }

    /// When a person confirmed it.
    fn began(&self) -> Option<Timestamp> {
        match self.phase {
            Phase::Running { since, .. } => Some(since),
            _ => None,
        }
    }

    /// It is previewed, and something stands in its way that nobody can confirm away.
    pub fn is_blocked(&self) -> bool {
        matches!(&self.phase, Phase::Confirming { preview, .. } if preview.worst() == Some(Level::Stop))
    }

    pub fn request(&self) -> Option<Request> {
        match &self.phase {
            Phase::Previewing { request, .. } | Phase::Running { request, .. } => Some(*request),
            _ => None,
        }
    }
}

impl App {
    /// Enter on a step: runs a read, previews a change, opens what was read.
    pub(super) fn take_step(&mut self, id: &AnomalyId, step: &str, again: bool) -> Vec<Effect> {
        let Some(dossier) = self.dossiers.get(id) else { return Vec::new() };
        let Some(planned) = dossier.plan.as_ref().and_then(|plan| plan.step(step)).cloned() else {
            return Vec::new();
        };
        if dossier.asked.contains_key(step) {
            return Vec::new();
        }
        let origin = Origin { anomaly: id.clone(), step: step.to_owned(), undoing: false };
        if self.act.as_ref().is_some_and(|act| act.is_running() && act.origin == origin) {
            self.show_act();
            return Vec::new();
        }
        if let (false, StepState::Done { says, .. }) = (again, &planned.state) {
            let (says, reading) = (says.clone(), dossier.readings.get(step).cloned());
            self.open_result(&planned, &says, reading.as_ref());
            return Vec::new();
        }
        if let StepState::Blocked { why } = &planned.state {
            self.say(Tone::Bad, format!("blocked: {why}"));
            return Vec::new();
        }
        if let Some(why) = &planned.not_ours {
            return self.hand_on(why.clone(), planned.action.as_ref());
        }
        if let Some(done) = &planned.takes_back {
            return self.take_back(id, done);
        }
        if let Some(action) = planned.action.clone() {
            return self.start(id, &planned, action);
        }
        if !planned.inputs.is_empty() {
            return self.open_form(Form::new(id.clone(), &planned));
        }
        match self.bound(id, step, &BTreeMap::new()) {
            Some(Ok(action)) => self.start(id, &planned, action),
            Some(Err(missing)) => {
                self.say(Tone::Bad, missing.says);
                Vec::new()
            }
            None => Vec::new(),
        }
    }

    /// What somebody else has to do is copied for them.
    fn hand_on(&mut self, why: String, action: Option<&Action>) -> Vec<Effect> {
        let Some(command) = action.map(Action::as_command).filter(|command| !command.is_empty()) else {
            self.say(Tone::Bad, why);
            return Vec::new();
        };
        self.say(Tone::Bad, format!("{why}; copied for somebody who may: {command}"));
        vec![Effect::Copy(command)]
    }

    /// The values of a step, to be changed by a person before it runs.
    pub(super) fn edit_step(&mut self) -> Vec<Effect> {
        let Some(id) = self.selection.anomaly.clone() else { return Vec::new() };
        match self.dossier().and_then(|dossier| dossier.step()).cloned() {
            Some(step) if !step.inputs.is_empty() => return self.open_form(Form::new(id, &step)),
            Some(_) => self.say(Tone::Dim, "this step has no values to change"),
            None => {}
        }
        Vec::new()
    }

    pub(super) fn submit(&mut self) -> Vec<Effect> {
        let Some(Layer::Form(form)) = self.layers.last_mut() else { return Vec::new() };
        if !form.is_last() {
            form.go(1);
            return Vec::new();
        }
        let (id, step, values) = (form.anomaly.clone(), form.step.clone(), form.values());
        let planned = self.dossiers.get(&id).and_then(|dossier| dossier.plan.as_ref()?.step(&step)).cloned();
        match planned.and_then(|planned| Some((planned, self.bound(&id, &step, &values)?))) {
            Some((planned, Ok(action))) => {
                self.layers.pop();
                if let Some(dossier) = self.dossiers.get_mut(&id) {
                    dossier.inputs.insert(step, values);
                }
                self.start(&id, &planned, action)
            }
            Some((_, Err(missing))) => {
                if let Some(Layer::Form(form)) = self.layers.last_mut() {
                    form.wrong = Some(missing.says);
                }
                Vec::new()
            }
            None => {
                self.layers.pop();
                Vec::new()
            }
        }
    }

    /// A step with these values on real objects; None when there is no such step any more.
    pub(super) fn bound(
        &self,
        id: &AnomalyId,
        step: &str,
        values: &BTreeMap<String, String>,
    ) -> Option<Result<Action, MissingInput>> {
        let dossier = self.dossiers.get(id)?;
        let playbook = self.options.library.get(&dossier.anomaly.rule)?;
        let known = playbook.steps.iter().find(|known| known.id == step)?;
        Some(playbooks::bind(known, &self.facts(dossier), values))
    }

    fn start(&mut self, id: &AnomalyId, planned: &PlannedStep, action: Action) -> Vec<Effect> {
        if action.effect() == Kind::Read {
            let effect = self.ask(id, &planned.id, action);
            if let Some(asked) =
                self.dossiers.get_mut(id).and_then(|dossier| dossier.asked.get_mut(&planned.id))
            {
                asked.by_person = true;
            }
            return effect.into_iter().collect();
        }
        let origin = Origin { anomaly: id.clone(), step: planned.id.clone(), undoing: false };
        self.preview(origin, planned.title.clone(), action)
    }

    pub(super) fn preview(&mut self, origin: Origin, title: String, action: Action) -> Vec<Effect> {
        if !self.options.armed {
            return self.hand_on("this session is read-only".into(), Some(&action));
        }
        if self.act.as_ref().is_some_and(Act::is_running) {
            self.say(Tone::Bad, "another action is still running");
            self.show_act();
            return Vec::new();
        }
        let mut effects: Vec<Effect> =
            self.act.take().and_then(|old| old.request()).map(Effect::Cancel).into_iter().collect();
        let request = self.request();
        let phase = Phase::Previewing { request, since: self.now };
        self.act = Some(Act { origin, title, action: action.clone(), phase, scroll: 0, undoes: None });
        self.show_act();
        effects.push(Effect::Preview { request, action });
        effects
    }

    fn show_act(&mut self) {
        if !self.layers.iter().any(|layer| matches!(layer, Layer::Act)) {
            self.layers.push(Layer::Act);
        }
    }

    /// Starts a read of a step.
    pub(super) fn ask(&mut self, id: &AnomalyId, step: &str, action: Action) -> Option<Effect> {
        if action.effect() != Kind::Read {
            return None;
        }
        let request = self.request();
        let now = self.now;
        let dossier = self.dossiers.get_mut(id)?;
        let grounds = Grounds::of(&dossier.anomaly);
        let planned = dossier.plan.as_ref().and_then(|plan| plan.step(step));
        let covers = planned.map(|step| step.covers.clone()).unwrap_or_default();
        let asked = super::Asked { request, grounds, covers, since: now, says: None, by_person: false };
        dossier.asked.insert(step.to_owned(), asked);
        Some(Effect::Read { request, action })
    }

    pub(super) fn open_result(&mut self, step: &PlannedStep, says: &str, reading: Option<&Reading>) {
        let text = match reading {
            Some(reading) => {
                let heading = [(Tone::Heading, reading.summary.clone()), (Tone::Plain, String::new())];
                let mut text = TextView::new(heading.into_iter().chain(reading.lines.iter().cloned()));
                text.dropped = reading.dropped as u64;
                text
            }
            None => TextView::plain(says),
        };
        let command = step.action.as_ref().map(Action::as_command);
        self.layers.push(Layer::Text(Box::new(TextLayer { title: step.title.clone(), text, command })));
    }

    /// The person says yes to what is previewed.
    pub(super) fn confirm(&mut self) -> Vec<Effect> {
        let (now, request) = (self.now, self.request());
        let armed = self.options.armed;
        let Some(act) = self.act.as_mut() else { return Vec::new() };
        let Phase::Confirming { preview, typed, refused } = &mut act.phase else { return Vec::new() };
        if !armed {
            return Vec::new();
        }
        if let Confirmation::Type(name) = &preview.confirmation
            && typed.text().trim() != &**name
        {
            *refused = Some(Refusal::new(format!("type {name} to confirm")));
            return Vec::new();
        }
        let (preview, typed) = (preview.clone(), typed.text().to_owned());
        if let Some(score) = &mut self.score {
            score.confirm(&preview.action, &self.snapshot);
        }
        let running = Phase::Running {
            request,
            since: now,
            preview: preview.clone(),
            lines: Vec::new(),
            cancelled: false,
        };
        act.phase = running;
        act.scroll = 0;
        vec![Effect::Confirm { request, preview, typed, undoes: act.undoes.clone() }]
    }

    pub(super) fn previewed(&mut self, request: Request, preview: Result<Preview, Refusal>) {
        let Some(act) = self.act.as_mut().filter(|act| act.request() == Some(request)) else { return };
        act.scroll = 0;
        act.phase = match preview {
            Ok(preview) => {
                Phase::Confirming { preview: Box::new(preview), typed: Line::default(), refused: None }
            }
            Err(refusal) => {
                let (origin, says) = (act.origin.clone(), refusal.says.clone());
                act.phase = Phase::Refused(refusal);
                if let Some(dossier) = self.dossiers.get_mut(&origin.anomaly).filter(|_| !origin.undoing) {
                    dossier.progress.refused.insert(origin.step, (self.now, says));
                }
                return;
            }
        };
    }

    /// The guard or the journal did not let it pass.
    pub(super) fn refused(&mut self, request: Request, refusal: Refusal) {
        if self.read_failed(request, &refusal) {
            return;
        }
        let Some(act) = self.act.as_mut().filter(|act| act.request() == Some(request)) else { return };
        act.phase = Phase::Refused(refusal);
        self.show_act();
    }

    pub(super) fn finished(&mut self, request: Request, outcome: Outcome) {
        let Some(act) = self.act.as_mut().filter(|act| act.request() == Some(request)) else { return };
        let origin = act.origin.clone();
        let title = act.title.clone();
        let began = act.began().unwrap_or(outcome.at);
        match &outcome.result {
            // The world moved: what would be done now is shown instead.
            Ending::Refused(refusal, Some(preview)) => {
                act.phase = Phase::Confirming {
                    preview: preview.clone(),
                    typed: Line::default(),
                    refused: Some(refusal.clone()),
                };
                act.scroll = 0;
                self.show_act();
                return;
            }
            Ending::Refused(refusal, None) => act.phase = Phase::Refused(refusal.clone()),
            _ => act.phase = Phase::Ended(Box::new(outcome.clone())),
        }
        let hidden = !self.layers.iter().any(|layer| matches!(layer, Layer::Act));
        if hidden {
            let tone = if matches!(outcome.result, Ending::Performed(_)) { Tone::Good } else { Tone::Bad };
            self.say(tone, format!("{title}: {}", outcome.result.as_str()));
        }
        self.remember(origin, title, began, outcome);
    }

    /// Leaves the act: cancels what can be cancelled, keeps watching what runs.
    pub(super) fn leave_act(&mut self) -> Vec<Effect> {
        let now = self.now;
        let Some(act) = self.act.as_mut() else {
            self.layers.pop();
            return Vec::new();
        };
        match &mut act.phase {
            Phase::Running { request, cancelled, lines, since, .. } => {
                if *cancelled {
                    return Vec::new();
                }
                *cancelled = true;
                let after = crate::domain::text::span(crate::domain::between(*since, now));
                lines.push(format!("cancel asked for after {after}: stopping at the next safe point"));
                vec![Effect::Cancel(*request)]
            }
            Phase::Previewing { request, .. } => {
                let effect = Effect::Cancel(*request);
                self.act = None;
                self.drop_act_layer();
                vec![effect]
            }
            _ => {
                self.act = None;
                self.drop_act_layer();
                Vec::new()
            }
        }
    }

    pub(super) fn drop_act_layer(&mut self) {
        self.layers.retain(|layer| !matches!(layer, Layer::Act));
    }
}
