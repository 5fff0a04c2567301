//! The controllers' view of the cluster: caches, writes that go through them, and the queue of what to look at.
//! It knows which change concerns which controller, not what that controller does.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::events::Recorder;
use super::objects::{
    Bare, Config, CronJob, DaemonSet, Deployment, ExternalSecret, Hpa, Job, Named, Node, Pdb, Pod, Quota,
    ReplicaSet, Service,
};
use super::shelf::{Key, Shelf, Turned};
use crate::lab::logs::Logs;
use crate::lab::store::{Store, StoreError};

/// Something a controller should look at again.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Work {
    Deployment(Key),
    ReplicaSet(Key),
    StatefulSet(Key),
    DaemonSet(Key),
    Job(Key),
    CronJob(Key),
    Pod(Key),
    Schedule(Key),
    Service(Key),
    Hpa(Key),
    Pdb(Key),
    Quota(String),
    ExternalSecret(Key),
    Node(String),
    /// Dependents of an owner that is gone, by its uid.
    Orphans(String),
}

pub struct Cluster {
    pub store: Store,
    pub logs: Logs,
    pub now: Timestamp,
    pub rng: fastrand::Rng,
    /// How many times faster than life processes go (not rates).
    pub speed: f64,
    pub events: Recorder,
    pub pods: Shelf<Pod>,
    pub nodes: Shelf<Node>,
    pub deployments: Shelf<Deployment>,
    pub replica_sets: Shelf<ReplicaSet>,
    pub stateful_sets: Shelf<ReplicaSet>,
    pub daemon_sets: Shelf<DaemonSet>,
    pub jobs: Shelf<Job>,
    pub cron_jobs: Shelf<CronJob>,
    pub config_maps: Shelf<Config>,
    pub secrets: Shelf<Config>,
    pub services: Shelf<Service>,
    pub slices: Shelf<Bare>,
    pub hpas: Shelf<Hpa>,
    pub pdbs: Shelf<Pdb>,
    pub quotas: Shelf<Quota>,
    pub external_secrets: Shelf<ExternalSecret>,
    owned: HashMap<String, BTreeSet<Key>>,
    on_node: HashMap<String, BTreeSet<Key>>,
    queue: VecDeque<Work>,
    queued: HashSet<Work>,
    timers: BinaryHeap<Reverse<(Timestamp, Work)>>,
    /// While set, own writes put nothing into the queue: the world is being furnished.
    pub furnishing: bool,
}

impl Cluster {
    pub fn new(store: Store, logs: Logs, now: Timestamp, seed: u64, pace: f64) -> Self {
        Self {
            now,
            rng: fastrand::Rng::with_seed(seed),
            speed: pace.max(0.01),
            events: Recorder::default(),
            pods: Shelf::new(&store, "pods"),
            nodes: Shelf::new(&store, "nodes"),
            deployments: Shelf::new(&store, "deployments"),
            replica_sets: Shelf::new(&store, "replicasets"),
            stateful_sets: Shelf::new(&store, "statefulsets"),
            daemon_sets: Shelf::new(&store, "daemonsets"),
            jobs: Shelf::new(&store, "jobs"),
            cron_jobs: Shelf::new(&store, "cronjobs"),
            config_maps: Shelf::new(&store, "configmaps"),
            secrets: Shelf::new(&store, "secrets"),
            services: Shelf::new(&store, "services"),
            slices: Shelf::new(&store, "endpointslices"),
            hpas: Shelf::new(&store, "horizontalpodautoscalers"),
            pdbs: Shelf::new(&store, "poddisruptionbudgets"),
            quotas: Shelf::new(&store, "resourcequotas"),
            external_secrets: Shelf::new(&store, "externalsecrets"),
            owned: HashMap::new(),
            on_node: HashMap::new(),
            queue: VecDeque::new(),
            queued: HashSet::new(),
            timers: BinaryHeap::new(),
            furnishing: true,
            store,
            logs,
        }
    }

    /// A duration of a process, `seconds` long in life.
    pub fn lasting(&self, seconds: f64) -> SignedDuration {
        SignedDuration::from_millis((seconds * 1000.0 / self.speed) as i64)
    }

    /// When a process that starts now and takes `seconds` in life will be over.
    pub fn after(&self, seconds: f64) -> Timestamp {
        later(self.now, self.lasting(seconds))
    }

    /// As [`Cluster::after`], between `least` and `least + spread` seconds.
    pub fn after_about(&mut self, least: f64, spread: f64) -> Timestamp {
        let seconds = least + spread * self.rng.f64();
        self.after(seconds)
    }

    pub fn enqueue(&mut self, work: Work) {
        if !self.furnishing && self.queued.insert(work.clone()) {
            self.queue.push_back(work);
        }
    }

    pub fn enqueue_at(&mut self, at: Timestamp, work: Work) {
        self.timers.push(Reverse((at, work)));
    }

    pub fn enqueue_in(&mut self, seconds: f64, work: Work) {
        self.enqueue_at(self.after(seconds), work);
    }

    /// The next thing to look at, timers that are due included.
    pub fn next_work(&mut self) -> Option<Work> {
        while let Some(Reverse((at, _))) = self.timers.peek() {
            if *at > self.now {
                break;
            }
            if let Some(Reverse((_, work))) = self.timers.pop() {
                self.enqueue(work);
            }
        }
        let work = self.queue.pop_front()?;
        self.queued.remove(&work);
        Some(work)
    }

    /// Pods whose controller has this uid.
    pub fn owned_pods(&self, uid: &str) -> Vec<Arc<Pod>> {
        self.pods_at(self.owned.get(uid))
    }

