//! The ingress controller behind a class: from `IngressClass.spec.controller` to the workload that runs it.

use serde_json::Value;

use super::Asking;
use crate::domain::{Kind, cause};
use crate::probes::answer::Answer;
use crate::probes::object::{annotation, key, name, number, string};
use crate::probes::trouble::{Trouble, TroubleKind};

/// `spec.controller` begins like this, and the label `app.kubernetes.io/name` of what runs it (each project's own
/// charts and manifests).
const KNOWN: &[(&str, &str)] = &[
    ("k8s.io/ingress-nginx", "ingress-nginx"),
    ("nginx.org/ingress-controller", "nginx-ingress"),
    ("traefik.io/ingress-controller", "traefik"),
    ("haproxy.org/ingress-controller", "kubernetes-ingress"),
    ("haproxy-ingress.github.io/controller", "haproxy-ingress"),
    ("projectcontour.io/", "contour"),
    ("ingress-controllers.konghq.com/kong", "ingress"),
    ("ingress.k8s.aws/alb", "aws-load-balancer-controller"),
];
/// Two, so that one may fail.
const USUAL_REPLICAS: i64 = 2;

/// What serves a class, and how it is.
pub(super) struct Controller {
    pub says: String,
    pub trouble: Option<(&'static str, String)>,
    workload: Option<Workload>,
}

struct Workload {
    kind: Kind,
    namespace: String,
    name: String,
    replicas: i64,
}

impl Controller {
    fn unknown(says: String) -> Self {
        Self { says, trouble: None, workload: None }
    }

    pub(super) fn bind(&self, answer: &mut Answer) {
        let Some(found) = &self.workload else { return };
        answer.bind("controller", &found.name);
        answer.bind("controller_namespace", &found.namespace);
        answer.bind("controller_kind", found.kind.as_str());
        answer.bind("controller_wanted", found.replicas.to_string());
        let wanted = if found.replicas > 0 { found.replicas } else { USUAL_REPLICAS };
        answer.bind("controller_replicas", wanted.to_string());
    }
}

/// The controller of a class; of the default class when it has no name.
pub(super) async fn find(asking: &Asking<'_>, class: &str) -> Result<Controller, Trouble> {
    let classes = match asking.cluster.list(Kind::IngressClass, "", "", "").await {
        Ok(classes) => classes,
        Err(trouble) if trouble.is(TroubleKind::Absent) => Vec::new(),
        Err(trouble) => return Err(trouble),
    };
    let is_default =
        |object: &&Value| annotation(object, "ingressclass.kubernetes.io/is-default-class") == Some("true");
    let found = if class.is_empty() {
        classes.iter().find(is_default)
    } else {
        classes.iter().find(|object| name(object) == class)
    };
    let Some(found) = found else {
        let says = no_class(class, &classes.iter().map(name).collect::<Vec<_>>());
        return Ok(Controller { trouble: Some((cause::INGRESS_CLASS, says.clone())), says, workload: None });
    };
    let controller = string(found, "/spec/controller");
    let Some((_, label)) = KNOWN.iter().find(|(begins, _)| controller.starts_with(begins)) else {
        return Ok(Controller::unknown(format!("{controller}: what runs it is not known")));
    };
    let selector = format!("app.kubernetes.io/name={label}");
    let mut workloads = Vec::new();
    for kind in [Kind::Deployment, Kind::DaemonSet] {
        workloads
            .extend(asking.cluster.list(kind, "", &selector, "").await?.into_iter().map(|one| (kind, one)));
    }
    // Charts label what belongs to the controller beside it, such as a default backend.
    let chosen = workloads.iter().find(|(_, one)| name(one).contains("controller")).or(workloads.first());
    Ok(match chosen {
        None => Controller::unknown(format!("{controller}: no workload labelled {selector} is to be seen")),
        Some((kind, object)) => look(*kind, object),
    })
}

fn no_class(wanted: &str, known: &[&str]) -> String {
    let there = known.join(", ");
    match (wanted, known) {
        ("", []) => "this cluster has no IngressClass: no controller serves it".to_owned(),
        ("", _) => format!("no class is named and none is the default (there are: {there})"),
        (_, []) => format!("the class {wanted} does not exist: this cluster has no IngressClass"),
        _ => format!("the class {wanted} does not exist (there are: {there})"),
    }
}

fn look(kind: Kind, object: &Value) -> Controller {
    let (wanted, available) = match kind {
        Kind::DaemonSet => {
            (number(object, "/status/desiredNumberScheduled"), number(object, "/status/numberAvailable"))
        }
        _ => (
            object.pointer("/spec/replicas").and_then(Value::as_i64).unwrap_or(1),
            number(object, "/status/availableReplicas"),
        ),
    };
    let place = key(object);
    let says = format!("{} {place}: {available} of {wanted} available", kind.as_str());
    let trouble = (available == 0).then(|| {
        let why = if wanted == 0 { "it is scaled to 0" } else { "none of its pods is available" };
        (cause::CONTROLLER_DOWN, format!("ingress controller {place} is down: {why}"))
    });
    let workload = Workload {
        kind,
        namespace: place.namespace.to_string(),
        name: place.name.to_string(),
        replicas: wanted,
    };
    Controller { says, trouble, workload: Some(workload) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_there_is_no_class_none_is_listed() {
        assert_eq!(no_class("", &[]), "this cluster has no IngressClass: no controller serves it");
        assert_eq!(no_class("alb", &[]), "the class alb does not exist: this cluster has no IngressClass");
        let two = ["nginx", "alb"];
        assert_eq!(no_class("", &two), "no class is named and none is the default (there are: nginx, alb)");
        assert_eq!(no_class("x", &two), "the class x does not exist (there are: nginx, alb)");
    }
}
