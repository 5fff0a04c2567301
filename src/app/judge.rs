//! Judgement inside the loop: rules, incidents and the plan of what is looked at, at most a few times a second.

use std::time::Duration;

use super::dossier::Dossier;
use super::event::Effect;
use super::{App, Focus, PAUSE, WINDOW};
use crate::domain::{Anomaly, AnomalyId, Blind, Change, Severity, between};
use crate::incident::{self, Incident, Memory};
use crate::playbooks::{self, Facts};
use crate::rules::{self, Watched};

/// Reads that may be under way at the same time for one anomaly.
const AT_ONCE: usize = 4;
/// Dossiers of anomalies long gone are forgotten beyond this many.
const DOSSIERS: usize = 64;

/// A choice whose trouble is over is given up after this time without a key.
const LEFT_ALONE: Duration = Duration::from_secs(20);

/// What the rules made of what is seen.
#[derive(Debug, Default)]
pub struct Verdict {
    /// The worst first.
    pub anomalies: Vec<Anomaly>,
    /// The worst first.
    pub incidents: Vec<Incident>,
    /// Rules that cannot tell, and why.
    pub blind: Vec<(Watched, Blind)>,
    /// The latest first.
    pub changes: Vec<Change>,
    pub memory: Memory,
}

impl Verdict {
    pub fn anomaly(&self, id: &AnomalyId) -> Option<&Anomaly> {
        self.anomalies.iter().find(|anomaly| anomaly.id == *id)
    }

    /// The incident this anomaly belongs to.
    pub fn incident_of(&self, id: &AnomalyId) -> Option<&Incident> {
        self.incidents.iter().find(|incident| incident.members.contains(id))
    }
}

impl App {
    /// Judges if it is time: after something was folded and not more often than [`PAUSE`], or when `always`.
    pub(super) fn judge_if_due(&mut self, always: bool) -> Vec<Effect> {
        let rested = self.judged.is_none_or(|judged| between(judged, self.now) >= PAUSE);
        if !(always || self.unjudged) || !rested {
            return Vec::new();
        }
        self.unjudged = false;
        self.judged = Some(self.now);
        let before: Vec<AnomalyId> =
            self.verdict.anomalies.iter().map(|anomaly| anomaly.id.clone()).collect();
        let judgement = rules::judge(&self.snapshot, &self.options.thresholds, self.now);
        self.verdict.anomalies = self.verdict.memory.remember(&judgement, &self.snapshot, self.now);
        let words = |id: &AnomalyId| self.dossiers.get(id)?.progress.last_words();
        let told = incident::with_words(&self.verdict.anomalies, &self.snapshot, words);
        self.verdict.incidents = incident::incidents(&told, &self.snapshot, self.now);
        self.verdict.blind = judgement.blind();
        self.verdict.changes = incident::changes(&self.snapshot, self.now, WINDOW);
        self.keep_dossiers(&before);
        self.refresh_tables();
        self.select_worst();
        let effects = self.advise();
        self.keep_score();
        effects
    }

    fn keep_dossiers(&mut self, before: &[AnomalyId]) {
        for anomaly in &self.verdict.anomalies {
            if let Some(dossier) = self.dossiers.get_mut(&anomaly.id) {
                if !before.contains(&anomaly.id) {
                    dossier.begin_anew();
                }
                dossier.anomaly = anomaly.clone();
            }
        }
        if self.dossiers.len() > DOSSIERS {
            let live: Vec<_> = self.verdict.anomalies.iter().map(|anomaly| anomaly.id.clone()).collect();
            let chosen = self.selection.anomaly.clone();
            self.dossiers.retain(|id, _| live.contains(id) || Some(id) == chosen.as_ref());
        }
    }

    /// Until a person chooses, the worst is looked at; a choice that no longer exists is given up.
    pub(super) fn select_worst(&mut self) {
        let mut rows = self.rows();
        if rows.is_empty() {
            // A filter that matches nothing hides the list; what is looked at stays.
            rows = self.every_row();
        }
        if self.is_left_behind() {
            self.selection.by_person = false;
            self.focus = Focus::Anomalies;
        }
        let exists = self.selection.anomaly.as_ref().is_some_and(|id| rows.iter().any(|row| row.id == *id));
        if !(self.selection.by_person && exists) {
            // What has just been resolved is looked at until something else is wrong.
            let worst = rows.first().map(|row| row.id.clone());
            self.selection.by_person = false;
            self.selection.anomaly = worst;
        }
    }

    /// What a person chose is over, something else is wrong, and nobody has touched anything for a while.
    fn is_left_behind(&self) -> bool {
        let is_over = self.selection.anomaly.as_ref().is_some_and(|id| self.verdict.anomaly(id).is_none());
        let burns = self.verdict.anomalies.iter().any(|anomaly| anomaly.severity > Severity::Suspect);
        let is_busy = self.act.is_some() || !self.layers.is_empty();
        is_over && burns && !is_busy && between(self.handled, self.now) >= LEFT_ALONE
    }

    /// Plans for the anomaly that is looked at, and starts the reads that run by themselves.
    pub(super) fn advise(&mut self) -> Vec<Effect> {
        let Some(id) = self.selection.anomaly.clone() else { return Vec::new() };
        if !self.dossiers.contains_key(&id) {
            let known = self.verdict.anomaly(&id).cloned().or_else(|| {
                let resolved = self.verdict.memory.resolved();
                resolved
                    .iter()
                    .find(|resolved| resolved.anomaly.id == id)
                    .map(|resolved| resolved.anomaly.clone())
            });
            let Some(anomaly) = known else { return Vec::new() };
            self.dossiers.insert(id.clone(), Dossier::new(anomaly));
        }
        let Some(dossier) = self.dossiers.get_mut(&id) else { return Vec::new() };
        let Some(playbook) = self.options.library.get(&dossier.anomaly.rule) else { return Vec::new() };
        let fires = self.verdict.anomaly(&id).is_some();
        let facts = Facts {
            anomaly: &dossier.anomaly,
            fires,
            snapshot: &self.snapshot,
            settings: &self.options.bindings,
            systems: &self.options.systems,
            read_only: !self.options.armed,
            denied: &self.rights.denied,
            now: self.now,
            progress: &dossier.progress,
        };
        dossier.plan = Some(playbooks::plan(playbook, &facts));
        if !fires {
            return Vec::new();
        }
        let free = AT_ONCE.saturating_sub(dossier.asked.len());
        let due: Vec<_> = dossier.due(self.now).into_iter().take(free).collect();
        let mut effects: Vec<_> =
            due.into_iter().filter_map(|step| self.ask(&id, &step.id, step.action?)).collect();
        effects.extend(self.review(&id));
        effects
    }

    /// The incident this anomaly belongs to, as an index that holds until the next judgement.
    pub fn incident(&self) -> Option<&Incident> {
        self.verdict.incident_of(self.selection.anomaly.as_ref()?)
    }
}
