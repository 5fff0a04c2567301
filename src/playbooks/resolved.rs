//! When an anomaly is over: conditions that are seen on the Snapshot, and since when they have held.

mod disk;

use std::time::Duration;

use crate::domain::{Pod, Series, Status, Subject, Timestamp, between, text};

use super::pods::waits_for_image;
use super::verdict::crash_loops;
use super::view::View;
use super::{PlannedStep, Playbook, Resolution, StepState};

/// A condition by its name in a playbook.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Condition {
    /// Every pod of the workload is Ready, and there are as many as wanted.
    PodsReady,
    /// No container has ended for the hold time, or twice the last crash period if that is longer.
    NoNewRestart,
    /// `kubectl rollout status` would say "successfully rolled out".
    RolloutComplete,
    /// No pod waits for its image.
    ImagesPulled,
    NodeReady,
    /// No DiskPressure, more than a fifth of its disk free, and nothing evicted since.
    DiskFree,
    /// The volume has room again.
    ClaimFree,
    /// The node takes pods again, or somebody else wants it cordoned.
    NodeSchedulable,
    /// No pod of the namespace waits for a node.
    PodsScheduled,
    /// The autoscaler is below its maximum, or wants no more.
    HpaHasRoom,
    /// Used connections below 70 % of the usable, and none refused.
    ConnectionsBelow70Percent,
    NoLockWaiters,
    /// Nobody has been idle in a transaction for over five minutes.
    NoStuckTransactions,
    /// Fewer sessions on a CPU than 70 % of the CPUs, where their number is known.
    DatabaseLoadBelow70Percent,
    NoInvalidIndex,
    /// p95 below its threshold of 1 s.
    LatencyNormal,
    /// Refused requests below one a second.
    RefusalsNormal,
    /// 5xx below 1 % of the requests.
    ErrorsBelow1Percent,
    /// Every served certificate of the host is trusted and valid for more than 21 days.
    CertificateValid,
}

impl Condition {
    pub const ALL: [(&'static str, Condition); 19] = [
        ("pods-ready", Condition::PodsReady),
        ("no-new-restart", Condition::NoNewRestart),
        ("rollout-complete", Condition::RolloutComplete),
        ("images-pulled", Condition::ImagesPulled),
        ("node-ready", Condition::NodeReady),
        ("disk-free", Condition::DiskFree),
        ("claim-free", Condition::ClaimFree),
        ("node-schedulable", Condition::NodeSchedulable),
        ("pods-scheduled", Condition::PodsScheduled),
        ("hpa-has-room", Condition::HpaHasRoom),
        ("connections-below-70-percent", Condition::ConnectionsBelow70Percent),
        ("no-lock-waiters", Condition::NoLockWaiters),
        ("no-stuck-transactions", Condition::NoStuckTransactions),
        ("database-load-below-70-percent", Condition::DatabaseLoadBelow70Percent),
        ("no-invalid-index", Condition::NoInvalidIndex),
        ("latency-normal", Condition::LatencyNormal),
        ("refusals-normal", Condition::RefusalsNormal),
        ("errors-below-1-percent", Condition::ErrorsBelow1Percent),
        ("certificate-valid", Condition::CertificateValid),
    ];

    pub fn parse(name: &str) -> Option<Condition> {
        Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, condition)| *condition)
    }

    /// As written in a playbook.
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(_, condition)| *condition == self).map_or("", |(name, _)| name)
    }
}

/// Share of the usable connections below which the pool is well (audit, section 4).
const CONNECTIONS: f64 = 0.7;
/// p95 in seconds below which latency is well (audit, section 4).
const LATENCY: f64 = 1.0;
/// Share of 5xx below which errors are normal (audit, section 4).
const ERRORS: f64 = 0.01;
/// Requests refused per second below which nobody attacks: the rule's own threshold.
const REFUSALS: f64 = 1.0;
/// A certificate that is valid for longer than this is well (audit, section 4).
const CERTIFICATE: Duration = Duration::from_hours(21 * 24);

/// Since when a condition has held (None: not known, so no bound), or what is missing.
type Held = Result<Option<Timestamp>, String>;

