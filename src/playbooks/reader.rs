//! Strict reading of TOML: every value with its place, every mistake with file, line and column, and with
//! what is allowed instead. Knows TOML, nothing of playbooks.

use std::ops::Range;
use std::time::Duration;

use toml_edit::{Item, TableLike, Value};

use super::{Lint, verb};

/// Mistakes found so far in one text.
pub(super) struct Lints<'a> {
    file: &'a str,
    text: &'a str,
    /// The text is our own: what is costly to check was checked by a test.
    pub trusted: bool,
    /// The playbook that is being read has a trigger of its own, whose labels are placeholders.
    pub labels: bool,
    pub found: Vec<Lint>,
}

impl<'a> Lints<'a> {
    pub fn new(file: &'a str, text: &'a str) -> Self {
        Self { file, text, trusted: false, labels: false, found: Vec::new() }
    }

    pub fn add(&mut self, at: &Range<usize>, message: impl Into<String>, help: Option<String>) {
        let before = self.text.get(..at.start).unwrap_or(self.text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        self.found.push(Lint { file: self.file.to_owned(), line, column, message: message.into(), help });
    }

    /// `file:line` of a place.
    pub fn place(&self, at: &Range<usize>) -> String {
        let before = self.text.get(..at.start).unwrap_or(self.text);
        format!("{}:{}", self.file, before.matches('\n').count() + 1)
    }

    /// A word that is not among those allowed.
    pub fn unknown(&mut self, at: &Range<usize>, what: &str, word: &str, allowed: &[&str]) {
        let word = crate::domain::text::clean(word);
        self.add(at, format!("unknown {what} `{word}`"), Some(instead(&word, allowed)));
    }

    /// The place of `part` within a value, as precisely as the source shows it.
    pub fn within(&self, at: &Range<usize>, part: &str) -> Range<usize> {
        let slice = self.text.get(at.clone()).unwrap_or_default();
        match slice.find(part) {
            Some(offset) => at.start + offset..at.start + offset + part.len(),
            None => at.clone(),
        }
    }
}

/// Did you mean …, or everything that is allowed.
fn instead(word: &str, allowed: &[&str]) -> String {
    // Matching is quadratic; nobody misspells a name of a hundred letters.
    let close =
        if word.len() <= 100 { similar::get_close_matches(word, allowed, 1, 0.6) } else { Vec::new() };
    match (close.first(), allowed) {
        (_, []) => "nothing is allowed here".into(),
        (Some(close), [_]) => format!("did you mean `{close}`?"),
        (Some(close), _) if allowed.len() > 12 => format!("did you mean `{close}`?"),
        (Some(close), _) => format!("did you mean `{close}`? allowed: {}", allowed.join(", ")),
        (None, _) => format!("allowed: {}", allowed.join(", ")),
    }
}

/// A table, and where it begins.
pub(super) struct Fields<'a> {
    table: &'a dyn TableLike,
    pub at: Range<usize>,
    /// What it is, for messages: `step`.
    pub what: &'static str,
}

/// A value with its place.
#[derive(Clone, Debug)]
pub(super) struct At<T> {
    pub value: T,
    pub at: Range<usize>,
}

impl<'a> Fields<'a> {
    pub fn new(table: &'a dyn TableLike, at: Range<usize>, what: &'static str) -> Self {
        Self { table, at, what }
    }

    /// Complains about every key that is not allowed.
    pub fn only(&self, lints: &mut Lints<'_>, allowed: &[&str]) {
        for (name, item) in self.table.iter() {
            if !allowed.contains(&name) {
                let at = self.key(name).or(item.span()).unwrap_or_else(|| self.at.clone());
                lints.unknown(&at, &format!("key in this {}", self.what), name, allowed);
            }
        }
    }

    pub fn keys(&self) -> impl Iterator<Item = (&'a str, Range<usize>)> {
        self.table
            .iter()
            .map(|(name, item)| (name, self.key(name).or(item.span()).unwrap_or_else(|| self.at.clone())))
    }

    fn key(&self, name: &str) -> Option<Range<usize>> {
        self.table.key(name).and_then(toml_edit::Key::span)
    }

