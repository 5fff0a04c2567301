//! For each watched kind: its shelf, and whom a change of it concerns.
//! It knows the wiring between controllers, not what any of them does.

use super::cluster::{Cluster, Kind, Secret, StatefulSet, Work};
use super::objects::{
    Bare, Config, CronJob, DaemonSet, Deployment, ExternalSecret, Hpa, Job, Node, Pdb, Pod, Quota,
    ReplicaSet, Service,
};
use super::shelf::{Key, Shelf, Turned};

/// A kind whose only concern is its own controller.
macro_rules! own_controller {
    ($($kind:ty, $object:ty, $shelf:ident, $work:ident;)*) => { $(
        impl Kind for $kind {
            type Object = $object;
            fn shelf(cluster: &mut Cluster) -> &mut Shelf<$object> {
                &mut cluster.$shelf
            }
            fn touched(cluster: &mut Cluster, turned: &Turned<$object>) {
                cluster.enqueue(Work::$work(turned.key.clone()));
            }
        }
    )* };
}

own_controller! {
    Deployment, Deployment, deployments, Deployment;
    StatefulSet, ReplicaSet, stateful_sets, StatefulSet;
    DaemonSet, DaemonSet, daemon_sets, DaemonSet;
    CronJob, CronJob, cron_jobs, CronJob;
    Service, Service, services, Service;
    Hpa, Hpa, hpas, Hpa;
    Pdb, Pdb, pdbs, Pdb;
    ExternalSecret, ExternalSecret, external_secrets, ExternalSecret;
}

impl Kind for ReplicaSet {
    type Object = Self;
    fn shelf(cluster: &mut Cluster) -> &mut Shelf<Self> {
        &mut cluster.replica_sets
    }
    fn touched(cluster: &mut Cluster, turned: &Turned<Self>) {
        cluster.enqueue(Work::ReplicaSet(turned.key.clone()));
        let either = turned.after.as_ref().or(turned.before.as_ref());
        if let Some(owner) = either.and_then(|set| set.metadata.controller()) {
            cluster.enqueue(Work::Deployment(Key::new(&turned.key.namespace, &owner.name)));
        }
    }
}

impl Kind for Job {
    type Object = Self;
    fn shelf(cluster: &mut Cluster) -> &mut Shelf<Self> {
        &mut cluster.jobs
    }
    fn touched(cluster: &mut Cluster, turned: &Turned<Self>) {
        cluster.enqueue(Work::Job(turned.key.clone()));
        let either = turned.after.as_ref().or(turned.before.as_ref());
        if let Some(owner) = either.and_then(|job| job.metadata.controller()) {
            cluster.enqueue(Work::CronJob(Key::new(&turned.key.namespace, &owner.name)));
        }
    }
}

impl Kind for Node {
    type Object = Self;
    fn shelf(cluster: &mut Cluster) -> &mut Shelf<Self> {
        &mut cluster.nodes
    }
    fn touched(cluster: &mut Cluster, turned: &Turned<Self>) {
        cluster.enqueue(Work::Node(turned.key.name.clone()));
        let room = |node: &Node| (node.spec.unschedulable, node.spec.taints.len(), node.is_ready());
        if turned.before.as_deref().map(room) != turned.after.as_deref().map(room) {
            reschedule(cluster);
            let sets: Vec<Key> = cluster.daemon_sets.iter().map(|(key, _)| key.clone()).collect();
            for key in sets {
                cluster.enqueue(Work::DaemonSet(key));
            }
        }
    }
}

impl Kind for Pod {
    type Object = Self;
    fn shelf(cluster: &mut Cluster) -> &mut Shelf<Self> {
        &mut cluster.pods
    }
    fn touched(cluster: &mut Cluster, turned: &Turned<Self>) {
        cluster.index_pod(turned);
        if cluster.furnishing {
            return;
        }
        let Some(pod) = turned.after.as_deref().or(turned.before.as_deref()) else { return };
        cluster.enqueue(Work::Pod(turned.key.clone()));
        if turned.after.is_some() && pod.spec.node_name.is_empty() {
            cluster.enqueue(Work::Schedule(turned.key.clone()));
        }
        if seen_by_others(turned.before.as_deref()) != seen_by_others(turned.after.as_deref()) {
            tell_owner(cluster, pod);
            tell_selectors(cluster, pod);
            if turned.after.is_none() {
                tell_recreating(cluster, pod);
            }
            if turned.after.as_deref().is_none_or(|pod| !pod.is_active()) {
                reschedule(cluster);
            }
        }
    }
}

