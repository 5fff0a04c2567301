//! What is wrong with one certificate, as it is served or as cert-manager sees it.

use jiff::SignedDuration;

use crate::domain::{
    Cause, Certificate, Ended, Handshake, Layer, Name, Origin, Served, Severity, Status, Timestamp, between,
    cause, text,
};

use super::Scene;
use super::cert_expiry::{
    CRITICAL, ISSUING, LIMITED_AFTER, NOT_READY_AFTER, RENEWAL_AFTER, RENEWAL_SHARE, WARNING, earliest,
};
use super::workload::quote;

/// Clients refuse it within two days: somebody is woken (audit, section 3).
const PAGES: SignedDuration = SignedDuration::from_hours(48);

/// An ingress controller that watches Secrets loads a new certificate within seconds.
const LOADING: SignedDuration = SignedDuration::from_secs(30);

/// One thing that is wrong.
pub(super) struct Trouble {
    pub severity: Severity,
    /// Clients turn away now, not in some days.
    pub refused: bool,
    pub score: f64,
    pub since: Option<Timestamp>,
    pub origin: Origin,
    pub title: String,
    pub cause: Cause,
    pub pages_at: Option<Timestamp>,
}

fn trouble(
    severity: Severity,
    origin: Origin,
    since: Option<Timestamp>,
    name: &'static str,
    says: String,
) -> Trouble {
    let score = match severity {
        Severity::Critical => 0.9,
        Severity::Warning => 0.75,
        Severity::Suspect => 0.55,
    };
    let title = says.clone();
    Trouble {
        severity,
        refused: false,
        score,
        since,
        origin,
        title,
        cause: Cause { name, says, weight: 0.8 },
        pages_at: None,
    }
}

/// Clients turn away already: above whatever has some days left.
fn refused(trouble: Trouble) -> Trouble {
    Trouble { refused: true, severity: Severity::Critical, score: 1.0, ..trouble }
}

fn left(at: Timestamp, now: Timestamp) -> String {
    if at <= now {
        format!("expired {} ago", text::span(between(at, now)))
    } else {
        format!("expires in {}", text::span(between(now, at)))
    }
}

/// Whether cert-manager has been at it for a short time only.
fn is_issuing(scene: &Scene<'_>, certificate: &Certificate) -> bool {
    let issuing = certificate.condition("Issuing").filter(|row| row.status == Status::True);
    issuing.is_some_and(|row| row.since.is_none_or(|since| !scene.has_lasted(since, &ISSUING)))
}

/// What cert-manager's own object says.
pub(super) fn of_certificate(scene: &Scene<'_>, certificate: &Certificate) -> Vec<Trouble> {
    let mut troubles = Vec::new();
    let now = scene.now;
    let issuing = is_issuing(scene, certificate);
    let expired = certificate.not_after.filter(|not_after| *not_after <= now);
    if let Some(at) = expired {
        let says = format!("Certificate {}", left(at, now));
        let expired = trouble(Severity::Critical, Origin::Certificates, Some(at), cause::EXPIRED, says);
        troubles.push(refused(expired));
    }
    if issuing && expired.is_none() {
        return troubles;
    }
    let not_ready = certificate.condition("Ready").filter(|row| row.status != Status::True);
    if let Some(row) = not_ready {
        let since = row.since.unwrap_or(now);
        if scene.has_lasted(since, &NOT_READY_AFTER) {
            let words = row.message.as_deref().map(quote).unwrap_or_default();
            let says = format!("Certificate not Ready: {words}");
            troubles.push(trouble(
                Severity::Critical,
                Origin::Certificates,
                Some(since),
                cause::ISSUANCE_FAILING,
                says,
            ));
        }
    }
    troubles.extend(late_renewal(scene, certificate));
    let alone = troubles.is_empty();
    troubles.extend(
        failures(scene, certificate)
            .and_then(|failure| if alone { early(scene, failure) } else { Some(failure) }),
    );
    troubles
}

