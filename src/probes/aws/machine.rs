//! A node's machine at EC2: its checks, its state, its group, its disks, and what it says of itself through SSM.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::config::aws::{AwsError, AwsTrouble, Session, Xml, words};
use crate::domain::{Name, NodeQuestion, Tone, cause, text};
use crate::probes::answer::Answer;

/// How long a command on a machine may take, with its way there and back.
pub const COMMAND: Duration = Duration::from_secs(45);

pub(super) async fn health(session: &Session, instance: &Name) -> Result<Answer, AwsError> {
    let asked = words(&[("InstanceId.1", instance), ("IncludeAllInstances", "true")]);
    let found = session.ec2().describe("DescribeInstanceStatus", asked).await?;
    let Some(row) = found.each("instanceStatusSet/item").next() else {
        return Ok(Answer::failed(&format!("EC2 has no status for {instance} in {}", session.region)));
    };
    let (system, own) = (row.text("systemStatus/status"), row.text("instanceStatus/status"));
    let state = row.text("instanceState/name");
    let mut answer = Answer::new();
    let tone = |ok: bool| if ok { Tone::Good } else { Tone::Bad };
    answer.line(tone(state == "running"), format!("state            {state}"));
    answer.line(tone(system == "ok"), format!("hardware check   {system}"));
    answer.line(tone(own == "ok"), format!("system check     {own}"));
    let mut scheduled = 0;
    for event in row.each("eventsSet/item") {
        // What is over is still listed for a while, marked as such.
        let says = event.text("description");
        if says.starts_with("[Completed]") || says.starts_with("[Canceled]") {
            continue;
        }
        scheduled += 1;
        answer.line(
            Tone::Bad,
            format!("scheduled        {} at {}: {says}", event.text("code"), event.text("notBefore")),
        );
    }
    answer.bind("instance_state", state);
    if ["stopped", "stopping", "terminated", "shutting-down"].contains(&state) {
        answer.found(cause::NODE_STOPPED, format!("{instance} is {state}"));
    } else if system == "impaired" || own == "impaired" {
        answer.found(cause::NODE_IMPAIRED, format!("EC2 calls {instance} impaired"));
    }
    let more = if scheduled > 0 {
        format!(", {} scheduled", text::count(scheduled, "event"))
    } else {
        String::new()
    };
    answer.summary(format!("{instance} is {state}; hardware {system}, system {own}{more}"));
    Ok(answer)
}

pub(super) async fn state(session: &Session, instance: &Name) -> Result<Answer, AwsError> {
    let found = session.ec2().describe("DescribeInstances", words(&[("InstanceId.1", instance)])).await?;
    let Some(reservation) = found.each("reservationSet/item").next() else {
        return Ok(Answer::failed(&format!("EC2 does not know {instance} in {}", session.region)));
    };
    let Some(row) = reservation.each("instancesSet/item").next() else {
        return Ok(Answer::failed(&format!("EC2 does not know {instance} in {}", session.region)));
    };
    let state = row.text("instanceState/name");
    let mut answer = Answer::new();
    let tone = if state == "running" { Tone::Good } else { Tone::Bad };
    answer.line(
        tone,
        format!(
            "{instance} {} in {}: {state}",
            row.text("instanceType"),
            row.text("placement/availabilityZone")
        ),
    );
    answer.line(Tone::Plain, format!("launched {}", row.text("launchTime")));
    let why = row.text("stateReason/message");
    if !why.is_empty() {
        answer.line(Tone::Bad, format!("reason: {why}"));
    }
    let lifecycle = row.text("instanceLifecycle");
    if !lifecycle.is_empty() {
        answer.line(Tone::Plain, format!("{lifecycle} instance: AWS may take it back"));
    }
    if ["stopped", "stopping", "terminated", "shutting-down"].contains(&state) {
        answer.found(cause::NODE_STOPPED, format!("{instance} is {state}"));
    }
    answer.bind("instance_state", state);
    let asked = words(&[("InstanceIds.member.1", instance)]);
    let placed = session.autoscaling().describe("DescribeAutoScalingInstances", asked).await?;
    let says = match placed.at("AutoScalingInstances/member") {
        Some(place) => {
            let name = place.text("AutoScalingGroupName");
            answer.bind("auto_scaling_group", name);
            let lifecycle = place.text("LifecycleState");
            answer.line(Tone::Plain, format!("group {name}: {lifecycle}, {}", place.text("HealthStatus")));
            if lifecycle.starts_with("Terminating") {
                answer.line(Tone::Plain, "its group is replacing it already");
            }
            format!("in group {name} ({lifecycle})")
        }
        None => {
            answer.line(Tone::Bad, "in no Auto Scaling group: nothing replaces it");
            "in no Auto Scaling group".into()
        }
    };
    if let Some(pool) = row.tag("karpenter.sh/nodepool") {
        answer.line(
            Tone::Plain,
            format!("made by Karpenter (NodePool {pool}): delete its NodeClaim to replace it"),
        );
    }
    answer.summary(format!("{instance} is {state}, {says}"));
    Ok(answer)
}

