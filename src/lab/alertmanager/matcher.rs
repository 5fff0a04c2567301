//! Label matchers as the Alertmanager writes them: `name="value"`, `!=`, `=~`, `!~`, quotes optional.

use regex::Regex;
use serde::{Deserialize, Serialize};

use crate::lab::tsdb::Labels;

/// One matcher, in the shape of the API.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Matcher {
    pub(super) name: String,
    pub(super) value: String,
    #[serde(default)]
    is_regex: bool,
    #[serde(default = "equal")]
    is_equal: bool,
    #[serde(skip)]
    regex: Option<Regex>,
}

fn equal() -> bool {
    true
}

impl Matcher {
    /// Compiles the pattern, which must be done once before matching.
    pub(super) fn compile(mut self) -> Result<Self, String> {
        if self.is_regex {
            let regex = Regex::new(&format!("^(?:{})$", self.value));
            self.regex = Some(regex.map_err(|why| format!("invalid regular expression: {why}"))?);
        }
        Ok(self)
    }

    pub(super) fn matches(&self, value: &str) -> bool {
        let found = match &self.regex {
            Some(regex) => regex.is_match(value),
            None => self.value == value,
        };
        found == self.is_equal
    }

    pub(super) fn same(&self, other: &Self) -> bool {
        (&self.name, &self.value, self.is_regex, self.is_equal)
            == (&other.name, &other.value, other.is_regex, other.is_equal)
    }
}

/// Whether a label set passes every matcher.
pub(super) fn all_match(matchers: &[Matcher], labels: &Labels) -> bool {
    matchers.iter().all(|matcher| matcher.matches(labels.get(&matcher.name)))
}

/// Reads a filter.
pub(super) fn parse(text: &str) -> Result<Matcher, String> {
    let text = text.trim().trim_start_matches('{').trim_end_matches('}');
    let wrong = || format!("bad matcher format: {text}");
    let at = text.find(['=', '!']).ok_or_else(wrong)?;
    let (name, rest) = text.split_at(at);
    let operators = [("=~", true, true), ("!~", true, false), ("!=", false, false), ("=", false, true)];
    let (value, is_regex, is_equal) = operators
        .iter()
        .find_map(|(sign, regex, equal)| Some((rest.strip_prefix(sign)?, *regex, *equal)))
        .ok_or_else(wrong)?;
    let name = name.trim().to_owned();
    if name.is_empty() {
        return Err(wrong());
    }
    let value = unquote(value.trim());
    Matcher { name, value, is_regex, is_equal, regex: None }.compile()
}

fn unquote(value: &str) -> String {
    match value.strip_prefix('"').and_then(|value| value.strip_suffix('"')) {
        Some(inside) => inside.replace("\\\"", "\"").replace("\\\\", "\\"),
        None => value.to_owned(),
    }
}
