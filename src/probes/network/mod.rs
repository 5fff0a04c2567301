//! Questions to the network, as any client outside would ask them, and to the cluster about the way in.

mod acme;
mod controller;
mod dns;
mod http;
mod ingress;
mod issuance;
mod issuer;
mod logs;
mod pod_http;
mod registry;
mod service;
mod tls;
mod way_in;

use super::answer::Answer;
use super::cluster::Cluster;
use super::trouble::Trouble;
use crate::config::Outside;
use crate::config::net::Roots;
use crate::domain::{NetworkProbe, Timestamp};

/// Who asks, and when.
struct Asking<'a> {
    cluster: &'a Cluster,
    outside: &'a Outside,
    now: Timestamp,
}

impl Asking<'_> {
    /// What this machine and the settings trust.
    async fn roots(&self) -> Roots {
        let authority = self.outside.tls_authority.clone();
        let read = tokio::task::spawn_blocking(move || Roots::native(authority.as_deref()));
        read.await.unwrap_or_default()
    }
}

pub(super) async fn read(
    cluster: &Cluster,
    outside: &Outside,
    probe: &NetworkProbe,
    now: Timestamp,
) -> Result<Answer, Trouble> {
    let asking = Asking { cluster, outside, now };
    match probe {
        NetworkProbe::HttpProbe { url, times, connect_to } => {
            Ok(http::probe(&asking, url, *times, connect_to.as_deref()).await)
        }
        NetworkProbe::TlsProbe { host, connect_to, namespace, certificate, secret } => {
            let kept = (certificate.as_ref(), secret.as_ref());
            let at = connect_to.as_deref().and_then(|to| to.parse().ok());
            Ok(tls::probe(&asking, (host, at), namespace.as_deref(), kept).await)
        }
        NetworkProbe::DnsLookup { name, record, namespace } => {
            Ok(dns::lookup(&asking, name, record, namespace.as_deref()).await)
        }
        NetworkProbe::PodHttp { pods, port, path } => {
            pod_http::probe(&asking, pods, port.as_deref(), path.as_deref()).await
        }
        NetworkProbe::IngressProbe { ingress } => ingress::probe(&asking, ingress).await,
        NetworkProbe::CheckIngress { ingress } => way_in::check(&asking, ingress).await,
        NetworkProbe::CheckService { service } => service::check(&asking, service).await,
        NetworkProbe::ListCertificates { namespace } => issuance::list(&asking, namespace).await,
        NetworkProbe::CheckIssuance { certificate } => issuance::check(&asking, certificate).await,
        NetworkProbe::AcmeChallenge { certificate } => acme::probe(&asking, certificate).await,
        NetworkProbe::FilteredLogs { namespace, selector, about } => {
            logs::read(&asking, namespace, selector, about).await
        }
        NetworkProbe::RegistryProbe { image, pod } => registry::probe(&asking, image, pod.as_ref()).await,
        NetworkProbe::RegistryUp { registry } => Ok(registry::up(&asking, registry).await),
    }
}
