//! An act in its box: the preview to confirm, the progress, the outcome with its way back.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::style::Look;
use super::{fit, frame, popup, sign};
use crate::app::keys::{Command, Scope, key_for};
use crate::app::{Act, ActPhase, App};
use crate::domain::{Effect, between, text};
use crate::guard::{Confirmation, DiffTone, Guard, Level, Preview, Refusal};
use crate::journal::{Ending, Outcome};

pub fn draw(app: &App, look: &Look, area: Rect, buffer: &mut Buffer) {
    let Some(act) = &app.act else { return };
    let width = (area.width.saturating_sub(4)).min(110).max(area.width.min(60));
    let cells = usize::from(width).saturating_sub(4);
    let (lines, foot) = match &act.phase {
        ActPhase::Previewing { since, .. } => (waiting(app, look, act, *since), Vec::new()),
        ActPhase::Confirming { preview, typed, refused } => (
            preview_lines(app, look, act, preview, cells),
            confirm_lines(look, preview, typed.text(), refused.as_ref(), cells),
        ),
        ActPhase::Running { since, lines, cancelled, .. } => {
            (running(app, look, act, *since, lines, cells), running_foot(look, *cancelled))
        }
        ActPhase::Refused(refusal) => (refusal_lines(look, refusal, cells), Vec::new()),
        ActPhase::Ended(outcome) => (outcome_lines(app, look, act, outcome, cells), Vec::new()),
    };
    let wanted = (lines.len() + foot.len() + 2).max(7) as u16;
    let place = popup(area, width, wanted, buffer);
    let title = vec![fit::span(heading(act), look.strong)];
    let inside = frame::frame(title, note(act, look), true, look, place, buffer);
    let inside = Rect { x: inside.x + 1, width: inside.width.saturating_sub(2), ..inside };
    let foot_high = (foot.len() as u16).min(inside.height);
    let body = Rect { height: inside.height - foot_high, ..inside };
    let below = Rect { y: body.bottom(), height: foot_high, ..inside };
    let high = usize::from(body.height);
    let most = lines.len().saturating_sub(high);
    // Progress follows its end; everything else stays where one scrolled it.
    let first = if act.is_running() { most } else { act.scroll.min(most) };
    let hidden = lines.len() - first > high;
    fit::put_all(lines.into_iter().skip(first), body, buffer);
    if hidden && body.height > 1 {
        let more = Line::styled(" ↓ more ", look.accent);
        buffer.set_line(body.right().saturating_sub(9), body.bottom() - 1, &more, 8);
    }
    fit::put_all(foot, below, buffer);
}

fn heading(act: &Act) -> String {
    let what = match &act.phase {
        ActPhase::Previewing { .. } => "Previewing",
        ActPhase::Confirming { .. } => "Preview",
        ActPhase::Running { .. } => "Running",
        ActPhase::Refused(_) => "Refused",
        ActPhase::Ended(outcome) => match outcome.result {
            Ending::Performed(_) => "Done",
            Ending::Unverified(_) => "Done, not verified",
            Ending::Failed(_) => "Failed",
            Ending::Unknown(_) => "Outcome unknown",
            Ending::Refused(..) => "Refused",
        },
    };
    format!("{what}: {}", act.title)
}

fn note<'a>(act: &Act, look: &Look) -> Vec<Span<'a>> {
    match act.action.effect() {
        Effect::Read => Vec::new(),
        Effect::Change => vec![Span::styled("changes, undoable", look.line)],
        Effect::Disruptive => vec![Span::styled(format!("{} disruptive", sign::WARN), look.warn)],
        Effect::Destructive => vec![Span::styled(format!("{} destructive", sign::BAD), look.bad)],
    }
}

fn waiting<'a>(app: &App, look: &Look, act: &Act, since: crate::domain::Timestamp) -> Vec<Line<'a>> {
    let took = text::span(between(since, app.now));
    vec![
        Line::styled(
            format!(
                "{} asking the server what would happen… {took}",
                sign::spinner(app.now.as_millisecond())
            ),
            look.text,
        ),
        Line::from(fit::span(format!("$ {}", act.action.as_command()), look.dim)),
        Line::styled("nothing is changed by this; Esc leaves", look.dim),
    ]
}

