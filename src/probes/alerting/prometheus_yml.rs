//! Prometheus' configuration and rules files, judged without a Prometheus: a container that crashes on them
//! cannot run promtool (audit D93). Pure, and no more than what stops a start.

use std::collections::BTreeSet;

use serde_json::Value;

const TOP: &[&str] = &[
    "global",
    "runtime",
    "rule_files",
    "scrape_configs",
    "scrape_config_files",
    "alerting",
    "remote_write",
    "remote_read",
    "storage",
    "tracing",
    "otlp",
];

/// What is wrong with a prometheus.yml.
pub fn mistakes(document: &str) -> Vec<String> {
    let value: Value = match serde_saphyr::from_str(document) {
        Ok(value) => value,
        Err(error) => return vec![yaml(&error.to_string())],
    };
    let Some(top) = value.as_object() else { return vec!["the document is not a table".into()] };
    let mut wrong: Vec<String> = top
        .keys()
        .filter(|key| !TOP.contains(&key.as_str()))
        .map(|key| format!("field {key} not found in type config.plain"))
        .collect();
    let mut names = BTreeSet::new();
    for (index, job) in list(&value, "scrape_configs").iter().enumerate() {
        let name = job.get("job_name").and_then(Value::as_str).unwrap_or_default();
        if name.is_empty() {
            wrong.push(format!("scrape_configs[{index}]: job_name is empty"));
        } else if !names.insert(name.to_owned()) {
            wrong.push(format!("found multiple scrape configs with job name {name:?}"));
        }
    }
    for key in ["scrape_interval", "scrape_timeout", "evaluation_interval"] {
        let text = value.get("global").and_then(|global| global.get(key)).and_then(Value::as_str);
        if text.is_some_and(|text| super::document::duration(text).is_none()) {
            wrong.push(format!("global: {key} is not a duration"));
        }
    }
    wrong
}

/// What is wrong with a rules file.
pub fn rule_mistakes(document: &str) -> Vec<String> {
    let value: Value = match serde_saphyr::from_str(document) {
        Ok(value) => value,
        Err(error) => return vec![yaml(&error.to_string())],
    };
    let mut wrong = Vec::new();
    let mut names = BTreeSet::new();
    for group in list(&value, "groups") {
        let name = group.get("name").and_then(Value::as_str).unwrap_or_default();
        if name.is_empty() || !names.insert(name.to_owned()) {
            wrong.push(format!("groupname {name:?} is empty or repeated in the same file"));
        }
        for rule in list(group, "rules") {
            let text = |key: &str| rule.get(key).and_then(Value::as_str).unwrap_or_default();
            let of = if text("alert").is_empty() { text("record") } else { text("alert") };
            if of.is_empty() {
                wrong.push(format!("group {name}: a rule is neither an alert nor a record"));
            }
            if let Err(why) = expression(text("expr")) {
                wrong.push(format!("{of}: {why}"));
            }
            if !text("for").is_empty() && super::document::duration(text("for")).is_none() {
                wrong.push(format!("{of}: `for` is not a duration"));
            }
        }
    }
    wrong
}

/// Whether an expression is PromQL.
///
/// # Errors
/// The parser's words.
pub fn expression(expr: &str) -> Result<(), String> {
    if expr.trim().is_empty() {
        return Err("the expression is empty".into());
    }
    promql_parser::parser::parse(expr).map(drop).map_err(|why| crate::domain::text::clean(&why))
}

/// Whether two expressions ask the same: Prometheus writes them in its own way.
pub fn same(one: &str, other: &str) -> bool {
    match (promql_parser::parser::parse(one), promql_parser::parser::parse(other)) {
        (Ok(one), Ok(other)) => one == other,
        _ => one.split_whitespace().eq(other.split_whitespace()),
    }
}

fn yaml(error: &str) -> String {
    format!("not YAML: {}", crate::domain::text::clean(error.lines().next().unwrap_or_default()))
}

fn list<'a>(of: &'a Value, key: &str) -> &'a [Value] {
    of.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stops_a_start_is_named() {
        assert!(mistakes("global: {scrape_interval: 15s}\nscrape_configs: [{job_name: a}]\n").is_empty());
        for (broken, says) in [
            ("global: {scrape_interval: 15x}", "scrape_interval"),
            ("scrape_config: []", "scrape_config not found"),
            ("scrape_configs: [{job_name: a}, {job_name: a}]", "multiple"),
            ("scrape_configs:\n- job_name: a\n  b", "not YAML"),
        ] {
            assert!(mistakes(broken).join(";").contains(says), "{broken}: {:?}", mistakes(broken));
        }
        assert!(
            rule_mistakes("groups: [{name: a, rules: [{alert: X, expr: 'up == 0', for: 5m}]}]").is_empty()
        );
        assert!(
            rule_mistakes("groups: [{name: a, rules: [{alert: X, expr: 'up =='}]}]")[0].starts_with("X: ")
        );
    }
}
