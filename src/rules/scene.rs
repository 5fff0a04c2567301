//! One pass over a snapshot: what several rules ask for, found once, and only when somebody asks.
//! Healthy pods cost one look each and no allocation.

use std::cell::OnceCell;
use std::collections::HashMap;

use jiff::SignedDuration;

use crate::domain::{
    Autoscaler, Blind, BlindKind, Container, ControllerRevision, Deployment, Event, Key, Kind, Name,
    ObjectRef, Origin, Phase, Pod, ReplicaSet, Service, Snapshot, Timestamp,
};

use super::room::roomiest;
use super::{Threshold, Thresholds};

/// Restarts older than this are history (events live as long by default: `--event-ttl=1h`).
const RECENT: SignedDuration = SignedDuration::from_hours(1);

/// Namespace, label and value: the first pair of a Service's selector.
type FirstLabel<'a> = (&'a Name, &'a Name, &'a Name);

/// What a rule looks at.
#[derive(Debug)]
pub struct Scene<'a> {
    pub snapshot: &'a Snapshot,
    pub thresholds: &'a Thresholds,
    pub now: Timestamp,
    unwell: Vec<&'a Pod>,
    sets: OnceCell<HashMap<&'a str, Vec<&'a ReplicaSet>>>,
    history: OnceCell<HashMap<&'a str, Vec<&'a ControllerRevision>>>,
    events: OnceCell<HashMap<&'a Key, Vec<&'a Event>>>,
    preemptions: OnceCell<Vec<&'a Event>>,
    siblings: OnceCell<HashMap<&'a str, Vec<&'a Pod>>>,
    services: OnceCell<HashMap<FirstLabel<'a>, Vec<&'a Service>>>,
    autoscalers: OnceCell<HashMap<(&'a Name, &'a Name), &'a Autoscaler>>,
    members: OnceCell<HashMap<&'a str, Vec<&'a Pod>>>,
    roomiest: OnceCell<Option<u64>>,
}

impl<'a> Scene<'a> {
    pub fn new(snapshot: &'a Snapshot, thresholds: &'a Thresholds, now: Timestamp) -> Self {
        let mut unwell: Vec<&Pod> = snapshot.pods.iter().filter(|pod| is_unwell(pod, now)).collect();
        // The table has no order; judgements must not depend on it.
        unwell.sort_by(|one, other| one.key.cmp(&other.key));
        Self {
            snapshot,
            thresholds,
            now,
            unwell,
            sets: OnceCell::new(),
            history: OnceCell::new(),
            events: OnceCell::new(),
            preemptions: OnceCell::new(),
            siblings: OnceCell::new(),
            services: OnceCell::new(),
            autoscalers: OnceCell::new(),
            members: OnceCell::new(),
            roomiest: OnceCell::new(),
        }
    }

    /// Pods that live, are not being deleted, and have a container that isn't ready or restarted lately;
    /// by name.
    pub fn unwell(&self) -> &[&'a Pod] {
        &self.unwell
    }

    /// Unwell pods of an owner, by name.
    pub fn unwell_of(&self, owner_uid: &str) -> &[&'a Pod] {
        let index = self.members.get_or_init(|| {
            let mut index: HashMap<&str, Vec<&Pod>> = HashMap::new();
            for pod in &self.unwell {
                if let Some(owner) = &pod.owner {
                    index.entry(&owner.uid).or_default().push(pod);
                }
            }
            index
        });
        index.get(owner_uid).map_or(&[], Vec::as_slice)
    }

    /// Unrequested memory of the roomiest node that takes pods, in bytes; None when no node is known.
    pub fn roomiest(&self) -> Option<u64> {
        *self.roomiest.get_or_init(|| roomiest(self.snapshot))
    }

    /// Not even the API server answers us: silence of others is then no sign that they are down.
    pub fn is_cut_off(&self) -> bool {
        let blind = self.snapshot.sight(Origin::ApiServer).and_then(|sight| sight.blind.as_ref());
        blind.is_some_and(|blind| blind.kind == BlindKind::Unreachable)
    }

