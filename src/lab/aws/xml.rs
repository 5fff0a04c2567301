//! XML as AWS writes it: elements, texts, lists. It knows how text is escaped, not what it means.

use std::fmt::{Display, Write as _};

/// An element with a text.
pub(super) fn text(name: &str, value: impl Display) -> String {
    let mut escaped = String::new();
    for character in value.to_string().chars() {
        match character {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '"' => escaped.push_str("&quot;"),
            other => escaped.push(other),
        }
    }
    format!("<{name}>{escaped}</{name}>")
}

/// An element with others in it.
pub(super) fn element(name: &str, inside: impl IntoIterator<Item = String>) -> String {
    let inside: String = inside.into_iter().collect();
    format!("<{name}>{inside}</{name}>")
}

/// A list: `<name><item>…</item><item>…</item></name>`.
pub(super) fn list(name: &str, item: &str, inside: impl IntoIterator<Item = String>) -> String {
    let mut all = String::new();
    for one in inside {
        let _ = write!(all, "<{item}>{one}</{item}>");
    }
    format!("<{name}>{all}</{name}>")
}
