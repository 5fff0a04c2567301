//! Whether a URL answers, several times in a row, as a client outside would see it; at another address if asked.
//! Through a proxy where this machine needs one.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;
use reqwest::redirect::Policy;
use tokio::time::Instant;

use super::Asking;
use crate::config::net::http::{Question, ask};
use crate::config::{connect, is_local, tls};
use crate::domain::{Layer, Tone, cause, text};
use crate::probes::answer::Answer;

/// Each layer of one request, or a whole request through a proxy.
const REQUEST: Duration = Duration::from_secs(5);
/// Between two requests.
const PAUSE: Duration = Duration::from_millis(200);
/// Most requests of one probe.
const MOST: u32 = 50;

/// One answer: whether it is a good one, in words, and what it took.
struct Round {
    good: bool,
    says: String,
    took: Duration,
    layer: Option<Layer>,
}

pub(super) async fn probe(asking: &Asking<'_>, url: &str, times: u32, connect_to: Option<&str>) -> Answer {
    let shown = text::redact(&text::clean(url));
    let Ok(url) = Url::parse(url) else {
        return Answer::failed(&format!("{shown} is no URL"));
    };
    let asker = match Asker::new(asking, &url, connect_to).await {
        Ok(asker) => asker,
        Err(why) => return Answer::failed(&why),
    };
    let times = times.clamp(1, MOST);
    let mut answer = Answer::new();
    if let Some(to) = connect_to {
        answer.line(Tone::Dim, format!("asked at {to} instead of where DNS leads"));
    }
    let (mut good, mut slowest, mut last) = (0, Duration::ZERO, None);
    for round in 0..times {
        if round > 0 {
            tokio::time::sleep(PAUSE).await;
        }
        let round = asker.round(asking, &url).await;
        answer.line(if round.good { Tone::Good } else { Tone::Bad }, &round.says);
        if round.good {
            good += 1;
            slowest = slowest.max(round.took);
        } else {
            last = Some(round);
        }
    }
    answer.bind("http_good", good.to_string());
    match last {
        None => {
            let slowest = text::span(slowest);
            answer.summary(format!("{shown} answered well {good} of {times} times, slowest {slowest}"));
        }
        Some(last) => {
            answer.not_ok();
            answer.summary(format!("{shown} answered well {good} of {times} times: {}", last.says));
            if let Some(cause) = last.layer.and_then(cause_of) {
                answer.found(cause, &last.says);
            }
        }
    }
    answer
}

/// What a failing layer means to a public host.
pub(super) fn cause_of(layer: Layer) -> Option<&'static str> {
    match layer {
        Layer::Tcp => Some(cause::BALANCER_UNREACHABLE),
        Layer::Tls => Some(cause::HANDSHAKE_FAILED),
        _ => None,
    }
}

/// Directly, layer by layer; or through the proxy of this machine, which looks up names itself.
enum Asker {
    Directly { to: Option<SocketAddr>, tls: Arc<rustls::ClientConfig> },
    ByProxy(reqwest::Client),
}

impl Asker {
    async fn new(asking: &Asking<'_>, url: &Url, connect_to: Option<&str>) -> Result<Asker, String> {
        let mut roots = tls::roots(None).map_err(|error| error.why)?;
        if let Some(authority) = asking.outside.tls_authority.as_deref() {
            roots.extend(tls::roots(Some(authority)).map_err(|error| error.why)?.roots);
        }
        let tls = tls::verifying(roots);
        let proxied = connect_to.is_none() && has_proxy(url);
        if proxied {
            return proxy_client(tls).map(Asker::ByProxy);
        }
        let to = match connect_to {
            Some(to) => Some(address(asking, to, url.port_or_known_default().unwrap_or(443)).await?),
            None => None,
        };
        Ok(Asker::Directly { to, tls: Arc::new(tls) })
    }

    async fn round(&self, asking: &Asking<'_>, url: &Url) -> Round {
        match self {
            Asker::Directly { to, tls } => {
                let headers = ::http::HeaderMap::new();
                let question =
                    Question { method: ::http::Method::GET, url, to: *to, headers, patience: REQUEST };
                match ask(&question, &asking.outside.dns, tls).await {
                    Ok(response) => Round {
                        good: (200..300).contains(&response.status),
                        says: format!(
                            "{} from {} in {}: {}",
                            response.status,
                            response.address,
                            text::span(response.timing.total()),
                            response.timing.says()
                        ),
                        took: response.timing.total(),
                        layer: None,
                    },
                    Err(failed) => Round {
                        good: false,
                        says: format!("{} fails: {}", failed.layer, failed.says),
                        took: Duration::ZERO,
                        layer: Some(failed.layer),
                    },
                }
            }
            Asker::ByProxy(client) => {
                let began = Instant::now();
                let sent = client.get(url.clone()).send().await;
                let took = began.elapsed();
                let (good, says) = match sent {
                    Ok(response) => (
                        response.status().is_success(),
                        format!("{} through the proxy in {}", response.status().as_u16(), text::span(took)),
                    ),
                    Err(error) => (false, connect::whole(&error.without_url())),
                };
                Round { good, says, took, layer: None }
            }
        }
    }
}

/// `address`, `address:port`, `name` or `name:port`.
async fn address(asking: &Asking<'_>, to: &str, port: u16) -> Result<SocketAddr, String> {
    if let Ok(exact) = to.parse() {
        return Ok(exact);
    }
    if let Ok(ip) = to.parse::<IpAddr>() {
        return Ok(SocketAddr::new(ip, port));
    }
    let (name, port) = match to.rsplit_once(':') {
        Some((name, port)) => (name, port.parse().map_err(|_| format!("{to} is no address"))?),
        None => (to, port),
    };
    let found =
        asking.outside.dns.addresses(name).await.map_err(|why| format!("{name} is not found: {why}"))?;
    found.first().map(|ip| SocketAddr::new(*ip, port)).ok_or_else(|| format!("{name} has no address"))
}

/// Whether this machine's environment names a proxy for such URLs.
fn has_proxy(url: &Url) -> bool {
    let local = url.host_str().is_some_and(is_local);
    let names = match url.scheme() {
        "https" => ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"],
        _ => ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"],
    };
    !local && names.iter().any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()))
}

fn proxy_client(tls: rustls::ClientConfig) -> Result<reqwest::Client, String> {
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .user_agent(connect::USER_AGENT)
        // A redirect to a login page is not health.
        .redirect(Policy::none())
        .timeout(REQUEST)
        .build()
        .map_err(|error| connect::whole(&error))
}
