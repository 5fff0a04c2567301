//! Whose traffic is ill: one workload's beside others that are well, or that of a namespace as a whole. A sum hides
//! whoever is small.

use std::collections::BTreeMap;

use jiff::SignedDuration;

use crate::domain::{
    Blind, BlindKind, Deployment, Key, Name, Origin, Series, Severity, Snapshot, Timestamp, WorkloadTraffic,
};

use super::traffic::{Climb, MIN_RATE, Step, rise};
use super::{Scene, Threshold, Unit, backing, db_gone};

/// One workload has fewer requests than all together: a few that fail say less.
pub(super) const ALONE_AFTER: Threshold = Threshold {
    key: "traffic.alone-after",
    default: 60.0,
    unit: Unit::Seconds,
    says: "how long one workload alone fails or is slow before it is told",
    source: "our own choice: half of the window of rates",
};

/// Older samples of one workload are history: it may no longer be among those that stand out.
const FRESH: SignedDuration = SignedDuration::from_secs(90);
/// Requests of a workload that are missed for so long are gone: two looks.
const GONE: SignedDuration = SignedDuration::from_secs(30);
/// Estimates and clocks differ.
const SLACK: SignedDuration = SignedDuration::from_mins(1);
/// Requests per second below which nobody misses a workload (audit, section 3).
const MISSED: f64 = 0.5;

/// Traffic that is ill: whose it is, and how far.
pub(super) struct Ill<'a> {
    pub namespace: Name,
    pub climb: Climb,
    /// The one workload that it is about.
    pub workload: Option<&'a WorkloadTraffic>,
    /// The Deployment behind it, as far as it is known by that name.
    pub deployment: Option<&'a Deployment>,
    /// Others of the namespace that are ill as well, the worst first.
    pub others: Vec<&'a WorkloadTraffic>,
    /// It is judged as what has come since the database went: an older trouble of one workload passes beside it.
    pub is_database: bool,
}

/// What is looked at in a workload's traffic.
pub(super) struct Measure<'s> {
    pub unseen: Option<&'s Blind>,
    pub series: fn(&WorkloadTraffic) -> &Series,
    pub steps: &'s dyn Fn(&WorkloadTraffic) -> Vec<Step<'static>>,
    /// Whether there is enough of it to say anything.
    pub is_enough: &'s dyn Fn(&WorkloadTraffic, f64) -> bool,
    /// Values are shares of the requests: those of the workloads add up to that of all.
    pub adds_up: bool,
}

/// Everything that is ill, one row for each namespace: `whole` is what all traffic together says.
pub(super) fn ill<'a>(scene: &Scene<'a>, whole: Option<Climb>, measure: &Measure<'_>) -> Vec<Ill<'a>> {
    let traffic = &scene.snapshot.traffic;
    let climb_of_all = whole.as_ref().map(|climb| (climb.value, climb.severity));
    let mut by_namespace: BTreeMap<&Name, Vec<(Climb, &WorkloadTraffic)>> = BTreeMap::new();
    for workload in &traffic.workloads {
        if let Some(climb) = climbs(scene, workload, measure) {
            by_namespace.entry(&workload.key.namespace).or_default().push((climb, workload));
        }
    }
    let mut whole = whole;
    let mut rows = Vec::new();
    for (namespace, mut found) in by_namespace {
        let weight = |(climb, workload): &(Climb, &WorkloadTraffic)| {
            climb.value * workload.rate.last().map_or(1.0, |(_, rate)| rate)
        };
        found.sort_by(|one, other| {
            other.0.severity.cmp(&one.0.severity).then(weight(other).total_cmp(&weight(one)))
        });
        let is_all = found.len() > 1 || serving(traffic.workloads.iter(), Some(namespace)) == 1;
        // Where everything is ill, it is the namespace that is.
        let sum = whole.take_if(|_| *namespace == traffic.namespace && is_all);
        let is_sum = sum.is_some();
        let mut found = found.into_iter();
        let Some((own, worst)) = found.next() else { continue };
        let others: Vec<&WorkloadTraffic> = found.map(|(_, workload)| workload).collect();
        rows.push(Ill {
            namespace: namespace.clone(),
            climb: sum.unwrap_or(own),
            workload: (!is_sum).then_some(worst),
            deployment: deployment(scene, &worst.key).filter(|_| others.is_empty() || !is_sum),
            others: if is_sum { std::iter::once(worst).chain(others).collect() } else { others },
            is_database: false,
        });
    }
    if rows.is_empty() {
        rows.extend(whole.map(|climb| {
            let (climb, workload) = match culprit(scene, measure) {
                Some((own, workload)) => (own, Some(workload)),
                None => (climb, None),
            };
            let namespace = workload.map_or(&traffic.namespace, |workload| &workload.key.namespace);
            Ill {
                namespace: namespace.clone(),
                climb,
                workload,
                deployment: workload.and_then(|workload| deployment(scene, &workload.key)),
                others: Vec::new(),
                is_database: false,
            }
        }));
    }
    rows.into_iter().map(|row| with_database(scene, row, climb_of_all, measure)).collect()
}

