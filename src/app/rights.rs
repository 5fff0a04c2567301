//! What the API server lets us do, asked for the changes that are at hand, so that nobody is led to a door that is
//! locked. Asked again from time to time: rights are given in an incident.

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;

use super::App;
use super::event::Effect;
use crate::domain::{Access, AnomalyId, Timestamp};

/// An answer is good for this long.
const GOOD_FOR: SignedDuration = SignedDuration::from_mins(1);

#[derive(Debug, Default)]
pub struct Rights {
    pub denied: BTreeSet<Access>,
    asked: BTreeMap<Access, Timestamp>,
}

impl App {
    /// Asks about the suggested change and its alternatives, where that is not known.
    pub(super) fn review(&mut self, id: &AnomalyId) -> Vec<Effect> {
        if !self.options.armed {
            return Vec::new();
        }
        let Some(plan) = self.dossiers.get(id).and_then(|dossier| dossier.plan.as_ref()) else {
            return Vec::new();
        };
        let wanted = plan.rights_at_hand();
        let is_old = |at: &Timestamp| self.now.duration_since(*at) >= GOOD_FOR;
        let unknown: Vec<Access> =
            wanted.into_iter().filter(|access| self.rights.asked.get(access).is_none_or(is_old)).collect();
        unknown
            .into_iter()
            .map(|access| {
                self.rights.asked.insert(access.clone(), self.now);
                Effect::Review { request: self.request(), access }
            })
            .collect()
    }

    pub(super) fn reviewed(&mut self, access: Access, allowed: bool) -> Vec<Effect> {
        let changed =
            if allowed { self.rights.denied.remove(&access) } else { self.rights.denied.insert(access) };
        if changed { self.advise() } else { Vec::new() }
    }
}
