//! `pods/NAME/log`: what a container printed, chosen by container, instance, time and length; or as it comes.
//! It follows the kubelet's rules for which instance is meant, and its words when there is none.
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderValue, Response, header};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tokio::sync::mpsc;

use super::Api;
use super::call::{Call, Target};
use super::render;
use super::status::Status;
use crate::lab::logs::Line;
use crate::lab::store::Object;

/// How often a followed container is asked whether it still runs.
const LOOK_AGAIN: Duration = Duration::from_millis(300);

/// Which file is read, and which of its lines.
struct Wanted {
    namespace: String,
    pod: String,
    uid: String,
    container: String,
    instance: u32,
    since: Option<Timestamp>,
    tail: Option<usize>,
    bytes: Option<usize>,
    timestamps: bool,
}

pub fn read(api: &Arc<Api>, call: &Call, target: &Target) -> Result<Response<Body>, Status> {
    let pod = api
        .store
        .get("pods", target.place(), target.name())
        .ok_or_else(|| Status::not_found(target.resource, target.name()))?;
    let value = pod.value();
    let container = container(call, &pod, &value)?;
    let follow = call.query.is("follow");
    if value["spec"]["nodeName"].as_str().is_none_or(str::is_empty) {
        return Ok(text(Body::empty()));
    }
    reach_kubelet(api, &value, &format!("containerLogs/{}/{}/{container}", pod.namespace, pod.name))?;
    let Some(instance) = instance(api, call, &pod, &value, &container)? else {
        return Ok(text(Body::empty()));
    };
    let wanted = wanted(call, &pod, container, instance)?;
    let (lines, next) = first(api, &wanted);
    if !follow {
        return Ok(text(Body::from(written(&wanted, &lines, wanted.bytes))));
    }
    let (sender, receiver) = mpsc::channel(64);
    let api = api.clone();
    tokio::spawn(async move {
        let begun = sender.send(Ok(Bytes::from(written(&wanted, &lines, None)))).await;
        if begun.is_ok() {
            go_on(&api, &wanted, next, &sender).await;
        }
    });
    Ok(text(render::from_channel(receiver)))
}

/// The kubelet has to answer: on a node that is gone, nobody does.
pub fn reach_kubelet(api: &Api, pod: &Value, path: &str) -> Result<(), Status> {
    let name = pod["spec"]["nodeName"].as_str().unwrap_or_default();
    let Some(node) = api.store.get("nodes", "", name) else { return Ok(()) };
    let node = node.value();
    let items = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let lost = items(&node["status"]["conditions"])
        .iter()
        .any(|condition| condition["type"] == "Ready" && condition["status"] == "Unknown");
    if !lost {
        return Ok(());
    }
    let addresses = items(&node["status"]["addresses"]);
    let address = addresses.iter().find(|address| address["type"] == "InternalIP");
    let ip = address.and_then(|address| address["address"].as_str()).unwrap_or(name);
    let message =
        format!("Get \"https://{ip}:10250/{path}\": dial tcp {ip}:10250: connect: no route to host");
    Err(Status::new(500, "InternalError", message))
}

fn container(call: &Call, pod: &Object, value: &Value) -> Result<String, Status> {
    let names = |list: &str| -> Vec<String> {
        let all = value["spec"][list].as_array().into_iter().flatten();
        all.filter_map(|one| Some(one["name"].as_str()?.to_owned())).collect()
    };
    let (main, init) = (names("containers"), names("initContainers"));
    match call.query.get("container") {
        Some(name) if main.iter().chain(&init).any(|known| known == name) => Ok(name.to_owned()),
        Some(name) => Err(Status::bad_request(format!("container {name} is not valid for pod {}", pod.name))),
        None => {
            if let [only] = main.as_slice() {
                return Ok(only.clone());
            }
            let choice = main.join(" ");
            let mut message =
                format!("a container name must be specified for pod {}, choose one of: [{choice}]", pod.name);
            if !init.is_empty() {
                message = format!("{message} or one of the init containers: [{}]", init.join(" "));
            }
            Err(Status::bad_request(message))
        }
    }
}

