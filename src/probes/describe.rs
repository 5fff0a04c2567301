//! Objects in words, like `kubectl describe` but shorter: summary, conditions, containers, events.

use serde_json::Value;

use super::answer::{Answer, ago};
use super::cluster::Cluster;
use super::events;
use super::object::{annotation, flag, items, key, number, owner, restarts, string, time};
use super::pods::status;
use super::trouble::Trouble;
use crate::domain::{Kind, ObjectRef, Timestamp, Tone, cause, is_telling, masked};

pub(super) async fn answer(cluster: &Cluster, object: &ObjectRef, now: Timestamp) -> Result<Answer, Trouble> {
    let mut answer = Answer::new();
    let Some(found) = cluster.find(object).await? else {
        return Ok(Answer::failed(&format!("{object} does not exist (any more)")));
    };
    answer.summary(headline(object, &found));
    answer.lines(words(&found, now));
    causes(&mut answer, &found);
    match events::lines(cluster, object, Some(&found), now).await {
        Ok(events) => answer.lines(events),
        Err(trouble) => answer.line(Tone::Dim, format!("events could not be read: {trouble}")),
    }
    Ok(answer)
}

fn headline(object: &ObjectRef, found: &Value) -> String {
    if object.kind == Kind::Pod {
        let node = string(found, "/spec/nodeName");
        return format!("{object}: {}, {} restarts, on {node}", status(found), restarts(found));
    }
    match items(found, "/status/conditions").iter().find(|condition| is_bad(condition)) {
        Some(condition) => format!(
            "{object}: {} is {}: {}",
            string(condition, "/type"),
            string(condition, "/status"),
            string(condition, "/message")
        ),
        None => format!("{object}: nothing remarkable in its status"),
    }
}

/// Whether a condition's status is the wrong one for its type.
fn is_bad(condition: &Value) -> bool {
    let kind = string(condition, "/type");
    let good_when_false = kind.ends_with("Pressure")
        || kind.ends_with("Failure")
        || kind.ends_with("Unavailable")
        || matches!(
            kind,
            "ScalingLimited" | "Issuing" | "DisruptionTarget" | "Failed" | "FailureTarget" | "Suspended"
        );
    let status = string(condition, "/status");
    if good_when_false { status == "True" } else { status != "True" }
}

/// The object in words; also the upper part of the detail view.
pub(super) fn words(found: &Value, now: Timestamp) -> Vec<(Tone, String)> {
    let mut lines = Vec::new();
    let mut row = |label: &str, value: String| {
        if !value.is_empty() {
            // What anybody wrote on it proves nothing of how it is.
            let tone = if matches!(label, "labels" | "annotations") { Tone::Dim } else { Tone::Plain };
            lines.push((tone, format!("{label:<14}{value}")));
        }
    };
    row("name", key(found).to_string());
    row("created", format!("{} ago", ago(time(found, "/metadata/creationTimestamp"), now)));
    if let Some(at) = time(found, "/metadata/deletionTimestamp") {
        row("deleting", format!("since {}", ago(Some(at), now)));
    }
    if let Some(owner) = owner(found) {
        row("owner", format!("{} {}", string(owner, "/kind"), string(owner, "/name")));
    }
    row("labels", pairs(found.pointer("/metadata/labels")));
    row("annotations", pairs(found.pointer("/metadata/annotations")));
    match string(found, "/kind") {
        "Pod" => {
            row("status", status(found));
            row("node", string(found, "/spec/nodeName").into());
            row("message", string(found, "/status/message").into());
        }
        "Node" => {
            row("scheduling", if flag(found, "/spec/unschedulable") { "cordoned" } else { "open" }.into());
            row("taints", taints(found));
            row("kubelet", string(found, "/status/nodeInfo/kubeletVersion").into());
            row("provider id", string(found, "/spec/providerID").into());
        }
        "Deployment" | "StatefulSet" | "ReplicaSet" | "DaemonSet" => workload(found, &mut row),
        "CronJob" => {
            row("schedule", string(found, "/spec/schedule").into());
            row("runs", if flag(found, "/spec/suspend") { "suspended".into() } else { "by schedule".into() });
            row("overlap", string(found, "/spec/concurrencyPolicy").into());
            let when = |field: &str| time(found, field).map(|at| format!("{} ago", ago(Some(at), now)));
            row("last run", when("/status/lastScheduleTime").unwrap_or_else(|| "never".into()));
            row("last success", when("/status/lastSuccessfulTime").unwrap_or_else(|| "never".into()));
        }
        "Job" => {
            let count = |field: &str| number(found, &format!("/status/{field}"));
            row(
                "pods",
                format!(
                    "{} active, {} succeeded, {} failed (may fail {} times)",
                    count("active"),
                    count("succeeded"),
                    count("failed"),
                    found.pointer("/spec/backoffLimit").and_then(Value::as_i64).unwrap_or(6)
                ),
            );
        }
        "HorizontalPodAutoscaler" => {
            row(
                "bounds",
                format!("{}–{}", number(found, "/spec/minReplicas"), number(found, "/spec/maxReplicas")),
            );
            row(
                "replicas",
                format!(
                    "{} now, {} wanted",
                    number(found, "/status/currentReplicas"),
                    number(found, "/status/desiredReplicas")
                ),
            );
        }
        "Secret" | "ConfigMap" => row("keys", keys(found)),
        _ => {}
    }
    for list in ["initContainers", "containers"] {
        for spec in items(found, &format!("/spec/{list}")) {
            container(spec, found, list, now, &mut lines);
        }
        for spec in items(found, &format!("/spec/template/spec/{list}")) {
            container(spec, &Value::Null, list, now, &mut lines);
        }
    }
    conditions(found, now, &mut lines);
    lines
}

