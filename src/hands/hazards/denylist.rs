//! Networks that are turned away: how the ingress controller's list grows, and whom it must never hold: our own, those
//! a team named, and anything as wide as a provider.

use serde_json::Value;

use super::{Scene, blind};
use crate::domain::{Cidr, DENYLIST, Kind};
use crate::guard::{Guard, Hazard, Refusal};
use crate::hands::Hands;
use crate::probes::object::{annotation, items, name, string};

/// The shortest prefixes that may be blocked: 65 536 addresses of IPv4, one site of IPv6 (RFC 6177).
const SHORTEST: (u8, u8) = (16, 48);

/// The Ingress's list with these networks in it, as it is written, and those among them that are new.
///
/// # Errors
/// Something is no network, or all of them are in it.
pub(in crate::hands) fn with(ingress: &Value, networks: &[String]) -> Result<(String, Vec<String>), Refusal> {
    let mut list = words(Some(ingress));
    let mut added = Vec::new();
    for network in networks {
        let network: Cidr = network.parse().map_err(Refusal::new)?;
        let word = network.to_string();
        if !list.contains(&word) {
            added.push(word.clone());
            list.push(word);
        }
    }
    if added.is_empty() {
        return Err(Refusal::new(format!("{} turns them all away already", name(ingress))));
    }
    Ok((list.join(","), added))
}

fn words(ingress: Option<&Value>) -> Vec<String> {
    let list = ingress.and_then(|ingress| annotation(ingress, DENYLIST)).unwrap_or_default();
    list.split(',').map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// What speaks against the networks that a change newly turns away, whatever kind of change it is.
pub(super) async fn hazards(hands: &Hands, scene: &Scene<'_>) -> Vec<Hazard> {
    if scene.object.kind != Kind::Ingress {
        return Vec::new();
    }
    let before = words(scene.before);
    let new = words(Some(scene.after)).into_iter().filter(|word| !before.contains(word));
    let mut hazards = Vec::new();
    let mut denied = Vec::new();
    for word in new {
        match word.parse::<Cidr>() {
            Ok(network) => denied.push(network),
            Err(says) => hazards.push(Hazard::stop(Guard::Target, says)),
        }
    }
    if denied.is_empty() {
        return hazards;
    }
    hazards.extend(forbidden(hands, &denied));
    let what = "the load balancer of this very Ingress";
    let balancer = items(scene.after, "/status/loadBalancer/ingress").iter().map(|row| string(row, "/ip"));
    hazards.extend(balancer.filter_map(|ip| overlaps(&denied, host(ip)?, what)));
    match hands.cluster.list(Kind::Node, "", "", "").await {
        Ok(nodes) => {
            for address in nodes.iter().flat_map(|node| items(node, "/status/addresses")) {
                let own = host(string(address, "/address"));
                hazards.extend(own.and_then(|own| overlaps(&denied, own, "the address of a node of ours")));
            }
        }
        Err(trouble) => hazards.push(blind(Guard::Target, "the nodes' own addresses", &trouble)),
    }
    let says = "it denies by the address that the controller sees: behind a proxy that hides its clients, \
                the proxy itself";
    hazards.push(Hazard::note(Guard::Target, says));
    hazards
}

fn host(address: &str) -> Option<Cidr> {
    address.parse().ok().map(Cidr::host)
}

/// Stops for networks that are too wide, internal, or named by the team.
pub(in crate::hands) fn forbidden(hands: &Hands, denied: &[Cidr]) -> Vec<Hazard> {
    let mut hazards: Vec<Hazard> = denied.iter().filter_map(|cidr| too_wide(*cidr)).collect();
    let never: Vec<String> =
        hands.outside.aws.as_ref().map(|aws| aws.settings().never_block.value.clone()).unwrap_or_default();
    for named in &never {
        match named.parse::<Cidr>() {
            Ok(network) => hazards.extend(overlaps(denied, network, "[aws] never_block")),
            Err(says) => hazards.push(Hazard::stop(Guard::Target, format!("[aws] never_block: {says}"))),
        }
    }
    hazards
}

fn too_wide(cidr: Cidr) -> Option<Hazard> {
    let shortest = if cidr.is_ipv4() { SHORTEST.0 } else { SHORTEST.1 };
    if cidr.prefix() < shortest {
        let says = format!("{cidr} is wider than /{shortest}: it would lock out customers");
        return Some(Hazard::stop(Guard::Target, says));
    }
    cidr.is_internal().then(|| {
        Hazard::stop(
            Guard::Target,
            format!("{cidr} is an internal network: our own load balancers and nodes are there"),
        )
    })
}

pub(in crate::hands) fn overlaps(denied: &[Cidr], network: Cidr, what: &str) -> Option<Hazard> {
    let hit = denied.iter().find(|cidr| cidr.overlaps(network))?;
    Some(Hazard::stop(Guard::Target, format!("{hit} holds {network}, which is {what}")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_list_grows_and_keeps_what_it_held() {
        let ingress = json!({"metadata": {"name": "shop", "annotations": {DENYLIST: "198.51.100.0/24, 203.0.113.9/32"}}});
        let networks = ["203.0.113.9", "203.0.113.77/32"].map(str::to_owned);
        let (list, added) = with(&ingress, &networks).unwrap();
        assert_eq!(list, "198.51.100.0/24,203.0.113.9/32,203.0.113.77/32");
        assert_eq!(added, ["203.0.113.77/32"]);
        assert!(with(&ingress, &networks[..1]).is_err(), "it is in it already");
        assert!(with(&ingress, &["not-a-network".to_owned()]).is_err());
    }

    #[test]
    fn a_whole_provider_and_our_own_networks_are_refused() {
        for (network, refused) in
            [("203.0.113.0/24", false), ("203.0.0.0/8", true), ("10.0.3.0/24", true), ("2001:db8::/32", true)]
        {
            assert_eq!(too_wide(network.parse().unwrap()).is_some(), refused, "{network}");
        }
    }
}
