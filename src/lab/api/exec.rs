//! `pods/NAME/exec` over a WebSocket (`v5.channel.k8s.io`, `v4.channel.k8s.io`): channels and exit status.
//! What the commands print is made by `commands`.
use std::time::Duration;

use axum::body::Body;
use futures::{SinkExt, StreamExt};
use http::{HeaderValue, Response, StatusCode, header};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, frame::coding::CloseCode};

use super::Api;
use super::call::{Call, Target};
use super::commands::{self, Ended};
use super::log::reach_kubelet;
use super::status::Status;

const PROTOCOLS: &[&str] = &["v5.channel.k8s.io", "v4.channel.k8s.io"];
const STDIN: u8 = 0;
const STDOUT: u8 = 1;
const STDERR: u8 = 2;
const ERROR: u8 = 3;
/// v5: the client closes a channel with `[255, channel]`.
pub(super) const CLOSE: u8 = 255;

pub fn exec(
    api: &Api,
    call: &Call,
    target: &Target,
    upgrade: Option<OnUpgrade>,
) -> Result<Response<Body>, Status> {
    let pod = api
        .store
        .get("pods", target.place(), target.name())
        .ok_or_else(|| Status::not_found(target.resource, target.name()))?;
    let value = pod.value();
    let argv: Vec<String> = call.query.all("command").into_iter().map(str::to_owned).collect();
    if argv.is_empty() {
        return Err(Status::bad_request("you must specify at least one command for the container"));
    }
    let container = running_container(call, &value, &pod.name)?;
    reach_kubelet(api, &value, &format!("exec/{}/{}/{container}", pod.namespace, pod.name))?;
    let (response, upgrade) = switched(call, upgrade)?;
    let ended = commands::run(&api.store, &value, &container, &argv);
    let wants_input = call.query.is("stdin") && argv[0] == "cat" && argv.len() == 1;
    tokio::spawn(async move {
        if let Ok(upgraded) = upgrade.await {
            let socket = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, None).await;
            talk(socket, ended, wants_input).await;
        }
    });
    Ok(response)
}

/// The answer that switches to a WebSocket, and what becomes one.
pub(super) fn switched(
    call: &Call,
    upgrade: Option<OnUpgrade>,
) -> Result<(Response<Body>, OnUpgrade), Status> {
    let (Some(upgrade), Some(key)) = (upgrade, call.headers.get(header::SEC_WEBSOCKET_KEY)) else {
        return Err(Status::bad_request("Upgrade request required"));
    };
    let offered = call.headers.get(header::SEC_WEBSOCKET_PROTOCOL).and_then(|value| value.to_str().ok());
    let offered: Vec<&str> = offered.unwrap_or_default().split(',').map(str::trim).collect();
    let protocol = PROTOCOLS.iter().find(|protocol| offered.contains(protocol)).ok_or_else(|| {
        Status::bad_request(format!(
            "unable to upgrade: unable to negotiate protocol: client supports {offered:?}"
        ))
    })?;
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(protocol));
    let accept = HeaderValue::from_str(&derive_accept_key(key.as_bytes())).map_err(Status::internal)?;
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    Ok((response, upgrade))
}

fn running_container(call: &Call, pod: &Value, name: &str) -> Result<String, Status> {
    let phase = pod["status"]["phase"].as_str().unwrap_or_default();
    if ["Succeeded", "Failed"].contains(&phase) {
        let message = format!("cannot exec into a container in a completed pod; current phase is {phase}");
        return Err(Status::bad_request(message));
    }
    if pod["spec"]["nodeName"].as_str().is_none_or(str::is_empty) {
        return Err(Status::bad_request(format!("pod {name} does not have a host assigned")));
    }
    let containers: Vec<&str> = pod["spec"]["containers"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|container| container["name"].as_str())
        .collect();
    let container = match call.query.get("container") {
        Some(asked) if containers.contains(&asked) => asked,
        Some(asked) => {
            return Err(Status::bad_request(format!("container {asked} is not valid for pod {name}")));
        }
        None => containers.first().copied().unwrap_or_default(),
    };
    let mut statuses = pod["status"]["containerStatuses"].as_array().into_iter().flatten();
    let running =
        statuses.any(|status| status["name"] == container && status["state"]["running"].is_object());
    if !running {
        let why = format!("unable to upgrade connection: container not found ({container:?})");
        return Err(Status::new(500, "InternalError", why));
    }
    Ok(container.to_owned())
}

/// A program needs a moment to start, and kubectl needs it to open its streams: what comes before is discarded
/// ("Unknown stream id").
const STARTS: Duration = Duration::from_millis(150);

async fn talk<S>(mut socket: WebSocketStream<S>, mut ended: Ended, wants_input: bool)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    if wants_input {
        ended.stdout = input(&mut socket).await;
    }
    tokio::time::sleep(STARTS).await;
    for (channel, output) in [(STDOUT, ended.stdout), (STDERR, ended.stderr)] {
        for chunk in output.chunks(16 * 1024) {
            if socket.send(framed(channel, chunk)).await.is_err() {
                return;
            }
        }
    }
    let _ = socket.send(framed(ERROR, exit_status(ended.code).to_string().as_bytes())).await;
    let normal = CloseFrame { code: CloseCode::Normal, reason: "".into() };
    let _ = socket.close(Some(normal)).await;
    // until the other side has closed, too: what was sent must arrive
    while let Some(Ok(_)) = socket.next().await {}
}

/// What the caller types until it closes its end.
async fn input<S>(socket: &mut WebSocketStream<S>) -> Vec<u8>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    let mut typed = Vec::new();
    while let Some(Ok(message)) = socket.next().await {
        match message {
            Message::Binary(bytes) => match bytes.split_first() {
                Some((&STDIN, input)) => typed.extend_from_slice(input),
                Some((&CLOSE, _)) => break,
                _ => {}
            },
            Message::Close(_) => break,
            _ => {}
        }
    }
    typed
}

pub(super) fn framed(channel: u8, bytes: &[u8]) -> Message {
    let mut frame = Vec::with_capacity(bytes.len() + 1);
    frame.push(channel);
    frame.extend_from_slice(bytes);
    Message::Binary(frame.into())
}

fn exit_status(code: i32) -> Value {
    if code == 0 {
        return json!({"metadata": {}, "status": "Success"});
    }
    json!({
        "metadata": {}, "status": "Failure", "reason": "NonZeroExitCode",
        "message": format!("command terminated with non-zero exit code: exit status {code}"),
        "details": {"causes": [{"reason": "ExitCode", "message": code.to_string()}]},
    })
}
