//! Why a call to the API server failed, in words, with what to do about it. Knows kube's errors and the
//! API server's phrases; must not know what the call was for.

use std::sync::LazyLock;
use std::time::Duration;

use regex::Regex;

use crate::domain::{Grant, text};

/// A call that did not work out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Trouble {
    pub kind: TroubleKind,
    /// In words for a tired person.
    pub says: String,
    pub repair: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TroubleKind {
    /// 404.
    Absent,
    /// 409: somebody else wrote first, or another field manager owns it.
    Conflict,
    /// 429: a disruption budget, or the server protects itself.
    TooMany,
    /// 401 or 403.
    Forbidden,
    /// 422 or 400: the object would be invalid.
    Invalid,
    /// No answer within the time, a broken connection or a failing server: a write may have happened.
    Unanswered,
    /// 400: an admission webhook with side effects cannot be asked to pretend.
    NoDryRun,
    /// Anything else the server said.
    Refused,
}

impl Trouble {
    pub fn unanswered(after: Duration) -> Self {
        Self {
            kind: TroubleKind::Unanswered,
            says: format!("the API server did not answer within {}", text::span(after)),
            repair: Some("check the connection to the API server".into()),
        }
    }

    pub fn is(&self, kind: TroubleKind) -> bool {
        self.kind == kind
    }
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.repair {
            Some(repair) => write!(f, "{}; {repair}", self.says),
            None => f.write_str(&self.says),
        }
    }
}

impl From<kube::Error> for Trouble {
    fn from(error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => of_status(status.code, &status.message),
            kube::Error::Auth(error) => Self {
                kind: TroubleKind::Forbidden,
                says: plain(&format!("logging in to the cluster failed: {error}")),
                repair: Some("renew the credentials of this context".into()),
            },
            kube::Error::SerdeError(error) => Self {
                kind: TroubleKind::Refused,
                says: plain(&format!("the API server's answer is not what was expected: {error}")),
                repair: None,
            },
            kube::Error::BuildRequest(error) => Self {
                kind: TroubleKind::Invalid,
                says: plain(&format!("the request can't be built: {error}")),
                repair: None,
            },
            other => Self {
                kind: TroubleKind::Unanswered,
                says: plain(&format!("no answer from the API server: {}", innermost(&other))),
                repair: Some("check the connection to the API server".into()),
            },
        }
    }
}

fn of_status(code: u16, message: &str) -> Trouble {
    let message = plain(message);
    let (kind, says, repair) = match code {
        404 => (TroubleKind::Absent, message, None),
        401 => (
            TroubleKind::Forbidden,
            "the API server does not accept our credentials (401)".into(),
            Some("renew the credentials of this context".into()),
        ),
        403 => match rbac(&message) {
            Some((says, rule)) => (TroubleKind::Forbidden, says, Some(rule)),
            None => (TroubleKind::Forbidden, message, None),
        },
        409 if message.starts_with("Apply failed with") => {
            (TroubleKind::Conflict, message, Some("apply with force to take these fields over".into()))
        }
        409 => (TroubleKind::Conflict, message, None),
        429 => (TroubleKind::TooMany, message, None),
        400 if message.contains("does not support dry run") => {
            (TroubleKind::NoDryRun, message, Some("what would happen can only be computed, not tried".into()))
        }
        415 => {
            let repair = "custom resources take no strategic merge patch: use type merge or json";
            (TroubleKind::Invalid, message, Some(repair.into()))
        }
        400 | 422 => (TroubleKind::Invalid, message, None),
        // Said before anything is written, though by the number it is the server's failure.
        500 if message.contains("more than one PodDisruptionBudget") => {
            let repair = "let only one budget select the pod: kubectl get pdb";
            (TroubleKind::Refused, message, Some(repair.into()))
        }
        500 if message.contains("failed calling webhook") => {
            let repair = "the webhook's service is down, or its certificate has expired: look at it first";
            (TroubleKind::Refused, message, Some(repair.into()))
        }
        // The server gave up half-way: whether a write happened, only a read can tell.
        500.. => (TroubleKind::Unanswered, format!("the API server failed ({code}): {message}"), None),
        _ => (TroubleKind::Refused, format!("the API server said {code}: {message}"), None),
    };
    Trouble { kind, says, repair }
}

/// Who may not do what, and the rule that would let them.
fn rbac(message: &str) -> Option<(String, String)> {
    static PHRASE: LazyLock<Option<Regex>> = LazyLock::new(|| {
        Regex::new(
            r#"User "([^"]*)" cannot (\S+) resource "([^"]*)" in API group "([^"]*)"(?: in the namespace "([^"]*)")?"#,
        )
        .ok()
    });
    let found = PHRASE.as_ref()?.captures(message)?;
    let (user, verb, resource, group) = (&found[1], &found[2], &found[3], &found[4]);
    let namespace = found.get(5).map(|space| space.as_str());
    let place = namespace.map_or("in the whole cluster".into(), |space| format!("in {space}"));
    let grant = Grant { verbs: &[verb], group, resource, namespace, user: Some(user) };
    // `pods` are not the pods of metrics.k8s.io.
    let named = if group.is_empty() { resource.to_owned() } else { format!("{resource}.{group}") };
    let says = format!("{user} may not {verb} {named} {place}");
    Some((says, format!("let an admin run: {}", grant.as_command())))
}

fn innermost(error: &dyn std::error::Error) -> String {
    let mut last = error;
    while let Some(inner) = last.source() {
        last = inner;
    }
    last.to_string()
}

fn plain(words: &str) -> String {
    text::redact(&text::clean(words)).split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_verb_names_the_rule_it_takes() {
        let trouble = of_status(
            403,
            r#"pods "a" is forbidden: User "ann" cannot delete resource "pods" in API group "" in the namespace "shop""#,
        );
        assert_eq!(trouble.kind, TroubleKind::Forbidden);
        assert_eq!(trouble.says, "ann may not delete pods in shop");
        assert_eq!(
            trouble.repair.as_deref(),
            Some(
                "let an admin run: kubectl create role covet-tui-delete-pods -n shop --verb=delete --resource=pods && \
                 kubectl create rolebinding covet-tui-delete-pods -n shop --role=covet-tui-delete-pods --user=ann"
            )
        );
    }

    #[test]
    fn what_is_refused_is_named_with_its_group() {
        let trouble = of_status(
            403,
            r#"pods.metrics.k8s.io is forbidden: User "ann" cannot list resource "pods" in API group "metrics.k8s.io" in the namespace "shop""#,
        );
        assert_eq!(trouble.says, "ann may not list pods.metrics.k8s.io in shop");
    }

    #[test]
    fn what_was_certainly_not_written_is_not_called_unanswered() {
        let budgets = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.";
        for (code, message, kind) in [
            (500, budgets, TroubleKind::Refused),
            (
                500,
                "Internal error occurred: failed calling webhook \"a.b\": x509: expired",
                TroubleKind::Refused,
            ),
            (500, "etcdserver: request timed out", TroubleKind::Unanswered),
            (400, "admission webhook \"a.b\" does not support dry run", TroubleKind::NoDryRun),
            (415, "the body of the request was in an unknown format", TroubleKind::Invalid),
            (
                409,
                "Apply failed with 1 conflict: conflict with \"helm\": .spec.replicas",
                TroubleKind::Conflict,
            ),
        ] {
            let trouble = of_status(code, message);
            assert_eq!(trouble.kind, kind, "{message}");
            assert_eq!(trouble.repair.is_some(), kind != TroubleKind::Unanswered, "{message}");
        }
    }
}