/// How far a playbook's anomaly is from being resolved. `changed` is when something was last done about it.
pub(super) fn resolution(
    view: &View<'_>,
    playbook: &Playbook,
    steps: &[PlannedStep],
    changed: Option<Timestamp>,
) -> Resolution {
    let resolved = &playbook.resolved;
    let mut missing = Vec::new();
    let mut since = changed;
    for condition in &resolved.conditions {
        match condition.held(view) {
            Ok(held) => since = since.max(held),
            Err(says) => missing.push(says),
        }
    }
    let mut unseen = Vec::new();
    let mut unpassed = Vec::new();
    for id in &resolved.steps {
        let Some(step) = steps.iter().find(|step| step.id == *id) else { continue };
        match (&step.state, view.done(id)) {
            (StepState::Blocked { .. }, _) => unseen.push(step.title.clone()),
            (_, Some(done)) if done.ok && changed.is_none_or(|changed| done.at >= changed) => {}
            _ => unpassed.push(format!("“{}” has not passed", step.title)),
        }
    }
    let for_ = hold_time(view, playbook);
    let now = view.facts.now;
    let holds_since = missing.is_empty().then(|| since.unwrap_or(view.facts.anomaly.onset));
    let left = holds_since.map(|since| for_.saturating_sub(between(since, now)));
    let reached = left.is_some_and(|left| left.is_zero()) && unpassed.is_empty();
    let mut says = match left {
        None => format!("not yet: {}", missing.join("; ")),
        Some(left) if !left.is_zero() => format!("holds; resolved in {} if it stays so", text::span(left)),
        Some(_) if !unpassed.is_empty() => unpassed.join("; "),
        Some(_) => format!("resolved: {}", resolved.says),
    };
    if !unseen.is_empty() {
        says.push_str(&format!(" (not checked: {})", unseen.join(", ")));
    }
    Resolution { says, holds_since, for_, reached }
}

/// The playbook's time, or twice the last crash period where restarts are what is watched.
fn hold_time(view: &View<'_>, playbook: &Playbook) -> Duration {
    let own = playbook.resolved.for_;
    if !playbook.resolved.conditions.contains(&Condition::NoNewRestart) {
        return own;
    }
    let period = view.pods.iter().filter_map(|pod| crash_period(pod)).max().unwrap_or_default();
    own.max(period * 2)
}

/// From the start of the run that ended last to the start of the present one: life and back-off.
fn crash_period(pod: &Pod) -> Option<Duration> {
    pod.containers
        .iter()
        .filter(|container| container.restarts > 0)
        .filter_map(|container| {
            let began = container.last.as_ref()?.started?;
            match &container.state {
                crate::domain::ContainerState::Running { since: Some(since) } => Some(between(began, *since)),
                _ => container.last.as_ref()?.lived(),
            }
        })
        .max()
}

impl Condition {
    fn held(self, view: &View<'_>) -> Held {
        match self {
            Condition::PodsReady => pods_ready(view),
            Condition::NoNewRestart => no_new_restart(view),
            Condition::RolloutComplete => rollout_complete(view),
            Condition::ImagesPulled => {
                let waiting = view.pods.iter().filter(|pod| waits_for_image(pod)).count();
                if waiting > 0 {
                    return Err(format!("{} for an image", waits(waiting)));
                }
                Ok(None)
            }
            Condition::NodeReady => match view.node {
                Some(node) if node.is_ready() => Ok(node.condition("Ready").and_then(|ready| ready.since)),
                Some(_) => Err("the node is not Ready".into()),
                None if view.nodes_down().0 > 0 => {
                    let (down, all) = view.nodes_down();
                    Err(format!("{down} of {all} nodes not Ready"))
                }
                // Replaced: what is gone cannot be unready, and its pods are another condition's matter.
                None => Ok(None),
            },
            Condition::DiskFree => disk::free(view),
            Condition::ClaimFree => disk::claim_free(view),
            Condition::NodeSchedulable => match view.node {
                Some(node) if node.unschedulable => Err("the node is still cordoned".into()),
                _ => Ok(None),
            },
            Condition::PodsScheduled => pods_scheduled(view),
            Condition::HpaHasRoom => match view.autoscaler {
                Some(scaler) if scaler.desired >= scaler.max => {
                    Err(format!("{} of at most {} replicas wanted", scaler.desired, scaler.max))
                }
                Some(scaler) => Ok(scaler.last_scaled),
                None => Err("the autoscaler is not to be seen".into()),
            },
            Condition::ConnectionsBelow70Percent => connections(view),
            Condition::NoLockWaiters => match view.snapshot().capacity {
                Some(capacity) if capacity.lock_waiters > 0 => {
                    Err(format!("{} for a lock", waits(capacity.lock_waiters as usize)))
                }
                Some(_) => Ok(None),
                None => Err("the database is not to be seen".into()),
            },
            Condition::NoStuckTransactions => match view.snapshot().activity.as_ref() {
                Some((_, activity)) if activity.stuck > 0 => Err(format!(
                    "{} idle in a transaction for over 5 minutes",
                    text::count(activity.stuck as usize, "session")
                )),
                _ => Ok(None),
            },
            Condition::DatabaseLoadBelow70Percent => database_load(view),
            Condition::NoInvalidIndex => match view.snapshot().activity.as_ref() {
                Some((_, activity)) if !activity.invalid_indexes.is_empty() => {
                    Err(format!("index {} is INVALID", activity.invalid_indexes[0]))
                }
                _ => Ok(None),
            },
            Condition::LatencyNormal => below(&view.snapshot().traffic.p95, LATENCY, "p95"),
            Condition::RefusalsNormal => below(&view.snapshot().traffic.denied, REFUSALS, "refused requests"),
            Condition::ErrorsBelow1Percent => {
                below(&view.snapshot().traffic.error_ratio, ERRORS, "5xx ratio")
            }
            Condition::CertificateValid => certificate_valid(view),
        }
    }
}

