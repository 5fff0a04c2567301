//! Requests that stop arriving while the pods that answered them are Ready: a fault in front of the cluster looks like
//! calm from within.

use jiff::SignedDuration;

use crate::domain::{
    Anomaly, AnomalyId, BlindKind, Cause, Deployment, Evidence, Ingress, Key, Kind, Name, ObjectRef, Origin,
    Series, Severity, Subject, Timestamp, WorkloadTraffic, between, cause, text,
};

use super::own_traffic::deployment;
use super::traffic::{ANSWERS, bindings};
use super::workload::{Bindings, evidence};
use super::{Rule, Scene, Threshold, Unit, backing, ingress_down, shown};

const USUAL: Threshold = Threshold {
    key: "traffic-gone.usual",
    default: 1.0,
    unit: Unit::PerSecond,
    says: "requests per second that are usual, below which nobody misses them",
    source: "our own choice: two minutes without one of them are then no chance",
};
const SHARE: Threshold = Threshold {
    key: "traffic-gone.share",
    default: 0.03,
    unit: Unit::Ratio,
    says: "share of the usual that still counts as nothing: probes, and whoever watches",
    source: "our own choice",
};
const AFTER: Threshold = Threshold {
    key: "traffic-gone.after",
    default: 60.0,
    unit: Unit::Seconds,
    says: "how long nothing comes before it is more than suspected",
    source: "our own choice: the window of rates, two minutes, has passed before",
};

pub(super) static RULE: Rule = Rule {
    name: "traffic-gone",
    title: "Requests gone",
    says: "Steady requests, of a namespace or of one workload, that fall to nothing while pods are Ready. Silent where it is \
           quiet at this time on other days, where they come and go anyway, where others answer them instead, about few \
           requests, about workloads that are scaled to 0 or have no pod Ready, and about series that vanish: that is \
           blindness.",
    needs: ANSWERS,
    awaits: &[Origin::Deployments],
    thresholds: &[USUAL, SHARE, AFTER],
    examine,
};

/// Older samples are history.
const FRESH: SignedDuration = SignedDuration::from_secs(90);
/// How long they have to have been steady before: where other days are remembered, and where they are not.
const KNOWN: SignedDuration = SignedDuration::from_mins(10);
const UNKNOWN: SignedDuration = SignedDuration::from_mins(45);
/// What is steady never falls below this share of the middle; what still counts as before the fall is above that one.
const STEADY: f64 = 0.25;
const BEFORE: f64 = 0.8;
/// Of what one workload misses, so much is missing from the sum, too: else others answer in its place.
const MISSED: f64 = 0.5;
/// Share of the series that has to be there still.
const SERIES: f64 = 0.9;

fn examine(scene: &Scene<'_>) -> Vec<Anomaly> {
    let traffic = &scene.snapshot.traffic;
    let is_blind = traffic.errors_unseen.as_ref().is_some_and(|blind| blind.kind == BlindKind::Broken);
    if is_blind || scene.snapshot.blindness(Origin::Prometheus, scene.now).is_some() {
        return Vec::new();
    }
    if let Some(fall) = fall(scene, &traffic.rate, traffic.rate_earlier) {
        return Vec::from_iter(of_all(scene, &fall));
    }
    let fallen = traffic.workloads.iter().filter_map(|workload| {
        let fall = fall(scene, &workload.rate, workload.rate_earlier)?;
        is_missed_in_the_sum(scene, workload, &fall).then_some((workload, fall))
    });
    fallen.filter_map(|(workload, fall)| of_one(scene, workload, &fall)).collect()
}

/// Requests that were steady, and are next to none.
struct Fall {
    /// Requests per second, before and now.
    before: f64,
    now: f64,
    /// Since when they have fallen.
    since: Timestamp,
    /// Since when there have been next to none.
    stopped: Timestamp,
    /// They come at this time on other days.
    is_unusual: bool,
}

