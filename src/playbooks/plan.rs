//! A playbook and an anomaly become a plan: every step bound to real objects, with how it stands.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::domain::{Access, Action, Effect, Timestamp, between, text};

use super::bind::{bind_in, inputs};
use super::guards::{Case, Standing};
use super::outdated::is_outdated;
use super::shortfall::shortfall;
use super::values::values;
use super::verb::Arg;
use super::view::View;
use super::{
    Done, Facts, MissingInput, Plan, PlannedStep, Playbook, Step, StepState, checklist, decide, resolved,
    verdict,
};

/// The plan for an anomaly by its playbook, from everything known now.
pub fn plan(playbook: &Playbook, facts: &Facts<'_>) -> Plan {
    let view = View::new(facts);
    let values = values(&view);
    let last = last_change(&view, playbook);
    let changed = last.map(|(_, at)| at);
    let mut first = Vec::with_capacity(playbook.steps.len());
    let mut steps = Vec::with_capacity(playbook.steps.len());
    for step in &playbook.steps {
        let (planned, before) = planned(&view, playbook, step, &values, last);
        steps.push(planned);
        first.push(before);
    }
    let resolved = resolved::resolution(&view, playbook, &steps, changed);
    let decision = decide::decide(&decide::Table {
        view: &view,
        playbook,
        steps: &steps,
        first: &first,
        resolved: &resolved,
        values: &values,
    });
    let suggested = match decision.back {
        Some(made) => {
            steps.push(way_back(&view, &playbook.steps[made], steps[made].effect));
            Some(steps.len() - 1)
        }
        None => decision.suggested,
    };
    if let Some(suggested) = suggested {
        steps[suggested].state = StepState::Suggested { why: decision.why.clone() };
    }
    Plan {
        playbook: playbook.id.clone(),
        title: playbook.title.clone(),
        suggested,
        why: decision.why,
        alternatives: decision.alternatives,
        parent: decision.parent,
        resolved,
        follow_up: checklist::items(&view, &playbook.follow_up),
        steps,
    }
}

/// The change that was done last and stands, and when.
pub(super) fn last_change<'p>(view: &View<'_>, playbook: &'p Playbook) -> Option<(&'p Step, Timestamp)> {
    playbook
        .steps
        .iter()
        .filter(|step| step.todo.effect() > Effect::Read)
        .filter_map(|step| Some((step, view.done(&step.id).filter(|done| done.ok)?.at)))
        .max_by_key(|(_, at)| *at)
}

/// The step that takes back what another did.
fn way_back(view: &View<'_>, of: &Step, effect: Effect) -> PlannedStep {
    let made = view.done(&of.id).and_then(|done| done.change.as_ref());
    let title = made.map_or_else(|| of.id.clone(), |made| made.title.clone());
    PlannedStep {
        id: "take-back".into(),
        phase: of.phase,
        title: format!("Take back “{title}”"),
        why: "What did not help need not stay, and more of it is no remedy.".into(),
        state: StepState::Available,
        action: None,
        inputs: Vec::new(),
        covers: BTreeSet::new(),
        effect,
        undo: Some("do it again".into()),
        auto: false,
        notes: Vec::new(),
        access: None,
        not_ours: not_ours(view, effect, None),
        takes_back: Some(of.id.clone()),
    }
}

/// A step and, where something has to come first, the id of that step.
fn planned(
    view: &View<'_>,
    playbook: &Playbook,
    step: &Step,
    values: &BTreeMap<String, String>,
    last: Option<(&Step, Timestamp)>,
) -> (PlannedStep, Option<String>) {
    let bound = bind_in(view, values, step, &BTreeMap::new());
    let mut notes = Vec::new();
    let (state, first) = state(view, playbook, step, values, &bound, last, &mut notes);
    let action = bound.ok();
    let effect = action.as_ref().map_or_else(|| step.todo.effect(), Action::effect);
    let inputs = inputs(step, values);
    let access =
        action.as_ref().and_then(Action::object).and_then(|object| Access::of(step.todo.verb.name, &object));
    let not_ours = not_ours(view, effect, access.as_ref());
    let mut shown = values.clone();
    for input in &inputs {
        if let Some(value) = &input.value {
            shown.insert(input.name.clone(), value.clone());
        }
    }
    let planned = PlannedStep {
        id: step.id.clone(),
        phase: step.phase,
        title: done_as(view, step, &state).unwrap_or_else(|| step.title.show(&shown)),
        why: step.why.clone(),
        state,
        action,
        inputs,
        covers: covers(step, values),
        effect,
        undo: step.undo.as_ref().map(|undo| undo.show(&shown)),
        auto: step.auto,
        notes,
        access,
        not_ours,
        takes_back: None,
    };
    (planned, first)
}

/// Why this session can only look at a change.
fn not_ours(view: &View<'_>, effect: Effect, access: Option<&Access>) -> Option<String> {
    if effect == Effect::Read {
        return None;
    }
    if view.facts.read_only {
        return Some("this session is read-only".into());
    }
    let access = access?;
    view.facts.denied.contains(access).then(|| format!("you may not {access}"))
}

/// What a change that was done was called then.
fn done_as(view: &View<'_>, step: &Step, state: &StepState) -> Option<String> {
    if !matches!(state, StepState::Done { .. }) {
        return None;
    }
    Some(view.facts.progress.done(&step.id)?.change.as_ref()?.title.clone())
}

