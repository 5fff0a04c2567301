//! Too much alerting: more notifications than people read, one alert that drowns the others, rules that flap,
//! alerts nobody mends. Never critical. A burst that shares a node or a namespace is an incident, not fatigue.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::SignedDuration;

use crate::domain::{
    Alert, AlertState, Anomaly, AnomalyId, Cause, Evidence, Flapping, Key, Kind, ObjectRef, Origin, Severity,
    Subject, Timestamp, WATCHDOGS, cause,
};

use super::workload::{Bindings, evidence};
use super::{Needs, Rule, Scene, Threshold, Unit, shown};

const PER_HOUR: Threshold = Threshold {
    key: "alert-fatigue.per-hour",
    default: 30.0,
    unit: Unit::Count,
    says: "notifications in an hour",
    source: "our own choice",
};
const PER_SHIFT: Threshold = Threshold {
    key: "alert-fatigue.per-shift",
    default: 120.0,
    unit: Unit::Count,
    says: "notifications in twelve hours",
    source: "our own choice: ten an hour; the SRE book asks for two incidents a shift",
};
const DOMINANT: Threshold = Threshold {
    key: "alert-fatigue.dominant",
    default: 0.4,
    unit: Unit::Ratio,
    says: "share of all firing in a week that one alert makes",
    source: "our own choice",
};
const FLAPS: Threshold = Threshold {
    key: "alert-fatigue.flaps",
    default: 5.0,
    unit: Unit::Count,
    says: "times that an alert became active again in six hours",
    source: "our own choice",
};
const QUIET: Threshold = Threshold {
    key: "alert-fatigue.quiet",
    default: 900.0,
    unit: Unit::Seconds,
    says: "how long no episode begins before the noise has ended; twice its usual pause, if that is longer",
    source: "our own choice",
};
const STANDING: Threshold = Threshold {
    key: "alert-fatigue.standing",
    default: 5.0,
    unit: Unit::Count,
    says: "alerts active for more than a day",
    source: "our own choice",
};
const STORM: Threshold = Threshold {
    key: "alert-fatigue.storm",
    default: 3.0,
    unit: Unit::Count,
    says: "alerts that began within a quarter of an hour on one node or in one namespace",
    source: "our own choice",
};
/// Alerts of one name that are notified one by one.
const UNGROUPED: usize = 5;
/// A burst is this long.
const BURST: SignedDuration = SignedDuration::from_mins(15);
const DAY: SignedDuration = SignedDuration::from_hours(24);

pub(super) static RULE: Rule = Rule {
    name: "alert-fatigue",
    title: "Too much alerting",
    says: "Notifications per hour and shift, alerts that flap or drown the others, alerts active for a day. Never \
           critical, and over as soon as it has been quiet for a while. A burst within a quarter of an hour on one node or in one namespace is an incident: it is \
           named as such, and no rule is to be changed for it.",
    needs: Needs::All(&[Origin::Alertmanager, Origin::AlertHistory]),
    awaits: &[],
    thresholds: &[PER_HOUR, PER_SHIFT, DOMINANT, FLAPS, QUIET, STANDING, STORM],
    examine,
};

