//! Events about a node, and what happened to pods for its sake: pressure, failed clean-ups, evictions.

use serde_json::Value;

use crate::domain::{Kind, Name, Timestamp, Tone, cause, text};
use crate::probes::answer::{Answer, columns};
use crate::probes::cluster::Cluster;
use crate::probes::events::{latest, row};
use crate::probes::object::string;
use crate::probes::trouble::Trouble;

/// What the kubelet says of its disk. `NodeHasDiskPressure` is of type Normal (audit D52), so the type is
/// no filter.
const TELLING: &[&str] = &[
    "NodeHasDiskPressure",
    "NodeHasNoDiskPressure",
    "EvictionThresholdMet",
    "FreeDiskSpaceFailed",
    "ImageGCFailed",
    "InvalidDiskCapacity",
    "Evicted",
];
/// Most events shown.
const SHOWN: usize = 60;

pub(in crate::probes) async fn events(
    cluster: &Cluster,
    node: &Name,
    now: Timestamp,
) -> Result<Answer, Trouble> {
    let mut seen: Vec<(Option<Timestamp>, Value)> = Vec::new();
    cluster
        .each(Kind::Event, "", "", "", |event| {
            let about = event.get("involvedObject").unwrap_or(&Value::Null);
            let of_node = string(about, "/kind") == "Node" && string(about, "/name") == &**node;
            let from_node = [string(&event, "/source/host"), string(&event, "/reportingInstance")]
                .contains(&&**node)
                && TELLING.contains(&string(&event, "/reason"));
            if of_node || from_node {
                seen.push((latest(&event), event));
            }
        })
        .await?;
    seen.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
    let mut answer = Answer::new();
    let of = |reason: &str| seen.iter().filter(|(_, event)| string(event, "/reason") == reason).count();
    let (evicted, failed) = (of("Evicted"), of("FreeDiskSpaceFailed") + of("ImageGCFailed"));
    let newest = seen.first().map(|(_, event)| string(event, "/message"));
    answer.summary(match newest {
        None => format!("no events about {node} in the last hour or so"),
        Some(newest) => format!(
            "{}: {} evicted, {} to free space; latest: {}",
            text::count(seen.len(), "event"),
            text::count(evicted, "pod"),
            text::count(failed, "failed attempt"),
            newest.trim()
        ),
    });
    if of("NodeHasDiskPressure") > of("NodeHasNoDiskPressure") {
        answer.found(cause::NODE_PRESSURE, "NodeHasDiskPressure");
    }
    let rows: Vec<Vec<String>> = seen.iter().take(SHOWN).map(|(at, event)| row(*at, event, now)).collect();
    let tones = seen.iter().map(|(_, event)| match string(event, "/type") {
        "Warning" => Tone::Bad,
        _ if string(event, "/reason") == "NodeHasDiskPressure" => Tone::Bad,
        _ => Tone::Plain,
    });
    answer.lines(tones.zip(columns(&rows)));
    answer.dropped(seen.len().saturating_sub(SHOWN));
    Ok(answer)
}
