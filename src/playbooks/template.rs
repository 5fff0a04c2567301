//! Text with placeholders, `{like_this}`; `{{` and `}}` stand for braces. Filling a placeholder never makes
//! anything of the value: it stays a value.

use std::collections::BTreeMap;

/// A text with placeholders.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Template {
    pieces: Vec<Piece>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Piece {
    Text(String),
    Placeholder(String),
}

/// Where a template is broken: the byte offset, and what is wrong.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BrokenTemplate {
    pub at: usize,
    pub says: &'static str,
}

impl Template {
    pub fn parse(raw: &str) -> Result<Self, BrokenTemplate> {
        let mut pieces = Vec::new();
        let mut text = String::new();
        let mut rest = raw.char_indices().peekable();
        while let Some((at, character)) = rest.next() {
            match character {
                '{' | '}' if rest.peek().is_some_and(|(_, next)| *next == character) => {
                    rest.next();
                    text.push(character);
                }
                '{' => {
                    let mut name = String::new();
                    loop {
                        match rest.next() {
                            Some((_, '}')) if !name.is_empty() => break,
                            Some((_, c)) if c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' => {
                                name.push(c);
                            }
                            _ => {
                                return Err(BrokenTemplate {
                                    at,
                                    says: "a placeholder is {lower_case_letters}",
                                });
                            }
                        }
                    }
                    if !text.is_empty() {
                        pieces.push(Piece::Text(std::mem::take(&mut text)));
                    }
                    pieces.push(Piece::Placeholder(name));
                }
                '}' => return Err(BrokenTemplate { at, says: "a closing brace without an opening one" }),
                _ => text.push(character),
            }
        }
        if !text.is_empty() {
            pieces.push(Piece::Text(text));
        }
        Ok(Self { pieces })
    }

    pub fn placeholders(&self) -> impl Iterator<Item = &str> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Placeholder(name) => Some(name.as_str()),
            Piece::Text(_) => None,
        })
    }

    /// The placeholder, when the template is nothing else.
    pub fn sole_placeholder(&self) -> Option<&str> {
        match self.pieces.as_slice() {
            [Piece::Placeholder(name)] => Some(name),
            _ => None,
        }
    }

    /// The text with every placeholder filled in by `with`, or the first name that has no value.
    pub fn fill(&self, with: impl Fn(&str) -> Option<String>) -> Result<String, &str> {
        self.pieces.iter().try_fold(String::new(), |mut text, piece| {
            match piece {
                Piece::Text(plain) => text.push_str(plain),
                Piece::Placeholder(name) => text.push_str(&with(name).ok_or(name.as_str())?),
            }
            Ok(text)
        })
    }

    /// For reading: what is unknown stays as `‹name›`.
    pub fn show(&self, values: &BTreeMap<String, String>) -> String {
        self.fill(|name| {
            Some(values.get(name).cloned().unwrap_or_else(|| format!("‹{}›", name.replace('_', " "))))
        })
        .unwrap_or_default()
    }
}
