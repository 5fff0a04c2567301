//! What eyes say: facts, or why they cannot see.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{
    Alert, Asked, Autoscaler, Cache, Certificate, Change, ConfigObject, Controller, ControllerRevision,
    CronJob, Database, Deployment, DisruptionBudget, EndpointSlice, Event, Handshake, Ingress, Job, Key,
    Lease, Monitoring, Name, Node, NodeDisk, Noise, PersistentVolumeClaim, Pod, RdsLoad, ReplicaSet, Service,
    Silence, Strain, Timestamp, Traffic, Usage, UsageSource, Walk,
};

/// One thing seen, or not seen, by one eye at one moment.
#[derive(Clone, Debug)]
pub struct Observation {
    pub at: Timestamp,
    pub origin: Origin,
    pub seen: Result<Fact, Blind>,
}

impl Observation {
    /// It says that all goes on as before, or measures what changes slowly: nobody judges or paints anew for it before
    /// the next second.
    pub fn is_routine(&self) -> bool {
        match &self.seen {
            Ok(Fact::Answered(_) | Fact::Unchanged | Fact::PodUsage(..) | Fact::NodeUsage(..)) => true,
            Ok(Fact::Leases(delta)) => matches!(delta, Delta::Seen(_)),
            _ => false,
        }
    }
}

/// Where an observation comes from: one for each thing that can fail alone.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// Whether the API server answers at all; when it doesn't, every watch below is blind.
    ApiServer,
    Pods,
    Nodes,
    Deployments,
    ReplicaSets,
    StatefulSets,
    DaemonSets,
    ControllerRevisions,
    Jobs,
    CronJobs,
    Autoscalers,
    DisruptionBudgets,
    Events,
    Services,
    EndpointSlices,
    Ingresses,
    PersistentVolumeClaims,
    ConfigMaps,
    Secrets,
    NetworkPolicies,
    ResourceQuotas,
    LimitRanges,
    Leases,
    Certificates,
    /// What kubelets say of their disks.
    NodeDisks,
    PodUsage,
    NodeUsage,
    Prometheus,
    /// cAdvisor's metrics of containers, by way of Prometheus.
    Containers,
    Alertmanager,
    Postgres,
    Redis,
    /// The database at RDS, by CloudWatch.
    CloudWatch,
    Tls,
    /// Whether users reach the public hosts.
    Reach,
    /// Prometheus as a program and a workload.
    Monitoring,
    /// What alerts did over hours and days.
    AlertHistory,
    /// The questions of a team's own playbooks; each can fail alone.
    Triggers,
    /// The cockpit's own actions.
    Cockpit,
}

impl Origin {
    pub const ALL: [Origin; 39] = [
        Origin::ApiServer,
        Origin::Pods,
        Origin::Nodes,
        Origin::Deployments,
        Origin::ReplicaSets,
        Origin::StatefulSets,
        Origin::DaemonSets,
        Origin::ControllerRevisions,
        Origin::Jobs,
        Origin::CronJobs,
        Origin::Autoscalers,
        Origin::DisruptionBudgets,
        Origin::Events,
        Origin::Services,
        Origin::EndpointSlices,
        Origin::Ingresses,
        Origin::PersistentVolumeClaims,
        Origin::ConfigMaps,
        Origin::Secrets,
        Origin::NetworkPolicies,
        Origin::ResourceQuotas,
        Origin::LimitRanges,
        Origin::Leases,
        Origin::Certificates,
        Origin::NodeDisks,
        Origin::PodUsage,
        Origin::NodeUsage,
        Origin::Prometheus,
        Origin::Containers,
        Origin::Alertmanager,
        Origin::Postgres,
        Origin::Redis,
        Origin::CloudWatch,
        Origin::Tls,
        Origin::Reach,
        Origin::Monitoring,
        Origin::AlertHistory,
        Origin::Triggers,
        Origin::Cockpit,
    ];

    /// Seen through the API server, so blind when it is.
    pub fn is_kubernetes(self) -> bool {
        self <= Origin::NodeUsage
    }

    /// For a person: `pods`, `Prometheus`.
    pub fn as_str(self) -> &'static str {
        match self {
            Origin::ApiServer => "API server",
            Origin::Pods => "pods",
            Origin::Nodes => "nodes",
            Origin::Deployments => "deployments",
            Origin::ReplicaSets => "replicasets",
            Origin::StatefulSets => "statefulsets",
            Origin::DaemonSets => "daemonsets",
            Origin::ControllerRevisions => "controllerrevisions",
            Origin::Jobs => "jobs",
            Origin::CronJobs => "cronjobs",
            Origin::Autoscalers => "HPAs",
            Origin::DisruptionBudgets => "PDBs",
            Origin::Events => "events",
            Origin::Services => "services",
            Origin::EndpointSlices => "endpointslices",
            Origin::Ingresses => "ingresses",
            Origin::PersistentVolumeClaims => "PVCs",
            Origin::ConfigMaps => "configmaps",
            Origin::Secrets => "secrets",
            Origin::NetworkPolicies => "networkpolicies",
            Origin::ResourceQuotas => "quotas",
            Origin::LimitRanges => "limitranges",
            Origin::Leases => "node leases",
            Origin::Certificates => "certificates",
            Origin::NodeDisks => "node disks",
            Origin::PodUsage => "pod metrics",
            Origin::NodeUsage => "node metrics",
            Origin::Prometheus => "Prometheus",
            Origin::Containers => "container metrics",
            Origin::Alertmanager => "Alertmanager",
            Origin::Postgres => "PostgreSQL",
            Origin::Redis => "Redis",
            Origin::CloudWatch => "CloudWatch",
            Origin::Tls => "TLS",
            Origin::Reach => "public hosts",
            Origin::Monitoring => "monitoring",
            Origin::AlertHistory => "alert history",
            Origin::Triggers => "team triggers",
            Origin::Cockpit => "cockpit",
        }
    }
}

