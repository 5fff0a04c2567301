//! What the controllers know of the store: decoded objects by key, kept current by watching.
//! It knows keys and revisions; what a change means is told to the cluster.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use serde::de::DeserializeOwned;

use super::objects::{Named, decode};
use crate::lab::store::{Change, Object, Store, Watch};

/// Namespace and name; the namespace of a cluster-wide object is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    pub namespace: String,
    pub name: String,
}

impl Key {
    pub fn new(namespace: &str, name: &str) -> Self {
        Self { namespace: namespace.to_owned(), name: name.to_owned() }
    }

    pub fn of(object: &impl Named) -> Self {
        Self::new(&object.meta().namespace, &object.meta().name)
    }
}

/// The decoded objects of one resource.
pub struct Shelf<T> {
    pub resource: &'static str,
    objects: BTreeMap<Key, (u64, Arc<T>)>,
    /// Own deletions that the watch has yet to tell.
    tombs: HashMap<Key, u64>,
    watch: Option<Watch>,
}

/// A change as seen by a shelf: what was, what is.
pub struct Turned<T> {
    pub key: Key,
    pub before: Option<Arc<T>>,
    pub after: Option<Arc<T>>,
}

impl<T: Named + DeserializeOwned> Shelf<T> {
    pub fn new(store: &Store, resource: &'static str) -> Self {
        let watch = store.watch(resource, store.revision()).ok();
        Self { resource, objects: BTreeMap::new(), tombs: HashMap::new(), watch }
    }

    pub fn get(&self, key: &Key) -> Option<Arc<T>> {
        self.objects.get(key).map(|(_, object)| object.clone())
    }

    pub fn iter(&self) -> impl Iterator<Item = (&Key, &Arc<T>)> {
        self.objects.iter().map(|(key, (_, object))| (key, object))
    }

    pub fn within<'a>(&'a self, namespace: &'a str) -> impl Iterator<Item = (&'a Key, &'a Arc<T>)> {
        let from = Key::new(namespace, "");
        self.objects
            .range(from..)
            .take_while(move |(key, _)| key.namespace == namespace)
            .map(|(key, (_, object))| (key, object))
    }

    pub fn len(&self) -> usize {
        self.objects.len()
    }

    /// Takes over the result of a write.
    pub fn put(&mut self, object: &Object) -> Option<Turned<T>> {
        let key = Key::new(&object.namespace, &object.name);
        if self.objects.get(&key).is_some_and(|(revision, _)| *revision >= object.revision) {
            return None;
        }
        let decoded = Arc::new(decode::<T>(object.json())?);
        let before = self.objects.insert(key.clone(), (object.revision, decoded.clone()));
        Some(Turned { key, before: before.map(|(_, object)| object), after: Some(decoded) })
    }

    /// Takes over a deletion at `revision`.
    pub fn take(&mut self, key: &Key, revision: u64) -> Option<Turned<T>> {
        self.tombs.insert(key.clone(), revision);
        let (_, before) = self.objects.remove(key)?;
        Some(Turned { key: key.clone(), before: Some(before), after: None })
    }

    /// What others changed since the last call.
    pub fn drain(&mut self, store: &Store) -> Vec<Turned<T>> {
        let Some(watch) = &mut self.watch else { return Vec::new() };
        let Ok(changes) = watch.drain() else { return self.relist(store) };
        let mut turned = Vec::new();
        for changed in changes {
            let object = &changed.object;
            let key = Key::new(&object.namespace, &object.name);
            if self.tombs.get(&key).is_some_and(|revision| *revision >= changed.revision) {
                continue;
            }
            turned.extend(match changed.change {
                Change::Deleted => self.take(&key, changed.revision),
                Change::Added | Change::Modified => self.put(object),
            });
        }
        self.tombs.clear();
        turned
    }

    /// The log no longer reaches back to us: read everything again.
    fn relist(&mut self, store: &Store) -> Vec<Turned<T>> {
        let (objects, revision) = store.list(self.resource, None);
        self.watch = store.watch(self.resource, revision).ok();
        self.tombs.clear();
        let present: HashSet<Key> =
            objects.iter().map(|object| Key::new(&object.namespace, &object.name)).collect();
        let gone: Vec<Key> = self.objects.keys().filter(|key| !present.contains(*key)).cloned().collect();
        let mut turned: Vec<_> = objects.iter().filter_map(|object| self.put(object)).collect();
        turned.extend(gone.iter().filter_map(|key| self.take(key, revision)));
        turned
    }

    /// Everything so far came through [`Shelf::put`]: watch only from here on.
    pub fn skip_to(&mut self, store: &Store) {
        self.tombs.clear();
        self.watch = store.watch(self.resource, store.revision()).ok();
    }
}
