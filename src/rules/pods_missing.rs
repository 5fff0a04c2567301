//! Pods of StatefulSets and DaemonSets that do not come up, by workload, as far as the pods themselves tell.
//! Of Deployments their own status says more.

use std::collections::BTreeMap;

use crate::domain::{Anomaly, AnomalyId, Kind, ObjectRef, Origin, Pod, Severity, Subject, Timestamp, text};

use super::rollout_cause::{Obstacle, obstacle};
use super::rollout_stuck::{MISSING, NO_PROGRESS, PAGES_AFTER, RULE, is_told};
use super::workload::{Bindings, evidence, service};
use super::{Scene, pages_at, shown};

/// Workloads of which pods have not been ready for too long, when no other rule says why.
pub(super) fn examine(scene: &Scene<'_>) -> Vec<Anomaly> {
    let mut workloads: BTreeMap<ObjectRef, Vec<&Pod>> = BTreeMap::new();
    for pod in scene.unwell().iter().filter(|pod| !pod.is_ready()) {
        let (object, _) = scene.workload_of(pod);
        if matches!(object.kind, Kind::StatefulSet | Kind::DaemonSet)
            && !is_told(scene, pod)
            && !is_lost(scene, pod)
        {
            workloads.entry(object).or_default().push(pod);
        }
    }
    workloads.into_iter().filter_map(|(object, pods)| anomaly(scene, object, &pods)).collect()
}

/// Whether its node does not answer: then that is what there is to tell.
fn is_lost(scene: &Scene<'_>, pod: &Pod) -> bool {
    let node = pod.node.as_ref().map(|name| crate::domain::Key::cluster(name.clone()));
    node.and_then(|key| scene.snapshot.nodes.get(&key)).is_some_and(|node| !node.is_ready())
}

fn unready_since(pod: &Pod) -> Timestamp {
    pod.condition("Ready").and_then(|row| row.since).unwrap_or(pod.created).max(pod.created)
}

fn anomaly(scene: &Scene<'_>, object: ObjectRef, pods: &[&Pod]) -> Option<Anomaly> {
    let all = scene.siblings(&pods.first()?.owner.as_ref()?.uid);
    let ready = all.iter().filter(|pod| pod.is_ready()).count();
    let patience = if ready == 0 { &NO_PROGRESS } else { &MISSING };
    let late: Vec<&Pod> =
        pods.iter().copied().filter(|pod| scene.has_lasted(unready_since(pod), patience)).collect();
    let onset = late.iter().map(|pod| unready_since(pod)).min()?.min(scene.now);
    let obstacles = late.iter().take(8).map(|pod| (*pod, obstacle(scene, pod)));
    let (worst, Obstacle { cause, label, evidence: fact, bindings: own, .. }) =
        obstacles.min_by(|(_, one), (_, other)| other.cause.weight.total_cmp(&one.cause.weight))?;
    let mut bindings = bindings(scene, &object, worst);
    bindings.extend(own);
    bindings.insert("because", label.clone());
    let total = text::count(all.len(), "pod");
    let touches = late.iter().map(|pod| ObjectRef::new(Kind::Pod, pod.key.clone()));
    let proven = if cause.weight >= 0.7 { 0.1 } else { 0.0 };
    shown(Anomaly {
        id: AnomalyId(format!("{}/{}/{}", RULE.name, object.kind.for_kubectl(), object.key).into()),
        rule: RULE.name.into(),
        subject: Subject::Object(object.clone()),
        severity: if ready == 0 { Severity::Critical } else { Severity::Warning },
        score: 0.8 + proven,
        onset,
        title: format!("{} of {total} not ready: {label}", late.len()),
        evidence: vec![fact, evidence(Origin::Pods, None, format!("{ready} of {total} ready"))],
        causes: vec![cause],
        touches: std::iter::once(object).chain(touches).collect(),
        bindings,
        pages_at: pages_at(scene, onset, &PAGES_AFTER),
    })
}

fn bindings(scene: &Scene<'_>, object: &ObjectRef, worst: &Pod) -> Bindings {
    let mut bindings = Bindings::from([
        ("namespace", object.key.namespace.to_string()),
        ("workload", object.to_string()),
        ("workload_kind", object.kind.as_str().to_owned()),
        ("workload_name", object.key.name.to_string()),
        ("pod", worst.key.name.to_string()),
    ]);
    let waiting = worst.containers.iter().find(|container| !container.init && !container.ready);
    bindings.extend(waiting.map(|container| ("container", container.name.to_string())));
    bindings.extend(worst.node.as_ref().map(|node| ("node", node.to_string())));
    bindings.extend(service(scene, worst));
    bindings
}
