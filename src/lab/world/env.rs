//! A container's environment as it is at its start: literals, ConfigMaps, Secrets; or what is missing.
//! It knows references and their errors in the kubelet's words, not what the values mean.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::cluster::Cluster;
use super::objects::{Config, Container, EnvSource, EnvVar, KeyRef, Map, Pod, Reference};
use super::shelf::Key;

/// Every variable, or the message of a `CreateContainerConfigError`.
pub fn resolve(cluster: &Cluster, pod: &Pod, container: &Container) -> Result<Map, String> {
    let namespace = &pod.metadata.namespace;
    let mut env = Map::new();
    for from in &container.env_from {
        if let Some(reference) = &from.config_map_ref
            && let Some(config) = whole(cluster, namespace, reference, "configmap")?
        {
            env.extend(
                config.data.iter().map(|(key, value)| (format!("{}{key}", from.prefix), value.clone())),
            );
        }
        if let Some(reference) = &from.secret_ref
            && let Some(secret) = whole(cluster, namespace, reference, "secret")?
        {
            env.extend(
                secret.data.iter().map(|(key, value)| (format!("{}{key}", from.prefix), plain(value))),
            );
        }
    }
    for variable in &container.env {
        if let Some(value) = value(cluster, pod, variable)? {
            let value = expand(&value, &env);
            env.insert(variable.name.clone(), value);
        }
    }
    Ok(env)
}

/// The first ConfigMap or Secret volume that cannot be mounted, as the kubelet says it.
pub fn missing_volume(cluster: &Cluster, pod: &Pod) -> Option<String> {
    let namespace = &pod.metadata.namespace;
    pod.spec.volumes.iter().find_map(|volume| {
        let fail = |what: String| format!("MountVolume.SetUp failed for volume \"{}\" : {what}", volume.name);
        if let Some(reference) = &volume.config_map
            && !reference.optional
            && cluster.config_maps.get(&Key::new(namespace, &reference.name)).is_none()
        {
            return Some(fail(format!("configmap \"{}\" not found", reference.name)));
        }
        let secret = volume.secret.as_ref().filter(|secret| !secret.optional)?;
        let missing = cluster.secrets.get(&Key::new(namespace, &secret.secret_name)).is_none();
        missing.then(|| fail(format!("secret \"{}\" not found", secret.secret_name)))
    })
}

/// The `.dockerconfigjson` documents a pod may pull with.
pub fn pull_credentials(cluster: &Cluster, pod: &Pod) -> Vec<String> {
    let secret = |reference: &Reference| {
        let secret = cluster.secrets.get(&Key::new(&pod.metadata.namespace, &reference.name))?;
        secret.data.get(".dockerconfigjson").map(|document| plain(document))
    };
    pod.spec.image_pull_secrets.iter().filter_map(secret).collect()
}

/// A Secret's value, decoded; empty if it is not text.
pub fn plain(encoded: &str) -> String {
    STANDARD.decode(encoded).ok().and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default()
}

fn value(cluster: &Cluster, pod: &Pod, variable: &EnvVar) -> Result<Option<String>, String> {
    let Some(EnvSource { config_map, secret, field }) = &variable.value_from else {
        return Ok(Some(variable.value.clone()));
    };
    let namespace = &pod.metadata.namespace;
    if let Some(reference) = config_map {
        return key(cluster, namespace, reference, "configmap", "ConfigMap");
    }
    if let Some(reference) = secret {
        return Ok(key(cluster, namespace, reference, "secret", "Secret")?.map(|value| plain(&value)));
    }
    let path = field.as_ref().and_then(|field| field["fieldPath"].as_str()).unwrap_or_default();
    Ok(Some(match path {
        "metadata.name" => pod.metadata.name.clone(),
        "metadata.namespace" => namespace.clone(),
        "spec.nodeName" => pod.spec.node_name.clone(),
        "status.podIP" => pod.status.pod_ip.clone(),
        _ => String::new(),
    }))
}

fn whole(
    cluster: &Cluster,
    namespace: &str,
    reference: &Reference,
    kind: &str,
) -> Result<Option<std::sync::Arc<Config>>, String> {
    let at = Key::new(namespace, &reference.name);
    let found = if kind == "secret" { cluster.secrets.get(&at) } else { cluster.config_maps.get(&at) };
    match found {
        None if !reference.optional => Err(format!("{kind} \"{}\" not found", reference.name)),
        found => Ok(found),
    }
}

fn key(
    cluster: &Cluster,
    namespace: &str,
    reference: &KeyRef,
    kind: &str,
    title: &str,
) -> Result<Option<String>, String> {
    let whole_reference = Reference { name: reference.name.clone(), optional: reference.optional };
    let Some(config) = whole(cluster, namespace, &whole_reference, kind)? else { return Ok(None) };
    match config.data.get(&reference.key) {
        None if !reference.optional => {
            Err(format!("couldn't find key {} in {title} {namespace}/{}", reference.key, reference.name))
        }
        value => Ok(value.cloned()),
    }
}

/// `$(NAME)` of a variable defined before.
fn expand(value: &str, env: &Map) -> String {
    if !value.contains("$(") {
        return value.to_owned();
    }
    env.iter().fold(value.to_owned(), |value, (name, known)| value.replace(&format!("$({name})"), known))
}
