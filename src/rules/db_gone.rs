//! A database that answered and does not any more: no figure of its own says so.

use crate::domain::{Anomaly, AnomalyId, Cause, Origin, Severity, Subject, cause};

use super::db_pool::{RULE, owner};
use super::workload::{evidence, quote};
use super::{Scene, Threshold, Unit, shown};

pub(super) const GONE: Threshold = Threshold {
    key: "db-pool.gone",
    default: 20.0,
    unit: Unit::Seconds,
    says: "how long a database that answered before does not answer before it is an outage",
    source: "our own choice: several tries, longer than a failover of a proxy",
};

/// A database that answered and does not any more. One that was never reached may be none of this network's.
pub(super) fn gone(scene: &Scene<'_>) -> Option<Anomaly> {
    let blind = scene.lost(Origin::Postgres).filter(|blind| scene.has_lasted(blind.since, &GONE))?;
    let (touches, mut bindings) = owner(scene, blind.since);
    bindings.insert("idle_age", "5m".into());
    let says = quote(&blind.why);
    shown(Anomaly {
        id: AnomalyId(format!("{}/database/postgres", RULE.name).into()),
        rule: RULE.name.into(),
        subject: Subject::Database("postgres".into()),
        severity: Severity::Critical,
        score: 0.85,
        onset: blind.since,
        title: "the database does not answer any more".to_owned(),
        evidence: vec![evidence(Origin::Postgres, Some(blind.since), says.clone())],
        causes: vec![Cause { name: cause::DATABASE_UNREACHABLE, says, weight: 0.8 }],
        touches,
        bindings,
        pages_at: None,
    })
}