/// now > renewalTime + 10 % of the window, for an hour: right for certificates of any lifetime.
fn late_renewal(scene: &Scene<'_>, certificate: &Certificate) -> Option<Trouble> {
    let (renewal, not_after) = (certificate.renewal_time?, certificate.not_after?);
    let window = not_after.duration_since(renewal);
    let allowed =
        SignedDuration::try_from_secs_f64(window.as_secs_f64() * scene.threshold(&RENEWAL_SHARE)).ok()?;
    let late = renewal.checked_add(allowed).ok()?;
    if not_after <= scene.now || scene.now <= late || !scene.has_lasted(late, &RENEWAL_AFTER) {
        return None;
    }
    let remaining = not_after.duration_since(scene.now);
    let urgent = remaining <= PAGES.min(window / 3);
    let severity = if urgent { Severity::Critical } else { Severity::Warning };
    let says = format!(
        "not renewed {} after its time; {}",
        text::span(between(renewal, scene.now)),
        left(not_after, scene.now)
    );
    Some(trouble(severity, Origin::Certificates, Some(late), cause::NOT_RENEWED, says))
}

/// Attempts that fail while there is time: worth a look, and more than that once the issuer limits them.
fn early(scene: &Scene<'_>, failure: Trouble) -> Option<Trouble> {
    let since = failure.since?;
    let limited = failure.cause.name == cause::ISSUANCE_RATE_LIMITED;
    if limited && scene.has_lasted(since, &LIMITED_AFTER) {
        return Some(failure);
    }
    (!limited).then_some(Trouble { severity: Severity::Suspect, score: 0.55, ..failure })
}

/// What cert-manager says of its attempts.
fn failures(scene: &Scene<'_>, certificate: &Certificate) -> Option<Trouble> {
    let limit = limit(certificate, scene.now);
    if certificate.failed_attempts == 0 && limit.is_none() {
        return None;
    }
    let attempts = text::count(certificate.failed_attempts as usize, "failed attempt");
    let said = quote(&words(certificate).join("; "));
    let (name, says) = match &limit {
        Some(Limit { until: Some(until) }) => (
            cause::ISSUANCE_RATE_LIMITED,
            format!("the issuer limits our attempts until {}: {attempts}", minute(*until)),
        ),
        Some(_) => (cause::ISSUANCE_RATE_LIMITED, format!("{attempts} to issue it: {said}")),
        None => (cause::ISSUANCE_FAILING, format!("{attempts} to issue it: {said}")),
    };
    let mut failure = trouble(Severity::Warning, Origin::Certificates, certificate.last_failure, name, says);
    if limit.is_some() {
        // It is why the certificate is not renewed.
        failure.cause.weight = 0.9;
    }
    Some(failure)
}

/// The issuer answers 429.
pub(super) struct Limit {
    /// When it lets us try again, where it says so.
    pub until: Option<Timestamp>,
}

/// Whether the issuer limits attempts now: a limit that is over has passed, whatever the last answer was.
pub(super) fn limit(certificate: &Certificate, now: Timestamp) -> Option<Limit> {
    let words = words(certificate).join(" ");
    let lower = words.to_lowercase();
    let limited = ["429", "ratelimited", "rate limit"].iter().any(|word| lower.contains(word));
    let until = text::retry_after(&words);
    (limited && until.is_none_or(|until| until > now)).then_some(Limit { until })
}

/// `2026-03-01 04:12Z`.
pub(super) fn minute(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%MZ").to_string()
}

fn words(certificate: &Certificate) -> Vec<&str> {
    let rows = certificate.conditions.iter().filter(|row| matches!(&*row.kind, "Issuing" | "Ready"));
    rows.filter_map(|row| row.message.as_deref()).collect()
}

