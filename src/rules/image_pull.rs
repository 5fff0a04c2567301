//! Images that cannot be pulled, by workload and image.
//! Reads container states and events; whether the registry has the image is for a probe to find out.

use crate::domain::{
    Anomaly, AnomalyId, Cause, Container, Kind, Name, ObjectRef, Origin, Pod, Severity, Subject, Timestamp,
    cause, text,
};

use super::image_cause::{PULLING_FAILS, Trouble, registry, trouble};
use super::workload::{Bindings, Group, Standing, describe_suspicion, evidence, groups};
use super::{Needs, Rule, Scene, Threshold, Unit, configuration, pages_at, shown};

const WARNING_AFTER: Threshold = Threshold {
    key: "image-pull.warning-after",
    default: 60.0,
    unit: Unit::Seconds,
    says: "how long pulling fails before it is a warning",
    source: "our own choice; public alerts wait an hour",
};
const CRITICAL_AFTER: Threshold = Threshold {
    key: "image-pull.critical-after",
    default: 300.0,
    unit: Unit::Seconds,
    says: "how long it blocks a rollout or capacity before it is critical",
    source: "our own choice; the kubelet's back-off is 5 min by then",
};
const PAGES_AFTER: Threshold = Threshold {
    key: "image-pull.pages-after",
    default: 3600.0,
    unit: Unit::Seconds,
    says: "`for` of the public alert",
    source: "kubernetes-mixin: KubeContainerWaiting, 1h",
};

pub(super) static RULE: Rule = Rule {
    name: "image-pull",
    title: "Images cannot be pulled",
    says: "Containers that wait for an image that cannot be pulled, named or verified. Silent while a pull is \
           in progress, about pods being deleted, and about containers that wait for other things.",
    needs: Needs::All(&[Origin::Pods]),
    awaits: &[Origin::Deployments, Origin::ReplicaSets],
    thresholds: &[WARNING_AFTER, CRITICAL_AFTER, PAGES_AFTER],
    examine,
};

fn examine(scene: &Scene<'_>) -> Vec<Anomaly> {
    groups(scene, |scene, pod, container| is_failing(container) && !is_corrected(scene, pod, container))
        .iter()
        .filter_map(|group| anomaly(scene, group))
        .collect()
}

/// Whether the pod is of an older revision, and the newest names another image: it goes with the rollout.
fn is_corrected(scene: &Scene<'_>, pod: &Pod, container: &Container) -> bool {
    let (_, Some(deployment)) = scene.workload_of(pod) else { return false };
    let newest = scene.revisions(deployment).first();
    let is_older = newest.zip(pod.owner.as_ref()).is_some_and(|(newest, owner)| newest.uid != owner.uid);
    let named = deployment.template.container(&container.name);
    is_older && named.is_some_and(|row| row.image != container.image)
}

/// Whether a container waits for an image that does not come.
pub(super) fn is_failing(container: &Container) -> bool {
    container.waiting().is_some_and(|reason| PULLING_FAILS.contains(&&**reason))
}

