//! Words into cells: cleaned, measured and cut where it shows.

use std::borrow::Cow;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::domain::text;

/// A span of text from outside: nothing in it can steer a terminal.
pub fn span<'a>(words: impl AsRef<str>, style: Style) -> Span<'a> {
    Span::styled(text::clean(words.as_ref()), style)
}

/// Cells a text takes.
pub fn width(words: &str) -> usize {
    words.width()
}

/// At most `cells` wide; an ellipsis shows where something is missing.
pub fn fit(words: &str, cells: usize) -> Cow<'_, str> {
    if words.width() <= cells {
        return Cow::Borrowed(words);
    }
    if cells == 0 {
        return Cow::Borrowed("");
    }
    let mut used = 0;
    let mut cut = String::new();
    for character in words.chars() {
        let wide = character.width().unwrap_or(0);
        if used + wide > cells - 1 {
            break;
        }
        used += wide;
        cut.push(character);
    }
    cut.push('…');
    Cow::Owned(cut)
}

/// Cut in the middle: names of pods differ at their ends.
pub fn fit_name(words: &str, cells: usize) -> Cow<'_, str> {
    if words.width() <= cells || cells < 12 {
        return fit(words, cells);
    }
    let tail: String = words.chars().rev().take(6).collect::<Vec<_>>().into_iter().rev().collect();
    let head = fit(words, cells - tail.width());
    Cow::Owned(format!("{head}{tail}"))
}

/// Exactly `cells` wide, at the left or the right.
pub fn pad(words: &str, cells: usize, right: bool) -> String {
    let words = fit(words, cells);
    let space = " ".repeat(cells.saturating_sub(words.width()));
    if right { format!("{space}{words}") } else { format!("{words}{space}") }
}

/// Words in lines of at most `cells`, broken at spaces where there are any.
pub fn wrap(words: &str, cells: usize) -> Vec<String> {
    let cells = cells.max(1);
    let mut lines = vec![String::new()];
    for word in words.split(' ') {
        let line = lines.last().map_or(0, |line| line.width());
        if line > 0 && line + 1 + word.width() > cells {
            lines.push(String::new());
        }
        let mut rest = word;
        while let Some(line) = lines.last_mut() {
            if !line.is_empty() {
                line.push(' ');
            }
            let room = cells.saturating_sub(line.width());
            if rest.width() <= room {
                line.push_str(rest);
                break;
            }
            let mut used = 0;
            let split = rest
                .char_indices()
                .find(|(_, character)| {
                    used += character.width().unwrap_or(0);
                    used > room
                })
                .map_or(rest.len(), |(at, _)| at)
                .max(rest.chars().next().map_or(0, char::len_utf8));
            line.push_str(&rest[..split]);
            rest = &rest[split..];
            if rest.is_empty() {
                break;
            }
            lines.push(String::new());
        }
    }
    lines
}

/// Text that keeps its blanks, in lines of exactly so many cells: logs, code.
pub fn chop(words: &str, cells: usize) -> Vec<String> {
    let cells = cells.max(1);
    let mut lines = vec![String::new()];
    let mut used = 0;
    for character in words.chars() {
        let wide = character.width().unwrap_or(0);
        if used + wide > cells {
            lines.push(String::new());
            used = 0;
        }
        used += wide;
        if let Some(line) = lines.last_mut() {
            line.push(character);
        }
    }
    lines
}

/// Words in lines, with another width for the first one.
pub fn wrap_first(words: &str, first: usize, cells: usize) -> Vec<String> {
    let mut lines = wrap(words, first);
    if lines.len() > 1 {
        let rest = words.get(lines[0].len()..).unwrap_or_default().trim_start().to_owned();
        lines.truncate(1);
        lines.extend(wrap(&rest, cells));
    }
    lines
}

/// Groups that belong together, as many as fit whole.
pub fn whole(groups: Vec<Vec<Span<'_>>>, cells: usize) -> Vec<Span<'_>> {
    let mut room = cells;
    let mut line = Vec::new();
    for group in groups {
        let gap = if line.is_empty() { 0 } else { 2 };
        let wide = group.iter().map(Span::width).sum::<usize>() + gap;
        let Some(left) = room.checked_sub(wide) else { break };
        room = left;
        if gap > 0 {
            line.push(Span::raw("  "));
        }
        line.extend(group);
    }
    line
}

/// Writes a line, cut at the edge.
pub fn put(line: &Line<'_>, area: Rect, y: u16, buffer: &mut Buffer) {
    if y < area.height {
        let row = area.y + y;
        let cut = cut(line, usize::from(area.width));
        buffer.set_line(area.x, row, &cut, area.width);
    }
}

/// Writes lines from the top.
pub fn put_all<'a>(lines: impl IntoIterator<Item = Line<'a>>, area: Rect, buffer: &mut Buffer) {
    for (y, line) in lines.into_iter().take(usize::from(area.height)).enumerate() {
        put(&line, area, y as u16, buffer);
    }
}

/// One line with something at its right edge; the left gives way.
pub fn two_ends<'a>(left: Vec<Span<'a>>, right: Vec<Span<'a>>, cells: usize) -> Line<'a> {
    let right = Line::from(right);
    let room = cells.saturating_sub(right.width() + usize::from(right.width() > 0));
    let mut line = cut(&Line::from(left), room);
    let gap = cells.saturating_sub(line.width() + right.width());
    line.spans.push(Span::raw(" ".repeat(gap)));
    line.spans.extend(right.spans);
    line
}

/// The line in at most so many cells, with an ellipsis where it was cut.
pub fn cut<'a>(line: &Line<'a>, cells: usize) -> Line<'a> {
    if line.width() <= cells {
        return line.clone();
    }
    let mut left = cells;
    let mut spans = Vec::new();
    for span in &line.spans {
        let wide = span.width();
        if wide < left {
            left -= wide;
            spans.push(span.clone());
            continue;
        }
        let mut words = span.content.to_string();
        // Something follows that won't be shown: the cut must be visible.
        words.push(' ');
        spans.push(Span::styled(fit(&words, left).into_owned(), span.style));
        break;
    }
    Line { spans, ..line.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_show_and_wide_characters_count_twice() {
        assert_eq!(fit("crash-loop", 6), "crash…");
        assert_eq!(fit("日本語", 4), "日…");
        assert_eq!(fit_name("covetpy-app-7f9c5d-abcde", 16), "covetpy-a…-abcde");
        assert_eq!(pad("7", 3, true), "  7");
        let line = Line::from(vec![Span::raw("abc"), Span::raw("def")]);
        assert_eq!(cut(&line, 4).to_string(), "abc…");
        assert_eq!(cut(&line, 3).to_string(), "ab…");
    }

    #[test]
    fn wrapping_loses_nothing() {
        let words = "roll back to revision 6 averyveryverylongword end";
        for cells in 1..30 {
            let lines = wrap(words, cells);
            assert!(lines.iter().all(|line| line.width() <= cells), "{cells}: {lines:?}");
            let joined: String = lines.concat().chars().filter(|character| *character != ' ').collect();
            assert_eq!(joined, words.replace(' ', ""));
        }
    }
}
