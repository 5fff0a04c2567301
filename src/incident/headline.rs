//! What is wrong, in one line of words.

use std::time::Duration;

use crate::domain::{
    AlertGrade, AlertState, Anomaly, Blind, BlindKind, Change, ChangeKind, Origin, Severity, Snapshot,
    Subject, Timestamp, between, text,
};
use crate::rules::{Watched, rule};

use super::Incident;

/// What is younger was there before anybody looked, as far as is known: its age would be that of the look.
const AT_FIRST_SIGHT: Duration = Duration::from_secs(1);

/// How long before an onset a change is named in the title (audit, section 5).
const BLAME: Duration = Duration::from_mins(15);

/// An incident's title in its parts, so that its age is fresh whenever it is drawn.
#[derive(Clone, PartialEq, Debug)]
pub struct Title {
    /// `rollout 7f9c of covetpy-app crash-looping: OOMKilled`.
    pub what: String,
    /// How many symptoms it explains.
    pub symptoms: usize,
    pub began: Timestamp,
    /// The nearest change before: how long before, and what: `revision 7`.
    pub after: Option<(Duration, String)>,
}

impl Title {
    /// The title of an incident with this root; `changes` has the nearest before its onset first.
    pub(super) fn of(root: &Anomaly, symptoms: usize, changes: &[Change], everywhere: bool) -> Self {
        let after = changes.first().filter(|change| change.at <= root.onset).and_then(|change| {
            let before = between(change.at, root.onset);
            (before <= BLAME).then(|| (before, name(change, root)))
        });
        Self { what: summary(root, everywhere), symptoms, began: root.onset, after }
    }

    /// The change just before: `40s after revision 7`.
    pub fn lately(&self) -> Option<String> {
        self.after.as_ref().map(|(before, what)| format!("{} {what}", text::after(*before)))
    }

    /// In full, with its age at `now`:
    /// `… — 3 symptoms — began 4m12s ago, 40s after revision 7`.
    pub fn at(&self, now: Timestamp) -> String {
        let symptoms = match self.symptoms {
            0 => String::new(),
            count => format!(" — {}", text::count(count, "symptom")),
        };
        let age = between(self.began, now);
        if age < AT_FIRST_SIGHT {
            return format!("{}{symptoms} — seen just now", self.what);
        }
        let after = self.lately().map(|after| format!(", {after}"));
        format!("{}{symptoms} — began {} ago{}", self.what, text::span(age), after.unwrap_or_default())
    }
}

/// A change in a few words; whose rollout it was, where the trouble is not plainly that one's.
fn name(change: &Change, root: &Anomaly) -> String {
    match change.kind {
        ChangeKind::Rollout => {
            let rollout = change.says.split(':').next().unwrap_or_default();
            let is_own = matches!(root.subject, Subject::Object(_)) || root.touches.contains(&change.object);
            if is_own { rollout.to_owned() } else { format!("{rollout} of {}", change.object.key.name) }
        }
        // What we did is named by what it was done to: the rest is on the line of changes.
        ChangeKind::Ours => format!("our change to {}", change.object.key.name),
        _ => change.says.clone(),
    }
}

/// An anomaly in one line, with its subject, once; with its namespace where all of them are looked at.
pub fn summary(anomaly: &Anomaly, everywhere: bool) -> String {
    let of = |name: &str| anomaly.bindings.get(name).map(String::as_str);
    let blamed = of("bad_revision").and(of("rollout")).zip(of("workload_name"));
    let hash = |rollout: &str| rollout.chars().take(4).collect::<String>();
    let namespace = match &anomaly.subject {
        Subject::Object(object) if everywhere => &*object.key.namespace,
        _ => "",
    };
    let placed = |name: &str| match namespace {
        "" => name.to_owned(),
        namespace => format!("{namespace}/{name}"),
    };
    match (&*anomaly.rule, blamed) {
        ("crash-loop", Some((rollout, name))) => {
            let because = of("because").unwrap_or("it exits");
            let how = of("how").unwrap_or("crash-looping");
            format!("rollout {} of {} {how}: {because}", hash(rollout), placed(name))
        }
        ("image-pull", Some((rollout, name))) => {
            let (image, because) = (of("image").unwrap_or("its image"), of("because").unwrap_or("unknown"));
            format!("rollout {} of {} cannot pull {image}: {because}", hash(rollout), placed(name))
        }
        ("crash-loop" | "image-pull" | "rollout-stuck", _) => match of("workload_name") {
            Some(name) => format!("{}: {}", placed(name), anomaly.title),
            None => anomaly.title.clone(),
        },
        _ => match &anomaly.subject {
            Subject::Object(object) => {
                let named = object.to_string().replace('/', " ");
                let kind = object.kind.for_kubectl();
                let placed = format!("{kind} {}", placed(&object.key.name));
                match anomaly.title.strip_prefix(&named) {
                    Some(rest) => format!("{placed}{rest}"),
                    None => format!("{placed} {}", anomaly.title),
                }
            }
            // Where one namespace is looked at, our own rules judge the traffic of no other.
            Subject::Traffic(namespace)
                if !namespace.is_empty() && (everywhere || rule(&anomaly.rule).is_none()) =>
            {
                format!("{namespace}: {}", anomaly.title)
            }
            _ => anomaly.title.clone(),
        },
    }
}

