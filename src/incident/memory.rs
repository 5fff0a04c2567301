//! What was judged a moment ago: onsets stay put, and nothing blinks.

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;

use crate::domain::{
    Anomaly, AnomalyId, Blind, Cause, Evidence, Origin, Severity, Snapshot, Subject, Timestamp, cause,
};
use crate::rules::{Judgement, worst_first};

/// How long an anomaly must be gone, or be milder, before it counts as that.
const CLEARING: SignedDuration = SignedDuration::from_secs(30);
/// For so long after it was first told, what comes to be known may move an onset back: sources answer one after
/// another. After that, one that seems to be earlier is only another estimate.
const SETTLING: SignedDuration = SignedDuration::from_secs(30);
/// How long the resolved ones are remembered, and how many.
const HISTORY: SignedDuration = SignedDuration::from_hours(1);
const MOST: usize = 100;

/// Carried from one judgement to the next.
#[derive(Clone, Debug)]
pub struct Memory {
    clearing: SignedDuration,
    kept: BTreeMap<AnomalyId, Kept>,
    resolved: Vec<Resolved>,
}

/// An anomaly that is over.
#[derive(Clone, PartialEq, Debug)]
pub struct Resolved {
    pub anomaly: Anomaly,
    pub at: Timestamp,
}

#[derive(Clone, Debug)]
struct Kept {
    anomaly: Anomaly,
    /// When it was first told.
    told: Timestamp,
    /// The worst lately, and when it was last that bad.
    worst: (Severity, Timestamp),
    clearing_since: Option<Timestamp>,
    /// What it is about was deleted: there is nothing left that could come back.
    deleted: bool,
    /// Why its rule can no longer tell.
    unseen: Option<Blind>,
}

impl Kept {
    /// As it is told: nobody is paged for what is over or not seen, and what was seen last is not told as now.
    fn shown(&self) -> Anomaly {
        let seen = self.clearing_since.is_none() && self.unseen.is_none();
        let pages_at = self.anomaly.pages_at.filter(|_| seen);
        let mut shown = Anomaly { pages_at, ..self.anomaly.clone() };
        if let Some(blind) = &self.unseen {
            let from = shown.evidence.first().map_or(Origin::Cockpit, |row| row.from);
            let says = format!("not seen since then: {}", blind.why);
            shown.evidence.insert(0, Evidence { at: Some(blind.since), from, says });
        }
        shown
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::new(CLEARING)
    }
}

impl Memory {
    /// `clearing` is how long an anomaly must be gone before it is resolved; half a minute by default.
    pub fn new(clearing: SignedDuration) -> Self {
        Self { clearing, kept: BTreeMap::new(), resolved: Vec::new() }
    }

    /// The anomalies to show now: those of the judgement with their first onset, those that vanished less than
    /// the clearing window ago while their subject is still there, and those whose rule has gone blind since. The worst
    /// first.
    pub fn remember(&mut self, judgement: &Judgement, snapshot: &Snapshot, now: Timestamp) -> Vec<Anomaly> {
        let seen = judgement.anomalies();
        let ids: BTreeSet<AnomalyId> = seen.iter().map(|anomaly| anomaly.id.clone()).collect();
        self.kept.retain(|id, kept| {
            ids.contains(id) || !seen.iter().any(|anomaly| goes_on_as(&kept.anomaly, anomaly))
        });
        for anomaly in seen {
            self.keep(anomaly, now);
        }
        for (id, kept) in &mut self.kept {
            if ids.contains(id) {
                continue;
            }
            // Where its subject is gone, that is seen, whatever else its rule cannot see.
            kept.deleted = snapshot.is_over(&kept.anomaly.subject);
            kept.unseen = judgement.blind_to(&kept.anomaly.rule).filter(|_| !kept.deleted).cloned();
            // What seemed over in the last samples before the silence may have been the silence itself.
            kept.clearing_since = match kept.unseen {
                Some(_) => None,
                None => kept.clearing_since.or(Some(now)),
            };
        }
        self.resolve(now);
        let mut shown: Vec<Anomaly> = self.kept.values().map(Kept::shown).collect();
        shown.sort_by(worst_first);
        shown
    }

    /// Since when an anomaly has no longer been seen although its rule sees.
    pub fn clearing_since(&self, id: &AnomalyId) -> Option<Timestamp> {
        self.kept.get(id)?.clearing_since
    }

    /// What was resolved in the last hour, the latest first.
    pub fn resolved(&self) -> &[Resolved] {
        &self.resolved
    }

    /// A ConfigMap that was changed after the beginning is a remedy, whoever changed it: seen anew, the anomaly may seem
    /// to begin after it.
    fn forget_remedies(anomaly: &mut Anomaly) {
        let onset = anomaly.onset;
        let Anomaly { causes, evidence, .. } = anomaly;
        let came_later = |cause: &Cause| {
            let proof = evidence.iter().find(|row| row.says == cause.says);
            cause.name == cause::CONFIG_CHANGED && proof.and_then(|row| row.at).is_some_and(|at| at > onset)
        };
        causes.retain(|cause| !came_later(cause));
    }

