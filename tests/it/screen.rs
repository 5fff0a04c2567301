//! The whole screen in-process: events in, cells out, at the sizes people have.

mod alerts;
mod calm;
mod editing;
mod extremes;
mod keys;
mod pictures;
mod pointer;
mod scoring;
mod silence;
mod world;

use covet_tui::app::App;
use covet_tui::ui;
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::style::{Color, Modifier};

pub const SIZES: [(u16, u16); 3] = [(80, 24), (120, 40), (200, 50)];

pub fn drawn(app: &App, (width, height): (u16, u16)) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| ui::view(app, frame)).unwrap();
    terminal.backend().buffer().clone()
}

pub fn text(buffer: &Buffer) -> String {
    let row = |y: u16| {
        let cells = (0..buffer.area.width).map(|x| buffer[(x, y)].symbol());
        cells.collect::<String>().trim_end().to_owned()
    };
    (0..buffer.area.height).map(row).collect::<Vec<_>>().join("\n")
}

/// Which styles stand where: one letter a cell, one line a row, with a legend.
pub fn styles(buffer: &Buffer) -> String {
    let mut legend: Vec<(Color, Color, Modifier)> = Vec::new();
    let mut rows = Vec::new();
    for y in 0..buffer.area.height {
        let mut row = String::new();
        for x in 0..buffer.area.width {
            let cell = &buffer[(x, y)];
            let style = (cell.fg, cell.bg, cell.modifier);
            let blank = cell.symbol() == " "
                && cell.bg == Color::Reset
                && !cell.modifier.contains(Modifier::REVERSED);
            if blank || style == (Color::Reset, Color::Reset, Modifier::empty()) {
                row.push(' ');
                continue;
            }
            let at = legend.iter().position(|known| *known == style).unwrap_or_else(|| {
                legend.push(style);
                legend.len() - 1
            });
            row.push(char::from(b'a' + at as u8));
        }
        rows.push(row.trim_end().to_owned());
    }
    let legend = legend.iter().enumerate().map(|(at, (fg, bg, modifier))| {
        format!("{} = {fg} on {bg} {modifier:?}", char::from(b'a' + at as u8))
    });
    legend.chain(rows).collect::<Vec<_>>().join("\n")
}

pub fn press(code: KeyCode) -> covet_tui::app::Event {
    covet_tui::app::Event::Key(KeyEvent::new(code, KeyModifiers::NONE))
}

pub fn keys(app: &mut App, keys: &str) -> Vec<covet_tui::app::Effect> {
    keys.chars().flat_map(|key| app.update(press(KeyCode::Char(key)), world::now())).collect()
}
