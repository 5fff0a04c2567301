//! The frame of a panel: its name, the age of what it shows, and what stands there when nothing can be seen.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, BorderType, Widget};

use super::fit;
use super::sign;
use super::style::Look;
use crate::app::{App, Focus, Panel};
use crate::domain::{Age, Blind, BlindKind, Timestamp, between, text};

/// A frame with a title at the left and a note at the right; what is inside is left to the caller. Focus
/// shows by a heavier line as well as by colour.
pub fn frame(
    title: Vec<Span<'_>>,
    note: Vec<Span<'_>>,
    focused: bool,
    look: &Look,
    area: Rect,
    buffer: &mut Buffer,
) -> Rect {
    let (border, kind) =
        if focused { (look.accent, BorderType::Thick) } else { (look.border, BorderType::Rounded) };
    let block = Block::bordered().border_type(kind).border_style(border);
    let inside = block.inner(area);
    block.render(area, buffer);
    let room = usize::from(area.width.saturating_sub(4));
    if room == 0 || area.height == 0 {
        return inside;
    }
    let wide = |spans: &[Span<'_>]| spans.iter().map(Span::width).sum::<usize>();
    let mut left = vec![Span::raw(" ")];
    left.extend(title);
    left.push(Span::raw(" "));
    let mut note = note;
    // The first words of a note are the ones that matter.
    while note.len() > 1 && wide(&left) + wide(&note) + 3 > room {
        note.pop();
    }
    let with_note = wide(&note) > 0 && wide(&left) + wide(&note) + 3 <= room;
    let line = fit::cut(&Line::from(left), room);
    over_border(&line, area.x + 2, area.y, buffer);
    if with_note {
        let mut right = vec![Span::raw(" ")];
        right.extend(note);
        right.push(Span::raw(" "));
        let right = Line::from(right);
        let x = area.right().saturating_sub(2 + right.width() as u16);
        over_border(&right, x, area.y, buffer);
    }
    inside
}

/// What a frame leaves inside.
pub fn inside(area: Rect) -> Rect {
    Block::bordered().inner(area)
}

/// Lines that are scrolled, with how many lie beyond the edges.
pub fn scrolled(
    look: &Look,
    lines: Vec<Line<'_>>,
    scroll: usize,
    area: Rect,
    inside: Rect,
    buffer: &mut Buffer,
) {
    let height = usize::from(inside.height);
    let count = lines.len();
    let first = scroll.min(count.saturating_sub(height));
    fit::put_all(lines.into_iter().skip(first), inside, buffer);
    more(look, first, count.saturating_sub(first + height), area, buffer);
}

/// How many things lie above and below what is shown, on the lower edge.
pub fn more(look: &Look, above: usize, below: usize, area: Rect, buffer: &mut Buffer) {
    let mut spans = Vec::new();
    for (sign, count) in [("↑", above), ("↓", below)] {
        if count > 0 {
            spans.push(Span::styled(format!(" {sign} {count} more "), look.accent));
        }
    }
    let line = Line::from(spans);
    let wide = line.width() as u16;
    if wide > 0 && wide + 4 <= area.width && area.height > 1 {
        over_border(&line, area.right() - 2 - wide, area.bottom() - 1, buffer);
    }
}

/// Words on a border do not take its colour.
fn over_border(line: &Line<'_>, x: u16, y: u16, buffer: &mut Buffer) {
    let width = line.width() as u16;
    buffer.set_style(Rect { x, y, width, height: 1 }.intersection(buffer.area), Style::reset());
    buffer.set_line(x, y, line, width);
}

/// A panel's frame. None when its place has been taken by the reason why nothing can be seen.
pub fn panel(app: &App, look: &Look, panel: Panel, area: Rect, buffer: &mut Buffer) -> Option<Rect> {
    let focused = app.layers.is_empty() && app.focus == Focus::Panel(panel);
    let age = age(app, panel);
    let title = vec![
        Span::styled(panel.number().to_string(), look.accent),
        Span::raw(" "),
        Span::styled(panel.title(), look.strong),
    ];
    let listing = match panel {
        Panel::Pods => !app.snapshot.pods.is_listed(),
        Panel::Nodes => !app.snapshot.nodes.is_listed(),
        Panel::Autoscalers => !app.snapshot.autoscalers.is_listed(),
        _ => false,
    };
    let note = match &age {
        Age::Live(_) if listing => {
            vec![Span::styled(format!("{} listing", sign::spinner(app.now.as_millisecond())), look.dim)]
        }
        age => age_note(age, look),
    };
    let inside = frame(title, note, focused, look, area, buffer);
    let inside = Rect { x: inside.x + 1, width: inside.width.saturating_sub(2), ..inside };
    match &age {
        Age::Blind(blind, last) => {
            let mut lines = why_blind(blind, panel, app.now, look, usize::from(inside.width));
            if last.is_none() {
                fit::put_all(lines, inside, buffer);
                return None;
            }
            // What was last seen stays, below the reason: in full where there is room, else in one line.
            if lines.len() + 4 > usize::from(inside.height) {
                // That it is blind, and since when, stands in the title.
                lines = vec![Line::from(fit::span(&blind.why, look.note.add_modifier(Modifier::BOLD)))];
            }
            let taken = (lines.len() as u16).min(inside.height);
            fit::put_all(lines, inside, buffer);
            let left = Rect { y: inside.y + taken, height: inside.height - taken, ..inside };
            (left.height > 0).then_some(left)
        }
        Age::Waiting => {
            let line =
                Line::styled(format!("{} looking…", sign::spinner(app.now.as_millisecond())), look.dim);
            fit::put(&line, inside, 0, buffer);
            None
        }
        _ => Some(inside),
    }
}

/// How old what a panel shows is: of several ways of seeing, the best.
pub fn age(app: &App, panel: Panel) -> Age {
    let ages = panel.origins().iter().map(|origin| app.snapshot.age(*origin, app.now));
    let rank = |age: &Age| match age {
        Age::Live(_) => 0,
        Age::Stale(_) => 1,
        Age::Waiting => 3,
        Age::Blind(blind, _) if blind.kind == BlindKind::NotConfigured => 4,
        Age::Blind(..) => 2,
    };
    ages.min_by_key(rank).unwrap_or(Age::Waiting)
}

/// The age as it stands in a title.
pub fn age_note<'a>(age: &Age, look: &Look) -> Vec<Span<'a>> {
    match age {
        Age::Live(seen) => vec![Span::styled(text::span_short(*seen), look.dim)],
        Age::Stale(seen) => vec![
            Span::styled(format!("{} stale ", sign::STALE), look.warn),
            Span::styled(text::span_short(*seen), look.warn),
        ],
        Age::Waiting => vec![Span::styled("waiting", look.dim)],
        Age::Blind(blind, _) if blind.kind == BlindKind::NotConfigured => {
            vec![Span::styled("not configured", look.dim)]
        }
        Age::Blind(_, Some(last)) => vec![
            Span::styled(format!("{} blind", sign::BLIND), look.note),
            Span::styled(format!(", seen {} ago", text::span_short(*last)), look.note),
        ],
        Age::Blind(..) => vec![Span::styled(format!("{} blind", sign::BLIND), look.note)],
    }
}

/// `Blind since 03:08 (4m12s) because …`, or how to configure it.
fn why_blind<'a>(blind: &Blind, panel: Panel, now: Timestamp, look: &Look, cells: usize) -> Vec<Line<'a>> {
    let mut lines = Vec::new();
    let mut say = |words: String, style| {
        lines.extend(fit::wrap(&words, cells).into_iter().map(|line| Line::styled(line, style)));
    };
    if blind.kind == BlindKind::NotConfigured {
        say("Not configured.".into(), look.dim);
        let repair = blind.repair.as_deref().map_or_else(|| panel.how_to_configure().into(), text::clean);
        say(repair, look.text);
        return lines;
    }
    say(since(blind, now), look.note.add_modifier(Modifier::BOLD));
    say(text::clean(&blind.why), look.text);
    if let Some(repair) = &blind.repair {
        say(format!("→ {}", text::clean(repair)), look.dim);
    }
    lines
}

/// `Blind since 03:08:12 (4m12s)`.
pub fn since(blind: &Blind, now: Timestamp) -> String {
    let clock = blind.since.strftime("%H:%M:%S");
    format!("Blind since {clock} ({})", text::span(between(blind.since, now)))
}
