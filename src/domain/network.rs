//! How traffic gets in and where data lives: Services, EndpointSlices, Ingresses, claims, Certificates.

use super::config_object::Edit;
use super::pod::Condition;
use super::{Key, Labels, Name, Selector, Timestamp};

/// The annotation of ingress-nginx that lists networks, in CIDR notation and separated by commas, whose requests it
/// answers with 403 (ingress-nginx, annotations: denylist source range).
pub const DENYLIST: &str = "nginx.ingress.kubernetes.io/denylist-source-range";

#[derive(Clone, PartialEq, Debug)]
pub struct Service {
    pub key: Key,
    pub created: Timestamp,
    pub labels: Labels,
    pub selector: Selector,
    /// Port names and numbers.
    pub ports: Box<[(Option<Name>, u16)]>,
    /// `clusterIP: None`: its name leads to the pods themselves, at whatever port one asks.
    pub is_headless: bool,
    pub edited: Option<Edit>,
}

#[derive(Clone, PartialEq, Debug)]
pub struct EndpointSlice {
    pub key: Key,
    /// Label `kubernetes.io/service-name`.
    pub service: Option<Name>,
    pub ready: u32,
    pub total: u32,
    /// Names of the Service's ports that its endpoints have; empty for a port without a name. A port that leads to a
    /// name that no container has is in none of the Service's slices.
    pub ports: Box<[Name]>,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Ingress {
    pub key: Key,
    pub created: Timestamp,
    pub edited: Option<Edit>,
    pub class: Option<Name>,
    /// Hosts of the rules.
    pub hosts: Box<[Name]>,
    /// `spec.tls[]`: hosts, and the Secret that holds their certificate.
    pub tls: Box<[(Box<[Name]>, Name)]>,
    /// Backend services, each once.
    pub services: Box<[Name]>,
    /// With the port that they are asked at.
    pub backends: Box<[Backing]>,
    /// `status.loadBalancer.ingress[]`: IP or hostname, with `:port` when its `ports[]` name one (the lab's
    /// load balancer does not listen on 443).
    pub addresses: Box<[Name]>,
}

/// A Service behind an Ingress.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Backing {
    pub service: Name,
    /// Of the Service, by name or number; None where a resource of another kind is meant.
    pub port: Option<Name>,
}

#[derive(Clone, PartialEq, Debug)]
pub struct PersistentVolumeClaim {
    pub key: Key,
    /// `Bound`, `Pending` or `Lost`.
    pub phase: Name,
    pub created: Timestamp,
    /// The last write to its specification.
    pub edited: Option<Edit>,
    /// What it has; as long as it has nothing, what it asks for.
    pub capacity_bytes: Option<u64>,
    /// `spec.resources.requests.storage`; larger than what it has while it grows, or cannot.
    pub requested_bytes: Option<u64>,
    pub storage_class: Option<Name>,
}

/// A cert-manager Certificate.
#[derive(Clone, PartialEq, Debug)]
pub struct Certificate {
    pub key: Key,
    pub resource_version: Name,
    /// `spec.secretName`.
    pub secret: Name,
    pub dns_names: Box<[Name]>,
    pub issuer: Name,
    pub not_after: Option<Timestamp>,
    pub renewal_time: Option<Timestamp>,
    pub last_failure: Option<Timestamp>,
    pub failed_attempts: u32,
    pub conditions: Box<[Condition]>,
}

impl Certificate {
    pub fn condition(&self, kind: &str) -> Option<&Condition> {
        self.conditions.iter().find(|condition| &*condition.kind == kind)
    }
}
