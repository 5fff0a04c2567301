//! Something that changed: what an incident's onset is compared with.

use serde::{Deserialize, Serialize};

use super::{Kind, Name, ObjectRef, Timestamp};

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
    /// What is said of a node that came, or came back.
    pub const JOINED: &str = "joined";
    pub const READY_AGAIN: &str = "became ready again";
    pub const UNCORDONED: &str = "uncordoned";
    pub const NO_LONGER_TAINTED: &str = "no longer tainted";

    /// What is said of an object that was not there before.
    pub const CREATED: &str = "created";

    /// A Service that was not there before: nobody lacked it until then, and nobody lacks it now.
    pub fn is_new_service(&self) -> bool {
        self.object.kind == Kind::Service && self.says.ends_with(Self::CREATED)
    }

    /// A node came, or came back: nobody lacks anything for that.
    pub fn is_arrival(&self) -> bool {
        let words = [Self::JOINED, Self::READY_AGAIN, Self::UNCORDONED, Self::NO_LONGER_TAINTED];
        let says = self.says.strip_prefix("node ").and_then(|says| says.strip_prefix(&*self.object.key.name));
        self.kind == ChangeKind::Node
            && says.is_some_and(|says| words.iter().any(|word| says.trim_start().starts_with(word)))
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
