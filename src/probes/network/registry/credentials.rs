//! The cluster's own credentials for a registry: from the pull secrets of a pod and of its account. They live as
//! long as one question, and have no way onto a line.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::super::Asking;
use crate::domain::{Key, Kind, ObjectRef, Tone, text};
use crate::probes::answer::Answer;
use crate::probes::object::{items, string};
use crate::probes::pull_secrets::canonical;
use crate::probes::trouble::{Trouble, TroubleKind};

/// User and password. Not to be shown: it has no Debug, and only its own request reads it.
pub(super) struct Login {
    user: String,
    password: String,
}

impl Login {
    pub(super) fn user(&self) -> String {
        text::clean(&self.user)
    }

    /// As HTTP's basic authentication has it.
    pub(super) fn basic(&self) -> String {
        format!("Basic {}", STANDARD.encode(format!("{}:{}", self.user, self.password)))
    }
}

/// The first login that a pod has for a registry.
pub(super) async fn of_pod(
    asking: &Asking<'_>,
    pod: &Key,
    registry: &str,
    answer: &mut Answer,
) -> Result<Option<Login>, Trouble> {
    let found = asking.cluster.get(&ObjectRef::new(Kind::Pod, pod.clone())).await?;
    let mut named: Vec<String> =
        items(&found, "/spec/imagePullSecrets").iter().map(|one| string(one, "/name").to_owned()).collect();
    let account = match string(&found, "/spec/serviceAccountName") {
        "" => "default",
        account => account,
    };
    let account = ObjectRef::new(Kind::ServiceAccount, Key::new(pod.namespace.clone(), account));
    if let Ok(Some(account)) = asking.cluster.find(&account).await {
        named.extend(items(&account, "/imagePullSecrets").iter().map(|one| string(one, "/name").to_owned()));
    }
    for name in named {
        let object = ObjectRef::new(Kind::Secret, Key::new(pod.namespace.clone(), name.as_str()));
        match asking.cluster.find(&object).await {
            Ok(Some(secret)) => {
                if let Some(login) = login(&secret, registry) {
                    answer.line(Tone::Dim, format!("asked with the login {} of secret {name}", login.user()));
                    return Ok(Some(login));
                }
                answer.line(Tone::Dim, format!("secret {name} has no login for {registry}"));
            }
            Ok(None) => answer.line(Tone::Bad, format!("pull secret {name} does not exist")),
            Err(trouble) if trouble.is(TroubleKind::Forbidden) => answer.line(Tone::Dim, trouble.to_string()),
            Err(trouble) => return Err(trouble),
        }
    }
    Ok(None)
}

fn login(secret: &Value, registry: &str) -> Option<Login> {
    let (field, nested) = match string(secret, "/type") {
        "kubernetes.io/dockerconfigjson" => (".dockerconfigjson", true),
        "kubernetes.io/dockercfg" => (".dockercfg", false),
        _ => return None,
    };
    let bytes = STANDARD.decode(secret.get("data")?.get(field)?.as_str()?).ok()?;
    let document: Value = serde_json::from_slice(&bytes).ok()?;
    let auths = if nested { document.get("auths")? } else { &document };
    let entry = auths.as_object()?.iter().find(|(host, _)| canonical(host) == registry)?.1;
    let (user, password) = (string(entry, "/username"), string(entry, "/password"));
    if !user.is_empty() {
        return Some(Login { user: user.to_owned(), password: password.to_owned() });
    }
    let pair = String::from_utf8(STANDARD.decode(string(entry, "/auth")).ok()?).ok()?;
    let (user, password) = pair.split_once(':')?;
    Some(Login { user: user.to_owned(), password: password.to_owned() })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_login_is_found_by_its_registry_in_both_forms() {
        let secret = |document: Value| {
            json!({"type": "kubernetes.io/dockerconfigjson",
                "data": {".dockerconfigjson": STANDARD.encode(document.to_string())}})
        };
        let named = secret(json!({"auths": {"ghcr.io": {"username": "bot", "password": "pw"}}}));
        assert_eq!(login(&named, "ghcr.io").unwrap().user(), "bot");
        assert!(login(&named, "quay.io").is_none());
        let joined =
            secret(json!({"auths": {"https://index.docker.io/v1/": {"auth": STANDARD.encode("me:pw:x")}}}));
        let found = login(&joined, "docker.io").unwrap();
        assert_eq!(found.basic(), format!("Basic {}", STANDARD.encode("me:pw:x")));
    }
}
