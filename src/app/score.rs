//! How a drill is played: what the cockpit saw and did, held against what is true of the drill.
//! Knows the truth as plain values that it was given; must not know where they come from, nor use them for advice.

use std::time::Duration;

use serde_json::Value;

use super::{App, Layer, Page};
use crate::domain::{Action, Anomaly, Snapshot, Subject, Timestamp, Tone, Traffic, between};
use crate::playbooks::{self, ChecklistItem, Facts};

/// What is true of a drill.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Truth {
    pub title: String,
    /// What happened, for the talk afterwards.
    pub story: String,
    /// When it strikes.
    pub strikes: Timestamp,
    /// The rule whose anomaly is the root.
    pub rule: String,
    /// `Kind/name`; `*` at the end stands for any.
    pub object: String,
    /// Names of causes, any of which is a right diagnosis; empty when none is asked for.
    pub causes: Vec<String>,
    /// The root in words.
    pub root: String,
    /// What would have helped, in words.
    pub fixes: Vec<String>,
    pub worse: Vec<Worse>,
}

/// Something that makes it worse.
#[derive(Clone, PartialEq, Debug)]
pub struct Worse {
    pub says: String,
    /// The action as the journal writes it, as far as it matters which, with the words of [`is_like`].
    pub does: Value,
}

/// What was seen and done so far.
#[derive(Clone, PartialEq, Debug)]
pub struct Score {
    pub truth: Truth,
    /// Something was found wrong.
    pub detected: Option<Timestamp>,
    /// The worst incident named the root and its cause.
    pub named: Option<Timestamp>,
    pub resolved: Option<Timestamp>,
    /// Changes that were made.
    pub changes: usize,
    /// Those among them that made it worse, in words.
    pub wrong: Vec<String>,
    pub undone: usize,
    /// For how long users saw errors, as far as Prometheus tells.
    pub errors: Duration,
    /// When the latest incident was last there.
    trouble: Timestamp,
    looked: Timestamp,
    /// The revision that was broken when the root was named.
    broken: Option<u64>,
    /// What is being done makes it worse, in words.
    confirmed: Option<String>,
}

/// From this share of 5xx on users see errors: the audit's bound for "normal".
const ERRORS: f64 = 0.01;
/// When so little of the usual traffic is answered, the rest is lost; the usual swing is a tenth.
const ANSWERED: f64 = 0.85;
/// Samples older than this tell nothing of the present.
const FRESH: Duration = Duration::from_mins(1);
/// Two looks further apart than this saw nothing in between.
const GAP: Duration = Duration::from_secs(30);
/// When nothing has been wrong for so long, it is over whoever mended it: the longest hold of a playbook.
const CALM: Duration = Duration::from_mins(10);

impl Score {
    pub fn new(truth: Truth, now: Timestamp) -> Score {
        Score {
            truth,
            detected: None,
            named: None,
            resolved: None,
            changes: 0,
            wrong: Vec::new(),
            undone: 0,
            errors: Duration::ZERO,
            trouble: now,
            looked: now,
            broken: None,
            confirmed: None,
        }
    }

    /// Whether this anomaly is the drill's root.
    pub fn is_root(&self, anomaly: &Anomaly) -> bool {
        *anomaly.rule == *self.truth.rule && is_object(&self.truth.object, &anomaly.subject)
    }

    fn is_named(&self, anomaly: &Anomaly) -> bool {
        let first = anomaly.causes.first().map_or("", |cause| cause.name);
        self.is_root(anomaly)
            && (self.truth.causes.is_empty() || self.truth.causes.iter().any(|cause| cause == first))
    }

    fn notice(&mut self, worst: Option<&Anomaly>, traffic: &Traffic, now: Timestamp) {
        let passed = between(self.looked, now);
        self.looked = now;
        if now < self.truth.strikes || self.resolved.is_some() {
            return;
        }
        if passed <= GAP && users_see_errors(traffic, self.truth.strikes, now) {
            self.errors += passed;
        }
        let Some(worst) = worst else { return };
        self.trouble = now;
        self.detected.get_or_insert(now);
        if self.named.is_none() && self.is_named(worst) {
            self.named = Some(now);
            self.broken = worst.bindings.get("bad_revision").and_then(|revision| revision.parse().ok());
        }
    }

    /// A person said yes to this.
    pub(super) fn confirm(&mut self, action: &Action, snapshot: &Snapshot) {
        let written = serde_json::to_value(action).unwrap_or_default();
        let known = Known { snapshot, object: &self.truth.object, broken: self.broken };
        let worse = self.truth.worse.iter().find(|worse| is_like(&worse.does, &written, &known));
        self.confirmed = worse.map(|worse| worse.says.clone());
    }

    /// It was done.
    pub(super) fn did(&mut self, undoing: bool) {
        self.changes += usize::from(!undoing);
        self.undone += usize::from(undoing);
        self.wrong.extend(self.confirmed.take());
    }
}

fn is_object(wanted: &str, subject: &Subject) -> bool {
    let (wanted, subject) = (wanted.to_lowercase(), subject.to_string().to_lowercase());
    wanted.strip_suffix('*').map_or(subject == wanted, |beginning| subject.starts_with(beginning))
}

