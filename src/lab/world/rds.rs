//! The database as RDS runs it: an Aurora Serverless v2 cluster with one instance, how far it may grow, and what was
//! measured of it each minute. It knows load, not sessions.

use std::collections::VecDeque;

use jiff::{SignedDuration, Timestamp};

use super::World;
use super::cluster::later;
use crate::lab::database::Database;

pub const DB_CLUSTER: &str = "covet-aurora";
pub const DB_INSTANCE: &str = "covet-aurora-1";
/// What Performance Insights calls the instance.
pub const DB_RESOURCE: &str = "db-7QKXWZ3M5N2LJH4VTRPB6YDC8A";

/// RDS publishes one point a minute.
const EVERY: SignedDuration = SignedDuration::from_secs(60);
/// Minutes that are kept.
const KEPT: usize = 180;
/// CPUs of one ACU, as far as this cluster is concerned.
const CPUS_OF_ACU: f64 = 1.0;
/// Serverless v2 keeps so much room above what is used.
const ROOM: f64 = 1.4;

/// How far the cluster may grow, in ACUs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Capacity {
    pub min: f64,
    pub max: f64,
}

/// One minute of the instance.
#[derive(Clone, Debug)]
pub struct Minute {
    pub at: Timestamp,
    /// Percent of what it may have at most.
    pub cpu: f64,
    /// Sessions on a CPU or wanting one, and those that wait for a lock.
    pub running: f64,
    pub waiting: f64,
    pub acus: f64,
    /// Percent.
    pub acu_use: f64,
    pub connections: f64,
    /// Seconds that each statement has cost since the beginning.
    pub statements: Vec<(String, f64)>,
}

/// The cluster.
pub struct Rds {
    pub capacity: Capacity,
    pub minutes: VecDeque<Minute>,
    next: Option<Timestamp>,
}

impl Default for Rds {
    fn default() -> Self {
        Self { capacity: Capacity { min: 2.0, max: 4.0 }, minutes: VecDeque::new(), next: None }
    }
}

impl Rds {
    /// CPUs that the cluster may have.
    pub(super) fn cpus(&self) -> f64 {
        self.capacity.max * CPUS_OF_ACU
    }

    /// Measures the minute that is over.
    pub(super) fn measure(&mut self, database: &Database, now: Timestamp) {
        if self.next.is_some_and(|next| next > now) {
            return;
        }
        self.next = Some(later(now, EVERY));
        let Capacity { min, max } = self.capacity;
        let acus = (database.cpu * max * ROOM).clamp(min, max);
        // ACUs come in halves.
        let acus = (acus * 2.0).ceil() / 2.0;
        let waiting =
            database.sessions.iter().filter(|session| !session.blocked_by.is_empty()).count() as f64;
        self.minutes.push_back(Minute {
            at: now,
            cpu: database.cpu * 100.0,
            running: (database.load - waiting).max(0.0),
            waiting,
            acus,
            acu_use: acus / max * 100.0,
            connections: database.sessions.len() as f64,
            statements: database
                .statements
                .iter()
                .map(|statement| (statement.text.clone(), statement.milliseconds / 1000.0))
                .collect(),
        });
        while self.minutes.len() > KEPT {
            self.minutes.pop_front();
        }
    }

    /// The minutes of a stretch of time.
    pub fn within(&self, from: Timestamp, to: Timestamp) -> impl Iterator<Item = &Minute> {
        self.minutes.iter().filter(move |minute| from <= minute.at && minute.at < to)
    }
}

impl World {
    pub fn rds(&self) -> &Rds {
        &self.rds
    }

    /// Lets the cluster have as many ACUs.
    pub fn set_capacity(&mut self, capacity: Capacity) {
        self.rds.capacity = capacity;
        self.sessions.set_cpus(self.rds.cpus());
    }
}
