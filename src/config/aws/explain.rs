//! Why a call to AWS failed, in words, with what to do about it. Knows the SDKs' errors and AWS's codes; must
//! not know what the call was for.

use std::error::Error;

use aws_sdk_sts::error::{ProvideErrorMetadata, SdkError};

use crate::config::ConnectError;
use crate::domain::{BlindKind, text};

/// A call that did not work out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AwsError {
    pub kind: AwsTrouble,
    /// AWS's own word for it, e.g. `DryRunOperation`.
    pub code: Option<String>,
    /// In words for a tired person.
    pub says: String,
    pub repair: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AwsTrouble {
    /// No region, no credentials.
    NotConfigured,
    /// The credentials ended or are wrong.
    Credentials,
    /// A permission is missing.
    Forbidden,
    /// What was named does not exist (in this account and region).
    Absent,
    /// Somebody else wrote first.
    Conflict,
    /// Too many calls.
    Throttled,
    /// It is in another region or account.
    Elsewhere,
    /// No answer in time, or AWS failed: a write may have happened.
    Unanswered,
    /// Anything else AWS said.
    Refused,
}

impl AwsError {
    pub fn new(kind: AwsTrouble, says: impl AsRef<str>) -> Self {
        Self { kind, code: None, says: plain(says.as_ref()), repair: None }
    }

    #[must_use]
    pub fn repair(self, repair: impl Into<String>) -> Self {
        Self { repair: Some(repair.into()), ..self }
    }

    /// What an error code of AWS means.
    pub fn of_code(status: u16, code: &str, message: &str) -> Self {
        let (kind, repair) = classify(status, code);
        let says = match (kind, permission(message)) {
            (AwsTrouble::Forbidden, Some(action)) => format!("AWS does not allow {action} ({code})"),
            _ if message.is_empty() => format!("AWS said {code}"),
            _ => format!("AWS said {code}: {message}"),
        };
        let repair = match permission(message) {
            Some(action) if kind == AwsTrouble::Forbidden => {
                Some(format!("ask for an IAM policy that allows {action}"))
            }
            _ => repair.map(ToOwned::to_owned),
        };
        Self { kind, code: Some(code.to_owned()), says: plain(&says), repair }
    }

    pub fn is(&self, code: &str) -> bool {
        self.code.as_deref() == Some(code)
    }
}

impl std::fmt::Display for AwsError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.repair {
            Some(repair) => write!(f, "{}; {repair}", self.says),
            None => f.write_str(&self.says),
        }
    }
}

impl From<AwsError> for ConnectError {
    fn from(error: AwsError) -> Self {
        let kind = match error.kind {
            AwsTrouble::NotConfigured => BlindKind::NotConfigured,
            AwsTrouble::Credentials | AwsTrouble::Forbidden => BlindKind::Refused,
            AwsTrouble::Unanswered | AwsTrouble::Throttled => BlindKind::Unreachable,
            _ => BlindKind::Broken,
        };
        ConnectError::new(kind, &error.says, error.repair.as_deref().unwrap_or_default())
    }
}

/// An SDK's error in words.
pub fn explain<E>(error: &SdkError<E>) -> AwsError
where
    E: ProvideErrorMetadata + Error + 'static,
{
    match error {
        SdkError::ServiceError(answer) => {
            let status = answer.raw().status().as_u16();
            let code = answer.err().code().unwrap_or_default();
            let message = answer.err().message().unwrap_or_default();
            if code.is_empty() {
                return AwsError::of_code(status, &format!("HTTP {status}"), message);
            }
            AwsError::of_code(status, code, message)
        }
        SdkError::TimeoutError(_) => unanswered("AWS did not answer in time"),
        SdkError::ResponseError(answer) => {
            unanswered(&format!("AWS's answer is not understood ({})", answer.raw().status().as_u16()))
        }
        SdkError::ConstructionFailure(_) => {
            AwsError::new(AwsTrouble::Refused, format!("the request can't be built: {}", whole(error)))
        }
        other => of_chain(&whole(other)),
    }
}