fn anomaly<'a>(scene: &Scene<'a>, group: &Group<'a>) -> Option<Anomaly> {
    let standing = group.standing(scene);
    let pods = group.pods();
    let onset = group.sick.iter().map(|(pod, container)| began(scene, pod, container)).min()?;
    // The pod whose words are known speaks for the others; a few are enough to hear.
    let mut heard: Vec<_> =
        group.sick.iter().take(16).map(|row| (*row, trouble(scene, row.0, row.1))).collect();
    heard.sort_by_key(|((pod, container), trouble)| {
        (trouble.causes[0].name == cause::IMAGE_PULL, pod.created, &pod.key, &container.name)
    });
    let (worst, Trouble { mut causes, label, message }) = heard.into_iter().next()?;
    if let Some(node) = lonely_node(scene, group).filter(|_| OF_THE_WAY.contains(&causes[0].name)) {
        causes[0].says += &format!("; only from {node}, others have it");
    }
    let suspicion = group.suspect(scene, onset);
    let mut bindings = group.bindings(scene, worst);
    bindings.insert("registry", registry(&worst.1.image).to_owned());
    let known = causes[0].name != cause::IMAGE_PULL;
    bindings.insert("because", if known { label } else { "no reason is known" }.to_owned());
    let waits = worst.1.waiting().map_or("", |reason| reason);
    let says = format!("{}/{}: {waits}: {message}", worst.0.key.name, worst.1.name);
    let mut facts = vec![evidence(Origin::Pods, None, says)];
    if let Some(suspicion) = &suspicion {
        describe_suspicion(suspicion, &mut bindings);
        facts.push(evidence(Origin::ReplicaSets, Some(suspicion.bad.created), suspicion.says.clone()));
        let says = suspicion.says.clone();
        causes.push(Cause { name: cause::BAD_REVISION, says, weight: suspicion.weight.min(0.85) });
    }
    if let Some(cause) = group.left_behind(scene) {
        facts.push(evidence(Origin::StatefulSets, None, cause.says.clone()));
        causes.push(cause);
    }
    if let Some(kept) = group.kept_by(scene) {
        bindings.insert("kept_by", kept.says.clone());
        causes.push(kept);
    }
    let mut touches = group.touches();
    check_pull_secrets(scene, group, &mut bindings, &mut facts, &mut causes, &mut touches);
    if let Some(corrected) = corrected(scene, group, &mut bindings) {
        facts.push(evidence(Origin::Secrets, None, corrected.says.clone()));
        causes.push(corrected);
    }
    if let (true, Some(node)) = (causes[0].name == cause::IMAGE_DISK, &worst.0.node) {
        touches.push(ObjectRef::new(Kind::Node, crate::domain::Key::cluster(node.clone())));
    }
    let available =
        format!("{} of {} available", standing.available, text::count(standing.desired as usize, "replica"));
    if !group.is_job() {
        facts.push(evidence(Origin::Pods, None, available));
    }
    causes.sort_by(|one, other| other.weight.total_cmp(&one.weight));
    let several = pods.len() >= 2;
    // As long as every replica serves, nobody suffers yet: who does comes first.
    let whole = !group.is_job() && standing.desired > 0 && standing.share() >= 1.0;
    let raises = [(several, 0.1), (suspicion.is_some(), 0.1), (standing.share() < 1.0, 0.1), (whole, -0.2)];
    // What tries again may get it yet, but not what does not exist.
    let base = if group.is_job() && !known { 0.5 } else { 0.7 };
    let score: f64 = base + raises.iter().filter(|(holds, _)| *holds).map(|(_, by)| by).sum::<f64>();
    let kind = group.object.kind.for_kubectl();
    let says = format!("{} cannot pull {}", text::count(pods.len(), "pod"), worst.1.image);
    shown(Anomaly {
        id: AnomalyId(format!("{}/{kind}/{}", RULE.name, group.object.key).into()),
        rule: RULE.name.into(),
        subject: Subject::Object(group.object.clone()),
        severity: severity(scene, group, standing, onset),
        score: score.min(1.0),
        onset,
        title: if known { format!("{says}: {label}") } else { says },
        evidence: facts,
        causes,
        touches,
        bindings,
        pages_at: pages_at(scene, onset, &PAGES_AFTER),
    })
}

/// A pull secret was written after the last refusal.
fn corrected(scene: &Scene<'_>, group: &Group<'_>, bindings: &mut Bindings) -> Option<Cause> {
    let secrets = &group.template()?.pull_secrets;
    let namespace = &group.object.key.namespace;
    let needed: Vec<ObjectRef> = secrets
        .iter()
        .map(|name| ObjectRef::new(Kind::Secret, crate::domain::Key::new(namespace.clone(), name.clone())))
        .collect();
    let tries = group.sick.iter().flat_map(|(pod, _)| scene.events(Kind::Pod, &pod.key));
    let tried = tries.filter(|event| &*event.reason == "Failed").map(|event| event.last).max()?;
    configuration::corrected(scene, needed.iter(), tried, bindings)
}

