//! Where everything stands on the main screen, by its size alone.

use ratatui::layout::Rect;

/// Below this nothing can be read.
pub const SMALLEST: (u16, u16) = (40, 10);

/// The places of the main screen.
#[derive(Clone, Copy, Debug, Default)]
pub struct Places {
    pub header: Rect,
    pub headline: Rect,
    /// In the order of the panels.
    pub panels: [Rect; 6],
    /// Panels are one line each, without frames.
    pub gauges: bool,
    pub timeline: Rect,
    pub anomalies: Rect,
    pub playbook: Rect,
    pub footer: Rect,
}

pub fn places(area: Rect) -> Places {
    let mut rest = area;
    let mut top = |height: u16| {
        let taken = Rect { height: height.min(rest.height), ..rest };
        rest.y += taken.height;
        rest.height -= taken.height;
        taken
    };
    let header = top(1);
    let headline = top(1);
    let tall = area.height >= 32 && area.width >= 96;
    let (panels, gauges) = if tall && area.width >= 240 {
        let height = (area.height / 4).clamp(9, 13);
        (grid(top(height), 6), false)
    } else if tall {
        let height = match area.height {
            0..38 => 6,
            38..46 => 7,
            _ => 8,
        };
        (grid(top(height * 2), 3), false)
    } else if area.height >= 16 {
        let columns = if area.width >= 120 { 3 } else { 2 };
        (grid(top(6 / columns), columns), true)
    } else {
        // Too low for panels: the headline and the list say what is wrong.
        ([Rect::default(); 6], true)
    };
    let timeline = top(match area.height {
        0..16 => 0,
        16..30 => 1,
        30..44 => 2,
        _ => 3,
    });
    let footer = Rect { y: rest.y + rest.height.saturating_sub(1), height: rest.height.min(1), ..rest };
    let body = Rect { height: rest.height.saturating_sub(1), ..rest };
    let (anomalies, playbook) = if area.width >= 76 {
        let share = match area.width {
            0..150 => body.width * 2 / 5,
            _ => (body.width * 9 / 20).min(130),
        };
        split(body, share)
    } else {
        let high = (body.height / 3).clamp(3.min(body.height), 8);
        let above = Rect { height: high, ..body };
        (above, Rect { y: body.y + high, height: body.height - high, ..body })
    };
    Places { header, headline, panels, gauges, timeline, anomalies, playbook, footer }
}

fn split(area: Rect, left: u16) -> (Rect, Rect) {
    (Rect { width: left, ..area }, Rect { x: area.x + left, width: area.width - left, ..area })
}

/// Six places in rows of so many, the last column taking what is left over.
fn grid(area: Rect, columns: u16) -> [Rect; 6] {
    let rows = 6 / columns;
    let (width, height) = (area.width / columns, area.height / rows);
    std::array::from_fn(|index| {
        let (column, row) = (index as u16 % columns, index as u16 / columns);
        let x = area.x + column * width;
        let width = if column + 1 == columns { area.right() - x } else { width };
        Rect { x, y: area.y + row * height, width, height }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_place_leaves_the_screen_or_covers_another() {
        for (width, height) in (1..=300).step_by(7).flat_map(|w| (1..=100).step_by(3).map(move |h| (w, h))) {
            let area = Rect::new(0, 0, width, height);
            let places = places(area);
            let mut all = vec![places.header, places.headline, places.timeline, places.footer];
            all.extend(places.panels);
            all.extend([places.anomalies, places.playbook]);
            for (at, one) in all.iter().enumerate() {
                assert_eq!(one.intersection(area), *one, "{width}×{height}: {one:?}");
                for other in &all[at + 1..] {
                    assert_eq!(one.intersection(*other).area(), 0, "{width}×{height}: {one:?} {other:?}");
                }
            }
        }
    }
}
