//! Jobs and CronJobs on the wire, and the slim values made of them.

use serde::Deserialize;

use super::names::Names;
use super::template::{TemplateWire, template};
use super::wire::{ConditionWire, Meta, conditions, count, time};
use crate::domain::{Concurrency, CronJob, Job};

#[derive(Deserialize, Debug, Default)]
pub(in crate::eyes) struct JobWire {
    #[serde(default)]
    metadata: Meta,
    spec: Option<JobSpec>,
    status: Option<JobStatus>,
}

#[derive(Deserialize, Debug, Default)]
#[serde(rename_all = "camelCase")]
struct JobSpec {
    suspend: Option<bool>,
    backoff_limit: Option<i64>,
    template: Option<TemplateWire>,
}

#[derive(Deserialize, Debug, Default)]
struct JobStatus {
    active: Option<i64>,
    succeeded: Option<i64>,
    failed: Option<i64>,
    conditions: Option<Vec<ConditionWire>>,
}

pub(in crate::eyes) fn job(wire: JobWire, names: &mut Names) -> Option<Job> {
    let JobWire { metadata, spec, status } = wire;
    let (spec, status) = (spec.unwrap_or_default(), status.unwrap_or_default());
    let key = metadata.key(names)?;
    Some(Job {
        uid: metadata.uid(),
        owner: metadata.owner(names),
        created: metadata.created(),
        deleting: metadata.deletion_timestamp.is_some(),
        suspended: spec.suspend == Some(true),
        backoff_limit: count(Some(spec.backoff_limit.unwrap_or(6))),
        active: count(status.active),
        succeeded: count(status.succeeded),
        failed: count(status.failed),
        conditions: conditions(status.conditions.as_ref(), names),
        template: template(spec.template, &key, names),
        key,
    })
}

#[derive(Deserialize, Debug, Default)]
pub(in crate::eyes) struct CronJobWire {
    #[serde(default)]
    metadata: Meta,
    spec: Option<CronJobSpec>,
    status: Option<CronJobStatus>,
}

#[derive(Deserialize, Debug, Default)]
#[serde(rename_all = "camelCase")]
struct CronJobSpec {
    schedule: Option<String>,
    suspend: Option<bool>,
    concurrency_policy: Option<String>,
}

#[derive(Deserialize, Debug, Default)]
#[serde(rename_all = "camelCase")]
struct CronJobStatus {
    active: Option<Vec<serde::de::IgnoredAny>>,
    last_schedule_time: Option<String>,
    last_successful_time: Option<String>,
}

pub(in crate::eyes) fn cron_job(wire: CronJobWire, names: &mut Names) -> Option<CronJob> {
    let CronJobWire { metadata, spec, status } = wire;
    let (spec, status) = (spec.unwrap_or_default(), status.unwrap_or_default());
    Some(CronJob {
        key: metadata.key(names)?,
        uid: metadata.uid(),
        created: metadata.created(),
        edited: metadata.edited(names),
        suspended: spec.suspend == Some(true),
        schedule: names.shared(spec.schedule.as_deref().unwrap_or_default()),
        concurrency: match spec.concurrency_policy.as_deref() {
            Some("Forbid") => Concurrency::Forbid,
            Some("Replace") => Concurrency::Replace,
            _ => Concurrency::Allow,
        },
        active: count(status.active.map(|active| active.len() as i64)),
        last_scheduled: time(status.last_schedule_time.as_ref()),
        last_successful: time(status.last_successful_time.as_ref()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_that_gave_up_and_its_cron_job() {
        let wire = serde_json::from_str(
            r#"{"metadata": {"name": "backup-29384710", "namespace": "ops", "ownerReferences":
            [{"kind": "CronJob", "name": "backup", "uid": "c", "controller": true}]}, "spec": {"template": {}},
            "status": {"failed": 7, "conditions": [{"type": "FailureTarget", "status": "True"}, {"type": "Failed",
            "status": "True", "reason": "BackoffLimitExceeded", "lastTransitionTime": "2026-03-01T03:00:00Z"}]}}"#,
        );
        let job = job(wire.expect("a job"), &mut Names::default()).expect("a name");
        let (at, reason, _) = job.gave_up().expect("it gave up");
        assert_eq!(
            (at.to_string().as_str(), reason, job.backoff_limit),
            ("2026-03-01T03:00:00Z", "BackoffLimitExceeded", 6)
        );
        let wire = serde_json::from_str(
            r#"{"metadata": {"name": "backup", "namespace": "ops", "uid": "c"}, "spec": {"schedule": "0 3 * * *",
            "concurrencyPolicy": "Forbid"}, "status": {"active": [{"name": "a"}], "lastScheduleTime": "2026-03-01T03:00:00Z"}}"#,
        );
        let cron = cron_job(wire.expect("a cron job"), &mut Names::default()).expect("a name");
        assert!(
            cron.concurrency == Concurrency::Forbid && cron.active == 1 && cron.last_successful.is_none()
        );
    }
}