/// Why there are no credentials.
pub(super) fn no_credentials(error: &(dyn Error + 'static), profile: Option<&str>) -> AwsError {
    of_words(&whole(error), profile)
}

fn of_words(words: &str, profile: Option<&str>) -> AwsError {
    let lower = words.to_lowercase();
    let option =
        profile.map(|name| format!(" --profile {}", crate::domain::shell_quote(name))).unwrap_or_default();
    if lower.contains("sso") && ["expired", "token", "cache"].iter().any(|word| lower.contains(word)) {
        return AwsError::new(AwsTrouble::Credentials, "the SSO session has ended, or never began")
            .repair(format!("run `aws sso login{option}`"));
    }
    AwsError::new(AwsTrouble::Credentials, format!("no AWS credentials: {}", last(words)))
        .repair(format!("set AWS_PROFILE or [aws] profile, and try `aws sts get-caller-identity{option}`"))
}

/// By the words of everything that led to it: credentials that could not be had, or no way to the host.
pub(super) fn of_chain(words: &str) -> AwsError {
    if words.to_lowercase().contains("credential") {
        return of_words(words, None);
    }
    unanswered(&format!("AWS can't be reached: {}", last(words)))
}

pub(super) fn unanswered(says: &str) -> AwsError {
    AwsError::new(AwsTrouble::Unanswered, says)
        .repair("check the network path to AWS, proxy and endpoint included")
}

fn classify(status: u16, code: &str) -> (AwsTrouble, Option<&'static str>) {
    use AwsTrouble::*;
    let any = |words: &[&str]| words.iter().any(|word| code.contains(word));
    if any(&["ExpiredToken", "RequestExpired"]) {
        return (Credentials, Some("the session has ended: log in again (`aws sso login`)"));
    }
    if any(&[
        "InvalidClientTokenId",
        "UnrecognizedClient",
        "SignatureDoesNotMatch",
        "AuthFailure",
        "InvalidAccessKeyId",
    ]) {
        return (
            Credentials,
            Some("the key is not known to AWS: check the profile, and this machine's clock"),
        );
    }
    if any(&["AccessDenied", "UnauthorizedOperation", "NotAuthorized", "Forbidden"]) || status == 403 {
        return (Forbidden, Some("ask for an IAM policy that allows it"));
    }
    if any(&["Throttl", "RequestLimitExceeded", "TooManyRequests", "SlowDown"]) || status == 429 {
        return (Throttled, Some("AWS limits the calls of this account: wait a little"));
    }
    if any(&["OptimisticLock", "Conflict", "ConcurrentModification", "StaleInfo", "PriorRequestNotComplete"])
    {
        return (Conflict, None);
    }
    if any(&["NotFound", "NoSuch", "Nonexistent", "Malformed", "ResourceNotFound"]) || status == 404 {
        return (Absent, Some("check the name, the account and the region"));
    }
    match status {
        500.. => (Unanswered, Some("AWS itself has trouble: see the health dashboard of the account")),
        _ => (Refused, None),
    }
}

/// `ec2:DescribeInstances` in "… is not authorized to perform: ec2:DescribeInstances on …".
fn permission(message: &str) -> Option<&str> {
    let (_, rest) = message.split_once("not authorized to perform: ")?;
    rest.split_whitespace().next()
}

fn whole(error: &(dyn Error + 'static)) -> String {
    let mut words = vec![error.to_string()];
    let mut next = error.source();
    while let Some(error) = next {
        words.push(error.to_string());
        next = error.source();
    }
    words.dedup();
    words.join(": ")
}

/// The innermost of a chain of words.
fn last(words: &str) -> &str {
    words.rsplit(": ").next().unwrap_or(words)
}

fn plain(words: &str) -> String {
    let words = text::redact(&text::clean(words)).split_whitespace().collect::<Vec<_>>().join(" ");
    match words.char_indices().nth(400) {
        Some((end, _)) => format!("{}…", &words[..end]),
        None => words,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_become_kinds_with_a_repair() {
        let says = "User: arn:aws:iam::1:user/ann is not authorized to perform: ec2:DescribeInstances on resource: *";
        let error = AwsError::of_code(403, "UnauthorizedOperation", says);
        assert_eq!(error.kind, AwsTrouble::Forbidden);
        assert_eq!(error.repair.as_deref(), Some("ask for an IAM policy that allows ec2:DescribeInstances"));
        for (status, code, kind) in [
            (400, "ExpiredTokenException", AwsTrouble::Credentials),
            (400, "InvalidInstanceID.NotFound", AwsTrouble::Absent),
            (400, "DBClusterNotFoundFault", AwsTrouble::Absent),
            (400, "WAFOptimisticLockException", AwsTrouble::Conflict),
            (400, "ThrottlingException", AwsTrouble::Throttled),
            (503, "ServiceUnavailable", AwsTrouble::Unanswered),
            (400, "IncorrectState", AwsTrouble::Refused),
        ] {
            assert_eq!(AwsError::of_code(status, code, "").kind, kind, "{code}");
        }
    }

    #[test]
    fn an_ended_sso_session_says_how_to_log_in() {
        let words =
            "an error occurred while loading credentials: the SSO token has expired and cannot be refreshed";
        let error = of_words(words, Some("ops"));
        assert_eq!(error.kind, AwsTrouble::Credentials);
        assert_eq!(error.repair.as_deref(), Some("run `aws sso login --profile ops`"));
        assert_eq!(of_chain("dispatch failure: connection refused").kind, AwsTrouble::Unanswered);
    }
}
