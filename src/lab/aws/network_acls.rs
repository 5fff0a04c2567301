//! EC2's network ACLs: the one of the public subnets, its entries, and adding and deleting them.

use super::ec2::filters;
use super::query::{Asked, Said};
use super::xml::{element, list, text};
use super::{Failure, security_groups};
use crate::lab::world::{ACCOUNT, AclEntry, AclRefusal, LAST, NETWORK_ACL, SUBNETS, VPC, World};

pub(super) fn answer(world: &mut World, asked: &Asked) -> Said {
    match asked.action() {
        "DescribeNetworkAcls" => {
            let subnets = filters(asked, &["association.subnet-id"])?;
            let ids = asked.list("NetworkAclId");
            for id in &ids {
                known(id)?;
            }
            let ours = |subnets: Vec<&str>| SUBNETS.iter().any(|(id, ..)| subnets.contains(id));
            let wanted = subnets.is_none_or(ours);
            Ok(list("networkAclSet", "item", wanted.then(|| acl(world))))
        }
        "CreateNetworkAclEntry" => {
            known(asked.needed("NetworkAclId")?)?;
            let entry = entry(asked)?;
            world.can_add_entry(&entry).map_err(|why| refused(why, &entry))?;
            asked.rehearse()?;
            world.add_entry(entry.clone()).map_err(|why| refused(why, &entry))?;
            Ok(text("return", true))
        }
        "DeleteNetworkAclEntry" => {
            known(asked.needed("NetworkAclId")?)?;
            let (egress, rule) = place(asked)?;
            let there = |known: &AclEntry| (known.egress, known.rule) == (egress, rule) && rule != LAST;
            if !world.network_acl().entries().iter().any(there) {
                let says = "The specified network ACL entry does not exist";
                return Err(Failure::new("InvalidNetworkAclEntry.NotFound", says));
            }
            asked.rehearse()?;
            world.delete_entry(egress, rule);
            Ok(text("return", true))
        }
        _ => security_groups::answer(world, asked),
    }
}

fn known(id: &str) -> Result<(), Failure> {
    let says = format!("The networkAcl ID '{id}' does not exist");
    if id == NETWORK_ACL { Ok(()) } else { Err(Failure::new("InvalidNetworkAclID.NotFound", says)) }
}

fn refused(why: AclRefusal, entry: &AclEntry) -> Failure {
    match why {
        AclRefusal::Taken => {
            let says = format!("The network acl entry identified by {} already exists.", entry.rule);
            Failure::new("NetworkAclEntryAlreadyExists", says)
        }
        AclRefusal::Full => {
            Failure::new("NetworkAclEntryLimitExceeded", "You've reached the limit on the number of entries")
        }
    }
}

/// The direction and the number that a call names.
fn place(asked: &Asked) -> Result<(bool, u16), Failure> {
    let rule = asked.needed("RuleNumber")?;
    let says = format!("Value ({rule}) for parameter ruleNumber is invalid");
    let number = rule.parse().ok().filter(|rule| (1..LAST).contains(rule));
    let number = number.ok_or_else(|| Failure::new("InvalidParameterValue", says))?;
    Ok((asked.needed("Egress")? == "true", number))
}

fn entry(asked: &Asked) -> Result<AclEntry, Failure> {
    let (egress, rule) = place(asked)?;
    let cidr = asked.needed("CidrBlock")?.to_owned();
    let (address, prefix) = cidr.split_once('/').unwrap_or((&cidr, ""));
    let is_network =
        address.parse::<std::net::Ipv4Addr>().is_ok() && prefix.parse::<u8>().is_ok_and(|bits| bits <= 32);
    if !is_network {
        let says =
            format!("Value ({cidr}) for parameter cidrBlock is invalid. This is not a valid CIDR block.");
        return Err(Failure::new("InvalidParameterValue", says));
    }
    let port = |end: &str| asked.get(&format!("PortRange.{end}")).and_then(|port| port.parse().ok());
    Ok(AclEntry {
        rule,
        allows: asked.needed("RuleAction")? == "allow",
        egress,
        protocol: asked.needed("Protocol")?.to_owned(),
        cidr,
        ports: port("From").zip(port("To")),
    })
}

fn acl(world: &World) -> String {
    let entries = world.network_acl().entries().iter().map(shown);
    let association = |(id, ..): &(&str, &str, &str)| {
        [
            text("networkAclAssociationId", id.replacen("subnet-", "aclassoc-", 1)),
            text("networkAclId", NETWORK_ACL),
            text("subnetId", id),
        ]
        .concat()
    };
    [
        text("networkAclId", NETWORK_ACL),
        text("vpcId", VPC),
        text("ownerId", ACCOUNT),
        text("default", false),
        list("entrySet", "item", entries),
        list("associationSet", "item", SUBNETS.iter().map(association)),
    ]
    .concat()
}

fn shown(entry: &AclEntry) -> String {
    let ports = entry.ports.map(|(from, to)| element("portRange", [text("from", from), text("to", to)]));
    [
        text("ruleNumber", entry.rule),
        text("protocol", &entry.protocol),
        text("ruleAction", if entry.allows { "allow" } else { "deny" }),
        text("egress", entry.egress),
        text("cidrBlock", &entry.cidr),
        ports.unwrap_or_default(),
    ]
    .concat()
}
