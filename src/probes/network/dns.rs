//! A name as different resolvers see it, side by side: this machine's, public ones, and the zone's own servers,
//! each within its own deadline; compared with where the load balancer is.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use futures::future::join_all;

use super::Asking;
use super::way_in;
use crate::config::net::dns::{Answered, ask, record_type};
use crate::config::net::walk::{Way, balancers};
use crate::domain::{Tone, cause};
use crate::probes::answer::{Answer, columns};

/// Whose view it is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum View {
    Ours,
    Public,
    Zone,
}

impl View {
    fn as_str(self) -> &'static str {
        match self {
            View::Ours => "this machine",
            View::Public => "public",
            View::Zone => "zone",
        }
    }
}

struct Row {
    view: View,
    server: String,
    answered: Answered,
}

pub(super) async fn lookup(asking: &Asking<'_>, name: &str, record: &str, namespace: Option<&str>) -> Answer {
    let Some(kind) = record_type(record) else {
        return Answer::failed(&format!("{record} is no type of DNS record"));
    };
    let name = name.trim_end_matches('.');
    let dns = &asking.outside.dns;
    let zone = dns.authoritative_servers(name).await;
    let ours = dns.system_servers().into_iter().map(|server| (View::Ours, server.to_string(), server));
    let public = dns.public.iter().map(|server| (View::Public, server.to_string(), *server));
    let zones = zone.iter().flatten().map(|(named, server)| (View::Zone, named.clone(), *server));
    let asked: Vec<(View, String, SocketAddr)> = ours.chain(public).chain(zones).collect();
    let rows: Vec<Row> = join_all(asked.into_iter().map(|(view, server, at)| async move {
        // A zone's server is asked for what it knows itself.
        Row { view, server, answered: ask(at, name, kind, view != View::Zone).await }
    }))
    .await;
    let mut answer = Answer::new();
    table(&mut answer, &rows);
    if let Err(why) = zone {
        answer.line(Tone::Dim, why);
    }
    match record {
        "A" | "AAAA" => addresses(&mut answer, asking, (name, namespace), &rows).await,
        _ => others(&mut answer, (name, record), &rows),
    }
    answer
}

fn table(answer: &mut Answer, rows: &[Row]) {
    let cells: Vec<Vec<String>> = rows
        .iter()
        .map(|row| vec![row.view.as_str().to_owned(), row.server.clone(), row.answered.says()])
        .collect();
    for (row, line) in rows.iter().zip(columns(&cells)) {
        let tone = match row.answered {
            Answered::Records(_) => Tone::Good,
            Answered::Silent(_) | Answered::Refused(_) if row.view != View::Zone => Tone::Dim,
            _ => Tone::Bad,
        };
        answer.line(tone, line);
    }
}

/// What the views of one kind agree on: their addresses, or that there are none, or nothing if none spoke.
fn seen(rows: &[Row], view: View) -> Option<BTreeSet<IpAddr>> {
    let spoke = |row: &&Row| !matches!(row.answered, Answered::Silent(_) | Answered::Refused(_));
    let mut speaking = rows.iter().filter(|row| row.view == view).filter(spoke).peekable();
    speaking.peek()?;
    Some(speaking.flat_map(|row| row.answered.addresses()).collect())
}

