//! A drawn screen as an SVG picture: how the screenshots of the README are made from the program itself.

use std::fmt::Write as _;

use ratatui::buffer::{Buffer, Cell};
use ratatui::style::{Color, Modifier};
use unicode_width::UnicodeWidthStr as _;

use super::shapes;

/// Size of a cell in pixels, for a monospaced font of 14 pixels.
const CELL: (f64, f64) = (8.43, 17.0);
const FOREGROUND: &str = "#d8dee9";
const BACKGROUND: &str = "#11151c";

/// The whole buffer, with backgrounds under the text, runs of the same style joined.
pub fn render(buffer: &Buffer) -> String {
    let (width, height) = (f64::from(buffer.area.width) * CELL.0, f64::from(buffer.area.height) * CELL.1);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{:.0}\" height=\"{:.0}\" \
         font-family=\"DejaVu Sans Mono, Menlo, Consolas, monospace\" font-size=\"14\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"{BACKGROUND}\" rx=\"6\"/>\n",
        width + 16.0,
        height + 16.0
    );
    for row in 0..buffer.area.height {
        let mut column = 0;
        while column < buffer.area.width {
            column = draw_run(buffer, row, column, &mut svg);
        }
    }
    svg.push_str("</svg>\n");
    svg
}

/// Draws the cells from `start` that share a style; returns where the next run begins.
fn draw_run(buffer: &Buffer, row: u16, start: u16, svg: &mut String) -> u16 {
    let Some(first) = buffer.cell((buffer.area.x + start, buffer.area.y + row)) else { return start + 1 };
    let mut text = String::new();
    let mut drawn = Vec::new();
    let mut column = start;
    while let Some(cell) = buffer.cell((buffer.area.x + column, buffer.area.y + row)) {
        if column >= buffer.area.width || !same_style(first, cell) {
            break;
        }
        if shapes::shape(cell.symbol(), place(column, row), "").is_some() {
            drawn.push((column, cell.symbol()));
            text.push(' ');
        } else {
            text.push_str(cell.symbol());
        }
        column += (cell.symbol().width() as u16).max(1);
    }
    let shapes::Cell { x, y, .. } = place(start, row);
    let width = f64::from(column - start) * CELL.0;
    let (mut ink, mut paper) = (hex(first.fg, FOREGROUND), hex(first.bg, BACKGROUND));
    if first.modifier.contains(Modifier::REVERSED) {
        std::mem::swap(&mut ink, &mut paper);
    }
    if paper != BACKGROUND {
        let _ = writeln!(
            svg,
            "<rect x=\"{x:.2}\" y=\"{y:.2}\" width=\"{width:.2}\" height=\"{:.2}\" fill=\"{paper}\"/>",
            CELL.1
        );
    }
    for (column, symbol) in drawn {
        let shape = shapes::shape(symbol, place(column, row), &ink).unwrap_or_default();
        if first.modifier.contains(Modifier::DIM) {
            let _ = writeln!(svg, "<g opacity=\"0.6\">{shape}</g>");
        } else {
            svg.push_str(&shape);
        }
    }
    if !text.trim().is_empty() {
        let _ = writeln!(
            svg,
            "<text x=\"{x:.2}\" y=\"{:.2}\" textLength=\"{width:.2}\" lengthAdjust=\"spacingAndGlyphs\" \
             xml:space=\"preserve\" fill=\"{ink}\"{}>{}</text>",
            y + 13.0,
            attributes(first.modifier),
            escape(&text)
        );
    }
    column.max(start + 1)
}

/// Where a cell is on the picture.
fn place(column: u16, row: u16) -> shapes::Cell {
    let (x, y) = (8.0 + f64::from(column) * CELL.0, 8.0 + f64::from(row) * CELL.1);
    shapes::Cell { x, y, width: CELL.0, height: CELL.1 }
}

fn same_style(one: &Cell, other: &Cell) -> bool {
    one.fg == other.fg && one.bg == other.bg && one.modifier == other.modifier
}

fn attributes(modifier: Modifier) -> String {
    let mut text = String::new();
    if modifier.contains(Modifier::BOLD) {
        text.push_str(" font-weight=\"bold\"");
    }
    if modifier.contains(Modifier::ITALIC) {
        text.push_str(" font-style=\"italic\"");
    }
    if modifier.contains(Modifier::DIM) {
        text.push_str(" opacity=\"0.6\"");
    }
    if modifier.contains(Modifier::UNDERLINED) {
        text.push_str(" text-decoration=\"underline\"");
    }
    text
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// The sixteen named colours as most dark terminals show them.
fn hex(color: Color, reset: &str) -> String {
    let named = match color {
        Color::Rgb(red, green, blue) => return format!("#{red:02x}{green:02x}{blue:02x}"),
        Color::Indexed(index) => return indexed(index),
        Color::Reset => reset,
        Color::Black => "#1c1f26",
        Color::Red => "#e06c75",
        Color::Green => "#98c379",
        Color::Yellow => "#e5c07b",
        Color::Blue => "#61afef",
        Color::Magenta => "#c678dd",
        Color::Cyan => "#56b6c2",
        Color::Gray => "#abb2bf",
        Color::DarkGray => "#5c6370",
        Color::LightRed => "#ff7b86",
        Color::LightGreen => "#b5e890",
        Color::LightYellow => "#ffd68a",
        Color::LightBlue => "#82c4ff",
        Color::LightMagenta => "#dc8ff0",
        Color::LightCyan => "#7fd4de",
        Color::White => "#ffffff",
    };
    named.to_owned()
}

/// xterm's 256 colours: a cube of six steps and a ramp of greys.
fn indexed(index: u8) -> String {
    const NAMED: [Color; 16] = [
        Color::Black,
        Color::Red,
        Color::Green,
        Color::Yellow,
        Color::Blue,
        Color::Magenta,
        Color::Cyan,
        Color::Gray,
        Color::DarkGray,
        Color::LightRed,
        Color::LightGreen,
        Color::LightYellow,
        Color::LightBlue,
        Color::LightMagenta,
        Color::LightCyan,
        Color::White,
    ];
    let step = |level: u8| if level == 0 { 0 } else { 55 + 40 * level };
    match index {
        0..16 => hex(NAMED[usize::from(index)], FOREGROUND),
        16..232 => {
            let cube = index - 16;
            format!("#{:02x}{:02x}{:02x}", step(cube / 36), step(cube / 6 % 6), step(cube % 6))
        }
        _ => {
            let grey = 8 + 10 * (index - 232);
            format!("#{grey:02x}{grey:02x}{grey:02x}")
        }
    }
}

#[cfg(test)]
mod tests {
    use ratatui::layout::Rect;
    use ratatui::style::Style;

    use super::*;

    #[test]
    fn text_is_escaped_and_runs_are_joined() {
        let mut buffer = Buffer::empty(Rect::new(0, 0, 12, 1));
        buffer.set_string(0, 0, "a<b & 漢", Style::new().fg(Color::Rgb(1, 2, 3)));
        let svg = render(&buffer);
        assert!(svg.contains(">a&lt;b &amp; 漢"), "{svg}");
        assert!(svg.contains("fill=\"#010203\""));
        assert_eq!(svg.matches("<text").count(), 1);
    }
}
