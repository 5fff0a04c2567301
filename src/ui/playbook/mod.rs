//! The playbook of the selected anomaly: the one step to take and why, every other step with its state, the
//! evidence, what must hold in the end, and the checklist.

mod body;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use self::body::{Body, body, effect};
use super::anomalies::scrolled;
use super::style::Look;
use super::{fit, frame, sign};
use crate::app::{App, Dossier, Focus, Target, keys};
use crate::domain::{Effect, between, text};
use crate::playbooks::{Plan, PlannedStep, StepState};

pub fn draw(app: &App, look: &Look, area: Rect, buffer: &mut Buffer) {
    let focused = app.layers.is_empty() && app.focus == Focus::Playbook;
    let dossier = app.dossier();
    let title = match dossier.and_then(|dossier| dossier.plan.as_ref()) {
        Some(plan) => vec![Span::styled("Playbook ", look.strong), fit::span(plan.title.clone(), look.text)],
        None => vec![Span::styled("Playbook", look.strong)],
    };
    let note = dossier.map(|dossier| {
        vec![fit::span(dossier.anomaly.subject.placed(app.snapshot.is_everywhere()), look.dim)]
    });
    let inside = frame::frame(title, note.unwrap_or_default(), focused, look, area, buffer);
    let inside = Rect { x: inside.x + 1, width: inside.width.saturating_sub(2), ..inside };
    let cells = usize::from(inside.width);
    let Some(dossier) = dossier else {
        return fit::put_all(ready(app, look, cells), inside, buffer);
    };
    let Some(plan) = &dossier.plan else {
        let words = format!("no playbook is called {}", dossier.anomaly.rule);
        return fit::put(&Line::styled(words, look.dim), inside, 0, buffer);
    };
    // The suggestion stays in view whatever is scrolled: observers have no keys.
    let (head, rest) = split(head(app, look, dossier, plan, cells), inside);
    fit::put_all(head, inside, buffer);
    let Body { lines, places, chosen } = body(app, look, dossier, plan, focused, cells);
    let first = scrolled(chosen, lines.len(), usize::from(rest.height));
    let end = first + usize::from(rest.height);
    let above = places.iter().filter(|(at, ..)| *at < first).count();
    let below = places.iter().filter(|(at, ..)| *at >= end).count();
    fit::put_all(lines.into_iter().skip(first), rest, buffer);
    frame::more(look, above, below, area, buffer);
}

/// The head, cut to its share of the panel, and what is left for the steps.
fn split(mut head: Vec<Line<'_>>, inside: Rect) -> (Vec<Line<'_>>, Rect) {
    let high = (head.len() as u16).min(inside.height.saturating_sub(1)).min(inside.height * 2 / 3);
    if head.len() > usize::from(high)
        && let Some(edge) = head.pop()
    {
        // The line that ends it stays.
        head.truncate(usize::from(high).saturating_sub(1));
        head.push(edge);
    }
    (head, Rect { y: inside.y + high, height: inside.height - high, ..inside })
}

/// What is at a row of the screen: the suggestion, a step, or nothing in particular.
pub fn at(app: &App, look: &Look, area: Rect, y: u16) -> Target {
    let inside = frame::inside(area);
    let inside = Rect { x: inside.x + 1, width: inside.width.saturating_sub(2), ..inside };
    let cells = usize::from(inside.width);
    let Some((dossier, plan)) = app.dossier().and_then(|dossier| Some((dossier, dossier.plan.as_ref()?)))
    else {
        return Target::Playbook;
    };
    let focused = app.layers.is_empty() && app.focus == Focus::Playbook;
    let (head, rest) = split(head(app, look, dossier, plan, cells), inside);
    if let Some(row) = y.checked_sub(inside.y).filter(|row| usize::from(*row) < head.len()) {
        let told = plan.suggestion().map_or(0, |step| suggestion(look, plan, step, cells).len());
        return if usize::from(row) < told { Target::Suggestion } else { Target::Playbook };
    }
    let Some(row) = y.checked_sub(rest.y).filter(|row| *row < rest.height) else { return Target::Playbook };
    let Body { lines, places, chosen } = body(app, look, dossier, plan, focused, cells);
    let line = usize::from(row) + scrolled(chosen, lines.len(), usize::from(rest.height));
    let place = places.into_iter().find(|(begins, high, _)| (*begins..begins + high).contains(&line));
    place.map_or(Target::Playbook, |(.., id)| Target::Step(id))
}

/// Nothing to do: what would be at hand.
fn ready<'a>(app: &App, look: &Look, cells: usize) -> Vec<Line<'a>> {
    let words = "When something is wrong, its steps appear here: what to look at, what to do, and why.";
    let mut lines = vec![Line::default()];
    lines.extend(fit::wrap(words, cells).into_iter().map(|line| Line::styled(line, look.dim)));
    lines.push(Line::default());
    lines.extend(app.options.library.iter().map(|playbook| {
        let line = Line::from(vec![
            fit::span(fit::pad(&playbook.id, 18, false), look.text),
            fit::span(format!(" {}", playbook.title), look.dim),
        ]);
        fit::cut(&line, cells)
    }));
    lines
}

