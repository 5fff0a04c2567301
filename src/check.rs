//! One look without a screen: the same eyes, rules and playbooks as in the cockpit.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use crate::domain::{
    Access, Action, Age, Anomaly, AnomalyId, Cache, Change, Name, Observation, Origin, Reading, Severity,
    Sight, Snapshot, System, Timestamp,
};
use crate::incident::{Incident, incidents, with_words};
use crate::playbooks::{Done, Facts, Grounds, Library, Plan, Progress, find, plan};
use crate::probes::Probes;
use crate::report::{
    AnomalyRow, BlindRow, CauseRow, EvidenceRow, FoundRow, IncidentRow, Report, SYMPTOMS, Suggestion,
    VERSION, Verdict,
};
use crate::rules::{Judgement, Thresholds, judge};

/// How long sources get to say something before the look is taken without them.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long a database is closed, from the first attempt to the last, before that is what is told of it.
const AGAIN: Duration = Duration::from_secs(4);

/// What to look with.
pub struct Look<'a> {
    pub clock: fn() -> Timestamp,
    /// The one namespace that is looked at; None for all of them.
    pub scope: Option<&'a Name>,
    pub thresholds: &'a Thresholds,
    pub library: &'a Library,
    /// Values for playbook placeholders.
    pub settings: &'a BTreeMap<String, String>,
    /// The systems that are configured.
    pub systems: &'a BTreeSet<System>,
    pub read_only: bool,
    /// What was done from here lately, by the journal.
    pub deeds: Vec<Change>,
    /// None when there is no cluster to ask: then reads are not done.
    pub probes: Option<&'a Probes>,
    /// Keep looking this long for something to fire.
    pub wait: Option<Duration>,
}

/// Looks until every source has spoken, then judges; with `wait`, until something fires or the time is over.
pub async fn look(look: &Look<'_>, observations: &mut mpsc::Receiver<Observation>) -> Report {
    let mut snapshot = Snapshot::watching(look.scope.cloned(), look.library.triggers());
    snapshot.deeds.clone_from(&look.deeds);
    let deadline = Instant::now() + look.wait.unwrap_or_default();
    // Whoever waits longer lets large lists come to their end.
    let patience = deadline.max(Instant::now() + PATIENCE);
    settle(&mut snapshot, observations, look.clock, patience).await;
    let mut judged = judge(&snapshot, look.thresholds, (look.clock)());
    while !fires(&judged) && Instant::now() < deadline {
        let until = (Instant::now() + Duration::from_secs(1)).min(deadline);
        while let Ok(Some(observation)) = timeout_at(until, observations.recv()).await {
            snapshot.fold(observation);
        }
        judged = judge(&snapshot, look.thresholds, (look.clock)());
    }
    report(look, &snapshot, &judged).await
}

/// Suspects pass by themselves; they are shown but don't end the waiting.
fn fires(judgement: &Judgement) -> bool {
    judgement.anomalies().iter().any(|anomaly| anomaly.severity > Severity::Suspect)
}

async fn settle(
    snapshot: &mut Snapshot,
    observations: &mut mpsc::Receiver<Observation>,
    clock: fn() -> Timestamp,
    deadline: Instant,
) {
    while Origin::ALL
        .iter()
        .any(|origin| *origin != Origin::Cockpit && is_waiting(snapshot, *origin, clock()))
        || unasked(snapshot)
        || is_tried_again(snapshot)
    {
        match timeout_at(deadline, observations.recv()).await {
            Ok(Some(observation)) => snapshot.fold(observation),
            _ => return,
        }
    }
}

/// A question of the team's own that nothing is known about yet.
fn unasked(snapshot: &Snapshot) -> bool {
    let mut asked = snapshot.triggers.iter().filter(|trigger| trigger.is_asked());
    asked.any(|trigger| !snapshot.asked.contains_key(&trigger.playbook))
}

/// A database that was found closed may be starting: it is tried again before anything is said of it. How well a cache
/// that is nearly full does its work, only two looks tell.
fn is_tried_again(snapshot: &Snapshot) -> bool {
    let closed = snapshot.sight(Origin::Postgres).and_then(Sight::closed_for);
    let is_blind = snapshot.sight(Origin::Redis).is_none_or(|sight| sight.blind.is_some());
    let is_nearly_full =
        |cache: &Cache| cache.max_memory > 0 && cache.used_memory >= cache.max_memory / 10 * 9;
    let cache = snapshot.cache.as_ref().filter(|cache| !is_blind && is_nearly_full(cache));
    closed.is_some_and(|closed| closed < AGAIN) || cache.is_some_and(|cache| !cache.is_compared)
}