    fn keep(&mut self, mut anomaly: Anomaly, now: Timestamp) {
        let Some(kept) = self.kept.get_mut(&anomaly.id) else {
            let worst = (anomaly.severity, now);
            let kept = Kept { anomaly, told: now, worst, clearing_since: None, deleted: false, unseen: None };
            self.kept.insert(kept.anomaly.id.clone(), kept);
            return;
        };
        kept.clearing_since = None;
        kept.unseen = None;
        let settled = now.duration_since(kept.told) > SETTLING;
        if kept.anomaly.onset < anomaly.onset || settled {
            let later = anomaly.onset.duration_since(kept.anomaly.onset);
            anomaly.pages_at = anomaly.pages_at.and_then(|at| at.checked_sub(later).ok());
            anomaly.onset = kept.anomaly.onset;
            Self::forget_remedies(&mut anomaly);
        }
        let (worst, at) = kept.worst;
        if anomaly.severity >= worst || now.duration_since(at) >= self.clearing {
            kept.worst = (anomaly.severity, now);
        } else {
            anomaly.severity = worst;
        }
        kept.anomaly = anomaly;
    }

    fn resolve(&mut self, now: Timestamp) {
        let clearing = self.clearing;
        let over = |kept: &Kept| {
            kept.clearing_since.is_some_and(|since| kept.deleted || now.duration_since(since) >= clearing)
        };
        let gone: Vec<AnomalyId> =
            self.kept.iter().filter(|(_, kept)| over(kept)).map(|(id, _)| id.clone()).collect();
        for id in gone {
            if let Some(kept) = self.kept.remove(&id) {
                let at = kept.clearing_since.unwrap_or(now);
                self.resolved.insert(0, Resolved { anomaly: kept.anomaly, at });
            }
        }
        self.resolved.truncate(MOST);
        self.resolved.retain(|resolved| now.duration_since(resolved.at) <= HISTORY);
    }
}

