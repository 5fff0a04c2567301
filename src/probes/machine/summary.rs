//! What a kubelet says of its disks, through the API server: the first choice, since it needs no login.

use http::Request;
use serde_json::Value;

use crate::domain::{Name, NodeDisk, Tone, cause, text};
use crate::probes::answer::{Answer, columns};
use crate::probes::cluster::Cluster;
use crate::probes::trouble::{Trouble, TroubleKind};

/// Pods that are shown, the largest first.
const SHOWN: usize = 10;

/// The kubelet's `stats/summary`.
///
/// # Errors
/// Not allowed (`nodes/proxy`), or the kubelet does not answer.
pub(in crate::probes) async fn fetch(cluster: &Cluster, node: &Name) -> Result<Value, Trouble> {
    let path = format!("/api/v1/nodes/{node}/proxy/stats/summary");
    let request = Request::get(path).body(Vec::new()).map_err(|error| Trouble {
        kind: TroubleKind::Invalid,
        says: format!("`{node}` is no name of a node: {error}"),
        repair: None,
    })?;
    match tokio::time::timeout(cluster.deadline(), cluster.client().request::<Value>(request)).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(Trouble {
            kind: TroubleKind::Unanswered,
            says: format!("the kubelet of {node} did not answer within {}", text::span(cluster.deadline())),
            repair: Some("a kubelet that is silent says nothing of its disk: look there by SSH".into()),
        }),
    }
}

pub(in crate::probes) async fn disk(cluster: &Cluster, node: &Name) -> Result<Answer, Trouble> {
    let summary = fetch(cluster, node).await?;
    let Some(disk) = NodeDisk::from_summary(&summary) else {
        return Ok(Answer::failed(&format!("the kubelet of {node} says nothing of its disk")));
    };
    let mut answer = Answer::new();
    let tone = |is_bad: bool| if is_bad { Tone::Bad } else { Tone::Plain };
    let mut says = format!("{node}: {}", disk.root.says());
    answer.line(tone(disk.is_low()), format!("node file system: {}", disk.root.says()));
    if let Some(left) = disk.root.inodes_left() {
        answer
            .line(tone(left < crate::domain::INODE_EVICTION), format!("inodes: {:.0} % free", left * 100.0));
    }
    if let Some(images) = &disk.images {
        answer.line(Tone::Plain, format!("image file system: {}", images.says()));
    }
    if let Some(used) = disk.images_used {
        answer.line(Tone::Plain, format!("images and layers: {}", text::bytes(used)));
    }
    answer.line(Tone::Heading, "pods on it, by what they take");
    let rows: Vec<Vec<String>> = disk
        .pods
        .iter()
        .take(SHOWN)
        .map(|pod| vec![text::bytes(pod.used), format!("{} inodes", pod.inodes), pod.key.to_string()])
        .collect();
    answer.lines(columns(&rows).into_iter().map(|line| (Tone::Plain, line)));
    for cause in disk.causes() {
        if says.len() < 160 {
            says.push_str(&format!("; {}", cause.says));
        }
        answer.found(cause.name, &cause.says);
    }
    for claim in disk.full_claims() {
        let line = format!("claim {} of {}: {}", claim.key, claim.pod, claim.filesystem.says());
        answer.line(Tone::Bad, &line);
        answer.found(cause::CLAIM_FULL, line);
    }
    if let Some(hog) = disk.hog() {
        answer.bind("hog", &*hog.key.name);
        answer.bind("hog_namespace", &*hog.key.namespace);
    }
    answer.summary(says);
    Ok(answer)
}
