//! What crashes for want of something that is itself ill: a name in its last words, the cluster's DNS, or the one
//! stateful neighbour that went. Knows words and places, not connections: nobody draws us a map.

use std::borrow::Cow;

use jiff::SignedDuration;

use crate::domain::{Anomaly, AnomalyId, Cause, Kind, ObjectRef, Snapshot, cause, wrong_port};

use super::conditions::has_cause;
use super::links::Edge;

/// How long after what it needs went a container may begin to crash.
const WINDOW: SignedDuration = SignedDuration::from_mins(15);
/// Nobody misses a webhook until the next pod is made.
const WEBHOOK_WINDOW: SignedDuration = SignedDuration::from_hours(24);
/// Onsets are estimates: what crashes at once may seem to have begun first.
const SLACK: SignedDuration = SignedDuration::from_mins(2);

/// Rules that say of a workload, or of the node it is on, that it cannot answer.
const SILENCES: &[&str] = &["crash-loop", "image-pull", "rollout-stuck", "node-notready"];

/// Or that nobody is there to answer: a Service whose workload was scaled to 0, or that selects nobody.
fn is_silence(anomaly: &Anomaly) -> bool {
    const NOBODY: &[&str] =
        &[cause::SCALED_TO_ZERO, cause::SERVICE_SELECTOR, cause::NO_ENDPOINTS, cause::ENDPOINTS_BY_HAND];
    SILENCES.contains(&&*anomaly.rule) || &*anomaly.rule == "ingress-down" && has_cause(anomaly, NOBODY)
}

/// Every trouble that another anomaly explains: the names it could not reach are those of what is ill, or it says
/// nothing, and what it leans on went with its node.
pub(super) fn edges(anomalies: &[Anomaly]) -> Vec<Edge> {
    let mut edges = Vec::new();
    for (effect, trouble) in anomalies.iter().enumerate() {
        let words = last_words(trouble);
        let is_wordless = words.is_none() && is_wordless(trouble);
        let window = words.as_ref().map_or(WINDOW, |(_, window)| *window);
        for (cause, ill) in anomalies.iter().enumerate() {
            let after = trouble.onset.duration_since(ill.onset);
            if cause == effect || !is_silence(ill) || after < -SLACK || after > window {
                continue;
            }
            let found = match &words {
                Some((words, _)) => explains(ill, trouble, words),
                None => (is_wordless && took_a_neighbour(ill, trouble)).then_some((LEANED_ON, 0.5)),
            };
            edges.extend(found.map(|(why, weight)| Edge { cause, effect, why, weight }));
        }
    }
    edges
}

/// The anomalies with what was read of their containers' logs since: whom they could not reach. Only so far do words
/// matter here, and most say them in their log alone.
pub fn with_words<'a>(
    anomalies: &'a [Anomaly],
    snapshot: &Snapshot,
    words: impl Fn(&AnomalyId) -> Option<&'a str>,
) -> Cow<'a, [Anomaly]> {
    let mut told = Cow::Borrowed(anomalies);
    for (index, anomaly) in anomalies.iter().enumerate() {
        if !matches!(&*anomaly.rule, "crash-loop" | "job-failed") {
            continue;
        }
        let own = last_words(anomaly).map(|(words, _)| words);
        let read = words(&anomaly.id).filter(|_| own.is_none());
        if let Some(words) = read {
            let says = format!("its log ends{SAYING}{words}");
            let heard = Cause { name: cause::DATABASE_UNREACHABLE, says, weight: 0.6 };
            told.to_mut()[index].causes.push(heard);
        }
        let wrong = home(anomaly).zip(own.as_deref().or(read));
        if let Some(wrong) = wrong.and_then(|(home, words)| wrong_port(&snapshot.services, home, words)) {
            let key = &wrong.service.key;
            let anomaly = &mut told.to_mut()[index];
            anomaly.bindings.insert("called", format!("{key}:{}", wrong.port));
            anomaly.touches.push(ObjectRef::new(Kind::Service, key.clone()));
            anomaly.causes.insert(0, Cause { name: cause::WRONG_PORT, says: wrong.says(), weight: 0.9 });
        }
    }
    told
}

/// What stands before are our own words.
const SAYING: &str = " saying: ";

const LEANED_ON: &str = "what went with that node may be what it waits for";

/// Fails in a way that may be for want of something else, and nothing of its own was changed.
fn is_wordless(trouble: &Anomaly) -> bool {
    let first = trouble.causes.first().map(|row| row.name);
    let waits = match &*trouble.rule {
        "crash-loop" => {
            matches!(first, Some(cause::CRASH | cause::LIVENESS_KILLED | cause::STARTUP_KILLED))
        }
        "rollout-stuck" => first == Some(cause::READINESS),
        _ => false,
    };
    waits && !has_cause(trouble, &[cause::BAD_REVISION, cause::CONFIG_CHANGED, cause::CONFIG_ERROR])
}

