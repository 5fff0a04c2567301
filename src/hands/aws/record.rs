//! One record set of a hosted zone: written whole, put back whole, watched until Route 53 has spread it.

use std::time::Duration;

use aws_sdk_route53::types::{
    AliasTarget, Change, ChangeAction, ChangeBatch, ResourceRecord, ResourceRecordSet, RrType,
};
use serde_json::{Value, json};

use super::plan::{Plan, Receipt, Seen};
use crate::config::aws::{AwsError, AwsTrouble, Session, explain};
use crate::domain::{AwsDoes, RecordSet};
use crate::guard::{Guard, Hazard, Refusal};
use crate::probes::aws::dns;

/// Route 53 spreads a change within a minute.
const SPREAD: Duration = Duration::from_mins(3);

pub(super) async fn image(session: &Session, zone: &str, record: &RecordSet) -> Result<Value, AwsError> {
    let sets = dns::sets_of(session, zone, &record.name).await?;
    let mut found = sets.iter().filter(|set| set.r#type().as_str() == &*record.kind);
    let there = match found.next() {
        None => Value::Null,
        Some(set) => match dns::plain(set) {
            Ok(plain) => serde_json::to_value(normal(&plain)).unwrap_or_default(),
            Err(policy) => json!({"policy": policy}),
        },
    };
    Ok(json!({"zone": zone, "record": there}))
}

/// Names with their last dot, so that what was asked compares with what is shown.
fn normal(record: &RecordSet) -> RecordSet {
    let mut record = record.clone();
    record.name = dotted(&record.name).to_lowercase();
    if let Some(alias) = &mut record.alias {
        alias.dns_name = dotted(&alias.dns_name).to_lowercase();
    }
    record
}

fn dotted(name: &str) -> String {
    format!("{}.", name.trim_end_matches('.'))
}

fn old(before: &Value) -> Result<Option<RecordSet>, Refusal> {
    let there = before.get("record").unwrap_or(&Value::Null);
    if let Some(policy) = there.get("policy").and_then(Value::as_str) {
        return Err(Refusal::new(format!("the record {policy}")));
    }
    Ok(serde_json::from_value(there.clone()).ok())
}

pub(super) fn set(zone: &str, record: &RecordSet, before: Value) -> Result<Plan, Refusal> {
    if ["NS", "SOA"].contains(&&*record.kind) {
        return Err(Refusal::new("name servers of a zone are not changed from here"));
    }
    if record.alias.is_none() && record.values.is_empty() {
        return Err(Refusal::new("a record needs a value"));
    }
    let was = old(&before)?;
    let wanted = normal(record);
    if was.as_ref() == Some(&wanted) {
        return Err(Refusal::new(format!("it is so already: {}", wanted.says())));
    }
    let after = json!({"zone": zone, "record": wanted});
    let ttl = was.as_ref().and_then(|was| was.ttl).unwrap_or(60);
    let plan = Plan {
        title: format!("set {}", wanted.says()),
        targets: vec![format!("{} in zone {zone}", wanted.name.trim_end_matches('.'))],
        hazards: vec![Hazard::warn(
            Guard::Target,
            format!(
                "every user follows it; resolvers keep the old answer for up to {ttl} s, the way back takes as long"
            ),
        )],
        before,
        after,
        patience: Some(SPREAD),
        ..Plan::default()
    };
    Ok(match was {
        Some(was) => {
            let says = format!("{} again", was.says());
            plan.undo(AwsDoes::SetRecord { zone: zone.into(), record: was }, says)
        }
        None => plan.undo(
            AwsDoes::DeleteRecord { zone: zone.into(), record: wanted },
            "the record goes away again: there was none",
        ),
    })
}

pub(super) fn delete(zone: &str, record: &RecordSet, before: Value) -> Result<Plan, Refusal> {
    if ["NS", "SOA"].contains(&&*record.kind) {
        return Err(Refusal::new("name servers of a zone are not deleted from here"));
    }
    let wanted = normal(record);
    match old(&before)? {
        Some(was) if was == wanted => {}
        Some(was) => return Err(Refusal::new(format!("it is another one now: {}", was.says()))),
        None => return Err(Refusal::new("there is no such record")),
    }
    let plan = Plan {
        title: format!("delete {}", wanted.says()),
        targets: vec![format!("{} in zone {zone}", wanted.name.trim_end_matches('.'))],
        hazards: vec![Hazard::warn(Guard::Target, "the name stops resolving")],
        before,
        after: json!({"zone": zone, "record": null}),
        patience: Some(SPREAD),
        ..Plan::default()
    };
    let says = format!("{} again", wanted.says());
    Ok(plan.undo(AwsDoes::SetRecord { zone: zone.into(), record: wanted }, says))
}

#[expect(clippy::disallowed_methods, reason = "hands, with a Warrant")]
pub(super) async fn send(
    session: &Session,
    zone: &str,
    record: &RecordSet,
    upsert: bool,
) -> Result<Receipt, AwsError> {
    let built =
        |error: aws_sdk_route53::error::BuildError| AwsError::new(AwsTrouble::Refused, error.to_string());
    let action = if upsert { ChangeAction::Upsert } else { ChangeAction::Delete };
    let change =
        Change::builder().action(action).resource_record_set(rows(&normal(record)).map_err(built)?).build();
    let batch = ChangeBatch::builder().comment("covet-tui").changes(change.map_err(built)?).build();
    let sent = session
        .dns()
        .change_resource_record_sets()
        .hosted_zone_id(zone)
        .change_batch(batch.map_err(built)?)
        .send()
        .await
        .map_err(|error| explain(&error))?;
    Ok(Receipt(sent.change_info().map(|info| info.id().to_owned())))
}

fn rows(record: &RecordSet) -> Result<ResourceRecordSet, aws_sdk_route53::error::BuildError> {
    let mut set = ResourceRecordSet::builder().name(&record.name).r#type(RrType::from(&*record.kind));
    if let Some(alias) = &record.alias {
        let target = AliasTarget::builder()
            .hosted_zone_id(&*alias.zone)
            .dns_name(&alias.dns_name)
            .evaluate_target_health(alias.evaluate_health)
            .build()?;
        set = set.alias_target(target);
    } else {
        set = set.ttl(i64::from(record.ttl.unwrap_or(60)));
        for value in &record.values {
            set = set.resource_records(ResourceRecord::builder().value(value).build()?);
        }
    }
    set.build()
}

pub(super) async fn look(
    session: &Session,
    does: &AwsDoes,
    plan: &Plan,
    receipt: &Receipt,
) -> Result<Seen, AwsError> {
    if super::plan::image(session, does).await? != plan.after {
        return Ok(Seen::NotYet("Route 53 does not list it yet".into()));
    }
    let Some(id) = &receipt.0 else { return Ok(Seen::Yes("Route 53 lists it".into())) };
    let asked = session.dns().get_change().id(id).send().await.map_err(|error| explain(&error))?;
    let state = asked.change_info().map_or("PENDING", |info| info.status().as_str());
    Ok(match state {
        "INSYNC" => Seen::Yes("in sync on all name servers".into()),
        state => Seen::NotYet(format!("change {id} is {state}")),
    })
}
