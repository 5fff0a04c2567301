//! Whether a line of memory is a leak: how fast it grows since the container started, how steadily, and when it
//! reaches the limit. Numbers only; whose memory it is belongs to the rule.

use std::time::Duration;

use crate::domain::{Series, Timestamp, between};

/// A fall by more than this share is a restart (or a garbage collection worth the name).
const FALL: f64 = 0.3;
/// Shorter than this nothing is said: every process grows while it warms up.
const SHORTEST: Duration = Duration::from_mins(20);
const FEWEST: usize = 6;
/// Growth over the line, as a share of its beginning, below which it is no growth worth a word
/// (prometheus-rules: 10 % within the hour).
const LEAST: f64 = 0.05;

/// How a line of memory goes since the last restart.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Growth {
    /// Where it is now, in bytes.
    pub now: f64,
    /// Bytes per second, by least squares.
    pub slope: f64,
    /// Share of the windows in which it rose, 0 to 1.
    pub steadiness: f64,
    /// Since when it has grown: since the last restart.
    pub since: Timestamp,
    /// Since when that has been going on, restarts included.
    pub began: Timestamp,
    /// Restarts within the line: the teeth of a saw.
    pub teeth: usize,
}

impl Growth {
    /// Seconds until a limit is reached; None when it isn't growing.
    pub fn until(&self, limit: f64) -> Option<f64> {
        (self.slope > 0.0).then(|| ((limit - self.now) / self.slope).max(0.0))
    }
}

/// What a line says; None when it is too short to say anything.
pub(super) fn growth(series: &Series) -> Option<Growth> {
    let points = series.points();
    let restarts: Vec<usize> =
        (1..points.len()).filter(|index| points[*index].1 < points[index - 1].1 * (1.0 - FALL)).collect();
    let begin = restarts.last().copied().unwrap_or(0);
    let last = &points[begin..];
    let (first, end) = (last.first()?, last.last()?);
    // A pod that was just restarted tells by its earlier teeth, of which the longest counts.
    if last.len() < FEWEST || between(first.0, end.0) < SHORTEST {
        return None;
    }
    // The first fifth is warming up.
    let settled = &last[last.len() / 5..];
    let slope = slope(settled);
    Some(Growth {
        now: end.1,
        slope,
        steadiness: steadiness(settled),
        since: first.0,
        began: points.first().map_or(first.0, |point| point.0),
        teeth: restarts.len(),
    })
}

/// Whether it grows like a leak: steadily, by enough, and not flattening out.
pub(super) fn leaks(series: &Series, growth: &Growth) -> bool {
    let points = series.points();
    let begin = points.partition_point(|(at, _)| *at < growth.since);
    let line = &points[begin..];
    let settled = &line[line.len() / 5..];
    let (Some(first), Some(end)) = (settled.first(), settled.last()) else { return false };
    let grown = (end.1 - first.1) / first.1.max(1.0);
    let late = slope(&settled[settled.len() / 2..]);
    growth.slope > 0.0 && grown >= LEAST && growth.steadiness >= 0.7 && late >= growth.slope * 0.4
}

/// Least squares, in units per second.
pub(super) fn slope(points: &[(Timestamp, f64)]) -> f64 {
    let Some((start, _)) = points.first() else { return 0.0 };
    let seconds = |at: Timestamp| between(*start, at).as_secs_f64();
    let count = points.len() as f64;
    let mean_x = points.iter().map(|(at, _)| seconds(*at)).sum::<f64>() / count;
    let mean_y = points.iter().map(|(_, value)| value).sum::<f64>() / count;
    let (mut xy, mut xx) = (0.0, 0.0);
    for (at, value) in points {
        let x = seconds(*at) - mean_x;
        xy += x * (value - mean_y);
        xx += x * x;
    }
    if xx > 0.0 { xy / xx } else { 0.0 }
}

/// In how many of ten windows the mean is higher than in the one before.
fn steadiness(points: &[(Timestamp, f64)]) -> f64 {
    let size = (points.len() / 10).max(1);
    let means: Vec<f64> = points
        .chunks(size)
        .map(|chunk| chunk.iter().map(|(_, value)| value).sum::<f64>() / chunk.len() as f64)
        .collect();
    let rises = means.windows(2).filter(|pair| pair[1] > pair[0]).count();
    rises as f64 / (means.len().saturating_sub(1)).max(1) as f64
}

