//! Prometheus as a program and a workload: its own endpoints, and what the cluster shows of its pods and volume.
//! That it does not answer is an observation here; only what stands between us and it is blindness.

use std::time::Duration;

use serde_json::Value;
use tokio::time::timeout;

use super::api_server::{Sessions, session_for};
use super::kubernetes::names::{own, says};
use super::prometheus::{Prometheus, find};
use super::tell::{Backoff, Tell};
use crate::config::{ConnectError, Settings, discovery};
use crate::domain::{
    BlindKind, Delivery, Fact, Key, Kind, Monitoring, MonitoringPod, Name, ObjectRef, Origin, Volume,
};

/// Two failures in a row are 30 s (audit, section 3).
const EVERY: Duration = Duration::from_secs(15);
/// The volume is asked for at each so-many-eth look: a kubelet's summary is large.
const VOLUME_EVERY: u64 = 4;
/// One call to the cluster.
const PATIENCE: Duration = Duration::from_secs(5);
const REPAIR: &str = "set PROMETHEUS_URL or [prometheus] url";
/// The label that chart and operator put on the server's pods.
const SELECTOR: &str = "app.kubernetes.io%2Fname%3Dprometheus";

/// Looks for ever.
pub(super) async fn watch(settings: Settings, mut sessions: Sessions, tell: Tell) {
    let mut backoff = Backoff::new(Duration::from_secs(3), Duration::from_secs(30));
    loop {
        let client = match settings.prometheus.url.value {
            // Its pods are looked for as soon as there is a cluster.
            Some(_) => sessions.borrow().as_ref().map(|session| session.client.clone()),
            None => match session_for(Origin::Monitoring, REPAIR, &mut sessions, &tell).await {
                Some(session) => Some(session.client),
                None => return,
            },
        };
        let error = match find(&settings, client.as_ref()).await {
            Ok(prometheus) => match follow(&prometheus, &sessions, &tell, &mut backoff).await {
                Some(error) => error,
                None => return,
            },
            Err(error) => error,
        };
        let wait = backoff.after(&error);
        if tell.blind(Origin::Monitoring, error).await.is_err() {
            return;
        }
        tell.rest(wait).await;
    }
}

/// Until the way to it fails (what with), or nobody listens (None).
async fn follow(
    prometheus: &Prometheus,
    sessions: &Sessions,
    tell: &Tell,
    backoff: &mut Backoff,
) -> Option<ConnectError> {
    let mut ticks = tell.beat(EVERY);
    let mut place: Option<Key> = None;
    let mut volume: Option<Volume> = None;
    for look in 0_u64.. {
        ticks.tick().await;
        let client = sessions.borrow().as_ref().map(|session| session.client.clone());
        let mut seen = match program(prometheus).await {
            Ok(seen) => seen,
            Err(error) => return Some(error),
        };
        if let Some(client) = &client {
            if place.is_none() {
                place = service(client).await;
            }
            if let Some(place) = &place {
                workload(client, place, &mut seen).await;
                if look % VOLUME_EVERY == 0 {
                    volume = fill(client, &seen, volume.take()).await;
                }
                seen.volume.clone_from(&volume);
            }
        }
        backoff.reset();
        if tell.fact(Origin::Monitoring, Fact::Monitoring(Box::new(seen))).await.is_err() {
            return None;
        }
    }
    None
}

/// What its own endpoints say.
async fn program(prometheus: &Prometheus) -> Result<Monitoring, ConnectError> {
    let mut seen = Monitoring { silent: said(prometheus, "/-/healthy").await?, ..Monitoring::default() };
    if seen.silent.is_some() {
        return Ok(seen);
    }
    seen.unready = said(prometheus, "/-/ready").await?;
    if let Ok(replay) = prometheus.data("/api/v1/status/walreplay").await {
        let number = |name: &str| replay.get(name).and_then(Value::as_u64).unwrap_or_default();
        let (current, last) = (number("current"), number("max"));
        seen.replaying = (seen.unready.is_some() && last > 0 && current < last).then_some((current, last));
    }
    if seen.unready.is_some() {
        return Ok(seen);
    }
    let (info, ingest, stale, up, all, delivery, notifier) = tokio::join!(
        prometheus.data("/api/v1/status/runtimeinfo"),
        prometheus.number("sum(rate(prometheus_tsdb_head_samples_appended_total[5m]))"),
        prometheus.number("time() - max(timestamp(up))"),
        prometheus.number("sum(up)"),
        prometheus.number("count(up)"),
        delivery(prometheus),
        prometheus.number("min(alertmanager_config_last_reload_successful)"),
    );
    seen.loaded = info.ok().and_then(|info| info.get("reloadConfigSuccess")?.as_bool());
    seen.ingest = ingest.ok().flatten();
    let age = stale.ok().flatten().filter(|age| age.is_finite() && *age >= 0.0);
    seen.stale = age.map(Duration::from_secs_f64);
    if let (Ok(Some(up)), Ok(Some(all))) = (up, all) {
        seen.targets = Some((up as u32, all as u32));
    }
    seen.delivery = delivery;
    seen.notifier_loaded = notifier.ok().flatten().map(|value| value > 0.0);
    Ok(seen)
}