/// What would happen, to what, and what to know first.
fn preview_lines<'a>(app: &App, look: &Look, act: &Act, preview: &Preview, cells: usize) -> Vec<Line<'a>> {
    let mut lines = Vec::new();
    let mut say = |words: &str, indent: &str, style| {
        let wrapped = fit::wrap(&text::clean(words), cells.saturating_sub(fit::width(indent)));
        for (at, line) in wrapped.into_iter().enumerate() {
            let lead = if at == 0 { indent.to_owned() } else { " ".repeat(fit::width(indent)) };
            lines.push(Line::styled(format!("{lead}{line}"), style));
        }
    };
    say(&preview.title, "", look.strong);
    let dossier = app.dossiers.get(&act.origin.anomaly);
    let holds = dossier
        .and_then(|dossier| dossier.plan.as_ref())
        .is_some_and(|plan| plan.resolved.reached || plan.resolved.holds_since.is_some());
    if act.origin.undoing && (holds || app.verdict.anomaly(&act.origin.anomaly).is_none()) {
        say("this takes back what was done before the trouble went away: it may return", "▲ ", look.warn);
    }
    for hazard in &preview.hazards {
        let (sign, style) = match hazard.level {
            Level::Stop => ("⊘ ", look.bad),
            Level::Warn => ("▲ ", look.warn),
            Level::Note => ("· ", look.text),
        };
        say(&hazard.says, sign, style);
    }
    say(&format!("targets: {}", preview.targets.join(", ")), "", look.text);
    match &preview.undo {
        Some(undo) => say(&format!("undo: {}", undo.says), "", look.text),
        None => say("cannot be undone", "", look.warn),
    }
    say(&shortened(&preview.command, cells * 3), "$ ", look.dim);
    lines.push(Line::styled("─".repeat(cells), look.border));
    for (tone, words) in &preview.diff {
        let (sign, style) = match tone {
            DiffTone::Added => ("+ ", look.good),
            DiffTone::Removed => ("- ", look.bad),
            DiffTone::Same => ("  ", look.dim),
            DiffTone::Place => ("", look.accent),
        };
        lines.push(Line::from(fit::span(format!("{sign}{words}"), style)));
    }
    if preview.diff.is_empty() {
        let denied = preview.hazards.iter().any(|hazard| hazard.guard == Guard::Permission);
        let words = if denied {
            "the server was not asked for a dry run"
        } else {
            "the server reports no difference"
        };
        lines.push(Line::styled(words, look.dim));
    }
    lines
}

/// A command may carry a whole file; the key that copies it copies all of it.
fn shortened(command: &str, most: usize) -> String {
    if command.chars().count() <= most {
        return command.to_owned();
    }
    let kept: String = command.chars().take(most).collect();
    format!("{kept} … ({} characters)", command.chars().count())
}

fn confirm_lines<'a>(
    look: &Look,
    preview: &Preview,
    typed: &str,
    refused: Option<&Refusal>,
    cells: usize,
) -> Vec<Line<'a>> {
    let mut lines = vec![Line::styled("─".repeat(cells), look.border)];
    if let Some(refusal) = refused {
        lines.push(fit::cut(&Line::from(fit::span(format!("{} {refusal}", sign::WARN), look.bad)), cells));
    }
    if preview.worst() == Some(Level::Stop) {
        lines.push(Line::styled("this cannot be confirmed; Esc leaves", look.bad));
        return lines;
    }
    match &preview.confirmation {
        Confirmation::Key => lines.push(Line::from(vec![
            Span::styled(key_for(Command::Confirm, Scope::Confirm), look.accent.patch(look.strong)),
            Span::styled(" does it   ", look.text),
            Span::styled("n", look.accent.patch(look.strong)),
            Span::styled(" or Esc leaves", look.text),
        ])),
        Confirmation::Type(name) => lines.extend(typing(look, name, typed, cells)),
    }
    lines
}

