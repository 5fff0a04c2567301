//! What each action writes to Kubernetes, by its name: what a person must be allowed. A test holds it against the
//! verbs of playbooks, and against the objects that the product's own playbooks name.

use std::fmt;

use crate::domain::{Kind, Name, ObjectRef};
use Kind::{
    Certificate, ClusterIssuer, ConfigMap, CronJob, DaemonSet, Deployment, ExternalSecret,
    HorizontalPodAutoscaler, Ingress, Issuer, Job, Node, PersistentVolumeClaim, Pod, Prometheus,
    PrometheusRule, Secret, Service, StatefulSet,
};

/// A verb on a kind of object, or on a part of it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Right {
    pub verb: &'static str,
    pub kind: Kind,
    /// As in a URL: `scale`; empty for the object itself.
    pub part: &'static str,
}

/// A right where it is needed.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Access {
    pub right: Right,
    /// Empty for what is of the whole cluster.
    pub namespace: Name,
}

/// `patch deployments/scale in shop`.
impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Right { verb, kind, part } = self.right;
        let slash = if part.is_empty() { "" } else { "/" };
        write!(f, "{verb} {}{slash}{part} ", kind.plural())?;
        match &*self.namespace {
            "" => f.write_str("in the whole cluster"),
            namespace => write!(f, "in {namespace}"),
        }
    }
}

impl Access {
    /// What has to be allowed first for an action of this name on this object. None for what is no change of a
    /// Kubernetes object, or where it depends on what is found.
    pub fn of(action: &str, object: &ObjectRef) -> Option<Access> {
        let row = RIGHTS.iter().find(|row| row.action == action && !row.monitoring)?;
        let right = row.rights.iter().copied().find(|right| right.kind == object.kind)?;
        Some(Access { right, namespace: object.key.namespace.clone() })
    }
}

/// The rights of one action.
#[derive(Debug)]
pub struct Rights {
    /// As in a journal and in playbooks: `set-image`.
    pub action: &'static str,
    /// On what monitoring runs with, in its own namespace.
    pub monitoring: bool,
    pub rights: &'static [Right],
}

const fn patch(kind: Kind) -> Right {
    Right { verb: "patch", kind, part: "" }
}

const fn on(verb: &'static str, kind: Kind, part: &'static str) -> Right {
    Right { verb, kind, part }
}

const fn of(action: &'static str, rights: &'static [Right]) -> Rights {
    Rights { action, monitoring: false, rights }
}

const fn monitoring(action: &'static str, rights: &'static [Right]) -> Rights {
    Rights { action, monitoring: true, rights }
}

const TEMPLATE: &[Right] = &[patch(Deployment)];
const WORKLOADS: &[Right] = &[patch(Deployment), patch(StatefulSet), patch(DaemonSet)];
const NODE: &[Right] = &[patch(Node)];
/// A configuration, and the server told to read it by whoever reaches it through the API server.
const DOCUMENT: &[Right] = &[patch(ConfigMap), patch(Secret), on("create", Service, "proxy")];

/// Every action that writes to Kubernetes. A server that is reached through the API server is written to by its
/// Service's proxy.
pub static RIGHTS: &[Rights] = &[
    of("scale", &[on("patch", Deployment, "scale"), on("patch", StatefulSet, "scale")]),
    of("autoscaler-bounds", &[patch(HorizontalPodAutoscaler)]),
    of(
        "patch",
        &[
            patch(Deployment),
            patch(Service),
            patch(Ingress),
            patch(CronJob),
            patch(PersistentVolumeClaim),
            patch(Issuer),
            patch(ClusterIssuer),
        ],
    ),
    of("rollout-restart", WORKLOADS),
    of("rollout-undo", WORKLOADS),
    of("rollout-pause", TEMPLATE),
    of("rollout-resume", TEMPLATE),
    of("delete-pods", &[on("delete", Pod, "")]),
    of("evict", &[on("create", Pod, "eviction")]),
    of("cordon", NODE),
    of("uncordon", NODE),
    of("drain", &[patch(Node), on("create", Pod, "eviction")]),
    of("annotate", &[patch(ExternalSecret)]),
    of("label", &[patch(Deployment)]),
    of("deny-at-ingress", &[patch(Ingress)]),
    of("taint", NODE),
    of("apply", &[on("create", Certificate, ""), patch(Certificate)]),
    of("pull-secret", &[on("create", Secret, ""), patch(Secret)]),
    of("restore-secret", &[patch(Secret), on("delete", Secret, "")]),
    of("reference-pull-secret", TEMPLATE),
    of("set-image", WORKLOADS),
    of("set-resources", WORKLOADS),
    of("set-config", &[patch(ConfigMap)]),
    of("run-job-again", &[on("create", Job, "")]),
    of("delete-job", &[on("delete", Job, "")]),
    of("exec", &[on("create", Pod, "exec")]),
    of("patch-status", &[on("patch", Certificate, "status"), on("patch", Deployment, "status")]),
    of("delete-node", &[on("delete", Node, "")]),
    monitoring("silence-alerts", &[on("create", Service, "proxy")]),
    monitoring("expire-silence", &[on("delete", Service, "proxy")]),
    monitoring(
        "tune-rule",
        &[patch(ConfigMap), patch(Secret), patch(PrometheusRule), on("create", Service, "proxy")],
    ),
    monitoring("group-alerts", DOCUMENT),
    monitoring("inhibit-alerts", DOCUMENT),
    monitoring("route-alerts", DOCUMENT),
    monitoring("restore-document", DOCUMENT),
    monitoring("restore-prometheus-config", DOCUMENT),
    monitoring("grow-claim", &[patch(PersistentVolumeClaim)]),
    monitoring("restart-prometheus", &[on("delete", Pod, "")]),
    monitoring(
        "scale-prometheus",
        &[on("patch", Deployment, "scale"), on("patch", StatefulSet, "scale"), patch(Prometheus)],
    ),
    monitoring("limit-retention", &[patch(Deployment), patch(StatefulSet), patch(Prometheus)]),
];
