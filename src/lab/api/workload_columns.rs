//! The printed columns of workloads, policies, networking, storage and the custom kinds.
//! It reads objects as JSON and knows nothing of tables or requests.
use serde_json::{Value, json};

use super::columns::{AGE, NAME, count, joined, or, or_none, selector, span};
use super::table::{Column, since};

pub fn of(plural: &str) -> Option<&'static [Column]> {
    Some(match plural {
        "deployments" => DEPLOYMENTS,
        "replicasets" => REPLICASETS,
        "statefulsets" => STATEFULSETS,
        "daemonsets" => DAEMONSETS,
        "controllerrevisions" => REVISIONS,
        "horizontalpodautoscalers" => AUTOSCALERS,
        "jobs" => JOBS,
        "cronjobs" => CRONJOBS,
        "poddisruptionbudgets" => BUDGETS,
        "ingresses" => INGRESSES,
        "ingressclasses" => INGRESS_CLASSES,
        "networkpolicies" => POLICIES,
        "endpointslices" => SLICES,
        "leases" => LEASES,
        "storageclasses" => STORAGE_CLASSES,
        "certificates" => CERTIFICATES,
        "externalsecrets" => EXTERNAL_SECRETS,
        "podmetrics" => POD_METRICS,
        "nodemetrics" => NODE_METRICS,
        _ => return None,
    })
}

const CONTAINERS: Column = Column::text("Containers", |object, _| containers(object, "name")).wide();
const IMAGES: Column = Column::text("Images", |object, _| containers(object, "image")).wide();
const SELECTOR: Column = Column::text("Selector", |object, _| {
    let labels = &object["spec"]["selector"]["matchLabels"];
    if labels.is_object() { selector(labels) } else { selector(&object["spec"]["selector"]) }
})
.wide();

static DEPLOYMENTS: &[Column] = &[
    NAME,
    Column::text("Ready", |set, _| ready_of_wanted(set)),
    Column::number("Up-to-date", |set, _| number(&set["status"]["updatedReplicas"])),
    Column::number("Available", |set, _| number(&set["status"]["availableReplicas"])),
    AGE,
    CONTAINERS,
    IMAGES,
    SELECTOR,
];

static REPLICASETS: &[Column] = &[
    NAME,
    Column::number("Desired", |set, _| number(&set["spec"]["replicas"])),
    Column::number("Current", |set, _| number(&set["status"]["replicas"])),
    Column::number("Ready", |set, _| number(&set["status"]["readyReplicas"])),
    AGE,
    CONTAINERS,
    IMAGES,
    SELECTOR,
];

static STATEFULSETS: &[Column] =
    &[NAME, Column::text("Ready", |set, _| ready_of_wanted(set)), AGE, CONTAINERS, IMAGES];

static DAEMONSETS: &[Column] = &[
    NAME,
    Column::number("Desired", |set, _| number(&set["status"]["desiredNumberScheduled"])),
    Column::number("Current", |set, _| number(&set["status"]["currentNumberScheduled"])),
    Column::number("Ready", |set, _| number(&set["status"]["numberReady"])),
    Column::number("Up-to-date", |set, _| number(&set["status"]["updatedNumberScheduled"])),
    Column::number("Available", |set, _| number(&set["status"]["numberAvailable"])),
    Column::text("Node Selector", |set, _| selector(&set["spec"]["template"]["spec"]["nodeSelector"])),
    AGE,
    CONTAINERS,
    IMAGES,
    SELECTOR,
];

static REVISIONS: &[Column] = &[
    NAME,
    Column::text("Controller", |revision, _| {
        let owner = &revision["metadata"]["ownerReferences"][0];
        match (owner["kind"].as_str(), owner["name"].as_str()) {
            (Some(kind), Some(name)) => format!("{}.apps/{name}", kind.to_lowercase()).into(),
            _ => "<none>".into(),
        }
    }),
    Column::number("Revision", |revision, _| number(&revision["revision"])),
    AGE,
];

static AUTOSCALERS: &[Column] = &[
    NAME,
    Column::text("Reference", |hpa, _| {
        let target = &hpa["spec"]["scaleTargetRef"];
        format!("{}/{}", plain(&target["kind"]), plain(&target["name"])).into()
    }),
    Column::text("Targets", |hpa, _| hpa_targets(hpa)),
    Column::text("MinPods", |hpa, _| hpa["spec"]["minReplicas"].as_u64().unwrap_or(1).to_string().into()),
    Column::number("MaxPods", |hpa, _| number(&hpa["spec"]["maxReplicas"])),
    Column::number("Replicas", |hpa, _| number(&hpa["status"]["currentReplicas"])),
    AGE,
];

