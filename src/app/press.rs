//! From a key to what it means: text where text is being typed, else the table of keys for what is on top.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::act::Phase;
use super::event::Effect;
use super::keys::{self, Scope};
use super::line::Line;
use super::object::Tab;
use super::{App, Layer};
use crate::guard::Confirmation;

impl App {
    pub(super) fn press(&mut self, key: KeyEvent) -> Vec<Effect> {
        if self.is_typing()
            && let Some(effects) = self.type_key(key)
        {
            return effects;
        }
        match keys::meaning(&key, &self.scopes()) {
            Some(command) => self.command(command),
            None => Vec::new(),
        }
    }

    /// Where keys have their meaning now, the narrowest first.
    pub fn scopes(&self) -> Vec<Scope> {
        let mut scopes = match self.layers.last() {
            None if self.options.trouble.is_some() => vec![Scope::Welcome],
            None => vec![Scope::Main],
            Some(Layer::Table(_)) => vec![Scope::Table],
            Some(Layer::Columns(_)) => vec![Scope::Columns],
            Some(Layer::Form(_)) => vec![Scope::Form],
            Some(Layer::Journal(_)) => vec![Scope::Journal],
            Some(Layer::Object(object)) if object.tab == Tab::Logs => vec![Scope::Logs, Scope::Object],
            Some(Layer::Object(_) | Layer::Text(_)) => vec![Scope::Object],
            Some(Layer::Act) => match self.act.as_ref().map(|act| &act.phase) {
                Some(Phase::Confirming { .. }) => vec![Scope::Confirm],
                Some(Phase::Running { .. } | Phase::Previewing { .. }) => vec![Scope::Running],
                _ => vec![Scope::Outcome],
            },
            Some(_) => Vec::new(),
        };
        scopes.push(Scope::Anywhere);
        scopes
    }

    /// A field has the keys.
    pub fn is_typing(&self) -> bool {
        match self.layers.last() {
            Some(Layer::Palette(_) | Layer::Form(_)) => true,
            Some(Layer::Table(table)) => table.filtering,
            Some(Layer::Object(object)) => object.text().searching,
            Some(Layer::Text(text)) => text.text.searching,
            Some(Layer::Act) => self.act.as_ref().is_some_and(|act| {
                matches!(&act.phase, Phase::Confirming { preview, .. }
                    if matches!(preview.confirmation, Confirmation::Type(_)))
            }),
            None => self.filtering,
            _ => false,
        }
    }

    fn field(&mut self) -> Option<&mut Line> {
        if self.layers.is_empty() && self.filtering {
            return Some(&mut self.filter);
        }
        match self.layers.last_mut()? {
            Layer::Palette(palette) => Some(&mut palette.line),
            Layer::Form(form) => form.field(),
            Layer::Table(table) if table.filtering => Some(&mut table.filter),
            Layer::Object(object) => Some(&mut object.text_mut().search),
            Layer::Text(layer) => Some(&mut layer.text.search),
            Layer::Act => match &mut self.act.as_mut()?.phase {
                Phase::Confirming { typed, refused, .. } => {
                    *refused = None;
                    Some(typed)
                }
                _ => None,
            },
            _ => None,
        }
    }