/// Not seen yet, or a list not yet at its end.
fn is_waiting(snapshot: &Snapshot, origin: Origin, now: Timestamp) -> bool {
    match snapshot.age(origin, now) {
        Age::Waiting => true,
        Age::Live(_) => snapshot.blindness(origin, now).is_some(),
        Age::Stale(_) | Age::Blind(..) => false,
    }
}

async fn report(look: &Look<'_>, snapshot: &Snapshot, judged: &Judgement) -> Report {
    let now = (look.clock)();
    let anomalies = judged.anomalies();
    let first = incidents(&anomalies, snapshot, now);
    // What is asked for the roots is asked first: in a mass outage there is no time for more.
    let is_root = |anomaly: &&Anomaly| first.iter().any(|incident| incident.root == anomaly.id);
    let (roots, others): (Vec<&Anomaly>, Vec<&Anomaly>) = anomalies.iter().partition(is_root);
    // The others of many with one cause would answer the same.
    let alike: HashSet<&AnomalyId> =
        first.iter().flat_map(|incident| incident.symptoms.iter().skip(SYMPTOMS)).collect();
    let mut asked = Asked::until(Instant::now() + READS);
    let mut told: HashMap<&AnomalyId, Advice> = HashMap::new();
    for anomaly in roots.into_iter().chain(others) {
        let probes = look.probes.filter(|_| !alike.contains(&anomaly.id));
        told.insert(&anomaly.id, advise(look, probes, snapshot, anomaly, &mut asked).await);
    }
    // What their logs say may be what they have in common.
    let words = |id: &AnomalyId| told.get(id)?.words.as_deref();
    let incidents = incidents(&with_words(&anomalies, snapshot, words), snapshot, now);
    let rows: Vec<AnomalyRow> =
        anomalies.iter().map(|anomaly| row(anomaly, told.remove(&anomaly.id).unwrap_or_default())).collect();
    let blind: Vec<BlindRow> = judged
        .blind()
        .into_iter()
        .map(|(rule, blind)| BlindRow {
            rule: rule.name.to_string(),
            why: blind.why,
            repair: blind.repair,
            since: blind.since,
        })
        .collect();
    let verdict = match (rows.is_empty(), blind.is_empty()) {
        (false, _) => Verdict::Firing,
        (true, false) => Verdict::Blind,
        (true, true) => Verdict::Clear,
    };
    let incidents = incidents.iter().map(|incident| folded(incident, now)).collect();
    Report { version: VERSION, at: now, verdict, incidents, anomalies: rows, blind }
}

fn folded(incident: &Incident, now: Timestamp) -> IncidentRow {
    IncidentRow {
        id: incident.id.to_string(),
        title: incident.title.at(now),
        severity: incident.severity,
        onset: incident.onset,
        root: incident.root.to_string(),
        symptoms: incident.symptoms.iter().map(AnomalyId::to_string).collect(),
        changes: incident.changes.clone(),
    }
}

/// What the playbook makes of an anomaly.
#[derive(Default)]
struct Advice {
    /// Whom it could not reach.
    words: Option<String>,
    found: Vec<FoundRow>,
    suggested: Option<Suggestion>,
}

fn row(anomaly: &Anomaly, Advice { found, suggested, .. }: Advice) -> AnomalyRow {
    AnomalyRow {
        id: anomaly.id.to_string(),
        rule: anomaly.rule.to_string(),
        subject: anomaly.subject.to_string(),
        namespace: anomaly.subject.namespace().map(ToString::to_string),
        title: anomaly.title.clone(),
        severity: anomaly.severity,
        score: (anomaly.score * 100.0).round() / 100.0,
        onset: anomaly.onset,
        causes: anomaly
            .causes
            .iter()
            .map(|cause| CauseRow {
                name: cause.name.to_string(),
                says: cause.says.clone(),
                weight: cause.weight,
            })
            .collect(),
        evidence: anomaly
            .evidence
            .iter()
            .map(|evidence| EvidenceRow {
                from: evidence.from.as_str(),
                says: evidence.says.clone(),
                at: evidence.at,
            })
            .collect(),
        found,
        suggested,
    }
}

