//! The configuration the lab's Alertmanager follows: routes with their grouping, and inhibitions. Enough of the
//! format for what teams write; what is not understood is refused, as the real one does.

use serde_json::Value;

use super::matcher::{self, Matcher, all_match};
use crate::lab::tsdb::Labels;

/// A document that was loaded.
#[derive(Clone, Default)]
pub(super) struct Config {
    /// As written.
    pub original: String,
    root: Route,
    inhibitions: Vec<Inhibition>,
    pub receivers: Vec<String>,
}

#[derive(Clone, Default)]
struct Route {
    matchers: Vec<Matcher>,
    receiver: String,
    group_by: Vec<String>,
    goes_on: bool,
    routes: Vec<Route>,
}

#[derive(Clone)]
struct Inhibition {
    source: Vec<Matcher>,
    target: Vec<Matcher>,
    equal: Vec<String>,
}

impl Config {
    /// # Errors
    /// In the words of the real one, as far as they matter.
    pub fn read(text: &str) -> Result<Self, String> {
        let document: Value = serde_saphyr::from_str(text).map_err(|why| format!("yaml: {why}"))?;
        let list = |key: &str| document[key].as_array().cloned().unwrap_or_default();
        let receivers: Vec<String> =
            list("receivers").iter().filter_map(|row| row["name"].as_str().map(str::to_owned)).collect();
        if !document["route"].is_object() {
            return Err("no routes provided".to_owned());
        }
        if document["route"]["receiver"].as_str().unwrap_or_default().is_empty() {
            return Err("root route must specify a default receiver".to_owned());
        }
        let above = Route {
            matchers: Vec::new(),
            receiver: String::new(),
            group_by: Vec::new(),
            goes_on: false,
            routes: Vec::new(),
        };
        let root = Route::read(&document["route"], &above, &receivers)?;
        let inhibitions = list("inhibit_rules").iter().map(Inhibition::read).collect::<Result<_, _>>()?;
        Ok(Self { original: text.to_owned(), root, inhibitions, receivers })
    }

    /// The receiver and the labels that group an alert, for each route that takes it.
    pub fn groups(&self, labels: &Labels) -> Vec<(String, Labels)> {
        let group = |route: &Route| {
            let all = route.group_by.iter().any(|label| label == "...");
            let of = labels.retain(|name| all || route.group_by.iter().any(|label| label == name));
            (route.receiver.clone(), of)
        };
        self.root.take(labels).into_iter().map(group).collect()
    }

    pub fn inhibits(&self, source: &Labels, target: &Labels) -> bool {
        self.inhibitions.iter().any(|rule| {
            let both = |labels| all_match(&rule.source, labels) && all_match(&rule.target, labels);
            all_match(&rule.source, source)
                && all_match(&rule.target, target)
                && !(both(source) && both(target))
                && rule.equal.iter().all(|label| source.get(label) == target.get(label))
        })
    }
}

impl Route {
    fn read(row: &Value, above: &Route, receivers: &[String]) -> Result<Self, String> {
        let receiver = row["receiver"].as_str().unwrap_or(&above.receiver).to_owned();
        if !receivers.contains(&receiver) {
            return Err(format!("undefined receiver {receiver:?} used in route"));
        }
        let group_by = match row["group_by"].as_array() {
            Some(labels) => labels.iter().filter_map(|label| label.as_str().map(str::to_owned)).collect(),
            None => above.group_by.clone(),
        };
        let mut own = Route {
            matchers: matchers(&row["matchers"])?,
            receiver,
            group_by,
            goes_on: row["continue"].as_bool().unwrap_or_default(),
            routes: Vec::new(),
        };
        let rows = row["routes"].as_array().cloned().unwrap_or_default();
        own.routes = rows.iter().map(|row| Route::read(row, &own, receivers)).collect::<Result<_, _>>()?;
        Ok(own)
    }

    fn take(&self, labels: &Labels) -> Vec<&Route> {
        if !all_match(&self.matchers, labels) {
            return Vec::new();
        }
        let mut taken = Vec::new();
        for route in &self.routes {
            let by = route.take(labels);
            let stops = !by.is_empty() && !route.goes_on;
            taken.extend(by);
            if stops {
                break;
            }
        }
        if taken.is_empty() { vec![self] } else { taken }
    }
}

impl Inhibition {
    fn read(row: &Value) -> Result<Self, String> {
        let equal = row["equal"].as_array().cloned().unwrap_or_default();
        Ok(Self {
            source: matchers(&row["source_matchers"])?,
            target: matchers(&row["target_matchers"])?,
            equal: equal.iter().filter_map(|label| label.as_str().map(str::to_owned)).collect(),
        })
    }
}

fn matchers(list: &Value) -> Result<Vec<Matcher>, String> {
    let texts = list.as_array().cloned().unwrap_or_default();
    texts.iter().map(|text| matcher::parse(text.as_str().unwrap_or_default())).collect()
}
