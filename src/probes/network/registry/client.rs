//! The distribution API, as far as a question needs it: `/v2/`, a bearer token from whoever the registry names, and
//! manifests by tag or digest. Knows requests; what an answer means is told elsewhere.

use std::time::Duration;

use http::{HeaderMap, Method, header};
use reqwest::Url;
use reqwest::redirect::Policy;
use serde_json::Value;

use super::super::Asking;
use super::credentials::Login;
use super::image::Image;
use crate::config::{connect, is_local, tls};
use crate::domain::text;
use crate::probes::object::{items, string};

const REQUEST: Duration = Duration::from_secs(8);
/// Most bytes of a manifest (the registry's own limit is 4 MiB).
const BODY: usize = 4 << 20;
/// What a runtime accepts: OCI and Docker, indexes first.
const KINDS: &str = "application/vnd.oci.image.index.v1+json, \
                     application/vnd.docker.distribution.manifest.list.v2+json, \
                     application/vnd.oci.image.manifest.v1+json, \
                     application/vnd.docker.distribution.manifest.v2+json";

/// What came back.
pub(super) struct Said {
    pub status: u16,
    /// The media type.
    pub kind: String,
    pub digest: Option<String>,
    /// `98 of 100 in 6h`.
    pub pulls_left: Option<String>,
    pub retry_after: Option<String>,
    pub body: String,
    challenge: Option<String>,
}

impl Said {
    /// The registry's own words: code and message of its errors.
    pub(super) fn words(&self) -> String {
        let Ok(body) = serde_json::from_str::<Value>(&self.body) else { return String::new() };
        let errors = items(&body, "/errors").iter();
        let words: Vec<String> =
            errors.map(|one| format!("{}: {}", string(one, "/code"), string(one, "/message"))).collect();
        text::redact(&text::clean(&words.join("; ")))
    }
}

/// One registry, asked a few times.
pub(super) struct Session {
    client: reqwest::Client,
    base: String,
    login: Option<Login>,
    /// The header of the last token.
    token: Option<String>,
}

impl Session {
    pub(super) async fn new(
        asking: &Asking<'_>,
        registry: &str,
        login: Option<Login>,
    ) -> Result<Session, String> {
        let authority = asking.outside.tls_authority.clone();
        let roots = tokio::task::spawn_blocking(move || {
            let mut roots = tls::roots(None).map_err(|error| error.why)?;
            if let Some(authority) = authority {
                roots.extend(tls::roots(Some(&authority)).map_err(|error| error.why)?.roots);
            }
            Ok::<_, String>(roots)
        });
        let roots = roots.await.map_err(|error| error.to_string())??;
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls::verifying(roots))
            .user_agent(connect::USER_AGENT)
            .redirect(Policy::limited(3))
            .timeout(REQUEST)
            .build()
            .map_err(|error| connect::whole(&error))?;
        Ok(Session { client, base: base(asking, registry), login, token: None })
    }

    pub(super) fn base(&self) -> &str {
        &self.base
    }

    pub(super) async fn ping(&self) -> Result<Said, String> {
        self.send(Method::GET, "/v2/", "").await
    }

    pub(super) async fn manifest(&mut self, image: &Image, method: Method) -> Result<Said, String> {
        let path = format!("/v2/{}/manifests/{}", image.repository, image.reference);
        self.authorised(method, &path, KINDS, image).await
    }

    pub(super) async fn blob(&mut self, image: &Image, digest: &str) -> Result<Said, String> {
        let path = format!("/v2/{}/blobs/{digest}", image.repository);
        self.authorised(Method::GET, &path, "*/*", image).await
    }

    /// Asks; and once more with what the registry says it takes.
    async fn authorised(
        &mut self,
        method: Method,
        path: &str,
        accept: &str,
        image: &Image,
    ) -> Result<Said, String> {
        let said = self.send(method.clone(), path, accept).await?;
        let Some(challenge) = said.challenge.clone().filter(|_| said.status == 401 && self.token.is_none())
        else {
            return Ok(said);
        };
        match self.answer_to(&challenge, image).await? {
            Grant::Header(header) => self.token = Some(header),
            Grant::Refused(said) => return Ok(said),
            Grant::Nothing => return Ok(said),
        }
        let again = self.send(method, path, accept).await?;
        if again.body.is_empty() && again.status >= 400 && !said.body.is_empty() {
            return Ok(Said { body: said.body, ..again });
        }
        Ok(again)
    }

    async fn answer_to(&self, challenge: &str, image: &Image) -> Result<Grant, String> {
        let (scheme, rest) = challenge.split_once(' ').unwrap_or((challenge, ""));
        if scheme.eq_ignore_ascii_case("basic") {
            return Ok(self.login.as_ref().map_or(Grant::Nothing, |login| Grant::Header(login.basic())));
        }
        let field = |name: &str| parameter(rest, name);
        let Some(mut realm) = field("realm").and_then(|realm| Url::parse(&realm).ok()) else {
            return Ok(Grant::Nothing);
        };
        // A password goes over TLS, or stays on this machine.
        if realm.scheme() != "https" && !self.base.starts_with("http://") {
            return Err(format!(
                "its token service {} is not encrypted: no login is sent there",
                text::clean(realm.as_str())
            ));
        }
        let scope = field("scope").unwrap_or_else(|| format!("repository:{}:pull", image.repository));
        if let Some(service) = field("service") {
            realm.query_pairs_mut().append_pair("service", &service);
        }
        realm.query_pairs_mut().append_pair("scope", &scope);
        let mut request = self.client.get(realm);
        if let Some(login) = &self.login {
            request = request.header(header::AUTHORIZATION, login.basic());
        }
        let said = heard(request).await.map_err(|why| format!("its token service fails: {why}"))?;
        if said.status != 200 {
            return Ok(Grant::Refused(said));
        }
        let body: Value = serde_json::from_str(&said.body).unwrap_or_default();
        let token = ["/token", "/access_token"]
            .iter()
            .map(|field| string(&body, field))
            .find(|token| !token.is_empty());
        Ok(token.map_or(Grant::Nothing, |token| Grant::Header(format!("Bearer {token}"))))
    }

    async fn send(&self, method: Method, path: &str, accept: &str) -> Result<Said, String> {
        let mut request = self.client.request(method, format!("{}{path}", self.base));
        if !accept.is_empty() {
            request = request.header(header::ACCEPT, accept);
        }
        if let Some(token) = &self.token {
            request = request.header(header::AUTHORIZATION, token);
        }
        heard(request).await
    }
}

