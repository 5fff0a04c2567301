//! What every address of a host serves, by SNI: dates, names, serial, issuer, chain, and whether clients trust it;
//! compared with the dates of the Certificate that stands for it; or, without one, with those of the certificate in its
//! Secret, of which nothing else is looked at.

use std::net::SocketAddr;
use std::time::Duration;

use base64::Engine;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde_json::Value;
use tokio::time::timeout;

use super::Asking;
use super::way_in;
use crate::config::net::handshake::{self, Roots, shake};
use crate::config::net::http::connect;
use crate::config::net::walk::{Way, balancers};
use crate::domain::{Key, Kind, ObjectRef, Served, Timestamp, Tone, between, cause, text};
use crate::probes::answer::Answer;
use crate::probes::object::time;

const PATIENCE: Duration = Duration::from_secs(6);
/// Most addresses of a host.
const MOST: usize = 8;
/// What a served certificate should have left (audit, section 4), or a third of a short life.
const ENOUGH: Duration = Duration::from_hours(21 * 24);

pub(super) async fn probe(
    asking: &Asking<'_>,
    (host, at): (&str, Option<SocketAddr>),
    namespace: Option<&str>,
    (certificate, secret): (Option<&Key>, Option<&Key>),
) -> Answer {
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) => (name, port.parse().ok()),
        None => (host, None),
    };
    let found = match at {
        Some(at) => Ok(vec![at]),
        None => addresses(asking, name, port, namespace).await,
    };
    let addresses = match found {
        Ok(addresses) => addresses,
        Err(why) => return Answer::failed(&why),
    };
    let mut answer = Answer::new();
    let mut wanted = match certificate {
        Some(key) => of_certificate(asking, key).await,
        None => None,
    };
    if let (None, Some(key)) = (&wanted, secret) {
        match of_secret(asking, key, name).await {
            Ok(kept) => wanted = Some(kept),
            Err(why) => answer.line(Tone::Dim, format!("Secret {}: {why}", key.name)),
        }
    }
    let wanted = wanted.as_ref();
    let roots = asking.roots().await;
    let mut seen = Seen::default();
    for address in addresses.iter().take(MOST) {
        match one(name, *address, &roots, asking.now).await {
            Ok(served) => look(&mut answer, &mut seen, (name, *address), &served, wanted, asking.now),
            Err(why) => {
                seen.worst(why.clone());
                answer.line(Tone::Bad, format!("{address}: {why}"));
                answer.found(cause::HANDSHAKE_FAILED, format!("{address}: {why}"));
            }
        }
    }
    seen.serials.sort();
    seen.serials.dedup();
    answer.bind("served_serial", seen.serials.join(", "));
    if seen.serials.len() > 1 {
        answer.line(
            Tone::Bad,
            format!("the addresses serve different certificates: {}", seen.serials.join(", ")),
        );
    }
    let count = text::count(addresses.len(), "address").replace("addresss", "addresses");
    match seen.worst {
        None => answer.summary(format!("{name}: {count} with a trusted certificate, {} left", seen.least())),
        Some(why) => {
            answer.not_ok();
            answer.summary(format!("{name}: {why}"));
        }
    }
    answer
}

#[derive(Default)]
struct Seen {
    serials: Vec<String>,
    left: Option<Duration>,
    worst: Option<String>,
}

impl Seen {
    fn worst(&mut self, why: String) {
        self.worst.get_or_insert(why);
    }

    fn least(&self) -> String {
        self.left.map(text::span_short).unwrap_or_default()
    }
}

/// Where DNS leads and where the load balancers are: a user may be sent to any of them.
async fn addresses(
    asking: &Asking<'_>,
    name: &str,
    port: Option<u16>,
    namespace: Option<&str>,
) -> Result<Vec<SocketAddr>, String> {
    let ways = way_in::of_host(asking, namespace, name).await;
    let port = port.or_else(|| ways.first().map(|way| way.port)).unwrap_or(443);
    let mut found: Vec<SocketAddr> = Vec::new();
    for way in &ways {
        let way = Way {
            host: name.to_owned(),
            port,
            balancers: way.balancers.clone(),
            path: "/".into(),
            secured: true,
        };
        found.extend(balancers(&way, &asking.outside.dns).await.iter().map(|ip| SocketAddr::new(*ip, port)));
    }
    let by_name = match name.parse() {
        Ok(ip) => Ok(vec![ip]),
        Err(_) => asking.outside.dns.addresses(name).await,
    };
    match by_name {
        Ok(ips) => found.extend(ips.iter().map(|ip| SocketAddr::new(*ip, port))),
        Err(why) if found.is_empty() => return Err(format!("the name {name} is not found: {why}")),
        Err(_) => {}
    }
    found.sort();
    found.dedup();
    if found.is_empty() { Err(format!("{name} has no address")) } else { Ok(found) }
}

async fn one(name: &str, address: SocketAddr, roots: &Roots, now: Timestamp) -> Result<Served, String> {
    let (stream, _) = connect(&[address], PATIENCE).await?;
    match timeout(PATIENCE, shake(name, stream, roots, now)).await {
        Ok(served) => served,
        Err(_) => Err(format!("no TLS handshake within {}", text::span(PATIENCE))),
    }
}