/// What rises in other workloads from the moment at which the database went is the database's, though one had been failing
/// before for a reason of its own.
fn with_database<'a>(
    scene: &Scene<'a>,
    row: Ill<'a>,
    all: Option<(f64, Severity)>,
    measure: &Measure<'_>,
) -> Ill<'a> {
    let Some(gone) = db_gone::since(scene).and_then(|since| since.checked_sub(SLACK).ok()) else {
        return row;
    };
    if row.climb.onset >= gone {
        return row;
    }
    let here =
        scene.snapshot.traffic.workloads.iter().filter(|workload| workload.key.namespace == row.namespace);
    let risen = here.filter_map(|workload| Some((rising(scene, workload, measure)?, workload)));
    let mut risen: Vec<(Climb, &WorkloadTraffic)> = risen.filter(|(climb, _)| climb.onset >= gone).collect();
    risen.sort_by(|(one, _), (other, _)| other.value.total_cmp(&one.value));
    let Some(onset) = risen.iter().map(|(climb, _)| climb.onset).min() else { return row };
    let all = all.filter(|_| row.namespace == scene.snapshot.traffic.namespace);
    let (value, severity) = all.unwrap_or((risen[0].0.value, risen[0].0.severity));
    let before = row.workload.into_iter().chain(row.others.iter().copied());
    let is_new = |workload: &&WorkloadTraffic| risen.iter().all(|(_, other)| other.key != workload.key);
    let before: Vec<&WorkloadTraffic> = before.filter(is_new).collect();
    Ill {
        climb: Climb { value, severity: severity.max(row.climb.severity), onset },
        workload: if all.is_some() { None } else { Some(risen[0].1) },
        deployment: None,
        others: risen
            .iter()
            .skip(usize::from(all.is_none()))
            .map(|(_, workload)| *workload)
            .chain(before)
            .collect(),
        is_database: true,
        ..row
    }
}

/// Whose the errors of all are, as soon as they show: before that one alone would be judged, a stranger's young revision
/// would be blamed.
fn culprit<'a>(scene: &Scene<'a>, measure: &Measure<'_>) -> Option<(Climb, &'a WorkloadTraffic)> {
    const MOST: f64 = 0.8;
    let traffic = &scene.snapshot.traffic;
    let here = |workload: &&WorkloadTraffic| {
        traffic.namespace.is_empty() || workload.key.namespace == traffic.namespace
    };
    let failing = |workload: &WorkloadTraffic| {
        let (_, ratio) = (measure.series)(workload).last()?;
        Some(ratio * workload.rate.last()?.1)
    };
    let all: f64 = traffic.workloads.iter().filter(here).filter_map(failing).sum();
    if serving(traffic.workloads.iter().filter(here), None) < 2 {
        return None;
    }
    let is_most = |workload: &&WorkloadTraffic| failing(workload).is_some_and(|own| own >= MOST * all);
    let worst =
        traffic.workloads.iter().filter(here).find(is_most).filter(|_| measure.adds_up && all > 0.0)?;
    Some((rising(scene, worst, measure)?, worst))
}

/// How many workloads, of one namespace or of all, have requests at all.
fn serving<'a>(workloads: impl Iterator<Item = &'a WorkloadTraffic>, within: Option<&Name>) -> usize {
    let here = workloads.filter(|workload| within.is_none_or(|name| workload.key.namespace == *name));
    here.filter(|workload| workload.rate.last().is_none_or(|(_, rate)| rate > 0.0)).count()
}

fn climbs(scene: &Scene<'_>, workload: &WorkloadTraffic, measure: &Measure<'_>) -> Option<Climb> {
    rising(scene, workload, measure).filter(|climb| scene.has_lasted(climb.onset, &ALONE_AFTER))
}

fn rising(scene: &Scene<'_>, workload: &WorkloadTraffic, measure: &Measure<'_>) -> Option<Climb> {
    let series = (measure.series)(workload);
    let (at, value) = series.last()?;
    let is_idle = workload.rate.last().is_some_and(|(_, rate)| rate < scene.threshold(&MIN_RATE));
    if measure.unseen.is_some()
        || is_idle
        || scene.now.duration_since(at) > FRESH
        || scene.snapshot.blindness(Origin::Prometheus, scene.now).is_some()
        || !(measure.is_enough)(workload, value)
    {
        return None;
    }
    rise(scene, series, &(measure.steps)(workload))
}

/// The Deployment of that name; or that a Service of that name selects.
pub(super) fn deployment<'a>(scene: &Scene<'a>, key: &Key) -> Option<&'a Deployment> {
    let named = scene.snapshot.deployments.get(key);
    named.or_else(|| {
        // Of several nobody can say which.
        match backing::deployments(scene, scene.snapshot.services.get(key)?)[..] {
            [only] => Some(only),
            _ => None,
        }
    })
}

/// A workload that had requests, whose series are gone, and that should run: the sum of the others hides it.
pub(super) fn gone(snapshot: &Snapshot) -> Option<Blind> {
    let workloads = &snapshot.traffic.workloads;
    let latest = workloads.iter().filter_map(|workload| workload.rate.last()).map(|(at, _)| at).max()?;
    let mut missing = workloads.iter().filter_map(|workload| {
        let (at, _) = workload.rate.last()?;
        let deployment = snapshot.deployments.get(&workload.key)?;
        let is_missed = workload.rate.max()? >= MISSED && latest.duration_since(at) >= GONE;
        (is_missed && deployment.replicas > 0).then_some((at, workload, deployment))
    });
    let (at, workload, deployment) = missing.next()?;
    let more = match missing.count() {
        0 => String::new(),
        count => format!(" (and {count} more)"),
    };
    Some(Blind {
        kind: BlindKind::Broken,
        why: format!(
            "requests of {}{more}: no series since {}; {} of {} replicas are ready",
            workload.key,
            clock(at),
            deployment.ready,
            deployment.replicas
        ),
        repair: Some("look whether its pods run, and for its targets in Prometheus: up == 0".into()),
        since: at,
    })
}

fn clock(at: Timestamp) -> String {
    at.strftime("%H:%M:%S").to_string()
}
