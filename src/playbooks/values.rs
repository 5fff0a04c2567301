//! What placeholders stand for: the anomaly's bindings first, then what reads found, then settings, then
//! what the Snapshot shows.

use std::collections::BTreeMap;

use crate::domain::{Deployment, IntOrPercent, Key, Kind, ReplicaSet, Strategy, aws_region, text};

use super::placeholders::{LABEL, is_known};
use super::view::View;

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
    next_noisy(view, &mut values);
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
    if let Some((host, _)) = view.facts.anomaly.subject.host() {
        put("host", Some(host.to_owned()));
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
    put("wrong_port", view.wrong_port().map(|called| called.says()));
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

/// Of several noisy alerts, the one to turn to: what was tuned flaps no more, and stays in the history for hours.
fn next_noisy(view: &View<'_>, values: &mut BTreeMap<String, String>) {
    let Some(noisy) = values.get("noisy_alerts") else { return };
    let words = || noisy.split(", ");
    let Some(next) = words().find(|alert| !view.is_tuned(alert)).or_else(|| words().next()) else { return };
    values.insert("noisy_alert".into(), next.to_owned());
}

/// What follows from other values.
fn derive(values: &mut BTreeMap<String, String>) {
    if let Some(image) = values.get("image").cloned() {
        values.entry("registry".into()).or_insert_with(|| registry(&image).to_owned());
        values.entry("repository".into()).or_insert_with(|| repository(&image).to_owned());
    }
    if let (Some(secret), Some(seen)) = (values.get("secret"), values.get("external_secrets")) {
        let filling = seen.split(", ").filter_map(|row| row.split_once('→'));
        let filling =
            filling.into_iter().find(|(_, target)| target == secret).map(|(name, _)| name.to_owned());
        if let Some(name) = filling {
            values.entry("external_secret".into()).or_insert(name);
        }
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
