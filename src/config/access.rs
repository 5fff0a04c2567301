//! The question whether the API server lets us do something. A review is created, and changes nothing.

use serde_json::json;

/// A verb on a resource, asked about. What is empty stands for any.
#[derive(Clone, Copy, Debug, Default)]
pub struct Asked<'a> {
    pub verb: &'a str,
    pub group: &'a str,
    pub resource: &'a str,
    pub subresource: &'a str,
    pub namespace: &'a str,
    pub name: &'a str,
}

/// A SelfSubjectAccessReview, answered with `status.allowed`.
pub fn review(asked: &Asked<'_>) -> Result<http::Request<Vec<u8>>, http::Error> {
    let review = json!({
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": { "resourceAttributes": {
            "verb": asked.verb,
            "group": asked.group,
            "resource": asked.resource,
            "subresource": asked.subresource,
            "namespace": asked.namespace,
            "name": asked.name,
        }},
    });
    http::Request::post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews")
        .header(http::header::CONTENT_TYPE, "application/json")
        .body(review.to_string().into_bytes())
}
