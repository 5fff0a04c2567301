//! A way to an HTTP API of the monitoring: straight by its URL, or through the API server's service proxy with
//! the rights the kubeconfig already gives. Only GETs go through it.

use std::time::Duration;

use reqwest::Url;
use tokio::time::timeout;

use super::connect::{USER_AGENT, whole};
use super::{ConnectError, is_local, tls};
use crate::domain::{BlindKind, Grant, refused_user};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Clone)]
pub enum Door {
    Direct {
        client: reqwest::Client,
        base: Url,
    },
    /// `path` leads to the service: `/api/v1/namespaces/N/services/S:PORT/proxy`.
    Proxied {
        client: kube::Client,
        path: String,
    },
}

impl Door {
    /// A door to a URL somebody gave. `what` is for the words of errors.
    pub fn to(url: &str, what: &str, variable: &str) -> Result<Self, ConnectError> {
        let repair = format!("set {variable}, e.g. http://{}.example.com:9090", what.to_lowercase());
        let broken = |why: String| ConnectError::new(BlindKind::Broken, why, &repair);
        let base = Url::parse(url.trim_end_matches('/'))
            .map_err(|error| broken(format!("the URL of {what} is not understood: {error}")))?;
        if !matches!(base.scheme(), "http" | "https") || base.host_str().is_none() {
            return Err(broken(format!("the URL of {what} must begin with http:// or https://")));
        }
        let client = http_client(Some(&base))
            .map_err(|error| broken(format!("no HTTP client can be built: {}", whole(&error))))?;
        Ok(Door::Direct { client, base })
    }

    /// Asks and returns the body of a successful answer.
    ///
    /// # Errors
    /// In words, with the status and the beginning of what the other side said.
    pub async fn get(&self, path: &str, query: &[(&str, String)]) -> Result<String, ConnectError> {
        match timeout(PATIENCE, self.ask(path, query)).await {
            Ok(answer) => answer,
            Err(_) => Err(ConnectError::new(
                BlindKind::Unreachable,
                format!("no answer within {} s", PATIENCE.as_secs()),
                "check that it runs and is not overloaded",
            )),
        }
    }

    async fn ask(&self, path: &str, query: &[(&str, String)]) -> Result<String, ConnectError> {
        match self {
            Door::Direct { client, base } => {
                let mut url = base.clone();
                url.set_path(&format!("{}{path}", base.path().trim_end_matches('/')));
                url.query_pairs_mut().extend_pairs(query);
                let answer = client.get(url).send().await.map_err(|error| unreachable(&error))?;
                let status = answer.status();
                let body = answer.text().await.map_err(|error| unreachable(&error))?;
                match status.as_u16() {
                    _ if status.is_success() => Ok(body),
                    // Nobody knows what stands behind a URL.
                    503 => Err(ConnectError {
                        repair: Some("it, or a proxy before it, has nothing that answers: look there".into()),
                        ..refused(503, &body)
                    }),
                    401 if !base.username().is_empty() || base.password().is_some() => Err(ConnectError {
                        repair: Some("the user or the password in its URL is wrong: correct them".into()),
                        ..refused(401, &body)
                    }),
                    code => Err(refused(code, &body)),
                }
            }
            Door::Proxied { client, path: service } => {
                let broken = |why: String| ConnectError::new(BlindKind::Broken, why, "");
                let mut url = Url::parse("http://server").map_err(|error| broken(error.to_string()))?;
                url.query_pairs_mut().extend_pairs(query);
                let target = format!("{service}{path}?{}", url.query().unwrap_or_default());
                let request =
                    http::Request::get(target).body(Vec::new()).map_err(|error| broken(error.to_string()))?;
                client.request_text(request).await.map_err(|error| match &error {
                    kube::Error::Api(status) if status.code == 403 => ConnectError::new(
                        BlindKind::Refused,
                        format!("may not reach it through the API server (403): {}", status.message),
                        &proxy_repair(service, &status.message),
                    ),
                    kube::Error::Api(status) => refused(status.code, &status.message),
                    other => unreachable(other),
                })
            }
        }
    }
}

/// What lets somebody through the API server's service proxy.
fn proxy_repair(service: &str, message: &str) -> String {
    let namespace = service.split("/namespaces/").nth(1).and_then(|rest| rest.split('/').next());
    let user = refused_user(message);
    let grant = Grant { verbs: &["get"], group: "", resource: "services/proxy", namespace, user };
    format!("give its URL, or let an admin run: {}", grant.as_command())
}

/// A client for plain HTTP and HTTPS that names itself. No proxy leads to what is on this machine itself.
pub fn http_client(url: Option<&Url>) -> reqwest::Result<reqwest::Client> {
    tls::install_provider();
    let client = reqwest::Client::builder().user_agent(USER_AGENT).connect_timeout(Duration::from_secs(5));
    let is_here = url.and_then(Url::host_str).is_some_and(is_local);
    if is_here { client.no_proxy() } else { client }.build()
}

fn refused(code: u16, body: &str) -> ConnectError {
    let said = plain(body);
    let (kind, repair) = match code {
        401 => (BlindKind::Refused, "put user:password@ into the URL, or use one that needs none"),
        403 => (BlindKind::Refused, "ask for access, or use another URL"),
        404 => (BlindKind::Broken, "check the URL's path: is this the right server?"),
        503 => (BlindKind::Unreachable, "it has no ready pods: check its workload"),
        _ => (BlindKind::Broken, ""),
    };
    ConnectError::new(kind, format!("it answers {code}: {said}").trim_end_matches(": "), repair)
}

/// The beginning of what was said, in one line; of a page its title.
fn plain(body: &str) -> String {
    let is_page = body.trim_start().starts_with('<');
    let said = if is_page {
        let title = body.split("<title>").nth(1).and_then(|rest| rest.split("</title>").next());
        title.unwrap_or_default()
    } else {
        body
    };
    said.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(200).collect()
}

fn unreachable(error: &(dyn std::error::Error + 'static)) -> ConnectError {
    let mut deepest = error;
    while let Some(cause) = deepest.source() {
        deepest = cause;
    }
    let said = deepest.to_string();
    let said = said.split(" (os error").next().unwrap_or(&said).to_owned();
    ConnectError::new(
        BlindKind::Unreachable,
        format!("cannot be reached: {said}"),
        "check its URL and that it runs",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_page_its_title_is_said_and_of_words_their_first_line() {
        assert_eq!(
            plain("<html>\n<head><title>401 Authorization Required</title></head>\n<body>"),
            "401 Authorization Required"
        );
        assert_eq!(plain("<html><body>no"), "");
        assert_eq!(plain("bad\n  gateway\n"), "bad gateway");
        assert_eq!(refused(502, "<p>").why, "it answers 502");
    }
}
