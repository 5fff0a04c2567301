//! `pods/NAME/portforward` over a WebSocket (`v5.channel.k8s.io`, `v4.channel.k8s.io`): bytes for one port, to
//! wherever somebody routed it. It understands nothing of what it carries.

use axum::body::Body;
use futures::{SinkExt, StreamExt};
use http::Response;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::Api;
use super::call::{Call, Target};
use super::exec::{CLOSE, framed, switched};
use super::log::reach_kubelet;
use super::status::Status;

/// Of the first port: its bytes, and what went wrong.
const DATA: u8 = 0;
const ERROR: u8 = 1;

pub fn forward(
    api: &Api,
    call: &Call,
    target: &Target,
    upgrade: Option<OnUpgrade>,
) -> Result<Response<Body>, Status> {
    let pod = api
        .store
        .get("pods", target.place(), target.name())
        .ok_or_else(|| Status::not_found(target.resource, target.name()))?;
    let ports = call.query.get("ports").unwrap_or_default();
    let port: u16 = ports.parse().map_err(|_| Status::bad_request("exactly one port is forwarded here"))?;
    reach_kubelet(api, &pod.value(), &format!("portForward/{}/{}", pod.namespace, pod.name))?;
    let (response, upgrade) = switched(call, upgrade)?;
    let to = api.routes.find(&pod.namespace, &pod.name, port);
    tokio::spawn(async move {
        let Ok(upgraded) = upgrade.await else { return };
        let mut socket = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, None).await;
        // each channel begins with its port, the low byte first
        for channel in [DATA, ERROR] {
            if socket.send(framed(channel, &port.to_le_bytes())).await.is_err() {
                return;
            }
        }
        let connected = match to {
            Some(to) => TcpStream::connect(to).await.ok(),
            None => None,
        };
        if let Some(there) = connected {
            return carry(socket, there).await;
        }
        let why = format!("failed to connect to localhost:{port} inside the pod: connection refused");
        let _ = socket.send(framed(ERROR, why.as_bytes())).await;
        let _ = socket.close(None).await;
    });
    Ok(response)
}

async fn carry<S>(mut socket: WebSocketStream<S>, there: TcpStream)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (mut from, mut to) = there.into_split();
    let mut buffer = vec![0; 16 * 1024];
    loop {
        tokio::select! {
            message = socket.next() => match message {
                Some(Ok(Message::Binary(bytes))) => match bytes.split_first() {
                    Some((&DATA, bytes)) if to.write_all(bytes).await.is_err() => break,
                    Some((&CLOSE, _)) => { let _ = to.shutdown().await; }
                    _ => {}
                },
                Some(Ok(Message::Close(_)) | Err(_)) | None => break,
                Some(Ok(_)) => {}
            },
            read = from.read(&mut buffer) => match read {
                Ok(0) | Err(_) => break,
                Ok(many) => {
                    if socket.send(framed(DATA, &buffer[..many])).await.is_err() {
                        break;
                    }
                }
            },
        }
    }
    let _ = socket.close(None).await;
}
