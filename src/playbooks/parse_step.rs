//! The steps of a playbook, read from TOML: actions and their parameters, placeholders, causes, guards.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use toml_edit::{Item, Value};

use crate::domain::{CAUSES, Effect};

use super::parse::{check_id, pattern};
use super::reader::{At, Fields, Lints};
use super::template::Template;
use super::values::{self, BINDINGS, SETTINGS};
use super::verb::{Arg, Json, Param, ParamKind, Todo, VERBS, Verb};
use super::{Finder, Guard, InputSpec, PodSet, Step, StepPhase};

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
    "finds",
    "guards",
    "after",
    "undo",
    "verify",
    "settle",
    "not_before",
    "anyway_after",
    "auto",
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
    let undo = undo(lints, row, effect);
    if effect > Effect::Read && verify.is_empty() && row.item("verify").is_none() && todo.is_some() {
        row.lacks(lints, "verify", "the read steps that show whether the change worked: verify = [\"…\"]");
    }
    let auto = row.flag(lints, "auto");
    if let Some(auto) = auto.as_ref().filter(|auto| auto.value && effect > Effect::Read) {
        lints.add(&auto.at, "only reads run by themselves", Some("leave out `auto`".into()));
    }
    let settle = row.span(lints, "settle").unwrap_or(SETTLE);
    let not_before = row.span(lints, "not_before").unwrap_or_default();
    let anyway_after = row.span(lints, "anyway_after");
    let guards = guards(lints, row);
    let finds = finds(lints, row, effect);
    let only_where = only_where(lints, row);
    let (phase, todo) = (phase?, todo?);
    let by_itself =
        effect == Effect::Read && phase == StepPhase::Investigate && todo.verb.name != "elsewhere";
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
        finds,
        guards,
        after,
        undo,
        verify,
        settle,
        not_before,
        anyway_after,
        auto: auto.map_or(by_itself, |auto| auto.value) && effect == Effect::Read,
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

fn undo(lints: &mut Lints<'_>, row: &Fields<'_>, effect: Effect) -> Option<String> {
    let undo = row.text(lints, "undo").map(|undo| undo.value);
    if effect > Effect::Read && row.item("undo").is_none() {
        row.lacks(lints, "undo", "how it is taken back, in words; undo = \"none\" if it can't be");
    }
    undo.filter(|undo| undo != "none")
}

