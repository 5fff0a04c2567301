//! What the cockpit must be allowed to do: one row for each verb on a resource, and who needs it.

use crate::config::Scope;
use crate::domain::{Grant, RIGHTS, Right};

/// A verb on a resource.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
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
    /// Where Prometheus runs.
    Monitoring,
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
    "apps" "statefulsets" Where::Scope,
    "apps" "daemonsets" Where::Scope,
    "apps" "controllerrevisions" Where::Scope,
    "batch" "jobs" Where::Scope,
    "batch" "cronjobs" Where::Scope,
    "autoscaling" "horizontalpodautoscalers" Where::Scope,
    "policy" "poddisruptionbudgets" Where::Scope,
    "" "events" Where::Scope,
    "" "services" Where::Scope,
    "discovery.k8s.io" "endpointslices" Where::Scope,
    "networking.k8s.io" "ingresses" Where::Scope,
    "" "persistentvolumeclaims" Where::Scope,
    "" "configmaps" Where::Scope,
    "" "secrets" Where::Scope,
    "networking.k8s.io" "networkpolicies" Where::Scope,
    "" "resourcequotas" Where::Scope,
    "" "limitranges" Where::Scope,
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
];

/// Every need, those of the eyes first.
pub fn needs() -> impl Iterator<Item = Need> {
    WATCHED.iter().chain(OTHER).copied().chain(of_hands())
}

/// What the hands' actions write, each once.
fn of_hands() -> Vec<Need> {
    let mut needs: Vec<Need> = Vec::new();
    for of in RIGHTS {
        for Right { verb, kind, part } in of.rights {
            let at = match () {
                () if !kind.is_namespaced() => Where::Cluster,
                () if of.monitoring => Where::Monitoring,
                () => Where::Scope,
            };
            let (group, resource) = (kind.group(), kind.plural());
            let need = Need { verb, group, resource, subresource: part, at, by: Who::Hands };
            if !needs.contains(&need) {
                needs.push(need);
            }
        }
    }
    // The verbs on one resource together, in the order in which resources first come.
    let of = |need: &Need| (need.group, need.resource, need.subresource, need.at);
    let first: Vec<_> = needs.iter().map(of).collect();
    needs.sort_by_key(|need| first.iter().position(|known| *known == of(need)));
    needs
}

impl Need {
    /// The namespace to ask about, where `monitoring` is that of Prometheus; None for the whole cluster.
    pub fn namespace(&self, scope: &Scope, monitoring: Option<&str>) -> Option<String> {
        match self.at {
            Where::Cluster => None,
            Where::Scope => scope.one().map(ToString::to_string),
            Where::Namespace(namespace) => Some(namespace.to_owned()),
            Where::Monitoring => monitoring.map(str::to_owned),
        }
    }

    /// As kubectl takes it: `pods/log`, `nodes.metrics.k8s.io`.
    pub fn full_resource(&self) -> String {
        let resource = self.resource();
        self.grant(&[], &resource, None, None).full_resource()
    }

    /// How an admin would allow these verbs there.
    pub fn rule(&self, verbs: &[&str], namespace: Option<&str>, user: Option<&str>) -> String {
        let resource = self.resource();
        format!("let an admin run: {}", self.grant(verbs, &resource, namespace, user).as_command())
    }

    fn resource(&self) -> String {
        match self.subresource {
            "" => self.resource.to_owned(),
            subresource => format!("{}/{subresource}", self.resource),
        }
    }

    fn grant<'a>(
        &'a self,
        verbs: &'a [&'a str],
        resource: &'a str,
        namespace: Option<&'a str>,
        user: Option<&'a str>,
    ) -> Grant<'a> {
        Grant { verbs, group: self.group, resource, namespace, user }
    }
}
