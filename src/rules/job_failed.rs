//! Jobs that gave up, and CronJobs that fail, rest or do not run: work that nobody waits for, and that is missed late.
//! A Job that tries again is no crash loop and no failure yet.

use std::collections::HashMap;

use crate::domain::{
    Anomaly, AnomalyId, Cause, Evidence, Job, Kind, Name, ObjectRef, Origin, Pod, Severity, Subject,
    Timestamp, cause,
};

use super::crash_cause::{Why, why};
use super::rollout_cause::refused;
use super::workload::{Bindings, called, evidence, quote, referenced};
use super::{
    Needs, Rule, Scene, Threshold, Unit, configuration, controller, cron_job, job_waits, run_again, shown,
};

const REMEMBERED: Threshold = Threshold {
    key: "job-failed.remembered",
    default: 86_400.0,
    unit: Unit::Seconds,
    says: "for how long a Job that gave up is told, unless a later one does the same work",
    source: "our own choice; KubeJobFailed of kubernetes-mixin fires until the Job is deleted",
};
pub(super) static RULE: Rule = Rule {
    name: "job-failed",
    title: "Jobs that failed",
    says: "Jobs that gave up (backoffLimit, deadline) whose pods are refused, or whose pods have \
           not started for ten minutes; CronJobs whose last run failed, that were \
           suspended lately although they ran until then, whose runs pile up, or that have not run for several times their schedule's \
           longest pause. Silent about Jobs that run, retry or finished, and when a later run succeeded.",
    needs: Needs::All(&[Origin::Jobs, Origin::CronJobs]),
    awaits: &[Origin::Jobs, Origin::CronJobs, Origin::Pods],
    thresholds: &[
        REMEMBERED,
        cron_job::FREQUENT,
        cron_job::PAUSES,
        cron_job::OVERLAP,
        job_waits::NOT_STARTED,
    ],
    examine,
};

fn examine(scene: &Scene<'_>) -> Vec<Anomaly> {
    let mut runs: HashMap<&str, Vec<&Job>> =
        scene.snapshot.cron_jobs.iter().map(|cron| (&*cron.uid, Vec::new())).collect();
    let mut anomalies = Vec::new();
    for job in scene.snapshot.jobs.iter().filter(|job| !job.deleting) {
        match job.owner.as_ref().and_then(|owner| runs.get_mut(&*owner.uid)) {
            Some(runs) => runs.push(job),
            None => anomalies.extend(of_job(scene, job)),
        }
    }
    for cron in scene.snapshot.cron_jobs.iter() {
        let object = ObjectRef::new(Kind::CronJob, cron.key.clone());
        let runs = runs.get(&*cron.uid).map_or(&[][..], Vec::as_slice);
        let trouble = cron_job::trouble(scene, cron, runs);
        anomalies.extend(trouble.and_then(|trouble| anomaly(scene, object, trouble)));
    }
    anomalies
}

/// What is wrong with one of them.
pub(super) struct Trouble<'a> {
    pub since: Timestamp,
    pub severity: Severity,
    pub score: f64,
    pub title: String,
    pub causes: Vec<Cause>,
    pub facts: Vec<Evidence>,
    /// The Job to look at.
    pub job: Option<&'a Job>,
    pub bindings: Bindings,
}

fn of_job<'a>(scene: &Scene<'a>, job: &'a Job) -> Option<Anomaly> {
    let object = ObjectRef::new(Kind::Job, job.key.clone());
    if let Some(trouble) = refusal(scene, job).or_else(|| job_waits::trouble(scene, job)) {
        return anomaly(scene, object, trouble);
    }
    let (at, ..) = job.gave_up()?;
    if scene.has_lasted(at, &REMEMBERED) || is_made_up_for(scene, job, at) {
        return None;
    }
    anomaly(scene, object, failure(scene, job, job.created)?)
}

