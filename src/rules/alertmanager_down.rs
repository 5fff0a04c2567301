//! An Alertmanager that does not answer, or that refuses its configuration: alerts fire, and nobody is told.

use crate::domain::{
    Anomaly, AnomalyId, Blind, BlindKind, Cause, Delivery, Evidence, Key, Kind, ObjectRef, Origin, Pod,
    Severity, Subject, Timestamp, cause,
};

use super::workload::{Bindings, evidence, quote};
use super::{Needs, Rule, Scene, Threshold, Unit, shown};

const CRITICAL_AFTER: Threshold = Threshold {
    key: "alertmanager-down.critical-after",
    default: 60.0,
    unit: Unit::Seconds,
    says: "how long it does not answer before it is more than suspected",
    source: "our own choice: longer than the restart of a pod",
};
const RELOAD_AFTER: Threshold = Threshold {
    key: "alertmanager-down.reload-after",
    default: 600.0,
    unit: Unit::Seconds,
    says: "how long a refused configuration lasts before it is a warning",
    source: "alertmanager mixin: AlertmanagerFailedReload, 10m",
};

/// The label that chart and operator put on its pods.
const LABEL: (&str, &str) = ("app.kubernetes.io/name", "alertmanager");

pub(super) static RULE: Rule = Rule {
    name: "alertmanager-down",
    title: "Alertmanager not working",
    says: "An Alertmanager, configured or found in the cluster, that refuses connections or does not answer, and one that \
           refuses its configuration. Silent about one that nobody named, about a name that leads nowhere and credentials \
           that are refused (they are ours to correct), and while the API server does not answer us either; only suspected \
           while Prometheus still hands its alerts over.",
    needs: Needs::All(&[Origin::Alertmanager]),
    awaits: &[],
    thresholds: &[CRITICAL_AFTER, RELOAD_AFTER],
    examine: |scene| {
        Vec::from_iter(silent(scene).or_else(|| refuses(scene)).and_then(|trouble| anomaly(scene, trouble)))
    },
};

struct Trouble {
    severity: Severity,
    since: Timestamp,
    title: &'static str,
    cause: Cause,
    /// What speaks for it or against it.
    facts: Vec<Evidence>,
}

fn silent(scene: &Scene<'_>) -> Option<Trouble> {
    let sight = scene.snapshot.sight(Origin::Alertmanager)?;
    let blind = sight.blind.as_ref().filter(|blind| blind.kind == BlindKind::Unreachable)?;
    let answered = sight.seen.is_some();
    if scene.is_cut_off() || !(answered || is_plain(blind)) {
        return None;
    }
    let delivery = delivery(scene);
    let is_heard = delivery.is_some_and(|delivery| delivery.sent > 0.0 && delivery.dropped <= 0.0);
    let drops = |rate: fn(Delivery) -> f64| delivery.map(rate).is_some_and(|rate| rate > 0.0);
    let is_proven = drops(|delivery| delivery.dropped);
    let lasted = scene.has_lasted(blind.since, &CRITICAL_AFTER)
        || is_proven && drops(|delivery| delivery.dropped_before);
    let severity = match () {
        () if is_heard || !lasted => Severity::Suspect,
        // One that never answered may not be this network's to reach.
        () if answered || is_proven => Severity::Critical,
        () => Severity::Warning,
    };
    let mut facts = Vec::new();
    if is_heard {
        let says = "Prometheus still hands its alerts over: it is our way to Alertmanager that fails";
        facts.push(evidence(Origin::Monitoring, None, says.to_owned()));
    } else if is_proven {
        let says = "Prometheus drops its alerts: no Alertmanager takes them";
        facts.push(evidence(Origin::Monitoring, None, says.to_owned()));
    }
    let title = if is_heard {
        "Alertmanager does not answer us"
    } else {
        "Alertmanager does not answer: nobody is notified of anything"
    };
    let cause = Cause { name: cause::ALERTMANAGER_DOWN, says: quote(&blind.why), weight: 0.9 };
    Some(Trouble { severity, since: blind.since, title, cause, facts })
}

