//! One HTTP request at an address of our choosing, with the time each layer took and the first one that fails.
//! A redirect is an answer like any other: it is not followed.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use http::{HeaderMap, Request, header};
use hyper::body::Body as _;
use hyper_util::rt::TokioIo;
use reqwest::Url;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;

use super::dns::Dns;
use crate::config::connect::USER_AGENT;
use crate::config::connect::deepest;
use crate::domain::{Layer, text};

/// Most bytes of an answer that are looked at.
const BODY: usize = 16 << 10;

/// What is asked.
pub struct Question<'a> {
    pub method: http::Method,
    pub url: &'a Url,
    /// Instead of where DNS leads.
    pub to: Option<SocketAddr>,
    pub headers: HeaderMap,
    /// For each layer.
    pub patience: Duration,
}

/// What came back.
#[derive(Clone, Debug)]
pub struct Response {
    pub status: u16,
    pub headers: HeaderMap,
    /// The beginning of the body.
    pub body: String,
    pub address: SocketAddr,
    pub timing: Timing,
}

/// What each layer took; None where it was not needed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Timing {
    pub dns: Option<Duration>,
    pub tcp: Duration,
    pub tls: Option<Duration>,
    /// From the request to the first byte of the answer.
    pub first_byte: Duration,
}

impl Timing {
    pub fn total(&self) -> Duration {
        self.dns.unwrap_or_default() + self.tcp + self.tls.unwrap_or_default() + self.first_byte
    }

    /// `dns 2ms, tcp 1ms, tls 12ms, first byte 30ms`.
    pub fn says(&self) -> String {
        let parts = [
            ("dns", self.dns),
            ("tcp", Some(self.tcp)),
            ("tls", self.tls),
            ("first byte", Some(self.first_byte)),
        ];
        let shown = parts.iter().filter_map(|(name, took)| Some(format!("{name} {}", text::span((*took)?))));
        shown.collect::<Vec<_>>().join(", ")
    }
}

/// The first layer that fails, and why.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failed {
    pub layer: Layer,
    pub says: String,
}

fn failed(layer: Layer) -> impl Fn(String) -> Failed {
    move |says| Failed { layer, says: text::redact(&text::clean(&says)) }
}

/// Asks with a body-less request.
pub async fn ask(question: &Question<'_>, dns: &Dns, tls: &Arc<ClientConfig>) -> Result<Response, Failed> {
    let url = question.url;
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let port = url.port_or_known_default().unwrap_or(443);
    let began = Instant::now();
    let (addresses, looked) = if let Some(to) = question.to {
        (vec![to], None)
    } else {
        (resolve(host, port, dns).await.map_err(failed(Layer::Dns))?, Some(began.elapsed()))
    };
    let began = Instant::now();
    let (stream, address) = connect(&addresses, question.patience).await.map_err(failed(Layer::Tcp))?;
    let mut timing = Timing { dns: looked, tcp: began.elapsed(), ..Timing::default() };
    let began = Instant::now();
    if url.scheme() == "https" {
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| failed(Layer::Tls)(format!("{host} is no host name")))?;
        let shaken = TlsConnector::from(tls.clone()).connect(name, stream);
        let stream = match timeout(question.patience, shaken).await {
            Ok(stream) => stream.map_err(|error| failed(Layer::Tls)(deepest(&error)))?,
            Err(_) => return Err(failed(Layer::Tls)(late("the TLS handshake", question.patience))),
        };
        timing.tls = Some(began.elapsed());
        exchange(question, TokioIo::new(stream), address, timing).await
    } else {
        exchange(question, TokioIo::new(stream), address, timing).await
    }
}

async fn resolve(host: &str, port: u16, dns: &Dns) -> Result<Vec<SocketAddr>, String> {
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(ip, port)]);
    }
    let found = dns.addresses(host).await.map_err(|why| format!("the name {host} is not found: {why}"))?;
    Ok(found.into_iter().map(|ip| SocketAddr::new(ip, port)).collect())
}

/// The first address that takes the connection.
pub async fn connect(
    addresses: &[SocketAddr],
    patience: Duration,
) -> Result<(TcpStream, SocketAddr), String> {
    let mut last = "it has no address".to_owned();
    for address in addresses.iter().take(4) {
        match timeout(patience, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok((stream, *address)),
            Ok(Err(error)) => last = format!("{address}: {}", deepest(&error)),
            Err(_) => last = late(&format!("{address}: a connection"), patience),
        }
    }
    Err(last)
}

fn late(what: &str, patience: Duration) -> String {
    format!("{what} does not come within {}", text::span(patience))
}

/// The request and its answer on an open stream.
pub async fn exchange<S>(
    question: &Question<'_>,
    stream: TokioIo<S>,
    address: SocketAddr,
    mut timing: Timing,
) -> Result<Response, Failed>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let at_http = failed(Layer::Http);
    let broken = |error: hyper::Error| at_http(format!("{address} breaks off: {}", deepest(&error)));
    let began = Instant::now();
    let talk = async {
        let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await.map_err(broken)?;
        // It ends with the stream, which ends with the answer.
        tokio::spawn(async move { drop(connection.await) });
        let request = request(question).map_err(|error| at_http(error.to_string()))?;
        let answer = sender.send_request(request).await.map_err(broken)?;
        Ok((answer, sender))
    };
    let (answer, _sender) = match timeout(question.patience, talk).await {
        Ok(answer) => answer?,
        Err(_) => return Err(at_http(late("an answer", question.patience))),
    };
    timing.first_byte = began.elapsed();
    let (parts, body) = answer.into_parts();
    // An endless body is cut; what was asked was the status.
    let body = timeout(question.patience, beginning(body)).await.unwrap_or_default();
    Ok(Response { status: parts.status.as_u16(), headers: parts.headers, body, address, timing })
}

fn request(question: &Question<'_>) -> Result<Request<Empty>, http::Error> {
    let url = question.url;
    let path = match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    };
    let host = match url.port() {
        // To a port of the load balancer the Host header would betray the detour.
        Some(port) if question.to.is_none() => format!("{}:{port}", url.host_str().unwrap_or_default()),
        _ => url.host_str().unwrap_or_default().to_owned(),
    };
    let mut request = Request::builder().method(question.method.clone()).uri(path);
    if !question.headers.contains_key(header::HOST) {
        request = request.header(header::HOST, host);
    }
    request = request.header(header::USER_AGENT, USER_AGENT);
    for (name, value) in &question.headers {
        request = request.header(name, value);
    }
    request.body(Empty)
}

/// No body at all.
pub struct Empty;

impl hyper::body::Body for Empty {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<hyper::body::Frame<Bytes>, Self::Error>>> {
        std::task::Poll::Ready(None)
    }

    fn is_end_stream(&self) -> bool {
        true
    }
}

async fn beginning(mut body: hyper::body::Incoming) -> String {
    let mut bytes: Vec<u8> = Vec::new();
    let mut frames = futures::stream::poll_fn(|context| std::pin::Pin::new(&mut body).poll_frame(context));
    while bytes.len() < BODY
        && let Some(Ok(frame)) = frames.next().await
    {
        if let Some(data) = frame.data_ref() {
            bytes.extend_from_slice(&data[..data.len().min(BODY - bytes.len())]);
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
