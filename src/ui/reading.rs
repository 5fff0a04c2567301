//! The reading that tells the most about what is looked at, below the list of anomalies: the lines of the log
//! that name the cause are on the screen without a key.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::style::Look;
use super::{anomalies, fit, frame};
use crate::app::{App, Focus};
use crate::domain::{Action, Reading, Tone, between, text};
use crate::playbooks::PlannedStep;

/// Below this there is no room for two.
const SMALLEST: (u16, u16) = (40, 16);
/// Lines of a reading below which it says too little, with its frame.
const LEAST: u16 = 7;

/// The place of the list, and of the reading where there is one and room for it.
pub fn split(app: &App, look: &Look, area: Rect) -> (Rect, Option<Rect>) {
    if area.width < SMALLEST.0 || area.height < SMALLEST.1 || telling(app).is_none() {
        return (area, None);
    }
    let wanted = anomalies::height(app, look, area).max(6);
    let most = area.height - LEAST;
    // All of a short list; of a long one as much as leaves the reading its share.
    let list = if wanted <= most { wanted } else { most.min(area.height * 3 / 5) };
    let reading = Rect { y: area.y + list, height: area.height - list, ..area };
    (Rect { height: list, ..area }, Some(reading))
}

fn telling(app: &App) -> Option<(&PlannedStep, &Reading)> {
    let dossier = app.dossier()?;
    app.verdict.anomaly(&dossier.anomaly.id)?;
    let at_cursor = app.layers.is_empty() && app.focus == Focus::Playbook;
    // A step without a reading leaves the one that tells the most.
    dossier.telling(at_cursor).or_else(|| dossier.telling(false))
}

/// The step whose reading is shown.
pub fn step(app: &App) -> Option<String> {
    telling(app).map(|(step, _)| step.id.clone())
}

pub fn draw(app: &App, look: &Look, area: Rect, buffer: &mut Buffer) {
    let Some((step, reading)) = telling(app) else { return };
    let title = vec![fit::span(&step.title, look.text)];
    let ago = format!("{} ago", text::span_short(between(reading.at, app.now)));
    let inside = frame::frame(title, vec![Span::styled(ago, look.dim)], false, look, area, buffer);
    let inside = Rect { x: inside.x + 1, width: inside.width.saturating_sub(2), ..inside };
    let cells = usize::from(inside.width);
    let height = usize::from(inside.height);
    let mut lines: Vec<Line<'_>> = Vec::new();
    // Logs are read to the end of their lines; rows of a table are cut, or they would no longer be one.
    let table = reading
        .lines
        .first()
        .is_some_and(|(tone, words)| *tone == Tone::Heading && words.trim().contains("  "));
    let wraps = matches!(step.action, Some(Action::Logs { .. })) || !table;
    // Where each line of the reading begins on the screen, and the end.
    let mut starts = Vec::new();
    for (tone, words) in &reading.lines {
        starts.push(lines.len());
        lines.extend(shown(look, *tone, words, wraps, cells));
    }
    starts.push(lines.len());
    let wanted = point(reading).and_then(|end| starts.get(end)).copied().unwrap_or(0);
    let first = wanted.saturating_sub(height).min(lines.len().saturating_sub(height));
    let below = lines.len().saturating_sub(first + height) + reading.dropped;
    fit::put_all(lines.into_iter().skip(first), inside, buffer);
    frame::more(look, first, below, area, buffer);
}

/// How many lines of a reading it takes to see what is bad in it: the first stretch of bad lines, and a little
/// of what follows, which often is the detail. None when nothing is.
fn point(reading: &Reading) -> Option<usize> {
    const APART: usize = 12;
    const DETAIL: usize = 3;
    let bad = reading.lines.iter().enumerate().filter(|(_, (tone, _))| *tone == Tone::Bad).map(|(at, _)| at);
    let last = bad.fold(None, |last: Option<usize>, at| match last {
        Some(last) if at - last > APART => Some(last),
        _ => Some(at),
    })?;
    Some((last + 1 + DETAIL).min(reading.lines.len()))
}

/// A line of a reading, in three lines of the screen at most.
fn shown<'a>(look: &Look, tone: Tone, words: &str, wraps: bool, cells: usize) -> Vec<Line<'a>> {
    const MOST: usize = 3;
    if !wraps {
        return vec![fit::cut(&Line::styled(text::clean(words), look.tone(tone)), cells)];
    }
    let mut wrapped = fit::chop(&text::clean(words), cells);
    if wrapped.len() > MOST {
        wrapped.truncate(MOST);
        if let Some(last) = wrapped.last_mut() {
            *last = fit::fit(&format!("{last} …"), cells).into_owned();
        }
    }
    wrapped.into_iter().map(|line| Line::styled(line, look.tone(tone))).collect()
}
