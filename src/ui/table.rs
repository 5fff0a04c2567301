//! A panel full screen: its picture above, its rows below, the cursor on a row by name.

use std::time::Duration;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::anomalies::{highlight, scrolled};
use super::style::Look;
use super::{fit, frame, panels, sign};
use crate::app::{App, Column, Panel, TableView, Target, columns};
use crate::domain::{Age, Key, Tone, text};

pub fn draw(app: &App, look: &Look, table: &TableView, area: Rect, buffer: &mut Buffer) {
    let age = frame::age(app, table.panel);
    let mut note = frame::age_note(&age, look);
    if matches!(age, Age::Live(_)) {
        note.insert(0, Span::styled("seen ", look.dim));
        note.push(Span::styled(" ago", look.dim));
    }
    let title = vec![Span::styled(table.panel.title(), look.strong), Span::styled(counted(table), look.dim)];
    let inside = frame::frame(title, note, true, look, area, buffer);
    let inside = Rect { x: inside.x + 1, width: inside.width.saturating_sub(2), ..inside };
    if let Age::Blind(blind, _) = &age {
        let line = format!("{}: {}", frame::since(blind, app.now), text::clean(&blind.why));
        fit::put(&Line::styled(line, look.note), inside, 0, buffer);
    }
    let Parts { picture, filter, rows } = parts(app, table, matches!(age, Age::Blind(..)), inside);
    if columns(table.panel).is_empty() {
        return panels::body(app, look, table.panel, rows, buffer);
    }
    if picture.height > 0 {
        panels::body(app, look, table.panel, picture, buffer);
    }
    if filter.height > 0 {
        let typing = table.filtering.then(|| table.filter.cursor());
        let mut line = vec![Span::styled("/", look.accent)];
        line.extend(super::form::typed(look, table.filter.text(), typing));
        fit::put(&Line::from(line), filter, 0, buffer);
    }
    draw_rows(app, look, table, rows, buffer);
    let high = usize::from(rows.height.saturating_sub(1));
    let first = scrolled((table.position(), 1), table.order.len(), high);
    frame::more(look, first, table.order.len().saturating_sub(first + high), area, buffer);
}

/// Where the parts of a full-screen panel are; parts that are not there have no height.
struct Parts {
    /// A short picture where there is room for both.
    picture: Rect,
    filter: Rect,
    /// The heading and the rows; for panels that are one chart, the chart.
    rows: Rect,
}

fn parts(app: &App, table: &TableView, blind: bool, inside: Rect) -> Parts {
    let none = Rect { height: 0, ..inside };
    let mut parts = Parts { picture: none, filter: none, rows: below(inside, u16::from(blind)) };
    if table.panel == Panel::Pods && inside.height >= 24 {
        let wide = usize::from(inside.width).max(1);
        let high = app.board.len().div_ceil(wide).min(usize::from(inside.height / 5)) as u16;
        parts.picture = Rect { height: high + 1, ..parts.rows };
        parts.rows = below(parts.rows, high + 2);
    }
    if table.filtering || !table.filter.is_empty() {
        parts.filter = Rect { height: 1.min(parts.rows.height), ..parts.rows };
        parts.rows = below(parts.rows, 1);
    }
    parts
}

/// What is at a cell of the screen: a row, or the heading of a column.
pub fn at(app: &App, table: &TableView, area: Rect, (x, y): (u16, u16)) -> Option<Target> {
    let inside = frame::inside(area);
    let inside = Rect { x: inside.x + 1, width: inside.width.saturating_sub(2), ..inside };
    let blind = matches!(frame::age(app, table.panel), Age::Blind(..));
    let rows = parts(app, table, blind, inside).rows;
    let row = usize::from(y.checked_sub(rows.y).filter(|row| *row < rows.height)?);
    if row > 0 {
        let high = usize::from(rows.height) - 1;
        let first = scrolled((table.position(), 1), table.order.len(), high);
        return table.order.get(first + row - 1).cloned().map(Target::Row);
    }
    let mut left = rows.x;
    for (at, _, wide) in shown_columns(app, table.panel, table.sort, rows.width) {
        let right = left + wide as u16 + 2;
        if (left..right).contains(&x) {
            return Some(Target::Heading(at));
        }
        left = right;
    }
    None
}

fn below(area: Rect, by: u16) -> Rect {
    let by = by.min(area.height);
    Rect { y: area.y + by, height: area.height - by, ..area }
}

fn counted(table: &TableView) -> String {
    match (columns(table.panel).is_empty(), table.order.len() == table.total) {
        (true, _) => String::new(),
        (false, true) => format!(" {}", table.total),
        (false, false) => format!(" {} of {}", table.order.len(), table.total),
    }
}

