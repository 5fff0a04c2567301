//! TOML in, playbooks out, or every mistake with its place. Knows what a playbook is made of; the steps'
//! innards are `parse_step`'s.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use toml_edit::Document;

use crate::domain::Kind;

use super::playbook::Pattern;
use super::reader::{At, Fields, Lints};
use super::{
    Check, Condition, FollowUp, Hold, Lint, Playbook, Resolved, Step, Threshold, Trigger, parse_step,
    parse_todo,
};

/// The rules of this build that a trigger may name; a test compares them with the rules themselves.
pub const RULES: &[&str] = &[
    "mem-leak",
    "crash-loop",
    "rollout-stuck",
    "image-pull",
    "job-failed",
    "node-notready",
    "disk-full",
    "hpa-max",
    "db-pool",
    "db-cpu",
    "cache-down",
    "high-latency",
    "high-5xx",
    "traffic-gone",
    "cert-expiry",
    "ingress-down",
    "prom-down",
    "alertmanager-down",
    "alert-fatigue",
    "auth-attack",
];

/// Longest text that is read as playbooks, in bytes: far beyond any playbook, short of a mistake's damage.
const LONGEST: usize = 4 << 20;

/// Every mistake in a text, in the order of the text. `file` is only its name.
pub fn lint(file: &str, text: &str) -> Vec<Lint> {
    parse(file, text).err().unwrap_or_default()
}

/// The playbooks of a text.
///
/// # Errors
/// Every mistake in it, in the order of the text; never an empty list.
pub(super) fn parse(file: &str, text: &str) -> Result<Vec<Playbook>, Vec<Lint>> {
    parse_with(Lints::new(file, text), text)
}

/// The product's own playbooks, whose patterns are known to compile (a test lints them).
pub(super) fn parse_own(file: &str, text: &str) -> Result<Vec<Playbook>, Vec<Lint>> {
    let mut lints = Lints::new(file, text);
    lints.trusted = true;
    parse_with(lints, text)
}

fn parse_with(mut lints: Lints<'_>, text: &str) -> Result<Vec<Playbook>, Vec<Lint>> {
    let playbooks = read(&mut lints, text);
    if lints.found.is_empty() {
        return Ok(playbooks);
    }
    lints.found.sort();
    lints.found.dedup();
    Err(lints.found)
}

fn read(lints: &mut Lints<'_>, text: &str) -> Vec<Playbook> {
    if text.len() > LONGEST {
        lints.add(&(0..0), format!("{} bytes are too many for playbooks", text.len()), None);
        return Vec::new();
    }
    let document = match Document::parse(text) {
        Ok(document) => document,
        Err(error) => {
            let what = crate::domain::text::clean(error.message().lines().next().unwrap_or("not TOML"));
            lints.add(&error.span().unwrap_or(0..0), format!("not TOML: {what}"), None);
            return Vec::new();
        }
    };
    let top = Fields::new(document.as_table(), 0..0, "file");
    top.only(lints, &["playbook"]);
    let tables = top.tables(lints, "playbook", "playbook");
    if tables.is_empty() && lints.found.is_empty() {
        lints.add(&(0..0), "no playbook in this file", Some("a playbook begins with [[playbook]]".into()));
    }
    let ids: Vec<String> =
        tables.iter().filter_map(|table| Some(table.item("id")?.value.as_str()?.to_owned())).collect();
    let mut seen = HashSet::new();
    tables.iter().filter_map(|table| playbook(lints, table, &ids, &mut seen)).collect()
}

const PLAYBOOK_KEYS: &[&str] =
    &["id", "title", "category", "symptoms", "trigger", "threshold", "step", "hold", "resolved", "follow_up"];

