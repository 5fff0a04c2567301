//! The alerting rules of the lab's Prometheus: pending, firing, resolved, and the series that say so.
//! It knows samples and time; who is told about alerts is the Alertmanager's business.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use promql_parser::parser::Expr;
use serde::Deserialize;

use super::promql::{self, Point, QueryError, Value};
use super::tsdb::{Labels, Tsdb};

/// The rules compiled in, in Prometheus's own file format.
pub const RULES: &str = include_str!("../../assets/lab/prometheus-rules.yml");

/// Why the rules cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RulesError {
    #[error("rules file: {0}")]
    File(String),
    #[error("rule {rule}: {why}")]
    Expression { rule: String, why: QueryError },
}

/// All rules with the alerts they hold. Clones share one state.
#[derive(Clone)]
pub struct Rules(Arc<Mutex<Vec<Group>>>);

/// Rules evaluated together.
#[derive(Clone)]
pub struct Group {
    pub name: String,
    pub rules: Vec<Rule>,
}

/// One alerting rule.
#[derive(Clone)]
pub struct Rule {
    pub name: String,
    /// As written.
    pub query: String,
    /// How long the expression must hold before the alert fires.
    pub holds: SignedDuration,
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<String, String>,
    pub active: BTreeMap<Labels, Active>,
    pub evaluated: Option<Timestamp>,
    /// The error of the last evaluation.
    pub failed: Option<String>,
    expr: Arc<Expr>,
}

/// An element of a rule's expression that holds now.
#[derive(Clone, Debug)]
pub struct Active {
    pub since: Timestamp,
    pub firing: bool,
    pub value: f64,
    pub annotations: BTreeMap<String, String>,
}

/// What the Alertmanager is told: an alert that fires, or (with `ends`) one that no longer does.
#[derive(Clone, Debug)]
pub struct Notice {
    pub labels: Labels,
    pub annotations: BTreeMap<String, String>,
    pub starts: Timestamp,
    pub ends: Option<Timestamp>,
}

impl Rules {
    /// Reads the compiled-in rules; every `for` is divided by `speed`, like all durations of the lab.
    ///
    /// # Errors
    /// When the file or an expression in it does not parse.
    pub fn load(speed: f64) -> Result<Self, RulesError> {
        Self::of(RULES, speed)
    }

    /// The same with the rules of another file.
    ///
    /// # Errors
    /// When the file or an expression in it does not parse.
    pub fn of(text: &str, speed: f64) -> Result<Self, RulesError> {
        Ok(Self(Arc::new(Mutex::new(read(text, speed)?))))
    }

    /// Takes the rules of another file. A rule that asks the same keeps the alerts it holds.
    ///
    /// # Errors
    /// When the file or an expression in it does not parse; then everything stays.
    pub fn replace(&self, text: &str, speed: f64) -> Result<(), RulesError> {
        let mut groups = read(text, speed)?;
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for rule in groups.iter_mut().flat_map(|group| &mut group.rules) {
            let mut before = held.iter_mut().flat_map(|group| &mut group.rules);
            if let Some(before) = before.find(|before| before.name == rule.name && before.query == rule.query)
            {
                rule.active = std::mem::take(&mut before.active);
                rule.evaluated = before.evaluated;
            }
        }
        *held = groups;
        Ok(())
    }

    /// The rules as they are now.
    pub fn groups(&self) -> Vec<Group> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Evaluates every rule, writes `ALERTS` and `ALERTS_FOR_STATE`, and says what fires and what ended.
    pub fn evaluate(&self, tsdb: &Tsdb, now: Timestamp) -> Vec<Notice> {
        let mut groups = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut notices = Vec::new();
        for rule in groups.iter_mut().flat_map(|group| &mut group.rules) {
            rule.evaluated = Some(now);
            match promql::instant(tsdb, &rule.expr, now.as_millisecond()) {
                Ok(value) => {
                    rule.failed = None;
                    rule.advance(elements(value), tsdb, now, &mut notices);
                }
                Err(why) => rule.failed = Some(why.to_string()),
            }
        }
        notices
    }
}

