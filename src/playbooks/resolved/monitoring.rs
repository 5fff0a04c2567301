//! Whether Prometheus works again, and whether the alerts have calmed down.

use std::time::Duration;

use super::Held;
use crate::domain::{Flapping, Origin, Timestamp, between};
use crate::playbooks::view::View;

/// Share of the targets that has to be up again (audit, section 4).
const TARGETS: f64 = 0.95;
/// Notifications in an hour that are too many (audit, section 3).
const NOTIFICATIONS: f64 = 30.0;
/// How long no episode begins before it has come to rest.
const QUIET: Duration = Duration::from_mins(15);
/// Times in six hours from which an alert flaps (audit, section 3).
const FLAPS: f64 = 5.0;

pub(super) fn monitoring_works(view: &View<'_>) -> Held {
    let snapshot = view.snapshot();
    if let Some(blind) = snapshot.blindness(Origin::Monitoring, view.facts.now) {
        return Err(blind.why);
    }
    let Some(seen) = &snapshot.monitoring else { return Err("Prometheus is not to be seen".into()) };
    if !seen.serves() {
        return Err("Prometheus does not serve yet".into());
    }
    if seen.loaded == Some(false) {
        return Err("its last reload was refused".into());
    }
    if seen.ingest.is_some_and(|rate| rate <= 0.0) {
        return Err("it takes no samples".into());
    }
    if let Some((up, all)) = seen.targets.filter(|(up, all)| f64::from(*up) < TARGETS * f64::from(*all)) {
        return Err(format!("{up} of {all} targets up"));
    }
    let watchdog = snapshot.watchdog;
    let missing = |last: Timestamp| between(last, view.facts.now) > Duration::from_mins(2);
    if watchdog.is_some_and(missing) {
        return Err("the Watchdog is not back at Alertmanager".into());
    }
    Ok(None)
}

pub(super) fn alertmanager_works(view: &View<'_>) -> Held {
    let snapshot = view.snapshot();
    if let Some(blind) = snapshot.blindness(Origin::Alertmanager, view.facts.now) {
        return Err(blind.why);
    }
    if snapshot.notifier_refuses.or(snapshot.monitoring_since.notifier_refuses).is_some() {
        return Err("its last reload was refused".into());
    }
    Ok(None)
}

pub(super) fn alerts_calm(view: &View<'_>) -> Held {
    let snapshot = view.snapshot();
    if let Some(blind) = snapshot.blindness(Origin::AlertHistory, view.facts.now) {
        return Err(blind.why);
    }
    let noise = &snapshot.noise;
    if let Some(sent) = noise.sent_1h.filter(|sent| *sent > NOTIFICATIONS) {
        return Err(format!("{sent:.0} notifications in the last hour"));
    }
    let flaps = |row: &&Flapping| row.times >= FLAPS && row.goes_on(QUIET, view.facts.now);
    if let Some(Flapping { alert, times, .. }) = noise.flaps.iter().find(flaps) {
        return Err(format!("{alert} became active again {times:.0} times in 6 h"));
    }
    Ok(None)
}
