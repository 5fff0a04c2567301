//! EC2's security groups: what they let in, and letting more or less in.

use super::Failure;
use super::ec2::filters;
use super::query::{Asked, Said};
use super::xml::{list, text};
use crate::lab::world::{ACCOUNT, REGION, Rule, SecurityGroup, VPC, World};

pub(super) fn answer(world: &mut World, asked: &Asked) -> Said {
    match asked.action() {
        "DescribeSecurityGroups" => {
            filters(asked, &[])?;
            let ids = asked.list("GroupId");
            for id in &ids {
                known(world, id)?;
            }
            let wanted = |group: &&SecurityGroup| ids.is_empty() || ids.contains(&group.id);
            Ok(list("securityGroupInfo", "item", world.security_groups().iter().filter(wanted).map(group)))
        }
        "AuthorizeSecurityGroupIngress" => {
            let (id, rules) = permissions(world, asked)?;
            let twice = |rule: &Rule| {
                let groups = world.security_groups().iter().filter(|group| group.id == id);
                groups.flat_map(|group| &group.ingress).any(|known| known.is_like(rule))
            };
            if let Some(rule) = rules.iter().find(|rule| twice(rule)) {
                let says = format!("the specified rule \"{}\" already exists", shown(rule));
                return Err(Failure::new("InvalidPermission.Duplicate", says));
            }
            asked.rehearse()?;
            for rule in rules.clone() {
                world.authorize(&id, rule);
            }
            let items = rules.iter().map(|rule| one(rule, &id));
            Ok([text("return", true), list("securityGroupRuleSet", "item", items)].concat())
        }
        "RevokeSecurityGroupIngress" => {
            let (id, rules) = permissions(world, asked)?;
            asked.rehearse()?;
            for rule in &rules {
                if !world.revoke(&id, rule) {
                    let says = "The specified rule does not exist in this security group.";
                    return Err(Failure::new("InvalidPermission.NotFound", says));
                }
            }
            Ok(text("return", true))
        }
        _ => Err(Failure::action(asked.action())),
    }
}

fn known(world: &World, id: &str) -> Result<(), Failure> {
    let says = format!("The security group '{id}' does not exist");
    let found = world.security_groups().iter().any(|group| group.id == id);
    if found { Ok(()) } else { Err(Failure::new("InvalidGroup.NotFound", says)) }
}

/// The group and the rules that a call names.
fn permissions(world: &World, asked: &Asked) -> Result<(String, Vec<Rule>), Failure> {
    let id = asked.needed("GroupId")?;
    known(world, id)?;
    let mut rules = Vec::new();
    for place in 1.. {
        let field = |name: &str| asked.get(&format!("IpPermissions.{place}.{name}")).map(str::to_owned);
        let Some(protocol) = field("IpProtocol") else { break };
        let port = |name: &str| field(name).and_then(|text| text.parse().ok()).unwrap_or(-1);
        let ports = (port("FromPort"), port("ToPort"));
        let networks = (1..).map_while(|range| field(&format!("IpRanges.{range}.CidrIp")));
        rules.extend(networks.map(|cidr| Rule {
            id: format!("sgr-0{:016x}", fingerprint(&format!("{id}{protocol}{ports:?}{cidr}"))),
            protocol: protocol.clone(),
            ports,
            cidr,
        }));
    }
    if rules.is_empty() {
        return Err(Failure::new("MissingParameter", "The request must contain the parameter ipPermissions"));
    }
    Ok((id.to_owned(), rules))
}

/// Always the same for the same words.
fn fingerprint(words: &str) -> u64 {
    words.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

fn shown(rule: &Rule) -> String {
    let Rule { protocol, ports: (from, to), cidr, .. } = rule;
    format!("peer: {cidr}, {}, from port: {from}, to port: {to}, ALLOW", protocol.to_uppercase())
}

fn group(group: &SecurityGroup) -> String {
    let rules = group
        .ingress
        .iter()
        .map(|rule| [span(rule), list("ipRanges", "item", [text("cidrIp", &rule.cidr)])].concat());
    [
        text("ownerId", ACCOUNT),
        text("groupId", group.id),
        text("groupName", group.name),
        text("groupDescription", "[k8s] Managed SecurityGroup for LoadBalancer"),
        text("vpcId", VPC),
        text("securityGroupArn", format!("arn:aws:ec2:{REGION}:{ACCOUNT}:security-group/{}", group.id)),
        list("ipPermissions", "item", rules),
    ]
    .concat()
}

fn span(rule: &Rule) -> String {
    let protocol = text("ipProtocol", &rule.protocol);
    if rule.protocol == "-1" {
        return protocol;
    }
    [protocol, text("fromPort", rule.ports.0), text("toPort", rule.ports.1)].concat()
}

fn one(rule: &Rule, group: &str) -> String {
    [
        text("securityGroupRuleId", &rule.id),
        text("groupId", group),
        text("groupOwnerId", ACCOUNT),
        text("isEgress", false),
        span(rule),
        text("cidrIpv4", &rule.cidr),
    ]
    .concat()
}
