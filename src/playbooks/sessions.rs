//! What the sessions seen on the database say of ending some of them: too early, out of reach, or in vain.

use std::time::Duration;

use crate::domain::{Action, Activity, Holder, Pick, Sql, Which, between, text};

use super::decide::{Decision, Table, suggest};
use super::guards::Guard;
use super::view::View;
use super::{Done, Step, StepState};

/// The eyes list so many groups of sessions: an older one may be among the rest.
const LISTED: usize = 10;
/// A transaction that is idle for less may be one of a program that works.
const WORKS: Duration = Duration::from_secs(10);

/// Sessions that a step would end, none of which has idled for as long as the step asks.
pub(super) struct TooYoung {
    oldest: Duration,
    left: Duration,
}

impl TooYoung {
    pub(super) fn of(view: &View<'_>, action: Option<&Action>) -> Option<Self> {
        let pick = idle_in_transaction(action?)?;
        let (at, activity) = view.snapshot().activity.as_ref()?;
        let longest = idle(activity).map(|holder| holder.longest).collect::<Option<Vec<_>>>()?;
        let oldest = *longest.iter().max()? + between(*at, view.facts.now);
        let left = pick.older.checked_sub(oldest).filter(|left| !left.is_zero())?;
        (activity.holders.len() < LISTED).then_some(Self { oldest, left })
    }

    /// `the oldest has idled for 31s: wait 29s`.
    pub(super) fn says(&self) -> String {
        format!("the oldest has idled for {}: wait {}", text::span(whole(self.oldest)), self.wait())
    }

    fn wait(&self) -> String {
        text::span(Duration::from_secs(self.left.as_secs_f64().ceil() as u64))
    }
}

fn whole(of: Duration) -> Duration {
    Duration::from_secs(of.as_secs())
}

fn idle_in_transaction(action: &Action) -> Option<&Pick> {
    match action {
        Action::Postgres(Sql::TerminateSessions { pick, .. }) if pick.which == Which::IdleInTransaction => {
            Some(pick)
        }
        _ => None,
    }
}

fn idle(activity: &Activity) -> impl Iterator<Item = &Holder> {
    activity.holders.iter().filter(|holder| holder.state.starts_with("idle in transaction"))
}

/// Whose sessions were ended and are back in the same state, if most of those that idle in a transaction now are.
pub(super) fn reopened<'a>(view: &View<'a>, done: &Done) -> Option<&'a Holder> {
    idle_in_transaction(&done.change.as_ref().filter(|_| done.ok)?.action)?;
    let (at, activity) = view.snapshot().activity.as_ref()?;
    let since = between(done.at, *at);
    let is_back = |longest: Duration| longest >= WORKS && longest < since;
    let back = idle(activity).filter(|holder| holder.longest.is_some_and(is_back));
    let all: u32 = idle(activity).map(|holder| holder.sessions).sum();
    back.max_by_key(|holder| holder.sessions).filter(|holder| holder.sessions * 2 >= all)
}

impl Table<'_> {
    /// A step that only has to wait until one of the sessions is old enough.
    pub(super) fn too_young(&self, index: usize, step: &Step) -> Option<Decision> {
        let planned = &self.steps[index];
        let young = TooYoung::of(self.view, planned.action.as_ref())?;
        let says = young.says();
        if !matches!(&planned.state, StepState::NotAdvised { why } if *why == says) {
            return None;
        }
        let oldest = text::span(whole(young.oldest));
        let why =
            format!("wait {} before “{}”: the oldest has idled for {oldest}", young.wait(), planned.title);
        Some(suggest(self.to_watch(step)?, why))
    }

    /// Whether the sessions that a step ended are there again.
    pub(super) fn is_reopened(&self, step: &Step) -> bool {
        self.view.done(&step.id).is_some_and(|done| reopened(self.view, done).is_some())
    }

    /// What was ended is opened again by a program: no more of the same helps.
    pub(super) fn does_not_hold(&self) -> Option<Decision> {
        self.playbook.steps.iter().find_map(|step| {
            let back = reopened(self.view, self.view.done(&step.id)?)?;
            let (who, sessions) = (back.who(), text::count(back.sessions as usize, "session"));
            let named = if back.application.is_empty() { "role" } else { "application_name" };
            let why = format!(
                "terminating does not hold: {who} has {sessions} idle in a transaction again; restart, roll back or \
                 scale down what runs with that {named}"
            );
            Some(suggest(self.to_watch(step)?, why))
        })
    }

    /// What would help, and only a superuser may do.
    pub(super) fn out_of_reach(&self) -> Option<Decision> {
        self.playbook.steps.iter().zip(self.steps).find_map(|(step, planned)| {
            let StepState::Blocked { why } = &planned.state else { return None };
            let guarded = step.guards.contains(&Guard::RootMayBeEnded) && self.helps(step);
            let read = self.to_watch(step).filter(|_| guarded)?;
            Some(suggest(read, format!("{why}: its line is there to copy")))
        })
    }

    fn to_watch(&self, step: &Step) -> Option<usize> {
        let mut verify = step.verify.iter().filter_map(|id| self.position(id));
        verify.find(|index| self.can_run(*index))
    }

    fn helps(&self, step: &Step) -> bool {
        step.for_causes.iter().any(|cause| self.view.has(cause))
    }
}
