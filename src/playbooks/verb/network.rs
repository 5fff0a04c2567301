//! The verbs of the network.

use super::ParamKind::{Count, Host, Image, Line, Name, OneOf, Pods, Url};
use super::{IN, Verb, may, must, reads};
use crate::domain::System::Network;

const RECORDS: &[&str] = &["A", "AAAA", "CNAME", "TXT", "NS", "CAA"];

pub(super) static VERBS: &[Verb] = &[
    reads("http-probe", &[must("url", Url), may("times", Count), may("connect_to", Host)]).on(Network),
    reads(
        "tls-probe",
        &[must("host", Host), may("connect_to", Host), may("certificate", Name), may("secret", Name), IN],
    )
    .on(Network),
    reads("dns-lookup", &[must("name", Host), must("record", OneOf(RECORDS)), IN]).on(Network),
    reads("pod-http", &[must("pods", Pods), may("port", Name), may("path", Line)]).on(Network),
    reads("ingress-probe", &[must("ingress", Name), IN]).on(Network),
    reads("check-ingress", &[must("ingress", Name), IN]).on(Network),
    reads("check-service", &[must("service", Name), IN]).on(Network),
    reads("list-certificates", &[IN]).on(Network),
    reads("check-issuance", &[must("certificate", Name), IN]).on(Network),
    reads("acme-challenge", &[must("certificate", Name), IN]).on(Network),
    reads("filtered-logs", &[must("selector", Line), must("about", Line), IN]).on(Network),
    reads("registry-probe", &[must("image", Image), may("pod", Name), IN]).on(Network),
    reads("registry-up", &[must("registry", Host)]).on(Network),
];
