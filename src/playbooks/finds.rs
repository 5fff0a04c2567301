//! Causes recognised in what a read brought back: patterns in its lines, fields in its values.

use std::ops::Range;

use crate::domain::{Found, Reading, Tone, text};

use super::Step;
use super::playbook::Pattern;

/// How a cause is recognised.
#[derive(Clone, Debug)]
pub struct Finder {
    /// None: in the lines; else in this value of the reading.
    pub field: Option<String>,
    pub pattern: Pattern,
    pub cause: String,
}

/// Longest quotation of a line that gave a cause away, in characters.
const QUOTE: usize = 120;

/// The causes that a step's `finds` recognise in its reading, each once, with the words that gave it away.
/// What the probe itself found comes first. Dim lines are side remarks, why a part was not seen among them.
pub fn find(step: &Step, reading: &Reading) -> Vec<Found> {
    let mut found = reading.found.clone();
    if reading.unseen {
        return found;
    }
    for finder in &step.finds {
        if found.iter().any(|known| known.cause == finder.cause) {
            continue;
        }
        let hit = |words: &String| Some(quote(words, finder.pattern.find(words)?));
        let says = match &finder.field {
            Some(field) => reading.bindings.get(field).and_then(hit),
            None => std::iter::once(&reading.summary)
                .chain(reading.lines.iter().filter(|(tone, _)| *tone != Tone::Dim).map(|(_, line)| line))
                .find_map(hit),
        };
        if let Some(says) = says {
            found.push(Found { cause: finder.cause.clone(), says });
        }
    }
    found
}

/// The words around a match, made harmless and short.
fn quote(line: &str, hit: Range<usize>) -> String {
    let around =
        |part: &str| text::redact(&text::clean(part)).split_whitespace().collect::<Vec<_>>().join(" ");
    let whole = around(line);
    if whole.chars().count() <= QUOTE {
        return whole;
    }
    // Most of the room for what follows: a program names the trouble first and the details after it.
    let before = line[..hit.start].char_indices().rev().nth(QUOTE / 3).map_or(0, |(at, _)| at);
    let after =
        line[hit.start..].char_indices().nth(QUOTE * 2 / 3).map_or(line.len(), |(at, _)| hit.start + at);
    // A secret is struck out in the whole line, where it can be recognised; a piece of one can't be.
    let piece = if text::redact(line) == line {
        around(&line[before..after])
    } else {
        whole.chars().take(QUOTE).collect()
    };
    let (left, right) = (if before > 0 { "…" } else { "" }, if after < line.len() { "…" } else { "" });
    format!("{left}{piece}{right}")
}