/// The suggestion, its reason, and what else would do.
fn head<'a>(app: &App, look: &Look, dossier: &Dossier, plan: &Plan, cells: usize) -> Vec<Line<'a>> {
    let mut lines = Vec::new();
    if let Some(step) = plan.suggestion() {
        lines.extend(suggestion(look, plan, step, cells));
    } else {
        let (sign, style) =
            if plan.resolved.reached { (sign::OK, look.good) } else { (sign::OPEN, look.dim) };
        for line in fit::wrap(&format!("{sign} {}", text::clean(&plan.why)), cells) {
            lines.push(Line::styled(line, style));
        }
    }
    lines.extend(resolution(look, plan, cells));
    if !dossier.asked.is_empty() {
        lines.push(asked(app, look, dossier, cells));
    }
    lines.push(Line::styled("─".repeat(cells), look.border));
    lines
}

/// The step to take, why, what to know first, and what else would do.
fn suggestion<'a>(look: &Look, plan: &Plan, step: &PlannedStep, cells: usize) -> Vec<Line<'a>> {
    let strong = look.accent.patch(look.strong);
    let mut right = Vec::new();
    if step.effect != Effect::Read {
        right.extend([effect(step.effect, look), Span::raw("  ")]);
    }
    let key = keys::key_for(keys::Command::Suggested, keys::Scope::Main);
    let does = if step.not_ours.is_some() { format!("{key} copies it") } else { format!("press {key}") };
    right.push(Span::styled(does, look.accent));
    let taken = right.iter().map(Span::width).sum::<usize>() + 3;
    let title = text::clean(&step.title);
    let mut title = fit::wrap_first(&title, cells.saturating_sub(taken), cells.saturating_sub(2)).into_iter();
    let left = vec![
        Span::styled(format!("{} ", sign::NEXT), strong),
        Span::styled(title.next().unwrap_or_default(), strong),
    ];
    let mut lines = vec![fit::two_ends(left, right, cells)];
    lines.extend(title.map(|more| Line::styled(format!("  {more}"), strong)));
    for line in fit::wrap(&text::clean(&plan.why), cells.saturating_sub(2)) {
        lines.push(Line::styled(format!("  {line}"), look.text));
    }
    if let Some(why) = &step.not_ours {
        let words = format!("  {} {why}: it is for somebody who may", sign::BLOCKED);
        lines.extend(
            fit::wrap(&text::clean(&words), cells).into_iter().map(|line| Line::styled(line, look.warn)),
        );
    }
    for note in step.notes.iter().take(2) {
        let note = Line::from(vec![Span::styled("  ! ", look.warn), fit::span(note, look.dim)]);
        lines.push(fit::cut(&note, cells));
    }
    // While everything holds there is nothing to weigh.
    let weighed = plan.alternatives.iter().filter(|_| plan.resolved.holds_since.is_none());
    let others = weighed.filter_map(|at| plan.steps.get(*at));
    let others: Vec<&str> = others.map(|step| step.title.as_str()).collect();
    if !others.is_empty() {
        let words = fit::span(format!("  or {}", others.join("  ·  or ")), look.dim);
        lines.push(fit::cut(&Line::from(words), cells));
    }
    lines
}

/// What is being read, and for how long.
fn asked<'a>(app: &App, look: &Look, dossier: &Dossier, cells: usize) -> Line<'a> {
    let oldest = dossier.asked.values().map(|asked| asked.since).min().unwrap_or(app.now);
    let took = between(oldest, app.now);
    let words = format!(
        "{} reading {}",
        sign::spinner(app.now.as_millisecond()),
        dossier.asked.keys().cloned().collect::<Vec<_>>().join(", ")
    );
    fit::two_ends(vec![fit::span(words, look.dim)], vec![Span::styled(text::span(took), look.dim)], cells)
}

/// What must hold in the end, what is missing, and how long it has to hold.
fn resolution<'a>(look: &Look, plan: &Plan, cells: usize) -> Vec<Line<'a>> {
    let resolved = &plan.resolved;
    let (sign, style) = if resolved.reached {
        (sign::OK, look.good)
    } else if resolved.holds_since.is_some() {
        (sign::STALE, look.warn)
    } else {
        (sign::OPEN, look.dim)
    };
    // The plan says when it is resolved; until then the words need their subject.
    let was_changed = |step: &PlannedStep| {
        step.effect > Effect::Read && matches!(step.state, StepState::Done { ok: true, .. })
    };
    let lead = match (resolved.reached, resolved.holds_since) {
        (true, _) => "",
        (false, Some(_)) if plan.steps.iter().any(was_changed) => "the fix ",
        (false, Some(_)) => "for now it ",
        (false, None) => "resolved? ",
    };
    let words = format!("{lead}{}", text::clean(&resolved.says));
    let wrapped = fit::wrap(&words, cells.saturating_sub(2)).into_iter().take(3).enumerate();
    wrapped
        .map(|(at, line)| {
            let mark = if at == 0 { sign } else { " " };
            Line::from(vec![Span::styled(format!("{mark} "), style), Span::styled(line, style)])
        })
        .collect()
}