static JOBS: &[Column] = &[
    NAME,
    Column::text("Status", |job, _| job_status(job)),
    Column::text("Completions", |job, _| {
        let wanted = job["spec"]["completions"].as_u64().unwrap_or(1);
        format!("{}/{wanted}", number(&job["status"]["succeeded"])).into()
    }),
    Column::text("Duration", |job, now| {
        span(&job["status"]["startTime"], &job["status"]["completionTime"], now).into()
    }),
    AGE,
    CONTAINERS,
    IMAGES,
    SELECTOR,
];

static CRONJOBS: &[Column] = &[
    NAME,
    Column::text("Schedule", |job, _| job["spec"]["schedule"].clone()),
    Column::text("Timezone", |job, _| or_none(&job["spec"]["timeZone"])),
    Column::text(
        "Suspend",
        |job, _| if job["spec"]["suspend"] == true { "True".into() } else { "False".into() },
    ),
    Column::number("Active", |job, _| json!(count(&job["status"]["active"]))),
    Column::text("Last Schedule", |job, now| {
        let last = &job["status"]["lastScheduleTime"];
        if last.is_string() { since(last, now).into() } else { "<none>".into() }
    }),
    AGE,
    Column::text("Containers", |job, _| containers(&job["spec"]["jobTemplate"], "name")).wide(),
    Column::text("Images", |job, _| containers(&job["spec"]["jobTemplate"], "image")).wide(),
    Column::text("Selector", |_, _| "<none>".into()).wide(),
];

static BUDGETS: &[Column] = &[
    NAME,
    Column::text("Min Available", |budget, _| bound(&budget["spec"]["minAvailable"])),
    Column::text("Max Unavailable", |budget, _| bound(&budget["spec"]["maxUnavailable"])),
    Column::number("Allowed Disruptions", |budget, _| number(&budget["status"]["disruptionsAllowed"])),
    AGE,
];

static INGRESSES: &[Column] = &[
    NAME,
    Column::text("Class", |ingress, _| or_none(&ingress["spec"]["ingressClassName"])),
    Column::text("Hosts", |ingress, _| {
        let rules = ingress["spec"]["rules"].as_array().into_iter().flatten();
        joined(rules.filter_map(|rule| Some(rule["host"].as_str()?.to_owned())), "*")
    }),
    Column::text("Address", |ingress, _| {
        let points = ingress["status"]["loadBalancer"]["ingress"].as_array().into_iter().flatten();
        joined(points.filter_map(|one| Some(one["ip"].as_str().or(one["hostname"].as_str())?.to_owned())), "")
    }),
    Column::text(
        "Ports",
        |ingress, _| {
            if ingress["spec"]["tls"].is_array() { "80, 443".into() } else { "80".into() }
        },
    ),
    AGE,
];

static INGRESS_CLASSES: &[Column] = &[
    NAME,
    Column::text("Controller", |class, _| class["spec"]["controller"].clone()),
    Column::text("Parameters", |_, _| "<none>".into()),
    AGE,
];

static POLICIES: &[Column] = &[
    NAME,
    Column::text("Pod-Selector", |policy, _| selector(&policy["spec"]["podSelector"]["matchLabels"])),
    AGE,
];

static SLICES: &[Column] = &[
    NAME,
    Column::text("AddressType", |slice, _| slice["addressType"].clone()),
    Column::text("Ports", |slice, _| {
        let ports = slice["ports"].as_array().into_iter().flatten();
        joined(ports.map(|port| port["port"].to_string()), "<unset>")
    }),
    Column::text("Endpoints", |slice, _| {
        let points = slice["endpoints"].as_array().into_iter().flatten();
        let addresses = points.filter_map(|point| Some(point["addresses"][0].as_str()?.to_owned()));
        let addresses: Vec<String> = addresses.collect();
        let more = addresses.len().saturating_sub(3);
        let first = addresses.into_iter().take(3).collect::<Vec<_>>().join(",");
        match (first.as_str(), more) {
            ("", _) => "<unset>".into(),
            (_, 0) => first.into(),
            (_, more) => format!("{first} + {more} more...").into(),
        }
    }),
    AGE,
];

static LEASES: &[Column] =
    &[NAME, Column::text("Holder", |lease, _| or(&lease["spec"]["holderIdentity"], "")), AGE];

static STORAGE_CLASSES: &[Column] = &[
    NAME,
    Column::text("Provisioner", |class, _| class["provisioner"].clone()),
    Column::text("ReclaimPolicy", |class, _| or(&class["reclaimPolicy"], "Delete")),
    Column::text("VolumeBindingMode", |class, _| or(&class["volumeBindingMode"], "Immediate")),
    Column {
        kind: "boolean",
        ..Column::text("AllowVolumeExpansion", |class, _| json!(class["allowVolumeExpansion"] == true))
    },
    AGE,
];

static CERTIFICATES: &[Column] = &[
    NAME,
    Column::text("Ready", |object, _| condition(object, "Ready", "status")),
    Column::text("Secret", |object, _| object["spec"]["secretName"].clone()),
    Column::text("Issuer", |object, _| object["spec"]["issuerRef"]["name"].clone()).wide(),
    Column::text("Status", |object, _| condition(object, "Ready", "message")).wide(),
    AGE,
];

