//! Whether Prometheus runs what was written: a reload that is answered may have loaded the file of before.

use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::prometheus::{prometheus, wrong};
use super::write::ask;
use crate::domain::text;
use crate::hands::Hands;
use crate::hands::task::Task;
use crate::probes::alerting::api::Api;
use crate::probes::alerting::document::duration;
use crate::probes::alerting::health::replay;
use crate::probes::alerting::prometheus_yml::same;
use crate::probes::alerting::rules::{Rule, all};
use crate::probes::object::{items, string};
use crate::probes::trouble::Trouble;

/// How long a start may take before it is called unseen: a replay takes minutes.
const READY_WITHIN: Duration = Duration::from_secs(240);

/// Until what Prometheus says it runs is what was written.
pub(super) async fn loaded(
    hands: &Hands,
    (entry, text): (&str, &str),
    task: &mut Task,
) -> Result<String, String> {
    let api = prometheus(hands).await.map_err(|trouble| trouble.says)?;
    let patience = READY_WITHIN.min(hands.patience.rollout);
    let deadline = Instant::now() + patience;
    loop {
        let reload = ask(api.door(), http::Method::POST, "/-/reload", None).await;
        if let Err(trouble) = &reload {
            if !wrong(entry, text).is_empty() && trouble.says.contains("failed to reload") {
                return Err(format!("Prometheus refuses it and goes on with what it had: {}", trouble.says));
            }
            task.say(format!("reload: {}; its reloader or its next start may do it", trouble.says));
        }
        match runs(&api, entry, text).await {
            Ok(true) => return Ok("Prometheus runs with it".into()),
            Ok(false) => task.say("waiting for the file to arrive in the container, and to be loaded"),
            Err(trouble) => match replay(&api).await {
                Some(replay) => task.say(format!("replaying segment {} of {}", replay.current, replay.last)),
                None => task.say(trouble.says),
            },
        }
        if Instant::now() > deadline {
            return Err(format!("Prometheus was not seen to run with it within {}", text::span(patience)));
        }
        if task.is_called_off() {
            return Err("watching was called off".into());
        }
        task.pause(Duration::from_secs(2)).await;
    }
}

/// Whether what runs is this document: of a configuration every value it sets, of a rules file every rule.
async fn runs(api: &Api, entry: &str, document: &str) -> Result<bool, Trouble> {
    let Ok(wanted) = serde_saphyr::from_str::<Value>(document) else { return Ok(false) };
    if !entry.starts_with("prometheus.") {
        return Ok(holds(&all(api).await?, &wanted));
    }
    let info = api.data("/api/v1/status/runtimeinfo", &[]).await?;
    let running = api.data("/api/v1/status/config", &[]).await?;
    let running: Value = serde_saphyr::from_str(string(&running, "/yaml")).unwrap_or_default();
    Ok(info["reloadConfigSuccess"] == Value::Bool(true) && carries(&running, &wanted))
}

/// Every alerting rule of the document runs, with its expression and its `for`; and no other of its groups.
fn holds(rules: &[Rule], document: &Value) -> bool {
    items(document, "/groups").iter().all(|group| {
        let name = string(group, "/name");
        let wanted = items(group, "/rules").iter().filter(|rule| !string(rule, "/alert").is_empty());
        let running: Vec<&Rule> = rules.iter().filter(|rule| rule.group == name).collect();
        wanted.clone().count() == running.len()
            && wanted.zip(running).all(|(wanted, own)| {
                string(wanted, "/alert") == own.alert
                    && duration(string(wanted, "/for")).unwrap_or_default() == own.lasts.as_millis() as u64
                    && same(string(wanted, "/expr"), &own.expr)
            })
    })
}

/// Everything that is set is so in what runs, which has defaults and absolute paths beside it.
fn carries(running: &Value, wanted: &Value) -> bool {
    match (running, wanted) {
        (Value::Object(running), Value::Object(wanted)) => wanted.iter().all(|(key, value)| {
            key == "rule_files" || running.get(key).is_some_and(|own| carries(own, value))
        }),
        (Value::Array(running), Value::Array(wanted)) => {
            running.len() == wanted.len()
                && running.iter().zip(wanted).all(|(own, value)| carries(own, value))
        }
        (Value::String(running), Value::String(wanted)) => {
            running == wanted
                || running == "<secret>"
                || duration(running).is_some_and(|span| Some(span) == duration(wanted))
        }
        _ => running == wanted,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn defaults_and_paths_are_no_difference_but_values_are() {
        let wanted = json!({"global": {"scrape_interval": "60s"}, "rule_files": ["a.yml"], "scrape_configs": [{"job_name": "a"}]});
        let mut running = json!({"global": {"scrape_interval": "1m", "scrape_timeout": "10s"},
            "rule_files": ["/etc/a.yml"], "scrape_configs": [{"job_name": "a", "scheme": "http"}]});
        assert!(carries(&running, &wanted));
        running["scrape_configs"][0]["job_name"] = json!("b");
        assert!(!carries(&running, &wanted));
        assert!(!carries(&json!({}), &json!({"scrape_config": []})));
    }
}
