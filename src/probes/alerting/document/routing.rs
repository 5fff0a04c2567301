//! What a configuration of Alertmanager does with an alert: which routes take it, how it is grouped, what
//! keeps it quiet. Pure; checked against the real one in the tests.

use serde_json::Value;

use super::matcher::{LabelSet, Matcher, all_match};

/// The routes and inhibitions of a document that was found valid.
#[derive(Clone, Debug)]
pub struct Routing {
    root: Route,
    inhibitions: Vec<Inhibition>,
}

/// A route with what it inherits.
#[derive(Clone, Debug)]
pub struct Route {
    matchers: Vec<Matcher>,
    pub receiver: String,
    pub group_by: Grouping,
    goes_on: bool,
    routes: Vec<Route>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Grouping {
    /// `...`: every alert is a group of its own.
    All,
    Labels(Vec<String>),
}

#[derive(Clone, Debug)]
pub struct Inhibition {
    pub source: Vec<Matcher>,
    pub target: Vec<Matcher>,
    pub equal: Vec<String>,
}

/// A group as it is notified: the receiver and the labels that hold it together.
pub type GroupKey = (String, Vec<(String, String)>);

impl Routing {
    /// # Errors
    /// What is not as it should be, in words.
    pub fn read(document: &Value) -> Result<Self, String> {
        let route = document.get("route").filter(|route| route.is_object()).ok_or("no routes provided")?;
        let above = Route {
            matchers: Vec::new(),
            receiver: String::new(),
            group_by: Grouping::Labels(Vec::new()),
            goes_on: false,
            routes: Vec::new(),
        };
        let rules = document.get("inhibit_rules").and_then(Value::as_array);
        Ok(Self {
            root: Route::read(route, &above)?,
            inhibitions: rules.into_iter().flatten().map(Inhibition::read).collect::<Result<_, _>>()?,
        })
    }

    /// The routes that take an alert, in order.
    pub fn taken_by(&self, labels: &LabelSet) -> Vec<&Route> {
        self.root.take(labels)
    }

    /// The groups that an alert belongs to: one for each route that takes it.
    pub fn groups(&self, labels: &LabelSet) -> Vec<GroupKey> {
        let key = |route: &Route| (route.receiver.clone(), route.group_by.of(labels));
        self.taken_by(labels).into_iter().map(key).collect()
    }

    pub fn grouping(&self) -> &Grouping {
        &self.root.group_by
    }

    /// Whether one of `alerts` keeps this alert quiet.
    pub fn inhibits(&self, alert: &LabelSet, alerts: &[LabelSet]) -> bool {
        self.inhibitions.iter().any(|rule| alerts.iter().any(|source| rule.holds(source, alert)))
    }
}

impl Route {
    fn read(route: &Value, above: &Route) -> Result<Self, String> {
        let group_by = match route.get("group_by") {
            None | Some(Value::Null) => above.group_by.clone(),
            Some(labels) => {
                let labels = words(labels);
                if labels.iter().any(|label| label == "...") {
                    Grouping::All
                } else {
                    Grouping::Labels(labels)
                }
            }
        };
        let receiver = route.get("receiver").and_then(Value::as_str).filter(|name| !name.is_empty());
        let mut own = Route {
            matchers: matchers(route, "matchers", "match", "match_re")?,
            receiver: receiver.unwrap_or(&above.receiver).to_owned(),
            group_by,
            goes_on: route.get("continue").and_then(Value::as_bool).unwrap_or_default(),
            routes: Vec::new(),
        };
        if let Some(routes) = route.get("routes").and_then(Value::as_array) {
            own.routes = routes.iter().map(|route| Route::read(route, &own)).collect::<Result<_, _>>()?;
        }
        Ok(own)
    }

    fn take(&self, labels: &LabelSet) -> Vec<&Route> {
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

impl Grouping {
    fn of(&self, labels: &LabelSet) -> Vec<(String, String)> {
        let pairs = labels.iter().map(|(name, value)| (name.clone(), value.clone()));
        match self {
            Grouping::All => pairs.collect(),
            Grouping::Labels(by) => pairs.filter(|(name, _)| by.contains(name)).collect(),
        }
    }
}

impl Inhibition {
    fn read(rule: &Value) -> Result<Self, String> {
        Ok(Self {
            source: matchers(rule, "source_matchers", "source_match", "source_match_re")?,
            target: matchers(rule, "target_matchers", "target_match", "target_match_re")?,
            equal: rule.get("equal").map(words).unwrap_or_default(),
        })
    }

    /// An alert that is both source and target does not keep another such alert quiet, nor itself.
    pub fn holds(&self, source: &LabelSet, target: &LabelSet) -> bool {
        let both = |labels: &LabelSet| all_match(&self.source, labels) && all_match(&self.target, labels);
        let value = |labels: &LabelSet, name: &String| labels.get(name).cloned().unwrap_or_default();
        all_match(&self.source, source)
            && all_match(&self.target, target)
            && !(both(target) && both(source))
            && self.equal.iter().all(|name| value(source, name) == value(target, name))
    }
}

/// New style and old style, together.
pub(super) fn matchers(of: &Value, new: &str, old: &str, old_regex: &str) -> Result<Vec<Matcher>, String> {
    let mut all = Vec::new();
    if let Some(list) = of.get(new).filter(|list| !list.is_null()) {
        let list = list.as_array().ok_or_else(|| format!("`{new}` is a list of matchers"))?;
        for text in list {
            let text = text.as_str().ok_or_else(|| format!("a matcher of `{new}` is text"))?;
            for part in split(text) {
                all.push(Matcher::parse(&part)?);
            }
        }
    }
    for (key, is_regex) in [(old, false), (old_regex, true)] {
        for (name, value) in of.get(key).and_then(Value::as_object).into_iter().flatten() {
            all.push(Matcher::new(name, &scalar(value), true, is_regex)?);
        }
    }
    Ok(all)
}

/// `{a="b", c="d"}` and `a="b",c="d"` are several.
fn split(text: &str) -> Vec<String> {
    let inner = text.trim();
    let inner = inner.strip_prefix('{').and_then(|inner| inner.strip_suffix('}')).unwrap_or(inner);
    let mut parts = vec![String::new()];
    let (mut quoted, mut escaped) = (false, false);
    for character in inner.chars() {
        if character == '"' && !escaped {
            quoted = !quoted;
        }
        if character == ',' && !quoted {
            parts.push(String::new());
        } else if let Some(last) = parts.last_mut() {
            last.push(character);
        }
        escaped = character == '\\' && !escaped;
    }
    parts.into_iter().filter(|part| !part.trim().is_empty()).collect()
}

pub(super) fn words(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().map(scalar).collect()
}

fn scalar(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
