//! Route 53: the hosted zone, its record sets, and how far a change of them has spread.

use axum::http::request::Parts;
use roxmltree::{Document, Node};

use super::xml::{element, list, text};
use super::{Failure, millis};
use crate::lab::prometheus::Form;
use crate::lab::world::{Alias, RecordKind, RecordSet, World, ZONE, ZONE_NAME, ZoneChange};

const NAMESPACE: &str = "https://route53.amazonaws.com/doc/2013-04-01/";

pub(super) fn answer(world: &mut World, parts: &Parts, body: &[u8]) -> Result<String, Failure> {
    let path = parts.uri.path().trim_matches('/');
    let path: Vec<&str> = path.split('/').skip(1).collect();
    let (name, inside) = match (parts.method.as_str(), path.as_slice()) {
        ("GET", ["hostedzone"]) => ("ListHostedZonesResponse", zones(world)),
        ("GET", ["hostedzone", zone, "rrset"]) => {
            known(zone)?;
            let from = Form::read(parts.uri.query(), &[]).get("name").map(plain);
            ("ListResourceRecordSetsResponse", sets(world, from.as_deref()))
        }
        ("POST", ["hostedzone", zone, "rrset"]) => {
            known(zone)?;
            let changed = changes(world, body)?;
            let change = world.change_records(changed);
            ("ChangeResourceRecordSetsResponse", info(&change, world))
        }
        ("GET", ["change", id]) => {
            let found = world.hosted_zone().changes.iter().find(|change| change.id == *id);
            let says = format!("A change with id {id} is not found.");
            let change =
                found.ok_or_else(|| Failure { status: 404, ..Failure::new("NoSuchChange", says) })?;
            ("GetChangeResponse", info(change, world))
        }
        _ => {
            return Err(Failure {
                status: 404,
                ..Failure::new("InvalidAction", "There is no such operation.")
            });
        }
    };
    Ok(format!("<?xml version=\"1.0\"?>\n<{name} xmlns=\"{NAMESPACE}\">{inside}</{name}>"))
}

fn known(zone: &str) -> Result<(), Failure> {
    let says = format!("No hosted zone found with ID: {zone}");
    if zone == ZONE { Ok(()) } else { Err(Failure { status: 404, ..Failure::new("NoSuchHostedZone", says) }) }
}

/// In lower case, without the last dot.
fn plain(name: &str) -> String {
    name.trim_end_matches('.').to_lowercase()
}

fn dotted(name: &str) -> String {
    format!("{name}.")
}

fn zones(world: &World) -> String {
    let zone = [
        text("Id", format!("/hostedzone/{ZONE}")),
        text("Name", dotted(ZONE_NAME)),
        text("CallerReference", "first-day"),
        element("Config", [text("PrivateZone", false)]),
        text("ResourceRecordSetCount", world.hosted_zone().sets.len()),
    ];
    [list("HostedZones", "HostedZone", [zone.concat()]), text("IsTruncated", false), text("MaxItems", 100)]
        .concat()
}

/// In Route 53's order, by labels from the last one on, beginning with a name.
fn sets(world: &World, from: Option<&str>) -> String {
    let order = |name: &str| name.rsplit('.').map(str::to_owned).collect::<Vec<_>>();
    let from = from.map(order);
    let mut sets: Vec<&RecordSet> = world.hosted_zone().sets.iter().collect();
    sets.retain(|set| from.as_ref().is_none_or(|from| order(&set.name) >= *from));
    sets.sort_by_key(|set| (order(&set.name), set.kind));
    let sets = sets.into_iter().map(set);
    [list("ResourceRecordSets", "ResourceRecordSet", sets), text("IsTruncated", false), text("MaxItems", 300)]
        .concat()
}

