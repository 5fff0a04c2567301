//! Pods as a list, the troubled first. Reads a page at a time and keeps one line of each.

use serde_json::Value;

use super::answer::{Answer, ago, columns};
use super::cluster::Cluster;
use super::object::{is_finished, is_ready, items, key, owner, restarts, string, tally, time};
use super::trouble::Trouble;
use crate::domain::{Kind, Name, Timestamp, Tone, text};

/// Most pods shown; the rest is counted.
const SHOWN: usize = 200;

pub(super) async fn list(
    cluster: &Cluster,
    namespace: &str,
    selector: Option<&str>,
    node: Option<&str>,
    waiting: &[Name],
    now: Timestamp,
) -> Result<Answer, Trouble> {
    let fields = node.map(|node| format!("spec.nodeName={node}")).unwrap_or_default();
    let mut rows: Vec<(bool, String, Vec<String>)> = Vec::new();
    cluster
        .each(Kind::Pod, namespace, selector.unwrap_or_default(), &fields, |pod| {
            if waiting.is_empty() || waits(&pod, waiting) {
                // An evicted pod was replaced; a failed one of a Job is a try that failed.
                let failed = string(&pod, "/status/phase") == "Failed"
                    && owner(&pod).is_some_and(|owner| string(owner, "/kind") == "Job");
                let well = is_ready(&pod) || is_finished(&pod) && !failed;
                rows.push((well, status(&pod), row(&pod, now)));
            }
        })
        .await?;
    rows.sort_by(|one, other| (one.0, &one.2[0]).cmp(&(other.0, &other.2[0])));
    let mut answer = Answer::new();
    let unwell = rows.iter().filter(|(well, ..)| !well).count();
    let words = tally(rows.iter().filter(|(well, ..)| !well).map(|(_, status, _)| status.as_str()));
    let words: Vec<_> = words.iter().map(|(word, count)| format!("{count} {word}")).collect();
    answer.summary(match (rows.len(), unwell) {
        (0, _) => "no pods".to_owned(),
        (all, 0) => format!("{}, all well", text::count(all, "pod")),
        (all, some) => format!("{some} of {} not well: {}", text::count(all, "pod"), words.join(", ")),
    });
    answer.bind("pods", rows.len().to_string());
    answer.bind("pods_unwell", unwell.to_string());
    let heading = ["POD", "STATUS", "READY", "RESTARTS", "AGE", "NODE"].map(str::to_owned).to_vec();
    let hidden = rows.len().saturating_sub(SHOWN);
    let tones: Vec<_> =
        rows.iter().take(SHOWN).map(|(well, ..)| if *well { Tone::Plain } else { Tone::Bad }).collect();
    let cells: Vec<_> =
        std::iter::once(heading).chain(rows.into_iter().take(SHOWN).map(|(.., row)| row)).collect();
    answer.lines(std::iter::once(Tone::Heading).chain(tones).zip(columns(&cells)));
    answer.dropped(hidden);
    Ok(answer)
}

fn row(pod: &Value, now: Timestamp) -> Vec<String> {
    let statuses = items(pod, "/status/containerStatuses");
    let ready = statuses.iter().filter(|status| super::object::flag(status, "/ready")).count();
    vec![
        key(pod).to_string(),
        status(pod),
        format!("{ready}/{}", items(pod, "/spec/containers").len()),
        restarts(pod).to_string(),
        ago(time(pod, "/metadata/creationTimestamp"), now),
        match string(pod, "/spec/nodeName") {
            "" => "–".into(),
            node => node.into(),
        },
    ]
}

fn waits(pod: &Value, reasons: &[Name]) -> bool {
    ["containerStatuses", "initContainerStatuses"]
        .iter()
        .flat_map(|list| items(pod, &format!("/status/{list}")))
        .any(|status| reasons.iter().any(|reason| **reason == *string(status, "/state/waiting/reason")))
}

/// The STATUS column of `kubectl get pods`, near enough for a list.
pub(super) fn status(pod: &Value) -> String {
    if pod.pointer("/metadata/deletionTimestamp").is_some() {
        return "Terminating".into();
    }
    for (prefix, list) in [("Init:", "initContainerStatuses"), ("", "containerStatuses")] {
        for status in items(pod, &format!("/status/{list}")) {
            let waiting = string(status, "/state/waiting/reason");
            let ended = string(status, "/state/terminated/reason");
            let is_init = !prefix.is_empty();
            if !waiting.is_empty() && (!is_init || waiting != "PodInitializing") {
                return format!("{prefix}{waiting}");
            }
            if !ended.is_empty() && (!is_init || ended != "Completed") {
                return format!("{prefix}{ended}");
            }
        }
    }
    match (string(pod, "/status/reason"), string(pod, "/status/phase")) {
        ("", "") => "Unknown".into(),
        ("", "Running") if !is_ready(pod) => "NotReady".into(),
        ("", phase) => phase.into(),
        (reason, _) => reason.into(),
    }
}