/// Whether a later Job of the same name, numbers and random letters apart, did the work.
fn is_made_up_for(scene: &Scene<'_>, failed: &Job, at: Timestamp) -> bool {
    let same = |job: &&Job| {
        job.key.namespace == failed.key.namespace
            && job.key != failed.key
            && job.created > failed.created
            && stem(&job.key.name) == stem(&failed.key.name)
    };
    let ended_well = |job: &Job| job.is_complete() && (job.created > at || job.succeeded > 0);
    scene.snapshot.jobs.iter().filter(same).any(ended_well)
}

/// `migrate` of `migrate-v12` and of `migrate-20260301-x7k2p`.
fn stem(name: &str) -> &str {
    let mut stem = name;
    while let Some((rest, last)) = stem.rsplit_once(['-', '.']) {
        let generated = last.len() == 5 && !last.contains(['a', 'e', 'i', 'o', 'u']);
        if !last.contains(|c: char| c.is_ascii_digit()) && !generated {
            break;
        }
        stem = rest;
    }
    stem
}

/// A Job whose pods the API server does not accept.
pub(super) fn refusal<'a>(scene: &Scene<'a>, job: &'a Job) -> Option<Trouble<'a>> {
    let pending = job.active == 0 && !job.suspended && !job.is_complete() && job.gave_up().is_none();
    let event = controller::refusal(scene, Kind::Job, &job.key).filter(|_| pending)?;
    let obstacle = refused(&event.message, Origin::Events, Some(event.last));
    Some(Trouble {
        since: event.first.max(job.created),
        severity: Severity::Warning,
        score: 0.75,
        title: format!("has no pod: {}", obstacle.label),
        causes: vec![obstacle.cause],
        facts: vec![obstacle.evidence],
        job: Some(job),
        bindings: obstacle.bindings,
    })
}

/// A Job that gave up, and what its last pod died of; what was changed before it `began` may be why.
pub(super) fn failure<'a>(scene: &Scene<'a>, job: &'a Job, began: Timestamp) -> Option<Trouble<'a>> {
    let (at, reason, message) = job.gave_up()?;
    let late = reason == "DeadlineExceeded";
    let name = if late { cause::JOB_DEADLINE } else { cause::JOB_GAVE_UP };
    let said = message.map(|message| format!(": {}", quote(message))).unwrap_or_default();
    let says = format!("{} ended with {reason}{said}", job.key.name);
    let mut facts = vec![evidence(Origin::Jobs, Some(at), says.clone())];
    let mut causes = vec![Cause { name, says, weight: if late { 0.9 } else { 0.5 } }];
    let mut bindings = Bindings::new();
    let mut label = if late { "not done by its deadline".to_owned() } else { "gave up".to_owned() };
    if let Some((pod, why)) = last_words(scene, job) {
        facts.push(evidence(Origin::Pods, None, format!("{}: {}", pod.key.name, why.says)));
        label = if late { label } else { format!("gave up: {}", why.label) };
        bindings.extend(why.bindings);
        bindings.insert("pod", pod.key.name.to_string());
        bindings.extend(pod.node.as_ref().map(|node| ("node", node.to_string())));
        causes.push(Cause { name: why.name, says: why.says, weight: why.weight });
    }
    if let Some(object) = configuration::missing(scene, &job.template).next() {
        let says = format!("it needs {} {}, which does not exist", object.kind, object.key.name);
        bindings.insert("missing_kind", object.kind.as_str().to_owned());
        bindings.insert("missing_object", object.key.name.to_string());
        bindings.insert("missing_part", "object".into());
        let own = if object.kind == Kind::Secret { "secret" } else { "config_map" };
        bindings.insert(own, object.key.name.to_string());
        if !causes.iter().any(|cause| cause.name == cause::MISSING_REFERENCE) {
            causes.push(Cause { name: cause::MISSING_REFERENCE, says, weight: 0.95 });
        }
    }
    let again = run_again::reason(scene, job, at, &causes);
    // What was written since is a remedy, whether or not it helped.
    if again.as_ref().is_none_or(|again| again.name != cause::RUN_OUTDATED) {
        let blamed = (&job.template, &[&job.key][..]);
        configuration::blame(scene, blamed, began, &mut causes, &mut facts, &mut bindings);
    }
    facts.extend(again.iter().map(|again| evidence(Origin::Jobs, None, again.says.clone())));
    causes.extend(again);
    causes.sort_by(|one, other| other.weight.total_cmp(&one.weight));
    Some(Trouble {
        since: at,
        severity: Severity::Warning,
        score: 0.8,
        title: label,
        causes,
        facts,
        job: Some(job),
        bindings,
    })
}

