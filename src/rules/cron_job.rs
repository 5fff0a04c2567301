//! CronJobs that fail, rest, pile up or do not run, by their status and their last runs.

use std::time::Duration;

use jiff::SignedDuration;

use crate::domain::{Cause, Concurrency, CronJob, Job, Kind, Origin, Pod, Severity, between, cause, text};

use super::crash_loop::is_looping;
use super::image_pull::is_failing;
use super::job_failed::{Trouble, failure, refusal};
use super::workload::{Bindings, evidence, quote};
use super::{Scene, Threshold, Unit, job_waits};

pub(super) const FREQUENT: Threshold = Threshold {
    key: "job-failed.frequent",
    default: 3600.0,
    unit: Unit::Seconds,
    says: "a CronJob that runs more often than this may fail a few times before it is told",
    source: "our own choice",
};
pub(super) const PAUSES: Threshold = Threshold {
    key: "job-failed.pauses",
    default: 3.0,
    unit: Unit::Count,
    says: "without a success, or a run, for so many times the longest pause of its schedule it is told",
    source: "our own choice",
};

pub(super) const OVERLAP: Threshold = Threshold {
    key: "job-failed.overlap",
    default: 4.0,
    unit: Unit::Count,
    says: "so many runs of a CronJob at once, none of which has ended, pile up",
    source: "our own choice",
};

/// A schedule that is rested for longer than this was meant to rest.
const RESTED: SignedDuration = SignedDuration::from_hours(7 * 24);
/// Clocks and controllers are late.
const LATE: Duration = Duration::from_mins(10);
/// Where what keeps it is known.
const SOON: Duration = Duration::from_mins(2);
/// What fails now and then is over by then.
const SETTLED: Duration = Duration::from_mins(5);

