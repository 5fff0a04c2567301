//! What kubelets say of their disks, node by node, through the API server: a few at a time, round and round.
//! Blind with the reason where `nodes/proxy` is not allowed; a kubelet that is silent is only passed over.

use std::time::Duration;

use futures::StreamExt;
use serde::Deserialize;
use tokio::time::{sleep, timeout};

use super::api_server::{Session, Sessions, session};
use super::kubernetes::page::get;
use super::kubernetes::wire::Meta;
use super::tell::{Tell, Unheard};
use super::trouble::Trouble;
use crate::domain::{Fact, Name, NodeDisk, Origin};

/// Between two rounds. A kubelet measures its volumes once a minute.
const EVERY: Duration = Duration::from_secs(30);
/// One kubelet's answer; its own work for it may take seconds.
const PATIENCE: Duration = Duration::from_secs(10);
/// Nodes that are asked in one round; a larger cluster takes several.
const ROUND: usize = 40;
/// Nodes that are asked at the same time.
const AT_ONCE: usize = 4;

#[derive(Deserialize)]
struct Nodes {
    items: Option<Vec<NodeName>>,
}

#[derive(Deserialize)]
struct NodeName {
    #[serde(default)]
    metadata: Meta,
}

/// Looks for ever.
pub(super) async fn watch(mut sessions: Sessions, tell: Tell) {
    let mut from = 0;
    while let Some(session) = session(&mut sessions).await {
        let told = match round(&session, &mut from).await {
            Ok(disks) => tell.fact(Origin::NodeDisks, Fact::NodeDisks(disks)).await,
            Err(trouble) => tell.blind(Origin::NodeDisks, trouble.explain()).await,
        };
        if told == Err(Unheard) {
            return;
        }
        sleep(EVERY).await;
    }
}

/// Asks the next nodes in turn.
async fn round(session: &Session, from: &mut usize) -> Result<Vec<(Name, NodeDisk)>, Trouble> {
    let names = names(session).await?;
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let start = *from % names.len();
    let turn: Vec<Name> = names.iter().cycle().skip(start).take(names.len().min(ROUND)).cloned().collect();
    *from = start + turn.len();
    let asked: Vec<(Name, Result<NodeDisk, Trouble>)> = futures::stream::iter(turn)
        .map(|name| {
            let session = session.clone();
            async move {
                let disk = disk(&session, &name).await;
                (name, disk)
            }
        })
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    let mut disks = Vec::with_capacity(asked.len());
    for (name, answer) in asked {
        match answer {
            Ok(disk) => disks.push((name, disk)),
            // Not allowed for one is not allowed for all.
            Err(refused @ (Trouble::Forbidden(_) | Trouble::Unauthorized(_))) => return Err(refused),
            Err(_) => {}
        }
    }
    Ok(disks)
}

async fn names(session: &Session) -> Result<Vec<Name>, Trouble> {
    let accept = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1, application/json";
    let request = get("/api/v1/nodes", &[], accept)?;
    let asked = timeout(PATIENCE, session.client.request::<Nodes>(request)).await;
    let nodes = asked.map_err(|_| Trouble::TimedOut(PATIENCE))??;
    let mut names: Vec<Name> =
        nodes.items.into_iter().flatten().filter_map(|node| node.metadata.name.map(Name::from)).collect();
    names.sort();
    Ok(names)
}

async fn disk(session: &Session, node: &Name) -> Result<NodeDisk, Trouble> {
    let request = get(&format!("/api/v1/nodes/{node}/proxy/stats/summary"), &[], "application/json")?;
    let asked = timeout(PATIENCE, session.client.request::<serde_json::Value>(request)).await;
    let summary = asked.map_err(|_| Trouble::TimedOut(PATIENCE))??;
    NodeDisk::from_summary(&summary).ok_or_else(|| Trouble::Undecodable("no disk in the summary".into()))
}
