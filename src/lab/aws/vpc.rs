//! EC2's networks: the VPC, its subnets, the NAT gateway and the address it leaves by, and who has which address.

use super::ec2::filters;
use super::query::{Asked, Said};
use super::xml::{element, list, text};
use super::{Failure, network_acls};
use crate::lab::world::{
    ACCOUNT, ALLOCATION, Instance, InstanceState, NAT, NAT_ADDRESS, REGION, SUBNETS, VPC, VPC_NETWORK, World,
};

/// The NAT gateway's own interface and address.
const NAT_INTERFACE: (&str, &str) = ("eni-07f6e5d4c3b2a1908", "10.0.101.7");

pub(super) fn answer(world: &mut World, asked: &Asked) -> Said {
    match asked.action() {
        "DescribeVpcs" => {
            filters(asked, &[])?;
            let vpc = [
                text("vpcId", VPC),
                text("ownerId", ACCOUNT),
                text("state", "available"),
                text("cidrBlock", VPC_NETWORK),
                list("cidrBlockAssociationSet", "item", [text("cidrBlock", VPC_NETWORK)]),
                text("isDefault", false),
            ];
            Ok(list("vpcSet", "item", [vpc.concat()]))
        }
        "DescribeSubnets" => {
            filters(asked, &[])?;
            let ids = asked.list("SubnetId");
            let known = |id: &&str| SUBNETS.iter().any(|(known, ..)| known == id);
            if let Some(id) = ids.iter().find(|id| !known(id)) {
                let says = format!("The subnet ID '{id}' does not exist");
                return Err(Failure::new("InvalidSubnetID.NotFound", says));
            }
            let found = SUBNETS.iter().filter(|(id, ..)| ids.is_empty() || ids.contains(id));
            Ok(list("subnetSet", "item", found.map(subnet)))
        }
        "DescribeAddresses" => {
            filters(asked, &[])?;
            let address = [
                text("publicIp", NAT_ADDRESS),
                text("allocationId", ALLOCATION),
                text("domain", "vpc"),
                text("networkInterfaceId", NAT_INTERFACE.0),
                text("privateIpAddress", NAT_INTERFACE.1),
            ];
            Ok(list("addressesSet", "item", [address.concat()]))
        }
        "DescribeNatGateways" => {
            filters(asked, &[])?;
            let address = [
                text("publicIp", NAT_ADDRESS),
                text("allocationId", ALLOCATION),
                text("privateIp", NAT_INTERFACE.1),
                text("networkInterfaceId", NAT_INTERFACE.0),
            ];
            let gateway = [
                text("natGatewayId", NAT),
                text("state", "available"),
                text("subnetId", SUBNETS[0].0),
                text("vpcId", VPC),
                text("connectivityType", "public"),
                list("natGatewayAddressSet", "item", [address.concat()]),
            ];
            Ok(list("natGatewaySet", "item", [gateway.concat()]))
        }
        "DescribeNetworkInterfaces" => {
            filters(asked, &[])?;
            let there = |one: &&Instance| one.state == InstanceState::Running;
            let instances = world.instances().filter(there).map(interface);
            Ok(list("networkInterfaceSet", "item", std::iter::once(of_nat()).chain(instances)))
        }
        _ => network_acls::answer(world, asked),
    }
}

fn subnet((id, network, zone): &(&str, &str, &str)) -> String {
    [
        text("subnetId", id),
        text("vpcId", VPC),
        text("state", "available"),
        text("cidrBlock", network),
        text("availabilityZone", format!("{REGION}{zone}")),
        text("mapPublicIpOnLaunch", true),
    ]
    .concat()
}

fn of_nat() -> String {
    [
        text("networkInterfaceId", NAT_INTERFACE.0),
        text("subnetId", SUBNETS[0].0),
        text("vpcId", VPC),
        text("description", format!("Interface for NAT Gateway {NAT}")),
        text("interfaceType", "nat_gateway"),
        text("status", "in-use"),
        text("privateIpAddress", NAT_INTERFACE.1),
        element("association", [text("publicIp", NAT_ADDRESS), text("allocationId", ALLOCATION)]),
    ]
    .concat()
}

/// An instance's only one; the nodes are in private subnets.
fn interface(one: &Instance) -> String {
    [
        text("networkInterfaceId", one.id.replacen("i-", "eni-", 1)),
        text("vpcId", VPC),
        text("description", ""),
        text("interfaceType", "interface"),
        text("status", "in-use"),
        text("privateIpAddress", &one.address),
        element("attachment", [text("instanceId", &one.id), text("status", "attached")]),
    ]
    .concat()
}
