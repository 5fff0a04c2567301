//! Networks in CIDR notation: which addresses they hold, and whether two overlap.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// A network: an address and how many of its bits count.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Cidr {
    address: IpAddr,
    prefix: u8,
}

impl Cidr {
    /// One address alone.
    pub fn host(address: IpAddr) -> Self {
        Self { address, prefix: if address.is_ipv4() { 32 } else { 128 } }
    }

    pub fn prefix(self) -> u8 {
        self.prefix
    }

    pub fn is_ipv4(self) -> bool {
        self.address.is_ipv4()
    }

    pub fn address(self) -> IpAddr {
        self.address
    }

    /// Whether any address is in both.
    pub fn overlaps(self, other: Cidr) -> bool {
        if self.is_ipv4() != other.is_ipv4() {
            return false;
        }
        let prefix = self.prefix.min(other.prefix);
        masked(self.address, prefix) == masked(other.address, prefix)
    }

    /// Not of the internet: private, loopback, link-local, documentation excepted.
    pub fn is_internal(self) -> bool {
        const INTERNAL: [(&str, u8); 9] = [
            ("0.0.0.0", 8),
            ("10.0.0.0", 8),
            ("100.64.0.0", 10),
            ("127.0.0.0", 8),
            ("169.254.0.0", 16),
            ("172.16.0.0", 12),
            ("192.168.0.0", 16),
            ("::1", 128),
            ("fc00::", 7),
        ];
        INTERNAL.iter().any(|(address, prefix)| {
            address.parse().is_ok_and(|address| self.overlaps(Cidr { address, prefix: *prefix }))
        })
    }
}

fn masked(address: IpAddr, prefix: u8) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
            IpAddr::V4(Ipv4Addr::from(u32::from(address) & mask))
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
            IpAddr::V6(Ipv6Addr::from(u128::from(address) & mask))
        }
    }
}

impl FromStr for Cidr {
    type Err = String;

    /// `203.0.113.7/32`; an address alone is one address. Bits beyond the prefix must be zero, as AWS wants it.
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no network such as 203.0.113.0/24");
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let prefix: u8 = prefix.map_or(Ok(most), str::parse).map_err(|_| wrong())?;
        if prefix > most || masked(address, prefix) != address {
            return Err(wrong());
        }
        Ok(Self { address, prefix })
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cidr(text: &str) -> Cidr {
        text.parse().unwrap()
    }

    #[test]
    fn networks_overlap_by_their_shorter_prefix() {
        assert!(cidr("203.0.113.0/24").overlaps(cidr("203.0.113.9/32")));
        assert!(!cidr("203.0.113.0/24").overlaps(cidr("203.0.114.0/24")));
        assert!(cidr("0.0.0.0/0").overlaps(cidr("198.51.100.1")));
        assert!(!cidr("::/0").overlaps(cidr("0.0.0.0/0")));
        assert!(cidr("10.0.0.0/16").is_internal() && cidr("0.0.0.0/0").is_internal());
        assert!(!cidr("198.51.100.0/24").is_internal() && !cidr("2001:db8::/64").is_internal());
    }

    #[test]
    fn what_aws_would_refuse_is_refused_here() {
        for wrong in ["203.0.113.5/24", "203.0.113.0/33", "203.0.113", "x/8", "2001:db8::1/64", ""] {
            assert!(wrong.parse::<Cidr>().is_err(), "{wrong}");
        }
    }
}
