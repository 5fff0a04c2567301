//! EKS: the node group of the cluster, its versions, its health, and rolling it.

use axum::http::Method;
use serde_json::{Value, json};

use super::Failure;
use crate::lab::world::{
    ACCOUNT, AUTO_SCALING_GROUP, CLUSTER, InstanceState, NODE_GROUP, REGION, Update, UpdateStatus, World,
};

/// What the cluster runs.
const VERSION: &str = "1.35";

pub(super) fn answer(world: &mut World, method: &Method, path: &str) -> Result<Value, Failure> {
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    match (method.as_str(), parts.as_slice()) {
        ("GET", ["clusters", cluster, "node-groups", group]) => {
            known(cluster, group)?;
            Ok(json!({ "nodegroup": node_group(world) }))
        }
        ("GET", ["clusters", cluster, "updates"]) => {
            known(cluster, NODE_GROUP)?;
            let ids: Vec<&str> = world.node_updates().map(|update| update.id.as_str()).collect();
            Ok(json!({ "updateIds": ids }))
        }
        ("GET", ["clusters", cluster, "updates", id]) => {
            known(cluster, NODE_GROUP)?;
            let found = world.node_updates().find(|update| update.id == *id);
            let says = format!("No update found for ID: {id}");
            let absent = || Failure { status: 404, ..Failure::new("ResourceNotFoundException", says) };
            Ok(json!({ "update": update(found.ok_or_else(absent)?, world) }))
        }
        ("POST", ["clusters", cluster, "node-groups", group, "update-version"]) => {
            known(cluster, group)?;
            let says = "Nodegroup is in UPDATING state and cannot be updated";
            let busy = || Failure { status: 409, ..Failure::new("ResourceInUseException", says) };
            let begun = world.roll_node_group().ok_or_else(busy)?;
            Ok(json!({ "update": update(&begun, world) }))
        }
        _ => Err(Failure { status: 404, ..Failure::new("UnknownOperationException", "") }),
    }
}

fn update(of: &Update, world: &World) -> Value {
    let error = |says: &String| json!({ "errorCode": "PodEvictionFailure", "errorMessage": says, "resourceIds": [NODE_GROUP] });
    json!({
        "id": of.id,
        "status": of.status.shown(),
        "type": "VersionUpdate",
        "params": [{ "type": "Version", "value": VERSION }, { "type": "ReleaseVersion", "value": world.newest_release() }],
        "createdAt": of.began.as_second(),
        "errors": of.trouble.iter().map(error).collect::<Vec<_>>(),
    })
}

fn known(cluster: &str, group: &str) -> Result<(), Failure> {
    let absent =
        |says: String| Err(Failure { status: 404, ..Failure::new("ResourceNotFoundException", says) });
    match (cluster == CLUSTER, group == NODE_GROUP) {
        (false, _) => absent(format!("No cluster found for name: {cluster}.")),
        (true, false) => absent(format!("No node group found for name: {group}.")),
        (true, true) => Ok(()),
    }
}

fn arn() -> String {
    format!(
        "arn:aws:eks:{REGION}:{ACCOUNT}:nodegroup/{CLUSTER}/{NODE_GROUP}/0ac8d1f2-7b64-4b9a-9c53-2f1f4c1c9d0e"
    )
}

fn node_group(world: &World) -> Value {
    let kept = world
        .instances()
        .filter(|one| !matches!(one.state, InstanceState::Pending | InstanceState::Terminated));
    let rolls = world.node_updates().any(|update| update.status == UpdateStatus::InProgress);
    let kinds = world.instances().map(|one| one.kind.clone());
    let created = world.instances().map(|one| one.launched).min().unwrap_or(world.now());
    json!({
        "nodegroupName": NODE_GROUP,
        "nodegroupArn": arn(),
        "clusterName": CLUSTER,
        "version": VERSION,
        "releaseVersion": world.node_release(),
        "createdAt": created.as_second(),
        "modifiedAt": created.as_second(),
        "status": if rolls { "UPDATING" } else { "ACTIVE" },
        "capacityType": "ON_DEMAND",
        "scalingConfig": { "minSize": 3, "maxSize": 6, "desiredSize": kept.count() },
        "instanceTypes": kinds.collect::<std::collections::BTreeSet<_>>(),
        "amiType": "AL2023_x86_64_STANDARD",
        "resources": { "autoScalingGroups": [{ "name": AUTO_SCALING_GROUP }] },
        "health": { "issues": [] },
        "updateConfig": { "maxUnavailable": 1 },
    })
}
