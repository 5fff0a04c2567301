//! Autoscalers: how many replicas between the bounds, and what they are measured by.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::nothing;
use crate::app::App;
use crate::domain::{Autoscaler, Status};
use crate::ui::style::Look;
use crate::ui::{chart, fit, sign};

pub fn draw(app: &App, look: &Look, area: Rect, buffer: &mut Buffer) {
    let scalers = app.autoscalers();
    if scalers.is_empty() {
        return fit::put(&nothing("no autoscalers", look), area, 0, buffer);
    }
    let cells = usize::from(area.width);
    let each = if scalers.len() * 2 <= usize::from(area.height) { 2 } else { 1 };
    let shown = usize::from(area.height) / each;
    let lines = scalers.iter().take(shown).flat_map(|scaler| {
        let mut lines = vec![head(look, scaler, cells)];
        if each == 2 {
            lines.push(load(look, scaler, cells));
        }
        lines
    });
    fit::put_all(lines, area, buffer);
}

fn head<'a>(look: &Look, scaler: &Autoscaler, cells: usize) -> Line<'a> {
    let (sign, style) = mark(scaler, look);
    let span = f64::from(scaler.max.max(1));
    let mut right = vec![Span::raw(" ")];
    if cells >= fit::width(&scaler.key.name) + 22 {
        let bar = if trouble(scaler).is_some() { style } else { look.line };
        right.extend(chart::bar(f64::from(scaler.current) / span, 6, bar, look.border));
    }
    right.push(Span::styled(format!(" {}", scaler.current), look.strong));
    // What it would want is unknown while it cannot measure: the API server shows 0.
    if scaler.desired != scaler.current && scaler.desired > 0 {
        right.push(Span::styled(format!("→{}", scaler.desired), style));
    }
    right.push(Span::styled(format!(" of {}–{}", scaler.min, scaler.max), look.dim));
    let left = vec![Span::styled(format!("{sign} "), style), fit::span(&scaler.key.name, look.text)];
    fit::two_ends(left, right, cells)
}

fn load<'a>(look: &Look, scaler: &Autoscaler, cells: usize) -> Line<'a> {
    let mut left = vec![Span::raw("  ")];
    if let Some(words) = trouble(scaler) {
        left.push(fit::span(words, mark(scaler, look).1));
        left.push(Span::raw("  "));
    }
    for metric in &scaler.metrics {
        let value = |value: &Option<crate::domain::Name>| value.as_deref().unwrap_or("unknown").to_owned();
        left.push(fit::span(format!("{} ", metric.name), look.dim));
        left.push(fit::span(value(&metric.current), look.text));
        left.push(fit::span(format!(" of {}  ", value(&metric.target)), look.dim));
    }
    fit::cut(&Line::from(left), cells)
}

/// What is the matter with it, in two words.
fn trouble(scaler: &Autoscaler) -> Option<&'static str> {
    let is = |kind: &str, status: Status| scaler.condition(kind).is_some_and(|found| found.status == status);
    if is("AbleToScale", Status::False) {
        Some("cannot scale")
    } else if is("ScalingActive", Status::False) {
        Some("cannot measure")
    } else if scaler.current >= scaler.max {
        Some("at its maximum")
    } else {
        None
    }
}

fn mark(scaler: &Autoscaler, look: &Look) -> (&'static str, ratatui::style::Style) {
    match trouble(scaler) {
        Some("at its maximum") => (sign::WARN, look.warn),
        Some(_) => (sign::BAD, look.bad),
        None => (sign::OK, look.good),
    }
}

pub fn gauge<'a>(app: &App, look: &Look) -> Vec<Span<'a>> {
    let scalers = app.autoscalers();
    let Some(first) = scalers.first() else { return vec![Span::styled("none", look.dim)] };
    let (sign, style) = mark(first, look);
    vec![
        Span::styled(format!("{sign} "), style),
        fit::span(format!("{} ", first.key.name), look.text),
        Span::styled(format!("{} of {}–{}", first.current, first.min, first.max), look.text),
        Span::styled(trouble(first).map(|words| format!("  {words}")).unwrap_or_default(), style),
    ]
}
