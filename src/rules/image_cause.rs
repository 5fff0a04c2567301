//! Why an image does not come, from the kubelet's waiting reason and its words.

use crate::domain::{Cause, Container, Kind, Pod, cause};

use super::Scene;
use super::workload::quote;

/// `waiting.reason` of a container whose image is the trouble (audit D122: kubelet images/types.go and
/// cri-api errors).
pub(super) const PULLING_FAILS: &[&str] = &[
    "ErrImagePull",
    "ImagePullBackOff",
    "InvalidImageName",
    "ErrImageNeverPull",
    "ImageInspectError",
    "RegistryUnavailable",
    "SignatureValidationFailed",
];

/// Phrases of container runtimes and registries, the more telling first; compared in lower case.
const PHRASES: &[(&str, &[&str])] = &[
    (cause::IMAGE_DISK, &["no space left", "disk quota exceeded"]),
    (cause::IMAGE_RATE_LIMIT, &["toomanyrequests", "429 too many", "status: 429", "rate limit"]),
    (
        cause::IMAGE_ARCH,
        &[
            "no match for platform",
            "no matching manifest",
            "no image found in image index",
            "exec format error",
        ],
    ),
    (cause::IMAGE_SIGNATURE, &["signature", "not signed", "signed by cosign"]),
    (cause::IMAGE_TRUST, &["x509", "failed to verify certificate", "server gave http response"]),
    (
        cause::REGISTRY_DOWN,
        &[
            "500 internal server error",
            "502 bad gateway",
            "503 service unavailable",
            "504 gateway time",
            "status: 500",
            "status: 502",
            "status: 503",
            "status: 504",
        ],
    ),
    (
        cause::IMAGE_NETWORK,
        &[
            "no such host",
            "i/o timeout",
            "connection refused",
            "tls handshake",
            "deadline exceeded",
            "server misbehaving",
            "no route to host",
            "connection reset",
            "network is unreachable",
            "unexpected eof",
        ],
    ),
    (
        cause::IMAGE_AUTH,
        &[
            "401 unauthorized",
            "403 forbidden",
            "status: 401",
            "status: 403",
            "unauthorized",
            "authentication required",
            "no basic auth",
            "denied",
            "failed to authorize",
            "invalid username",
            "insufficient_scope",
        ],
    ),
    (
        cause::IMAGE_NOT_FOUND,
        &["manifest unknown", "not found", "name unknown", "status: 404", "was deleted or has expired"],
    ),
];

/// What an image trouble comes down to.
pub(super) struct Trouble {
    /// The likeliest first.
    pub causes: Vec<Cause>,
    /// For a title: `no such tag`.
    pub label: &'static str,
    /// The kubelet's own words, harmless and short, without what it says of every image.
    pub message: String,
}

/// Why this container's image does not come.
pub(super) fn trouble(scene: &Scene<'_>, pod: &Pod, container: &Container) -> Trouble {
    let reason = container.waiting().map_or("", |reason| reason);
    let words = words(scene, pod, container);
    let message = if words.is_empty() {
        "no reason is given".to_owned()
    } else {
        quote(kernel(&words, &container.image))
    };
    let name = match reason {
        "InvalidImageName" => cause::BAD_IMAGE_REFERENCE,
        "ErrImageNeverPull" => cause::IMAGE_NEVER_PULLED,
        "ImageInspectError" => cause::IMAGE_BROKEN,
        "SignatureValidationFailed" => cause::IMAGE_SIGNATURE,
        _ => class(&words).unwrap_or(if reason == "RegistryUnavailable" {
            cause::IMAGE_NETWORK
        } else {
            cause::IMAGE_PULL
        }),
    };
    let says = format!("{}: {message}", container.image);
    // Registries answer "denied" for what does not exist, so as not to tell (audit, section 4: image-pull).
    let lower = words.to_lowercase();
    let hides = name == cause::IMAGE_AUTH
        && ["does not exist", "may not exist"].iter().any(|words| lower.contains(words));
    let weight = match name {
        cause::IMAGE_PULL => 0.3,
        _ if hides => 0.6,
        _ => 0.9,
    };
    let mut causes = vec![Cause { name, says, weight }];
    if hides {
        let says = format!("{} may not exist: registries say \"denied\" for that too", container.image);
        causes.push(Cause { name: cause::IMAGE_NOT_FOUND, says, weight: 0.4 });
    }
    Trouble { causes, label: label(name), message }
}

/// The class of a message. What it is about (references, URLs, digests) is left out: `acme/signature-service` and
/// a digest with 404 in it say nothing of why.
fn class(message: &str) -> Option<&'static str> {
    let lower = message.to_lowercase();
    let about = |word: &&str| (word.contains('/') && *word != "i/o") || word.contains("sha256:");
    let lower = lower.split_whitespace().filter(|word| !about(word)).collect::<Vec<_>>().join(" ");
    PHRASES
        .iter()
        .find(|(_, phrases)| phrases.iter().any(|phrase| lower.contains(phrase)))
        .map(|(name, _)| *name)
}

/// What is left of a message without the wrappings that every layer between the kubelet and the registry puts around it
/// (kubelet, CRI, containerd), each of which names the image anew.
fn kernel<'w>(words: &'w str, image: &str) -> &'w str {
    let named = format!("\"{image}\": ");
    let bare = format!("{image}: ");
    let mut rest = words.trim();
    loop {
        let unwrapped = WRAPPINGS.iter().find_map(|wrapping| {
            let inner = rest.strip_prefix(wrapping)?;
            inner.strip_prefix(if wrapping.ends_with(' ') { named.as_str() } else { ": " })
        });
        let status =
            || rest.strip_prefix("rpc error: code = ")?.split_once(" desc = ").map(|(_, inner)| inner);
        match unwrapped.or_else(status).or_else(|| rest.strip_prefix(bare.as_str())) {
            Some(inner) if !inner.is_empty() => rest = inner,
            _ => return rest,
        }
    }
}

