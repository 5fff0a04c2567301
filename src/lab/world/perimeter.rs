//! Who gets in from the internet, gate by gate: the load balancer's security group, the network ACL of its subnets, the
//! web application firewall, the list of the Ingress. Users and attackers pass the same gates. It knows addresses and
//! how often they ask, not what is served behind.

use std::net::Ipv4Addr;

use jiff::SignedDuration;

use super::cluster::Cluster;
use super::firewall::Limit;
use super::traffic::LOGINS;
use super::{NAMESPACE, World, edge, vpc};

/// The network that most users come from (RFC 2544: for benchmarks): its address and prefix.
pub(super) const USERS: (u32, u32) = (0xC612_0000, 15);
/// So many addresses, evenly spread over it, stand for those users.
const SAMPLED: u32 = 256;
/// Whole crowds behind one address, with their share of the requests, and the share of logins in it: programs of our
/// own, which leave through the NAT gateway and carry tokens; the people of a customer's office.
const CROWDS: [(Ipv4Addr, f64, f64); 2] = [(vpc::NAT_ADDRESS, 0.04, 0.0), (OFFICE, 0.03, LOGINS)];
/// The customer's office (RFC 5737: for documentation).
pub(super) const OFFICE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 129);
/// The path of the login.
pub(super) const LOGIN: &str = "/login";

/// A network of IPv4.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Network {
    address: u32,
    prefix: u32,
}

impl Network {
    pub fn read(text: &str) -> Option<Self> {
        let (address, prefix) = text.trim().split_once('/').unwrap_or((text.trim(), "32"));
        let (address, prefix) = (address.parse::<Ipv4Addr>().ok()?, prefix.parse().ok()?);
        (prefix <= 32).then_some(Self { address: address.into(), prefix })
    }

    pub fn holds(self, address: Ipv4Addr) -> bool {
        (self.address ^ u32::from(address)).checked_shr(32 - self.prefix).unwrap_or_default() == 0
    }
}

/// What becomes of the requests of an address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Passage {
    /// They never come to the ingress controller.
    Stopped,
    /// The ingress controller answers that they may not.
    TurnedAway,
    Open,
}

/// Somebody who asks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Visitor {
    pub address: Ipv4Addr,
    /// Requests per second, and those of them that are logins.
    pub per_second: f64,
    pub logins: f64,
    /// For how long already.
    pub since: SignedDuration,
}

/// Every gate, as it stands now.
pub(super) struct Gates {
    /// What the security group opens HTTPS to.
    security: Vec<Network>,
    /// The network ACL's entries in their order: whether each allows, and whom.
    acl: Vec<(bool, Network)>,
    /// What the firewall blocks, and whom it limits.
    blocked: Vec<Network>,
    limits: Vec<Limit>,
    /// What the Ingress turns away.
    denied: Vec<Network>,
    /// Requests per second that the ingress controller lets each address make.
    pub per_second: Option<f64>,
}

impl Gates {
    /// Whether packets of an address come to the load balancer.
    fn connects(&self, address: Ipv4Addr) -> bool {
        let first = self.acl.iter().find(|(_, network)| network.holds(address));
        self.security.iter().any(|network| network.holds(address)) && first.is_some_and(|(allows, _)| *allows)
    }

    pub fn passage(&self, visitor: Visitor) -> Passage {
        let address = visitor.address;
        let hit = |networks: &[Network]| networks.iter().any(|network| network.holds(address));
        if !self.connects(address)
            || hit(&self.blocked)
            || self.limits.iter().any(|limit| limit.stops(visitor))
        {
            Passage::Stopped
        } else if hit(&self.denied) {
            Passage::TurnedAway
        } else {
            Passage::Open
        }
    }

    /// The share of the users whose connections are taken.
    pub fn connected(&self) -> f64 {
        users().filter(|(address, ..)| self.connects(*address)).map(|(_, share, _)| share).sum()
    }

    /// The share of the users' requests that come through, of so many per second.
    pub fn users(&self, load: f64) -> f64 {
        let served = |(address, share, logins): (Ipv4Addr, f64, f64)| {
            let crowd = CROWDS.iter().any(|(known, ..)| *known == address);
            // Alone behind an address, nobody asks so often that a limit is met.
            let per_second = if crowd { load * share } else { 0.0 };
            let all = |logins| Visitor { address, per_second, logins, since: SignedDuration::from_hours(1) };
            let passes = |visitor| self.passage(visitor) == Passage::Open;
            match (passes(all(0.0)), passes(all(per_second * logins))) {
                (true, true) => share,
                // Only its logins are over a limit.
                (true, false) => share * (1.0 - logins),
                (false, _) => 0.0,
            }
        };
        let limited = |share: f64| self.per_second.map_or(1.0, |limit| (limit / (load * share)).min(1.0));
        users()
            .map(|user| {
                let crowd = CROWDS.iter().any(|(known, ..)| *known == user.0);
                served(user) * if crowd { limited(user.1) } else { 1.0 }
            })
            .sum()
    }
}