async fn addresses(
    answer: &mut Answer,
    asking: &Asking<'_>,
    (name, namespace): (&str, Option<&str>),
    rows: &[Row],
) {
    let mut wanted: BTreeSet<IpAddr> = BTreeSet::new();
    let mut named = Vec::new();
    for way in way_in::of_host(asking, namespace, name).await {
        named.extend(way.balancers.clone());
        let way =
            Way { host: name.into(), port: 443, balancers: way.balancers, path: "/".into(), secured: true };
        wanted.extend(balancers(&way, &asking.outside.dns).await);
    }
    let list = |set: &BTreeSet<IpAddr>| set.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    if !wanted.is_empty() {
        answer.line(Tone::Plain, format!("load balancer: {} ({})", named.join(", "), list(&wanted)));
    }
    let (ours, public, zone) = (seen(rows, View::Ours), seen(rows, View::Public), seen(rows, View::Zone));
    // The zone's own word counts most, then the world's; ours alone proves nothing.
    let Some(world) = zone.clone().or_else(|| public.clone()) else {
        let says = match &ours {
            Some(ours) if !ours.is_empty() => {
                format!(
                    "{name} is {} by this machine's resolver; no other answered to compare with",
                    list(ours)
                )
            }
            _ => format!("{name}: no resolver could say; only this machine's view is known to fail"),
        };
        if ours.is_none_or(|ours| ours.is_empty()) {
            answer.not_ok();
        }
        answer.summary(says);
        return;
    };
    let elsewhere = !wanted.is_empty() && !world.is_empty() && world.is_disjoint(&wanted);
    let known_here = ours.as_ref().is_some_and(|ours| !ours.is_empty());
    if world.is_empty() && known_here {
        let own = ours.as_ref().map(list).unwrap_or_default();
        answer.summary(format!(
            "only this machine's resolver knows {name} ({own}): a private name, or a record that is gone"
        ));
    } else if world.is_empty() {
        answer.not_ok();
        let says = format!("{name} leads nowhere: the zone has no address for it");
        answer.found(cause::DNS_WRONG, &says);
        answer.summary(says);
    } else if elsewhere {
        answer.not_ok();
        let says = format!("{name} leads to {}, the load balancer is {}", list(&world), list(&wanted));
        answer.found(cause::DNS_WRONG, &says);
        answer.summary(format!("{says} (a proxy or CDN in front would explain it)"));
    } else if ours.as_ref().is_none_or(|ours| ours.is_disjoint(&world)) {
        let says = format!(
            "only this machine's resolver differs ({}); the world is led to {}",
            ours.as_ref().filter(|ours| !ours.is_empty()).map_or_else(|| "no address".into(), list),
            list(&world)
        );
        answer.found(cause::DNS_LOCAL, &says);
        answer.summary(says);
    } else if public.as_ref().is_some_and(|public| public.is_disjoint(&world)) {
        let stale = public.as_ref().map(list).unwrap_or_default();
        answer.summary(format!("{name} is {} at the zone; public resolvers still say {stale}", list(&world)));
    } else {
        let match_ = if wanted.is_empty() { "all who answered agree" } else { "that is the load balancer" };
        answer.summary(format!("{name} is {}: {match_}", list(&world)));
    }
}

/// Records without a load balancer to compare with, such as the TXT of a DNS-01 challenge.
fn others(answer: &mut Answer, (name, record): (&str, &str), rows: &[Row]) {
    let values = |view: View| -> BTreeSet<&str> {
        let rows = rows.iter().filter(|row| row.view == view);
        rows.flat_map(|row| row.answered.values(record)).collect()
    };
    let (public, zone) = (values(View::Public), values(View::Zone));
    let heard = |view: View| {
        rows.iter().any(|row| {
            row.view == view && !matches!(row.answered, Answered::Silent(_) | Answered::Refused(_))
        })
    };
    let best = if zone.is_empty() { &public } else { &zone };
    if best.is_empty() {
        if !heard(View::Zone) && !heard(View::Public) {
            answer.not_ok();
            answer.summary(format!("{name}: no server of the zone and no public resolver answered"));
        } else {
            let challenge = name.starts_with("_acme-challenge.");
            let hint = if challenge { " (there is one only while a DNS-01 challenge runs)" } else { "" };
            answer.summary(format!("{name} has no {record} record{hint}"));
        }
        return;
    }
    let list = best.iter().copied().collect::<Vec<_>>().join(", ");
    let behind = !zone.is_empty() && heard(View::Public) && zone != public;
    let says = if behind { "; public resolvers do not see the same yet" } else { "" };
    answer.summary(format!("{name} {record}: {list}{says}"));
}
