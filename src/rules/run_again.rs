//! Why another run may do what the last one did not: what made it fail was changed since, is over, or was never the
//! work's own. A run that would meet the same again is not worth it.

use crate::domain::{
    Cause, CronJob, Edit, Job, Kind, Origin, Phase, Pod, Status, Timestamp, between, cause, text,
};

use super::evicted::is_over_its_own_limits;
use super::{Scene, configuration};

/// Up to this share of its connections a database lets another Job in (audit, section 4).
const ROOM: f64 = 0.7;

/// What speaks for another run of a Job that gave up `at` for these causes.
pub(super) fn reason(scene: &Scene<'_>, job: &Job, at: Timestamp, causes: &[Cause]) -> Option<Cause> {
    if configuration::missing(scene, &job.template).next().is_some() {
        return None;
    }
    let changed = || changed_since(scene, job, at).or_else(|| database_has_room(scene, causes));
    let outdated = || Some(Cause { name: cause::RUN_OUTDATED, says: changed()?, weight: 0.55 });
    let interrupted =
        || Some(Cause { name: cause::RUN_INTERRUPTED, says: interrupted(scene, job)?, weight: 0.85 });
    outdated().or_else(interrupted)
}

/// The last write to its CronJob since it was made from it, or to what its pods read since it gave up.
fn changed_since(scene: &Scene<'_>, job: &Job, at: Timestamp) -> Option<String> {
    let snapshot = scene.snapshot;
    let cron = job.owner.as_ref().and_then(|owner| {
        let of = |cron: &&CronJob| cron.uid == owner.uid;
        snapshot.cron_jobs.iter().find(of)
    });
    let cron = cron.and_then(|cron| {
        let edit = cron.edited.clone()?;
        Some((Kind::CronJob, &cron.key.name, edit, (job.created, "began")))
    });
    let read = job.template.references.iter().filter_map(|reference| {
        let object = match reference.object.kind {
            Kind::Secret => snapshot.secrets.get(&reference.object.key),
            _ => snapshot.config_maps.get(&reference.object.key),
        }?;
        let made = Edit { at: object.created, by: None };
        Some((object.kind, &object.key.name, object.edited.clone().unwrap_or(made), (at, "failed")))
    });
    let written = cron.into_iter().chain(read).filter(|(_, _, edit, (since, _))| edit.at > *since);
    let (kind, name, edit, (since, what)) = written.max_by_key(|(_, _, edit, _)| edit.at)?;
    let by = edit.by.as_ref().map(|by| format!(" by {by}")).unwrap_or_default();
    let after = text::span(between(since, edit.at));
    Some(format!("{kind} {name} was written{by} {after} after the last run {what}"))
}

/// It was turned away by the database, which has room now.
fn database_has_room(scene: &Scene<'_>, causes: &[Cause]) -> Option<String> {
    let turned_away =
        causes.iter().any(|one| [cause::DATABASE_EXHAUSTED, cause::DATABASE_UNREACHABLE].contains(&one.name));
    let seen = scene.snapshot.blindness(Origin::Postgres, scene.now).is_none();
    let well = scene.snapshot.exhausted.is_none() && turned_away && seen;
    let capacity = scene.snapshot.capacity.filter(|capacity| well && capacity.fill() <= ROOM)?;
    Some(format!("the database has room now: {} of {} connections used", capacity.used, capacity.usable()))
}

/// The cluster ended its last pod: a node that went or had to be emptied, a more important pod.
fn interrupted(scene: &Scene<'_>, job: &Job) -> Option<String> {
    const WORDS: &[&str] = &["Evicted", "NodeLost", "NodeShutdown", "Shutdown", "Terminated", "Preempting"];
    let failed = |pod: &&Pod| {
        pod.phase == Phase::Failed && pod.owner.as_ref().is_some_and(|owner| owner.uid == job.uid)
    };
    let pod = scene.snapshot.pods.iter().filter(failed).max_by_key(|pod| (pod.created, &pod.key))?;
    let disrupted =
        pod.conditions.iter().find(|row| &*row.kind == "DisruptionTarget" && row.status == Status::True);
    let word = disrupted.and_then(|row| row.reason.as_deref());
    let word = word.or_else(|| pod.reason.as_deref().filter(|reason| WORDS.contains(reason)))?;
    let on = pod.node.as_ref().map(|node| format!(" on {node}")).unwrap_or_default();
    (!is_over_its_own_limits(pod)).then(|| format!("the cluster ended {}{on} ({word})", pod.key.name))
}
