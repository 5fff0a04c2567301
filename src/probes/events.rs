//! Events about an object and everything it owns, the latest first.

use serde_json::Value;

use super::answer::{Answer, ago, columns};
use super::cluster::Cluster;
use super::object::{is_owned_by, number, selector_query, string, time, uid};
use super::trouble::Trouble;
use crate::domain::{Kind, ObjectRef, Timestamp, Tone, text};

/// Most events shown.
const EVENTS: usize = 50;

/// Events of an object and what it owns, as a reading of its own.
pub(super) async fn answer(cluster: &Cluster, about: &ObjectRef, now: Timestamp) -> Result<Answer, Trouble> {
    let found = cluster.find(about).await?;
    let lines = lines(cluster, about, found.as_ref(), now).await?;
    let mut answer = Answer::new();
    let bad: Vec<_> = lines.iter().filter(|(tone, _)| *tone == Tone::Bad).collect();
    answer.summary(match bad.first() {
        None => format!("no warning about {about} in the last hour or so"),
        Some((_, latest)) => {
            format!("{}; latest: {}", text::count(bad.len(), "warning"), latest.trim())
        }
    });
    answer.lines(lines);
    Ok(answer)
}

/// Events of an object and everything it owns, latest first: warnings, and for nodes and details all.
pub(super) async fn lines(
    cluster: &Cluster,
    about: &ObjectRef,
    found: Option<&Value>,
    now: Timestamp,
) -> Result<Vec<(Tone, String)>, Trouble> {
    // Events about nodes live in `default` (audit D52).
    let namespace = if about.kind.is_namespaced() { &*about.key.namespace } else { "" };
    let fields = match about.kind {
        Kind::Deployment | Kind::ReplicaSet | Kind::StatefulSet | Kind::DaemonSet | Kind::Job => {
            String::new()
        }
        _ => format!("involvedObject.name={}", about.key.name),
    };
    let family = family(cluster, about, found).await?;
    let mut seen: Vec<(Option<Timestamp>, Value)> = Vec::new();
    cluster
        .each(Kind::Event, namespace, "", &fields, |event| {
            let object = event.get("involvedObject").unwrap_or(&Value::Null);
            let same_name =
                string(object, "/kind") == about.kind.as_str() && string(object, "/name") == &*about.key.name;
            if same_name || family.iter().any(|member| member == string(object, "/uid")) {
                seen.push((latest(&event), event));
            }
        })
        .await?;
    seen.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
    let mut lines = vec![(Tone::Heading, "events".to_owned())];
    if seen.is_empty() {
        lines.push((Tone::Dim, "  none are kept (they live for an hour)".into()));
    }
    let rows: Vec<Vec<String>> = seen.iter().take(EVENTS).map(|(at, event)| row(*at, event, now)).collect();
    let tones = seen.iter().map(
        |(_, event)| {
            if string(event, "/type") == "Warning" { Tone::Bad } else { Tone::Plain }
        },
    );
    lines.extend(tones.zip(columns(&rows)).map(|(tone, line)| (tone, format!("  {line}"))));
    if seen.len() > EVENTS {
        lines.push((Tone::Dim, format!("  and {} older ones", seen.len() - EVENTS)));
    }
    Ok(lines)
}

/// An event as a line of a table: how long ago, reason, about what, how often, message.
pub(super) fn row(at: Option<Timestamp>, event: &Value, now: Timestamp) -> Vec<String> {
    let count = number(event, "/count").max(number(event, "/series/count"));
    let about = event.get("involvedObject").unwrap_or(&Value::Null);
    vec![
        ago(at, now),
        string(event, "/reason").into(),
        format!("{}/{}", string(about, "/kind").to_lowercase(), string(about, "/name")),
        if count > 1 { format!("×{count}") } else { String::new() },
        string(event, "/message").into(),
    ]
}

/// The latest of eventTime, series.lastObservedTime and lastTimestamp (audit D113).
pub fn latest(event: &Value) -> Option<Timestamp> {
    [
        "/series/lastObservedTime",
        "/lastTimestamp",
        "/eventTime",
        "/firstTimestamp",
        "/metadata/creationTimestamp",
    ]
    .iter()
    .filter_map(|pointer| time(event, pointer))
    .max()
}

/// Uids of an object and everything it owns, two levels down.
async fn family(cluster: &Cluster, about: &ObjectRef, found: Option<&Value>) -> Result<Vec<String>, Trouble> {
    let Some(found) = found else { return Ok(Vec::new()) };
    let mut family = vec![uid(found).to_owned()];
    let namespace = &about.key.namespace;
    let selector = found.pointer("/spec/selector").map(selector_query).unwrap_or_default();
    if about.kind == Kind::Deployment {
        for set in cluster.list(Kind::ReplicaSet, namespace, &selector, "").await? {
            if is_owned_by(&set, &family[0]) {
                family.push(uid(&set).to_owned());
            }
        }
    }
    if !matches!(about.kind, Kind::Pod | Kind::Node)
        && !selector.is_empty()
        && found.pointer("/spec/template").is_some()
    {
        for pod in cluster.list(Kind::Pod, namespace, &selector, "").await? {
            if family.iter().any(|member| is_owned_by(&pod, member)) {
                family.push(uid(&pod).to_owned());
            }
        }
    }
    Ok(family)
}
