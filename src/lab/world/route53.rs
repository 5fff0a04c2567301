//! The public zone as Route 53 keeps it: what its API shows at once, its name servers a little later, and the
//! resolvers of the world only when what they remember has ended. It knows records, and no protocol.

use jiff::{SignedDuration, Timestamp};

use super::cluster::{Cluster, later};
use super::{World, balancer, edge, our_app};
use crate::lab::signals::{DnsRecord, Shown};

/// The hosted zone.
pub const ZONE: &str = "Z08154711QVC9XMPL2";
pub const ZONE_NAME: &str = "yourdomain.com";
/// How long resolvers remember an answer about an alias, in seconds (Route 53 developer guide, for load balancers).
pub const ALIAS_TTL: u32 = 60;
/// Seconds until every name server has a change (Route 53: usually within 60).
const SPREAD: (f64, f64) = (15.0, 30.0);

/// One record set. Names are in lower case, without the last dot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordSet {
    pub name: String,
    pub kind: RecordKind,
    /// Seconds; for an alias its target's.
    pub ttl: Option<u32>,
    pub values: Vec<String>,
    pub alias: Option<Alias>,
}

/// The types of records that this zone may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RecordKind {
    A,
    Cname,
    Ns,
    Soa,
    Txt,
}

/// A load balancer's name in the place of addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alias {
    /// The hosted zone of the target.
    pub zone: String,
    pub dns_name: String,
    pub evaluate_health: bool,
}

/// A change that was asked for.
#[derive(Clone, Debug)]
pub struct ZoneChange {
    pub id: String,
    pub submitted: Timestamp,
    /// When every name server has it.
    pub in_sync: Timestamp,
}

impl RecordKind {
    const ALL: [(Self, &'static str); 5] =
        [(Self::A, "A"), (Self::Cname, "CNAME"), (Self::Ns, "NS"), (Self::Soa, "SOA"), (Self::Txt, "TXT")];

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known)| *known == name).map(|(kind, _)| *kind)
    }

    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(kind, _)| *kind == self).map_or("", |(_, name)| name)
    }
}

impl RecordSet {
    fn ttl(&self) -> u32 {
        self.ttl.unwrap_or(ALIAS_TTL)
    }

    fn is_like(&self, other: &Self) -> bool {
        self.name == other.name && self.kind == other.kind
    }

    /// As a name server answers it: an alias by the addresses of its target.
    fn records(&self) -> Vec<DnsRecord> {
        let values = match &self.alias {
            Some(alias) => balancer::addresses(&alias.dns_name),
            None => self.values.clone(),
        };
        let record =
            |value| DnsRecord { name: self.name.clone(), kind: self.kind.as_str(), ttl: self.ttl(), value };
        values.into_iter().map(record).collect()
    }
}

/// The zone, at its three speeds.
pub struct HostedZone {
    /// As the API shows it.
    pub sets: Vec<RecordSet>,
    pub changes: Vec<ZoneChange>,
    /// What name servers and resolvers will say from when on.
    served: Vec<(Timestamp, Vec<RecordSet>)>,
    remembered: Vec<(Timestamp, Vec<RecordSet>)>,
    /// Where resolvers lead users now.
    believed: Vec<RecordSet>,
}

impl HostedZone {
    pub(super) fn new() -> Self {
        let set = |name: &str, kind, ttl, value: &str| RecordSet {
            name: name.to_owned(),
            kind,
            ttl: Some(ttl),
            values: vec![value.to_owned()],
            alias: None,
        };
        let server = format!("ns1.{ZONE_NAME}");
        let mut sets = vec![
            set(ZONE_NAME, RecordKind::Ns, 3600, &server),
            set(ZONE_NAME, RecordKind::Soa, 3600, &server),
        ];
        sets.extend(our_app::HOSTS.iter().map(|host| to_balancer(host, edge::BALANCER)));
        Self { believed: sets.clone(), sets, changes: Vec::new(), served: Vec::new(), remembered: Vec::new() }
    }

    /// Writes a set over the one of its name and type, or takes it away.
    pub fn change(&mut self, changed: Vec<(RecordSet, bool)>, cluster: &mut Cluster) -> ZoneChange {
        let mut longest = 0;
        for (set, stays) in changed {
            let old = self.sets.iter().find(|known| known.is_like(&set)).map_or(0, RecordSet::ttl);
            longest = longest.max(old);
            self.sets.retain(|known| !known.is_like(&set));
            self.sets.extend(stays.then_some(set));
        }
        let in_sync = cluster.after_about(SPREAD.0, SPREAD.1);
        // Somebody asked just before the change.
        let forgotten = later(in_sync, cluster.lasting(f64::from(longest)));
        self.served.push((in_sync, self.sets.clone()));
        self.remembered.push((forgotten, self.sets.clone()));
        let id: String = (0..20).map(|_| cluster.rng.alphanumeric().to_ascii_uppercase()).collect();
        let change = ZoneChange { id: format!("C{id}"), submitted: cluster.now, in_sync };
        self.changes.push(change.clone());
        change
    }

