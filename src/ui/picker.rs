//! The list of drills.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Margin, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, BorderType, Paragraph, Wrap};

use crate::app::picker::{Item, Picker};

/// Draws the whole screen.
pub fn view(picker: &Picker, frame: &mut Frame<'_>) {
    let area = centred(frame.area(), 96, 30);
    let block = Block::bordered()
        .border_type(BorderType::Rounded)
        .title(" covet-tui · drills ")
        .title_bottom(Line::from(" ↑↓ choose · type to filter · Enter start · Esc leave ").centered());
    let inside = block.inner(area).inner(Margin::new(1, 0));
    frame.render_widget(block, area);

    let intro = picker.intro.len() as u16;
    let [top, list, story] =
        Layout::vertical([Constraint::Length(intro + 2), Constraint::Min(3), Constraint::Length(5)])
            .areas(inside);
    let mut lines: Vec<Line<'_>> = picker.intro.iter().map(|line| Line::from(line.as_str())).collect();
    lines.push(Line::default());
    lines.push(Line::from(vec![
        Span::styled("filter ", Style::new().add_modifier(Modifier::DIM)),
        Span::raw(&picker.filter),
        Span::raw("▏"),
    ]));
    frame.render_widget(Paragraph::new(lines), top);

    draw_rows(picker, frame, list);
    if let Some(item) = picker.current() {
        let text = vec![Line::default(), Line::from(item.story.as_str())];
        frame.render_widget(Paragraph::new(text).wrap(Wrap { trim: true }), story);
    }
}

fn draw_rows(picker: &Picker, frame: &mut Frame<'_>, area: Rect) {
    let current = picker.current().map(|item| item.name.as_str());
    let mut rows = Vec::new();
    let mut chosen = 0;
    let mut group = "";
    for item in picker.visible() {
        if item.group != group {
            group = &item.group;
            rows.push(Line::from(group.to_owned()).style(Style::new().add_modifier(Modifier::BOLD)));
        }
        if Some(item.name.as_str()) == current {
            chosen = rows.len();
        }
        rows.push(row(item, Some(item.name.as_str()) == current));
    }
    if rows.is_empty() {
        rows.push(Line::from("no drill matches the filter"));
    }
    let height = usize::from(area.height);
    let first = chosen.saturating_sub(height.saturating_sub(2)).min(rows.len().saturating_sub(height));
    frame.render_widget(Paragraph::new(rows.split_off(first)), area);
}

fn row(item: &Item, current: bool) -> Line<'_> {
    let mark = if current { "▶ " } else { "  " };
    let line = Line::from(vec![
        Span::raw(mark),
        Span::raw(format!("{:<28}", item.name)).style(Style::new().fg(Color::Cyan)),
        Span::raw(item.title.as_str()),
    ]);
    if current { line.style(Style::new().add_modifier(Modifier::REVERSED)) } else { line }
}

fn centred(area: Rect, width: u16, height: u16) -> Rect {
    area.centered(Constraint::Length(width.min(area.width)), Constraint::Length(height.min(area.height)))
}