    pub fn item(&self, name: &str) -> Option<At<&'a Item>> {
        let item = self.table.get(name)?;
        let at = item.span().or_else(|| self.key(name)).unwrap_or_else(|| self.at.clone());
        Some(At { value: item, at })
    }

    fn wrong(&self, lints: &mut Lints<'_>, name: &str, at: &Range<usize>, wanted: &str) {
        lints.add(at, format!("`{name}` in this {} has to be {wanted}", self.what), None);
    }

    pub fn lacks(&self, lints: &mut Lints<'_>, name: &str, help: &str) {
        lints.add(&self.at, format!("this {} has no `{name}`", self.what), Some(help.to_owned()));
    }

    pub fn text(&self, lints: &mut Lints<'_>, name: &str) -> Option<At<String>> {
        let At { value, at } = self.item(name)?;
        match value.as_str() {
            Some(text) if text.trim().is_empty() => {
                self.wrong(lints, name, &at, "a text that says something");
                None
            }
            // Playbooks are shown: what would steer a terminal never gets that far.
            Some(text) if text.chars().any(|c| c.is_control() && c != '\n') => {
                self.wrong(lints, name, &at, "a text without control characters");
                None
            }
            Some(text) => Some(At { value: text.to_owned(), at }),
            None => {
                self.wrong(lints, name, &at, "a string");
                None
            }
        }
    }

    pub fn need_text(&self, lints: &mut Lints<'_>, name: &str, help: &str) -> Option<At<String>> {
        if self.table.contains_key(name) {
            return self.text(lints, name);
        }
        self.lacks(lints, name, help);
        None
    }

    /// One line of text.
    pub fn need_line(&self, lints: &mut Lints<'_>, name: &str, help: &str) -> Option<At<String>> {
        let text = self.need_text(lints, name, help)?;
        if text.value.contains('\n') {
            self.wrong(lints, name, &text.at, "one line");
            return None;
        }
        Some(text)
    }

    pub fn flag(&self, lints: &mut Lints<'_>, name: &str) -> Option<At<bool>> {
        let At { value, at } = self.item(name)?;
        if value.as_bool().is_none() {
            self.wrong(lints, name, &at, "true or false");
        }
        Some(At { value: value.as_bool()?, at })
    }

    pub fn number(&self, lints: &mut Lints<'_>, name: &str) -> Option<f64> {
        let At { value, at } = self.item(name)?;
        let number = value.as_float().or_else(|| value.as_integer().map(|whole| whole as f64));
        if !number.is_some_and(f64::is_finite) {
            self.wrong(lints, name, &at, "a number");
            return None;
        }
        number
    }

    pub fn span(&self, lints: &mut Lints<'_>, name: &str) -> Option<Duration> {
        let text = self.text(lints, name)?;
        let span = verb::span(&text.value);
        if span.is_none() {
            self.wrong(lints, name, &text.at, "a time such as \"90s\", \"5m\" or \"1h30m\"");
        }
        span
    }

    pub fn words(&self, lints: &mut Lints<'_>, name: &str) -> Vec<At<String>> {
        let Some(At { value, at }) = self.item(name) else { return Vec::new() };
        let Some(array) = value.as_array() else {
            self.wrong(lints, name, &at, "a list of strings");
            return Vec::new();
        };
        let mut words = Vec::new();
        for value in array {
            let at = value.span().unwrap_or_else(|| at.clone());
            match value.as_str() {
                Some(word) if !word.chars().any(char::is_control) => {
                    words.push(At { value: word.to_owned(), at });
                }
                _ => self.wrong(lints, name, &at, "a list of strings"),
            }
        }
        words
    }

    pub fn table(&self, lints: &mut Lints<'_>, name: &str, what: &'static str) -> Option<Fields<'a>> {
        let At { value, at } = self.item(name)?;
        let Some(table) = value.as_table_like() else {
            self.wrong(lints, name, &at, "a table");
            return None;
        };
        Some(Fields::new(table, at, what))
    }

    /// A list of tables, written as `[[…]]` or as `[{…}, …]`.
    pub fn tables(&self, lints: &mut Lints<'_>, name: &str, what: &'static str) -> Vec<Fields<'a>> {
        let Some(At { value, at }) = self.item(name) else { return Vec::new() };
        if let Some(tables) = value.as_array_of_tables() {
            return tables
                .iter()
                .map(|table| Fields::new(table, table.span().unwrap_or_else(|| at.clone()), what))
                .collect();
        }
        let Some(array) = value.as_array() else {
            self.wrong(lints, name, &at, "a list of tables");
            return Vec::new();
        };
        let mut tables = Vec::new();
        for value in array {
            let at = value.span().unwrap_or_else(|| at.clone());
            match value {
                Value::InlineTable(table) => tables.push(Fields::new(table, at, what)),
                _ => self.wrong(lints, name, &at, "a list of tables"),
            }
        }
        tables
    }
}
