//! Certificates: days left, the soonest first.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::nothing;
use crate::app::{App, CertificateRow, days_left};
use crate::ui::style::Look;
use crate::ui::{fit, sign};

pub fn draw(app: &App, look: &Look, area: Rect, buffer: &mut Buffer) {
    let rows = app.certificates();
    if rows.is_empty() {
        return fit::put(&nothing("no hosts with certificates", look), area, 0, buffer);
    }
    let cells = usize::from(area.width);
    let high = usize::from(area.height);
    let shown = if rows.len() > high { high.saturating_sub(1) } else { rows.len() };
    let bad = rows.iter().take(shown).filter(|row| row.bad).count();
    let below = shown + bad <= high;
    let mut lines = Vec::new();
    for row in rows.iter().take(shown) {
        lines.push(line(app, look, row, cells));
        if below && row.bad {
            lines.push(Line::from(fit::span(format!("  {}", row.seen), look.bad)));
        }
    }
    if rows.len() > shown {
        lines.push(Line::styled(format!("  and {} more, later", rows.len() - shown), look.dim));
    }
    fit::put_all(lines, area, buffer);
}

fn line<'a>(app: &App, look: &Look, row: &CertificateRow, cells: usize) -> Line<'a> {
    let (sign, style) = mark(app, row, look);
    let right = vec![Span::styled(format!("{:>5}", left(app, row)), style)];
    fit::two_ends(
        vec![Span::styled(format!("{sign} "), style), fit::span(&row.key.name, look.text)],
        right,
        cells,
    )
}

fn left(app: &App, row: &CertificateRow) -> String {
    match row.not_after.map(|end| days_left(end, app.now)) {
        None => "—".into(),
        Some(days) if days < 0 => "over".into(),
        Some(days) => format!("{days}d"),
    }
}

/// Warning from 20 days, danger from 3: the thresholds of the blackbox exporter's public rules.
fn mark(app: &App, row: &CertificateRow, look: &Look) -> (&'static str, Style) {
    match row.not_after.map(|end| days_left(end, app.now)) {
        _ if row.bad => (sign::BAD, look.bad),
        Some(days) if days < 3 => (sign::BAD, look.bad),
        Some(days) if days < 20 => (sign::WARN, look.warn),
        Some(_) => (sign::OK, look.good),
        None => (sign::BLIND, look.note),
    }
}

pub fn gauge<'a>(app: &App, look: &Look) -> Vec<Span<'a>> {
    let rows = app.certificates();
    let Some(first) = rows.first() else { return vec![Span::styled("none", look.dim)] };
    let (sign, style) = mark(app, first, look);
    vec![
        Span::styled(format!("{sign} {} ", left(app, first)), style),
        fit::span(&first.key.name, look.text),
        Span::styled(if rows.len() > 1 { format!("  +{}", rows.len() - 1) } else { String::new() }, look.dim),
    ]
}
