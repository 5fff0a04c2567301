//! A renewal by hand: what the issuer has said to the attempts before, and whether one is due at all.

use super::Scene;
use crate::domain::{Action, Kind, Timestamp, between, text};
use crate::guard::{Guard, Hazard};
use crate::probes::object::{condition, items, number, string, time};

pub(super) fn hazard(scene: &Scene<'_>, now: Timestamp) -> Option<Hazard> {
    let Action::PatchStatus { object, body } = scene.action else { return None };
    let asks = items(body, "/status/conditions").iter().any(|row| string(row, "/type") == "Issuing");
    let certificate = scene.before.filter(|_| object.kind == Kind::Certificate && asks)?;
    let words: Vec<&str> =
        items(certificate, "/status/conditions").iter().map(|row| string(row, "/message")).collect();
    let attempts = number(certificate, "/status/failedIssuanceAttempts");
    let until = text::retry_after(&words.join(" ")).filter(|until| *until > now);
    let says = if let Some(until) = until {
        let until = until.strftime("%Y-%m-%d %H:%MZ");
        format!("the issuer limits attempts until {until}: this one is refused, and makes the wait longer")
    } else if attempts > 0 {
        let failed = text::count(usize::try_from(attempts).unwrap_or_default(), "attempt");
        let last = time(certificate, "/status/lastFailureTime");
        let last =
            last.map_or_else(String::new, |at| format!(", the last {} ago", text::span(between(at, now))));
        format!(
            "{failed} failed{last}: unless the cause is mended the issuer counts another, and says 429 at last"
        )
    } else {
        let ready = condition(certificate, "Ready").is_some_and(|row| string(row, "/status") == "True");
        let renewal = time(certificate, "/status/renewalTime").filter(|at| ready && *at > now)?;
        let due = text::span(between(now, renewal));
        format!(
            "it is valid and due in {due}: a new one mends nothing that is served, and counts at the issuer"
        )
    };
    Some(Hazard::warn(Guard::Target, says))
}
