//! The registries of the lab over HTTP: `/HOST/v2/…` as the distribution API has it, a token service that checks
//! passwords, tags, digests, and a limit of pulls. What exists and who may pull is the world's to say.

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, Method, Response, StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::signals::{Registry, Signals};

/// The host that asks for a credential.
const PRIVATE: &str = "ghcr.io";
/// A password that the private registry takes, and nobody else.
pub const TOKEN: &str = "ghp_0123456789abcdefghijklmnopqrstuv";
/// What an anonymous client gets; it opens public repositories.
const ANYBODY: &str = "anonymous-lab-token";

/// All registries behind one address, by the first part of the path.
pub fn router(signals: Signals) -> Router {
    Router::new()
        .route("/{host}/v2/", get(base))
        .route("/{host}/token", get(token))
        .route("/{host}/v2/{*rest}", get(content))
        .with_state(signals)
}

async fn base(Path(host): Path<String>, headers: HeaderMap) -> Response<Body> {
    if bearer(&headers).is_some() {
        return (StatusCode::OK, "{}").into_response();
    }
    challenge(&host, &headers, "")
}

/// Where a token is had, on this very server.
fn challenge(host: &str, headers: &HeaderMap, repository: &str) -> Response<Body> {
    let here = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("127.0.0.1");
    let scope = if repository.is_empty() {
        String::new()
    } else {
        format!(",scope=\"repository:{repository}:pull\"")
    };
    let value = format!("Bearer realm=\"http://{here}/{host}/token\",service=\"{host}\"{scope}");
    let body = errors("UNAUTHORIZED", "authentication required");
    (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, value)], body).into_response()
}

fn errors(code: &str, message: &str) -> String {
    json!({"errors": [{"code": code, "message": message}]}).to_string()
}

fn bearer(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    value.strip_prefix("Bearer ").map(str::to_owned)
}

#[derive(Deserialize)]
struct Asked {
    #[serde(default)]
    scope: String,
}

/// A token for a password that is accepted; for nobody in particular without one.
async fn token(
    State(signals): State<Signals>,
    Path(host): Path<String>,
    Query(asked): Query<Asked>,
    headers: HeaderMap,
) -> Response<Body> {
    let registry = signals.read(|shown| shown.registry.clone());
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let given = given.and_then(|value| STANDARD.decode(value.strip_prefix("Basic ")?).ok());
    let given = given.and_then(|pair| String::from_utf8(pair).ok());
    let password = given.and_then(|pair| pair.split_once(':').map(|(_, password)| password.to_owned()));
    let private = host == PRIVATE && asked.scope.contains(":yourorg/");
    match password {
        Some(password) if registry.accepts(&password) => {
            json!({"token": format!("lab-{}", fingerprint(&password)), "expires_in": 300})
                .to_string()
                .into_response()
        }
        Some(_) => (StatusCode::UNAUTHORIZED, errors("UNAUTHORIZED", "bad credentials")).into_response(),
        None if private => {
            (StatusCode::UNAUTHORIZED, errors("UNAUTHORIZED", "authentication required")).into_response()
        }
        None => json!({"token": ANYBODY, "expires_in": 300}).to_string().into_response(),
    }
}

fn fingerprint(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

async fn content(
    State(signals): State<Signals>,
    Path((host, rest)): Path<(String, String)>,
    method: Method,
    headers: HeaderMap,
) -> Response<Body> {
    let registry = signals.read(|shown| shown.registry.clone());
    let Some((repository, reference)) = rest.split_once("/manifests/") else {
        return (StatusCode::NOT_FOUND, errors("UNSUPPORTED", "only manifests are kept here"))
            .into_response();
    };
    let Some(token) = bearer(&headers) else { return challenge(&host, &headers, repository) };
    if let Some((limited, until)) = &registry.limited
        && *limited == host
    {
        let left = until.duration_since(Timestamp::now()).as_secs().max(1).to_string();
        let headers = [
            ("ratelimit-limit", "100;w=21600".to_owned()),
            ("ratelimit-remaining", "0;w=21600".to_owned()),
            ("retry-after", left),
        ];
        let words = "You have reached your unauthenticated pull rate limit.";
        return (StatusCode::TOO_MANY_REQUESTS, headers, errors("TOOMANYREQUESTS", words)).into_response();
    }
    if host == PRIVATE && repository.starts_with("yourorg/") && token == ANYBODY {
        return challenge(&host, &headers, repository);
    }
    match digest(&registry, repository, reference) {
        Some(digest) => manifest(&method, &digest),
        None => (StatusCode::NOT_FOUND, errors("MANIFEST_UNKNOWN", "manifest unknown")).into_response(),
    }
}

/// The digest of what a tag or a digest names.
fn digest(registry: &Registry, repository: &str, reference: &str) -> Option<String> {
    if repository != registry.repository {
        let public = Sha256::digest(format!("{repository}:{reference}").as_bytes());
        let hex: String = public.iter().map(|byte| format!("{byte:02x}")).collect();
        return (!repository.starts_with("yourorg/")).then(|| format!("sha256:{hex}"));
    }
    if reference.starts_with("sha256:") {
        return registry.tags.values().find(|digest| *digest == reference).cloned();
    }
    registry.tags.get(reference).cloned()
}

fn manifest(method: &Method, digest: &str) -> Response<Body> {
    let platform = |arch: &str| {
        json!({"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": digest,
        "size": 1024, "platform": {"os": "linux", "architecture": arch}})
    };
    let index = json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [platform("amd64"), platform("arm64")]});
    let headers = [
        ("content-type", "application/vnd.oci.image.index.v1+json".to_owned()),
        ("docker-content-digest", digest.to_owned()),
    ];
    let body = if *method == Method::HEAD { String::new() } else { index.to_string() };
    (StatusCode::OK, headers, body).into_response()
}
