//! What the API server lets us do. An access review is created, and changes nothing.

use serde_json::{Value, json};

use super::cluster::Cluster;
use crate::domain::{Access, Right};

/// Whether it lets us; None when it did not say. `name` is empty for any object of the kind.
pub(crate) async fn may(cluster: &Cluster, access: &Access, name: &str) -> Option<bool> {
    let Right { verb, kind, part } = access.right;
    let review = json!({
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": { "resourceAttributes": {
            "namespace": &*access.namespace,
            "verb": verb,
            "group": kind.group(),
            "resource": kind.plural(),
            "subresource": part,
            "name": name,
        }},
    });
    let request = http::Request::post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews")
        .header(http::header::CONTENT_TYPE, "application/json")
        .body(review.to_string().into_bytes())
        .ok()?;
    let asked = cluster.client();
    let asked = asked.request::<Value>(request);
    let answer = tokio::time::timeout(cluster.deadline(), asked).await.ok()?.ok()?;
    answer.pointer("/status/allowed")?.as_bool()
}
