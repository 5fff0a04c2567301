//! Database connections: used of usable, who only sits there, and how it came to this.

use std::time::Duration;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::{fill_style, percent, threshold};
use crate::app::App;
use crate::domain::{Capacity, between, text};
use crate::rules::Unit;
use crate::ui::style::Look;
use crate::ui::{chart, fit, sign};

const WINDOW: Duration = Duration::from_mins(30);

pub fn draw(app: &App, look: &Look, area: Rect, buffer: &mut Buffer) {
    let cells = usize::from(area.width);
    let mut lines = Vec::new();
    if let Some((since, words)) = &app.snapshot.exhausted {
        let ago = text::span(between(*since, app.now));
        lines.push(Line::from(vec![
            Span::styled(format!("{} refuses connections for {ago} ", sign::BAD), look.bad),
            fit::span(words, look.dim),
        ]));
    }
    let Some(capacity) = app.snapshot.capacity else { return fit::put_all(lines, area, buffer) };
    let (warn, bad) = bounds(app);
    let filled = fill_style(capacity.fill(), warn, bad, look);
    lines.push(fit::two_ends(
        vec![
            Span::styled(capacity.used.to_string(), look.strong),
            Span::styled(format!(" of {} usable ", capacity.usable()), look.dim),
        ],
        vec![Span::styled(percent(capacity.fill()), filled)],
        cells,
    ));
    lines.push(Line::from(whole_bar(&capacity, cells, filled, look)));
    lines.push(people(&capacity, look));
    if let Some(oldest) = capacity.oldest_transaction.filter(|oldest| *oldest >= Duration::from_secs(5)) {
        lines.push(Line::from(vec![
            Span::styled("oldest transaction ", look.dim),
            Span::styled(text::span(oldest), look.text),
        ]));
    }
    let room = usize::from(area.height).saturating_sub(lines.len());
    fit::put_all(lines, area, buffer);
    if room > 0 && !app.snapshot.connections.is_empty() {
        let chart = Rect { y: area.bottom() - room as u16, height: room as u16, ..area };
        let top = f64::from(capacity.usable().max(1));
        if room == 1 {
            let spark = chart::sparkline(&app.snapshot.connections, WINDOW, app.now, top, cells);
            fit::put(&Line::styled(spark, look.line), chart, 0, buffer);
        } else {
            let scale = chart::Scale {
                window: WINDOW,
                now: app.now,
                top,
                threshold: Some((top * warn, look.border)),
            };
            let plots = [
                chart::Plot { series: &app.snapshot.idle_in_transaction, style: look.note, above: look.note },
                chart::Plot { series: &app.snapshot.connections, style: look.line, above: look.warn },
            ];
            chart::plot(&plots, &scale, chart, buffer);
        }
    }
}

/// Active and idle heavy, idle in transaction hatched, free light.
fn whole_bar<'a>(
    capacity: &Capacity,
    cells: usize,
    filled: ratatui::style::Style,
    look: &Look,
) -> Vec<Span<'a>> {
    let usable = f64::from(capacity.usable().max(1));
    let part = |count: u32| (f64::from(count) / usable * cells as f64).round() as usize;
    let used = part(capacity.used).min(cells);
    let stuck = part(capacity.idle_in_transaction).min(used);
    vec![
        Span::styled("█".repeat(used - stuck), filled),
        Span::styled("▒".repeat(stuck), look.note),
        Span::styled("░".repeat(cells - used), look.border),
    ]
}

fn people<'a>(capacity: &Capacity, look: &Look) -> Line<'a> {
    let mut spans = vec![
        Span::styled(format!("{} ", capacity.active), look.text),
        Span::styled("active  ", look.dim),
        Span::styled(format!("{} ", capacity.idle), look.text),
        Span::styled("idle  ", look.dim),
    ];
    let stuck = if capacity.idle_in_transaction > 0 { look.note } else { look.dim };
    spans.push(Span::styled(format!("▒ {} ", capacity.idle_in_transaction), stuck));
    spans.push(Span::styled("idle in tx  ", look.dim));
    if capacity.lock_waiters > 0 {
        spans.push(Span::styled(format!("{} waiting for locks", capacity.lock_waiters), look.warn));
    }
    Line::from(spans)
}

/// From where on it is a warning, and a danger.
fn bounds(app: &App) -> (f64, f64) {
    (threshold(app, "db-pool", Unit::Ratio).unwrap_or(0.8), 0.95)
}

pub fn gauge<'a>(app: &App, look: &Look) -> Vec<Span<'a>> {
    if app.snapshot.exhausted.is_some() {
        return vec![Span::styled(format!("{} refuses connections", sign::BAD), look.bad)];
    }
    let Some(capacity) = app.snapshot.capacity else { return Vec::new() };
    let (warn, bad) = bounds(app);
    let filled = fill_style(capacity.fill(), warn, bad, look);
    let mut spans = chart::bar(capacity.fill(), 8, filled, look.border);
    spans.push(Span::styled(format!(" {}/{}", capacity.used, capacity.usable()), look.text));
    if capacity.idle_in_transaction > 0 {
        spans.push(Span::styled(format!("  {} idle in tx", capacity.idle_in_transaction), look.dim));
    }
    spans
}
