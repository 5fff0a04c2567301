//! Logs of several pods and containers at once, bounded, with what they give away. Lines are cleaned and
//! redacted before anybody sees them.

use std::sync::LazyLock;
use std::time::Duration;

use futures::{StreamExt, stream};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, LogParams};
use regex::RegexSet;

use super::answer::Answer;
use super::cluster::Cluster;
use super::object::{items, string};
use super::trouble::Trouble;
use crate::domain::{Key, Kind, Name, ObjectRef, Tone, cause, text};

/// Most bytes read of one container's log.
const BYTES: i64 = 1 << 20;
/// Containers read at the same time.
const AT_ONCE: usize = 8;

/// What a line gives away (audit, section 3). The first match names the cause.
const TELLING: &[(&str, &str)] = &[
    (r"(?i)no space left on device|ENOSPC", cause::NO_SPACE),
    (r"(?i)too many (?:connections|clients)|remaining connection slots|\b53300\b", cause::DATABASE_EXHAUSTED),
    (
        r"(?i)password authentication failed|invalid (?:password|credentials)|\b28P01\b|NOAUTH|WRONGPASS|access denied for user",
        cause::DATABASE_AUTH,
    ),
    (
        r"(?i)connection refused|could not connect|ECONNREFUSED|no route to host|name or service not known|no such host|i/o timeout|connection timed out",
        cause::DATABASE_UNREACHABLE,
    ),
    (
        r"(?i)validationerror|keyerror|missing (?:required )?(?:environment|env|config|setting|key)|invalid (?:config|value for)|environment variable .* (?:not set|missing)|improperlyconfigured",
        cause::CONFIG_ERROR,
    ),
    (
        r"(?i)exec format error|executable file not found|no such file or directory: '?/|modulenotfounderror|command not found",
        cause::COMMAND_ERROR,
    ),
    (
        r"(?i)out of memory|cannot allocate memory|MemoryError|OutOfMemoryError|heap out of memory",
        cause::OOM_KILLED,
    ),
];

/// A line that speaks of trouble, shown as such.
static TROUBLED: LazyLock<Option<RegexSet>> = LazyLock::new(|| {
    RegexSet::new([r"(?i)\b(?:error|fatal|panic|critical|exception|traceback)\b", r"^E\d{4} "]).ok()
});
static CAUSES: LazyLock<Option<RegexSet>> =
    LazyLock::new(|| RegexSet::new(TELLING.iter().map(|(pattern, _)| pattern)).ok());

/// One container's log, or why there is none.
pub(super) struct Log {
    pub(super) of: String,
    pub(super) text: Result<String, Trouble>,
}

pub(super) async fn read(
    cluster: &Cluster,
    pods: &[Key],
    container: Option<&Name>,
    previous: bool,
    tail: u32,
    since: Option<Duration>,
) -> Result<Answer, Trouble> {
    if pods.is_empty() {
        return Ok(Answer::failed("no pod to read logs of"));
    }
    Ok(summarise(gather(cluster, pods, container, previous, tail, since).await, previous, tail))
}

/// The logs of all of them, in order.
pub(super) async fn gather(
    cluster: &Cluster,
    pods: &[Key],
    container: Option<&Name>,
    previous: bool,
    tail: u32,
    since: Option<Duration>,
) -> Vec<Log> {
    let containers: Vec<Vec<(Key, String)>> = stream::iter(pods.to_vec())
        .map(|pod| async move { containers(cluster, &pod, container).await })
        .buffered(AT_ONCE)
        .collect()
        .await;
    let params = |container: &str| LogParams {
        container: Some(container.to_owned()),
        previous,
        tail_lines: Some(i64::from(tail)),
        limit_bytes: Some(BYTES),
        since_seconds: since.map(|since| since.as_secs().max(1) as i64),
        ..LogParams::default()
    };
    stream::iter(containers.into_iter().flatten())
        .map(|(pod, name)| {
            let params = params(&name);
            async move { fetch(cluster, pod, name, params).await }
        })
        .buffered(AT_ONCE)
        .collect()
        .await
}

