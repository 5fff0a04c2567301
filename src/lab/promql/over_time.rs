//! Functions of a range vector's window: rates with Prometheus's extrapolation, regressions, `*_over_time`.
//! Each is a plain function of samples; labels and evaluation are elsewhere.

use super::arithmetic::{Kahan, mean_step, quantile, regression, same};
use super::eval::Bounds;
use crate::lab::tsdb::Sample;

/// A function of one window; `None`: this series has no element in the result.
pub(super) type OverTime = fn(&[Sample], Bounds) -> Option<f64>;

/// The function of that name which takes a range vector only.
pub(super) fn find(name: &str) -> Option<OverTime> {
    Some(match name {
        "rate" => |s, b| extrapolated(s, b, true).map(|v| v / seconds(b)),
        "increase" => |s, b| extrapolated(s, b, true),
        "delta" => |s, b| extrapolated(s, b, false),
        "irate" => |s, _| last_two(s, true),
        "idelta" => |s, _| last_two(s, false),
        "deriv" => |s, _| (s.len() > 1).then(|| regression(s, s[0].at).0),
        "changes" => |s, _| Some(pairs(s, |a, b| !(same(a, b) || a.is_nan() && b.is_nan()))),
        "resets" => |s, _| Some(pairs(s, |a, b| b < a)),
        "avg_over_time" => |s, _| Some(average(s)),
        "sum_over_time" => |s, _| Some(sum(s)),
        "count_over_time" => |s, _| Some(s.len() as f64),
        "min_over_time" => |s, _| extreme(s, |value, best| value < best),
        "max_over_time" => |s, _| extreme(s, |value, best| value > best),
        "last_over_time" => |s, _| s.last().map(|sample| sample.value),
        "present_over_time" => |_, _| Some(1.0),
        "stddev_over_time" => |s, _| Some(variance(s).sqrt()),
        "stdvar_over_time" => |s, _| Some(variance(s)),
        _ => return None,
    })
}

/// `predict_linear`: the regression's value `ahead` seconds after the evaluation.
pub(super) fn predict(samples: &[Sample], bounds: Bounds, ahead: f64) -> Option<f64> {
    (samples.len() > 1).then(|| {
        let (slope, intercept) = regression(samples, bounds.at);
        slope * ahead + intercept
    })
}

/// `quantile_over_time`.
pub(super) fn quantile_of(samples: &[Sample], q: f64) -> f64 {
    quantile(q, samples.iter().map(|sample| sample.value).collect())
}

/// How much a series grew over the whole window, extrapolated to its edges: at most by 1.1 × the average
/// distance of samples, otherwise by half of it, and a counter never below zero.
fn extrapolated(samples: &[Sample], bounds: Bounds, counter: bool) -> Option<f64> {
    let (first, last) = (samples.first()?, samples.last()?);
    if samples.len() < 2 {
        return None;
    }
    let mut growth = last.value - first.value;
    if counter {
        let mut previous = first.value;
        for sample in &samples[1..] {
            if sample.value < previous {
                growth += previous;
            }
            previous = sample.value;
        }
    }
    let mut to_start = (first.at - bounds.from) as f64 / 1e3;
    let to_end = (bounds.to - last.at) as f64 / 1e3;
    let covered = (last.at - first.at) as f64 / 1e3;
    let distance = covered / (samples.len() - 1) as f64;
    if counter && growth > 0.0 && first.value >= 0.0 {
        let to_zero = covered * (first.value / growth);
        if to_zero < to_start {
            to_start = to_zero;
        }
    }
    let threshold = distance * 1.1;
    let edge = |gap: f64| if gap < threshold { gap } else { distance / 2.0 };
    Some(growth * ((covered + edge(to_start) + edge(to_end)) / covered))
}

fn seconds(bounds: Bounds) -> f64 {
    (bounds.to - bounds.from) as f64 / 1e3
}

fn last_two(samples: &[Sample], rate: bool) -> Option<f64> {
    let [.., before, last] = samples else { return None };
    let seconds = (last.at - before.at) as f64 / 1e3;
    if !rate {
        return Some(last.value - before.value);
    }
    let growth = if last.value < before.value { last.value } else { last.value - before.value };
    Some(growth / seconds)
}

fn pairs(samples: &[Sample], counts: impl Fn(f64, f64) -> bool) -> f64 {
    samples.windows(2).filter(|pair| counts(pair[0].value, pair[1].value)).count() as f64
}

fn average(samples: &[Sample]) -> f64 {
    let mut mean = Kahan::default();
    for (index, sample) in samples.iter().enumerate() {
        if let Some(step) = mean_step(mean.raw(), sample.value, (index + 1) as f64) {
            mean.add(step);
        }
    }
    mean.total()
}

fn sum(samples: &[Sample]) -> f64 {
    let mut total = Kahan::default();
    for sample in samples {
        total.add(sample.value);
    }
    total.total()
}

fn extreme(samples: &[Sample], better: impl Fn(f64, f64) -> bool) -> Option<f64> {
    samples
        .iter()
        .map(|sample| sample.value)
        .reduce(|best, value| if better(value, best) || best.is_nan() { value } else { best })
}

fn variance(samples: &[Sample]) -> f64 {
    let (mut mean, mut squares) = (Kahan::default(), Kahan::default());
    for (index, sample) in samples.iter().enumerate() {
        let delta = sample.value - mean.compensated();
        mean.add(delta / (index + 1) as f64);
        squares.add(delta * (sample.value - mean.compensated()));
    }
    squares.compensated() / samples.len() as f64
}
