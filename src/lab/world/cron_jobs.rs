//! CronJobs: a Job at its time, unless it rests or another one is in the way; and the oldest ended ones are tidied away.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::cluster::{Cluster, Work, later};
use super::cron::Schedule;
use super::deployment::owner_reference;
use super::events::{About, Source};
use super::jobs;
use super::objects::{self, CronJob, Job};
use super::shelf::Key;
use crate::lab::job;
use crate::lab::store::seconds;

const CONTROLLER: Source<'static> = Source { component: "cronjob-controller", host: "" };
/// When a scheduled run was due, as an annotation: a run by hand has none.
const DUE: &str = "batch.kubernetes.io/cronjob-scheduled-timestamp";

pub fn reconcile(cluster: &mut Cluster, key: &Key) {
    let Some(cron) = cluster.cron_jobs.get(key) else { return };
    tidy(cluster, &cron);
    count(cluster, key, &cron);
    let Some(schedule) = Schedule::parse(&cron.spec.schedule) else { return };
    let ran = cron.status.last_schedule_time.or(cron.metadata.creation_timestamp).unwrap_or(cluster.now);
    let mut due = None;
    let mut next = schedule.next(ran);
    while let Some(moment) = next.filter(|moment| *moment <= cluster.now) {
        due = Some(moment);
        next = schedule.next(moment);
    }
    if let Some(next) = next {
        cluster.enqueue_at(next, Work::CronJob(key.clone()));
    }
    if let Some(due) = due.filter(|_| !cron.spec.suspend) {
        start(cluster, key, &cron, due);
    }
}

fn runs(cluster: &Cluster, cron: &CronJob) -> Vec<Arc<Job>> {
    let own = |job: &Job| job.metadata.controller().is_some_and(|owner| owner.uid == cron.metadata.uid);
    let jobs = cluster.jobs.within(&cron.metadata.namespace).map(|(_, job)| job);
    jobs.filter(|job| own(job)).cloned().collect()
}

/// Those that the schedule began and that have not ended.
fn active(cluster: &Cluster, cron: &CronJob) -> Vec<Arc<Job>> {
    let scheduled = |job: &Job| job.metadata.annotations.contains_key(DUE);
    runs(cluster, cron).into_iter().filter(|job| scheduled(job) && !jobs::is_over(job)).collect()
}

fn start(cluster: &mut Cluster, key: &Key, cron: &CronJob, due: Timestamp) {
    let about = || About::new("cronjobs", &cron.metadata);
    let late = |span: i64| later(due, SignedDuration::from_secs(span)) < cluster.now;
    if cron.spec.starting_deadline_seconds.is_some_and(late) {
        let message = format!("Missed scheduled time to start a job: {}", seconds(due));
        return cluster.warn(about(), CONTROLLER, "MissSchedule", &message);
    }
    let running = active(cluster, cron);
    match cron.spec.concurrency_policy.as_str() {
        "Forbid" if !running.is_empty() => {
            let message =
                "Not starting job because prior execution is running and concurrency policy is Forbid";
            return cluster.normal(about(), CONTROLLER, "JobAlreadyActive", message);
        }
        "Replace" => running.iter().for_each(|job| cluster.delete::<Job>(&Key::of(&**job))),
        _ => {}
    }
    let name = format!("{}-{}", key.name, due.as_second() / 60);
    let made = run(cluster, cron, &name, due);
    if cluster.create::<Job>(made).is_ok() {
        cluster.normal(about(), CONTROLLER, "SuccessfulCreate", &format!("Created job {name}"));
    }
    cluster.update::<CronJob>(key, |cron| cron["status"]["lastScheduleTime"] = seconds(due).into());
}

/// The Job of one run, as it is when it is made.
pub fn run(cluster: &Cluster, cron: &CronJob, name: &str, due: Timestamp) -> Value {
    let template = &cron.spec.job_template;
    let mut metadata = json!({
        "name": name, "namespace": cron.metadata.namespace,
        "ownerReferences": [owner_reference("batch/v1", "CronJob", &cron.metadata.name, &cron.metadata.uid)],
    });
    for part in ["labels", "annotations"] {
        if template["metadata"][part].is_object() {
            metadata[part] = template["metadata"][part].clone();
        }
    }
    metadata["annotations"][DUE] = seconds(due).into();
    let mut made = json!({ "metadata": metadata, "spec": template["spec"] });
    job::select_own_pods(&mut made, &cluster.store.uid());
    made
}

/// The ended ones beyond what is to be kept, the oldest first.
fn tidy(cluster: &mut Cluster, cron: &CronJob) {
    let of = |kind: &str| {
        let mut ended: Vec<Arc<Job>> = runs(cluster, cron);
        ended.retain(|job| objects::condition(&job.status.conditions, kind).is_some());
        ended.sort_by_key(|job| (job.metadata.creation_timestamp, job.metadata.name.clone()));
        ended
    };
    let (well, failed) = (of("Complete"), of("Failed"));
    for (ended, kept) in [
        (well, cron.spec.successful_jobs_history_limit.unwrap_or(3)),
        (failed, cron.spec.failed_jobs_history_limit.unwrap_or(1)),
    ] {
        let over = ended.len().saturating_sub(kept);
        ended.iter().take(over).for_each(|job| cluster.delete::<Job>(&Key::of(&**job)));
    }
}

/// What the status tells of its runs, those by hand among them.
fn count(cluster: &mut Cluster, key: &Key, cron: &CronJob) {
    let done = |job: &Arc<Job>| job.status.completion_time;
    let success = runs(cluster, cron).iter().filter_map(done).max().max(cron.status.last_successful_time);
    let reference = |job: &Arc<Job>| {
        let Job { metadata, .. } = &**job;
        json!({ "apiVersion": "batch/v1", "kind": "Job", "name": metadata.name, "namespace": metadata.namespace, "uid": metadata.uid })
    };
    let running: Vec<Value> = active(cluster, cron).iter().map(reference).collect();
    cluster.update::<CronJob>(key, |cron| {
        if let Some(success) = success {
            cron["status"]["lastSuccessfulTime"] = seconds(success).into();
        }
        match (running.is_empty(), cron["status"].as_object_mut()) {
            (true, Some(status)) => drop(status.remove("active")),
            (true, None) => {}
            (false, _) => cron["status"]["active"] = running.into(),
        }
    });
}
