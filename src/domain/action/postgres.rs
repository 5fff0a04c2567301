//! Actions on PostgreSQL: statements with their parameters, no connection.

use serde::{Deserialize, Serialize};

use crate::domain::{Effect, Name};

/// What is asked of the database, or changed in it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(tag = "does", rename_all = "kebab-case")]
pub enum Sql {
    /// Whether it answers, how quickly, or with which SQLSTATE it refuses.
    PingDatabase,
}

impl Sql {
    /// Fixed by the type.
    pub fn effect(&self) -> Effect {
        match self {
            Sql::PingDatabase => Effect::Read,
        }
    }

    /// What is typed to confirm it.
    pub fn target(&self) -> Option<Name> {
        match self {
            Sql::PingDatabase => None,
        }
    }

    /// The line a person could paste into a shell.
    pub(super) fn as_command(&self) -> String {
        match self {
            Sql::PingDatabase => r#"psql "$DATABASE_URL" -c 'SELECT 1'"#.into(),
        }
    }

    /// Hides whatever is secret in it.
    pub(in crate::domain) fn mask(&mut self) {
        match self {
            Sql::PingDatabase => {}
        }
    }
}
