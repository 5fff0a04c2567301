//! Configurations as they may be shown: every value under a telling key struck out, comments and all. Pure.

use std::sync::LazyLock;

use regex::Regex;

use crate::domain::{masked, text};

/// Keys of Alertmanager's and Prometheus' configurations whose values are secrets. URLs of webhooks carry
/// their token in the path.
const SECRET: &[&str] = &[
    "api_key",
    "api_secret",
    "api_url",
    "auth_identity",
    "auth_password",
    "auth_secret",
    "bearer_token",
    "bot_token",
    "client_secret",
    "credentials",
    "key",
    "opsgenie_api_key",
    "password",
    "private_key",
    "routing_key",
    "secret",
    "secret_key",
    "service_key",
    "slack_api_url",
    "smtp_auth_identity",
    "smtp_auth_password",
    "smtp_auth_secret",
    "telegram_bot_token",
    "token",
    "url",
    "user_key",
    "victorops_api_key",
    "webhook_url",
    "wechat_api_secret",
];

/// The document with every secret value replaced by its size and hash.
pub fn redacted(document: &str) -> String {
    let mut out = Vec::new();
    // Deeper lines than this belong to a secret that spans lines.
    let mut hiding: Option<usize> = None;
    for line in document.lines() {
        let indent = line.len() - line.trim_start_matches([' ', '-']).len();
        if let Some(level) = hiding {
            if indent > level || line.trim().is_empty() {
                continue;
            }
            hiding = None;
        }
        out.push(match secret(line, indent) {
            Some(Hidden::Line(shown)) => shown,
            Some(Hidden::Block(shown)) => {
                hiding = Some(indent);
                shown
            }
            None => flow(&text::clean(line)),
        });
    }
    out.join("\n")
}

enum Hidden {
    Line(String),
    Block(String),
}

fn secret(line: &str, indent: usize) -> Option<Hidden> {
    let (key, value) = line[indent..].split_once(':')?;
    let key = key.trim().trim_matches(['"', '\'']);
    if !SECRET.contains(&key) {
        return None;
    }
    let before = text::clean(&line[..indent]);
    let value = value.trim();
    Some(match value {
        "" | "|" | ">" | "|-" | ">-" | "|+" | ">+" => Hidden::Block(format!("{before}{key}: •••")),
        value => Hidden::Line(format!("{before}{key}: {}", masked(value.trim_matches(['"', '\''])))),
    })
}

/// Secrets inside `{a: b, …}`, and whatever else looks like one.
fn flow(line: &str) -> String {
    static PAIRS: LazyLock<Option<Regex>> = LazyLock::new(|| {
        let keys = SECRET.join("|");
        Regex::new(&format!(r#"(["']?\b(?:{keys})["']?\s*:\s*)("[^"]*"|'[^']*'|[^,}}\s]+)"#)).ok()
    });
    match PAIRS.as_ref().filter(|_| line.contains('{')) {
        Some(pairs) => text::redact(&pairs.replace_all(line, "${1}•••")),
        None => text::redact(line),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_secret_of_a_configuration_survives() {
        let document = "global:\n  slack_api_url: https://hooks.example.com/services/T0/B0/hunter2x\n  smtp_auth_password: 'hunter2y'\nreceivers:\n- name: a\n  webhook_configs:\n  - url: http://10.0.0.1/hunter2z\n  pagerduty_configs:\n  - routing_key: |\n      hunter2multi\n      line\n    description: page\n  - {service_key: hunter2flow, severity: x}\n  - { \"api_key\": \"hunter2q\" }\n";
        let shown = redacted(document);
        assert!(!shown.contains("hunter2"), "{shown}");
        assert!(shown.contains("description: page") && shown.contains("severity: x"), "{shown}");
        assert!(shown.contains("- name: a"), "{shown}");
    }
}
