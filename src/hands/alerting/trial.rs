//! A change of a rule tried over the past, before anything is written: how often both would have fired, and what
//! the new one would have missed.

use std::time::Duration;

use crate::domain::{Timestamp, text};
use crate::guard::{DiffTone, Guard, Hazard};
use crate::probes::alerting::api::Api;
use crate::probes::alerting::backtest::{Fired, Trial, backtest, recorded};
use crate::probes::alerting::rules::Rule;

/// Over which past a change is tried.
const OVER: Duration = Duration::from_hours(7 * 24);

/// "would have fired N instead of M times in 7 d", and what Prometheus wrote down about it.
pub(super) async fn tried(
    api: &Api,
    rule: &Rule,
    (before, after): (Trial<'_>, Trial<'_>),
    at: Timestamp,
    hazards: &mut Vec<Hazard>,
) -> Vec<(DiffTone, String)> {
    let mut lines = vec![(DiffTone::Place, format!("over the last {}", text::span(OVER)))];
    let (old, new) = match (backtest(api, before, OVER, at).await, backtest(api, after, OVER, at).await) {
        (Ok(old), Ok(new)) => (old, new),
        (Err(trouble), _) | (_, Err(trouble)) => {
            let says = format!("it could not be tried over the past: {}", trouble.says);
            hazards.push(Hazard::warn(Guard::Target, says));
            return lines;
        }
    };
    lines.push((DiffTone::Added, verdict(&old, &new)));
    let missed = missed(&old, &new);
    if let Some(longest) = missed {
        let says = format!(
            "the new rule stays silent on something that fired for {}: be sure that it was noise",
            text::span(longest)
        );
        hazards.push(Hazard::warn(Guard::Target, says));
    }
    if new.count() > old.count() {
        hazards.push(Hazard::warn(Guard::Target, "the new rule would have fired more often"));
    }
    let step = rule.interval.as_secs().max(1) as i64;
    if let Ok(really) = recorded(api, &rule.alert, step, OVER, at).await {
        let says = format!(
            "by its own record it fired {} times, {} in all",
            really.count(),
            text::span(really.total())
        );
        lines.push((DiffTone::Same, says));
    }
    lines
}

fn verdict(old: &Fired, new: &Fired) -> String {
    format!(
        "would have fired {} instead of {} times ({} instead of {} in all)",
        new.count(),
        old.count(),
        text::span(new.total()),
        text::span(old.total())
    )
}

/// The longest firing of the old rule during which the new one never fires, if it was no short flap.
fn missed(old: &Fired, new: &Fired) -> Option<Duration> {
    const FLAP: f64 = 30.0 * 60.0;
    let silent = |from: f64, to: f64| !new.times.iter().any(|row| row.from <= to && row.to >= from);
    old.times
        .iter()
        .filter(|row| row.to - row.from > FLAP && silent(row.from, row.to))
        .map(|row| row.to - row.from)
        .max_by(f64::total_cmp)
        .map(Duration::from_secs_f64)
}
