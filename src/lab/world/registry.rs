//! The image registries of the lab: which tags exist, who may pull, and what refusal sounds like.
//! It knows names, tokens and containerd's wording, not pods.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::Value;
use sha2::{Digest, Sha256};

/// The repository both registries carry.
const REPOSITORY: &str = "yourorg/covetpy";

/// The host that asks for a credential.
const PRIVATE: &str = "ghcr.io";

pub struct Registry {
    tags: BTreeSet<String>,
    /// Tokens that once worked and no longer do.
    expired: BTreeSet<String>,
    /// A host that refuses everyone until then (429).
    limited: Option<(String, Timestamp)>,
}

/// An image reference, taken apart.
pub struct Reference<'a> {
    pub host: &'a str,
    pub repository: String,
    pub tag: &'a str,
    pub digest: Option<&'a str>,
}

impl Default for Registry {
    fn default() -> Self {
        let tags = ["v1.2.0", "v1.2.1", "v1.2.2", "v1.2.3", "v1.2.4"].map(str::to_owned);
        Self { tags: tags.into(), expired: BTreeSet::new(), limited: None }
    }
}

impl Registry {
    /// As its own servers show it.
    pub fn shown(&self) -> crate::lab::signals::Registry {
        crate::lab::signals::Registry {
            repository: REPOSITORY,
            tags: self.tags.iter().map(|tag| (tag.clone(), digest_of(tag))).collect(),
            expired: self.expired.clone(),
            limited: self.limited.clone(),
        }
    }

    /// A build has pushed it.
    pub fn push(&mut self, tag: &str) {
        self.tags.insert(tag.to_owned());
    }

    pub fn remove_tag(&mut self, tag: &str) {
        self.tags.remove(tag);
    }

    pub fn expire(&mut self, token: String) {
        self.expired.insert(token);
    }

    pub fn limit(&mut self, host: &str, until: Timestamp) {
        self.limited = Some((host.to_owned(), until));
    }

    /// Whether `image` can be pulled with one of `credentials` (`.dockerconfigjson` documents); the digest,
    /// or the error as containerd words it.
    pub fn pull(&self, image: &str, credentials: &[String], now: Timestamp) -> Result<String, String> {
        let reference = Reference::parse(image).ok_or_else(|| {
            format!("Failed to apply default image tag \"{image}\": couldn't parse image name \"{image}\": invalid reference format")
        })?;
        let name = format!("{}/{}:{}", reference.host, reference.repository, reference.tag);
        let fail = |code: &str, why: &str| {
            Err(format!(
                "rpc error: code = {code} desc = failed to pull and unpack image \"{name}\": failed to resolve reference \"{name}\": {why}"
            ))
        };
        if let Some((host, until)) = &self.limited
            && *host == reference.host
            && *until > now
        {
            let url = match reference.host {
                "docker.io" => "https://registry-1.docker.io",
                _ => "https://ghcr.io",
            };
            return fail(
                "Unknown",
                &format!(
                    "unexpected status from HEAD request to {url}/v2/{}/manifests/{}: 429 Too Many Requests - Server message: toomanyrequests: You have reached your unauthenticated pull rate limit. https://www.docker.com/increase-rate-limit",
                    reference.repository, reference.tag
                ),
            );
        }
        let private = reference.host == PRIVATE && reference.repository.starts_with("yourorg/");
        if private && !self.may_pull(credentials) {
            return fail(
                "Unknown",
                &format!(
                    "failed to authorize: failed to fetch oauth token: unexpected status from GET request to https://ghcr.io/token?scope=repository%3A{}%3Apull&service=ghcr.io: 401 Unauthorized",
                    reference.repository.replace('/', "%2F")
                ),
            );
        }
        let own = reference.repository == REPOSITORY;
        let digest = digest(&reference);
        let known = if own {
            reference.digest.map_or(self.tags.contains(reference.tag), |wanted| {
                self.tags.iter().any(|tag| digest_of(tag) == wanted)
            })
        } else {
            !private
        };
        if known { Ok(digest) } else { fail("NotFound", &format!("{name}: not found")) }
    }

    fn may_pull(&self, credentials: &[String]) -> bool {
        credentials.iter().filter_map(|document| token(document)).any(|token| {
            let formed = token.len() >= 20 && (token.starts_with("ghp_") || token.starts_with("github_pat_"));
            formed && !self.expired.contains(&token)
        })
    }
}

/// The password for the private host in a `.dockerconfigjson` document.
pub fn token(document: &str) -> Option<String> {
    let document: Value = serde_json::from_str(document).ok()?;
    let entry = document["auths"].as_object()?.iter().find(|(host, _)| host.contains(PRIVATE))?.1;
    if let Some(password) = entry["password"].as_str() {
        return Some(password.to_owned());
    }
    let pair = STANDARD.decode(entry["auth"].as_str()?).ok()?;
    let pair = String::from_utf8(pair).ok()?;
    pair.split_once(':').map(|(_, password)| password.to_owned())
}

impl<'a> Reference<'a> {
    /// `None` if it is no reference (upper case, empty parts, …).
    pub fn parse(image: &'a str) -> Option<Self> {
        let (name, digest) = match image.split_once('@') {
            Some((name, digest)) => (name, Some(digest)),
            None => (image, None),
        };
        let (host, rest) = match name.split_once('/') {
            Some((host, rest)) if host.contains(['.', ':']) || host == "localhost" => (host, rest),
            _ => ("docker.io", name),
        };
        let (repository, tag) = rest.rsplit_once(':').unwrap_or((rest, "latest"));
        let proper = |text: &str| {
            !text.is_empty()
                && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-/".contains(c))
        };
        if !proper(repository) || tag.is_empty() {
            return None;
        }
        let single = host == "docker.io" && !repository.contains('/');
        let repository = if single { format!("library/{repository}") } else { repository.to_owned() };
        Some(Self { host, repository, tag, digest })
    }
}

fn digest(reference: &Reference<'_>) -> String {
    match reference.digest {
        Some(digest) => digest.to_owned(),
        // a mirror of our own image carries the same bytes
        None if reference.repository == REPOSITORY => digest_of(reference.tag),
        None => digest_of(&format!("{}:{}", reference.repository, reference.tag)),
    }
}

/// The digest of a tag of the app's repository.
pub fn digest_of(tag: &str) -> String {
    let bytes = Sha256::digest(tag.as_bytes());
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}
