//! App in, cells out: one panel, one file. Draws and decides nothing.
//! Whatever comes from outside is cleaned on its way into a cell; state is told by a sign or a word, and by
//! colour besides.

mod act;
mod alerts;
mod anomalies;
mod chart;
mod columns;
mod fit;
mod footer;
mod form;
mod frame;
mod header;
mod journal;
mod layout;
mod object;
mod pages;
mod palette;
mod panels;
pub mod picker;
mod playbook;
mod pointer;
mod reading;
mod score;
mod shapes;
mod sign;
mod style;
pub mod svg;
mod table;
mod timeline;
mod welcome;

use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::text::Line;
use ratatui::widgets::{Clear, Widget};

use crate::app::{App, Layer, Panel};

pub use pointer::under;
pub use style::Look;

/// Draws everything. Pure: the same cockpit on the same screen gives the same cells.
pub fn view(app: &App, frame: &mut Frame<'_>) {
    let area = frame.area();
    draw(app, area, frame.buffer_mut());
}

/// The same, into any buffer.
pub fn draw(app: &App, area: Rect, buffer: &mut Buffer) {
    let look = Look::of(app);
    if area.width < layout::SMALLEST.0 || area.height < layout::SMALLEST.1 {
        return too_small(app, &look, area, buffer);
    }
    let places = layout::places(area);
    header::draw(app, &look, places.header, buffer);
    if let (Some(trouble), true) = (&app.options.trouble, app.layers.is_empty()) {
        let below = Rect { y: area.y + 1, height: area.height - 2, ..area };
        welcome::draw(trouble, &look, below, buffer);
        return footer::draw(app, &look, places.footer, buffer);
    }
    header::headline(app, &look, places.headline, buffer);
    match full_screen(app) {
        Some(layer) => {
            let below = below(area);
            match layer {
                Layer::Table(table) => table::draw(app, &look, table, below, buffer),
                Layer::Object(object) => object::draw(app, &look, object, below, buffer),
                Layer::Text(text) => object::text(app, &look, text, below, buffer),
                Layer::Journal(journal) => journal::draw(app, &look, journal, below, buffer),
                Layer::Page(page, scroll) => pages::draw(app, &look, *page, *scroll, below, buffer),
                Layer::Form(_) | Layer::Columns(_) | Layer::Act | Layer::Palette(_) => {}
            }
        }
        None => main_screen(app, &look, &places, buffer),
    }
    let below = below(area);
    match app.layers.last() {
        Some(Layer::Act) => act::draw(app, &look, below, buffer),
        Some(Layer::Form(form)) => form::draw(app, &look, form, below, buffer),
        Some(Layer::Columns(chooser)) => columns::draw(app, &look, chooser, below, buffer),
        Some(Layer::Palette(palette)) => palette::draw(&look, palette, below, buffer),
        _ => {}
    }
    footer::draw(app, &look, places.footer, buffer);
}

/// The topmost layer that hides the main screen.
fn full_screen(app: &App) -> Option<&Layer> {
    let over =
        |layer: &&Layer| matches!(layer, Layer::Act | Layer::Form(_) | Layer::Columns(_) | Layer::Palette(_));
    app.layers.iter().rev().find(|layer| !over(layer))
}

fn main_screen(app: &App, look: &Look, places: &layout::Places, buffer: &mut Buffer) {
    for (panel, area) in Panel::ALL.into_iter().zip(places.panels) {
        if places.gauges {
            panels::gauge(app, look, panel, area, buffer);
        } else {
            panels::draw(app, look, panel, area, buffer);
        }
    }
    timeline::draw(app, look, places.timeline, buffer);
    let (list, told) = reading::split(app, look, places.anomalies);
    anomalies::draw(app, look, list, buffer);
    if let Some(told) = told {
        reading::draw(app, look, told, buffer);
    }
    playbook::draw(app, look, places.playbook, buffer);
}

/// A box in the middle, with what was below it cleared.
fn popup(area: Rect, width: u16, height: u16, buffer: &mut Buffer) -> Rect {
    // What is behind steps back.
    buffer.set_style(area, Style::new().add_modifier(Modifier::DIM).remove_modifier(Modifier::BOLD));
    let place = centred(area, width, height);
    Clear.render(place, buffer);
    place
}

/// In the middle, as large as there is room for.
fn centred(area: Rect, width: u16, height: u16) -> Rect {
    area.centered(Constraint::Length(width.min(area.width)), Constraint::Length(height.min(area.height)))
}

/// What lies below the two lines at the top and above the footer.
fn below(area: Rect) -> Rect {
    Rect { y: area.y + 2, height: area.height.saturating_sub(3), ..area }
}

/// Even here the worst must be told.
fn too_small(app: &App, look: &Look, area: Rect, buffer: &mut Buffer) {
    header::headline(app, look, Rect { height: area.height.min(1), ..area }, buffer);
    let words = [
        format!("{} anomalies", app.verdict.anomalies.len()),
        format!("this terminal is {}×{}", area.width, area.height),
        format!("the cockpit needs {}×{}", layout::SMALLEST.0, layout::SMALLEST.1),
    ];
    let rest = Rect { y: area.y + area.height.min(1), height: area.height.saturating_sub(1), ..area };
    fit::put_all(words.into_iter().map(|words| Line::styled(words, look.text)), rest, buffer);
}
