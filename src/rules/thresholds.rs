//! Numbers a rule compares with: each is a named default with its source, and a team may override it.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use thiserror::Error;

use super::RULES;

/// A number a rule compares with.
#[derive(Debug)]
pub struct Threshold {
    /// As in the `[thresholds]` table: `crash-loop.warning-after`.
    pub key: &'static str,
    pub default: f64,
    pub unit: Unit,
    pub says: &'static str,
    /// Where the default comes from.
    pub source: &'static str,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unit {
    Count,
    /// 0 to 1.
    Ratio,
    Seconds,
    PerSecond,
}

impl Unit {
    pub fn as_str(self) -> &'static str {
        match self {
            Unit::Count => "",
            Unit::Ratio => "of 1",
            Unit::Seconds => "s",
            Unit::PerSecond => "/s",
        }
    }
}

/// The overrides in force.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Thresholds {
    overrides: BTreeMap<&'static str, f64>,
}

/// An override of something that isn't a threshold, or to something that isn't a number.
#[derive(Clone, PartialEq, Debug, Error)]
pub enum UnknownThreshold {
    #[error("no threshold is called {key}; did you mean {nearest}?")]
    Unknown { key: String, nearest: &'static str },
    #[error("{key} must be a finite number, not negative")]
    NotANumber { key: &'static str },
}

impl Thresholds {
    /// With these overrides, by key. All that is wrong is told at once.
    pub fn new<'a>(
        overrides: impl IntoIterator<Item = (&'a str, f64)>,
    ) -> Result<Thresholds, Vec<UnknownThreshold>> {
        let mut thresholds = Thresholds::default();
        let mut wrong = Vec::new();
        for (key, value) in overrides {
            match all().find(|threshold| threshold.key == key) {
                None => {
                    wrong.push(UnknownThreshold::Unknown { key: key.to_owned(), nearest: nearest(key) });
                }
                Some(known) if !value.is_finite() || value < 0.0 => {
                    wrong.push(UnknownThreshold::NotANumber { key: known.key });
                }
                Some(known) => {
                    thresholds.overrides.insert(known.key, value);
                }
            }
        }
        if wrong.is_empty() { Ok(thresholds) } else { Err(wrong) }
    }

    pub fn get(&self, threshold: &Threshold) -> f64 {
        self.overrides.get(threshold.key).copied().unwrap_or(threshold.default)
    }

    /// A threshold in seconds, as a duration.
    pub fn span(&self, threshold: &Threshold) -> SignedDuration {
        SignedDuration::try_from_secs_f64(self.get(threshold)).unwrap_or(SignedDuration::MAX)
    }
}

/// Every threshold of every rule.
pub fn all() -> impl Iterator<Item = &'static Threshold> {
    RULES.iter().flat_map(|rule| rule.thresholds)
}

/// The key that shares the longest beginning, else the first.
fn nearest(key: &str) -> &'static str {
    let shared = |known: &str| known.bytes().zip(key.bytes()).take_while(|(one, other)| one == other).count();
    all().max_by_key(|known| shared(known.key)).map_or("", |known| known.key)
}
