//! An object in full, tab by tab, and any other long text: where one is, what is searched, what was dropped.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Modifier;
use ratatui::text::{Line, Span};

use super::style::Look;
use super::table::QUICK;
use super::{fit, frame, sign};
use crate::app::{App, ObjectView, Tab, TextLayer, TextView};
use crate::domain::{Timestamp, Tone, between, text};

pub fn draw(app: &App, look: &Look, view: &ObjectView, area: Rect, buffer: &mut Buffer) {
    let title = vec![
        fit::span(format!("{} ", view.object.kind), look.dim),
        fit::span(view.object.key.to_string(), look.strong),
    ];
    let note = tabs(look, view);
    let inside = frame::frame(title, note, true, look, area, buffer);
    let inside = Rect { x: inside.x + 1, width: inside.width.saturating_sub(2), ..inside };
    let status = match view.tab {
        Tab::Logs => log_status(app, look, view),
        _ => fetch_status(app, look, view),
    };
    fit::put(&fit::cut(&status, usize::from(inside.width)), inside, 0, buffer);
    let body = Rect { y: inside.y + 1, height: inside.height.saturating_sub(1), ..inside };
    let empty = match view.tab {
        _ if view.is_waiting() => "",
        Tab::Events => "no events",
        Tab::Logs => "no lines",
        _ => "",
    };
    lines(look, view.text(), empty, body, buffer);
}

fn tabs<'a>(look: &Look, view: &ObjectView) -> Vec<Span<'a>> {
    let span = |tab: &Tab| {
        let style = if *tab == view.tab { look.accent.add_modifier(Modifier::REVERSED) } else { look.dim };
        Span::styled(format!(" {} ", tab.title()), style)
    };
    view.tabs().iter().map(span).collect()
}

/// The tab under the pointer: they stand at the right of the upper edge.
pub fn at(look: &Look, view: &ObjectView, area: Rect, (x, y): (u16, u16)) -> Option<Tab> {
    let tabs = tabs(look, view);
    let wide: usize = tabs.iter().map(Span::width).sum();
    let mut left = area.right().checked_sub(wide as u16 + 3)?;
    for (tab, span) in view.tabs().iter().zip(&tabs) {
        let right = left + span.width() as u16;
        if y == area.y && (left..right).contains(&x) {
            return Some(*tab);
        }
        left = right;
    }
    None
}

/// A reading or an outcome, full screen.
pub fn text(_app: &App, look: &Look, layer: &TextLayer, area: Rect, buffer: &mut Buffer) {
    let title = vec![fit::span(&layer.title, look.strong)];
    let note = layer.command.as_ref().map(|command| vec![fit::span(command, look.dim)]).unwrap_or_default();
    let inside = frame::frame(title, note, true, look, area, buffer);
    let inside = Rect { x: inside.x + 1, width: inside.width.saturating_sub(2), ..inside };
    let mut body = inside;
    if layer.text.dropped > 0 || layer.text.searching || !layer.text.search.is_empty() {
        fit::put(&Line::from(search_status(look, &layer.text)), inside, 0, buffer);
        body = Rect { y: inside.y + 1, height: inside.height.saturating_sub(1), ..inside };
    }
    lines(look, &layer.text, "nothing to read", body, buffer);
}

fn fetch_status<'a>(app: &App, look: &Look, view: &ObjectView) -> Line<'a> {
    if let Some((_, since)) = view.fetching {
        return Line::from(waiting(app.now, since, "reading the object", look));
    }
    if let Some(why) = &view.failed {
        return Line::from(vec![Span::styled(format!("{} ", sign::BAD), look.bad), fit::span(why, look.bad)]);
    }
    Line::from(search_status(look, view.text()))
}

