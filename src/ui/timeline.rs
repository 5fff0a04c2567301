//! What changed lately, on a line of time, with the onset of what is looked at.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::style::Look;
use super::{chart, fit, sign};
use crate::app::{App, WINDOW};
use crate::domain::{Change, Timestamp, between, text};

/// What is not watched may have changed all the same.
pub const UNCHANGED: &str = "no change was seen in the last 30 minutes";
const LABEL: &str = " Changes ";

pub fn draw(app: &App, look: &Look, area: Rect, buffer: &mut Buffer) {
    if area.height == 0 || area.width < 30 {
        return;
    }
    let onset = app.incident().map(|incident| incident.onset).or_else(|| {
        let shown = app.selection.anomaly.as_ref().and_then(|id| app.verdict.anomaly(id));
        shown.map(|anomaly| anomaly.onset)
    });
    if area.height == 1 {
        return fit::put(&words(app, look, onset, usize::from(area.width)), area, 0, buffer);
    }
    axis(app, look, onset, Rect { height: 1, ..area }, buffer);
    for (row, line) in nearest(app, onset).into_iter().take(usize::from(area.height - 1)).enumerate() {
        let mut spans = vec![Span::raw(" ".repeat(LABEL.len()))];
        spans.extend(change(app, look, line, onset, usize::from(area.width) - LABEL.len()));
        fit::put(&Line::from(spans), area, row as u16 + 1, buffer);
    }
    if app.changes().is_empty() {
        let none = Line::styled(format!("{}{UNCHANGED}", " ".repeat(LABEL.len())), look.dim);
        fit::put(&none, area, 1, buffer);
    }
}

fn axis(app: &App, look: &Look, onset: Option<Timestamp>, area: Rect, buffer: &mut Buffer) {
    buffer.set_string(area.x, area.y, LABEL, look.strong);
    let from = format!("{} ", (app.now - WINDOW).strftime("%H:%M"));
    let to = " now ";
    let taken = LABEL.len() + from.len() + to.len();
    let Some(cells) = usize::from(area.width).checked_sub(taken).filter(|cells| *cells > 4) else { return };
    let start = area.x + LABEL.len() as u16;
    buffer.set_string(start, area.y, &from, look.dim);
    let line = start + from.len() as u16;
    buffer.set_string(line, area.y, "─".repeat(cells), look.border);
    buffer.set_string(line + cells as u16, area.y, to, look.dim);
    let onset_at = onset.and_then(|onset| chart::place(onset, WINDOW, app.now, cells));
    for change in app.changes().iter().rev() {
        if let Some(x) = chart::place(change.at, WINDOW, app.now, cells) {
            // What came just before stands before the mark of the onset, not under it.
            let x = if Some(x) == onset_at { x.saturating_sub(1) } else { x };
            buffer.set_string(
                line + x as u16,
                area.y,
                sign::change(change.kind),
                look.accent.patch(look.strong),
            );
        }
    }
    if let Some(onset) = onset {
        match chart::place(onset, WINDOW, app.now, cells) {
            Some(x) => {
                let words = format!("┃onset {}", onset.strftime("%H:%M:%S"));
                let room = cells.saturating_sub(x);
                let free = room >= words.chars().count()
                    && app.changes().iter().all(|change| {
                        chart::place(change.at, WINDOW, app.now, cells)
                            .is_none_or(|other| other <= x || other > x + words.chars().count())
                    });
                let words = if free { words.as_str() } else { "┃" };
                buffer.set_string(line + x as u16, area.y, words, look.bad);
            }
            None if onset < app.now => {
                buffer.set_string(line, area.y, "◀onset ", look.bad);
            }
            None => {}
        }
    }
}

/// Changes by how close before the onset they were, first those that concern the incident; without an onset, the
/// latest first.
fn nearest(app: &App, onset: Option<Timestamp>) -> Vec<&Change> {
    let mut changes: Vec<&Change> = app.changes().iter().collect();
    let own = app.incident().map_or(&[][..], |incident| &incident.changes);
    if let Some(onset) = onset {
        changes.sort_by_cached_key(|change| {
            (
                !own.contains(change),
                change.at > onset,
                if change.at > onset { between(onset, change.at) } else { between(change.at, onset) },
            )
        });
    }
    changes
}

/// A change in so many cells: who did it is said whole or not at all, and long words give way to when it was.
fn change<'a>(
    app: &App,
    look: &Look,
    change: &Change,
    onset: Option<Timestamp>,
    cells: usize,
) -> Vec<Span<'a>> {
    let head = vec![
        Span::styled(format!("{} ", sign::change(change.kind)), look.accent.patch(look.strong)),
        Span::styled(format!("{} ", change.at.strftime("%H:%M:%S")), look.dim),
    ];
    // Some changes name what they were done to.
    let named = change.says.contains(&*change.object.key.name);
    let says = if named { change.says.clone() } else { format!("{} {}", change.object, change.says) };
    let apart = |onset: Timestamp| between(change.at.min(onset), change.at.max(onset));
    let note = match onset {
        Some(onset) if apart(onset).as_secs() == 0 => "  at the onset".to_owned(),
        Some(onset) => {
            let side = if change.at <= onset { "before" } else { "after" };
            format!("  {} {side} the onset", text::span(apart(onset)))
        }
        None => format!("  {} ago", text::span(between(change.at, app.now))),
    };
    let near = onset.is_some_and(|onset| change.at <= onset && between(change.at, onset).as_secs() <= 300);
    let note = Span::styled(note, if near { look.warn } else { look.dim });
    let taken = head.iter().map(Span::width).sum::<usize>() + note.width();
    let says = text::clean(&says);
    let room = cells.saturating_sub(taken);
    let mut spans = head;
    spans.push(Span::styled(fit::fit(&says, room).into_owned(), look.text));
    spans.push(note);
    if let Some(by) = &change.by {
        let by = fit::span(format!("  by {by}"), look.dim);
        if fit::width(&says) + by.width() <= room {
            spans.push(by);
        }
    }
    spans
}

/// Everything in one line, for low screens.
fn words<'a>(app: &App, look: &Look, onset: Option<Timestamp>, cells: usize) -> Line<'a> {
    let mut spans = vec![Span::styled(" Δ ", look.strong)];
    match nearest(app, onset).first() {
        Some(first) => spans.extend(change(app, look, first, onset, cells.saturating_sub(3))),
        None => spans.push(Span::styled(UNCHANGED, look.dim)),
    }
    fit::cut(&Line::from(spans), cells)
}
