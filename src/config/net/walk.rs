//! The way of a user to a public host, walked from here: DNS, TCP, TLS, HTTP; and the first layer that fails.
//! What fails on this machine alone is not held against the host.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use reqwest::Url;
use tokio::time::{Instant, timeout};

use super::dns::Dns;
use super::handshake::{self, Roots};
use super::http::{Failed, Question, Timing, connect, exchange};
use crate::domain::{Ended, Layer, Name, Served, Timestamp, Walk, text};

/// Each layer gets this long.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where to go.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Way {
    pub host: String,
    pub port: u16,
    /// Addresses or names of the load balancer, as its Ingress says.
    pub balancers: Vec<String>,
    pub path: String,
    /// It is known to be served with a certificate; else plain HTTP is enough.
    pub secured: bool,
}

/// Where DNS leads.
enum Lead {
    To {
        addresses: Vec<IpAddr>,
        note: Option<String>,
    },
    /// The resolvers of the world know no such name.
    Nowhere(String),
    /// Only this machine's resolver was heard, and it fails.
    Doubt(String),
}

/// Walks it.
pub async fn walk(way: &Way, dns: &Dns, roots: &Roots, now: Timestamp) -> Walk {
    let (balancers, lead) = tokio::join!(balancers(way, dns), lead(way, dns));
    let (ended, addresses, note) = match lead {
        Lead::Nowhere(says) => (failure(Layer::Dns, &says), Vec::new(), None),
        Lead::Doubt(says) => (Ended::Doubtful { says: own(&says) }, Vec::new(), None),
        Lead::To { addresses, note } => {
            let trip = Trip { way, dns, roots, now };
            let (ended, more) = trip.through(&addresses, &balancers).await;
            (ended, addresses, note.or(more))
        }
    };
    let shown = |all: &[IpAddr]| all.iter().map(|ip| own(&ip.to_string())).collect();
    Walk {
        host: own(&way.host),
        at: now,
        ended,
        addresses: shown(&addresses),
        balancers: shown(&balancers),
        note: note.as_deref().map(own),
    }
}

fn own(raw: &str) -> Name {
    text::redact(&text::clean(raw)).into()
}

fn failure(layer: Layer, says: &str) -> Ended {
    Ended::Failed { layer, says: own(says) }
}

async fn lead(way: &Way, dns: &Dns) -> Lead {
    if let Ok(ip) = way.host.parse() {
        return Lead::To { addresses: vec![ip], note: None };
    }
    let why = match dns.addresses(&way.host).await {
        Ok(addresses) if !addresses.is_empty() => return Lead::To { addresses, note: None },
        Ok(_) => "it has no address".to_owned(),
        Err(why) => why,
    };
    match dns.public_addresses(&way.host).await {
        Some(Ok(addresses)) => {
            let note = format!("this machine's resolver does not find {} ({why}), public ones do", way.host);
            Lead::To { addresses, note: Some(note) }
        }
        Some(Err(_)) if dns.is_example(&way.host) => {
            Lead::Doubt(format!("{} is a name reserved for examples: no resolver leads to it", way.host))
        }
        Some(Err(says)) => Lead::Nowhere(format!("{}: {says}", way.host)),
        None => Lead::Doubt(format!("this machine's resolver does not find {}: {why}", way.host)),
    }
}

/// The addresses of the load balancer, its name looked up.
pub async fn balancers(way: &Way, dns: &Dns) -> Vec<IpAddr> {
    let mut found = BTreeSet::new();
    for name in &way.balancers {
        match name.parse::<IpAddr>() {
            Ok(ip) => found.extend([ip]),
            Err(_) => found.extend(dns.addresses(name).await.unwrap_or_default()),
        }
    }
    found.into_iter().collect()
}

struct Trip<'a> {
    way: &'a Way,
    dns: &'a Dns,
    roots: &'a Roots,
    now: Timestamp,
}