static EXTERNAL_SECRETS: &[Column] = &[
    NAME,
    Column::text("StoreType", |object, _| or(&object["spec"]["secretStoreRef"]["kind"], "SecretStore")),
    Column::text("Store", |object, _| object["spec"]["secretStoreRef"]["name"].clone()),
    Column::text("Refresh Interval", |object, _| object["spec"]["refreshInterval"].clone()),
    Column::text("Status", |object, _| condition(object, "Ready", "reason")),
    Column::text("Ready", |object, _| condition(object, "Ready", "status")),
];

static POD_METRICS: &[Column] = &[
    NAME,
    Column::text("Cpu", |metrics, _| metrics["containers"][0]["usage"]["cpu"].clone()),
    Column::text("Memory", |metrics, _| metrics["containers"][0]["usage"]["memory"].clone()),
    Column::text("Window", |metrics, _| metrics["window"].clone()),
];

static NODE_METRICS: &[Column] = &[
    NAME,
    Column::text("Cpu", |metrics, _| metrics["usage"]["cpu"].clone()),
    Column::text("Memory", |metrics, _| metrics["usage"]["memory"].clone()),
    Column::text("Window", |metrics, _| metrics["window"].clone()),
];

fn plain(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn number(value: &Value) -> Value {
    json!(value.as_i64().unwrap_or(0))
}

fn ready_of_wanted(set: &Value) -> Value {
    let wanted = set["spec"]["replicas"].as_u64().unwrap_or(1);
    format!("{}/{wanted}", number(&set["status"]["readyReplicas"])).into()
}

fn containers(object: &Value, field: &str) -> Value {
    let all = object["spec"]["template"]["spec"]["containers"].as_array().into_iter().flatten();
    joined(all.map(|container| plain(&container[field]).to_owned()), "")
}

fn condition(object: &Value, kind: &str, field: &str) -> Value {
    let mut conditions = object["status"]["conditions"].as_array().into_iter().flatten();
    conditions.find(|condition| condition["type"] == kind).map_or(Value::Null, |found| found[field].clone())
}

fn bound(value: &Value) -> Value {
    match value {
        Value::Null => "N/A".into(),
        Value::String(text) => text.clone().into(),
        other => other.to_string().into(),
    }
}

fn job_status(job: &Value) -> Value {
    let is = |kind: &str| condition(job, kind, "status") == "True";
    if is("Complete") {
        "Complete".into()
    } else if is("Failed") {
        "Failed".into()
    } else if is("Suspended") {
        "Suspended".into()
    } else {
        "Running".into()
    }
}

/// `cpu: 62%/70%`, with `<unknown>` where a metric is missing.
fn hpa_targets(hpa: &Value) -> Value {
    let current = hpa["status"]["currentMetrics"].as_array();
    let words = hpa["spec"]["metrics"].as_array().into_iter().flatten().map(|metric| {
        let kind = plain(&metric["type"]);
        let part = &metric[kind.to_lowercase()];
        let name = part["name"].as_str().or(part["metric"]["name"].as_str()).unwrap_or_default();
        let seen = current.into_iter().flatten().map(|one| &one[kind.to_lowercase()]);
        let seen = seen
            .into_iter()
            .find(|one| one["name"] == part["name"] && one["metric"]["name"] == part["metric"]["name"]);
        let (target, now) = (&part["target"], seen.map(|one| &one["current"]));
        if let Some(wanted) = target["averageUtilization"].as_u64() {
            let used = now.and_then(|now| now["averageUtilization"].as_u64());
            let used = used.map_or_else(|| "<unknown>".to_owned(), |used| format!("{used}%"));
            format!("{name}: {used}/{wanted}%")
        } else {
            let wanted = target["averageValue"].as_str().or(target["value"].as_str()).unwrap_or_default();
            let used = now.and_then(|now| now["averageValue"].as_str().or(now["value"].as_str()));
            format!("{name}: {}/{wanted}", used.unwrap_or("<unknown>"))
        }
    });
    let all: Vec<String> = words.collect();
    if all.is_empty() { "<none>".into() } else { all.join(", ").into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn autoscaler_targets_name_what_is_unknown() {
        let hpa = json!({"spec": {"metrics": [
            {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}}},
            {"type": "Pods", "pods": {"metric": {"name": "rps"}, "target": {"type": "AverageValue", "averageValue": "40"}}},
        ]}, "status": {"currentMetrics": [
            {"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": 62}}}]}});
        assert_eq!(hpa_targets(&hpa), "cpu: 62%/70%, rps: <unknown>/40");
        assert_eq!(ready_of_wanted(&json!({"spec": {"replicas": 4}, "status": {"readyReplicas": 3}})), "3/4");
    }
}