/// What becomes of its alerts, where it scrapes itself.
async fn delivery(prometheus: &Prometheus) -> Option<Delivery> {
    let rate = async |counter: &str, range: &str| {
        let expression = format!("sum(rate(prometheus_notifications_{counter}_total{range}))");
        prometheus.number(&expression).await.ok().flatten()
    };
    let (sent, dropped, dropped_before) =
        tokio::join!(rate("sent", "[2m]"), rate("dropped", "[2m]"), rate("dropped", "[8m] offset 2m"));
    Some(Delivery { sent: sent?, dropped: dropped?, dropped_before: dropped_before.unwrap_or_default() })
}

/// None: yes. Else why not, as long as it is the server that says so, or that does not answer.
async fn said(prometheus: &Prometheus, path: &str) -> Result<Option<Name>, ConnectError> {
    match prometheus.text(path).await {
        Ok(_) => Ok(None),
        Err(error) if error.kind == BlindKind::Unreachable => {
            // Through the API server, only its own word about the service counts: 503.
            if prometheus.is_proxied() && !error.why.contains("answers 503") {
                return Err(error);
            }
            Ok(Some(says(&error.why)))
        }
        Err(error) if error.why.contains("answers 5") => Ok(Some(says(&error.why))),
        Err(error) => Err(error),
    }
}

/// Where the cluster has it.
async fn service(client: &kube::Client) -> Option<Key> {
    let found = timeout(PATIENCE, discovery::prometheus(client)).await.ok()?.ok().flatten()?;
    let (namespace, rest) = found.object.strip_prefix("service ")?.split_once('/')?;
    Some(Key::new(namespace, rest.split(':').next()?))
}

async fn get(client: &kube::Client, path: &str) -> Option<Value> {
    let request = http::Request::get(path).body(Vec::new()).ok()?;
    timeout(PATIENCE, client.request::<Value>(request)).await.ok()?.ok()
}

fn text<'a>(of: &'a Value, pointer: &str) -> Option<&'a str> {
    of.pointer(pointer).and_then(Value::as_str).filter(|text| !text.is_empty())
}

fn rows<'a>(of: &'a Value, pointer: &str) -> &'a [Value] {
    of.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// Its pods and what they belong to.
async fn workload(client: &kube::Client, place: &Key, seen: &mut Monitoring) {
    let namespace = &place.namespace;
    let path = format!("/api/v1/namespaces/{namespace}/pods?labelSelector={SELECTOR}");
    let Some(list) = get(client, &path).await else { return };
    let pods = rows(&list, "/items");
    seen.pods = Some(pods.iter().filter_map(|value| pod(value, namespace)).collect());
    let mut claims = pods.iter().flat_map(|pod| rows(pod, "/spec/volumes"));
    let claim = claims.find_map(|volume| text(volume, "/persistentVolumeClaim/claimName"));
    for (kind, plural) in [(Kind::Deployment, "deployments"), (Kind::StatefulSet, "statefulsets")] {
        let path = format!("/apis/apps/v1/namespaces/{namespace}/{plural}?labelSelector={SELECTOR}");
        let Some(list) = get(client, &path).await else { continue };
        let Some(found) = rows(&list, "/items").first() else { continue };
        let owner = rows(found, "/metadata/ownerReferences")
            .iter()
            .find(|owner| text(owner, "/kind") == Some("Prometheus"));
        // The operator would undo what is done to its StatefulSet.
        let (kind, name) = match owner.and_then(|owner| text(owner, "/name")) {
            Some(custom) => (Kind::Prometheus, custom),
            None => (kind, text(found, "/metadata/name").unwrap_or_default()),
        };
        seen.workload = Some(ObjectRef::new(kind, Key::new(namespace.clone(), own(name))));
        seen.replicas = found.pointer("/spec/replicas").and_then(Value::as_u64).map(|count| count as u32);
        let mut own_claims = rows(found, "/spec/template/spec/volumes").iter();
        let claim =
            claim.or_else(|| own_claims.find_map(|row| text(row, "/persistentVolumeClaim/claimName")));
        seen.volume =
            claim.map(|claim| Volume { claim: Key::new(namespace.clone(), own(claim)), usage: None });
        return;
    }
    seen.volume = claim.map(|claim| Volume { claim: Key::new(namespace.clone(), own(claim)), usage: None });
}

