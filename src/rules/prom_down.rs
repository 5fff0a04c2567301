//! Prometheus not working: silent, not ready, refusing its configuration, taking no samples, its alerts not
//! arriving. What it would see is unknown meanwhile, not well.

use jiff::SignedDuration;

use crate::domain::{
    Anomaly, AnomalyId, Evidence, Key, Kind, Monitoring, MonitoringPod, ObjectRef, Origin, Severity, Subject,
    Timestamp, text,
};

use super::prom_causes::{because, causes};
use super::workload::{Bindings, evidence, quote};
use super::{Needs, Rule, Scene, Threshold, Unit, prom_targets, shown};

const CRITICAL_AFTER: Threshold = Threshold {
    key: "prom-down.critical-after",
    default: 60.0,
    unit: Unit::Seconds,
    says: "how long it serves nothing, its pods not Ready, before it is critical",
    source: "our own choice",
};
const RELOAD_AFTER: Threshold = Threshold {
    key: "prom-down.reload-after",
    default: 600.0,
    unit: Unit::Seconds,
    says: "how long a refused configuration lasts before it is a warning",
    source: "prometheus mixin: PrometheusBadConfig, 10m",
};
const INGEST_AFTER: Threshold = Threshold {
    key: "prom-down.ingest-after",
    default: 600.0,
    unit: Unit::Seconds,
    says: "how long it takes no samples before it is critical",
    source: "prometheus mixin: PrometheusNotIngestingSamples, 10m",
};
const STALE: Threshold = Threshold {
    key: "prom-down.stale",
    default: 300.0,
    unit: Unit::Seconds,
    says: "age of the youngest sample of `up` from which it is stale",
    source: "the staleness window of Prometheus: 5m",
};
const TARGETS: Threshold = Threshold {
    key: "prom-down.targets",
    default: 0.5,
    unit: Unit::Ratio,
    says: "share of targets down",
    source: "our own choice",
};
pub(super) const TARGETS_AFTER: Threshold = Threshold {
    key: "prom-down.targets-after",
    default: 300.0,
    unit: Unit::Seconds,
    says: "how long most targets are down before it is a warning",
    source: "our own choice",
};
const SLOW: Threshold = Threshold {
    key: "prom-down.slow",
    default: 2.0,
    unit: Unit::Seconds,
    says: "how long it takes to say that it is alive from which it is slow",
    source: "our own choice: what is asked takes as long again",
};
const SLOW_AFTER: Threshold = Threshold {
    key: "prom-down.slow-after",
    default: 300.0,
    unit: Unit::Seconds,
    says: "how long it is slow before it is a warning",
    source: "our own choice",
};
pub(super) const VOLUME: Threshold = Threshold {
    key: "prom-down.volume",
    default: 0.97,
    unit: Unit::Ratio,
    says: "fill of its volume that counts as full",
    source: "kubernetes mixin: KubePersistentVolumeFillingUp, 3 % free",
};
const WATCHDOG: Threshold = Threshold {
    key: "prom-down.watchdog",
    default: 300.0,
    unit: Unit::Seconds,
    says: "how long a Watchdog that was seen before is missing at Alertmanager",
    source: "Prometheus resends for four resend delays; Alertmanager's resolve_timeout is 5m",
};

pub(super) static RULE: Rule = Rule {
    name: "prom-down",
    title: "Prometheus not working",
    says: "Its own health and readiness, its pods and its volume, refused configurations, samples taken, targets that \
           answered and do not any more, answers that take seconds, and the Watchdog at Alertmanager. Silent while a planned rollout replaces its pod or it replays its log. A server \
           that does not answer us while its pods are Ready, or while the API server does not answer either, is our \
           way to it, not its fault.",
    needs: Needs::All(&[Origin::Monitoring]),
    awaits: &[],
    thresholds: &[
        CRITICAL_AFTER,
        RELOAD_AFTER,
        INGEST_AFTER,
        STALE,
        TARGETS,
        TARGETS_AFTER,
        SLOW,
        SLOW_AFTER,
        VOLUME,
        WATCHDOG,
    ],
    examine,
};

