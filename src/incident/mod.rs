//! Findings in, Incidents out: causal links, root ranking, what changed before the onset.
//! Knows which anomaly can cause which. It must not know playbooks or the screen.

mod causation;
mod causations;
mod changes;
mod conditions;
mod dependencies;
mod doors;
mod edits;
mod graph;
mod headline;
mod links;
mod memory;
mod relevance;
mod rollouts;

use std::cell::OnceCell;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::time::Duration;

use jiff::SignedDuration;

use crate::domain::{Anomaly, AnomalyId, Change, Kind, Name, Severity, Snapshot, Subject, Timestamp};
use crate::rules::{is_noise, worst_first};

pub use changes::changes;
pub use dependencies::with_words;
pub use headline::{Title, alerting, headline, summary};
pub use memory::{Memory, Resolved};

/// From this score on an anomaly alone is an incident (audit, section 3).
const OPENS: f64 = 0.7;
/// Changes this long before an onset are listed with the incident (twice the audit's window for blame).
const LOOK_BACK: SignedDuration = SignedDuration::from_mins(30);

/// Anomalies that one thing explains.
#[derive(Clone, PartialEq, Debug)]
pub struct Incident {
    pub id: IncidentId,
    pub title: Title,
    /// The worst of its members.
    pub severity: Severity,
    /// When its root began.
    pub onset: Timestamp,
    /// What best explains the others.
    pub root: AnomalyId,
    /// The root first, then the worst first.
    pub members: Vec<AnomalyId>,
    /// The members that the root explains, directly or not, the worst first.
    pub symptoms: Vec<AnomalyId>,
    pub links: Vec<Link>,
    /// What changed in the half hour before the onset and since, the nearest before the onset first.
    pub changes: Vec<Change>,
    /// How well the root explains the rest, 0 to 1.
    pub score: f64,
}

/// The id of the incident's earliest anomaly: it stays when the root turns out to be another.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct IncidentId(pub Name);

impl fmt::Display for IncidentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One anomaly explains another.
#[derive(Clone, PartialEq, Debug)]
pub struct Link {
    pub cause: AnomalyId,
    pub effect: AnomalyId,
    /// In words: `its newest pods crash, so the rollout cannot complete`.
    pub why: &'static str,
    /// 0 to 1.
    pub weight: f64,
}

/// Whether it alone is an incident. What is critical is one, however little is known of it.
fn opens(anomaly: &Anomaly) -> bool {
    anomaly.score >= OPENS || anomaly.severity == Severity::Critical
}

