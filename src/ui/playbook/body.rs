//! What can be scrolled below the suggestion: the evidence, every step with its state, and the checklist.

use ratatui::style::Style;
use ratatui::text::{Line, Span};

use crate::app::{App, Dossier};
use crate::domain::{Effect, between, text};
use crate::playbooks::{Plan, PlannedStep, StepState};
use crate::ui::anomalies::highlight;
use crate::ui::style::Look;
use crate::ui::{fit, sign};

/// What can be scrolled.
pub(super) struct Body<'a> {
    pub lines: Vec<Line<'a>>,
    /// Where each step and item begins, how many lines it has, and what it is.
    pub places: Vec<(usize, usize, String)>,
    /// The lines the cursor is on.
    pub chosen: (usize, usize),
}

/// Everything below the suggestion, and which lines the cursor is on.
pub(super) fn body<'a>(
    app: &App,
    look: &Look,
    dossier: &Dossier,
    plan: &Plan,
    focused: bool,
    cells: usize,
) -> Body<'a> {
    let mut places = Vec::new();
    let mut lines = evidence(look, dossier, cells);
    let mut chosen = (0, 1);
    let mut phase = None;
    let place = dossier.place();
    for step in dossier.steps() {
        if phase != Some(step.phase) {
            phase = Some(step.phase);
            let mut heading = step.phase.as_str().to_owned();
            heading[..1].make_ascii_uppercase();
            lines.push(Line::styled(heading, look.dim.patch(look.strong)));
        }
        let here = place == Some(step.id.as_str());
        let entry = entry(app, look, dossier, step, here && focused, cells);
        if here && focused {
            chosen = (lines.len(), entry.len());
        }
        places.push((lines.len(), entry.len(), step.id.clone()));
        lines.extend(entry);
    }
    if !plan.follow_up.is_empty() {
        lines.push(Line::styled("Afterwards", look.dim.patch(look.strong)));
    }
    for item in &plan.follow_up {
        let here = place == Some(item.id.as_str()) && focused;
        let ticked = app.ticked.contains(&(dossier.anomaly.id.clone(), item.id.clone()));
        let (mark, style, note) = match item.auto {
            Some(true) => ("[✓]", look.good, " seen"),
            Some(false) if ticked => ("[✓]", look.good, ""),
            Some(false) => ("[ ]", look.warn, " not so"),
            None if ticked => ("[✓]", look.good, ""),
            None => ("[ ]", look.dim, ""),
        };
        let line = Line::from(vec![
            Span::styled(format!("{mark} "), style),
            fit::span(&item.says, look.text),
            Span::styled(note, look.dim),
        ]);
        let line = fit::cut(&line, cells);
        if here {
            chosen = (lines.len(), 1);
        }
        places.push((lines.len(), 1, item.id.clone()));
        lines.push(if here { highlight(line, look.selected, cells) } else { line });
    }
    Body { lines, places, chosen }
}

/// Causes with their weight, then what speaks for them.
fn evidence<'a>(look: &Look, dossier: &Dossier, cells: usize) -> Vec<Line<'a>> {
    let mut lines = Vec::new();
    let causes: Vec<_> = dossier.anomaly.causes.iter().take(3).collect();
    // What a read found that was known before says nothing new.
    let mut found: Vec<_> = dossier.progress.steps.values().flat_map(|done| &done.found).collect();
    found.retain(|found| causes.iter().all(|cause| cause.name != &*found.cause));
    found.sort_by(|one, other| one.cause.cmp(&other.cause));
    found.dedup_by(|one, other| one.cause == other.cause);
    found.truncate(4);
    let names = causes.iter().map(|cause| cause.name.len());
    let wide = names.chain(found.iter().map(|found| found.cause.len())).max().unwrap_or_default();
    for cause in causes {
        let lead =
            [Span::styled("cause ", look.dim), Span::styled(format!("{:wide$}  ", cause.name), look.strong)];
        let sure = Span::styled(format!("{:>3.0}%", cause.weight * 100.0), look.dim);
        lines.extend(hanging(lead.to_vec(), &cause.says, look.text, Some(sure), 3, cells));
    }
    for found in found {
        let name = format!("{:wide$}  ", found.cause);
        let lead = vec![Span::styled("found ", look.dim), fit::span(name, look.strong)];
        lines.extend(hanging(lead, &found.says, look.text, None, 2, cells));
    }
    let known: Vec<_> = dossier.anomaly.causes.iter().map(|cause| &cause.says).collect();
    let evidence = dossier.anomaly.evidence.iter().filter(|evidence| !known.contains(&&evidence.says));
    for evidence in evidence.take(4) {
        let when = evidence.at.map(|at| at.strftime("%H:%M:%S ").to_string()).unwrap_or_default();
        let lead = vec![Span::styled(format!("· {when}"), look.dim)];
        let from = Span::styled(evidence.from.as_str(), look.dim);
        lines.extend(hanging(lead, &evidence.says, look.text, Some(from), 2, cells));
    }
    if !lines.is_empty() {
        lines.push(Line::default());
    }
    lines
}

