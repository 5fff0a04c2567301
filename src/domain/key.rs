//! Names of things: kinds, keys, labels and selectors, in Kubernetes' own terms.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// A short string shared by everything that names the same thing.
pub type Name = Arc<str>;

/// The kinds of Kubernetes objects the product knows.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum Kind {
    Pod,
    Node,
    Deployment,
    ReplicaSet,
    StatefulSet,
    DaemonSet,
    ControllerRevision,
    Job,
    CronJob,
    HorizontalPodAutoscaler,
    PodDisruptionBudget,
    Service,
    ServiceAccount,
    EndpointSlice,
    Ingress,
    NetworkPolicy,
    PersistentVolumeClaim,
    ConfigMap,
    Secret,
    ResourceQuota,
    LimitRange,
    Lease,
    Event,
    Namespace,
    Certificate,
    CertificateRequest,
    Order,
    Challenge,
    Issuer,
    ClusterIssuer,
    IngressClass,
    ExternalSecret,
    PersistentVolume,
    StorageClass,
    /// Of the Prometheus operator.
    Prometheus,
    /// Of the Prometheus operator.
    Alertmanager,
    /// Of the Prometheus operator.
    PrometheusRule,
}

/// One row of the table behind [`Kind`].
struct Facts {
    kind: Kind,
    name: &'static str,
    group: &'static str,
    version: &'static str,
    plural: &'static str,
    namespaced: bool,
}

const fn facts(
    kind: Kind,
    name: &'static str,
    group: &'static str,
    version: &'static str,
    plural: &'static str,
    namespaced: bool,
) -> Facts {
    Facts { kind, name, group, version, plural, namespaced }
}

const KINDS: &[Facts] = &[
    facts(Kind::Pod, "Pod", "", "v1", "pods", true),
    facts(Kind::Node, "Node", "", "v1", "nodes", false),
    facts(Kind::Deployment, "Deployment", "apps", "v1", "deployments", true),
    facts(Kind::ReplicaSet, "ReplicaSet", "apps", "v1", "replicasets", true),
    facts(Kind::StatefulSet, "StatefulSet", "apps", "v1", "statefulsets", true),
    facts(Kind::DaemonSet, "DaemonSet", "apps", "v1", "daemonsets", true),
    facts(Kind::ControllerRevision, "ControllerRevision", "apps", "v1", "controllerrevisions", true),
    facts(Kind::Job, "Job", "batch", "v1", "jobs", true),
    facts(Kind::CronJob, "CronJob", "batch", "v1", "cronjobs", true),
    facts(
        Kind::HorizontalPodAutoscaler,
        "HorizontalPodAutoscaler",
        "autoscaling",
        "v2",
        "horizontalpodautoscalers",
        true,
    ),
    facts(Kind::PodDisruptionBudget, "PodDisruptionBudget", "policy", "v1", "poddisruptionbudgets", true),
    facts(Kind::Service, "Service", "", "v1", "services", true),
    facts(Kind::ServiceAccount, "ServiceAccount", "", "v1", "serviceaccounts", true),
    facts(Kind::EndpointSlice, "EndpointSlice", "discovery.k8s.io", "v1", "endpointslices", true),
    facts(Kind::Ingress, "Ingress", "networking.k8s.io", "v1", "ingresses", true),
    facts(Kind::NetworkPolicy, "NetworkPolicy", "networking.k8s.io", "v1", "networkpolicies", true),
    facts(Kind::PersistentVolumeClaim, "PersistentVolumeClaim", "", "v1", "persistentvolumeclaims", true),
    facts(Kind::ConfigMap, "ConfigMap", "", "v1", "configmaps", true),
    facts(Kind::Secret, "Secret", "", "v1", "secrets", true),
    facts(Kind::ResourceQuota, "ResourceQuota", "", "v1", "resourcequotas", true),
    facts(Kind::LimitRange, "LimitRange", "", "v1", "limitranges", true),
    facts(Kind::Lease, "Lease", "coordination.k8s.io", "v1", "leases", true),
    facts(Kind::Event, "Event", "", "v1", "events", true),
    facts(Kind::Namespace, "Namespace", "", "v1", "namespaces", false),
    facts(Kind::Certificate, "Certificate", "cert-manager.io", "v1", "certificates", true),
    facts(
        Kind::CertificateRequest,
        "CertificateRequest",
        "cert-manager.io",
        "v1",
        "certificaterequests",
        true,
    ),
    facts(Kind::Order, "Order", "acme.cert-manager.io", "v1", "orders", true),
    facts(Kind::Challenge, "Challenge", "acme.cert-manager.io", "v1", "challenges", true),
    facts(Kind::Issuer, "Issuer", "cert-manager.io", "v1", "issuers", true),
    facts(Kind::ClusterIssuer, "ClusterIssuer", "cert-manager.io", "v1", "clusterissuers", false),
    facts(Kind::IngressClass, "IngressClass", "networking.k8s.io", "v1", "ingressclasses", false),
    facts(Kind::ExternalSecret, "ExternalSecret", "external-secrets.io", "v1", "externalsecrets", true),
    facts(Kind::PersistentVolume, "PersistentVolume", "", "v1", "persistentvolumes", false),
    facts(Kind::StorageClass, "StorageClass", "storage.k8s.io", "v1", "storageclasses", false),
    facts(Kind::Prometheus, "Prometheus", "monitoring.coreos.com", "v1", "prometheuses", true),
    facts(Kind::Alertmanager, "Alertmanager", "monitoring.coreos.com", "v1", "alertmanagers", true),
    facts(Kind::PrometheusRule, "PrometheusRule", "monitoring.coreos.com", "v1", "prometheusrules", true),
];

