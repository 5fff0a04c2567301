//! What the API server's refusals and silences mean, in words, and what to do about each.

use std::time::Duration;

use crate::config::ConnectError;
use crate::config::connect::deepest;
use crate::domain::{BlindKind, Grant, Kind, Name, refused_user, text};

/// Why a request to the API server brought nothing.
#[derive(Debug)]
pub(super) enum Trouble {
    /// 410: the version asked for is no longer kept. List again.
    Gone,
    /// 401.
    Unauthorized(String),
    /// 403.
    Forbidden(String),
    /// 404: the resource isn't served here.
    Absent,
    /// The namespace that is looked at isn't there. Lists of it are empty, which must not pass for calm.
    NoNamespace(Name),
    /// 429: the server sheds load, and says when to come back.
    Busy(Option<Duration>, String),
    /// Another answer that isn't success.
    Answered(u16, String),
    /// No answer: connection refused, reset, TLS, DNS.
    Unreachable(String),
    TimedOut(Duration),
    /// The answer is not what was asked for.
    Undecodable(String),
}

impl From<kube::Error> for Trouble {
    fn from(error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => match Self::answered(status.code, &status.message) {
                Trouble::Busy(_, message) => {
                    let after = status.details.as_ref().map(|details| details.retry_after_seconds);
                    let after = after.filter(|seconds| *seconds > 0).map(u64::from).map(Duration::from_secs);
                    Trouble::Busy(after, message)
                }
                other => other,
            },
            kube::Error::Auth(error) => Trouble::Unauthorized(words(&crate::config::connect::whole(&error))),
            kube::Error::FromUtf8(error) => Trouble::Undecodable(error.to_string()),
            kube::Error::SerdeError(error) => Trouble::Undecodable(error.to_string()),
            other => Trouble::Unreachable(words(&deepest(&other))),
        }
    }
}

impl Trouble {
    pub(super) fn answered(code: u16, message: &str) -> Self {
        let message = words(message);
        match code {
            401 => Trouble::Unauthorized(message),
            403 => Trouble::Forbidden(message),
            404 => Trouble::Absent,
            410 => Trouble::Gone,
            429 => Trouble::Busy(None, message),
            code => Trouble::Answered(code, message),
        }
    }

    /// For requests that aren't about one kind of objects.
    pub(super) fn explain(&self) -> ConnectError {
        let (kind, why, repair) = match self {
            Trouble::Gone => (BlindKind::Broken, "the list expired while it was read (410)".into(), ""),
            Trouble::Unauthorized(message) => (
                BlindKind::Refused,
                format!("the API server does not accept the credentials (401): {}", or_nothing(message)),
                "log in again, or renew the token or certificate in the kubeconfig",
            ),
            Trouble::Forbidden(message) => {
                (BlindKind::Refused, format!("forbidden (403): {}", or_nothing(message)), "")
            }
            Trouble::Absent => (BlindKind::Broken, "the API server does not serve this (404)".into(), ""),
            Trouble::NoNamespace(name) => (
                BlindKind::Broken,
                format!("there is no namespace {name} in this cluster"),
                "name another one with -n: kubectl get namespaces lists them",
            ),
            Trouble::Busy(_, message) => (
                BlindKind::Broken,
                format!("the API server is overloaded and sheds requests (429): {}", or_nothing(message)),
                "",
            ),
            Trouble::Answered(code, message) => {
                (BlindKind::Broken, format!("the API server answers {code}: {}", or_nothing(message)), "")
            }
            Trouble::Unreachable(message) => (
                BlindKind::Unreachable,
                format!("the API server cannot be reached: {message}"),
                connection_repair(message),
            ),
            Trouble::TimedOut(after) => (
                BlindKind::Unreachable,
                format!("the API server does not answer (timed out after {})", text::span(*after)),
                "check the network, VPN and the API server's address: kubectl cluster-info",
            ),
            Trouble::Undecodable(message) => {
                (BlindKind::Broken, format!("the API server's answer is not understood: {message}"), "")
            }
        };
        ConnectError::new(kind, why, repair)
    }

    /// For watches: names the verb, the resource and the rule that is missing.
    pub(super) fn explain_for(&self, kind: Kind, namespace: Option<&Name>) -> ConnectError {
        let resource = kind.plural();
        let place = match namespace {
            Some(namespace) => format!("in namespace {namespace}"),
            None => "cluster-wide".to_owned(),
        };
        match self {
            Trouble::Forbidden(message) => ConnectError {
                repair: Some(repair(kind, namespace, message)),
                ..ConnectError::new(
                    BlindKind::Refused,
                    format!("may not list and watch {resource} {place} (403): {}", or_nothing(message)),
                    "",
                )
            },
            Trouble::Absent => ConnectError::new(
                BlindKind::NotConfigured,
                format!("this API server has no {resource}.{} (404)", kind.group()),
                "",
            ),
            other => other.explain(),
        }
    }
}

/// How an admin lets a kind be watched; and what can be had without one.
fn repair(kind: Kind, namespace: Option<&Name>, message: &str) -> String {
    let grant = Grant {
        verbs: &["get", "list", "watch"],
        group: kind.group(),
        resource: kind.plural(),
        namespace: namespace.map(|namespace| &**namespace),
        user: refused_user(message),
    };
    let instead = match namespace {
        None if kind.is_namespaced() => "look at one namespace with -n, or let an admin run",
        _ => "let an admin run",
    };
    format!("{instead}: {}", grant.as_command())
}

fn connection_repair(message: &str) -> &'static str {
    let message = message.to_ascii_lowercase();
    if message.contains("refused") {
        "the server is down or restarting, or the port in the kubeconfig is wrong; trying again"
    } else if message.contains("certificate expired") || message.contains("certexpired") {
        "the API server's certificate has expired (kubeadm certs renew apiserver), or this machine's clock is wrong"
    } else if message.contains("not valid for") {
        "use a server name that the certificate has, or set tls-server-name in the kubeconfig"
    } else if message.contains("certificate") {
        "check certificate-authority in the kubeconfig, and the clock of this machine"
    } else if message.contains("dns") || message.contains("lookup") || message.contains("resolve") {
        "check the server's name in the kubeconfig, DNS and VPN"
    } else {
        "check the network and VPN; trying again"
    }
}

fn or_nothing(message: &str) -> &str {
    if message.is_empty() { "no reason given" } else { message }
}

fn words(raw: &str) -> String {
    let cut = raw.char_indices().nth(400).map_or(raw, |(end, _)| &raw[..end]);
    text::redact(&text::clean(cut))
}