/// The name to be typed, and what has been typed of it. A long name has lines of its own: nobody types blind.
fn typing<'a>(look: &Look, name: &str, typed: &str, cells: usize) -> Vec<Line<'a>> {
    let asked = vec![
        Span::styled("type ", look.text),
        fit::span(name, look.strong),
        Span::styled(" and Enter: ", look.text),
    ];
    let width: usize = asked.iter().map(Span::width).sum();
    let fits = width + name.chars().count() < cells;
    let most = if fits { cells.saturating_sub(width + 1) } else { cells.saturating_sub(1) };
    let tail: String = typed.chars().skip(typed.chars().count().saturating_sub(most)).collect();
    let given = [fit::span(&tail, look.accent.patch(look.strong)), Span::styled("▏", look.accent)];
    if fits {
        return vec![Line::from(asked.into_iter().chain(given).collect::<Vec<_>>())];
    }
    let mut lines: Vec<Line<'a>> = fit::wrap(&format!("type {name} and Enter:"), cells)
        .into_iter()
        .map(|line| Line::styled(line, look.text))
        .collect();
    lines.push(Line::from(given.to_vec()));
    lines
}

fn running<'a>(
    app: &App,
    look: &Look,
    act: &Act,
    since: crate::domain::Timestamp,
    said: &[String],
    cells: usize,
) -> Vec<Line<'a>> {
    let took = Span::styled(text::span(between(since, app.now)), look.dim);
    let left = vec![
        Span::styled(format!("{} ", sign::spinner(app.now.as_millisecond())), look.accent),
        fit::span(&act.title, look.strong),
    ];
    let mut lines = vec![fit::two_ends(left, vec![took], cells)];
    lines.extend(said.iter().map(|line| Line::from(fit::span(format!("  {line}"), look.text))));
    lines
}

fn running_foot<'a>(look: &Look, cancelled: bool) -> Vec<Line<'a>> {
    let words =
        if cancelled { "stopping…" } else { "Esc cancels   h hides it and goes on in the background" };
    vec![Line::styled(words, look.dim)]
}

fn refusal_lines<'a>(look: &Look, refusal: &Refusal, cells: usize) -> Vec<Line<'a>> {
    let mut lines: Vec<Line<'_>> = fit::wrap(&format!("⊘ {}", text::clean(&refusal.says)), cells)
        .into_iter()
        .map(|line| Line::styled(line, look.bad))
        .collect();
    if let Some(repair) = &refusal.repair {
        let wrapped = fit::wrap(&format!("→ {}", text::clean(repair)), cells);
        lines.extend(wrapped.into_iter().map(|line| Line::styled(line, look.text)));
    }
    lines.push(Line::styled("nothing was changed", look.dim));
    lines
}

/// What `u` leads to after this.
fn back(act: &Act) -> &'static str {
    if act.origin.undoing { "doing it again" } else { "the undo" }
}

fn outcome_lines<'a>(app: &App, look: &Look, act: &Act, outcome: &Outcome, cells: usize) -> Vec<Line<'a>> {
    let (sign, style) = match &outcome.result {
        Ending::Performed(_) => (sign::OK, look.good),
        Ending::Unverified(_) => (sign::STALE, look.warn),
        Ending::Unknown(_) => ("?", look.note),
        Ending::Failed(_) | Ending::Refused(..) => (sign::BAD, look.bad),
    };
    let says = format!("{sign} {}", text::clean(&outcome.result.says()));
    let mut lines: Vec<Line<'_>> =
        fit::wrap(&says, cells).into_iter().map(|line| Line::styled(line, style)).collect();
    lines.extend(outcome.progress.iter().map(|line| Line::from(fit::span(format!("  {line}"), look.dim))));
    lines.push(Line::default());
    match (&outcome.undo, app.undos.is_empty()) {
        (Some(undo), false) => lines.push(Line::from(vec![
            Span::styled(key_for(Command::Undo, Scope::Outcome), look.accent.patch(look.strong)),
            fit::span(format!(" previews {}: {}", back(act), undo.says), look.text),
        ])),
        _ => lines.push(Line::styled("there is nothing to undo", look.dim)),
    }
    lines.push(Line::from(fit::span(format!("journal {}", outcome.entry), look.dim)));
    lines
}
