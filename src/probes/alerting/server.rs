//! Prometheus as a workload: its pods, what its container says, its configuration, its volume. Needs the cluster,
//! never Prometheus itself.

use std::sync::LazyLock;

use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api as KubeApi, LogParams};
use regex::Regex;
use serde_json::Value;

use super::api::{Api, Which, service};
use super::held::{self, Earlier, Held};
use super::prometheus_yml::{mistakes, rule_mistakes};
use crate::domain::{Key, Kind, Tone, cause, text};
use crate::probes::answer::Answer;
use crate::probes::cluster::Cluster;
use crate::probes::object::{condition, flag, items, key, milli_at, name, selector_query, string, writers};
use crate::probes::trouble::{Trouble, TroubleKind};

/// The label that chart and operator put on the server's pods.
pub const SELECTOR: &str = "app.kubernetes.io/name=prometheus";
/// Lines of each container that are read.
const TAIL: i64 = 400;

/// What a line of Prometheus gives away (audit, section 3), the first match names the cause.
const TELLING: &[(&str, &str)] = &[
    (r"(?i)no space left on device|ENOSPC", cause::STORAGE_FULL),
    (
        r"(?i)error loading config|error parsing rules|parsing YAML file|one or more errors occurred while applying",
        cause::MONITORING_CONFIG,
    ),
    (
        r"(?i)corruption (?:in|after|at)|unexpected end of file|checksum mismatch|invalid magic number|found unsequential|block.*corrupt",
        cause::STORAGE_CORRUPT,
    ),
    (r"(?i)out of memory|cannot allocate memory", cause::MONITORING_OOM),
    (r"(?i)replaying (?:on-disk memory mappable chunks|WAL)|WAL segment loaded", cause::WAL_REPLAY),
];

static PATTERNS: LazyLock<Vec<(Regex, &'static str)>> = LazyLock::new(|| {
    TELLING.iter().filter_map(|(pattern, cause)| Some((Regex::new(pattern).ok()?, *cause))).collect()
});

/// What a line gives away.
pub fn telling(line: &str) -> Option<&'static str> {
    PATTERNS.iter().find(|(pattern, _)| pattern.is_match(line)).map(|(_, cause)| *cause)
}

/// The server's pods: those its service selects, else those with the label.
pub async fn pods(cluster: &Cluster) -> Result<Vec<Value>, Trouble> {
    let client = cluster.client();
    let Some(found) = service(&client, Which::Prometheus).await else {
        return cluster.list(Kind::Pod, "", SELECTOR, "").await;
    };
    let service = crate::domain::ObjectRef::new(Kind::Service, found.clone());
    let selector =
        cluster.find(&service).await?.and_then(|service| service.pointer("/spec/selector").cloned());
    let query = selector.map(|labels| selector_query(&serde_json::json!({"matchLabels": labels})));
    cluster.list(Kind::Pod, &found.namespace, query.as_deref().unwrap_or(SELECTOR), "").await
}

/// The container that is Prometheus, not its reloader beside it (audit D90).
pub fn container(pod: &Value) -> Option<&str> {
    let names: Vec<&str> = items(pod, "/spec/containers").iter().map(|row| string(row, "/name")).collect();
    let known = ["prometheus-server", "prometheus"].into_iter().find(|known| names.contains(known));
    known.or_else(|| names.into_iter().find(|name| !name.contains("reload")))
}

/// The claims a pod mounts.
pub fn claims(pod: &Value) -> impl Iterator<Item = Key> + '_ {
    let namespace = string(pod, "/metadata/namespace");
    items(pod, "/spec/volumes")
        .iter()
        .map(|volume| string(volume, "/persistentVolumeClaim/claimName"))
        .filter(|claim| !claim.is_empty())
        .map(move |claim| Key::new(namespace, claim))
}

