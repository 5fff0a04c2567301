//! Elastic Load Balancing v2: the load balancers, their target groups, and the health of the targets.

use super::query::{Asked, Said};
use super::xml::{element, list, text};
use super::{Failure, millis};
use crate::lab::world::{ACCOUNT, ALIAS_ZONE, BALANCERS, Balancer, REGION, SUBNETS, VPC, World};

pub(super) const NAMESPACE: &str = "http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/";

/// What each of them takes connections for: a name and a port.
const LISTENED: [(&str, u16); 2] = [("https", 443), ("http", 80)];

pub(super) fn answer(world: &World, asked: &Asked) -> Said {
    match asked.action() {
        "DescribeLoadBalancers" => {
            let (arns, names) = (asked.list("LoadBalancerArns.member"), asked.list("Names.member"));
            let is_asked = |one: &&Balancer| {
                let all = arns.is_empty() && names.is_empty();
                all || arns.contains(&arn(one, world).as_str()) || names.contains(&one.name)
            };
            let found: Vec<&Balancer> = BALANCERS.iter().filter(is_asked).collect();
            if found.len() < arns.len() + names.len() {
                return Err(Failure::new("LoadBalancerNotFound", "One or more load balancers not found"));
            }
            Ok(list("LoadBalancers", "member", found.into_iter().map(|one| balancer(one, world))))
        }
        "DescribeTargetGroups" => {
            let of = asked.get("LoadBalancerArn");
            let found: Vec<&Balancer> =
                BALANCERS.iter().filter(|one| of.is_none_or(|of| arn(one, world) == of)).collect();
            if found.is_empty() {
                return Err(Failure::new("LoadBalancerNotFound", "One or more load balancers not found"));
            }
            let groups =
                found.into_iter().flat_map(|one| LISTENED.map(|port| target_group(one, port, world)));
            Ok(list("TargetGroups", "member", groups))
        }
        "DescribeTargetHealth" => {
            let wanted = asked.needed("TargetGroupArn")?;
            let mut all = BALANCERS.iter().flat_map(|one| LISTENED.map(|port| (one, port)));
            let Some((of, (_, port))) = all.find(|(one, port)| group_arn(one, port.0) == wanted) else {
                return Err(Failure::new("TargetGroupNotFound", "One or more target groups not found"));
            };
            let targets = if of.leads_home { world.balanced() } else { Vec::new() };
            let health = targets.iter().map(|(address, ready)| target(address, port, *ready));
            Ok(list("TargetHealthDescriptions", "member", health))
        }
        _ => Err(Failure::action(asked.action())),
    }
}

pub(super) fn arn(of: &Balancer, world: &World) -> String {
    let kind = if is_application(of, world) { "app" } else { "net" };
    format!("arn:aws:elasticloadbalancing:{REGION}:{ACCOUNT}:loadbalancer/{kind}/{}/{}", of.name, of.id)
}

/// Whether it speaks HTTP itself; the others pass connections on.
fn is_application(of: &Balancer, world: &World) -> bool {
    of.leads_home && world.firewall().is_some()
}

/// At most 32 characters, as the load balancer controller makes them.
fn group_name(of: &Balancer, port: &str) -> String {
    format!("k8s-ingressn-{port}-{}", of.id)
}

fn group_arn(of: &Balancer, port: &str) -> String {
    format!("arn:aws:elasticloadbalancing:{REGION}:{ACCOUNT}:targetgroup/{}/{}", group_name(of, port), of.id)
}

fn balancer(of: &Balancer, world: &World) -> String {
    let zone = |(subnet, _, letter): &(&str, &str, &str)| {
        [text("ZoneName", format!("{REGION}{letter}")), text("SubnetId", subnet)].concat()
    };
    let kind = if is_application(of, world) { "application" } else { "network" };
    let created = world.instances().map(|one| one.launched).min().unwrap_or(world.now());
    [
        text("LoadBalancerArn", arn(of, world)),
        text("DNSName", of.dns_name),
        text("CanonicalHostedZoneId", ALIAS_ZONE),
        text("CreatedTime", millis(created)),
        text("LoadBalancerName", of.name),
        text("Scheme", "internet-facing"),
        text("VpcId", VPC),
        element("State", [text("Code", "active")]),
        text("Type", kind),
        list("AvailabilityZones", "member", SUBNETS.iter().map(zone)),
        element("SecurityGroups", [text("member", of.security_group)]),
        text("IpAddressType", "ipv4"),
    ]
    .concat()
}

fn target_group(of: &Balancer, (name, port): (&str, u16), world: &World) -> String {
    let protocol = if is_application(of, world) { name.to_uppercase() } else { "TCP".to_owned() };
    [
        text("TargetGroupArn", group_arn(of, name)),
        text("TargetGroupName", group_name(of, name)),
        text("Protocol", &protocol),
        text("Port", port),
        text("VpcId", VPC),
        text("HealthCheckProtocol", &protocol),
        text("HealthCheckPort", "traffic-port"),
        text("HealthCheckEnabled", true),
        text("HealthCheckIntervalSeconds", 10),
        text("HealthCheckTimeoutSeconds", 10),
        text("HealthyThresholdCount", 3),
        text("UnhealthyThresholdCount", 3),
        element("LoadBalancerArns", [text("member", arn(of, world))]),
        text("TargetType", "ip"),
    ]
    .concat()
}

fn target(address: &str, port: u16, ready: bool) -> String {
    let health = if ready {
        vec![text("State", "healthy")]
    } else {
        vec![
            text("State", "unhealthy"),
            text("Reason", "Target.FailedHealthChecks"),
            text("Description", "Health checks failed"),
        ]
    };
    [
        element("Target", [text("Id", address), text("Port", port)]),
        text("HealthCheckPort", port),
        element("TargetHealth", health),
    ]
    .concat()
}