fn read(text: &str, speed: f64) -> Result<Vec<Group>, RulesError> {
    let file: File = serde_saphyr::from_str(text).map_err(|why| RulesError::File(why.to_string()))?;
    file.groups.into_iter().map(|group| group.build(speed)).collect()
}

impl Rule {
    fn advance(&mut self, points: Vec<Point>, tsdb: &Tsdb, now: Timestamp, notices: &mut Vec<Notice>) {
        let mut holding = BTreeMap::new();
        for point in points {
            let labels = self.alert_labels(&point);
            let before = self.active.remove(&labels);
            let since = before.as_ref().map_or(now, |active| active.since);
            let firing = before.as_ref().is_some_and(|active| active.firing)
                || now.duration_since(since) >= self.holds;
            if before.is_some_and(|active| active.firing != firing) {
                record(tsdb, &labels, "pending", now, None);
            }
            record(tsdb, &labels, state_name(firing), now, Some(since));
            let annotations =
                self.annotations.iter().map(|(name, text)| (name.clone(), expand(text, &point))).collect();
            holding.insert(labels, Active { since, firing, value: point.value, annotations });
        }
        for (labels, gone) in std::mem::replace(&mut self.active, holding) {
            record(tsdb, &labels, state_name(gone.firing), now, None);
            if gone.firing {
                let Active { since: starts, annotations, .. } = gone;
                notices.push(Notice { labels, annotations, starts, ends: Some(now) });
            }
        }
        let firing = self.active.iter().filter(|(_, active)| active.firing);
        notices.extend(firing.map(|(labels, active)| Notice {
            labels: labels.clone(),
            annotations: active.annotations.clone(),
            starts: active.since.saturating_add(self.holds).unwrap_or(active.since).min(now),
            ends: None,
        }));
    }

    fn alert_labels(&self, point: &Point) -> Labels {
        let mut labels = point.labels.bare();
        for (name, value) in &self.labels {
            labels = labels.with(name, &expand(value, point));
        }
        labels.with("alertname", &self.name)
    }
}

/// `firing` or `pending`.
pub fn state_name(firing: bool) -> &'static str {
    if firing { "firing" } else { "pending" }
}

/// Writes the two series of an active alert, or ends them.
fn record(tsdb: &Tsdb, labels: &Labels, state: &str, now: Timestamp, since: Option<Timestamp>) {
    let mut pairs: Vec<(&str, &str)> = labels.iter().collect();
    match since {
        Some(since) => tsdb.append("ALERTS_FOR_STATE", &pairs, now, since.as_second() as f64),
        None => tsdb.end("ALERTS_FOR_STATE", &pairs, now),
    }
    pairs.push(("alertstate", state));
    match since {
        Some(_) => tsdb.append("ALERTS", &pairs, now, 1.0),
        None => tsdb.end("ALERTS", &pairs, now),
    }
}

fn elements(value: Value) -> Vec<Point> {
    match value {
        Value::Vector(points) => points,
        Value::Scalar(value) => vec![Point { labels: Labels::default(), value }],
        Value::String(_) | Value::Matrix(_) => Vec::new(),
    }
}

/// Fills `{{ $labels.x }}` and `{{ $value }}`: all that the compiled-in rules use of Go's templates.
fn expand(text: &str, point: &Point) -> String {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        expanded.push_str(before);
        let (inside, after) = after.split_once("}}").unwrap_or((after, ""));
        match inside.trim() {
            "$value" => expanded += &point.value.to_string(),
            label => expanded += label.strip_prefix("$labels.").map_or("", |name| point.labels.get(name)),
        }
        rest = after;
    }
    expanded + rest
}

#[derive(Deserialize)]
struct File {
    groups: Vec<FileGroup>,
}

#[derive(Deserialize)]
struct FileGroup {
    name: String,
    rules: Vec<FileRule>,
}

