//! Causes recognised in what a read brought back: patterns in its lines, fields in its values.

use crate::domain::{Found, Reading, text};

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
/// What the probe itself found comes first.
pub fn find(step: &Step, reading: &Reading) -> Vec<Found> {
    let mut found = reading.found.clone();
    for finder in &step.finds {
        if found.iter().any(|known| known.cause == finder.cause) {
            continue;
        }
        let hit = match &finder.field {
            Some(field) => {
                reading.bindings.get(field).filter(|value| finder.pattern.is_match(value)).cloned()
            }
            None => std::iter::once(&reading.summary)
                .chain(reading.lines.iter().map(|(_, line)| line))
                .find(|line| finder.pattern.is_match(line))
                .cloned(),
        };
        if let Some(words) = hit {
            found.push(Found { cause: finder.cause.clone(), says: quote(&words) });
        }
    }
    found
}

fn quote(line: &str) -> String {
    let line = text::redact(&text::clean(line));
    let line = line.trim();
    match line.char_indices().nth(QUOTE) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}
