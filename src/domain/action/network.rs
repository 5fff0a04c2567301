//! Questions to the network: TLS, DNS, HTTP and registries; and to the cluster about the way in.

use serde::{Deserialize, Serialize};

use super::shell_quote;
use crate::domain::{Effect, Key, Name, text};

/// What is asked; nothing on the network is ever changed.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(tag = "does", rename_all = "kebab-case")]
pub enum NetworkProbe {
    /// The status that a URL answers with, and the time of each layer; at another address, if one is given.
    HttpProbe {
        url: String,
        times: u32,
        #[serde(default)]
        connect_to: Option<String>,
    },
    /// What every address of a host (`host[:port]`) serves, compared with the Certificate's own dates.
    TlsProbe {
        host: String,
        /// `address:port`, where another than that of its name is meant.
        #[serde(default)]
        connect_to: Option<String>,
        /// Where Ingresses with this host are looked for, for the addresses of their load balancers.
        namespace: Option<Name>,
        certificate: Option<Key>,
        /// Whose dates and serial it is compared with where there is no Certificate; the key is never looked at.
        #[serde(default)]
        secret: Option<Key>,
    },
    /// What this machine's resolvers, public ones and the zone's own name servers say, side by side.
    DnsLookup {
        name: String,
        /// `A`, `AAAA`, `CNAME`, `TXT`, …
        record: String,
        namespace: Option<Name>,
    },
    /// Each pod's own answer, through the API server; path and port of its readiness probe unless given.
    PodHttp {
        pods: Vec<Key>,
        port: Option<Name>,
        path: Option<String>,
    },
    /// The whole way in, layer by layer, and the first that fails.
    IngressProbe {
        ingress: Key,
    },
    /// Class, rules, certificates, load balancer, backends and the controller of an Ingress.
    CheckIngress {
        ingress: Key,
    },
    /// A Service's selector and ports against the pods behind it.
    CheckService {
        service: Key,
    },
    ListCertificates {
        namespace: Name,
    },
    /// Why a Certificate is (not) issued: its requests, orders, challenges and issuer.
    CheckIssuance {
        certificate: Key,
    },
    /// Whether the challenges of a Certificate can be seen from outside, as the authority looks at them.
    AcmeChallenge {
        certificate: Key,
    },
    /// Lines about something in the logs of the pods that a selector finds.
    FilteredLogs {
        namespace: Name,
        selector: String,
        about: String,
    },
    /// Whether an image exists and for which platforms; with the credentials of this pod, if one is given.
    RegistryProbe {
        image: String,
        pod: Option<Key>,
    },
    /// Whether a registry is up at all.
    RegistryUp {
        registry: String,
    },
}

impl NetworkProbe {
    /// Fixed by the type: all of them read.
    pub fn effect(&self) -> Effect {
        Effect::Read
    }

    /// The line a person could paste into a shell.
    pub(super) fn as_command(&self) -> String {
        match self {
            NetworkProbe::HttpProbe { url, connect_to, .. } => {
                let to = connect_to
                    .as_ref()
                    .map(|to| format!("--connect-to {} ", shell_quote(&format!("::{to}:"))));
                let to = to.unwrap_or_default();
                format!("curl -sS -o /dev/null -w '%{{http_code}}\\n' {to}{}", shell_quote(url))
            }
            NetworkProbe::TlsProbe { host, connect_to, .. } => {
                let (name, port) = host.rsplit_once(':').unwrap_or((host, "443"));
                let at = connect_to.clone().unwrap_or_else(|| format!("{name}:{port}"));
                format!(
                    "openssl s_client -connect {} -servername {} </dev/null | openssl x509 -noout -dates -serial -issuer -ext subjectAltName",
                    shell_quote(&at),
                    shell_quote(name)
                )
            }
            NetworkProbe::DnsLookup { name, record, .. } => {
                let (name, record) = (shell_quote(name), shell_quote(record));
                format!("dig {record} {name}; dig @1.1.1.1 {record} {name}; dig +nssearch {name}")
            }
            NetworkProbe::PodHttp { pods, port, path } => pods
                .iter()
                .map(|pod| {
                    let port = port.as_ref().map(|port| format!(":{port}")).unwrap_or_default();
                    let path = path.as_deref().unwrap_or("/").trim_start_matches('/');
                    let url =
                        format!("/api/v1/namespaces/{}/pods/{}{port}/proxy/{path}", pod.namespace, pod.name);
                    format!("kubectl get --raw {}", shell_quote(&url))
                })
                .collect::<Vec<_>>()
                .join("; "),
            NetworkProbe::IngressProbe { ingress } | NetworkProbe::CheckIngress { ingress } => {
                named("describe ingress", ingress)
            }
            NetworkProbe::CheckService { service } => format!(
                "{}; kubectl get endpointslices -n {} -l {}",
                named("describe service", service),
                shell_quote(&service.namespace),
                shell_quote(&format!("kubernetes.io/service-name={}", service.name))
            ),
            NetworkProbe::ListCertificates { namespace } => {
                format!("kubectl get certificates -n {} -o wide", shell_quote(namespace))
            }
            NetworkProbe::CheckIssuance { certificate } | NetworkProbe::AcmeChallenge { certificate } => {
                format!(
                    "{}; kubectl get certificaterequests,orders,challenges -n {} -o wide",
                    named("describe certificate", certificate),
                    shell_quote(&certificate.namespace)
                )
            }
            NetworkProbe::FilteredLogs { namespace, selector, about } => format!(
                "kubectl logs -n {} -l {} --tail=-1 --since=1h | grep -F {}",
                shell_quote(namespace),
                shell_quote(selector),
                shell_quote(about)
            ),
            NetworkProbe::RegistryProbe { image, .. } => {
                format!("docker manifest inspect {}", shell_quote(image))
            }
            NetworkProbe::RegistryUp { registry } => format!(
                "curl -sS -o /dev/null -w '%{{http_code}}\\n' {}",
                shell_quote(&format!("https://{registry}/v2/"))
            ),
        }
    }

    /// Hides whatever is secret in it.
    pub(in crate::domain) fn mask(&mut self) {
        if let NetworkProbe::HttpProbe { url, .. } = self {
            *url = text::redact(url);
        }
    }
}

fn named(verb: &str, key: &Key) -> String {
    format!("kubectl {verb} {} -n {}", shell_quote(&key.name), shell_quote(&key.namespace))
}
