//! What kubelets say of their disks, node by node, through the API server: a few at a time, round and round.
//! Blind with the reason where `nodes/proxy` is not allowed; a kubelet that is silent is only passed over.

use std::time::Duration;

use futures::StreamExt;
use tokio::time::timeout;

use super::api_server::{Session, Sessions, session};
use super::kubernetes::page::get;
use super::roll::{Called, Roll};
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

/// Looks for ever, and at once when a node tells of pressure.
pub(super) async fn watch(mut sessions: Sessions, mut roll: Roll, tell: Tell) {
    let mut last = None;
    while let Some(session) = session(&mut sessions).await {
        let told = match roll.call() {
            Err(blind) => tell.as_blind(Origin::NodeDisks, blind).await,
            // Before the nodes are listed there is nobody to ask; where there are none, that is the answer.
            Ok(nodes) if nodes.is_empty() && !roll.is_complete() => Ok(()),
            Ok(nodes) => match round(&session, turn(nodes, &mut last)).await {
                Ok(disks) => tell.fact(Origin::NodeDisks, Fact::NodeDisks(disks)).await,
                Err(trouble) => tell.blind(Origin::NodeDisks, trouble.explain()).await,
            },
        };
        if told == Err(Unheard) {
            return;
        }
        tokio::select! {
            () = tell.rest(EVERY) => {}
            () = roll.alarm() => {}
        }
    }
}

/// Whose turn it is: those under pressure in every round, the others one after another.
fn turn(nodes: Called, last: &mut Option<Name>) -> Vec<Name> {
    let Called { under_pressure: mut turn, others } = nodes;
    let passed = others.partition_point(|name| last.as_ref().is_some_and(|last| name <= last));
    let room = ROUND.saturating_sub(turn.len()).max(AT_ONCE);
    turn.extend(others[passed..].iter().chain(&others[..passed]).take(room).cloned());
    *last = turn.last().cloned();
    turn
}

/// Asks these nodes.
async fn round(session: &Session, names: Vec<Name>) -> Result<Vec<(Name, NodeDisk)>, Trouble> {
    let asked: Vec<(Name, Result<NodeDisk, Trouble>)> = futures::stream::iter(names)
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

async fn disk(session: &Session, node: &Name) -> Result<NodeDisk, Trouble> {
    let request = get(&format!("/api/v1/nodes/{node}/proxy/stats/summary"), &[], "application/json")?;
    let asked = timeout(PATIENCE, session.client.request::<serde_json::Value>(request)).await;
    let summary = asked.map_err(|_| Trouble::TimedOut(PATIENCE))??;
    NodeDisk::from_summary(&summary).ok_or_else(|| Trouble::Undecodable("no disk in the summary".into()))
}
