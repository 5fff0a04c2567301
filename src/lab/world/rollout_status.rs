//! What a deployment says of itself: counts, and the conditions Progressing, Available and ReplicaFailure.
//! It knows the deadline, and decides nothing about pods.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::cluster::{Cluster, Work, later};
use super::conditions::{self, Shown};
use super::deployment::Rollout;
use super::objects::{Condition, Deployment, DeploymentStatus, condition};
use crate::lab::store::seconds;

struct Counts {
    replicas: i32,
    updated: i32,
    ready: i32,
    available: i32,
}

pub fn sync(cluster: &mut Cluster, rollout: &Rollout) {
    let sum = |count: fn(&super::objects::ReplicaSetStatus) -> i32| -> i32 {
        rollout.all().map(|set| count(&set.status)).sum()
    };
    let counts = Counts {
        replicas: sum(|status| status.replicas),
        updated: rollout.new.as_ref().map_or(0, |new| new.status.replicas),
        ready: sum(|status| status.ready_replicas),
        available: sum(|status| status.available_replicas),
    };
    let now = cluster.now;
    let progress = progress(cluster, rollout, &counts);
    let failure = rollout.new.iter().chain(&rollout.old).find_map(|set| {
        condition(&set.status.conditions, "ReplicaFailure")
            .filter(|failure| failure.status == "True")
            .cloned()
    });
    cluster.update::<Deployment>(&rollout.key, |deployment| {
        let generation = deployment["metadata"]["generation"].clone();
        if !deployment["status"].is_object() {
            deployment["status"] = json!({});
        }
        let status = &mut deployment["status"];
        status["observedGeneration"] = generation;
        put_counts(status, rollout, &counts);
        put_conditions(status, rollout, &counts, progress.as_ref(), failure.as_ref(), now);
    });
    watch_deadline(cluster, rollout);
}

fn put_counts(status: &mut Value, rollout: &Rollout, counts: &Counts) {
    let missing = (rollout.replicas() - counts.available).max(counts.replicas - counts.available).max(0);
    for (field, count) in [
        ("replicas", counts.replicas),
        ("updatedReplicas", counts.updated),
        ("readyReplicas", counts.ready),
        ("availableReplicas", counts.available),
        ("unavailableReplicas", missing),
    ] {
        if count == 0 {
            // as the real type: omitempty
            if let Some(fields) = status.as_object_mut() {
                fields.remove(field);
            }
        } else {
            status[field] = count.into();
        }
    }
}

fn put_conditions(
    status: &mut Value,
    rollout: &Rollout,
    counts: &Counts,
    progress: Option<&Progress>,
    failure: Option<&Condition>,
    now: Timestamp,
) {
    let at = seconds(now);
    let enough = counts.available >= rollout.replicas() - rollout.max_unavailable();
    let available = if enough {
        Shown {
            kind: "Available",
            status: "True",
            reason: "MinimumReplicasAvailable",
            message: "Deployment has minimum availability.",
        }
    } else {
        Shown {
            kind: "Available",
            status: "False",
            reason: "MinimumReplicasUnavailable",
            message: "Deployment does not have minimum availability.",
        }
    };
    put_updated(status, &available, &at, false);
    if let Some(progress) = progress {
        let shown = Shown {
            kind: "Progressing",
            status: progress.status,
            reason: progress.reason,
            message: &progress.message,
        };
        put_updated(status, &shown, &at, progress.moved);
    }
    match failure {
        Some(failure) => {
            let shown = Shown {
                kind: "ReplicaFailure",
                status: "True",
                reason: &failure.reason,
                message: &failure.message,
            };
            put_updated(status, &shown, &at, false);
        }
        None => conditions::remove(status, "ReplicaFailure"),
    }
}

/// `lastUpdateTime` exists in deployments only; the deadline counts from it.
fn put_updated(status: &mut Value, shown: &Shown<'_>, at: &str, moved: bool) {
    let changed = conditions::put(status, shown, at);
    if let Some(condition) = conditions::at(status, shown.kind)
        && (changed || moved || condition["lastUpdateTime"].is_null())
    {
        condition["lastUpdateTime"] = at.into();
    }
}

