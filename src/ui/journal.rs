//! What was done, newest first, and one action in full.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::anomalies::{highlight, scrolled};
use super::style::Look;
use super::{fit, frame, sign};
use crate::app::{App, JournalView};
use crate::domain::text;
use crate::journal::{self, Record};

pub fn draw(app: &App, look: &Look, view: &JournalView, area: Rect, buffer: &mut Buffer) {
    let title =
        vec![Span::styled("Journal", look.strong), Span::styled(format!(" {}", app.journal.len()), look.dim)];
    let inside = frame::frame(title, Vec::new(), true, look, area, buffer);
    let inside = Rect { x: inside.x + 1, width: inside.width.saturating_sub(2), ..inside };
    let cells = usize::from(inside.width);
    if app.journal.is_empty() {
        return fit::put(&Line::styled("nothing was done yet", look.dim), inside, 0, buffer);
    }
    let chosen = app.journal.iter().rev().nth(view.cursor);
    if let (true, Some(record)) = (view.open, chosen) {
        let lines = journal::show(&app.journal, &record.id.0).unwrap_or_else(|why| vec![why]);
        let lines: Vec<Line<'_>> = lines.iter().flat_map(|line| part(look, line, cells)).collect();
        return frame::scrolled(look, lines, view.scroll, area, inside, buffer);
    }
    let height = usize::from(inside.height);
    let first = scrolled((view.cursor, 1), app.journal.len(), height);
    let rows = app.journal.iter().rev().enumerate().skip(first).take(height).map(|(at, record)| {
        let line = row(app, look, record, cells);
        if at == view.cursor { highlight(line, look.selected, cells) } else { line }
    });
    fit::put_all(rows, inside, buffer);
}

/// A line of a record: what it is about stands out, and what is long goes on beside it.
fn part<'a>(look: &Look, line: &str, cells: usize) -> Vec<Line<'a>> {
    const NAME: usize = 10;
    let line = text::clean(line);
    let name: String = line.chars().take(NAME).collect();
    let value: String = line.chars().skip(NAME).collect();
    // The object as it was before is JSON: it keeps its own lines.
    if line.starts_with("  ") && !name.trim().is_empty() || value.is_empty() {
        return vec![fit::cut(&Line::from(fit::span(line, look.text)), cells)];
    }
    let wrapped = fit::wrap(&value, cells.saturating_sub(NAME)).into_iter().enumerate();
    wrapped
        .map(|(at, words)| {
            let name = if at == 0 { name.clone() } else { " ".repeat(NAME) };
            Line::from(vec![Span::styled(name, look.dim), Span::styled(words, look.text)])
        })
        .collect()
}

/// The record at a row of the screen, newest first.
pub fn at(app: &App, view: &JournalView, area: Rect, y: u16) -> Option<usize> {
    let inside = frame::inside(area);
    let row = y.checked_sub(inside.y).filter(|row| !view.open && *row < inside.height)?;
    let at = usize::from(row) + scrolled((view.cursor, 1), app.journal.len(), usize::from(inside.height));
    (at < app.journal.len()).then_some(at)
}

fn row<'a>(app: &App, look: &Look, record: &Record, cells: usize) -> Line<'a> {
    let (sign, style, word) = ending(record, look);
    let mut left = vec![
        Span::styled(record.at.strftime("%m-%d %H:%M:%S  ").to_string(), look.dim),
        Span::styled(format!("{sign} "), style),
        Span::styled(fit::pad(word, 12, false), style),
        fit::span(&record.title, look.text),
    ];
    if !record.intact {
        left.push(Span::styled("  ! altered or cut before this line", look.bad));
    }
    let who = text::clean(&format!("{}@{}", record.who.os_user, record.who.host));
    let mut right = vec![Span::styled(who, look.dim)];
    let context = &record.who.context;
    if !context.is_empty() && *context != app.options.context {
        right.insert(0, fit::span(format!("in {context}  "), look.note));
    }
    fit::two_ends(left, right, cells)
}

fn ending<'a>(record: &'a Record, look: &Look) -> (&'static str, Style, &'a str) {
    match record.closing.as_ref().map(|closing| closing.result.as_str()) {
        Some("performed") => (sign::OK, look.good, "performed"),
        Some("unverified") => (sign::STALE, look.warn, "unverified"),
        Some("refused") => (sign::BLOCKED, look.dim, "refused"),
        Some("failed") => (sign::BAD, look.bad, "failed"),
        Some(other) => ("?", look.note, other),
        None => ("?", look.note, "no outcome"),
    }
}
