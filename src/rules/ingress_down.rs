//! Public hosts that users do not reach: walks from outside that fail, Services without a ready endpoint, load
//! balancers without an address. The first layer that fails names the cause; why is for the playbook to find out.

use crate::domain::{
    Anomaly, AnomalyId, Cause, Ended, Ingress, Key, Kind, Layer, Name, ObjectRef, Origin, Reach, Severity,
    Subject, Timestamp, cause,
};

use super::backing::AtRest;
use super::unserved::{Unserved, at_rest, by_hand, gone, is_coming_up, without_endpoints};
use super::workload::{Bindings, evidence, quote};
use super::{Needs, Rule, Scene, Threshold, Unit, astray, backing, ingress_written, shown};

const FAILS: Threshold = Threshold {
    key: "ingress-down.fails",
    default: 3.0,
    unit: Unit::Count,
    says: "walks in a row (three a minute) that fail before it is critical",
    source: "blackbox practice: 3 failed probes in a minute",
};
pub(super) const NO_ENDPOINTS: Threshold = Threshold {
    key: "ingress-down.no-endpoints",
    default: 60.0,
    unit: Unit::Seconds,
    says: "how long a Service behind an Ingress may have no ready endpoint",
    source: "our own choice: longer than a rolling update of one replica",
};
const NO_ADDRESS: Threshold = Threshold {
    key: "ingress-down.no-address",
    default: 300.0,
    unit: Unit::Seconds,
    says: "how long an Ingress may be without a load balancer address",
    source: "cloud load balancers take two to four minutes",
};

pub(super) static RULE: Rule = Rule {
    name: "ingress-down",
    title: "Public hosts not reached",
    says: "Public hosts, walked to from outside three times a minute: DNS, TCP, TLS, HTTP; Services behind an Ingress \
           without a ready endpoint, or without the port that it sends to; load balancers without an address; Services that by one label miss the pods they \
           are plainly meant for, or whose workload was scaled to 0 lately. Silent about what fails on this machine \
           alone, and about hosts that are served by something else meanwhile.",
    needs: Needs::All(&[Origin::Reach, Origin::Ingresses, Origin::EndpointSlices]),
    awaits: &[
        Origin::Ingresses,
        Origin::Services,
        Origin::Deployments,
        Origin::ReplicaSets,
        Origin::Pods,
        Origin::Events,
    ],
    thresholds: &[FAILS, NO_ENDPOINTS, NO_ADDRESS],
    examine,
};

fn examine(scene: &Scene<'_>) -> Vec<Anomaly> {
    let mut ingresses: Vec<&Ingress> = scene.snapshot.ingresses.iter().collect();
    ingresses.sort_by(|one, other| one.key.cmp(&other.key));
    let mut claimed: Vec<&Name> = Vec::new();
    let mut anomalies = Vec::new();
    for ingress in ingresses {
        let reaches = reaches(scene, ingress);
        claimed.extend(reaches.iter().map(|reach| &reach.last.host));
        anomalies.extend(of_ingress(scene, ingress, &reaches));
    }
    let alone = scene.snapshot.reaches.iter().filter(|(host, _)| !claimed.contains(host));
    anomalies.extend(alone.filter_map(|(host, reach)| of_host(scene, host, reach)));
    anomalies.extend(astray::examine(scene, &anomalies));
    anomalies
}

/// The walks to the hosts of an Ingress.
fn reaches<'a>(scene: &Scene<'a>, ingress: &Ingress) -> Vec<&'a Reach> {
    let mut hosts: Vec<&Name> =
        ingress.hosts.iter().chain(ingress.tls.iter().flat_map(|(hosts, _)| hosts)).collect();
    hosts.sort();
    hosts.dedup();
    hosts.into_iter().filter_map(|host| scene.snapshot.reaches.get(host)).collect()
}

/// What the objects themselves say weighs so much, and no longer asks what came of it.
const PLAIN: f64 = 0.95;

/// One thing that is wrong.
struct Trouble {
    severity: Severity,
    since: Timestamp,
    origin: Origin,
    cause: Cause,
}