fn playbook(
    lints: &mut Lints<'_>,
    table: &Fields<'_>,
    ids: &[String],
    seen: &mut HashSet<String>,
) -> Option<Playbook> {
    table.only(lints, PLAYBOOK_KEYS);
    let id = table.need_line(lints, "id", "lower case letters, digits and dashes");
    if let Some(id) = &id {
        check_id(lints, id, "playbook", seen);
    }
    let title = table.need_line(lints, "title", "one line that names the trouble");
    let category = table.need_line(lints, "category", "e.g. \"Application\"");
    let place = lints.place(&table.item("trigger").map_or_else(|| table.at.clone(), |item| item.at));
    let trigger = trigger(lints, table);
    lints.labels = trigger.as_ref().is_some_and(|trigger| !matches!(trigger, Trigger::Rule(_)));
    let thresholds = thresholds(lints, table);
    let steps = parse_step::steps(lints, table);
    let holds = holds(lints, table, &steps, ids);
    let resolved = resolved(lints, table, &steps);
    let follow_up = follow_up(lints, table);
    Some(Playbook {
        id: id?.value,
        title: title?.value,
        category: category?.value,
        symptoms: table.words(lints, "symptoms").into_iter().map(|word| word.value).collect(),
        trigger: trigger?,
        place,
        thresholds,
        steps,
        holds,
        resolved: resolved?,
        follow_up,
    })
}

/// An id is lower case, and there is no other of the same name.
pub(super) fn check_id(lints: &mut Lints<'_>, id: &At<String>, what: &str, seen: &mut HashSet<String>) {
    let fine = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if !id.value.chars().all(fine) {
        let help = Some("lower case letters, digits and dashes".to_owned());
        lints.add(&id.at, format!("`{}` is not an id", id.value), help);
    }
    if !seen.insert(id.value.clone()) {
        lints.add(
            &id.at,
            format!("there are two of this {what}: `{}`", id.value),
            Some("give it its own id".into()),
        );
    }
}

fn trigger(lints: &mut Lints<'_>, table: &Fields<'_>) -> Option<Trigger> {
    const KINDS: &[&str] = &["rule", "alert", "promql", "sql", "object"];
    let help = "trigger = { rule = \"…\" }, or alert, promql, sql or object";
    let Some(trigger) = table.table(lints, "trigger", "trigger") else {
        if table.item("trigger").is_none() {
            table.lacks(lints, "trigger", help);
        }
        return None;
    };
    trigger.only(lints, KINDS);
    let kinds: Vec<&str> = trigger.keys().map(|(name, _)| name).filter(|name| KINDS.contains(name)).collect();
    match kinds.as_slice() {
        ["rule"] => {
            let rule = trigger.text(lints, "rule")?;
            if !RULES.contains(&rule.value.as_str()) {
                lints.unknown(&rule.at, "rule", &rule.value, RULES);
            }
            Some(Trigger::Rule(rule.value))
        }
        ["alert"] => alert(lints, &trigger),
        ["promql"] => promql(lints, &trigger),
        ["sql"] => {
            let sql = trigger.table(lints, "sql", "sql trigger")?;
            sql.only(lints, &["query", "above", "for"]);
            let query = sql.need_text(lints, "query", "a SELECT with one number");
            if sql.item("above").is_none() {
                sql.lacks(lints, "above", "the number above which it fires");
            }
            let above = sql.number(lints, "above");
            let for_ = sql.span(lints, "for").unwrap_or_default();
            Some(Trigger::Sql { query: query?.value, above: above?, for_ })
        }
        ["object"] => object(lints, &trigger),
        _ => {
            lints.add(&trigger.at, "a trigger is exactly one thing", Some(help.into()));
            None
        }
    }
}

fn alert(lints: &mut Lints<'_>, trigger: &Fields<'_>) -> Option<Trigger> {
    let alert = trigger.table(lints, "alert", "alert trigger")?;
    let labels: BTreeMap<String, String> = alert
        .keys()
        .filter_map(|(name, _)| Some((name.to_owned(), alert.text(lints, name)?.value)))
        .collect();
    if labels.is_empty() {
        lints.add(
            &alert.at,
            "an alert without labels is every alert",
            Some("alert = { alertname = \"…\" }".into()),
        );
    }
    Some(Trigger::Alert(labels))
}

