//! One event at a time: what it changes, and what has to be done outside because of it.

use super::act::Phase;
use super::board::Followed;
use super::event::{Effect, Event, Request};
use super::{App, Layer, TOAST};
use crate::domain::{Fact, Observation, Reading, Timestamp, Tone, between};
use crate::guard::Refusal;

/// Columns from which on the main screen shows a reading beside the list.
const BESIDE: u16 = 100;

impl App {
    /// Takes in one event and answers with what is to be done outside. Pure: the same events at the same
    /// times give the same cockpit.
    pub fn update(&mut self, event: Event, now: Timestamp) -> Vec<Effect> {
        self.now = self.now.max(now);
        if self.toast.as_ref().is_some_and(|toast| between(toast.at, self.now) > TOAST) {
            self.toast = None;
        }
        if matches!(event, Event::Key(_) | Event::Pointed { .. } | Event::Paste(_)) {
            self.handled = self.now;
        }
        match event {
            Event::Observed(observations) => {
                for observation in observations {
                    self.unjudged |= !observation.is_routine();
                    self.fold(observation);
                }
                self.judge_if_due(false)
            }
            Event::Tick => self.tick(),
            Event::Key(key) => self.press(key),
            Event::Pointed { target, cell, gesture } => self.point(target, cell, gesture),
            Event::Paste(text) => {
                self.paste(&text);
                Vec::new()
            }
            Event::Resized(columns, rows) => {
                self.size = (columns, rows);
                Vec::new()
            }
            Event::Read { request, reading } => self.read(request, reading),
            Event::Progress { request, says } => {
                self.progress(request, says);
                Vec::new()
            }
            Event::Previewed { request, preview } => {
                self.previewed(request, preview);
                Vec::new()
            }
            Event::Refused { request, refusal } => {
                self.refused(request, refusal);
                Vec::new()
            }
            Event::Finished { request, outcome } => {
                self.finished(request, outcome);
                let mut effects = self.advise();
                effects.push(Effect::ReadJournal);
                effects
            }
            Event::Value { request, value } => self.value_read(request, value),
            Event::Reviewed { access, allowed } => self.reviewed(access, allowed),
            Event::Keys { config_map, keys } => {
                self.keys_read(&config_map, &keys);
                Vec::new()
            }
            Event::Edited { request, text } => self.edited(request, text),
            Event::Document { request, document } => {
                if let Some(object) = self.object(request) {
                    object.learn(document);
                }
                Vec::new()
            }
            Event::LogLines { request, lines, dropped } => {
                if let Some(object) = self.object(request) {
                    object.logs.learn(&lines, dropped);
                }
                Vec::new()
            }
            Event::LogEnded { request, why } => {
                if let Some(object) = self.object(request) {
                    object.logs.end(why);
                }
                Vec::new()
            }
            Event::Journal(records) => {
                self.journal = records;
                Vec::new()
            }
            Event::Notice(says) => {
                self.say(Tone::Plain, says);
                Vec::new()
            }
        }
    }

    fn fold(&mut self, observation: Observation) {
        let followed = match &observation.seen {
            Ok(Fact::Pods(delta)) => Followed::of(delta),
            _ => None,
        };
        self.snapshot.fold(observation);
        if let Some(followed) = followed {
            self.board.fold(&followed, &self.snapshot.pods);
        }
    }

    /// Time alone ages things: a finding, a plan's countdown, a source.
    fn tick(&mut self) -> Vec<Effect> {
        let second = std::time::Duration::from_secs(1);
        let aged = self.judged.is_some_and(|judged| between(judged, self.now) >= second);
        self.judge_if_due(aged)
    }

    fn read(&mut self, request: Request, reading: Reading) -> Vec<Effect> {
        let Some(dossier) = self.dossiers.values_mut().find(|dossier| dossier.asking(request).is_some())
        else {
            return Vec::new();
        };
        let step = dossier.asking(request).unwrap_or_default().to_owned();
        let by_person = dossier.asked.get(&step).is_some_and(|asked| asked.by_person);
        let is_selected = self.selection.anomaly.as_ref() == Some(&dossier.anomaly.id);
        // Where there is no room for it beside the list, whoever asked would not see the answer.
        let opens = by_person && is_selected && self.layers.is_empty() && self.size.0 < BESIDE;
        let planned = dossier.plan.as_ref().and_then(|plan| plan.step(&step)).filter(|_| opens).cloned();
        let playbook = self.options.library.get(&dossier.anomaly.rule);
        let known = playbook.and_then(|playbook| playbook.steps.iter().find(|known| known.id == step));
        let shown = planned.is_some().then(|| reading.clone());
        dossier.read(&step, known, reading);
        if let Some((planned, reading)) = planned.zip(shown) {
            self.open_result(&planned, &reading.summary, Some(&reading));
        }
        self.advise()
    }

    /// A read that could not even begin.
    pub(super) fn read_failed(&mut self, request: Request, refusal: &Refusal) -> bool {
        let now = self.now;
        if let Some(object) = self.object(request) {
            object.fail(request, &refusal.to_string());
            return true;
        }
        let Some(dossier) = self.dossiers.values_mut().find(|dossier| dossier.asking(request).is_some())
        else {
            return false;
        };
        let step = dossier.asking(request).unwrap_or_default().to_owned();
        let reading = Reading {
            at: now,
            took: std::time::Duration::ZERO,
            summary: refusal.to_string(),
            lines: Vec::new(),
            found: Vec::new(),
            bindings: std::collections::BTreeMap::new(),
            dropped: 0,
            ok: false,
            unseen: true,
        };
        dossier.read(&step, None, reading);
        true
    }

    fn progress(&mut self, request: Request, says: String) {
        if let Some(act) = self.act.as_mut().filter(|act| act.request() == Some(request)) {
            if let Phase::Running { lines, .. } = &mut act.phase {
                lines.push(says);
            }
            return;
        }
        let mut asked = self.dossiers.values_mut().flat_map(|dossier| dossier.asked.values_mut());
        if let Some(asked) = asked.find(|asked| asked.request == request) {
            asked.says = Some(says);
        }
    }

    fn object(&mut self, request: Request) -> Option<&mut super::ObjectView> {
        self.layers.iter_mut().find_map(|layer| match layer {
            Layer::Object(object) if object.awaits(request) => Some(&mut **object),
            _ => None,
        })
    }
}