fn examine(scene: &Scene<'_>) -> Vec<Anomaly> {
    let sees = |origin| scene.snapshot.blindness(origin, scene.now).is_none();
    if !sees(Origin::Alertmanager) || !sees(Origin::AlertHistory) {
        return Vec::new();
    }
    let mut signs = Signs::default();
    let storm = storm(scene);
    signs.volume(scene);
    signs.flapping(scene);
    signs.standing(scene);
    if signs.says.is_empty() {
        return Vec::new();
    }
    signs.dominant(scene);
    signs.ungrouped(scene);
    signs.uninhibited(scene);
    signs.drowned(scene);
    let mut touches = Vec::new();
    let stormy = storm.is_some();
    let onset = storm.as_ref().map(|storm| storm.since).or(signs.since).unwrap_or(scene.now);
    if let Some(storm) = storm {
        let says = format!("{} alerts began within 15 minutes {}", storm.count, storm.place);
        signs.facts.push(evidence(Origin::Alertmanager, Some(storm.since), says.clone()));
        signs.causes.push(Cause { name: cause::ALERT_STORM, says, weight: 0.95 });
        touches.push(storm.object);
    }
    signs.causes.sort_by(|one, other| other.weight.total_cmp(&one.weight));
    // What a storm makes is a symptom of what it comes from: shown, and no incident by itself.
    let (severity, score) = if stormy { (Severity::Suspect, 0.5) } else { (Severity::Warning, 0.75) };
    let bindings = bindings(scene, &signs);
    Vec::from_iter(shown(Anomaly {
        id: AnomalyId(format!("{}/alertmanager", RULE.name).into()),
        rule: RULE.name.into(),
        subject: Subject::Cluster,
        severity,
        score,
        onset,
        title: signs.says.join("; "),
        evidence: signs.facts,
        causes: signs.causes,
        touches,
        bindings,
        pages_at: None,
    }))
}

#[derive(Default)]
struct Signs {
    says: Vec<String>,
    facts: Vec<Evidence>,
    causes: Vec<Cause>,
    since: Option<Timestamp>,
    /// The worst first.
    noisy: Vec<String>,
    group_by: Option<String>,
    inhibition: Option<(String, String, &'static str)>,
}

impl Signs {
    fn volume(&mut self, scene: &Scene<'_>) {
        let noise = &scene.snapshot.noise;
        // What was sent for the last time a while ago has ended.
        let goes_on = noise.sent_15m.is_none_or(|sent| sent >= 1.0);
        let shift_goes_on = noise.sent_1h.is_none_or(|sent| sent > scene.threshold(&PER_SHIFT) / 24.0);
        let sent = [
            (noise.sent_1h.filter(|_| goes_on), &PER_HOUR, "an hour", 1),
            (noise.sent_12h.filter(|_| shift_goes_on), &PER_SHIFT, "12 h", 12),
        ];
        for (sent, limit, span, hours) in sent {
            let Some(sent) = sent.filter(|sent| *sent > scene.threshold(limit)) else { continue };
            let says = format!("{sent:.0} notifications in {span}");
            self.facts.push(evidence(Origin::AlertHistory, None, says.clone()));
            if self.says.is_empty() {
                self.says.push(says);
                self.since = Some(scene.now - SignedDuration::from_hours(hours));
            }
        }
    }

    fn flapping(&mut self, scene: &Scene<'_>) {
        let flapping: Vec<&Flapping> = flapping(scene).collect();
        let Some(worst) = flapping.first() else { return };
        let says =
            |row: &Flapping| format!("{} became active again {:.0} times in 6 h", row.alert, row.times);
        for row in flapping.iter().take(5) {
            self.facts.push(evidence(Origin::AlertHistory, Some(row.since), says(row)));
        }
        let others = flapping.iter().skip(1).map(|row| format!(", {} {:.0}", row.alert, row.times));
        let all = others.fold(says(worst), |all, other| all + &other);
        self.says.push(says(worst));
        self.causes.push(Cause { name: cause::ALERT_FLAPPING, says: all, weight: 0.9 });
        self.noisy = flapping.iter().map(|row| row.alert.to_string()).collect();
        // It makes the notifications: a window that they are counted in begins whenever somebody looks.
        self.since = flapping.iter().map(|row| row.since).min();
    }

    /// Says why it is noisy; a quiet system has a loudest alert, too.
    fn dominant(&mut self, scene: &Scene<'_>) {
        let limit = scene.threshold(&DOMINANT);
        let Some((alert, share)) =
            scene.snapshot.noise.shares.iter().find(|(alert, share)| *share > limit && !is_watchdog(alert))
        else {
            return;
        };
        let says = format!("{alert} makes {:.0} % of all firing in a week", share * 100.0);
        self.facts.push(evidence(Origin::AlertHistory, None, says.clone()));
        self.causes.push(Cause { name: cause::ALERT_DOMINANT, says, weight: 0.7 });
        if self.noisy.is_empty() {
            self.noisy.push(alert.to_string());
        }
    }

