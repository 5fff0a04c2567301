//! `pods/NAME/eviction`: a deletion that a `PodDisruptionBudget` may refuse.
//! The budget's arithmetic is its controller's; this file reads and spends `status.disruptionsAllowed`.
use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Body;
use http::Response;
use serde_json::{Value, json};

use super::Api;
use super::call::{Call, Target};
use super::delete::{Options, erase};
use super::route;
use super::select::label_selector_takes;
use super::status::Status;
use crate::lab::store::{Object, Store, seconds};

pub fn evict(api: &Api, call: &Call, target: &Target) -> Result<Response<Body>, Status> {
    let body = if call.body.is_empty() { json!({}) } else { call.json()? };
    let named = body["metadata"]["name"].as_str().unwrap_or_default();
    if !named.is_empty() && named != target.name() {
        return Err(Status::bad_request("name in URL does not match name in Eviction object"));
    }
    let options = Options::from(&body["deleteOptions"], call)?;
    let pod = api
        .store
        .get("pods", target.place(), target.name())
        .ok_or_else(|| Status::not_found(target.resource, target.name()))?;
    let value = pod.value();
    if needs_budget(&value) {
        let budgets = budgets(&api.store, &pod);
        match budgets.as_slice() {
            [] => {}
            [budget] => {
                if !is_spared(&value, budget) {
                    spend(api, call, &pod, budget, options.dry_run)?;
                }
            }
            _ => {
                return Err(Status::internal(
                    "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.",
                ));
            }
        }
    }
    erase(&api.store, &pod, &options, call.now)?;
    Ok(route::success(call, 201, &Value::Null))
}

/// Ended, pending and already leaving pods cost nobody anything.
fn needs_budget(pod: &Value) -> bool {
    let phase = pod["status"]["phase"].as_str().unwrap_or_default();
    !["Succeeded", "Failed", "Pending"].contains(&phase) && !pod["metadata"]["deletionTimestamp"].is_string()
}

/// A pod that is not ready may go while its budget is met (or always, by the budget's policy).
fn is_spared(pod: &Value, budget: &Value) -> bool {
    let mut conditions = pod["status"]["conditions"].as_array().into_iter().flatten();
    if conditions.any(|condition| condition["type"] == "Ready" && condition["status"] == "True") {
        return false;
    }
    let status = &budget["status"];
    let number = |field: &str| status[field].as_i64().unwrap_or(0);
    let met = number("currentHealthy") >= number("desiredHealthy") && number("desiredHealthy") > 0;
    met || budget["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow"
}

fn budgets(store: &Store, pod: &Object) -> Vec<Value> {
    let labels: &BTreeMap<String, String> = &pod.labels;
    let all = store.list("poddisruptionbudgets", Some(&pod.namespace)).0;
    let values = all.iter().map(|budget| budget.value());
    values.filter(|budget| label_selector_takes(&budget["spec"]["selector"], labels)).collect()
}

fn spend(api: &Api, call: &Call, pod: &Arc<Object>, budget: &Value, dry_run: bool) -> Result<(), Status> {
    let name = budget["metadata"]["name"].as_str().unwrap_or_default();
    check(budget)?;
    if dry_run {
        return Ok(());
    }
    let when = seconds(call.now);
    api.store
        .try_update("poddisruptionbudgets", &pod.namespace, name, call.now, |stored| {
            check(stored)?;
            let left = stored["status"]["disruptionsAllowed"].as_i64().unwrap_or(0) - 1;
            stored["status"]["disruptionsAllowed"] = left.into();
            stored["status"]["disruptedPods"][pod.name.as_str()] = when.into();
            Ok(())
        })
        .map(|_| ())
}

fn check(budget: &Value) -> Result<(), Status> {
    let name = budget["metadata"]["name"].as_str().unwrap_or_default();
    let status = &budget["status"];
    let number = |value: &Value| value.as_i64().unwrap_or(0);
    if number(&status["observedGeneration"]) < number(&budget["metadata"]["generation"]) {
        let cause = format!("The disruption budget {name} is still being processed by the server.");
        return Err(refused(&cause, Some(10)));
    }
    if number(&status["disruptionsAllowed"]) <= 0 {
        let cause = format!(
            "The disruption budget {name} needs {} healthy pods and has {} currently",
            number(&status["desiredHealthy"]),
            number(&status["currentHealthy"])
        );
        return Err(refused(&cause, None));
    }
    Ok(())
}

/// 429 as the real server says it: a `Retry-After` only when waiting is known to help.
fn refused(cause: &str, retry: Option<u64>) -> Status {
    let mut details = json!({"causes": [{"reason": "DisruptionBudget", "message": cause}]});
    if let Some(seconds) = retry {
        details["retryAfterSeconds"] = seconds.into();
    }
    let message = "Cannot evict pod as it would violate the pod's disruption budget.";
    Status::new(429, "TooManyRequests", message).with(details)
}
