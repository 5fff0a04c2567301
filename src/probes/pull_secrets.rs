//! Whether a pod has credentials for the registries of its images. Of a pull secret only the registry hosts
//! are looked at, and nothing of it is kept.

use std::collections::BTreeSet;

use base64::Engine;
use serde_json::Value;

use super::answer::Answer;
use super::cluster::Cluster;
use super::object::{items, string};
use super::trouble::{Trouble, TroubleKind};
use crate::domain::{Key, Kind, ObjectRef, Tone, cause};

pub(super) async fn check(cluster: &Cluster, pod: &Key) -> Result<Answer, Trouble> {
    let found = cluster.get(&ObjectRef::new(Kind::Pod, pod.clone())).await?;
    let account = match string(&found, "/spec/serviceAccountName") {
        "" => "default",
        account => account,
    };
    let mut named: BTreeSet<String> = items(&found, "/spec/imagePullSecrets")
        .iter()
        .map(|secret| string(secret, "/name").to_owned())
        .collect();
    let account = ObjectRef::new(Kind::ServiceAccount, Key::new(pod.namespace.clone(), account));
    if let Ok(Some(account)) = cluster.find(&account).await {
        named.extend(
            items(&account, "/imagePullSecrets").iter().map(|secret| string(secret, "/name").to_owned()),
        );
    }
    let images: BTreeSet<&str> = ["/spec/initContainers", "/spec/containers"]
        .iter()
        .flat_map(|list| items(&found, list))
        .map(|container| string(container, "/image"))
        .collect();
    let mut answer = Answer::new();
    let mut known: BTreeSet<String> = BTreeSet::new();
    let mut unread = false;
    for secret in &named {
        let object = ObjectRef::new(Kind::Secret, Key::new(pod.namespace.clone(), secret.as_str()));
        match cluster.find(&object).await {
            Ok(Some(secret_object)) => match registries(&secret_object) {
                Some(hosts) => {
                    answer.line(Tone::Good, format!("pull secret {secret} is for {}", join(&hosts)));
                    known.extend(hosts);
                }
                None => answer.line(Tone::Bad, format!("secret {secret} is no usable pull secret")),
            },
            Ok(None) => {
                answer.line(Tone::Bad, format!("pull secret {secret} does not exist"));
                answer.bind("missing_object", secret);
                answer.found(cause::IMAGE_AUTH, format!("pull secret {secret} does not exist"));
            }
            Err(trouble) if trouble.is(TroubleKind::Forbidden) => {
                unread = true;
                answer.line(Tone::Dim, trouble.to_string());
            }
            Err(trouble) => return Err(trouble),
        }
    }
    let mut bare = Vec::new();
    for image in images {
        let host = registry(image);
        let covered = known.iter().any(|known| *known == host);
        let says = if covered { "has credentials" } else { "has none" };
        answer.line(
            if covered { Tone::Good } else { Tone::Plain },
            format!("image {image} from {host}: {says}"),
        );
        if !covered && !bare.contains(&host) {
            bare.push(host);
        }
    }
    answer.summary(match (named.len(), bare.as_slice()) {
        (_, []) => "every image's registry has credentials".to_owned(),
        (0, bare) => format!("{pod} has no pull secret at all; {} must let anybody pull", bare.join(", ")),
        (_, _) if unread => "the pull secrets may not be read: their registries are unknown".to_owned(),
        (_, bare) => format!("no pull secret for {}", bare.join(", ")),
    });
    if let Some(host) = bare.first() {
        answer.bind("registry", host);
    }
    Ok(answer)
}

fn join(hosts: &BTreeSet<String>) -> String {
    hosts.iter().cloned().collect::<Vec<_>>().join(", ")
}

/// The registry hosts of a pull secret; None when it is not one.
fn registries(secret: &Value) -> Option<BTreeSet<String>> {
    let decode = |field: &str| -> Option<Value> {
        let encoded = secret.get("data")?.get(field)?.as_str()?;
        let bytes = base64::engine::general_purpose::STANDARD.decode(encoded).ok()?;
        serde_json::from_slice(&bytes).ok()
    };
    let auths = match string(secret, "/type") {
        "kubernetes.io/dockerconfigjson" => decode(".dockerconfigjson")?.get("auths")?.clone(),
        "kubernetes.io/dockercfg" => decode(".dockercfg")?,
        _ => return None,
    };
    Some(auths.as_object()?.keys().map(|host| canonical(host)).collect())
}

/// The host of an image reference, as the kubelet resolves it.
fn registry(image: &str) -> String {
    match image.split_once('/') {
        Some((host, _)) if host.contains(['.', ':']) || host == "localhost" => canonical(host),
        _ => "docker.io".into(),
    }
}

/// A registry by one name, however a secret or an image writes it: without scheme and path, in lower case.
pub(super) fn canonical(host: &str) -> String {
    let host = host.trim_start_matches("https://").trim_start_matches("http://");
    let host = host.split('/').next().unwrap_or_default().to_lowercase();
    match host.as_str() {
        "index.docker.io" | "registry-1.docker.io" => "docker.io".into(),
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_and_secrets_agree_on_the_registry() {
        for (image, host) in [
            ("nginx:1", "docker.io"),
            ("library/nginx", "docker.io"),
            ("ghcr.io/org/app@sha256:1", "ghcr.io"),
            ("localhost:5000/app", "localhost:5000"),
        ] {
            assert_eq!(registry(image), host);
        }
        assert_eq!(canonical("https://index.docker.io/v1/"), "docker.io");
    }
}