#[derive(Clone, Debug)]
pub enum Fact {
    /// The API server answered, and how quickly.
    Answered(Duration),
    /// A watch that was renewed: its kind is still seen, and nothing of it is new.
    Unchanged,
    Pods(Delta<Pod>),
    Nodes(Delta<Node>),
    Deployments(Delta<Deployment>),
    ReplicaSets(Delta<ReplicaSet>),
    StatefulSets(Delta<Controller>),
    DaemonSets(Delta<Controller>),
    ControllerRevisions(Delta<ControllerRevision>),
    Jobs(Delta<Job>),
    CronJobs(Delta<CronJob>),
    Autoscalers(Delta<Autoscaler>),
    DisruptionBudgets(Delta<DisruptionBudget>),
    Events(Delta<Event>),
    Services(Delta<Service>),
    EndpointSlices(Delta<EndpointSlice>),
    Ingresses(Delta<Ingress>),
    PersistentVolumeClaims(Delta<PersistentVolumeClaim>),
    /// ConfigMaps under [`Origin::ConfigMaps`].
    ConfigMaps(Delta<ConfigObject>),
    /// Secrets under [`Origin::Secrets`].
    Secrets(Delta<ConfigObject>),
    NetworkPolicies(Delta<ConfigObject>),
    ResourceQuotas(Delta<ConfigObject>),
    LimitRanges(Delta<ConfigObject>),
    Leases(Delta<Lease>),
    Certificates(Delta<Certificate>),
    /// Some nodes, not all at once.
    NodeDisks(Vec<(Name, NodeDisk)>),
    /// All at once: pod key and container name.
    PodUsage(UsageSource, Vec<((Key, Name), Usage)>),
    /// All at once, by node name.
    NodeUsage(UsageSource, Vec<(Name, Usage)>),
    Traffic(Box<Traffic>),
    Strain(Box<Strain>),
    Alerts {
        alerts: Vec<Alert>,
        silences: Vec<Silence>,
        /// Whether it runs the configuration that was written last; None where it does not say.
        loaded: Option<bool>,
    },
    Database(Database),
    Cache(Cache),
    RdsLoad(Box<RdsLoad>),
    /// All hosts that are looked at, with their ports: what was seen of any other is over.
    Hosts(BTreeSet<(Name, u16)>),
    /// All addresses of one host and port.
    Handshakes(Vec<Handshake>),
    /// One walk to each public host.
    Walks(Vec<Walk>),
    Monitoring(Box<Monitoring>),
    Noise(Box<Noise>),
    /// Answers to the team's questions; those that are not here stay as they were.
    Asked(Vec<Asked>),
    /// This cockpit acted.
    Acted(Change),
}

/// A piece of a watched list.
#[derive(Clone, Debug)]
pub enum Delta<T> {
    /// A list begins; what isn't seen before `Listed` is gone by then.
    Relisting,
    Seen(Vec<T>),
    Gone(Vec<Key>),
    /// The list is complete.
    Listed,
}

/// Why an origin cannot be seen. Blindness is never health.
#[derive(Clone, PartialEq, Debug)]
pub struct Blind {
    pub kind: BlindKind,
    /// In words for a tired person, e.g. `the API server does not answer (timed out after 2 s)`.
    pub why: String,
    /// What to do about it, e.g. `set PROMETHEUS_URL or [prometheus] url`.
    pub repair: Option<String>,
    pub since: Timestamp,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BlindKind {
    /// Nobody told us where it is: not an error.
    NotConfigured,
    /// The other side said no: a permission or a credential.
    Refused,
    /// The other side doesn't answer.
    Unreachable,
    /// It answers, but not what we need.
    Broken,
}

/// How old what we know from an origin is.
#[derive(Clone, PartialEq, Debug)]
pub enum Age {
    /// Nothing was seen yet, and nothing failed yet.
    Waiting,
    /// Live: seen this long ago, within what is usual for this origin.
    Live(Duration),
    /// Not refreshed for this long although nobody said why.
    Stale(Duration),
    /// Not seeing; the last sight, if any, was this long ago.
    Blind(Blind, Option<Duration>),
}