/// What is wrong in one line: the worst incident and how many others; else what is suspected; else that all is
/// calm, or that nobody can tell.
pub fn headline(
    incidents: &[Incident],
    anomalies: &[Anomaly],
    blind: &[(Watched, Blind)],
    snapshot: &Snapshot,
    now: Timestamp,
) -> String {
    let unseen = unseen(blind, anomalies);
    if let Some(worst) = incidents.first() {
        let more = match incidents.len() - 1 {
            0 => String::new(),
            count => format!(" · and {}", text::count(count, "other incident")),
        };
        return format!("{}{more}{unseen}", worst.title.at(now));
    }
    if let Some(first) = anomalies.first() {
        let more = match anomalies.len() - 1 {
            0 => String::new(),
            count => format!(" and {count} more"),
        };
        let word = if first.severity == Severity::Suspect { "suspicious" } else { "not right" };
        return format!("{word}: {}{more}{unseen}", summary(first, snapshot.is_everywhere()));
    }
    let failing: Vec<&(Watched, Blind)> =
        blind.iter().filter(|(_, blind)| blind.kind != BlindKind::NotConfigured).collect();
    // Who doesn't see pods or nodes doesn't know whether anything works.
    let vital = failing.iter().find(|(rule, _)| matches!(&*rule.name, "crash-loop" | "node-notready"));
    let alerts = alerting(snapshot, now);
    match (vital.or(failing.first()), alerts) {
        (Some((_, blind)), _) if vital.is_some() => format!("cannot tell: {}{unseen}", blind.why),
        (Some((_, blind)), None) => format!("nothing wrong where we can see: {}{unseen}", blind.why),
        (Some((_, blind)), Some(alerts)) => {
            format!("nothing wrong by our rules, but {alerts}; {}{unseen}", blind.why)
        }
        (None, None) => format!("all calm{unseen}"),
        (None, Some(alerts)) => format!("nothing wrong by our rules, but {alerts}{unseen}"),
    }
}

/// What Alertmanager tells people of right now, where an alert is grave: `401 alerts fire, 1 of them critical`.
pub fn alerting(snapshot: &Snapshot, now: Timestamp) -> Option<String> {
    if snapshot.blindness(Origin::Alertmanager, now).is_some() {
        return None;
    }
    let of = |grade: AlertGrade| {
        let active = snapshot.alerts_in_scope().filter(|alert| alert.state == AlertState::Active);
        active.filter(|alert| alert.grade() == grade).count()
    };
    let grave = of(AlertGrade::Grave);
    (grave > 0).then(|| match grave + of(AlertGrade::Warning) {
        1 => "1 critical alert fires".to_owned(),
        all => format!("{all} alerts fire, {grave} of them critical"),
    })
}

/// What is not looked at, for an honest line's end. Who fires sees something.
fn unseen(blind: &[(Watched, Blind)], anomalies: &[Anomaly]) -> String {
    let fires = |rule: &str| anomalies.iter().any(|anomaly| *anomaly.rule == *rule);
    let mut names: Vec<&str> =
        blind.iter().map(|(rule, _)| &*rule.name).filter(|name| !fires(name)).collect();
    names.dedup();
    if names.is_empty() {
        return String::new();
    }
    format!(" · not seeing {}", names.join(", "))
}
