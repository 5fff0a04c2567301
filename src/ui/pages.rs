//! Pages to read: every key, what changed, and what is not seen.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::style::Look;
use super::{alerts, fit, frame, score, sign};
use crate::app::keys::{KEYS, Scope};
use crate::app::{App, Page};
use crate::domain::{Age, BlindKind, Origin, between, text};

pub fn draw(app: &App, look: &Look, page: Page, scroll: usize, area: Rect, buffer: &mut Buffer) {
    let (title, note) = match page {
        Page::Help => ("Keys", ""),
        Page::Changes => ("What changed", "last 30 minutes"),
        Page::Blindness => ("What is seen, and what is not", ""),
        Page::Alerts => ("Alerts", "as Alertmanager holds them"),
        Page::Score => score::heading(app),
    };
    let note = vec![Span::styled(note, look.dim)];
    let inside = frame::frame(vec![Span::styled(title, look.strong)], note, true, look, area, buffer);
    let inside = Rect { x: inside.x + 1, width: inside.width.saturating_sub(2), ..inside };
    let cells = usize::from(inside.width);
    let lines = match page {
        Page::Help => help(look, cells),
        Page::Changes => changes(app, look, cells),
        Page::Blindness => blindness(app, look, cells),
        Page::Alerts => alerts::lines(app, look, cells),
        Page::Score => score::lines(app, look, cells),
    };
    frame::scrolled(look, lines, scroll, area, inside, buffer);
}

/// The one table of keys, in as many columns as fit.
fn help<'a>(look: &Look, cells: usize) -> Vec<Line<'a>> {
    const WIDE: usize = 57;
    let columns = (cells / WIDE).clamp(1, 3);
    let wide = cells / columns;
    let mut blocks: Vec<Vec<Line<'_>>> = Scope::ALL.iter().map(|scope| block(look, *scope, wide)).collect();
    blocks.push(mouse(look));
    let total: usize = blocks.iter().map(Vec::len).sum();
    let mut sides: Vec<Vec<Line<'_>>> = vec![Vec::new(); columns];
    let mut side = 0;
    for block in blocks {
        if side + 1 < columns
            && !sides[side].is_empty()
            && sides[side].len() + block.len() / 2 > total / columns
        {
            side += 1;
        }
        sides[side].extend(block);
    }
    let height = sides.iter().map(Vec::len).max().unwrap_or(0);
    (0..height)
        .map(|row| {
            let mut spans = Vec::new();
            for side in &sides {
                let line = side.get(row).map(|line| fit::cut(line, wide)).unwrap_or_default();
                let gap = wide.saturating_sub(line.width());
                spans.extend(line.spans.into_iter().map(|span| span.patch_style(line.style)));
                spans.push(Span::raw(" ".repeat(gap)));
            }
            Line::from(spans)
        })
        .collect()
}

/// The mouse is never needed.
fn mouse<'a>(look: &Look) -> Vec<Line<'a>> {
    const DOES: [(&str, &str); 4] = [
        ("click", "select; in the footer, press the key"),
        ("double click", "open, or take the step"),
        ("wheel", "scroll what is under the pointer"),
        ("", "no click ever confirms a change"),
    ];
    let mut lines = vec![Line::styled("Mouse", look.strong)];
    lines.extend(DOES.map(|(what, does)| {
        Line::from(vec![
            Span::styled(format!("  {} ", fit::pad(what, 12, false)), look.accent),
            Span::styled(does, look.text),
        ])
    }));
    lines.push(Line::default());
    lines
}

fn block<'a>(look: &Look, scope: Scope, cells: usize) -> Vec<Line<'a>> {
    let mut lines = vec![Line::styled(scope.title(), look.strong)];
    for binding in KEYS.iter().filter(|binding| binding.scope == scope) {
        let keys = binding.keys.iter().map(|press| press.name()).collect::<Vec<_>>().join(" ");
        lines.push(fit::cut(
            &Line::from(vec![
                Span::styled(format!("  {} ", fit::pad(&keys, 12, false)), look.accent),
                Span::styled(binding.says, look.text),
            ]),
            cells.saturating_sub(1),
        ));
    }
    lines.push(Line::default());
    lines
}