fn pod(value: &Value, namespace: &Name) -> Option<MonitoringPod> {
    let containers = rows(value, "/status/containerStatuses");
    let name = |status: &&Value| text(status, "/name").unwrap_or_default().to_owned();
    let server = containers
        .iter()
        .find(|status| ["prometheus-server", "prometheus"].contains(&name(status).as_str()))
        .or_else(|| containers.iter().find(|status| !name(status).contains("reload")));
    let condition =
        |kind: &str| rows(value, "/status/conditions").iter().find(|row| text(row, "/type") == Some(kind));
    let is = |kind: &str| condition(kind).is_some_and(|row| text(row, "/status") == Some("True"));
    let unplaced = condition("PodScheduled").filter(|row| text(row, "/status") == Some("False"));
    let waits = unplaced
        .and_then(|row| text(row, "/reason"))
        .or_else(|| server.and_then(|status| text(status, "/state/waiting/reason")));
    let message = unplaced
        .and_then(|row| text(row, "/message"))
        .or_else(|| server.and_then(|status| text(status, "/lastState/terminated/message")))
        .or_else(|| server.and_then(|status| text(status, "/state/waiting/message")));
    let ended = server.and_then(|status| {
        text(status, "/state/terminated/reason").or_else(|| text(status, "/lastState/terminated/reason"))
    });
    Some(MonitoringPod {
        key: Key::new(namespace.clone(), own(text(value, "/metadata/name")?)),
        uid: own(text(value, "/metadata/uid").unwrap_or_default()),
        node: text(value, "/spec/nodeName").map(own),
        ready: is("Ready"),
        unready_since: condition("Ready")
            .filter(|row| text(row, "/status") != Some("True"))
            .and_then(|row| text(row, "/lastTransitionTime")?.parse().ok()),
        created: text(value, "/metadata/creationTimestamp").and_then(|at| at.parse().ok()),
        deleting: value.pointer("/metadata/deletionTimestamp").is_some(),
        waits: waits.map(own),
        message: message.map(says),
        ended: ended.map(own),
        restarts: server.and_then(|status| status.pointer("/restartCount")?.as_u64()).unwrap_or_default()
            as u32,
        container: server.map(|status| own(&name(&status))),
    })
}

/// How full the volume is; what was known stays while nobody mounts it.
async fn fill(client: &kube::Client, seen: &Monitoring, before: Option<Volume>) -> Option<Volume> {
    let volume = seen.volume.clone()?;
    let node = seen.pods.iter().flatten().find_map(|pod| pod.node.clone());
    let usage = match node {
        Some(node) => get(client, &format!("/api/v1/nodes/{node}/proxy/stats/summary"))
            .await
            .and_then(|summary| of_claim(&summary, &volume.claim)),
        None => None,
    };
    let kept = before.filter(|before| before.claim == volume.claim).and_then(|before| before.usage);
    Some(Volume { usage: usage.or(kept), ..volume })
}

fn of_claim(summary: &Value, claim: &Key) -> Option<(u64, u64)> {
    let own = rows(summary, "/pods").iter().flat_map(|pod| rows(pod, "/volume")).find(|volume| {
        text(volume, "/pvcRef/name") == Some(&claim.name)
            && text(volume, "/pvcRef/namespace") == Some(&claim.namespace)
    })?;
    Some((own.get("usedBytes")?.as_u64()?, own.get("capacityBytes")?.as_u64()?))
}
