//! What is watched of Kubernetes, in one table. Nodes and their leases are always those of the whole cluster;
//! of ConfigMaps, Secrets and policies only the metadata is asked for.

mod autoscaler;
mod batch;
mod claim;
mod config_object;
mod controller;
pub(in crate::eyes) mod ingress;
pub(in crate::eyes) mod names;
pub(in crate::eyes) mod node;
pub(in crate::eyes) mod other;
pub(in crate::eyes) mod page;
mod pod;
mod template;
mod watch;
pub(in crate::eyes) mod wire;
mod workload;

use std::time::Duration;

use serde::de::DeserializeOwned;
use tokio::task::JoinSet;

use self::names::Names;
use self::watch::Watch;
use super::api_server::Sessions;
use super::tell::Tell;
use crate::config::Scope;
use crate::domain::{Delta, Fact, Keyed, Kind, Name, Origin};

/// Opens an eye for every kind: which, read how, told as what, and what is special about it.
pub(super) fn open(scope: &Scope, sessions: &Sessions, tell: &Tell, tasks: &mut JoinSet<()>) {
    use Kind as K;
    use Origin as O;
    let mut open = Opening { namespace: scope.one().cloned(), sessions, tell, tasks };
    open.eye(O::Pods, K::Pod, pod::read, Fact::Pods, paged);
    open.eye(O::Nodes, K::Node, node::read, Fact::Nodes, cluster_wide);
    open.eye(O::Deployments, K::Deployment, workload::deployment, Fact::Deployments, as_usual);
    open.eye(O::ReplicaSets, K::ReplicaSet, workload::replica_set, Fact::ReplicaSets, as_usual);
    open.eye(O::StatefulSets, K::StatefulSet, controller::stateful_set, Fact::StatefulSets, as_usual);
    open.eye(O::DaemonSets, K::DaemonSet, controller::daemon_set, Fact::DaemonSets, as_usual);
    open.eye(
        O::ControllerRevisions,
        K::ControllerRevision,
        controller::revision,
        Fact::ControllerRevisions,
        as_usual,
    );
    open.eye(O::Jobs, K::Job, batch::job, Fact::Jobs, as_usual);
    open.eye(O::CronJobs, K::CronJob, batch::cron_job, Fact::CronJobs, as_usual);
    open.eye(O::Autoscalers, K::HorizontalPodAutoscaler, autoscaler::read, Fact::Autoscalers, as_usual);
    open.eye(
        O::DisruptionBudgets,
        K::PodDisruptionBudget,
        workload::budget,
        Fact::DisruptionBudgets,
        as_usual,
    );
    open.eye(O::Events, K::Event, other::event, Fact::Events, |watch| Watch {
        // Floods come from here, and nobody reads events by the millisecond.
        hold: Duration::from_millis(150),
        ..paged(watch)
    });
    open.eye(O::Services, K::Service, other::service, Fact::Services, as_usual);
    open.eye(O::EndpointSlices, K::EndpointSlice, other::slice, Fact::EndpointSlices, as_usual);
    open.eye(O::Ingresses, K::Ingress, ingress::ingress, Fact::Ingresses, as_usual);
    open.eye(
        O::PersistentVolumeClaims,
        K::PersistentVolumeClaim,
        claim::claim,
        Fact::PersistentVolumeClaims,
        as_usual,
    );
    open.eye(O::ConfigMaps, K::ConfigMap, config_object::config_map, Fact::ConfigMaps, metadata_only);
    open.eye(O::Secrets, K::Secret, config_object::secret, Fact::Secrets, metadata_only);
    open.eye(
        O::NetworkPolicies,
        K::NetworkPolicy,
        config_object::network_policy,
        Fact::NetworkPolicies,
        metadata_only,
    );
    open.eye(O::ResourceQuotas, K::ResourceQuota, config_object::quota, Fact::ResourceQuotas, metadata_only);
    open.eye(O::LimitRanges, K::LimitRange, config_object::limit_range, Fact::LimitRanges, metadata_only);
    open.eye(O::Leases, K::Lease, node::lease, Fact::Leases, |watch| Watch {
        namespace: Some("kube-node-lease".into()),
        // Every node renews its lease each 10 s: 50 changes a second with 500 nodes.
        hold: Duration::from_secs(2),
        ..watch
    });
    open.eye(O::Certificates, K::Certificate, other::certificate, Fact::Certificates, |watch| Watch {
        absent: Some((
            "cert-manager is not installed here (no certificates.cert-manager.io)",
            "certificates are still checked by TLS handshakes",
        )),
        ..watch
    });
}

fn as_usual<W, T>(watch: Watch<W, T>) -> Watch<W, T> {
    watch
}

fn paged<W, T>(watch: Watch<W, T>) -> Watch<W, T> {
    Watch { streamed: false, ..watch }
}

fn cluster_wide<W, T>(mut watch: Watch<W, T>) -> Watch<W, T> {
    watch.namespace = None;
    watch
}

fn metadata_only<W, T>(watch: Watch<W, T>) -> Watch<W, T> {
    Watch { metadata: true, ..watch }
}

/// What all eyes have in common.
struct Opening<'a> {
    namespace: Option<Name>,
    sessions: &'a Sessions,
    tell: &'a Tell,
    tasks: &'a mut JoinSet<()>,
}

impl Opening<'_> {
    fn eye<W, T>(
        &mut self,
        origin: Origin,
        kind: Kind,
        read: fn(W, &mut Names) -> Option<T>,
        fact: fn(Delta<T>) -> Fact,
        but: fn(Watch<W, T>) -> Watch<W, T>,
    ) where
        W: DeserializeOwned + Send + 'static,
        T: Keyed + Send + 'static,
    {
        let watch = but(Watch {
            origin,
            kind,
            namespace: self.namespace.clone(),
            read,
            fact,
            hold: Duration::from_millis(20),
            metadata: false,
            streamed: true,
            absent: None,
        });
        self.tasks.spawn(watch.run(self.sessions.clone(), self.tell.clone()));
    }
}
