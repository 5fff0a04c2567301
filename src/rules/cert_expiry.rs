//! Certificates that expire, were not renewed in their time, or are not the right ones, by host or Certificate.
//! Dates, names and trust only; why issuing fails is for the playbook to find out.

use std::collections::BTreeMap;

use crate::domain::{
    Anomaly, AnomalyId, Cause, Certificate, Handshake, Key, Kind, Name, ObjectRef, Origin, Severity, Subject,
    Timestamp, cause,
};

use super::cert_trouble::{Limit, Trouble, limit, minute, of_certificate, of_handshake};
use super::workload::{Bindings, evidence};
use super::{Needs, Rule, Scene, Threshold, Unit, shown};

pub(super) const WARNING: Threshold = Threshold {
    key: "cert-expiry.warning",
    default: 21.0 * 86_400.0,
    unit: Unit::Seconds,
    says: "time left, for a certificate that nobody renews; scaled down for short-lived ones",
    source: "blackbox rules warn at 20 days; ours is 21",
};
pub(super) const CRITICAL: Threshold = Threshold {
    key: "cert-expiry.critical",
    default: 7.0 * 86_400.0,
    unit: Unit::Seconds,
    says: "time left",
    source: "kubernetes-mixin: KubeletClientCertificateExpiration, 7 days",
};
pub(super) const RENEWAL_SHARE: Threshold = Threshold {
    key: "cert-expiry.renewal-share",
    default: 0.1,
    unit: Unit::Ratio,
    says: "part of the renewal window that may pass before it is late",
    source: "our own choice; cert-manager-mixin allows 30 %",
};
pub(super) const RENEWAL_AFTER: Threshold = Threshold {
    key: "cert-expiry.renewal-after",
    default: 3600.0,
    unit: Unit::Seconds,
    says: "how long a renewal is late before it is a warning",
    source: "cert-manager-mixin: 1h",
};
pub(super) const NOT_READY_AFTER: Threshold = Threshold {
    key: "cert-expiry.not-ready-after",
    default: 600.0,
    unit: Unit::Seconds,
    says: "how long a Certificate may be not Ready",
    source: "cert-manager-mixin: CertManagerCertNotReady, 10m",
};
pub(super) const ISSUING: Threshold = Threshold {
    key: "cert-expiry.issuing",
    default: 600.0,
    unit: Unit::Seconds,
    says: "how long issuing may take before it counts as late",
    source: "our own choice",
};

pub(super) const LIMITED_AFTER: Threshold = Threshold {
    key: "cert-expiry.limited-after",
    default: 300.0,
    unit: Unit::Seconds,
    says: "how long the issuer has limited attempts (429) before it is a warning",
    source: "our own choice",
};

pub(super) static RULE: Rule = Rule {
    name: "cert-expiry",
    title: "Certificates expiring",
    says: "Served certificates and Certificate objects: time left, renewals that are late, names that do not \
           match, chains that clients do not trust, handshakes that fail. Silent inside the renewal window while \
           issuing is in progress.",
    needs: Needs::Any(&[Origin::Tls, Origin::Certificates]),
    awaits: &[Origin::Certificates, Origin::Ingresses],
    thresholds: &[WARNING, CRITICAL, RENEWAL_SHARE, RENEWAL_AFTER, NOT_READY_AFTER, ISSUING, LIMITED_AFTER],
    examine,
};

fn examine(scene: &Scene<'_>) -> Vec<Anomaly> {
    let mut certificates: Vec<&Certificate> = scene.snapshot.certificates.iter().collect();
    certificates.sort_by(|one, other| one.key.cmp(&other.key));
    // Hosts are judged with the Certificate that stands for them, so that one trouble is told once.
    let mut served: BTreeMap<Option<usize>, Vec<&Handshake>> = BTreeMap::new();
    let mut alone: Vec<Vec<&Handshake>> = Vec::new();
    for ((host, _), rows) in &scene.snapshot.handshakes {
        match certificates.iter().position(|certificate| covers(certificate, host)) {
            Some(index) => served.entry(Some(index)).or_default().extend(rows),
            None => alone.push(rows.iter().collect()),
        }
    }
    let of_certificates = certificates.iter().enumerate().filter_map(|(index, certificate)| {
        let rows = served.get(&Some(index)).map_or(&[][..], Vec::as_slice);
        let subject = Subject::Object(ObjectRef::new(Kind::Certificate, certificate.key.clone()));
        anomaly(scene, subject, Some(certificate), rows)
    });
    // Another port is another server, with a certificate of its own.
    let of_hosts =
        alone.iter().filter_map(|rows| anomaly(scene, Subject::Host(rows.first()?.place()), None, rows));
    of_certificates.chain(of_hosts).collect()
}

