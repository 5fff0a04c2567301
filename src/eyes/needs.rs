//! What the cockpit must be allowed to do: one row for each verb on a resource, and who needs it.

use crate::config::Scope;
use crate::domain::Grant;

/// A verb on a resource.
#[derive(Clone, Copy, Debug)]
pub struct Need {
    pub verb: &'static str,
    pub group: &'static str,
    pub resource: &'static str,
    pub subresource: &'static str,
    pub at: Where,
    pub by: Who,
}

/// Where the permission has to hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Where {
    /// In the namespaces looked at.
    Scope,
    Cluster,
    Namespace(&'static str),
}

/// Who needs it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Who {
    /// Without it a panel is blind.
    Eyes,
    /// Without it a read step of a playbook fails.
    Probes,
    /// Without it a change is refused; not needed with `--read-only`.
    Hands,
}

const fn need(who: Who, verb: &'static str, group: &'static str, resource: &'static str, at: Where) -> Need {
    Need { verb, group, resource, subresource: "", at, by: who }
}

const fn sub(
    who: Who,
    verb: &'static str,
    group: &'static str,
    resource: &'static str,
    subresource: &'static str,
) -> Need {
    Need { verb, group, resource, subresource, at: Where::Scope, by: who }
}

/// Listing and watching go together.
macro_rules! watched {
    ($($group:literal $resource:literal $at:expr),+ $(,)?) => {
        &[$(
            need(Who::Eyes, "list", $group, $resource, $at),
            need(Who::Eyes, "watch", $group, $resource, $at),
        )+]
    };
}

static WATCHED: &[Need] = watched![
    "" "pods" Where::Scope,
    "" "nodes" Where::Cluster,
    "apps" "deployments" Where::Scope,
    "apps" "replicasets" Where::Scope,
    "autoscaling" "horizontalpodautoscalers" Where::Scope,
    "policy" "poddisruptionbudgets" Where::Scope,
    "" "events" Where::Scope,
    "" "services" Where::Scope,
    "discovery.k8s.io" "endpointslices" Where::Scope,
    "networking.k8s.io" "ingresses" Where::Scope,
    "" "persistentvolumeclaims" Where::Scope,
    "" "configmaps" Where::Scope,
    "" "secrets" Where::Scope,
    "coordination.k8s.io" "leases" Where::Namespace("kube-node-lease"),
    "cert-manager.io" "certificates" Where::Scope,
];

static OTHER: &[Need] = &[
    need(Who::Eyes, "list", "metrics.k8s.io", "pods", Where::Scope),
    need(Who::Eyes, "list", "metrics.k8s.io", "nodes", Where::Cluster),
    need(Who::Eyes, "list", "", "services", Where::Cluster),
    Need {
        verb: "get",
        group: "",
        resource: "services",
        subresource: "proxy",
        at: Where::Cluster,
        by: Who::Eyes,
    },
    Need {
        verb: "get",
        group: "",
        resource: "nodes",
        subresource: "proxy",
        at: Where::Cluster,
        by: Who::Eyes,
    },
    sub(Who::Probes, "get", "", "pods", "log"),
    sub(Who::Probes, "get", "", "pods", "proxy"),
    need(Who::Probes, "list", "networking.k8s.io", "ingressclasses", Where::Cluster),
    need(Who::Probes, "list", "cert-manager.io", "certificaterequests", Where::Scope),
    need(Who::Probes, "list", "acme.cert-manager.io", "orders", Where::Scope),
    need(Who::Probes, "list", "acme.cert-manager.io", "challenges", Where::Scope),
    need(Who::Probes, "get", "cert-manager.io", "clusterissuers", Where::Cluster),
    need(Who::Probes, "get", "", "pods", Where::Scope),
    need(Who::Probes, "get", "", "configmaps", Where::Scope),
    need(Who::Probes, "get", "", "secrets", Where::Scope),
    need(Who::Probes, "list", "", "resourcequotas", Where::Scope),
    need(Who::Hands, "list", "apps", "controllerrevisions", Where::Scope),
    need(Who::Hands, "patch", "apps", "deployments", Where::Scope),
    sub(Who::Hands, "patch", "apps", "deployments", "scale"),
    sub(Who::Hands, "patch", "apps", "deployments", "status"),
    need(Who::Hands, "patch", "apps", "statefulsets", Where::Scope),
    need(Who::Hands, "patch", "apps", "daemonsets", Where::Scope),
    need(Who::Hands, "patch", "", "services", Where::Scope),
    need(Who::Hands, "patch", "networking.k8s.io", "ingresses", Where::Scope),
    need(Who::Hands, "patch", "cert-manager.io", "certificates", Where::Scope),
    sub(Who::Hands, "patch", "cert-manager.io", "certificates", "status"),
    need(Who::Hands, "patch", "autoscaling", "horizontalpodautoscalers", Where::Scope),
    need(Who::Hands, "delete", "", "pods", Where::Scope),
    sub(Who::Hands, "create", "", "pods", "eviction"),
    sub(Who::Hands, "create", "", "pods", "exec"),
    need(Who::Hands, "patch", "", "nodes", Where::Cluster),
    need(Who::Hands, "delete", "", "nodes", Where::Cluster),
    need(Who::Hands, "patch", "", "configmaps", Where::Scope),
    need(Who::Hands, "create", "", "secrets", Where::Scope),
    need(Who::Hands, "patch", "", "secrets", Where::Scope),
    need(Who::Hands, "delete", "", "secrets", Where::Scope),
];

/// Every need, those of the eyes first.
pub fn needs() -> impl Iterator<Item = &'static Need> {
    WATCHED.iter().chain(OTHER)
}

impl Need {
    /// The namespace to ask about; None for the whole cluster.
    pub fn namespace(&self, scope: &Scope) -> Option<String> {
        match self.at {
            Where::Cluster => None,
            Where::Scope => scope.one().map(ToString::to_string),
            Where::Namespace(namespace) => Some(namespace.to_owned()),
        }
    }

    /// As kubectl writes it: `pods/log`.
    pub fn resource(&self) -> String {
        match self.subresource {
            "" => self.resource.to_owned(),
            subresource => format!("{}/{subresource}", self.resource),
        }
    }

    /// How an admin would allow it.
    pub fn rule(&self, scope: &Scope, user: Option<&str>) -> String {
        let (resource, namespace) = (self.resource(), self.namespace(scope));
        let grant = Grant {
            verbs: &[self.verb],
            group: self.group,
            resource: &resource,
            namespace: namespace.as_deref(),
            user,
        };
        format!("let an admin run: {}", grant.as_command())
    }
}
