//! The steps of a playbook, read from TOML: phases, causes, guards, inputs, and what comes after what. What
//! a step does is `parse_todo`'s.

use std::collections::HashSet;
use std::time::Duration;

use crate::domain::{CAUSES, Effect};

use super::parse::{check_id, pattern};
use super::parse_todo::{template, todo};
use super::placeholders::{self, BINDINGS};
use super::reader::{At, Fields, Lints};
use super::template::Template;
use super::verb::Todo;
use super::{Finder, Guard, InputSpec, Step, StepPhase};

const STEP_KEYS: &[&str] = &[
    "id",
    "phase",
    "title",
    "why",
    "do",
    "inputs",
    "for_causes",
    "not_for_causes",
    "where",
    "each",
    "finds",
    "guards",
    "after",
    "undo",
    "verify",
    "settle",
    "not_before",
    "anyway_after",
    "auto",
    "fresh_for",
];

/// The time that an action gets to show its effect, unless its step says otherwise.
const SETTLE: Duration = Duration::from_secs(20);

/// Ids named by a step, to be looked up once all steps are known.
struct Named {
    what: &'static str,
    id: At<String>,
}

pub(super) fn steps(lints: &mut Lints<'_>, playbook: &Fields<'_>) -> Vec<Step> {
    let mut seen = HashSet::new();
    let mut named = Vec::new();
    let mut places = Vec::new();
    let mut steps = Vec::new();
    for row in playbook.tables(lints, "step", "step") {
        if let Some(step) = step(lints, &row, &mut seen, &mut named) {
            places.push(row.at.clone());
            steps.push(step);
        }
    }
    if playbook.item("step").is_none() {
        playbook.lacks(lints, "step", "at least one [[playbook.step]]");
    }
    let ids: Vec<&str> = steps.iter().map(|step| step.id.as_str()).collect();
    for Named { what, id } in named {
        if !ids.contains(&id.value.as_str()) && !seen.contains(&id.value) {
            lints.unknown(&id.at, &format!("step in `{what}`"), &id.value, &ids);
        }
    }
    for (step, at) in steps.iter().zip(&places) {
        if is_after_itself(&steps, step) {
            lints.add(at, format!("step `{}` can never be reached: it comes after itself", step.id), None);
        }
    }
    steps
}

/// Whether following `after` from a step leads back to it.
fn is_after_itself(steps: &[Step], step: &Step) -> bool {
    let mut reached: HashSet<&str> = HashSet::new();
    let mut open: Vec<&str> = step.after.iter().map(String::as_str).collect();
    while let Some(id) = open.pop() {
        if reached.insert(id)
            && let Some(next) = steps.iter().find(|step| step.id == id)
        {
            open.extend(next.after.iter().map(String::as_str));
        }
    }
    reached.contains(step.id.as_str())
}