/// What one address of a host serves.
pub(super) fn of_handshake(
    scene: &Scene<'_>,
    row: &Handshake,
    certificate: Option<&Certificate>,
    all_fail: bool,
) -> Vec<Trouble> {
    let served = match &row.served {
        Ok(served) => served,
        Err(_) if is_out_of_reach(scene, &row.host) || !wants_tls(scene, &row.host) => return Vec::new(),
        Err(why) => {
            let at = if *row.address == *row.host { String::new() } else { format!(" at {}", row.address) };
            let says = format!("no TLS handshake with {}{at}: {}", row.place(), quote(why));
            let severity = if all_fail { Severity::Warning } else { Severity::Suspect };
            return vec![trouble(severity, Origin::Tls, Some(row.at), cause::HANDSHAKE_FAILED, says)];
        }
    };
    let mut troubles = Vec::new();
    let at = Some(row.at);
    let default = [
        "fake certificate",
        "cert-manager.local",
        "default certificate",
        "traefik default cert",
        "localhost kong",
    ];
    let issuer = served.issuer.to_lowercase();
    let placeholder = default.iter().any(|name| issuer.contains(name));
    // Plain HTTP on purpose: the controller's placeholder is what anybody gets there by TLS.
    if placeholder && !wants_tls(scene, &row.host) {
        return troubles;
    }
    if placeholder {
        let says = format!("{} serves the ingress controller's placeholder ({})", row.place(), served.issuer);
        let found = trouble(Severity::Critical, Origin::Tls, at, cause::DEFAULT_CERTIFICATE, says);
        troubles.push(refused(found));
    } else if !served.name_matches {
        let says = format!("{} serves a certificate for {}", row.place(), served.names.join(", "));
        troubles.push(refused(trouble(Severity::Critical, Origin::Tls, at, cause::NAME_MISMATCH, says)));
    } else if let Some(why) = &served.distrust
        && served.not_after > scene.now
    {
        if lacks_intermediate(scene, served) {
            let says = format!(
                "{} serves its certificate without the intermediate ({}): clients refuse it",
                row.place(),
                served.issuer
            );
            troubles.push(refused(trouble(Severity::Critical, Origin::Tls, at, cause::UNTRUSTED, says)));
        } else {
            let says = format!("clients do not trust what {} serves: {}", row.place(), quote(why));
            troubles.push(trouble(Severity::Warning, Origin::Tls, at, cause::UNTRUSTED, says));
        }
    }
    troubles.extend(expiry(scene, row, served, certificate));
    troubles
}

/// Authorities that every client knows, by what their intermediates are called.
const PUBLIC: &[&str] = &[
    "Let's Encrypt",
    "Google Trust Services",
    "DigiCert",
    "Sectigo",
    "GlobalSign",
    "ZeroSSL",
    "GoDaddy",
    "Amazon",
    "Entrust",
    "Certum",
];

/// Whether its chain is proven to lack a link: it came alone, and its issuer is one that is trusted where it sends all of
/// its chain. Of any other authority it may be that clients know it and this machine does not.
fn lacks_intermediate(scene: &Scene<'_>, served: &Served) -> bool {
    if !served.is_alone || served.distrust.is_none() {
        return false;
    }
    let mut all = scene.snapshot.handshakes.values().flatten().filter_map(|row| row.served.as_ref().ok());
    let is_known = all.any(|other| other.issuer == served.issuer && other.distrust.is_none());
    is_known || PUBLIC.iter().any(|name| served.issuer.starts_with(name))
}

/// Whether nothing gets as far as a handshake, or nobody has tried the way there yet: that is no certificate's fault.
fn is_out_of_reach(scene: &Scene<'_>, host: &Name) -> bool {
    let Some(reach) = scene.snapshot.reaches.get(host) else {
        return scene.snapshot.is_awaited(Origin::Reach, scene.now)
            || scene.snapshot.blindness(Origin::Reach, scene.now).is_some();
    };
    match &reach.last.ended {
        Ended::Failed { layer, .. } => *layer < Layer::Tls,
        Ended::Doubtful { .. } => true,
        Ended::Answered { .. } => false,
    }
}