    /// None: the key means nothing to a field, and the table of keys decides.
    fn type_key(&mut self, key: KeyEvent) -> Option<Vec<Effect>> {
        let ctrl = key.modifiers.contains(KeyModifiers::CONTROL);
        match (key.code, ctrl) {
            (KeyCode::Enter, _) => return Some(self.enter_field()),
            (KeyCode::Esc, _) | (KeyCode::Char('c'), true) => return Some(self.leave_field()),
            (KeyCode::Char('u'), true) => self.field()?.kill(),
            (KeyCode::Char('w'), true) => self.field()?.kill_word(),
            (KeyCode::Char('a'), true) => self.field()?.home(),
            (KeyCode::Char('e'), true) => self.field()?.end(),
            (KeyCode::Char('n'), true) => return Some(self.field_down(1)),
            (KeyCode::Char('p'), true) => return Some(self.field_down(-1)),
            (KeyCode::Char(_), true) => return None,
            (KeyCode::Char(character), false) if !key.modifiers.contains(KeyModifiers::ALT) => {
                self.field()?.insert(&character.to_string());
            }
            (KeyCode::Backspace, _) => self.field()?.backspace(),
            (KeyCode::Delete, _) => self.field()?.delete(),
            (KeyCode::Left, _) => self.field()?.left(),
            (KeyCode::Right, _) => self.field()?.right(),
            (KeyCode::Home, _) => self.field()?.home(),
            (KeyCode::End, _) => self.field()?.end(),
            (KeyCode::Down | KeyCode::Tab, _) => return Some(self.field_down(1)),
            (KeyCode::Up | KeyCode::BackTab, _) => return Some(self.field_down(-1)),
            _ => return None,
        }
        self.field_changed();
        Some(Vec::new())
    }

    pub(super) fn paste(&mut self, text: &str) {
        if self.is_typing()
            && let Some(field) = self.field()
        {
            field.insert(text.trim_end_matches(['\r', '\n']));
            self.field_changed();
        }
    }

    /// What follows from the text follows at once.
    fn field_changed(&mut self) {
        let Some(mut layer) = self.layers.pop() else {
            // The list is another: the worst of what is left, unless the choice is still in it.
            self.select_worst();
            return;
        };
        match &mut layer {
            Layer::Palette(palette) => palette.find(self),
            Layer::Table(table) => self.fill(table),
            _ => {}
        }
        self.layers.push(layer);
    }

    fn field_down(&mut self, by: isize) -> Vec<Effect> {
        match self.layers.last_mut() {
            Some(Layer::Palette(palette)) => palette.go(by),
            Some(Layer::Form(form)) => form.go(by),
            Some(Layer::Table(table)) => table.go(by),
            Some(Layer::Act) => {
                if let Some(act) = &mut self.act {
                    act.scroll = act.scroll.saturating_add_signed(by);
                }
            }
            None => self.move_selection(by),
            _ => {}
        }
        Vec::new()
    }

    pub(super) fn enter_field(&mut self) -> Vec<Effect> {
        let page = self.page();
        match self.layers.last_mut() {
            Some(Layer::Palette(palette)) => {
                let chosen = palette.entries.get(palette.at).map(|entry| entry.does.clone());
                self.layers.pop();
                chosen.map(|does| self.choose(does)).unwrap_or_default()
            }
            Some(Layer::Form(_)) => self.submit(),
            Some(Layer::Table(table)) => {
                table.filtering = false;
                Vec::new()
            }
            Some(Layer::Object(object)) => {
                let text = object.text_mut();
                text.searching = false;
                text.seek(true, page);
                Vec::new()
            }
            Some(Layer::Text(layer)) => {
                layer.text.searching = false;
                layer.text.seek(true, page);
                Vec::new()
            }
            Some(Layer::Act) => self.confirm(),
            None => {
                self.filtering = false;
                self.advise()
            }
            _ => Vec::new(),
        }
    }

    fn leave_field(&mut self) -> Vec<Effect> {
        match self.layers.last_mut() {
            Some(Layer::Form(form)) => {
                let waiting = form.editing.as_ref().map(|editing| Effect::Cancel(editing.request));
                self.layers.pop();
                return waiting.into_iter().collect();
            }
            Some(Layer::Palette(_)) => {
                self.layers.pop();
            }
            Some(Layer::Table(table)) => {
                table.filtering = false;
                table.filter = Line::default();
                self.field_changed();
            }
            Some(Layer::Object(object)) => {
                let text = object.text_mut();
                (text.searching, text.search) = (false, Line::default());
            }
            Some(Layer::Text(layer)) => {
                (layer.text.searching, layer.text.search) = (false, Line::default());
            }
            Some(Layer::Act) => return self.leave_act(),
            None => {
                (self.filtering, self.filter) = (false, Line::default());
                self.select_worst();
                return self.advise();
            }
            _ => {}
        }
        Vec::new()
    }
}
