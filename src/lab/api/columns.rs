//! The printed columns of the core kinds, as the real API server's printers show them.
//! It reads objects as JSON and knows nothing of tables or requests.
use jiff::Timestamp;
use serde_json::{Value, json};

use super::pod_words;
use super::table::{Column, since};
use super::workload_columns as workloads;
use crate::lab::store::Resource;

/// The columns of a kind; unknown kinds show a name and a creation time.
pub fn of(resource: &Resource) -> &'static [Column] {
    match resource.plural {
        "pods" => PODS,
        "services" => SERVICES,
        "nodes" => NODES,
        "namespaces" => NAMESPACES,
        "configmaps" => CONFIGMAPS,
        "secrets" => SECRETS,
        "serviceaccounts" => SERVICE_ACCOUNTS,
        "events" => EVENTS,
        "endpoints" => ENDPOINTS,
        "persistentvolumeclaims" => CLAIMS,
        "persistentvolumes" => VOLUMES,
        "resourcequotas" => QUOTAS,
        plural => workloads::of(plural).unwrap_or(PLAIN),
    }
}

pub(super) const NAME: Column = Column::text("Name", |object, _| object["metadata"]["name"].clone());
pub(super) const AGE: Column =
    Column::text("Age", |object, now| since(&object["metadata"]["creationTimestamp"], now).into());

static PLAIN: &[Column] =
    &[NAME, Column::text("Created At", |object, _| object["metadata"]["creationTimestamp"].clone())];

static PODS: &[Column] = &[
    NAME,
    Column::text("Ready", |pod, _| pod_words::ready(pod).into()),
    Column::text("Status", |pod, _| pod_words::status(pod).into()),
    Column::text("Restarts", |pod, now| pod_words::restarts(pod, now).into()),
    AGE,
    Column::text("IP", |pod, _| or_none(&pod["status"]["podIP"])).wide(),
    Column::text("Node", |pod, _| or_none(&pod["spec"]["nodeName"])).wide(),
    Column::text("Nominated Node", |pod, _| or_none(&pod["status"]["nominatedNodeName"])).wide(),
    Column::text("Readiness Gates", |_, _| "<none>".into()).wide(),
];

static SERVICES: &[Column] = &[
    NAME,
    Column::text("Type", |service, _| or(&service["spec"]["type"], "ClusterIP")),
    Column::text("Cluster-IP", |service, _| or_none(&service["spec"]["clusterIP"])),
    Column::text("External-IP", |service, _| external_ip(service)),
    Column::text("Port(s)", |service, _| service_ports(service)),
    AGE,
    Column::text("Selector", |service, _| selector(&service["spec"]["selector"])).wide(),
];

static NODES: &[Column] = &[
    NAME,
    Column::text("Status", |node, _| node_status(node)),
    Column::text("Roles", |node, _| node_roles(node)),
    AGE,
    Column::text("Version", |node, _| node["status"]["nodeInfo"]["kubeletVersion"].clone()),
    Column::text("Internal-IP", |node, _| node_address(node, "InternalIP")).wide(),
    Column::text("External-IP", |node, _| node_address(node, "ExternalIP")).wide(),
    Column::text("OS-Image", |node, _| or(&node["status"]["nodeInfo"]["osImage"], "<unknown>")).wide(),
    Column::text("Kernel-Version", |node, _| or(&node["status"]["nodeInfo"]["kernelVersion"], "<unknown>"))
        .wide(),
    Column::text("Container-Runtime", |node, _| {
        or(&node["status"]["nodeInfo"]["containerRuntimeVersion"], "<unknown>")
    })
    .wide(),
];

static NAMESPACES: &[Column] =
    &[NAME, Column::text("Status", |namespace, _| or(&namespace["status"]["phase"], "Active")), AGE];

static CONFIGMAPS: &[Column] =
    &[NAME, Column::number("Data", |map, _| json!(count(&map["data"]) + count(&map["binaryData"]))), AGE];

static SECRETS: &[Column] = &[
    NAME,
    Column::text("Type", |secret, _| or(&secret["type"], "Opaque")),
    Column::number("Data", |secret, _| json!(count(&secret["data"]))),
    AGE,
];

static SERVICE_ACCOUNTS: &[Column] =
    &[NAME, Column::number("Secrets", |account, _| json!(count(&account["secrets"]))), AGE];

