//! Edits of Alertmanager's configuration, each on the whole document: three edits are one document, never three
//! patches of which the last wins (audit D103). Pure.

use std::time::Duration;

use serde_json::{Value, json};

use super::matcher::parse_all;
use super::splice::{Step, push, set};
use super::validate::{read, written};
use crate::domain::{Alerting, Name};
use crate::probes::object::yaml;

/// A document after an edit.
#[derive(Clone, PartialEq, Debug)]
pub struct Edited {
    pub text: String,
    /// The author's comments, order and style are still there.
    pub in_place: bool,
}

/// The document with the edit that the action asks for.
///
/// # Errors
/// What is wrong with the document or would be wrong with the result, in words.
pub fn edited(document: &str, action: &Alerting) -> Result<Edited, String> {
    let (before, _) = read(document)
        .map_err(|wrong| format!("the present configuration is not understood: {}", wrong.join("; ")))?;
    let (after, text) = match action {
        Alerting::GroupAlerts { by, wait, interval, repeat } => group(
            document,
            before,
            by,
            [("group_wait", wait), ("group_interval", interval), ("repeat_interval", repeat)],
        ),
        Alerting::InhibitAlerts { source, target, equal } => {
            let rule = inhibition(source, target, equal)?;
            add(document, before, &["inhibit_rules"], &rule, false)?
        }
        Alerting::RouteAlerts { matchers, receiver } => {
            let route = json!({"receiver": receiver, "matchers": normal(matchers)?});
            add(document, before, &["route", "routes"], &route, true)?
        }
        _ => return Err("this is no edit of Alertmanager's configuration".into()),
    };
    let kept = text.filter(|text| parse(text).as_ref() == Some(&after));
    let in_place = kept.is_some();
    let text = kept.unwrap_or_else(|| yaml(&after));
    read(&text).map_err(|wrong| wrong.join("; "))?;
    Ok(Edited { text, in_place })
}

fn parse(text: &str) -> Option<Value> {
    serde_saphyr::from_str(text).ok()
}

/// The matchers, each as Alertmanager would write it.
fn normal(matchers: &[String]) -> Result<Vec<String>, String> {
    if matchers.is_empty() {
        return Err("without matchers it would be for every alert".into());
    }
    Ok(parse_all(matchers.iter().map(String::as_str))?.iter().map(ToString::to_string).collect())
}

/// The rule of an inhibition.
pub fn inhibition(source: &[String], target: &[String], equal: &[Name]) -> Result<Value, String> {
    Ok(json!({"source_matchers": normal(source)?, "target_matchers": normal(target)?, "equal": equal}))
}

fn group(
    document: &str,
    mut after: Value,
    by: &[Name],
    times: [(&str, &Option<Duration>); 3],
) -> (Value, Option<String>) {
    let mut text = Some(document.to_owned());
    let mut put = |key: &str, value: Value| {
        text = text.take().and_then(|text| set(&text, &[Step::Key("route"), Step::Key(key)], &value));
        after["route"][key] = value;
    };
    if !by.is_empty() {
        put("group_by", json!(by));
    }
    for (key, span) in times {
        if let Some(span) = span {
            put(key, json!(written(*span)));
        }
    }
    (after, text)
}

fn add(
    document: &str,
    mut after: Value,
    path: &[&str],
    item: &Value,
    first: bool,
) -> Result<(Value, Option<String>), String> {
    let steps: Vec<Step<'_>> = path.iter().map(|key| Step::Key(key)).collect();
    let text = push(document, &steps, item, first);
    let mut place = &mut after;
    for key in path {
        place = place
            .as_object_mut()
            .ok_or("the configuration is not a table")?
            .entry(*key)
            .or_insert(Value::Null);
    }
    if place.is_null() {
        *place = json!([]);
    }
    let list = place.as_array_mut().ok_or_else(|| format!("`{}` is not a list", path.join(".")))?;
    if list.contains(item) {
        return Err("it is so already".into());
    }
    list.insert(if first { 0 } else { list.len() }, item.clone());
    Ok((after, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str = "# ours\nroute:\n  receiver: a\n  routes:\n  - receiver: b\n    matchers: ['severity=\"critical\"']\nreceivers:\n- name: a\n- name: b\n";

    #[test]
    fn three_edits_make_one_document_that_keeps_what_was_there() {
        let group = Alerting::GroupAlerts {
            by: vec!["alertname".into(), "namespace".into()],
            wait: Some(Duration::from_secs(30)),
            interval: None,
            repeat: None,
        };
        let inhibit = Alerting::InhibitAlerts {
            source: vec![r#"alertname="NodeDown""#.into()],
            target: vec!["severity=warning".into()],
            equal: vec!["node".into()],
        };
        let route = Alerting::RouteAlerts { matchers: vec!["team=db".into()], receiver: "b".into() };
        let mut text = DOCUMENT.to_owned();
        for action in [&group, &inhibit, &route] {
            let after = edited(&text, action).unwrap();
            assert!(after.in_place, "{}", after.text);
            text = after.text;
        }
        let value: Value = serde_saphyr::from_str(&text).unwrap();
        assert_eq!(value["route"]["group_by"], json!(["alertname", "namespace"]));
        assert_eq!(value["route"]["group_wait"], "30s");
        assert_eq!(value["route"]["routes"][0]["matchers"], json!([r#"team="db""#]));
        assert_eq!(value["route"]["routes"][1]["receiver"], "b");
        assert_eq!(value["inhibit_rules"][0]["target_matchers"], json!([r#"severity="warning""#]));
        assert!(text.starts_with("# ours"));
        assert!(edited(&text, &route).unwrap_err().contains("already"));
    }

    #[test]
    fn what_the_server_would_refuse_is_refused_here() {
        let route = Alerting::RouteAlerts { matchers: vec!["team=db".into()], receiver: "nobody".into() };
        assert!(edited(DOCUMENT, &route).unwrap_err().contains("undefined receiver"));
        let flow = "route: {receiver: a}\nreceivers: [{name: a}]\n";
        let route = Alerting::RouteAlerts { matchers: vec!["team=db".into()], receiver: "a".into() };
        assert!(!edited(flow, &route).unwrap().in_place);
    }
}
