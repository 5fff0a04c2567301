//! All playbooks at hand: the product's own, compiled in, and a team's, which may replace one by id.

use std::sync::LazyLock;

use super::{Lint, Playbook, parse};

/// The product's own playbooks, readable as documentation.
const BUILT_IN: &str = include_str!("../../playbooks.toml");

#[derive(Clone, Debug, Default)]
pub struct Library {
    playbooks: Vec<Playbook>,
}

impl Library {
    /// The product's own playbooks. That they have no lints is tested.
    pub fn built_in() -> Self {
        static PLAYBOOKS: LazyLock<Vec<Playbook>> =
            LazyLock::new(|| parse::parse_own("playbooks.toml", BUILT_IN).unwrap_or_default());
        Self { playbooks: PLAYBOOKS.clone() }
    }

    /// The product's own playbooks and those of a team's file, given by its name and its text. A playbook of
    /// the same id replaces the product's own; otherwise it comes after them.
    pub fn with_team_file(file: &str, text: &str) -> Result<Self, Vec<Lint>> {
        let mut library = Self::built_in();
        for playbook in parse::parse(file, text)? {
            match library.playbooks.iter_mut().find(|own| own.id == playbook.id) {
                Some(own) => *own = playbook,
                None => library.playbooks.push(playbook),
            }
        }
        Ok(library)
    }

    /// The playbook of this id; the product's own have the names of their rules.
    pub fn get(&self, id: &str) -> Option<&Playbook> {
        self.playbooks.iter().find(|playbook| playbook.id == id)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Playbook> {
        self.playbooks.iter()
    }
}
