//! Sick containers by workload: what a person would name, how much of it still works, and the values its
//! playbook needs. Knows nothing of any particular sickness.

use std::collections::BTreeMap;

use crate::domain::{
    Cause, ConfigReference, Container, Controller, Deployment, Evidence, Key, Kind, Name, ObjectRef, Origin,
    Pod, Template, Timestamp, cause, text,
};

use super::revision::{self, Revision};
use super::suspicion::{Suspicion, suspect};
use super::{Scene, configuration, controller};

/// Longest quotation of a message, in characters.
const QUOTE: usize = 220;

pub(super) type Bindings = BTreeMap<&'static str, String>;

/// The sick containers of one workload, by pod name.
pub(super) struct Group<'a> {
    pub object: ObjectRef,
    pub deployment: Option<&'a Deployment>,
    /// The StatefulSet or DaemonSet, if it is one.
    pub controller: Option<&'a Controller>,
    pub sick: Vec<(&'a Pod, &'a Container)>,
}

/// How much of a workload works.
#[derive(Clone, Copy)]
pub(super) struct Standing {
    pub desired: u32,
    pub available: u32,
}

impl Standing {
    /// Available ÷ desired; 1 when nothing is desired.
    pub fn share(self) -> f64 {
        if self.desired == 0 { 1.0 } else { f64::from(self.available) / f64::from(self.desired) }
    }
}

/// Groups the containers that `is_sick` says yes to, of pods that are unwell.
pub(super) fn groups<'a>(
    scene: &Scene<'a>,
    is_sick: impl Fn(&Scene<'a>, &'a Pod, &'a Container) -> bool,
) -> Vec<Group<'a>> {
    let mut groups: BTreeMap<ObjectRef, Group<'a>> = BTreeMap::new();
    let mut families = Families::default();
    for pod in scene.unwell() {
        for container in pod.containers.iter().filter(|container| is_sick(scene, pod, container)) {
            let (object, deployment) = families.workload_of(scene, pod);
            let controller = scene.snapshot.controller(object.kind, &object.key);
            groups
                .entry(object.clone())
                .or_insert_with(|| Group { object, deployment, controller, sick: Vec::new() })
                .sick
                .push((pod, container));
        }
    }
    groups.into_values().collect()
}

/// Pods of an operator's own kind belong together, too: the first of them stands for all.
#[derive(Default)]
pub(super) struct Families<'a>(BTreeMap<&'a str, ObjectRef>);

impl<'a> Families<'a> {
    /// As [`Scene::workload_of`].
    pub fn workload_of(&mut self, scene: &Scene<'a>, pod: &'a Pod) -> (ObjectRef, Option<&'a Deployment>) {
        let (object, deployment) = scene.workload_of(pod);
        match operated_by(pod).filter(|_| object.kind == Kind::Pod) {
            Some(owner) => (self.0.entry(owner).or_insert(object).clone(), deployment),
            None => (object, deployment),
        }
    }
}

/// The owner of a pod that is neither its node nor of a kind we know.
pub(super) fn operated_by(pod: &Pod) -> Option<&str> {
    let owner = pod.owner.as_ref()?;
    (&*owner.kind != "Node").then_some(&*owner.uid)
}