/// The users by address: each with its share of all requests, and the share of logins among its own.
fn users() -> impl Iterator<Item = (Ipv4Addr, f64, f64)> {
    let (from, prefix) = USERS;
    let step = (1_u32 << (32 - prefix)) / SAMPLED;
    let alone = (1.0 - CROWDS.iter().map(|(_, share, _)| share).sum::<f64>()) / f64::from(SAMPLED);
    let spread = (0..SAMPLED).map(move |place| Ipv4Addr::from(from + place * step + step / 2));
    spread.map(move |address| (address, alone, LOGINS)).chain(CROWDS)
}

impl World {
    pub(super) fn gates(&self) -> Gates {
        let (blocked, limits) =
            self.firewall.as_ref().map(|one| one.in_force(&self.cluster)).unwrap_or_default();
        Gates {
            security: self.open_to(443),
            acl: self.network_acl.ingress(),
            blocked,
            limits,
            denied: denied(&self.cluster),
            per_second: limit_per_second(&self.cluster),
        }
    }
}

/// What the Ingress turns away, as ingress-nginx reads it: a list with a mistake in it is no list.
fn denied(cluster: &Cluster) -> Vec<Network> {
    let list = annotation(cluster, "denylist-source-range");
    let networks: Option<Vec<Network>> = list.split(',').map(Network::read).collect();
    networks.unwrap_or_default()
}

/// Requests per second that each address may make, where a limit is set.
fn limit_per_second(cluster: &Cluster) -> Option<f64> {
    let number = |name: &str| annotation(cluster, name).parse::<f64>().ok().filter(|limit| *limit > 0.0);
    let limits = [number("limit-rps"), number("limit-rpm").map(|minute| minute / 60.0)];
    limits.into_iter().flatten().reduce(f64::min)
}

fn annotation(cluster: &Cluster, name: &str) -> String {
    let ingress = cluster.store.get("ingresses", NAMESPACE, "covetpy-ingress");
    let pointer = format!("/metadata/annotations/nginx.ingress.kubernetes.io~1{name}");
    ingress.map(|ingress| edge::text(&ingress, &pointer)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gates() -> Gates {
        let world = Network::read("0.0.0.0/0").unwrap();
        Gates {
            security: vec![world],
            acl: vec![(true, world)],
            blocked: Vec::new(),
            limits: Vec::new(),
            denied: Vec::new(),
            per_second: None,
        }
    }

    fn network(text: &str) -> Network {
        Network::read(text).unwrap()
    }

    #[test]
    fn a_denied_network_takes_its_users_with_it() {
        let share = |blocked: &str| Gates { blocked: vec![network(blocked)], ..gates() }.users(100.0);
        assert!((gates().users(100.0) - 1.0).abs() < 1e-9);
        assert!((share("203.0.113.0/24") - 1.0).abs() < 1e-9, "nobody of ours is there");
        assert!((share("198.18.0.0/16") - 0.535).abs() < 1e-9, "half of those who come alone");
        assert!((share("192.0.2.10/32") - 0.96).abs() < 1e-9, "our own programs");
        assert!((share("192.0.2.0/24") - 0.93).abs() < 1e-9);
    }

    #[test]
    fn a_tight_limit_shuts_an_office_out_of_the_login_and_one_for_everything_whole_crowds() {
        let share = |most: f64, logins_only: bool| {
            let limits = vec![Limit { most, window: 300.0, logins_only, counted: 900.0 }];
            Gates { limits, ..gates() }.users(100.0)
        };
        assert!((share(100.0, true) - 1.0).abs() < 1e-9, "81 logins of the office in five minutes");
        assert!((share(50.0, true) - (1.0 - 0.03 * LOGINS)).abs() < 1e-9);
        assert!((share(500.0, false) - 0.93).abs() < 1e-9, "every request counts: both crowds are over it");
        let slowed = Gates { per_second: Some(0.5), ..gates() }.users(100.0);
        assert!((slowed - 0.94).abs() < 1e-9, "what the ingress controller lets through of them: {slowed}");
    }

    #[test]
    fn the_first_entry_of_an_acl_that_fits_decides() {
        let acl = |entries: &[(bool, &str)]| entries.iter().map(|(is, text)| (*is, network(text))).collect();
        let early = Gates { acl: acl(&[(false, "192.0.2.129/32"), (true, "0.0.0.0/0")]), ..gates() };
        let late = Gates { acl: acl(&[(true, "0.0.0.0/0"), (false, "192.0.2.129/32")]), ..gates() };
        assert!(!early.connects(OFFICE) && late.connects(OFFICE));
        assert!(Gates { acl: Vec::new(), ..gates() }.connected() < 1e-9, "without an entry nobody comes in");
    }
}