fn workload(found: &Value, row: &mut dyn FnMut(&str, String)) {
    let status = |field: &str| number(found, &format!("/status/{field}"));
    if found.pointer("/spec/replicas").is_some() {
        row(
            "replicas",
            format!(
                "{} wanted, {} present, {} updated, {} ready, {} available",
                number(found, "/spec/replicas"),
                status("replicas"),
                status("updatedReplicas"),
                status("readyReplicas"),
                status("availableReplicas")
            ),
        );
    }
    if let Some(revision) = annotation(found, "deployment.kubernetes.io/revision") {
        row("revision", revision.into());
    }
    row("strategy", string(found, "/spec/strategy/type").into());
    row("update", string(found, "/spec/updateStrategy/type").into());
    let partition = number(found, "/spec/updateStrategy/rollingUpdate/partition");
    if partition > 0 {
        row("partition", format!("{partition}: pods below it keep the old revision"));
    }
    if flag(found, "/spec/paused") {
        row("paused", "yes: no pod changes until it is resumed".into());
    }
}

fn container(spec: &Value, pod: &Value, list: &str, now: Timestamp, lines: &mut Vec<(Tone, String)>) {
    let init = if list == "initContainers" { "init container" } else { "container" };
    lines.push((Tone::Heading, format!("{init} {}", string(spec, "/name"))));
    let mut row = |tone: Tone, label: &str, value: String| {
        if !value.is_empty() {
            lines.push((tone, format!("  {label:<12}{value}")));
        }
    };
    row(Tone::Plain, "image", string(spec, "/image").into());
    row(Tone::Plain, "requests", pairs(spec.pointer("/resources/requests")));
    row(Tone::Plain, "limits", pairs(spec.pointer("/resources/limits")));
    for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if let Some(probe_spec) = spec.get(probe) {
            row(Tone::Plain, probe.trim_end_matches("Probe"), probe_words(probe_spec));
        }
    }
    for variable in items(spec, "/env") {
        let (name, set) = (string(variable, "/name"), string(variable, "/value"));
        let shown = if is_telling(name, set) { masked(set) } else { set.to_owned() };
        let from = ["configMapKeyRef", "secretKeyRef"].iter().find_map(|source| {
            let source = variable.pointer(&format!("/valueFrom/{source}"))?;
            Some(format!("from {} key {}", string(source, "/name"), string(source, "/key")))
        });
        row(Tone::Dim, "env", format!("{name}={}", from.unwrap_or(shown)));
    }
    let statuses = if init == "container" { "containerStatuses" } else { "initContainerStatuses" };
    let found = items(pod, &format!("/status/{statuses}"))
        .iter()
        .find(|status| string(status, "/name") == string(spec, "/name"));
    if let Some(status) = found {
        let (tone, says) = state(status.get("state"), now);
        row(tone, "state", says);
        if status.pointer("/lastState/terminated").is_some() {
            row(Tone::Bad, "last state", state(status.get("lastState"), now).1);
        }
        row(Tone::Plain, "restarts", number(status, "/restartCount").to_string());
    }
}

