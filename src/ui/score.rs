//! How a drill went: when it was seen and understood, what was done, what users felt, what is left to do.

use std::time::Duration;

use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::style::Look;
use super::{fit, sign};
use crate::app::{App, Score};
use crate::domain::{Timestamp, between, text};

/// Cells of the names at the left.
const NAME: usize = 13;

/// Title and note of the page.
pub(super) fn heading(app: &App) -> (&'static str, &'static str) {
    match &app.score {
        Some(score) if score.resolved.is_some() => ("Drill solved", "q leaves, Esc goes back"),
        _ => ("How the drill goes", ""),
    }
}

pub(super) fn lines<'a>(app: &App, look: &Look, cells: usize) -> Vec<Line<'a>> {
    let Some(score) = &app.score else {
        return vec![Line::styled("nothing is being practised: covet-tui drill", look.dim)];
    };
    let mut page = Page { look, cells, lines: Vec::new() };
    let truth = &score.truth;
    page.words("", look.strong, &truth.title);
    page.blank();
    page.moment("detected", score, score.detected, None);
    page.moment("root cause", score, score.named, Some(&truth.root));
    page.moment("resolved", score, score.resolved, None);
    page.blank();
    let (style, says) = match score.wrong.len() {
        0 => (look.good, format!("none; {} made", text::count(score.changes, "change"))),
        count => (look.bad, format!("{count} of {}", text::count(score.changes, "change"))),
    };
    page.words("wrong steps", style, &says);
    for wrong in &score.wrong {
        page.words("", look.bad, &format!("{} {wrong}", sign::AGAINST));
    }
    page.words("errors", if score.errors.is_zero() { look.good } else { look.warn }, &errors(score.errors));
    let undone = match score.undone {
        0 => "nothing was undone".to_owned(),
        count => text::count(count, "change") + " undone",
    };
    page.words("undo", look.text, &undone);
    page.checklist(app);
    page.blank();
    page.words("what it was", look.text, &truth.story);
    page.words("what helps", look.text, truth.fixes.first().map_or("", String::as_str));
    for fix in truth.fixes.iter().skip(1) {
        page.words("", look.text, fix);
    }
    page.lines
}

fn errors(lasted: Duration) -> String {
    match lasted.as_secs() {
        0 => "users saw none".into(),
        seconds => {
            format!("users saw some for {seconds} s (1 % of 5xx or more, or 15 % of requests unanswered)")
        }
    }
}

struct Page<'a, 'l> {
    look: &'l Look,
    cells: usize,
    lines: Vec<Line<'a>>,
}

impl Page<'_, '_> {
    fn blank(&mut self) {
        self.lines.push(Line::default());
    }

    /// A name and words that are wrapped beside it.
    fn words(&mut self, name: &str, style: Style, words: &str) {
        let indent = if name.is_empty() && self.lines.is_empty() { 0 } else { NAME };
        let wrapped = fit::wrap(&text::clean(words), self.cells.saturating_sub(indent));
        for (at, line) in wrapped.into_iter().enumerate() {
            let name = if at == 0 { name } else { "" };
            self.lines.push(Line::from(vec![
                Span::styled(fit::pad(name, indent, false), self.look.dim),
                Span::styled(line, style),
            ]));
        }
    }

    /// How long after it struck.
    fn moment(&mut self, name: &str, score: &Score, at: Option<Timestamp>, what: Option<&str>) {
        match at {
            Some(at) => {
                let after = text::span(between(score.truth.strikes, at));
                let what = what.map(|what| format!(": {what}")).unwrap_or_default();
                self.words(name, self.look.text, &format!("{after} after it began{what}"));
            }
            None => self.words(name, self.look.dim, "not yet"),
        }
    }

    fn checklist(&mut self, app: &App) {
        let items = app.drill_checklist();
        let done = items.iter().filter(|(_, done)| *done).count();
        let style = if done == items.len() { self.look.good } else { self.look.text };
        self.words("checklist", style, &format!("{done} of {} done", items.len()));
        for (item, done) in items {
            let (sign, style) = if done { (sign::OK, self.look.good) } else { (sign::OPEN, self.look.text) };
            self.words("", style, &format!("{sign} {}", item.says));
        }
    }
}
