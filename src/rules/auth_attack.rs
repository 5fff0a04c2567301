//! Somebody tries passwords: many more refused requests than is usual, for minutes.

use std::collections::BTreeSet;

use jiff::SignedDuration;

use crate::domain::{
    Anomaly, AnomalyId, Cause, Key, Kind, Name, ObjectRef, Origin, ReplicaSet, Severity, Timestamp, cause,
};

use super::traffic::{ANSWERS, MIN_RATE, Step, bindings, climb, subject};
use super::workload::evidence;
use super::{Rule, Scene, Threshold, Unit, own_traffic, shown};

const RATE: Threshold = Threshold {
    key: "auth-attack.rate",
    default: 1.0,
    unit: Unit::PerSecond,
    says: "requests refused with 401, 403 or 429",
    source: "our own choice",
};
const TIMES: Threshold = Threshold {
    key: "auth-attack.times",
    default: 5.0,
    unit: Unit::Ratio,
    says: "how many times what is usual: yesterday at this time, else the lower quarter of the day or hour before",
    source: "our own choice; the same time yesterday is the usual comparison",
};
const AFTER: Threshold = Threshold {
    key: "auth-attack.warning-after",
    default: 300.0,
    unit: Unit::Seconds,
    says: "how long it lasts before it is a warning",
    source: "our own choice",
};

const FLOOD: Threshold = Threshold {
    key: "auth-attack.flood",
    default: 10.0,
    unit: Unit::PerSecond,
    says: "requests refused, where twenty times as many are not usual either",
    source: "our own choice: ten a second are no person's",
};
const FLOOD_AFTER: Threshold = Threshold {
    key: "auth-attack.flood-after",
    default: 60.0,
    unit: Unit::Seconds,
    says: "how long a flood lasts before it is a warning",
    source: "our own choice: half of the window of rates",
};
/// How many times what is usual a flood is.
const FLOOD_TIMES: f64 = 20.0;
/// The share of the refusals that makes one workload the one that refuses.
const MOST: f64 = 0.8;

/// A change this long before explains our own clients' refusals (audit, section 3).
const CHANGED: SignedDuration = SignedDuration::from_mins(30);
/// Samples (30 s each) without which nothing is called usual; and so many before a climb that they tell what was.
const USUAL: usize = 40;
const BEFORE: usize = 10;

pub(super) static RULE: Rule = Rule {
    name: "auth-attack",
    title: "Logins attacked",
    says: "Refused requests (401, 403, 429) against what was usual before. Who does it, the logs tell.",
    needs: ANSWERS,
    awaits: &[],
    thresholds: &[RATE, TIMES, AFTER, FLOOD, FLOOD_AFTER, MIN_RATE],
    examine,
};

fn examine(scene: &Scene<'_>) -> Vec<Anomaly> {
    Vec::from_iter(anomaly(scene))
}

fn anomaly(scene: &Scene<'_>) -> Option<Anomaly> {
    let traffic = &scene.snapshot.traffic;
    let denied = &traffic.denied;
    let steps = [Step { severity: Severity::Warning, level: scene.threshold(&RATE), after: &AFTER }];
    // Fresh, with traffic, and above the rate at all.
    let climb = climb(scene, traffic.errors_unseen.as_ref(), denied, &steps)?;
    let usual = usual(scene)?;
    let level = scene.threshold(&RATE).max(usual * scene.threshold(&TIMES));
    let onset = denied.above_since(level)?;
    let flood = denied.above_since(scene.threshold(&FLOOD).max(usual * FLOOD_TIMES));
    let is_flood = flood.is_some_and(|since| scene.has_lasted(since, &FLOOD_AFTER));
    let lasts = scene.has_lasted(onset, &AFTER) || is_flood;
    let severity = if lasts { Severity::Warning } else { Severity::Suspect };
    let mut facts = vec![evidence(
        Origin::Prometheus,
        Some(onset),
        format!("{:.1} requests a second are refused (401, 403, 429); {usual:.1} are usual", climb.value),
    )];
    let refusing = refusing(scene, climb.value);
    if let Some(key) = refusing {
        facts.push(evidence(Origin::Prometheus, None, format!("{} refuses them", key.name)));
    }
    let mut causes = Vec::new();
    if let Some((at, what)) = changed(scene, onset, refusing) {
        let says = format!("{what} shortly before: our own clients may be the ones that fail");
        facts.push(evidence(Origin::Secrets, Some(at), what));
        causes.push(Cause { name: cause::OWN_CLIENTS, says, weight: 0.7 });
    }
    let (subject, mut namespace) = subject(scene);
    if let (true, Some(place)) = (namespace.is_empty(), &scene.snapshot.traffic.denied_in) {
        namespace = place.clone();
    }
    let mut bindings = bindings(scene, &namespace);
    bindings.extend(ingress(scene, &namespace).map(|name| ("ingress", name)));
    bindings.extend(balancer(scene, &namespace).map(|address| ("balancer", address)));
    let ours = !causes.is_empty();
    if !ours {
        let says = format!(
            "{:.0} times what is usual, and nothing of ours was changed",
            climb.value / usual.max(0.1)
        );
        causes.push(Cause { name: cause::PASSWORD_GUESSING, says, weight: 0.6 });
    }
    let score = 0.5 + if severity > Severity::Suspect { 0.2 } else { 0.0 } - if ours { 0.2 } else { 0.0 };
    shown(Anomaly {
        id: AnomalyId(format!("{}/{subject}", RULE.name).into()),
        rule: RULE.name.into(),
        subject,
        severity,
        score,
        onset,
        title: format!("{:.1} logins or calls a second are refused", climb.value),
        evidence: facts,
        causes,
        touches: Vec::new(),
        bindings,
        pages_at: None,
    })
}