fn set(set: &RecordSet) -> String {
    let mut parts = vec![text("Name", dotted(&set.name)), text("Type", set.kind.as_str())];
    if let Some(alias) = &set.alias {
        let target = [
            text("HostedZoneId", &alias.zone),
            text("DNSName", dotted(&alias.dns_name)),
            text("EvaluateTargetHealth", alias.evaluate_health),
        ];
        parts.push(element("AliasTarget", target));
    } else {
        parts.push(text("TTL", set.ttl.unwrap_or_default()));
        let values = set.values.iter().map(|value| text("Value", value));
        parts.push(list("ResourceRecords", "ResourceRecord", values));
    }
    parts.concat()
}

fn info(change: &ZoneChange, world: &World) -> String {
    let status = if change.is_in_sync(world.now()) { "INSYNC" } else { "PENDING" };
    let info = [
        text("Id", format!("/change/{}", change.id)),
        text("Status", status),
        text("SubmittedAt", millis(change.submitted)),
    ];
    element("ChangeInfo", info)
}

/// What a batch asks for: each set, and whether it stays.
fn changes(world: &World, body: &[u8]) -> Result<Vec<(RecordSet, bool)>, Failure> {
    let invalid = |says: String| Failure::new("InvalidInput", says);
    let body = std::str::from_utf8(body).map_err(|error| invalid(error.to_string()))?;
    let document = Document::parse(body).map_err(|error| invalid(error.to_string()))?;
    let mut changed = Vec::new();
    for change in document.descendants().filter(|node| node.has_tag_name((NAMESPACE, "Change"))) {
        let action = word(change, "Action");
        let set = read(change)?;
        let there =
            world.hosted_zone().sets.iter().find(|known| (&known.name, known.kind) == (&set.name, set.kind));
        match (action, there) {
            ("UPSERT", _) | ("CREATE", None) => changed.push((set, true)),
            ("DELETE", Some(known)) if *known == set => changed.push((set, false)),
            _ => {
                let says = format!(
                    "Tried to {} resource record set [name='{}', type='{}'] but it {}",
                    action.to_lowercase(),
                    dotted(&set.name),
                    set.kind.as_str(),
                    if there.is_some() { "already exists, or is another" } else { "was not found" }
                );
                return Err(Failure::new("InvalidChangeBatch", says));
            }
        }
    }
    if changed.is_empty() { Err(invalid("The batch has no changes".to_owned())) } else { Ok(changed) }
}

fn child<'a>(of: Node<'a, 'a>, name: &str) -> Option<Node<'a, 'a>> {
    of.descendants().find(|node| node.tag_name().name() == name)
}

fn word<'a>(of: Node<'a, 'a>, name: &str) -> &'a str {
    child(of, name).and_then(|found| found.text()).unwrap_or_default().trim()
}

fn read(change: Node<'_, '_>) -> Result<RecordSet, Failure> {
    let invalid = |says: String| Failure::new("InvalidChangeBatch", says);
    let name = plain(word(change, "Name"));
    if name != ZONE_NAME && !name.ends_with(&format!(".{ZONE_NAME}")) {
        return Err(invalid(format!("RRSet with DNS name {name}. is not permitted in zone {ZONE_NAME}.")));
    }
    let kind = RecordKind::parse(word(change, "Type"));
    let kind =
        kind.ok_or_else(|| invalid(format!("'{}' is no type that is kept here", word(change, "Type"))))?;
    let alias = child(change, "AliasTarget").map(|target| Alias {
        zone: word(target, "HostedZoneId").to_owned(),
        dns_name: plain(word(target, "DNSName")),
        evaluate_health: word(target, "EvaluateTargetHealth") == "true",
    });
    let values = change.descendants().filter(|node| node.tag_name().name() == "Value");
    let values: Vec<String> = values.filter_map(|node| node.text()).map(str::to_owned).collect();
    if alias.is_none() && values.is_empty() {
        return Err(invalid("Expected exactly one of [AliasTarget, ResourceRecords]".to_owned()));
    }
    Ok(RecordSet { name, kind, ttl: word(change, "TTL").parse().ok(), values, alias })
}