    pub fn pods_on(&self, node: &str) -> Vec<Arc<Pod>> {
        self.pods_at(self.on_node.get(node))
    }

    /// Pods that have no node yet.
    pub fn unscheduled(&self) -> impl Iterator<Item = &Key> {
        self.on_node.get("").into_iter().flatten()
    }

    fn pods_at(&self, keys: Option<&BTreeSet<Key>>) -> Vec<Arc<Pod>> {
        keys.into_iter().flatten().filter_map(|key| self.pods.get(key)).collect()
    }

    pub fn create<T: Kind>(&mut self, object: Value) -> Result<Arc<T::Object>, StoreError> {
        let resource = T::shelf(self).resource;
        let stored = self.store.create(resource, object, self.now)?;
        let turned = T::shelf(self).put(&stored);
        self.react::<T>(turned);
        T::shelf(self).get(&Key::new(&stored.namespace, &stored.name)).ok_or(StoreError::Nameless)
    }

    /// Changes an object that may be gone by now; says whether it was there.
    pub fn update<T: Kind>(&mut self, key: &Key, change: impl FnOnce(&mut Value)) -> bool {
        let resource = T::shelf(self).resource;
        match self.store.update(resource, &key.namespace, &key.name, self.now, change) {
            Ok(stored) => {
                let turned = T::shelf(self).put(&stored);
                self.react::<T>(turned);
                true
            }
            Err(_) => false,
        }
    }

    pub fn delete<T: Kind>(&mut self, key: &Key) {
        let resource = T::shelf(self).resource;
        if let Ok(stored) = self.store.delete(resource, &key.namespace, &key.name) {
            let turned = T::shelf(self).take(key, stored.revision);
            self.react::<T>(turned);
        }
    }

    /// Asks for a pod's end with its grace, as a DELETE through the API does.
    pub fn delete_gracefully(&mut self, pod: &Pod) {
        if pod.is_deleting() {
            return;
        }
        let key = Key::of(pod);
        if pod.spec.node_name.is_empty() || pod.is_finished() {
            return self.delete::<Pod>(&key);
        }
        let grace = pod.spec.termination_grace_period_seconds.unwrap_or(30);
        let until = crate::lab::store::seconds(later(self.now, SignedDuration::from_secs(grace)));
        self.update::<Pod>(&key, |pod| {
            pod["metadata"]["deletionTimestamp"] = Value::String(until);
            pod["metadata"]["deletionGracePeriodSeconds"] = grace.into();
        });
    }

    /// Takes over everything others wrote since the last tick.
    pub fn drain(&mut self) {
        self.drain_one::<Node>();
        self.drain_one::<Config>();
        self.drain_one::<Secret>();
        self.drain_one::<Deployment>();
        self.drain_one::<ReplicaSet>();
        self.drain_one::<StatefulSet>();
        self.drain_one::<DaemonSet>();
        self.drain_one::<Job>();
        self.drain_one::<CronJob>();
        self.drain_one::<Pod>();
        self.drain_one::<Service>();
        self.drain_one::<Bare>();
        self.drain_one::<Hpa>();
        self.drain_one::<Pdb>();
        self.drain_one::<Quota>();
        self.drain_one::<ExternalSecret>();
    }

    fn drain_one<T: Kind>(&mut self) {
        let store = self.store.clone();
        for turned in T::shelf(self).drain(&store) {
            self.react::<T>(Some(turned));
        }
    }

    /// Ends the furnishing: from here on every change counts.
    pub fn open(&mut self) {
        self.furnishing = false;
        let store = self.store.clone();
        self.pods.skip_to(&store);
        self.nodes.skip_to(&store);
        self.deployments.skip_to(&store);
        self.replica_sets.skip_to(&store);
    }

    fn react<T: Kind>(&mut self, turned: Option<Turned<T::Object>>) {
        let Some(turned) = turned else { return };
        if let (Some(before), None) = (&turned.before, &turned.after) {
            self.enqueue(Work::Orphans(before.meta().uid.clone()));
        }
        T::touched(self, &turned);
    }

    pub(super) fn index_pod(&mut self, turned: &Turned<Pod>) {
        let (before, after) = (turned.before.as_deref(), turned.after.as_deref());
        let owner = |pod: &Pod| pod.metadata.controller().map(|owner| owner.uid.clone());
        move_index(&mut self.owned, before.and_then(owner), after.and_then(owner), &turned.key);
        let node = |pod: &Pod| Some(pod.spec.node_name.clone());
        move_index(&mut self.on_node, before.and_then(node), after.and_then(node), &turned.key);
    }
}

/// A kind the controllers watch: where it is kept, and who cares when it changes.
pub trait Kind: Sized {
    type Object: Named + DeserializeOwned;
    fn shelf(cluster: &mut Cluster) -> &mut Shelf<Self::Object>;
    fn touched(cluster: &mut Cluster, turned: &Turned<Self::Object>);
}

/// `at` plus a duration; the end of time if that overflows.
pub fn later(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.saturating_add(by).unwrap_or(Timestamp::MAX)
}

fn move_index(
    index: &mut HashMap<String, BTreeSet<Key>>,
    before: Option<String>,
    after: Option<String>,
    key: &Key,
) {
    if before == after {
        return;
    }
    if let Some(before) = before
        && let Some(keys) = index.get_mut(&before)
    {
        keys.remove(key);
        if keys.is_empty() {
            index.remove(&before);
        }
    }
    if let Some(after) = after {
        index.entry(after).or_default().insert(key.clone());
    }
}

/// Marks of kinds that share a shape with another.
pub struct Secret;
pub struct StatefulSet;
