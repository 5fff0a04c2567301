//! Bars, sparklines and braille lines: numbers as shapes.

use std::time::Duration;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::Span;

use crate::domain::{Series, Timestamp, between};

/// A bar of `cells`: what is filled is heavy, the rest a thin line.
pub fn bar<'a>(share: f64, cells: usize, filled: Style, rest: Style) -> Vec<Span<'a>> {
    let full = (share.clamp(0.0, 1.0) * cells as f64).round() as usize;
    // Something is never drawn as nothing.
    let full = if share > 0.0 { full.max(1) } else { full }.min(cells);
    vec![Span::styled("━".repeat(full), filled), Span::styled("─".repeat(cells - full), rest)]
}

/// The series over `window` up to `now` as eighths of a cell, `cells` wide; gaps stay empty.
pub fn sparkline(series: &Series, window: Duration, now: Timestamp, top: f64, cells: usize) -> String {
    const EIGHTHS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    columns(series, window, now, cells)
        .into_iter()
        .map(|value| match value {
            None => ' ',
            Some(value) => {
                let share = (value / top.max(f64::MIN_POSITIVE)).clamp(0.0, 1.0);
                EIGHTHS[((share * 7.0).round() as usize).min(7)]
            }
        })
        .collect()
}

/// The largest value in each of `count` equal parts of the window.
fn columns(series: &Series, window: Duration, now: Timestamp, count: usize) -> Vec<Option<f64>> {
    let mut columns: Vec<Option<f64>> = vec![None; count];
    for (at, value) in series.within(window, now) {
        if let Some(place) = place(*at, window, now, count)
            && let Some(column) = columns.get_mut(place)
        {
            *column = Some(column.map_or(*value, |known| known.max(*value)));
        }
    }
    fill_gaps(&mut columns);
    columns
}

/// Samples are rarer than columns: what lies between two samples not far apart is drawn as a line.
fn fill_gaps(columns: &mut [Option<f64>]) {
    let known: Vec<(usize, f64)> =
        columns.iter().enumerate().filter_map(|(at, value)| value.map(|value| (at, value))).collect();
    let limit = known.windows(2).map(|pair| pair[1].0 - pair[0].0).min().unwrap_or(1) * 3;
    for pair in known.windows(2) {
        let ((from, low), (to, high)) = (pair[0], pair[1]);
        if to - from > limit {
            continue;
        }
        for (at, column) in columns.iter_mut().enumerate().take(to).skip(from + 1) {
            let share = (at - from) as f64 / (to - from) as f64;
            *column = Some(low + (high - low) * share);
        }
    }
}

/// Which of `count` parts of the window a moment falls into.
pub fn place(at: Timestamp, window: Duration, now: Timestamp, count: usize) -> Option<usize> {
    let ago = between(at, now);
    if at > now || ago > window || count == 0 {
        return None;
    }
    let share = 1.0 - ago.as_secs_f64() / window.as_secs_f64();
    Some(((share * count as f64) as usize).min(count - 1))
}

/// One line of a chart.
#[derive(Clone, Copy, Debug)]
pub struct Plot<'a> {
    pub series: &'a Series,
    pub style: Style,
    /// Where it is above the threshold.
    pub above: Style,
}

/// What a chart is drawn to.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    pub window: Duration,
    pub now: Timestamp,
    /// Value at the upper edge; the lower one is zero.
    pub top: f64,
    /// A dotted line.
    pub threshold: Option<(f64, Style)>,
}

/// Braille lines, two by four dots a cell. Later plots lie over earlier ones.
pub fn plot(plots: &[Plot<'_>], scale: &Scale, area: Rect, buffer: &mut Buffer) {
    let (wide, high) = (usize::from(area.width), usize::from(area.height));
    if wide == 0 || high == 0 {
        return;
    }
    let mut dots = vec![(0u8, Style::new()); wide * high];
    let row = |value: f64| {
        let share = (value / scale.top.max(f64::MIN_POSITIVE)).clamp(0.0, 1.0);
        ((1.0 - share) * (high * 4 - 1) as f64).round() as usize
    };
    if let Some((value, style)) = scale.threshold.filter(|(value, _)| *value <= scale.top) {
        for x in (0..wide * 2).filter(|x| x % 4 < 2) {
            set(&mut dots, wide, x, row(value), style);
        }
    }
    for plot in plots {
        let mut before: Option<usize> = None;
        for (x, value) in columns(plot.series, scale.window, scale.now, wide * 2).into_iter().enumerate() {
            let Some(value) = value else {
                before = None;
                continue;
            };
            let y = row(value);
            let style = match scale.threshold {
                Some((threshold, _)) if value > threshold => plot.above,
                _ => plot.style,
            };
            let (from, to) = before.map_or((y, y), |before| (before.min(y), before.max(y)));
            for y in from..=to {
                set(&mut dots, wide, x, y, style);
            }
            before = Some(y);
        }
    }
    for (at, (pattern, style)) in dots.into_iter().enumerate().filter(|(_, (pattern, _))| *pattern != 0) {
        let (x, y) = ((at % wide) as u16, (at / wide) as u16);
        if let Some(cell) = buffer.cell_mut((area.x + x, area.y + y)) {
            cell.set_char(char::from_u32(0x2800 + u32::from(pattern)).unwrap_or(' ')).set_style(style);
        }
    }
}

fn set(dots: &mut [(u8, Style)], wide: usize, x: usize, y: usize, style: Style) {
    const BITS: [[u8; 4]; 2] = [[0x01, 0x02, 0x04, 0x40], [0x08, 0x10, 0x20, 0x80]];
    if let Some(cell) = dots.get_mut(y / 4 * wide + x / 2) {
        cell.0 |= BITS[x % 2][y % 4];
        cell.1 = style;
    }
}

/// The next round number above, for the upper edge of a scale.
pub fn round_up(value: f64) -> f64 {
    if value <= 0.0 || !value.is_finite() {
        return 1.0;
    }
    let power = 10f64.powf(value.log10().floor());
    [1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0]
        .iter()
        .map(|step| step * power)
        .find(|step| *step >= value)
        .unwrap_or(value)
}
