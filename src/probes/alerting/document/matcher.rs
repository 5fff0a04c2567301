//! Label matchers as Alertmanager writes them: `name="value"`, `!=`, `=~`, `!~`, quotation marks optional. Pure.

use std::collections::BTreeMap;

use regex::Regex;
use serde_json::Value;

/// The labels of an alert.
pub type LabelSet = BTreeMap<String, String>;

/// One matcher, ready to match.
#[derive(Clone, Debug)]
pub struct Matcher {
    pub name: String,
    pub value: String,
    pub equal: bool,
    /// Anchored at both ends, as Alertmanager does.
    regex: Option<Regex>,
}

impl Matcher {
    /// # Errors
    /// In words, what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| format!("`{}` is no matcher: {why}", text.trim());
        let trimmed = text.trim();
        let ends = trimmed
            .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':'))
            .unwrap_or(trimmed.len());
        let (name, rest) = trimmed.split_at(ends);
        if !is_label(name) {
            return Err(wrong("it begins with the name of a label"));
        }
        let rest = rest.trim_start();
        let (equal, is_regex, value) = if let Some(value) = rest.strip_prefix("=~") {
            (true, true, value)
        } else if let Some(value) = rest.strip_prefix("!~") {
            (false, true, value)
        } else if let Some(value) = rest.strip_prefix("!=") {
            (false, false, value)
        } else if let Some(value) = rest.strip_prefix('=') {
            (true, false, value)
        } else {
            return Err(wrong("after the name comes =, !=, =~ or !~"));
        };
        let value = unquoted(value.trim()).ok_or_else(|| wrong("its quotation marks don't fit"))?;
        Self::new(name, &value, equal, is_regex).map_err(|why| wrong(&why))
    }

    /// # Errors
    /// The regular expression does not compile.
    pub fn new(name: &str, value: &str, equal: bool, is_regex: bool) -> Result<Self, String> {
        let anchored = || Regex::new(&format!("^(?:{value})$"));
        let regex = is_regex.then(anchored).transpose();
        let regex = regex.map_err(|_| "not a regular expression".to_owned())?;
        Ok(Self { name: name.to_owned(), value: value.to_owned(), equal, regex })
    }

    pub fn is_regex(&self) -> bool {
        self.regex.is_some()
    }

    /// A missing label is an empty one, as Alertmanager has it.
    pub fn matches(&self, labels: &LabelSet) -> bool {
        let value = labels.get(&self.name).map_or("", String::as_str);
        let found = match &self.regex {
            Some(regex) => regex.is_match(value),
            None => self.value == value,
        };
        found == self.equal
    }

    /// As it is posted to the API.
    pub fn to_api(&self) -> Value {
        serde_json::json!({
            "name": self.name, "value": self.value, "isRegex": self.is_regex(), "isEqual": self.equal,
        })
    }
}

impl std::fmt::Display for Matcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let operator = match (self.equal, self.is_regex()) {
            (true, false) => "=",
            (true, true) => "=~",
            (false, false) => "!=",
            (false, true) => "!~",
        };
        let value = self.value.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n");
        write!(f, "{}{operator}\"{value}\"", self.name)
    }
}

/// All of them, or the first mistake.
pub fn parse_all<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Vec<Matcher>, String> {
    texts.into_iter().map(Matcher::parse).collect()
}

pub fn all_match(matchers: &[Matcher], labels: &LabelSet) -> bool {
    matchers.iter().all(|matcher| matcher.matches(labels))
}

/// A name that Prometheus takes for a label.
pub fn is_label(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn unquoted(value: &str) -> Option<String> {
    let Some(inner) = value.strip_prefix('"') else {
        return (!value.contains('"')).then(|| value.to_owned());
    };
    let inner = inner.strip_suffix('"')?;
    let mut text = String::new();
    let mut rest = inner.chars();
    while let Some(character) = rest.next() {
        match character {
            '\\' => match rest.next()? {
                'n' => text.push('\n'),
                escaped @ ('"' | '\\') => text.push(escaped),
                other => text.extend(['\\', other]),
            },
            '"' => return None,
            other => text.push(other),
        }
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> LabelSet {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn matchers_match_as_alertmanager_does() {
        let alert = labels(&[("alertname", "HighCPU"), ("severity", "warning")]);
        for (text, matches) in [
            (r#"alertname="HighCPU""#, true),
            ("alertname=HighCPU", true),
            (r#"severity=~"warn|info""#, false),
            (r#"severity=~"warning|info""#, true),
            (r#"severity!~"crit.*""#, true),
            (r#"node="""#, true),
            (r#"node!="""#, false),
        ] {
            assert_eq!(Matcher::parse(text).unwrap().matches(&alert), matches, "{text}");
        }
    }

    #[test]
    fn a_matcher_reads_back_as_it_was_written_and_mistakes_are_named() {
        let written = r#"path=~"a\"b\\d|c""#;
        assert_eq!(Matcher::parse(written).unwrap().to_string(), written);
        for wrong in ["", "=x", "a b", "a=~\"(\"", "a=\"x", "9a=x"] {
            assert!(Matcher::parse(wrong).is_err(), "{wrong}");
        }
    }
}