/// What is usual: what Prometheus remembers of it; where it remembers nothing, the lower quarter of what came before
/// the refusals climbed. Without even that, the lower quarter of the last hour.
fn usual(scene: &Scene<'_>) -> Option<f64> {
    let traffic = &scene.snapshot.traffic;
    if let Some(usual) = traffic.denied_usual {
        return Some(usual);
    }
    let points = traffic.denied.points();
    if points.len() < USUAL {
        return None;
    }
    let climbed = traffic.denied.above_since(scene.threshold(&RATE));
    let before = points.partition_point(|(at, _)| climbed.is_none_or(|climbed| *at < climbed));
    let told = if before < BEFORE { points } else { &points[..before] };
    let mut values: Vec<f64> = told.iter().map(|(_, value)| *value).collect();
    values.sort_by(f64::total_cmp);
    Some(values[values.len() / 4])
}

/// The Ingress in front, when there is one, and a controller that knows a list of networks to turn away.
fn ingress(scene: &Scene<'_>, namespace: &Name) -> Option<String> {
    let of_nginx = |class: &Option<Name>| class.as_ref().is_none_or(|class| class.contains("nginx"));
    let mut here = scene
        .snapshot
        .ingresses
        .iter()
        .filter(|ingress| ingress.key.namespace == *namespace && of_nginx(&ingress.class));
    match (here.next(), here.next()) {
        (Some(one), None) => Some(one.key.name.to_string()),
        _ => None,
    }
}

/// The address of the load balancer in front, when there is one.
fn balancer(scene: &Scene<'_>, namespace: &Name) -> Option<String> {
    let here = scene.snapshot.ingresses.iter().filter(|ingress| ingress.key.namespace == *namespace);
    let addresses: BTreeSet<&Name> = here.filter_map(|ingress| ingress.addresses.first()).collect();
    addresses.first().filter(|_| addresses.len() == 1).map(ToString::to_string)
}

/// The workload that refuses nearly all of them, where labels tell workloads apart.
fn refusing<'a>(scene: &Scene<'a>, all: f64) -> Option<&'a Key> {
    let (key, rate) = scene.snapshot.traffic.denied_by.as_ref()?;
    (*rate >= MOST * all).then_some(key)
}

/// A Secret or a revision that came shortly before: of the workload that refuses, where that is known, else of the
/// traffic's namespace. What others were rolled out with does not change whom this one lets in.
fn changed(scene: &Scene<'_>, onset: Timestamp, refusing: Option<&Key>) -> Option<(Timestamp, String)> {
    let namespace = &scene.snapshot.traffic.namespace;
    let own = refusing.and_then(|key| own_traffic::deployment(scene, key));
    let lately = |at: &Timestamp| *at <= onset && onset.duration_since(*at) <= CHANGED;
    let here = |name: &Name| namespace.is_empty() || name == namespace;
    let uses = |key: &Key| {
        let secret = ObjectRef::new(Kind::Secret, key.clone());
        own.is_none_or(|own| own.template.references.iter().any(|reference| reference.object == secret))
    };
    let is_of =
        |set: &ReplicaSet| own.is_none_or(|own| set.owner.as_ref().is_some_and(|owner| owner.uid == own.uid));
    let secrets =
        scene.snapshot.secrets.iter().filter(|secret| here(&secret.key.namespace) && uses(&secret.key));
    let secrets = secrets.filter_map(|secret| {
        let at = secret.edited.as_ref().map(|edit| edit.at).filter(lately)?;
        Some((at, format!("Secret {} was changed", secret.key.name)))
    });
    let sets = scene.snapshot.replica_sets.iter();
    let sets = sets
        .filter(|set| here(&set.key.namespace) && lately(&set.created) && set.replicas > 0 && is_of(set))
        .map(|set| (set.created, format!("{} was rolled out", set.key.name)));
    secrets.chain(sets).max_by_key(|(at, _)| *at)
}
