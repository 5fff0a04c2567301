//! Networks that must never be blocked: our own, those a team named, and anything as wide as a provider.

use std::net::IpAddr;

use crate::config::aws::{AwsError, Session, Words, words};
use crate::domain::Cidr;
use crate::guard::{Guard, Hazard, Refusal};
use crate::hands::Hands;
use crate::hands::hazards::denylist;

/// Stops, for every network that would be blocked; and a warning where it cannot be known.
///
/// # Errors
/// It is no network.
pub(super) async fn hazards(
    hands: &Hands,
    session: &Session,
    blocked: &[String],
) -> Result<Vec<Hazard>, Refusal> {
    let blocked: Vec<Cidr> =
        blocked.iter().map(|cidr| cidr.parse()).collect::<Result<_, String>>().map_err(Refusal::new)?;
    let mut hazards = denylist::forbidden(hands, &blocked);
    match own(session).await {
        Ok(own) => {
            for (network, what) in own {
                hazards.extend(denylist::overlaps(&blocked, network, &what));
            }
        }
        Err(error) => {
            let says = format!("whether it is an address of ours could not be looked up: {error}");
            hazards.push(Hazard::warn(Guard::Target, says));
        }
    }
    Ok(hazards)
}

/// Every network and public address of this account and region.
async fn own(session: &Session) -> Result<Vec<(Cidr, String)>, AwsError> {
    let ec2 = session.ec2();
    let mut own = Vec::new();
    let mut add = |text: &str, what: String| {
        let host = text.parse::<IpAddr>().ok().map(Cidr::host);
        if let Some(network) = host.or_else(|| text.parse().ok()) {
            own.push((network, what));
        }
    };
    for vpc in ec2.describe("DescribeVpcs", Words::new()).await?.each("vpcSet/item") {
        let what = || format!("our network {}", vpc.text("vpcId"));
        add(vpc.text("cidrBlock"), what());
        for more in vpc.each("cidrBlockAssociationSet/item") {
            add(more.text("cidrBlock"), what());
        }
        for more in vpc.each("ipv6CidrBlockAssociationSet/item") {
            add(more.text("ipv6CidrBlock"), what());
        }
    }
    for address in ec2.describe("DescribeAddresses", Words::new()).await?.each("addressesSet/item") {
        add(address.text("publicIp"), format!("our address {}", address.text("allocationId")));
    }
    for gateway in ec2.describe("DescribeNatGateways", Words::new()).await?.each("natGatewaySet/item") {
        for address in gateway.each("natGatewayAddressSet/item") {
            add(address.text("publicIp"), format!("our NAT gateway {}", gateway.text("natGatewayId")));
        }
    }
    let mut token = String::new();
    loop {
        let mut asked = words(&[("MaxResults", "1000")]);
        if !token.is_empty() {
            asked.push(("NextToken".into(), token));
        }
        let page = ec2.describe("DescribeNetworkInterfaces", asked).await?;
        for card in page.each("networkInterfaceSet/item") {
            let what = card.text("description");
            let what = if what.is_empty() { card.text("networkInterfaceId") } else { what };
            add(card.text("association/publicIp"), format!("our address of {what}"));
        }
        token = String::from(page.text("nextToken"));
        if token.is_empty() {
            return Ok(own);
        }
    }
}
