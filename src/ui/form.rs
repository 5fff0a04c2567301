//! The values a step needs, each with what was computed for it.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::style::Look;
use super::{centred, fit, frame, popup, sign};
use crate::app::keys::{Command, Scope, key_for};
use crate::app::{App, Field, Form};
use crate::domain::{between, text};

/// Lines of one field: its label, its value, a gap.
const EACH: usize = 3;

pub fn draw(app: &App, look: &Look, form: &Form, area: Rect, buffer: &mut Buffer) {
    let width = width(area);
    let cells = usize::from(width).saturating_sub(4);
    let lines = lines(app, look, form, cells);
    let place = popup(area, width, lines.len() as u16 + 2, buffer);
    let inside =
        frame::frame(vec![fit::span(&form.title, look.strong)], Vec::new(), true, look, place, buffer);
    let inside = Rect { x: inside.x + 1, width: inside.width.saturating_sub(2), ..inside };
    fit::put_all(lines, inside, buffer);
}

/// The field at a row of the screen.
pub fn at(app: &App, look: &Look, form: &Form, area: Rect, y: u16) -> Option<usize> {
    let width = width(area);
    let high = lines(app, look, form, usize::from(width).saturating_sub(4)).len() as u16 + 2;
    let row = usize::from(y.checked_sub(centred(area, width, high).y + 2)?);
    (row / EACH < form.fields.len()).then_some(row / EACH)
}

fn width(area: Rect) -> u16 {
    area.width.saturating_sub(8).min(84).max(area.width.min(50))
}

fn lines<'a>(app: &App, look: &Look, form: &Form, cells: usize) -> Vec<Line<'a>> {
    let mut lines = vec![Line::default()];
    for (at, field) in form.fields.iter().enumerate() {
        let here = at == form.at;
        lines.push(Line::from(fit::span(&field.label, if here { look.strong } else { look.dim })));
        lines.push(value(look, field, here, cells));
        lines.push(Line::default());
    }
    if let Some(wrong) = &form.wrong {
        let wrapped = fit::wrap(&text::clean(&format!("{} {wrong}", sign::WARN)), cells);
        lines.extend(wrapped.into_iter().map(|line| Line::styled(line, look.bad)));
    }
    if let Some(hint) = form.hint.as_ref().filter(|_| form.editing.is_none()) {
        let wrapped = fit::wrap(&text::clean(hint), cells);
        lines.extend(wrapped.into_iter().map(|line| Line::styled(line, look.text)));
        lines.push(Line::default());
    }
    let words = match &form.editing {
        Some(editing) => {
            let took = text::span(between(editing.since, app.now));
            format!("{} reading the current value… {took}", sign::spinner(app.now.as_millisecond()))
        }
        None if app.sets_config() => format!(
            "{} opens the current value in your editor. A change is previewed before anything happens.",
            key_for(Command::Editor, Scope::Form)
        ),
        None => "A change is previewed before anything happens.".into(),
    };
    lines.extend(fit::wrap(&words, cells).into_iter().map(|line| Line::styled(line, look.dim)));
    lines
}

/// A field's value: what is typed, or how much came from the editor.
fn value<'a>(look: &Look, field: &Field, here: bool, cells: usize) -> Line<'a> {
    let mark = if here { sign::NEXT } else { " " };
    let mut spans = vec![Span::styled(format!("{mark} "), look.accent)];
    if let Some(edited) = &field.edited {
        let size = text::count(edited.lines().count(), "line");
        let words = format!("{size}, {} bytes from your editor; typing replaces them", edited.len());
        spans.push(Span::styled(words, look.strong));
        return fit::cut(&Line::from(spans), cells);
    }
    let cursor = here.then(|| field.line.cursor());
    // A long value scrolls with its cursor.
    let hidden = cursor.unwrap_or(0).saturating_sub(cells.saturating_sub(6));
    let shown: String = field.line.text().chars().skip(hidden).collect();
    if hidden > 0 {
        spans.push(Span::styled("…", look.dim));
    }
    spans.extend(typed(look, &shown, cursor.map(|cursor| cursor - hidden)));
    if let Some(computed) = field.computed.as_ref().filter(|computed| *computed != field.line.text()) {
        spans.push(fit::span(format!("   computed: {computed}"), look.dim));
    }
    fit::cut(&Line::from(spans), cells)
}

/// A field's text with its cursor, if it has it.
pub fn typed<'a>(look: &Look, text: &str, cursor: Option<usize>) -> Vec<Span<'a>> {
    let Some(cursor) = cursor else { return vec![fit::span(text, look.text)] };
    let before: String = text.chars().take(cursor).collect();
    let after: String = text.chars().skip(cursor).collect();
    vec![fit::span(before, look.strong), Span::styled("▏", look.accent), fit::span(after, look.strong)]
}
