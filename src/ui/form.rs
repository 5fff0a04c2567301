//! The values a step needs, each with what was computed for it.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::style::Look;
use super::{fit, frame, popup, sign};
use crate::app::Form;

pub fn draw(look: &Look, form: &Form, area: Rect, buffer: &mut Buffer) {
    let width = area.width.saturating_sub(8).min(84).max(area.width.min(50));
    let cells = usize::from(width).saturating_sub(4);
    let mut lines = vec![Line::default()];
    for (at, field) in form.fields.iter().enumerate() {
        let here = at == form.at;
        lines.push(Line::from(fit::span(&field.label, if here { look.strong } else { look.dim })));
        let mark = if here { sign::NEXT } else { " " };
        let mut spans = vec![Span::styled(format!("{mark} "), look.accent)];
        spans.extend(typed(look, field.line.text(), here.then(|| field.line.cursor())));
        if let Some(computed) = field.computed.as_ref().filter(|computed| *computed != field.line.text()) {
            spans.push(fit::span(format!("   computed: {computed}"), look.dim));
        }
        lines.push(fit::cut(&Line::from(spans), cells));
        lines.push(Line::default());
    }
    if let Some(wrong) = &form.wrong {
        lines.extend(
            fit::wrap(&format!("{} {wrong}", sign::WARN), cells)
                .into_iter()
                .map(|line| Line::styled(line, look.bad)),
        );
    }
    lines.push(Line::styled("nothing happens yet: a change is previewed next", look.dim));
    let place = popup(area, width, lines.len() as u16 + 2, buffer);
    let inside =
        frame::frame(vec![fit::span(&form.title, look.strong)], Vec::new(), true, look, place, buffer);
    let inside = Rect { x: inside.x + 1, width: inside.width.saturating_sub(2), ..inside };
    fit::put_all(lines, inside, buffer);
}

/// A field's text with its cursor, if it has it.
pub fn typed<'a>(look: &Look, text: &str, cursor: Option<usize>) -> Vec<Span<'a>> {
    let Some(cursor) = cursor else { return vec![fit::span(text, look.text)] };
    let before: String = text.chars().take(cursor).collect();
    let after: String = text.chars().skip(cursor).collect();
    vec![fit::span(before, look.strong), Span::styled("▏", look.accent), fit::span(after, look.strong)]
}