fn step(
    lints: &mut Lints<'_>,
    row: &Fields<'_>,
    seen: &mut HashSet<String>,
    named: &mut Vec<Named>,
) -> Option<Step> {
    row.only(lints, STEP_KEYS);
    let id = row.need_line(lints, "id", "lower case letters, digits and dashes");
    if let Some(id) = &id {
        check_id(lints, id, "step", seen);
    }
    let phase = phase(lints, row);
    let inputs = inputs(lints, row);
    let title = row.need_line(lints, "title", "one line, in the imperative");
    let title = title.and_then(|title| template(lints, &title, &inputs));
    let why = row.need_line(lints, "why", "one line for a tired person");
    let todo = todo(lints, row, &inputs);
    let effect = todo.as_ref().map_or(Effect::Read, Todo::effect);
    let for_causes = causes(lints, row, "for_causes");
    let not_for_causes = causes(lints, row, "not_for_causes");
    if !for_causes.is_empty() && for_causes.iter().all(|cause| not_for_causes.contains(cause)) {
        lints.add(
            &row.at,
            "this step can never be reached: every cause it is for is also one it is not for",
            None,
        );
    }
    let mut ids = |lints: &mut Lints<'_>, what: &'static str| -> Vec<String> {
        let words = row.words(lints, what);
        named.extend(words.iter().map(|id| Named { what, id: id.clone() }));
        words.into_iter().map(|word| word.value).collect()
    };
    let after = ids(lints, "after");
    let verify = ids(lints, "verify");
    let undo = undo(lints, row, effect, &inputs);
    if effect > Effect::Read && verify.is_empty() && row.item("verify").is_none() && todo.is_some() {
        row.lacks(lints, "verify", "the read steps that show whether the change worked: verify = [\"…\"]");
    }
    let auto = row.flag(lints, "auto");
    if let Some(auto) = auto.as_ref().filter(|auto| auto.value && effect > Effect::Read) {
        lints.add(&auto.at, "only reads run by themselves", Some("leave out `auto`".into()));
    }
    let fresh_for = row.span(lints, "fresh_for");
    let settle = row.span(lints, "settle").unwrap_or(SETTLE);
    let not_before = row.span(lints, "not_before").unwrap_or_default();
    let anyway_after = row.span(lints, "anyway_after");
    let guards = guards(lints, row);
    let finds = finds(lints, row, effect);
    let only_where = only_where(lints, row);
    let each = each(lints, row);
    let (phase, todo) = (phase?, todo?);
    let by_itself =
        effect == Effect::Read && phase == StepPhase::Investigate && todo.verb.name != "elsewhere";
    let auto = auto.map_or(by_itself, |auto| auto.value) && effect == Effect::Read;
    if let Some(fresh) = row.item("fresh_for").filter(|_| !auto) {
        let says = "only reads that run by themselves are read again by themselves";
        lints.add(&fresh.at, says, Some("leave out `fresh_for`".into()));
    }
    Some(Step {
        id: id?.value,
        phase,
        title: title?,
        why: why?.value,
        todo,
        inputs: inputs.into_iter().map(|(input, _)| input).collect(),
        for_causes,
        not_for_causes,
        only_where,
        each,
        finds,
        guards,
        after,
        undo,
        verify,
        settle,
        not_before,
        anyway_after,
        auto,
        fresh_for,
    })
}

fn phase(lints: &mut Lints<'_>, row: &Fields<'_>) -> Option<StepPhase> {
    let names = StepPhase::ALL.map(|(name, _)| name);
    let word = row.need_line(lints, "phase", &names.join(", "))?;
    let phase = StepPhase::parse(&word.value);
    if phase.is_none() {
        lints.unknown(&word.at, "phase", &word.value, &names);
    }
    phase
}

fn undo(lints: &mut Lints<'_>, row: &Fields<'_>, effect: Effect, inputs: &Inputs) -> Option<Template> {
    let undo = row.text(lints, "undo");
    if effect > Effect::Read && row.item("undo").is_none() {
        row.lacks(lints, "undo", "how it is taken back, in words; undo = \"none\" if it can't be");
    }
    undo.filter(|undo| undo.value != "none").and_then(|undo| template(lints, &undo, inputs))
}

fn each(lints: &mut Lints<'_>, row: &Fields<'_>) -> Option<String> {
    let name = row.text(lints, "each")?;
    check_placeholder(lints, &name.at, &name.value);
    Some(name.value)
}

fn check_placeholder(lints: &mut Lints<'_>, at: &std::ops::Range<usize>, name: &str) {
    if !placeholders::is_known(name) {
        let known: Vec<&str> = BINDINGS.iter().map(|(known, _)| *known).collect();
        lints.unknown(at, "placeholder", name, &known);
    }
}

