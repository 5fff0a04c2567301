//! When an anomaly is over: conditions that are seen on the Snapshot, and since when they have held.

mod disk;
mod hosts;
mod load;
mod monitoring;
mod pods;

use std::time::Duration;

use crate::domain::{Kind, Subject, Timestamp, between, cause, text};

use super::plan::last_change;
use super::shortfall;
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
    /// The Job, or a later one, did what it is for.
    RunSucceeded,
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
    /// No role and no database has as many connections as its own limit lets it have.
    NoOwnLimitReached,
    /// Fewer sessions on a CPU than 70 % of the CPUs, where their number is known.
    DatabaseLoadBelow70Percent,
    NoInvalidIndex,
    /// The cache answers, and does not refuse writes for want of memory.
    CacheTakesWrites,
    /// p95 below its threshold of 1 s.
    LatencyNormal,
    /// Refused requests below one a second.
    RefusalsNormal,
    /// 5xx below 1 % of the requests.
    ErrorsBelow1Percent,
    /// Requests still come: at least 70 % of what came before the anomaly began.
    TrafficKept,
    /// Requests that had stopped come again.
    RequestsCome,
    /// No container of the workload grows so that it reaches its limit within a day.
    MemorySteady,
    /// Every served certificate of the host is trusted and valid for more than 21 days.
    CertificateValid,
    /// Every public host of the anomaly answers, walked to from outside.
    HostsReached,
    /// Every Service behind the Ingress has a ready endpoint.
    EndpointsReady,
    /// Prometheus serves, runs what is written, takes samples, reaches its targets, and its Watchdog arrives.
    MonitoringWorks,
    /// Alertmanager answers, and runs the configuration that was written last.
    AlertmanagerWorks,
    /// Fewer than 30 notifications an hour, and nothing flaps.
    AlertsCalm,
}

impl Condition {
    pub const ALL: [(&'static str, Condition); 30] = [
        ("pods-ready", Condition::PodsReady),
        ("no-new-restart", Condition::NoNewRestart),
        ("rollout-complete", Condition::RolloutComplete),
        ("images-pulled", Condition::ImagesPulled),
        ("run-succeeded", Condition::RunSucceeded),
        ("node-ready", Condition::NodeReady),
        ("disk-free", Condition::DiskFree),
        ("claim-free", Condition::ClaimFree),
        ("node-schedulable", Condition::NodeSchedulable),
        ("pods-scheduled", Condition::PodsScheduled),
        ("hpa-has-room", Condition::HpaHasRoom),
        ("connections-below-70-percent", Condition::ConnectionsBelow70Percent),
        ("no-lock-waiters", Condition::NoLockWaiters),
        ("no-stuck-transactions", Condition::NoStuckTransactions),
        ("no-own-limit-reached", Condition::NoOwnLimitReached),
        ("database-load-below-70-percent", Condition::DatabaseLoadBelow70Percent),
        ("no-invalid-index", Condition::NoInvalidIndex),
        ("cache-takes-writes", Condition::CacheTakesWrites),
        ("latency-normal", Condition::LatencyNormal),
        ("refusals-normal", Condition::RefusalsNormal),
        ("errors-below-1-percent", Condition::ErrorsBelow1Percent),
        ("traffic-kept", Condition::TrafficKept),
        ("requests-come", Condition::RequestsCome),
        ("memory-steady", Condition::MemorySteady),
        ("certificate-valid", Condition::CertificateValid),
        ("hosts-reached", Condition::HostsReached),
        ("endpoints-ready", Condition::EndpointsReady),
        ("monitoring-works", Condition::MonitoringWorks),
        ("alertmanager-works", Condition::AlertmanagerWorks),
        ("alerts-calm", Condition::AlertsCalm),
    ];

    pub fn parse(name: &str) -> Option<Condition> {
        Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, condition)| *condition)
    }

    /// As written in a playbook.
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(_, condition)| *condition == self).map_or("", |(name, _)| name)
    }
}

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
    if is_gone(view) {
        let says = "what it is about does not exist any more".to_owned();
        let (holds_since, for_) = (Some(view.facts.now), resolved.for_);
        return Resolution { says, holds_since, for_, reached: true };
    }
    let mut missing = Vec::new();
    let mut since = changed;
    for condition in &resolved.conditions {
        match condition.held(view) {
            Ok(held) => since = since.max(held),
            Err(says) => missing.push(says),
        }
    }
    // Until something was done, a team's trigger that fires says more than its conditions.
    if changed.is_none() && view.has(cause::TEAM_TRIGGER) {
        missing.push("its trigger fires".into());
    }
    // A pod that stays misses nothing: its workload is whole.
    if changed.is_none() && view.facts.fires && view.has(cause::STUCK_TERMINATING) {
        missing.push(view.facts.anomaly.title.clone());
    }
    let for_ = hold_time(view, playbook);
    missing.extend(ended_anew(view, playbook, for_));
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

