//! A pod's status as its kubelet reports it: phase, conditions, containers.
//! It knows the form; the truth behind it is the kubelet's.

use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hasher as _};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::cluster::Cluster;
use super::conditions::{self, Shown};
use super::container::{Checks, Slot, State};
use super::kubelet::Run;
use super::objects::{Container, Map, Pod};
use super::program;
use super::registry::{Reference, digest_of};
use super::shelf::Key;
use crate::lab::store::seconds;

/// Writes the status of a pod, if it changed.
pub fn write(cluster: &mut Cluster, pod: &Pod, run: &mut Run) {
    let Some(fresh) = cluster.pods.get(&Key::of(pod)).filter(|fresh| fresh.metadata.uid == run.uid) else {
        return;
    };
    let seen = fingerprint(run);
    let shown = fresh.is_ready() == is_ready(run) && fresh.status.phase == phase(run);
    if shown && run.written == Some(seen) {
        return;
    }
    run.written = Some(seen);
    let host = cluster.nodes.get(&Key::new("", &pod.spec.node_name));
    let host = host.and_then(|node| node.status.addresses.first().map(|first| first.address.clone()));
    let host = host.unwrap_or_default();
    let at = seconds(cluster.now);
    cluster.update::<Pod>(&Key::of(pod), |object| {
        if !object["status"].is_object() {
            object["status"] = json!({});
        }
        fill(&mut object["status"], &pod.spec.containers, run, &host, &at);
    });
}

/// Changes whenever what a kubelet would report does.
fn fingerprint(run: &Run) -> u64 {
    let mut hasher = DefaultHasher::new();
    for slot in &run.slots {
        slot.fingerprint(&mut hasher);
    }
    hasher.finish()
}

/// Puts everything a kubelet reports into `status`.
pub fn fill(status: &mut Value, containers: &[Container], run: &Run, host: &str, at: &str) {
    status["phase"] = phase(run).into();
    let reported: Vec<Value> =
        run.slots.iter().zip(containers).map(|(slot, container)| slot.status(&container.image)).collect();
    status["containerStatuses"] = reported.into();
    status["hostIP"] = host.into();
    status["hostIPs"] = json!([{ "ip": host }]);
    status["podIP"] = run.ip.clone().into();
    status["podIPs"] = json!([{ "ip": run.ip }]);
    status["startTime"] = seconds(run.since).into();
    for (kind, holds) in [
        ("PodReadyToStartContainers", true),
        ("Initialized", true),
        ("Ready", is_ready(run)),
        ("ContainersReady", is_ready(run)),
        ("PodScheduled", true),
    ] {
        put(status, run, kind, holds, at);
    }
}

fn put(status: &mut Value, run: &Run, kind: &str, holds: bool, at: &str) {
    let unready: Vec<&str> =
        run.slots.iter().filter(|slot| !slot.ready).map(|slot| slot.name.as_str()).collect();
    let (reason, message) = if holds {
        ("", String::new())
    } else if phase(run) == "Succeeded" {
        ("PodCompleted", String::new())
    } else {
        ("ContainersNotReady", format!("containers with unready status: [{}]", unready.join(" ")))
    };
    let shown = Shown { kind, status: if holds { "True" } else { "False" }, reason, message: &message };
    if conditions::put(status, &shown, at)
        && let Some(condition) = conditions::at(status, kind)
    {
        condition["lastProbeTime"] = Value::Null;
    }
}

fn is_ready(run: &Run) -> bool {
    run.slots.iter().all(|slot| slot.ready)
}

fn phase(run: &Run) -> &'static str {
    if run.slots.iter().all(Slot::is_finished) && !run.slots.is_empty() {
        let failed = run.slots.iter().any(|slot| slot.exit_code() != Some(0));
        return if failed { "Failed" } else { "Succeeded" };
    }
    if run.slots.iter().all(Slot::has_run) { "Running" } else { "Pending" }
}

/// What a pod that already runs looked like to the kubelet that started it.
pub fn adopt(cluster: &mut Cluster, pod: &Pod) -> Run {
    let object = cluster.store.get("pods", &pod.metadata.namespace, &pod.metadata.name);
    let object = object.map(|object| object.value()).unwrap_or_default();
    let now = cluster.now;
    let slots = pod
        .spec
        .containers
        .iter()
        .map(|container| {
            let shown = pod.status.container_statuses.iter().find(|shown| shown.name == container.name);
            let raw = object.pointer("/status/containerStatuses").and_then(Value::as_array);
            let raw = raw.and_then(|list| list.iter().find(|raw| raw["name"] == container.name.as_str()));
            let since = shown.and_then(|shown| shown.state.running.as_ref()?.started_at).unwrap_or(now);
            let mut slot = running(container, since);
            slot.restarts = shown.map_or(0, |shown| shown.restart_count);
            if let Some(raw) = raw {
                slot.terminated = raw.pointer("/lastState/terminated").cloned();
                raw["containerID"].as_str().unwrap_or_default().clone_into(&mut slot.id);
                raw["imageID"].as_str().unwrap_or_default().clone_into(&mut slot.image_id);
            }
            slot
        })
        .collect();
    let since = pod.status.start_time.unwrap_or(now);
    Run::new(&pod.metadata.uid, slots, since, pod.status.pod_ip.clone())
}

/// A container that has been running well since `since`.
pub fn running(container: &Container, since: Timestamp) -> Slot {
    let mut slot = Slot::new(&container.name, since);
    slot.state = State::Running { since };
    slot.life = program::usual(container, &Map::new(), "");
    slot.life.exit = None;
    slot.ready = true;
    slot.started = true;
    slot.image_id = image_id(&container.image);
    let again = program::is_app(&container.image).then_some(since);
    let checks = |has: bool| Checks { failures: 0, next: again.filter(|_| has) };
    slot.readiness = checks(container.readiness_probe.is_some());
    slot.liveness = checks(container.liveness_probe.is_some());
    slot
}

pub fn container_id(rng: &mut fastrand::Rng) -> String {
    let mut id = "containerd://".to_owned();
    for _ in 0..4 {
        let _infallible = write!(id, "{:016x}", rng.u64(..));
    }
    id
}

/// `repository@sha256:…`, as the runtime reports what it runs.
pub fn image_id(image: &str) -> String {
    Reference::parse(image).map_or_else(String::new, |reference| {
        let digest = reference.digest.map_or_else(|| digest_of(reference.tag), str::to_owned);
        format!("{}/{}@{digest}", reference.host, reference.repository)
    })
}