fn log_status<'a>(app: &App, look: &Look, view: &ObjectView) -> Line<'a> {
    let logs = &view.logs;
    let mut spans = Vec::new();
    if let Some(container) = logs.containers.get(logs.container) {
        let of = if logs.containers.len() > 1 {
            format!(" {}/{}", logs.container + 1, logs.containers.len())
        } else {
            String::new()
        };
        spans.push(fit::span(container, look.strong));
        spans.push(Span::styled(of, look.dim));
    }
    if logs.previous {
        spans.push(Span::styled("  previous life", look.warn));
    }
    if let Some(since) = logs.waiting {
        spans.push(Span::raw("  "));
        spans.extend(waiting(app.now, since, "waiting for the log", look));
    }
    match &logs.ended {
        Some(why) => spans.push(fit::span(format!("  {why}"), look.dim)),
        None if logs.text.following => {
            spans.push(Span::styled(format!("  {} following", sign::LIVE), look.good));
        }
        None => spans.push(Span::styled("  not following", look.dim)),
    }
    spans.push(Span::raw("  "));
    spans.extend(search_status(look, &logs.text));
    Line::from(spans)
}

fn waiting<'a>(now: Timestamp, since: Timestamp, words: &str, look: &Look) -> Vec<Span<'a>> {
    let took = between(since, now);
    let elapsed = if took >= QUICK { format!(" {}", text::span(took)) } else { String::new() };
    vec![Span::styled(format!("{} {words}…{elapsed}", sign::spinner(now.as_millisecond())), look.dim)]
}

fn search_status<'a>(look: &Look, text: &TextView) -> Vec<Span<'a>> {
    let mut spans = vec![Span::styled(format!("{} lines", text.len()), look.dim)];
    if text.dropped > 0 {
        spans.push(Span::styled(format!("  {} dropped", text.dropped), look.warn));
    }
    if text.searching || !text.search.is_empty() {
        spans.push(Span::styled("  /", look.accent));
        spans.push(fit::span(text.search.text(), look.strong));
        spans.push(Span::styled(if text.searching { "▏" } else { "" }, look.accent));
        spans.push(Span::styled(format!("  {} match", text.count_matches()), look.dim));
    }
    spans
}

fn lines(look: &Look, view: &TextView, empty: &'static str, area: Rect, buffer: &mut Buffer) {
    if view.is_empty() {
        return fit::put(&Line::styled(empty, look.dim), area, 0, buffer);
    }
    let height = usize::from(area.height);
    let cells = usize::from(area.width).saturating_sub(1);
    for (y, (_, (tone, words))) in view.visible(height).enumerate() {
        let line = line(look, view, *tone, words, cells);
        fit::put(&line, Rect { width: cells as u16, ..area }, y as u16, buffer);
    }
    scrollbar(look, view, area, buffer);
}

fn line<'a>(look: &Look, view: &TextView, tone: Tone, words: &str, cells: usize) -> Line<'a> {
    let style = look.tone(tone);
    let visible: String = words.chars().skip(view.right).take(cells * 2).collect();
    if !view.matches(words) {
        return Line::from(fit::span(visible, style));
    }
    // Bytes of a lowercased text need not be those of the text: match on characters of the same count only.
    let wanted = view.search.text().to_lowercase();
    let lower = visible.to_lowercase();
    let mut spans = Vec::new();
    let mut from = 0;
    if lower.len() == visible.len() {
        for (at, found) in lower.match_indices(&wanted) {
            if let (Some(before), Some(hit)) = (visible.get(from..at), visible.get(at..at + found.len())) {
                spans.push(fit::span(before, style));
                spans.push(fit::span(hit, look.accent.add_modifier(Modifier::REVERSED)));
                from = at + found.len();
            }
        }
    }
    spans.push(fit::span(visible.get(from..).unwrap_or_default(), style));
    Line::from(spans)
}

fn scrollbar(look: &Look, view: &TextView, area: Rect, buffer: &mut Buffer) {
    let height = usize::from(area.height);
    if view.len() <= height || height < 3 {
        return;
    }
    let thumb = (height * height / view.len()).max(1);
    let at = view.first(height) * (height - thumb) / (view.len() - height).max(1);
    for y in 0..height {
        let sign = if (at..at + thumb).contains(&y) { "┃" } else { "│" };
        let style = if sign == "┃" { look.accent } else { look.border };
        buffer.set_string(area.right() - 1, area.y + y as u16, sign, style);
    }
}