fn trouble(
    severity: Severity,
    (origin, since): (Origin, Timestamp),
    (name, weight): (&'static str, f64),
    says: String,
) -> Trouble {
    Trouble { severity, since, origin, cause: Cause { name, says, weight } }
}

fn of_ingress(scene: &Scene<'_>, ingress: &Ingress, reaches: &[&Reach]) -> Option<Anomaly> {
    let failing: Vec<&&Reach> = reaches.iter().filter(|reach| reach.fails > 0).collect();
    // Answered, and not by an error: somebody serves the host, whatever the Services say.
    let served = !reaches.is_empty() && failing.is_empty() && reaches.iter().all(|reach| is_answered(reach));
    let mut troubles: Vec<Trouble> = failing.iter().filter_map(|reach| of_walk(scene, reach)).collect();
    let empty = without_endpoints(scene, ingress);
    let mut more = Bindings::new();
    let confirmed = troubles.iter().any(|one| one.severity == Severity::Critical);
    for Unserved { service, since, is_absent, is_empty } in &empty {
        if !confirmed && is_coming_up(scene, ingress, service) {
            continue;
        }
        let rests = is_empty.then(|| at_rest(scene, ingress, service)).flatten();
        let since = &rests.as_ref().and_then(|rests| rests.since).or(*since);
        let lasted = since.is_some_and(|since| scene.has_lasted(since, &NO_ENDPOINTS));
        let severity = match () {
            () if served => Severity::Suspect,
            () if confirmed => Severity::Critical,
            // One of several paths may be dead, and have been so for long.
            () if lasted && *is_absent => Severity::Warning,
            () if lasted => Severity::Critical,
            () => Severity::Suspect,
        };
        let at = (Origin::EndpointSlices, since.unwrap_or(scene.now));
        let (name, says) = if *is_absent {
            (cause::SERVICE_ABSENT, format!("Service {service} does not exist"))
        } else {
            more.extend(rests.as_ref().map(AtRest::bindings).unwrap_or_default());
            let rests = rests.map(|rests| (cause::SCALED_TO_ZERO, rests.says(service)));
            let gone = || is_empty.then(|| gone(scene, ingress, service)).flatten();
            rests
                .or_else(gone)
                .or_else(|| by_hand(scene, ingress, service))
                .unwrap_or_else(|| (cause::NO_ENDPOINTS, format!("Service {service} has no ready endpoint")))
        };
        // It explains what the door answers, and is seen where it happens.
        troubles.push(trouble(severity, at, (name, PLAIN), says));
    }
    // Where the walk to it is still under way, it may turn out to be served all the same.
    let unserved = !served && !scene.snapshot.is_awaited(Origin::Reach, scene.now);
    for (since, cause) in ingress_written::faults(scene, ingress, &mut more) {
        // Whoever keeps certificates elsewhere serves a good one all the same.
        if !unserved && cause.name == cause::CERTIFICATE_ABSENT {
            continue;
        }
        let severity = match () {
            () if served => Severity::Suspect,
            () if confirmed && cause.name == cause::BACKEND_PORT => Severity::Critical,
            () if scene.has_lasted(since, &NO_ENDPOINTS) => Severity::Warning,
            () => Severity::Suspect,
        };
        troubles.push(Trouble { severity, since, origin: Origin::Ingresses, cause });
    }
    if ingress.addresses.is_empty() && unserved && scene.has_lasted(ingress.created, &NO_ADDRESS) {
        let says = "the Ingress has no load balancer address".to_owned();
        let severity = if failing.is_empty() { Severity::Warning } else { Severity::Critical };
        let at = (Origin::Ingresses, ingress.created);
        troubles.push(trouble(severity, at, (cause::BALANCER_PENDING, 0.7), says));
    }
    // Of what is equally plain, what was there first.
    let plain = |one: &Trouble| one.cause.weight >= PLAIN;
    troubles.sort_by_key(|one| (!plain(one), plain(one).then_some(one.since)));
    let title = title(&format!("ingress {}", ingress.key.name), reaches.len(), &failing, &troubles)?;
    let subject = Subject::Object(ObjectRef::new(Kind::Ingress, ingress.key.clone()));
    let (absent, there): (Vec<&Unserved>, Vec<&Unserved>) = empty.iter().partition(|one| one.is_absent);
    let first = there.first().or(absent.first()).map(|one| &one.service);
    let mut bindings = bindings(scene, ingress, reaches, first);
    bindings.extend(absent.first().map(|one| ("absent_service", one.service.to_string())));
    bindings.extend(more);
    let touches = touches(scene, ingress, &bindings);
    anomaly(scene, subject, title, troubles, reaches, (bindings, touches))
}

fn of_host(scene: &Scene<'_>, host: &Name, reach: &Reach) -> Option<Anomaly> {
    let troubles: Vec<Trouble> = of_walk(scene, reach).into_iter().collect();
    let title = title(host, 1, &[&reach], &troubles)?;
    let bindings = [("host", host.to_string())].into();
    anomaly(scene, Subject::Host(host.clone()), title, troubles, &[reach], (bindings, Vec::new()))
}

fn is_answered(reach: &Reach) -> bool {
    matches!(reach.last.ended, Ended::Answered { status } if status < 500)
}

fn of_walk(scene: &Scene<'_>, reach: &Reach) -> Option<Trouble> {
    let (layer, says) = reach.last.failed()?;
    let lasting = f64::from(reach.fails) >= scene.threshold(&FAILS);
    let severity = if lasting { Severity::Critical } else { Severity::Suspect };
    let since = reach.since.unwrap_or(reach.last.at);
    let says = format!("{}: {layer} fails: {}", reach.last.host, quote(says));
    Some(trouble(severity, (Origin::Reach, since), (cause_of(layer, &says), 0.85), says))
}

/// What a failing layer means, by the words of whoever failed.
fn cause_of(layer: Layer, says: &str) -> &'static str {
    match layer {
        Layer::Dns => cause::DNS_WRONG,
        Layer::Tcp => cause::BALANCER_UNREACHABLE,
        Layer::Tls if says.contains("expired") => cause::EXPIRED,
        Layer::Tls if says.contains("a certificate for") => cause::NAME_MISMATCH,
        Layer::Tls => cause::HANDSHAKE_FAILED,
        _ if says.contains("default backend") => cause::NO_ROUTE,
        _ if says.contains("503") => cause::NO_ENDPOINTS,
        _ => cause::BAD_GATEWAY,
    }
}

