//! What the API server lets us do (guard g7), asked before anything is tried. Access reviews change nothing.

use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
};
use kube::api::{Api, PostParams};

use super::{Hands, actor};
use crate::domain::{Grant, ObjectRef};
use crate::guard::{Guard, Hazard};

/// Err with a hazard that stops when the API server says no. An unanswered review says nothing: the dry run
/// will tell.
pub(super) async fn check(
    hands: &Hands,
    object: &ObjectRef,
    verb: &str,
    subresource: &str,
) -> Result<(), Hazard> {
    let kind = object.kind;
    let attributes = ResourceAttributes {
        verb: Some(verb.into()),
        group: Some(kind.group().into()),
        resource: Some(kind.plural().into()),
        subresource: Some(subresource.into()).filter(|part: &String| !part.is_empty()),
        namespace: Some(object.key.namespace.to_string()).filter(|space| !space.is_empty()),
        name: Some(object.key.name.to_string()),
        ..ResourceAttributes::default()
    };
    let review = SelfSubjectAccessReview {
        spec: SelfSubjectAccessReviewSpec {
            resource_attributes: Some(attributes),
            ..SelfSubjectAccessReviewSpec::default()
        },
        ..SelfSubjectAccessReview::default()
    };
    match ask(hands, &review).await {
        Some(false) => {
            let resource = match subresource {
                "" => kind.plural().to_owned(),
                part => format!("{}/{part}", kind.plural()),
            };
            let place = match &*object.key.namespace {
                "" => "in the whole cluster".to_owned(),
                namespace => format!("in {namespace}"),
            };
            let user = review_of_self(hands).await;
            let grant = Grant {
                verbs: &[verb],
                group: kind.group(),
                resource: &resource,
                namespace: Some(&*object.key.namespace).filter(|space| !space.is_empty()),
                user: user.as_deref(),
            };
            let says =
                format!("you may not {verb} {resource} {place}; let an admin run: {}", grant.as_command());
            Err(Hazard::stop(Guard::Permission, says))
        }
        _ => Ok(()),
    }
}

async fn review_of_self(hands: &Hands) -> Option<String> {
    let asked = actor::review(hands.cluster.client());
    tokio::time::timeout(hands.cluster.deadline(), asked).await.ok()?
}

#[expect(clippy::disallowed_methods, reason = "an access review is created and changes nothing")]
async fn ask(hands: &Hands, review: &SelfSubjectAccessReview) -> Option<bool> {
    let reviews: Api<SelfSubjectAccessReview> = Api::all(hands.cluster.client());
    let params = PostParams::default();
    let asked = reviews.create(&params, review);
    let answer = tokio::time::timeout(hands.cluster.deadline(), asked).await.ok()?.ok()?;
    answer.status.map(|status| status.allowed)
}
