//! The last line: what was just said, else the keys that matter here, from the one table of keys.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::style::Look;
use super::{fit, sign};
use crate::app::keys::{Command, KEYS};
use crate::app::{App, Focus, Layer};
use crate::domain::{Tone, between, text};

pub fn draw(app: &App, look: &Look, area: Rect, buffer: &mut Buffer) {
    let cells = usize::from(area.width);
    if let Some(toast) = &app.toast {
        let sign = match toast.tone {
            Tone::Good => sign::OK,
            Tone::Bad => sign::WARN,
            _ => sign::OPEN,
        };
        let style = look.tone(toast.tone);
        let line = Line::from(vec![Span::styled(format!(" {sign} "), style), fit::span(&toast.says, style)]);
        return fit::put(&fit::cut(&line, cells), area, 0, buffer);
    }
    let right = running(app, look);
    let mut room = cells.saturating_sub(right.iter().map(Span::width).sum::<usize>() + 1);
    let mut left = vec![Span::raw(" ")];
    for (key, label) in hints(app) {
        let hint = [Span::styled(key, look.accent), Span::styled(format!(" {label}"), look.dim)];
        let wide = hint.iter().map(Span::width).sum::<usize>();
        // A hint is there whole or not at all.
        let Some(left_over) = room.checked_sub(wide) else { break };
        left.extend(hint);
        left.push(Span::raw("  "));
        room = left_over.saturating_sub(2);
    }
    fit::put(&fit::two_ends(left, right, cells), area, 0, buffer);
}

fn hints(app: &App) -> Vec<(String, &'static str)> {
    if app.is_typing() {
        return vec![("Enter".into(), enter(app)), ("Esc".into(), "leave")];
    }
    let scopes = app.scopes();
    let mut hints: Vec<(String, &'static str)> = Vec::new();
    for scope in scopes {
        for binding in KEYS.iter().filter(|binding| binding.scope == scope && !binding.label.is_empty()) {
            let shadowed = hints.iter().any(|(_, label)| *label == binding.label);
            if let (false, Some(press)) = (shadowed, binding.keys.first()) {
                match label(app, binding.command, binding.label) {
                    "" => {}
                    label => hints.push((press.name(), label)),
                }
            }
        }
    }
    if matches!(
        app.layers.last(),
        Some(Layer::Table(_) | Layer::Object(_) | Layer::Text(_) | Layer::Page(..) | Layer::Journal(_))
    ) {
        hints.insert(0, ("Esc".into(), "back"));
    }
    hints
}

/// On the main screen a key says what it does here; empty when it would do nothing.
fn label(app: &App, command: Command, label: &'static str) -> &'static str {
    if let Some(Layer::Table(table)) = app.layers.last() {
        let chart = crate::app::columns(table.panel).is_empty();
        let on_rows = matches!(
            command,
            Command::Open | Command::Filter | Command::Sort | Command::Reverse | Command::Columns
        );
        return if chart && on_rows { "" } else { label };
    }
    if !app.layers.is_empty() {
        return label;
    }
    let plan = app.dossier().and_then(|dossier| dossier.plan.as_ref());
    match (command, app.focus) {
        (Command::Open, Focus::Anomalies) if app.selection.anomaly.is_some() => "playbook",
        (Command::Open, Focus::Anomalies) => "",
        (Command::Open, Focus::Playbook) if plan.is_some() => "run step",
        (Command::Open, Focus::Playbook) => "",
        (Command::Suggested, _) if plan.is_none_or(|plan| plan.suggested.is_none()) => "",
        _ => label,
    }
}

fn enter(app: &App) -> &'static str {
    match app.layers.last() {
        Some(Layer::Act) => "confirm",
        Some(Layer::Form(form)) if !form.is_last() => "next",
        Some(Layer::Form(_)) => "go on",
        Some(Layer::Palette(_)) => "choose",
        _ => "find",
    }
}

/// An action that runs behind what is looked at.
fn running<'a>(app: &App, look: &Look) -> Vec<Span<'a>> {
    let Some(act) = app.act.as_ref().filter(|act| act.is_running()) else { return Vec::new() };
    if app.layers.iter().any(|layer| matches!(layer, Layer::Act)) {
        return Vec::new();
    }
    let since = match &act.phase {
        crate::app::ActPhase::Running { since, .. } => *since,
        _ => app.now,
    };
    let words = format!(
        "{} {} {} ",
        sign::spinner(app.now.as_millisecond()),
        text::clean(&act.title),
        text::span(between(since, app.now))
    );
    vec![Span::styled(words, look.accent)]
}