/// The containers meant: the named one, or all of the pod's, init containers too.
async fn containers(cluster: &Cluster, pod: &Key, named: Option<&Name>) -> Vec<(Key, String)> {
    if let Some(named) = named {
        return vec![(pod.clone(), named.to_string())];
    }
    let object = ObjectRef::new(Kind::Pod, pod.clone());
    match cluster.get(&object).await {
        Ok(found) => ["/spec/initContainers", "/spec/containers"]
            .iter()
            .flat_map(|list| items(&found, list))
            .map(|container| (pod.clone(), string(container, "/name").to_owned()))
            .collect(),
        // The read itself will say why.
        Err(_) => vec![(pod.clone(), String::new())],
    }
}

async fn fetch(cluster: &Cluster, pod: Key, container: String, mut params: LogParams) -> Log {
    let of = if container.is_empty() { pod.to_string() } else { format!("{pod} {container}") };
    if container.is_empty() {
        params.container = None;
    }
    let api: Api<Pod> = Api::namespaced(cluster.client(), &pod.namespace);
    let text = match tokio::time::timeout(cluster.deadline(), api.logs(&pod.name, &params)).await {
        Ok(answer) => answer.map_err(Trouble::from),
        Err(_) => Err(Trouble::unanswered(cluster.deadline())),
    };
    Log { of, text }
}

fn summarise(logs: Vec<Log>, previous: bool, tail: u32) -> Answer {
    let mut answer = Answer::new();
    let several = logs.len() > 1;
    let (mut count, mut empty, mut read, mut last_trouble) = (0, 0, 0, None);
    let mut why = None;
    for log in logs {
        let text = match log.text {
            Ok(text) => text,
            Err(trouble) => {
                let says = words(&trouble, previous);
                answer.line(Tone::Dim, format!("{}: {says}", log.of));
                why.get_or_insert(says);
                continue;
            }
        };
        read += 1;
        let lines: Vec<&str> = text.lines().collect();
        if lines.is_empty() {
            empty += 1;
        }
        if several || lines.is_empty() {
            let note = if lines.is_empty() { " wrote nothing" } else { "" };
            answer.line(Tone::Heading, format!("{}{note}", log.of));
        }
        for line in lines.iter().take(tail as usize) {
            count += 1;
            let is_troubled = TROUBLED.as_ref().is_some_and(|set| set.is_match(line));
            if is_troubled {
                last_trouble = Some((*line).to_owned());
            }
            if let Some(hit) = CAUSES.as_ref().and_then(|set| set.matches(line).iter().next()) {
                answer.found(TELLING[hit].1, line.trim());
            }
            answer.line(if is_troubled { Tone::Bad } else { Tone::Plain }, line);
        }
    }
    let lines = text::count(count, "line");
    if read == 0 {
        return answer.unseen(why.as_deref().unwrap_or("no log could be read"));
    }
    answer.summary(match last_trouble {
        Some(line) => format!("{lines}; last trouble: {}", text::clean(line.trim())),
        None if count == 0 => format!("{} wrote nothing", text::count(empty, "container")),
        None => format!("{lines}, none of them speaks of an error"),
    });
    answer
}

/// The kubelet's phrases in plain words.
fn words(trouble: &Trouble, previous: bool) -> String {
    let says = &trouble.says;
    if previous && says.contains("previous terminated container") {
        "no previous container: nothing has ended here yet".into()
    } else if says.contains("is waiting to start") {
        let why = says.rsplit(": ").next().unwrap_or_default();
        format!("no log yet: the container waits to start ({why})")
    } else {
        trouble.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(text: &str) -> Log {
        Log { of: "shop/web app".into(), text: Ok(text.into()) }
    }

    #[test]
    fn a_log_gives_away_its_cause_and_keeps_its_secrets() {
        let answer = summarise(
            vec![log(
                "starting\nFATAL: password authentication failed for user app\nDATABASE_PASSWORD=hunter2\x1b[31m",
            )],
            true,
            100,
        );
        let reading = answer.into_reading(jiff::Timestamp::UNIX_EPOCH, Duration::ZERO);
        assert_eq!(reading.found[0].cause, cause::DATABASE_AUTH);
        let all = format!("{reading:?}");
        assert!(!all.contains("hunter2") && !all.contains('\x1b'), "{all}");
        assert!(reading.summary.contains("last trouble"), "{}", reading.summary);
    }

    #[test]
    fn every_pattern_compiles() {
        assert!(CAUSES.is_some() && TROUBLED.is_some());
    }
}
