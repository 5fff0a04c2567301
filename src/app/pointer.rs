//! What a click or the wheel means, once it is known what lies under the pointer. A click never confirms
//! anything: changes are confirmed by key.

use std::time::Duration;

use crossterm::event::{KeyEvent, KeyModifiers};

use super::event::Effect;
use super::keys::{Command, Press};
use super::object::Tab;
use super::panel::Panel;
use super::{App, Focus, Layer, Selection};
use crate::domain::{AnomalyId, Key, Timestamp, between};

/// What lies under the pointer.
#[derive(Clone, PartialEq, Debug)]
pub enum Target {
    Panel(Panel),
    Changes,
    /// The list of anomalies, beside its rows.
    Anomalies,
    Anomaly(AnomalyId),
    Playbook,
    /// The suggestion above the steps.
    Suggestion,
    /// A step or an item of the checklist.
    Step(String),
    /// The reading that is shown of a step.
    Reading(String),
    /// A row of a full-screen list.
    Row(Key),
    /// The heading of a column.
    Heading(usize),
    Tab(Tab),
    /// A row of a list that is known by its number only: palette, columns, form, journal.
    Entry(usize),
    /// A key of the footer.
    Press(Press),
}

/// A click, to be doubled.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Clicked {
    at: Timestamp,
    cell: (u16, u16),
    target: Target,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Gesture {
    Click,
    WheelUp,
    WheelDown,
}

/// Two clicks on the same cell within this time are a double click, as on most desktops.
const DOUBLE: Duration = Duration::from_millis(500);
/// Lines a turn of the wheel moves a text by.
const NOTCH: isize = 3;

impl App {
    pub(super) fn point(
        &mut self,
        target: Option<Target>,
        cell: (u16, u16),
        gesture: Gesture,
    ) -> Vec<Effect> {
        match gesture {
            Gesture::WheelUp => self.wheel(target.as_ref(), -1),
            Gesture::WheelDown => self.wheel(target.as_ref(), 1),
            Gesture::Click => {
                // By its place, because the first click may have scrolled what it hit.
                if let Some(first) = self.clicked.take()
                    && first.cell == cell
                    && between(first.at, self.now) <= DOUBLE
                {
                    return self.double_click(first.target);
                }
                let Some(target) = target else { return Vec::new() };
                self.clicked = Some(Clicked { at: self.now, cell, target: target.clone() });
                self.click(target)
            }
        }
    }

    /// The wheel moves what it is over.
    fn wheel(&mut self, target: Option<&Target>, by: isize) -> Vec<Effect> {
        match self.layers.last() {
            Some(Layer::Object(_) | Layer::Text(_) | Layer::Page(..) | Layer::Act) => {
                return self.vertical(by * NOTCH);
            }
            Some(_) => return self.vertical(by),
            None => {}
        }
        match target {
            Some(Target::Anomalies | Target::Anomaly(_)) => {
                self.focus = Focus::Anomalies;
                self.vertical(by)
            }
            Some(Target::Playbook | Target::Suggestion | Target::Step(_)) => {
                self.focus = Focus::Playbook;
                self.vertical(by)
            }
            _ => Vec::new(),
        }
    }

    fn click(&mut self, target: Target) -> Vec<Effect> {
        match target {
            Target::Panel(panel) => self.focus = Focus::Panel(panel),
            Target::Anomalies => self.focus = Focus::Anomalies,
            Target::Playbook => self.focus = Focus::Playbook,
            Target::Anomaly(id) => {
                self.focus = Focus::Anomalies;
                self.select(id);
                return self.advise();
            }
            Target::Suggestion => self.stand_on(None),
            Target::Step(step) | Target::Reading(step) => self.stand_on(Some(step)),
            Target::Row(key) => {
                if let Some(Layer::Table(table)) = self.layers.last_mut() {
                    table.cursor = Some(key);
                }
            }
            Target::Heading(column) => {
                if let Some(Layer::Table(table)) = self.layers.last_mut() {
                    table.sort_by(column);
                }
                self.refresh_tables();
            }
            Target::Tab(tab) => {
                if let Some(Layer::Object(object)) = self.layers.last_mut() {
                    object.tab = tab;
                }
                return self.enter_tab();
            }
            Target::Entry(at) => self.stand_at(at),
            Target::Press(press) => return self.press_by_pointer(press),
            Target::Changes => {}
        }
        Vec::new()
    }

    fn double_click(&mut self, target: Target) -> Vec<Effect> {
        match target {
            Target::Panel(panel) => self.open_panel(panel),
            Target::Changes => self.command(Command::Changes),
            Target::Suggestion => self.command(Command::Suggested),
            Target::Anomaly(_) | Target::Step(_) | Target::Reading(_) | Target::Row(_) => {
                self.command(Command::Open)
            }
            Target::Entry(at) => {
                self.stand_at(at);
                match self.layers.last() {
                    Some(Layer::Palette(_)) => self.enter_field(),
                    Some(Layer::Columns(_)) => self.command(Command::Toggle),
                    Some(Layer::Journal(_)) => self.command(Command::Open),
                    _ => Vec::new(),
                }
            }
            once @ (Target::Anomalies | Target::Playbook | Target::Heading(_) | Target::Tab(_)) => {
                self.click(once)
            }
            // A second click on a key is a second press of it.
            Target::Press(press) => self.press_by_pointer(press),
        }
    }

    pub(super) fn stand_on(&mut self, step: Option<String>) {
        self.focus = Focus::Playbook;
        let chosen = self.selection.anomaly.clone();
        if let Some(dossier) = chosen.as_ref().and_then(|id| self.dossiers.get_mut(id)) {
            dossier.cursor = step;
            self.selection = Selection { by_person: true, ..self.selection.clone() };
        }
    }

    fn stand_at(&mut self, at: usize) {
        let records = self.journal.len();
        match self.layers.last_mut() {
            Some(Layer::Palette(palette)) => palette.at = at.min(palette.entries.len().saturating_sub(1)),
            Some(Layer::Form(form)) => form.at = at.min(form.fields.len().saturating_sub(1)),
            Some(Layer::Columns(chooser)) => chooser.at = at.max(1),
            Some(Layer::Journal(journal)) => journal.cursor = at.min(records.saturating_sub(1)),
            _ => {}
        }
    }

    fn press_by_pointer(&mut self, press: Press) -> Vec<Effect> {
        let modifiers = if press.ctrl { KeyModifiers::CONTROL } else { KeyModifiers::NONE };
        self.press(KeyEvent::new(press.code, modifiers))
    }
}