/// Requests fail, or much fewer are answered than before it struck.
fn users_see_errors(traffic: &Traffic, struck: Timestamp, now: Timestamp) -> bool {
    let fresh = |last: Option<(Timestamp, f64)>| {
        last.filter(|(at, _)| between(*at, now) <= FRESH).map(|(_, value)| value)
    };
    let failing = fresh(traffic.error_ratio.last()).is_some_and(|ratio| ratio >= ERRORS);
    let before: Vec<f64> =
        traffic.rate.points().iter().filter(|(at, _)| *at < struck).map(|(_, rate)| *rate).collect();
    let usual = before.iter().rev().take(20).sum::<f64>() / before.len().clamp(1, 20) as f64;
    failing || fresh(traffic.rate.last()).is_some_and(|rate| rate < ANSWERED * usual)
}

/// What the words of a pattern are about.
pub struct Known<'a> {
    pub snapshot: &'a Snapshot,
    /// The object in trouble, `Kind/name`.
    pub object: &'a str,
    pub broken: Option<u64>,
}

/// Whether a written action is what a pattern describes. What the pattern leaves out does not matter. Words:
/// `ready` for pods (one of them serves), `other` for a name (than that of the object in trouble), `broken` for a
/// revision (the one that was named), `at least 8Gi` for an amount.
pub fn is_like(pattern: &Value, written: &Value, known: &Known<'_>) -> bool {
    match (pattern, written) {
        (Value::Object(wanted), _) => wanted
            .iter()
            .all(|(key, value)| written.get(key).is_some_and(|written| is_like(value, written, known))),
        (Value::String(word), Value::Array(pods)) if word == "ready" => pods.iter().any(|pod| {
            let key = pod.get("key").and_then(|key| serde_json::from_value(key.clone()).ok());
            key.and_then(|key| known.snapshot.pods.get(&key)).is_some_and(crate::domain::Pod::is_ready)
        }),
        (Value::String(word), Value::String(name)) if word == "other" => {
            known.object.split_once('/').is_some_and(|(_, own)| own != "*" && own != name)
        }
        (Value::String(word), Value::Number(revision)) if word == "broken" => {
            known.broken.is_some() && known.broken == revision.as_u64()
        }
        (Value::String(word), _) if word.starts_with("at least ") => {
            let wanted = amount(&word["at least ".len()..]);
            let has = written.as_str().map_or_else(|| written.as_f64(), amount);
            has.zip(wanted).is_some_and(|(has, wanted)| has >= wanted)
        }
        _ => pattern == written,
    }
}

/// A number with the suffix of a Kubernetes quantity, if it has one.
fn amount(text: &str) -> Option<f64> {
    let split = text.find(|character: char| !(character.is_ascii_digit() || character == '.'));
    let (digits, suffix) = text.split_at(split.unwrap_or(text.len()));
    let factor = match suffix {
        "" => 1.0,
        "m" => 0.001,
        "Ki" => 1024.0,
        "Mi" => 1024.0 * 1024.0,
        "Gi" => 1024.0 * 1024.0 * 1024.0,
        _ => return None,
    };
    Some(digits.parse::<f64>().ok()? * factor)
}

impl App {
    /// Looks how the drill stands, and shows the score when it is over.
    pub(super) fn keep_score(&mut self) {
        let Some(mut score) = self.score.take() else { return };
        let worst = self.verdict.incidents.first().and_then(|incident| self.verdict.anomaly(&incident.root));
        score.notice(worst, &self.snapshot.traffic, self.now);
        if score.resolved.is_none() && self.is_over(&score) {
            score.resolved = Some(self.now);
            if self.layers.is_empty() {
                self.layers.push(Layer::Page(Page::Score, 0));
            } else {
                self.say(Tone::Good, "the drill is solved: S shows how it went");
            }
        }
        self.score = Some(score);
    }

    /// The root was dealt with and nothing else is wrong, or nothing has been for a while.
    fn is_over(&self, score: &Score) -> bool {
        let acting = self.act.as_ref().is_some_and(super::Act::is_running);
        if score.detected.is_none() || acting || !self.verdict.incidents.is_empty() {
            return false;
        }
        let mended =
            self.dossiers.values().filter(|dossier| score.is_root(&dossier.anomaly)).any(|dossier| {
                let Some(playbook) = self.options.library.get(&dossier.anomaly.rule) else { return false };
                playbooks::plan(playbook, &self.facts(dossier)).resolved.reached
            });
        mended || between(score.trouble, self.now) >= CALM
    }

    /// The checklist of the drill's root, with what a person ticked: how many are done, and all.
    pub fn drill_checklist(&self) -> Vec<(ChecklistItem, bool)> {
        let Some(score) = &self.score else { return Vec::new() };
        let root = self.dossiers.iter().find(|(_, dossier)| score.is_root(&dossier.anomaly));
        let Some((id, dossier)) = root else { return Vec::new() };
        let items = dossier.plan.as_ref().map(|plan| plan.follow_up.clone()).unwrap_or_default();
        items
            .into_iter()
            .map(|item| {
                let ticked = self.ticked.contains(&(id.clone(), item.id.clone()));
                let done = item.auto == Some(true) || ticked;
                (item, done)
            })
            .collect()
    }

    pub(super) fn facts<'a>(&'a self, dossier: &'a super::Dossier) -> Facts<'a> {
        Facts {
            anomaly: &dossier.anomaly,
            fires: self.verdict.anomaly(&dossier.anomaly.id).is_some(),
            snapshot: &self.snapshot,
            settings: &self.options.bindings,
            systems: &self.options.systems,
            read_only: !self.options.armed,
            denied: &self.rights.denied,
            now: self.now,
            progress: &dossier.progress,
        }
    }
}