    /// Somebody changed it long enough ago: everybody says the same.
    fn settle(&mut self, shown: &mut Shown) {
        (self.served, self.remembered) = (Vec::new(), Vec::new());
        self.believed.clone_from(&self.sets);
        shown.dns = edge::records(&self.sets);
        shown.remembered_dns.clone_from(&shown.dns);
    }

    /// Shows what is due by now.
    fn tick(&mut self, now: Timestamp, shown: &mut Shown) {
        if let Some(sets) = due(&mut self.served, now) {
            shown.dns = edge::records(&sets);
        }
        if let Some(sets) = due(&mut self.remembered, now) {
            shown.remembered_dns = edge::records(&sets);
            self.believed = sets;
        }
    }
}

/// The latest of what is due.
fn due(waiting: &mut Vec<(Timestamp, Vec<RecordSet>)>, now: Timestamp) -> Option<Vec<RecordSet>> {
    let (due, left): (Vec<_>, Vec<_>) = waiting.drain(..).partition(|(at, _)| *at <= now);
    *waiting = left;
    due.into_iter().max_by_key(|(at, _)| *at).map(|(_, sets)| sets)
}

/// An alias to a load balancer.
fn to_balancer(host: &str, balancer: &str) -> RecordSet {
    let alias =
        Alias { zone: balancer::ALIAS_ZONE.to_owned(), dns_name: balancer.to_owned(), evaluate_health: true };
    RecordSet {
        name: host.to_owned(),
        kind: RecordKind::A,
        ttl: None,
        values: Vec::new(),
        alias: Some(alias),
    }
}

/// What records are rendered as.
pub(super) fn render(sets: &[RecordSet]) -> Vec<DnsRecord> {
    sets.iter().flat_map(RecordSet::records).collect()
}

impl World {
    pub fn hosted_zone(&self) -> &HostedZone {
        &self.zone
    }

    /// Changes record sets: each is written, or taken away.
    pub fn change_records(&mut self, changed: Vec<(RecordSet, bool)>) -> ZoneChange {
        self.zone.change(changed, &mut self.cluster)
    }

    pub(super) fn show_dns(&mut self) {
        let (zone, now) = (&mut self.zone, self.cluster.now);
        if !(zone.served.is_empty() && zone.remembered.is_empty()) {
            self.signals.write(|shown| zone.tick(now, shown));
        }
    }

    /// Everybody says what the zone says.
    pub(super) fn settle_dns(&mut self) {
        let zone = &mut self.zone;
        self.signals.write(|shown| zone.settle(shown));
    }

    /// The share of the users whom resolvers lead to the load balancer.
    pub(super) fn led_home(&self) -> f64 {
        let leads = |host: &str| {
            let sets = self.zone.believed.iter().filter(|set| set.name == host);
            sets.flat_map(RecordSet::records).any(|record| record.value == edge::HOME)
        };
        our_app::HOSTS
            .iter()
            .zip(our_app::USERS_OF_HOSTS)
            .filter(|(host, _)| leads(host))
            .map(|(_, of)| of)
            .sum()
    }

    /// Points a public name at another address, as somebody at the DNS could; long enough ago that everybody knows.
    pub fn point_dns(&mut self, host: &str, address: &str) {
        let set = RecordSet {
            values: vec![address.to_owned()],
            alias: None,
            ttl: Some(ALIAS_TTL),
            ..to_balancer(host, "")
        };
        self.replace_set(set);
    }

    /// The record of a public name leads to the load balancer that was there before.
    pub(super) fn lead_astray(&mut self, host: &str) {
        self.replace_set(to_balancer(host, balancer::OLD));
    }

    fn replace_set(&mut self, set: RecordSet) {
        self.zone.sets.retain(|known| !known.is_like(&set));
        self.zone.sets.push(set);
        self.settle_dns();
    }
}

/// Whether a change has reached every name server.
impl ZoneChange {
    pub fn is_in_sync(&self, now: Timestamp) -> bool {
        now.duration_since(self.in_sync) >= SignedDuration::ZERO
    }
}