pub(super) async fn logs(cluster: &Cluster) -> Result<Answer, Trouble> {
    let pods = pods(cluster).await?;
    let mut answer = Answer::new();
    if pods.is_empty() {
        return Ok(Answer::failed("no pod of Prometheus was found"));
    }
    let mut said = Vec::new();
    for pod in &pods {
        let Some(container) = container(pod) else { continue };
        for previous in [true, false] {
            // Without a previous container there is nothing to read: no trouble.
            let Ok(log) = log(cluster, &key(pod), container, previous).await else { continue };
            let when = if previous { "before it ended" } else { "now" };
            answer.line(Tone::Heading, format!("{} {container}, {when}", name(pod)));
            // The last word of a cause is the newest: replay is over once something else was said after it.
            let mut last: Option<(&'static str, String)> = None;
            for line in log.lines() {
                let found = telling(line);
                let tone = if found.is_some() { Tone::Bad } else { Tone::Plain };
                answer.line(tone, line);
                if let Some(cause) = found.filter(|cause| *cause != cause::WAL_REPLAY) {
                    answer.found(cause, line);
                    said.push(cause);
                }
                last = found
                    .map(|cause| (cause, line.to_owned()))
                    .or(last.filter(|_| !line.contains("TSDB started")));
            }
            if let Some((cause::WAL_REPLAY, line)) = last.filter(|_| !previous) {
                answer.found(cause::WAL_REPLAY, line);
                said.push(cause::WAL_REPLAY);
            }
        }
        memory(pod, container, &mut answer);
        if killed(pod) {
            answer.found(cause::MONITORING_OOM, format!("{} was killed at its memory limit", name(pod)));
            said.push(cause::MONITORING_OOM);
        }
    }
    said.dedup();
    answer.summary(match said.as_slice() {
        [] => "the log gives nothing away".to_owned(),
        causes => format!("the log speaks of {}", causes.join(", ")),
    });
    Ok(answer)
}

/// Half as much memory again as the container may use.
fn memory(pod: &Value, container: &str, answer: &mut Answer) {
    let own = items(pod, "/spec/containers").iter().find(|row| string(row, "/name") == container);
    let limit = own.map_or(0, |row| (milli_at(row, "/resources/limits/memory") / 1000) as u64);
    if limit > 0 {
        const MIB: u64 = 1 << 20;
        answer.bind("prometheus_memory", text::quantity((limit + limit / 2).div_ceil(MIB) * MIB));
        answer.bind("container", container);
    }
}

fn killed(pod: &Value) -> bool {
    items(pod, "/status/containerStatuses").iter().any(|status| {
        ["/lastState", "/state"]
            .iter()
            .any(|state| string(status, &format!("{state}/terminated/reason")) == "OOMKilled")
    })
}

async fn log(cluster: &Cluster, pod: &Key, container: &str, previous: bool) -> Result<String, Trouble> {
    let api: KubeApi<Pod> = KubeApi::namespaced(cluster.client(), &pod.namespace);
    let params = LogParams {
        container: Some(container.to_owned()),
        previous,
        tail_lines: Some(TAIL),
        ..LogParams::default()
    };
    match tokio::time::timeout(cluster.deadline(), api.logs(&pod.name, &params)).await {
        Ok(answer) => answer.map_err(Trouble::from),
        Err(_) => Err(Trouble::unanswered(cluster.deadline())),
    }
}

/// The configuration where it is kept: well-formed or not, who wrote it, and where one could go back to.
pub(super) async fn config(cluster: &Cluster, api: &Result<Api, Trouble>) -> Result<Answer, Trouble> {
    let kept = match held::prometheus(cluster).await {
        Ok(kept) => kept,
        Err(trouble) if trouble.is(TroubleKind::Absent) => return Ok(Answer::failed(&trouble.to_string())),
        Err(trouble) => return Err(trouble),
    };
    let mut answer = Answer::new();
    let mut wrong: Vec<String> =
        mistakes(&kept.text).into_iter().map(|why| format!("{}: {why}", kept.entry)).collect();
    for (entry, text) in kept.value.get("data").and_then(Value::as_object).into_iter().flatten() {
        if let Some(text) = text.as_str().filter(|text| *entry != kept.entry && text.contains("groups:")) {
            wrong.extend(rule_mistakes(text).into_iter().map(|why| format!("{entry}: {why}")));
        }
    }
    let place = format!("{} ({})", kept.object, kept.object.key.namespace);
    answer.bind("prometheus_document", kept.object.to_string());
    for (at, who) in writers(&kept.value, "/f:data").iter().take(3) {
        answer.line(Tone::Dim, format!("written by {who} at {at}"));
    }
    match earlier(&kept, api).await {
        Some((from, _)) => {
            answer.line(Tone::Plain, format!("can go back to {}", from.says()));
            answer.bind("earlier_config", from.says());
        }
        None => answer.line(Tone::Dim, "nothing earlier is known: look into the chart's values or git"),
    }
    answer.summary(match wrong.as_slice() {
        [] => format!("{place} is well-formed"),
        [one] => format!("{place} is refused: {one}"),
        several => format!("{place} is refused: {} (and {} more)", several[0], several.len() - 1),
    });
    if !wrong.is_empty() {
        answer.found(cause::MONITORING_CONFIG, format!("{place}: {}", wrong[0]));
        answer.not_ok();
    }
    answer.lines(wrong.into_iter().map(|why| (Tone::Bad, why)));
    Ok(answer)
}

/// A document to go back to: what still runs, as long as it holds no secret that was struck out; else what was
/// applied before the edit.
pub async fn earlier(kept: &Held, api: &Result<Api, Trouble>) -> Option<(Earlier, String)> {
    if let Ok(api) = api
        && let Ok(info) = api.data("/api/v1/status/runtimeinfo", &[]).await
        && info["reloadConfigSuccess"] == Value::Bool(false)
        && let Ok(data) = api.data("/api/v1/status/config", &[]).await
    {
        let running = string(&data, "/yaml");
        if !running.is_empty() && !running.contains("<secret>") && mistakes(running).is_empty() {
            return Some((Earlier::Running, running.to_owned()));
        }
    }
    held::applied(kept).filter(|text| mistakes(text).is_empty()).map(|text| (Earlier::Applied, text))
}

/// How full a claim is and whether it can grow.
pub(super) async fn volume(cluster: &Cluster, claim: &Key) -> Result<Answer, Trouble> {
    let object = crate::domain::ObjectRef::new(Kind::PersistentVolumeClaim, claim.clone());
    let found = cluster.get(&object).await?;
    let mut answer = Answer::new();
    let capacity = (milli_at(&found, "/status/capacity/storage") / 1000) as u64;
    answer.line(
        Tone::Plain,
        format!("phase {}, capacity {}", string(&found, "/status/phase"), text::bytes(capacity)),
    );
    for row in items(&found, "/status/conditions").iter().filter(|row| string(row, "/status") == "True") {
        answer.line(Tone::Plain, format!("{}: {}", string(row, "/type"), string(row, "/message")));
    }
    let class = string(&found, "/spec/storageClassName");
    let expandable = expandable(cluster, class).await;
    answer.line(
        if expandable == Some(false) { Tone::Bad } else { Tone::Plain },
        match expandable {
            Some(true) => format!("StorageClass {class} allows growing"),
            Some(false) => format!("StorageClass {class} does not allow growing"),
            None => format!("StorageClass {class} is not to be seen"),
        },
    );
    if condition(&found, "FileSystemResizePending").is_some() {
        answer.line(Tone::Plain, "the file system grows when the pod is started again");
    }
    let more = grown(capacity);
    answer.bind("volume_size", text::quantity(more));
    answer.bind("volume_capacity", text::quantity(capacity));
    let says = match usage(cluster, claim).await {
        Some((used, of)) => {
            let share = used as f64 / of.max(1) as f64;
            answer.bind("volume_used", format!("{:.0}", share * 100.0));
            let says = format!(
                "{claim} is {:.0} % full: {} of {}",
                share * 100.0,
                text::bytes(used),
                text::bytes(of)
            );
            if share > 0.97 {
                answer.found(cause::STORAGE_FULL, &says);
            }
            says
        }
        None => format!(
            "{claim} has {}; its usage is not to be seen while no pod mounts it",
            text::bytes(capacity)
        ),
    };
    answer.summary(says);
    Ok(answer)
}

/// Half as much again, in whole gibibytes.
pub fn grown(capacity: u64) -> u64 {
    const GIB: u64 = 1 << 30;
    (capacity + capacity / 2).div_ceil(GIB).max(1) * GIB
}

/// Whether a StorageClass lets its volumes grow; None when it is not to be seen.
pub async fn expandable(cluster: &Cluster, class: &str) -> Option<bool> {
    let object = crate::domain::ObjectRef::new(Kind::StorageClass, Key::cluster(class));
    let found = cluster.find(&object).await.ok().flatten()?;
    Some(flag(&found, "/allowVolumeExpansion"))
}

/// Used and total bytes of a claim, by the kubelets of the pods that mount it.
pub async fn usage(cluster: &Cluster, claim: &Key) -> Option<(u64, u64)> {
    let pods = cluster.list(Kind::Pod, &claim.namespace, "", "").await.ok()?;
    let nodes = pods
        .iter()
        .filter(|pod| claims(pod).any(|own| own == *claim))
        .map(|pod| string(pod, "/spec/nodeName"));
    for node in nodes.filter(|node| !node.is_empty()) {
        let path = format!("/api/v1/nodes/{node}/proxy/stats/summary");
        let Ok(request) = http::Request::get(path).body(Vec::new()) else { continue };
        let client = cluster.client();
        let asked = tokio::time::timeout(cluster.deadline(), client.request::<Value>(request)).await;
        let Ok(Ok(summary)) = asked else { continue };
        if let Some(found) = of_claim(&summary, claim) {
            return Some(found);
        }
    }
    None
}

fn of_claim(summary: &Value, claim: &Key) -> Option<(u64, u64)> {
    let volumes = items(summary, "/pods").iter().flat_map(|pod| items(pod, "/volume"));
    let own = volumes.into_iter().find(|volume| {
        string(volume, "/pvcRef/name") == &*claim.name
            && string(volume, "/pvcRef/namespace") == &*claim.namespace
    })?;
    Some((own["usedBytes"].as_u64()?, own["capacityBytes"].as_u64()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_prometheus_name_their_causes() {
        for (line, found) in [
            (
                r#"caller=main.go:1166 level=error err="opening storage failed: open /data/wal/00000042: no space left on device""#,
                cause::STORAGE_FULL,
            ),
            (
                r#"level=error msg="Error loading config (--config.file=/etc/config/prometheus.yml)" err="parsing YAML file""#,
                cause::MONITORING_CONFIG,
            ),
            (r#"msg="Replaying WAL, this may take a while""#, cause::WAL_REPLAY),
            (
                r#"err="opening storage failed: repair corrupted WAL: unexpected end of file""#,
                cause::STORAGE_CORRUPT,
            ),
        ] {
            assert_eq!(telling(line), Some(found), "{line}");
        }
        assert_eq!(telling(r#"msg="Server is ready to receive web requests.""#), None);
        assert_eq!(text::quantity(grown(8 << 30)), "12Gi");
    }
}
