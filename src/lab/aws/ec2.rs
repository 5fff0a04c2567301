//! EC2: instances and their status checks. It only renders what the world knows; volumes and networks are described
//! beside it.

use super::query::{Asked, Said};
use super::xml::{element, list, text};
use super::{Failure, millis, volumes, vpc};
use crate::lab::world::{ACCOUNT, AUTO_SCALING_GROUP, CLUSTER, Instance, InstanceState, NODE_GROUP, World};

pub(super) const NAMESPACE: &str = "http://ec2.amazonaws.com/doc/2016-11-15/";

pub(super) fn answer(world: &mut World, asked: &Asked) -> Said {
    match asked.action() {
        "DescribeInstances" => {
            let found = instances(world, asked)?;
            // Each was launched by itself.
            let reservations = found.iter().map(|one| {
                [
                    text("reservationId", one.id.replacen("i-", "r-", 1)),
                    text("ownerId", ACCOUNT),
                    list("instancesSet", "item", [instance(one)]),
                ]
                .concat()
            });
            Ok(list("reservationSet", "item", reservations))
        }
        "DescribeInstanceStatus" => {
            let all = asked.get("IncludeAllInstances") == Some("true");
            let mut found = instances(world, asked)?;
            found.retain(|one| all || one.state == InstanceState::Running);
            let now = world.now();
            Ok(list("instanceStatusSet", "item", found.iter().map(|one| status(one, one.is_impaired(now)))))
        }
        "TerminateInstances" => {
            let found = instances(world, asked)?;
            asked.rehearse()?;
            for one in &found {
                world.terminate_instance(&one.id);
            }
            let changes = found.iter().map(|one| {
                let now = world.instances().find(|known| known.id == one.id).unwrap_or(one);
                [text("instanceId", &one.id), state("currentState", now), state("previousState", one)]
                    .concat()
            });
            Ok(list("instancesSet", "item", changes.collect::<Vec<_>>()))
        }
        "DescribeVolumes" | "DescribeVolumesModifications" | "ModifyVolume" => volumes::answer(world, asked),
        _ => vpc::answer(world, asked),
    }
}

/// The values of a filter that is among the known ones.
///
/// # Errors
/// A filter is not known: what it would leave out cannot be guessed.
pub(super) fn filters<'a>(asked: &'a Asked, known: &[&str]) -> Result<Option<Vec<&'a str>>, Failure> {
    let mut found = None;
    for place in 1.. {
        let Some(name) = asked.get(&format!("Filter.{place}.Name")) else { break };
        if !known.contains(&name) {
            return Err(Failure::new("InvalidParameterValue", format!("The filter '{name}' is invalid")));
        }
        found = Some(asked.list(&format!("Filter.{place}.Value")));
    }
    Ok(found)
}

/// Those that are asked for, or all.
fn instances(world: &World, asked: &Asked) -> Result<Vec<Instance>, Failure> {
    filters(asked, &[])?;
    let ids = asked.list("InstanceId");
    let missing: Vec<&str> =
        ids.iter().copied().filter(|id| !world.instances().any(|one| one.id == *id)).collect();
    if !missing.is_empty() {
        let says = format!("The instance ID '{}' does not exist", missing.join(", "));
        return Err(Failure::new("InvalidInstanceID.NotFound", says));
    }
    let wanted = |one: &&Instance| ids.is_empty() || ids.contains(&one.id.as_str());
    Ok(world.instances().filter(wanted).cloned().collect())
}

fn instance(one: &Instance) -> String {
    let tag = |key: &str, value: &str| [text("key", key), text("value", value)].concat();
    let cluster = format!("kubernetes.io/cluster/{CLUSTER}");
    let tags = [
        ("Name", "covet-cluster-general-Node"),
        ("eks:cluster-name", CLUSTER),
        ("eks:nodegroup-name", NODE_GROUP),
        ("aws:autoscaling:groupName", AUTO_SCALING_GROUP),
        (cluster.as_str(), "owned"),
    ];
    let mut parts = vec![
        text("instanceId", &one.id),
        text("imageId", "ami-0b7e3f1c9d2a48e65"),
        state("instanceState", one),
        text("instanceType", &one.kind),
        text("launchTime", millis(one.launched)),
        element("placement", [text("availabilityZone", &one.zone), text("tenancy", "default")]),
        text("architecture", "x86_64"),
        text("rootDeviceType", "ebs"),
        text("rootDeviceName", "/dev/xvda"),
        list("tagSet", "item", tags.map(|(key, value)| tag(key, value))),
    ];
    if one.state != InstanceState::Terminated {
        parts.push(text("privateDnsName", &one.node));
        parts.push(text("privateIpAddress", &one.address));
    }
    if matches!(one.state, InstanceState::ShuttingDown | InstanceState::Terminated) {
        let why = [
            text("code", "Client.UserInitiatedShutdown"),
            text("message", "Client.UserInitiatedShutdown: User initiated shutdown"),
        ];
        parts.push(element("stateReason", why));
    }
    parts.concat()
}

fn state(named: &str, of: &Instance) -> String {
    let (name, code) = of.state.shown();
    element(named, [text("code", code), text("name", name)])
}

/// Hardware that fails takes the system with it: both checks notice.
fn status(one: &Instance, impaired: bool) -> String {
    let check = |named: &str| {
        let (says, reachable) = match (one.state, impaired) {
            (InstanceState::Running, true) => ("impaired", "failed"),
            (InstanceState::Running, false) => ("ok", "passed"),
            (InstanceState::Pending, _) => ("initializing", "initializing"),
            _ => return element(named, [text("status", "not-applicable")]),
        };
        let mut detail = vec![text("name", "reachability"), text("status", reachable)];
        if let Some(since) = one.impaired.filter(|_| impaired) {
            detail.push(text("impairedSince", millis(since)));
        }
        element(named, [text("status", says), list("details", "item", [detail.concat()])])
    };
    [
        text("instanceId", &one.id),
        text("availabilityZone", &one.zone),
        state("instanceState", one),
        check("systemStatus"),
        check("instanceStatus"),
    ]
    .concat()
}
