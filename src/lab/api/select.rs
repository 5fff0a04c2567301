//! Label and field selectors, as the query string writes them.
//! It knows their grammar; which fields a resource supports is the store's table.
use std::collections::BTreeMap;

use serde_json::Value;

use super::call::{Call, Target};
use super::status::Status;
use crate::lab::store::{Object, Resource};

/// What a list or watch is narrowed to.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    labels: Vec<Requirement>,
    fields: Vec<(String, bool, String)>,
    name: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Requirement {
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
    Exists(String),
    Missing(String),
}

impl Selection {
    /// The selectors of a request; a named watch or list is narrowed to that name.
    pub fn of(call: &Call, target: &Target) -> Result<Self, Status> {
        let labels = parse_labels(call.query.get("labelSelector").unwrap_or_default())?;
        let fields = parse_fields(target, call.query.get("fieldSelector").unwrap_or_default())?;
        Ok(Self { labels, fields, name: target.name.clone() })
    }

    pub fn takes(&self, object: &Object) -> bool {
        self.name.as_ref().is_none_or(|name| *name == object.name)
            && self.labels.iter().all(|requirement| requirement.holds(&object.labels))
            && self
                .fields
                .iter()
                .all(|(path, equal, wanted)| (object.field(path).unwrap_or_default() == wanted) == *equal)
    }

    pub fn takes_all(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty() && self.name.is_none()
    }
}

impl Requirement {
    fn holds(&self, labels: &BTreeMap<String, String>) -> bool {
        match self {
            Self::In(key, values) => labels.get(key).is_some_and(|value| values.contains(value)),
            Self::NotIn(key, values) => labels.get(key).is_none_or(|value| !values.contains(value)),
            Self::Exists(key) => labels.contains_key(key),
            Self::Missing(key) => !labels.contains_key(key),
        }
    }
}

/// Whether a `metav1.LabelSelector` (matchLabels, matchExpressions) takes these labels.
pub fn label_selector_takes(selector: &Value, labels: &BTreeMap<String, String>) -> bool {
    let by_label = selector["matchLabels"].as_object().into_iter().flatten();
    let plain = by_label.map(|(key, value)| Requirement::In(key.clone(), vec![text(value)]));
    let expressions = selector["matchExpressions"].as_array().into_iter().flatten().map(|expression| {
        let key = text(&expression["key"]);
        let values = expression["values"].as_array().into_iter().flatten().map(text).collect();
        match expression["operator"].as_str() {
            Some("In") => Requirement::In(key, values),
            Some("NotIn") => Requirement::NotIn(key, values),
            Some("DoesNotExist") => Requirement::Missing(key),
            _ => Requirement::Exists(key),
        }
    });
    plain.chain(expressions).all(|requirement| requirement.holds(labels))
}

/// Whether a plain map (a Service's selector) takes these labels. An empty one takes nothing.
pub fn map_takes(selector: &Value, labels: &BTreeMap<String, String>) -> bool {
    selector.as_object().is_some_and(|wanted| {
        !wanted.is_empty()
            && wanted.iter().all(|(key, value)| labels.get(key).map(String::as_str) == value.as_str())
    })
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn parse_labels(selector: &str) -> Result<Vec<Requirement>, Status> {
    outside_parentheses(selector).into_iter().map(|one| requirement(one.trim())).collect()
}

fn requirement(text: &str) -> Result<Requirement, Status> {
    let bad = || {
        Status::bad_request(format!(
            "unable to parse requirement: found '{text}', expected: '=', '!=', '==', 'in', notin'"
        ))
    };
    let checked = |key: &str| {
        let key = key.trim();
        let legal = |letter: char| letter.is_ascii_alphanumeric() || "-_./".contains(letter);
        if key.is_empty() || !key.chars().all(legal) { Err(bad()) } else { Ok(key.to_owned()) }
    };
    if let Some((key, set)) = text.strip_suffix(')').and_then(|rest| rest.split_once('(')) {
        let values = set.split(',').map(|value| value.trim().to_owned()).collect();
        let key = key.trim();
        return if let Some(key) = key.strip_suffix(" notin") {
            Ok(Requirement::NotIn(checked(key)?, values))
        } else if let Some(key) = key.strip_suffix(" in") {
            Ok(Requirement::In(checked(key)?, values))
        } else {
            Err(bad())
        };
    }
    if let Some((key, value)) = text.split_once("!=") {
        return Ok(Requirement::NotIn(checked(key)?, vec![value.trim().to_owned()]));
    }
    if let Some((key, value)) = text.split_once("==").or_else(|| text.split_once('=')) {
        return Ok(Requirement::In(checked(key)?, vec![value.trim().to_owned()]));
    }
    match text.strip_prefix('!') {
        Some(key) => Ok(Requirement::Missing(checked(key)?)),
        None => Ok(Requirement::Exists(checked(text)?)),
    }
}

/// Splits at commas that are not inside `in (a,b)`.
fn outside_parentheses(selector: &str) -> Vec<&str> {
    let mut depth = 0_i32;
    let split = |letter: char| {
        depth += i32::from(letter == '(') - i32::from(letter == ')');
        letter == ',' && depth == 0
    };
    selector.split(split).filter(|part| !part.trim().is_empty()).collect()
}

fn parse_fields(target: &Target, selector: &str) -> Result<Vec<(String, bool, String)>, Status> {
    let parts = selector.split(',').filter(|part| !part.trim().is_empty());
    parts
        .map(|part| {
            let (key, equal, value) = if let Some((key, value)) = part.split_once("!=") {
                (key, false, value)
            } else if let Some((key, value)) = part.split_once("==").or_else(|| part.split_once('=')) {
                (key, true, value)
            } else {
                let why = format!("invalid selector: '{part}'; can't understand '{part}'");
                return Err(Status::bad_request(why));
            };
            let key = key.trim().replace("regarding.", "involvedObject.");
            if !is_supported(target.resource, &key) {
                let why = format!(
                    "Unable to find {:?} that match label selector \"\", field selector {selector:?}: field label not supported: {key}",
                    format!("{}/{}, Resource={}", target.group, target.version, target.resource.path),
                );
                return Err(Status::bad_request(why));
            }
            Ok((key, equal, value.trim().to_owned()))
        })
        .collect()
}

fn is_supported(resource: &Resource, path: &str) -> bool {
    path == "metadata.name"
        || (path == "metadata.namespace" && resource.namespaced)
        || resource.fields.contains(&path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn takes(selector: &str, labels: &[(&str, &str)]) -> bool {
        let labels = labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        parse_labels(selector).unwrap().iter().all(|requirement| requirement.holds(&labels))
    }

    #[test]
    fn label_selectors_follow_the_grammar() {
        let web = [("app", "web"), ("tier", "front")];
        assert!(takes("", &web));
        assert!(takes("app=web,tier==front", &web));
        assert!(takes("app in (api, web),tier", &web));
        assert!(takes("app notin (api),!legacy", &web));
        assert!(takes("app!=api,missing!=x", &web));
        assert!(!takes("app=api", &web));
        assert!(!takes("tier notin (front)", &web));
        assert!(!takes("legacy", &web));
        assert!(parse_labels("app in web)").is_err());
        assert!(parse_labels("a b").is_err());
    }
}