fn promql(lints: &mut Lints<'_>, trigger: &Fields<'_>) -> Option<Trigger> {
    let promql = trigger.table(lints, "promql", "promql trigger")?;
    promql.only(lints, &["expr", "above", "below", "for"]);
    let expr = promql.need_text(lints, "expr", "a PromQL expression");
    let (above, below) = (promql.number(lints, "above"), promql.number(lints, "below"));
    if promql.item("above").is_some() == promql.item("below").is_some() {
        lints.add(&promql.at, "a promql trigger has `above` or `below`, one of them", None);
    }
    let for_ = promql.span(lints, "for").unwrap_or_default();
    Some(Trigger::Promql { expr: expr?.value, above, below, for_ })
}

fn object(lints: &mut Lints<'_>, trigger: &Fields<'_>) -> Option<Trigger> {
    let object = trigger.table(lints, "object", "object trigger")?;
    object.only(lints, &["kind", "field", "equals", "matches", "for"]);
    let kind = object.need_line(lints, "kind", "a kind of object, e.g. \"Deployment\"");
    if let Some(kind) = kind.as_ref().filter(|kind| Kind::parse(&kind.value).is_none()) {
        let kinds: Vec<&str> = Kind::all().map(Kind::as_str).collect();
        lints.unknown(&kind.at, "kind", &kind.value, &kinds);
    }
    let field = object.need_line(lints, "field", "a JSON pointer, e.g. \"/status/phase\"");
    if let Some(field) = field.as_ref().filter(|field| !field.value.starts_with('/')) {
        lints.add(&field.at, "a field is a JSON pointer", Some("e.g. \"/status/phase\"".into()));
    }
    let equals = object.text(lints, "equals").map(|text| text.value);
    let matches = object.text(lints, "matches").and_then(|text| pattern(lints, &text));
    if object.item("equals").is_some() == object.item("matches").is_some() {
        lints.add(&object.at, "an object trigger has `equals` or `matches`, one of them", None);
    }
    let for_ = object.span(lints, "for").unwrap_or_default();
    Some(Trigger::Object { kind: kind?.value, field: field?.value, equals, matches, for_ })
}

/// A regular expression that compiles.
pub(super) fn pattern(lints: &mut Lints<'_>, text: &At<String>) -> Option<Pattern> {
    if lints.trusted {
        return Some(Pattern::trusted(&text.value));
    }
    match Pattern::new(&text.value) {
        Ok(pattern) => Some(pattern),
        Err(error) => {
            let why = error.to_string();
            let why = why.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
            lints.add(&text.at, format!("not a regular expression: {why}"), None);
            None
        }
    }
}

fn thresholds(lints: &mut Lints<'_>, table: &Fields<'_>) -> Vec<Threshold> {
    let mut thresholds = Vec::new();
    for row in table.tables(lints, "threshold", "threshold") {
        row.only(lints, &["key", "value", "source"]);
        let key = row.need_line(lints, "key", "the name of a threshold of the rule");
        if row.item("value").is_none() {
            row.lacks(lints, "value", "a number");
        }
        let value = row.number(lints, "value");
        let source = row.need_line(lints, "source", "where the number comes from");
        if let (Some(key), Some(value), Some(source)) = (key, value, source) {
            thresholds.push(Threshold { key: key.value, value, source: source.value });
        }
    }
    thresholds
}

