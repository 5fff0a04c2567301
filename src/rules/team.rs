//! The triggers of a team's own playbooks, judged like rules: clear, firing for each case, or blind with the line
//! of the file that asks. Knows what was seen of them, not how it was asked.

use jiff::SignedDuration;

use crate::domain::{
    Anomaly, Ask, Blind, BlindKind, Case, Cause, Key, Kind, Name, ObjectRef, Origin, Severity, Subject,
    Trigger, cause, text,
};

use super::workload::{Bindings, evidence, quote};
use super::{Finding, Scene, worst_first};

/// Labels that name an object, by the kind they name. The namespace is that of the label beside them.
const OBJECTS: &[(&str, Kind)] = &[
    ("pod", Kind::Pod),
    ("deployment", Kind::Deployment),
    ("statefulset", Kind::StatefulSet),
    ("daemonset", Kind::DaemonSet),
    ("horizontalpodautoscaler", Kind::HorizontalPodAutoscaler),
    ("persistentvolumeclaim", Kind::PersistentVolumeClaim),
    ("service", Kind::Service),
    ("ingress", Kind::Ingress),
    ("node", Kind::Node),
];
/// Placeholders of ours that labels of the same name fill.
const BOUND: &[&str] = &["namespace", "pod", "deployment", "container", "service", "node", "host"];

/// What a trigger's answer means now.
pub(super) fn judge(scene: &Scene<'_>, trigger: &Trigger) -> Finding {
    let cases = match cases(scene, trigger) {
        Ok(cases) => cases,
        Err(blind) => return Finding::Blind(blind),
    };
    let mut anomalies: Vec<Anomaly> = cases.iter().map(|case| anomaly(scene, trigger, case)).collect();
    anomalies.sort_by(worst_first);
    if anomalies.is_empty() { Finding::Clear } else { Finding::Firing(anomalies) }
}

fn cases(scene: &Scene<'_>, trigger: &Trigger) -> Result<Vec<Case>, Blind> {
    let at = |blind: Blind| Blind { why: format!("{} ({})", blind.why, trigger.place), ..blind };
    if !trigger.is_asked() {
        return match scene.snapshot.blindness(Origin::Alertmanager, scene.now) {
            Some(blind) => Err(at(blind)),
            None => Ok(scene.snapshot.alert_cases(trigger)),
        };
    }
    match scene.snapshot.asked.get(&trigger.playbook) {
        Some(Ok(cases)) => Ok(cases.clone()),
        Some(Err(blind)) => Err(at(blind.clone())),
        None => Err(at(Blind {
            kind: BlindKind::Unreachable,
            why: "not asked yet".into(),
            repair: None,
            since: scene.now,
        })),
    }
}

fn anomaly(scene: &Scene<'_>, trigger: &Trigger, case: &Case) -> Anomaly {
    // Clocks differ, and Alertmanager takes an end for a beginning where nobody said one.
    let since = case.since.min(scene.now);
    let held = scene.now.duration_since(since);
    let lasted = held >= SignedDuration::try_from(trigger.for_).unwrap_or(SignedDuration::MAX);
    let severity = match case.labels.get("severity").map(|severity| &**severity) {
        _ if !lasted => Severity::Suspect,
        Some("critical" | "page" | "emergency") => Severity::Critical,
        _ => Severity::Warning,
    };
    let touches = touches(case);
    let says = quote(&case.says);
    let mut facts = vec![evidence(origin(trigger), Some(since), case.says.to_string())];
    if !lasted {
        let left = trigger.for_.saturating_sub(held.try_into().unwrap_or_default());
        facts.push(evidence(
            origin(trigger),
            None,
            format!("counts when it has held for {} more", text::span(left)),
        ));
    }
    Anomaly {
        id: trigger.id(case),
        rule: trigger.playbook.clone(),
        subject: subject(case, &touches),
        severity,
        // A team says what matters to it: it opens an incident as soon as it has lasted.
        score: if lasted { 0.8 } else { 0.6 },
        onset: since,
        title: format!("{}: {says}", trigger.title),
        evidence: facts,
        causes: vec![Cause { name: cause::TEAM_TRIGGER, says, weight: 0.5 }],
        touches,
        bindings: bindings(case),
        pages_at: None,
    }
}

fn origin(trigger: &Trigger) -> Origin {
    match &trigger.ask {
        Ask::Alert { .. } => Origin::Alertmanager,
        Ask::Promql { .. } => Origin::Prometheus,
        Ask::Sql { .. } => Origin::Postgres,
        Ask::Object { .. } => Origin::Triggers,
    }
}

fn touches(case: &Case) -> Vec<ObjectRef> {
    let mut touches: Vec<ObjectRef> = case.object.iter().cloned().collect();
    let namespace = case.labels.get("namespace").cloned().unwrap_or_else(|| Name::from(""));
    for (label, kind) in OBJECTS {
        let Some(name) = case.labels.get(label).filter(|name| !name.is_empty()) else { continue };
        let key = if kind.is_namespaced() {
            Key::new(namespace.clone(), name.clone())
        } else {
            Key::cluster(name.clone())
        };
        let object = ObjectRef::new(*kind, key);
        if !touches.contains(&object) {
            touches.push(object);
        }
    }
    touches
}

fn subject(case: &Case, touches: &[ObjectRef]) -> Subject {
    match (touches.first(), case.labels.get("namespace")) {
        (Some(object), _) => Subject::Object(object.clone()),
        (None, Some(namespace)) => Subject::Traffic(namespace.clone()),
        (None, None) => Subject::Cluster,
    }
}

fn bindings(case: &Case) -> Bindings {
    let mut bindings: Bindings =
        BOUND.iter().filter_map(|name| Some((*name, case.labels.get(name)?.to_string()))).collect();
    if let Some(object) = &case.object {
        if object.kind.is_namespaced() {
            bindings.insert("namespace", object.key.namespace.to_string());
        }
        let own = OBJECTS.iter().find(|(_, kind)| *kind == object.kind).map(|(label, _)| *label);
        if let Some(own) = own.filter(|own| BOUND.contains(own)) {
            bindings.insert(own, object.key.name.to_string());
        }
    }
    bindings
}