fn fall(scene: &Scene<'_>, rate: &Series, earlier: Option<f64>) -> Option<Fall> {
    let (at, now) = rate.last().filter(|(at, _)| scene.now.duration_since(*at) <= FRESH)?;
    let points = rate.points();
    // The hours of silence themselves do not make silence usual.
    let few = rate.max()? * scene.threshold(&SHARE);
    if now > few {
        return None;
    }
    let middle = median(points.iter().map(|(_, value)| *value).filter(|value| *value > few))?;
    let nothing = middle * scene.threshold(&SHARE);
    let first = points.iter().rposition(|(_, value)| *value > nothing)? + 1;
    let (stopped, _) = *points.get(first)?;
    let last = points[..first].iter().rposition(|(_, value)| *value >= middle * BEFORE)?;
    let (since, _) = points[last];
    let before: Vec<(Timestamp, f64)> = points[..=last]
        .iter()
        .copied()
        .filter(|(at, _)| since.duration_since(*at) <= SignedDuration::from_hours(1))
        .collect();
    let usual = median(before.iter().map(|(_, value)| *value))?;
    let is_steady = before.iter().all(|(_, value)| *value >= usual * STEADY);
    let is_quiet_on_other_days = earlier.is_some_and(|earlier| earlier < usual * STEADY);
    let needed = if earlier.is_some() { KNOWN } else { UNKNOWN };
    let lasted = since.duration_since(before.first()?.0);
    if usual < scene.threshold(&USUAL)
        || now > usual * scene.threshold(&SHARE)
        || !is_steady
        || is_quiet_on_other_days
        || lasted < needed
        || at < stopped
        || series_went(scene, since, stopped)
    {
        return None;
    }
    Some(Fall { before: usual, now, since, stopped, is_unusual: earlier.is_some() })
}

/// What is not counted any more is not gone: a scrape may have broken.
fn series_went(scene: &Scene<'_>, since: Timestamp, stopped: Timestamp) -> bool {
    let series = &scene.snapshot.traffic.series;
    let near =
        |at: Timestamp| series.points().iter().rev().find(|(point, _)| *point <= at).map(|(_, count)| *count);
    let minutes = SignedDuration::from_mins;
    // A rate outlives its series by its window.
    let before = since.checked_sub(minutes(2)).unwrap_or(since);
    let after = stopped.checked_add(minutes(1)).unwrap_or(stopped);
    near(before).zip(near(after)).is_some_and(|(before, after)| after < before * SERIES)
}

fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

/// Whether what one workload misses is missing from all together in its namespace: another may answer in its place.
fn is_missed_in_the_sum(scene: &Scene<'_>, workload: &WorkloadTraffic, fall: &Fall) -> bool {
    let here = scene.snapshot.traffic.workloads.iter();
    let peers: Vec<&Series> = here
        .filter(|other| other.key.namespace == workload.key.namespace && other.key != workload.key)
        .map(|other| &other.rate)
        .collect();
    let at = |series: &Series, when: Timestamp| {
        series.points().iter().rev().find(|(at, _)| *at <= when).map_or(0.0, |(_, rate)| *rate)
    };
    let sum = |when: Timestamp| peers.iter().map(|series| at(series, when)).sum::<f64>();
    sum(scene.now) - sum(fall.since) <= fall.before * (1.0 - MISSED)
}

/// Everything that is looked at.
fn of_all(scene: &Scene<'_>, fall: &Fall) -> Option<Anomaly> {
    let namespace = scene.snapshot.traffic.namespace.clone();
    let everywhere = namespace.is_empty();
    let here = |deployment: &&Deployment| everywhere || deployment.key.namespace == namespace;
    let deployments: Vec<&Deployment> = scene.snapshot.deployments.iter().filter(here).collect();
    let whose = if everywhere { "the cluster".to_owned() } else { namespace.to_string() };
    let severity = match () {
        () if !scene.has_lasted(fall.stopped, &AFTER) => Severity::Suspect,
        () if fall.is_unusual => Severity::Critical,
        () => Severity::Warning,
    };
    anomaly(scene, (Subject::Traffic(namespace.clone()), &namespace), &whose, &deployments, fall, severity)
}

fn of_one(scene: &Scene<'_>, workload: &WorkloadTraffic, fall: &Fall) -> Option<Anomaly> {
    let deployment = deployment(scene, &workload.key);
    let severity = if deployment.is_some() && fall.is_unusual && scene.has_lasted(fall.stopped, &AFTER) {
        Severity::Warning
    } else {
        Severity::Suspect
    };
    let subject = match deployment {
        Some(deployment) => Subject::Object(ObjectRef::new(Kind::Deployment, deployment.key.clone())),
        None => Subject::Traffic(workload.key.namespace.clone()),
    };
    let whose = workload.key.name.to_string();
    let subject = (subject, &workload.key.namespace);
    anomaly(scene, subject, &whose, deployment.as_slice(), fall, severity)
}

