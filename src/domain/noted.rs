//! What only somebody who looks on can know: since when a thing is as it is, where the API does not say.

use super::{Certificate, Delta, Deployment, EndpointSlice, Key, Node, Snapshot, Timestamp};

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