fn examine(scene: &Scene<'_>) -> Vec<Anomaly> {
    if scene.snapshot.blindness(Origin::Monitoring, scene.now).is_some() {
        return Vec::new();
    }
    let Some(seen) = &scene.snapshot.monitoring else { return Vec::new() };
    let signs = signs(scene, seen);
    let Some(worst) = signs.iter().map(|sign| sign.severity).max() else { return Vec::new() };
    let onset = signs.iter().map(|sign| sign.since).min().unwrap_or(scene.now);
    let (causes, mut facts) = causes(scene, seen);
    let mut all: Vec<Evidence> =
        signs.iter().map(|sign| evidence(sign.from, Some(sign.since), sign.says.clone())).collect();
    all.append(&mut facts);
    let known = causes.first().map(|cause| because(cause.name));
    let title = match (known, signs.first()) {
        (Some(known), Some(sign)) => format!("Prometheus {}: {known}", sign.title),
        (None, Some(sign)) => format!("Prometheus {}", sign.title),
        (_, None) => "Prometheus does not work".to_owned(),
    };
    let object = object(seen);
    let of = object.as_ref().map_or_else(
        || "prometheus".to_owned(),
        |object| format!("{}/{}/{}", object.kind.for_kubectl(), object.key.namespace, object.key.name),
    );
    let strong = signs.len() > 1 || !causes.is_empty();
    let score = match worst {
        Severity::Suspect => 0.6,
        Severity::Warning => 0.75 + if strong { 0.1 } else { 0.0 },
        Severity::Critical => 0.9 + if strong { 0.1 } else { 0.0 },
    };
    Vec::from_iter(shown(Anomaly {
        id: AnomalyId(format!("{}/{of}", RULE.name).into()),
        rule: RULE.name.into(),
        subject: object.clone().map_or(Subject::Cluster, Subject::Object),
        severity: worst,
        score,
        onset,
        title,
        evidence: all,
        causes,
        touches: touches(seen, object),
        bindings: bindings(seen),
        pages_at: None,
    }))
}

/// One thing that is wrong.
struct Sign {
    severity: Severity,
    since: Timestamp,
    from: Origin,
    /// After "Prometheus": `is down`.
    title: String,
    says: String,
}

