//! The lines about one thing in the logs of everything a selector finds, such as a controller's about a
//! certificate. Only the matching lines are kept.

use futures::StreamExt;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, LogParams};
use serde_json::Value;

use super::Asking;
use crate::domain::{Kind, Tone, cause, text};
use crate::probes::answer::Answer;
use crate::probes::object::{items, key, string};
use crate::probes::trouble::Trouble;

const BYTES: i64 = 4 << 20;
const SINCE: i64 = 3600;
const AT_ONCE: usize = 4;
/// Most lines kept of one pod: the last ones.
const LINES: usize = 60;

pub(super) async fn read(
    asking: &Asking<'_>,
    namespace: &str,
    selector: &str,
    about: &str,
) -> Result<Answer, Trouble> {
    let pods = asking.cluster.list(Kind::Pod, namespace, selector, "").await?;
    if pods.is_empty() {
        return Ok(Answer::failed(&format!("no pod of {selector} is in {namespace}")));
    }
    let logs: Vec<(String, Result<String, Trouble>)> = futures::stream::iter(pods)
        .map(|pod| async move { (key(&pod).to_string(), log(asking, &pod).await) })
        .buffered(AT_ONCE)
        .collect()
        .await;
    let mut answer = Answer::new();
    let (mut count, mut bad, mut last) = (0, 0, None);
    for (of, log) in logs {
        let log = match log {
            Ok(log) => log,
            Err(trouble) => {
                answer.line(Tone::Dim, format!("{of}: {trouble}"));
                continue;
            }
        };
        let hits: Vec<&str> = log.lines().filter(|line| line.contains(about)).collect();
        if !hits.is_empty() {
            answer.line(Tone::Heading, &of);
        }
        for line in hits.iter().rev().take(LINES).rev() {
            count += 1;
            let lower = line.to_lowercase();
            let telling =
                ["error", "fail", "invalid", "429", "denied"].iter().any(|word| lower.contains(word));
            if telling {
                bad += 1;
                last = Some((*line).to_owned());
            }
            if lower.contains("ratelimited")
                || lower.contains(" 429 ")
                || lower.contains("too many certificates")
            {
                answer.found(cause::ISSUANCE_RATE_LIMITED, line);
            }
            answer.line(if telling { Tone::Bad } else { Tone::Plain }, line);
        }
    }
    answer.summary(match last {
        Some(last) => format!(
            "{} about {about}, {bad} of trouble; the last: {}",
            text::count(count, "line"),
            last.trim()
        ),
        None => format!("{} about {about} in the last hour, none of trouble", text::count(count, "line")),
    });
    Ok(answer)
}

async fn log(asking: &Asking<'_>, pod: &Value) -> Result<String, Trouble> {
    let place = key(pod);
    let api: Api<Pod> = Api::namespaced(asking.cluster.client(), &place.namespace);
    let container = items(pod, "/spec/containers").first().map(|one| string(one, "/name").to_owned());
    let params =
        LogParams { container, since_seconds: Some(SINCE), limit_bytes: Some(BYTES), ..LogParams::default() };
    match tokio::time::timeout(asking.cluster.deadline(), api.logs(&place.name, &params)).await {
        Ok(log) => log.map_err(Trouble::from),
        Err(_) => Err(Trouble::unanswered(asking.cluster.deadline())),
    }
}
