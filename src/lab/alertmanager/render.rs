//! Alerts as the API writes and reads them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::{Alert, RESOLVE_AFTER, Suppression};
use crate::lab::tsdb::Labels;

/// A `gettableAlert`.
pub(super) fn alert(alert: &Alert, by: &Suppression, receivers: &[String]) -> Json {
    let receivers: Vec<Json> = receivers.iter().map(|name| json!({"name": name})).collect();
    let suppressed = !by.silenced_by.is_empty() || !by.inhibited_by.is_empty();
    json!({
        "fingerprint": fingerprint(&alert.labels),
        "labels": labels(&alert.labels), "annotations": alert.annotations,
        "startsAt": alert.starts.to_string(), "endsAt": alert.ends.to_string(),
        "updatedAt": alert.updated.to_string(), "generatorURL": alert.generator,
        "receivers": receivers,
        "status": {
            "state": if suppressed { "suppressed" } else { "active" },
            "silencedBy": by.silenced_by, "inhibitedBy": by.inhibited_by,
        },
    })
}

pub(super) fn labels(labels: &Labels) -> Json {
    Json::Object(labels.iter().map(|(name, value)| (name.to_owned(), Json::from(value))).collect())
}

/// Prometheus's fingerprint of a label set: FNV-1a over names and values, each followed by 0xff.
pub(super) fn fingerprint(labels: &Labels) -> String {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    let parts = labels.iter().flat_map(|(name, value)| [name, value]);
    for byte in parts.flat_map(|part| part.bytes().chain([0xff])) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    format!("{hash:016x}")
}

/// A `postableAlert`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PostedAlert {
    pub(super) labels: BTreeMap<String, String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
    #[serde(default)]
    starts_at: Option<Timestamp>,
    #[serde(default)]
    ends_at: Option<Timestamp>,
    #[serde(default, rename = "generatorURL")]
    generator: String,
}

impl PostedAlert {
    pub(super) fn received(self, now: Timestamp) -> Alert {
        // Go clients send their zero time for "not said".
        let said = |at: Option<Timestamp>| at.filter(|at| at.as_second() > 0);
        let ends = said(self.ends_at);
        Alert {
            labels: self.labels.into_iter().collect(),
            annotations: self.annotations,
            starts: said(self.starts_at).unwrap_or(now),
            ends: ends.unwrap_or_else(|| now.saturating_add(RESOLVE_AFTER).unwrap_or(now)),
            updated: now,
            generator: self.generator,
        }
    }
}
