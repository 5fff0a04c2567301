//! What the public hosts serve: TLS handshakes with the hosts of the Ingresses and of the settings, soon after the
//! start and every few minutes. A bad certificate is a finding, not a failure to see.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::api_server::{Sessions, session};
use super::kubernetes::ingress::{Target, targets};
use super::kubernetes::names::{Names, own, says};
use super::kubernetes::page;
use super::tell::Tell;
use super::trouble::Trouble;
use crate::config::connect::deepest;
use crate::config::net::handshake::shake;
use crate::config::net::{Dns, Roots};
use crate::config::{ConnectError, Settings};
use crate::domain::{BlindKind, Fact, Handshake, Kind, Name, Origin, Served, Timestamp};

const EVERY: Duration = Duration::from_mins(3);
/// While something is wrong, or about to be.
const OFTEN: Duration = Duration::from_secs(30);
/// Less than this left is about to be wrong.
const CLOSE: Duration = Duration::from_hours(21 * 24);
/// Ingresses may be listed a moment after the start.
const SOON: Duration = Duration::from_secs(20);
const PATIENCE: Duration = Duration::from_secs(6);
const AT_ONCE: usize = 8;

/// Looks for ever.
pub(super) async fn watch(settings: Settings, mut sessions: Sessions, tell: Tell) {
    let trusted = trusted(&settings).await;
    let mut listed: Vec<Target> = Vec::new();
    let mut before: BTreeSet<(Name, u16)> = BTreeSet::new();
    loop {
        // The hosts of the settings don't wait for a cluster.
        let session = match timeout(SOON, session(&mut sessions)).await {
            Ok(Some(session)) => Some(session),
            Ok(None) => return,
            Err(_) => None,
        };
        let mut why = nowhere(session.is_some());
        if let Some(session) = &session {
            match of_ingresses(&session.client, settings.namespace.one()).await {
                Ok(found) => listed = found,
                Err(trouble) => why = trouble.explain(),
            }
        }
        let all = all_targets(&settings, &listed);
        let found = !all.is_empty();
        let hosts: BTreeSet<(Name, u16)> =
            all.iter().map(|target| (target.host.as_str().into(), target.port)).collect();
        let lost = !before.is_subset(&hosts);
        before.clone_from(&hosts);
        if lost && tell.fact(Origin::Tls, Fact::Hosts(hosts)).await.is_err() {
            return;
        }
        if !found && tell.blind(Origin::Tls, why).await.is_err() {
            return;
        }
        let now = tell.now();
        let mut worth_watching = false;
        let mut shaken = std::pin::pin!(shake_all(all, &trusted, now));
        while let Some(rows) = shaken.next().await {
            worth_watching = worth_watching || rows.iter().any(|row| is_worth_watching(row, now));
            if tell.fact(Origin::Tls, Fact::Handshakes(rows)).await.is_err() {
                return;
            }
        }
        // Whoever mends a certificate waits to see it.
        let pause = if !found {
            SOON
        } else if worth_watching {
            OFTEN
        } else {
            EVERY
        };
        tell.rest(pause).await;
    }
}

fn is_worth_watching(row: &Handshake, now: Timestamp) -> bool {
    match &row.served {
        Err(_) => true,
        Ok(served) => served.distrust.is_some() || crate::domain::between(now, served.not_after) < CLOSE,
    }
}

/// One look at every host.
pub(super) async fn look(
    settings: &Settings,
    client: Option<&kube::Client>,
    now: Timestamp,
) -> Vec<Vec<Handshake>> {
    let trusted = trusted(settings).await;
    let listed = match client {
        Some(client) => of_ingresses(client, settings.namespace.one()).await.unwrap_or_default(),
        None => Vec::new(),
    };
    let all = all_targets(settings, &listed);
    shake_all(all, &trusted, now).collect().await
}

/// The hosts of the settings and of the Ingresses.
fn all_targets(settings: &Settings, listed: &[Target]) -> BTreeSet<Target> {
    let own = settings.tls_hosts.iter().filter_map(|host| parse(host));
    own.chain(listed.iter().cloned()).collect()
}

/// Nobody named a host: neither the settings nor an Ingress, where there is a `cluster` to look in.
pub(super) fn nowhere(cluster: bool) -> ConnectError {
    let why = if cluster {
        "no public host is known: no Ingress in scope has one"
    } else {
        "no public host is known, and there is no cluster to look in yet"
    };
    ConnectError::new(BlindKind::NotConfigured, why, "name hosts in [tls] hosts or COVET_TLS_HOSTS")
}

