//! What the API server lets us do.

use serde_json::Value;

use super::cluster::Cluster;
use crate::config::access::{Asked, review};
use crate::domain::{Access, Right};

/// Whether it lets us; None when it did not say. `name` is empty for any object of the kind.
pub(crate) async fn may(cluster: &Cluster, access: &Access, name: &str) -> Option<bool> {
    let Right { verb, kind, part } = access.right;
    let request = review(&Asked {
        verb,
        group: kind.group(),
        resource: kind.plural(),
        subresource: part,
        namespace: &access.namespace,
        name,
    });
    let client = cluster.client();
    let asked = client.request::<Value>(request.ok()?);
    let answer = tokio::time::timeout(cluster.deadline(), asked).await.ok()?.ok()?;
    answer.pointer("/status/allowed")?.as_bool()
}
