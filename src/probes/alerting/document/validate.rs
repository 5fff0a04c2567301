//! What Alertmanager would refuse in a configuration, said before it is written. Knows version 0.22 and later;
//! a key it does not know is a mistake there, too. Pure; the tests ask amtool for its opinion.

use std::collections::BTreeSet;

use regex::Regex;
use serde_json::{Map, Value};

use super::matcher::is_label;
use super::routing::{Routing, matchers, words};

const TOP: &[&str] = &[
    "global",
    "templates",
    "route",
    "inhibit_rules",
    "receivers",
    "mute_time_intervals",
    "time_intervals",
    "tracing",
];
const ROUTE: &[&str] = &[
    "receiver",
    "group_by",
    "continue",
    "match",
    "match_re",
    "matchers",
    "group_wait",
    "group_interval",
    "repeat_interval",
    "mute_time_intervals",
    "active_time_intervals",
    "routes",
];
const INHIBIT: &[&str] = &[
    "name",
    "source_match",
    "source_match_re",
    "source_matchers",
    "target_match",
    "target_match_re",
    "target_matchers",
    "equal",
];
const RECEIVER: &[&str] = &[
    "name",
    "discord_configs",
    "email_configs",
    "jira_configs",
    "mattermost_configs",
    "msteams_configs",
    "msteamsv2_configs",
    "opsgenie_configs",
    "pagerduty_configs",
    "pushover_configs",
    "rocketchat_configs",
    "slack_configs",
    "sns_configs",
    "telegram_configs",
    "victorops_configs",
    "webex_configs",
    "webhook_configs",
    "wechat_configs",
    "incidentio_configs",
];

/// Reads a document.
///
/// # Errors
/// Everything that is wrong with it, in words; never an empty list.
pub fn read(document: &str) -> Result<(Value, Routing), Vec<String>> {
    let value: Value = serde_saphyr::from_str(document)
        .map_err(|error| vec![format!("not YAML: {}", first_line(&error.to_string()))])?;
    let wrong = mistakes(&value);
    if !wrong.is_empty() {
        return Err(wrong);
    }
    let routing = Routing::read(&value).map_err(|why| vec![why])?;
    Ok((value, routing))
}

fn first_line(text: &str) -> String {
    crate::domain::text::clean(text.lines().next().unwrap_or_default())
}

fn mistakes(document: &Value) -> Vec<String> {
    let mut wrong = Vec::new();
    let Some(top) = document.as_object() else { return vec!["the document is not a table".into()] };
    only(top, TOP, "the document", &mut wrong);
    let receivers = receivers(document, &mut wrong);
    let times = times(document);
    match document.get("route").and_then(Value::as_object) {
        None => wrong.push("no routes provided".into()),
        Some(root) => {
            if text(root, "receiver").is_empty() {
                wrong.push("root route must specify a default receiver".into());
            }
            for key in ["match", "match_re", "matchers"] {
                let is_empty = |value: &Value| match value {
                    Value::Array(list) => list.is_empty(),
                    Value::Object(map) => map.is_empty(),
                    other => other.is_null(),
                };
                if root.get(key).is_some_and(|value| !is_empty(value)) {
                    wrong.push("root route must not have any matchers".into());
                }
            }
            for key in ["mute_time_intervals", "active_time_intervals"] {
                if root.get(key).is_some_and(|list| !words(list).is_empty()) {
                    wrong.push(format!("root route must not have any {}", key.replace('_', " ")));
                }
            }
            route(root, "route", &receivers, &times, &mut wrong);
        }
    }
    for (index, rule) in list(document, "inhibit_rules").iter().enumerate() {
        inhibition(rule, &format!("inhibit_rules[{index}]"), &mut wrong);
    }
    wrong
}

fn receivers(document: &Value, wrong: &mut Vec<String>) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for (index, receiver) in list(document, "receivers").iter().enumerate() {
        let Some(receiver) = receiver.as_object() else {
            wrong.push(format!("receivers[{index}] is not a table"));
            continue;
        };
        only(receiver, RECEIVER, &format!("receivers[{index}]"), wrong);
        let name = text(receiver, "name");
        if name.is_empty() {
            wrong.push(format!("receivers[{index}] has no name"));
        } else if !names.insert(name.to_owned()) {
            wrong.push(format!("notification config name {name:?} is not unique"));
        }
    }
    names
}

fn times(document: &Value) -> BTreeSet<String> {
    ["mute_time_intervals", "time_intervals"]
        .iter()
        .flat_map(|key| list(document, key))
        .filter_map(|row| Some(row.get("name")?.as_str()?.to_owned()))
        .collect()
}

