//! The network of the account: its subnets, the gateway through which it leaves, the ACL of the subnets. It knows
//! entries and addresses, not who sends what.

use std::net::Ipv4Addr;

use super::World;
use super::perimeter::Network;

pub const VPC: &str = "vpc-0a9b8c7d6e5f41230";
pub const VPC_NETWORK: &str = "10.0.0.0/16";
/// The public subnets, where the load balancers are: id, network, and the letter of their zone.
pub const SUBNETS: [(&str, &str, &str); 3] = [
    ("subnet-00000000000000000", "10.0.101.0/24", "a"),
    ("subnet-00000000000000001", "10.0.102.0/24", "b"),
    ("subnet-00000000000000002", "10.0.103.0/24", "c"),
];
/// The NAT gateway, its public address (RFC 5737: for documentation), and the allocation of that.
pub const NAT: &str = "nat-05a1b2c3d4e5f6071";
pub const NAT_ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 10);
pub const ALLOCATION: &str = "eipalloc-0f1e2d3c4b5a69788";
/// The ACL of the public subnets.
pub const NETWORK_ACL: &str = "acl-0c0ffee1234567890";

/// The entry that ends every ACL.
pub const LAST: u16 = 32_767;
/// Entries of one direction (VPC quotas).
const MOST: usize = 20;

/// An entry of an ACL.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AclEntry {
    pub rule: u16,
    pub allows: bool,
    pub egress: bool,
    /// `-1` for all, `6` for TCP.
    pub protocol: String,
    pub cidr: String,
    /// From and to; with `-1` they mean nothing.
    pub ports: Option<(u16, u16)>,
}

/// Why an ACL stays as it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AclRefusal {
    Taken,
    Full,
}

/// The ACL of the public subnets.
pub struct NetworkAcl {
    /// By direction and rule.
    entries: Vec<AclEntry>,
}

impl Default for NetworkAcl {
    fn default() -> Self {
        let entry = |egress: bool, rule: u16| AclEntry {
            rule,
            allows: rule != LAST,
            egress,
            protocol: "-1".to_owned(),
            cidr: "0.0.0.0/0".to_owned(),
            ports: None,
        };
        Self {
            entries: [false, true]
                .into_iter()
                .flat_map(|egress| [100, LAST].map(|rule| entry(egress, rule)))
                .collect(),
        }
    }
}

impl NetworkAcl {
    pub fn entries(&self) -> &[AclEntry] {
        &self.entries
    }

    /// Who may send to HTTPS and who not, in the order in which entries are asked.
    pub(super) fn ingress(&self) -> Vec<(bool, Network)> {
        let web = |entry: &&AclEntry| {
            let covers = entry.ports.is_none_or(|(from, to)| from <= 443 && 443 <= to);
            !entry.egress && (entry.protocol == "-1" || (entry.protocol == "6" && covers))
        };
        let entries = self.entries.iter().filter(web);
        entries.filter_map(|entry| Some((entry.allows, Network::read(&entry.cidr)?))).collect()
    }
}

impl World {
    pub fn network_acl(&self) -> &NetworkAcl {
        &self.network_acl
    }

    /// Whether an entry could be added.
    ///
    /// # Errors
    /// Its number is taken, or there are as many as there may be.
    pub fn can_add_entry(&self, new: &AclEntry) -> Result<(), AclRefusal> {
        let same = || self.network_acl.entries.iter().filter(|known| known.egress == new.egress);
        if same().any(|known| known.rule == new.rule) {
            return Err(AclRefusal::Taken);
        }
        // The last one does not count.
        if same().count() > MOST { Err(AclRefusal::Full) } else { Ok(()) }
    }

    /// Adds an entry, in force at once.
    ///
    /// # Errors
    /// As [`World::can_add_entry`].
    pub fn add_entry(&mut self, new: AclEntry) -> Result<(), AclRefusal> {
        self.can_add_entry(&new)?;
        let entries = &mut self.network_acl.entries;
        entries.push(new);
        entries.sort_by_key(|entry| (entry.egress, entry.rule));
        Ok(())
    }

    /// Takes an entry away; false when there is none of that number.
    pub fn delete_entry(&mut self, egress: bool, rule: u16) -> bool {
        let entries = &mut self.network_acl.entries;
        let before = entries.len();
        entries.retain(|known| (known.egress, known.rule) != (egress, rule) || rule == LAST);
        entries.len() < before
    }
}
