//! Nodes: the worst first, with what is used of them.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::{counted, fill_style, nothing, percent};
use crate::app::{App, node_rank, node_status};
use crate::domain::Node;
use crate::ui::style::Look;
use crate::ui::{chart, fit, sign};

pub fn draw(app: &App, look: &Look, area: Rect, buffer: &mut Buffer) {
    let nodes = app.nodes();
    if nodes.is_empty() {
        return fit::put(&nothing("no nodes", look), area, 0, buffer);
    }
    let mut rest = area;
    if nodes.len() > usize::from(area.height) || area.height > 6 {
        fit::put(&Line::from(summary(app, look, usize::from(area.width))), area, 0, buffer);
        rest = Rect { y: area.y + 1, height: area.height - 1, ..area };
    }
    // A map of all nodes when there are more than lines.
    if nodes.len() > usize::from(rest.height) && rest.height > 2 {
        let high = map(&nodes, look, Rect { height: rest.height / 2, ..rest }, buffer);
        rest = Rect { y: rest.y + high, height: rest.height - high, ..rest };
    }
    let shown = nodes.iter().take(usize::from(rest.height));
    fit::put_all(shown.map(|node| row(app, look, node, usize::from(rest.width))), rest, buffer);
}

/// One sign for each node, or for several of the same state where there are too many; says how high it is.
fn map(nodes: &[&Node], look: &Look, area: Rect, buffer: &mut Buffer) -> u16 {
    let (wide, high) = (usize::from(area.width), usize::from(area.height));
    // Every state keeps a cell: one bad node of hundreds must be seen.
    let each = nodes.len().div_ceil((wide * high).saturating_sub(4).max(1)).max(1);
    let signs = nodes.chunk_by(|one, other| node_rank(one) == node_rank(other)).flat_map(|alike| {
        let (sign, style) = mark(alike[0], look);
        let sign = if sign == sign::OK { "■" } else { sign };
        std::iter::repeat_n(Span::styled(sign, style), alike.len().div_ceil(each))
    });
    let signs: Vec<Span<'_>> = signs.take(wide * high).collect();
    let rows = signs.chunks(wide.max(1)).map(|row| Line::from(row.to_vec()));
    let count = signs.len().div_ceil(wide.max(1));
    fit::put_all(rows, area, buffer);
    count as u16
}

fn row<'a>(app: &App, look: &Look, node: &Node, cells: usize) -> Line<'a> {
    let (sign, style) = mark(node, look);
    let mut right = Vec::new();
    if node_rank(node) < 3 {
        right.push(fit::span(node_status(node), style));
        right.push(Span::raw(" "));
    }
    let (cpu, memory) = app.node_load(node);
    // Names before bars: bars are drawn where both fit.
    let host = node.key.name.split('.').next().unwrap_or_default();
    let bar = if cells >= fit::width(host).min(26) + 28 { 4 } else { 0 };
    for (word, share) in [("cpu", cpu), ("mem", memory)] {
        if let Some(share) = share {
            let filled = fill_style(share, 0.85, 0.95, look);
            right.push(Span::styled(format!(" {word} "), look.dim));
            if node_rank(node) == 3 {
                right.extend(chart::bar(share, bar, filled, look.border));
            }
            right.push(Span::styled(percent(share), filled_text(share, look)));
        }
    }
    let wide = right.iter().map(Span::width).sum::<usize>();
    if wide + 14 > cells && node_rank(node) < 3 {
        right.truncate(2);
    }
    let room = cells.saturating_sub(Line::from(right.clone()).width() + 3);
    let left = vec![
        Span::styled(format!("{sign} "), style),
        fit::span(fit::fit(short(&node.key.name, room), room.max(8)), look.text),
    ];
    fit::two_ends(left, right, cells)
}

/// Without its domain where the whole name does not fit: nodes differ before the first dot.
fn short(name: &str, room: usize) -> &str {
    match name.split_once('.') {
        Some((host, _)) if fit::width(name) > room => host,
        _ => name,
    }
}

/// Numbers take a colour only when they matter.
fn filled_text(share: f64, look: &Look) -> Style {
    if share >= 0.85 { fill_style(share, 0.85, 0.95, look) } else { look.text }
}

fn mark(node: &Node, look: &Look) -> (&'static str, Style) {
    match node_rank(node) {
        0 => (sign::BAD, look.bad),
        1 => (sign::WARN, look.warn),
        2 => (sign::AGAINST, look.note),
        _ => (sign::OK, look.good),
    }
}

fn summary<'a>(app: &App, look: &Look, cells: usize) -> Vec<Span<'a>> {
    let mut counts = [0usize; 4];
    for node in app.snapshot.nodes.iter() {
        counts[usize::from(node_rank(node))] += 1;
    }
    let words = [
        (sign::BAD, "not ready", look.bad),
        (sign::WARN, "unwell", look.warn),
        (sign::AGAINST, "cordoned", look.note),
        (sign::OK, "ready", look.good),
    ];
    let there = counts.into_iter().zip(words).filter(|(count, _)| *count > 0);
    let group = |(count, (sign, word, style)): (usize, (&'static str, &'static str, Style))| {
        let mut spans = vec![Span::styled(format!("{sign} "), style)];
        spans.extend(counted(count, word, look.text, look));
        spans
    };
    fit::whole(there.map(group).collect(), cells)
}

pub fn gauge<'a>(app: &App, look: &Look, cells: usize) -> Vec<Span<'a>> {
    if app.snapshot.nodes.is_empty() {
        vec![Span::styled("none", look.dim)]
    } else {
        summary(app, look, cells)
    }
}