/// The youngest of its pods that failed, and why; what ends it at a deadline takes its pods along.
fn last_words<'a>(scene: &Scene<'a>, job: &Job) -> Option<(&'a Pod, Why)> {
    let own = |pod: &&Pod| pod.owner.as_ref().is_some_and(|owner| owner.uid == job.uid);
    let pods = scene.snapshot.pods.iter().filter(own);
    let failed = pods.filter_map(|pod| {
        let ended =
            pod.containers.iter().filter(|row| row.termination().is_some_and(|end| end.exit_code != 0));
        Some((pod, ended.max_by_key(|row| row.termination().and_then(|end| end.finished))?))
    });
    let (pod, container) = failed.max_by_key(|(pod, _)| (pod.created, &pod.key))?;
    Some((pod, why(scene, pod, container)))
}

fn anomaly(scene: &Scene<'_>, object: ObjectRef, trouble: Trouble<'_>) -> Option<Anomaly> {
    let mut bindings = called(&object);
    bindings.extend([
        // Nothing asks a Job for an answer.
        ("serves", "nobody".to_owned()),
    ]);
    let mut touches = vec![object.clone()];
    if object.kind == Kind::CronJob {
        bindings.insert("cron_job", object.key.name.to_string());
    }
    if let Some(job) = trouble.job {
        bindings.insert("job", job.key.name.to_string());
        bindings.insert("selector", format!("job-name={}", job.key.name));
        let container = job.template.containers.first();
        bindings.extend(container.map(|row| ("container", row.name.to_string())));
        bindings.extend(container.map(|row| ("image", row.image.to_string())));
        for (kind, first) in [(Kind::ConfigMap, "config_map"), (Kind::Secret, "secret")] {
            let name = referenced(&job.template.references, kind).first().map(|name| (*name).to_owned());
            bindings.extend(name.map(|name| (first, name)));
        }
        touches.push(ObjectRef::new(Kind::Job, job.key.clone()));
        let own = |pod: &&Pod| pod.owner.as_ref().is_some_and(|owner| owner.uid == job.uid);
        touches.extend(
            scene.snapshot.pods.iter().filter(own).map(|pod| ObjectRef::new(Kind::Pod, pod.key.clone())),
        );
    }
    bindings.extend(trouble.bindings);
    bindings.insert("because", because(&trouble.causes).to_string());
    touches.sort();
    touches.dedup();
    shown(Anomaly {
        id: AnomalyId(format!("{}/{}/{}", RULE.name, object.kind.for_kubectl(), object.key).into()),
        rule: RULE.name.into(),
        subject: Subject::Object(object),
        severity: trouble.severity,
        score: trouble.score,
        onset: trouble.since.min(scene.now),
        title: trouble.title,
        evidence: trouble.facts,
        causes: trouble.causes,
        touches,
        bindings,
        pages_at: None,
    })
}

fn because(causes: &[Cause]) -> Name {
    causes.first().map_or_else(Name::default, |cause| cause.name.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_that_do_the_same_work_have_the_same_stem() {
        for (name, wanted) in [
            ("migrate-v12", "migrate"),
            ("migrate-v12-x7k2p", "migrate"),
            ("migrate-20260301-x7k2p", "migrate"),
            ("db-migrate", "db-migrate"),
            ("web-1.27.3-migrate", "web-1.27.3-migrate"),
            ("import-bxqtz", "import"),
        ] {
            assert_eq!(stem(name), wanted);
        }
    }
}
