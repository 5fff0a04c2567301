//! A pod on the wire, and the slim pod made of it.

use serde::Deserialize;

use super::names::{Names, maybe_says};
use super::wire::{Amounts, ConditionWire, Meta, Resources, conditions, count, time};
use crate::domain::{Container, ContainerState, Phase, Pod, Terminated};

#[derive(Deserialize, Debug, Default)]
pub(in crate::eyes) struct PodWire {
    #[serde(default)]
    metadata: Meta,
    spec: Option<Spec>,
    status: Option<StatusWire>,
}

#[derive(Deserialize, Debug, Default)]
#[serde(rename_all = "camelCase")]
struct Spec {
    node_name: Option<String>,
    priority_class_name: Option<String>,
    init_containers: Option<Vec<ContainerSpec>>,
    containers: Option<Vec<ContainerSpec>>,
    volumes: Option<Vec<Volume>>,
}

#[derive(Deserialize, Debug, Default)]
#[serde(rename_all = "camelCase")]
struct ContainerSpec {
    name: Option<String>,
    image: Option<String>,
    restart_policy: Option<String>,
    resources: Option<Resources>,
}

#[derive(Deserialize, Debug, Default)]
#[serde(rename_all = "camelCase")]
struct Volume {
    empty_dir: Option<serde::de::IgnoredAny>,
    persistent_volume_claim: Option<Claim>,
}

#[derive(Deserialize, Debug, Default)]
#[serde(rename_all = "camelCase")]
struct Claim {
    claim_name: Option<String>,
}

#[derive(Deserialize, Debug, Default)]
#[serde(rename_all = "camelCase")]
struct StatusWire {
    phase: Option<String>,
    reason: Option<String>,
    message: Option<String>,
    conditions: Option<Vec<ConditionWire>>,
    init_container_statuses: Option<Vec<ContainerStatus>>,
    container_statuses: Option<Vec<ContainerStatus>>,
}

#[derive(Deserialize, Debug, Default)]
#[serde(rename_all = "camelCase")]
struct ContainerStatus {
    name: Option<String>,
    ready: Option<bool>,
    restart_count: Option<i64>,
    state: Option<State>,
    last_state: Option<State>,
}

#[derive(Deserialize, Debug, Default)]
struct State {
    waiting: Option<Waiting>,
    running: Option<Running>,
    terminated: Option<TerminatedWire>,
}

#[derive(Deserialize, Debug, Default)]
struct Waiting {
    reason: Option<String>,
    message: Option<String>,
}

#[derive(Deserialize, Debug, Default)]
#[serde(rename_all = "camelCase")]
struct Running {
    started_at: Option<String>,
}

#[derive(Deserialize, Debug, Default)]
#[serde(rename_all = "camelCase")]
struct TerminatedWire {
    reason: Option<String>,
    message: Option<String>,
    exit_code: Option<i32>,
    signal: Option<i32>,
    started_at: Option<String>,
    finished_at: Option<String>,
}

pub(in crate::eyes) fn read(wire: PodWire, names: &mut Names) -> Option<Pod> {
    let PodWire { metadata, spec, status } = wire;
    let (spec, status) = (spec.unwrap_or_default(), status.unwrap_or_default());
    let volumes = spec.volumes.unwrap_or_default();
    let inits = spec.init_containers.unwrap_or_default();
    let mains = spec.containers.unwrap_or_default();
    let init_status = status.init_container_statuses.unwrap_or_default();
    let main_status = status.container_statuses.unwrap_or_default();
    let inits = inits.iter().map(|spec| (spec, &init_status, true));
    let mains = mains.iter().map(|spec| (spec, &main_status, false));
    let containers =
        inits.chain(mains).map(|(spec, statuses, init)| container(spec, statuses, init, names)).collect();
    Some(Pod {
        key: metadata.key(names)?,
        uid: metadata.uid(),
        resource_version: metadata.version(),
        labels: names.labels(metadata.labels.as_ref()),
        owner: metadata.owner(names),
        created: metadata.created(),
        deleting: time(metadata.deletion_timestamp.as_ref()),
        finalizers: metadata.finalizers.iter().flatten().map(|name| names.shared(name)).collect(),
        node: names.maybe(spec.node_name.as_ref()),
        phase: match status.phase.as_deref() {
            Some("Running") => Phase::Running,
            Some("Succeeded") => Phase::Succeeded,
            Some("Failed") => Phase::Failed,
            None | Some("Pending") => Phase::Pending,
            Some(_) => Phase::Unknown,
        },
        reason: names.maybe(status.reason.as_ref()),
        message: maybe_says(status.message.as_ref()),
        conditions: conditions(status.conditions.as_ref(), names),
        containers,
        has_empty_dir: volumes.iter().any(|volume| volume.empty_dir.is_some()),
        is_mirror: metadata.annotations.as_ref().is_some_and(|known| known.mirror.is_some()),
        claims: volumes
            .iter()
            .filter_map(|volume| volume.persistent_volume_claim.as_ref()?.claim_name.as_deref())
            .map(|claim| names.shared(claim))
            .collect(),
        priority_class: names.maybe(spec.priority_class_name.as_ref()),
    })
}

