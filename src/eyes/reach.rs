//! Whether users reach the public hosts: a walk to each, three times a minute, layer by layer. When only this
//! machine's own resolver fails for all of them, that is blindness, not an incident.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::StreamExt;
use tokio::time::timeout;

use super::api_server::{Sessions, session};
use super::kubernetes::ingress::Target;
use super::tell::Tell;
use super::tls::{nowhere, of_ingresses, parse};
use crate::config::net::walk::{Way, walk};
use crate::config::net::{Dns, Roots};
use crate::config::{ConnectError, Settings};
use crate::domain::{BlindKind, Ended, Fact, Origin, Walk};

/// Three in a minute (audit, section 3).
const EVERY: Duration = Duration::from_secs(20);
/// The settings' hosts don't wait longer for a cluster.
const SOON: Duration = Duration::from_secs(10);
const AT_ONCE: usize = 8;
/// Most hosts: more would be a load test.
const HOSTS: usize = 40;

/// Walks for ever.
pub(super) async fn watch(settings: Settings, mut sessions: Sessions, tell: Tell) {
    let authority = settings.tls_authority.value.clone();
    let read = tokio::task::spawn_blocking(move || Roots::native(authority.as_deref()));
    let roots = read.await.unwrap_or_default();
    let dns = Dns::of(&settings);
    let mut known: BTreeSet<Target> = BTreeSet::new();
    loop {
        let session = match timeout(SOON, session(&mut sessions)).await {
            Ok(Some(session)) => Some(session),
            Ok(None) => return,
            Err(_) => None,
        };
        let mut unlisted = nowhere(session.is_some());
        if let Some(session) = &session {
            match of_ingresses(&session.client, settings.namespace.one()).await {
                Ok(found) => {
                    let before = std::mem::replace(&mut known, found.into_iter().collect());
                    let lost = known.is_empty() && !before.is_empty();
                    if lost && tell.fact(Origin::Reach, Fact::Walks(Vec::new())).await.is_err() {
                        return;
                    }
                }
                Err(trouble) => unlisted = trouble.explain(),
            }
        }
        let own = settings.tls_hosts.iter().filter_map(|host| parse(host));
        let ways: Vec<Way> =
            known.iter().cloned().chain(own).take(HOSTS).map(|target| way(target, &settings)).collect();
        let walks = look(ways, &dns, &roots, tell.now()).await;
        let heard = if walks.is_empty() {
            tell.blind(Origin::Reach, unlisted).await
        } else {
            told(&tell, walks).await
        };
        if heard.is_err() {
            return;
        }
        tell.rest(EVERY).await;
    }
}

async fn look(ways: Vec<Way>, dns: &Dns, roots: &Roots, now: crate::domain::Timestamp) -> Vec<Walk> {
    futures::stream::iter(ways)
        .map(|way| async move { walk(&way, dns, roots, now).await })
        .buffer_unordered(AT_ONCE)
        .collect()
        .await
}

async fn told(tell: &Tell, walks: Vec<Walk>) -> Result<(), super::tell::Unheard> {
    let doubt = walks.iter().find_map(|walk| match &walk.ended {
        Ended::Doubtful { says } => Some(says.clone()),
        _ => None,
    });
    let all = walks.iter().all(|walk| matches!(walk.ended, Ended::Doubtful { .. }));
    match doubt.filter(|_| all) {
        Some(says) => {
            let repair = "check this machine's resolver or VPN, or name one in [dns] system";
            tell.blind(Origin::Reach, ConnectError::new(BlindKind::Unreachable, &*says, repair)).await
        }
        None => tell.fact(Origin::Reach, Fact::Walks(walks)).await,
    }
}

/// To the page that shows whether users are served, where it is that host's.
fn way(target: Target, settings: &Settings) -> Way {
    let url = settings.probe_url.as_deref().and_then(|url| reqwest::Url::parse(url).ok());
    let path = url.filter(|url| url.host_str() == Some(&target.host)).map(|url| url.path().to_owned());
    Way {
        path: path.unwrap_or_else(|| "/".into()),
        host: target.host,
        port: target.port,
        balancers: target.addresses,
        secured: target.secured,
    }
}