/// `ingress shop: 2 of 2 hosts down at TCP: …`.
fn title(named: &str, all: usize, failing: &[&&Reach], troubles: &[Trouble]) -> Option<String> {
    let first = failing.iter().filter_map(|reach| reach.last.failed()).min_by_key(|(layer, _)| *layer);
    if let Some((layer, says)) = first {
        let is_plain =
            |one: &&Trouble| one.origin == Origin::EndpointSlices || one.cause.name == cause::BACKEND_PORT;
        let inside = troubles.iter().find(is_plain);
        // A name that leads nowhere says little where there is nobody to lead to.
        if let Some(inside) = inside.filter(|_| layer == Layer::Dns) {
            return Some(format!("{named}: {}", inside.cause.says));
        }
        let inside = inside.filter(|_| layer == Layer::Http);
        let says = inside.map_or_else(|| quote(says), |one| one.cause.says.clone());
        let count = if all > 1 { format!("{} of {all} hosts", failing.len()) } else { "the host".into() };
        return Some(format!("{named}: {count} down at {layer}: {says}"));
    }
    troubles.first().map(|one| format!("{named}: {}", one.cause.says))
}

fn anomaly(
    scene: &Scene<'_>,
    subject: Subject,
    title: String,
    mut troubles: Vec<Trouble>,
    reaches: &[&Reach],
    (bindings, touches): (Bindings, Vec<ObjectRef>),
) -> Option<Anomaly> {
    // What was so while hosts were served did not begin it.
    let is_old = |one: &Trouble| one.cause.name == cause::CERTIFICATE_ABSENT;
    let all_old = troubles.iter().all(is_old);
    let acute = || troubles.iter().filter(|one| all_old || !is_old(one));
    let worst = acute().map(|one| one.severity).max()?;
    let onset = acute().filter(|one| one.severity == worst).map(|one| one.since).min()?.min(scene.now);
    // Outside and inside agree.
    let agree = [Origin::Reach, Origin::EndpointSlices]
        .iter()
        .all(|origin| troubles.iter().any(|one| one.origin == *origin));
    let base = match worst {
        Severity::Critical => 0.85,
        Severity::Warning => 0.7,
        Severity::Suspect => 0.55,
    };
    troubles.sort_by(|one, other| other.cause.weight.total_cmp(&one.cause.weight));
    let mut facts: Vec<_> =
        troubles.iter().map(|one| evidence(one.origin, Some(one.since), one.cause.says.clone())).collect();
    for reach in reaches.iter().take(4) {
        if let Ended::Answered { status } = reach.last.ended {
            facts.push(evidence(
                Origin::Reach,
                Some(reach.last.at),
                format!("{} answers {status}", reach.last.host),
            ));
        }
        if let Some(note) = &reach.last.note {
            facts.push(evidence(Origin::Reach, Some(reach.last.at), quote(note)));
        }
    }
    let mut causes: Vec<Cause> = Vec::new();
    for one in troubles {
        // Several hosts tell the same; one is enough.
        if !causes.iter().any(|known| known.name == one.cause.name) {
            causes.push(one.cause);
        }
    }
    shown(Anomaly {
        id: AnomalyId(format!("{}/{}", RULE.name, named(&subject)).into()),
        rule: RULE.name.into(),
        severity: worst,
        score: base + if agree { 0.1 } else { 0.0 },
        onset,
        title,
        evidence: facts,
        causes,
        touches,
        bindings,
        pages_at: None,
        subject,
    })
}

