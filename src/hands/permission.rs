//! What the API server lets us do (guard g7), asked before anything is tried.

use super::{Hands, actor};
use crate::domain::{Access, Grant, ObjectRef, Right};
use crate::guard::{Guard, Hazard};
use crate::probes::access::may;

/// Err with a hazard that stops when the API server says no. An unanswered review says nothing: the dry run
/// will tell.
pub(super) async fn check(
    hands: &Hands,
    object: &ObjectRef,
    verb: &'static str,
    part: &'static str,
) -> Result<(), Hazard> {
    let access =
        Access { right: Right { verb, kind: object.kind, part }, namespace: object.key.namespace.clone() };
    if may(&hands.cluster, &access, &object.key.name).await != Some(false) {
        return Ok(());
    }
    let resource = match part {
        "" => object.kind.plural().to_owned(),
        part => format!("{}/{part}", object.kind.plural()),
    };
    let user = review_of_self(hands).await;
    let grant = Grant {
        verbs: &[verb],
        group: object.kind.group(),
        resource: &resource,
        namespace: Some(&*object.key.namespace).filter(|space| !space.is_empty()),
        user: user.as_deref(),
    };
    let says = format!("you may not {access}; let an admin run: {}", grant.as_command());
    Err(Hazard::stop(Guard::Permission, says))
}

async fn review_of_self(hands: &Hands) -> Option<String> {
    let asked = actor::review(hands.cluster.client());
    tokio::time::timeout(hands.cluster.deadline(), asked).await.ok()?
}
