//! A crash loop in a few words: how many pods, where, which part of them, and why.

use crate::domain::{Container, Kind, Name, Pod, text};

use super::workload::{Group, Standing};

pub(super) fn title(group: &Group<'_>, standing: Standing, label: &str) -> String {
    let (pods, how) = (group.pods(), how(group));
    let total = (standing.desired as usize).max(pods.len());
    let place = lonely_node(group, total).map(|node| format!(" on {node}")).unwrap_or_default();
    match total {
        1 => format!("{how}: {label}"),
        _ => format!("{} of {} {how}{place}: {label}", pods.len(), text::count(total, "pod")),
    }
}

/// The one node on which a DaemonSet is sick, where it has others: then the node is part of the story.
fn lonely_node<'a>(group: &Group<'a>, total: usize) -> Option<&'a Name> {
    let mut nodes = group.sick.iter().map(|(pod, _)| pod.node.as_ref());
    let first = nodes.next().flatten().filter(|_| group.object.kind == Kind::DaemonSet && total > 1)?;
    nodes.all(|node| node == Some(first)).then_some(first)
}

/// Which part of a pod of several it is: `init container migrate: `.
pub(super) fn part((pod, container): (&Pod, &Container)) -> String {
    let several = pod.containers.iter().filter(|row| !row.init).count() > 1;
    match container.init {
        true => format!("init container {}: ", container.name),
        false if several => format!("{}: ", container.name),
        false => String::new(),
    }
}

/// Whether they die again and again, or none of them ever ran.
pub(super) fn how(group: &Group<'_>) -> &'static str {
    let ran = group.sick.iter().any(|(_, row)| row.restarts > 0 || row.termination().is_some());
    if ran { "crash-looping" } else { "cannot start" }
}
