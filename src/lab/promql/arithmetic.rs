//! Numbers as Prometheus computes them: compensated sums, regression, quantiles, Go's idea of min and max.
//! It knows nothing of labels or time series beyond plain samples.

use crate::lab::tsdb::Sample;

/// A Kahan sum with Neumaier's improvement.
#[derive(Clone, Copy, Default)]
pub(super) struct Kahan {
    sum: f64,
    compensation: f64,
}

impl Kahan {
    pub(super) fn add(&mut self, value: f64) {
        let total = self.sum + value;
        self.compensation += if self.sum.abs() >= value.abs() {
            (self.sum - total) + value
        } else {
            (value - total) + self.sum
        };
        self.sum = total;
    }

    /// The sum without compensation, as Prometheus tests it for infinity.
    pub(super) fn raw(self) -> f64 {
        self.sum
    }

    pub(super) fn total(self) -> f64 {
        if self.sum.is_infinite() { self.sum } else { self.sum + self.compensation }
    }

    /// Sum plus compensation even when infinite (regression and variance do not look).
    pub(super) fn compensated(self) -> f64 {
        self.sum + self.compensation
    }
}

/// Least squares: (slope per second, value at `intercept`, in milliseconds).
pub(super) fn regression(samples: &[Sample], intercept: i64) -> (f64, f64) {
    let Some(first) = samples.first() else { return (f64::NAN, f64::NAN) };
    if samples.iter().skip(1).all(|sample| same(sample.value, first.value)) {
        return if first.value.is_infinite() { (f64::NAN, f64::NAN) } else { (0.0, first.value) };
    }
    let (mut xs, mut ys, mut products, mut squares) =
        (Kahan::default(), Kahan::default(), Kahan::default(), Kahan::default());
    for sample in samples {
        let x = (sample.at - intercept) as f64 / 1e3;
        xs.add(x);
        ys.add(sample.value);
        products.add(x * sample.value);
        squares.add(x * x);
    }
    let n = samples.len() as f64;
    let (xs, ys) = (xs.compensated(), ys.compensated());
    let covariance = products.compensated() - xs * ys / n;
    let variance = squares.compensated() - xs * xs / n;
    let slope = covariance / variance;
    (slope, ys / n - slope * xs / n)
}

/// The φ-quantile of any values, interpolated; NaN of nothing, ∓Inf outside 0..=1. NaN values sort first.
pub(super) fn quantile(q: f64, mut values: Vec<f64>) -> f64 {
    if values.is_empty() || q.is_nan() {
        return f64::NAN;
    }
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    values.sort_by(|a, b| nan_first(*a, *b));
    let last = values.len() - 1;
    let rank = q * last as f64;
    let lower = (rank.floor().max(0.0) as usize).min(last);
    let upper = (lower + 1).min(last);
    let weight = rank - rank.floor();
    values[lower] * (1.0 - weight) + values[upper] * weight
}

/// Ascending, NaN before everything.
pub(super) fn nan_first(a: f64, b: f64) -> std::cmp::Ordering {
    a.partial_cmp(&b).unwrap_or_else(|| b.is_nan().cmp(&a.is_nan()))
}

/// Go's `math.Max`: NaN wins.
pub(super) fn go_max(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() { f64::NAN } else { a.max(b) }
}

/// Go's `math.Min`: NaN wins.
pub(super) fn go_min(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() { f64::NAN } else { a.min(b) }
}

/// Exactly the same number (NaN is never the same).
#[expect(clippy::float_cmp, reason = "PromQL compares exactly")]
pub(super) fn same(a: f64, b: f64) -> bool {
    a == b
}

/// A running mean that survives infinities the way Prometheus's does.
pub(super) fn mean_step(mean: f64, value: f64, count: f64) -> Option<f64> {
    if mean.is_infinite() {
        let same_sign = value.is_infinite() && (mean > 0.0) == (value > 0.0);
        if same_sign || value.is_finite() {
            return None;
        }
    }
    Some(value / count - mean / count)
}