fn container(spec: &ContainerSpec, statuses: &[ContainerStatus], init: bool, names: &mut Names) -> Container {
    let status = statuses.iter().find(|status| status.name == spec.name);
    let resources = spec.resources.as_ref();
    Container {
        name: names.shared(spec.name.as_deref().unwrap_or_default()),
        // A sidecar (an init container that restarts) runs as long as the others, and is judged like them.
        init: init && spec.restart_policy.as_deref() != Some("Always"),
        image: names.shared(spec.image.as_deref().unwrap_or_default()),
        ready: status.is_some_and(|status| status.ready == Some(true)),
        restarts: count(status.and_then(|status| status.restart_count)),
        state: state(status.and_then(|status| status.state.as_ref()), names),
        last: status
            .and_then(|status| status.last_state.as_ref()?.terminated.as_ref())
            .map(|raw| terminated(raw, names)),
        requests: Amounts::quantities(resources.and_then(|resources| resources.requests.as_ref())),
        limits: Amounts::quantities(resources.and_then(|resources| resources.limits.as_ref())),
    }
}

fn state(raw: Option<&State>, names: &mut Names) -> ContainerState {
    let Some(raw) = raw else { return ContainerState::Unreported };
    if let Some(raw) = &raw.terminated {
        ContainerState::Terminated(terminated(raw, names))
    } else if let Some(raw) = &raw.running {
        ContainerState::Running { since: time(raw.started_at.as_ref()) }
    } else if let Some(raw) = &raw.waiting {
        ContainerState::Waiting {
            reason: names.shared(raw.reason.as_deref().unwrap_or_default()),
            message: maybe_says(raw.message.as_ref()),
        }
    } else {
        ContainerState::Unreported
    }
}

fn terminated(raw: &TerminatedWire, names: &mut Names) -> Terminated {
    Terminated {
        reason: names.shared(raw.reason.as_deref().unwrap_or_default()),
        exit_code: raw.exit_code.unwrap_or_default(),
        signal: raw.signal.filter(|signal| *signal != 0),
        started: time(raw.started_at.as_ref()),
        finished: time(raw.finished_at.as_ref()),
        message: maybe_says(raw.message.as_ref()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(text: &str) -> Pod {
        let wire: PodWire = serde_json::from_str(text).expect("a pod");
        read(wire, &mut Names::default()).expect("a name")
    }

    #[test]
    fn sidecars_count_as_containers_and_debuggers_do_not() {
        let pod = pod(r#"{"metadata": {"name": "web"}, "spec": {
                "initContainers": [{"name": "migrate", "image": "m"}, {"name": "proxy", "image": "p", "restartPolicy": "Always"}],
                "containers": [{"name": "app", "image": "a"}],
                "ephemeralContainers": [{"name": "debugger-x", "image": "busybox"}]},
            "status": {"phase": "Running",
                "initContainerStatuses": [
                    {"name": "migrate", "ready": true, "restartCount": 0, "state": {"terminated": {"exitCode": 0, "reason": "Completed"}}},
                    {"name": "proxy", "ready": false, "restartCount": 4, "state": {"waiting": {"reason": "CrashLoopBackOff"}}}],
                "containerStatuses": [{"name": "app", "ready": true, "restartCount": 0, "state": {"running": {}}}],
                "ephemeralContainerStatuses": [{"name": "debugger-x", "ready": false, "restartCount": 0, "state": {"terminated": {"exitCode": 1}}}],
                "conditions": [{"type": "PodReadyToStartContainers", "status": "True"}, {"type": "PodResizePending", "status": "True", "reason": "Deferred"}]}}"#);
        let names: Vec<(&str, bool)> = pod.containers.iter().map(|row| (&*row.name, row.init)).collect();
        assert_eq!(names, [("migrate", true), ("proxy", false), ("app", false)]);
        assert_eq!(pod.restarts(), 4);
    }

    #[test]
    fn pods_of_which_little_is_known() {
        let gated = pod(
            r#"{"metadata": {"name": "held"}, "spec": {"schedulingGates": [{"name": "kueue.x-k8s.io/admission"}],
                "containers": [{"name": "app", "image": "a"}]},
            "status": {"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}]}}"#,
        );
        assert_eq!(gated.containers[0].state, ContainerState::Unreported);
        assert_eq!(
            gated.condition("PodScheduled").and_then(|row| row.reason.as_deref()),
            Some("SchedulingGated")
        );
        let bare = pod(r#"{"metadata": {"name": "new"}}"#);
        assert!(bare.containers.is_empty() && bare.phase == Phase::Pending && !bare.is_ready());
    }
}