/// What a challenge led to.
enum Grant {
    /// A header that may open the door.
    Header(String),
    /// The token service itself refused.
    Refused(Said),
    Nothing,
}

/// How a registry is told whose name this machine does not know.
pub(super) const NO_NAME: &str = "its name is not known here";

fn unheard(error: &reqwest::Error) -> String {
    let why = connect::deepest(error);
    // The resolver is asked by hyper, which names its step in the chain of causes and nowhere else.
    if connect::whole(error).contains("dns error") { format!("{NO_NAME}: {why}") } else { why }
}

async fn heard(request: reqwest::RequestBuilder) -> Result<Said, String> {
    let mut answer = request.send().await.map_err(|error| unheard(&error))?;
    let status = answer.status().as_u16();
    let headers = answer.headers().clone();
    let text_of = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(text::clean);
    let mut body = Vec::new();
    while body.len() < BODY
        && let Ok(Some(chunk)) = answer.chunk().await
    {
        body.extend_from_slice(&chunk);
    }
    Ok(Said {
        status,
        kind: text_of("content-type").unwrap_or_default(),
        digest: text_of("docker-content-digest"),
        pulls_left: pulls_left(&headers),
        retry_after: text_of("retry-after"),
        challenge: text_of("www-authenticate"),
        body: String::from_utf8_lossy(&body).into_owned(),
    })
}

/// `ratelimit-remaining: 98;w=21600` of Docker Hub.
fn pulls_left(headers: &HeaderMap) -> Option<String> {
    let value = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let (left, window) =
        value("ratelimit-remaining")?.split_once(";w=").unwrap_or((value("ratelimit-remaining")?, ""));
    let most = value("ratelimit-limit").map(|most| most.split(';').next().unwrap_or(most));
    let window =
        window.parse().ok().map(|seconds| format!(" in {}", text::span(Duration::from_secs(seconds))));
    Some(text::clean(&format!("{left} of {}{}", most.unwrap_or("?"), window.unwrap_or_default())))
}

/// One parameter of a `WWW-Authenticate` header, quoted or not.
fn parameter(rest: &str, wanted: &str) -> Option<String> {
    let mut rest = rest.trim();
    while let Some((name, after)) = rest.split_once('=') {
        let (value, after) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => after.split_once(',').unwrap_or((after, "")),
        };
        if name.trim_matches([' ', ',']).eq_ignore_ascii_case(wanted) {
            return Some(value.to_owned());
        }
        rest = after.trim_start_matches([' ', ',']);
    }
    None
}

/// Where a registry is asked: as the settings say, else at its host; on this machine without TLS, as Docker does.
fn base(asking: &Asking<'_>, registry: &str) -> String {
    if let Some((_, url)) =
        asking.outside.registries.iter().find(|(host, _)| host.eq_ignore_ascii_case(registry))
    {
        return url.clone();
    }
    let host = registry.split(':').next().unwrap_or(registry);
    if is_local(host) {
        return format!("http://{registry}");
    }
    match registry {
        "docker.io" => "https://registry-1.docker.io".into(),
        _ => format!("https://{registry}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parameters_of_a_challenge_are_found_whatever_stands_between_the_quotes() {
        let rest = r#"realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push", error=x"#;
        assert_eq!(parameter(rest, "realm").as_deref(), Some("https://auth.docker.io/token"));
        assert_eq!(parameter(rest, "scope").as_deref(), Some("repository:a/b:pull,push"));
        assert_eq!(parameter(rest, "error").as_deref(), Some("x"));
        assert_eq!(parameter(rest, "missing"), None);
    }

    #[test]
    fn the_pulls_that_are_left_are_read_from_the_hub() {
        let mut headers = HeaderMap::new();
        headers.insert("ratelimit-limit", "100;w=21600".parse().unwrap());
        headers.insert("ratelimit-remaining", "7;w=21600".parse().unwrap());
        assert_eq!(pulls_left(&headers).as_deref(), Some("7 of 100 in 6h"));
    }
}
