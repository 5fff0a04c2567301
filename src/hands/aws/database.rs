//! Instances of a database at RDS: another class, a reboot, another writer.

use serde_json::{Value, json};

use super::plan::{Plan, Receipt, Seen};
use crate::config::aws::{AwsError, Session, find_cluster, find_instance, words};
use crate::domain::AwsDoes;
use crate::guard::{Guard, Hazard, Refusal};

pub(super) async fn instance_image(session: &Session, instance: &str) -> Result<Value, AwsError> {
    let found = find_instance(session, instance).await?;
    let (group, status) = found.parameters.unzip();
    Ok(json!({
        "instance": instance,
        "class": found.class,
        "waiting_class": found.waiting_class,
        "state": found.status,
        "parameters": group,
        "parameters_are": status,
    }))
}

pub(super) async fn cluster_image(session: &Session, cluster: &str) -> Result<Value, AwsError> {
    let found = find_cluster(session, Some(cluster), None).await?;
    let mut readers: Vec<&str> =
        found.members.iter().filter(|member| !member.writer).map(|member| member.name.as_str()).collect();
    readers.sort_unstable();
    Ok(json!({
        "cluster": cluster,
        "state": found.status,
        "writer": found.writer().map(|writer| writer.name.as_str()),
        "readers": readers,
    }))
}

fn state(image: &Value) -> &str {
    image.get("state").and_then(Value::as_str).unwrap_or_default()
}

fn available(name: &str, image: &Value) -> Result<(), Refusal> {
    match state(image) {
        "available" => Ok(()),
        state => Err(Refusal::new(format!("{name} is {state}, not available")).repair("wait until it is")),
    }
}

pub(super) fn class(instance: &str, class: &str, before: Value) -> Result<Plan, Refusal> {
    available(instance, &before)?;
    let old = before.get("class").and_then(Value::as_str).unwrap_or_default().to_owned();
    if old == class {
        return Err(Refusal::new(format!("{instance} has the class {class} already")));
    }
    let mut after = before.clone();
    after["class"] = json!(class);
    let plan = Plan {
        title: format!("give {instance} the class {class} instead of {old}"),
        targets: vec![instance.to_owned()],
        hazards: vec![Hazard::warn(
            Guard::Connections,
            "the instance restarts: minutes without it, unless a reader takes over; all its connections end",
        )],
        before,
        after,
        ..Plan::default()
    };
    let back = AwsDoes::SetDatabaseClass { instance: instance.into(), class: old.as_str().into() };
    Ok(plan.undo(back, format!("{old} again, with another restart")))
}

pub(super) fn reboot(instance: &str, before: Value) -> Result<Plan, Refusal> {
    available(instance, &before)?;
    let waits = before.get("parameters_are").and_then(Value::as_str) == Some("pending-reboot");
    let mut after = before.clone();
    if waits {
        after["parameters_are"] = json!("in-sync");
    }
    let note = if waits { "parameters that wait come into force" } else { "no parameter waits for a reboot" };
    Ok(Plan {
        title: format!("reboot {instance}"),
        targets: vec![instance.to_owned()],
        hazards: vec![
            Hazard::warn(Guard::Connections, "all its connections end; it is away for a minute or more"),
            Hazard::note(Guard::Target, note),
        ],
        before,
        after,
        ..Plan::default()
    })
}

pub(super) fn fail_over(cluster: &str, before: Value) -> Result<Plan, Refusal> {
    available(cluster, &before)?;
    let readers = before.get("readers").and_then(Value::as_array).map_or(0, Vec::len);
    if readers == 0 {
        return Err(Refusal::new(format!("{cluster} has no reader that could take over"))
            .repair("reboot its instance instead"));
    }
    let writer = before.get("writer").and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut after = before.clone();
    after["writer"] = json!("one of the readers");
    Ok(Plan {
        title: format!("let a reader of {cluster} take over from {writer}"),
        targets: vec![cluster.to_owned()],
        hazards: vec![Hazard::warn(
            Guard::Connections,
            "connections to the writer end; it takes half a minute until the endpoint leads to the new one",
        )],
        before,
        after,
        ..Plan::default()
    })
}

#[expect(clippy::disallowed_methods, reason = "hands, with a Warrant")]
pub(super) async fn send_class(session: &Session, instance: &str, class: &str) -> Result<(), AwsError> {
    let asked = words(&[
        ("DBInstanceIdentifier", instance),
        ("DBInstanceClass", class),
        ("ApplyImmediately", "true"),
    ]);
    session.rds().change("ModifyDBInstance", asked).await.map(drop)
}

#[expect(clippy::disallowed_methods, reason = "hands, with a Warrant")]
pub(super) async fn send_reboot(session: &Session, instance: &str) -> Result<Receipt, AwsError> {
    let asked = words(&[("DBInstanceIdentifier", instance)]);
    let sent = session.rds().change("RebootDBInstance", asked).await?;
    Ok(Receipt(sent.some("DBInstance/DBInstanceStatus").map(ToOwned::to_owned)))
}

#[expect(clippy::disallowed_methods, reason = "hands, with a Warrant")]
pub(super) async fn send_fail_over(session: &Session, cluster: &str) -> Result<(), AwsError> {
    let asked = words(&[("DBClusterIdentifier", cluster)]);
    session.rds().change("FailoverDBCluster", asked).await.map(drop)
}

pub(super) fn look_class(now: &Value, class: &str) -> Seen {
    let is = |name: &str| now.get(name).and_then(Value::as_str) == Some(class);
    match state(now) {
        "available" if is("class") => Seen::Yes(format!("it has the class {class}")),
        other => Seen::NotYet(format!("it is {other}")),
    }
}

pub(super) fn look_reboot(now: &Value) -> Seen {
    match state(now) {
        "available" => {
            let parameters = now.get("parameters_are").and_then(Value::as_str).unwrap_or("in-sync");
            Seen::Yes(format!("RDS took the reboot, it is available again, parameters are {parameters}"))
        }
        other => Seen::NotYet(format!("it is {other}")),
    }
}

pub(super) fn look_fail_over(now: &Value, plan: &Plan) -> Seen {
    let writer = |image: &Value| image.get("writer").and_then(Value::as_str).unwrap_or_default().to_owned();
    let (old, new) = (writer(&plan.before), writer(now));
    match state(now) {
        "available" if !new.is_empty() && new != old => Seen::Yes(format!("{new} is the writer")),
        other => Seen::NotYet(format!("{new} is the writer, the cluster is {other}")),
    }
}
