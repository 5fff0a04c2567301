//! The garbage collector: what belonged to something deleted goes, too; namespaces take all they hold.
//! It follows the store's changes, whoever made them.
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;

use super::Api;
use super::delete::{FOREGROUND, Options, dependents, erase};
use crate::lab::store::{Change, Changed, Object, RESOURCES, Store, Watch};

/// Kinds that can own others.
const OWNERS: &[&str] = &[
    "deployments",
    "replicasets",
    "statefulsets",
    "daemonsets",
    "jobs",
    "cronjobs",
    "services",
    "nodes",
    "certificates",
    "externalsecrets",
];

pub async fn run(api: Arc<Api>) {
    let mut any = api.store.changed();
    let mut watches = watches(&api.store);
    loop {
        let now = (api.clock)();
        for watch in &mut watches {
            match watch.drain() {
                Ok(news) => news.iter().for_each(|changed| collect(&api.store, changed, now)),
                Err(_) => sweep(&api.store, now),
            }
        }
        if watches.is_empty() {
            return;
        }
        tokio::select! {
            () = api.stopping.cancelled() => return,
            woken = any.changed() => if woken.is_err() { return },
        }
    }
}

fn watches(store: &Store) -> Vec<Watch> {
    let from = store.revision();
    RESOURCES.iter().filter_map(|row| store.watch(row.plural, from).ok()).collect()
}

fn collect(store: &Store, changed: &Changed, now: Timestamp) {
    let object = &changed.object;
    let plural = object.resource.plural;
    match changed.change {
        Change::Deleted => {
            if plural == "namespaces" {
                empty(store, &object.name, now);
            }
            if OWNERS.contains(&plural) {
                erase_all(store, &dependents(store, &object.uid), now);
            }
            if let Some(owner) = &object.controller {
                release(store, object, owner, now);
            }
        }
        Change::Modified if object.deleting && OWNERS.contains(&plural) => {
            let waiting = object.value()["metadata"]["finalizers"]
                .as_array()
                .is_some_and(|all| all.iter().any(|finalizer| finalizer == FOREGROUND));
            if waiting {
                let left = dependents(store, &object.uid);
                erase_all(store, &left, now);
                if left.is_empty() {
                    finish(store, object, now);
                }
            }
        }
        _ => {}
    }
}

fn erase_all(store: &Store, doomed: &[Arc<Object>], now: Timestamp) {
    for object in doomed.iter().filter(|object| !object.deleting) {
        let _ = erase(store, object, &Options::default(), now);
    }
}

fn empty(store: &Store, namespace: &str, now: Timestamp) {
    for row in RESOURCES.iter().filter(|row| row.namespaced) {
        erase_all(store, &store.list(row.plural, Some(namespace)).0, now);
    }
}

/// An owner deleted in the foreground goes when its last dependent has gone.
fn release(store: &Store, gone: &Object, owner: &str, now: Timestamp) {
    let waiting = |object: &Arc<Object>| object.deleting && object.uid == owner;
    let owners = OWNERS.iter().flat_map(|plural| store.list(plural, Some(&gone.namespace)).0);
    if let Some(owner) = owners.into_iter().find(waiting)
        && dependents(store, &owner.uid).is_empty()
    {
        finish(store, &owner, now);
    }
}

fn finish(store: &Store, owner: &Object, now: Timestamp) {
    let _ = store.update(owner.resource.plural, &owner.namespace, &owner.name, now, |object| {
        if let Some(finalizers) = object["metadata"]["finalizers"].as_array_mut() {
            finalizers.retain(|finalizer| finalizer != FOREGROUND);
        }
    });
}

/// After missing changes: whatever names a controller that no longer exists is collected.
fn sweep(store: &Store, now: Timestamp) {
    let alive: std::collections::HashSet<String> = OWNERS
        .iter()
        .flat_map(|plural| store.list(plural, None).0)
        .map(|object| object.uid.clone())
        .collect();
    for row in RESOURCES {
        for object in store.list(row.plural, None).0 {
            if object.controller.as_ref().is_some_and(|owner| !alive.contains(owner))
                && owned_by_known(&object)
            {
                let _ = erase(store, &object, &Options::default(), now);
            }
        }
    }
}

/// Mirror pods and the like name owners outside the lab's table; they are nobody's garbage.
fn owned_by_known(object: &Object) -> bool {
    let value = object.value();
    let owners = value["metadata"]["ownerReferences"].as_array().cloned().unwrap_or_default();
    let kind = owners
        .iter()
        .find(|owner| owner["controller"] == true)
        .map_or(Value::Null, |owner| owner["kind"].clone());
    RESOURCES.iter().any(|row| kind == row.kind && OWNERS.contains(&row.plural))
}
