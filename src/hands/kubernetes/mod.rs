//! Hands on Kubernetes: one file per family of actions. Native calls, never another program.

mod again;
mod change;
mod drain;
mod exec;
mod job;
mod node;
mod pods;
mod rollout;
mod single;
mod verify;
mod watching;
mod way_back;
pub(crate) mod write;

use serde_json::Value;

use super::Hands;
use super::difference::{Regard, content};
use super::done::Done;
use super::task::Task;
use crate::domain::{Action, ObjectRef, Timestamp};
use crate::guard::{Draft, Pin, Refusal, Warrant};
use crate::probes::object::string;

pub(super) use single::still;

/// What would happen.
pub(super) async fn draft(hands: &Hands, action: Action, at: Timestamp) -> Result<Draft, Refusal> {
    match &action {
        Action::DeletePods { pods } => pods::draft_delete(hands, &action, pods, at).await,
        Action::Evict { pod } => pods::draft_evict(hands, &action, pod, at).await,
        Action::Drain { node, options } => drain::draft(hands, &action, node, options, at).await,
        Action::DeleteNode { node } => node::draft_delete(hands, &action, node, at).await,
        Action::RunJobAgain { from, name } => job::draft_run(hands, from, name.as_ref(), at).await,
        Action::DeleteJob { job, uid } => job::draft_delete(hands, &action, job, uid, at).await,
        Action::Exec { pod, container, argv } => exec::draft(hands, &action, pod, container, argv, at).await,
        _ => single::draft(hands, action, at).await,
    }
}

/// Does it.
pub(super) async fn perform(hands: &Hands, warrant: &Warrant, task: &mut Task) -> Done {
    match warrant.action() {
        Action::DeletePods { pods } => pods::delete(hands, warrant, pods, task).await,
        Action::Evict { pod } => pods::evict(hands, warrant, pod, task).await,
        Action::Drain { node, options } => drain::drain(hands, warrant, node, options, task).await,
        Action::DeleteNode { node } => node::delete(hands, warrant, node, task).await,
        Action::RunJobAgain { .. } => job::run(hands, warrant, task).await,
        Action::DeleteJob { job, uid } => job::delete(hands, job, uid, task).await,
        Action::Exec { pod, container, argv } => exec::exec(hands, warrant, pod, container, argv, task).await,
        _ => single::perform(hands, warrant, task).await,
    }
}

/// An object as it is seen now.
fn pin(object: &ObjectRef, found: Option<&Value>, regard: Regard) -> Pin {
    Pin {
        object: object.clone(),
        uid: found.map(|found| string(found, "/metadata/uid").into()),
        resource_version: found.map(|found| string(found, "/metadata/resourceVersion").into()),
        content: found.map(|found| content(found, regard)),
    }
}
