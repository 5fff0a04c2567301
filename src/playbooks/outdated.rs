//! What was read speaks of the trouble as it was then. Once the trouble is judged to be another, a change has taken
//! effect, or what changes by itself has had its time, it is read again. Knows readings by their time and their grounds only.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::domain::{Anomaly, Timestamp, between};

use super::view::View;
use super::{Done, Step, StepPhase};

/// How an anomaly was judged when something was read for it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Grounds {
    /// Of its title, without the numbers, their units and other short words: those change all the time.
    words: BTreeSet<String>,
    causes: BTreeSet<&'static str>,
}

impl Grounds {
    /// As the anomaly is judged now.
    pub fn of(anomaly: &Anomaly) -> Self {
        const SHORT: usize = 3;
        let words = anomaly.title.split(|character: char| !character.is_alphabetic());
        Self {
            words: words.filter(|word| word.chars().count() > SHORT).map(str::to_lowercase).collect(),
            causes: anomaly.causes.iter().map(|cause| cause.name).collect(),
        }
    }
}

/// Nothing is read again by itself sooner: a judgement that wavers must not become a storm of reads.
const REST: Duration = Duration::from_secs(30);

impl Done {
    /// It was read long enough ago to be read again by itself.
    pub fn has_rested(&self, now: Timestamp) -> bool {
        between(self.at, now) >= REST
    }
}

/// Whether what a step read has to be read again; `last` is the last change that stands, and when it was done.
pub(super) fn is_outdated(
    view: &View<'_>,
    step: &Step,
    done: &Done,
    last: Option<(&Step, Timestamp)>,
) -> bool {
    let now = view.facts.now;
    // What was seen while a change took effect says nothing about after it.
    let by_change = last.is_some_and(|(change, at)| {
        let verifies = step.phase == StepPhase::Verify || change.verify.contains(&step.id);
        let settled = between(at, now) >= change.settle;
        let before = done.at < at || between(at, done.at) < change.settle;
        before && (verifies || step.auto && settled)
    });
    let grounds = done.grounds.as_ref().filter(|_| step.auto && done.has_rested(now));
    let aged = step.fresh_for.is_some_and(|fresh| step.auto && between(done.at, now) >= fresh);
    by_change || aged || grounds.is_some_and(|grounds| *grounds != Grounds::of(view.facts.anomaly))
}
