//! Questions to the network from the arguments of a step.

use crate::domain::{Key, Name, NetworkProbe};

use super::{Args, Bound};

pub(super) fn bind(args: &Args<'_>) -> Bound<NetworkProbe> {
    Ok(match args.verb.name {
        "http-probe" => NetworkProbe::HttpProbe {
            url: args.text("url")?,
            times: args.maybe_count("times")?.unwrap_or(1),
            connect_to: args.maybe("connect_to")?,
        },
        "tls-probe" => NetworkProbe::TlsProbe {
            host: args.text("host")?,
            connect_to: args.maybe("connect_to").ok().flatten(),
            namespace: place(args),
            certificate: maybe_key(args, "certificate"),
            secret: maybe_key(args, "secret"),
        },
        "dns-lookup" => NetworkProbe::DnsLookup {
            name: args.text("name")?,
            record: args.text("record")?,
            namespace: place(args),
        },
        "pod-http" => NetworkProbe::PodHttp {
            pods: args.pods()?.iter().map(|pod| pod.key.clone()).collect(),
            port: args.maybe("port")?.map(Name::from),
            path: args.maybe("path")?,
        },
        "ingress-probe" => NetworkProbe::IngressProbe { ingress: args.key("ingress")? },
        "check-ingress" => NetworkProbe::CheckIngress { ingress: args.key("ingress")? },
        "check-service" => NetworkProbe::CheckService { service: args.key("service")? },
        "list-certificates" => NetworkProbe::ListCertificates { namespace: args.namespace()? },
        "check-issuance" => NetworkProbe::CheckIssuance { certificate: args.key("certificate")? },
        "acme-challenge" => NetworkProbe::AcmeChallenge { certificate: args.key("certificate")? },
        "filtered-logs" => NetworkProbe::FilteredLogs {
            namespace: args.namespace()?,
            selector: args.text("selector")?,
            about: args.text("about")?,
        },
        "registry-probe" => {
            NetworkProbe::RegistryProbe { image: args.text("image")?, pod: maybe_key(args, "pod") }
        }
        "registry-up" => NetworkProbe::RegistryUp { registry: args.text("registry")? },
        _ => return Err(args.cannot()),
    })
}

/// Where the cluster's own objects for a host are, as far as that is known: the question stands without.
fn place(args: &Args<'_>) -> Option<Name> {
    args.namespace().ok()
}

fn maybe_key(args: &Args<'_>, param: &str) -> Option<Key> {
    args.given.contains_key(param).then(|| args.key(param).ok()).flatten()
}