impl Kind for Config {
    type Object = Self;
    fn shelf(cluster: &mut Cluster) -> &mut Shelf<Self> {
        &mut cluster.config_maps
    }
    fn touched(_: &mut Cluster, _: &Turned<Self>) {}
}

impl Kind for Secret {
    type Object = Config;
    fn shelf(cluster: &mut Cluster) -> &mut Shelf<Config> {
        &mut cluster.secrets
    }
    fn touched(_: &mut Cluster, _: &Turned<Config>) {}
}

impl Kind for Bare {
    type Object = Self;
    fn shelf(cluster: &mut Cluster) -> &mut Shelf<Self> {
        &mut cluster.slices
    }
    fn touched(_: &mut Cluster, _: &Turned<Self>) {}
}

impl Kind for Quota {
    type Object = Self;
    fn shelf(cluster: &mut Cluster) -> &mut Shelf<Self> {
        &mut cluster.quotas
    }
    fn touched(cluster: &mut Cluster, turned: &Turned<Self>) {
        let namespace = turned.key.namespace.clone();
        cluster.enqueue(Work::Quota(namespace.clone()));
        let sets: Vec<Key> = cluster.replica_sets.within(&namespace).map(|(key, _)| key.clone()).collect();
        for key in sets {
            cluster.enqueue(Work::ReplicaSet(key));
        }
    }
}

/// What controllers and services see of a pod; a change of anything else concerns the kubelet alone.
fn seen_by_others(pod: Option<&Pod>) -> Option<(bool, bool, bool, &str, &str, &super::objects::Map)> {
    pod.map(|pod| {
        let (spec, status) = (&pod.spec, &pod.status);
        (
            pod.is_ready(),
            pod.is_deleting(),
            spec.node_name.is_empty(),
            status.phase.as_str(),
            status.pod_ip.as_str(),
            &pod.metadata.labels,
        )
    })
}

fn tell_owner(cluster: &mut Cluster, pod: &Pod) {
    let Some(owner) = pod.metadata.controller() else { return };
    let key = Key::new(&pod.metadata.namespace, &owner.name);
    cluster.enqueue(match owner.kind.as_str() {
        "ReplicaSet" => Work::ReplicaSet(key),
        "StatefulSet" => Work::StatefulSet(key),
        "DaemonSet" => Work::DaemonSet(key),
        _ => Work::Job(key),
    });
}

/// A Deployment that recreates waits for the last of its old pods to be gone: its ReplicaSet counted it as gone
/// when it began to end.
fn tell_recreating(cluster: &mut Cluster, pod: &Pod) {
    let namespace = &pod.metadata.namespace;
    let set = pod.metadata.controller().map(|owner| Key::new(namespace, &owner.name));
    let set = set.and_then(|key| cluster.replica_sets.get(&key));
    if let Some(owner) = set.as_ref().and_then(|set| set.metadata.controller()) {
        cluster.enqueue(Work::Deployment(Key::new(namespace, &owner.name)));
    }
}

fn tell_selectors(cluster: &mut Cluster, pod: &Pod) {
    let Pod { metadata, .. } = pod;
    let namespace = &metadata.namespace;
    let selects = |selector: &super::objects::Map| {
        !selector.is_empty() && selector.iter().all(|(key, value)| metadata.labels.get(key) == Some(value))
    };
    let mut work: Vec<Work> = cluster
        .services
        .within(namespace)
        .filter(|(_, service)| selects(&service.spec.selector))
        .map(|(key, _)| Work::Service(key.clone()))
        .collect();
    let budgets =
        cluster.pdbs.within(namespace).filter(|(_, pdb)| pdb.spec.selector.matches(&metadata.labels));
    work.extend(budgets.map(|(key, _)| Work::Pdb(key.clone())));
    if cluster.quotas.within(namespace).next().is_some() {
        work.push(Work::Quota(namespace.clone()));
    }
    for work in work {
        cluster.enqueue(work);
    }
}

/// Room may have appeared: every pod without a node tries again.
fn reschedule(cluster: &mut Cluster) {
    let waiting: Vec<Key> = cluster.unscheduled().cloned().collect();
    for key in waiting {
        cluster.enqueue(Work::Schedule(key));
    }
}