/// Unless the Ingresses of the host all do without a certificate. One whose controller keeps certificates
/// elsewhere (an ALB) never shows a placeholder.
fn wants_tls(scene: &Scene<'_>, host: &str) -> bool {
    let mut of_host =
        scene.snapshot.ingresses.iter().filter(|one| one.hosts.iter().any(|name| &**name == host)).peekable();
    of_host.peek().is_none() || of_host.any(|one| !one.tls.is_empty())
}

/// How much time is left, by what renews it.
fn expiry(
    scene: &Scene<'_>,
    row: &Handshake,
    served: &Served,
    certificate: Option<&Certificate>,
) -> Option<Trouble> {
    let now = scene.now;
    let remaining = served.not_after.duration_since(now);
    let newer = certificate
        .filter(|certificate| may_be_loaded(scene, certificate, row))
        .and_then(|certificate| certificate.not_after)
        .is_some_and(|not_after| not_after.duration_since(served.not_after) > SignedDuration::from_hours(1));
    let says = format!("{} {}", row.place(), left(served.not_after, now));
    let (warning, critical, page) = limits(scene, served);
    let from = |limit: SignedDuration| served.not_after.checked_sub(limit).ok();
    let is_over = remaining <= SignedDuration::ZERO;
    let begun = |trouble: Trouble| {
        if is_over { refused(Trouble { since: Some(served.not_after), ..trouble }) } else { trouble }
    };
    if newer && remaining < warning {
        let says = format!("{says}, although a newer certificate exists");
        let severity = if remaining < critical { Severity::Critical } else { Severity::Warning };
        let stale = trouble(severity, Origin::Tls, from(warning), cause::SERVED_STALE, says);
        return Some(paged(begun(stale), from(page)));
    }
    let (severity, name) = match certificate {
        _ if is_over => (Severity::Critical, cause::EXPIRED),
        // While cert-manager renews it in its own time, days alone say nothing (6-day certificates exist).
        Some(certificate) if is_renewed_in_time(scene, certificate) => return None,
        _ if remaining < critical => (Severity::Critical, cause::NOT_RENEWED),
        Some(_) if remaining < warning => (Severity::Warning, cause::NOT_RENEWED),
        None if remaining < warning => (Severity::Warning, cause::NOT_MANAGED),
        _ => return None,
    };
    let name = if certificate.is_none() && name == cause::NOT_RENEWED { cause::NOT_MANAGED } else { name };
    let since = earliest(from(warning), Some(now));
    Some(paged(begun(trouble(severity, Origin::Tls, since, name, says)), from(page)))
}

/// What was served before a renewal, or a moment after it, says nothing about what the controller holds.
fn may_be_loaded(scene: &Scene<'_>, certificate: &Certificate, row: &Handshake) -> bool {
    let renewed = scene.snapshot.renewed.get(&certificate.key);
    renewed.is_none_or(|renewed| row.at.duration_since(*renewed) >= LOADING)
}

fn paged(trouble: Trouble, at: Option<Timestamp>) -> Trouble {
    Trouble { pages_at: at, ..trouble }
}

/// Not due, being issued right now, or not late enough to count.
fn is_renewed_in_time(scene: &Scene<'_>, certificate: &Certificate) -> bool {
    let known = certificate.renewal_time.is_some() && certificate.not_after.is_some();
    is_issuing(scene, certificate) || (known && late_renewal(scene, certificate).is_none())
}

/// Warning, critical and paging limits: the thresholds, or less for a certificate that lives shorter than
/// the usual 90 days (a third of its life, of which a tenth may pass).
fn limits(scene: &Scene<'_>, served: &Served) -> (SignedDuration, SignedDuration, SignedDuration) {
    let life = served.not_after.duration_since(served.not_before).as_secs_f64();
    let part = |share: f64| SignedDuration::try_from_secs_f64((life * share).max(0.0)).unwrap_or_default();
    (
        scene.thresholds.span(&WARNING).min(part(0.3)),
        scene.thresholds.span(&CRITICAL).min(part(0.1)),
        PAGES.min(part(0.03)),
    )
}
