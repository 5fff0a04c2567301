//! The two lines at the top: where one is and what one may do, and what is wrong in words.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::fit;
use super::sign;
use super::style::Look;
use crate::app::App;
use crate::app::keys::{Command, Scope, key_for};
use crate::domain::{Age, BlindKind, Origin, Severity, Snapshot, Timestamp};
use crate::incident;

/// How many sources can be relied on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Sources {
    pub live: usize,
    pub stale: usize,
    pub blind: usize,
    pub waiting: usize,
}

impl Sources {
    pub fn of(snapshot: &Snapshot, now: Timestamp) -> Self {
        let mut sources = Self::default();
        for origin in Origin::ALL.into_iter().filter(|origin| *origin != Origin::Cockpit) {
            match snapshot.age(origin, now) {
                Age::Live(_) => sources.live += 1,
                Age::Stale(_) => sources.stale += 1,
                Age::Waiting => sources.waiting += 1,
                // Nobody asked for it: not a failure.
                Age::Blind(blind, _) if blind.kind == BlindKind::NotConfigured => {}
                Age::Blind(..) => sources.blind += 1,
            }
        }
        sources
    }
}

pub fn draw(app: &App, look: &Look, area: Rect, buffer: &mut Buffer) {
    let cells = usize::from(area.width);
    let mut left = place(app, look, cells);
    if cells >= 110 {
        left.insert(0, Span::styled(" covet-tui ", look.dim));
    } else {
        left.insert(0, Span::raw(" "));
    }
    let right = state(app, look, cells);
    fit::put(&fit::two_ends(left, right, cells), area, 0, buffer);
}

/// Context, namespace, and whether something can be changed here.
fn place<'a>(app: &App, look: &Look, cells: usize) -> Vec<Span<'a>> {
    let options = &app.options;
    let mut spans = Vec::new();
    if options.trouble.is_some() {
        return vec![Span::styled("no cluster", look.strong)];
    }
    if let Some(drill) = &options.drill {
        let words = if cells >= 100 { format!(" DRILL {drill} ") } else { " DRILL ".into() };
        spans.push(fit::span(words, look.accent.add_modifier(ratatui::style::Modifier::REVERSED)));
        spans.push(Span::raw(" "));
    }
    let context = if options.context.is_empty() { "no cluster" } else { &options.context };
    if options.protected {
        spans.push(fit::span(format!(" ▲ PRODUCTION {context} "), look.banner));
    } else {
        spans.push(fit::span(context, look.strong));
    }
    spans.push(Span::styled(if options.protected { " " } else { " / " }, look.dim));
    spans.push(fit::span(options.namespace.as_deref().unwrap_or("all namespaces"), look.strong));
    spans.push(Span::raw("  "));
    if options.armed {
        spans.push(Span::styled("armed", look.dim));
    } else {
        spans.push(Span::styled(" READ-ONLY ", look.accent.add_modifier(ratatui::style::Modifier::REVERSED)));
    }
    spans
}

/// Sources, blind rules and the clock.
fn state<'a>(app: &App, look: &Look, cells: usize) -> Vec<Span<'a>> {
    let sources = Sources::of(&app.snapshot, app.now);
    let mut spans = Vec::new();
    let words = cells >= 100;
    let mut count = |sign: &'static str, count: usize, word: &str, style| {
        if count > 0 {
            let word = if words { format!(" {word}") } else { String::new() };
            spans.push(Span::styled(format!("{sign} {count}{word}  "), style));
        }
    };
    count(sign::LIVE, sources.live, "live", look.dim);
    count(sign::STALE, sources.stale, "stale", look.warn);
    count(sign::BLIND, sources.blind, "blind", look.note);
    if sources.live + sources.blind + sources.stale == 0 && app.options.trouble.is_none() {
        spans.push(Span::styled("connecting  ", look.dim));
    }
    let blind = app.verdict.blind.len();
    if blind > 0 && !app.is_starting() {
        let words = if words {
            format!("{} blind  ", crate::domain::text::count(blind, "rule"))
        } else {
            format!("{blind} blind  ")
        };
        spans.push(Span::styled(words, look.note));
    }
    let clock = if cells >= 90 { "%H:%M:%S UTC" } else { "%H:%M:%SZ" };
    spans.push(Span::styled(app.now.strftime(clock).to_string(), look.text));
    spans.push(Span::raw(" "));
    spans
}

/// What is wrong, in one line.
pub fn headline(app: &App, look: &Look, area: Rect, buffer: &mut Buffer) {
    let verdict = &app.verdict;
    let words =
        incident::headline(&verdict.incidents, &verdict.anomalies, &verdict.blind, &app.snapshot, app.now);
    let worst = verdict.incidents.iter().map(|incident| incident.severity).max();
    let worst = worst.or_else(|| verdict.anomalies.iter().map(|anomaly| anomaly.severity).max());
    let seen_something = Sources::of(&app.snapshot, app.now).live > 0;
    let (sign, style) = match worst {
        Some(severity) => (sign::severity(severity), look.severity(severity)),
        None if !seen_something && app.is_starting() => (sign::spinner(app.now.as_millisecond()), look.dim),
        None if !verdict.blind.is_empty() => (sign::BLIND, look.note),
        None => (sign::OK, look.good),
    };
    let words = match (worst, words.is_empty()) {
        (None, _) if !seen_something && app.is_starting() => "looking for the first time".to_owned(),
        (_, false) => words,
        (_, true) => "nothing is known to be wrong".to_owned(),
    };
    let words = match incident::alerting(&app.snapshot, app.now) {
        Some(alerts) => {
            let key = key_for(Command::Alerts, Scope::Main);
            words.replacen(&alerts, &format!("{alerts} ({key} lists them)"), 1)
        }
        None => words,
    };
    let strong = style.add_modifier(ratatui::style::Modifier::BOLD);
    let badge = match worst {
        Some(Severity::Critical) => Span::styled(format!(" {sign} CRITICAL "), look.banner),
        Some(Severity::Warning) => {
            Span::styled(format!(" {sign} WARNING "), strong.add_modifier(ratatui::style::Modifier::REVERSED))
        }
        _ => Span::styled(format!(" {sign}"), strong),
    };
    let line = Line::from(vec![badge, Span::raw(" "), fit::span(words, strong)]);
    fit::put(&line, area, 0, buffer);
}
