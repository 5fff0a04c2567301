//! A line on a chart: numbers in time.

use std::time::Duration;

use super::{Timestamp, between};

/// Samples in order of time, finite values only.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Series {
    points: Vec<(Timestamp, f64)>,
}

impl Series {
    /// Keeps the finite samples, sorted; NaN and infinities are gaps (audit: "NaN/no traffic" is not a signal).
    pub fn new(points: impl IntoIterator<Item = (Timestamp, f64)>) -> Self {
        let mut points: Vec<_> = points.into_iter().filter(|(_, value)| value.is_finite()).collect();
        points.sort_by_key(|(at, _)| *at);
        Self { points }
    }

    /// Adds a sample and forgets what is older than `keep` before it.
    pub fn push(&mut self, at: Timestamp, value: f64, keep: Duration) {
        if !value.is_finite() || self.points.last().is_some_and(|(last, _)| *last > at) {
            return;
        }
        self.points.push((at, value));
        let outdated = self.points.partition_point(|(point, _)| between(*point, at) > keep);
        self.points.drain(..outdated);
    }

    pub fn points(&self) -> &[(Timestamp, f64)] {
        &self.points
    }

    pub fn is_empty(&self) -> bool {
        self.points.is_empty()
    }

    pub fn last(&self) -> Option<(Timestamp, f64)> {
        self.points.last().copied()
    }

    /// Samples not older than `window` before `now`.
    pub fn within(&self, window: Duration, now: Timestamp) -> &[(Timestamp, f64)] {
        let from = self.points.partition_point(|(at, _)| between(*at, now) > window);
        &self.points[from..]
    }

    pub fn max(&self) -> Option<f64> {
        self.points.iter().map(|(_, value)| *value).reduce(f64::max)
    }

    /// At each sample the mean of the `window` before it: what is counted at an instant, as a chart shows it.
    #[must_use]
    pub fn mean_over(&self, window: Duration) -> Series {
        let (mut first, mut sum) = (0, 0.0);
        let mean = self.points.iter().enumerate().map(|(index, (at, value))| {
            sum += value;
            while between(self.points[first].0, *at) > window {
                sum -= self.points[first].1;
                first += 1;
            }
            (*at, sum / (index - first + 1) as f64)
        });
        Series { points: mean.collect() }
    }

    /// Since when every sample up to the last one has been above `threshold`; None if the last one isn't.
    pub fn above_since(&self, threshold: f64) -> Option<Timestamp> {
        self.points.iter().rev().take_while(|(_, value)| *value > threshold).last().map(|(at, _)| *at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_follows_and_does_not_flicker() {
        let at = |seconds: i64| Timestamp::from_second(1_700_000_000 + seconds).unwrap_or_default();
        let raw = Series::new((0..6).map(|n| (at(n * 10), if n % 2 == 0 { 0.0 } else { 8.0 })));
        let mean = raw.mean_over(Duration::from_secs(30));
        let values: Vec<f64> = mean.points().iter().map(|(_, value)| *value).collect();
        assert_eq!(values, [0.0, 4.0, 8.0 / 3.0, 4.0, 4.0, 4.0]);
    }
}
