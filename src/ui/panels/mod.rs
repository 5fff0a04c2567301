//! The six panels: each draws itself in a frame, or says the same in one line.

mod autoscalers;
mod certificates;
mod database;
mod latency;
mod nodes;
mod pods;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::style::Look;
use super::{fit, frame, sign};
use crate::app::{App, Focus, Panel};
use crate::domain::{Age, BlindKind, text};
use crate::rules::{self, Unit};

pub use pods::style as health_style;

/// Draws a panel with its frame.
pub fn draw(app: &App, look: &Look, panel: Panel, area: Rect, buffer: &mut Buffer) {
    let Some(inside) = frame::panel(app, look, panel, area, buffer) else { return };
    body(app, look, panel, inside, buffer);
}

/// What is in the frame; also what stands above a full-screen table.
pub fn body(app: &App, look: &Look, panel: Panel, area: Rect, buffer: &mut Buffer) {
    if area.width < 4 || area.height == 0 {
        return;
    }
    match panel {
        Panel::Pods => pods::draw(app, look, area, buffer),
        Panel::Nodes => nodes::draw(app, look, area, buffer),
        Panel::Autoscalers => autoscalers::draw(app, look, area, buffer),
        Panel::Database => database::draw(app, look, area, buffer),
        Panel::Latency => latency::draw(app, look, area, buffer),
        Panel::Certificates => certificates::draw(app, look, area, buffer),
    }
}

/// A panel in one line.
pub fn gauge(app: &App, look: &Look, panel: Panel, area: Rect, buffer: &mut Buffer) {
    if area.area() == 0 {
        return;
    }
    let focused = app.layers.is_empty() && app.focus == Focus::Panel(panel);
    let mark = if focused { sign::NEXT } else { " " };
    let mut left = vec![
        Span::styled(mark, look.accent),
        Span::styled(panel.number().to_string(), look.accent),
        Span::raw(" "),
        Span::styled(fit::pad(short(panel), 6, false), look.strong),
    ];
    // A gap to the gauge beside it.
    let room = usize::from(area.width).saturating_sub(left.iter().map(Span::width).sum::<usize>() + 1);
    let age = frame::age(app, panel);
    let mut note = Vec::new();
    match &age {
        Age::Waiting => left.push(Span::styled("looking…", look.dim)),
        Age::Blind(blind, _) if blind.kind == BlindKind::NotConfigured => {
            left.push(Span::styled("not configured", look.dim));
        }
        Age::Blind(blind, last) => {
            left.push(Span::styled(format!("{} ", sign::BLIND), look.note));
            if last.is_none() {
                left.push(fit::span(&blind.why, look.note));
            } else {
                left.extend(words(app, look, panel, room));
            }
            let ago = text::span_short(crate::domain::between(blind.since, app.now));
            note.push(Span::styled(format!("blind {ago} "), look.note));
        }
        Age::Stale(seen) => {
            left.extend(words(app, look, panel, room));
            note.push(Span::styled(format!("stale {} ", text::span_short(*seen)), look.warn));
        }
        Age::Live(_) => left.extend(words(app, look, panel, room)),
    }
    fit::put(&fit::two_ends(left, note, usize::from(area.width)), area, 0, buffer);
}

fn words<'a>(app: &App, look: &Look, panel: Panel, cells: usize) -> Vec<Span<'a>> {
    match panel {
        Panel::Pods => pods::gauge(app, look, cells),
        Panel::Nodes => nodes::gauge(app, look, cells),
        Panel::Autoscalers => autoscalers::gauge(app, look),
        Panel::Database => database::gauge(app, look),
        Panel::Latency => latency::gauge(app, look),
        Panel::Certificates => certificates::gauge(app, look),
    }
}

fn short(panel: Panel) -> &'static str {
    match panel {
        Panel::Pods => "Pods",
        Panel::Nodes => "Nodes",
        Panel::Autoscalers => "HPA",
        Panel::Database => "DB",
        Panel::Latency => "p95",
        Panel::Certificates => "Certs",
    }
}

/// The threshold a rule first warns at, in this unit, as it is set now.
fn threshold(app: &App, rule: &str, unit: Unit) -> Option<f64> {
    let threshold = rules::rule(rule)?.thresholds.iter().find(|threshold| threshold.unit == unit)?;
    Some(app.options.thresholds.get(threshold))
}

/// `12 ready`, the number in its state's style.
fn counted<'a>(count: usize, word: &str, style: Style, look: &Look) -> Vec<Span<'a>> {
    vec![Span::styled(count.to_string(), style), Span::styled(format!(" {word}"), look.dim)]
}

fn percent(share: f64) -> String {
    format!("{:>3.0}%", share * 100.0)
}

/// How full something is, as a colour: fine, getting full, full.
fn fill_style(share: f64, warn: f64, bad: f64, look: &Look) -> Style {
    match share {
        share if share >= bad => look.bad,
        share if share >= warn => look.warn,
        _ => look.line,
    }
}

/// Nothing to show, in words.
fn nothing<'a>(words: &'static str, look: &Look) -> Line<'a> {
    Line::styled(words, look.dim)
}