    fn standing(&mut self, scene: &Scene<'_>) {
        let long: Vec<&Alert> =
            active(scene).filter(|alert| scene.now.duration_since(alert.starts) > DAY).collect();
        if (long.len() as f64) < scene.threshold(&STANDING) {
            return;
        }
        let says = format!("{} alerts active for more than a day", long.len());
        self.facts.push(evidence(Origin::Alertmanager, None, says.clone()));
        self.causes.push(Cause { name: cause::ALERT_STANDING, says: says.clone(), weight: 0.6 });
        self.since = self.since.or_else(|| long.iter().map(|alert| alert.starts).min());
        self.says.push(says);
    }

    /// Many of one name at once, each its own notification. How they are grouped is for a read to see.
    fn ungrouped(&mut self, scene: &Scene<'_>) {
        let mut by_name: BTreeMap<&str, Vec<&Alert>> = BTreeMap::new();
        for alert in active(scene) {
            by_name.entry(&alert.name).or_default().push(alert);
        }
        let Some((name, alerts)) = by_name.iter().max_by_key(|(_, alerts)| alerts.len()) else { return };
        if alerts.len() < UNGROUPED {
            return;
        }
        let says = format!("{} {name} at once", alerts.len());
        self.facts.push(evidence(Origin::Alertmanager, None, says.clone()));
        self.causes.push(Cause { name: cause::ALERT_UNGROUPED, says, weight: 0.65 });
        let shared = alerts.iter().all(|alert| alert.labels.get("namespace").is_some());
        self.group_by = Some(if shared { "alertname, namespace" } else { "alertname" }.to_owned());
    }

    /// A node's alert beside alerts of what runs there: the cause and its consequences.
    fn uninhibited(&mut self, scene: &Scene<'_>) {
        for label in ["node", "instance"] {
            let of = |alert: &Alert| alert.labels.get(label).cloned();
            let causes = active(scene).filter(|alert| severity(alert) == "critical" && of(alert).is_some());
            for cause in causes {
                let value = of(cause);
                let effects: Vec<&Alert> = active(scene)
                    .filter(|alert| {
                        alert.name != cause.name && of(alert) == value && severity(alert) != "critical"
                    })
                    .collect();
                let Some(effect) = effects.first().filter(|_| effects.len() >= 2) else { continue };
                let says = format!("{} alerts beside {} on the same {label}", effects.len(), cause.name);
                self.facts.push(evidence(Origin::Alertmanager, Some(cause.starts), says.clone()));
                self.causes.push(Cause { name: cause::ALERT_UNINHIBITED, says, weight: 0.55 });
                let same = effects.iter().all(|other| other.name == effect.name);
                let target = if same {
                    format!("alertname=\"{}\"", effect.name)
                } else {
                    "severity=~\"warning|info\"".to_owned()
                };
                self.inhibition = Some((format!("alertname=\"{}\"", cause.name), target, label));
                return;
            }
        }
    }

