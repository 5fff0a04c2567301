//! The load balancers of the account and the security groups that filter what reaches them. It knows who may connect
//! to them, not who serves behind.

use super::World;
use super::edge;
use super::perimeter::Network;

/// Where a load balancer that nobody serves behind still has its address.
const OLD_HOME: &str = "127.0.0.2";
/// The name of the one that was there before, kept from a migration.
pub const OLD: &str = "legacy-ingress-0f5c9b7d21.elb.us-east-1.amazonaws.com";
/// The hosted zone of every network load balancer's name in us-east-1.
pub const ALIAS_ZONE: &str = "Z26RNL4JYFTOTI";

/// A load balancer.
#[derive(Clone, Copy, Debug)]
pub struct Balancer {
    pub name: &'static str,
    /// What its ARN ends with.
    pub id: &'static str,
    pub dns_name: &'static str,
    pub security_group: &'static str,
    /// Whether the ingress controller's pods are its targets.
    pub leads_home: bool,
}

pub const BALANCERS: [Balancer; 2] = [
    Balancer {
        name: "a1b2c3d4e5f60718",
        id: "123456789",
        dns_name: edge::BALANCER,
        security_group: "sg-0d1c2b3a4f5e60718",
        leads_home: true,
    },
    Balancer {
        name: "legacy-ingress",
        id: "0f5c9b7d21",
        dns_name: OLD,
        security_group: "sg-0badc0ffee1234567",
        leads_home: false,
    },
];

/// One port or span of ports, open to one network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    pub id: String,
    /// `tcp`, `udp`, …; `-1` for all.
    pub protocol: String,
    /// From and to; with `-1` they mean nothing.
    pub ports: (i32, i32),
    pub cidr: String,
}

#[derive(Clone, Debug)]
pub struct SecurityGroup {
    pub id: &'static str,
    pub name: &'static str,
    pub ingress: Vec<Rule>,
}

impl Rule {
    /// Whether the two let the same in.
    pub fn is_like(&self, other: &Self) -> bool {
        (&self.protocol, self.ports, &self.cidr) == (&other.protocol, other.ports, &other.cidr)
    }

    fn covers(&self, port: i32) -> bool {
        let spans = self.ports.0 <= port && port <= self.ports.1;
        self.protocol == "-1" || (self.protocol == "tcp" && spans)
    }
}

/// As they were set up.
pub(super) fn security_groups() -> Vec<SecurityGroup> {
    let names = ["k8s-elb-a1b2c3d4e5f60718", "legacy-ingress"];
    let open = |port: i32| Rule {
        id: format!("sgr-{port:017x}"),
        protocol: "tcp".to_owned(),
        ports: (port, port),
        cidr: "0.0.0.0/0".to_owned(),
    };
    let group = |(balancer, name): (Balancer, &'static str)| SecurityGroup {
        id: balancer.security_group,
        name,
        ingress: vec![open(80), open(443)],
    };
    BALANCERS.into_iter().zip(names).map(group).collect()
}

/// The addresses behind a load balancer's name.
pub(super) fn addresses(dns_name: &str) -> Vec<String> {
    // Route 53 also knows them with `dualstack.` before.
    let name = dns_name.trim_start_matches("dualstack.");
    let found = BALANCERS.iter().find(|balancer| balancer.dns_name == name);
    found
        .map(|balancer| if balancer.leads_home { edge::HOME } else { OLD_HOME }.to_owned())
        .into_iter()
        .collect()
}

impl World {
    pub fn security_groups(&self) -> &[SecurityGroup] {
        &self.security_groups
    }

    /// Lets something in; false when it is let in already, or there is no such group.
    pub fn authorize(&mut self, group: &str, rule: Rule) -> bool {
        let Some(group) = self.security_groups.iter_mut().find(|known| known.id == group) else {
            return false;
        };
        if group.ingress.iter().any(|known| known.is_like(&rule)) {
            return false;
        }
        group.ingress.push(rule);
        true
    }

    /// Takes a rule away; false when there is none like it.
    pub fn revoke(&mut self, group: &str, rule: &Rule) -> bool {
        let Some(group) = self.security_groups.iter_mut().find(|known| known.id == group) else {
            return false;
        };
        let before = group.ingress.len();
        group.ingress.retain(|known| !known.is_like(rule));
        group.ingress.len() < before
    }

    /// Somebody takes away the rule that opens a port of the load balancer.
    pub(super) fn close_port(&mut self, port: u16) {
        let ours = BALANCERS[0].security_group;
        if let Some(group) = self.security_groups.iter_mut().find(|known| known.id == ours) {
            group.ingress.retain(|rule| rule.ports != (i32::from(port), i32::from(port)));
        }
    }

    /// Who may connect to a port of the load balancer.
    pub(super) fn open_to(&self, port: i32) -> Vec<Network> {
        let ours = self.security_groups.iter().find(|known| known.id == BALANCERS[0].security_group);
        let rules = ours.into_iter().flat_map(|group| &group.ingress).filter(|rule| rule.covers(port));
        rules.filter_map(|rule| Network::read(&rule.cidr)).collect()
    }

    /// Addresses of the ingress controller's pods, and whether each is ready.
    pub fn balanced(&self) -> Vec<(String, bool)> {
        let pods = self.cluster.pods.within(edge::CONTROLLER.0).filter(|(_, pod)| edge::is_controller(pod));
        pods.map(|(_, pod)| (pod.status.pod_ip.clone(), pod.is_ready() && !pod.is_deleting())).collect()
    }
}