/// The certificate that is to be served.
struct Kept {
    /// `the Secret web-tls`, with its serial where that is known.
    place: String,
    begins: Option<Timestamp>,
    ends: Timestamp,
}

/// What is in the Secret, as cert-manager says.
async fn of_certificate(asking: &Asking<'_>, key: &Key) -> Option<Kept> {
    let object = ObjectRef::new(Kind::Certificate, key.clone());
    let found: Value = asking.cluster.find(&object).await.ok().flatten()?;
    let (begins, ends) = (time(&found, "/status/notBefore"), time(&found, "/status/notAfter")?);
    Some(Kept { place: "the Secret".into(), begins, ends })
}

/// What is in the Secret, by its certificate alone; or why that is not known.
async fn of_secret(asking: &Asking<'_>, key: &Key, host: &str) -> Result<Kept, String> {
    let object = ObjectRef::new(Kind::Secret, key.clone());
    let found = asking.cluster.find(&object).await.map_err(|trouble| trouble.to_string())?;
    let found = found.ok_or("it does not exist")?;
    let data = found.pointer("/data/tls.crt").and_then(Value::as_str).ok_or("it has no tls.crt")?;
    let pem =
        base64::engine::general_purpose::STANDARD.decode(data).map_err(|_| "its tls.crt is not base64")?;
    let der = CertificateDer::from_pem_slice(&pem).map_err(|_| "its tls.crt is no certificate in PEM")?;
    let kept = handshake::read(&der, host)?;
    let place = format!("the Secret {} (serial {})", key.name, kept.serial);
    Ok(Kept { place, begins: Some(kept.not_before), ends: kept.not_after })
}

fn look(
    answer: &mut Answer,
    seen: &mut Seen,
    (name, address): (&str, SocketAddr),
    served: &Served,
    wanted: Option<&Kept>,
    now: Timestamp,
) {
    let left = between(now, served.not_after);
    seen.serials.push(served.serial.to_string());
    seen.left = Some(seen.left.map_or(left, |least| least.min(left)));
    let troubles = troubles(name, served, wanted, now);
    let dates = if served.not_after <= now {
        format!("expired {} ago", text::span(between(served.not_after, now)))
    } else {
        format!("{} left, until {}", text::span(left), served.not_after.strftime("%Y-%m-%d %H:%MZ"))
    };
    let tone = if troubles.is_empty() { Tone::Good } else { Tone::Bad };
    answer.line(tone, format!("{address}: {dates}; by {}", served.issuer));
    answer.line(Tone::Dim, format!("  serial {}; names {}", served.serial, served.names.join(", ")));
    for (cause, says) in troubles {
        seen.worst(format!("{address}: {says}"));
        answer.line(Tone::Bad, format!("  {says}"));
        if let Some(cause) = cause {
            answer.found(cause, format!("{address}: {says}"));
        }
    }
}

/// What is wrong with it, the worst first.
fn troubles(
    name: &str,
    served: &Served,
    wanted: Option<&Kept>,
    now: Timestamp,
) -> Vec<(Option<&'static str>, String)> {
    let mut troubles = Vec::new();
    let issuer = served.issuer.to_lowercase();
    let placeholder = ["fake certificate", "cert-manager.local", "default certificate", "default cert"];
    if placeholder.iter().any(|word| issuer.contains(word)) {
        let says = format!("the controller's placeholder ({}), not a certificate of the host", served.issuer);
        troubles.push((Some(cause::DEFAULT_CERTIFICATE), says));
    } else if !served.name_matches {
        troubles.push((
            Some(cause::NAME_MISMATCH),
            format!("not for {name}: it names {}", served.names.join(", ")),
        ));
    }
    if served.not_after <= now {
        let ago = text::span(between(served.not_after, now));
        troubles.push((Some(cause::EXPIRED), format!("expired {ago} ago")));
    } else if let Some(why) = served.distrust.as_ref().filter(|_| troubles.is_empty()) {
        troubles.push((Some(cause::UNTRUSTED), format!("clients do not trust it: {why}")));
    }
    if let Some(Kept { place, begins, ends }) = wanted {
        let hour = Duration::from_hours(1);
        let same = begins.is_none_or(|begins| begins == served.not_before) && *ends == served.not_after;
        if between(served.not_after, *ends) > hour {
            let says = format!(
                "older than the one in {place}, which is valid until {}: it was not loaded",
                ends.strftime("%Y-%m-%d")
            );
            troubles.push((Some(cause::SERVED_STALE), says));
        } else if !same && troubles.is_empty() {
            troubles.push((None, "not the certificate that its Secret holds, by the dates".into()));
        }
    }
    let life = between(served.not_before, served.not_after);
    let left = between(now, served.not_after);
    if troubles.is_empty() && left <= ENOUGH.min(life.mul_f64(0.3)) {
        troubles.push((None, format!("only {} left", text::span(left))));
    }
    troubles
}
