//! When an anomaly is over: conditions that are seen on the Snapshot, and since when they have held.

mod disk;

use std::time::Duration;

use crate::domain::{
    Ended, Name, Origin, Pod, Reach, Series, Served, Status, Subject, Timestamp, between, cause, text,
};

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
    /// Requests still come: at least 70 % of what came before the anomaly began.
    TrafficKept,
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
    /// Fewer than 30 notifications an hour, and nothing flaps.
    AlertsCalm,
}

impl Condition {
    pub const ALL: [(&'static str, Condition); 25] = [
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
        ("traffic-kept", Condition::TrafficKept),
        ("memory-steady", Condition::MemorySteady),
        ("certificate-valid", Condition::CertificateValid),
        ("hosts-reached", Condition::HostsReached),
        ("endpoints-ready", Condition::EndpointsReady),
        ("monitoring-works", Condition::MonitoringWorks),
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

/// Share of the usable connections below which the pool is well (audit, section 4).
const CONNECTIONS: f64 = 0.7;
/// p95 in seconds below which latency is well (audit, section 4).
const LATENCY: f64 = 1.0;
/// Share of 5xx below which errors are normal (audit, section 4).
const ERRORS: f64 = 0.01;
/// Share of the requests from before that still have to come: silence is no success (audit, section 4).
const KEPT: f64 = 0.7;
/// What is looked at to see whether memory still grows.
const MEMORY_WINDOW: Duration = Duration::from_mins(30);
/// Over less nothing is said of it: the rule's own shortest line.
const MEMORY_SHORTEST: Duration = Duration::from_mins(20);
/// A limit that is further away than this is far (audit, section 4).
const MEMORY_FAR: Duration = Duration::from_hours(24);
/// Share of the targets that has to be up again (audit, section 4).
const TARGETS: f64 = 0.95;
/// Notifications in an hour that are too many (audit, section 3).
const NOTIFICATIONS: f64 = 30.0;
/// Times in six hours from which an alert flaps (audit, section 3).
const FLAPS: f64 = 5.0;
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
    // Until something was done, a team's trigger that fires says more than its conditions.
    if changed.is_none() && view.has(cause::TEAM_TRIGGER) {
        missing.push("its trigger fires".into());
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
            Condition::LatencyNormal => {
                below(&view.snapshot().traffic.p95, LATENCY, "p95", |value| format!("{value:.2} s"))
            }
            Condition::RefusalsNormal => {
                below(&view.snapshot().traffic.denied, REFUSALS, "refused requests", |value| {
                    format!("{value:.1}/s")
                })
            }
            Condition::ErrorsBelow1Percent => {
                below(&view.snapshot().traffic.error_ratio, ERRORS, "5xx", |value| {
                    format!("{:.1} %", value * 100.0)
                })
            }
            Condition::TrafficKept => traffic_kept(view),
            Condition::MemorySteady => memory_steady(view),
            Condition::CertificateValid => certificate_valid(view),
            Condition::HostsReached => hosts_reached(view),
            Condition::EndpointsReady => endpoints_ready(view),
            Condition::MonitoringWorks => monitoring_works(view),
            Condition::AlertsCalm => alerts_calm(view),
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
    below(&load, DATABASE_LOAD * cpus, "sessions on a CPU", |value| format!("{value:.1}"))
}

fn connections(view: &View<'_>) -> Held {
    let snapshot = view.snapshot();
    if snapshot.exhausted.is_some() {
        return Err("the database refuses connections".into());
    }
    let Some(capacity) = snapshot.capacity else { return Err("the database is not to be seen".into()) };
    below(&snapshot.connections, CONNECTIONS * f64::from(capacity.usable()), "connections", |value| {
        format!("{value:.0}")
    })
}

fn traffic_kept(view: &View<'_>) -> Held {
    let rate = view.snapshot().traffic.rate.points();
    let began = view.facts.anomaly.onset;
    let before: Vec<f64> = rate.iter().filter(|(at, _)| *at < began).map(|(_, value)| *value).collect();
    let (Some((_, now)), false) = (rate.last(), before.is_empty()) else { return Ok(None) };
    let usual = before.iter().sum::<f64>() / before.len() as f64;
    if *now < usual * KEPT {
        return Err(format!("only {now:.0} requests a second come, {usual:.0} before: errors of nobody"));
    }
    Ok(None)
}

fn memory_steady(view: &View<'_>) -> Held {
    let now = view.facts.now;
    for trend in &view.snapshot().strain.memory {
        let Some(pod) = view.pods.iter().find(|pod| pod.key == trend.pod && pod.deleting.is_none()) else {
            continue;
        };
        let of = pod.containers.iter().find(|container| container.name == trend.container);
        let Some(limit) = of.and_then(|container| container.limits.memory_bytes) else { continue };
        let window = trend.bytes.within(MEMORY_WINDOW, now);
        let (Some((from, first)), Some((to, last))) = (window.first(), window.last()) else { continue };
        let (grown, span) = (last - first, between(*from, *to));
        // Every process grows while it warms up.
        if span < MEMORY_SHORTEST {
            continue;
        }
        let seconds = span.as_secs_f64();
        // Less than a hundredth is breathing.
        if grown > first * 0.01 && seconds > 0.0 {
            let left = (limit as f64 - last).max(0.0) * seconds / grown;
            if left < MEMORY_FAR.as_secs_f64() {
                let left = text::span(Duration::from_secs_f64(left));
                return Err(format!("{} still grows: at its limit in {left}", pod.key.name));
            }
        }
    }
    Ok(None)
}

/// Since when every sample has been below a bound.
fn below(series: &Series, bound: f64, what: &str, show: impl Fn(f64) -> String) -> Held {
    let Some((_, last)) = series.last() else { return Err(format!("{what}: nothing to be seen")) };
    if last >= bound {
        return Err(format!("{what} at {}, to be below {}", show(last), show(bound)));
    }
    Ok(series.points().iter().rev().take_while(|(_, value)| *value < bound).last().map(|(at, _)| *at))
}

fn monitoring_works(view: &View<'_>) -> Held {
    let snapshot = view.snapshot();
    if let Some(blind) = snapshot.blindness(Origin::Monitoring, view.facts.now) {
        return Err(blind.why);
    }
    let Some(seen) = &snapshot.monitoring else { return Err("Prometheus is not to be seen".into()) };
    if !seen.serves() {
        return Err("Prometheus does not serve yet".into());
    }
    if seen.loaded == Some(false) {
        return Err("its last reload was refused".into());
    }
    if seen.ingest.is_some_and(|rate| rate <= 0.0) {
        return Err("it takes no samples".into());
    }
    if let Some((up, all)) = seen.targets.filter(|(up, all)| f64::from(*up) < TARGETS * f64::from(*all)) {
        return Err(format!("{up} of {all} targets up"));
    }
    let watchdog = snapshot.watchdog;
    let missing = |last: Timestamp| between(last, view.facts.now) > Duration::from_mins(2);
    if watchdog.is_some_and(missing) {
        return Err("the Watchdog is not back at Alertmanager".into());
    }
    Ok(None)
}

fn alerts_calm(view: &View<'_>) -> Held {
    let snapshot = view.snapshot();
    if let Some(blind) = snapshot.blindness(Origin::AlertHistory, view.facts.now) {
        return Err(blind.why);
    }
    let noise = &snapshot.noise;
    if let Some(sent) = noise.sent_1h.filter(|sent| *sent > NOTIFICATIONS) {
        return Err(format!("{sent:.0} notifications in the last hour"));
    }
    if let Some((alert, flaps)) = noise.flaps.iter().find(|(_, flaps)| *flaps >= FLAPS) {
        return Err(format!("{alert} became active again {flaps:.0} times in 6 h"));
    }
    Ok(None)
}

fn certificate_valid(view: &View<'_>) -> Held {
    let snapshot = view.snapshot();
    let hosts = hosts(view);
    let rows: Vec<_> = snapshot
        .handshakes
        .iter()
        .filter(|((name, _), _)| hosts.iter().any(|host| **host == **name))
        .flat_map(|(_, rows)| rows)
        .collect();
    let key = view.certificate();
    let certificate = key.as_ref().and_then(|key| snapshot.certificates.get(key));
    if let Some(row) =
        certificate.and_then(|one| one.condition("Ready")).filter(|row| row.status != Status::True)
    {
        return Err(format!("the Certificate is not Ready: {}", row.message.as_deref().unwrap_or_default()));
    }
    if rows.is_empty() {
        return Err("no handshake was seen".into());
    }
    for row in &rows {
        match &row.served {
            Err(why) => return Err(format!("{}: {why}", row.address)),
            Ok(served) if !served.name_matches => return Err(format!("{} serves another name", row.address)),
            Ok(served) if served.distrust.is_some() => return Err(format!("{} is not trusted", row.address)),
            Ok(served) if between(view.facts.now, served.not_after) <= enough(served) => {
                let left = text::span_short(between(view.facts.now, served.not_after));
                return Err(format!("{} serves a certificate with {left} left", row.address));
            }
            Ok(_) => {}
        }
    }
    Ok(None)
}

/// Three weeks, or a third of a short life.
fn enough(served: &Served) -> Duration {
    CERTIFICATE.min(between(served.not_before, served.not_after).mul_f64(0.3))
}

/// The public hosts that the anomaly is about, without wildcards.
fn hosts(view: &View<'_>) -> Vec<Name> {
    if let Subject::Host(host) = &view.facts.anomaly.subject {
        return vec![host.clone()];
    }
    let snapshot = view.snapshot();
    let certificate = view.certificate().and_then(|key| snapshot.certificates.get(&key));
    let ingress = view.ingress().and_then(|key| snapshot.ingresses.get(&key));
    let mut hosts: Vec<Name> = match (&*view.facts.anomaly.rule, certificate, ingress) {
        ("ingress-down", _, Some(ingress)) => ingress.hosts.to_vec(),
        (_, Some(certificate), _) => certificate.dns_names.to_vec(),
        (_, None, Some(ingress)) => ingress.hosts.to_vec(),
        (_, None, None) => {
            view.facts.anomaly.bindings.get("host").map(|host| host.as_str().into()).into_iter().collect()
        }
    };
    hosts.retain(|host| !host.contains('*'));
    hosts
}

/// Every host answers; since the first good walk after the last bad one.
fn hosts_reached(view: &View<'_>) -> Held {
    let snapshot = view.snapshot();
    let hosts = hosts(view);
    let reaches: Vec<_> = hosts.iter().filter_map(|host| snapshot.reaches.get(host)).collect();
    if let Some((layer, says)) = reaches.iter().find_map(|reach| reach.last.failed()) {
        return Err(format!("{layer} still fails: {says}"));
    }
    let doubtful = |reach: &&Reach| matches!(reach.last.ended, Ended::Doubtful { .. });
    if reaches.is_empty() || reaches.iter().all(doubtful) {
        return Err("no walk to the hosts was seen".into());
    }
    Ok(reaches.iter().filter_map(|reach| reach.well_since).max())
}

/// Every Service behind the Ingress has a ready endpoint.
fn endpoints_ready(view: &View<'_>) -> Held {
    let snapshot = view.snapshot();
    let Some(ingress) = view.ingress().and_then(|key| snapshot.ingresses.get(&key)) else { return Ok(None) };
    for service in &ingress.services {
        let of_service = |slice: &&crate::domain::EndpointSlice| {
            slice.key.namespace == ingress.key.namespace && slice.service.as_ref() == Some(service)
        };
        let ready: u32 = snapshot.endpoint_slices.iter().filter(of_service).map(|slice| slice.ready).sum();
        if ready == 0 {
            return Err(format!("Service {service} has no ready endpoint"));
        }
    }
    Ok(None)
}
