//! Prometheus as a program and a workload: its own endpoints, and what the cluster shows of its pods and volume.
//! That it does not answer is an observation here; only what stands between us and it is blindness.

use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::time::timeout;

use super::api_server::{Sessions, session_for};
use super::kubernetes::names::{own, says};
use super::prometheus::{Prometheus, find};
use super::targets;
use super::tell::{Backoff, Tell};
use crate::config::{ConnectError, Settings, discovery};
use crate::domain::{
    BlindKind, Delivery, Fact, Key, Kind, Monitoring, MonitoringPod, Name, ObjectRef, Origin, Target, Volume,
};

/// Two failures in a row are 30 s (audit, section 3).
const EVERY: Duration = Duration::from_secs(15);
/// The volume is asked for at each so-many-eth look: a kubelet's summary is large.
const VOLUME_EVERY: u64 = 4;
/// One answer of the server: shorter than what a look without a screen waits for everything.
const ANSWER: Duration = Duration::from_secs(8);
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
            Ok(prometheus) => match follow(&settings, &prometheus, &sessions, &tell, &mut backoff).await {
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
    settings: &Settings,
    prometheus: &Prometheus,
    sessions: &Sessions,
    tell: &Tell,
    backoff: &mut Backoff,
) -> Option<ConnectError> {
    let mut ticks = tell.beat(EVERY);
    let mut place: Option<Key> = None;
    let mut volume: Option<Volume> = None;
    let mut down: Vec<Target> = Vec::new();
    for look in 0_u64.. {
        ticks.tick().await;
        let client = sessions.borrow().as_ref().map(|session| session.client.clone());
        let scope = settings.namespace.one().map(ToString::to_string);
        let mut seen = match program(prometheus, scope.as_deref(), &down).await {
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
        down.clone_from(&seen.down);
        backoff.reset();
        if tell.fact(Origin::Monitoring, Fact::Monitoring(Box::new(seen))).await.is_err() {
            return None;
        }
    }
    None
}

/// What its own endpoints say; all of it is asked at once, so that a slow one is heard in time. `before` are the targets
/// that were down at the last look.
async fn program(
    prometheus: &Prometheus,
    scope: Option<&str>,
    before: &[Target],
) -> Result<Monitoring, ConnectError> {
    let began = Instant::now();
    let alive = async { (said(prometheus, "/-/healthy").await, began.elapsed()) };
    let number = async |expression: &str| timeout(ANSWER, prometheus.number(expression)).await.ok();
    let data = async |path: &str| timeout(ANSWER, prometheus.data(path)).await.ok()?.ok();
    let ((alive, took), ready, replay, info, ingest, stale, up, all, delivery, notifier) = tokio::join!(
        alive,
        said(prometheus, "/-/ready"),
        data("/api/v1/status/walreplay"),
        data("/api/v1/status/runtimeinfo"),
        number("sum(rate(prometheus_tsdb_head_samples_appended_total[5m]))"),
        number("time() - max(timestamp(up))"),
        number("sum(up)"),
        number("count(up)"),
        delivery(prometheus),
        number("min(alertmanager_config_last_reload_successful)"),
    );
    let mut seen = Monitoring { silent: alive?, ..Monitoring::default() };
    if seen.silent.is_some() {
        return Ok(seen);
    }
    seen.took = Some(took);
    seen.unready = ready?;
    let segment = |name: &str| replay.as_ref()?.get(name)?.as_u64();
    let (current, last) = (segment("current").unwrap_or_default(), segment("max").unwrap_or_default());
    seen.replaying = (seen.unready.is_some() && last > 0 && current < last).then_some((current, last));
    if seen.unready.is_some() {
        return Ok(seen);
    }
    // Alive and ready is what many programs say of themselves.
    if let Some(Err(error)) = &all
        && error.kind == BlindKind::Broken
        && error.why.contains("answers 404")
    {
        return Err(error.clone());
    }
    let value = |answer: Option<Result<Option<f64>, ConnectError>>| answer?.ok()?;
    seen.loaded = info.and_then(|info| info.get("reloadConfigSuccess")?.as_bool());
    seen.ingest = value(ingest);
    let age = value(stale).filter(|age| age.is_finite() && *age >= 0.0);
    seen.stale = age.map(Duration::from_secs_f64);
    seen.targets = value(up).zip(value(all)).map(|(up, all)| (up as u32, all as u32));
    seen.delivery = delivery;
    seen.notifier_loaded = value(notifier).map(|value| value > 0.0);
    if seen.targets.is_some_and(|(up, all)| up < all) {
        seen.down = targets::down(prometheus, scope, before).await;
    }
    if seen.loaded == Some(false) {
        let flags = data("/api/v1/status/flags").await;
        seen.config_file = flags.and_then(|flags| Some(says(flags.get("config.file")?.as_str()?)));
    }
    Ok(seen)
}

/// What becomes of its alerts, where it scrapes itself.
async fn delivery(prometheus: &Prometheus) -> Option<Delivery> {
    let rate = async |counter: &str, range: &str| {
        let expression = format!("sum(rate(prometheus_notifications_{counter}_total{range}))");
        timeout(ANSWER, prometheus.number(&expression)).await.ok()?.ok().flatten()
    };
    let (sent, dropped, dropped_before) =
        tokio::join!(rate("sent", "[2m]"), rate("dropped", "[2m]"), rate("dropped", "[8m] offset 2m"));
    Some(Delivery { sent: sent?, dropped: dropped?, dropped_before: dropped_before.unwrap_or_default() })
}

/// None: yes. Else why not, as long as it is the server that says so, or that does not answer.
async fn said(prometheus: &Prometheus, path: &str) -> Result<Option<Name>, ConnectError> {
    let Ok(answer) = timeout(ANSWER, prometheus.text(path)).await else {
        let why = format!("no answer within {} s", ANSWER.as_secs());
        // Through the API server it may be that way that hangs.
        if prometheus.is_proxied() {
            return Err(ConnectError::new(BlindKind::Unreachable, format!("Prometheus: {why}"), ""));
        }
        return Ok(Some(says(&why)));
    };
    match answer {
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
