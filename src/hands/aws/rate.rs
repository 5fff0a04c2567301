//! Limits by address in a web ACL: a rule more or less. The ACL is always written whole; AWS's lock token makes sure
//! that it is the ACL that was seen.

use serde_json::{Value, json};

use super::plan::Plan;
use super::refusal;
use crate::config::aws::{AwsError, Session};
use crate::domain::{AwsDoes, WafRef};
use crate::guard::{Guard, Hazard, Refusal};

/// What of a web ACL is written back beside its rules (AWS WAF API, `UpdateWebACL`).
const KEPT: [&str; 10] = [
    "DefaultAction",
    "Description",
    "VisibilityConfig",
    "DataProtectionConfig",
    "CustomResponseBodies",
    "CaptchaConfig",
    "ChallengeConfig",
    "TokenDomains",
    "AssociationConfig",
    "OnSourceDDoSProtectionConfig",
];

fn named(web_acl: &WafRef) -> Value {
    json!({"Name": &*web_acl.name, "Id": &*web_acl.id, "Scope": &*web_acl.scope})
}

async fn read(session: &Session, web_acl: &WafRef) -> Result<(Value, String), AwsError> {
    let asked = session.firewall(&web_acl.scope).look("GetWebACL", named(web_acl)).await?;
    let token = asked.get("LockToken").and_then(Value::as_str).unwrap_or_default().to_owned();
    Ok((asked.get("WebACL").cloned().unwrap_or_default(), token))
}

/// The rules, and the token of this very read.
pub(super) async fn image(session: &Session, web_acl: &WafRef) -> Result<(Value, String), AwsError> {
    let (acl, token) = read(session, web_acl).await?;
    let mut rules = acl.get("Rules").cloned().unwrap_or_default();
    drop_nulls(&mut rules);
    Ok((json!({"web_acl": &*web_acl.name, "rules": rules}), token))
}

/// Some emulators write what is not there.
fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, value| !value.is_null());
            fields.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

fn rules(image: &Value) -> Vec<Value> {
    image.get("rules").and_then(Value::as_array).cloned().unwrap_or_default()
}

fn is_named(rule: &Value, name: &str) -> bool {
    rule.get("Name").and_then(Value::as_str) == Some(name)
}

pub(super) async fn plan(session: &Session, does: &AwsDoes) -> Result<Plan, Refusal> {
    let (AwsDoes::LimitRate { web_acl, .. } | AwsDoes::UnlimitRate { web_acl, .. }) = does else {
        return Err(Refusal::new("this is no limit"));
    };
    let (before, token) = image(session, web_acl).await.map_err(refusal)?;
    let plan = Plan { targets: vec![web_acl.name.to_string()], token: Some(token), ..Plan::default() };
    match does {
        AwsDoes::LimitRate { path, limit, .. } => limited(web_acl, path, *limit, before, plan),
        AwsDoes::UnlimitRate { rule, .. } => unlimited(web_acl, rule, before, plan),
        _ => Err(Refusal::new("this is no limit")),
    }
}

fn limited(web_acl: &WafRef, path: &str, limit: u32, before: Value, mut plan: Plan) -> Result<Plan, Refusal> {
    if limit < AwsDoes::RATE_LEAST {
        return Err(Refusal::new(format!("a limit is {} requests at least", AwsDoes::RATE_LEAST)));
    }
    let rule = AwsDoes::limit_rule_name(path);
    let mut rules = rules(&before);
    if rules.iter().any(|known| is_named(known, &rule)) {
        return Err(Refusal::new(format!("{} has a rule {rule} already", web_acl.name))
            .repair("take that one away first"));
    }
    // Last: what other rules let through on purpose is not counted.
    let highest = rules.iter().filter_map(|rule| rule.get("Priority")?.as_u64()).max();
    let mut new = AwsDoes::limit_rule(path, limit);
    new["Priority"] = highest.map_or(0, |highest| highest + 1).into();
    rules.push(new);
    plan.after = before.clone();
    plan.after["rules"] = rules.into();
    plan.before = before;
    let minutes = AwsDoes::RATE_WINDOW / 60;
    plan.title = format!(
        "block whoever asks for {path} more than {limit} times in {minutes} minutes, at {}",
        web_acl.name
    );
    let shared = format!(
        "clients behind one address are counted as one: an office, a mobile carrier or our own NAT gateway with \
         more than {limit} requests to {path} in {minutes} minutes is shut out of it, too"
    );
    plan.hazards.push(Hazard::warn(Guard::Target, shared));
    let seen =
        "it counts the address that the firewall sees: behind a proxy or a content network, that one's own";
    plan.hazards.push(Hazard::note(Guard::Target, seen));
    let slow =
        format!("it begins to count now: who asks slowly is blocked only after up to {minutes} minutes");
    plan.hazards.push(Hazard::note(Guard::Target, slow));
    let back = AwsDoes::UnlimitRate { web_acl: web_acl.clone(), rule: rule.as_str().into() };
    Ok(plan.undo(back, format!("rule {rule} goes away: nobody is limited by it any more")))
}

fn unlimited(web_acl: &WafRef, rule: &str, before: Value, mut plan: Plan) -> Result<Plan, Refusal> {
    let mut rules = rules(&before);
    let count = rules.len();
    rules.retain(|known| !is_named(known, rule));
    if rules.len() == count {
        return Err(Refusal::new(format!("{} has no rule {rule}", web_acl.name)).repair("look at its rules"));
    }
    plan.after = before.clone();
    plan.after["rules"] = rules.into();
    plan.before = before;
    plan.title = format!("take rule {rule} out of {}", web_acl.name);
    Ok(plan)
}

#[expect(clippy::disallowed_methods, reason = "hands, with a Warrant")]
pub(super) async fn send(session: &Session, web_acl: &WafRef, plan: &Plan) -> Result<(), AwsError> {
    let (acl, _) = read(session, web_acl).await?;
    let mut body = named(web_acl);
    let kept = KEPT.into_iter().filter_map(|field| Some((field, acl.get(field)?)));
    for (field, value) in kept.filter(|(_, value)| !value.is_null() && value.as_str() != Some("")) {
        body[field] = value.clone();
    }
    body["Rules"] = rules(&plan.after).into();
    body["LockToken"] = json!(plan.token);
    session.firewall(&web_acl.scope).command("UpdateWebACL", body).await.map(drop)
}
