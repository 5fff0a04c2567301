//! Jobs: pods until enough of them succeed, with longer and longer pauses after those that fail, and not for ever.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::birth;
use super::cluster::{Cluster, Work, later};
use super::conditions::{self, Shown};
use super::deployment::owner_reference;
use super::events::{About, Source};
use super::objects::{self, Job, Pod};
use super::replica_set::put_count;
use super::shelf::Key;
use crate::lab::store::seconds;

/// The pause after the first failed pod and the longest one, in seconds.
const FIRST_PAUSE: f64 = 10.0;
const LONGEST_PAUSE: f64 = 600.0;
/// How soon a pod that was refused is tried again.
const REFUSED: f64 = 15.0;

const CONTROLLER: Source<'static> = Source { component: "job-controller", host: "" };

/// Its pods, by how they stand.
struct Pods {
    all: Vec<Arc<Pod>>,
    active: usize,
    succeeded: usize,
    failed: usize,
}

impl Pods {
    fn of(cluster: &Cluster, job: &Job) -> Self {
        let all = cluster.owned_pods(&job.metadata.uid);
        let count = |phase: &str| all.iter().filter(|pod| pod.status.phase == phase).count();
        let active = all.iter().filter(|pod| pod.is_active()).count();
        Self { active, succeeded: count("Succeeded"), failed: count("Failed"), all }
    }

    /// When the last one that failed ended.
    fn last_failure(&self) -> Option<Timestamp> {
        let failed = self.all.iter().filter(|pod| pod.status.phase == "Failed");
        let ends = failed.flat_map(|pod| &pod.status.container_statuses);
        ends.filter_map(|row| row.state.terminated.as_ref()?.finished_at).max()
    }
}

pub fn reconcile(cluster: &mut Cluster, key: &Key) {
    let Some(job) = cluster.jobs.get(key) else { return };
    if is_over(&job) {
        return expire(cluster, key, &job);
    }
    let mut pods = Pods::of(cluster, &job);
    let began = job.status.start_time.unwrap_or(cluster.now);
    let deadline = job.spec.active_deadline_seconds.map(|span| later(began, SignedDuration::from_secs(span)));
    if pods.succeeded >= job.spec.completions.unwrap_or(1) {
        return end(cluster, key, &pods, &COMPLETE);
    }
    if deadline.is_some_and(|deadline| deadline <= cluster.now) {
        return end(cluster, key, &pods, &LATE);
    }
    if pods.failed > job.spec.backoff_limit.unwrap_or(6) {
        return end(cluster, key, &pods, &GAVE_UP);
    }
    if let Some(deadline) = deadline {
        cluster.enqueue_at(deadline, Work::Job(key.clone()));
    }
    if job.spec.suspend {
        pods.all.iter().filter(|pod| pod.is_active()).for_each(|pod| cluster.delete_gracefully(pod));
        pods.active = 0;
    } else {
        pods.active += grow(cluster, key, &job, &pods);
    }
    count(cluster, key, &pods, |_, _| {});
}

pub fn is_over(job: &Job) -> bool {
    ["Complete", "Failed"].iter().any(|kind| objects::condition(&job.status.conditions, kind).is_some())
}

/// Makes the pods that are wanted now; how many.
fn grow(cluster: &mut Cluster, key: &Key, job: &Job, pods: &Pods) -> usize {
    let left = job.spec.completions.unwrap_or(1).saturating_sub(pods.succeeded);
    let wanted = job.spec.parallelism.unwrap_or(1).min(left).saturating_sub(pods.active);
    if let (Some(last), 1..) = (pods.last_failure(), wanted) {
        let doubled = FIRST_PAUSE * 2_f64.powi(pods.failed.saturating_sub(1).min(16) as i32);
        let due = later(last, cluster.lasting(doubled.min(LONGEST_PAUSE)));
        if due > cluster.now {
            cluster.enqueue_at(due, Work::Job(key.clone()));
            return 0;
        }
    }
    let owner = owner_reference("batch/v1", "Job", &job.metadata.name, &job.metadata.uid);
    for made in 0..wanted {
        let about = About::new("jobs", &job.metadata);
        match birth::pod(cluster, &job.metadata, &job.spec.template, &owner) {
            Ok(pod) => {
                let message = format!("Created pod: {}", pod.metadata.name);
                cluster.normal(about, CONTROLLER, "SuccessfulCreate", &message);
            }
            Err(refused) => {
                let message = format!("Error creating: {}", refused.0);
                cluster.warn(about, CONTROLLER, "FailedCreate", &message);
                cluster.enqueue_in(REFUSED, Work::Job(key.clone()));
                return made;
            }
        }
    }
    wanted
}