fn route(
    of: &Map<String, Value>,
    place: &str,
    receivers: &BTreeSet<String>,
    times: &BTreeSet<String>,
    wrong: &mut Vec<String>,
) {
    only(of, ROUTE, place, wrong);
    let receiver = text(of, "receiver");
    if !receiver.is_empty() && !receivers.contains(receiver) {
        wrong.push(format!("undefined receiver {receiver:?} used in {place}"));
    }
    let mut seen = BTreeSet::new();
    let by = of.get("group_by").map(words).unwrap_or_default();
    for label in &by {
        if label != "..." && !is_label(label) {
            wrong.push(format!("{place}: {label:?} in group_by is not the name of a label"));
        }
        if !seen.insert(label) {
            wrong.push(format!("{place}: duplicated label {label:?} in group_by"));
        }
    }
    if by.len() > 1 && by.iter().any(|label| label == "...") {
        wrong.push(format!("{place}: `...` and other labels cannot both be in group_by"));
    }
    for (key, zero) in [("group_wait", true), ("group_interval", false), ("repeat_interval", false)] {
        if let Some(value) = of.get(key).filter(|value| !value.is_null()) {
            match value.as_str().and_then(duration) {
                None => wrong.push(format!("{place}: {key} is not a duration")),
                Some(0) if !zero => wrong.push(format!("{place}: {key} cannot be zero")),
                Some(_) => {}
            }
        }
    }
    for key in ["mute_time_intervals", "active_time_intervals"] {
        for name in of.get(key).map(words).unwrap_or_default() {
            if !times.contains(&name) {
                wrong.push(format!("undefined time interval {name:?} used in {place}"));
            }
        }
    }
    let whole = Value::Object(of.clone());
    if let Err(why) = matchers(&whole, "matchers", "match", "match_re") {
        wrong.push(format!("{place}: {why}"));
    }
    for (index, child) in list(&whole, "routes").iter().enumerate() {
        match child.as_object() {
            Some(child) => route(child, &format!("{place}.routes[{index}]"), receivers, times, wrong),
            None => wrong.push(format!("{place}.routes[{index}] is not a table")),
        }
    }
}

fn inhibition(rule: &Value, place: &str, wrong: &mut Vec<String>) {
    let Some(map) = rule.as_object() else {
        wrong.push(format!("{place} is not a table"));
        return;
    };
    only(map, INHIBIT, place, wrong);
    for side in ["source", "target"] {
        let keys = [format!("{side}_matchers"), format!("{side}_match"), format!("{side}_match_re")];
        if let Err(why) = matchers(rule, &keys[0], &keys[1], &keys[2]) {
            wrong.push(format!("{place}: {why}"));
        }
    }
    for label in rule.get("equal").map(words).unwrap_or_default() {
        if !is_label(&label) {
            wrong.push(format!("{place}: {label:?} in equal is not the name of a label"));
        }
    }
}

fn only(map: &Map<String, Value>, allowed: &[&str], place: &str, wrong: &mut Vec<String>) {
    for key in map.keys().filter(|key| !allowed.contains(&key.as_str())) {
        wrong.push(format!("field {key} not found in {place}"));
    }
}

fn list<'a>(of: &'a Value, key: &str) -> &'a [Value] {
    of.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn text<'a>(of: &'a Map<String, Value>, key: &str) -> &'a str {
    of.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// Milliseconds of `1h30m`, as Prometheus writes durations.
pub fn duration(text: &str) -> Option<u64> {
    static PARTS: std::sync::LazyLock<Option<Regex>> = std::sync::LazyLock::new(|| {
        Regex::new(r"^(?:(\d+)y)?(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?(?:(\d+)ms)?$").ok()
    });
    if text == "0" {
        return Some(0);
    }
    let found = PARTS.as_ref()?.captures(text).filter(|_| !text.is_empty())?;
    let units = [31_536_000_000, 604_800_000, 86_400_000, 3_600_000, 60_000, 1_000, 1];
    let part = |index: usize| found.get(index + 1).and_then(|part| part.as_str().parse::<u64>().ok());
    Some(units.iter().enumerate().map(|(index, unit)| part(index).unwrap_or(0) * unit).sum())
}

/// A duration as Prometheus writes it.
pub fn written(span: std::time::Duration) -> String {
    let millis = span.as_millis();
    let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s"), (1, "ms")];
    let mut left = millis;
    let mut out = String::new();
    for (unit, name) in units {
        if left >= unit {
            out.push_str(&format!("{}{name}", left / unit));
            left %= unit;
        }
    }
    if out.is_empty() { "0s".into() } else { out }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "route: {receiver: a, group_by: [alertname], routes: [{matchers: ['severity=\"critical\"'], receiver: b}]}\nreceivers: [{name: a}, {name: b}]\n";

    #[test]
    fn mistakes_are_found_before_the_server_does() {
        assert!(read(GOOD).is_ok());
        for (broken, says) in [
            ("receivers: [{name: a}]", "no routes provided"),
            ("route: {group_by: [x]}\nreceivers: [{name: a}]", "root route must specify a default receiver"),
            ("route: {receiver: c}\nreceivers: [{name: a}]", "undefined receiver"),
            ("route: {receiver: a, match: {x: y}}\nreceivers: [{name: a}]", "must not have any matchers"),
            ("route: {receiver: a, group_by: ['...', x]}\nreceivers: [{name: a}]", "cannot both"),
            ("route: {receiver: a, group_by: [x, x]}\nreceivers: [{name: a}]", "duplicated"),
            ("route: {receiver: a, group_interval: 0s}\nreceivers: [{name: a}]", "cannot be zero"),
            ("route: {receiver: a, group_wait: soon}\nreceivers: [{name: a}]", "not a duration"),
            ("route: {receiver: a}\nreceivers: [{name: a}, {name: a}]", "not unique"),
            ("route: {receiver: a}\nreceivers: [{name: a}]\nroutes: []", "field routes not found"),
            (
                "route: {receiver: a}\nreceivers: [{name: a}]\ninhibit_rules: [{source_matchers: ['=']}]",
                "no matcher",
            ),
            ("route: [", "not YAML"),
        ] {
            let wrong = read(broken).expect_err(broken).join("; ");
            assert!(wrong.contains(says), "{broken}: {wrong}");
        }
    }

    #[test]
    fn durations_read_back() {
        for (text, millis) in [("1h30m", 5_400_000), ("500ms", 500), ("2d", 172_800_000), ("0s", 0)] {
            assert_eq!(duration(text), Some(millis));
            assert_eq!(duration(&written(std::time::Duration::from_millis(millis))), Some(millis));
        }
        assert_eq!(duration("soon"), None);
    }
}
