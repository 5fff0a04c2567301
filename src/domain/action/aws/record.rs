//! A DNS record set of a hosted zone, as it is shown, changed and put back. Only what can be put back exactly:
//! plain records and aliases, no routing policies.

use serde::{Deserialize, Serialize};

use crate::domain::Name;

/// One record set without a routing policy.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RecordSet {
    /// With or without the last dot.
    pub name: String,
    /// `A`, `AAAA`, `CNAME` …
    #[serde(rename = "type")]
    pub kind: Name,
    /// Seconds; None for an alias.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<u32>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alias: Option<AliasTarget>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct AliasTarget {
    /// The zone of the target, not of the record.
    pub zone: Name,
    pub dns_name: String,
    pub evaluate_health: bool,
}

impl RecordSet {
    /// `www.example.com A → 192.0.2.1 (60 s)`.
    pub fn says(&self) -> String {
        let name = self.name.trim_end_matches('.');
        match (&self.alias, self.ttl) {
            (Some(alias), _) => format!("{name} {} → alias {}", self.kind, alias.dns_name),
            (None, Some(ttl)) => format!("{name} {} → {} ({ttl} s)", self.kind, self.values.join(", ")),
            (None, None) => format!("{name} {} → {}", self.kind, self.values.join(", ")),
        }
    }

    /// Names of records are compared without case and last dot.
    pub fn is_named(&self, name: &str) -> bool {
        self.name.trim_end_matches('.').eq_ignore_ascii_case(name.trim_end_matches('.'))
    }
}
