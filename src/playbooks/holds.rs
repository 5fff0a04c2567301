//! When the right thing is to wait, or to open another playbook first; and what is left to say when no change fits.

use crate::domain::{Effect, cause};

use super::Hold;
use super::Step;
use super::decide::{Decision, Table, suggest};
use super::plan::last_change;
use super::view::Reason;
use super::words::short;

/// Causes beside which what it said last tells more.
const SAYS_LITTLE: &[&str] = &[cause::CRASH, cause::BAD_REVISION];
/// Where a revision is to blame, and nothing to go back to.
const NO_WAY_BACK: &str =
    "its revision is to blame, and no earlier one is known to be good: correct it, or choose one yourself";

impl Table<'_> {
    /// It takes time, or another playbook has to go first; or, at the `last`, no step of this one helps.
    pub(super) fn held(&self, last: bool) -> Option<Decision> {
        let any = |causes: &[String]| causes.iter().any(|cause| self.view.has(cause));
        let holds: Vec<&Hold> = self
            .playbook
            .holds
            .iter()
            .filter(|hold| hold.last == last && (hold.for_causes.is_empty() || any(&hold.for_causes)))
            .filter(|hold| !any(&hold.not_for_causes))
            .collect();
        // What is judged from what is there now, before what a read found: an event may tell of what is over.
        let (judged, found): (Vec<&Hold>, Vec<&Hold>) =
            holds.into_iter().partition(|hold| self.is_judged(hold));
        judged.into_iter().chain(found).find_map(|hold| {
            let mut reads = hold.steps.iter().filter_map(|step| self.position(step));
            let index = reads.find(|index| self.can_run(*index))?;
            if self.is_confirmed(hold) {
                let why = self.why(hold, last);
                return Some(Decision { parent: hold.to.clone(), ..suggest(index, why) });
            }
            // The doubt is removed by its step; once that has found nothing, it was no reason to hold.
            let cause = self.view.causes.iter().find(|cause| hold.for_causes.contains(&cause.name))?;
            self.is_available(index).then(|| suggest(index, cause.says.clone()))
        })
    }

    /// What its words are; of one that is for any cause, what is known comes first.
    fn why(&self, hold: &Hold, last: bool) -> String {
        if !last || !hold.for_causes.is_empty() {
            return hold.why.show(self.values);
        }
        let says_much = |cause: &&Reason| !SAYS_LITTLE.contains(&&*cause.name);
        match self.view.causes.iter().find(says_much) {
            Some(cause) if self.is_mended(cause) && last_change(self.view, self.playbook).is_some() => {
                format!("{}: what could be done about it is done or blocked", short(&cause.says))
            }
            Some(cause) => format!("{}: no change of this playbook mends that", short(&cause.says)),
            None if self.view.has(cause::BAD_REVISION) => NO_WAY_BACK.to_owned(),
            None => hold.why.show(self.values),
        }
    }

    /// Whether some step of the playbook mends it.
    fn is_mended(&self, cause: &Reason) -> bool {
        let mends = |step: &Step| step.todo.effect() > Effect::Read && step.for_causes.contains(&cause.name);
        self.playbook.steps.iter().any(mends)
    }

    fn is_judged(&self, hold: &Hold) -> bool {
        self.view
            .facts
            .anomaly
            .causes
            .iter()
            .any(|cause| hold.for_causes.iter().any(|name| name == cause.name))
    }

    fn is_confirmed(&self, hold: &Hold) -> bool {
        let mut read = hold.steps.iter().filter_map(|step| self.view.done(step));
        let found = read.any(|done| done.found.iter().any(|found| hold.for_causes.contains(&found.cause)));
        !hold.confirm || found || self.is_judged(hold)
    }
}
