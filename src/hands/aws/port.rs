//! One TCP port of a security group, opened to a network and closed again. Only the web's ports are ever opened
//! to everybody.

use serde_json::{Value, json};

use super::plan::Plan;
use crate::config::aws::{AwsError, AwsTrouble, Session, words};
use crate::domain::{AwsDoes, Cidr};
use crate::guard::{Guard, Hazard, Refusal};

/// TCP rules of networks, as `FROM-TO CIDR`.
pub(super) async fn image(session: &Session, group: &str) -> Result<Value, AwsError> {
    let asked = words(&[("GroupId.1", group)]);
    let found = session.ec2().describe("DescribeSecurityGroups", asked).await?;
    let mut rules = Vec::new();
    for rule in found.each("securityGroupInfo/item/ipPermissions/item") {
        let protocol = rule.text("ipProtocol");
        let span = match protocol {
            "-1" => "all".to_owned(),
            protocol => format!("{protocol} {}-{}", rule.text("fromPort"), rule.text("toPort")),
        };
        let networks = rule.each("ipRanges/item").map(|range| range.text("cidrIp"));
        let networks = networks.chain(rule.each("ipv6Ranges/item").map(|range| range.text("cidrIpv6")));
        rules.extend(networks.map(|network| format!("{span} {network}")));
    }
    rules.sort();
    Ok(json!({
        "security_group": group,
        "name": found.text("securityGroupInfo/item/groupName"),
        "ingress": rules,
    }))
}

fn rule(port: u16, cidr: &str) -> String {
    format!("tcp {port}-{port} {cidr}")
}

fn with(image: &Value, change: impl FnOnce(&mut Vec<Value>)) -> Value {
    let mut image = image.clone();
    if let Some(rules) = image.get_mut("ingress").and_then(Value::as_array_mut) {
        change(rules);
        rules.sort_by(|one, other| one.as_str().cmp(&other.as_str()));
    }
    image
}

fn has(image: &Value, rule: &str) -> bool {
    let rules = image.get("ingress").and_then(Value::as_array);
    rules.is_some_and(|rules| rules.iter().any(|known| known.as_str() == Some(rule)))
}

pub(super) fn open(group: &str, port: u16, cidr: &str, before: Value) -> Result<Plan, Refusal> {
    let network: Cidr = cidr.parse().map_err(Refusal::new)?;
    let cidr = network.to_string();
    let wanted = rule(port, &cidr);
    if has(&before, &wanted) || has(&before, &format!("all {cidr}")) {
        return Err(Refusal::new(format!("{group} lets {cidr} in on {port} already")));
    }
    let everybody = network.prefix() == 0;
    let hazard = match (everybody, port) {
        (true, 80 | 443) => Some(Hazard::warn(Guard::Target, format!("anybody may connect to {port}"))),
        (true, _) => Some(Hazard::stop(Guard::Target, format!("port {port} is not opened to everybody"))),
        _ => None,
    };
    let after = with(&before, |rules| rules.push(json!(wanted)));
    let plan = Plan {
        title: format!("let {cidr} in on {port} through {group}"),
        targets: vec![group.to_owned()],
        before,
        after,
        ..Plan::default()
    };
    let back = AwsDoes::ClosePort { group: group.into(), port, cidr: cidr.clone() };
    Ok(plan.hazard(hazard).undo(back, format!("{port} closed to {cidr} again")))
}

pub(super) fn close(group: &str, port: u16, cidr: &str, before: Value) -> Result<Plan, Refusal> {
    let wanted = rule(port, cidr);
    if !has(&before, &wanted) {
        return Err(Refusal::new(format!("{group} has no rule for {port} from {cidr}")));
    }
    let after = with(&before, |rules| rules.retain(|known| known.as_str() != Some(wanted.as_str())));
    let plan = Plan {
        title: format!("close {port} of {group} to {cidr}"),
        targets: vec![group.to_owned()],
        hazards: vec![Hazard::warn(
            Guard::LastReplica,
            format!("clients in {cidr} lose the way through {group}"),
        )],
        before,
        after,
        ..Plan::default()
    };
    let back = AwsDoes::OpenPort { group: group.into(), port, cidr: cidr.to_owned() };
    Ok(plan.undo(back, format!("{port} open to {cidr} again")))
}

#[expect(clippy::disallowed_methods, reason = "hands, with a Warrant; dry for the preview")]
pub(super) async fn send(session: &Session, does: &AwsDoes, dry: bool) -> Result<(), AwsError> {
    let (action, group, port, cidr) = match does {
        AwsDoes::OpenPort { group, port, cidr } => ("AuthorizeSecurityGroupIngress", group, port, cidr),
        AwsDoes::ClosePort { group, port, cidr } => ("RevokeSecurityGroupIngress", group, port, cidr),
        _ => return Err(AwsError::new(AwsTrouble::Refused, "this is no change to a security group")),
    };
    let network = cidr.parse::<Cidr>().map_err(|says| AwsError::new(AwsTrouble::Refused, says))?;
    let place = if network.is_ipv4() {
        "IpPermissions.1.IpRanges.1.CidrIp"
    } else {
        "IpPermissions.1.Ipv6Ranges.1.CidrIpv6"
    };
    let port = port.to_string();
    let asked = words(&[
        ("GroupId", group),
        ("IpPermissions.1.IpProtocol", "tcp"),
        ("IpPermissions.1.FromPort", &port),
        ("IpPermissions.1.ToPort", &port),
        (place, &network.to_string()),
    ]);
    session.ec2().change_or_rehearse(action, asked, dry).await.map(drop)
}
