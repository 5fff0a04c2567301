//! Which step comes next, and why: exactly one. The order is that of the audit's section 4: let the last
//! change settle and verify it, then what another playbook has to mend first, then what mends a known cause
//! (in the order of the playbook), then the way back from what was tried in vain, then what time makes necessary,
//! then what is still to be read.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::domain::{Effect, between, cause, text};

use super::plan::last_change;
use super::reverted::taken_back;
use super::shortfall::{ENOUGH, fails_anew, shortfall};
use super::view::{Reason, View};
use super::words::{short, tell_the_same};
use super::{Done, PlannedStep, Playbook, Resolution, Step, StepPhase, StepState};

/// What a decision is made from.
pub(super) struct Table<'a> {
    pub view: &'a View<'a>,
    pub playbook: &'a Playbook,
    /// The playbook's steps as they stand, in its order.
    pub steps: &'a [PlannedStep],
    /// What has to come before each of them.
    pub first: &'a [Option<String>],
    pub resolved: &'a Resolution,
    /// What placeholders stand for.
    pub values: &'a BTreeMap<String, String>,
}

#[derive(Clone, PartialEq, Debug, Default)]
pub(super) struct Decision {
    pub suggested: Option<usize>,
    pub why: String,
    pub alternatives: Vec<usize>,
    pub parent: Option<String>,
    /// The step to be taken back, instead of one to be taken.
    pub back: Option<usize>,
}

/// At most so many other ways are shown.
const ALTERNATIVES: usize = 2;
/// All conditions hold for this long without our doing: it passes by itself.
const PASSING: Duration = Duration::from_mins(1);

pub(super) fn decide(table: &Table<'_>) -> Decision {
    if table.resolved.reached {
        return Decision { why: table.resolved.says.clone(), ..Decision::default() };
    }
    let mut decision = table
        .reverted()
        .or_else(|| table.after_a_change())
        .or_else(|| table.over())
        .or_else(|| table.passing())
        .or_else(|| table.urgent())
        .or_else(|| table.overdue())
        .or_else(|| table.held(false))
        .or_else(|| table.mending())
        .or_else(|| table.does_not_hold())
        .or_else(|| table.out_of_reach())
        .or_else(|| table.way_back())
        .or_else(|| table.taken_back())
        .or_else(|| table.open_ended())
        .or_else(|| table.reading())
        .or_else(|| table.held(true))
        .or_else(|| table.watching())
        .unwrap_or_else(|| Decision {
            why: "every step is done or blocked: the reasons are beside the steps".into(),
            ..Decision::default()
        });
    decision.alternatives = table.alternatives(decision.suggested);
    decision
}

