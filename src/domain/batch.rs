//! Jobs and CronJobs, slim.

use std::time::Duration;

use super::config_object::Edit;
use super::schedule::Schedule;
use super::{Condition, Key, Name, Owner, Status, Template, Timestamp};

#[derive(Clone, PartialEq, Debug)]
pub struct Job {
    pub key: Key,
    pub uid: Name,
    /// The CronJob, or whatever else runs it.
    pub owner: Option<Owner>,
    pub created: Timestamp,
    pub deleting: bool,
    pub suspended: bool,
    /// `spec.backoffLimit`; Kubernetes' default is 6.
    pub backoff_limit: u32,
    pub active: u32,
    pub succeeded: u32,
    pub failed: u32,
    pub conditions: Box<[Condition]>,
    pub template: Template,
}

impl Job {
    /// When it gave up, and the reason it gives: `BackoffLimitExceeded`, `DeadlineExceeded`.
    pub fn gave_up(&self) -> Option<(Timestamp, &str, Option<&Name>)> {
        let row = self.met("Failed")?;
        let reason = row.reason.as_deref().unwrap_or("Failed");
        Some((row.since.unwrap_or(self.created), reason, row.message.as_ref()))
    }

    pub fn is_complete(&self) -> bool {
        self.met("Complete").is_some()
    }

    fn met(&self, kind: &str) -> Option<&Condition> {
        self.conditions.iter().find(|row| &*row.kind == kind && row.status == Status::True)
    }
}

#[derive(Clone, PartialEq, Debug)]
pub struct CronJob {
    pub key: Key,
    pub uid: Name,
    pub created: Timestamp,
    /// The last write to its specification.
    pub edited: Option<Edit>,
    pub suspended: bool,
    /// In cron's words.
    pub schedule: Name,
    pub concurrency: Concurrency,
    pub active: u32,
    pub last_scheduled: Option<Timestamp>,
    pub last_successful: Option<Timestamp>,
}

/// `spec.concurrencyPolicy`: what becomes of a run that is due while another goes on.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Concurrency {
    /// It joins it.
    #[default]
    Allow,
    /// It is left out.
    Forbid,
    /// It ends it, and takes its place.
    Replace,
}

impl CronJob {
    /// The longest time between two runs, where the schedule is understood.
    pub fn longest_pause(&self) -> Option<Duration> {
        Schedule::parse(&self.schedule).map(|schedule| schedule.longest_pause())
    }
}