/// How two lines go together, −1 to 1, over the moments both have; None when there are too few.
pub(super) fn correlation(one: &Series, other: &Series) -> Option<f64> {
    let at = |series: &Series, moment: Timestamp| {
        let points = series.points();
        let index = points.partition_point(|(at, _)| *at <= moment).checked_sub(1)?;
        let (found, value) = points[index];
        (between(found, moment) <= Duration::from_mins(5)).then_some(value)
    };
    let pairs: Vec<(f64, f64)> =
        one.points().iter().filter_map(|(moment, value)| Some((*value, at(other, *moment)?))).collect();
    if pairs.len() < FEWEST {
        return None;
    }
    let count = pairs.len() as f64;
    let mean = |pick: fn(&(f64, f64)) -> f64| pairs.iter().map(pick).sum::<f64>() / count;
    let (mean_x, mean_y) = (mean(|pair| pair.0), mean(|pair| pair.1));
    let (mut xy, mut xx, mut yy) = (0.0, 0.0, 0.0);
    for (x, y) in &pairs {
        let (x, y) = (x - mean_x, y - mean_y);
        xy += x * y;
        xx += x * x;
        yy += y * y;
    }
    // A line that hardly moves goes with nothing.
    let moves = |squares: f64, mean: f64| (squares / count).sqrt() > mean.abs() * 0.05;
    (moves(xx, mean_x) && moves(yy, mean_y)).then(|| xy / (xx * yy).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(values: impl IntoIterator<Item = f64>) -> Series {
        let start: Timestamp = "2026-05-02T01:00:00Z".parse().unwrap();
        Series::new(
            values
                .into_iter()
                .enumerate()
                .map(|(index, value)| (start + jiff::SignedDuration::from_secs(240 * index as i64), value)),
        )
    }

    #[test]
    fn a_steady_climb_leaks_and_says_when_it_ends() {
        let series = line((0..60).map(|index| 500.0 + 10.0 * f64::from(index)));
        let growth = growth(&series).unwrap();
        assert!(leaks(&series, &growth));
        assert!((growth.slope - 10.0 / 240.0).abs() < 1e-9);
        // 1090 now, 10 in four minutes: 1500 is 41 steps away.
        assert!((growth.until(1500.0).unwrap() - 41.0 * 240.0).abs() < 1.0);
    }

    #[test]
    fn warming_up_noise_and_plateaus_do_not() {
        let warm = line((0..60).map(|index| 900.0 - 500.0 / (1.0 + f64::from(index))));
        let growth_of = |series: &Series| growth(series).unwrap();
        assert!(!leaks(&warm, &growth_of(&warm)));
        let noise = line((0..60).map(|index| 700.0 + f64::from((index * 37) % 50)));
        assert!(!leaks(&noise, &growth_of(&noise)));
        let plateau = line((0..60).map(|index| 500.0 + 20.0 * f64::from(index.min(30))));
        assert!(!leaks(&plateau, &growth_of(&plateau)));
        assert!(growth(&line([1.0, 2.0, 3.0])).is_none());
    }

    #[test]
    fn a_saw_is_judged_by_its_last_tooth() {
        let tooth = |index: i32| 400.0 + 40.0 * f64::from(index % 25);
        let series = line((0..70).map(tooth));
        let growth = growth(&series).unwrap();
        assert_eq!(growth.teeth, 2);
        assert!(leaks(&series, &growth), "{growth:?}");
    }

    #[test]
    fn memory_that_follows_the_load_is_seen_to() {
        let load = line((0..60).map(|index| 100.0 + 80.0 * (f64::from(index) / 10.0).sin()));
        let memory = line((0..60).map(|index| 500.0 + 300.0 * (f64::from(index) / 10.0).sin()));
        assert!(correlation(&memory, &load).unwrap() > 0.99);
        let steady = line((0..60).map(|_| 100.0));
        assert_eq!(correlation(&memory, &steady), None);
    }
}