/// Groups anomalies into incidents, the worst first. What is below the score that opens one joins others only.
pub fn incidents(anomalies: &[Anomaly], snapshot: &Snapshot, now: Timestamp) -> Vec<Incident> {
    if !anomalies.iter().any(opens) {
        return Vec::new();
    }
    let edges = graph::without_cycles(anomalies, links::edges(anomalies));
    let earliest = anomalies.iter().map(|anomaly| anomaly.onset).min().unwrap_or(now);
    let back = earliest.checked_sub(LOOK_BACK).unwrap_or(earliest);
    let window = Duration::try_from(now.duration_since(back)).unwrap_or_default();
    let all_changes = changes(snapshot, now, window.min(Duration::from_hours(24)));
    let mut incidents: Vec<(Incident, &Anomaly)> = Vec::new();
    let follows: Vec<OnceCell<bool>> = anomalies.iter().map(|_| OnceCell::new()).collect();
    let follows_change = |member: usize| {
        let is_after = || relevance::before(&anomalies[member], &all_changes, snapshot).next().is_some();
        *follows[member].get_or_init(is_after)
    };
    let all: Vec<usize> = (0..anomalies.len()).collect();
    let mut open = graph::components(all.len(), &all, &edges);
    while let Some(members) = open.pop() {
        if !members.iter().any(|member| opens(&anomalies[*member])) {
            continue;
        }
        let inner = graph::within(anomalies.len(), &members, &edges);
        let root = graph::root(anomalies, &members, &inner, follows_change);
        let Some(found) =
            root.and_then(|root| incident(anomalies, &members, root, &inner, &all_changes, snapshot))
        else {
            continue;
        };
        // What its root does not explain is a story of its own, whatever symptom both have in common.
        let told: HashSet<&AnomalyId> = found.0.symptoms.iter().chain([&found.0.root]).collect();
        let is_untold = |anomaly: &Anomaly| opens(anomaly) && !told.contains(&anomaly.id);
        let (untold, within): (Vec<usize>, Vec<usize>) =
            members.iter().partition(|member| is_untold(&anomalies[**member]));
        if untold.is_empty() {
            incidents.push(found);
            continue;
        }
        open.extend(graph::components(all.len(), &within, &edges));
        open.extend(graph::components(all.len(), &untold, &edges));
    }
    // By how many suffer most, not by how many tell of it.
    let severities: HashMap<&AnomalyId, Severity> =
        anomalies.iter().map(|anomaly| (&anomaly.id, anomaly.severity)).collect();
    let breadth = |incident: &Incident, root: &Anomaly| {
        let members = incident.members.iter().filter(|id| severities.get(id) == Some(&incident.severity));
        members.count() + workloads_on_nodes(root)
    };
    incidents.sort_by(|(one, one_root), (other, other_root)| {
        is_noise(one_root)
            .cmp(&is_noise(other_root))
            .then_with(|| other.severity.cmp(&one.severity))
            .then_with(|| breadth(other, other_root).cmp(&breadth(one, one_root)))
            .then_with(|| worst_first(one_root, other_root))
    });
    incidents.into_iter().map(|(incident, _)| incident).collect()
}

/// How many workloads have pods on nodes that fell together: they suffer, whether or not each is told by itself.
fn workloads_on_nodes(root: &Anomaly) -> usize {
    const WORKLOADS: &[Kind] = &[Kind::Deployment, Kind::StatefulSet];
    let hosted = root.touches.iter().filter(|object| WORKLOADS.contains(&object.kind));
    let is_outage = &*root.rule == "node-notready" && root.subject == Subject::Cluster;
    if is_outage { hosted.count() } else { 0 }
}

fn incident<'a>(
    anomalies: &'a [Anomaly],
    members: &[usize],
    (root, score): (usize, f64),
    edges: &[&links::Edge],
    changes: &[Change],
    snapshot: &Snapshot,
) -> Option<(Incident, &'a Anomaly)> {
    let root_anomaly = &anomalies[root];
    let id = |member: &usize| anomalies[*member].id.clone();
    let in_order = |mut chosen: Vec<usize>| {
        chosen.sort_by(|one, other| worst_first(&anomalies[*one], &anomalies[*other]));
        chosen
    };
    let symptoms = in_order(graph::descendants(root, edges).into_keys().collect());
    let others = in_order(members.iter().copied().filter(|member| *member != root).collect());
    let earliest =
        members.iter().min_by_key(|member| (anomalies[**member].onset, &anomalies[**member].id))?;
    let relevant = relevance::around(root_anomaly, changes, snapshot, LOOK_BACK);
    let incident = Incident {
        id: IncidentId(anomalies[*earliest].id.0.clone()),
        title: Title::of(root_anomaly, symptoms.len(), &relevant, snapshot.is_everywhere()),
        severity: members.iter().map(|member| anomalies[*member].severity).max()?,
        onset: root_anomaly.onset,
        root: root_anomaly.id.clone(),
        members: std::iter::once(&root).chain(&others).map(id).collect(),
        symptoms: symptoms.iter().map(id).collect(),
        links: edges
            .iter()
            .map(|edge| Link {
                cause: id(&edge.cause),
                effect: id(&edge.effect),
                why: edge.why,
                weight: edge.weight,
            })
            .collect(),
        changes: relevant,
        score,
    };
    Some((incident, root_anomaly))
}