impl<'a> Group<'a> {
    /// The newest revision, when only its pods are sick.
    pub fn suspect(&self, scene: &Scene<'a>, onset: Timestamp) -> Option<Suspicion<'a>> {
        suspect(scene, &self.revisions(scene), &self.pods(), onset)
    }

    /// The one its template stands for first; none of what keeps no history.
    pub fn revisions(&self, scene: &Scene<'a>) -> Vec<Revision<'a>> {
        match (self.deployment, self.controller) {
            (Some(deployment), _) => revision::of_deployment(scene, deployment),
            (None, Some(controller)) => revision::of_controller(scene, controller),
            (None, None) => Vec::new(),
        }
    }

    /// Pods that a StatefulSet waits for although it is done with their revision.
    pub fn left_behind(&self, scene: &Scene<'a>) -> Option<Cause> {
        controller::left_behind(scene, self.controller?, &self.pods())
    }

    /// Who makes these pods, where that is not for a person to change in them: an operator of a kind of its own, or a
    /// file on a node.
    pub fn kept_by(&self, scene: &Scene<'a>) -> Option<Cause> {
        let (pod, _) = self.sick.first()?;
        let says = if pod.is_mirror {
            let node = pod.node.as_deref().unwrap_or("its node");
            format!(
                "it is a static pod: its manifest is a file on {node} (/etc/kubernetes/manifests), and is mended there"
            )
        } else {
            let name = &self.object.key.name;
            match self.object.kind {
                Kind::CronJob => {
                    let says = format!(
                        "CronJob {name} makes its Jobs: correct its template (spec.jobTemplate) and delete the Jobs that wait"
                    );
                    return Some(Cause { name: cause::OPERATED, says, weight: 0.35 });
                }
                Kind::Job => {
                    let says = format!(
                        "Job {name} cannot be changed: correct it where it is made, delete it and make it anew"
                    );
                    return Some(Cause { name: cause::OPERATED, says, weight: 0.35 });
                }
                _ => {}
            }
            let set = scene.snapshot.replica_sets.get(&self.object.key);
            let owner = match self.object.kind {
                Kind::ReplicaSet => set?.owner.as_ref(),
                Kind::Pod => pod.owner.as_ref().filter(|owner| &*owner.kind != Kind::Node.as_str()),
                _ => None,
            }?;
            format!(
                "{} {} makes its pods: mend its template, for what is changed in them is lost",
                owner.kind, owner.name
            )
        };
        Some(Cause { name: cause::OPERATED, says, weight: 0.35 })
    }

    /// That a container stands in none of its revisions, and what that means.
    pub fn injected(&self, scene: &Scene<'a>, container: &Container) -> Option<Cause> {
        let revisions = self.revisions(scene);
        let own = |revision: &Revision<'_>| revision.template.container(&container.name).is_some();
        if container.init || revisions.is_empty() || revisions.iter().any(own) {
            return None;
        }
        let (name, workload) = (&container.name, &self.object.key.name);
        let says = format!(
            "{name} is none of the containers that {workload} is written with: something adds it to new pods (an admission webhook or policy)"
        );
        Some(Cause { name: cause::INJECTED, says, weight: 0.75 })
    }

    /// What its pods are made from, as far as that is kept.
    pub fn template(&self) -> Option<&'a Template> {
        let of_controller = || self.controller.map(|controller| &controller.template);
        self.deployment.map(|deployment| &deployment.template).or_else(of_controller)
    }

    /// Names the configuration that may be to blame.
    pub fn blame_configuration(
        &self,
        scene: &Scene<'a>,
        onset: Timestamp,
        causes: &mut Vec<Cause>,
        facts: &mut Vec<Evidence>,
        bindings: &mut Bindings,
    ) {
        if let Some(deployment) = self.deployment {
            configuration::blame_of(scene, deployment, onset, causes, facts, bindings);
        } else if let Some(controller) = self.controller {
            let blamed = (&controller.template, &[&controller.key][..]);
            configuration::blame(scene, blamed, onset, causes, facts, bindings);
        }
    }

    /// The sick pods, each once.
    pub fn pods(&self) -> Vec<&'a Pod> {
        let mut pods: Vec<&Pod> = self.sick.iter().map(|(pod, _)| *pod).collect();
        pods.dedup_by(|one, other| one.key == other.key);
        pods
    }

    /// A Job, or the runs of a CronJob: it tries again, and nobody waits for an answer.
    pub fn is_job(&self) -> bool {
        matches!(self.object.kind, Kind::Job | Kind::CronJob)
    }

    pub fn standing(&self, scene: &Scene<'a>) -> Standing {
        if let Some(deployment) = self.deployment {
            return Standing { desired: deployment.replicas, available: deployment.available };
        }
        let ready = |pods: &[&Pod]| pods.iter().filter(|pod| pod.is_ready()).count() as u32;
        match self.object.kind {
            Kind::ReplicaSet | Kind::Deployment => {
                let owner = self.sick.first().and_then(|(pod, _)| pod.owner.as_ref());
                let key = owner.map(|owner| Key {
                    namespace: self.object.key.namespace.clone(),
                    name: owner.name.clone(),
                });
                match key.and_then(|key| scene.snapshot.replica_sets.get(&key)) {
                    Some(set) => Standing { desired: set.replicas, available: set.available },
                    None => Standing { desired: self.pods().len() as u32, available: ready(&self.pods()) },
                }
            }
            Kind::Pod if self.sick.iter().all(|(pod, _)| operated_by(pod).is_none()) => {
                Standing { desired: self.pods().len() as u32, available: ready(&self.pods()) }
            }
            _ if self.controller.is_some_and(|one| one.desired > 0) => {
                let (desired, available) =
                    self.controller.map_or((0, 0), |one| (one.desired, one.ready.min(one.desired)));
                Standing { desired, available }
            }
            _ => {
                let owner = self.sick.first().and_then(|(pod, _)| pod.owner.as_ref());
                let all = owner.map_or(&[][..], |owner| scene.siblings(&owner.uid));
                Standing { desired: all.len() as u32, available: ready(all) }
            }
        }
    }

    /// Everything it touches: the workload, its sick ReplicaSets, its sick pods.
    pub fn touches(&self) -> Vec<ObjectRef> {
        let mut touches = vec![self.object.clone()];
        for pod in self.pods() {
            if let Some(owner) = pod.owner.as_ref().filter(|owner| &*owner.kind == "ReplicaSet") {
                touches.push(object_in(pod, Kind::ReplicaSet, &owner.name));
            }
            touches.push(ObjectRef::new(Kind::Pod, pod.key.clone()));
        }
        touches.sort();
        touches.dedup();
        touches
    }