fn only_where(lints: &mut Lints<'_>, row: &Fields<'_>) -> Vec<(String, String)> {
    let Some(table) = row.table(lints, "where", "where") else { return Vec::new() };
    let mut conditions = Vec::new();
    for (name, at) in table.keys() {
        if !values::is_known(name) {
            let known: Vec<&str> = BINDINGS.iter().map(|(known, _)| *known).collect();
            lints.unknown(&at, "placeholder", name, &known);
        }
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

type Inputs = Vec<(InputSpec, std::ops::Range<usize>)>;

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

/// A text whose placeholders are known.
fn template(lints: &mut Lints<'_>, text: &At<String>, inputs: &Inputs) -> Option<Template> {
    let template = match Template::parse(&text.value) {
        Ok(template) => template,
        Err(broken) => {
            let rest: String = text.value[broken.at..].chars().take(12).collect();
            let at = lints.within(&text.at, &rest);
            lints.add(
                &at,
                format!("broken placeholder: {}", broken.says),
                Some("`{{` stands for a brace".into()),
            );
            return None;
        }
    };
    for name in template.placeholders() {
        if !values::is_known(name) && !inputs.iter().any(|(input, _)| input.name == name) {
            let mut known: Vec<&str> = inputs.iter().map(|(input, _)| input.name.as_str()).collect();
            known.extend(BINDINGS.iter().map(|(known, _)| known));
            known.extend(SETTINGS.iter().map(|(known, ..)| known));
            let at = lints.within(&text.at, &format!("{{{name}}}"));
            lints.unknown(&at, "placeholder", name, &known);
        }
    }
    Some(template)
}

fn todo(lints: &mut Lints<'_>, row: &Fields<'_>, inputs: &Inputs) -> Option<Todo> {
    let Some(table) = row.table(lints, "do", "do") else {
        if row.item("do").is_none() {
            row.lacks(lints, "do", "one action and its parameters: do = { action = \"…\" }");
        }
        return None;
    };
    let names: Vec<&str> = VERBS.iter().map(|verb| verb.name).collect();
    let word = table.need_line(lints, "action", &format!("one of {}", names.join(", ")))?;
    let Some(verb) = Verb::find(&word.value) else {
        lints.unknown(&word.at, "action", &word.value, &names);
        return None;
    };
    let mut allowed = vec!["action"];
    allowed.extend(verb.params.iter().map(|param| param.name));
    table.only(lints, &allowed);
    let mut args = BTreeMap::new();
    for param in verb.params {
        match table.item(param.name) {
            Some(item) => {
                if let Some(arg) = arg(lints, &table, param, &item, inputs) {
                    args.insert(param.name, arg);
                }
            }
            None if param.required => {
                table.lacks(lints, param.name, &format!("`{}` needs it: {}", verb.name, param.kind.says()));
            }
            None => {}
        }
    }
    Some(Todo { verb, args })
}

fn arg(
    lints: &mut Lints<'_>,
    table: &Fields<'_>,
    param: &Param,
    item: &At<&Item>,
    inputs: &Inputs,
) -> Option<Arg> {
    match param.kind {
        ParamKind::Flag => table.flag(lints, param.name).map(|flag| Arg::Flag(flag.value)),
        ParamKind::Words => {
            let words = table.words(lints, param.name);
            Some(Arg::List(words.iter().filter_map(|word| template(lints, word, inputs)).collect()))
        }
        ParamKind::Pods => {
            let word = table.text(lints, param.name)?;
            let set = PodSet::parse(&word.value);
            if set.is_none() {
                lints.unknown(&word.at, "set of pods", &word.value, &PodSet::ALL.map(|(name, _)| name));
            }
            set.map(Arg::Pods)
        }
        ParamKind::Pairs => pairs(lints, table, param.name, inputs),
        ParamKind::Json => json(lints, item.value, &item.at, inputs).map(Arg::Json),
        kind => {
            let text = match item.value.as_integer() {
                Some(number) if kind == ParamKind::Count => {
                    At { value: number.to_string(), at: item.at.clone() }
                }
                _ => table.text(lints, param.name)?,
            };
            let written_out = matches!(kind, ParamKind::Kind | ParamKind::OneOf(_));
            let template = template(lints, &text, inputs)?;
            let literal = template.placeholders().next().is_none();
            if literal || written_out {
                let value = template.show(&BTreeMap::new());
                if let Err(says) = kind.check(&value) {
                    let what = format!("`{}` cannot be `{}`", param.name, crate::domain::text::clean(&value));
                    lints.add(&text.at, what, Some(says));
                }
            }
            Some(Arg::Text(template))
        }
    }
}

fn pairs(lints: &mut Lints<'_>, table: &Fields<'_>, name: &str, inputs: &Inputs) -> Option<Arg> {
    let pairs = table.table(lints, name, "table")?;
    let mut list = Vec::new();
    for (key, at) in pairs.keys() {
        let key_template = template(lints, &At { value: key.to_owned(), at: at.clone() }, inputs);
        let value = pairs.item(key)?;
        let value = match value.value.as_bool() {
            Some(false) => None,
            Some(true) => {
                lints.add(&value.at, "a value is a string; false removes the entry", None);
                continue;
            }
            None => match value.value.as_str() {
                Some(text) => {
                    Some(template(lints, &At { value: text.to_owned(), at: value.at.clone() }, inputs)?)
                }
                None => {
                    lints.add(&value.at, "a value is a string; false removes the entry", None);
                    continue;
                }
            },
        };
        list.push((key_template?, value));
    }
    Some(Arg::Pairs(list))
}

fn json(lints: &mut Lints<'_>, item: &Item, at: &std::ops::Range<usize>, inputs: &Inputs) -> Option<Json> {
    if let Some(table) = item.as_table_like() {
        let mut fields = Vec::new();
        for (name, item) in table.iter() {
            let at = item.span().unwrap_or_else(|| at.clone());
            fields.push((name.to_owned(), json(lints, item, &at, inputs)?));
        }
        return Some(Json::Object(fields));
    }
    match item.as_value()? {
        Value::String(text) => {
            template(lints, &At { value: text.value().clone(), at: at.clone() }, inputs).map(Json::Text)
        }
        Value::Integer(number) => Some(Json::Number((*number.value()).into())),
        Value::Float(number) => serde_json::Number::from_f64(*number.value()).map(Json::Number),
        Value::Boolean(flag) => Some(Json::Bool(*flag.value())),
        Value::Array(values) => {
            let items = values.iter().map(|value| {
                let at = value.span().unwrap_or_else(|| at.clone());
                json(lints, &Item::Value(value.clone()), &at, inputs)
            });
            items.collect::<Option<Vec<_>>>().map(Json::List)
        }
        _ => {
            lints.add(at, "neither text, number, flag, list nor table", None);
            None
        }
    }
}
