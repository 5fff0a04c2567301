//! Choosing a drill before there is a cockpit: a list, a filter, a choice.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// One row of the list.
#[derive(Clone, Debug)]
pub struct Item {
    pub name: String,
    /// Rows of the same group stand together under it.
    pub group: String,
    pub title: String,
    pub story: String,
}

/// What a key led to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Choice {
    Open,
    Chosen(String),
    Left,
}

/// The list with its selection, held by name.
#[derive(Clone, Debug)]
pub struct Picker {
    /// Why the person is here, a line or two.
    pub intro: Vec<String>,
    pub filter: String,
    pub selected: Option<String>,
    items: Vec<Item>,
}

impl Picker {
    pub fn new(intro: Vec<String>, items: Vec<Item>) -> Self {
        let selected = items.first().map(|item| item.name.clone());
        Self { intro, filter: String::new(), selected, items }
    }

    /// Rows that match the filter, in the order given.
    pub fn visible(&self) -> Vec<&Item> {
        let wanted = self.filter.to_lowercase();
        self.items
            .iter()
            .filter(|item| format!("{} {}", item.name, item.title).to_lowercase().contains(&wanted))
            .collect()
    }

    /// The chosen row, if it is visible, else the first visible one.
    pub fn current(&self) -> Option<&Item> {
        let visible = self.visible();
        visible.iter().find(|item| Some(&item.name) == self.selected.as_ref()).or(visible.first()).copied()
    }

    pub fn update(&mut self, key: KeyEvent) -> Choice {
        match key.code {
            KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => return Choice::Left,
            KeyCode::Esc if self.filter.is_empty() => return Choice::Left,
            KeyCode::Esc => self.filter.clear(),
            KeyCode::Enter => {
                if let Some(item) = self.current() {
                    return Choice::Chosen(item.name.clone());
                }
            }
            KeyCode::Down | KeyCode::Tab => self.step(1),
            KeyCode::Up | KeyCode::BackTab => self.step(-1),
            KeyCode::Backspace => {
                self.filter.pop();
            }
            KeyCode::Char(character) => {
                // Letters filter; vi keys move only while nothing is typed.
                match (character, self.filter.is_empty()) {
                    ('j', true) => self.step(1),
                    ('k', true) => self.step(-1),
                    ('q', true) => return Choice::Left,
                    _ => self.filter.push(character),
                }
            }
            _ => {}
        }
        Choice::Open
    }

    fn step(&mut self, by: isize) {
        let visible = self.visible();
        let Some(current) = self.current() else { return };
        let at = visible.iter().position(|item| item.name == current.name).unwrap_or(0);
        let to = at.saturating_add_signed(by).min(visible.len() - 1);
        self.selected = Some(visible[to].name.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picker() -> Picker {
        let item = |name: &str| Item {
            name: name.into(),
            group: "g".into(),
            title: format!("the {name}"),
            story: String::new(),
        };
        Picker::new(vec![], vec![item("oom"), item("config"), item("quota")])
    }

    fn press(picker: &mut Picker, code: KeyCode) -> Choice {
        picker.update(KeyEvent::new(code, KeyModifiers::NONE))
    }

    #[test]
    fn keys_move_filter_and_choose() {
        let mut picker = picker();
        press(&mut picker, KeyCode::Char('j'));
        press(&mut picker, KeyCode::Down);
        press(&mut picker, KeyCode::Down);
        assert_eq!(picker.current().map(|item| &*item.name), Some("quota"));
        press(&mut picker, KeyCode::Char('c'));
        press(&mut picker, KeyCode::Char('o'));
        assert_eq!(press(&mut picker, KeyCode::Enter), Choice::Chosen("config".into()));
        press(&mut picker, KeyCode::Esc);
        assert_eq!(picker.visible().len(), 3);
        assert_eq!(press(&mut picker, KeyCode::Esc), Choice::Left);
    }

    #[test]
    fn a_filter_that_matches_nothing_chooses_nothing() {
        let mut picker = picker();
        press(&mut picker, KeyCode::Char('z'));
        assert_eq!(press(&mut picker, KeyCode::Enter), Choice::Open);
        press(&mut picker, KeyCode::Down);
    }
}
