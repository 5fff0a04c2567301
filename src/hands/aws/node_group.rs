//! Rolling an EKS node group to its newest image: every node is replaced, within the group's own limits.

use serde_json::{Value, json};
use uuid::Uuid;

use super::plan::{Plan, Receipt, Seen};
use crate::config::aws::{AwsError, Session, Words, words};
use crate::guard::{Guard, Hazard, Refusal};

pub(super) async fn image(session: &Session, cluster: &str, group: &str) -> Result<Value, AwsError> {
    let asked = session.eks().look(&["clusters", cluster, "node-groups", group], Words::new()).await?;
    let found = |path: &str| asked.pointer(&format!("/nodegroup/{path}"));
    Ok(json!({
        "cluster": cluster,
        "node_group": group,
        "state": found("status"),
        "kubernetes": found("version"),
        "image": found("releaseVersion"),
        "nodes": found("scalingConfig/desiredSize"),
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
    let names = ["clusters", cluster, "node-groups", group, "update-version"];
    let body = json!({"clientRequestToken": Uuid::now_v7(), "force": false});
    let sent = session.eks().command(&names, body).await?;
    Ok(Receipt(sent.pointer("/update/id").and_then(Value::as_str).map(ToOwned::to_owned)))
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
    let of_group = words(&[("nodegroupName", group)]);
    let asked = session.eks().look(&["clusters", cluster, "updates", id], of_group).await?;
    let Some(update) = asked.get("update") else {
        return Ok(Seen::NotYet("EKS does not list it yet".into()));
    };
    let errors = update.get("errors").and_then(Value::as_array).into_iter().flatten();
    let errors: Vec<&str> = errors.filter_map(|error| error.get("errorMessage")?.as_str()).collect();
    Ok(match update.get("status").and_then(Value::as_str).unwrap_or_default() {
        "Successful" => Seen::Yes("EKS says Successful".into()),
        "Failed" | "Cancelled" => Seen::No(format!("EKS gave up: {}", errors.join("; "))),
        _ => Seen::NotYet(format!("update {id} is in progress, it takes minutes for each node")),
    })
}