/// Whether one of its names stands for the host: `*.shop.example` does for `www.shop.example`.
fn covers(certificate: &Certificate, host: &str) -> bool {
    certificate.dns_names.iter().any(|name| {
        name.eq_ignore_ascii_case(host)
            || name.strip_prefix("*.").is_some_and(|zone| {
                host.split_once('.').is_some_and(|(_, rest)| rest.eq_ignore_ascii_case(zone))
            })
    })
}

fn anomaly(
    scene: &Scene<'_>,
    subject: Subject,
    certificate: Option<&Certificate>,
    rows: &[&Handshake],
) -> Option<Anomaly> {
    let mut troubles: Vec<Trouble> = Vec::new();
    troubles.extend(certificate.into_iter().flat_map(|certificate| of_certificate(scene, certificate)));
    let failing = rows.iter().filter(|row| row.served.is_err()).count();
    for row in rows {
        let all_fail = failing == rows.len();
        for trouble in of_handshake(scene, row, certificate, all_fail) {
            // Several addresses tell the same; the worst is enough.
            match troubles.iter_mut().find(|known| known.cause.name == trouble.cause.name) {
                Some(known) if known.severity < trouble.severity => *known = trouble,
                Some(_) => {}
                None => troubles.push(trouble),
            }
        }
    }
    troubles.sort_by(|one, other| {
        (other.severity, other.refused)
            .cmp(&(one.severity, one.refused))
            .then(other.cause.weight.total_cmp(&one.cause.weight))
    });
    let first = troubles.first()?;
    // What is refused is so since then, however long it was neglected before.
    let told = troubles.iter().filter(|trouble| trouble.refused == first.refused);
    let onset = told.filter_map(|trouble| trouble.since).min().unwrap_or(scene.now).min(scene.now);
    // A test issuer's certificate is nobody's outage.
    let staging =
        rows.iter().filter_map(|row| row.served.as_ref().ok()).any(|served| is_staging(&served.issuer));
    let severity = if staging { first.severity.min(Severity::Warning) } else { first.severity };
    let score = first.score - if staging { 0.2 } else { 0.0 };
    let mut facts: Vec<_> = troubles
        .iter()
        .map(|trouble| evidence(trouble.origin, trouble.since, trouble.cause.says.clone()))
        .collect();
    for row in rows.iter().take(4) {
        if let Ok(served) = &row.served {
            let says = format!(
                "{} at {} serves serial {} by {}",
                row.place(),
                row.address,
                served.serial,
                served.issuer
            );
            facts.push(evidence(Origin::Tls, Some(row.at), says));
        }
    }
    let mut causes: Vec<Cause> = troubles.iter().map(|trouble| trouble.cause.clone()).collect();
    if certificate.is_none() && causes.iter().any(|cause| cause.name == cause::EXPIRED) {
        let says = "no Certificate object renews it".to_owned();
        causes.push(Cause { name: cause::NOT_MANAGED, says, weight: 0.6 });
    }
    causes.sort_by(|one, other| other.weight.total_cmp(&one.weight));
    shown(Anomaly {
        id: AnomalyId(format!("{}/{}", RULE.name, named(&subject)).into()),
        rule: RULE.name.into(),
        severity,
        score,
        onset,
        title: first.title.clone(),
        evidence: facts,
        causes,
        touches: touches(scene, &subject, certificate, rows),
        bindings: bindings(scene, certificate, rows),
        pages_at: troubles.iter().filter_map(|trouble| trouble.pages_at).min(),
        subject,
    })
}

