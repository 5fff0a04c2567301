//! What the database does just now, beside its slots: who holds them, who blocks whom, which statement costs
//! most. Query texts are cleaned and redacted before they get here.

use std::time::Duration;

use super::{Name, Timestamp};

/// One look at the activity of the whole server.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Activity {
    /// Clients by the slots they hold, the largest first; ten at most.
    pub holders: Vec<Holder>,
    /// Roles and databases that use most of the connections they may have, the fullest first; ten at most.
    pub limits: Vec<ConnectionLimit>,
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
    /// When the client sessions that live now were opened, the oldest first; looked at once for each connection.
    pub opened: Vec<Timestamp>,
    /// Replicas that stream from this server; ten at most.
    pub replicas: Vec<Replica>,
    /// How many CPUs the server has, as the settings say.
    pub cpus: Option<f64>,
    /// What the role may not see or the server does not have, each with its repair.
    pub unseen: Vec<Name>,
}

/// A replica as its primary sees it.
#[derive(Clone, PartialEq, Debug)]
pub struct Replica {
    /// As it calls itself; its address where it has no name.
    pub name: Name,
    /// How far what it shows is behind; None while nothing is written.
    pub lag: Option<Duration>,
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

/// A role or a database that may have only so many connections, whatever the server has.
#[derive(Clone, PartialEq, Debug)]
pub struct ConnectionLimit {
    pub of: Limited,
    pub name: Name,
    /// `rolconnlimit` or `datconnlimit`.
    pub most: u32,
    pub used: u32,
}

/// What a connection limit is of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Limited {
    Role,
    Database,
}

impl ConnectionLimit {
    /// The next connection is refused.
    pub fn is_reached(&self) -> bool {
        self.used >= self.most
    }

    /// Used ÷ allowed.
    pub fn fill(&self) -> f64 {
        if self.is_reached() { 1.0 } else { f64::from(self.used) / f64::from(self.most) }
    }

    /// `role app uses 12 of its 12 connections`.
    pub fn says(&self) -> String {
        let of = match self.of {
            Limited::Role => "role",
            Limited::Database => "database",
        };
        format!("{of} {} uses {} of its {} connections", self.name, self.used, self.most)
    }

    /// What raises it, the number left to a person.
    pub fn raised_by(&self) -> String {
        let of = match self.of {
            Limited::Role => "ROLE",
            Limited::Database => "DATABASE",
        };
        format!("ALTER {of} \"{}\" CONNECTION LIMIT …", self.name.replace('"', "\"\""))
    }
}

impl Holder {
    /// As a person would call it.
    pub fn who(&self) -> &Name {
        who(&self.application, &self.role)
    }
}

impl LockRoot {
    /// The root that a step can be for: the one with most waiters behind it that is no superuser's, if there is one.
    pub fn to_be_ended(roots: &[LockRoot]) -> Option<&LockRoot> {
        roots.iter().find(|root| !root.superuser).or(roots.first())
    }

    /// The role without whose rank it cannot be ended; empty where it can.
    pub fn only_by(&self) -> &str {
        if self.superuser { &self.role } else { "" }
    }

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
    /// Its role is a superuser: nobody else may end it, and no step does.
    pub superuser: bool,
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
