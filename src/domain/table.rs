//! A watched list as a table that survives relisting: rows stay until a complete list lacks them.

use std::collections::HashMap;

use super::{
    Autoscaler, Certificate, ConfigObject, Controller, ControllerRevision, CronJob, Delta, Deployment,
    DisruptionBudget, EndpointSlice, Event, Ingress, Job, Key, Lease, Node, PersistentVolumeClaim, Pod,
    ReplicaSet, Service,
};

/// Anything with a key.
pub trait Keyed {
    fn key(&self) -> &Key;
}

macro_rules! keyed {
    ($($kind:ty),+) => { $(impl Keyed for $kind { fn key(&self) -> &Key { &self.key } })+ };
}
keyed!(
    Pod,
    Node,
    Deployment,
    ReplicaSet,
    Controller,
    ControllerRevision,
    Job,
    CronJob,
    Autoscaler,
    DisruptionBudget,
    Event,
    Service,
    EndpointSlice,
    Ingress,
    PersistentVolumeClaim,
    ConfigObject,
    Lease,
    Certificate
);

/// The rows of one kind.
#[derive(Clone, Debug)]
pub struct Table<T> {
    rows: HashMap<Key, Row<T>>,
    list: u32,
    listed: bool,
}

#[derive(Clone, Debug)]
struct Row<T> {
    value: T,
    /// The list in which it was last seen.
    list: u32,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self { rows: HashMap::new(), list: 0, listed: false }
    }
}

impl<T: Keyed> Table<T> {
    pub fn fold(&mut self, delta: Delta<T>) {
        match delta {
            Delta::Relisting => self.list += 1,
            Delta::Seen(values) => {
                for value in values {
                    self.rows.insert(value.key().clone(), Row { value, list: self.list });
                }
            }
            Delta::Gone(keys) => {
                for key in keys {
                    self.rows.remove(&key);
                }
            }
            Delta::Listed => {
                self.listed = true;
                self.rows.retain(|_, row| row.list == self.list);
            }
        }
    }

    /// Whether a complete list was ever seen: before that, an absent row proves nothing.
    pub fn is_listed(&self) -> bool {
        self.listed
    }

    pub fn get(&self, key: &Key) -> Option<&T> {
        self.rows.get(key).map(|row| &row.value)
    }

    /// Rows in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.rows.values().map(|row| &row.value)
    }

    pub fn len(&self) -> usize {
        self.rows.len()
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease(name: &str) -> Lease {
        Lease { key: Key::new("kube-node-lease", name), renewed: None }
    }

    #[test]
    fn a_relist_keeps_rows_until_it_is_complete() {
        let mut table = Table::default();
        table.fold(Delta::Relisting);
        table.fold(Delta::Seen(vec![lease("a"), lease("b")]));
        assert!(!table.is_listed());
        table.fold(Delta::Listed);
        table.fold(Delta::Relisting);
        table.fold(Delta::Seen(vec![lease("b")]));
        assert_eq!(table.len(), 2);
        table.fold(Delta::Listed);
        assert_eq!(table.iter().map(|row| &*row.key.name).collect::<Vec<_>>(), ["b"]);
    }
}
