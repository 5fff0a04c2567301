//! DaemonSets that an edit of their template took from every node: nothing of them is left that could fail.

use jiff::SignedDuration;

use crate::domain::{
    Anomaly, AnomalyId, Cause, Controller, Labels, Name, Origin, Severity, Subject, cause, text,
};

use super::revision::{Revision, of_controller};
use super::rollout_stuck::{NONE_LEFT, PAGES_AFTER, RULE};
use super::suspicion::Suspicion;
use super::workload::{called, describe_suspicion, evidence};
use super::{Scene, pages_at, shown};

/// Whoever wants it so has seen it by then (audit, section 4: changes of the last hour are suspected).
const LATELY: SignedDuration = SignedDuration::from_hours(1);

pub(super) fn examine(scene: &Scene<'_>) -> Vec<Anomaly> {
    let empty = |one: &&Controller| one.desired == 0 && one.existing == 0;
    scene.snapshot.daemon_sets.iter().filter(empty).filter_map(|one| anomaly(scene, one)).collect()
}

fn anomaly(scene: &Scene<'_>, controller: &Controller) -> Option<Anomaly> {
    let revisions = of_controller(scene, controller);
    let (bad, older) = revisions.split_first()?;
    let since = bad.created;
    let lately = scene.now.duration_since(since) <= LATELY;
    if !lately || !scene.has_lasted(since, &NONE_LEFT) {
        return None;
    }
    let (key, value) = missed(scene, bad)?;
    let ran = nodes_of(scene, older.first()?);
    if ran == 0 {
        return None;
    }
    let missed = format!("no node has {key}={value}");
    let says = format!("{bad} fits none of the nodes; {} fits {}", older[0], text::count(ran, "node"));
    let object = controller.object();
    let mut bindings = called(&object);
    bindings.extend([("because", missed.clone())]);
    let good = older.first().map(|older| (*older, format!("it fits {}", text::count(ran, "node"))));
    describe_suspicion(&Suspicion { bad: *bad, good, says: says.clone(), weight: 0.8 }, &mut bindings);
    shown(Anomaly {
        id: AnomalyId(format!("{}/{}/{}", RULE.name, object.kind.for_kubectl(), object.key).into()),
        rule: RULE.name.into(),
        subject: Subject::Object(object.clone()),
        severity: Severity::Warning,
        score: 0.75,
        onset: since,
        title: format!("runs on no node: {missed}"),
        evidence: vec![evidence(Origin::ControllerRevisions, Some(since), says.clone())],
        causes: vec![
            Cause { name: cause::NO_NODE_MATCHES, says: missed, weight: 0.9 },
            Cause { name: cause::BAD_REVISION, says, weight: 0.8 },
        ],
        touches: vec![object],
        bindings,
        pages_at: pages_at(scene, since, &PAGES_AFTER),
    })
}

/// A label that nodes have and none with the value that the revision asks for. One that no node has at all is how people
/// switch a DaemonSet off.
fn missed<'a>(scene: &Scene<'_>, revision: &Revision<'a>) -> Option<(&'a Name, &'a Name)> {
    let labels = || scene.snapshot.nodes.iter().map(|node| &node.labels);
    let known = |key: &str| labels().any(|labels| labels.get(key).is_some());
    let has =
        |key: &str, value: &str| labels().any(|labels| labels.get(key).is_some_and(|own| **own == *value));
    let mut asked = revision.template.node_selector.0.iter();
    asked.find(|(key, value)| known(key) && !has(key, value)).map(|(key, value)| (key, value))
}

/// How many nodes have the labels that it asks for.
fn nodes_of(scene: &Scene<'_>, revision: &Revision<'_>) -> usize {
    let asked = &revision.template.node_selector;
    let fits = |labels: &Labels| asked.0.iter().all(|(key, value)| labels.get(key) == Some(value));
    scene.snapshot.nodes.iter().filter(|node| fits(&node.labels)).count()
}
