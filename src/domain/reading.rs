//! What a read on demand brought back: lines for a person, and what was found in them for the plan.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Timestamp;

/// The result of a read step, cleaned and redacted.
#[derive(Clone, PartialEq, Debug)]
pub struct Reading {
    pub at: Timestamp,
    pub took: Duration,
    /// One line: `3 of 4 pods crash; exit code 137, OOMKilled`.
    pub summary: String,
    pub lines: Vec<(Tone, String)>,
    pub found: Vec<Found>,
    /// Values for placeholders that this read determined, e.g. `missing_key`.
    pub bindings: BTreeMap<String, String>,
    /// Lines that were left out for length.
    pub dropped: usize,
    /// The question was answered, and nothing is wrong. Else the summary says what is, or why there is no answer.
    pub ok: bool,
    /// Nothing could be looked at: the words are about the way there, and give no cause away.
    pub unseen: bool,
}

/// How a line is meant; the view chooses colours and marks.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Tone {
    #[default]
    Plain,
    Heading,
    Good,
    Bad,
    Dim,
}

/// A cause recognised in what was read.
#[derive(Clone, PartialEq, Debug)]
pub struct Found {
    /// From the vocabulary of causes, e.g. `oom-killed`.
    pub cause: String,
    /// The words that gave it away.
    pub says: String,
}
