//! The whole way in to an Ingress's hosts, layer by layer from the outside: DNS, TCP, TLS, HTTP, then the Services
//! and the pods behind; and the first layer that fails.

use super::Asking;
use super::service;
use super::way_in::{self, stands_for};
use crate::config::net::walk::{Way, walk};
use crate::domain::{Ended, Key, Layer, Tone, Walk, cause};
use crate::probes::answer::Answer;
use crate::probes::trouble::Trouble;

/// Most hosts walked to.
const HOSTS: usize = 12;

pub(super) async fn probe(asking: &Asking<'_>, ingress: &Key) -> Result<Answer, Trouble> {
    let way = way_in::get(asking, ingress).await?;
    let roots = asking.roots().await;
    let ways = way.askable().take(HOSTS).map(|host| Way {
        host: host.to_owned(),
        port: way.port,
        balancers: way.balancers.clone(),
        path: "/".into(),
        secured: way
            .tls
            .iter()
            .any(|(hosts, _)| hosts.is_empty() || hosts.iter().any(|name| stands_for(name, host))),
    });
    let dns = &asking.outside.dns;
    let (roots, now) = (&roots, asking.now);
    let walks: Vec<Walk> =
        futures::future::join_all(ways.map(|way| async move { walk(&way, dns, roots, now).await })).await;
    let mut answer = Answer::new();
    let mut first: Option<(Layer, String)> = None;
    for walk in &walks {
        outside(&mut answer, walk);
        if let Some((layer, says)) = walk.failed() {
            let earlier = first.as_ref().is_some_and(|(known, _)| *known <= layer);
            if !earlier {
                first = Some((layer, format!("{}: {says}", walk.host)));
            }
        }
    }
    let inside = inside(asking, ingress, &way.services(), &mut answer).await?;
    answer.bind("host", way.askable().next().unwrap_or_default());
    // What is wrong inside explains an answer of 503 at the door.
    let found = match (first, inside) {
        (Some((Layer::Http, says)), Some(inside)) => Some((Layer::Service, format!("{inside} ({says})"))),
        (Some(first), _) => Some(first),
        (None, Some(inside)) => Some((Layer::Service, inside)),
        (None, None) => None,
    };
    match found {
        None if walks.is_empty() => {
            answer.summary(format!("{} names no host that could be asked", ingress.name));
        }
        None => answer.summary(format!("{} of {} hosts answer, all layers well", walks.len(), walks.len())),
        Some((layer, says)) => {
            answer.not_ok();
            answer.bind("first_layer", layer.as_str());
            answer.summary(format!("the first layer that fails is {layer}: {says}"));
        }
    }
    Ok(answer)
}

fn outside(answer: &mut Answer, walk: &Walk) {
    let led =
        if walk.addresses.is_empty() { String::new() } else { format!(" at {}", walk.addresses.join(", ")) };
    match &walk.ended {
        Ended::Answered { status } => {
            answer.line(Tone::Good, format!("{}{led}: DNS, TCP and TLS well, HTTP {status}", walk.host));
        }
        Ended::Doubtful { says } => answer.line(Tone::Dim, format!("{}: {says}", walk.host)),
        Ended::Failed { layer, says } => {
            answer.line(Tone::Bad, format!("{}{led}: {layer} fails: {says}", walk.host));
            if let Some(cause) = cause_of(*layer, says) {
                answer.found(cause, format!("{}: {says}", walk.host));
            }
        }
    }
    if let Some(note) = &walk.note {
        answer.line(Tone::Dim, format!("  {note}"));
        if walk.failed().is_none() && note.contains("this machine") && !note.contains("trust") {
            answer.found(cause::DNS_LOCAL, note);
        }
    }
}

/// The cause that a failing layer stands for, until the inside says more.
fn cause_of(layer: Layer, says: &str) -> Option<&'static str> {
    Some(match layer {
        Layer::Dns => cause::DNS_WRONG,
        Layer::Tcp => cause::BALANCER_UNREACHABLE,
        Layer::Tls if says.contains("expired") => cause::EXPIRED,
        Layer::Tls if says.contains("serves a certificate for") => cause::NAME_MISMATCH,
        Layer::Tls => cause::HANDSHAKE_FAILED,
        Layer::Http if says.contains("default backend") => cause::NO_ROUTE,
        Layer::Http if says.contains("503") => cause::NO_ENDPOINTS,
        Layer::Http => cause::BAD_GATEWAY,
        Layer::Service | Layer::Pod => return None,
    })
}

/// What is wrong with the Services behind, the first of it.
async fn inside(
    asking: &Asking<'_>,
    ingress: &Key,
    services: &[&str],
    answer: &mut Answer,
) -> Result<Option<String>, Trouble> {
    let mut first = None;
    let mut all = Vec::new();
    for name in services {
        let looked = service::look(asking, &Key::new(ingress.namespace.clone(), *name)).await?;
        let tone = if looked.troubles.is_empty() { Tone::Good } else { Tone::Bad };
        answer.line(tone, &looked.says);
        looked.tell(answer);
        if let Some((_, says)) = looked.troubles.first() {
            first.get_or_insert_with(|| format!("{}: {says}", looked.says));
        }
        all.push(looked);
    }
    service::bind(&all, answer);
    Ok(first)
}
