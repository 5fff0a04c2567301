//! Questions about oneself: may I, what may I, who am I.
//! The answers are `auth`'s; this file knows the review objects only.
use axum::body::Body;
use http::Response;
use serde_json::{Value, json};

use super::auth::{Role, Wish};
use super::call::Call;
use super::rbac;
use super::render;
use super::status::Status;

/// Answers a POST to a review path; `None` for any other path.
pub fn answer(call: &Call) -> Option<Result<Response<Body>, Status>> {
    let review = match call.path.trim_matches('/') {
        "apis/authorization.k8s.io/v1/selfsubjectaccessreviews" => access,
        "apis/authorization.k8s.io/v1/selfsubjectrulesreviews" => rules,
        "apis/authentication.k8s.io/v1/selfsubjectreviews" => myself,
        _ => return None,
    };
    if call.method != http::Method::POST {
        return Some(Err(Status::method_not_allowed()));
    }
    Some(call.json().map(|body| render::value(call, 201, &review(call, body))))
}

fn access(call: &Call, mut review: Value) -> Value {
    let asked = &review["spec"]["resourceAttributes"];
    let text = |name: &str| asked[name].as_str().unwrap_or_default();
    let allowed = if asked.is_object() {
        call.user.may(&Wish {
            verb: text("verb"),
            group: text("group"),
            resource: text("resource"),
            subresource: text("subresource"),
            namespace: text("namespace"),
            name: text("name"),
        })
    } else {
        let verb = review["spec"]["nonResourceAttributes"]["verb"].as_str().unwrap_or_default();
        call.user.role == Role::Admin || verb == "get"
    };
    review["kind"] = "SelfSubjectAccessReview".into();
    review["apiVersion"] = "authorization.k8s.io/v1".into();
    review["status"] = if allowed {
        json!({"allowed": true, "reason": format!("RBAC: allowed by the lab's role of {:?}", call.user.name)})
    } else {
        json!({"allowed": false})
    };
    review
}

fn rules(call: &Call, mut review: Value) -> Value {
    let rules = rbac::rules(call.user.role);
    review["kind"] = "SelfSubjectRulesReview".into();
    review["apiVersion"] = "authorization.k8s.io/v1".into();
    let urls = json!([{"verbs": ["get"], "nonResourceURLs": ["/api/*", "/apis/*", "/healthz", "/livez", "/readyz", "/version"]}]);
    review["status"] = json!({"resourceRules": rules, "nonResourceRules": urls, "incomplete": false});
    review
}

fn myself(call: &Call, _: Value) -> Value {
    json!({
        "kind": "SelfSubjectReview", "apiVersion": "authentication.k8s.io/v1", "metadata": {},
        "status": {"userInfo": {"username": call.user.name, "groups": call.user.groups}},
    })
}
