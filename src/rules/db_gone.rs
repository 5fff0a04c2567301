//! A database that does not answer: no figure of its own says so.

use jiff::SignedDuration;

use crate::domain::{Anomaly, AnomalyId, Blind, Cause, Origin, Severity, Subject, Timestamp, cause};

use super::db_owner::owner;
use super::db_pool::RULE;
use super::workload::{evidence, quote};
use super::{Scene, Threshold, Unit, shown};

pub(super) const GONE: Threshold = Threshold {
    key: "db-pool.gone",
    default: 20.0,
    unit: Unit::Seconds,
    says: "how long a database that answered before does not answer before it is an outage",
    source: "our own choice: several tries, longer than a failover of a proxy",
};

pub(super) const CLOSED: Threshold = Threshold {
    key: "db-pool.closed",
    default: 4.0,
    unit: Unit::Seconds,
    says: "between the first and the last refusal of a database that never answered us before it is an outage",
    source: "our own choice: several tries; a server that restarts opens its port within a second or two",
};

/// A database that answered and does not any more, or whose port was found closed again and again. One that is only
/// silent and was never reached may be none of this network's.
pub(super) fn gone(scene: &Scene<'_>) -> Option<Anomaly> {
    let lost = scene.lost(Origin::Postgres);
    let answered = lost.is_some();
    let lost = lost.filter(|blind| scene.has_lasted(blind.since, &GONE));
    let blind = if answered { lost } else { closed(scene) }?;
    let (touches, mut bindings) = owner(scene, blind.since);
    bindings.insert("idle_age", "5m".into());
    let says = quote(&blind.why);
    let mut facts = vec![evidence(Origin::Postgres, Some(blind.since), says.clone())];
    if !answered {
        let doubt =
            "it has not answered since we look: where others do reach it, DATABASE_URL names another place";
        facts.push(evidence(Origin::Postgres, None, doubt.to_owned()));
        bindings.insert("never_answered", "true".into());
    }
    shown(Anomaly {
        id: AnomalyId(format!("{}/database/postgres", RULE.name).into()),
        rule: RULE.name.into(),
        subject: Subject::Database("postgres".into()),
        severity: Severity::Critical,
        score: 0.85,
        onset: blind.since,
        title: format!(
            "the database does not answer{}",
            if answered { " any more" } else { ": nobody listens there" }
        ),
        evidence: facts,
        causes: vec![Cause { name: cause::DATABASE_UNREACHABLE, says, weight: 0.8 }],
        touches,
        bindings,
        pages_at: None,
    })
}

/// Since when nobody gets in: it does not answer, or has no slot left.
pub(super) fn since(scene: &Scene<'_>) -> Option<Timestamp> {
    let full = scene.snapshot.exhausted.as_ref().map(|(since, _)| *since);
    let blind = scene.lost(Origin::Postgres).or_else(|| closed(scene));
    full.or(blind.map(|blind| blind.since))
}

/// Why it is not reached, if its host refused us for a while and never let us in.
fn closed<'a>(scene: &Scene<'a>) -> Option<&'a Blind> {
    let sight = scene.snapshot.sight(Origin::Postgres).filter(|sight| sight.seen.is_none())?;
    let lasted = SignedDuration::try_from(sight.closed_for()?).ok()?;
    let is_out = lasted >= scene.thresholds.span(&CLOSED) && !scene.is_cut_off();
    sight.blind.as_ref().filter(|_| is_out)
}