/// How a Job ends: its condition, and the event that tells of it.
struct End {
    shown: Shown<'static>,
    event: (&'static str, &'static str),
}

static COMPLETE: End = End {
    shown: Shown {
        kind: "Complete",
        status: "True",
        reason: "CompletionsReached",
        message: "Reached expected number of succeeded pods",
    },
    event: ("Completed", "Job completed"),
};
static GAVE_UP: End = End {
    shown: Shown {
        kind: "Failed",
        status: "True",
        reason: "BackoffLimitExceeded",
        message: "Job has reached the specified backoff limit",
    },
    event: ("BackoffLimitExceeded", "Job has reached the specified backoff limit"),
};
static LATE: End = End {
    shown: Shown {
        kind: "Failed",
        status: "True",
        reason: "DeadlineExceeded",
        message: "Job was active longer than specified deadline",
    },
    event: ("DeadlineExceeded", "Job was active longer than specified deadline"),
};

/// What still runs is stopped; what ended stays for its log.
fn end(cluster: &mut Cluster, key: &Key, pods: &Pods, end: &'static End) {
    let Some(job) = cluster.jobs.get(key) else { return };
    pods.all.iter().filter(|pod| pod.is_active()).for_each(|pod| cluster.delete_gracefully(pod));
    let rest = Pods { all: Vec::new(), active: 0, ..*pods };
    let well = end.shown.kind == "Complete";
    count(cluster, key, &rest, |status, at| {
        let (early, late) =
            if well { ("SuccessCriteriaMet", "Complete") } else { ("FailureTarget", "Failed") };
        for kind in [early, late] {
            conditions::put(status, &Shown { kind, ..end.shown }, at);
        }
        if well {
            status["completionTime"] = at.into();
        }
    });
    let ((reason, message), about) = (end.event, About::new("jobs", &job.metadata));
    if well {
        cluster.normal(about, CONTROLLER, reason, message);
    } else {
        cluster.warn(about, CONTROLLER, reason, message);
    }
}

fn count(cluster: &mut Cluster, key: &Key, pods: &Pods, also: impl FnOnce(&mut Value, &str)) {
    let at = seconds(cluster.now);
    let ready = pods.all.iter().filter(|pod| pod.is_ready()).count();
    let (active, succeeded, failed) = (pods.active, pods.succeeded, pods.failed);
    cluster.update::<Job>(key, |job| {
        if !job["status"].is_object() {
            job["status"] = json!({ "startTime": at });
        }
        let status = &mut job["status"];
        for (field, count) in
            [("active", active), ("ready", ready), ("succeeded", succeeded), ("failed", failed)]
        {
            put_count(status, field, count);
        }
        also(status, &at);
    });
}

/// One with a time to live goes some time after its end.
fn expire(cluster: &mut Cluster, key: &Key, job: &Job) {
    let Some(kept) = job.spec.ttl_seconds_after_finished else { return };
    let ends = job.status.conditions.iter().filter_map(|row| row.last_transition_time);
    let due = later(ends.max().unwrap_or(cluster.now), SignedDuration::from_secs(kept));
    if due <= cluster.now {
        cluster.delete::<Job>(key);
    } else {
        cluster.enqueue_at(due, Work::Job(key.clone()));
    }
}