/// The gravest first.
fn signs(scene: &Scene<'_>, seen: &Monitoring) -> Vec<Sign> {
    let since = scene.snapshot.monitoring_since;
    let mut signs = Vec::new();
    let mut sign = |severity, since, from, title: &str, says: String| {
        signs.push(Sign { severity, since, from, title: title.to_owned(), says });
    };
    let now = scene.now;
    if let Some(down) = since.down.filter(|_| !is_replaced(scene, seen)) {
        let down = none_ready_since(seen).map_or(down, |none| none.min(down));
        let why = seen.silent.as_ref().or(seen.unready.as_ref());
        let why = why.map_or_else(|| "it is not ready".to_owned(), |why| quote(why));
        let lasted = scene.has_lasted(down, &CRITICAL_AFTER);
        // Our way to it may be what fails: pods that are Ready say so; without pods nobody says anything.
        let severity = match (&seen.pods, seen.has_no_ready_pod(), lasted) {
            _ if scene.is_cut_off() => Severity::Suspect,
            (Some(_), true, true) if seen.replaying.is_some() => Severity::Warning,
            (Some(_), true, true) => Severity::Critical,
            (None, _, true) if seen.unready.is_some() => Severity::Critical,
            (None, _, true) => Severity::Warning,
            _ => Severity::Suspect,
        };
        let title = match () {
            () if scene.is_cut_off() => "does not answer us",
            () if seen.replaying.is_some() => "is replaying its log",
            () if seen.has_no_ready_pod() || seen.pods.is_none() => "is down",
            () => "does not answer us",
        };
        sign(severity, down, Origin::Monitoring, title, why);
    }
    if let Some(stopped) = since.stopped {
        let severity =
            if scene.has_lasted(stopped, &INGEST_AFTER) { Severity::Critical } else { Severity::Suspect };
        sign(
            severity,
            stopped,
            Origin::Monitoring,
            "takes no samples",
            "no sample was taken in 5 minutes".into(),
        );
    }
    let limit = scene.threshold(&STALE);
    if let Some(stale) = seen.stale.filter(|stale| stale.as_secs_f64() > limit) {
        let at = now - SignedDuration::try_from(stale).unwrap_or_default();
        let says = format!("the youngest sample of `up` is {} old", text::span(stale));
        sign(Severity::Critical, at, Origin::Monitoring, "is stale", says);
    }
    if let Some(refused) = since.refused {
        let lasted = scene.has_lasted(refused, &RELOAD_AFTER);
        let severity = if lasted { Severity::Warning } else { Severity::Suspect };
        let says = "its last reload was refused: it goes on with the configuration before".into();
        sign(severity, refused, Origin::Monitoring, "refuses its configuration", says);
    }
    if let Some((up, all)) = seen.targets
        && let Some(at) = since.targets
        && f64::from(all - up) > scene.threshold(&TARGETS) * f64::from(all)
    {
        let severity =
            if scene.has_lasted(at, &TARGETS_AFTER) { Severity::Warning } else { Severity::Suspect };
        sign(
            severity,
            at,
            Origin::Monitoring,
            "reaches few targets",
            format!("{} of {all} targets down", all - up),
        );
    }
    if let Some(unreached) = prom_targets::unreached(scene, seen) {
        sign(unreached.severity, unreached.since, Origin::Monitoring, &unreached.title, unreached.says);
    }
    if let (Some(at), Some(took)) = (since.slow, seen.took)
        && took.as_secs_f64() >= scene.threshold(&SLOW)
    {
        let severity = if scene.has_lasted(at, &SLOW_AFTER) { Severity::Warning } else { Severity::Suspect };
        let title = format!("is slow: it needs {} for each answer", text::span(took));
        let says = "what is asked of it comes late, or not in time".to_owned();
        sign(severity, at, Origin::Monitoring, &title, says);
    }
    if let Some(last) = missing_watchdog(scene) {
        let says = format!("the Watchdog was last at Alertmanager {} ago", ago(scene, last));
        sign(Severity::Warning, last, Origin::Alertmanager, "is not heard by Alertmanager", says);
    }
    if let Some(volume) = &seen.volume
        && volume.fill().is_some_and(|fill| fill > scene.threshold(&VOLUME))
    {
        let says =
            format!("its volume {} is {:.0} % full", volume.claim, volume.fill().unwrap_or_default() * 100.0);
        sign(Severity::Warning, now, Origin::Monitoring, "runs out of space", says);
    }
    signs.sort_by_key(|sign| std::cmp::Reverse(sign.severity));
    signs
}

fn ago(scene: &Scene<'_>, at: Timestamp) -> String {
    text::span(crate::domain::between(at, scene.now))
}

/// It was there, Alertmanager is seen, and it is there no more.
fn missing_watchdog(scene: &Scene<'_>) -> Option<Timestamp> {
    let last = scene.snapshot.watchdog?;
    let seen = scene.snapshot.blindness(Origin::Alertmanager, scene.now).is_none();
    (seen && scene.has_lasted(last, &WATCHDOG)).then_some(last)
}

/// Since when no pod of it has been ready, by their own word: it may have been down before anybody looked.
fn none_ready_since(seen: &Monitoring) -> Option<Timestamp> {
    let pods = seen.pods.iter().flatten().filter(|pod| !pod.deleting);
    if !seen.has_no_ready_pod() {
        return None;
    }
    pods.filter_map(|pod| pod.unready_since).max()
}

