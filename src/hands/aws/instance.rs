//! Replacing a node's machine: terminated, and made anew by its Auto Scaling group. Without a group nothing
//! makes a new one, and the preview says so.

use serde_json::{Value, json};

use super::plan::{Plan, Seen};
use crate::config::aws::{AwsError, Session, words};
use crate::guard::{Guard, Hazard, Refusal};

pub(super) async fn image(session: &Session, instance: &str) -> Result<Value, AwsError> {
    let asked = words(&[("InstanceId.1", instance)]);
    let found = session.ec2().describe("DescribeInstances", asked).await?;
    let owner = found.text("reservationSet/item/ownerId");
    let row = found.at("reservationSet/item/instancesSet/item").cloned().unwrap_or_default();
    let asked = words(&[("InstanceIds.member.1", instance)]);
    let placed = session.autoscaling().describe("DescribeAutoScalingInstances", asked).await?;
    let place = placed.at("AutoScalingInstances/member");
    Ok(json!({
        "instance": instance,
        "state": row.text("instanceState/name"),
        "type": row.text("instanceType"),
        "zone": row.text("placement/availabilityZone"),
        "name": row.tag("Name"),
        "karpenter": row.tag("karpenter.sh/nodepool"),
        "owner": owner,
        "group": place.and_then(|place| place.some("AutoScalingGroupName")),
        "lifecycle": place.and_then(|place| place.some("LifecycleState")),
    }))
}

pub(super) async fn plan(session: &Session, instance: &str, before: Value) -> Result<Plan, Refusal> {
    let text = |name: &str| before.get(name).and_then(Value::as_str).unwrap_or_default();
    let state = text("state");
    if state.is_empty() {
        return Err(Refusal::new(format!("EC2 does not know {instance} in {}", session.region)));
    }
    if ["terminated", "shutting-down"].contains(&state) {
        return Err(Refusal::new(format!("{instance} is {state} already")).repair("wait for the new node"));
    }
    let mut plan = Plan {
        owner: Some(text("owner").to_owned()).filter(|owner| !owner.is_empty()),
        targets: vec![format!("{instance} ({} in {})", text("type"), text("zone"))],
        ..Plan::default()
    };
    let mut after = before.clone();
    after["state"] = json!("terminated");
    after["lifecycle"] = Value::Null;
    if !text("karpenter").is_empty() {
        let says = "Karpenter made it: delete its NodeClaim, and Karpenter drains and replaces it";
        plan.hazards.push(Hazard::stop(Guard::Target, says));
    }
    match text("group") {
        "" => {
            after["group"] = Value::Null;
            plan.title = format!("terminate {instance}; nothing replaces it");
            let says = "it is in no Auto Scaling group: no machine comes in its place";
            plan.hazards.push(Hazard::warn(Guard::LastReplica, says));
        }
        group => {
            plan.title = format!("terminate {instance}; its group {group} makes a new one");
            plan.hazards.extend(of_group(session, group).await);
        }
    }
    plan.hazards.push(Hazard::note(Guard::Evidence, "its log and local data are gone with it"));
    Ok(Plan { before, after, ..plan })
}

/// What keeps a group from making a new one.
async fn of_group(session: &Session, name: &str) -> Vec<Hazard> {
    let asked = words(&[("AutoScalingGroupNames.member.1", name)]);
    let found = match session.autoscaling().describe("DescribeAutoScalingGroups", asked).await {
        Ok(found) => found,
        Err(error) => {
            let says = format!("the group {name} could not be looked at: {error}");
            return vec![Hazard::warn(Guard::LastReplica, says)];
        }
    };
    let Some(group) = found.at("AutoScalingGroups/member") else { return Vec::new() };
    let mut hazards = Vec::new();
    if group.each("SuspendedProcesses/member").any(|process| process.text("ProcessName") == "Launch") {
        let says = format!("{name} has the process Launch suspended: no machine comes in its place");
        hazards.push(Hazard::stop(Guard::LastReplica, says));
    }
    let desired = group.text("DesiredCapacity");
    hazards.push(Hazard::note(Guard::LastReplica, format!("{name} keeps {desired} machines")));
    hazards
}

fn in_group(plan: &Plan) -> bool {
    plan.before.get("group").and_then(Value::as_str).is_some_and(|group| !group.is_empty())
}

/// Auto Scaling has no dry run; EC2's tells at least whether the machine could be terminated.
pub(super) async fn rehearse(session: &Session, instance: &str, plan: &Plan) -> Result<(), AwsError> {
    if in_group(plan) {
        return Ok(());
    }
    terminate(session, instance, true).await
}

#[expect(clippy::disallowed_methods, reason = "hands, with a Warrant")]
pub(super) async fn send(session: &Session, instance: &str, plan: &Plan) -> Result<(), AwsError> {
    if !in_group(plan) {
        return terminate(session, instance, false).await;
    }
    let asked = words(&[("InstanceId", instance), ("ShouldDecrementDesiredCapacity", "false")]);
    session.autoscaling().change("TerminateInstanceInAutoScalingGroup", asked).await.map(drop)
}

#[expect(clippy::disallowed_methods, reason = "hands, with a Warrant")]
async fn terminate(session: &Session, instance: &str, dry: bool) -> Result<(), AwsError> {
    let asked = words(&[("InstanceId.1", instance)]);
    session.ec2().change_or_rehearse("TerminateInstances", asked, dry).await.map(drop)
}

pub(super) fn look(now: &Value, plan: &Plan) -> Seen {
    let state = now.get("state").and_then(Value::as_str).unwrap_or_default();
    match state {
        // An hour after its end, EC2 has forgotten it.
        "terminated" | "shutting-down" | "" => {
            let group = plan.before.get("group").and_then(Value::as_str).unwrap_or_default();
            let after = if group.is_empty() { String::new() } else { format!("; {group} makes a new one") };
            Seen::Yes(format!("it is {}{after}", if state.is_empty() { "gone" } else { state }))
        }
        // Its lifecycle hooks may hold it for a while.
        other => Seen::NotYet(format!("it is still {other}")),
    }
}