/// What is wrong with a CronJob, given its runs.
pub(super) fn trouble<'a>(scene: &Scene<'a>, cron: &CronJob, runs: &[&'a Job]) -> Option<Trouble<'a>> {
    if cron.suspended {
        return resting(scene, cron);
    }
    failing(scene, cron, runs)
        .or_else(|| traceless(scene, cron, runs))
        .or_else(|| piling_up(scene, cron, runs))
        .or_else(|| overdue(scene, cron, runs))
        .or_else(|| {
            runs.iter().find_map(|job| refusal(scene, job).or_else(|| job_waits::trouble(scene, job)))
        })
}

/// Its last run gave up, and none has succeeded since.
fn failing<'a>(scene: &Scene<'a>, cron: &CronJob, runs: &[&'a Job]) -> Option<Trouble<'a>> {
    let last = runs.iter().copied().filter(|job| job.is_complete() || job.gave_up().is_some());
    let last = last.max_by_key(|job| (job.created, &job.key))?;
    let (at, ..) = last.gave_up()?;
    if cron.last_successful.is_some_and(|success| success >= at) {
        return None;
    }
    let since_success = between(cron.last_successful.unwrap_or(cron.created), scene.now);
    let patience = cron.longest_pause().map(|pause| pause.mul_f64(scene.threshold(&PAUSES)).max(SETTLED));
    let frequent = cron.longest_pause().is_some_and(|pause| pause.as_secs_f64() < scene.threshold(&FREQUENT));
    let lasting = patience.is_some_and(|patience| since_success >= patience);
    if frequent && !lasting {
        return None;
    }
    // It did not begin with the run that is still to be seen.
    let missed = cron.longest_pause().filter(|_| lasting).and_then(|pause| {
        let pause = SignedDuration::try_from(pause).ok()?;
        cron.last_successful.unwrap_or(cron.created).checked_add(pause).ok()
    });
    let mut trouble = failure(scene, last, missed.unwrap_or(last.created))?;
    trouble.since = missed.map_or(trouble.since, |missed| missed.min(trouble.since));
    trouble.title = match cron.last_successful {
        Some(success) => {
            format!("{}; last success {} ago", trouble.title, text::span(between(success, scene.now)))
        }
        None => format!("{}; it has never succeeded", trouble.title),
    };
    Some(trouble)
}

/// It runs and does not succeed, and its failed runs are not kept (`failedJobsHistoryLimit: 0`, or a short
/// `ttlSecondsAfterFinished`), or each is replaced by the next before it ends.
fn traceless<'a>(scene: &Scene<'a>, cron: &CronJob, runs: &[&'a Job]) -> Option<Trouble<'a>> {
    let (ran, pause) = (cron.last_scheduled?, cron.longest_pause()?);
    let since = cron.last_successful.unwrap_or(cron.created);
    let replaces = cron.concurrency == Concurrency::Replace;
    let lateness = if replaces { SOON } else { LATE };
    let patience = pause.mul_f64(scene.threshold(&PAUSES)) + lateness;
    let goes_on = runs.iter().any(|job| job.is_complete() || job.active > 0 && !replaces);
    if between(since, ran) < patience || goes_on {
        return None;
    }
    let span = text::span(between(since, scene.now));
    let what = match cron.last_successful {
        Some(_) => format!("no run has succeeded for {span}"),
        None => format!("no run has succeeded in the {span} that it exists"),
    };
    let began = text::span(between(ran, scene.now));
    // That one still goes on says that it takes longer than it is given.
    let going = runs.iter().copied().find(|job| job.active > 0);
    let says = match going {
        Some(_) => {
            format!("{what}: each is replaced by the next before it ends; the last one began {began} ago")
        }
        None => format!("{what}, and none that failed is kept; the last one began {began} ago"),
    };
    Some(Trouble {
        since: since.checked_add(SignedDuration::try_from(pause).ok()?).ok()?,
        severity: Severity::Warning,
        score: 0.75,
        title: what,
        facts: vec![evidence(Origin::CronJobs, Some(ran), says.clone())],
        causes: vec![Cause {
            name: if going.is_some() { cause::RUNS_REPLACED } else { cause::JOB_GAVE_UP },
            says,
            weight: 0.6,
        }],
        job: going,
        bindings: Bindings::new(),
    })
}

/// Somebody suspended it lately, and until then it ran.
fn resting<'a>(scene: &Scene<'a>, cron: &CronJob) -> Option<Trouble<'a>> {
    let (ran, pause) = (cron.last_scheduled?, cron.longest_pause()?);
    let rests = between(ran, scene.now);
    if rests < pause * 2 + LATE || scene.now.duration_since(ran) > RESTED {
        return None;
    }
    let by = cron.edited.as_ref().map_or_else(String::new, |edit| {
        let by = edit.by.as_ref().map(|by| format!(" by {by}")).unwrap_or_default();
        format!(", last written {} ago{by}", text::span(between(edit.at, scene.now)))
    });
    let says = format!("suspended{by}; its last run was {} ago", text::span(rests));
    Some(Trouble {
        since: cron.edited.as_ref().map_or(ran, |edit| edit.at.max(ran)),
        severity: Severity::Suspect,
        score: 0.55,
        title: format!("suspended, and has not run for {}", text::span(rests)),
        causes: vec![Cause { name: cause::CRON_SUSPENDED, says: says.clone(), weight: 0.7 }],
        facts: vec![evidence(Origin::CronJobs, None, says)],
        job: None,
        bindings: Bindings::new(),
    })
}

/// Runs overlap, and none ends.
fn piling_up<'a>(scene: &Scene<'a>, cron: &CronJob, runs: &[&'a Job]) -> Option<Trouble<'a>> {
    let running = || runs.iter().copied().filter(|job| job.active > 0);
    let (count, oldest) = (running().count(), running().min_by_key(|job| (job.created, &job.key))?);
    // That none of its pods can start is another rule's to tell.
    let waits = |pod: &&Pod| pod.containers.iter().any(|row| is_failing(row) || is_looping(scene, pod, row));
    if scene.siblings(&oldest.uid).iter().any(waits) {
        return None;
    }
    let ended = cron.last_successful.is_some_and(|success| success > oldest.created);
    if (count as f64) < scene.threshold(&OVERLAP) || ended {
        return None;
    }
    let age = text::span(between(oldest.created, scene.now));
    let says = format!("{count} runs at once, the oldest for {age}: none has ended since it began");
    Some(Trouble {
        since: oldest.created,
        severity: Severity::Warning,
        score: 0.75,
        title: says.clone(),
        facts: vec![evidence(Origin::Jobs, Some(oldest.created), says.clone())],
        causes: vec![Cause { name: cause::RUNS_PILE_UP, says, weight: 0.8 }],
        job: Some(oldest),
        bindings: Bindings::new(),
    })
}

/// It should have run by now, several times.
fn overdue<'a>(scene: &Scene<'a>, cron: &CronJob, runs: &[&'a Job]) -> Option<Trouble<'a>> {
    let pause = cron.longest_pause()?;
    let ran = cron.last_scheduled.unwrap_or(cron.created);
    let rests = between(ran, scene.now);
    // One that was resumed, or rescheduled, has its time from then on.
    let waited = cron.edited.as_ref().map_or(rests, |edit| rests.min(between(edit.at, scene.now)));
    let running = runs.iter().copied().filter(|job| job.active > 0);
    let forbids = cron.concurrency == Concurrency::Forbid;
    let running = running.min_by_key(|job| (job.created, &job.key)).filter(|_| forbids);
    let told = scene.events(Kind::CronJob, &cron.key).next();
    // What is known to hold it back is no lateness.
    let known = running.is_some() || told.is_some_and(|event| event.warning && event.last > ran);
    let lateness = if known { SOON } else { LATE };
    if waited < pause.mul_f64(scene.threshold(&PAUSES)) + lateness {
        return None;
    }
    let why = match (running, told) {
        (Some(job), _) => {
            format!(
                "{} still runs, {} after it began, and forbids another",
                job.key.name,
                text::span(between(job.created, scene.now))
            )
        }
        (None, Some(event)) => format!("{}: {}", event.reason, quote(&event.message)),
        (None, None) => format!("nothing began a run of `{}`", quote(&cron.schedule)),
    };
    Some(Trouble {
        since: ran.checked_add(SignedDuration::try_from(pause).ok()?).ok()?,
        severity: Severity::Warning,
        score: 0.75,
        title: format!("has not run for {}: {why}", text::span(rests)),
        facts: vec![evidence(
            Origin::CronJobs,
            Some(ran),
            format!("last run {} ago; {why}", text::span(rests)),
        )],
        causes: vec![Cause { name: cause::CRON_OVERDUE, says: why, weight: 0.8 }],
        job: running,
        bindings: Bindings::new(),
    })
}
