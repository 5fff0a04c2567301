//! The way in: the ingress controller, the Service behind it, the names that lead there; and how many users come
//! through. It knows who takes connections, not what they carry.

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
        let gates = self.gates();
        let (now, connected) = (self.cluster.now, gates.connected());
        let expired = self.signals.write(|shown| {
            // Security groups and ACLs drop what they do not let in; on loopback it can only be refused, which is sooner.
            shown.edge.up = controllers > 0 && connected > 0.0;
            shown.edge.endpoints = endpoints;
            shown.edge.pods_well = pods_well;
            shown.registry = registry;
            shown.certificates.first().is_some_and(|served| served.not_after <= now)
        });
        let let_in = gates.users(traffic::BASE) * self.led_home();
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
