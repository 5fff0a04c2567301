//! The way in: the ingress controller, the Service behind it, the names that lead there; and how many users come
//! through. It knows who takes connections, not what they carry.

use std::net::Ipv4Addr;

use super::balancer::BALANCERS;
use super::cluster::Cluster;
use super::objects::Pod;
use super::route53::{ALIAS_TTL, RecordSet, ZONE_NAME};
use super::shelf::Key;
use super::{APP, NAMESPACE, World, balancer, route53, traffic};
use crate::lab::signals::DnsRecord;
use crate::lab::store::Object;

/// The Deployment that serves the class `nginx`.
pub const CONTROLLER: (&str, &str) = ("ingress-nginx", "ingress-nginx-controller");
/// Where the public names lead at first: the load balancer, which is the lab's own endpoint.
pub(super) const HOME: &str = "127.0.0.1";
/// The load balancer's name.
pub const BALANCER: &str = "a1b2c3d4e5f60718-123456789.elb.us-east-1.amazonaws.com";

/// Share of the users that still come when clients refuse the certificate: those that do not check.
const UNCHECKED: f64 = 0.1;

/// The network that users come from (RFC 2544: for benchmarks): its address and prefix.
pub(super) const USERS: (u32, u32) = (0xC612_0000, 15);

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
        self.shares(u32::from(address), self.prefix)
    }

    fn shares(self, address: u32, bits: u32) -> bool {
        (self.address ^ address).checked_shr(32 - bits).unwrap_or_default() == 0
    }

    /// The share of the users that is in it.
    pub fn users(self) -> f64 {
        let (from, bits) = USERS;
        if !self.shares(from, bits.min(self.prefix)) {
            return 0.0;
        }
        0.5_f64.powi(self.prefix.saturating_sub(bits) as i32)
    }
}

/// What the Ingress turns away, as ingress-nginx reads it: a list with a mistake in it is no list.
pub(super) fn denied(cluster: &Cluster) -> Vec<Network> {
    let list = annotation(cluster, "denylist-source-range");
    let networks: Option<Vec<Network>> = list.split(',').map(Network::read).collect();
    networks.unwrap_or_default()
}

/// Requests per second that each address may make, where a limit is set.
pub(super) fn limit_per_second(cluster: &Cluster) -> Option<f64> {
    let number = |name: &str| annotation(cluster, name).parse::<f64>().ok().filter(|limit| *limit > 0.0);
    let limits = [number("limit-rps"), number("limit-rpm").map(|minute| minute / 60.0)];
    limits.into_iter().flatten().reduce(f64::min)
}

fn annotation(cluster: &Cluster, name: &str) -> String {
    let ingress = cluster.store.get("ingresses", NAMESPACE, "covetpy-ingress");
    let pointer = format!("/metadata/annotations/nginx.ingress.kubernetes.io~1{name}");
    ingress.map(|ingress| text(&ingress, &pointer)).unwrap_or_default()
}

impl World {
    /// Shows the way in as it is now.
    pub(super) fn show_edge(&mut self) {
        let controllers = controllers(&self.cluster);
        let endpoints = !traffic::targets(&self.cluster).is_empty();
        let mut registry = self.kubelet.registry.shown();
        registry.limited = registry.limited.filter(|(_, until)| *until > self.cluster.now);
        let mut ours = self.cluster.pods.within(NAMESPACE).filter(|(_, pod)| {
            pod.metadata.labels.get("app").is_some_and(|app| app == "covetpy") && !pod.is_deleting()
        });
        let pods_well = ours.any(|(key, pod)| {
            !self.kubelet.is_stopped(&pod.spec.node_name) && self.kubelet.answers_well(&self.cluster, key)
        });
        let (now, admitted) = (self.cluster.now, self.admitted());
        let expired = self.signals.write(|shown| {
            // A security group drops what it does not let in; on loopback it can only be refused, which is sooner.
            shown.edge.up = controllers > 0 && admitted > 0.0;
            shown.edge.endpoints = endpoints;
            shown.edge.pods_well = pods_well;
            shown.registry = registry;
            shown.certificates.first().is_some_and(|served| served.not_after <= now)
        });
        let shut_out: f64 = denied(&self.cluster).into_iter().map(Network::users).sum();
        let let_in = (1.0 - shut_out).max(0.0) * admitted * self.led_home();
        self.traffic.door = match (controllers, expired) {
            (0, _) => 0.0,
            (_, true) => UNCHECKED * let_in,
            _ => let_in,
        };
    }
}

/// Controller pods that are ready.
fn controllers(cluster: &Cluster) -> usize {
    let pods = cluster.pods.within(CONTROLLER.0);
    pods.filter(|(_, pod)| is_controller(pod) && pod.is_ready() && !pod.is_deleting()).count()
}

/// Whether a pod of the controller's namespace is one of its own.
pub(super) fn is_controller(pod: &Pod) -> bool {
    pod.metadata.labels.get("app").is_some_and(|label| label == "ingress-nginx")
}

/// Uids of the controller's pods that are ready: which of them have read what is new.
pub(super) fn controller_uids(cluster: &Cluster) -> Vec<String> {
    let pods = cluster.pods.within(CONTROLLER.0);
    let ready = pods.filter(|(_, pod)| pod.is_ready() && !pod.is_deleting());
    ready.map(|(_, pod)| pod.metadata.uid.clone()).collect()
}

/// Every record there is: of the public zone, and of the names it leads to.
pub(super) fn records(sets: &[RecordSet]) -> Vec<DnsRecord> {
    let record = |name: &str, kind: &'static str, ttl: u32, value: &str| DnsRecord {
        name: name.to_owned(),
        kind,
        ttl,
        value: value.to_owned(),
    };
    let zone = "elb.us-east-1.amazonaws.com";
    let server = format!("ns1.{zone}");
    let mut records = route53::render(sets);
    records.push(record(zone, "SOA", 3600, &server));
    records.push(record(zone, "NS", 3600, &server));
    records.extend([server, format!("ns1.{ZONE_NAME}")].map(|server| record(&server, "A", 3600, HOME)));
    for balancer in BALANCERS {
        let addresses = balancer::addresses(balancer.dns_name);
        records.extend(addresses.iter().map(|address| record(balancer.dns_name, "A", ALIAS_TTL, address)));
    }
    records
}

/// The selector of the app's Service, as it stands.
pub(super) fn selector(cluster: &Cluster) -> super::objects::Map {
    cluster
        .services
        .get(&Key::new(NAMESPACE, APP))
        .map(|service| service.spec.selector.clone())
        .unwrap_or_default()
}

/// A field of a stored object, or "".
pub(super) fn text(object: &Object, pointer: &str) -> String {
    object.value().pointer(pointer).and_then(serde_json::Value::as_str).unwrap_or_default().to_owned()
}