/// The restart count whose output is meant; `None` if the container has printed nothing yet.
fn instance(
    api: &Api,
    call: &Call,
    pod: &Object,
    value: &Value,
    container: &str,
) -> Result<Option<u32>, Status> {
    let lists = ["containerStatuses", "initContainerStatuses"];
    let mut statuses = lists.iter().flat_map(|list| value["status"][list].as_array().into_iter().flatten());
    let (name, pod_name) = (container, &pod.name);
    let waiting = |why: &str| {
        Status::bad_request(format!("container {name:?} in pod {pod_name:?} is waiting to start: {why}"))
    };
    let Some(status) = statuses.find(|status| status["name"] == container) else {
        return Err(waiting("ContainerCreating"));
    };
    let count = status["restartCount"].as_u64().unwrap_or(0) as u32;
    let state = &status["state"];
    let ended_before = status["lastState"]["terminated"].is_object();
    if call.query.is("previous") {
        if !ended_before {
            let message = format!("previous terminated container {name:?} in pod {pod_name:?} not found");
            return Err(Status::bad_request(message));
        }
        // while it waits to be restarted, the run that ended is both the current and the previous one
        let last = if state["waiting"].is_object() { count } else { count.saturating_sub(1) };
        return Ok(Some(last));
    }
    if state["waiting"].is_object() && !ended_before {
        return Err(waiting(match state["waiting"]["reason"].as_str() {
            Some("ErrImagePull" | "ImagePullBackOff") => "trying and failing to pull image",
            Some(reason) => reason,
            None => "ContainerCreating",
        }));
    }
    Ok(Some(count).filter(|_| {
        api.logs.newest(&pod.namespace, &pod.name, container).is_some() || call.query.is("follow")
    }))
}

fn wanted(call: &Call, pod: &Object, container: String, instance: u32) -> Result<Wanted, Status> {
    let bad = |name: &str| Status::bad_request(format!("invalid value for {name}"));
    let mut since = match call.query.get("sinceTime") {
        Some(text) => Some(text.parse::<Timestamp>().map_err(|_| bad("sinceTime"))?),
        None => None,
    };
    if let Some(seconds) = call.query.number("sinceSeconds")? {
        let span = SignedDuration::from_secs(seconds as i64);
        since = Some(call.now.checked_sub(span).map_err(|_| bad("sinceSeconds"))?);
    }
    Ok(Wanted {
        namespace: pod.namespace.clone(),
        pod: pod.name.clone(),
        uid: pod.uid.clone(),
        container,
        instance,
        since,
        tail: call.query.number("tailLines")?.map(|lines| lines as usize),
        bytes: call.query.number("limitBytes")?.map(|bytes| bytes as usize),
        timestamps: call.query.is("timestamps"),
    })
}

/// The lines there are, cut to what is wanted, and the number of the next line to come.
fn first(api: &Api, wanted: &Wanted) -> (Vec<Line>, u64) {
    let mut lines = rest(api, wanted, 0);
    let next = lines.last().map_or(0, |line| line.number + 1);
    lines.retain(|line| wanted.since.is_none_or(|since| line.at >= since));
    if let Some(tail) = wanted.tail {
        lines.drain(..lines.len().saturating_sub(tail));
    }
    (lines, next)
}

fn rest(api: &Api, wanted: &Wanted, from: u64) -> Vec<Line> {
    let found = api.logs.read(&wanted.namespace, &wanted.pod, &wanted.container, wanted.instance, from);
    found.unwrap_or_default()
}

async fn go_on(
    api: &Api,
    wanted: &Wanted,
    mut next: u64,
    sender: &mpsc::Sender<Result<Bytes, std::io::Error>>,
) {
    let mut changed = api.logs.changed();
    loop {
        let running = is_running(api, wanted);
        let lines = rest(api, wanted, next);
        if let Some(last) = lines.last() {
            next = last.number + 1;
            if sender.send(Ok(Bytes::from(written(wanted, &lines, None)))).await.is_err() {
                return;
            }
        }
        if !running {
            return;
        }
        tokio::select! {
            () = sender.closed() => return,
            () = api.stopping.cancelled() => return,
            _ = changed.changed() => {}
            () = tokio::time::sleep(LOOK_AGAIN) => {}
        }
    }
}

/// Whether this very instance may still print.
fn is_running(api: &Api, wanted: &Wanted) -> bool {
    let Some(pod) = api.store.get("pods", &wanted.namespace, &wanted.pod).filter(|pod| pod.uid == wanted.uid)
    else {
        return false;
    };
    let value = pod.value();
    let lists = ["containerStatuses", "initContainerStatuses"];
    let mut statuses = lists.iter().flat_map(|list| value["status"][list].as_array().into_iter().flatten());
    statuses.any(|status| {
        status["name"] == wanted.container.as_str()
            && status["restartCount"] == wanted.instance
            && status["state"]["running"].is_object()
    })
}

fn written(wanted: &Wanted, lines: &[Line], limit: Option<usize>) -> Vec<u8> {
    let mut out = Vec::new();
    for line in lines {
        if wanted.timestamps {
            out.extend_from_slice(line.at.strftime("%Y-%m-%dT%H:%M:%S.%9fZ ").to_string().as_bytes());
        }
        out.extend_from_slice(line.text.as_bytes());
        out.push(b'\n');
    }
    out.truncate(limit.unwrap_or(usize::MAX));
    out
}

fn text(body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    response
}
