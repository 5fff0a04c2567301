//! Snapshot in, Findings out: one rule, one file; a rule is a row. No I/O, no clock.
//! A rule knows what public fields prove. It must not know playbooks, incidents or the screen.

mod alert_fatigue;
mod alertmanager_down;
mod astray;
mod auth_attack;
mod backing;
mod cache_down;
mod census;
mod cert_expiry;
mod cert_trouble;
mod configuration;
mod controller;
mod crash_cause;
mod crash_loop;
mod crash_onset;
mod crash_title;
mod crash_words;
mod cron_job;
mod db_cpu;
mod db_gone;
mod db_limits;
mod db_notice;
mod db_owner;
mod db_pool;
mod db_rds;
mod db_since;
mod disk_forecast;
mod disk_full;
mod evicted;
mod high_5xx;
mod high_latency;
mod hpa_max;
mod hpa_sightless;
mod image_cause;
mod image_pull;
mod ingress_down;
mod ingress_written;
mod job_failed;
mod job_waits;
mod mem_leak;
mod memory_trend;
mod node_ailment;
mod node_load;
mod node_notready;
mod node_pulse;
mod node_sandbox;
mod node_unseen;
mod nowhere;
mod one_node;
mod overdue;
mod own_traffic;
mod paused;
mod pods_missing;
mod preempted;
mod prom_causes;
mod prom_down;
mod prom_targets;
mod revision;
mod rollout_about;
mod rollout_cause;
mod rollout_clock;
mod rollout_grade;
mod rollout_ignored;
mod rollout_stuck;
mod room;
mod run_again;
mod scene;
mod scheduling;
mod suspicion;
mod team;
mod thresholds;
mod traffic;
mod traffic_cause;
mod traffic_gone;
mod turned_away;
mod unserved;
mod workload;

use crate::domain::{Anomaly, Blind, Kind, Name, Origin, Severity, Snapshot, Subject, Timestamp, Trigger};

pub use scene::Scene;
pub use thresholds::{Threshold, Thresholds, Unit, UnknownThreshold};