/// How long the playbooks' own reads may take, all together.
const READS: Duration = Duration::from_secs(15);

/// What was asked for one anomaly is not asked again for another: some reads go through every pod of the cluster.
struct Asked {
    until: Instant,
    read: Vec<(Action, Reading)>,
    rights: BTreeSet<Access>,
    denied: BTreeSet<Access>,
}

impl Asked {
    fn until(until: Instant) -> Self {
        Self { until, read: Vec::new(), rights: BTreeSet::new(), denied: BTreeSet::new() }
    }

    /// Asks whether the changes that are at hand are allowed.
    async fn review(&mut self, probes: &Probes, plan: &Plan) {
        let unknown: Vec<Access> = plan.rights_at_hand().difference(&self.rights).cloned().collect();
        let answers = futures::future::join_all(unknown.iter().map(|access| probes.may(access)));
        let Ok(answers) = timeout_at(self.until, answers).await else { return };
        for (access, allowed) in unknown.into_iter().zip(answers) {
            if allowed == Some(false) {
                self.denied.insert(access.clone());
            }
            self.rights.insert(access);
        }
    }
}

/// What the playbook suggests after its own reads have been done, as in the cockpit.
async fn advise(
    look: &Look<'_>,
    probes: Option<&Probes>,
    snapshot: &Snapshot,
    anomaly: &Anomaly,
    asked: &mut Asked,
) -> Advice {
    let Some(playbook) = look.library.get(&anomaly.rule) else { return Advice::default() };
    let mut progress = Progress::default();
    let planned = |progress: &Progress, denied: &BTreeSet<Access>| {
        plan(
            playbook,
            &Facts {
                anomaly,
                fires: true,
                snapshot,
                settings: look.settings,
                systems: look.systems,
                read_only: look.read_only,
                denied,
                now: (look.clock)(),
                progress,
            },
        )
    };
    let mut advice: Plan = planned(&progress, &asked.denied);
    if let Some(probes) = probes {
        let due = || {
            let steps = advice.steps.iter().filter(|step| step.auto);
            steps.filter_map(|step| Some((&step.id, step.action.as_ref()?, &step.covers)))
        };
        let reads = due().filter(|(_, action, _)| asked.read.iter().all(|(known, _)| known != *action));
        let until = asked.until;
        let reads = reads.map(async |(_, action, _)| {
            let reading = timeout_at(until, probes.read(action, (look.clock)())).await.ok()?;
            Some((action.clone(), reading))
        });
        let fresh = futures::future::join_all(reads).await;
        asked.read.extend(fresh.into_iter().flatten());
        for (id, action, covers) in due() {
            let Some((_, reading)) = asked.read.iter().find(|(known, _)| known == action) else { continue };
            let reading = reading.clone();
            let found = playbook.steps.iter().find(|step| step.id == *id).map(|step| find(step, &reading));
            let done = Done {
                at: reading.at,
                ok: reading.ok,
                says: reading.summary,
                found: found.unwrap_or_default(),
                bindings: reading.bindings,
                grounds: Some(Grounds::of(anomaly)),
                change: None,
                undone: false,
                covers: covers.clone(),
            };
            progress.steps.insert(id.clone(), done);
        }
        advice = planned(&progress, &asked.denied);
        if !look.read_only {
            asked.review(probes, &advice).await;
            advice = planned(&progress, &asked.denied);
        }
    }
    let found = playbook.steps.iter().filter_map(|step| Some((step, progress.steps.get(&step.id)?)));
    let found = found.flat_map(|(step, done)| {
        done.found.iter().map(|found| FoundRow {
            step: step.id.clone(),
            cause: found.cause.clone(),
            says: found.says.clone(),
        })
    });
    let suggested = advice.suggested.map(|index| {
        let step = &advice.steps[index];
        Suggestion {
            step: step.id.clone(),
            title: step.title.clone(),
            why: advice.why.clone(),
            command: step.action.as_ref().map(Action::as_command),
            blocked: step.not_ours.clone(),
        }
    });
    let words = progress.last_words().map(str::to_owned);
    Advice { words, found: found.collect(), suggested }
}
