//! What was done in the AWS account, by CloudTrail: refused calls, failed logins, keys and policies changed.

use std::time::Duration;

use serde_json::{Value, json};

use crate::config::aws::{AwsError, Session};
use crate::domain::{Timestamp, Tone, text};
use crate::probes::answer::Answer;

/// LookupEvents answers at most two questions a second, fifty events each.
const PAGES: usize = 10;
const PAUSE: Duration = Duration::from_millis(550);

/// Successful calls that open doors: an intruder's first ones.
const TELLING: [&str; 12] = [
    "CreateAccessKey",
    "CreateUser",
    "CreateLoginProfile",
    "UpdateLoginProfile",
    "AttachUserPolicy",
    "AttachRolePolicy",
    "PutUserPolicy",
    "PutRolePolicy",
    "DeactivateMFADevice",
    "StopLogging",
    "DeleteTrail",
    "AuthorizeSecurityGroupIngress",
];

pub(super) async fn read(session: &Session, window: Duration, now: Timestamp) -> Result<Answer, AwsError> {
    let from = now.checked_sub(window).unwrap_or(now);
    let mut token: Option<String> = None;
    let (mut seen, mut refused, mut telling) = (0, 0, 0);
    let mut answer = Answer::new();
    for page in 0..PAGES {
        if page > 0 {
            tokio::time::sleep(PAUSE).await;
        }
        let mut body = json!({"StartTime": from.as_second(), "EndTime": now.as_second(), "MaxResults": 50});
        if let Some(token) = &token {
            body["NextToken"] = json!(token);
        }
        let found = session.trail().look("LookupEvents", body).await?;
        for event in found.get("Events").and_then(Value::as_array).into_iter().flatten() {
            seen += 1;
            let Some(call) = Call::of(event) else { continue };
            if call.is_refused() {
                refused += 1;
                answer.line(Tone::Bad, call.says());
            } else if TELLING.contains(&call.name.as_str()) {
                telling += 1;
                answer.line(Tone::Bad, format!("{} (opens doors)", call.says()));
            }
        }
        token = found.get("NextToken").and_then(Value::as_str).map(ToOwned::to_owned);
        if token.is_none() {
            break;
        }
    }
    if token.is_some() {
        answer.line(Tone::Dim, "there are more events: use CloudTrail's log group for the whole window");
    }
    answer.bind("account_denials", refused.to_string());
    answer.summary(format!("{refused} refused and {telling} telling of {}", text::count(seen, "call")));
    Ok(answer)
}

struct Call {
    at: String,
    name: String,
    error: Option<String>,
    who: String,
    from: String,
}

impl Call {
    fn of(event: &Value) -> Option<Call> {
        let whole: Value = serde_json::from_str(event.get("CloudTrailEvent")?.as_str()?).ok()?;
        let text = |path: &str| whole.pointer(path).and_then(Value::as_str).map(ToOwned::to_owned);
        let failed = text("/responseElements/ConsoleLogin").filter(|word| word == "Failure");
        Some(Call {
            at: text("/eventTime").unwrap_or_default(),
            name: text("/eventName").unwrap_or_default(),
            error: text("/errorCode").or(failed),
            who: text("/userIdentity/arn").or(text("/userIdentity/userName")).unwrap_or_else(|| "?".into()),
            from: text("/sourceIPAddress").unwrap_or_default(),
        })
    }

    fn is_refused(&self) -> bool {
        self.error.as_deref().is_some_and(|error| {
            ["AccessDenied", "Unauthorized", "Failure", "InvalidClientTokenId"]
                .iter()
                .any(|word| error.contains(word))
        })
    }

    fn says(&self) -> String {
        let error = self.error.as_deref().map(|error| format!(" ({error})")).unwrap_or_default();
        format!("{} {}{error} by {} from {}", self.at, self.name, self.who, self.from)
    }
}