impl Kind {
    fn facts(self) -> &'static Facts {
        // The table is checked to hold every kind by this module's test.
        KINDS.iter().find(|facts| facts.kind == self).unwrap_or(&KINDS[0])
    }

    /// As in a manifest: `Deployment`.
    pub fn as_str(self) -> &'static str {
        self.facts().name
    }

    /// The API group, empty for the core group.
    pub fn group(self) -> &'static str {
        self.facts().group
    }

    /// The API version within its group.
    pub fn version(self) -> &'static str {
        self.facts().version
    }

    /// As in a URL: `deployments`.
    pub fn plural(self) -> &'static str {
        self.facts().plural
    }

    /// As `apiVersion` in a manifest: `apps/v1`.
    pub fn api_version(self) -> String {
        match self.group() {
            "" => self.version().to_owned(),
            group => format!("{group}/{}", self.version()),
        }
    }

    pub fn is_namespaced(self) -> bool {
        self.facts().namespaced
    }

    /// As a person types it to kubectl: `deployment`.
    pub fn for_kubectl(self) -> String {
        match self {
            Kind::HorizontalPodAutoscaler => "hpa".into(),
            Kind::PodDisruptionBudget => "pdb".into(),
            Kind::PersistentVolumeClaim => "pvc".into(),
            other => other.as_str().to_lowercase(),
        }
    }

    /// The kind of that name, as written in owner references and playbooks (any case).
    pub fn parse(name: &str) -> Option<Kind> {
        KINDS
            .iter()
            .find(|facts| facts.name.eq_ignore_ascii_case(name) || facts.plural.eq_ignore_ascii_case(name))
            .map(|facts| facts.kind)
    }

    pub fn all() -> impl Iterator<Item = Kind> {
        KINDS.iter().map(|facts| facts.kind)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Namespace and name; the namespace is empty for cluster-scoped kinds.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Key {
    pub namespace: Name,
    pub name: Name,
}

impl Key {
    pub fn new(namespace: impl Into<Name>, name: impl Into<Name>) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }

    /// The key of a cluster-scoped object.
    pub fn cluster(name: impl Into<Name>) -> Self {
        Self::new("", name)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.namespace {
            "" => f.write_str(&self.name),
            namespace => write!(f, "{namespace}/{}", self.name),
        }
    }
}

/// An object by kind and key.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct ObjectRef {
    pub kind: Kind,
    pub key: Key,
}

impl ObjectRef {
    pub fn new(kind: Kind, key: Key) -> Self {
        Self { kind, key }
    }
}

impl fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind.for_kubectl(), self.key.name)
    }
}

/// Labels, sorted by key. Small: a slice beats a map.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Labels(pub Arc<[(Name, Name)]>);

impl Labels {
    pub fn new(mut pairs: Vec<(Name, Name)>) -> Self {
        pairs.sort();
        Self(pairs.into())
    }

    pub fn get(&self, key: &str) -> Option<&Name> {
        self.0.iter().find(|(name, _)| &**name == key).map(|(_, value)| value)
    }
}

/// `matchLabels` of a selector. Expressions are kept as text and never match, so that a selector
/// that isn't understood covers nothing rather than everything.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Selector {
    pub labels: Labels,
    /// True when the selector also has `matchExpressions`.
    pub has_expressions: bool,
}

impl Selector {
    /// A Service without one has its endpoints written by somebody else.
    pub fn is_empty(&self) -> bool {
        self.labels.0.is_empty() && !self.has_expressions
    }

    /// Whether these labels are selected. An empty selector selects nothing.
    pub fn matches(&self, labels: &Labels) -> bool {
        !self.has_expressions
            && !self.labels.0.is_empty()
            && self.labels.0.iter().all(|(key, value)| labels.get(key) == Some(value))
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pairs: Vec<_> = self.labels.0.iter().map(|(key, value)| format!("{key}={value}")).collect();
        f.write_str(&pairs.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_finds_its_own_row() {
        for facts in KINDS {
            assert_eq!(facts.kind.as_str(), facts.name);
            assert_eq!(Kind::parse(facts.plural), Some(facts.kind));
        }
        assert_eq!(Kind::all().count(), Kind::PrometheusRule as usize + 1);
    }

    #[test]
    fn a_selector_with_expressions_or_nothing_selects_nothing() {
        let labels = Labels::new(vec![("app".into(), "web".into())]);
        let selector = Selector { labels: labels.clone(), has_expressions: false };
        assert!(selector.matches(&labels));
        assert!(!Selector { has_expressions: true, ..selector }.matches(&labels));
        assert!(!Selector::default().matches(&labels));
    }
}
