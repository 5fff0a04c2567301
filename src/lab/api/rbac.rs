//! What the ClusterRoles `view` and `edit` of a real cluster allow, with what metrics-server, cert-manager and
//! External Secrets add to them. It knows rules only; who has which role is told.
use serde_json::{Value, json};

use super::auth::{Role, Wish};

const READ: &[&str] = &["get", "list", "watch"];
const WRITE: &[&str] = &["create", "delete", "deletecollection", "patch", "update"];

/// Group, and resources with their subresources.
type Rules = &'static [(&'static str, &'static [&'static str])];

/// `view`: neither nodes, leases nor Secrets, and no way through `proxy`.
const VIEWED: Rules = &[
    (
        "",
        &[
            "configmaps",
            "endpoints",
            "events",
            "limitranges",
            "namespaces",
            "namespaces/status",
            "persistentvolumeclaims",
            "persistentvolumeclaims/status",
            "pods",
            "pods/log",
            "pods/status",
            "resourcequotas",
            "resourcequotas/status",
            "serviceaccounts",
            "services",
            "services/status",
        ],
    ),
    (
        "apps",
        &[
            "controllerrevisions",
            "daemonsets",
            "daemonsets/status",
            "deployments",
            "deployments/scale",
            "deployments/status",
            "replicasets",
            "replicasets/scale",
            "replicasets/status",
            "statefulsets",
            "statefulsets/scale",
            "statefulsets/status",
        ],
    ),
    ("autoscaling", &["horizontalpodautoscalers", "horizontalpodautoscalers/status"]),
    ("batch", &["cronjobs", "cronjobs/status", "jobs", "jobs/status"]),
    ("cert-manager.io", &["certificaterequests", "certificates", "issuers"]),
    ("discovery.k8s.io", &["endpointslices"]),
    ("events.k8s.io", &["events"]),
    ("external-secrets.io", &["externalsecrets", "secretstores"]),
    ("metrics.k8s.io", &["nodes", "pods"]),
    ("networking.k8s.io", &["ingresses", "ingresses/status", "networkpolicies"]),
    ("policy", &["poddisruptionbudgets", "poddisruptionbudgets/status"]),
];

/// What `edit` reads beyond `view`.
const ALSO_READ: Rules =
    &[("", &["pods/attach", "pods/exec", "pods/portforward", "pods/proxy", "secrets", "services/proxy"])];

const EDITED: Rules = &[
    (
        "",
        &[
            "configmaps",
            "events",
            "persistentvolumeclaims",
            "pods",
            "pods/attach",
            "pods/eviction",
            "pods/exec",
            "pods/portforward",
            "pods/proxy",
            "secrets",
            "serviceaccounts",
            "services",
            "services/proxy",
        ],
    ),
    (
        "apps",
        &[
            "daemonsets",
            "deployments",
            "deployments/rollback",
            "deployments/scale",
            "replicasets",
            "replicasets/scale",
            "statefulsets",
            "statefulsets/scale",
        ],
    ),
    ("autoscaling", &["horizontalpodautoscalers"]),
    ("batch", &["cronjobs", "jobs"]),
    ("cert-manager.io", &["certificaterequests", "certificates", "issuers"]),
    ("external-secrets.io", &["externalsecrets", "secretstores"]),
    ("networking.k8s.io", &["ingresses", "networkpolicies"]),
    ("policy", &["poddisruptionbudgets"]),
];

/// Whether a role allows it.
pub fn allows(role: Role, wish: &Wish<'_>) -> bool {
    let may = |rules: Rules, verbs: &[&str]| verbs.contains(&wish.verb) && names(rules, wish);
    match role {
        Role::Admin => true,
        Role::View => may(VIEWED, READ),
        Role::Edit(namespace) => {
            wish.namespace == namespace && (may(VIEWED, READ) || may(ALSO_READ, READ) || may(EDITED, WRITE))
        }
    }
}

fn names(rules: Rules, wish: &Wish<'_>) -> bool {
    let whole = match wish.subresource {
        "" => wish.resource.to_owned(),
        part => format!("{}/{part}", wish.resource),
    };
    rules.iter().any(|(group, resources)| *group == wish.group && resources.contains(&&*whole))
}

/// The rules of a role, as a SelfSubjectRulesReview lists them.
pub fn rules(role: Role) -> Value {
    let listed = |rules: Rules, verbs: &[&str]| -> Vec<Value> {
        rules
            .iter()
            .map(|(group, resources)| json!({"verbs": verbs, "apiGroups": [group], "resources": resources}))
            .collect()
    };
    let mut all = match role {
        Role::Admin => return json!([{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}]),
        Role::View => listed(VIEWED, READ),
        Role::Edit(_) => [listed(VIEWED, READ), listed(ALSO_READ, READ), listed(EDITED, WRITE)].concat(),
    };
    all.push(json!({"verbs": ["create"], "apiGroups": ["authorization.k8s.io"],
        "resources": ["selfsubjectaccessreviews", "selfsubjectrulesreviews"]}));
    all.push(json!({"verbs": ["create"], "apiGroups": ["authentication.k8s.io"], "resources": ["selfsubjectreviews"]}));
    Value::Array(all)
}
