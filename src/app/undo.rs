//! What was done and how it is taken back: the ways back of this session, the latest last. What took something
//! back can itself be taken back.

use std::collections::BTreeMap;

use super::App;
use super::act::Origin;
use super::event::Effect;
use crate::domain::Tone;
use crate::guard::Undo;
use crate::journal::{Ending, Outcome};
use crate::playbooks::Done;

/// Something that can be taken back.
#[derive(Clone, PartialEq, Debug)]
pub struct Undoable {
    pub origin: Origin,
    /// Of the step it takes back.
    pub title: String,
    pub undo: Undo,
}

impl App {
    /// An action ended: what is known of its step, and the way back from it.
    pub(super) fn remember(&mut self, origin: Origin, title: String, outcome: Outcome) {
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
            let step = of.filter(|_| origin.undoing).and_then(|done| done.title.clone());
            let title = step.unwrap_or_else(|| title.clone());
            self.undos.push(Undoable { origin: origin.clone(), title, undo });
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
            let mut covers =
                dossier.progress.done(&origin.step).map(|done| done.covers.clone()).unwrap_or_default();
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
                title: Some(title),
                undone: false,
                covers,
            };
            dossier.progress.steps.insert(origin.step.clone(), done);
        }
        dossier.cursor = None;
        dossier.outcomes.insert(origin.step, outcome);
    }

    /// Previews the way back of the latest action that has one.
    pub(super) fn undo(&mut self) -> Vec<Effect> {
        let Some(last) = self.undos.last().cloned() else {
            self.say(Tone::Dim, "nothing to undo");
            return Vec::new();
        };
        let origin = Origin { undoing: !last.origin.undoing, ..last.origin };
        let word = if origin.undoing { "Undo" } else { "Do again" };
        let title = format!("{word} “{}”", last.title);
        let effects = self.preview(origin, title, last.undo.action.clone());
        effects
            .into_iter()
            .map(|effect| match effect {
                Effect::Preview { request, .. } => Effect::PreviewUndo { request, undo: last.undo.clone() },
                other => other,
            })
            .collect()
    }
}
