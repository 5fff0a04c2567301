//! What runs on a node, and how much of it cannot run elsewhere: the blast radius.

use std::collections::{BTreeMap, HashSet};

use crate::domain::{Deployment, Evidence, Key, ObjectRef, Origin, Pod, text};

use super::Scene;
use super::workload::evidence;

/// What a node carries.
#[derive(Debug, Default)]
pub(super) struct Load {
    pub pods: usize,
    pub daemon_set: usize,
    pub empty_dir: usize,
    /// Pods that no controller will recreate.
    pub bare: Vec<String>,
    /// Pods with persistent volumes.
    pub with_claims: Vec<String>,
    /// Deployments and StatefulSets that have no available replica elsewhere.
    pub last_replicas: Vec<String>,
}

pub(super) fn load(scene: &Scene<'_>, pods: &[&Pod]) -> Load {
    let mut load = Load { pods: pods.len(), ..Load::default() };
    let mut deployments: BTreeMap<&Key, (&Deployment, u32)> = BTreeMap::new();
    let mut sets: BTreeMap<ObjectRef, &str> = BTreeMap::new();
    for pod in pods {
        if pod.is_owned_by("DaemonSet") {
            load.daemon_set += usize::from(pod.deleting.is_none());
            continue;
        }
        // One that was told to go serves no more, and may hang here for as long as its node is silent.
        if let (_, Some(deployment)) = scene.workload_of(pod) {
            let entry = deployments.entry(&deployment.key).or_insert((deployment, 0));
            entry.1 += u32::from(pod.is_ready() && pod.deleting.is_none());
        }
        if let Some(owner) = pod.owner.as_ref().filter(|_| pod.is_owned_by("StatefulSet")) {
            sets.insert(scene.workload_of(pod).0, &owner.uid);
        }
        if pod.deleting.is_some() {
            continue;
        }
        let name = pod.key.to_string();
        if pod.owner.is_none() {
            load.bare.push(name.clone());
        }
        if pod.has_empty_dir {
            load.empty_dir += 1;
        }
        if !pod.claims.is_empty() {
            load.with_claims.push(name);
        }
    }
    load.last_replicas = deployments
        .into_values()
        // Those counted as available here are about to be lost with the node.
        .filter(|(deployment, ready_here)| deployment.replicas > 0 && deployment.available <= *ready_here)
        .map(|(deployment, _)| deployment.key.to_string())
        .collect();
    let here: HashSet<&str> = pods.iter().filter_map(|pod| pod.node.as_deref()).collect();
    let is_here = |pod: &Pod| pod.node.as_deref().is_some_and(|node| here.contains(node));
    let lost = |uid: &str| scene.siblings(uid).iter().all(|pod| !pod.is_ready() || is_here(pod));
    let lost = sets.into_iter().filter(|(_, uid)| lost(uid)).map(|(set, _)| set.key.to_string());
    load.last_replicas.extend(lost);
    load
}

/// `30 pods`; of which namespace, where only one is looked at: others may have theirs on the node.
pub(super) fn pods_here(scene: &Scene<'_>, count: usize) -> String {
    let pods = text::count(count, "pod");
    scene.snapshot.scope.as_ref().map_or(pods.clone(), |namespace| format!("{pods} of {namespace}"))
}

impl Load {
    /// It carries something that is down, or stuck, until the node returns.
    pub fn is_precious(&self) -> bool {
        !self.last_replicas.is_empty() || !self.with_claims.is_empty()
    }

    pub fn evidence(&self, scene: &Scene<'_>) -> Vec<Evidence> {
        let named = |names: &[String]| match names {
            [] => None,
            [one] => Some(one.clone()),
            [one, rest @ ..] => Some(format!("{one} and {} more", rest.len())),
        };
        let lines = [
            Some(format!("{} on it, {} of DaemonSets", pods_here(scene, self.pods), self.daemon_set)),
            named(&self.last_replicas).map(|names| format!("no available replica elsewhere: {names}")),
            named(&self.with_claims).map(|names| format!("with persistent volumes: {names}")),
            named(&self.bare).map(|names| format!("nothing recreates: {names}")),
        ];
        lines.into_iter().flatten().map(|says| evidence(Origin::Pods, None, says)).collect()
    }
}
