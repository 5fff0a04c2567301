//! What is worth knowing of a database that answers well: an index that was begun and never finished, a replica that is
//! behind. Nobody's incident yet.

use jiff::SignedDuration;

use crate::domain::{Anomaly, AnomalyId, Cause, Origin, Replica, Severity, Subject, Timestamp, cause, text};

use super::db_cpu::RULE;
use super::db_owner::owner;
use super::db_pool::{activity, activity_bindings};
use super::workload::evidence;
use super::{Scene, Threshold, Unit, shown};

pub(super) const LAG: Threshold = Threshold {
    key: "db-cpu.replica-lag",
    default: 30.0,
    unit: Unit::Seconds,
    says: "how far a replica is behind its primary before it is worth a word",
    source: "our own choice: public alerts on pg_replication_lag begin between 5 s and 5 min",
};

/// Below what opens an incident.
const NOTICE: f64 = 0.55;

/// Each that there is; `beside_load` where the rule already tells of the database's load, the index with it.
pub(super) fn notices(scene: &Scene<'_>, beside_load: bool) -> Vec<Anomaly> {
    let index = unfinished(scene).filter(|_| !beside_load);
    let seen = activity(scene);
    let lagging = seen.into_iter().flat_map(|seen| &seen.replicas);
    let lagging = lagging.filter_map(|replica| lags(scene, replica));
    index.into_iter().chain(lagging).collect()
}

fn unfinished(scene: &Scene<'_>) -> Option<Anomaly> {
    let activity = activity(scene)?;
    let index = activity.invalid_indexes.first()?;
    let since = scene.snapshot.unfinished_since?;
    let says = left_behind(index);
    let cause = Cause { name: cause::INVALID_INDEX, says: says.clone(), weight: 0.6 };
    let mut found = notice(scene, "postgres", since, says, cause)?;
    found.bindings.extend(activity_bindings(activity));
    let others = activity.invalid_indexes.iter().skip(1);
    found.evidence.extend(others.map(|index| evidence(Origin::Postgres, None, left_behind(index))));
    Some(found)
}

pub(super) fn left_behind(index: &str) -> String {
    format!("index {index} was begun and never finished")
}

fn lags(scene: &Scene<'_>, replica: &Replica) -> Option<Anomaly> {
    let lag = replica.lag.filter(|lag| lag.as_secs_f64() >= scene.threshold(&LAG))?;
    let since = scene.now.checked_sub(SignedDuration::try_from(lag).ok()?).ok()?;
    let title = format!("replica {} is {} behind", replica.name, text::span(lag));
    let says = format!("what {} shows was written {} ago", replica.name, text::span(lag));
    let cause = Cause { name: cause::REPLICA_LAGS, says, weight: 0.6 };
    notice(scene, &format!("replica-{}", replica.name), since, title, cause)
}

fn notice(scene: &Scene<'_>, name: &str, since: Timestamp, title: String, cause: Cause) -> Option<Anomaly> {
    let (touches, bindings) = owner(scene, since);
    let subject = Subject::Database(name.into());
    shown(Anomaly {
        id: AnomalyId(format!("{}/{subject}", RULE.name).into()),
        rule: RULE.name.into(),
        subject,
        severity: Severity::Suspect,
        score: NOTICE,
        onset: since,
        title,
        evidence: vec![evidence(Origin::Postgres, Some(since), cause.says.clone())],
        causes: vec![cause],
        touches,
        bindings,
        pages_at: None,
    })
}
