//! Auto Scaling: the group of the nodes, its members, and their replacement.

use super::query::{Asked, Said};
use super::xml::{element, list, text};
use super::{Failure, millis};
use crate::lab::world::{
    ACCOUNT, AUTO_SCALING_GROUP, CLUSTER, Instance, InstanceState, NODE_GROUP, REGION, World,
};

pub(super) const NAMESPACE: &str = "http://autoscaling.amazonaws.com/doc/2011-01-01/";

pub(super) fn answer(world: &mut World, asked: &Asked) -> Said {
    match asked.action() {
        "DescribeAutoScalingInstances" => {
            let ids = asked.list("InstanceIds.member");
            let wanted = |one: &&Instance| ids.is_empty() || ids.contains(&one.id.as_str());
            let found = members(world)
                .filter(wanted)
                .map(|one| [text("AutoScalingGroupName", AUTO_SCALING_GROUP), member(one, world)].concat());
            Ok(list("AutoScalingInstances", "member", found))
        }
        "DescribeAutoScalingGroups" => {
            let names = asked.list("AutoScalingGroupNames.member");
            let wanted = names.is_empty() || names.contains(&AUTO_SCALING_GROUP);
            Ok(list("AutoScalingGroups", "member", wanted.then(|| group(world))))
        }
        "TerminateInstanceInAutoScalingGroup" => terminate(world, asked),
        _ => Err(Failure::action(asked.action())),
    }
}

/// A terminated instance has left its group.
fn members(world: &World) -> impl Iterator<Item = &Instance> {
    world.instances().filter(|one| one.state != InstanceState::Terminated)
}

fn member(one: &Instance, world: &World) -> String {
    let healthy = if one.is_impaired(world.now()) { "Unhealthy" } else { "Healthy" };
    let lifecycle = match one.state {
        InstanceState::Pending => "Pending",
        InstanceState::Running => "InService",
        InstanceState::ShuttingDown | InstanceState::Terminated => "Terminating",
    };
    [
        text("InstanceId", &one.id),
        text("InstanceType", &one.kind),
        text("AvailabilityZone", &one.zone),
        text("LifecycleState", lifecycle),
        text("HealthStatus", healthy),
        text("ProtectedFromScaleIn", false),
    ]
    .concat()
}

fn group(world: &World) -> String {
    let wanted = members(world).filter(|one| one.state != InstanceState::Pending).count();
    let arn = format!(
        "arn:aws:autoscaling:{REGION}:{ACCOUNT}:autoScalingGroup:3f1c:autoScalingGroupName/{AUTO_SCALING_GROUP}"
    );
    let suspended = world
        .suspended_processes()
        .iter()
        .map(|name| [text("ProcessName", name), text("SuspensionReason", "User suspended")].concat());
    let tag = |key: &str, value: &str| {
        [
            text("ResourceId", AUTO_SCALING_GROUP),
            text("ResourceType", "auto-scaling-group"),
            text("Key", key),
            text("Value", value),
            text("PropagateAtLaunch", true),
        ]
        .concat()
    };
    let zones = ["a", "b", "c"].map(|zone| text("member", format!("{REGION}{zone}")));
    let first = world.instances().map(|one| one.launched).min().unwrap_or(world.now());
    [
        text("AutoScalingGroupName", AUTO_SCALING_GROUP),
        text("AutoScalingGroupARN", arn),
        text("MinSize", 3),
        text("MaxSize", 6),
        text("DesiredCapacity", wanted),
        text("DefaultCooldown", 300),
        element("AvailabilityZones", zones),
        text("HealthCheckType", "EC2"),
        text("HealthCheckGracePeriod", 15),
        list("Instances", "member", members(world).map(|one| member(one, world))),
        text("CreatedTime", millis(first)),
        list("SuspendedProcesses", "member", suspended),
        list("Tags", "member", [tag("eks:cluster-name", CLUSTER), tag("eks:nodegroup-name", NODE_GROUP)]),
    ]
    .concat()
}

fn terminate(world: &mut World, asked: &Asked) -> Said {
    let id = asked.needed("InstanceId")?.to_owned();
    if asked.needed("ShouldDecrementDesiredCapacity")? == "true" {
        return Err(Failure::new("ValidationError", "The group is at its minimum size already"));
    }
    if !members(world).any(|one| one.id == id) {
        let says = format!("Instance Id not found - No managed instance found for instance ID: {id}");
        return Err(Failure::new("ValidationError", says));
    }
    world.terminate_instance(&id);
    let activity = [
        text("ActivityId", uuid::Uuid::now_v7()),
        text("AutoScalingGroupName", AUTO_SCALING_GROUP),
        text("Description", format!("Terminating EC2 instance: {id}")),
        text("Cause", "an instance was taken out of service in response to a user request."),
        text("StartTime", millis(world.now())),
        text("StatusCode", "InProgress"),
        text("Progress", 0),
    ];
    Ok(element("Activity", activity))
}
