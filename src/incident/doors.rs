//! The causal links of public hosts: what shuts a door, and what a shut door shows as (audit, section 5).

use super::causation::{Causation, Join, of_rollout, row, when};
use super::conditions::{NOBODY_ANSWERS, TLS, has_cause, lacks_pods};
use crate::domain::{Kind, cause};

pub(super) static DOORS: &[Causation] = &[
    when(
        row(
            ("cert-expiry", "ingress-down"),
            Join::Host,
            // Its days were counted long before clients refuse it.
            60 * 24 * 100,
            0.95,
            "clients refuse the certificate",
        ),
        |_, effect| has_cause(effect, TLS),
    ),
    when(
        row(
            ("ingress-down", "cert-expiry"),
            Join::Host,
            60 * 24,
            0.7,
            "the authority cannot reach the host to check it",
        ),
        |cause, effect| {
            !has_cause(cause, TLS) && has_cause(effect, &[cause::ISSUANCE_FAILING, cause::NOT_RENEWED])
        },
    ),
    for_want_of_pods(of_rollout(row(
        ("rollout-stuck", "ingress-down"),
        Join::Object(Kind::Deployment),
        20,
        0.9,
        "no replica of the rollout serves",
    ))),
    for_want_of_pods(row(
        ("crash-loop", "ingress-down"),
        Join::Object(Kind::Deployment),
        30,
        0.9,
        "no pod is left to answer",
    )),
    for_want_of_pods(row(
        ("image-pull", "ingress-down"),
        Join::Object(Kind::Deployment),
        30,
        0.9,
        "no pod is left to answer",
    )),
    for_want_of_pods(row(
        ("node-notready", "ingress-down"),
        Join::Object(Kind::Deployment),
        15,
        0.7,
        "its pods are on that node",
    )),
    when(
        row(("db-pool", "ingress-down"), Join::Anything, 10, 0.85, "pods are not ready without the database"),
        |_, effect| has_cause(effect, &[cause::NO_ENDPOINTS]),
    ),
    row(("ingress-down", "traffic-gone"), Join::Namespace, 15, 0.9, "nobody gets in by that door"),
    row(("cert-expiry", "traffic-gone"), Join::Namespace, 15, 0.8, "clients refuse the certificate"),
    when(
        row(("ingress-down", "high-5xx"), Join::Namespace, 15, 0.7, "the door answers for pods that do not"),
        |cause, _| has_cause(cause, NOBODY_ANSWERS),
    ),
];

/// The door is shut because its pods do not answer, not because of how it is written.
const fn for_want_of_pods(row: Causation) -> Causation {
    when(row, lacks_pods)
}
