//! Something that changed: what an incident's onset is compared with.

use serde::{Deserialize, Serialize};

use super::{Name, ObjectRef, Timestamp};

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Change {
    pub at: Timestamp,
    pub kind: ChangeKind,
    pub object: ObjectRef,
    /// In words: `revision 7: image covetpy:v1.2.4`.
    pub says: String,
    /// Who did it, where it is known.
    pub by: Option<Name>,
}

impl Change {
    /// A node that came, or came back: nobody lacks anything for that.
    pub fn is_arrival(&self) -> bool {
        const WORDS: &[&str] = &[" joined", " became ready again", " uncordoned"];
        self.kind == ChangeKind::Node && WORDS.iter().any(|word| self.says.ends_with(word))
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum ChangeKind {
    /// A new revision of a workload.
    Rollout,
    /// Something without a history was written: a ConfigMap, a Secret, a Service, a policy.
    Config,
    /// Replicas changed, by an autoscaler or a person.
    Scaling,
    /// A node came, went, was cordoned or changed its state.
    Node,
    /// An action of this cockpit.
    Ours,
}
