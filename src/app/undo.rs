//! What was done and how it is taken back: the ways back of this session, the latest last. What took something
//! back can itself be taken back.

use std::collections::BTreeMap;

use super::act::Origin;
use super::event::Effect;
use super::{App, Dossier};
use crate::domain::{AnomalyId, Tone};
use crate::guard::Undo;
use crate::journal::{Ending, Outcome};
use crate::playbooks::{Done, PlannedStep};

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
            let step = dossier_step(&self.dossiers, &origin)
                .map_or_else(|| title.clone(), |step| step.title.clone());
            self.undos.push(Undoable { origin: origin.clone(), title: step, undo });
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
            let done = Done {
                at: outcome.at,
                ok,
                says,
                found: Vec::new(),
                bindings: BTreeMap::new(),
                title: Some(title),
                grounds: None,
                undone: false,
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

/// The step an act belongs to, as it is planned now.
fn dossier_step<'a>(dossiers: &'a BTreeMap<AnomalyId, Dossier>, origin: &Origin) -> Option<&'a PlannedStep> {
    dossiers.get(&origin.anomaly)?.plan.as_ref()?.step(&origin.step)
}
