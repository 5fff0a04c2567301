//! Whether requests are quick and answered again, and what they need is not used up: the database, memory.

use std::time::Duration;

use super::Held;
use crate::domain::{Blind, Key, Origin, Series, WorkloadTraffic, between, cause, text};
use crate::playbooks::view::View;

/// Share of the usable connections below which the pool is well (audit, section 4).
const CONNECTIONS: f64 = 0.7;
/// p95 in seconds below which latency is well (audit, section 4).
const LATENCY: f64 = 1.0;
/// Share of 5xx below which errors are normal (audit, section 4).
const ERRORS: f64 = 0.01;
/// Share of the requests from before that still have to come: silence is no success (audit, section 4).
const KEPT: f64 = 0.7;
/// Requests refused per second below which nobody attacks: the rule's own threshold.
const REFUSALS: f64 = 1.0;
/// Share of the CPUs below which the database is well (audit, section 4).
const DATABASE_LOAD: f64 = 0.7;
/// A workload's older samples are history: it is no longer among those that stand out.
const FRESH: Duration = Duration::from_secs(90);
/// What is looked at to see whether memory still grows.
const MEMORY_WINDOW: Duration = Duration::from_mins(30);
/// Over less nothing is said of it: the rule's own shortest line.
const MEMORY_SHORTEST: Duration = Duration::from_mins(20);
/// A limit that is further away than this is far (audit, section 4).
const MEMORY_FAR: Duration = Duration::from_hours(24);

pub(super) fn own_limits(view: &View<'_>) -> Held {
    let activity = view.snapshot().activity.as_ref().map(|(_, activity)| activity);
    let reached = activity.and_then(|activity| activity.limits.iter().find(|limit| limit.is_reached()));
    reached.map_or(Ok(None), |limit| Err(limit.says()))
}

pub(super) fn latency(view: &View<'_>) -> Held {
    let traffic = &view.snapshot().traffic;
    seen(view, traffic.latency_unseen.as_ref())?;
    let show = |value| format!("{value:.2} s");
    let whole = below(&traffic.p95, LATENCY, "p95", show)?;
    let own = own(view, |workload| &workload.p95);
    let own = own.map(|series| below(series, LATENCY, "its p95", show)).transpose()?;
    Ok(whole.max(own.flatten()))
}

pub(super) fn errors(view: &View<'_>) -> Held {
    let traffic = &view.snapshot().traffic;
    seen(view, traffic.errors_unseen.as_ref())?;
    let show = |value| format!("{:.1} %", value * 100.0);
    let whole = below(&traffic.error_ratio, ERRORS, "5xx", show)?;
    let own = own(view, |workload| &workload.error_ratio);
    let own = own.map(|series| below(series, ERRORS, "its 5xx", show)).transpose()?;
    Ok(whole.max(own.flatten()))
}

/// The line of the workload that the anomaly is about, while it stands out: the sum hides whoever is small.
fn own<'a>(view: &View<'a>, series: fn(&WorkloadTraffic) -> &Series) -> Option<&'a Series> {
    let of = |name: &str| view.facts.anomaly.bindings.get(name);
    let (namespace, name) = (of("namespace")?, of("deployment")?);
    let key = Key::new(namespace.as_str(), name.as_str());
    let workload = view.facts.snapshot.traffic.workloads.iter().find(|workload| workload.key == key)?;
    let line = series(workload);
    let (at, _) = line.last()?;
    (between(at, view.facts.now) <= FRESH).then_some(line)
}

/// It is seen, and has room for what is written.
pub(super) fn cache(view: &View<'_>) -> Held {
    let snapshot = view.snapshot();
    if let Some(blind) = snapshot.blindness(Origin::Redis, view.facts.now) {
        return Err(format!("the cache is not to be seen: {}", blind.why));
    }
    match snapshot.cache_refuses {
        Some(_) => Err("the cache refuses writes".into()),
        None if view.facts.fires && view.has(cause::CACHE_EVICTING) => Err(view.facts.anomaly.title.clone()),
        None => Ok(None),
    }
}

pub(super) fn refusals(view: &View<'_>) -> Held {
    let traffic = &view.snapshot().traffic;
    seen(view, traffic.errors_unseen.as_ref())?;
    below(&traffic.denied, REFUSALS, "refused requests", |value| format!("{value:.1}/s"))
}

