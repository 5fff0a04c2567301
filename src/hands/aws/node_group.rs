//! Rolling an EKS node group to its newest image: every node is replaced, within the group's own limits.

use serde_json::{Value, json};

use super::plan::{Plan, Receipt, Seen};
use crate::config::aws::{AwsError, Session, explain};
use crate::guard::{Guard, Hazard, Refusal};

pub(super) async fn image(session: &Session, cluster: &str, group: &str) -> Result<Value, AwsError> {
    let asked = session.eks().describe_nodegroup().cluster_name(cluster).nodegroup_name(group).send().await;
    let asked = asked.map_err(|error| explain(&error))?;
    let found = asked.nodegroup();
    Ok(json!({
        "cluster": cluster,
        "node_group": group,
        "state": found.and_then(|found| found.status()).map(aws_sdk_eks::types::NodegroupStatus::as_str),
        "kubernetes": found.and_then(|found| found.version()),
        "image": found.and_then(|found| found.release_version()),
        "nodes": found.and_then(|found| found.scaling_config()).and_then(aws_sdk_eks::types::NodegroupScalingConfig::desired_size),
    }))
}

pub(super) fn plan(cluster: &str, group: &str, before: Value) -> Result<Plan, Refusal> {
    let state = before.get("state").and_then(Value::as_str).unwrap_or_default();
    if state != "ACTIVE" {
        return Err(Refusal::new(format!("{group} is {state}: no update can begin"))
            .repair("wait until it is ACTIVE, or look at its issues"));
    }
    let nodes = before.get("nodes").and_then(Value::as_i64).unwrap_or_default();
    let mut after = before.clone();
    after["image"] = json!("the newest for its Kubernetes version");
    let says = format!(
        "all {nodes} nodes are drained and replaced, one after the other; the old image does not come back"
    );
    Ok(Plan {
        title: format!("roll node group {group} of {cluster} to its newest image"),
        targets: vec![format!("{group} ({nodes} nodes)")],
        hazards: vec![Hazard::warn(Guard::LastReplica, says)],
        before,
        after,
        ..Plan::default()
    })
}

#[expect(clippy::disallowed_methods, reason = "hands, with a Warrant")]
pub(super) async fn send(session: &Session, cluster: &str, group: &str) -> Result<Receipt, AwsError> {
    // Without force: pods that cannot be evicted stop the update instead of being killed.
    let sent = session
        .eks()
        .update_nodegroup_version()
        .cluster_name(cluster)
        .nodegroup_name(group)
        .force(false)
        .send()
        .await
        .map_err(|error| explain(&error))?;
    Ok(Receipt(sent.update().and_then(|update| update.id()).map(ToOwned::to_owned)))
}

pub(super) async fn look(
    session: &Session,
    cluster: &str,
    group: &str,
    receipt: &Receipt,
) -> Result<Seen, AwsError> {
    let Some(id) = &receipt.0 else {
        let state = image(session, cluster, group).await?;
        let state = state.get("state").and_then(Value::as_str).unwrap_or_default().to_owned();
        return Ok(if state == "UPDATING" {
            Seen::Yes("the group is updating".into())
        } else {
            Seen::NotYet(format!("the group is {state}"))
        });
    };
    let asked =
        session.eks().describe_update().name(cluster).nodegroup_name(group).update_id(id).send().await;
    let asked = asked.map_err(|error| explain(&error))?;
    let Some(update) = asked.update() else { return Ok(Seen::NotYet("EKS does not list it yet".into())) };
    let errors: Vec<&str> = update.errors().iter().filter_map(|error| error.error_message()).collect();
    Ok(match update.status().map_or("", |status| status.as_str()) {
        "Successful" => Seen::Yes("EKS says Successful".into()),
        "Failed" | "Cancelled" => Seen::No(format!("EKS gave up: {}", errors.join("; "))),
        _ => Seen::NotYet(format!("update {id} is in progress, it takes minutes for each node")),
    })
}
