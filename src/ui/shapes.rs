//! Cells that are shapes rather than letters, as SVG: fonts draw them with gaps, or not at all.

use std::fmt::Write as _;

/// The cell's place and size in pixels.
#[derive(Clone, Copy, Debug)]
pub struct Cell {
    pub x: f64,
    pub y: f64,
    pub width: f64,
    pub height: f64,
}

/// The shape of this character, if it is one.
pub fn shape(symbol: &str, cell: Cell, ink: &str) -> Option<String> {
    let character = symbol.chars().next().filter(|_| symbol.chars().count() == 1)?;
    match character {
        '\u{2801}'..='\u{28ff}' => Some(braille(character as u32 - 0x2800, cell, ink)),
        '▁'..='█' => Some(block(f64::from(character as u32 - 0x2580) / 8.0, 1.0, cell, ink)),
        '░' => Some(block(1.0, 0.25, cell, ink)),
        '▒' => Some(block(1.0, 0.55, cell, ink)),
        '■' => Some(square(cell, ink)),
        other => lines(other).map(|arms| drawn_lines(other, arms, cell, ink)),
    }
}

fn braille(bits: u32, cell: Cell, ink: &str) -> String {
    const DOTS: [(u32, u32); 8] = [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (0, 3), (1, 3)];
    let mut svg = String::new();
    for (_, (column, row)) in DOTS.iter().enumerate().filter(|(bit, _)| bits & (1 << bit) != 0) {
        let x = cell.x + cell.width * (0.25 + 0.5 * f64::from(*column));
        let y = cell.y + cell.height * (0.125 + 0.25 * f64::from(*row));
        let _ = writeln!(svg, "<circle cx=\"{x:.2}\" cy=\"{y:.2}\" r=\"1.35\" fill=\"{ink}\"/>");
    }
    svg
}

/// Filled from below.
fn block(share: f64, opacity: f64, cell: Cell, ink: &str) -> String {
    let high = cell.height * share;
    format!(
        "<rect x=\"{:.2}\" y=\"{:.2}\" width=\"{:.2}\" height=\"{high:.2}\" fill=\"{ink}\" opacity=\"{opacity}\"/>\n",
        cell.x,
        cell.y + cell.height - high,
        cell.width + 0.2
    )
}

fn square(cell: Cell, ink: &str) -> String {
    let side = cell.width - 1.2;
    format!(
        "<rect x=\"{:.2}\" y=\"{:.2}\" width=\"{side:.2}\" height=\"{side:.2}\" rx=\"1\" fill=\"{ink}\"/>\n",
        cell.x + 0.6,
        cell.y + (cell.height - side) / 2.0
    )
}

/// Line widths to the left, right, top and bottom of a cell's middle.
type Arms = [f64; 4];

fn lines(character: char) -> Option<Arms> {
    const THIN: f64 = 1.0;
    const THICK: f64 = 2.0;
    Some(match character {
        '─' => [THIN, THIN, 0.0, 0.0],
        '━' => [THICK, THICK, 0.0, 0.0],
        '│' => [0.0, 0.0, THIN, THIN],
        '┃' => [0.0, 0.0, THICK, THICK],
        '╭' => [0.0, THIN, 0.0, THIN],
        '╮' => [THIN, 0.0, 0.0, THIN],
        '╰' | '└' => [0.0, THIN, THIN, 0.0],
        '╯' => [THIN, 0.0, THIN, 0.0],
        '├' => [0.0, THIN, THIN, THIN],
        '┏' => [0.0, THICK, 0.0, THICK],
        '┓' => [THICK, 0.0, 0.0, THICK],
        '┗' => [0.0, THICK, THICK, 0.0],
        '┛' => [THICK, 0.0, THICK, 0.0],
        _ => return None,
    })
}

fn drawn_lines(character: char, arms: Arms, cell: Cell, ink: &str) -> String {
    let (middle_x, middle_y) = (cell.x + cell.width / 2.0, cell.y + cell.height / 2.0);
    let ends = [
        (cell.x, middle_y),
        (cell.x + cell.width, middle_y),
        (middle_x, cell.y),
        (middle_x, cell.y + cell.height),
    ];
    let stroke = |path: String, width: f64| {
        format!("<path d=\"{path}\" fill=\"none\" stroke=\"{ink}\" stroke-width=\"{width}\"/>\n")
    };
    if "╭╮╰╯".contains(character) {
        let mut used = ends.iter().zip(arms).filter(|(_, width)| *width > 0.0).map(|(end, _)| end);
        if let (Some(from), Some(to)) = (used.next(), used.next()) {
            let path =
                format!("M{:.2} {:.2}Q{middle_x:.2} {middle_y:.2} {:.2} {:.2}", from.0, from.1, to.0, to.1);
            return stroke(path, 1.0);
        }
    }
    ends.iter()
        .zip(arms)
        .filter(|(_, width)| *width > 0.0)
        .map(|(end, width)| stroke(format!("M{middle_x:.2} {middle_y:.2}L{:.2} {:.2}", end.0, end.1), width))
        .collect()
}
