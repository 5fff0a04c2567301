//! EKS: the node group of the cluster, its versions and its health. Rolling it is not played: whoever is on call may
//! not do that here.

use axum::http::Method;
use serde_json::{Value, json};

use super::Failure;
use crate::lab::world::{ACCOUNT, AUTO_SCALING_GROUP, CLUSTER, InstanceState, NODE_GROUP, REGION, World};

/// What the nodes run.
const VERSION: &str = "1.35";
const RELEASE: &str = "1.35.2-20260105";

pub(super) fn answer(world: &World, method: &Method, path: &str) -> Result<Value, Failure> {
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    match (method.as_str(), parts.as_slice()) {
        ("GET", ["clusters", cluster, "node-groups", group]) => {
            known(cluster, group)?;
            Ok(json!({ "nodegroup": node_group(world) }))
        }
        ("GET", ["clusters", cluster, "updates"]) => {
            known(cluster, NODE_GROUP)?;
            Ok(json!({ "updateIds": [] }))
        }
        ("POST", ["clusters", cluster, "node-groups", group, "update-version"]) => {
            known(cluster, group)?;
            let says = format!(
                "User: arn:aws:iam::{ACCOUNT}:user/oncall is not authorized to perform: \
                 eks:UpdateNodegroupVersion on resource: {}",
                arn()
            );
            Err(Failure { status: 403, ..Failure::new("AccessDeniedException", says) })
        }
        _ => Err(Failure { status: 404, ..Failure::new("UnknownOperationException", "") }),
    }
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
    let kinds = world.instances().map(|one| one.kind.clone());
    let created = world.instances().map(|one| one.launched).min().unwrap_or(world.now());
    json!({
        "nodegroupName": NODE_GROUP,
        "nodegroupArn": arn(),
        "clusterName": CLUSTER,
        "version": VERSION,
        "releaseVersion": RELEASE,
        "createdAt": created.as_second(),
        "modifiedAt": created.as_second(),
        "status": "ACTIVE",
        "capacityType": "ON_DEMAND",
        "scalingConfig": { "minSize": 3, "maxSize": 6, "desiredSize": kept.count() },
        "instanceTypes": kinds.collect::<std::collections::BTreeSet<_>>(),
        "amiType": "AL2023_x86_64_STANDARD",
        "resources": { "autoScalingGroups": [{ "name": AUTO_SCALING_GROUP }] },
        "health": { "issues": [] },
        "updateConfig": { "maxUnavailable": 1 },
    })
}
