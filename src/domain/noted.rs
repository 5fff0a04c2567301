//! What only somebody who looks on can know: since when a thing is as it is, where the API does not say.

use jiff::SignedDuration;

use super::{
    Certificate, Change, ChangeKind, ConfigObject, Delta, Deployment, Edit, EndpointSlice, Key, Keyed, Kind,
    Lease, Name, Node, ObjectRef, Snapshot, Table, Taint, Timestamp, is_made_by_the_cluster,
};

/// Whoever creates an object may write to it once more at once.
pub const CREATING: SignedDuration = SignedDuration::from_secs(5);
/// The keeper of the taints that follow from a node's state.
const BY_THE_CLUSTER: &str = "node.kubernetes.io/";

impl Snapshot {
    /// Remembers when a Service lost its last ready endpoint: the API does not say.
    pub(super) fn note_unserved(&mut self, at: Timestamp, delta: &Delta<EndpointSlice>) {
        let Delta::Seen(slices) = delta else { return };
        for slice in slices {
            let Some(service) = &slice.service else { continue };
            let key = Key::new(slice.key.namespace.clone(), service.clone());
            if slice.ready > 0 {
                self.unserved.remove(&key);
            } else {
                self.unserved.entry(key).or_insert(at);
            }
        }
    }

    /// Remembers when a node that was ready was not any more.
    pub(super) fn note_falls(&mut self, at: Timestamp, delta: &Delta<Node>) {
        const KEPT: usize = 16;
        let Delta::Seen(nodes) = delta else { return };
        for node in nodes.iter().filter(|node| !node.is_ready()) {
            if self.nodes.get(&node.key).is_some_and(Node::is_ready) {
                let falls = self.falls.entry(node.key.clone()).or_default();
                falls.push(at);
                falls.drain(..falls.len().saturating_sub(KEPT));
            }
        }
    }

    /// Remembers when leases were seen to be renewed.
    pub(super) fn note_beats(&mut self, at: Timestamp, delta: &Delta<Lease>) {
        match delta {
            Delta::Seen(leases) => {
                let moved = leases.iter().filter(|lease| {
                    let known = self.leases.get(&lease.key);
                    known.is_some_and(|known| known.renewed != lease.renewed)
                });
                self.beats.extend(moved.map(|lease| (lease.key.clone(), at)));
            }
            Delta::Gone(keys) => self.beats.retain(|key, _| !keys.contains(key)),
            Delta::Relisting | Delta::Listed => {}
        }
    }

    /// Remembers what people did to nodes, as far as their objects do not keep it: taints, the end of a cordon, and that
    /// one was taken away.
    pub(super) fn note_nodes(&mut self, at: Timestamp, delta: &Delta<Node>) {
        let mut seen = Vec::new();
        let mut tell = |name: &Name, says: String| {
            let object = ObjectRef::new(Kind::Node, Key::cluster(name.clone()));
            seen.push(Change { at, kind: ChangeKind::Node, object, says, by: None });
        };
        match delta {
            Delta::Seen(nodes) => {
                for node in nodes {
                    let (name, Some(known)) = (&node.key.name, self.nodes.get(&node.key)) else { continue };
                    for (taint, verb) in differing(&known.taints, &node.taints) {
                        tell(name, format!("node {name} {verb} {}:{}", taint.key, taint.effect));
                    }
                    if known.unschedulable && !node.unschedulable {
                        tell(name, format!("node {name} {}", Change::UNCORDONED));
                    }
                }
            }
            Delta::Gone(keys) => {
                for key in keys.iter().filter(|key| self.nodes.get(key).is_some()) {
                    tell(&key.name, format!("node {} removed", key.name));
                }
            }
            Delta::Relisting | Delta::Listed => {}
        }
        self.note_changes(seen);
    }

