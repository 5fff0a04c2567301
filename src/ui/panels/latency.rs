//! Latency: the 95th percentile in time, with its threshold and the moments something changed.

use std::time::Duration;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};

use super::{nothing, threshold};
use crate::app::App;
use crate::domain::{Blind, BlindKind, Series, Traffic, between, text};
use crate::rules::Unit;
use crate::ui::style::Look;
use crate::ui::{chart, fit, sign};

const WINDOW: Duration = Duration::from_mins(30);

pub fn draw(app: &App, look: &Look, area: Rect, buffer: &mut Buffer) {
    let cells = usize::from(area.width);
    let traffic = &app.snapshot.traffic;
    let limit = threshold(app, "high-latency", Unit::Seconds);
    let line = match (silence(app), lately(traffic, &traffic.p95)) {
        (Some(words), _) => Line::from(fit::span(words, look.note.add_modifier(Modifier::BOLD))),
        (None, Some(p95)) => numbers(app, look, p95, limit, cells),
        (None, None) if !traffic.p95.is_empty() => nobody(traffic, look, cells),
        (None, None) => return fit::put(&nothing("no traffic measured", look), area, 0, buffer),
    };
    fit::put(&line, area, 0, buffer);
    if area.height < 2 {
        return;
    }
    let marks = u16::from(area.height >= 4);
    let plot = Rect { y: area.y + 1, height: area.height - 1 - marks, ..area };
    let highest = traffic.p95.within(WINDOW, app.now).iter().map(|(_, value)| *value).fold(0.0, f64::max);
    let top = chart::round_up(highest.max(limit.unwrap_or(0.0)) * 1.1);
    let scale =
        chart::Scale { window: WINDOW, now: app.now, top, threshold: limit.map(|limit| (limit, look.warn)) };
    let line = chart::Plot { series: &traffic.p95, style: look.line, above: look.bad };
    if area.height >= 10 {
        let quiet = |series| chart::Plot { series, style: look.border, above: look.border };
        chart::plot(&[quiet(&traffic.p50), quiet(&traffic.p99), line], &scale, plot, buffer);
    } else {
        chart::plot(&[line], &scale, plot, buffer);
    }
    label(&seconds(top), plot, 0, look.dim, buffer);
    if let Some(limit) = limit.filter(|limit| *limit < top * 0.85) {
        let row = ((1.0 - limit / top) * f64::from(plot.height.saturating_sub(1))).round() as u16;
        label(&seconds(limit), plot, row.min(plot.height.saturating_sub(1)), look.warn, buffer);
    }
    if marks > 0 {
        changes(app, look, Rect { y: area.bottom() - 1, height: 1, ..area }, buffer);
    }
}

/// Since when there has been nothing to show: the last numbers are not those of now.
fn silence(app: &App) -> Option<String> {
    let traffic = &app.snapshot.traffic;
    let gone = |blind: &&Blind| blind.kind != BlindKind::NotConfigured;
    let latency = traffic.latency_unseen.as_ref().filter(gone);
    let blind = latency.or_else(|| traffic.errors_unseen.as_ref().filter(gone))?;
    let clock = blind.since.strftime("%H:%M");
    let age = text::span(between(blind.since, app.now));
    let what = if latency.is_some() { "no series" } else { "no series of requests" };
    Some(format!("{what} since {clock} ({age}): {}", blind.why))
}

/// The last value, unless requests were counted for so long after it that it is not of now: without requests nothing takes
/// any time, and nothing fails.
fn lately(traffic: &Traffic, series: &Series) -> Option<f64> {
    const OLD: Duration = Duration::from_secs(45);
    let (at, value) = series.last()?;
    let counted = traffic.rate.last().map_or(at, |(at, _)| at);
    (between(at, counted) <= OLD).then_some(value)
}

/// Nobody asks, since when, and how many did.
fn nobody<'a>(traffic: &Traffic, look: &Look, cells: usize) -> Line<'a> {
    let since = traffic.p95.last().map(|(at, _)| at.strftime("%H:%M").to_string()).unwrap_or_default();
    let left = vec![Span::styled(format!("no requests since {since}"), look.warn)];
    let rate = traffic.rate.last().map_or(0.0, |(_, rate)| rate);
    let right = vec![Span::styled(format!("{rate:.0}"), look.text), Span::styled("/s", look.dim)];
    fit::two_ends(left, right, cells)
}

