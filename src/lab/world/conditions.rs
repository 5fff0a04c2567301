//! Status conditions, as every controller keeps them: a list by type, with the time of the last flip.
//! It knows their form only.

use serde_json::{Value, json};

/// One condition to be shown.
pub struct Shown<'a> {
    pub kind: &'a str,
    pub status: &'a str,
    pub reason: &'a str,
    pub message: &'a str,
}

/// Puts the condition into `conditions` at `at` (seconds, RFC 3339). The time of the last transition
/// stays while the status does. Says whether anything but a time changed.
pub fn put(status: &mut Value, shown: &Shown<'_>, at: &str) -> bool {
    let list = list(status);
    let mut fresh = json!({
        "type": shown.kind, "status": shown.status, "lastTransitionTime": at,
    });
    for (field, text) in [("reason", shown.reason), ("message", shown.message)] {
        if !text.is_empty() {
            fresh[field] = text.into();
        }
    }
    let Some(old) = list.iter_mut().find(|condition| condition["type"] == shown.kind) else {
        list.push(fresh);
        return true;
    };
    let text = |field: &str| old[field].as_str().unwrap_or_default().to_owned();
    if text("status") == shown.status && text("reason") == shown.reason && text("message") == shown.message {
        return false;
    }
    if old["status"] == shown.status {
        fresh["lastTransitionTime"] = old["lastTransitionTime"].clone();
    }
    for kept in ["lastHeartbeatTime", "lastUpdateTime", "lastProbeTime", "observedGeneration"] {
        if let Some(value) = old.get(kept) {
            fresh[kept] = value.clone();
        }
    }
    *old = fresh;
    true
}

/// The condition, to be changed further.
pub fn at<'a>(status: &'a mut Value, kind: &str) -> Option<&'a mut Value> {
    list(status).iter_mut().find(|condition| condition["type"] == kind)
}

pub fn remove(status: &mut Value, kind: &str) {
    list(status).retain(|condition| condition["type"] != kind);
}

fn list(status: &mut Value) -> &mut Vec<Value> {
    if !status["conditions"].is_array() {
        status["conditions"] = json!([]);
    }
    match &mut status["conditions"] {
        Value::Array(list) => list,
        _ => unreachable!("it was just made an array"),
    }
}
