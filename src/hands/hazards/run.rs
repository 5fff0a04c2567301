//! A Job that is to run once more: beside another run, although its CronJob rests, or against what made it fail.

use serde_json::Value;

use super::{Scene, blind};
use crate::domain::{Kind, ObjectRef, Timestamp, text};
use crate::guard::{Guard, Hazard};
use crate::probes::cluster::Cluster;
use crate::probes::object::{condition, flag, is_owned_by, items, name, string, time, uid, writers};
use crate::probes::references::written_since;

/// Everything to know before `job` is made of `source`.
pub(in crate::hands) async fn before_a_run(
    cluster: &Cluster,
    from: &ObjectRef,
    source: &Value,
    job: &Value,
) -> Vec<Hazard> {
    let mut hazards = Vec::new();
    if from.kind == Kind::CronJob && flag(source, "/spec/suspend") {
        let says = format!("{from} is suspended: somebody does not want it to run now");
        hazards.push(Hazard::warn(Guard::Target, says));
    }
    if flag(job, "/spec/suspend") {
        let says = "the new Job is suspended by its own template: it waits until somebody resumes it";
        hazards.push(Hazard::warn(Guard::Target, says));
    }
    let jobs = match cluster.list(Kind::Job, &from.key.namespace, "", "").await {
        Ok(jobs) => jobs,
        Err(trouble) => {
            hazards.push(blind(Guard::Target, "whether it runs already", &trouble));
            return hazards;
        }
    };
    let alike: Vec<&Value> = jobs.iter().filter(|other| is_alike(from, source, other)).collect();
    hazards.extend(beside(source, &alike));
    hazards.extend(same_again(cluster, source, job, &alike).await);
    hazards
}

/// A CronJob that is to rest, and has something to do.
pub(super) fn suspends(scene: &Scene<'_>) -> Option<Hazard> {
    let before = scene.before.filter(|_| scene.object.kind == Kind::CronJob)?;
    if flag(before, "/spec/suspend") || !flag(scene.after, "/spec/suspend") {
        return None;
    }
    let says = match time(before, "/status/lastSuccessfulTime") {
        Some(last) => format!("it does not run until somebody resumes it; its last success was at {last}"),
        None => "it does not run until somebody resumes it, and it has never succeeded".to_owned(),
    };
    Some(Hazard::warn(Guard::Target, says))
}

/// A run of the same CronJob, or a Job that nobody owns with the same pods.
fn is_alike(from: &ObjectRef, source: &Value, other: &Value) -> bool {
    if from.kind == Kind::CronJob {
        return is_owned_by(other, uid(source));
    }
    let pods = |job: &Value| job.pointer("/spec/template/spec").cloned();
    items(other, "/metadata/ownerReferences").is_empty() && pods(other) == pods(source)
}

fn has(job: &Value, kind: &str) -> Option<Timestamp> {
    let row = condition(job, kind).filter(|row| string(row, "/status") == "True")?;
    time(row, "/lastTransitionTime")
}

fn beside(source: &Value, alike: &[&Value]) -> Option<Hazard> {
    let open = |job: &&&Value| has(job, "Complete").is_none() && has(job, "Failed").is_none();
    let running: Vec<&str> =
        alike.iter().filter(open).filter(|job| !flag(job, "/spec/suspend")).map(|job| name(job)).collect();
    let first = running.first()?;
    let more = match running.len() {
        1 => String::new(),
        count => format!(" and {} more", count - 1),
    };
    if string(source, "/spec/concurrencyPolicy") == "Forbid" {
        let says = format!(
            "{first}{more} still runs, and its concurrencyPolicy is Forbid: wait for its end, or end it first"
        );
        return Some(Hazard::stop(Guard::Target, says));
    }
    let says = format!("{first}{more} still runs: the new Job would do the same work beside it");
    Some(Hazard::warn(Guard::Target, says))
}

/// The last run failed by itself, and nothing that it is made of or reads was written since.
async fn same_again(cluster: &Cluster, source: &Value, job: &Value, alike: &[&Value]) -> Option<Hazard> {
    let ended = |job: &Value| has(job, "Failed").or_else(|| has(job, "Complete"));
    let ends = alike.iter().filter_map(|job| Some((ended(job)?, *job)));
    let (at, last) = ends.max_by_key(|(at, job)| (*at, name(job)))?;
    has(last, "Failed")?;
    // Its template was taken when it was made; what its pods read, when they began.
    let made = time(last, "/metadata/creationTimestamp").filter(|_| string(source, "/kind") == "CronJob");
    let edited = writers(source, "/f:spec").first().is_some_and(|(written, _)| *written > made.unwrap_or(at));
    if edited || was_interrupted(cluster, last).await || written_since(cluster, job, at).await {
        return None;
    }
    let reason = text::clean(string(condition(last, "Failed")?, "/reason"));
    let says = format!(
        "{} failed ({reason}) and nothing that it reads was written since: mend what its log says first",
        name(last)
    );
    Some(Hazard::warn(Guard::Target, says))
}

/// The cluster ended one of its pods, not the work itself.
async fn was_interrupted(cluster: &Cluster, job: &Value) -> bool {
    let labels = format!("job-name={}", name(job));
    let pods = cluster.list(Kind::Pod, string(job, "/metadata/namespace"), &labels, "").await;
    let disrupted =
        |pod: &Value| condition(pod, "DisruptionTarget").is_some_and(|row| string(row, "/status") == "True");
    pods.is_ok_and(|pods| pods.iter().any(|pod| disrupted(pod) || string(pod, "/status/reason") == "Evicted"))
}