/// A workload or an Ingress that was deleted. What ran on a node goes on without it.
fn is_gone(view: &View<'_>) -> bool {
    let subject = &view.facts.anomaly.subject;
    let is_node = matches!(subject, Subject::Object(object) if object.kind == Kind::Node);
    !view.facts.fires && !is_node && view.snapshot().is_over(subject)
}

/// Between two crashes everything is well for a moment: a run of what the last change made that ended lately.
fn ended_anew(view: &View<'_>, playbook: &Playbook, lately: Duration) -> Option<String> {
    let (change, _) = last_change(view, playbook)?;
    let watched = playbook.resolved.conditions.contains(&Condition::NoNewRestart);
    let (row, end) = shortfall::ended_anew(view, view.done(&change.id).filter(|_| watched)?)?;
    let ago = between(end.finished?, view.facts.now);
    (ago < lately).then(|| format!("{} ended {} again, {} ago", row.name, end.how(), text::span(ago)))
}

/// The playbook's time, or twice the last crash period where restarts are what is watched.
fn hold_time(view: &View<'_>, playbook: &Playbook) -> Duration {
    let own = playbook.resolved.for_;
    if !playbook.resolved.conditions.contains(&Condition::NoNewRestart) {
        return own;
    }
    let period = view.pods.iter().filter_map(|pod| pods::crash_period(pod)).max().unwrap_or_default();
    own.max(period * 2)
}

impl Condition {
    fn held(self, view: &View<'_>) -> Held {
        match self {
            Condition::PodsReady => pods::pods_ready(view),
            Condition::NoNewRestart => pods::no_new_restart(view),
            Condition::RolloutComplete => pods::rollout_complete(view),
            Condition::RunSucceeded if view.facts.fires => Err("no run has succeeded since".into()),
            Condition::RunSucceeded => Ok(None),
            Condition::ImagesPulled => pods::images_pulled(view),
            Condition::NodeReady => match view.node {
                // It reports, and not well: pressure, a lease that is overdue, or it comes and goes.
                Some(node) if node.is_ready() && view.facts.fires => Err(view.facts.anomaly.title.clone()),
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
            Condition::PodsScheduled => pods::pods_scheduled(view),
            Condition::HpaHasRoom => match view.autoscaler {
                Some(scaler) if scaler.desired >= scaler.max => {
                    Err(format!("{} of at most {} replicas wanted", scaler.desired, scaler.max))
                }
                Some(scaler) if scaler.cannot_measure().is_some() => {
                    Err("the autoscaler cannot measure, or not scale".into())
                }
                // It has not looked at its bounds since they were changed.
                Some(scaler) if scaler.held_at_its_maximum().is_some() => {
                    Err("the autoscaler still reports that its maximum holds it back".into())
                }
                Some(scaler) => Ok(scaler.last_scaled),
                None => Err("the autoscaler is not to be seen".into()),
            },
            Condition::ConnectionsBelow70Percent => load::connections(view),
            Condition::NoLockWaiters => match view.snapshot().capacity {
                Some(capacity) if capacity.lock_waiters > 0 => {
                    Err(format!("{} for a lock", pods::waits(capacity.lock_waiters as usize)))
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
            Condition::NoOwnLimitReached => load::own_limits(view),
            Condition::DatabaseLoadBelow70Percent => load::database_load(view),
            Condition::NoInvalidIndex => match view.snapshot().activity.as_ref() {
                Some((_, activity)) if !activity.invalid_indexes.is_empty() => {
                    Err(format!("index {} is INVALID", activity.invalid_indexes[0]))
                }
                _ => Ok(None),
            },
            Condition::CacheTakesWrites => load::cache(view),
            Condition::LatencyNormal => load::latency(view),
            Condition::RefusalsNormal => load::refusals(view),
            Condition::ErrorsBelow1Percent => load::errors(view),
            Condition::TrafficKept => load::traffic_kept(view),
            Condition::RequestsCome if view.facts.fires => Err(view.facts.anomaly.title.clone()),
            Condition::RequestsCome => load::requests_seen(view),
            Condition::MemorySteady => match load::memory_steady(view) {
                // Half an hour may be a pause: what has grown for hours is judged by the rule.
                Ok(_) if view.facts.fires => Err(view.facts.anomaly.title.clone()),
                held => held,
            },
            Condition::CertificateValid => hosts::certificate_valid(view),
            Condition::HostsReached => hosts::hosts_reached(view),
            Condition::EndpointsReady => hosts::endpoints_ready(view),
            Condition::MonitoringWorks => monitoring::monitoring_works(view),
            Condition::AlertmanagerWorks => monitoring::alertmanager_works(view),
            Condition::AlertsCalm => monitoring::alerts_calm(view),
        }
    }
}