/// With a space at its end: the image follows.
const WRAPPINGS: &[&str] = &[
    "Back-off pulling image ",
    "Failed to pull image ",
    "failed to pull and unpack image ",
    "failed to resolve reference ",
    "ErrImagePull",
    "Error response from daemon",
];

/// The waiting message, or what the last failed pull said: a back-off message need not repeat it.
fn words(scene: &Scene<'_>, pod: &Pod, container: &Container) -> String {
    let waiting = container.waiting_message().map_or("", |message| message);
    if class(waiting).is_some() {
        return waiting.to_owned();
    }
    let failed = scene
        .events(Kind::Pod, &pod.key)
        .find(|event| &*event.reason == "Failed" && event.message.contains(&*container.image));
    failed.map_or_else(|| waiting.to_owned(), |event| event.message.to_string())
}

fn label(name: &str) -> &'static str {
    match name {
        cause::BAD_IMAGE_REFERENCE => "not a valid image name",
        cause::IMAGE_NOT_FOUND => "no such image or tag",
        cause::IMAGE_AUTH => "registry refuses the credentials",
        cause::IMAGE_RATE_LIMIT => "registry limits our pulls",
        cause::IMAGE_NETWORK => "registry cannot be reached",
        cause::IMAGE_TRUST => "the node does not trust the registry",
        cause::REGISTRY_DOWN => "registry fails",
        cause::IMAGE_ARCH => "not built for the node's architecture",
        cause::IMAGE_DISK => "no space on the node",
        cause::IMAGE_SIGNATURE => "signature not accepted",
        cause::IMAGE_NEVER_PULLED => "pulling is forbidden (Never)",
        cause::IMAGE_BROKEN => "image cannot be inspected",
        _ => "image cannot be pulled",
    }
}

/// The registry host of an image reference, as the runtime reads it.
pub(super) fn registry(image: &str) -> &str {
    match image.split_once('/') {
        Some((host, _)) if host.contains(['.', ':']) || host == "localhost" => host,
        _ => "docker.io",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_is_a_host_only_when_it_looks_like_one() {
        assert_eq!(registry("ghcr.io/acme/web:v1"), "ghcr.io");
        assert_eq!(registry("localhost:5000/web"), "localhost:5000");
        assert_eq!(registry("acme/web:v1"), "docker.io");
        assert_eq!(registry("nginx"), "docker.io");
    }

    #[test]
    fn what_is_left_of_a_message_is_what_only_it_says() {
        let image = "ghcr.io/a/b:v9";
        let wrapped = |inner: &str| {
            format!(
                "Back-off pulling image \"{image}\": ErrImagePull: rpc error: code = NotFound desc = failed to pull and \
                 unpack image \"{image}\": failed to resolve reference \"{image}\": {inner}"
            )
        };
        assert_eq!(kernel(&wrapped("ghcr.io/a/b:v9: not found"), image), "not found");
        assert_eq!(
            kernel(&wrapped("failed to do request: i/o timeout"), image),
            "failed to do request: i/o timeout"
        );
        let empty = format!("Back-off pulling image \"{image}\"");
        assert_eq!(kernel(&empty, image), empty, "what says nothing else stays");
        assert_eq!(kernel("manifest unknown", image), "manifest unknown");
        assert_eq!(kernel("", image), "");
    }

    #[test]
    fn the_words_of_runtimes_are_classed() {
        let cases = [
            (
                "rpc error: code = NotFound desc = failed to pull and unpack image \"ghcr.io/a/b:v9\": \
                 failed to resolve reference \"ghcr.io/a/b:v9\": ghcr.io/a/b:v9: not found",
                cause::IMAGE_NOT_FOUND,
            ),
            (
                "failed to authorize: failed to fetch anonymous token: unexpected status: 401 Unauthorized",
                cause::IMAGE_AUTH,
            ),
            (
                "unexpected status code: 429 Too Many Requests - toomanyrequests: rate exceeded",
                cause::IMAGE_RATE_LIMIT,
            ),
            ("dial tcp: lookup registry.corp on 10.96.0.10:53: no such host", cause::IMAGE_NETWORK),
            (
                "tls: failed to verify certificate: x509: certificate signed by unknown authority",
                cause::IMAGE_TRUST,
            ),
            ("http: server gave HTTP response to HTTPS client", cause::IMAGE_TRUST),
            (
                "unexpected status from HEAD request to https://reg.example/v2: 502 Bad Gateway",
                cause::REGISTRY_DOWN,
            ),
            ("net/http: TLS handshake timeout", cause::IMAGE_NETWORK),
            ("no match for platform in manifest: not found", cause::IMAGE_ARCH),
            ("failed to extract layer: write /x: no space left on device", cause::IMAGE_DISK),
            (
                "failed to resolve reference \"ghcr.io/acme/signature-denied:1\": ghcr.io/acme/signature-denied:1: not found",
                cause::IMAGE_NOT_FOUND,
            ),
            (
                "failed to copy: httpReadSeeker: failed open: failed to do request: Get \"https://cdn.acme.example/blobs/sha256:1404ab?x=401\": EOF: connection reset by peer",
                cause::IMAGE_NETWORK,
            ),
        ];
        for (message, expected) in cases {
            assert_eq!(class(message), Some(expected), "{message}");
        }
        assert_eq!(class("Back-off pulling image \"web\""), None);
        assert_eq!(class("Back-off pulling image \"ghcr.io/acme/denied:404\""), None);
    }
}
