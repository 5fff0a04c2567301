//! A container's way through its kubelet: image, environment, start, end, back-off, start again.
//! It knows one container at a time; when to look at it is told.

use jiff::Timestamp;

use super::cluster::{Cluster, later};
use super::container::{Slot, State};
use super::env;
use super::kubelet::{Kubelet, Spot};
use super::objects::{Container, Pod};
use super::{pod_status, probes, program};

/// First and longest pause between restarts of a crashing container, and between pulls of a failing image.
const FIRST_DELAY: f64 = 10.0;
const LONGEST_DELAY: f64 = 300.0;

/// A container that ran this long starts its back-off from the beginning.
const FORGIVEN: f64 = 600.0;

impl Kubelet {
    pub(super) fn need_image(&mut self, cluster: &mut Cluster, at: Spot<'_>, slot: &mut Slot) {
        let Container { image, image_pull_policy: policy, .. } = at.container;
        let here = self.images.get(&at.pod.spec.node_name).is_some_and(|images| images.contains(image));
        if policy == "Never" && !here {
            let message = format!("Container image \"{image}\" is not present with pull policy of Never");
            at.note(cluster, "Warning", "ErrImageNeverPull", &message);
            slot.waiting = ("ErrImageNeverPull", message);
            slot.state = State::Unconfigured { retry: cluster.after(FIRST_DELAY) };
        } else if here && policy != "Always" {
            let message = format!("Container image \"{image}\" already present on machine");
            at.note(cluster, "Normal", "Pulled", &message);
            self.create(cluster, at, slot);
        } else {
            at.note(cluster, "Normal", "Pulling", &format!("Pulling image \"{image}\""));
            let until = cluster.after_about(1.2, 2.0);
            slot.state = State::Pulling { began: cluster.now, until };
        }
    }

    pub(super) fn pull(&mut self, cluster: &mut Cluster, at: Spot<'_>, slot: &mut Slot, began: Timestamp) {
        let image = &at.container.image;
        let credentials = env::pull_credentials(cluster, at.pod);
        let pulled = if self.is_full(&at.pod.spec.node_name) {
            Err(format!(
                "failed to pull and unpack image \"{image}\": failed to extract layer: write /var/lib/containerd/tmpmounts/layer: no space left on device"
            ))
        } else {
            self.registry.pull(image, &credentials, cluster.now)
        };
        match pulled {
            Ok(_) => {
                slot.pull_delay = 0.0;
                self.cache_image(&at.pod.spec.node_name, image);
                let took = cluster.now.duration_since(began).as_secs_f64() * cluster.speed;
                let message = format!(
                    "Successfully pulled image \"{image}\" in {took:.3}s ({took:.3}s including waiting). Image size: 184320512 bytes."
                );
                at.note(cluster, "Normal", "Pulled", &message);
                self.create(cluster, at, slot);
            }
            Err(why) => {
                let reason = if why.contains("invalid reference format") {
                    "InvalidImageName"
                } else {
                    "ErrImagePull"
                };
                at.note(cluster, "Warning", "Failed", &format!("Failed to pull image \"{image}\": {why}"));
                at.note(cluster, "Warning", "Failed", &format!("Error: {reason}"));
                slot.pull_delay = (slot.pull_delay * 2.0).clamp(FIRST_DELAY, LONGEST_DELAY);
                slot.waiting = (reason, why.clone());
                let (turn, retry) = (cluster.after(4.0), cluster.after(slot.pull_delay));
                slot.state = State::PullFailed { turn, retry, message: why };
            }
        }
    }

    /// The image is here: read the environment and start.
    pub(super) fn create(&mut self, cluster: &mut Cluster, at: Spot<'_>, slot: &mut Slot) {
        let container = at.container;
        let env = match env::resolve(cluster, at.pod, container) {
            Ok(env) => env,
            Err(missing) => {
                at.note(cluster, "Warning", "Failed", &format!("Error: {missing}"));
                slot.waiting = ("CreateContainerConfigError", missing);
                slot.state = State::Unconfigured { retry: cluster.after(FIRST_DELAY) };
                return;
            }
        };
        let mut found = env.clone();
        found.extend(self.facts.iter().cloned());
        let owner = at.pod.metadata.controller().map_or("", |owner| owner.kind.as_str());
        slot.life = self
            .behaviours
            .iter()
            .find(|behaviour| behaviour.applies(container, &found))
            .map_or_else(|| program::usual(container, &env, owner), |behaviour| behaviour.life(&env));
        slot.life.respect_limit(container);
        slot.env = env;
        slot.id = pod_status::container_id(&mut cluster.rng);
        slot.image_id = pod_status::image_id(&container.image);
        slot.state = State::Running { since: cluster.now };
        at.note(cluster, "Normal", "Created", &format!("Created container: {}", container.name));
        at.note(cluster, "Normal", "Started", &format!("Started container {}", container.name));
        probes::begin(cluster, container, slot);
        print(cluster, at, slot, |first, ends| first || !ends);
    }