    /// Why an origin that answered does not any more, though we reach others. One that was never reached may be none of
    /// this network's.
    pub fn lost(&self, origin: Origin) -> Option<&'a Blind> {
        let sight = self.snapshot.sight(origin).filter(|sight| sight.seen.is_some())?;
        let blind = sight.blind.as_ref().filter(|blind| blind.kind == BlindKind::Unreachable)?;
        (!self.is_cut_off()).then_some(blind)
    }

    pub fn threshold(&self, threshold: &Threshold) -> f64 {
        self.thresholds.get(threshold)
    }

    /// Whether `since` is at least as long ago as this threshold, in seconds, says.
    pub fn has_lasted(&self, since: Timestamp, threshold: &Threshold) -> bool {
        self.now.duration_since(since) >= self.thresholds.span(threshold)
    }

    /// ReplicaSets of a Deployment, the newest revision first.
    pub fn revisions(&self, deployment: &Deployment) -> &[&'a ReplicaSet] {
        let index = self.sets.get_or_init(|| {
            let mut index: HashMap<&str, Vec<&ReplicaSet>> = HashMap::new();
            for set in self.snapshot.replica_sets.iter() {
                if let Some(owner) = &set.owner {
                    index.entry(&owner.uid).or_default().push(set);
                }
            }
            for sets in index.values_mut() {
                sets.sort_by(|one, other| {
                    (other.revision, other.created, &other.key).cmp(&(one.revision, one.created, &one.key))
                });
            }
            index
        });
        index.get(&*deployment.uid).map_or(&[], Vec::as_slice)
    }

    /// ControllerRevisions of a StatefulSet or DaemonSet, the newest first.
    pub fn history(&self, owner_uid: &str) -> &[&'a ControllerRevision] {
        let index = self.history.get_or_init(|| {
            let mut index: HashMap<&str, Vec<&ControllerRevision>> = HashMap::new();
            for revision in self.snapshot.controller_revisions.iter() {
                if let Some(owner) = &revision.owner {
                    index.entry(&owner.uid).or_default().push(revision);
                }
            }
            for revisions in index.values_mut() {
                revisions.sort_by(|one, other| (other.revision, &other.key).cmp(&(one.revision, &one.key)));
            }
            index
        });
        index.get(owner_uid).map_or(&[], Vec::as_slice)
    }

    /// Warnings and kills about an object in the last hour, the latest first.
    pub fn events(&self, kind: Kind, key: &Key) -> impl Iterator<Item = &'a Event> {
        let index = self.events.get_or_init(|| {
            let mut index: HashMap<&Key, Vec<&Event>> = HashMap::new();
            let telling = |event: &Event| {
                event.warning || matches!(&*event.reason, "Killing" | "NodeNotReady" | "NotTriggerScaleUp")
            };
            for event in self.snapshot.events.iter() {
                if telling(event) && self.now.duration_since(event.last) <= RECENT {
                    index.entry(&event.about).or_default().push(event);
                }
            }
            for events in index.values_mut() {
                events.sort_by(|one, other| (other.last, &other.key).cmp(&(one.last, &one.key)));
            }
            index
        });
        let about = move |event: &&Event| &*event.about_kind == kind.as_str();
        index.get(key).map_or(&[][..], Vec::as_slice).iter().copied().filter(about)
    }

    /// What the scheduler said in the last hour of pods that made way for others, the latest first.
    pub fn preemptions(&self) -> &[&'a Event] {
        self.preemptions.get_or_init(|| {
            let lately = |event: &&Event| self.now.duration_since(event.last) <= RECENT;
            let events = self.snapshot.events.iter().filter(|event| &*event.reason == "Preempted");
            let mut events: Vec<&Event> = events.filter(lately).collect();
            events.sort_by(|one, other| (other.last, &other.key).cmp(&(one.last, &one.key)));
            events
        })
    }

    /// Living pods of an owner that isn't a ReplicaSet (whose own status counts them).
    pub fn siblings(&self, owner_uid: &str) -> &[&'a Pod] {
        let index = self.siblings.get_or_init(|| {
            let mut index: HashMap<&str, Vec<&Pod>> = HashMap::new();
            let living = |pod: &&Pod| pod.deleting.is_none() && !pod.is_finished();
            for pod in self.snapshot.pods.iter().filter(living) {
                if let Some(owner) = pod.owner.as_ref().filter(|owner| &*owner.kind != "ReplicaSet") {
                    index.entry(&owner.uid).or_default().push(pod);
                }
            }
            index
        });
        index.get(owner_uid).map_or(&[], Vec::as_slice)
    }

    /// The Service that selects a pod; the first by name when there are several.
    pub fn service_of(&self, pod: &Pod) -> Option<&'a Service> {
        let index = self.services.get_or_init(|| {
            let mut index: HashMap<_, Vec<&Service>> = HashMap::new();
            for service in self.snapshot.services.iter() {
                if let Some((label, value)) = service.selector.labels.0.first() {
                    index.entry((&service.key.namespace, label, value)).or_default().push(service);
                }
            }
            index
        });
        let namespace = &pod.key.namespace;
        let candidates =
            pod.labels.0.iter().filter_map(|(label, value)| index.get(&(namespace, label, value)));
        candidates
            .flatten()
            .copied()
            .filter(|service| service.selector.matches(&pod.labels))
            .min_by_key(|service| &service.key)
    }

    /// The autoscaler of a Deployment.
    pub fn autoscaler_of(&self, deployment: &Key) -> Option<&'a Autoscaler> {
        let index = self.autoscalers.get_or_init(|| {
            let scalers = self.snapshot.autoscalers.iter();
            let scalers = scalers.filter(|scaler| &*scaler.target_kind == "Deployment");
            let mut index = HashMap::new();
            for scaler in scalers {
                let known = index.entry((&scaler.key.namespace, &scaler.target)).or_insert(scaler);
                if scaler.key < known.key {
                    *known = scaler;
                }
            }
            index
        });
        index.get(&(&deployment.namespace, &deployment.name)).copied()
    }

    /// What a pod belongs to: the object a person would name, and its Deployment, if it is one.
    pub fn workload_of(&self, pod: &Pod) -> (ObjectRef, Option<&'a Deployment>) {
        let namespace = &pod.key.namespace;
        let named = |kind: Kind, name: &Name| ObjectRef::new(kind, Key::new(namespace.clone(), name.clone()));
        let Some(owner) = &pod.owner else {
            return (ObjectRef::new(Kind::Pod, pod.key.clone()), None);
        };
        match &*owner.kind {
            "ReplicaSet" => {
                let name = self.deployment_name(pod, &owner.name);
                let key = name.map(|name| Key::new(namespace.clone(), name));
                match key {
                    Some(key) => {
                        let deployment = self.snapshot.deployments.get(&key);
                        (ObjectRef::new(Kind::Deployment, key), deployment)
                    }
                    None => (named(Kind::ReplicaSet, &owner.name), None),
                }
            }
            kind => match Kind::parse(kind) {
                // A static pod belongs to its node, but it is the pod a person would name.
                Some(Kind::Node) | None => (ObjectRef::new(Kind::Pod, pod.key.clone()), None),
                Some(Kind::Job) => (self.cron_job_of(named(Kind::Job, &owner.name)), None),
                Some(kind) => (named(kind, &owner.name), None),
            },
        }
    }

    /// The CronJob whose run it is: its runs tell one story. A Job that nothing repeats is its own. Where Jobs cannot
    /// be seen, by the name that the controller gives its runs.
    fn cron_job_of(&self, job: ObjectRef) -> ObjectRef {
        let jobs = &self.snapshot.jobs;
        let owner = jobs.get(&job.key).and_then(|found| found.owner.as_ref());
        let owner =
            owner.filter(|owner| &*owner.kind == Kind::CronJob.as_str()).map(|owner| owner.name.clone());
        let guessed = || run_of(&job.key.name).filter(|_| !jobs.is_listed()).map(Name::from);
        match owner.or_else(guessed) {
            Some(name) => ObjectRef::new(Kind::CronJob, Key::new(job.key.namespace.clone(), name)),
            None => job,
        }
    }

    /// The name of the Deployment behind a pod's ReplicaSet; from the ReplicaSet's own name when
    /// ReplicaSets cannot be seen.
    fn deployment_name(&self, pod: &Pod, set: &Name) -> Option<Name> {
        let key = Key::new(pod.key.namespace.clone(), set.clone());
        if let Some(set) = self.snapshot.replica_sets.get(&key) {
            let owner = set.owner.as_ref().filter(|owner| &*owner.kind == "Deployment")?;
            return Some(owner.name.clone());
        }
        let hash = pod.template_hash()?;
        let name = set.strip_suffix(&**hash)?.strip_suffix('-')?;
        Some(name.into())
    }
}

/// `backup` of `backup-29538780`: a CronJob's runs are named after the minute that they are due, since 1970.
fn run_of(job: &str) -> Option<&str> {
    let (name, minute) = job.rsplit_once('-')?;
    (minute.len() == 8 && minute.bytes().all(|byte| byte.is_ascii_digit())).then_some(name)
}

/// Whether any rule about pods needs a closer look at this one.
fn is_unwell(pod: &Pod, now: Timestamp) -> bool {
    if pod.deleting.is_some() || matches!(pod.phase, Phase::Succeeded | Phase::Failed) {
        return false;
    }
    pod.containers.is_empty() || pod.containers.iter().any(|container| is_suspicious(container, now))
}

fn is_suspicious(container: &Container, now: Timestamp) -> bool {
    let restarted_lately = || {
        let ended = container.last.as_ref().and_then(|last| last.finished);
        ended.is_none_or(|ended| now.duration_since(ended) <= RECENT)
    };
    (!container.init && !container.ready) || (container.restarts > 0 && restarted_lately())
}