    /// Bindings that any playbook about a workload may use; `worst` is the container to look at.
    pub fn bindings(&self, scene: &Scene<'a>, worst: (&Pod, &Container)) -> Bindings {
        let (pod, container) = worst;
        let mut bindings = called(&self.object);
        bindings.extend([
            ("pod", pod.key.name.to_string()),
            ("container", container.name.to_string()),
            ("image", container.image.to_string()),
        ]);
        if let Some(node) = &pod.node {
            bindings.insert("node", node.to_string());
        }
        bindings.extend(service(scene, pod));
        if self.object.kind == Kind::Deployment {
            bindings.insert("deployment", self.object.key.name.to_string());
        }
        if self.object.kind == Kind::CronJob {
            bindings.insert("cron_job", self.object.key.name.to_string());
        }
        if let Some(deployment) = self.deployment {
            describe_deployment(scene, deployment, &mut bindings);
        }
        if let Some(controller) = self.controller {
            bindings.insert("selector", controller.selector.to_string());
        }
        bindings
    }
}

/// The Service in front of a pod; or that it serves nobody, where others have Services.
pub(super) fn service(scene: &Scene<'_>, pod: &Pod) -> Option<(&'static str, String)> {
    if let Some(service) = scene.service_of(pod) {
        return Some(("service", service.key.name.to_string()));
    }
    let mut services = scene.snapshot.services.iter();
    let others = services.any(|service| service.key.namespace == pod.key.namespace);
    others.then(|| ("serves", "nobody".to_owned()))
}

/// Bindings of a Deployment: its own and its neighbours'.
pub(super) fn describe_deployment(scene: &Scene<'_>, deployment: &Deployment, bindings: &mut Bindings) {
    bindings.insert("replicas_recorded", deployment.replicas.to_string());
    bindings.insert("selector", deployment.selector.to_string());
    if let Some(revision) = deployment.revision {
        bindings.insert("revision", revision.to_string());
    }
    if let Some(scaler) = scene.autoscaler_of(&deployment.key) {
        bindings.insert("hpa", scaler.key.name.to_string());
        bindings.insert("hpa_min", scaler.min.to_string());
        bindings.insert("hpa_max", scaler.max.to_string());
        // An autoscaler that was switched off by scaling to 0 comes back at its minimum (audit D12).
        if deployment.replicas == 0 {
            bindings.insert("replicas_recorded", scaler.min.max(1).to_string());
        }
    }
    for (kind, first, all) in
        [(Kind::ConfigMap, "config_map", "config_maps"), (Kind::Secret, "secret", "secrets")]
    {
        let names = referenced(&deployment.template.references, kind);
        if let Some(name) = names.first() {
            bindings.insert(first, name.to_string());
            bindings.insert(all, names.join(","));
        }
    }
    if let Some(secret) = deployment.template.pull_secrets.first() {
        bindings.insert("pull_secret", secret.to_string());
    }
}

/// Names of the referenced objects of one kind, each once, in the order of the template.
pub(super) fn referenced(references: &[ConfigReference], kind: Kind) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    for reference in references.iter().filter(|reference| reference.object.kind == kind) {
        if !names.contains(&&*reference.object.key.name) {
            names.push(&reference.object.key.name);
        }
    }
    names
}

/// What a workload is called, in every playbook about one.
pub(super) fn called(object: &ObjectRef) -> Bindings {
    Bindings::from([
        ("namespace", object.key.namespace.to_string()),
        ("workload", object.to_string()),
        ("workload_kind", object.kind.as_str().to_owned()),
        ("workload_name", object.key.name.to_string()),
    ])
}

/// Bindings about revisions, when the newest one is under suspicion.
pub(super) fn describe_suspicion(suspicion: &Suspicion<'_>, bindings: &mut Bindings) {
    if let Some(hash) = suspicion.bad.hash {
        bindings.insert("rollout", hash.to_owned());
    }
    if let Some(revision) = suspicion.bad.number {
        bindings.insert("bad_revision", revision.to_string());
    }
    let Some((good, why)) = &suspicion.good else { return };
    if let Some(revision) = good.number {
        bindings.insert("good_revision", revision.to_string());
        bindings.insert("good_revision_why", why.clone());
    }
    let row = match bindings.get("container") {
        Some(container) => good.template.container(container),
        None => good.template.containers.first(),
    };
    if let Some(row) = row {
        bindings.insert("good_image", row.image.to_string());
    }
}

/// An object in the pod's namespace.
pub(super) fn object_in(pod: &Pod, kind: Kind, name: &Name) -> ObjectRef {
    ObjectRef::new(kind, crate::domain::Key::new(pod.key.namespace.clone(), name.clone()))
}

/// Words of others, made harmless and short.
pub(super) fn quote(message: &str) -> String {
    let words = text::redact(&text::clean(message));
    let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
    // What an error comes down to stands at its end, what it is about at its beginning.
    text::both_ends(&words, QUOTE)
}

pub(super) fn evidence(from: Origin, at: Option<Timestamp>, says: impl Into<String>) -> Evidence {
    Evidence { at, from, says: says.into() }
}
