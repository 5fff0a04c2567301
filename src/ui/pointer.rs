//! What lies under the pointer, from the same geometry that draws it. Decides nothing about what a click means.

use ratatui::layout::{Position, Rect};

use super::style::Look;
use super::{
    anomalies, below, columns, footer, form, journal, layout, object, palette, playbook, reading, table,
};
use crate::app::{App, Layer, Panel, Target};

/// The target at a column and row of a screen of this size.
pub fn under(app: &App, area: Rect, (x, y): (u16, u16)) -> Option<Target> {
    if area.width < layout::SMALLEST.0 || area.height < layout::SMALLEST.1 {
        return None;
    }
    let look = Look::of(app);
    let places = layout::places(area);
    let hit = |place: Rect| place.contains(Position { x, y });
    if hit(places.footer) {
        return footer::at(app, &look, places.footer, x).map(Target::Press);
    }
    let body = below(area);
    match app.layers.last() {
        None if app.options.trouble.is_some() => None,
        None => on_main(app, &look, &places, (x, y)),
        Some(Layer::Table(table)) => table::at(app, table, body, (x, y)),
        Some(Layer::Object(object)) => object::at(&look, object, body, (x, y)).map(Target::Tab),
        Some(Layer::Palette(palette)) => palette::at(palette, body, y).map(Target::Entry),
        Some(Layer::Form(form)) => form::at(app, &look, form, body, y).map(Target::Entry),
        Some(Layer::Columns(chooser)) => columns::at(chooser, body, y).map(Target::Entry),
        Some(Layer::Journal(view)) => journal::at(app, view, body, y).map(Target::Entry),
        Some(Layer::Text(_) | Layer::Act | Layer::Page(..)) => None,
    }
}

fn on_main(app: &App, look: &Look, places: &layout::Places, (x, y): (u16, u16)) -> Option<Target> {
    let hit = |place: Rect| place.contains(Position { x, y });
    if let Some((panel, _)) = Panel::ALL.into_iter().zip(places.panels).find(|(_, place)| hit(*place)) {
        return Some(Target::Panel(panel));
    }
    if hit(places.timeline) {
        return Some(Target::Changes);
    }
    let (list, told) = reading::split(app, look, places.anomalies);
    if hit(list) {
        return Some(anomalies::at(app, look, list, y).map_or(Target::Anomalies, Target::Anomaly));
    }
    if told.is_some_and(hit) {
        return reading::step(app).map(Target::Reading);
    }
    hit(places.playbook).then(|| playbook::at(app, look, places.playbook, y))
}
