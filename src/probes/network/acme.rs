//! A Certificate's challenges as the authority looks at them: the token over plain HTTP (HTTP-01), or the TXT
//! record at the zone's servers and public resolvers (DNS-01).

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;

use super::Asking;
use super::issuance::{chain, names};
use super::way_in;
use crate::config::net::dns::{ask as ask_dns, record_type};
use crate::config::net::http::{Question, ask};
use crate::config::net::walk::{Way, balancers};
use crate::config::tls;
use crate::domain::{Key, Tone, cause};
use crate::probes::answer::Answer;
use crate::probes::object::string;
use crate::probes::trouble::Trouble;

const PATIENCE: Duration = Duration::from_secs(6);
/// Where HTTP-01 tokens are (RFC 8555, 8.3).
const PATH: &str = "/.well-known/acme-challenge/";
/// Most hosts asked when no challenge runs.
const HOSTS: usize = 4;

pub(super) async fn probe(asking: &Asking<'_>, certificate: &Key) -> Result<Answer, Trouble> {
    let Some(chain) = chain(asking, certificate).await? else {
        return Ok(Answer::failed(&format!("Certificate {} does not exist", certificate.name)));
    };
    let mut answer = Answer::new();
    let mut bad = None;
    for one in &chain.challenges {
        let (host, token, key) =
            (string(one, "/spec/dnsName"), string(one, "/spec/token"), string(one, "/spec/key"));
        let result = match string(one, "/spec/type") {
            "DNS-01" => by_dns(asking, &mut answer, host, key).await,
            _ => by_http(asking, &mut answer, certificate, host, Some((token, key))).await,
        };
        bad = bad.or(result.err());
    }
    if chain.challenges.is_empty() {
        answer.line(Tone::Dim, "no challenge runs now: only the way to where it would be is tried");
        for host in names(&chain.certificate).iter().filter(|host| !host.contains('*')).take(HOSTS) {
            bad = bad.or(by_http(asking, &mut answer, certificate, host, None).await.err());
        }
    }
    match bad {
        Some(says) => {
            answer.not_ok();
            answer.summary(says);
        }
        None if chain.challenges.is_empty() => {
            answer.summary("no challenge runs now; the way to its path is open (404 is right without one)");
        }
        None => answer.summary("the authority can see every challenge"),
    }
    Ok(answer)
}

/// The token's path, where DNS leads and at the load balancer. `expected` is the token and the whole answer.
async fn by_http(
    asking: &Asking<'_>,
    answer: &mut Answer,
    certificate: &Key,
    host: &str,
    expected: Option<(&str, &str)>,
) -> Result<(), String> {
    let ways = way_in::of_host(asking, Some(&certificate.namespace), host).await;
    let port = ways.first().map_or(80, |way| way.plain_port);
    let token = expected.map_or("covet-tui-asks", |(token, _)| token);
    let Ok(url) = Url::parse(&format!("http://{host}{PATH}{token}")) else {
        return Err(format!("{host} is no host name"));
    };
    let mut places: Vec<SocketAddr> = Vec::new();
    for way in ways {
        let way =
            Way { host: host.to_owned(), port, balancers: way.balancers, path: "/".into(), secured: true };
        places.extend(balancers(&way, &asking.outside.dns).await.iter().map(|ip| SocketAddr::new(*ip, port)));
    }
    let led = asking.outside.dns.addresses(host).await.unwrap_or_default();
    places.extend(led.iter().map(|ip| SocketAddr::new(*ip, port)));
    places.sort();
    places.dedup();
    if places.is_empty() {
        let says = format!("HTTP-01 for {host}: the name leads nowhere");
        answer.line(Tone::Bad, &says);
        answer.found(cause::CHALLENGE_PATH, &says);
        return Err(says);
    }
    let mut result = Ok(());
    for place in places {
        if let Err(says) = at(asking, answer, &url, place, expected).await {
            let says = format!("HTTP-01 for {host} at {place}: {says}");
            answer.line(Tone::Bad, &says);
            answer.found(cause::CHALLENGE_PATH, &says);
            answer.bind("challenge_host", host);
            result = Err(says);
        }
    }
    result
}

async fn at(
    asking: &Asking<'_>,
    answer: &mut Answer,
    url: &Url,
    to: SocketAddr,
    expected: Option<(&str, &str)>,
) -> Result<(), String> {
    let headers = http::HeaderMap::new();
    let question = Question { method: http::Method::GET, url, to: Some(to), headers, patience: PATIENCE };
    let response = ask(&question, &asking.outside.dns, &Arc::new(tls::trusting_anybody()))
        .await
        .map_err(|failed| format!("{} fails: {}", failed.layer, failed.says))?;
    let place = response.headers.get(http::header::LOCATION).and_then(|place| place.to_str().ok());
    match (response.status, expected) {
        (200, Some((_, key))) if response.body.trim() == key => {
            answer.line(Tone::Good, format!("{to}: 200 and the right key"));
            Ok(())
        }
        (200, Some(_)) => {
            Err("200, but another answer than the challenge's key: somebody else serves this path".into())
        }
        // The authority follows redirects, also to https, where it trusts anybody.
        (301 | 302 | 307 | 308, _) => {
            answer.line(Tone::Plain, format!("{to}: {} to {}", response.status, place.unwrap_or("?")));
            Ok(())
        }
        (404, None) => {
            answer.line(Tone::Good, format!("{to}: 404, as it should be while no challenge runs"));
            Ok(())
        }
        (status @ 400..=499, Some(_)) => Err(format!(
            "{status}: the solver is not reached; is its Ingress served, and by the right class?"
        )),
        (status, _) if status >= 400 => Err(format!("{status}")),
        (status, _) => {
            answer.line(Tone::Plain, format!("{to}: {status}"));
            Ok(())
        }
    }
}

async fn by_dns(asking: &Asking<'_>, answer: &mut Answer, host: &str, key: &str) -> Result<(), String> {
    let name = format!("_acme-challenge.{}", host.trim_start_matches("*."));
    let dns = &asking.outside.dns;
    let Some(kind) = record_type("TXT") else { return Ok(()) };
    let mut servers = dns.authoritative_servers(&name).await.unwrap_or_default();
    servers.extend(dns.public.iter().map(|server| (server.to_string(), *server)));
    let mut result = Ok(());
    let mut heard = false;
    for (index, (named, server)) in servers.iter().enumerate() {
        let recurse = index >= servers.len().saturating_sub(dns.public.len());
        let answered = ask_dns(*server, &name, kind, recurse).await;
        let values = answered.values("TXT");
        if values.contains(&key) {
            heard = true;
            answer.line(Tone::Good, format!("{named}: {name} has the right value"));
        } else {
            let says = format!("DNS-01 for {host} at {named}: {}", answered.says());
            answer.line(Tone::Bad, &says);
            answer.found(cause::CHALLENGE_DNS, &says);
            answer.bind("challenge_host", host);
            result = Err(says);
        }
    }
    if servers.is_empty() && !heard {
        return Err(format!("DNS-01 for {host}: no server of its zone is known"));
    }
    result
}