fn changes<'a>(app: &App, look: &Look, cells: usize) -> Vec<Line<'a>> {
    if app.changes().is_empty() {
        return vec![Line::styled(super::timeline::UNCHANGED, look.dim)];
    }
    app.changes()
        .iter()
        .map(|change| {
            let left = vec![
                Span::styled(format!("{} ", change.at.strftime("%H:%M:%S")), look.dim),
                Span::styled(format!("{} ", sign::change(change.kind)), look.accent),
                Span::styled(fit::pad(sign::change_word(change.kind), 13, false), look.dim),
                fit::span(format!("{}  ", change.object), look.strong),
                fit::span(&change.says, look.text),
                fit::span(change.by.as_ref().map(|by| format!("  by {by}")).unwrap_or_default(), look.dim),
            ];
            let ago = format!("{} ago", text::span(between(change.at, app.now)));
            fit::two_ends(left, vec![Span::styled(ago, look.dim)], cells)
        })
        .collect()
}

fn blindness<'a>(app: &App, look: &Look, cells: usize) -> Vec<Line<'a>> {
    let mut lines = vec![Line::styled("Sources", look.strong)];
    let server = match app.snapshot.age(Origin::ApiServer, app.now) {
        Age::Blind(blind, _) => Some(blind),
        _ => None,
    };
    for origin in Origin::ALL.into_iter().filter(|origin| *origin != Origin::Cockpit) {
        let (sign, style, words) = match app.snapshot.age(origin, app.now) {
            Age::Live(seen) => (sign::LIVE, look.good, format!("live, seen {} ago", text::span_short(seen))),
            Age::Stale(seen) => {
                (sign::STALE, look.warn, format!("stale, seen {} ago", text::span_short(seen)))
            }
            Age::Waiting => (sign::OPEN, look.dim, "waiting for the first sight".into()),
            Age::Blind(blind, _) if blind.kind == BlindKind::NotConfigured => {
                let how = blind.repair.unwrap_or(blind.why);
                (sign::AGAINST, look.dim, format!("not configured: {how}"))
            }
            Age::Blind(blind, _) if origin != Origin::ApiServer && server.as_ref() == Some(&blind) => {
                (sign::BLIND, look.note, "not seen while the API server is not".into())
            }
            Age::Blind(blind, _) => {
                let repair = blind.repair.as_ref().map(|repair| format!(" → {repair}")).unwrap_or_default();
                (sign::BLIND, look.note, format!("{}: {}{repair}", frame::since(&blind, app.now), blind.why))
            }
        };
        lines.extend(named(look, (sign, style), origin.as_str(), &words, cells));
    }
    lines.push(Line::default());
    lines.push(Line::styled("Rules that cannot tell", look.strong));
    if app.verdict.blind.is_empty() {
        lines.push(Line::styled("  none: every rule sees what it needs", look.good));
    }
    for (rule, blind) in &app.verdict.blind {
        lines.extend(named(look, (sign::BLIND, look.note), &rule.title, &blind.why, cells));
    }
    lines
}

/// A sign, a name, and words that are wrapped beside it.
fn named<'a>(
    look: &Look,
    (sign, style): (&'static str, Style),
    name: &str,
    words: &str,
    cells: usize,
) -> Vec<Line<'a>> {
    const NAME: usize = 31;
    let wrapped = fit::wrap(&text::clean(words), cells.saturating_sub(NAME + 5)).into_iter().enumerate();
    wrapped
        .map(|(at, line)| {
            let (sign, name) = if at == 0 { (sign, name) } else { (" ", "") };
            Line::from(vec![
                Span::styled(format!("  {sign} "), style),
                Span::styled(fit::pad(name, NAME, false), look.text),
                Span::styled(format!(" {line}"), look.dim),
            ])
        })
        .collect()
}
