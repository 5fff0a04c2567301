//! All playbooks at hand: the product's own, compiled in, and a team's, which may replace one by id.

use std::sync::LazyLock;

use crate::domain::{self, Ask, Kind};

use super::{Lint, Playbook, Trigger, parse};

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

    /// The triggers that no rule of this build stands for.
    pub fn triggers(&self) -> Vec<domain::Trigger> {
        self.playbooks
            .iter()
            .filter_map(|playbook| {
                let (ask, for_) = ask(&playbook.trigger)?;
                Some(domain::Trigger {
                    playbook: playbook.id.as_str().into(),
                    title: playbook.title.as_str().into(),
                    place: playbook.place.as_str().into(),
                    ask,
                    for_,
                })
            })
            .collect()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Playbook> {
        self.playbooks.iter()
    }
}

fn ask(trigger: &Trigger) -> Option<(Ask, std::time::Duration)> {
    Some(match trigger {
        Trigger::Rule(_) => return None,
        Trigger::Alert(labels) => {
            let labels = labels.iter().map(|(name, value)| (name.as_str().into(), value.as_str().into()));
            (Ask::Alert { labels: labels.collect() }, std::time::Duration::ZERO)
        }
        Trigger::Promql { expr, above, below, for_ } => {
            (Ask::Promql { expr: expr.clone(), above: *above, below: *below }, *for_)
        }
        Trigger::Sql { query, above, for_ } => (Ask::Sql { query: query.clone(), above: *above }, *for_),
        Trigger::Object { kind, field, equals, matches, for_ } => {
            let matches = matches.as_ref().map(|pattern| pattern.as_str().to_owned());
            let (field, equals) = (field.clone(), equals.clone());
            (Ask::Object { kind: Kind::parse(kind)?, field, equals, matches }, *for_)
        }
    })
}