/// A node went with a stateful neighbour of it.
fn took_a_neighbour(node: &Anomaly, trouble: &Anomaly) -> bool {
    let home = home(trouble);
    let is_neighbour = |object: &&ObjectRef| {
        object.kind == Kind::StatefulSet
            && home == Some(&*object.key.namespace)
            && !trouble.touches.contains(object)
    };
    &*node.rule == "node-notready" && node.touches.iter().any(|object| is_neighbour(&object))
}

/// The namespace of the workload it is about.
fn home(trouble: &Anomaly) -> Option<&str> {
    trouble.touches.iter().find(|object| is_workload(object)).map(|object| &*object.key.namespace)
}

/// What a container, or the API server, said of something that it could not reach, in lower case; and how long before
/// that may have gone.
fn last_words(anomaly: &Anomaly) -> Option<(String, SignedDuration)> {
    let named = |name: &str| anomaly.causes.iter().find(|row: &&Cause| row.name == name);
    match &*anomaly.rule {
        "crash-loop" | "job-failed" => {
            let says = named(cause::DATABASE_UNREACHABLE)?.says.to_lowercase();
            says.split_once(SAYING).map(|(_, words)| (words.to_owned(), WINDOW))
        }
        "rollout-stuck" => Some((named(cause::WEBHOOK)?.says.to_lowercase(), WEBHOOK_WINDOW)),
        _ => None,
    }
}

fn explains(ill: &Anomaly, crash: &Anomaly, words: &str) -> Option<(&'static str, f64)> {
    let own = &crash.touches;
    let mut others = ill.touches.iter().filter(|object| !own.contains(object));
    if is_about_names(words) && others.clone().any(is_dns) {
        return Some(("no name can be resolved without the cluster's DNS", 0.85));
    }
    let service = ill.bindings.get("service").filter(|_| &*ill.rule != "node-notready");
    let served = service.zip(ill.touches.iter().find(|object| is_workload(object)));
    let names = others
        .clone()
        .filter(|object| is_workload(object))
        .map(|object| (&*object.key.name, &*object.key.namespace))
        .chain(served.map(|(name, object)| (name.as_str(), &*object.key.namespace)));
    let home = home(crash);
    if names.into_iter().any(|(name, namespace)| is_named(words, name, namespace, home)) {
        return Some(("its last words name it", 0.85));
    }
    // An address says no name; then it is the stateful neighbour, if there is one.
    let neighbour =
        |object: &ObjectRef| object.kind == Kind::StatefulSet && home == Some(&*object.key.namespace);
    (is_address_only(words) && others.any(neighbour))
        .then_some(("the address that does not answer may be its", 0.6))
}

fn is_workload(object: &ObjectRef) -> bool {
    matches!(object.kind, Kind::Deployment | Kind::StatefulSet | Kind::DaemonSet)
}

fn is_dns(object: &ObjectRef) -> bool {
    is_workload(object)
        && &*object.key.namespace == "kube-system"
        && ["coredns", "kube-dns", "node-local-dns", "rke2-coredns"]
            .iter()
            .any(|name| object.key.name.starts_with(name))
}

/// The resolver's words, of several languages.
fn is_about_names(words: &str) -> bool {
    const RESOLVER: &[&str] = &[
        "lookup ",
        "no such host",
        "getaddrinfo",
        "enotfound",
        "eai_again",
        "unknownhost",
        "name or service not known",
        "name resolution",
        "could not translate host name",
        ":53",
    ];
    RESOLVER.iter().any(|phrase| words.contains(phrase))
}

/// Whether the words name a host of this object: `rabbitmq:5672`, `rabbitmq-0.rabbitmq`, `rabbitmq.queue.svc`.
fn is_named(words: &str, name: &str, namespace: &str, home: Option<&str>) -> bool {
    hosts(words).any(|host| {
        let mut labels = host.split('.');
        let first = labels.next().unwrap_or_default();
        let second = labels.next();
        let ordinal = first.strip_prefix(name).and_then(|rest| rest.strip_prefix('-'));
        let is_pod =
            ordinal.is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit()));
        let place = if is_pod { labels.next() } else { second };
        let is_host = second.is_some() || is_used_as_host(words, host);
        is_host && (first == name || is_pod) && place.or(home) == Some(namespace)
    })
}

/// A single word is a host where a port follows, or where a resolver or an address names it.
fn is_used_as_host(words: &str, host: &str) -> bool {
    let before =
        ["lookup ", "host ", "host \"", "//", "@", "enotfound ", "eai_again ", "unknownhostexception: "];
    words.match_indices(host).any(|(at, _)| {
        let port = words[at + host.len()..].strip_prefix(':');
        port.is_some_and(|rest| rest.starts_with(|digit: char| digit.is_ascii_digit()))
            || before.iter().any(|phrase| words[..at].ends_with(phrase))
    })
}

/// Whether all that the words say of a host is its address.
fn is_address_only(words: &str) -> bool {
    let mut addresses = tokens(words).filter(|word| word.parse::<std::net::Ipv4Addr>().is_ok());
    addresses.next().is_some() && !hosts(words).any(|host| host.contains('.') || is_used_as_host(words, host))
}