fn draw_rows(app: &App, look: &Look, table: &TableView, area: Rect, buffer: &mut Buffer) {
    let shown = shown_columns(app, table.panel, table.sort, area.width);
    fit::put(&heading(look, table, &shown), area, 0, buffer);
    let area = below(area, 1);
    let height = usize::from(area.height);
    let at = table.position();
    let first = scrolled((at, 1), table.order.len(), height);
    for (y, key) in table.order.iter().skip(first).take(height).enumerate() {
        let line = row(app, look, table, key, &shown);
        let line = fit::cut(&line, usize::from(area.width));
        let line =
            if first + y == at { highlight(line, look.selected, usize::from(area.width)) } else { line };
        fit::put(&line, area, y as u16, buffer);
    }
    if table.order.is_empty() {
        let words =
            if table.total == 0 { "nothing here" } else { "nothing matches the filter; Esc clears it" };
        fit::put(&Line::styled(words, look.dim), area, 0, buffer);
    }
}

/// Columns with their widths, as many as fit; the name takes what is left.
pub fn shown_columns(
    app: &App,
    panel: Panel,
    sort: Option<usize>,
    width: u16,
) -> Vec<(usize, &'static Column, usize)> {
    const NAME: u16 = 28;
    /// With the sign before it; most names are shorter than the 63 characters Kubernetes allows.
    const LONGEST_NAME: u16 = 56;
    let one_namespace = app.options.namespace.is_some();
    let mut left = width.saturating_sub(NAME);
    let mut shown = Vec::new();
    for (at, column) in columns(panel).iter().enumerate().skip(1) {
        if !app.is_shown(panel, at) || (one_namespace && column.title == "NAMESPACE") {
            continue;
        }
        let wide = column.width.max(column.title.len() as u16 + u16::from(sort == Some(at)) * 2) + 2;
        if wide <= left {
            left -= wide;
            shown.push((at, column, usize::from(wide) - 2));
        }
    }
    // What is left goes to the name first, then to words that are often longer than their column.
    let name = (NAME + left).min(width).min(LONGEST_NAME + 2);
    let mut left = (NAME + left).saturating_sub(name);
    for (_, column, wide) in shown.iter_mut().filter(|(_, column, _)| !column.right) {
        let more = left.min(column.width / 2);
        *wide += usize::from(more);
        left -= more;
    }
    if let Some(first) = columns(panel).first() {
        shown.insert(0, (0, first, usize::from(name).saturating_sub(2)));
    }
    shown
}

fn heading<'a>(look: &Look, table: &TableView, shown: &[(usize, &Column, usize)]) -> Line<'a> {
    let spans = shown.iter().map(|(at, column, wide)| {
        let arrow = match (table.sort == Some(*at), table.reverse) {
            (true, false) => " ▲",
            (true, true) => " ▼",
            _ => "",
        };
        let style =
            if arrow.is_empty() { look.dim.patch(look.strong) } else { look.accent.patch(look.strong) };
        let title = format!("{}{}{arrow}", if *at == 0 { "  " } else { "" }, column.title);
        Span::styled(format!("{}  ", fit::pad(&title, *wide, column.right)), style)
    });
    Line::from(spans.collect::<Vec<_>>())
}

fn row<'a>(
    app: &App,
    look: &Look,
    table: &TableView,
    key: &Key,
    shown: &[(usize, &Column, usize)],
) -> Line<'a> {
    let cells = app.cells(table.panel, key);
    let spans = shown.iter().map(|(at, column, wide)| {
        let Some(cell) = cells.get(*at) else { return Span::raw(" ".repeat(wide + 2)) };
        let words = text::clean(&cell.text);
        let room = if *at == 0 { wide.saturating_sub(2) } else { *wide };
        let words = if *at == 0 { fit::fit_name(&words, room).into_owned() } else { words };
        Span::styled(format!("{}  ", fit::pad(&words, room, column.right)), look.tone(cell.tone))
    });
    let mut line = vec![mark(app, look, table.panel, key)];
    line.extend(spans);
    Line::from(line)
}

/// The state of a row as a sign, before its name.
fn mark<'a>(app: &App, look: &Look, panel: Panel, key: &Key) -> Span<'a> {
    let bad = || app.cells(panel, key).iter().any(|cell| cell.tone == Tone::Bad);
    let (sign, style) = match panel {
        Panel::Pods => match app.board.health(key) {
            Some(health) => (sign::health(health), panels::health_style(health, look)),
            None => (" ", look.text),
        },
        _ if bad() => (sign::BAD, look.bad),
        _ => (sign::OK, look.good),
    };
    Span::styled(format!("{sign} "), style)
}

/// How long a wait may last before it is worth a word.
pub const QUICK: Duration = Duration::from_millis(200);
