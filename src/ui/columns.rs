//! The columns of a list, to be shown or hidden.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Span;

use super::anomalies::{highlight, scrolled};
use super::style::Look;
use super::{centred, fit, frame, popup, table};
use crate::app::{App, Chooser, columns};

pub fn draw(app: &App, look: &Look, chooser: &Chooser, area: Rect, buffer: &mut Buffer) {
    let Rect { width, height, .. } = place(chooser, area);
    let place = popup(area, width, height, buffer);
    let title = vec![Span::styled(format!("Columns of {}", chooser.panel.title()), look.strong)];
    let inside = frame::frame(title, Vec::new(), true, look, place, buffer);
    let inside = Rect { x: inside.x + 1, width: inside.width.saturating_sub(2), ..inside };
    let cells = usize::from(inside.width);
    let room = table::shown_columns(app, chooser.panel, None, area.width.saturating_sub(4));
    let first = first(chooser, inside.height);
    let rows = columns(chooser.panel).iter().enumerate().skip(1).skip(first);
    let rows = rows.map(|(at, column)| {
        let wanted = app.is_shown(chooser.panel, at);
        let fits = room.iter().any(|(shown, ..)| *shown == at);
        let (mark, style) = if wanted { ("[x] ", look.accent) } else { ("[ ] ", look.dim) };
        let left = vec![
            Span::styled(mark, style),
            Span::styled(fit::pad(column.title, 11, false), look.strong),
            Span::styled(column.says, look.dim),
        ];
        let one = column.title == "NAMESPACE" && app.options.namespace.is_some();
        let right = match (wanted && !fits, one) {
            (true, true) => vec![Span::styled("only one is looked at", look.dim)],
            (true, false) => vec![Span::styled("no room now", look.warn)],
            (false, _) => Vec::new(),
        };
        let line = fit::two_ends(left, right, cells);
        if at == chooser.at { highlight(line, look.selected, cells) } else { line }
    });
    fit::put_all(rows, inside, buffer);
}

/// The column at a row of the screen.
pub fn at(chooser: &Chooser, area: Rect, y: u16) -> Option<usize> {
    let place = place(chooser, area);
    let row = usize::from(y.checked_sub(place.y + 1)?);
    let at = row + 1 + first(chooser, place.height.saturating_sub(2));
    (row < usize::from(place.height.saturating_sub(2)) && at < columns(chooser.panel).len()).then_some(at)
}

fn place(chooser: &Chooser, area: Rect) -> Rect {
    centred(area, 64, columns(chooser.panel).len() as u16 + 1)
}

fn first(chooser: &Chooser, height: u16) -> usize {
    scrolled((chooser.at - 1, 1), columns(chooser.panel).len() - 1, usize::from(height))
}
