//! Startup, readiness and liveness probes of running containers.
//! It knows what a container would answer; what follows from it is the kubelet's part.

use jiff::Timestamp;

use super::cluster::{Cluster, later};
use super::container::{Checks, Slot};
use super::course;
use super::kubelet::{Kubelet, Spot};
use super::objects::{Container, Probe};
use super::program;
use super::shelf::Key;

/// Paths on which the app of the lab answers.
const HEALTH: [&str; 4] = ["/health", "/health/live", "/health/ready", "/health/startup"];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Asked {
    Startup,
    Readiness,
    Liveness,
}

/// Sets the probes of a container that just started.
pub fn begin(cluster: &Cluster, container: &Container, slot: &mut Slot) {
    let first = |probe: &Option<Probe>| {
        let probe = probe.as_ref()?;
        Some(cluster.after(f64::from(probe.initial_delay_seconds).max(0.2)))
    };
    slot.readiness = Checks { failures: 0, next: first(&container.readiness_probe) };
    slot.liveness = Checks { failures: 0, next: first(&container.liveness_probe) };
    slot.startup = Checks { failures: 0, next: first(&container.startup_probe) };
    slot.started = container.startup_probe.is_none();
    slot.ready = container.readiness_probe.is_none() && slot.started;
}

/// Runs the probes that are due; says when the next one is.
pub(super) fn check(
    kubelet: &Kubelet,
    cluster: &mut Cluster,
    at: Spot<'_>,
    slot: &mut Slot,
    since: Timestamp,
) -> Option<Timestamp> {
    if !slot.started {
        return run(kubelet, cluster, at, slot, (Asked::Startup, since));
    }
    let readiness = run(kubelet, cluster, at, slot, (Asked::Readiness, since));
    slot.running_since()?;
    let liveness = run(kubelet, cluster, at, slot, (Asked::Liveness, since));
    slot.running_since()?;
    [readiness, liveness].into_iter().flatten().min()
}

fn run(
    kubelet: &Kubelet,
    cluster: &mut Cluster,
    at: Spot<'_>,
    slot: &mut Slot,
    (asked, since): (Asked, Timestamp),
) -> Option<Timestamp> {
    let container = at.container;
    let (probe, checks) = match asked {
        Asked::Startup => (&container.startup_probe, slot.startup),
        Asked::Readiness => (&container.readiness_probe, slot.readiness),
        Asked::Liveness => (&container.liveness_probe, slot.liveness),
    };
    let (probe, due) = (probe.as_ref()?, checks.next?);
    if due > cluster.now {
        return Some(due);
    }
    let answer = answer(kubelet, cluster, at, slot, (probe, asked, since));
    let period =
        cluster.lasting(f64::from(if probe.period_seconds == 0 { 10 } else { probe.period_seconds }));
    let threshold = if probe.failure_threshold == 0 { 3 } else { probe.failure_threshold };
    let can_change = program::is_app(&container.image) || answer.is_err();
    let next = can_change.then(|| later(cluster.now, period));
    let failures = match &answer {
        Ok(()) => 0,
        Err(why) => {
            let name = match asked {
                Asked::Startup => "Startup",
                Asked::Readiness => "Readiness",
                Asked::Liveness => "Liveness",
            };
            at.note(cluster, "Warning", "Unhealthy", &format!("{name} probe failed: {why}"));
            checks.failures + 1
        }
    };
    let checks = Checks { failures, next };
    let exhausted = failures >= threshold;
    match asked {
        Asked::Startup => slot.startup = checks,
        Asked::Readiness => slot.readiness = checks,
        Asked::Liveness => slot.liveness = checks,
    }
    match (asked, answer.is_ok()) {
        (Asked::Startup, true) => {
            slot.started = true;
            slot.ready = container.readiness_probe.is_none();
            return Some(cluster.now);
        }
        (Asked::Readiness, true) => slot.ready = true,
        (Asked::Readiness, false) if exhausted => slot.ready = false,
        (Asked::Startup | Asked::Liveness, false) if exhausted => {
            let kind = if asked == Asked::Startup { "startup" } else { "liveness" };
            let message = format!("Container {} failed {kind} probe, will be restarted", container.name);
            at.note(cluster, "Normal", "Killing", &message);
            course::exit(cluster, at, slot, since, (137, "Error"));
            return None;
        }
        _ => {}
    }
    next
}

fn answer(
    kubelet: &Kubelet,
    cluster: &Cluster,
    at: Spot<'_>,
    slot: &Slot,
    (probe, asked, since): (&Probe, Asked, Timestamp),
) -> Result<(), String> {
    let Some(get) = probe.http_get.as_ref().or(probe.tcp_socket.as_ref()) else { return Ok(()) };
    let ip = &at.pod.status.pod_ip;
    let port = at.container.port(&get.port).unwrap_or(0);
    let listening = later(since, cluster.lasting(slot.life.boot)) <= cluster.now
        && (at.container.ports.is_empty()
            || at.container.ports.iter().any(|known| known.container_port == port));
    if !listening {
        let refused = format!("dial tcp {ip}:{port}: connect: connection refused");
        return Err(if probe.http_get.is_some() {
            format!("Get \"http://{ip}:{port}{}\": {refused}", get.path)
        } else {
            refused
        });
    }
    if probe.http_get.is_none() || !program::is_app(&at.container.image) {
        return Ok(());
    }
    let status = |code: u16| Err(format!("HTTP probe failed with statuscode: {code}"));
    if !HEALTH.contains(&get.path.as_str()) {
        return status(404);
    }
    let fit = slot.life.ready && !kubelet.unhealthy.contains(&Key::of(at.pod));
    if asked == Asked::Readiness && !fit { status(503) } else { Ok(()) }
}
