//! What an alerting rule would have done over the past: its expression evaluated step by step, its `for` and its
//! `keep_firing_for` counted as Prometheus counts them.

use std::time::Duration;

use super::api::{Api, Line, window};
use super::document::matcher::LabelSet;
use crate::domain::Timestamp;
use crate::probes::trouble::Trouble;

/// How often an alert fired, and when.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Fired {
    /// One for each series that went from pending to firing.
    pub times: Vec<Firing>,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Firing {
    pub labels: LabelSet,
    /// In seconds.
    pub from: f64,
    pub to: f64,
}

/// What is evaluated.
#[derive(Clone, Copy, Debug)]
pub struct Trial<'a> {
    pub expr: &'a str,
    pub lasts: Duration,
    pub keep: Duration,
    /// The group's interval, in seconds.
    pub step: i64,
}

impl Fired {
    pub fn count(&self) -> usize {
        self.times.len()
    }

    /// All firing time together.
    pub fn total(&self) -> Duration {
        Duration::from_secs_f64(self.times.iter().map(|row| (row.to - row.from).max(0.0)).sum())
    }

    /// The longest that one alert fired.
    pub fn longest(&self) -> Duration {
        let longest = self.times.iter().map(|row| row.to - row.from).fold(0.0, f64::max);
        Duration::from_secs_f64(longest.max(0.0))
    }
}

/// Evaluates a rule over the past.
pub async fn backtest(api: &Api, trial: Trial<'_>, over: Duration, now: Timestamp) -> Result<Fired, Trouble> {
    let step = trial.step.max(1);
    let (from, to) = window(now, over, step);
    let lines = api.range(trial.expr, from, to, step).await?;
    Ok(simulate(&lines, trial.lasts, trial.keep, step as f64))
}

/// How often an alert really fired, by the series Prometheus wrote about it.
pub async fn recorded(
    api: &Api,
    alert: &str,
    step: i64,
    over: Duration,
    now: Timestamp,
) -> Result<Fired, Trouble> {
    let step = step.max(1);
    let (from, to) = window(now, over, step);
    let alert = alert.replace('\\', r"\\").replace('"', "\\\"");
    let lines =
        api.range(&format!(r#"ALERTS{{alertname="{alert}",alertstate="firing"}}"#), from, to, step).await?;
    Ok(simulate(&lines, Duration::ZERO, Duration::ZERO, step as f64))
}

/// A series that is there holds; one that is absent for a step does not.
pub fn simulate(lines: &[Line], lasts: Duration, keep: Duration, step: f64) -> Fired {
    let (lasts, keep) = (lasts.as_secs_f64(), keep.as_secs_f64());
    let mut times = Vec::new();
    for line in lines {
        let mut since: Option<f64> = None;
        let mut firing: Option<Firing> = None;
        let mut seen = f64::NEG_INFINITY;
        for (at, _) in &line.points {
            let gap = at - seen > step * 1.5;
            // Absent from `seen + step` on: a pending alert is forgotten, a firing one ends, or is kept.
            if gap {
                let ends = seen + step;
                if firing.as_ref().is_some_and(|_| at - ends >= keep) {
                    times.extend(firing.take().map(|row| Firing { to: ends + keep, ..row }));
                }
                if firing.is_none() {
                    since = Some(*at);
                }
            }
            let active = *since.get_or_insert(*at);
            if firing.is_none() && at - active >= lasts {
                firing = Some(Firing { labels: line.labels.clone(), from: *at, to: *at });
            }
            if let Some(firing) = &mut firing {
                firing.to = *at;
            }
            seen = *at;
        }
        times.extend(firing);
    }
    times.sort_by(|one, other| one.from.total_cmp(&other.from));
    Fired { times }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(points: &[i64]) -> Line {
        Line { labels: LabelSet::new(), points: points.iter().map(|at| (*at as f64, 1.0)).collect() }
    }

    fn count(points: &[i64], lasts: u64, keep: u64) -> usize {
        simulate(&[line(points)], Duration::from_secs(lasts), Duration::from_secs(keep), 10.0).count()
    }

    #[test]
    fn an_alert_fires_when_it_has_lasted_and_anew_after_each_gap() {
        let flapping = [0, 10, 20, 50, 60, 100, 110, 120, 130];
        assert_eq!(count(&flapping, 0, 0), 3);
        assert_eq!(count(&flapping, 20, 0), 2);
        assert_eq!(count(&flapping, 30, 0), 1);
        assert_eq!(count(&flapping, 40, 0), 0);
        assert_eq!(count(&flapping, 0, 60), 1, "kept through the gaps");
        assert_eq!(count(&[], 0, 0), 0);
    }

    #[test]
    fn times_add_up() {
        let fired = simulate(&[line(&[0, 10, 20]), line(&[0, 30, 40])], Duration::ZERO, Duration::ZERO, 10.0);
        assert_eq!(fired.count(), 3);
        assert_eq!(fired.total(), Duration::from_secs(40), "until the evaluation that misses it");
        assert_eq!(fired.longest(), Duration::from_secs(20));
    }
}