/// A young pod without any trouble takes the place of one that goes: a rollout, or somebody's restart.
fn is_replaced(scene: &Scene<'_>, seen: &Monitoring) -> bool {
    let Some(pods) = &seen.pods else { return false };
    let young = |pod: &MonitoringPod| {
        let age = pod.created.map_or(SignedDuration::MAX, |at| scene.now.duration_since(at));
        age < SignedDuration::from_mins(2) && pod.restarts == 0 && pod.waits.is_none() && pod.ended.is_none()
    };
    !pods.is_empty() && pods.iter().all(|pod| pod.deleting || young(pod)) && seen.replaying.is_none()
}

fn object(seen: &Monitoring) -> Option<ObjectRef> {
    let pod = seen.pods.iter().flatten().next();
    seen.workload.clone().or_else(|| pod.map(|pod| ObjectRef::new(Kind::Pod, pod.key.clone())))
}

fn touches(seen: &Monitoring, object: Option<ObjectRef>) -> Vec<ObjectRef> {
    let mut touches: Vec<ObjectRef> = object.into_iter().collect();
    for pod in seen.pods.iter().flatten() {
        touches.push(ObjectRef::new(Kind::Pod, pod.key.clone()));
        touches.extend(pod.node.iter().map(|node| ObjectRef::new(Kind::Node, Key::cluster(node.clone()))));
    }
    let claim =
        seen.volume.iter().map(|volume| ObjectRef::new(Kind::PersistentVolumeClaim, volume.claim.clone()));
    touches.extend(claim);
    touches.dedup();
    touches
}

fn bindings(seen: &Monitoring) -> Bindings {
    let mut bindings = Bindings::new();
    bindings.insert("prometheus_selector", "app.kubernetes.io/name=prometheus".to_owned());
    let ready = if seen.serves() { "yes" } else { "no" };
    bindings.insert("prometheus_ready", ready.to_owned());
    bindings.insert("config_file", seen.config_file.as_deref().unwrap_or("prometheus.yml").to_owned());
    if let Some(workload) = &seen.workload {
        bindings.insert("prometheus_kind", workload.kind.to_string());
        bindings.insert("prometheus_workload", workload.key.name.to_string());
        bindings.insert("prometheus_namespace", workload.key.namespace.to_string());
        bindings.insert("namespace", workload.key.namespace.to_string());
        if workload.kind == Kind::Deployment {
            bindings.insert("deployment", workload.key.name.to_string());
        }
    }
    let pods = || seen.pods.iter().flatten();
    if let Some(pod) = pods().find(|pod| !pod.ready).or_else(|| pods().next()) {
        bindings.insert("prometheus_pod", pod.key.name.to_string());
        bindings.insert("prometheus_pod_uid", pod.uid.to_string());
        bindings.insert("prometheus_namespace", pod.key.namespace.to_string());
        bindings.insert("namespace", pod.key.namespace.to_string());
        if let Some(container) = &pod.container {
            bindings.insert("container", container.to_string());
        }
        if let Some(node) = &pod.node {
            bindings.insert("node", node.to_string());
        }
    }
    // What it should have when somebody has stopped it, nobody knows better than one.
    let replicas = seen.replicas.filter(|replicas| *replicas > 0).unwrap_or(1);
    bindings.insert("prometheus_replicas", replicas.to_string());
    if let Some(volume) = &seen.volume {
        bindings.insert("prometheus_claim", volume.claim.name.to_string());
        if let Some((used, total)) = volume.usage {
            bindings.insert("volume_used", (used * 100 / total.max(1)).to_string());
            // Prometheus counts in powers of two, whatever it calls them.
            bindings.insert("retention_size", format!("{}MB", (total * 8 / 10) >> 20));
        }
    }
    bindings
}
