//! How nodes' disks have filled over a day, in PromQL, from the node exporter. Prometheus itself says which are
//! worth a line, so that a thousand nodes cost it two questions.

use std::collections::{BTreeMap, HashMap};

use prometheus_http_query::response::{InstantVector, RangeVector};

use super::kubernetes::names::own;
use super::prometheus::{Prometheus, moment};
use crate::config::ConnectError;
use crate::domain::{DiskTrend, Name, Series, Timestamp};

/// A day and the six hours before it: what is cleaned daily is seen to be. In seconds.
const REACH: i64 = 30 * 3600;
const STEP: i64 = 600;
/// Where a node keeps pods, images and logs; what a pod mounts there is no node's disk.
const PLACES: &str = concat!(
    r#"fstype!~"tmpfs|overlay|squashfs|nfs.*","#,
    r#"mountpoint=~"/|/var|/var/lib|/var/log|/var/lib/(kubelet|containerd|docker)""#
);

/// The disks that are less than two fifths free and would be full within a day, as they fell over six hours
/// (node-mixin: NodeFilesystemSpaceFillingUp). None where there is no node exporter.
///
/// # Errors
/// Prometheus can't be asked.
pub(super) async fn look(prometheus: &Prometheus, now: Timestamp) -> Result<Vec<DiskTrend>, ConnectError> {
    let filling = format!(
        "bottomk(20, (node_filesystem_avail_bytes{{{PLACES}}} / node_filesystem_size_bytes{{{PLACES}}} < 0.4) \
         and (predict_linear(node_filesystem_avail_bytes{{{PLACES}}}[6h], 86400) < 0) \
         unless (node_filesystem_readonly{{{PLACES}}} == 1))"
    );
    let filling = prometheus.instant(&filling).await?;
    let instances = filling.iter().filter_map(|row| row.metric().get("instance")).filter(|name| plain(name));
    // A dot is the only character of an address that means something in a pattern.
    let instances: Vec<String> = instances.map(|name| name.replace('.', r"\\.")).collect();
    if instances.is_empty() {
        return Ok(Vec::new());
    }
    let of = format!("instance=~\"{}\"", instances.join("|"));
    let free =
        format!("node_filesystem_avail_bytes{{{of},{PLACES}}} / node_filesystem_size_bytes{{{of},{PLACES}}}");
    let named = format!("node_uname_info{{{of}}}");
    let to = now.as_second() / STEP * STEP;
    let (lines, named) =
        tokio::try_join!(prometheus.range_in(&free, to - REACH, to, STEP), prometheus.instant(&named))?;
    let nodes = nodes(&named);
    let is_filling = |line: &RangeVector| {
        filling.iter().any(|row| ["instance", "mountpoint"].iter().all(|label| same(row, line, label)))
    };
    Ok(lines.iter().filter(|line| is_filling(line)).filter_map(|line| trend(line, &nodes)).collect())
}

fn same(row: &InstantVector, line: &RangeVector, label: &str) -> bool {
    row.metric().get(label) == line.metric().get(label)
}

/// What each instance calls itself: on a kubelet's machine, its node's name.
fn nodes(named: &[InstantVector]) -> BTreeMap<String, Name> {
    let pairs = named.iter().filter_map(|row| {
        let label = |name: &str| row.metric().get(name);
        Some((label("instance")?.clone(), own(label("nodename")?)))
    });
    pairs.collect()
}

fn trend(line: &RangeVector, nodes: &BTreeMap<String, Name>) -> Option<DiskTrend> {
    let points = line.samples().iter();
    let free = Series::new(points.filter_map(|sample| Some((moment(sample.timestamp())?, sample.value()))));
    let node = node(line.metric(), nodes)?;
    Some(DiskTrend { node, mountpoint: own(line.metric().get("mountpoint")?), free })
}

/// By a label that people relabel to it, else as the machine calls itself, else where it was scraped.
fn node(labels: &HashMap<String, String>, nodes: &BTreeMap<String, Name>) -> Option<Name> {
    let relabelled = ["node", "kubernetes_node", "nodename"].iter().find_map(|label| labels.get(*label));
    let instance = labels.get("instance")?;
    let scraped = || own(instance.rsplit_once(':').map_or(instance, |(host, _)| host));
    Some(match relabelled {
        Some(name) => own(name),
        None => nodes.get(instance).cloned().unwrap_or_else(scraped),
    })
}

/// As addresses and names of machines are; whatever else a label holds goes into no question.
fn plain(value: &str) -> bool {
    !value.is_empty() && value.chars().all(|c| c.is_ascii_alphanumeric() || "-.:".contains(c))
}