struct Progress {
    status: &'static str,
    reason: &'static str,
    message: String,
    /// Something advanced: the deadline starts anew.
    moved: bool,
}

impl Progress {
    fn new(status: &'static str, reason: &'static str, message: String, moved: bool) -> Self {
        Self { status, reason, message, moved }
    }
}

fn progress(cluster: &Cluster, rollout: &Rollout, counts: &Counts) -> Option<Progress> {
    let Deployment { metadata, spec, status } = &*rollout.deployment;
    let now = condition(&status.conditions, "Progressing");
    if spec.paused {
        return Some(Progress::new("Unknown", "DeploymentPaused", "Deployment is paused".into(), false));
    }
    if now.is_some_and(|now| now.reason == "DeploymentPaused") {
        return Some(Progress::new("Unknown", "DeploymentResumed", "Deployment is resumed".into(), true));
    }
    let deadline = spec.progress_deadline_seconds.unwrap_or(600);
    let name = rollout.new.as_ref().map_or(metadata.name.as_str(), |new| &new.metadata.name);
    let want = rollout.replicas();
    let done =
        now.is_some_and(|now| now.reason == "NewReplicaSetAvailable") && counts.replicas == counts.updated;
    if done || rollout.new.is_none() {
        return None;
    }
    if counts.updated == want && counts.replicas == want && counts.available == want {
        let message = format!("ReplicaSet \"{name}\" has successfully progressed.");
        return Some(Progress::new("True", "NewReplicaSetAvailable", message, true));
    }
    // A changed spec starts the deadline anew, even if nothing else moves: a patched strategy hides a stuck
    // rollout until the deadline passes again.
    let stuck = now.is_some_and(|now| now.reason == "ProgressDeadlineExceeded");
    let respecified = stuck && status.observed_generation < metadata.generation;
    if respecified || advanced(status, counts) {
        let message = format!("ReplicaSet \"{name}\" is progressing.");
        return Some(Progress::new("True", "ReplicaSetUpdated", message, true));
    }
    // As the controller: what had completed does not time out before it has moved.
    let since = now.filter(|now| now.reason != "NewReplicaSetAvailable")?.last_update_time?;
    if stuck || later(since, cluster.lasting(f64::from(deadline))) <= cluster.now {
        let message = format!("ReplicaSet \"{name}\" has timed out progressing.");
        return Some(Progress::new("False", "ProgressDeadlineExceeded", message, false));
    }
    None
}

fn advanced(before: &DeploymentStatus, now: &Counts) -> bool {
    now.updated > before.updated_replicas
        || now.replicas - now.updated < before.replicas - before.updated_replicas
        || now.ready > before.ready_replicas
        || now.available > before.available_replicas
}

/// A new ReplicaSet was made: that is progress.
pub fn created(cluster: &mut Cluster, rollout: &Rollout, name: &str) {
    let at = seconds(cluster.now);
    let message = format!("Created new replica set \"{name}\"");
    cluster.update::<Deployment>(&rollout.key, |deployment| {
        if !deployment["status"].is_object() {
            deployment["status"] = json!({});
        }
        let shown =
            Shown { kind: "Progressing", status: "True", reason: "NewReplicaSetCreated", message: &message };
        put_updated(&mut deployment["status"], &shown, &at, true);
    });
}

fn watch_deadline(cluster: &mut Cluster, rollout: &Rollout) {
    let Some(deployment) = cluster.deployments.get(&rollout.key) else { return };
    let Some(now) = condition(&deployment.status.conditions, "Progressing") else { return };
    if matches!(
        now.reason.as_str(),
        "NewReplicaSetAvailable" | "ProgressDeadlineExceeded" | "DeploymentPaused"
    ) {
        return;
    }
    let deadline = f64::from(deployment.spec.progress_deadline_seconds.unwrap_or(600));
    let since = now.last_update_time.unwrap_or(cluster.now);
    // stored times have whole seconds: look one later
    let due = later(later(since, cluster.lasting(deadline)), jiff::SignedDuration::from_secs(1));
    if due > cluster.now {
        cluster.enqueue_at(due, Work::Deployment(rollout.key.clone()));
    } else {
        cluster.enqueue_in(1.0, Work::Deployment(rollout.key.clone()));
    }
}
