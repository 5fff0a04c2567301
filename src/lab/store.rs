//! The etcd of the lab: objects as bytes with a small index, one revision counter, and a log to watch from.
//! It knows no protocol and no controller; what an object means is decided by the API and the world.
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, PoisonError, RwLock};

use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::watch;

pub use super::object::{Object, micros, seconds};
use super::object::{complete, count_generation, list_at, suffix, text, uid};
pub use super::resources::{RESOURCES, Resource, resource};

/// How many changes of one resource can be watched from the past; an older start is [`Expired`] (410 Gone).
const HISTORY: usize = 8192;

/// Cheap to clone, thread-safe and synchronous. Never call it from inside the closure of an update.
#[derive(Clone)]
pub struct Store(Arc<Shared>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    Added,
    Modified,
    Deleted,
}

/// One entry of the log. `before` is what a modification replaced (selectors need it).
#[derive(Debug, Clone)]
pub struct Changed {
    pub change: Change,
    pub object: Arc<Object>,
    pub before: Option<Arc<Object>>,
    pub revision: u64,
}

/// The log no longer reaches back to where the watch wants to start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too old resource version: {wanted} ({oldest})")]
pub struct Expired {
    pub wanted: u64,
    pub oldest: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    #[error("the lab has no resource {0}")]
    UnknownResource(String),
    #[error("{0} \"{1}\" not found")]
    NotFound(&'static str, String),
    #[error("{0} \"{1}\" already exists")]
    Exists(&'static str, String),
    #[error("metadata.name: Required value: name or generateName is required")]
    Nameless,
}

/// A position in the log of one resource.
pub struct Watch {
    store: Store,
    resource: &'static Resource,
    at: u64,
    wake: watch::Receiver<u64>,
}

struct Shared {
    state: RwLock<Shelves>,
    any: watch::Sender<u64>,
}

struct Shelves {
    revision: u64,
    random: fastrand::Rng,
    by_resource: HashMap<&'static str, Shelf>,
}

struct Shelf {
    resource: &'static Resource,
    /// Keyed `namespace/name`, so that a namespace is a range and pages have an order.
    objects: BTreeMap<String, Arc<Object>>,
    log: VecDeque<Changed>,
    /// A watch may not start before this revision any more.
    compacted: u64,
    /// The newest change that has left the log; a running watch that has not seen it has lost something.
    dropped: u64,
    wake: watch::Sender<u64>,
}

impl Store {
    /// An empty store; `seed` decides uids and generated names.
    pub fn new(seed: u64) -> Self {
        let by_resource = RESOURCES.iter().map(|row| (row.plural, Shelf::new(row))).collect();
        let state = Shelves { revision: 1, random: fastrand::Rng::with_seed(seed), by_resource };
        Self(Arc::new(Shared { state: RwLock::new(state), any: watch::Sender::new(1) }))
    }

    pub fn get(&self, resource: &str, namespace: &str, name: &str) -> Option<Arc<Object>> {
        self.read(|state| state.by_resource.get(resource)?.objects.get(&key(namespace, name)).cloned())
    }

    /// The objects in key order, with the revision they are the state of.
    pub fn list(&self, resource: &str, namespace: Option<&str>) -> (Vec<Arc<Object>>, u64) {
        self.read(|state| {
            let found = state.by_resource.get(resource).map_or_else(Vec::new, |place| match namespace {
                None => place.objects.values().cloned().collect(),
                Some(namespace) => {
                    let within = format!("{namespace}/")..format!("{namespace}0");
                    place.objects.range(within).map(|(_, object)| object.clone()).collect()
                }
            });
            (found, state.revision)
        })
    }

    pub fn count(&self, resource: &str) -> usize {
        self.read(|state| state.by_resource.get(resource).map_or(0, |place| place.objects.len()))
    }

    /// Stores a new object. Fills what a server fills: apiVersion, kind, name from generateName, namespace
    /// (`default`), uid, creationTimestamp (kept if given, for back-dating), generation, resourceVersion.
    pub fn create(&self, resource: &str, object: Value, now: Timestamp) -> Result<Arc<Object>, StoreError> {
        let row = known(resource)?;
        self.write(row, |state| {
            let mut object = object;
            complete(row, &mut object, &mut state.random, now);
            let name = text(&object, "/metadata/name");
            if name.is_empty() {
                return Err(StoreError::Nameless);
            }
            let at = key(&text(&object, "/metadata/namespace"), &name);
            if state.shelf(row).objects.contains_key(&at) {
                return Err(StoreError::Exists(row.path, name));
            }
            Ok(state.put(row, at, object))
        })
    }

    /// Changes an object in place; nothing happens when `change` leaves it as it was.
    pub fn update(
        &self,
        resource: &str,
        namespace: &str,
        name: &str,
        now: Timestamp,
        change: impl FnOnce(&mut Value),
    ) -> Result<Arc<Object>, StoreError> {
        self.try_update(resource, namespace, name, now, |object| {
            change(object);
            Ok(())
        })
    }

    /// Like [`Store::update`], but `change` may refuse, and then nothing is stored. `generation` counts up
    /// when `.spec` changed; an object being deleted goes away with its last finalizer.
    pub fn try_update<E: From<StoreError>>(
        &self,
        resource: &str,
        namespace: &str,
        name: &str,
        _now: Timestamp,
        change: impl FnOnce(&mut Value) -> Result<(), E>,
    ) -> Result<Arc<Object>, E> {
        let row = known(resource)?;
        self.write(row, |state| {
            let at = key(namespace, name);
            let Some(old) = state.shelf(row).objects.get(&at).cloned() else {
                return Err(StoreError::NotFound(row.path, name.to_owned()).into());
            };
            let before = old.value();
            let mut after = before.clone();
            change(&mut after)?;
            if after == before {
                return Ok(old);
            }
            count_generation(&before, &mut after);
            let gone = old.deleting && list_at(&after, "/metadata/finalizers").is_empty();
            if gone && !list_at(&before, "/metadata/finalizers").is_empty() {
                return Ok(state.take(row, &at).unwrap_or(old));
            }
            Ok(state.put(row, at, after))
        })
    }

    /// Final removal. (A deletion with grace is an update that sets `deletionTimestamp`.)
    pub fn delete(&self, resource: &str, namespace: &str, name: &str) -> Result<Arc<Object>, StoreError> {
        let row = known(resource)?;
        self.write(row, |state| {
            state
                .take(row, &key(namespace, name))
                .ok_or_else(|| StoreError::NotFound(row.path, name.to_owned()))
        })
    }

    /// Changes after revision `from`.
    pub fn watch(&self, resource: &str, from: u64) -> Result<Watch, Expired> {
        let row = known(resource).map_err(|_| Expired { wanted: from, oldest: 0 })?;
        let (oldest, wake) = self.read(|state| {
            let place = &state.by_resource[row.plural];
            (place.compacted, place.wake.subscribe())
        });
        if from < oldest {
            return Err(Expired { wanted: from, oldest });
        }
        Ok(Watch { store: self.clone(), resource: row, at: from, wake })
    }

    /// Wakes after any change of any resource.
    pub fn changed(&self) -> watch::Receiver<u64> {
        self.0.any.subscribe()
    }

    pub fn revision(&self) -> u64 {
        self.read(|state| state.revision)
    }

    /// Forgets the log up to now, as etcd does every five minutes: watches and pages that start before now
    /// are [`Expired`]; those that are running go on.
    pub fn compact(&self) {
        let mut state = self.0.state.write().unwrap_or_else(PoisonError::into_inner);
        let revision = state.revision;
        for place in state.by_resource.values_mut() {
            place.dropped = place.log.back().map_or(place.dropped, |last| last.revision);
            place.log.clear();
            place.compacted = revision;
            place.wake.send_modify(|_| ());
        }
    }

    /// The oldest revision that can still be watched from.
    pub fn oldest(&self, resource: &str) -> u64 {
        self.read(|state| state.by_resource.get(resource).map_or(0, |place| place.compacted))
    }

    /// The revision of the last change of any object of this resource.
    pub fn last_change(&self, resource: &str) -> u64 {
        self.read(|state| state.by_resource.get(resource).map_or(0, |place| *place.wake.borrow()))
    }

    /// A suffix as `generateName` makes it.
    pub fn suffix(&self) -> String {
        suffix(&mut self.0.state.write().unwrap_or_else(PoisonError::into_inner).random)
    }

    /// A uid that nothing has.
    pub fn uid(&self) -> String {
        uid(&mut self.0.state.write().unwrap_or_else(PoisonError::into_inner).random)
    }

    /// The object as `create` would store it, without storing it (dry run).
    pub fn completed(&self, resource: &'static Resource, mut object: Value, now: Timestamp) -> Value {
        let mut state = self.0.state.write().unwrap_or_else(PoisonError::into_inner);
        complete(resource, &mut object, &mut state.random, now);
        object
    }

    fn read<T>(&self, look: impl FnOnce(&Shelves) -> T) -> T {
        look(&self.0.state.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn write<T>(&self, row: &'static Resource, change: impl FnOnce(&mut Shelves) -> T) -> T {
        let mut state = self.0.state.write().unwrap_or_else(PoisonError::into_inner);
        let before = state.revision;
        let result = change(&mut state);
        let after = state.revision;
        if after != before {
            state.shelf(row).wake.send_replace(after);
            self.0.any.send_replace(after);
        }
        result
    }
}

impl Shelves {
    fn shelf(&mut self, row: &'static Resource) -> &mut Shelf {
        self.by_resource.entry(row.plural).or_insert_with(|| Shelf::new(row))
    }

    fn put(&mut self, row: &'static Resource, at: String, object: Value) -> Arc<Object> {
        self.revision += 1;
        let revision = self.revision;
        let object = Arc::new(Object::new(row, object, revision));
        let place = self.shelf(row);
        let before = place.objects.insert(at, object.clone());
        let change = if before.is_some() { Change::Modified } else { Change::Added };
        place.note(Changed { change, object: object.clone(), before, revision });
        object
    }

    fn take(&mut self, row: &'static Resource, at: &str) -> Option<Arc<Object>> {
        let before = self.shelf(row).objects.remove(at)?;
        self.revision += 1;
        let revision = self.revision;
        let last = Arc::new(Object::new(row, before.value(), revision));
        let gone = Changed { change: Change::Deleted, object: last.clone(), before: Some(before), revision };
        self.shelf(row).note(gone);
        Some(last)
    }
}

impl Shelf {
    fn new(resource: &'static Resource) -> Self {
        let wake = watch::Sender::new(1);
        Self { resource, objects: BTreeMap::new(), log: VecDeque::new(), compacted: 0, dropped: 0, wake }
    }

    fn note(&mut self, changed: Changed) {
        if self.log.len() >= HISTORY
            && let Some(oldest) = self.log.pop_front()
        {
            self.compacted = self.compacted.max(oldest.revision);
            self.dropped = oldest.revision;
        }
        debug_assert_eq!(self.resource.plural, changed.object.resource.plural);
        self.log.push_back(changed);
    }
}

impl Watch {
    /// What changed since the last call; empty when nothing did. For those who tick.
    pub fn drain(&mut self) -> Result<Vec<Changed>, Expired> {
        self.wake.mark_unchanged();
        let (from, resource) = (self.at, self.resource);
        let (changes, now) = self.store.read(|state| {
            let place = &state.by_resource[resource.plural];
            if from < place.dropped {
                return Err(Expired { wanted: from, oldest: place.compacted });
            }
            let start = place.log.partition_point(|entry| entry.revision <= from);
            Ok((place.log.range(start..).cloned().collect::<Vec<_>>(), state.revision))
        })?;
        self.at = self.at.max(now);
        Ok(changes)
    }

    /// Waits until something changed, then returns all of it. Cancel-safe.
    pub async fn next(&mut self) -> Result<Vec<Changed>, Expired> {
        loop {
            let changes = self.drain()?;
            if !changes.is_empty() {
                return Ok(changes);
            }
            if self.wake.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Everything up to this revision has been returned.
    pub fn revision(&self) -> u64 {
        self.at
    }
}

fn known(resource: &str) -> Result<&'static Resource, StoreError> {
    super::resources::resource(resource).ok_or_else(|| StoreError::UnknownResource(resource.to_owned()))
}

fn key(namespace: &str, name: &str) -> String {
    format!("{namespace}/{name}")
}