/// What a node's own way to the registry may be to blame for.
const OF_THE_WAY: &[&str] = &[cause::IMAGE_NETWORK, cause::IMAGE_TRUST];

/// The one node that does not get the image, where another runs it.
fn lonely_node<'a>(scene: &Scene<'a>, group: &Group<'a>) -> Option<&'a Name> {
    let (first, container) = group.sick.first()?;
    let node = first.node.as_ref()?;
    let same = group.sick.iter().all(|(pod, _)| pod.node.as_ref() == Some(node));
    let runs = |pod: &Pod| {
        pod.node.as_ref().is_some_and(|other| other != node)
            && pod.containers.iter().any(|row| row.image == container.image && row.ready)
    };
    (same && scene.snapshot.pods.iter().any(runs)).then_some(node)
}

fn severity(scene: &Scene<'_>, group: &Group<'_>, standing: Standing, onset: Timestamp) -> Severity {
    let rolling = group.deployment.is_some_and(|deployment| !deployment.is_rolled_out());
    let serves = !group.is_job() && group.sick.iter().any(|(pod, _)| pod.owner.is_some());
    let blocks = rolling || (serves && standing.available < standing.desired);
    // Nobody is left to serve where somebody did.
    let is_new = group.deployment.is_some_and(|deployment| scene.revisions(deployment).len() < 2);
    let is_outage = blocks && serves && !is_new && standing.desired > 0 && standing.available == 0;
    match () {
        () if is_outage && scene.has_lasted(onset, &WARNING_AFTER) => Severity::Critical,
        () if blocks && scene.has_lasted(onset, &CRITICAL_AFTER) => Severity::Critical,
        () if scene.has_lasted(onset, &WARNING_AFTER) => Severity::Warning,
        () => Severity::Suspect,
    }
}

/// The first event about a failed pull; else when the container ended or the pod was placed on its node.
fn began(scene: &Scene<'_>, pod: &Pod, container: &Container) -> Timestamp {
    let about_images = |message: &str| message.contains("pull") || message.contains("Image");
    let events = scene.events(Kind::Pod, &pod.key).filter(|event| {
        matches!(&*event.reason, "Failed" | "BackOff" | "InspectFailed" | "ErrImageNeverPull")
    });
    let first = events.filter(|event| about_images(&event.message)).map(|event| event.first).min();
    let placed = || pod.condition("PodScheduled").and_then(|condition| condition.since);
    let ended = || container.last.as_ref().and_then(|last| last.finished);
    first.or_else(ended).or_else(placed).unwrap_or(pod.created).max(pod.created).min(scene.now)
}

/// A pull secret that is referenced and does not exist explains a refusal.
fn check_pull_secrets(
    scene: &Scene<'_>,
    group: &Group<'_>,
    bindings: &mut Bindings,
    facts: &mut Vec<crate::domain::Evidence>,
    causes: &mut [Cause],
    touches: &mut Vec<ObjectRef>,
) {
    let Some(deployment) = group.deployment else { return };
    let namespace = &deployment.key.namespace;
    for name in &deployment.template.pull_secrets {
        let key = crate::domain::Key::new(namespace.clone(), name.clone());
        let secrets = &scene.snapshot.secrets;
        if secrets.is_listed() && secrets.get(&key).is_none() {
            let says = format!("pull secret {name} does not exist");
            bindings.insert("missing_kind", "Secret".into());
            bindings.insert("missing_object", name.to_string());
            bindings.insert("pull_secret", name.to_string());
            if let Some(cause) = causes.iter_mut().find(|row| row.name == cause::IMAGE_AUTH) {
                cause.weight = 0.95;
                cause.says = format!("{says}; {}", cause.says);
            }
            facts.push(evidence(Origin::Secrets, None, says));
        }
        touches.push(ObjectRef::new(Kind::Secret, key));
    }
    if deployment.template.pull_secrets.is_empty() {
        facts.push(evidence(Origin::Deployments, None, "the template names no pull secret"));
    }
}