fn state(state: Option<&Value>, now: Timestamp) -> (Tone, String) {
    let Some(state) = state else { return (Tone::Dim, "not reported".into()) };
    if let Some(waiting) = state.get("waiting") {
        let says = format!("waits: {} {}", string(waiting, "/reason"), string(waiting, "/message"));
        return (Tone::Bad, says);
    }
    if let Some(ended) = state.get("terminated") {
        let lived = match (time(ended, "/startedAt"), time(ended, "/finishedAt")) {
            (Some(start), Some(end)) => {
                format!(", lived {}", crate::domain::text::span(crate::domain::between(start, end)))
            }
            _ => String::new(),
        };
        let says = format!(
            "ended {} ago: {} (exit code {}){lived} {}",
            ago(time(ended, "/finishedAt"), now),
            string(ended, "/reason"),
            number(ended, "/exitCode"),
            string(ended, "/message")
        );
        let tone = if number(ended, "/exitCode") == 0 { Tone::Plain } else { Tone::Bad };
        return (tone, says.trim_end().to_owned());
    }
    let since = ago(state.pointer("/running").and_then(|running| time(running, "/startedAt")), now);
    (Tone::Good, format!("running since {since}"))
}

fn probe_words(probe: &Value) -> String {
    let what = if probe.get("httpGet").is_some() {
        format!("GET {} on {}", string(probe, "/httpGet/path"), port(probe, "/httpGet/port"))
    } else if probe.get("tcpSocket").is_some() {
        format!("TCP {}", port(probe, "/tcpSocket/port"))
    } else if probe.get("grpc").is_some() {
        format!("gRPC {}", port(probe, "/grpc/port"))
    } else {
        "a command".into()
    };
    let of = |field: &str, default: i64| probe.get(field).and_then(Value::as_i64).unwrap_or(default);
    format!(
        "{what} every {} s, timeout {} s, fails after {}",
        of("periodSeconds", 10),
        of("timeoutSeconds", 1),
        of("failureThreshold", 3)
    )
}

fn port(probe: &Value, pointer: &str) -> String {
    match probe.pointer(pointer) {
        Some(Value::String(name)) => name.clone(),
        Some(number) => number.to_string(),
        None => "?".into(),
    }
}

fn conditions(found: &Value, now: Timestamp, lines: &mut Vec<(Tone, String)>) {
    let conditions = items(found, "/status/conditions");
    if conditions.is_empty() {
        return;
    }
    lines.push((Tone::Heading, "conditions".into()));
    for condition in conditions {
        let tone = if is_bad(condition) { Tone::Bad } else { Tone::Good };
        let says = format!(
            "  {:<22}{:<8}{:<5}{} {}",
            string(condition, "/type"),
            string(condition, "/status"),
            ago(time(condition, "/lastTransitionTime"), now),
            string(condition, "/reason"),
            string(condition, "/message")
        );
        lines.push((tone, says.trim_end().to_owned()));
    }
}

fn pairs(map: Option<&Value>) -> String {
    let pairs = map.and_then(Value::as_object).into_iter().flatten();
    pairs
        .filter(|(key, _)| *key != "kubectl.kubernetes.io/last-applied-configuration")
        .map(|(key, value)| {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            if is_telling(key, &value) {
                format!("{key}={}", masked(&value))
            } else {
                format!("{key}={value}")
            }
        })
        .collect::<Vec<_>>()
        .join(", ")
}

fn taints(node: &Value) -> String {
    let taints = items(node, "/spec/taints").iter().map(|taint| {
        format!("{}={}:{}", string(taint, "/key"), string(taint, "/value"), string(taint, "/effect"))
    });
    taints.collect::<Vec<_>>().join(", ")
}

/// Key names and sizes; never values.
fn keys(found: &Value) -> String {
    let data = found.get("data").and_then(Value::as_object).into_iter().flatten();
    data.map(|(key, value)| format!("{key} ({} bytes)", value.as_str().map_or(0, str::len)))
        .collect::<Vec<_>>()
        .join(", ")
}

/// Causes that a status states outright.
fn causes(answer: &mut Answer, found: &Value) {
    for list in ["initContainerStatuses", "containerStatuses"] {
        for status in items(found, &format!("/status/{list}")) {
            for state in ["state", "lastState"] {
                if string(status, &format!("/{state}/terminated/reason")) == "OOMKilled" {
                    answer.found(cause::OOM_KILLED, format!("{} was OOMKilled", string(status, "/name")));
                }
            }
            let waiting = string(status, "/state/waiting/message");
            if string(status, "/state/waiting/reason") == "CreateContainerConfigError" {
                answer.found(cause::MISSING_REFERENCE, waiting);
            }
        }
    }
}
