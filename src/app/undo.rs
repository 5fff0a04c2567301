//! What was done and how it is taken back: the ways back that are open, the latest last. What took something
//! back can itself be taken back.

use std::collections::BTreeMap;

use super::act::Origin;
use super::event::Effect;
use super::{App, Layer};
use crate::domain::{AnomalyId, Timestamp, Tone};
use crate::guard::Undo;
use crate::journal::{Ending, EntryId, Outcome};
use crate::playbooks::{Done, Made};

/// Something that can be taken back.
#[derive(Clone, PartialEq, Debug)]
pub struct Undoable {
    pub origin: Origin,
    /// The action it takes back.
    pub entry: EntryId,
    /// Of the step it takes back.
    pub title: String,
    pub undo: Undo,
}

impl App {
    /// An action ended: what is known of its step, and the way back from it.
    pub(super) fn remember(&mut self, origin: Origin, title: String, began: Timestamp, outcome: Outcome) {
        if matches!(outcome.result, Ending::Refused(..)) {
            return;
        }
        let ok = matches!(outcome.result, Ending::Performed(_) | Ending::Unverified(_));
        if let Some(score) = self.score.as_mut().filter(|_| !matches!(outcome.result, Ending::Failed(_))) {
            score.did(origin.undoing);
        }
        // Done or taken back: the other direction is no longer the way back. But what took something back can
        // itself be taken back.
        if ok {
            self.undos.retain(|known| {
                (&known.origin.step, &known.origin.anomaly) != (&origin.step, &origin.anomaly)
                    || known.origin.undoing == origin.undoing
            });
        }
        if let Some(undo) = outcome.undo.clone() {
            let of =
                self.dossiers.get(&origin.anomaly).and_then(|dossier| dossier.progress.done(&origin.step));
            let step =
                of.filter(|_| origin.undoing).and_then(|done| Some(done.change.as_ref()?.title.clone()));
            let title = step.unwrap_or_else(|| title.clone());
            let entry = outcome.entry.clone();
            self.undos.push(Undoable { origin: origin.clone(), entry, title, undo });
        }
        let Some(dossier) = self.dossiers.get_mut(&origin.anomaly) else { return };
        if origin.undoing {
            if let Some(done) = dossier.progress.steps.get_mut(&origin.step).filter(|_| ok) {
                done.undone = true;
            }
        } else {
            let says = match &outcome.result {
                Ending::Performed(says) => says.clone(),
                other => format!("{}: {}", other.as_str(), other.says()),
            };
            let before = dossier.progress.done(&origin.step);
            let mut covers = before.map(|done| done.covers.clone()).unwrap_or_default();
            let times = before.and_then(|done| done.change.as_ref()).map_or(0, |made| made.times);
            let made = Made {
                title,
                action: outcome.action.clone(),
                began,
                times: times + 1,
                undoable: outcome.undo.is_some(),
            };
            if let Some(step) = dossier.plan.as_ref().and_then(|plan| plan.step(&origin.step)).filter(|_| ok)
            {
                covers.extend(step.covers.iter().cloned());
            }
            let done = Done {
                at: outcome.at,
                ok,
                says,
                found: Vec::new(),
                bindings: BTreeMap::new(),
                grounds: None,
                change: Some(made),
                undone: false,
                covers,
            };
            dossier.progress.steps.insert(origin.step.clone(), done);
        }
        dossier.cursor = None;
        dossier.outcomes.insert(origin.step, outcome);
    }

    /// Previews the way back of the action that is chosen in the journal, else of the latest that has one.
    pub(super) fn undo(&mut self) -> Vec<Effect> {
        if let Some(Layer::Journal(journal)) = self.layers.last() {
            let Some(record) = self.journal.iter().rev().nth(journal.cursor) else { return Vec::new() };
            let known = self.undos.iter().rev().find(|known| known.entry == record.id).cloned();
            if let Some(known) = known {
                return self.preview_undo(known);
            }
            self.say(Tone::Dim, "no way back from this one is open");
            return Vec::new();
        }
        let Some(last) = self.way_back().cloned() else {
            let elsewhere = if self.undos.is_empty() { "" } else { " here; J lists what was done elsewhere" };
            self.say(Tone::Dim, format!("nothing to undo{elsewhere}"));
            return Vec::new();
        };
        self.preview_undo(last)
    }

    /// What is taken back next: the last deed of this session, else of an earlier one in the namespace that is looked at.
    pub fn way_back(&self) -> Option<&Undoable> {
        let here = |known: &&Undoable| {
            let object = known.undo.action.object();
            let namespace = object.map(|object| object.key.namespace).filter(|name| !name.is_empty());
            namespace.is_none_or(|name| self.snapshot.scope.as_ref().is_none_or(|scope| *scope == name))
        };
        let mut own = self.undos.iter().rev().filter(|known| !known.origin.is_earlier());
        own.next().or_else(|| self.undos.iter().rev().find(here))
    }

    /// Previews the way back from the last time that a step was done.
    pub(super) fn take_back(&mut self, anomaly: &AnomalyId, step: &str) -> Vec<Effect> {
        let is_its = |known: &&Undoable| {
            let origin = &known.origin;
            !origin.undoing && origin.anomaly == *anomaly && origin.step == step
        };
        let Some(last) = self.undos.iter().rev().find(is_its).cloned() else {
            self.say(Tone::Dim, "the way back from it is not known");
            return Vec::new();
        };
        self.preview_undo(last)
    }

    fn preview_undo(&mut self, last: Undoable) -> Vec<Effect> {
        let origin = Origin { undoing: !last.origin.undoing, ..last.origin };
        let word = if origin.undoing { "Undo" } else { "Do again" };
        let title = format!("{word} “{}”", last.title);
        let effects = self.preview(origin, title, last.undo.action.clone());
        if let Some(act) = self.act.as_mut().filter(|act| !act.is_running()) {
            act.undoes = Some(last.entry.clone());
        }
        effects
            .into_iter()
            .map(|effect| match effect {
                Effect::Preview { request, .. } => Effect::PreviewUndo { request, undo: last.undo.clone() },
                other => other,
            })
            .collect()
    }
}