fn shake_all(
    all: BTreeSet<Target>,
    with: &Arc<(Roots, Dns)>,
    now: Timestamp,
) -> impl Stream<Item = Vec<Handshake>> + use<> {
    let with = with.clone();
    futures::stream::iter(all)
        .map(move |target| {
            let with = with.clone();
            async move { handshakes(target, (&with.0, &with.1), now).await }
        })
        .buffer_unordered(AT_ONCE)
}

/// Whom this machine and the settings trust, and whom they ask for names.
async fn trusted(settings: &Settings) -> Arc<(Roots, Dns)> {
    let authority = settings.tls_authority.value.clone();
    let read = tokio::task::spawn_blocking(move || Roots::native(authority.as_deref()));
    Arc::new((read.await.unwrap_or_default(), Dns::of(settings)))
}

/// The hosts of the Ingresses, with the addresses of their load balancers.
pub(super) async fn of_ingresses(
    client: &kube::Client,
    namespace: Option<&Name>,
) -> Result<Vec<Target>, Trouble> {
    let request = page::request(Kind::Ingress, namespace, false, true, &[])?;
    let mut body = Vec::new();
    timeout(PATIENCE, page::read_into(&mut body, client, request))
        .await
        .map_err(|_| Trouble::TimedOut(PATIENCE))??;
    let page = page::decode(&body, targets, &mut Names::default())?;
    Ok(page.objects.into_iter().flatten().collect())
}

/// `host`, `host:port`, either with `@address` to connect to.
pub(super) fn parse(text: &str) -> Option<Target> {
    let (host, address) = match text.split_once('@') {
        Some((host, address)) => (host, Some(address.to_owned())),
        None => (text, None),
    };
    let (host, port) = match host.rsplit_once(':') {
        Some((host, port)) => (host, port.parse().ok()?),
        None => (host, 443),
    };
    (!host.is_empty()).then(|| Target {
        host: host.to_owned(),
        port,
        is_given: address.is_some(),
        addresses: address.into_iter().collect(),
        secured: true,
    })
}

/// One row for each address; a host without any has one row that says so.
async fn handshakes(target: Target, (roots, dns): (&Roots, &Dns), now: Timestamp) -> Vec<Handshake> {
    let host = own(&target.host);
    let row = |address: Name, served: Result<Served, Name>| Handshake {
        host: host.clone(),
        port: target.port,
        address,
        is_given: target.is_given,
        at: now,
        served,
    };
    let addresses = match addresses(&target, dns).await {
        Ok(addresses) => addresses,
        Err(why) => return vec![row(host.clone(), Err(says(&why)))],
    };
    let mut rows = Vec::new();
    for address in addresses.into_iter().take(4) {
        let shaken = match timeout(PATIENCE, at(&target.host, address, roots, now)).await {
            Ok(shaken) => shaken,
            Err(_) => Err(format!("no answer within {} s", PATIENCE.as_secs())),
        };
        rows.push(row(own(&address.to_string()), shaken.map_err(|why| says(&why))));
    }
    rows
}

async fn at(host: &str, address: SocketAddr, roots: &Roots, now: Timestamp) -> Result<Served, String> {
    let stream =
        TcpStream::connect(address).await.map_err(|error| format!("cannot connect: {}", deepest(&error)))?;
    shake(host, stream, roots, now).await
}

async fn addresses(target: &Target, dns: &Dns) -> Result<Vec<SocketAddr>, String> {
    let mut found = BTreeSet::new();
    let names: Vec<&str> = if target.addresses.is_empty() {
        vec![&target.host]
    } else {
        target.addresses.iter().map(String::as_str).collect()
    };
    let mut why = "it has no address".to_owned();
    for name in names {
        if let Ok(ip) = name.parse::<IpAddr>() {
            found.insert(SocketAddr::new(ip, target.port));
        } else if let Ok(exact) = name.parse::<SocketAddr>() {
            found.insert(exact);
        } else {
            match dns.addresses(name).await {
                Ok(ips) => found.extend(ips.into_iter().map(|ip| SocketAddr::new(ip, target.port))),
                Err(error) => why = format!("{name} is not found: {error}"),
            }
        }
    }
    if found.is_empty() { Err(why) } else { Ok(found.into_iter().collect()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_written_with_port_and_address() {
        let target = parse("api.example.com:8443@10.0.0.7").unwrap();
        assert_eq!((target.host.as_str(), target.port), ("api.example.com", 8443));
        assert_eq!(target.addresses, ["10.0.0.7"]);
        assert_eq!(parse("www.example.com").unwrap().port, 443);
        assert_eq!(parse("www.example.com:https"), None);
    }
}