impl Table<'_> {
    pub(super) fn position(&self, id: &str) -> Option<usize> {
        self.playbook.steps.iter().position(|step| step.id == id)
    }

    pub(super) fn is_available(&self, index: usize) -> bool {
        self.steps[index].state == StepState::Available
    }

    /// Available, or a read that was done and can be done again.
    pub(super) fn can_run(&self, index: usize) -> bool {
        let again = matches!(self.steps[index].state, StepState::Done { .. })
            && self.playbook.steps[index].todo.effect() == Effect::Read;
        self.is_available(index) || again
    }

    fn with_index(&self) -> impl Iterator<Item = (usize, &Step)> {
        self.playbook.steps.iter().enumerate()
    }

    /// The last change does not stand any more: whoever keeps the workload took it back.
    fn reverted(&self) -> Option<Decision> {
        let (change, _) = last_change(self.view, self.playbook)?;
        let why = taken_back(self.view, self.view.done(&change.id)?)?;
        self.any_read().map(|read| suggest(read, why))
    }

    /// The last change settles, then it is verified, then it has to hold.
    fn after_a_change(&self) -> Option<Decision> {
        let (change, at) = last_change(self.view, self.playbook)?;
        let title = &self.steps[self.position(&change.id)?].title;
        let checks: Vec<usize> = change
            .verify
            .iter()
            .filter_map(|id| self.position(id))
            .filter(|index| self.can_run(*index))
            .collect();
        let passed = since(self.view, at);
        if passed < change.settle {
            let left = change.settle.saturating_sub(passed).as_secs_f64().ceil();
            let left = text::span(Duration::from_secs_f64(left));
            return Some(suggest(
                *checks.first()?,
                format!("“{title}” is taking effect: judge it in {left}"),
            ));
        }
        // What is seen has answered already.
        if self.in_vain().is_some()
            || self.view.done(&change.id).is_some_and(|done| fails_anew(self.view, None, done))
        {
            return None;
        }
        // Nothing goes on before that pod is deleted, however long it is watched.
        if self.view.has(cause::LEFT_BEHIND) {
            return None;
        }
        if let Some(open) = checks.iter().copied().find(|index| self.is_available(*index)) {
            return Some(suggest(open, format!("see whether “{title}” worked")));
        }
        // Everything was verified: let it hold, unless it plainly does not.
        self.resolved.holds_since?;
        self.holding()
    }

    /// Why the last change did not suffice, if that is proven.
    fn in_vain(&self) -> Option<String> {
        let (change, _) = last_change(self.view, self.playbook)?;
        shortfall(self.view, self.playbook, change, self.view.done(&change.id)?)
    }

    /// What was done often enough in vain is taken back.
    fn way_back(&self) -> Option<Decision> {
        let (change, _) = last_change(self.view, self.playbook)?;
        let made = self.view.done(&change.id)?.change.as_ref()?;
        let why = self.in_vain().filter(|_| made.undoable && made.times >= ENOUGH)?;
        let why = format!("{}, nor did it the time before", short(&why));
        Some(Decision { back: Some(self.position(&change.id)?), why, ..Decision::default() })
    }

    /// What would mend it was done, and a person took it back: they know best why, and may want it again.
    fn taken_back(&self) -> Option<Decision> {
        let once = |done: &Done| done.undone && done.change.as_ref().is_some_and(|made| made.times < ENOUGH);
        let undone = |step: &Step| self.view.facts.progress.steps.get(&step.id).is_some_and(once);
        let (index, _) = self.with_index().find(|(_, step)| undone(step) && self.reason(step).is_some())?;
        let title = &self.steps[index].title;
        let why =
            format!("“{title}” was taken back: do it again, if that was not meant, or choose another way");
        self.any_read().map(|read| suggest(read, why))
    }

    /// What verifies the last change, or anything: first what has not been verified at all.
    fn holding(&self) -> Option<Decision> {
        let resolved = &self.playbook.resolved.steps;
        let of_change = |step: &Step| {
            let change = last_change(self.view, self.playbook).map(|(change, _)| change);
            change.is_some_and(|change| change.verify.contains(&step.id) || resolved.contains(&step.id))
        };
        let verifies = |step: &Step| step.phase == StepPhase::Verify;
        let open = self.first_open(of_change).filter(|index| self.is_available(*index));
        let again = || self.first_failed(of_change).or_else(|| self.first_open(of_change));
        let index = open.or_else(again).or_else(|| self.first_open(verifies))?;
        Some(suggest(index, self.resolved.says.clone()))
    }

    /// The first of these that has not been read yet, else the first that can be read again.
    fn first_open(&self, wanted: impl Fn(&Step) -> bool) -> Option<usize> {
        let those = || self.with_index().filter(|(_, step)| wanted(step)).map(|(index, _)| index);
        those().find(|index| self.is_available(*index)).or_else(|| those().find(|index| self.can_run(*index)))
    }

    /// The first of these that was read and did not pass: once may be chance.
    fn first_failed(&self, wanted: impl Fn(&Step) -> bool) -> Option<usize> {
        let failed = |index: usize| matches!(self.steps[index].state, StepState::Done { ok: false, .. });
        let mut those = self.with_index().filter(|(_, step)| wanted(step)).map(|(index, _)| index);
        those.find(|index| failed(*index) && self.can_run(*index))
    }

    /// It is not there any more: what it was caused by then is no reason to change anything now.
    fn over(&self) -> Option<Decision> {
        if self.view.facts.fires { None } else { self.holding() }
    }

    /// It gets well by itself: nothing is to be changed.
    fn passing(&self) -> Option<Decision> {
        let since = self.resolved.holds_since?;
        (between(since, self.view.facts.now) >= PASSING).then(|| self.holding()).flatten()
    }

    /// The first step that mends a cause we know.
    fn mending(&self) -> Option<Decision> {
        self.with_index()
            .filter(|(_, step)| step.todo.effect() > Effect::Read && !self.is_reopened(step))
            .filter_map(|(index, step)| Some((index, step, self.reason(step)?)))
            .find_map(|(index, step, why)| self.take(index, step, &why))
    }

    /// Users notice: what helps whatever the cause is comes first.
    fn urgent(&self) -> Option<Decision> {
        let deployment = self.view.deployment.filter(|_| self.view.users_affected())?;
        let why = format!(
            "users are affected: {} of {} replicas available",
            deployment.available, deployment.replicas
        );
        self.with_index()
            .filter(|(_, step)| step.anyway_after.is_some_and(|after| !after.is_zero()))
            .find_map(|(index, step)| self.take(index, step, &why))
    }

    /// Time is up: what helps whatever the cause is.
    fn overdue(&self) -> Option<Decision> {
        let age = since(self.view, self.view.facts.anomaly.onset);
        let tried = last_change(self.view, self.playbook).is_some();
        let lasts = text::span(age);
        let why = if tried {
            format!("nothing else has helped in {lasts}")
        } else {
            format!("it has lasted for {lasts}, and this helps whatever the cause is")
        };
        self.with_index()
            .filter(|(_, step)| step.anyway_after.is_some_and(|due| !due.is_zero() && age >= due))
            .find_map(|(index, step)| {
                let known = self.reason(step).filter(|_| !tried);
                self.take(index, step, known.as_deref().unwrap_or(&why))
            })
    }

    /// What is due as soon as nothing speaks against it, like giving back what was taken.
    fn open_ended(&self) -> Option<Decision> {
        self.with_index()
            .filter(|(_, step)| step.anyway_after.is_some_and(|due| due.is_zero()))
            .find_map(|(index, step)| self.take(index, step, &step.why))
    }

    /// A step, or what has to come before it, or the wait before it.
    fn take(&self, index: usize, step: &Step, why: &str) -> Option<Decision> {
        if let (StepState::NotAdvised { why: held }, Some(first)) =
            (&self.steps[index].state, &self.first[index])
        {
            let first = self.position(first).filter(|first| self.is_available(*first))?;
            // Only reads are taken on the way to another step; a change has to have its own reason.
            let reads = self.playbook.steps[first].todo.effect() == Effect::Read;
            let listed = step.after.contains(&self.playbook.steps[first].id);
            return reads.then(|| suggest(first, if listed { why.to_owned() } else { held.clone() }));
        }
        if !self.is_available(index) {
            return self.too_young(index, step);
        }
        let age = since(self.view, self.view.facts.anomaly.onset);
        if age < step.not_before {
            let left = text::span(step.not_before.saturating_sub(age));
            let why = format!("wait {left} before “{}”: it may pass by itself", self.steps[index].title);
            let watch =
                step.verify.iter().filter_map(|id| self.position(id)).find(|index| self.can_run(*index));
            return watch.or_else(|| self.any_read()).map(|read| suggest(read, why));
        }
        Some(suggest(index, why))
    }

    /// Why a step would help: the causes that it is for, as far as they are known; and beside them what is
    /// likeliest, so that the reason tells the whole story.
    fn reason(&self, step: &Step) -> Option<String> {
        let (its, others): (Vec<&Reason>, Vec<&Reason>) =
            self.view.causes.iter().partition(|cause| step.for_causes.contains(&cause.name));
        if its.is_empty() {
            return None;
        }
        let mut told: Vec<&str> = Vec::new();
        for cause in its.into_iter().chain(others) {
            if !told.iter().any(|known| tell_the_same(&cause.says, known)) {
                told.push(&cause.says);
            }
        }
        let in_vain = self.in_vain();
        // It tells its cause with it.
        told.retain(|says| in_vain.as_ref().is_none_or(|words| !words.contains(says)));
        let told = in_vain.as_deref().into_iter().chain(told);
        Some(told.take(2).map(short).collect::<Vec<_>>().join("; "))
    }

    /// What has not been read yet: first what a known cause asks for.
    fn reading(&self) -> Option<Decision> {
        let unread = |(index, step): &(usize, &Step)| {
            step.phase == StepPhase::Investigate
                && self.is_available(*index)
                && step.todo.effect() == Effect::Read
        };
        let by_cause =
            self.with_index().filter(unread).find_map(|(index, step)| Some((index, self.reason(step)?)));
        if let Some((index, why)) = by_cause {
            return Some(suggest(index, why));
        }
        // Before anything has ended there is no log of an end: the events say what stands in the way.
        if self.view.causes.is_empty()
            && self.view.never_ended()
            && let Some((index, step)) =
                self.with_index().filter(unread).find(|(_, step)| step.todo.verb.name == "describe")
        {
            return Some(suggest(index, format!("nothing has ended yet: {}", step.why)));
        }
        let (index, step) = self.with_index().filter(unread).find(|(_, step)| step.for_causes.is_empty())?;
        Some(suggest(index, step.why.clone()))
    }

    /// Nobody said where to look.
    fn watching(&self) -> Option<Decision> {
        let verify = self
            .with_index()
            .filter(|(_, step)| step.phase == StepPhase::Verify)
            .map(|(index, _)| index)
            .find(|index| self.can_run(*index));
        let index = verify.or_else(|| self.any_read())?;
        Some(suggest(
            index,
            "nothing that was read asks for one of the changes: watch it, or choose one yourself",
        ))
    }

    /// A read that can run: one that has not run yet before one that has.
    fn any_read(&self) -> Option<usize> {
        self.first_open(|step| step.todo.effect() == Effect::Read)
    }

    /// Other ways: changes for known causes, then what is still to be read.
    fn alternatives(&self, suggested: Option<usize>) -> Vec<usize> {
        let open = |index: &usize| Some(*index) != suggested && self.is_available(*index);
        let changes = self
            .with_index()
            .filter(|(_, step)| step.todo.effect() > Effect::Read)
            .filter(|(_, step)| self.reason(step).is_some() || step.anyway_after.is_some())
            .map(|(index, _)| index);
        let reads = self
            .with_index()
            .filter(|(_, step)| step.todo.effect() == Effect::Read && step.phase == StepPhase::Investigate)
            .map(|(index, _)| index);
        changes.chain(reads).filter(open).take(ALTERNATIVES).collect()
    }
}

pub(super) fn suggest(index: usize, why: impl Into<String>) -> Decision {
    Decision { suggested: Some(index), why: why.into(), ..Decision::default() }
}

fn since(view: &View<'_>, at: crate::domain::Timestamp) -> Duration {
    between(at, view.facts.now)
}
