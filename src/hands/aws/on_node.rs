//! Restarting a service on a node's machine through SSM, for whoever has no SSH.

use std::time::Duration;

use serde_json::{Value, json};

use super::plan::{Plan, Receipt, Seen};
use crate::config::aws::{AwsError, Session, words};
use crate::domain::NodeService;
use crate::guard::{Guard, Hazard};
use crate::probes::aws::machine;

pub(super) async fn image(session: &Session, instance: &str) -> Result<Value, AwsError> {
    let asked = words(&[("InstanceId.1", instance)]);
    let found = session.ec2().describe("DescribeInstances", asked).await?;
    let row = found.at("reservationSet/item/instancesSet/item").cloned().unwrap_or_default();
    Ok(json!({
        "instance": instance,
        "state": row.text("instanceState/name"),
        "owner": found.text("reservationSet/item/ownerId"),
    }))
}

pub(super) fn plan(instance: &str, service: NodeService, before: Value) -> Plan {
    let text = |name: &str| before.get(name).and_then(Value::as_str).unwrap_or_default();
    let state = text("state");
    let stopped = (state != "running")
        .then(|| Hazard::stop(Guard::Target, format!("{instance} is {state}: no command runs there")));
    let says = match service {
        NodeService::Kubelet => "pods stay; probes and starts pause for some seconds",
        NodeService::Containerd => "containers stay; nothing starts or stops for some seconds",
    };
    let commands = service.commands();
    let plan = Plan {
        title: format!("on {instance}: {}", commands.first().copied().unwrap_or_default()),
        targets: vec![instance.to_owned()],
        owner: Some(text("owner").to_owned()).filter(|owner| !owner.is_empty()),
        hazards: vec![Hazard::note(Guard::Target, says)],
        after: {
            let mut after = before.clone();
            after["runs"] = json!(commands);
            after
        },
        before,
        patience: Some(Duration::from_secs(10)),
        ..Plan::default()
    };
    plan.hazard(stopped)
}

/// Waits for the command's end; what it said is the receipt.
#[expect(clippy::disallowed_methods, reason = "hands, with a Warrant")]
pub(super) async fn send(
    session: &Session,
    instance: &str,
    service: NodeService,
) -> Result<Receipt, AwsError> {
    let ran = machine::run(session, instance, service.commands()).await?;
    let output = format!("{} {}", ran.output.trim(), ran.errors.trim());
    Ok(Receipt(Some(format!("{}\n{}", ran.status, output.trim()))))
}

pub(super) fn look(receipt: &Receipt) -> Seen {
    let Some((status, output)) = receipt.0.as_deref().and_then(|text| text.split_once('\n')) else {
        return Seen::NotYet("SSM did not say how it ended".into());
    };
    let output = output.lines().last().unwrap_or_default();
    match status {
        // The last command tells whether the service is active, and fails when it is not.
        "Success" => {
            Seen::Yes(format!("SSM says Success ({})", if output.is_empty() { "no output" } else { output }))
        }
        other => Seen::No(format!("SSM says {other}: {output}")),
    }
}