/// By the words of whoever tried: there is a host, and nobody answers on it. A name that leads nowhere or a certificate
/// that is not trusted says nothing of it.
fn is_plain(blind: &Blind) -> bool {
    const PLAIN: [&str; 5] = ["refused", "no answer within", "timed out", "reset", "answers 503"];
    PLAIN.iter().any(|word| blind.why.contains(word))
}

fn delivery(scene: &Scene<'_>) -> Option<Delivery> {
    let seen = scene.snapshot.blindness(Origin::Monitoring, scene.now).is_none();
    scene.snapshot.monitoring.as_ref().filter(|_| seen)?.delivery
}

fn refuses(scene: &Scene<'_>) -> Option<Trouble> {
    let seen = |origin| scene.snapshot.blindness(origin, scene.now).is_none();
    let own = scene.snapshot.notifier_refuses.filter(|_| seen(Origin::Alertmanager));
    let told = scene.snapshot.monitoring_since.notifier_refuses.filter(|_| seen(Origin::Monitoring));
    let (since, from) = match (own, told) {
        (Some(since), _) => (since, Origin::Alertmanager),
        (None, since) => (since?, Origin::Monitoring),
    };
    let lasted = scene.has_lasted(since, &RELOAD_AFTER);
    let says = "its last reload was refused: it goes on with the configuration before, and would not start with this one";
    Some(Trouble {
        severity: if lasted { Severity::Warning } else { Severity::Suspect },
        since,
        title: "Alertmanager refuses its configuration: after its next restart nobody is notified of anything",
        cause: Cause { name: cause::ALERTMANAGER_CONFIG, says: says.to_owned(), weight: 0.9 },
        facts: vec![evidence(from, None, "alertmanager_config_last_reload_successful is 0".to_owned())],
    })
}

fn anomaly(scene: &Scene<'_>, trouble: Trouble) -> Option<Anomaly> {
    let Trouble { severity, since, title, cause, facts } = trouble;
    let pods = pods(scene);
    let told = evidence(Origin::Alertmanager, Some(since), cause.says.clone());
    shown(Anomaly {
        id: AnomalyId(format!("{}/alertmanager", RULE.name).into()),
        rule: RULE.name.into(),
        subject: Subject::Cluster,
        severity,
        score: match severity {
            Severity::Critical => 0.9,
            Severity::Warning => 0.8,
            Severity::Suspect => 0.6,
        },
        onset: since,
        title: title.to_owned(),
        evidence: std::iter::once(told).chain(facts).collect(),
        causes: vec![cause],
        touches: touches(&pods),
        bindings: bindings(&pods),
        pages_at: None,
    })
}

/// Its pods, those that are not Ready first, as far as the namespaces that are looked at hold them.
fn pods<'a>(scene: &Scene<'a>) -> Vec<&'a Pod> {
    let is_its = |pod: &&Pod| pod.labels.get(LABEL.0).is_some_and(|value| **value == *LABEL.1);
    let mut pods: Vec<&Pod> = scene.snapshot.pods.iter().filter(is_its).collect();
    pods.sort_by_key(|pod| (pod.is_ready(), pod.key.clone()));
    pods
}

fn touches(pods: &[&Pod]) -> Vec<ObjectRef> {
    let of_pod = |pod: &&Pod| {
        let node = pod.node.iter().map(|node| ObjectRef::new(Kind::Node, Key::cluster(node.clone())));
        std::iter::once(ObjectRef::new(Kind::Pod, pod.key.clone())).chain(node).collect::<Vec<_>>()
    };
    pods.iter().flat_map(of_pod).collect()
}

fn bindings(pods: &[&Pod]) -> Bindings {
    let mut bindings = Bindings::new();
    if let Some(pod) = pods.first() {
        bindings.insert("alertmanager_pod", pod.key.name.to_string());
        bindings.insert("namespace", pod.key.namespace.to_string());
        bindings.insert("pod", pod.key.name.to_string());
    }
    bindings
}