fn state(
    view: &View<'_>,
    playbook: &Playbook,
    step: &Step,
    values: &BTreeMap<String, String>,
    bound: &Result<Action, MissingInput>,
    last: Option<(&Step, Timestamp)>,
    notes: &mut Vec<String>,
) -> (StepState, Option<String>) {
    let changes = step.todo.effect() > Effect::Read;
    if let Some(done) = view.done(&step.id) {
        let more = (done.ok || !changes) && is_for_more(step, done, values);
        let again = again(view, playbook, step, done, bound.as_ref().ok());
        if !more && again.is_none() && (changes || !is_outdated(view, step, done, last)) {
            return (StepState::Done { at: done.at, ok: done.ok, says: done.says.clone() }, None);
        }
        notes.extend(again);
    }
    if let Some((at, why)) = view.facts.progress.refused.get(&step.id)
        && between(*at, view.facts.now) < REFUSED
    {
        return (StepState::NotAdvised { why: format!("refused just now: {why}") }, None);
    }
    if let Some(line) = unconfigured(view, step) {
        return (StepState::Blocked { why: format!("not configured: {line}") }, None);
    }
    let action = bound.as_ref().ok();
    let case = Case { view, playbook, action, values };
    let mut held: Option<(String, Option<String>)> = None;
    for guard in &step.guards {
        match guard.standing(&case) {
            Standing::Fine => {}
            Standing::Note(says) => notes.push(says),
            Standing::First { step, why } => held = held.or(Some((why, Some(step)))),
            Standing::NotAdvised(why) => held = held.or(Some((why, None))),
            Standing::Blocked(why) => return (StepState::Blocked { why }, None),
        }
    }
    // What speaks against it for itself weighs more than what is missing or would have to come first.
    if let Some(why) = unfit(view, step, values) {
        return (StepState::NotAdvised { why }, None);
    }
    // A value that only a person can give does not block: it is asked for.
    if let Err(missing) = bound
        && !step.inputs.iter().any(|input| input.name == missing.name)
    {
        return (StepState::Blocked { why: missing.says.clone() }, None);
    }
    if let Some(why) = action.and_then(|action| verdict::against(view, playbook, action)) {
        return (StepState::NotAdvised { why }, None);
    }
    if let Some((why, first)) = held {
        return (StepState::NotAdvised { why }, first);
    }
    let known = |id: &str| playbook.steps.iter().find(|step| step.id == id);
    let answered = |id: &str| {
        let done = view.done(id).filter(|done| done.says_something());
        // The world answers, whoever did it.
        let is_so = view.node.is_some_and(|node| node.unschedulable)
            && known(id).is_some_and(|step| match step.todo.verb.name {
                "cordon" => true,
                "drain" => view.movable().iter().all(|pod| pod.deleting.is_some()),
                _ => false,
            });
        is_so || done.is_some_and(|done| known(id).is_none_or(|step| !is_for_more(step, done, values)))
    };
    if let Some(before) = step.after.iter().find(|id| !answered(id)) {
        let title = known(before).map(|step| step.title.show(values));
        let why = format!("first: {}", title.unwrap_or_else(|| before.clone()));
        return (StepState::NotAdvised { why }, Some(before.clone()));
    }
    (StepState::Available, None)
}

/// What was refused is not suggested again for so long: there may be another way.
const REFUSED: Duration = Duration::from_mins(2);
/// What failed so often fails for a reason that stays.
const ATTEMPTS: u32 = 3;

/// That a change failed, or did not suffice where it would be another one now: it is open again.
fn again(
    view: &View<'_>,
    playbook: &Playbook,
    step: &Step,
    done: &Done,
    bound: Option<&Action>,
) -> Option<String> {
    let made = done.change.as_ref()?;
    if !done.ok && made.times < ATTEMPTS {
        let ago = text::span(between(done.at, view.facts.now));
        return Some(format!("it failed {ago} ago ({}): look at what it would do now", done.says));
    }
    if !made.is_open_again(bound) {
        return None;
    }
    shortfall(view, playbook, step, done)?;
    let ago = text::span(between(done.at, view.facts.now));
    Some(format!("“{}” was done {ago} ago and did not suffice", made.title))
}

/// Whether its `each` has words now that it was not done for.
fn is_for_more(step: &Step, done: &Done, values: &BTreeMap<String, String>) -> bool {
    !covers(step, values).is_subset(&done.covers)
}

/// The words that its `each` has now.
fn covers(step: &Step, values: &BTreeMap<String, String>) -> BTreeSet<String> {
    let value = step.each.as_ref().and_then(|name| values.get(name)).map(String::as_str).unwrap_or_default();
    value.split([',', ' ']).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// The line that would configure the system that a step needs, if it isn't configured.
fn unconfigured(view: &View<'_>, step: &Step) -> Option<String> {
    let verb = step.todo.verb;
    match step.todo.args.get("configure") {
        Some(Arg::Text(line)) if verb.name == "elsewhere" => Some(line.show(&BTreeMap::new())),
        _ => (!view.facts.systems.contains(&verb.system)).then(|| verb.system.configure().to_owned()),
    }
}

/// Why the step is not for this case, or not any more.
fn unfit(view: &View<'_>, step: &Step, values: &BTreeMap<String, String>) -> Option<String> {
    let undone = view.facts.progress.steps.get(&step.id).is_some_and(|done| done.undone);
    if undone {
        return Some("it was done and taken back".into());
    }
    if let Some(cause) = view.causes.iter().find(|cause| step.not_for_causes.contains(&cause.name)) {
        return Some(format!("not for this: {}", cause.says));
    }
    step.only_where.iter().find_map(|(name, wanted)| {
        let has = values.get(name).filter(|has| *has != wanted)?;
        Some(format!("not for this: {} is {has}", name.replace('_', " ")))
    })
}