    /// Remembers that a ConfigMap or a Secret was deleted: nothing is left of it that could tell.
    pub(super) fn note_deleted(&mut self, at: Timestamp, of: Deleted, delta: &Delta<ConfigObject>) {
        let Delta::Gone(keys) = delta else { return };
        let table = of(self);
        let known = keys.iter().filter_map(|key| table.get(key));
        let known = known.filter(|object| !is_made_by_the_cluster(&object.key.name));
        let deleted = known.map(|object| Change {
            at,
            kind: ChangeKind::Config,
            object: ObjectRef::new(object.kind, object.key.clone()),
            says: format!("{} {} deleted", object.kind, object.key.name),
            by: None,
        });
        let deleted = deleted.collect();
        self.note_changes(deleted);
    }

    /// Remembers who wrote to an object before it was written to once more: it keeps its last edit only, and the mend
    /// must not hide what it mends.
    pub(super) fn note_edits<T: Keyed>(
        &mut self,
        kind: Kind,
        table: fn(&Snapshot) -> &Table<T>,
        written: Written<T>,
        delta: &Delta<T>,
    ) {
        let Delta::Seen(seen) = delta else { return };
        let overwritten = seen.iter().filter_map(|new| {
            let (created, known) = written(table(self).get(new.key())?);
            let known = known.filter(|known| !known.is_ours())?;
            let changed = known.at.duration_since(created) > CREATING;
            let later = written(new).1.is_some_and(|edit| edit.at > known.at);
            (changed && later).then(|| Change {
                at: known.at,
                kind: ChangeKind::Config,
                object: ObjectRef::new(kind, new.key().clone()),
                says: format!("{kind} {} changed", new.key().name),
                by: known.by.clone(),
            })
        });
        let overwritten = overwritten.collect();
        self.note_changes(overwritten);
    }

    fn note_changes(&mut self, seen: Vec<Change>) {
        const KEPT: usize = 500;
        self.seen_changes.extend(seen);
        self.seen_changes.drain(..self.seen_changes.len().saturating_sub(KEPT));
    }

    /// Remembers since when a controller is behind: what `managedFields` tell of a write may be older, for a scaling is
    /// dated by the first of its kind.
    pub(super) fn note_overtaken(&mut self, at: Timestamp, delta: &Delta<Deployment>) {
        let Delta::Seen(deployments) = delta else { return };
        for deployment in deployments {
            let key = &deployment.key;
            if deployment.observed_generation >= deployment.generation {
                self.overtaken.remove(key);
            } else if self.overtaken.get(key).is_none_or(|(seen, _)| *seen != deployment.observed_generation)
            {
                let since = self.deployments.get(key).map(|_| at);
                self.overtaken.insert(key.clone(), (deployment.observed_generation, since));
            }
        }
    }

    /// Remembers when a Certificate was seen to be another: its own dates may lie in the past.
    pub(super) fn note_renewals(&mut self, at: Timestamp, delta: &Delta<Certificate>) {
        let Delta::Seen(seen) = delta else { return };
        for one in seen {
            if self.certificates.get(&one.key).is_some_and(|known| known.not_after != one.not_after) {
                self.renewed.insert(one.key.clone(), at);
            }
        }
    }
}

/// When an object was created, and the last edit that it keeps.
type Written<T> = fn(&T) -> (Timestamp, Option<&Edit>);

/// Which table.
type Deleted = fn(&Snapshot) -> &Table<ConfigObject>;

/// Taints that somebody set or took away.
fn differing<'t>(before: &'t [Taint], after: &'t [Taint]) -> impl Iterator<Item = (&'t Taint, &'static str)> {
    let lacks = |all: &[Taint], one: &Taint| {
        !all.iter().any(|other| (&other.key, &other.effect) == (&one.key, &one.effect))
    };
    let set = after.iter().filter(move |one| lacks(before, one)).map(|one| (one, "tainted"));
    let gone = before.iter().filter(move |one| lacks(after, one)).map(|one| (one, Change::NO_LONGER_TAINTED));
    set.chain(gone).filter(|(taint, _)| !taint.key.starts_with(BY_THE_CLUSTER))
}
