//! The command palette: what is typed, and the best of what matches.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::anomalies::{highlight, scrolled};
use super::style::Look;
use super::{centred, fit, form, frame, popup};
use crate::app::Palette;

pub fn draw(look: &Look, palette: &Palette, area: Rect, buffer: &mut Buffer) {
    let (width, height) = size(area);
    let place = popup(area, width, height, buffer);
    let count = format!("{}", palette.entries.len());
    let title = vec![Span::styled("Commands", look.strong)];
    let inside = frame::frame(title, vec![Span::styled(count, look.dim)], true, look, place, buffer);
    let inside = Rect { x: inside.x + 1, width: inside.width.saturating_sub(2), ..inside };
    let mut line = vec![Span::styled(": ", look.accent)];
    line.extend(form::typed(look, palette.line.text(), Some(palette.line.cursor())));
    fit::put(&Line::from(line), inside, 0, buffer);
    let list = Rect { y: inside.y + 1, height: inside.height.saturating_sub(1), ..inside };
    let cells = usize::from(list.width);
    let height = usize::from(list.height);
    let first = scrolled((palette.at, 1), palette.entries.len(), height);
    let rows = palette.entries.iter().enumerate().skip(first).take(height).map(|(at, entry)| {
        let left =
            vec![Span::styled(fit::pad(entry.kind, 11, false), look.dim), fit::span(&entry.says, look.text)];
        let line = fit::two_ends(left, vec![Span::styled(entry.key.clone(), look.accent)], cells);
        if at == palette.at { highlight(line, look.selected, cells) } else { line }
    });
    fit::put_all(rows, list, buffer);
    if palette.entries.is_empty() {
        fit::put(&Line::styled("nothing matches", look.dim), list, 0, buffer);
    }
}

fn size(area: Rect) -> (u16, u16) {
    let width = area.width.saturating_sub(8).min(90).max(area.width.min(50));
    (width, area.height.saturating_sub(2).min(24))
}

/// The entry at a row of the screen.
pub fn at(palette: &Palette, area: Rect, y: u16) -> Option<usize> {
    let (width, height) = size(area);
    let inside = frame::inside(centred(area, width, height));
    let high = inside.height.saturating_sub(1);
    let row = y.checked_sub(inside.y + 1).filter(|row| *row < high)?;
    let at = usize::from(row) + scrolled((palette.at, 1), palette.entries.len(), usize::from(high));
    (at < palette.entries.len()).then_some(at)
}