static EVENTS: &[Column] = &[
    Column::text("Last Seen", |event, now| since(last_seen(event), now).into()),
    Column::text("Type", |event, _| event["type"].clone()),
    Column::text("Reason", |event, _| event["reason"].clone()),
    Column::text("Object", |event, _| {
        let kind = event["involvedObject"]["kind"].as_str().unwrap_or_default().to_lowercase();
        format!("{kind}/{}", event["involvedObject"]["name"].as_str().unwrap_or_default()).into()
    }),
    Column::text("Subobject", |event, _| event["involvedObject"]["fieldPath"].clone()).wide(),
    Column::text("Source", |event, _| source(event)).wide(),
    Column::text("Message", |event, _| trimmed(&event["message"])),
    Column::text("First Seen", |event, now| {
        let first =
            if event["firstTimestamp"].is_string() { &event["firstTimestamp"] } else { &event["eventTime"] };
        since(first, now).into()
    })
    .wide(),
    Column::number("Count", |event, _| json!(event["count"].as_i64().unwrap_or(1))).wide(),
    Column { name: "Name", kind: "string", wide: true, cell: |event, _| event["metadata"]["name"].clone() },
];

static ENDPOINTS: &[Column] =
    &[NAME, Column::text("Endpoints", |endpoints, _| endpoint_list(endpoints)), AGE];

static CLAIMS: &[Column] = &[
    NAME,
    Column::text("Status", |claim, _| {
        if claim["metadata"]["deletionTimestamp"].is_string() {
            "Terminating".into()
        } else {
            claim["status"]["phase"].clone()
        }
    }),
    Column::text("Volume", |claim, _| claim["spec"]["volumeName"].clone()),
    Column::text("Capacity", |claim, _| claim["status"]["capacity"]["storage"].clone()),
    Column::text("Access Modes", |claim, _| access_modes(&claim["status"]["accessModes"])),
    Column::text("StorageClass", |claim, _| claim["spec"]["storageClassName"].clone()),
    Column::text("VolumeAttributesClass", |_, _| "<unset>".into()),
    AGE,
    Column::text("VolumeMode", |claim, _| or(&claim["spec"]["volumeMode"], "Filesystem")).wide(),
];

static VOLUMES: &[Column] = &[
    NAME,
    Column::text("Capacity", |volume, _| volume["spec"]["capacity"]["storage"].clone()),
    Column::text("Access Modes", |volume, _| access_modes(&volume["spec"]["accessModes"])),
    Column::text("Reclaim Policy", |volume, _| {
        or(&volume["spec"]["persistentVolumeReclaimPolicy"], "Retain")
    }),
    Column::text("Status", |volume, _| volume["status"]["phase"].clone()),
    Column::text("Claim", |volume, _| {
        let claim = &volume["spec"]["claimRef"];
        match (claim["namespace"].as_str(), claim["name"].as_str()) {
            (Some(namespace), Some(name)) => format!("{namespace}/{name}").into(),
            _ => "".into(),
        }
    }),
    Column::text("StorageClass", |volume, _| volume["spec"]["storageClassName"].clone()),
    Column::text("VolumeAttributesClass", |_, _| "<unset>".into()),
    Column::text("Reason", |volume, _| or(&volume["status"]["reason"], "")),
    AGE,
    Column::text("VolumeMode", |volume, _| or(&volume["spec"]["volumeMode"], "Filesystem")).wide(),
];

static QUOTAS: &[Column] = &[
    NAME,
    Column::text("Request", |quota, _| quota_part(quota, false)),
    Column::text("Limit", |quota, _| quota_part(quota, true)),
    AGE,
];

pub(super) fn or(value: &Value, otherwise: &str) -> Value {
    if value.as_str().is_some_and(|text| !text.is_empty()) { value.clone() } else { otherwise.into() }
}

pub(super) fn or_none(value: &Value) -> Value {
    or(value, "<none>")
}

pub(super) fn count(value: &Value) -> usize {
    value.as_object().map_or(0, serde_json::Map::len) + value.as_array().map_or(0, Vec::len)
}

/// `app=web,tier=front`, or `<none>`.
pub(super) fn selector(labels: &Value) -> Value {
    let pairs = labels.as_object().into_iter().flatten();
    joined(pairs.map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default())), "<none>")
}

pub(super) fn joined(parts: impl Iterator<Item = String>, otherwise: &str) -> Value {
    let all = parts.collect::<Vec<_>>().join(",");
    if all.is_empty() { otherwise.into() } else { all.into() }
}

fn trimmed(text: &Value) -> Value {
    text.as_str().unwrap_or_default().trim().into()
}

