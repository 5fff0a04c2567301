//! Whether a secret can be rotated and when it was; its value is never asked for.

use serde_json::{Value, json};

use crate::config::aws::{AwsError, Session};
use crate::domain::{Timestamp, Tone, text};
use crate::probes::answer::Answer;

pub(super) async fn rotation(session: &Session, secret: &str) -> Result<Answer, AwsError> {
    let seen = session.secrets().look("DescribeSecret", json!({"SecretId": secret})).await?;
    let mut answer = Answer::new();
    let word = |name: &str| seen.get(name).and_then(Value::as_str).unwrap_or_default();
    let rotates = seen.get("RotationEnabled").and_then(Value::as_bool).unwrap_or_default();
    answer.line(Tone::Plain, format!("{} ({})", word("Name"), word("ARN")));
    if rotates {
        answer.line(Tone::Good, format!("rotates by {}", word("RotationLambdaARN")));
    } else {
        answer.line(Tone::Bad, "no rotation is set up: it cannot be rotated from here");
        answer.not_ok();
    }
    for (name, what) in [("LastRotatedDate", "last rotated"), ("LastChangedDate", "last changed")] {
        let at = seen.get(name).and_then(Value::as_f64);
        if let Some(at) = at.and_then(|at| Timestamp::from_second(at as i64).ok()) {
            answer.line(Tone::Plain, format!("{what} {at}"));
        }
    }
    let versions = seen.get("VersionIdsToStages").and_then(Value::as_object);
    for (version, stages) in versions.into_iter().flatten() {
        let stages: Vec<&str> = stages.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        answer.line(Tone::Plain, format!("version {version}: {}", stages.join(", ")));
        if stages.contains(&"AWSPREVIOUS") {
            answer.bind("secret_previous", version);
        }
    }
    let count = versions.map_or(0, serde_json::Map::len);
    let how = if rotates { "rotates" } else { "does not rotate" };
    answer.summary(format!("{secret} {how}; {}", text::count(count, "version")));
    Ok(answer)
}
