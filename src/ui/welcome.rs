//! The first screen when there is nothing to look at: why, what would help, and the drill.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::style::Look;
use super::{fit, frame, popup};
use crate::app::Trouble;
use crate::app::keys::{Command, Scope, key_for};
use crate::domain::text;

pub fn draw(trouble: &Trouble, look: &Look, area: Rect, buffer: &mut Buffer) {
    let width = area.width.saturating_sub(4).min(76);
    let cells = usize::from(width).saturating_sub(6);
    let mut lines = vec![Line::default()];
    for line in fit::wrap(&text::clean(&trouble.says), cells) {
        lines.push(Line::styled(line, look.strong));
    }
    lines.push(Line::default());
    for repair in &trouble.repairs {
        for (at, line) in fit::wrap(&text::clean(repair), cells.saturating_sub(2)).into_iter().enumerate() {
            let lead = if at == 0 { "→ " } else { "  " };
            lines.push(Line::from(vec![Span::styled(lead, look.accent), Span::styled(line, look.text)]));
        }
    }
    lines.push(Line::default());
    let drill = "starts a drill: a pretend production on this machine, with something wrong in it";
    for (at, line) in fit::wrap(drill, cells.saturating_sub(2)).into_iter().enumerate() {
        let key = if at == 0 { key_for(Command::Drill, Scope::Welcome) } else { " ".into() };
        lines.push(Line::from(vec![
            Span::styled(format!("{key} "), look.accent.patch(look.strong)),
            Span::styled(line, look.text),
        ]));
    }
    lines.push(Line::default());
    let place = popup(area, width, lines.len() as u16 + 2, buffer);
    let title =
        vec![Span::styled("covet-tui", look.strong), Span::styled(" has nothing to look at", look.text)];
    let inside = frame::frame(title, Vec::new(), true, look, place, buffer);
    let inside = Rect { x: inside.x + 2, width: inside.width.saturating_sub(4), ..inside };
    fit::put_all(lines, inside, buffer);
}