#[derive(Deserialize)]
struct FileRule {
    alert: String,
    expr: String,
    #[serde(default, rename = "for")]
    holds: Option<String>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

impl FileGroup {
    fn build(self, speed: f64) -> Result<Group, RulesError> {
        let rules = self.rules.into_iter().map(|rule| rule.build(speed)).collect::<Result<_, _>>()?;
        Ok(Group { name: self.name, rules })
    }
}

impl FileRule {
    fn build(self, speed: f64) -> Result<Rule, RulesError> {
        let fail = |why| RulesError::Expression { rule: self.alert.clone(), why };
        let expr = promql::parse(&self.expr).map_err(fail)?;
        let holds = match &self.holds {
            None => SignedDuration::ZERO,
            Some(text) => promql_parser::util::parse_duration(text)
                .map_err(|why| RulesError::File(format!("{}: {why}", self.alert)))
                .map(|holds| SignedDuration::from_millis((holds.as_millis() as f64 / speed) as i64))?,
        };
        Ok(Rule {
            name: self.alert,
            query: self.expr,
            holds,
            labels: self.labels,
            annotations: self.annotations,
            active: BTreeMap::new(),
            evaluated: None,
            failed: None,
            expr: Arc::new(expr),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::constant(1_767_312_000 + seconds, 0)
    }

    /// Steps through ten seconds each: the value of `up`, and what is expected of `TargetDown` (for: 10m / 30).
    fn play(rules: &Rules, tsdb: &Tsdb, from: i64, values: &[f64]) -> Vec<Vec<Notice>> {
        let step = |(index, value): (usize, &f64)| {
            let now = at(from + 10 * index as i64);
            tsdb.append("up", &[("job", "app"), ("instance", "a:80")], now, *value);
            let mut notices = rules.evaluate(tsdb, now);
            notices.retain(|notice| notice.labels.get("alertname") == "TargetDown");
            notices
        };
        values.iter().enumerate().map(step).collect()
    }

    fn state(rules: &Rules) -> Option<bool> {
        let groups = rules.groups();
        let rule = groups.iter().flat_map(|group| &group.rules).find(|rule| rule.name == "TargetDown");
        rule.and_then(|rule| rule.active.values().next().map(|active| active.firing))
    }

    fn alerts(tsdb: &Tsdb, now: i64) -> Vec<String> {
        let query = r#"ALERTS{alertname="TargetDown"}"#;
        match promql::parse(query).and_then(|expr| promql::instant(tsdb, &expr, at(now).as_millisecond())) {
            Ok(Value::Vector(points)) => {
                points.iter().map(|point| point.labels.get("alertstate").to_owned()).collect()
            }
            other => vec![format!("{other:?}")],
        }
    }

    #[test]
    fn an_alert_waits_fires_and_ends() -> Result<(), RulesError> {
        let (rules, tsdb) = (Rules::load(30.0)?, Tsdb::default());
        let told = play(&rules, &tsdb, 0, &[1.0, 0.0, 0.0]);
        assert!(told.iter().all(Vec::is_empty));
        assert_eq!(state(&rules), Some(false));
        assert_eq!(alerts(&tsdb, 20), ["pending"]);
        let told = play(&rules, &tsdb, 30, &[0.0, 0.0]);
        assert_eq!(told[1].len(), 1, "the alert fires after 20 s instead of 10 min");
        let notice = &told[1][0];
        assert!(notice.ends.is_none());
        assert_eq!(notice.starts, at(30));
        assert_eq!(notice.annotations["summary"], "Target a:80 of job app is down");
        assert_eq!(alerts(&tsdb, 40), ["firing"]);
        let told = play(&rules, &tsdb, 50, &[1.0, 1.0]);
        assert_eq!(told[0][0].ends, Some(at(50)));
        assert!(told[1].is_empty());
        assert_eq!(state(&rules), None);
        assert!(alerts(&tsdb, 60).is_empty(), "the series ends with the alert");
        Ok(())
    }

    #[test]
    fn a_pending_alert_that_goes_away_is_never_told() -> Result<(), RulesError> {
        let (rules, tsdb) = (Rules::load(1.0)?, Tsdb::default());
        let told = play(&rules, &tsdb, 0, &[0.0, 0.0, 1.0, 0.0]);
        assert!(told.iter().all(Vec::is_empty));
        assert_eq!(alerts(&tsdb, 30), ["pending"]);
        Ok(())
    }
}