impl Trip<'_> {
    /// By where DNS leads; when that fails, by what else is known, to tell whose fault it is.
    async fn through(&self, led: &[IpAddr], balancers: &[IpAddr]) -> (Ended, Option<String>) {
        let (result, note) = self.attempt(led).await;
        let failed = match result {
            Ok(status) => return (Ended::Answered { status }, note),
            Err(failed) => failed,
        };
        let shown = |all: &[IpAddr]| all.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let public = match self.dns.public_addresses(&self.way.host).await {
            Some(Ok(public)) if !overlap(&public, led) => Some(public),
            _ => None,
        };
        // The world is led elsewhere than this machine.
        if let Some(public) = &public
            && let (Ok(status), _) = self.attempt(public).await
        {
            let says = format!(
                "this machine is led to {}, where it fails; the world is led to {}, and is served",
                shown(led),
                shown(public)
            );
            return (Ended::Answered { status }, Some(says));
        }
        if balancers.is_empty() || overlap(led, balancers) {
            return (failure(failed.layer, &failed.says), note);
        }
        match self.attempt(balancers).await.0 {
            Ok(status) => {
                let says = format!(
                    "DNS leads to {}, not to the load balancer {}, which answers {status}",
                    shown(led),
                    shown(balancers)
                );
                (failure(Layer::Dns, &says), note)
            }
            Err(failed) => (failure(failed.layer, &failed.says), note),
        }
    }

    /// TCP, TLS and HTTP at these addresses, with what is odd about the chain of trust. A host without a
    /// certificate of its own is well when it answers in either way.
    async fn attempt(&self, addresses: &[IpAddr]) -> (Result<u16, Failed>, Option<String>) {
        if self.way.secured {
            return self.by_tls(addresses).await;
        }
        let plain = self.by_http(addresses).await;
        if plain.is_ok() {
            return (plain, None);
        }
        match self.by_tls(addresses).await {
            (Ok(status), note) => (Ok(status), note),
            (Err(_), _) => (plain, None),
        }
    }

    async fn by_http(&self, addresses: &[IpAddr]) -> Result<u16, Failed> {
        let port = if self.way.port == 443 { 80 } else { self.way.port };
        let addresses: Vec<SocketAddr> = addresses.iter().map(|ip| SocketAddr::new(*ip, port)).collect();
        let (stream, address) =
            connect(&addresses, PATIENCE).await.map_err(|says| Failed { layer: Layer::Tcp, says })?;
        self.ask(TokioIo::new(stream), address, Timing::default()).await
    }

    async fn by_tls(&self, addresses: &[IpAddr]) -> (Result<u16, Failed>, Option<String>) {
        let addresses: Vec<SocketAddr> =
            addresses.iter().map(|ip| SocketAddr::new(*ip, self.way.port)).collect();
        let at = |layer: Layer| move |says: String| Failed { layer, says };
        let began = Instant::now();
        let (stream, address) = match connect(&addresses, PATIENCE).await {
            Ok(connected) => connected,
            Err(says) => return (Err(at(Layer::Tcp)(says)), None),
        };
        let timing = Timing { tcp: began.elapsed(), ..Timing::default() };
        let opened = timeout(PATIENCE, handshake::open(&self.way.host, stream, self.roots, self.now)).await;
        let (served, stream) = match opened {
            Ok(Ok(opened)) => opened,
            Ok(Err(says)) => return (Err(at(Layer::Tls)(format!("{address}: {says}"))), None),
            Err(_) => {
                let says = format!("{address}: no TLS handshake within {}", text::span(PATIENCE));
                return (Err(at(Layer::Tls)(says)), None);
            }
        };
        if let Some(says) = refused_by_all(&served, &self.way.host, self.now) {
            return (Err(at(Layer::Tls)(says)), None);
        }
        let note = served.distrust.as_ref().map(|why| format!("this machine does not trust it: {why}"));
        (self.ask(TokioIo::new(stream), address, timing).await, note)
    }

    async fn ask<S>(&self, stream: TokioIo<S>, address: SocketAddr, timing: Timing) -> Result<u16, Failed>
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    {
        let url = format!("https://{}{}", self.way.host, self.way.path);
        let Ok(url) = Url::parse(&url) else {
            return Err(Failed { layer: Layer::Http, says: format!("{url} is no URL") });
        };
        let question = Question {
            method: http::Method::GET,
            url: &url,
            to: Some(address),
            headers: http::HeaderMap::new(),
            patience: PATIENCE,
        };
        let answer = exchange(&question, stream, address, timing).await?;
        let nobody = answer.status == 404 && answer.body.contains("default backend");
        match answer.status {
            502..=504 => {
                Err(Failed { layer: Layer::Http, says: format!("{address} answers {}", answer.status) })
            }
            404 if nobody => {
                let says =
                    format!("{address} answers 404 by its default backend: no Ingress rule for the host");
                Err(Failed { layer: Layer::Http, says })
            }
            status => Ok(status),
        }
    }
}

fn overlap(one: &[IpAddr], other: &[IpAddr]) -> bool {
    one.iter().any(|ip| other.contains(ip))
}

/// Why every client refuses a certificate; an authority that this machine does not know is not a reason.
fn refused_by_all(served: &Served, host: &str, now: Timestamp) -> Option<String> {
    if served.not_after <= now {
        let ago = text::span(crate::domain::between(served.not_after, now));
        return Some(format!("{host} serves a certificate that expired {ago} ago"));
    }
    if served.not_before > now {
        return Some(format!("{host} serves a certificate that is not valid yet"));
    }
    (!served.name_matches).then(|| format!("{host} serves a certificate for {}", served.names.join(", ")))
}
