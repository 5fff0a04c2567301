//! When a disk will be full, from its history over hours, as `predict_linear` would say. Numbers only; what to
//! make of them belongs to the rule.

use std::time::Duration;

use super::memory_trend::slope;
use crate::domain::{Series, Timestamp, between};

/// Predicted from as much (node-mixin and audit: `[6h]`).
const WINDOW: Duration = Duration::from_hours(6);
/// Less says nothing of hours.
const SHORTEST: Duration = Duration::from_hours(2);
/// A rise by more than this share of the disk is somebody's cleaning: a rotated log, collected images.
const CLEANED: f64 = 0.03;
/// How far below its earlier lowest a disk has to fall, until its cleaning no longer counts: noise.
const NEW_GROUND: f64 = 0.02;

/// A disk that fills.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Forecast {
    /// Since when it has been predicted.
    pub since: Timestamp,
    /// Seconds until nothing is free.
    pub within: f64,
    /// The share of the disk that was taken, and over how long.
    pub taken: f64,
    pub over: Duration,
}

/// The forecast that nothing is free within `horizon` seconds; None when there is none, or when the disk is
/// cleaned again and again and never falls lower than before.
pub(super) fn forecast(free: &Series, horizon: f64) -> Option<Forecast> {
    let points = free.points();
    let begin = cleaned(points);
    let line = &points[begin..];
    let last = line.last()?;
    let before = points[..begin].iter().map(|(_, free)| *free).fold(f64::INFINITY, f64::min);
    if before.is_finite() && last.1 > before - NEW_GROUND {
        return None;
    }
    let full = |until: usize| full_in(window(&line[..=until])).filter(|within| *within < horizon);
    let within = full(line.len() - 1)?;
    let since = (0..line.len()).rev().take_while(|until| full(*until).is_some()).last()?;
    let seen = window(line);
    let first = seen.first()?;
    let (taken, over) = (first.1 - last.1, between(first.0, last.0));
    Some(Forecast { since: line[since].0, within, taken, over })
}

/// Where the line begins after it was cleaned last.
fn cleaned(points: &[(Timestamp, f64)]) -> usize {
    let rises = (1..points.len()).rev().find(|index| points[*index].1 > points[index - 1].1 + CLEANED);
    rises.unwrap_or(0)
}

fn window(points: &[(Timestamp, f64)]) -> &[(Timestamp, f64)] {
    let Some((end, _)) = points.last() else { return points };
    &points[points.partition_point(|(at, _)| between(*at, *end) > WINDOW)..]
}

/// Seconds until nothing is free, at the pace of these points.
fn full_in(points: &[(Timestamp, f64)]) -> Option<f64> {
    let (first, last) = (points.first()?, points.last()?);
    let falls = -slope(points);
    (between(first.0, last.0) >= SHORTEST && falls > 0.0).then(|| last.1.max(0.0) / falls)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: f64 = 86_400.0;

    /// One sample in ten minutes.
    fn line(values: impl IntoIterator<Item = f64>) -> Series {
        let start: Timestamp = "2026-05-02T01:00:00Z".parse().unwrap();
        let at = |index: usize| start + jiff::SignedDuration::from_secs(600 * index as i64);
        Series::new(values.into_iter().enumerate().map(|(index, value)| (at(index), value)))
    }

    #[test]
    fn a_steady_fall_is_foretold_to_the_hour() {
        // From 0.6 by 0.01 in ten minutes, for six hours: 0.25 is left, which lasts for 25 steps.
        let falls = line((0..36).map(|index| 0.6 - 0.01 * f64::from(index)));
        let found = forecast(&falls, DAY).unwrap();
        assert!((found.within - 15_000.0).abs() < 1.0, "{found:?}");
        assert!(between(found.since, falls.last().unwrap().0) > Duration::from_hours(3), "{found:?}");
        assert_eq!(forecast(&falls, 14_400.0), None, "not within four hours");
        assert_eq!(
            forecast(&line((0..6).map(|index| 0.3 - 0.02 * f64::from(index))), DAY),
            None,
            "too short"
        );
    }

    #[test]
    fn what_is_cleaned_again_and_again_is_no_forecast_until_it_falls_lower() {
        for period in [18, 40, 144] {
            for noise in [0.0, 0.004, 0.015] {
                let tooth = |index: i32| {
                    0.4 - 0.25 * f64::from(index % period) / f64::from(period)
                        + noise * f64::from((index * 37) % 10) / 10.0
                };
                // Wherever in its tooth it is looked at.
                for end in (145..181).step_by(5) {
                    let saw = line((0..end).map(tooth));
                    assert_eq!(forecast(&saw, DAY), None, "{period} {noise} {end}");
                }
            }
        }
        let deeper =
            line((0..60).map(|index| 0.5 - 0.1 * f64::from(index / 30) - 0.2 * f64::from(index % 30) / 30.0));
        assert!(forecast(&deeper, DAY).is_some());
    }

    #[test]
    fn level_and_rising_disks_are_none() {
        assert_eq!(forecast(&line((0..60).map(|_| 0.1)), DAY), None);
        assert_eq!(forecast(&line((0..60).map(|index| 0.1 + 0.005 * f64::from(index))), DAY), None);
        assert_eq!(forecast(&Series::default(), DAY), None);
    }
}
