//! One line of text being typed. Control characters never get in.

use crate::domain::text;

/// Longest line anybody types here, in characters.
const LONGEST: usize = 512;

#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Line {
    text: String,
    /// In characters.
    cursor: usize,
}

impl Line {
    pub fn new(text: &str) -> Self {
        let text: String = text::clean(text).chars().take(LONGEST).collect();
        Self { cursor: text.chars().count(), text }
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    pub fn cursor(&self) -> usize {
        self.cursor
    }

    pub fn insert(&mut self, text: &str) {
        for character in text::clean(text).chars() {
            if self.text.chars().count() >= LONGEST {
                return;
            }
            let at = self.byte(self.cursor);
            self.text.insert(at, character);
            self.cursor += 1;
        }
    }

    pub fn backspace(&mut self) {
        if self.cursor > 0 {
            self.cursor -= 1;
            self.delete();
        }
    }

    pub fn delete(&mut self) {
        let at = self.byte(self.cursor);
        if at < self.text.len() {
            self.text.remove(at);
        }
    }

    pub fn left(&mut self) {
        self.cursor = self.cursor.saturating_sub(1);
    }

    pub fn right(&mut self) {
        self.cursor = (self.cursor + 1).min(self.text.chars().count());
    }

    pub fn home(&mut self) {
        self.cursor = 0;
    }

    pub fn end(&mut self) {
        self.cursor = self.text.chars().count();
    }

    /// Forgets everything before the cursor, as Ctrl-U does in a shell.
    pub fn kill(&mut self) {
        let at = self.byte(self.cursor);
        self.text.drain(..at);
        self.cursor = 0;
    }

    /// Forgets the word before the cursor, as Ctrl-W does in a shell.
    pub fn kill_word(&mut self) {
        let end = self.byte(self.cursor);
        let kept = self.text[..end].trim_end().rfind(' ').map_or(0, |at| at + 1);
        self.text.drain(kept..end);
        self.cursor = self.text[..kept].chars().count();
    }

    fn byte(&self, character: usize) -> usize {
        self.text.char_indices().nth(character).map_or(self.text.len(), |(at, _)| at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_respect_characters_and_nothing_hostile_gets_in() {
        let mut line = Line::new("héllo wörld");
        line.kill_word();
        assert_eq!(line.text(), "héllo ");
        line.insert("\x1b[2Jx\u{7}");
        assert_eq!(line.text(), "héllo x ");
        line.home();
        line.right();
        line.delete();
        assert_eq!(line.text(), "hllo x ");
        line.kill();
        assert_eq!(line.text(), "llo x ");
    }
}