/// Whether what was told of one thing is told of the whole cluster now, or the other way round: it is not over.
fn goes_on_as(before: &Anomaly, now: &Anomaly) -> bool {
    let within = |one: &Anomaly, all: &Anomaly| {
        let Subject::Object(object) = &one.subject else { return false };
        all.subject == Subject::Cluster && all.touches.contains(object)
    };
    before.rule == now.rule && (within(before, now) || within(now, before))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::domain::{Key, Kind, ObjectRef};

    use crate::rules::{Finding, rule};

    fn crash(began: &str, changed: &str) -> Anomaly {
        let at = |text: &str| format!("2026-03-01T{text}Z").parse::<Timestamp>().expect("a moment");
        let says = "ConfigMap web was changed";
        Anomaly {
            id: AnomalyId("crash-loop/deployment/shop/web".into()),
            rule: "crash-loop".into(),
            subject: Subject::Cluster,
            severity: Severity::Critical,
            score: 0.9,
            onset: at(began),
            title: "crash-looping".into(),
            evidence: vec![Evidence { at: Some(at(changed)), from: Origin::ConfigMaps, says: says.into() }],
            causes: vec![Cause { name: cause::CONFIG_CHANGED, says: says.into(), weight: 0.6 }],
            touches: Vec::new(),
            bindings: BTreeMap::new(),
            pages_at: None,
        }
    }

    #[test]
    fn what_is_clearing_pages_nobody() {
        let at = |text: &str| format!("2026-03-01T{text}Z").parse::<Timestamp>().expect("a moment");
        let pages_at = Some(at("03:15:00"));
        let crash = || Anomaly { pages_at, ..crash("03:00:00", "02:58:00") };
        let judged = |finding| Judgement {
            findings: rule("crash-loop").map(|rule| (rule, finding)).into_iter().collect(),
            ..Judgement::default()
        };
        let (fires, calm) = (|| judged(Finding::Firing(vec![crash()])), || judged(Finding::Clear));
        let mut memory = Memory::default();
        let mut pages = |judgement: Judgement, now: &str| {
            memory
                .remember(&judgement, &Snapshot::default(), at(now))
                .iter()
                .map(|anomaly| anomaly.pages_at)
                .collect::<Vec<_>>()
        };
        assert_eq!(pages(fires(), "03:10:00"), [pages_at]);
        assert_eq!(pages(calm(), "03:10:10"), [None], "still shown, and over");
        assert_eq!(pages(fires(), "03:10:20"), [pages_at], "it is back");
        assert!(pages(calm(), "03:10:30").len() == 1 && pages(calm(), "03:11:10").is_empty());
    }

    #[test]
    fn what_is_told_of_all_nodes_together_is_not_over_for_one() {
        let at = |text: &str| format!("2026-03-01T{text}Z").parse::<Timestamp>().expect("a moment");
        let judged = |anomalies: Vec<Anomaly>| Judgement {
            findings: rule("node-notready")
                .map(|rule| (rule, Finding::Firing(anomalies)))
                .into_iter()
                .collect(),
            ..Judgement::default()
        };
        let node = |name: &str| ObjectRef::new(Kind::Node, Key::cluster(name));
        let down = |id: &str, subject: Subject, nodes: &[&str]| Anomaly {
            id: AnomalyId(id.into()),
            rule: "node-notready".into(),
            subject,
            touches: nodes.iter().map(|name| node(name)).collect(),
            ..crash("03:00:00", "02:58:00")
        };
        let one = |name: &str| down(name, Subject::Object(node(name)), &[name]);
        let all = |names: &[&str]| down("all", Subject::Cluster, names);
        let mut memory = Memory::default();
        let mut shown = |anomalies: Vec<Anomaly>, now: &str| {
            let shown = memory.remember(&judged(anomalies), &Snapshot::default(), at(now));
            let mut ids: Vec<String> = shown.iter().map(|anomaly| anomaly.id.0.to_string()).collect();
            ids.sort();
            ids
        };
        assert_eq!(shown(vec![one("a"), one("d")], "03:01:00"), ["a", "d"]);
        assert_eq!(shown(vec![all(&["a", "b", "c"])], "03:01:10"), ["all", "d"], "d is well, a is not");
        assert_eq!(
            shown(vec![one("b")], "03:02:00"),
            ["b"],
            "the others are back, and that is known at once"
        );
    }

    #[test]
    fn what_is_no_longer_seen_stays_and_pages_nobody() {
        let at = |text: &str| format!("2026-03-01T{text}Z").parse::<Timestamp>().expect("a moment");
        let judged = |finding| Judgement {
            findings: rule("crash-loop").map(|rule| (rule, finding)).into_iter().collect(),
            ..Judgement::default()
        };
        let pages_at = Some(at("03:15:00"));
        let fires = || {
            judged(Finding::Firing(vec![Anomaly {
                pages_at,
                severity: Severity::Warning,
                ..crash("03:00:00", "02:58:00")
            }]))
        };
        let blind = || {
            judged(Finding::Blind(Blind {
                kind: crate::domain::BlindKind::Broken,
                why: "no series".into(),
                repair: None,
                since: at("03:09:30"),
            }))
        };
        let mut memory = Memory::default();
        memory.remember(&fires(), &Snapshot::default(), at("03:09:00"));
        // The last samples before a silence fall by themselves.
        memory.remember(&judged(Finding::Clear), &Snapshot::default(), at("03:09:20"));
        for now in ["03:09:45", "03:14:00", "03:40:00"] {
            let shown = memory.remember(&blind(), &Snapshot::default(), at(now));
            let [held] = shown.as_slice() else { panic!("{shown:?}") };
            assert_eq!((held.pages_at, held.severity), (None, Severity::Warning), "{now}");
            assert_eq!(held.evidence[0].says, "not seen since then: no series");
            assert_eq!(held.evidence[0].at, Some(at("03:09:30")));
        }
        assert!(memory.resolved().is_empty());
        let shown = memory.remember(&fires(), &Snapshot::default(), at("03:41:00"));
        assert!(shown[0].evidence.iter().all(|row| !row.says.contains("not seen")), "it is seen again");
    }

    #[test]
    fn an_onset_that_was_told_does_not_wander() {
        let at = |text: &str| format!("2026-03-01T{text}Z").parse::<Timestamp>().expect("a moment");
        let mut memory = Memory::default();
        let mut shown = |began: &str, now: &str| {
            memory.keep(crash(began, "02:00:00"), at(now));
            memory.kept.values().map(|kept| kept.anomaly.onset).next()
        };
        assert_eq!(shown("03:00:20", "03:01:00"), Some(at("03:00:20")));
        assert_eq!(shown("03:00:10", "03:01:05"), Some(at("03:00:10")), "the events came, too");
        assert_eq!(shown("03:00:30", "03:01:10"), Some(at("03:00:10")));
        assert_eq!(shown("02:59:50", "03:03:00"), Some(at("03:00:10")), "that is an estimate");
    }

    #[test]
    fn a_change_that_came_after_the_first_onset_is_no_cause() {
        let mut memory = Memory::default();
        let mut shown = |anomaly: Anomaly| {
            memory.keep(anomaly, "2026-03-01T03:12:00Z".parse().expect("a moment"));
            memory.kept.values().map(|kept| kept.anomaly.causes.len()).collect::<Vec<_>>()
        };
        assert_eq!(shown(crash("03:00:00", "02:58:00")), [1], "changed before it began");
        assert_eq!(shown(crash("03:10:00", "03:09:00")), [0], "it has been there since 03:00");
        assert_eq!(shown(crash("03:10:00", "02:58:00")), [1], "the first change stays the cause");
    }
}
