//! Actions on PostgreSQL: what is asked of the database and what is changed in it, without a connection.
//! Names are kept as they are; whoever makes SQL of them checks and quotes them.

mod command;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::{Effect, Name, Timestamp, masked, text};

/// What is asked of the database, or changed in it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(tag = "does", rename_all = "kebab-case")]
pub enum Sql {
    // Reads.
    /// Whether it answers, how quickly, or with which SQLSTATE it refuses.
    PingDatabase,
    /// Slots of the whole server, and which clients hold them.
    DatabaseCapacity,
    /// Open transactions, the oldest first.
    LongTransactions,
    /// The sessions that a pick would mean, one by one.
    PickedSessions { pick: Pick },
    /// Who waits for whose locks.
    LockTree,
    /// Two looks at pg_stat_statements: which statements the time between them went to.
    ExpensiveQueries { apart: Duration },
    /// Tables by rows read without an index.
    TableScans,
    /// Indexes that are being built, and INVALID leftovers.
    IndexState,
    /// The plan of a statement, never executed. None: the one that takes most of the time.
    ExplainQuery { query: Option<i64> },
    /// The settings that decide about connections, memory and timeouts.
    DatabaseSettings,
    /// How far replicas are behind.
    ReplicaLag,
    /// Replicas × workers × pool against what the server has; pool sizes are those of a ConfigMap.
    PoolBudget { namespace: Name, config_map: Option<Name> },
    /// Accounts with many failed logins, and those that got in after them.
    AccountFailures { more_than: u32 },

    // Changes.
    /// Ends exactly these sessions; their transactions are rolled back.
    TerminateSessions {
        pick: Pick,
        /// Empty until a preview has found them.
        #[serde(default)]
        sessions: Vec<SessionTarget>,
    },
    /// Cancels what exactly these sessions run; the sessions stay.
    CancelQueries {
        pick: Pick,
        #[serde(default)]
        sessions: Vec<SessionTarget>,
    },
    /// CREATE INDEX CONCURRENTLY.
    CreateIndex {
        /// `table` or `schema.table`.
        table: Name,
        columns: Vec<Name>,
        /// None: made of table and columns.
        index: Option<Name>,
    },
    /// DROP INDEX CONCURRENTLY.
    DropIndex {
        /// `index` or `schema.index`.
        index: Name,
    },
    /// ALTER ROLE … IN DATABASE … SET, or RESET with None. It holds for sessions that begin afterwards.
    SetRoleSetting {
        role: Name,
        database: Name,
        setting: Name,
        value: Option<String>,
        /// What must be set now; only a way back says so. The inner None means: nothing.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        instead_of: Option<Option<String>>,
    },
    /// Accounts in the application's own table of users.
    DisableUsers { users: Vec<String> },
    /// Exactly the rows that were disabled, by id.
    EnableUsers { ids: Vec<String> },
}

/// Which sessions are meant.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Pick {
    pub which: Which,
    /// Only those that have been so for this long.
    pub older: Duration,
    /// Only those of this role.
    #[serde(default)]
    pub role: Option<Name>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Which {
    /// A transaction is open and nothing happens in it. In this database only.
    IdleInTransaction,
    /// Idle, and nobody of the same role and application has done anything for ten minutes: no pool that works.
    Idle,
    /// Others wait for their locks and they wait for nobody, in whatever database.
    LockRoots,
    /// They have been running one statement for long.
    LongQueries,
}

/// A session as it was seen. The process id alone may be another's by now.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct SessionTarget {
    pub pid: i32,
    pub backend_start: Timestamp,
    /// Since when it has been as it was seen: its last change of state, or the start of its transaction.
    pub since: Timestamp,
}

impl Which {
    pub const ALL: [(&'static str, Which); 4] = [
        ("idle-in-transaction", Which::IdleInTransaction),
        ("idle", Which::Idle),
        ("lock-roots", Which::LockRoots),
        ("long-queries", Which::LongQueries),
    ];

    pub fn parse(word: &str) -> Option<Which> {
        Self::ALL.iter().find(|(name, _)| *name == word).map(|(_, which)| *which)
    }

    /// For a person: `idle in transaction`.
    pub fn says(self) -> &'static str {
        match self {
            Which::IdleInTransaction => "idle in transaction",
            Which::Idle => "idle outside of a working pool",
            Which::LockRoots => "at the root of a lock chain",
            Which::LongQueries => "running one statement",
        }
    }
}

impl Sql {
    /// Fixed by the type.
    pub fn effect(&self) -> Effect {
        match self {
            Sql::PingDatabase
            | Sql::DatabaseCapacity
            | Sql::LongTransactions
            | Sql::PickedSessions { .. }
            | Sql::LockTree
            | Sql::ExpensiveQueries { .. }
            | Sql::TableScans
            | Sql::IndexState
            | Sql::ExplainQuery { .. }
            | Sql::DatabaseSettings
            | Sql::ReplicaLag
            | Sql::PoolBudget { .. }
            | Sql::AccountFailures { .. } => Effect::Read,
            Sql::SetRoleSetting { .. } => Effect::Change,
            Sql::TerminateSessions { .. }
            | Sql::CancelQueries { .. }
            | Sql::CreateIndex { .. }
            | Sql::DropIndex { .. }
            | Sql::DisableUsers { .. }
            | Sql::EnableUsers { .. } => Effect::Disruptive,
        }
    }

    /// What is typed to confirm it.
    pub fn target(&self) -> Option<Name> {
        match self {
            Sql::TerminateSessions { sessions, .. } | Sql::CancelQueries { sessions, .. } => {
                match sessions.as_slice() {
                    [one] => Some(one.pid.to_string().into()),
                    many => Some(text::count(many.len(), "session").into()),
                }
            }
            Sql::CreateIndex { table, .. } => Some(table.clone()),
            Sql::DropIndex { index } => Some(index.clone()),
            Sql::SetRoleSetting { role, .. } => Some(role.clone()),
            Sql::DisableUsers { users } => match users.as_slice() {
                [one] => Some(one.as_str().into()),
                many => Some(text::count(many.len(), "user").into()),
            },
            Sql::EnableUsers { ids } => match ids.as_slice() {
                [one] => Some(one.as_str().into()),
                many => Some(text::count(many.len(), "user").into()),
            },
            _ => None,
        }
    }

    /// Hides whatever is secret in it.
    pub(in crate::domain) fn mask(&mut self) {
        if let Sql::SetRoleSetting { setting, value, instead_of, .. } = self {
            for value in [Some(value), instead_of.as_mut()].into_iter().flatten().flatten() {
                if crate::domain::is_telling(setting, value) {
                    *value = masked(value);
                }
            }
        }
    }
}
