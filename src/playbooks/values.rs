//! What placeholders stand for: the anomaly's bindings first, then what reads found, then settings, then
//! what the Snapshot shows.

use std::collections::BTreeMap;

use crate::domain::{Deployment, IntOrPercent, Key, Kind, ReplicaSet, Strategy, Subject, aws_region, text};

use super::view::View;

/// Placeholders that settings fill: the name, what it is, and the line of the settings file that gives it.
pub const SETTINGS: &[(&str, &str, &str)] = &[
    (
        "probe_url",
        "the address that shows from outside whether the application is ready",
        r#"probe_url = "https://…/health/ready""#,
    ),
    ("eks_cluster", "this cluster's name at EKS", r#"[aws] eks_cluster = "…""#),
    ("access_logs", "the bucket of the load balancer's access logs", r#"[aws] access_logs = "…""#),
    ("trail", "the log group that CloudTrail writes to", r#"[aws] trail = "…""#),
    ("ip_set", "the WAF IP set that blocks", r#"[aws] ip_set = "name/id/REGIONAL""#),
    ("signing_secret", "the secret that signs tokens", r#"[aws] signing_secret = "…""#),
    ("db_cluster", "the RDS cluster", r#"[aws] db_cluster = "…""#),
    ("sheddable", "workloads that may be scaled to 0 to make room", r#"sheddable = ["namespace/name"]"#),
];

/// Every other placeholder, and what it stands for. Rules bind most of them; what a rule leaves out is found
/// in the Snapshot where it can be.
pub const BINDINGS: &[(&str, &str)] = &[
    ("namespace", "the namespace of the subject"),
    ("workload", "the workload, as kind/name"),
    ("workload_kind", "the workload's kind"),
    ("workload_name", "the workload's name"),
    ("deployment", "the Deployment's name"),
    ("selector", "the label selector of its pods"),
    ("service", "the Service in front of it"),
    ("serves", "`nobody`, when no Service is in front of it and others have one"),
    ("pod", "the pod that shows it best"),
    ("container", "the container that fails"),
    ("image", "the image that fails, as the pod names it"),
    ("repository", "that image without tag and digest"),
    ("registry", "the registry's host in that image"),
    (
        "registry_token_env",
        "the environment variable that holds the registry's token: GITHUB_TOKEN, REGISTRY_TOKEN",
    ),
    ("node_group", "the cloud's group of the node"),
    ("node", "the node's name"),
    ("node_ip", "the node's internal address"),
    ("runtime", "the node's container runtime, containerd or docker"),
    ("hog", "the pod that fills the node's disk"),
    ("hog_namespace", "its namespace"),
    ("hog_container", "its first container"),
    ("root_source", "the device that / is mounted from"),
    ("large_logs", "large files under /var/log, separated by spaces"),
    ("journal_size", "the size of the system journal"),
    ("claim", "the PersistentVolumeClaim that is full"),
    ("claim_size", "its size"),
    ("claim_suggestion", "half as much again"),
    ("instance", "the cloud's id of the node's machine"),
    ("revision", "the newest revision's number"),
    ("bad_revision", "the failing revision's number"),
    ("good_revision", "the last healthy revision's number"),
    ("good_revision_why", "why that revision is believed to be healthy"),
    ("good_image", "the container's image in the last healthy revision"),
    ("rollout", "the template hash of the failing revision"),
    ("replicas_recorded", "how many replicas the workload should have"),
    ("replicas_more", "half as many replicas again"),
    ("hpa", "the HorizontalPodAutoscaler's name"),
    ("hpa_min", "its minimum"),
    ("hpa_max", "its maximum"),
    ("hpa_max_suggestion", "half as much again as its maximum"),
    ("memory_limit", "the container's memory limit"),
    ("memory_request", "the container's memory request"),
    ("memory_suggestion", "a memory limit that would do and fits on a node"),
    ("crash_period", "how long the last run took"),
    ("exit_code", "the exit code of the last run"),
    ("because", "the cause in a word or two"),
    ("config_map", "the ConfigMap to look at"),
    ("config_maps", "all ConfigMaps of the template"),
    ("secret", "the Secret to look at"),
    ("secrets", "all Secrets of the template"),
    ("external_secret", "the ExternalSecret that fills that Secret"),
    ("pull_secret", "the pull secret of the template"),
    ("pull_secret_or_new", "that one, or a name for a new one"),
    ("replica_set", "the ReplicaSet of the newest revision"),
    ("missing_kind", "the kind of the missing object"),
    ("missing_object", "the name of the missing object"),
    ("missing_key", "the missing key"),
    ("max_surge", "the strategy's maxSurge"),
    ("max_unavailable", "the strategy's maxUnavailable"),
    ("progress_deadline", "the progress deadline in seconds"),
    ("progress_deadline_more", "twice the progress deadline"),
    ("shed_workload", "the first workload that may be shed and runs"),
    ("host", "the public host name"),
    ("port", "its port"),
    ("certificate", "the cert-manager Certificate's name"),
    ("worst_pod", "the pod that causes most of it"),
    ("webhook", "the admission webhook that refuses"),
    ("issuer", "the issuer of the certificate"),
    ("ingress", "the Ingress in front"),
    ("balancer", "the address or name of its load balancer"),
    ("tls_index", "the place of the certificate among the Ingress's own, counted from 0"),
    ("tls_secret", "the Secret that the Ingress takes the certificate from"),
    ("retry_after", "when the issuer lets us try again"),
    ("solver_index", "the place of the issuer's solver, counted from 0"),
    ("solver_field", "the field of the solver that names the ingress class"),
    ("solver_wrong", "the ingress class that the issuer's solver uses"),
    ("solver_right", "the ingress class that serves the host"),
    ("selector_key", "the label of the Service's selector that fits no pod, as JSON Patch writes it"),
    ("selector_wrong", "what the selector asks for"),
    ("selector_right", "what the pods are labelled"),
    ("port_index", "the place of the Service's port, counted from 0"),
    ("port_wrong", "the port the Service sends to"),
    ("port_right", "the port the containers listen on"),
    ("ready_path", "a path at which the pods answer well"),
    ("wrong_path", "the path of the readiness probe"),
    ("controller", "the ingress controller's workload"),
    ("controller_namespace", "its namespace"),
    ("controller_kind", "its kind, Deployment or DaemonSet"),
    ("controller_replicas", "how many replicas it should have"),
    ("controller_wanted", "how many it is set to have"),
    ("issuer_kind", "the kind of the issuer, ClusterIssuer or Issuer"),
    ("image_digest", "the digest of the image, as the registry says"),
    ("dns_names", "the names in the certificate"),
    ("unready_pods", "how many pods are not Ready"),
    ("pods_on_node", "how many pods are on the node"),
    ("max_connections", "the server's max_connections"),
    ("connections_used", "connections in use"),
    ("connections_usable", "connections that ordinary roles can use"),
    ("prometheus_namespace", "the namespace of Prometheus"),
    ("prometheus_pod", "the pod of Prometheus that is unwell"),
    ("prometheus_pod_uid", "that pod's uid"),
    ("prometheus_selector", "the label selector of its pods"),
    ("prometheus_kind", "what Prometheus runs as: Deployment, StatefulSet or Prometheus"),
    ("prometheus_workload", "the name of that workload"),
    ("prometheus_claim", "the volume claim of Prometheus"),
    ("prometheus_ready", "whether Prometheus is ready, yes or no"),
    ("prometheus_replicas", "how many replicas it should have"),
    ("prometheus_document", "the object that holds its configuration"),
    ("prometheus_memory", "half as much memory again as its limit"),
    ("earlier_config", "the configuration one could go back to"),
    ("volume_size", "half as much again as the volume has"),
    ("volume_capacity", "what the volume has"),
    ("volume_used", "how full the volume is, in percent"),
    ("retention", "for how long samples are kept"),
    ("retention_size", "a size that fits the volume, 80 % of it"),
    ("noisy_alert", "the alert that makes most of the noise"),
    ("noisy_severity", "that alert's severity"),
    ("noisy_for", "a `for` that would outlast its flapping"),
    ("rule_expr", "the rule's expression"),
    ("rule_for", "the rule's `for`"),
    ("rule_group", "the rule's group"),
    ("rule_severity", "the rule's severity"),
    ("rule_source", "the object the rule was written in"),
    ("group_by", "labels that would hold the alerts of one cause together"),
    ("inhibit_source", "the matcher of the cause"),
    ("inhibit_target", "the matcher of its consequences"),
    ("inhibit_equal", "the label that both have"),
    ("alert_receiver", "the receiver that alerts go to now"),
    ("silence", "the id of a silence in force"),
    ("notifications_1h", "notifications in the last hour"),
    ("value", "the number that a trigger of the team's own found"),
    ("idle_in_transaction", "sessions that are idle in a transaction"),
    ("stuck_sessions", "sessions that have been idle in a transaction for over five minutes"),
    ("idle_age", "how long a session may idle in a transaction before it is ended"),
    ("picked_sessions", "how many sessions such a step would mean"),
    ("lock_root", "the process id at the root of the longest lock chain"),
    ("lock_root_state", "active or idle: an idle one cannot be cancelled"),
    ("lock_waiters", "how many sessions wait behind it"),
    ("top_query", "the id of the statement that costs most"),
    ("top_query_share", "its share of the database's time in per cent"),
    ("on_cpu", "sessions on a CPU of the database, or wanting one"),
    ("cpu_load", "sessions on a CPU for each CPU, in per cent"),
    ("database_load", "seconds of work per second that statements cost"),
    ("index_table", "the table that lacks an index"),
    ("index_columns", "the columns of that index"),
    ("index_table_bytes", "the size of that table in bytes"),
    ("invalid_index", "an index that was never finished"),
    ("pool_budget", "the connections that all pools may take at most"),
    ("pool_size_suggestion", "a pool size per process that fits the database"),
    ("pool_overflow_suggestion", "the overflow that goes with it"),
    ("replicas_that_fit", "how many replicas the database has connections for"),
    ("replica_lag_seconds", "how far the replicas are behind"),
    ("attacked_accounts", "accounts with many failed logins, separated by commas"),
    ("breached_accounts", "those of them that got in afterwards"),
    ("region", "the AWS region of the nodes"),
    ("instance_state", "the state of the node's machine at EC2"),
    ("auto_scaling_group", "the Auto Scaling group of the node's machine"),
    ("volume", "the root volume of the node's machine"),
    ("volume_gib", "its size in GiB"),
    ("volume_gib_more", "half as much again"),
    ("db_instance", "the writer of the RDS cluster"),
    ("db_class", "its instance class"),
    ("db_parameters", "its parameter group"),
    ("db_cpu", "its CPU in percent"),
    ("db_load", "how many sessions are at work on it"),
    ("capacity_min", "the least ACUs of the cluster"),
    ("capacity_max", "the most ACUs of the cluster"),
    ("capacity_more", "twice as many"),
    ("load_balancer", "the ARN of the load balancer"),
    ("load_balancer_dns", "its DNS name"),
    ("load_balancer_zone", "the hosted zone its aliases name"),
    ("security_group", "its security group"),
    ("closed_port", "the port that no security group opens"),
    ("network_acl", "the network ACL of its first subnet"),
    ("target_group", "its target group"),
    ("targets_healthy", "how many targets are healthy"),
    ("targets_all", "how many targets there are"),
    ("hosted_zone", "the hosted zone of the name"),
    ("record_name", "the name of the record"),
    ("record_type", "its type"),
    ("record_values", "its values"),
    ("record_ttl", "its time to live in seconds"),
    ("access_log_files", "how many access logs the window has"),
    ("attacking_address", "the address that was refused most often"),
    ("attacking_addresses", "the addresses that were refused often, as networks"),
    ("login_failures", "how many logins failed"),
    ("blocked_addresses", "the networks that are blocked already"),
    ("account_denials", "how many calls to AWS were refused"),
    ("secret_previous", "the version of the secret before the current one"),
    ("errors_by_path_promql", "the share of 5xx by path, in PromQL"),
    ("errors_by_pod_promql", "the share of 5xx by pod, in PromQL"),
    ("latency_by_path_promql", "p95 by path, in PromQL"),
    ("latency_by_pod_promql", "p95 by pod, in PromQL"),
    ("cpu_limit", "the container's CPU limit"),
    ("cpu_suggestion", "twice that"),
    ("cache_memory", "the cache's maxmemory"),
    ("cache_memory_suggestion", "twice that"),
    ("now", "the present moment"),
];

/// Beginning of the placeholders that a team's own trigger fills: labels of a series or an alert, columns of a
/// row, in lower case.
pub(super) const LABEL: &str = "label_";

/// Whether a playbook may use this placeholder, beside the inputs of its step.
pub(super) fn is_known(name: &str) -> bool {
    BINDINGS.iter().any(|(known, _)| *known == name) || SETTINGS.iter().any(|(known, ..)| *known == name)
}

/// The values of all placeholders that have one.
pub(super) fn values(view: &View<'_>) -> BTreeMap<String, String> {
    let facts = &view.facts;
    let mut values = BTreeMap::new();
    from_snapshot(view, &mut values);
    of_case(view, &mut values);
    values.extend(facts.settings.iter().map(|(name, value)| (name.clone(), value.clone())));
    // Steps that were done later know better.
    let mut done: Vec<_> = facts.progress.steps.values().filter(|done| !done.undone).collect();
    done.sort_by_key(|done| done.at);
    for step in done {
        values.extend(step.bindings.clone());
    }
    values.extend(facts.anomaly.bindings.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    // A workload that was scaled to 0 has no such wish; the rule may have seen it after the fact.
    if values.get("replicas_recorded").is_some_and(|replicas| replicas == "0") {
        values.remove("replicas_recorded");
    }
    derive(&mut values);
    values.retain(|_, value| !value.is_empty());
    values
}

fn from_snapshot(view: &View<'_>, values: &mut BTreeMap<String, String>) {
    let mut put = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            values.insert(name.to_owned(), value);
        }
    };
    put("now", Some(view.facts.now.to_string()));
    put("namespace", view.namespace());
    if let Subject::Host(host) = &view.facts.anomaly.subject {
        put("host", Some(host.to_string()));
        if let Some(certificate) = certificate_for(view, host) {
            put("certificate", Some(certificate.name.to_string()));
            put("namespace", Some(certificate.namespace.to_string()));
        }
    }
    let worst = view.worst();
    put("pod", worst.map(|pod| pod.key.name.to_string()));
    let sick = worst.and_then(|pod| {
        pod.containers.iter().find(|container| !container.ready && !container.init).or(pod.containers.first())
    });
    put("container", sick.map(|container| container.name.to_string()));
    put("image", sick.map(|container| container.image.to_string()));
    put("memory_limit", sick.and_then(|container| container.limits.memory_bytes).map(text::quantity));
    put("memory_request", sick.and_then(|container| container.requests.memory_bytes).map(text::quantity));
    let hog = view.hog().and_then(|pod| pod.containers.iter().find(|container| !container.init));
    put("hog_container", hog.map(|container| container.name.to_string()));
    if let Some(node) = view.node {
        put("node", Some(node.key.name.to_string()));
        put("node_ip", node.internal_ip.as_deref().map(ToOwned::to_owned));
        let machine = node.provider_id.as_deref().and_then(|id| id.rsplit('/').next());
        put("instance", machine.map(ToOwned::to_owned));
        let runtime = node.container_runtime.as_deref().and_then(|runtime| runtime.split(':').next());
        put("runtime", runtime.map(ToOwned::to_owned));
    }
    let mut nodes = view.node.into_iter().chain(view.snapshot().nodes.iter());
    put("region", nodes.find_map(|node| aws_region(node.provider_id.as_deref()?)));
    if let Some(deployment) = view.deployment {
        of_deployment(view, deployment, &mut put);
    }
    put("shed_workload", shed_workload(view));
    for (name, promql) in &view.snapshot().traffic.questions {
        put(name, Some(promql.clone()));
    }
}

/// What a team's own trigger saw: every label under its own name, and where it is a placeholder of ours too.
fn of_case(view: &View<'_>, values: &mut BTreeMap<String, String>) {
    let Some(case) = view.snapshot().case(&view.facts.anomaly.id) else { return };
    for (name, value) in case.values() {
        if let Some(known) = name.strip_prefix(LABEL).filter(|known| is_known(known)) {
            values.insert(known.to_owned(), value.clone());
        }
        values.insert(name, value);
    }
    if let Some(object) = &case.object {
        values.insert(format!("{LABEL}name"), object.key.name.to_string());
        values.insert(format!("{LABEL}namespace"), object.key.namespace.to_string());
    }
}

fn of_deployment(view: &View<'_>, deployment: &Deployment, put: &mut impl FnMut(&str, Option<String>)) {
    put("deployment", Some(deployment.key.name.to_string()));
    put("namespace", Some(deployment.key.namespace.to_string()));
    put("workload", Some(format!("deployment/{}", deployment.key.name)));
    put("workload_kind", Some("Deployment".into()));
    put("workload_name", Some(deployment.key.name.to_string()));
    put("selector", Some(deployment.selector.to_string()));
    put("revision", deployment.revision.map(|revision| revision.to_string()));
    put("progress_deadline", Some(deployment.progress_deadline_seconds.to_string()));
    put("progress_deadline_more", Some((deployment.progress_deadline_seconds.max(300) * 2).to_string()));
    if let Strategy::RollingUpdate { max_surge, max_unavailable } = deployment.strategy {
        put("max_surge", Some(plain(max_surge)));
        put("max_unavailable", Some(plain(max_unavailable)));
    }
    let recorded = match (deployment.replicas, view.autoscaler) {
        (0, Some(scaler)) => Some(scaler.min.max(1)),
        // Nobody wrote down how many there were: a person has to say.
        (0, None) => None,
        (replicas, _) => Some(replicas),
    };
    put("replicas_recorded", recorded.map(|replicas| replicas.to_string()));
    put("replicas_more", recorded.map(|replicas| (replicas + replicas.div_ceil(2)).to_string()));
    if let Some(scaler) = view.autoscaler {
        put("hpa", Some(scaler.key.name.to_string()));
        put("hpa_min", Some(scaler.min.to_string()));
        put("hpa_max", Some(scaler.max.to_string()));
        put("hpa_max_suggestion", Some((scaler.max + scaler.max.div_ceil(2)).to_string()));
    }
    put("pull_secret", deployment.template.pull_secrets.first().map(ToString::to_string));
    for (kind, name) in [(Kind::ConfigMap, "config_map"), (Kind::Secret, "secret")] {
        let first = deployment.template.references.iter().find(|reference| reference.object.kind == kind);
        put(name, first.map(|reference| reference.object.key.name.to_string()));
    }
    put("replica_set", view.revisions.first().map(|set| set.key.name.to_string()));
    if let Some((bad, good)) = revisions(&view.revisions) {
        put("bad_revision", bad.revision.map(|revision| revision.to_string()));
        put("good_revision", good.revision.map(|revision| revision.to_string()));
        put("good_image", good.template.containers.first().map(|container| container.image.to_string()));
    }
}

/// The newest revision, and the newest older one that has ready pods. That an older one without pods was
/// healthy is for the rule to say.
pub(super) fn revisions<'a>(sets: &[&'a ReplicaSet]) -> Option<(&'a ReplicaSet, &'a ReplicaSet)> {
    let (newest, older) = sets.split_first()?;
    let good = older.iter().find(|set| set.ready > 0)?;
    Some((newest, good))
}

fn plain(value: IntOrPercent) -> String {
    match value {
        IntOrPercent::Int(count) => count.to_string(),
        IntOrPercent::Percent(percent) => format!("{percent}%"),
    }
}

/// The workloads that may be shed: `namespace/name`, or a name in the anomaly's namespace.
pub(super) fn sheddable(view: &View<'_>) -> Vec<Key> {
    let listed = view.facts.settings.get("sheddable").map(String::as_str).unwrap_or_default();
    let namespace = view.namespace().unwrap_or_default();
    listed
        .split([',', ' '])
        .filter(|word| !word.is_empty())
        .map(|word| match word.split_once('/') {
            Some((namespace, name)) => Key::new(namespace, name),
            None => Key::new(namespace.as_str(), word),
        })
        .collect()
}

fn shed_workload(view: &View<'_>) -> Option<String> {
    let runs = |key: &Key| view.snapshot().deployments.get(key).is_some_and(|found| found.replicas > 0);
    let own = view.deployment.map(|deployment| &deployment.key);
    let found = sheddable(view).into_iter().find(|key| Some(key) != own && runs(key));
    found.filter(|key| Some(&*key.namespace) == view.namespace().as_deref()).map(|key| key.name.to_string())
}

fn certificate_for<'a>(view: &View<'a>, host: &str) -> Option<&'a Key> {
    view.snapshot()
        .certificates
        .iter()
        .filter(|certificate| certificate.dns_names.iter().any(|name| &**name == host))
        .map(|certificate| &certificate.key)
        .min()
}

/// What follows from other values.
fn derive(values: &mut BTreeMap<String, String>) {
    if let Some(image) = values.get("image").cloned() {
        values.entry("registry".into()).or_insert_with(|| registry(&image).to_owned());
        values.entry("repository".into()).or_insert_with(|| repository(&image).to_owned());
    }
    if let Some(secret) = values.get("secret").cloned() {
        // By the convention of the External Secrets operator, unless a read knows better.
        values.entry("external_secret".into()).or_insert(secret);
    }
    let pull_secret = values.get("pull_secret").cloned().unwrap_or_else(|| "regcred".into());
    values.entry("pull_secret_or_new".into()).or_insert(pull_secret);
    let token = match values.get("registry").map(String::as_str) {
        Some("ghcr.io") => "GITHUB_TOKEN",
        _ => "REGISTRY_TOKEN",
    };
    values.entry("registry_token_env".into()).or_insert_with(|| token.into());
    if let Some(pod) = values.get("pod").cloned() {
        values.entry("worst_pod".into()).or_insert(pod);
    }
    if let Some(least) = values.get("hpa_min").cloned() {
        // What always runs has to fit; a maximum below the minimum is refused.
        let number = |text: &String| text.parse::<u32>().unwrap_or_default();
        let fit = values.entry("replicas_that_fit".into()).or_insert_with(|| least.clone());
        if number(fit) < number(&least) {
            *fit = least;
        }
    }
    values.entry("idle_age".into()).or_insert_with(|| "5m".into());
}

/// The registry's host in an image reference; Docker Hub when it names none.
fn registry(image: &str) -> &str {
    match image.split_once('/') {
        Some((host, _)) if host.contains(['.', ':']) || host == "localhost" => host,
        _ => "docker.io",
    }
}

/// An image reference without tag and digest.
pub(super) fn repository(image: &str) -> &str {
    let image = image.split_once('@').map_or(image, |(name, _)| name);
    match image.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => name,
        _ => image,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registries_and_repositories_are_told_apart_from_tags_and_ports() {
        for (image, host, name) in [
            ("nginx", "docker.io", "nginx"),
            ("ghcr.io/org/app:v1", "ghcr.io", "ghcr.io/org/app"),
            ("localhost:5000/app", "localhost:5000", "localhost:5000/app"),
            ("org/app@sha256:abc", "docker.io", "org/app"),
            ("ghcr.io/org/app:v1@sha256:abc", "ghcr.io", "ghcr.io/org/app"),
        ] {
            assert_eq!((registry(image), repository(image)), (host, name));
        }
    }
}
