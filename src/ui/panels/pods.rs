//! Pods: a map with one cell for each, the worst first, and the worst by name.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::{counted, nothing};
use crate::app::{App, Health};
use crate::domain::{Name, Pod, between, text};
use crate::ui::style::Look;
use crate::ui::{fit, sign};

/// Cells of a name below which other words give way.
const NAME: usize = 20;

pub fn draw(app: &App, look: &Look, area: Rect, buffer: &mut Buffer) {
    if app.board.is_empty() {
        let says = match () {
            () if !app.snapshot.pods.is_listed() => "the list is still to come",
            () if app.snapshot.is_everywhere() => "no pods in any namespace",
            () => "no pods in this namespace",
        };
        return fit::put(&nothing(says, look), area, 0, buffer);
    }
    fit::put(&Line::from(summary(app, look, usize::from(area.width))), area, 0, buffer);
    let rest = Rect { y: area.y + 1, height: area.height - 1, ..area };
    let bad: usize =
        Health::ALL.iter().filter(|health| health.is_bad()).map(|health| app.board.count(*health)).sum();
    let wanted = app.board.len().div_ceil(usize::from(area.width).max(1)) as u16;
    // The map may be as high as it needs, but leaves half of the panel to names when something is wrong.
    let named =
        (bad as u16).min(rest.height.saturating_sub(1).max(1) / 2 + 1).min(rest.height.saturating_sub(1));
    let high = wanted.min(rest.height.saturating_sub(named)).max(1).min(rest.height);
    let map = Rect { height: high, ..rest };
    let each = map_cells(app, look, map, buffer);
    let mut y = high;
    if each > 1 && y < rest.height {
        fit::put(&Line::styled(format!("one cell is {each} pods"), look.dim), rest, y, buffer);
        y += 1;
    }
    for (health, key) in app.board.iter().take(usize::from(rest.height - y)) {
        if !health.is_bad() {
            break;
        }
        let Some(pod) = app.snapshot.pods.get(key) else { continue };
        let restarts = match pod.restarts() {
            0 => String::new(),
            restarts => format!(" {restarts}↻"),
        };
        let age = format!(" {}", text::span_short(between(pod.created, app.now)));
        let mut right = vec![
            fit::span(says(pod, health), style(health, look)),
            Span::styled(restarts, look.dim),
            Span::styled(age, look.dim),
        ];
        // The name comes first: less important words give way to it.
        let room = |right: &[Span<'_>]| {
            usize::from(rest.width).saturating_sub(right.iter().map(Span::width).sum::<usize>() + 3)
        };
        while right.len() > 1 && room(&right) < fit::width(&key.name).min(NAME) {
            right.pop();
        }
        let room = room(&right);
        let name = fit::fit_name(&key.name, room.max(10)).into_owned();
        let left = vec![
            Span::styled(format!("{} ", sign::health(health)), style(health, look)),
            fit::span(name, look.text),
        ];
        fit::put(&fit::two_ends(left, right, usize::from(rest.width)), rest, y, buffer);
        y += 1;
    }
}

/// Fills the map and says how many pods one cell stands for. Only counts are needed: pods of one health
/// are drawn alike, so no frame ever walks over all pods.
fn map_cells(app: &App, look: &Look, area: Rect, buffer: &mut Buffer) -> usize {
    let cells = usize::from(area.width) * usize::from(area.height);
    let kinds = Health::ALL.iter().filter(|health| app.board.count(**health) > 0).count();
    // Every health keeps at least one cell: one bad pod of thousands must be seen.
    let each = app.board.len().div_ceil(cells.saturating_sub(kinds).max(1)).max(1);
    let each = if app.board.len() <= cells { 1 } else { each };
    let signs = Health::ALL.iter().flat_map(|health| {
        std::iter::repeat_n(
            (sign::health(*health), style(*health, look)),
            app.board.count(*health).div_ceil(each),
        )
    });
    for (at, (sign, style)) in signs.take(cells).enumerate() {
        let (x, y) = ((at % usize::from(area.width)) as u16, (at / usize::from(area.width)) as u16);
        buffer.set_string(area.x + x, area.y + y, sign, style);
    }
    each
}

pub fn style(health: Health, look: &Look) -> Style {
    match health {
        Health::Failing => look.bad,
        Health::Unknown => look.note,
        Health::Unready | Health::Pending => look.warn,
        Health::Starting => look.line,
        Health::Ready => look.good,
        Health::Terminating | Health::Finished => look.dim,
    }
}

fn summary<'a>(app: &App, look: &Look, cells: usize) -> Vec<Span<'a>> {
    let there = Health::ALL.into_iter().filter(|health| app.board.count(*health) > 0);
    let group = |health: Health| {
        let mut spans = vec![Span::styled(format!("{} ", sign::health(health)), style(health, look))];
        spans.extend(counted(app.board.count(health), health.as_str(), look.text, look));
        spans
    };
    fit::whole(there.map(group).collect(), cells)
}

/// What a pod says of itself; while one that keeps crashing is up for a moment, how it last ended.
fn says(pod: &Pod, health: Health) -> Name {
    let headline = pod.headline();
    if health != Health::Failing || &*headline != "Running" {
        return headline;
    }
    let last = pod.containers.iter().filter_map(|container| container.last.as_ref());
    last.max_by_key(|end| end.finished).map_or(headline, |end| end.reason.clone())
}

pub fn gauge<'a>(app: &App, look: &Look, cells: usize) -> Vec<Span<'a>> {
    if app.board.is_empty() {
        return vec![Span::styled("none", look.dim)];
    }
    summary(app, look, cells)
}