/// Words that may be host names.
fn hosts(words: &str) -> impl Iterator<Item = &str> {
    tokens(words).filter(|word| word.bytes().any(|byte| byte.is_ascii_alphabetic()))
}

fn tokens(words: &str) -> impl Iterator<Item = &str> {
    words
        .split(|character: char| !(character.is_ascii_alphanumeric() || matches!(character, '-' | '.')))
        .map(|word| word.trim_matches(['.', '-']))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::domain::{Delta, Key, Labels, Selector, Service, Severity, Subject, Timestamp};

    fn crash(kind: Kind, name: &str, space: &str) -> Anomaly {
        let key = Key::new(space, name);
        Anomaly {
            id: AnomalyId(format!("crash-loop/{name}").into()),
            rule: "crash-loop".into(),
            subject: Subject::Cluster,
            severity: Severity::Critical,
            score: 0.9,
            onset: Timestamp::UNIX_EPOCH,
            title: "crash-looping".into(),
            evidence: Vec::new(),
            causes: vec![Cause { name: cause::CRASH, says: "exit 1".into(), weight: 0.3 }],
            touches: vec![ObjectRef::new(kind, key)],
            bindings: BTreeMap::new(),
            pages_at: None,
        }
    }

    #[test]
    fn what_a_log_says_joins_a_client_to_what_it_could_not_reach() {
        let links = |log: Option<&str>| {
            let all = [crash(Kind::StatefulSet, "pg", "store"), crash(Kind::Deployment, "till", "store")];
            let words = |id: &AnomalyId| log.filter(|_| &*id.0 == "crash-loop/till");
            let told = with_words(&all, &Snapshot::default(), words);
            edges(&told).into_iter().map(|edge| (edge.cause, edge.effect)).collect::<Vec<_>>()
        };
        assert_eq!(links(None), []);
        for log in
            ["Error: connect ECONNREFUSED 10.0.96.43:5432", "dial tcp: lookup pg on 10.0.0.10:53: refused"]
        {
            assert_eq!(links(Some(log)), [(0, 1)], "{log}");
        }
        assert_eq!(links(Some("dial tcp: lookup redis on 10.0.0.10:53: refused")), []);
        let all =
            [crash(Kind::Deployment, "coredns", "kube-system"), crash(Kind::Deployment, "till", "store")];
        let log = "dial tcp: lookup orders.shop.svc.cluster.local on 10.0.0.10:53: i/o timeout";
        let told =
            with_words(&all, &Snapshot::default(), |id| Some(log).filter(|_| &*id.0 == "crash-loop/till"));
        let found: Vec<_> = edges(&told).into_iter().map(|edge| (edge.cause, edge.effect)).collect();
        assert_eq!(found, [(0, 1)], "without the cluster's DNS no name is found");
    }

    #[test]
    fn clients_that_call_the_same_port_in_vain_are_one_story() {
        let mut snapshot = Snapshot::default();
        let cache = |name: &str| Service {
            key: Key::new("store", name),
            created: Timestamp::UNIX_EPOCH,
            labels: Labels::default(),
            selector: Selector { labels: Labels::default(), has_expressions: false },
            ports: Box::new([(None, 6380)]),
            is_headless: false,
            edited: None,
        };
        snapshot.services.fold(Delta::Seen(vec![cache("cache"), cache("queue")]));
        let all = ["till", "web", "mail"].map(|name| crash(Kind::Deployment, name, "store"));
        let words = |id: &AnomalyId| match &*id.0 {
            "crash-loop/mail" => Some("connecting to queue:6379: refused"),
            _ => Some("connecting to cache:6379: refused"),
        };
        let told = with_words(&all, &snapshot, words);
        let found = super::super::links::edges(&told);
        let found: Vec<_> = found.iter().map(|edge| (edge.cause, edge.effect)).collect();
        assert_eq!(found, [(0, 1)], "the third calls another");
        assert!(super::super::links::edges(&with_words(&all, &Snapshot::default(), words)).is_empty());
    }

    #[test]
    fn hosts_in_last_words() {
        let named = |words: &str| is_named(words, "redis", "cache", Some("cache"));
        for words in [
            "dial tcp: lookup redis on 10.96.0.10:53: no such host",
            "connect econnrefused redis:6379",
            "could not connect to redis.cache.svc.cluster.local",
            "redis-0.redis.cache.svc: connection refused",
            "amqp://redis/ refused",
        ] {
            assert!(named(words), "{words}");
        }
        for words in [
            "redis client: connection refused",
            "lookup redis.other.svc: no such host",
            "lookup redis-cluster: no such host",
        ] {
            assert!(!named(words), "{words}");
        }
        assert!(is_address_only("dial tcp 10.96.44.7:5432: connect: no route to host"));
        assert!(!is_address_only("dial tcp: lookup db on 10.96.0.10:53: no such host"));
        assert!(!is_address_only("connection to db.example.com (10.1.2.3) refused"));
    }
}
