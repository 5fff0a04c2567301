//! The list of what is wrong: incidents, their symptoms when looked at, what is alone, what was resolved.
//! Rows are named by anomaly, so that a list that reorders never moves the selection.

use super::App;
use crate::domain::AnomalyId;

/// One row of the list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Row {
    pub id: AnomalyId,
    pub place: Place,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// Root of the incident with this index, with that many symptoms.
    Root { incident: usize, symptoms: usize },
    /// A symptom of an incident that is looked at.
    Symptom { last: bool },
    /// Not part of any incident: too weak alone.
    Alone,
    /// Over.
    Resolved,
}

impl App {
    /// The rows that pass the filter, the worst first.
    pub fn rows(&self) -> Vec<Row> {
        let wanted = self.filter.text().trim().to_lowercase();
        let mut rows = self.every_row();
        if wanted.is_empty() {
            return rows;
        }
        // An incident stays whole when any part of it matches.
        let mut kept = false;
        rows.retain(|row| {
            kept = match row.place {
                Place::Root { incident, .. } => self.verdict.incidents.get(incident).is_some_and(|found| {
                    contains(&found.title.what, &wanted)
                        || found.members.iter().any(|id| self.mentions(id, &wanted))
                }),
                Place::Symptom { .. } => kept,
                Place::Alone | Place::Resolved => self.mentions(&row.id, &wanted),
            };
            kept
        });
        rows
    }

    /// How many rows the filter hides.
    pub fn hidden_rows(&self) -> usize {
        if self.filter.is_empty() { 0 } else { self.every_row().len().saturating_sub(self.rows().len()) }
    }

    /// What a person would read of an anomaly: its title, subject, rule and severity.
    fn mentions(&self, id: &AnomalyId, wanted: &str) -> bool {
        let resolved = || self.verdict.memory.resolved().iter().map(|resolved| &resolved.anomaly);
        let anomaly = self.verdict.anomaly(id).or_else(|| resolved().find(|anomaly| anomaly.id == *id));
        anomaly.is_some_and(|anomaly| {
            [&*anomaly.title, &*anomaly.rule, anomaly.severity.as_str(), &anomaly.subject.placed(true)]
                .iter()
                .any(|words| contains(words, wanted))
        })
    }

    pub(super) fn every_row(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        let verdict = &self.verdict;
        for (index, incident) in verdict.incidents.iter().enumerate() {
            let others: Vec<_> = incident.members.iter().filter(|id| **id != incident.root).collect();
            let place = Place::Root { incident: index, symptoms: others.len() };
            rows.push(Row { id: incident.root.clone(), place });
            let open = self.selection.anomaly.as_ref().is_some_and(|id| incident.members.contains(id));
            if open {
                let last = others.len().saturating_sub(1);
                rows.extend(
                    others.iter().enumerate().map(|(at, id)| Row {
                        id: (*id).clone(),
                        place: Place::Symptom { last: at == last },
                    }),
                );
            }
        }
        let alone = verdict.anomalies.iter().filter(|anomaly| verdict.incident_of(&anomaly.id).is_none());
        rows.extend(alone.map(|anomaly| Row { id: anomaly.id.clone(), place: Place::Alone }));
        for resolved in verdict.memory.resolved() {
            let id = &resolved.anomaly.id;
            if rows.iter().all(|row| row.id != *id) {
                rows.push(Row { id: id.clone(), place: Place::Resolved });
            }
        }
        rows
    }

    /// Moves the selection by rows; from then on it is the person's.
    pub(super) fn move_selection(&mut self, by: isize) {
        let rows = self.rows();
        let here = rows.iter().position(|row| Some(&row.id) == self.selection.anomaly.as_ref());
        let there = match here {
            Some(here) => here.saturating_add_signed(by).min(rows.len() - 1),
            None => 0,
        };
        if let Some(row) = rows.get(there) {
            self.select(row.id.clone());
        }
    }

    pub(super) fn select(&mut self, id: AnomalyId) {
        self.selection.anomaly = Some(id);
        self.selection.by_person = true;
    }
}

fn contains(words: &str, wanted: &str) -> bool {
    words.to_lowercase().contains(wanted)
}