/// Words beside their lead, in so many lines at most, with something at the right edge of the first.
fn hanging<'a>(
    lead: Vec<Span<'a>>,
    words: &str,
    style: Style,
    right: Option<Span<'a>>,
    most: usize,
    cells: usize,
) -> Vec<Line<'a>> {
    let indent: usize = lead.iter().map(Span::width).sum();
    let taken = right.as_ref().map_or(0, |right| right.width() + 1);
    let room = cells.saturating_sub(indent + taken);
    let wrapped = fit::wrap(&text::clean(words), room.max(8));
    let more = wrapped.len() > most;
    let mut lines: Vec<Line<'_>> = Vec::new();
    if room < 26 {
        // Too narrow to stand beside each other.
        lines.push(fit::two_ends(lead, right.into_iter().collect(), cells));
        let wrapped = fit::wrap(&text::clean(words), cells.saturating_sub(2).max(8));
        lines.extend(wrapped.into_iter().take(most).map(|line| Line::styled(format!("  {line}"), style)));
        return lines;
    }
    let mut lead = Some(lead);
    for (at, mut line) in wrapped.into_iter().take(most).enumerate() {
        if at + 1 == most && more {
            line = fit::fit(&format!("{line} …"), room.max(8)).into_owned();
        }
        let mut left = lead.take().unwrap_or_else(|| vec![Span::raw(" ".repeat(indent))]);
        left.push(Span::styled(line, style));
        let right = right.iter().filter(|_| at == 0).cloned().collect();
        lines.push(fit::two_ends(left, right, cells));
    }
    lines
}

/// A step: its sign and title, and below it what came of it or what speaks against it.
fn entry<'a>(
    app: &App,
    look: &Look,
    dossier: &Dossier,
    step: &PlannedStep,
    here: bool,
    cells: usize,
) -> Vec<Line<'a>> {
    let (sign, style, words, note) = state(app, look, dossier, step);
    let mut right = Vec::new();
    if step.effect != Effect::Read {
        right.push(effect(step.effect, look));
    }
    let mut lines = Vec::new();
    // Where the cursor is, the whole title is read.
    let taken = right.iter().map(Span::width).sum::<usize>() + 3;
    let title = text::clean(&step.title);
    let mut wrapped = fit::wrap_first(&title, cells.saturating_sub(taken), cells.saturating_sub(2));
    if !here {
        wrapped = vec![title];
    }
    let mut wrapped = wrapped.into_iter();
    let first = Span::styled(wrapped.next().unwrap_or_default(), words);
    let mut head = vec![fit::two_ends(vec![Span::styled(format!("{sign} "), style), first], right, cells)];
    head.extend(wrapped.map(|line| Line::styled(format!("  {line}"), words)));
    lines
        .extend(head.into_iter().map(|line| if here { highlight(line, look.selected, cells) } else { line }));
    if let Some((note, style)) = note {
        lines.push(fit::cut(&Line::from(vec![Span::raw("  "), fit::span(note, style)]), cells));
    }
    if here {
        let mut more = vec![step.why.clone()];
        more.extend(step.undo.as_ref().map(|undo| format!("undo: {undo}")));
        if step.undo.is_none() && step.effect != Effect::Read {
            more.push("cannot be undone".into());
        }
        more.extend(step.not_ours.iter().map(|why| format!("{} {why}", sign::BLOCKED)));
        more.extend(step.notes.iter().map(|note| format!("! {note}")));
        for words in more.iter().filter(|words| !words.is_empty()) {
            for line in fit::wrap(&text::clean(words), cells.saturating_sub(2)) {
                lines.push(Line::styled(format!("  {line}"), look.dim));
            }
        }
    }
    lines
}

type Note = Option<(String, Style)>;

fn state(
    app: &App,
    look: &Look,
    dossier: &Dossier,
    step: &PlannedStep,
) -> (&'static str, Style, Style, Note) {
    if let Some(asked) = dossier.asked.get(&step.id) {
        let took = text::span(between(asked.since, app.now));
        let note = asked.says.as_ref().map_or(took.clone(), |says| format!("{took} {says}"));
        return (sign::spinner(app.now.as_millisecond()), look.accent, look.text, Some((note, look.dim)));
    }
    let running = app.act.as_ref().is_some_and(|act| {
        act.is_running() && act.origin.step == step.id && act.origin.anomaly == dossier.anomaly.id
    });
    if running {
        let note = Some(("running; Enter shows it".to_owned(), look.accent));
        return (sign::spinner(app.now.as_millisecond()), look.accent, look.text, note);
    }
    match &step.state {
        StepState::Done { at, ok, says } => {
            let undone = dossier.progress.steps.get(&step.id).is_some_and(|done| done.undone);
            let (sign, style) = match (undone, ok) {
                (true, _) => (sign::UNDONE, look.note),
                (false, true) => (sign::OK, look.good),
                (false, false) => (sign::BAD, look.bad),
            };
            let ago = text::span_short(between(*at, app.now));
            (sign, style, look.dim, Some((format!("{says} ({ago} ago)"), look.text)))
        }
        StepState::Suggested { .. } => (sign::NEXT, look.accent, look.accent.patch(look.strong), None),
        StepState::Available => (sign::OPEN, look.text, look.text, None),
        StepState::NotAdvised { why } => {
            (sign::AGAINST, look.dim, look.dim, Some((format!("not advised: {why}"), look.dim)))
        }
        StepState::Blocked { why } => {
            (sign::BLOCKED, look.note, look.dim, Some((format!("blocked: {why}"), look.note)))
        }
    }
}

/// What a step does to the world, in a word.
pub(super) fn effect<'a>(effect: Effect, look: &Look) -> Span<'a> {
    match effect {
        Effect::Read => Span::styled("reads", look.dim),
        Effect::Change => Span::styled("changes", look.line),
        Effect::Disruptive => Span::styled("disrupts", look.warn),
        Effect::Destructive => Span::styled("destroys", look.bad),
    }
}
