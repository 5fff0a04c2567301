//! `histogram_quantile` over classic `le` buckets, as Prometheus 2.42 interpolates them.
//! It knows nothing of native histograms: the lab has none.

use std::collections::BTreeMap;

use super::Point;
use super::arithmetic::same;
use crate::lab::tsdb::{Labels, NAME};

struct Bucket {
    upper: f64,
    count: f64,
}

/// One element per histogram: the φ-quantile, linear within the bucket it falls into.
pub(super) fn quantiles(q: f64, buckets: Vec<Point>) -> Vec<Point> {
    let mut histograms: BTreeMap<Labels, Vec<Bucket>> = BTreeMap::new();
    for point in buckets {
        let Some(upper) = upper_bound(point.labels.get("le")) else { continue };
        let labels = point.labels.retain(|name| name != "le" && name != NAME);
        histograms.entry(labels).or_default().push(Bucket { upper, count: point.value });
    }
    histograms.into_iter().map(|(labels, buckets)| Point { labels, value: quantile(q, buckets) }).collect()
}

fn quantile(q: f64, mut buckets: Vec<Bucket>) -> f64 {
    if q.is_nan() {
        return f64::NAN;
    }
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    buckets.sort_by(|a, b| a.upper.total_cmp(&b.upper));
    if !buckets.last().is_some_and(|last| same(last.upper, f64::INFINITY)) {
        return f64::NAN;
    }
    coalesce(&mut buckets);
    make_monotonic(&mut buckets);
    interpolate(q, &buckets)
}

fn interpolate(q: f64, buckets: &[Bucket]) -> f64 {
    let [rest @ .., infinite] = buckets else { return f64::NAN };
    let (Some(highest), false) = (rest.last(), same(infinite.count, 0.0)) else { return f64::NAN };
    let mut rank = q * infinite.count;
    // Go's sort.Search, not partition_point: with NaN counts both bisect, and must bisect alike.
    let (mut low, mut high) = (0, rest.len());
    while low < high {
        let middle = usize::midpoint(low, high);
        if rest[middle].count >= rank {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    let Some(bucket) = rest.get(low) else { return highest.upper };
    let Some(below) = low.checked_sub(1).map(|index| &rest[index]) else {
        return if bucket.upper <= 0.0 { bucket.upper } else { bucket.upper * (rank / bucket.count) };
    };
    rank -= below.count;
    below.upper + (bucket.upper - below.upper) * (rank / (bucket.count - below.count))
}

/// Buckets of the same bound (`1` and `1.0`) are one.
fn coalesce(buckets: &mut Vec<Bucket>) {
    buckets.dedup_by(|next, kept| {
        let one = same(next.upper, kept.upper);
        if one {
            kept.count += next.count;
        }
        one
    });
}

/// Scrapes are not atomic, so a higher bucket may lag behind a lower one.
fn make_monotonic(buckets: &mut [Bucket]) {
    let mut most = f64::NEG_INFINITY;
    for bucket in buckets {
        if bucket.count > most {
            most = bucket.count;
        } else if bucket.count < most {
            bucket.count = most;
        }
    }
}

fn upper_bound(le: &str) -> Option<f64> {
    match le {
        "+Inf" | "Inf" => Some(f64::INFINITY),
        _ => le.parse().ok(),
    }
}