/// What is not seen is not known to come.
pub(super) fn requests_seen(view: &View<'_>) -> Held {
    seen(view, view.snapshot().traffic.errors_unseen.as_ref()).map(|()| None)
}

pub(super) fn traffic_kept(view: &View<'_>) -> Held {
    let traffic = &view.snapshot().traffic;
    seen(view, traffic.errors_unseen.as_ref())?;
    let rate = traffic.rate.points();
    let began = view.facts.anomaly.onset;
    let before: Vec<f64> = rate.iter().filter(|(at, _)| *at < began).map(|(_, value)| *value).collect();
    let (Some((_, now)), false) = (rate.last(), before.is_empty()) else { return Ok(None) };
    let usual = before.iter().sum::<f64>() / before.len() as f64;
    if *now < usual * KEPT {
        return Err(format!("only {now:.0} requests a second come, {usual:.0} before: errors of nobody"));
    }
    Ok(None)
}

pub(super) fn database_load(view: &View<'_>) -> Held {
    let snapshot = view.snapshot();
    if view.facts.fires && view.has(cause::REPLICA_LAGS) {
        return Err(view.facts.anomaly.title.clone());
    }
    if snapshot.capacity.is_none() {
        return Err("the database is not to be seen".into());
    }
    // How many CPUs it has is for a person to say; without that its load is not judged.
    let Some(cpus) = snapshot.activity.as_ref().and_then(|(_, activity)| activity.cpus) else {
        return Ok(None);
    };
    let load = snapshot.on_cpu.mean_over(Duration::from_mins(1));
    below(&load, DATABASE_LOAD * cpus, "sessions on a CPU", |value| format!("{value:.1}"))
}

pub(super) fn connections(view: &View<'_>) -> Held {
    let snapshot = view.snapshot();
    if snapshot.exhausted.is_some() {
        return Err("the database refuses connections".into());
    }
    let Some(capacity) = snapshot.capacity else { return Err("the database is not to be seen".into()) };
    below(&snapshot.connections, CONNECTIONS * f64::from(capacity.usable()), "connections", |value| {
        format!("{value:.0}")
    })
}

pub(super) fn memory_steady(view: &View<'_>) -> Held {
    let now = view.facts.now;
    for trend in &view.snapshot().strain.memory {
        let Some(pod) = view.pods.iter().find(|pod| pod.key == trend.pod && pod.deleting.is_none()) else {
            continue;
        };
        let of = pod.containers.iter().find(|container| container.name == trend.container);
        let Some(limit) = of.and_then(|container| container.limits.memory_bytes) else { continue };
        let window = trend.bytes.within(MEMORY_WINDOW, now);
        let (Some((from, first)), Some((to, last))) = (window.first(), window.last()) else { continue };
        let (grown, span) = (last - first, between(*from, *to));
        // Every process grows while it warms up.
        if span < MEMORY_SHORTEST {
            continue;
        }
        let seconds = span.as_secs_f64();
        // Less than a hundredth is breathing.
        if grown > first * 0.01 && seconds > 0.0 {
            let left = (limit as f64 - last).max(0.0) * seconds / grown;
            if left < MEMORY_FAR.as_secs_f64() {
                let left = text::span(Duration::from_secs_f64(left));
                return Err(format!("{} still grows: at its limit in {left}", pod.key.name));
            }
        }
    }
    Ok(None)
}

/// The last number before a silence says nothing of now.
fn seen(view: &View<'_>, unseen: Option<&Blind>) -> Result<(), String> {
    let blind = view.snapshot().blindness(Origin::Prometheus, view.facts.now);
    match blind.as_ref().or(unseen) {
        Some(blind) => Err(blind.why.clone()),
        None => Ok(()),
    }
}

/// Since when every sample has been below a bound.
fn below(series: &Series, bound: f64, what: &str, show: impl Fn(f64) -> String) -> Held {
    let Some((_, last)) = series.last() else { return Err(format!("{what}: nothing to be seen")) };
    if last >= bound {
        return Err(format!("{what} at {}, to be below {}", show(last), show(bound)));
    }
    Ok(series.points().iter().rev().take_while(|(_, value)| *value < bound).last().map(|(at, _)| *at))
}