fn numbers<'a>(app: &App, look: &Look, p95: f64, limit: Option<f64>, cells: usize) -> Line<'a> {
    let traffic = &app.snapshot.traffic;
    let style = state(p95, limit, look).1;
    let last = |series: &Series| lately(traffic, series);
    let mut left = vec![Span::styled(seconds(p95), style.patch(look.strong))];
    let mut right = Vec::new();
    if let Some(errors) = last(&traffic.error_ratio) {
        let style = if errors >= 0.05 {
            look.bad
        } else if errors >= 0.01 {
            look.warn
        } else {
            look.text
        };
        right.push(Span::styled(format!("{:.1}%", errors * 100.0), style));
        right.push(Span::styled(" 5xx", look.dim));
    }
    if let Some((_, rate)) = traffic.rate.last() {
        right.push(Span::styled(format!("  {rate:.0}"), look.text));
        right.push(Span::styled("/s", look.dim));
    }
    for (word, value) in [("p50", last(&traffic.p50)), ("p99", last(&traffic.p99))] {
        let Some(value) = value else { continue };
        let more = [Span::styled(format!("  {word} "), look.dim), Span::styled(seconds(value), look.text)];
        let taken: usize = left.iter().chain(&right).chain(&more).map(Span::width).sum();
        if taken + 2 <= cells {
            left.extend(more);
        }
    }
    fit::two_ends(left, right, cells)
}

/// Letters at the moments of change, under the line they may explain.
fn changes(app: &App, look: &Look, area: Rect, buffer: &mut Buffer) {
    let cells = usize::from(area.width);
    let axis = format!("{:─<1$}", "", cells);
    buffer.set_string(area.x, area.y, axis, look.border);
    let from = format!("−{}m ", WINDOW.as_secs() / 60);
    buffer.set_string(area.x, area.y, &from, look.dim);
    let now = area.right().saturating_sub(4);
    buffer.set_string(now, area.y, " now", look.dim);
    for change in app.changes() {
        if let Some(x) = chart::place(change.at, WINDOW, app.now, cells) {
            // The words at the right edge stay readable.
            let x = x.min(cells.saturating_sub(5));
            buffer.set_string(area.x + x as u16, area.y, sign::change(change.kind), look.accent);
        }
    }
}

fn label(words: &str, area: Rect, y: u16, style: Style, buffer: &mut Buffer) {
    if y < area.height && usize::from(area.width) > words.len() + 4 {
        buffer.set_string(area.x, area.y + y, format!("{words} "), style);
    }
}

fn state(p95: f64, limit: Option<f64>, look: &Look) -> (&'static str, Style) {
    match limit {
        Some(limit) if p95 > limit => (sign::BAD, look.bad),
        _ => (sign::OK, look.good),
    }
}

/// `1.25 s`, `840 ms`.
pub fn seconds(value: f64) -> String {
    if value >= 0.9995 { format!("{value:.2} s") } else { format!("{:.0} ms", value * 1000.0) }
}

pub fn gauge<'a>(app: &App, look: &Look) -> Vec<Span<'a>> {
    let traffic = &app.snapshot.traffic;
    if let Some(words) = silence(app) {
        return vec![Span::styled(format!("{} ", sign::BLIND), look.note), fit::span(words, look.note)];
    }
    let Some(p95) = lately(traffic, &traffic.p95) else { return vec![Span::styled("no traffic", look.dim)] };
    let limit = threshold(app, "high-latency", Unit::Seconds);
    let (sign, style) = state(p95, limit, look);
    let top = traffic.p95.max().unwrap_or(p95).max(limit.unwrap_or(0.0));
    let mut spans = vec![
        Span::styled(format!("{sign} "), style),
        Span::styled(fit::pad(&seconds(p95), 7, true), style),
        Span::raw(" "),
        Span::styled(chart::sparkline(&traffic.p95, WINDOW, app.now, top, 12), look.line),
    ];
    if let Some(errors) = lately(traffic, &traffic.error_ratio) {
        let style = if errors >= 0.05 { look.bad } else { look.dim };
        spans.push(Span::styled(format!(" {:.1}% 5xx", errors * 100.0), style));
    }
    spans
}
