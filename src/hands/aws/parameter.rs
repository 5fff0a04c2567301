//! A number in an instance parameter group, such as max_connections. It is in force after a reboot, which is a
//! change of its own.

use serde_json::{Value, json};

use super::plan::{Plan, Seen};
use crate::config::aws::{AwsError, Session, Xml, words};
use crate::domain::AwsDoes;
use crate::guard::{Guard, Hazard, Refusal};
use crate::hands::Hands;

pub(super) async fn image(session: &Session, group: &str, parameter: &str) -> Result<Value, AwsError> {
    let is = |row: &&Xml| row.text("ParameterName") == parameter;
    let of_page = |page: &Xml| page.each("Parameters/Parameter").find(is).cloned();
    let asked = words(&[("DBParameterGroupName", group)]);
    Ok(match session.rds().seek("DescribeDBParameters", asked, of_page).await? {
        Some(found) => json!({
            "group": group,
            "parameter": parameter,
            "value": found.some("ParameterValue"),
            "source": found.some("Source"),
            "modifiable": found.some("IsModifiable").map(|word| word == "true"),
        }),
        None => json!({"group": group, "parameter": parameter, "value": null, "source": null}),
    })
}

/// Groups that come with RDS are read-only.
pub(super) fn ours(group: &str) -> Result<(), Refusal> {
    if group.starts_with("default.") {
        return Err(Refusal::new(format!("{group} belongs to AWS and cannot be changed"))
            .repair("give the instances a parameter group of their own first"));
    }
    Ok(())
}

pub(super) async fn plan(
    hands: &Hands,
    group: &str,
    parameter: &str,
    value: Option<u64>,
    may_lower: bool,
    before: Value,
) -> Result<Plan, Refusal> {
    if before.get("modifiable").and_then(Value::as_bool) == Some(false) {
        return Err(Refusal::new(format!("{parameter} cannot be changed")));
    }
    let text = |name: &str| before.get(name).and_then(Value::as_str).unwrap_or_default();
    let old = text("value").to_owned();
    let number: Option<u64> = old.parse().ok();
    // Without a number in the group the value is the engine's own, a formula of the instance's memory.
    let running = match number {
        Some(number) => Some(number),
        None if parameter == "max_connections" => running(hands).await,
        None => None,
    };
    let mut plan = Plan { targets: vec![format!("{parameter} in {group}")], ..Plan::default() };
    match (value, running) {
        (Some(value), Some(now)) if value <= now && !may_lower => {
            return Err(Refusal::new(format!(
                "{parameter} is {now}: {value} would lower it, or leave it so"
            ))
            .repair(format!("give more than {now}")));
        }
        (Some(_), None) if !may_lower => {
            let shown = if old.is_empty() { "the engine's default".to_owned() } else { format!("`{old}`") };
            let says = format!("it is {shown}, no number: compare with SHOW {parameter} before you go on");
            plan.hazards.push(Hazard::warn(Guard::Target, says));
        }
        _ => {}
    }
    let was = if old.is_empty() { "the engine's default".to_owned() } else { old.clone() };
    plan.title = match value {
        Some(value) => format!("set {parameter} in {group} to {value} (now {was}), in force after a reboot"),
        None => format!("give {parameter} in {group} its default again, in force after a reboot"),
    };
    plan.hazards.push(Hazard::note(
        Guard::Connections,
        "every connection takes memory; every instance of the group is meant, after its reboot",
    ));
    let mut after = before.clone();
    after["value"] = value.map_or(Value::Null, |value| json!(value.to_string()));
    after["source"] = if value.is_some() { json!("user") } else { json!("system") };
    let was_set = text("source") == "user";
    let back = AwsDoes::SetDatabaseParameter {
        group: group.into(),
        parameter: parameter.into(),
        value: number.filter(|_| was_set),
        may_lower: true,
    };
    Ok(Plan { before, after, ..plan }.undo(back, format!("{was} again, after another reboot")))
}

/// What the server itself says, when it can be asked.
async fn running(hands: &Hands) -> Option<u64> {
    hands.outside.database_url.as_ref()?;
    let session = hands.outside.database_session(Some(hands.cluster.client())).await.ok()?;
    let rows = session.ask("SHOW max_connections").await.ok()?;
    rows.first()?.number("max_connections")
}

#[expect(clippy::disallowed_methods, reason = "hands, with a Warrant")]
pub(super) async fn send(
    session: &Session,
    group: &str,
    parameter: &str,
    value: Option<u64>,
) -> Result<(), AwsError> {
    let mut asked = words(&[
        ("DBParameterGroupName", group),
        ("Parameters.Parameter.1.ParameterName", parameter),
        ("Parameters.Parameter.1.ApplyMethod", "pending-reboot"),
    ]);
    let action = match value {
        Some(value) => {
            asked.push(("Parameters.Parameter.1.ParameterValue".into(), value.to_string()));
            "ModifyDBParameterGroup"
        }
        None => {
            asked.push(("ResetAllParameters".into(), "false".into()));
            "ResetDBParameterGroup"
        }
    };
    session.rds().change(action, asked).await.map(drop)
}

pub(super) fn look(now: &Value, value: Option<u64>) -> Seen {
    let text = |name: &str| now.get(name).and_then(Value::as_str).unwrap_or_default();
    let done = match value {
        Some(value) => text("value") == value.to_string(),
        None => text("source") != "user",
    };
    if done {
        Seen::Yes("the group has it; it is in force after a reboot".into())
    } else {
        Seen::NotYet(format!("the group still has `{}`", text("value")))
    }
}