fn holds(lints: &mut Lints<'_>, table: &Fields<'_>, steps: &[Step], ids: &[String]) -> Vec<Hold> {
    let mut holds = Vec::new();
    for row in table.tables(lints, "hold", "hold") {
        row.only(lints, &["for_causes", "not_for_causes", "to", "step", "confirm", "last", "why"]);
        let for_causes = parse_step::causes(lints, &row, "for_causes");
        let not_for_causes = parse_step::causes(lints, &row, "not_for_causes");
        let last = row.flag(lints, "last").is_some_and(|last| last.value);
        if row.item("for_causes").is_none() && !last {
            row.lacks(lints, "for_causes", "the causes for which nothing is to be done here");
        }
        let to = row.text(lints, "to");
        if let Some(to) =
            to.as_ref().filter(|to| !ids.contains(&to.value) && !RULES.contains(&to.value.as_str()))
        {
            let mut known: Vec<&str> = ids.iter().map(String::as_str).chain(RULES.iter().copied()).collect();
            known.sort_unstable();
            known.dedup();
            lints.unknown(&to.at, "playbook", &to.value, &known);
        }
        let steps = read_steps(lints, &row, steps, "the read that is suggested meanwhile");
        let why = row.need_line(lints, "why", "one line");
        let confirm = row.flag(lints, "confirm").is_some_and(|confirm| confirm.value);
        let why = why.and_then(|why| parse_todo::template(lints, &why, &Vec::new()));
        if let (false, Some(why)) = (steps.is_empty(), why) {
            let to = to.map(|to| to.value);
            holds.push(Hold { for_causes, not_for_causes, to, why, steps, confirm, last });
        }
    }
    holds
}

/// The id of a step of this playbook that only reads.
fn read_steps(lints: &mut Lints<'_>, row: &Fields<'_>, steps: &[Step], what: &str) -> Vec<String> {
    let list = row.item("step").and_then(|item| item.value.as_array());
    if list.is_some_and(toml_edit::Array::is_empty) {
        row.lacks(lints, "step", what);
    }
    let named = if list.is_some() {
        row.words(lints, "step")
    } else {
        row.need_line(lints, "step", what).into_iter().collect()
    };
    let reads = steps.iter().filter(|step| step.todo.effect() == crate::domain::Effect::Read);
    let reads: Vec<&str> = reads.map(|read| read.id.as_str()).collect();
    for step in named.iter().filter(|step| !reads.contains(&step.value.as_str())) {
        lints.unknown(&step.at, "read step", &step.value, &reads);
    }
    named.into_iter().map(|step| step.value).collect()
}

fn resolved(lints: &mut Lints<'_>, table: &Fields<'_>, steps: &[Step]) -> Option<Resolved> {
    let Some(row) = table.table(lints, "resolved", "resolved") else {
        if table.item("resolved").is_none() {
            table.lacks(lints, "resolved", "what must hold, and for how long: { says, when, steps, for }");
        }
        return None;
    };
    row.only(lints, &["says", "when", "steps", "for"]);
    let says = row.need_line(lints, "says", "one line: what must hold");
    let mut conditions = Vec::new();
    for word in row.words(lints, "when") {
        match Condition::parse(&word.value) {
            Some(condition) => conditions.push(condition),
            None => lints.unknown(&word.at, "condition", &word.value, &Condition::ALL.map(|(name, _)| name)),
        }
    }
    let passed = parse_step::step_ids(lints, &row, "steps", steps);
    if row.item("when").is_none() && row.item("steps").is_none() {
        row.lacks(lints, "when", "conditions that are seen, or `steps` that must have passed");
    }
    let for_ = row.span(lints, "for").unwrap_or(Duration::ZERO);
    Some(Resolved { says: says?.value, conditions, steps: passed, for_ })
}

fn follow_up(lints: &mut Lints<'_>, table: &Fields<'_>) -> Vec<FollowUp> {
    let mut seen = HashSet::new();
    let mut items = Vec::new();
    for row in table.tables(lints, "follow_up", "follow-up") {
        row.only(lints, &["id", "says", "check"]);
        let id = row.need_line(lints, "id", "lower case letters, digits and dashes");
        if let Some(id) = &id {
            check_id(lints, id, "follow-up", &mut seen);
        }
        let says = row.need_line(lints, "says", "one line");
        let check = row.text(lints, "check");
        let parsed = check.as_ref().and_then(|check| Check::parse(&check.value));
        if let (Some(check), None) = (&check, &parsed) {
            lints.unknown(&check.at, "check", &check.value, &Check::NAMES);
        }
        if let (Some(id), Some(says)) = (id, says) {
            items.push(FollowUp { id: id.value, says: says.value, check: parsed });
        }
    }
    items
}