/// One thing that can be wrong, and how it is recognised.
#[derive(Debug)]
pub struct Rule {
    /// Also the id of its playbook: `crash-loop`.
    pub name: &'static str,
    /// As a heading: `Pods crash-looping`.
    pub title: &'static str,
    /// What it looks at and what it stays silent about, in two or three sentences.
    pub says: &'static str,
    pub needs: Needs,
    /// What would change its answer: it says nothing while one of these comes into sight for the first time.
    pub awaits: &'static [Origin],
    pub thresholds: &'static [Threshold],
    pub examine: fn(&Scene<'_>) -> Vec<Anomaly>,
}

/// What a rule must see before it may say that all is well.
#[derive(Clone, Copy, Debug)]
pub enum Needs {
    /// Every one of these.
    All(&'static [Origin]),
    /// Any one of these is enough.
    Any(&'static [Origin]),
    /// Every one of these, and in what they say, something that may be missing.
    Within(&'static [Origin], fn(&Snapshot) -> Option<Blind>),
}

/// A rule's answer. Not seeing is not health.
#[derive(Clone, PartialEq, Debug)]
pub enum Finding {
    Clear,
    /// The worst first. Direct evidence counts even when something else cannot be seen.
    Firing(Vec<Anomaly>),
    Blind(Blind),
}

/// The answers of all rules to one snapshot.
#[derive(Clone, Debug, Default)]
pub struct Judgement {
    /// In the order of [`RULES`].
    pub findings: Vec<(&'static Rule, Finding)>,
    /// Of the triggers of a team's own playbooks, in the order of its file.
    pub team: Vec<(Watched, Finding)>,
    /// Rules that fire on what they see but cannot see all they need.
    pub half_blind: Vec<(&'static Rule, Blind)>,
}

/// What is watched for: a rule of this build, or a trigger of a team's own playbook.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Watched {
    /// Also the id of its playbook.
    pub name: Name,
    /// As a heading.
    pub title: Name,
}

impl From<&Rule> for Watched {
    fn from(rule: &Rule) -> Self {
        Self { name: rule.name.into(), title: rule.title.into() }
    }
}

impl From<&Trigger> for Watched {
    fn from(trigger: &Trigger) -> Self {
        Self { name: trigger.playbook.clone(), title: trigger.title.clone() }
    }
}

/// Every rule, in the order people read them.
pub static RULES: &[&Rule] = &[
    &crash_loop::RULE,
    &rollout_stuck::RULE,
    &image_pull::RULE,
    &job_failed::RULE,
    &node_notready::RULE,
    &disk_full::RULE,
    &high_5xx::RULE,
    &high_latency::RULE,
    &traffic_gone::RULE,
    &hpa_max::RULE,
    &mem_leak::RULE,
    &db_pool::RULE,
    &db_cpu::RULE,
    &cache_down::RULE,
    &ingress_down::RULE,
    &cert_expiry::RULE,
    &prom_down::RULE,
    &alertmanager_down::RULE,
    &alert_fatigue::RULE,
    &auth_attack::RULE,
];

/// The rule with this name.
pub fn rule(name: &str) -> Option<&'static Rule> {
    RULES.iter().copied().find(|rule| rule.name == name)
}

/// Asks every rule.
pub fn judge(snapshot: &Snapshot, thresholds: &Thresholds, now: Timestamp) -> Judgement {
    let scene = Scene::new(snapshot, thresholds, now);
    let mut judgement = Judgement::default();
    for rule in RULES.iter().copied() {
        let awaited = rule.awaits.iter().any(|origin| snapshot.is_awaited(*origin, now));
        let mut anomalies = if awaited { Vec::new() } else { (rule.examine)(&scene) };
        anomalies.iter_mut().filter(|anomaly| is_elsewhere(anomaly, snapshot)).for_each(play_down);
        anomalies.sort_by(worst_first);
        let finding = match (anomalies.is_empty(), rule.needs.blindness(snapshot, now)) {
            (true, None) => Finding::Clear,
            (true, Some(blind)) => Finding::Blind(blind),
            (false, blind) => {
                judgement.half_blind.extend(blind.map(|blind| (rule, blind)));
                Finding::Firing(anomalies)
            }
        };
        judgement.findings.push((rule, finding));
    }
    judgement.team =
        snapshot.triggers.iter().map(|trigger| (trigger.into(), team::judge(&scene, trigger))).collect();
    judgement
}

/// A node's trouble, where one namespace is looked at that has nothing on it.
fn is_elsewhere(anomaly: &Anomaly, snapshot: &Snapshot) -> bool {
    let Some(scope) = &snapshot.scope else { return false };
    let is_node = matches!(&anomaly.subject, Subject::Object(object) if object.kind == Kind::Node);
    is_node && !anomaly.touches.iter().any(|object| object.key.namespace == *scope)
}

/// Worth knowing, and nobody's incident here.
fn play_down(anomaly: &mut Anomaly) {
    anomaly.severity = Severity::Suspect;
    anomaly.score = SHOWN;
    anomaly.pages_at = None;
}

/// Below this an anomaly isn't shown (audit, section 3).
const SHOWN: f64 = 0.5;

/// The anomaly, if its score is worth showing.
fn shown(anomaly: Anomaly) -> Option<Anomaly> {
    // Sums of tenths: 0.6 + 0.2 − 0.3 is a hair below 0.5.
    (anomaly.score > SHOWN - 1e-9).then_some(anomaly)
}

/// When the public alert pages, unless it did so more than a few minutes ago.
fn pages_at(scene: &Scene<'_>, since: Timestamp, after: &Threshold) -> Option<Timestamp> {
    const JUST: jiff::SignedDuration = jiff::SignedDuration::from_mins(5);
    let pages = since.checked_add(scene.thresholds.span(after)).ok()?;
    (scene.now.duration_since(pages) <= JUST).then_some(pages)
}

/// Whether it is about how much is told, not about what happens: nothing that happens stands below it.
pub fn is_noise(anomaly: &Anomaly) -> bool {
    *anomaly.rule == *alert_fatigue::RULE.name
}

/// What happens before what only makes noise; severity, then score, then age, then name.
pub fn worst_first(one: &Anomaly, other: &Anomaly) -> std::cmp::Ordering {
    is_noise(one)
        .cmp(&is_noise(other))
        .then_with(|| other.severity.cmp(&one.severity))
        .then_with(|| other.score.total_cmp(&one.score))
        .then_with(|| one.onset.cmp(&other.onset))
        .then_with(|| one.id.cmp(&other.id))
}

impl Needs {
    pub fn origins(&self) -> &'static [Origin] {
        match self {
            Needs::All(origins) | Needs::Any(origins) | Needs::Within(origins, _) => origins,
        }
    }

    /// Why the rule cannot see, if it can't.
    fn blindness(&self, snapshot: &Snapshot, now: Timestamp) -> Option<Blind> {
        let mut blind = self.origins().iter().map(|origin| snapshot.blindness(*origin, now));
        match self {
            Needs::All(_) => blind.find_map(|blind| blind),
            Needs::Within(_, missing) => blind.find_map(|blind| blind).or_else(|| missing(snapshot)),
            // When none is to be seen, the first is the one to repair.
            Needs::Any(_) => {
                let all: Option<Vec<Blind>> = blind.collect();
                all.and_then(|all| all.into_iter().next())
            }
        }
    }
}

impl Judgement {
    /// All anomalies, the worst first.
    pub fn anomalies(&self) -> Vec<Anomaly> {
        let mut all: Vec<Anomaly> = self
            .all()
            .filter_map(|(_, finding)| match finding {
                Finding::Firing(anomalies) => Some(anomalies),
                _ => None,
            })
            .flatten()
            .cloned()
            .collect();
        all.sort_by(worst_first);
        all
    }

    /// Rules that cannot say that all is well, and why.
    pub fn blind(&self) -> Vec<(Watched, Blind)> {
        self.all()
            .filter_map(|(watched, finding)| match finding {
                Finding::Blind(blind) => Some((watched, blind.clone())),
                _ => None,
            })
            .chain(self.half_blind.iter().map(|(rule, blind)| ((*rule).into(), blind.clone())))
            .collect()
    }

    /// Why a rule or a trigger cannot tell at all, if it can't.
    pub fn blind_to(&self, name: &str) -> Option<&Blind> {
        self.all().find_map(|(watched, finding)| match finding {
            Finding::Blind(blind) if *watched.name == *name => Some(blind),
            _ => None,
        })
    }

    fn all(&self) -> impl Iterator<Item = (Watched, &Finding)> {
        let rules = self.findings.iter().map(|(rule, finding)| ((*rule).into(), finding));
        rules.chain(self.team.iter().map(|(watched, finding)| (watched.clone(), finding)))
    }
}
