//! A reading while it is put together: every line cleaned, redacted and bounded on its way in.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::domain::{Found, Reading, Timestamp, Tone, text};

/// Most lines a reading keeps.
const LINES: usize = 1_000;
/// Most characters a line keeps.
const WIDTH: usize = 2_000;

#[derive(Default)]
pub(super) struct Answer {
    summary: String,
    lines: Vec<(Tone, String)>,
    found: Vec<Found>,
    bindings: BTreeMap<String, String>,
    dropped: usize,
    ok: bool,
    unseen: bool,
}

impl Answer {
    pub(super) fn new() -> Self {
        Self { ok: true, ..Self::default() }
    }

    /// A read that did not answer its question.
    pub(super) fn failed(why: &str) -> Self {
        let mut answer = Self::default();
        answer.summary(why);
        answer
    }

    /// None of what it was about could be looked at.
    pub(super) fn unseen(mut self, why: &str) -> Self {
        (self.ok, self.unseen) = (false, true);
        self.summary(why);
        self
    }

    /// The question was answered, and the answer is no.
    pub(super) fn not_ok(&mut self) {
        self.ok = false;
    }

    /// A refusal can be the answer.
    pub(super) fn answered(&mut self) {
        self.ok = true;
    }

    pub(super) fn summary(&mut self, summary: impl AsRef<str>) {
        self.summary = bounded(summary.as_ref());
    }

    pub(super) fn line(&mut self, tone: Tone, line: impl AsRef<str>) {
        if self.lines.len() < LINES {
            self.lines.push((tone, bounded(line.as_ref())));
        } else {
            self.dropped += 1;
        }
    }

    pub(super) fn lines(&mut self, lines: impl IntoIterator<Item = (Tone, String)>) {
        for (tone, line) in lines {
            self.line(tone, line);
        }
    }

    /// A cause from the vocabulary, once.
    pub(super) fn found(&mut self, cause: &'static str, says: impl AsRef<str>) {
        if !self.found.iter().any(|found| found.cause == cause) {
            self.found.push(Found { cause: cause.into(), says: bounded(says.as_ref()) });
        }
    }

    pub(super) fn bind(&mut self, name: &str, value: impl AsRef<str>) {
        self.bindings.insert(name.into(), text::clean(value.as_ref()));
    }

    pub(super) fn dropped(&mut self, lines: usize) {
        self.dropped += lines;
    }

    pub(super) fn into_reading(self, at: Timestamp, took: Duration) -> Reading {
        Reading {
            at,
            took,
            summary: self.summary,
            lines: self.lines,
            found: self.found,
            bindings: self.bindings,
            dropped: self.dropped,
            ok: self.ok,
            unseen: self.unseen,
        }
    }
}

/// Harmless, without secrets, not too long.
pub(super) fn bounded(line: &str) -> String {
    let mut line = match line.char_indices().nth(WIDTH) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    };
    line = text::redact(&text::clean(&line));
    line.truncate(line.trim_end().len());
    line
}

/// How long ago, in one unit: `4m`.
pub(super) fn ago(then: Option<Timestamp>, now: Timestamp) -> String {
    then.map_or_else(|| "?".into(), |then| text::span_short(crate::domain::between(then, now)))
}

/// The moment itself, for what is still read long after it was said: `11:59:27 UTC`, with its day once that is
/// another one.
pub(super) fn clock(at: Timestamp, now: Timestamp) -> String {
    let day = "%Y-%m-%d";
    let format = if at.strftime(day).to_string() == now.strftime(day).to_string() {
        "%H:%M:%S UTC"
    } else {
        "%Y-%m-%d %H:%M UTC"
    };
    at.strftime(format).to_string()
}

/// A table with aligned columns; the last one is as wide as it likes.
pub(super) fn columns(rows: &[Vec<String>]) -> Vec<String> {
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..rows.iter().map(Vec::len).max().unwrap_or(0)).map(width).collect();
    rows.iter()
        .map(|row| {
            let last = row.len().saturating_sub(1);
            let cells = row.iter().enumerate().map(|(column, cell)| {
                if column == last { cell.clone() } else { format!("{cell:<width$}", width = widths[column]) }
            });
            cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        })
        .collect()
}
