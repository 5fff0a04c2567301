//! How many pods a Deployment has, where nobody wrote its status: counted from the pods themselves.
//! Servers without kube-controller-manager, and objects written by hand, are like that.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::collections::HashMap;

use super::Scene;
use crate::domain::Deployment;

/// Living pods, and how many of them are ready, by the uid of their owner.
pub(super) type Census<'a> = HashMap<&'a str, (u32, u32)>;

fn take<'a>(scene: &Scene<'a>) -> Census<'a> {
    let mut census = Census::new();
    for pod in scene.snapshot.pods.iter().filter(|pod| pod.deleting.is_none() && !pod.is_finished()) {
        if let Some(owner) = &pod.owner {
            let (all, ready) = census.entry(&owner.uid).or_default();
            *all += 1;
            *ready += u32::from(pod.is_ready());
        }
    }
    census
}

/// A Deployment whose status was never written, by what its pods say; any other as its status says.
pub(super) fn counted<'a>(
    scene: &Scene<'a>,
    deployment: &'a Deployment,
    census: &OnceCell<Census<'a>>,
) -> Cow<'a, Deployment> {
    let sets = scene.revisions(deployment);
    if deployment.observed_generation > 0 || sets.is_empty() {
        return Cow::Borrowed(deployment);
    }
    let census = census.get_or_init(|| take(scene));
    let rows: Vec<(u32, u32)> =
        sets.iter().map(|set| census.get(&*set.uid).copied().unwrap_or_default()).collect();
    let mut counted = deployment.clone();
    counted.observed_generation = deployment.generation;
    counted.status_replicas = rows.iter().map(|(all, _)| all).sum();
    counted.available = rows.iter().map(|(_, ready)| ready).sum();
    counted.updated = rows.first().map_or(0, |(all, _)| *all);
    Cow::Owned(counted)
}