pub(super) async fn volumes(session: &Session, instance: &Name) -> Result<Answer, AwsError> {
    let ec2 = session.ec2();
    let found = ec2.describe("DescribeInstances", words(&[("InstanceId.1", instance)])).await?;
    let Some(row) = found.at("reservationSet/item/instancesSet/item") else {
        return Ok(Answer::failed(&format!("EC2 does not know {instance} in {}", session.region)));
    };
    let root = row.text("rootDeviceName").to_owned();
    let filter = words(&[("Filter.1.Name", "attachment.instance-id"), ("Filter.1.Value.1", instance)]);
    let volumes = ec2.describe("DescribeVolumes", filter).await?;
    let mut answer = Answer::new();
    let mut count = 0;
    for volume in volumes.each("volumeSet/item") {
        count += 1;
        let id = volume.text("volumeId");
        let device = volume.text("attachmentSet/item/device");
        let is_root = device == root;
        let size: u32 = volume.number("size").unwrap_or_default();
        let note = if is_root { ", the root" } else { "" };
        answer.line(
            Tone::Plain,
            format!(
                "{id} {device}{note}: {size} GiB {}, {}",
                volume.text("volumeType"),
                volume.text("status")
            ),
        );
        if is_root || count == 1 {
            answer.bind("volume", id);
            answer.bind("volume_gib", size.to_string());
            // Half as much again.
            answer.bind("volume_gib_more", (size + size.div_ceil(2)).to_string());
            answer.summary(format!("{instance}: root {id} has {size} GiB"));
        }
        if let Some(says) =
            modification(&ec2.describe("DescribeVolumesModifications", words(&[("VolumeId.1", id)])).await)
        {
            answer.line(Tone::Plain, format!("  last change: {says}"));
        }
    }
    if count == 0 {
        answer.not_ok();
        answer.summary(format!("{instance} has no EBS volumes"));
    }
    Ok(answer)
}

/// The last modification in words; a volume that was never modified is none.
fn modification(asked: &Result<Xml, AwsError>) -> Option<String> {
    let found = asked.as_ref().ok()?;
    let row = found.each("volumeModificationSet/item").last()?;
    Some(format!(
        "{} → {} GiB, {} ({} %), begun {}",
        row.text("originalSize"),
        row.text("targetSize"),
        row.text("modificationState"),
        row.text("progress"),
        row.text("startTime")
    ))
}

#[expect(clippy::disallowed_methods, reason = "a fixed question, which only looks")]
pub(super) async fn ask(
    session: &Session,
    instance: &Name,
    question: NodeQuestion,
) -> Result<Answer, AwsError> {
    let ran = run(session, instance, question.commands()).await?;
    let mut answer = Answer::new();
    answer.lines(ran.output.lines().map(|line| (Tone::Plain, line.to_owned())));
    answer.lines(ran.errors.lines().map(|line| (Tone::Bad, line.to_owned())));
    let is_active = question != NodeQuestion::KubeletActive || ran.output.lines().next() == Some("active");
    if ran.status != "Success" || !is_active {
        answer.not_ok();
    }
    let first = ran.output.lines().next().unwrap_or("no output");
    answer.summary(format!("{instance} by SSM: {} ({first})", ran.status));
    Ok(answer)
}

/// A command's end on a machine.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ran {
    /// `Success`, `Failed`, `TimedOut` …
    pub status: String,
    pub output: String,
    pub errors: String,
}

/// Sends fixed command lines to one machine through SSM and waits for their end.
///
/// # Errors
/// The machine is not managed by SSM, or SSM cannot be asked.
#[expect(clippy::disallowed_methods, reason = "the one place fixed commands are sent from")]
pub async fn run(session: &Session, instance: &str, commands: &[&str]) -> Result<Ran, AwsError> {
    let manager = session.systems_manager();
    let body = json!({
        "DocumentName": "AWS-RunShellScript",
        "InstanceIds": [instance],
        "Parameters": {"commands": commands, "executionTimeout": ["30"]},
        "TimeoutSeconds": 30,
        "Comment": "covet-tui",
    });
    let sent = manager.command("SendCommand", body).await.map_err(|error| {
        if error.is("InvalidInstanceId") {
            error.repair("the SSM agent does not run there, or its role lacks AmazonSSMManagedInstanceCore")
        } else {
            error
        }
    })?;
    let id = sent.pointer("/Command/CommandId").and_then(Value::as_str).unwrap_or_default().to_owned();
    let deadline = Instant::now() + COMMAND;
    let asked = json!({"CommandId": id, "InstanceId": instance});
    loop {
        match manager.look("GetCommandInvocation", asked.clone()).await {
            Ok(seen) => {
                let text = |name: &str| seen.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
                let status = text("Status");
                if !["Pending", "InProgress", "Delayed", ""].contains(&status.as_str()) {
                    return Ok(Ran {
                        status,
                        output: text("StandardOutputContent"),
                        errors: text("StandardErrorContent"),
                    });
                }
            }
            // It takes a moment until the invocation is known.
            Err(error) if error.is("InvocationDoesNotExist") => {}
            Err(error) => return Err(error),
        }
        if Instant::now() >= deadline {
            let says = format!("the command {id} did not end within {}", text::span(COMMAND));
            return Err(AwsError::new(AwsTrouble::Unanswered, says));
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}