fn named(subject: &Subject) -> String {
    match subject {
        Subject::Object(object) => format!("{}/{}", object.kind.for_kubectl(), object.key),
        other => other.to_string(),
    }
}

pub(super) fn bindings(
    scene: &Scene<'_>,
    ingress: &Ingress,
    reaches: &[&Reach],
    empty: Option<&Name>,
) -> Bindings {
    let mut bindings = Bindings::new();
    bindings.insert("namespace", ingress.key.namespace.to_string());
    bindings.insert("ingress", ingress.key.name.to_string());
    let failing = reaches.iter().find(|reach| reach.fails > 0).map(|reach| &reach.last.host);
    let host = failing.or_else(|| ingress.hosts.first());
    bindings.extend(host.map(|host| ("host", host.to_string())));
    bindings.extend(ingress.addresses.first().map(|address| ("balancer", address.to_string())));
    let service = empty.or_else(|| ingress.services.first());
    if let Some(service) = service {
        bindings.insert("service", service.to_string());
        let key = Key::new(ingress.key.namespace.clone(), service.clone());
        bindings.extend(deployment_of(scene, &key).map(|name| ("deployment", name.to_string())));
    }
    let secret = ingress.tls.first().map(|(_, secret)| secret);
    let of_secret = |secret: &Name| {
        let all = scene.snapshot.certificates.iter();
        all.filter(|one| one.key.namespace == ingress.key.namespace && one.secret == *secret)
            .map(|one| &one.key.name)
            .min()
    };
    bindings.extend(secret.and_then(of_secret).map(|name| ("certificate", name.to_string())));
    bindings
}

/// The Deployment whose pods a Service selects, or that bears its name.
fn deployment_of<'a>(scene: &Scene<'a>, key: &Key) -> Option<&'a Name> {
    let snapshot = scene.snapshot;
    let selected = snapshot.services.get(key).map(|service| backing::deployments(scene, service));
    let first = selected.and_then(|selected| selected.first().copied());
    first.or_else(|| snapshot.deployments.get(key)).map(|one| &one.key.name)
}

fn touches(scene: &Scene<'_>, ingress: &Ingress, bindings: &Bindings) -> Vec<ObjectRef> {
    let key = |name: &str| Key::new(ingress.key.namespace.clone(), name);
    let mut touches = vec![ObjectRef::new(Kind::Ingress, ingress.key.clone())];
    touches.extend(ingress.services.iter().map(|service| ObjectRef::new(Kind::Service, key(service))));
    if let Some(name) = bindings.get("deployment") {
        let deployment = key(name);
        touches.push(ObjectRef::new(Kind::Deployment, deployment.clone()));
        if let Some(found) = scene.snapshot.deployments.get(&deployment) {
            let newest = scene.revisions(found).first();
            touches.extend(newest.map(|set| ObjectRef::new(Kind::ReplicaSet, set.key.clone())));
        }
    }
    touches.extend(bindings.get("certificate").map(|name| ObjectRef::new(Kind::Certificate, key(name))));
    touches
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_a_layer_tell_its_cause() {
        assert_eq!(
            cause_of(Layer::Tls, "a: TLS fails: a serves a certificate that expired 3h ago"),
            cause::EXPIRED
        );
        assert_eq!(cause_of(Layer::Http, "192.0.2.1:443 answers 504"), cause::BAD_GATEWAY);
        assert_eq!(cause_of(Layer::Http, "192.0.2.1:443 answers 503"), cause::NO_ENDPOINTS);
    }
}
