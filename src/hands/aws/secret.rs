//! Rotating a secret in Secrets Manager, and going back to the version before. Its value is never read.

use serde_json::{Value, json};

use super::plan::{Plan, Seen};
use crate::config::aws::{AwsError, Session};
use crate::domain::AwsDoes;
use crate::guard::{Guard, Hazard, Refusal};

/// Which version is current; stages, no values.
pub(super) async fn image(session: &Session, secret: &str) -> Result<Value, AwsError> {
    let body = json!({"SecretId": secret});
    let seen = session.secrets().look("DescribeSecret", body).await?;
    let staged = |stage: &str| {
        let versions = seen.get("VersionIdsToStages").and_then(Value::as_object)?;
        let is =
            |stages: &Value| stages.as_array().is_some_and(|stages| stages.iter().any(|one| one == stage));
        versions.iter().find(|(_, stages)| is(stages)).map(|(version, _)| version.clone())
    };
    Ok(json!({
        "named": secret,
        "rotates": seen.get("RotationEnabled").and_then(Value::as_bool).unwrap_or_default(),
        "deleted": seen.get("DeletedDate").is_some_and(|at| !at.is_null()),
        "current": staged("AWSCURRENT"),
        "pending": staged("AWSPENDING"),
    }))
}

fn current(image: &Value) -> &str {
    image.get("current").and_then(Value::as_str).unwrap_or_default()
}

pub(super) fn rotate(secret: &str, before: Value) -> Result<Plan, Refusal> {
    if before.get("rotates").and_then(Value::as_bool) != Some(true) {
        return Err(Refusal::new(format!("{secret} has no rotation set up"))
            .repair("rotate it with the team's own script, or set up a rotation function"));
    }
    let pending = before.get("pending").and_then(Value::as_str);
    if pending.is_some_and(|pending| pending != current(&before)) {
        return Err(Refusal::new(format!("a rotation of {secret} is under way"))
            .repair("look at its rotation function's log"));
    }
    let old = current(&before).to_owned();
    let mut after = before.clone();
    after["current"] = json!("a new version");
    let plan = Plan {
        title: format!("rotate {secret}"),
        targets: vec![secret.to_owned()],
        hazards: vec![
            Hazard::warn(
                Guard::Target,
                "whatever was signed with the old one ends, unless both are accepted for a while",
            ),
            Hazard::note(
                Guard::Target,
                "pods see it only after the ExternalSecret is synchronised and they restart",
            ),
        ],
        before,
        after,
        ..Plan::default()
    };
    if old.is_empty() {
        return Ok(plan);
    }
    let back = AwsDoes::RestoreSecret { secret: secret.to_owned(), version: old.as_str().into() };
    Ok(plan.undo(back, format!("version {old} is current again")))
}

pub(super) fn restore(secret: &str, version: &str, before: Value) -> Result<Plan, Refusal> {
    if current(&before) == version {
        return Err(Refusal::new(format!("{version} is the current version already")));
    }
    let now = current(&before).to_owned();
    let mut after = before.clone();
    after["current"] = json!(version);
    let plan = Plan {
        title: format!("make version {version} of {secret} the current one again"),
        targets: vec![secret.to_owned()],
        hazards: vec![Hazard::warn(Guard::Target, "whoever knows the older secret can use it again")],
        before,
        after,
        ..Plan::default()
    };
    let back = AwsDoes::RestoreSecret { secret: secret.to_owned(), version: now.as_str().into() };
    Ok(plan.undo(back, format!("version {now} is current again")))
}

#[expect(clippy::disallowed_methods, reason = "hands, with a Warrant")]
pub(super) async fn send_rotation(session: &Session, secret: &str) -> Result<(), AwsError> {
    // A token of our own: were the call ever repeated, it would rotate once.
    let token = uuid::Uuid::now_v7().to_string();
    let body = json!({"SecretId": secret, "ClientRequestToken": token, "RotateImmediately": true});
    session.secrets().command("RotateSecret", body).await.map(drop)
}

#[expect(clippy::disallowed_methods, reason = "hands, with a Warrant")]
pub(super) async fn send_restore(
    session: &Session,
    secret: &str,
    version: &str,
    plan: &Plan,
) -> Result<(), AwsError> {
    let body = json!({
        "SecretId": secret,
        "VersionStage": "AWSCURRENT",
        "MoveToVersionId": version,
        "RemoveFromVersionId": current(&plan.before),
    });
    session.secrets().command("UpdateSecretVersionStage", body).await.map(drop)
}

pub(super) fn look(now: &Value, plan: &Plan) -> Seen {
    let (old, new) = (current(&plan.before), current(now));
    let pending = now.get("pending").and_then(Value::as_str);
    if !new.is_empty() && new != old && pending.is_none_or(|pending| pending == new) {
        Seen::Yes(format!("version {new} is current"))
    } else {
        Seen::NotYet("its rotation function is at work".into())
    }
}

pub(super) fn look_restore(now: &Value, version: &str) -> Seen {
    if current(now) == version {
        Seen::Yes(format!("version {version} is current"))
    } else {
        Seen::NotYet(format!("version {} is current", current(now)))
    }
}
