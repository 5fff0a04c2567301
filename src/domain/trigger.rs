//! What opens a team's own playbook: a question, its bound, and what was seen of it. Values only.

use std::time::Duration;

use super::{AnomalyId, Blind, Kind, Labels, Name, ObjectRef, Timestamp, text};

/// A trigger of a team's playbook.
#[derive(Clone, PartialEq, Debug)]
pub struct Trigger {
    /// The playbook's id.
    pub playbook: Name,
    pub title: Name,
    /// Where it is written: `team.toml:12`.
    pub place: Name,
    pub ask: Ask,
    /// How long it has to hold before it counts.
    pub for_: Duration,
}

/// What is asked.
#[derive(Clone, PartialEq, Debug)]
pub enum Ask {
    /// An active alert with all these labels.
    Alert { labels: Vec<(Name, Name)> },
    /// A PromQL expression beyond a bound; each of its series is a case of its own.
    Promql { expr: String, above: Option<f64>, below: Option<f64> },
    /// The first column of the first row above a bound.
    Sql { query: String, above: f64 },
    /// A field (a JSON pointer) of any object of this kind.
    Object { kind: Kind, field: String, equals: Option<String>, matches: Option<String> },
}

/// What one trigger's question brought: the cases in which it holds, or why it can't be asked.
#[derive(Clone, PartialEq, Debug)]
pub struct Asked {
    pub playbook: Name,
    pub seen: Result<Vec<Case>, Blind>,
}

/// One thing for which a trigger holds.
#[derive(Clone, PartialEq, Debug)]
pub struct Case {
    /// Of the series, the columns, or the alert; of an object its namespace and name.
    pub labels: Labels,
    pub value: Option<f64>,
    /// What was seen, in words: `queue_depth{queue="mail"} is 812, above 500`.
    pub says: Name,
    pub object: Option<ObjectRef>,
    pub since: Timestamp,
}

impl Trigger {
    /// Stable as long as the case lasts.
    pub fn id(&self, case: &Case) -> AnomalyId {
        const LONGEST: usize = 160;
        let of = match &case.object {
            Some(object) => format!("{}/{}", object.kind.for_kubectl(), object.key),
            None => case
                .labels
                .0
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect::<Vec<_>>()
                .join(","),
        };
        let of: String = text::clean(&of).chars().take(LONGEST).collect();
        let of = if of.is_empty() { "all".to_owned() } else { of };
        AnomalyId(format!("{}/{of}", self.playbook).into())
    }

    /// Whether the source is asked for it; alerts are looked at anyway.
    pub fn is_asked(&self) -> bool {
        !matches!(self.ask, Ask::Alert { .. })
    }
}

impl Case {
    /// The values of placeholders: `label_NAME` in lower case, and `value`.
    pub fn values(&self) -> Vec<(String, String)> {
        let mut values: Vec<(String, String)> = self
            .labels
            .0
            .iter()
            .map(|(name, value)| (format!("label_{}", name.to_lowercase()), value.to_string()))
            .collect();
        values.extend(self.value.map(|value| ("value".to_owned(), value.to_string())));
        values
    }
}