fn named(subject: &Subject) -> String {
    match subject {
        Subject::Object(object) => format!("{}/{}", object.kind.for_kubectl(), object.key),
        other => other.to_string(),
    }
}

fn touches(
    scene: &Scene<'_>,
    subject: &Subject,
    certificate: Option<&Certificate>,
    rows: &[&Handshake],
) -> Vec<ObjectRef> {
    let mut touches = Vec::new();
    if let Subject::Object(object) = subject {
        touches.push(object.clone());
    }
    touches.extend(certificate.map(|certificate| {
        let key = crate::domain::Key::new(certificate.key.namespace.clone(), certificate.secret.clone());
        ObjectRef::new(Kind::Secret, key)
    }));
    let host = rows.first().map(|row| &row.host).or_else(|| certificate?.dns_names.first());
    let served = served_by(scene, certificate, host);
    touches.extend(served.map(|(ingress, ..)| ObjectRef::new(Kind::Ingress, ingress.clone())));
    touches
}

/// The Ingress that serves it, the entry of its `spec.tls`, and the Secret named there.
fn served_by<'a>(
    scene: &Scene<'a>,
    certificate: Option<&Certificate>,
    host: Option<&Name>,
) -> Option<(&'a Key, usize, &'a Name)> {
    let mut ingresses: Vec<_> = scene.snapshot.ingresses.iter().collect();
    ingresses.sort_by(|one, other| one.key.cmp(&other.key));
    ingresses.into_iter().find_map(|ingress| {
        let index = ingress.tls.iter().position(|(hosts, secret)| match certificate {
            Some(one) => one.key.namespace == ingress.key.namespace && one.secret == *secret,
            None => host.is_some_and(|host| hosts.contains(host)),
        })?;
        Some((&ingress.key, index, &ingress.tls[index].1))
    })
}

fn bindings(scene: &Scene<'_>, certificate: Option<&Certificate>, rows: &[&Handshake]) -> Bindings {
    let mut bindings = Bindings::new();
    if let Some(certificate) = certificate {
        bindings.insert("namespace", certificate.key.namespace.to_string());
        bindings.insert("certificate", certificate.key.name.to_string());
        bindings.insert("secret", certificate.secret.to_string());
        bindings.insert("issuer", certificate.issuer.to_string());
        bindings.insert("dns_names", certificate.dns_names.join(","));
        if let Some(Limit { until }) = limit(certificate, scene.now) {
            let until = until.map_or_else(|| "its window is over".to_owned(), minute);
            bindings.insert("retry_after", until);
        }
    }
    let host = rows.first().map(|row| &row.host).or_else(|| certificate?.dns_names.first());
    bindings.extend(host.map(|host| ("host", host.to_string())));
    if let Some(row) = rows.first().filter(|row| row.is_given) {
        bindings.insert("connect_to", row.address.to_string());
        bindings.insert("address_given", "by hand".into());
    }
    let place = rows.first().map(|row| row.place()).or_else(|| host.cloned());
    let mut kept = match certificate {
        Some(certificate) => Some(format!("Secret {}", certificate.secret)),
        None => place.as_ref().map(|place| format!("the one that {place} serves from its own files")),
    };
    bindings.extend(place.map(|place| ("served_at", place.to_string())));
    if let Some((ingress, index, secret)) = served_by(scene, certificate, host) {
        kept = Some(format!("Secret {secret}; served by Ingress {}", ingress.name));
        bindings.insert("namespace", ingress.namespace.to_string());
        bindings.insert("ingress", ingress.name.to_string());
        bindings.insert("tls_index", index.to_string());
        bindings.insert("tls_secret", secret.to_string());
    }
    bindings.extend(kept.map(|kept| ("certificate_kept", kept)));
    bindings
}

/// By a word of its own: `(STAGING) Let's Encrypt`, not `Fastest CA`.
fn is_staging(issuer: &str) -> bool {
    let words = issuer.split(|c: char| !c.is_alphanumeric());
    words.into_iter().any(|word| word.eq_ignore_ascii_case("staging") || word.eq_ignore_ascii_case("test"))
}

/// The earlier of two moments that may be missing.
pub(super) fn earliest(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    [one, other].into_iter().flatten().min()
}
