//! A rule that counts requests by address, as the web application firewall's API has it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::AwsDoes;

impl AwsDoes {
    /// Seconds in which a limit counts: the API's own default.
    pub const RATE_WINDOW: u32 = 300;
    /// The fewest requests that a limit may allow (AWS WAF API, `RateBasedStatement`).
    pub const RATE_LEAST: u32 = 10;

    /// The rule, without the priority that its web ACL gives it.
    pub fn limit_rule(path: &str, limit: u32) -> Value {
        let name = Self::limit_rule_name(path);
        json!({
            "Name": name,
            "Action": {"Block": {}},
            "Statement": {"RateBasedStatement": {
                "Limit": limit,
                "EvaluationWindowSec": Self::RATE_WINDOW,
                "AggregateKeyType": "IP",
                "ScopeDownStatement": {"ByteMatchStatement": {
                    "SearchString": STANDARD.encode(path),
                    "FieldToMatch": {"UriPath": {}},
                    "TextTransformations": [{"Priority": 0, "Type": "NORMALIZE_PATH"}],
                    "PositionalConstraint": "STARTS_WITH",
                }},
            }},
            "VisibilityConfig": {"SampledRequestsEnabled": true, "CloudWatchMetricsEnabled": true, "MetricName": name},
        })
    }

    /// Its name, one for each path.
    pub fn limit_rule_name(path: &str) -> String {
        let word: String =
            path.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '-' }).collect();
        format!("covet-limit{}", word.trim_end_matches('-'))
    }
}