    /// A running container: its end, or its probes.
    pub(super) fn live(
        &mut self,
        cluster: &mut Cluster,
        at: Spot<'_>,
        slot: &mut Slot,
        since: Timestamp,
    ) -> Option<Timestamp> {
        if let Some(end) = slot.life.exit.clone() {
            let due = later(since, cluster.lasting(end.after));
            if due <= cluster.now {
                print(cluster, at, slot, |first, _| !first);
                exit(cluster, at, slot, since, (end.code, end.reason()));
                return None;
            }
            let next = probes::check(self, cluster, at, slot, since);
            return Some(next.map_or(due, |next| next.min(due)));
        }
        let next = probes::check(self, cluster, at, slot, since);
        let Some(due) = slot.life.killed_after(at.container) else { return next };
        let due = later(since, cluster.lasting(due));
        if due <= cluster.now {
            exit(cluster, at, slot, since, (137, "OOMKilled"));
            return None;
        }
        Some(next.map_or(due, |next| next.min(due)))
    }

    pub(super) fn after_exit(
        &mut self,
        cluster: &mut Cluster,
        at: Spot<'_>,
        slot: &mut Slot,
        exited: Timestamp,
    ) {
        if slot.crash_delay == 0.0 {
            return self.restart(cluster, at, slot);
        }
        let Pod { metadata, .. } = at.pod;
        let pod = format!("{}_{}({})", metadata.name, metadata.namespace, metadata.uid);
        let (name, delay) = (&at.container.name, wait(slot.crash_delay));
        slot.waiting =
            ("CrashLoopBackOff", format!("back-off {delay} restarting failed container={name} pod={pod}"));
        let message = format!("Back-off restarting failed container {name} in pod {pod}");
        at.note(cluster, "Warning", "BackOff", &message);
        slot.state = State::CrashLoop { until: later(exited, cluster.lasting(slot.crash_delay)) };
    }

    pub(super) fn restart(&mut self, cluster: &mut Cluster, at: Spot<'_>, slot: &mut Slot) {
        slot.restarts += 1;
        slot.crash_delay = (slot.crash_delay * 2.0).clamp(FIRST_DELAY, LONGEST_DELAY);
        self.need_image(cluster, at, slot);
    }
}

/// The container ended, by itself or killed.
pub(super) fn exit(
    cluster: &mut Cluster,
    at: Spot<'_>,
    slot: &mut Slot,
    since: Timestamp,
    (code, reason): (i32, &str),
) {
    let now = cluster.now;
    slot.end(since, now, code, reason);
    let by_log = at.container.termination_message_policy == "FallbackToLogsOnError" && code != 0;
    if let (Some(ended), Some(last)) = (&mut slot.terminated, slot.life.log.last().filter(|_| by_log)) {
        ended["message"] = last.as_str().into();
    }
    let again = match at.pod.spec.restart_policy.as_str() {
        "Never" => false,
        "OnFailure" => code != 0,
        _ => true,
    };
    if now.duration_since(since) >= cluster.lasting(FORGIVEN) {
        slot.crash_delay = 0.0;
    }
    slot.state = if again { State::Exited { at: now, until: cluster.after(2.0) } } else { State::Finished };
}

/// Prints those lines of a container's life for which `when(is first, it will end)`.
fn print(cluster: &mut Cluster, at: Spot<'_>, slot: &Slot, when: fn(bool, bool) -> bool) {
    let Pod { metadata, .. } = at.pod;
    let ends = slot.life.exit.is_some();
    for (number, line) in slot.life.log.iter().enumerate() {
        if when(number == 0, ends) {
            let (namespace, pod) = (&metadata.namespace, &metadata.name);
            cluster.logs.append(namespace, pod, &slot.name, slot.restarts, line, cluster.now);
        }
    }
}

/// `10s`, `2m40s`, as Go prints a duration.
fn wait(seconds: f64) -> String {
    let whole = seconds as u64;
    if whole < 60 { format!("{whole}s") } else { format!("{}m{}s", whole / 60, whole % 60) }
}