fn only_where(lints: &mut Lints<'_>, row: &Fields<'_>) -> Vec<(String, String)> {
    let Some(table) = row.table(lints, "where", "where") else { return Vec::new() };
    let mut conditions = Vec::new();
    for (name, at) in table.keys() {
        check_placeholder(lints, &at, name);
        match table.item(name).and_then(|item| item.value.as_str()) {
            Some(value) => conditions.push((name.to_owned(), value.to_owned())),
            None => lints.add(&at, "a value is a string", None),
        }
    }
    conditions
}

fn guards(lints: &mut Lints<'_>, row: &Fields<'_>) -> Vec<Guard> {
    let mut guards = Vec::new();
    for word in row.words(lints, "guards") {
        match Guard::parse(&word.value) {
            Some(guard) => guards.push(guard),
            None => lints.unknown(&word.at, "guard", &word.value, &Guard::ALL.map(|(name, _)| name)),
        }
    }
    guards
}

/// Causes of the shared vocabulary.
pub(super) fn causes(lints: &mut Lints<'_>, row: &Fields<'_>, key: &str) -> Vec<String> {
    let mut causes = Vec::new();
    for word in row.words(lints, key) {
        check_cause(lints, &word);
        causes.push(word.value);
    }
    causes
}

fn check_cause(lints: &mut Lints<'_>, word: &At<String>) {
    let known: Vec<&str> = CAUSES.iter().map(|cause| cause.name).collect();
    if !known.contains(&word.value.as_str()) {
        lints.unknown(&word.at, "cause", &word.value, &known);
    }
}

/// Ids of steps that exist.
pub(super) fn step_ids(lints: &mut Lints<'_>, row: &Fields<'_>, key: &str, steps: &[Step]) -> Vec<String> {
    let ids: Vec<&str> = steps.iter().map(|step| step.id.as_str()).collect();
    let words = row.words(lints, key);
    for word in &words {
        if !ids.contains(&word.value.as_str()) {
            lints.unknown(&word.at, "step", &word.value, &ids);
        }
    }
    words.into_iter().map(|word| word.value).collect()
}

fn finds(lints: &mut Lints<'_>, row: &Fields<'_>, effect: Effect) -> Vec<Finder> {
    let mut finders = Vec::new();
    for find in row.tables(lints, "finds", "find") {
        find.only(lints, &["pattern", "field", "cause"]);
        let expression = find.need_text(lints, "pattern", "a regular expression");
        let expression = expression.and_then(|text| pattern(lints, &text));
        let field = find.text(lints, "field").map(|field| field.value);
        let cause = find.need_line(lints, "cause", "the cause that it gives away");
        if let Some(cause) = &cause {
            check_cause(lints, cause);
        }
        if effect > Effect::Read {
            lints.add(&find.at, "only reads find causes", None);
        }
        if let (Some(pattern), Some(cause)) = (expression, cause) {
            finders.push(Finder { field, pattern, cause: cause.value });
        }
    }
    finders
}

/// The inputs of a step, with their places.
pub(super) type Inputs = Vec<(InputSpec, std::ops::Range<usize>)>;

fn inputs(lints: &mut Lints<'_>, row: &Fields<'_>) -> Inputs {
    let Some(table) = row.table(lints, "inputs", "inputs") else { return Vec::new() };
    let mut inputs: Inputs = Vec::new();
    for (name, at) in table.keys() {
        let Some(spec) = table.table(lints, name, "input") else { continue };
        spec.only(lints, &["label", "default"]);
        let label = spec.need_line(lints, "label", "what a person is asked for");
        // A default may use everything but inputs.
        let default = spec.text(lints, "default").and_then(|text| template(lints, &text, &Vec::new()));
        let fine = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if !name.chars().all(fine) {
            let help = Some("lower case letters, digits and underscores".to_owned());
            lints.add(
                &at,
                format!("`{}` is not the name of an input", crate::domain::text::clean(name)),
                help,
            );
        }
        if let Some(label) = label {
            inputs.push((InputSpec { name: name.to_owned(), label: label.value, default }, at));
        }
    }
    inputs
}