fn waits(number: usize) -> String {
    if number == 1 { "1 waits".into() } else { format!("{number} wait") }
}

fn ready_since(pods: &[&Pod]) -> Option<Timestamp> {
    pods.iter().filter_map(|pod| pod.condition("Ready").and_then(|ready| ready.since)).max()
}

fn pods_ready(view: &View<'_>) -> Held {
    let wanted = match view.deployment {
        Some(deployment) => deployment.replicas as usize,
        None => view.pods.iter().filter(|pod| pod.deleting.is_none()).count(),
    };
    let ready = view.ready();
    if view.deployment.is_some_and(|deployment| deployment.replicas == 0) {
        return Err("scaled to 0: nothing serves".into());
    }
    if ready < wanted || !view.failing().is_empty() {
        let all = wanted.max(ready + view.failing().len());
        return Err(format!("{ready} of {all} pods ready"));
    }
    Ok(ready_since(&view.pods))
}

fn no_new_restart(view: &View<'_>) -> Held {
    if view.pods.iter().any(|pod| crash_loops(pod)) {
        return Err("containers still crash".into());
    }
    let ends = view.pods.iter().flat_map(|pod| pod.containers.iter()).filter(|container| !container.init);
    Ok(ends.filter_map(|container| container.termination()?.finished).max())
}

fn rollout_complete(view: &View<'_>) -> Held {
    let Some(deployment) = view.deployment else { return Ok(None) };
    if !deployment.is_rolled_out() {
        return Err(format!(
            "rollout at {} of {} updated, {} available",
            deployment.updated, deployment.replicas, deployment.available
        ));
    }
    Ok(ready_since(&view.pods))
}

fn pods_scheduled(view: &View<'_>) -> Held {
    let namespace = view.namespace();
    let pending = view
        .snapshot()
        .pods
        .iter()
        .filter(|pod| namespace.as_deref().is_none_or(|namespace| &*pod.key.namespace == namespace))
        .filter(|pod| pod.deleting.is_none())
        .filter(|pod| {
            pod.condition("PodScheduled").is_some_and(|condition| condition.status == Status::False)
        })
        .count();
    if pending > 0 { Err(format!("{} for a node", waits(pending))) } else { Ok(None) }
}

/// Share of the CPUs below which the database is well (audit, section 4).
const DATABASE_LOAD: f64 = 0.7;

fn database_load(view: &View<'_>) -> Held {
    let snapshot = view.snapshot();
    if snapshot.capacity.is_none() {
        return Err("the database is not to be seen".into());
    }
    // How many CPUs it has is for a person to say; without that its load is not judged.
    let Some(cpus) = snapshot.activity.as_ref().and_then(|(_, activity)| activity.cpus) else {
        return Ok(None);
    };
    let load = snapshot.on_cpu.mean_over(Duration::from_mins(1));
    below(&load, DATABASE_LOAD * cpus, "sessions on a CPU")
}

fn connections(view: &View<'_>) -> Held {
    let snapshot = view.snapshot();
    if snapshot.exhausted.is_some() {
        return Err("the database refuses connections".into());
    }
    let Some(capacity) = snapshot.capacity else { return Err("the database is not to be seen".into()) };
    below(&snapshot.connections, CONNECTIONS * f64::from(capacity.usable()), "connections")
}

/// Since when every sample has been below a bound.
fn below(series: &Series, bound: f64, what: &str) -> Held {
    let Some((_, last)) = series.last() else { return Err(format!("{what}: nothing to be seen")) };
    if last >= bound {
        return Err(format!("{what} at {last:.2}, to be below {bound:.2}"));
    }
    Ok(series.points().iter().rev().take_while(|(_, value)| *value < bound).last().map(|(at, _)| *at))
}

fn certificate_valid(view: &View<'_>) -> Held {
    let snapshot = view.snapshot();
    let Subject::Host(host) = &view.facts.anomaly.subject else { return Err("no host is known".into()) };
    let rows: Vec<_> =
        snapshot.handshakes.iter().filter(|((name, _), _)| name == host).flat_map(|(_, rows)| rows).collect();
    if rows.is_empty() {
        return Err("no handshake was seen".into());
    }
    for row in &rows {
        match &row.served {
            Err(why) => return Err(format!("{}: {why}", row.address)),
            Ok(served) if !served.name_matches => return Err(format!("{} serves another name", row.address)),
            Ok(served) if served.distrust.is_some() => return Err(format!("{} is not trusted", row.address)),
            Ok(served) if between(view.facts.now, served.not_after) <= CERTIFICATE => {
                let left = text::span_short(between(view.facts.now, served.not_after));
                return Err(format!("{} serves a certificate with {left} left", row.address));
            }
            Ok(_) => {}
        }
    }
    Ok(None)
}