fn anomaly(
    scene: &Scene<'_>,
    (subject, namespace): (Subject, &Name),
    whose: &str,
    deployments: &[&Deployment],
    fall: &Fall,
    severity: Severity,
) -> Option<Anomaly> {
    let (wanted, ready) =
        deployments.iter().fold((0, 0), |sum, one| (sum.0 + one.replicas, sum.1 + one.ready));
    // Scaled to nothing on purpose, or down: that is another story.
    if !deployments.is_empty() && ready == 0 {
        return None;
    }
    let clock = fall.since.strftime("%H:%M");
    let now = if fall.now < 0.05 { "0".to_owned() } else { format!("{:.1}", fall.now) };
    let title =
        format!("no requests reach {whose} any more: {now}/s since {clock}, {:.0}/s before", fall.before);
    let mut facts = vec![evidence(
        Origin::Prometheus,
        Some(fall.since),
        format!("{:.1} requests a second came until then, {now} come now", fall.before),
    )];
    if fall.is_unusual {
        let says = "at this time they come on other days (yesterday, a week ago)";
        facts.push(evidence(Origin::Prometheus, None, says.to_owned()));
    }
    facts.extend(pods_are_ready(wanted, ready));
    let says = format!(
        "requests stopped {} ago while {}: look in front of them: DNS, CDN, load balancer, Ingress",
        text::span(between(fall.since, scene.now)),
        if wanted > 0 { "pods are Ready" } else { "their counters go on" },
    );
    let ingress = ingress(scene, namespace, deployments);
    let mut bound = bindings(scene, namespace);
    bound
        .extend(ingress.map(|ingress| ingress_down::bindings(scene, ingress, &[], None)).unwrap_or_default());
    if let [only] = deployments {
        bound.insert("deployment", only.key.name.to_string());
    }
    let named = match &subject {
        Subject::Object(_) => format!("{namespace}/{whose}"),
        _ if deployments.is_empty() && **namespace != *whose => format!("{namespace}/{whose}"),
        _ => whose.to_owned(),
    };
    shown(Anomaly {
        id: AnomalyId(format!("{}/{named}", RULE.name).into()),
        rule: RULE.name.into(),
        subject,
        severity,
        score: match severity {
            Severity::Critical => 0.9,
            Severity::Warning => 0.8,
            Severity::Suspect => 0.6,
        },
        onset: fall.since,
        title,
        evidence: facts,
        causes: vec![Cause { name: cause::TRAFFIC_GONE, says, weight: 0.8 }],
        touches: touches(deployments, ingress, &bound),
        bindings: bound,
        pages_at: None,
    })
}

fn pods_are_ready(wanted: u32, ready: u32) -> Option<Evidence> {
    let says = format!("{ready} of {wanted} replicas are ready");
    (wanted > 0).then(|| evidence(Origin::Deployments, None, says))
}

/// The Ingress that leads to them, the first by name.
fn ingress<'a>(scene: &Scene<'a>, namespace: &Name, deployments: &[&Deployment]) -> Option<&'a Ingress> {
    let leads_there = |ingress: &&Ingress| {
        let services = ingress.services.iter();
        let mut services = services.filter_map(|name| {
            let key = Key::new(ingress.key.namespace.clone(), name.clone());
            scene.snapshot.services.get(&key)
        });
        ingress.key.namespace == *namespace
            && services.any(|service| deployments.iter().any(|one| backing::is_behind(service, one)))
    };
    scene.snapshot.ingresses.iter().filter(leads_there).min_by_key(|ingress| &ingress.key)
}

fn touches(deployments: &[&Deployment], ingress: Option<&Ingress>, bound: &Bindings) -> Vec<ObjectRef> {
    let of = |one: &&Deployment| ObjectRef::new(Kind::Deployment, one.key.clone());
    let mut touches: Vec<ObjectRef> = deployments.iter().map(of).collect();
    if let Some(ingress) = ingress {
        touches.push(ObjectRef::new(Kind::Ingress, ingress.key.clone()));
        let service = bound.get("service").map(|name| {
            let key = Key::new(ingress.key.namespace.clone(), name.as_str());
            ObjectRef::new(Kind::Service, key)
        });
        touches.extend(service);
    }
    touches
}
