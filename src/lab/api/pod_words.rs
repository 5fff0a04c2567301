//! The three words `kubectl get pods` says about a pod: READY, STATUS and RESTARTS.
//! It follows the real printer (printPod) and reads the pod only.
use jiff::Timestamp;
use serde_json::Value;

use super::table::since;

/// `1/2`: containers ready of containers (restartable init containers count).
pub fn ready(pod: &Value) -> String {
    let sidecars = sidecar_names(pod);
    let total = items(&pod["spec"]["containers"]).count() + sidecars.len();
    let ready = statuses(pod).filter(|status| status["ready"] == true).count();
    let sidecar = |status: &&Value| {
        status["ready"] == true && status["name"].as_str().is_some_and(|name| sidecars.contains(&name))
    };
    let ready = ready + items(&pod["status"]["initContainerStatuses"]).filter(sidecar).count();
    format!("{ready}/{total}")
}

/// The reason that matters most: a waiting or ended container over the phase, deletion over all.
pub fn status(pod: &Value) -> String {
    let mut word =
        text(&pod["status"]["reason"]).or(text(&pod["status"]["phase"])).unwrap_or_default().to_owned();
    for condition in items(&pod["status"]["conditions"]) {
        if condition["type"] == "PodScheduled" && condition["reason"] == "SchedulingGated" {
            "SchedulingGated".clone_into(&mut word);
        }
    }
    if let Some(init) = init_status(pod) {
        word = init;
    } else {
        let mut running = false;
        for status in statuses(pod).rev() {
            let state = &status["state"];
            if let Some(reason) = text(&state["waiting"]["reason"]) {
                reason.clone_into(&mut word);
            } else if state["terminated"].is_object() {
                word = ended(&state["terminated"]);
            } else if status["ready"] == true && state["running"].is_object() {
                running = true;
            }
        }
        if word == "Completed" && running {
            word = if is_ready(pod) { "Running".into() } else { "NotReady".into() };
        }
    }
    if pod["metadata"]["deletionTimestamp"].is_string() {
        if pod["status"]["reason"] == "NodeLost" {
            return "Unknown".into();
        }
        let phase = pod["status"]["phase"].as_str().unwrap_or_default();
        if !["Succeeded", "Failed"].contains(&phase) {
            return "Terminating".into();
        }
    }
    word
}

/// `3 (5m ago)`, or `0`.
pub fn restarts(pod: &Value, now: Timestamp) -> String {
    let sidecars = sidecar_names(pod);
    let initialising = init_status(pod).is_some();
    let counted = items(&pod["status"]["initContainerStatuses"])
        .filter(|status| initialising || status["name"].as_str().is_some_and(|name| sidecars.contains(&name)))
        .chain(statuses(pod).filter(|_| !initialising));
    let (mut count, mut last) = (0, None::<&Value>);
    for status in counted {
        count += status["restartCount"].as_u64().unwrap_or(0);
        let finished = &status["lastState"]["terminated"]["finishedAt"];
        if finished.as_str() > last.and_then(Value::as_str) {
            last = Some(finished);
        }
    }
    match last {
        Some(at) if count > 0 => format!("{count} ({} ago)", since(at, now)),
        _ => count.to_string(),
    }
}

fn init_status(pod: &Value) -> Option<String> {
    let all: Vec<&Value> = items(&pod["spec"]["initContainers"]).collect();
    let sidecars = sidecar_names(pod);
    for (done, status) in items(&pod["status"]["initContainerStatuses"]).enumerate() {
        let sidecar = status["name"].as_str().is_some_and(|name| sidecars.contains(&name));
        let (ended_state, waiting) = (&status["state"]["terminated"], &status["state"]["waiting"]);
        if ended_state.is_object() && ended_state["exitCode"] == 0 || sidecar && status["started"] == true {
            continue;
        }
        return Some(if ended_state.is_object() {
            format!("Init:{}", ended(ended_state))
        } else if let Some(reason) = text(&waiting["reason"]).filter(|reason| *reason != "PodInitializing") {
            format!("Init:{reason}")
        } else {
            format!("Init:{done}/{}", all.len())
        });
    }
    None
}

fn ended(terminated: &Value) -> String {
    match (text(&terminated["reason"]), terminated["signal"].as_i64().unwrap_or(0)) {
        (Some(reason), _) => reason.to_owned(),
        (None, 0) => format!("ExitCode:{}", terminated["exitCode"].as_i64().unwrap_or(0)),
        (None, signal) => format!("Signal:{signal}"),
    }
}

fn is_ready(pod: &Value) -> bool {
    items(&pod["status"]["conditions"])
        .any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
}

fn sidecar_names(pod: &Value) -> Vec<&str> {
    let restarting = items(&pod["spec"]["initContainers"]).filter(|one| one["restartPolicy"] == "Always");
    restarting.filter_map(|container| container["name"].as_str()).collect()
}

fn statuses(pod: &Value) -> impl DoubleEndedIterator<Item = &Value> {
    pod["status"]["containerStatuses"].as_array().map_or(&[][..], Vec::as_slice).iter()
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> Option<&str> {
    value.as_str().filter(|text| !text.is_empty())
}