    /// What is critical and lasts is what the noise hides: named, whatever is done about the rest.
    fn drowned(&mut self, scene: &Scene<'_>) {
        let flaps = |name: &str| flapping(scene).any(|row| *row.alert == *name);
        let real: Vec<&Alert> =
            active(scene).filter(|alert| severity(alert) == "critical" && !flaps(&alert.name)).collect();
        for alert in &real {
            let says = format!("critical among them: {}", alert.summary.as_deref().unwrap_or(&alert.name));
            self.facts.insert(0, evidence(Origin::Alertmanager, Some(alert.starts), says));
        }
        let names: BTreeSet<&str> = real.iter().map(|alert| &*alert.name).collect();
        if !names.is_empty() {
            let names: Vec<&str> = names.into_iter().collect();
            self.says.push(format!("critical among them: {}", names.join(", ")));
        }
    }
}

/// Those that flap and have not come to rest.
fn flapping<'a>(scene: &'a Scene<'_>) -> impl Iterator<Item = &'a Flapping> {
    let limit = scene.threshold(&FLAPS);
    let quiet = Duration::try_from(scene.thresholds.span(&QUIET)).unwrap_or_default();
    scene.snapshot.noise.flaps.iter().filter(move |row| row.times >= limit && row.goes_on(quiet, scene.now))
}

fn severity(alert: &Alert) -> &str {
    alert.labels.get("severity").map_or("", |severity| severity)
}

fn is_watchdog(name: &str) -> bool {
    WATCHDOGS.contains(&name)
}

fn active<'a>(scene: &'a Scene<'_>) -> impl Iterator<Item = &'a Alert> {
    scene
        .snapshot
        .alerts
        .iter()
        .filter(|alert| alert.state == AlertState::Active && !is_watchdog(&alert.name))
}

struct Storm {
    count: usize,
    place: String,
    object: ObjectRef,
    since: Timestamp,
}

/// Several alerts that began together in one place, lately.
fn storm(scene: &Scene<'_>) -> Option<Storm> {
    let mut places: BTreeMap<(Kind, &str), Vec<&Alert>> = BTreeMap::new();
    let flaps = |alert: &Alert| flapping(scene).any(|row| row.alert == alert.name);
    // What comes and goes has always begun lately.
    let lately = |alert: &&Alert| scene.now.duration_since(alert.starts) <= BURST && !flaps(alert);
    for alert in active(scene).filter(lately) {
        for (label, kind) in [("node", Kind::Node), ("namespace", Kind::Namespace)] {
            if let Some(value) = alert.labels.get(label) {
                places.entry((kind, value)).or_default().push(alert);
            }
        }
    }
    let needed = scene.threshold(&STORM);
    let different = |alerts: &[&Alert]| {
        let mut names: Vec<&str> = alerts.iter().map(|alert| &*alert.name).collect();
        names.sort_unstable();
        names.dedup();
        // One rule that fires for many pods is that rule's noise; many rules at once are an event.
        names.len() >= 2
    };
    places
        .into_iter()
        .filter(|(_, alerts)| alerts.len() as f64 >= needed && different(alerts))
        .max_by_key(|(_, alerts)| alerts.len())
        .map(|((kind, name), alerts)| Storm {
            count: alerts.len(),
            place: if kind == Kind::Node {
                format!("on node {name}")
            } else {
                format!("in namespace {name}")
            },
            object: ObjectRef::new(kind, Key::cluster(name)),
            since: alerts.iter().map(|alert| alert.starts).min().unwrap_or(scene.now),
        })
}

fn bindings(scene: &Scene<'_>, signs: &Signs) -> Bindings {
    let mut bindings = Bindings::new();
    if let Some(sent) = scene.snapshot.noise.sent_1h {
        bindings.insert("notifications_1h", format!("{sent:.0}"));
    }
    if let Some(noisy) = signs.noisy.first() {
        bindings.insert("noisy_alerts", signs.noisy.join(", "));
        bindings.insert("noisy_for", "10m".to_owned());
        let known = scene.snapshot.alerts.iter().find(|alert| *alert.name == **noisy);
        if let Some(alert) = known {
            bindings.insert("noisy_severity", severity(alert).to_owned());
        }
    }
    let by = signs.group_by.clone().unwrap_or_else(|| "alertname, namespace".to_owned());
    bindings.insert("group_by", by);
    if let Some((source, target, equal)) = &signs.inhibition {
        bindings.insert("inhibit_source", source.clone());
        bindings.insert("inhibit_target", target.clone());
        bindings.insert("inhibit_equal", (*equal).to_owned());
    }
    bindings
}
