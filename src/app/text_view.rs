//! Lines too long for the screen: where one looks, what one searches, and how many lines were lost.

use super::line::Line;
use crate::domain::{Tone, text};

/// Lines kept of anything that grows, e.g. a followed log; older ones are dropped and counted.
const KEPT: usize = 20_000;
/// Characters kept of one line; a line of megabytes is cut here, visibly.
const LONGEST: usize = 4_000;

#[derive(Clone, Debug, Default)]
pub struct TextView {
    lines: std::collections::VecDeque<(Tone, String)>,
    /// Lines left out: dropped by us for memory, or by the source for speed.
    pub dropped: u64,
    /// First visible line; ignored while following.
    pub top: usize,
    /// Keep the end in view.
    pub following: bool,
    /// Columns scrolled to the right.
    pub right: usize,
    pub search: Line,
    pub searching: bool,
}

impl TextView {
    pub fn new(lines: impl IntoIterator<Item = (Tone, String)>) -> Self {
        let mut view = Self::default();
        for (tone, line) in lines {
            view.push(tone, &line);
        }
        view
    }

    pub fn plain(text: &str) -> Self {
        Self::new(text.lines().map(|line| (Tone::Plain, line.to_owned())))
    }

    pub fn push(&mut self, tone: Tone, line: &str) {
        let mut cut: String = line.chars().take(LONGEST).collect();
        if cut.len() < line.len() {
            cut.push_str(" … (line cut)");
        }
        self.lines.push_back((tone, text::clean(&cut.replace('\t', "    "))));
        if self.lines.len() > KEPT {
            self.lines.pop_front();
            self.dropped += 1;
            self.top = self.top.saturating_sub(1);
        }
    }

    pub fn len(&self) -> usize {
        self.lines.len()
    }

    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// The lines in view, with their numbers.
    pub fn visible(&self, height: usize) -> impl Iterator<Item = (usize, &(Tone, String))> {
        let top = self.first(height);
        self.lines.iter().enumerate().skip(top).take(height)
    }

    /// Number of the first line in view.
    pub fn first(&self, height: usize) -> usize {
        let last_top = self.lines.len().saturating_sub(height);
        if self.following { last_top } else { self.top.min(last_top) }
    }

    /// Moves by lines; a page is `page` lines high.
    pub fn scroll(&mut self, by: isize, page: usize) {
        let top = self.first(page);
        self.following = false;
        self.top = top.saturating_add_signed(by).min(self.lines.len().saturating_sub(page));
    }

    pub fn to_end(&mut self) {
        self.following = false;
        self.top = self.lines.len();
    }

    pub fn matches(&self, line: &str) -> bool {
        !self.search.is_empty() && line.to_lowercase().contains(&self.search.text().to_lowercase())
    }

    pub fn count_matches(&self) -> usize {
        if self.search.is_empty() {
            0
        } else {
            self.lines.iter().filter(|(_, line)| self.matches(line)).count()
        }
    }

    /// Goes to the next (or previous) matching line, around the end.
    pub fn seek(&mut self, forward: bool, page: usize) {
        let count = self.lines.len();
        if count == 0 || self.search.is_empty() {
            return;
        }
        let here = self.first(page);
        let found = (1..=count)
            .map(|step| if forward { (here + step) % count } else { (here + count - step) % count });
        let lines = &self.lines;
        let hit = found.into_iter().find(|at| lines.get(*at).is_some_and(|(_, line)| self.matches(line)));
        if let Some(at) = hit {
            self.following = false;
            self.top = at;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_dropped_is_counted_and_the_place_stays() {
        let mut view = TextView::default();
        for number in 0..KEPT + 5 {
            view.push(Tone::Plain, &number.to_string());
        }
        assert_eq!((view.len(), view.dropped), (KEPT, 5));
        view.search = Line::new("19999");
        view.seek(true, 10);
        assert_eq!(view.visible(1).next().map(|(_, (_, line))| line.as_str()), Some("19999"));
    }

    #[test]
    fn an_endless_line_is_cut_where_one_can_see_it() {
        let view = TextView::plain(&"x".repeat(10_000_000));
        let cut = &view.visible(1).next().map(|(_, line)| line.1.clone()).unwrap_or_default();
        assert!(cut.len() < 5_000 && cut.ends_with("(line cut)"));
    }
}
