//! What the database does just now, beside its slots: who holds them, who blocks whom, which statement costs
//! most. Query texts are cleaned and redacted before they get here.

use std::time::Duration;

use super::{Name, Timestamp};

/// One look at the activity of the whole server.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Activity {
    /// Clients by the slots they hold, the largest first; ten at most.
    pub holders: Vec<Holder>,
    /// Sessions that have been idle in a transaction for more than five minutes, in this database.
    pub stuck: u32,
    /// Sessions that others wait for and that wait for nobody, the one with most waiters first; ten at most.
    pub roots: Vec<LockRoot>,
    /// How long the longest has been waiting for a lock.
    pub longest_wait: Option<Duration>,
    /// Whose sessions wait for locks, each once: applications, or roles where none is named.
    pub waiting: Vec<Name>,
    /// The statement that most of the time went to between two looks half a minute apart, if the server
    /// counts statements.
    pub top: Option<TopQuery>,
    /// Indexes that were begun and never finished: written to, never read.
    pub invalid_indexes: Vec<Name>,
    /// Share of an index that is being built, 0 to 1.
    pub building: Option<f64>,
    /// How many CPUs the server has, as the settings say.
    pub cpus: Option<f64>,
    /// What the role may not see or the server does not have, each with its repair.
    pub unseen: Vec<Name>,
}

/// Sessions of one client in one state.
#[derive(Clone, PartialEq, Debug)]
pub struct Holder {
    pub database: Name,
    pub role: Name,
    pub application: Name,
    /// As `pg_stat_activity` says; empty when it is not to be seen.
    pub state: Name,
    pub sessions: u32,
    /// How long the oldest of them has been in this state.
    pub longest: Option<Duration>,
}

impl Holder {
    /// As a person would call it.
    pub fn who(&self) -> &Name {
        who(&self.application, &self.role)
    }
}

impl LockRoot {
    /// As a person would call it.
    pub fn who(&self) -> &Name {
        who(&self.application, &self.role)
    }
}

fn who<'a>(application: &'a Name, role: &'a Name) -> &'a Name {
    if application.is_empty() { role } else { application }
}

/// The beginning of a lock chain.
#[derive(Clone, PartialEq, Debug)]
pub struct LockRoot {
    pub pid: i32,
    pub backend_start: Timestamp,
    pub database: Name,
    pub role: Name,
    pub application: Name,
    /// `active`, `idle in transaction`, …
    pub state: Name,
    /// The age of its transaction.
    pub transaction: Option<Duration>,
    /// What it runs, or ran last.
    pub query: Name,
    /// Sessions that wait for it, directly or behind others.
    pub blocked: u32,
}

/// A statement and its share of the server's time.
#[derive(Clone, PartialEq, Debug)]
pub struct TopQuery {
    /// `pg_stat_statements.queryid`.
    pub id: i64,
    pub text: Name,
    /// Of all the time spent between the two looks, 0 to 1.
    pub share: f64,
    pub calls_per_second: f64,
    /// Milliseconds.
    pub mean: f64,
}