fn external_ip(service: &Value) -> Value {
    let kind = service["spec"]["type"].as_str().unwrap_or("ClusterIP");
    let points = service["status"]["loadBalancer"]["ingress"].as_array().into_iter().flatten();
    let address = |point: &Value| Some(point["ip"].as_str().or(point["hostname"].as_str())?.to_owned());
    match kind {
        "LoadBalancer" => joined(points.filter_map(address), "<pending>"),
        "ExternalName" => or_none(&service["spec"]["externalName"]),
        _ => "<none>".into(),
    }
}

fn service_ports(service: &Value) -> Value {
    let ports = service["spec"]["ports"].as_array().into_iter().flatten();
    let words = ports.map(|port| {
        let protocol = port["protocol"].as_str().unwrap_or("TCP");
        match port["nodePort"].as_u64() {
            Some(node) => format!("{}:{node}/{protocol}", port["port"]),
            None => format!("{}/{protocol}", port["port"]),
        }
    });
    joined(words, "<none>")
}

fn node_status(node: &Value) -> Value {
    let conditions = node["status"]["conditions"].as_array().into_iter().flatten();
    let mut ready =
        conditions.filter(|condition| condition["type"] == "Ready").map(|condition| &condition["status"]);
    let mut words = match ready.next_back() {
        Some(status) if status == "True" => "Ready".to_owned(),
        Some(_) => "NotReady".to_owned(),
        None => "Unknown".to_owned(),
    };
    if node["spec"]["unschedulable"] == true {
        words.push_str(",SchedulingDisabled");
    }
    words.into()
}

fn node_roles(node: &Value) -> Value {
    let labels = node["metadata"]["labels"].as_object().into_iter().flatten();
    let roles = labels.filter_map(|(key, _)| Some(key.strip_prefix("node-role.kubernetes.io/")?.to_owned()));
    joined(roles, "<none>")
}

fn node_address(node: &Value, kind: &str) -> Value {
    let mut addresses = node["status"]["addresses"].as_array().into_iter().flatten();
    addresses
        .find(|address| address["type"] == kind)
        .map_or_else(|| "<none>".into(), |found| found["address"].clone())
}

fn last_seen(event: &Value) -> &Value {
    [&event["series"]["lastObservedTime"], &event["lastTimestamp"], &event["eventTime"]]
        .into_iter()
        .find(|at| at.is_string())
        .unwrap_or(&Value::Null)
}

fn source(event: &Value) -> Value {
    let component = event["source"]["component"].as_str().or(event["reportingComponent"].as_str());
    let parts = [component, event["source"]["host"].as_str()].into_iter().flatten();
    parts.filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ").into()
}

fn endpoint_list(endpoints: &Value) -> Value {
    let mut all = Vec::new();
    for subset in endpoints["subsets"].as_array().into_iter().flatten() {
        for address in subset["addresses"].as_array().into_iter().flatten() {
            let ip = address["ip"].as_str().unwrap_or_default();
            let ports = subset["ports"].as_array().into_iter().flatten();
            all.extend(ports.map(|port| format!("{ip}:{}", port["port"])));
        }
    }
    let more = all.len().saturating_sub(3);
    let first = all.into_iter().take(3).collect::<Vec<_>>().join(",");
    match (first.is_empty(), more) {
        (true, _) => "<none>".into(),
        (false, 0) => first.into(),
        (false, more) => format!("{first} + {more} more...").into(),
    }
}

fn access_modes(modes: &Value) -> Value {
    let short = modes.as_array().into_iter().flatten().map(|mode| match mode.as_str() {
        Some("ReadWriteOnce") => "RWO".to_owned(),
        Some("ReadOnlyMany") => "ROX".to_owned(),
        Some("ReadWriteMany") => "RWX".to_owned(),
        Some("ReadWriteOncePod") => "RWOP".to_owned(),
        other => other.unwrap_or_default().to_owned(),
    });
    joined(short, "")
}

fn quota_part(quota: &Value, limits: bool) -> Value {
    let hard = quota["status"]["hard"].as_object().into_iter().flatten();
    let words = hard.filter(|(key, _)| key.starts_with("limits") == limits).map(|(key, hard)| {
        let used = quota["status"]["used"][key].as_str().unwrap_or("0");
        format!("{key}: {used}/{}", hard.as_str().unwrap_or_default())
    });
    words.collect::<Vec<_>>().join(", ").into()
}

/// Kept here so that every table measures ages alike.
pub(super) fn span(from: &Value, to: &Value, now: Timestamp) -> String {
    let parse = |value: &Value| value.as_str().and_then(|text| text.parse::<Timestamp>().ok());
    let end = parse(to).unwrap_or(now);
    parse(from).map_or_else(String::new, |start| super::table::human(end.as_second() - start.as_second()))
}
