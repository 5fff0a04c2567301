//! The samples of the lab's Prometheus: series by label set, appended in time order, read by matchers.
//! It knows nothing of what is measured, and evaluates no expression.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, PoisonError, RwLock};

use jiff::Timestamp;

/// The label that holds a metric's name.
pub const NAME: &str = "__name__";

/// The NaN with which Prometheus says "this series ended here".
pub const STALE_MARKER: u64 = 0x7ff0_0000_0000_0002;

/// Whether a value is the staleness marker (an ordinary NaN is a value).
pub fn is_stale(value: f64) -> bool {
    value.to_bits() == STALE_MARKER
}

/// A label set, sorted by name; `__name__` is one of them. Clones are cheap.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Labels(Arc<[(Arc<str>, Arc<str>)]>);

impl Default for Labels {
    fn default() -> Self {
        Self(Arc::from([]))
    }
}

impl Labels {
    /// Sorts the pairs and drops empty values, which Prometheus counts as absent.
    pub fn new(pairs: impl IntoIterator<Item = (Arc<str>, Arc<str>)>) -> Self {
        let mut pairs: Vec<_> = pairs.into_iter().filter(|(_, value)| !value.is_empty()).collect();
        pairs.sort_unstable();
        Self(pairs.into())
    }

    /// The value, or "" when the label is absent: Prometheus does not tell the two apart.
    pub fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(key, _)| &**key == name).map_or("", |(_, value)| value)
    }

    /// Every pair, by label name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }

    /// The set with one label set to `value` (removed when "").
    #[must_use]
    pub fn with(&self, name: &str, value: &str) -> Self {
        let kept = self.0.iter().filter(|(key, _)| &**key != name).cloned();
        Self::new(kept.chain([(Arc::from(name), Arc::from(value))]))
    }

    /// Only the labels whose name passes.
    #[must_use]
    pub fn retain(&self, keep: impl Fn(&str) -> bool) -> Self {
        Self(self.0.iter().filter(|(name, _)| keep(name)).cloned().collect())
    }

    /// The set without the metric's name.
    #[must_use]
    pub fn bare(&self) -> Self {
        if self.get(NAME).is_empty() { self.clone() } else { self.retain(|name| name != NAME) }
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<(String, String)> for Labels {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(pairs: I) -> Self {
        Self::new(pairs.into_iter().map(|(name, value)| (name.into(), value.into())))
    }
}

impl fmt::Display for Labels {
    /// As Prometheus writes a metric: `name{label="value", …}`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.get(NAME);
        let pairs: Vec<String> = self
            .iter()
            .filter(|(key, _)| *key != NAME)
            .map(|(key, value)| format!("{key}={value:?}"))
            .collect();
        if name.is_empty() || !pairs.is_empty() {
            write!(f, "{name}{{{}}}", pairs.join(", "))
        } else {
            f.write_str(name)
        }
    }
}

/// One sample: milliseconds since the epoch, and the value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    pub at: i64,
    pub value: f64,
}

/// A series with the samples of the asked window, in time order; staleness markers are included.
#[derive(Clone, Debug)]
pub struct Series {
    pub labels: Labels,
    pub samples: Vec<Sample>,
}

/// What a metric is, as `/api/v1/metadata` tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// `counter`, `gauge`, `histogram`, `summary` or `unknown`.
    pub kind: &'static str,
    pub help: &'static str,
}

/// The store. Clones share one state; every method is synchronous and thread-safe.
#[derive(Clone, Default)]
pub struct Tsdb(Arc<RwLock<Head>>);

#[derive(Default)]
struct Head {
    series: HashMap<u64, Stored>,
    /// Keys of `series` by metric name: a selector nearly always names its metric.
    by_name: BTreeMap<Arc<str>, Vec<u64>>,
    words: HashSet<Arc<str>>,
    metadata: BTreeMap<&'static str, Metadata>,
}

struct Stored {
    labels: Labels,
    samples: VecDeque<Sample>,
}

/// What is kept: longer than the longest window a rule of the lab can fill …
const RETENTION_MS: i64 = 6 * 3600 * 1000;
/// … but, with more series than this (a cluster of thousands of pods), only what the screen shows.
const MANY_SERIES: usize = 20_000;
const RETENTION_OF_MANY_MS: i64 = 75 * 60 * 1000;

impl Tsdb {
    /// Adds a sample. Samples of one series must come in time order: an older one is dropped, one of the
    /// same millisecond replaces the last (Prometheus would refuse both).
    pub fn append(&self, name: &str, labels: &[(&str, &str)], at: Timestamp, value: f64) {
        self.head_mut(|head| head.append(name, labels, at.as_millisecond(), value));
    }

    /// Adds many samples under one lock; cheaper for a whole scrape.
    pub fn append_all<'a>(
        &self,
        at: Timestamp,
        samples: impl IntoIterator<Item = (&'a str, Vec<(&'a str, &'a str)>, f64)>,
    ) {
        self.head_mut(|head| {
            for (name, labels, value) in samples {
                head.append(name, &labels, at.as_millisecond(), value);
            }
        });
    }

    /// Says that one series ended at `at` (its target or object is gone).
    pub fn end(&self, name: &str, labels: &[(&str, &str)], at: Timestamp) {
        self.append(name, labels, at, f64::from_bits(STALE_MARKER));
    }

    /// Closes a scrape: every series that had a sample before `at` but none at `at` ends, as in Prometheus
    /// when an object disappears from a target. Series of the rule evaluator (`ALERTS…`) are its own.
    /// Also drops what is older than the retention.
    pub fn end_scrape(&self, at: Timestamp) {
        let at = at.as_millisecond();
        self.head_mut(|head| head.end_scrape(at));
    }

    /// Declares what a metric is.
    pub fn metadata(&self, name: &'static str, kind: &'static str, help: &'static str) {
        self.head_mut(|head| head.metadata.insert(name, Metadata { kind, help }));
    }

    /// Every declared metric.
    pub fn all_metadata(&self) -> BTreeMap<&'static str, Metadata> {
        self.head(|head| head.metadata.clone())
    }

    /// Series whose labels pass and that have samples in `from..=to` (milliseconds), by labels.
    /// `name` narrows to one metric when known.
    pub fn select(
        &self,
        name: Option<&str>,
        passes: impl Fn(&Labels) -> bool,
        from: i64,
        to: i64,
    ) -> Vec<Series> {
        let mut found: Vec<Series> = self.head(|head| {
            head.candidates(name)
                .filter(|stored| passes(&stored.labels))
                .filter_map(|stored| stored.window(from, to))
                .collect()
        });
        found.sort_unstable_by(|a, b| a.labels.cmp(&b.labels));
        found
    }

    /// How many series are held.
    pub fn series_count(&self) -> usize {
        self.head(|head| head.series.len())
    }

    fn head<R>(&self, look: impl FnOnce(&Head) -> R) -> R {
        look(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn head_mut<R>(&self, change: impl FnOnce(&mut Head) -> R) -> R {
        change(&mut self.0.write().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Head {
    fn append(&mut self, name: &str, labels: &[(&str, &str)], at: i64, value: f64) {
        let mut pairs: Vec<(&str, &str)> =
            labels.iter().copied().filter(|(key, value)| !value.is_empty() && *key != NAME).collect();
        pairs.push((NAME, name));
        pairs.sort_unstable();
        let mut key = fingerprint(&pairs);
        // A second label set with the same fingerprint takes the next free one.
        while self.series.get(&key).is_some_and(|stored| !stored.labels.iter().eq(pairs.iter().copied())) {
            key = key.wrapping_add(1);
        }
        if let Some(stored) = self.series.get_mut(&key) {
            stored.push(at, value);
            return;
        }
        if is_stale(value) {
            return;
        }
        let labels = Labels(pairs.iter().map(|(n, v)| (self.word(n), self.word(v))).collect());
        let name = self.word(name);
        self.by_name.entry(name).or_default().push(key);
        self.series.insert(key, Stored { labels, samples: VecDeque::from([Sample { at, value }]) });
    }

    fn word(&mut self, text: &str) -> Arc<str> {
        if let Some(word) = self.words.get(text) {
            return Arc::clone(word);
        }
        let word: Arc<str> = Arc::from(text);
        self.words.insert(Arc::clone(&word));
        word
    }

    fn end_scrape(&mut self, at: i64) {
        let retention = if self.series.len() > MANY_SERIES { RETENTION_OF_MANY_MS } else { RETENTION_MS };
        for stored in self.series.values_mut() {
            let ended = stored.samples.back().is_none_or(|last| last.at >= at || is_stale(last.value));
            if !ended && !stored.labels.get(NAME).starts_with("ALERTS") {
                stored.push(at, f64::from_bits(STALE_MARKER));
            }
            while stored.samples.front().is_some_and(|first| first.at < at - retention) {
                stored.samples.pop_front();
            }
        }
        let empty: HashSet<u64> =
            self.series.iter().filter(|(_, s)| s.samples.is_empty()).map(|(key, _)| *key).collect();
        if !empty.is_empty() {
            self.series.retain(|_, stored| !stored.samples.is_empty());
            for keys in self.by_name.values_mut() {
                keys.retain(|key| !empty.contains(key));
            }
            self.by_name.retain(|_, keys| !keys.is_empty());
            self.words.retain(|word| Arc::strong_count(word) > 1);
        }
    }

    fn candidates(&self, name: Option<&str>) -> Box<dyn Iterator<Item = &Stored> + '_> {
        match name {
            Some(name) => {
                Box::new(self.by_name.get(name).into_iter().flatten().filter_map(|key| self.series.get(key)))
            }
            None => Box::new(self.series.values()),
        }
    }
}

impl Stored {
    fn push(&mut self, at: i64, value: f64) {
        match self.samples.back_mut() {
            Some(last) if last.at > at => {}
            Some(last) if last.at == at => last.value = value,
            _ => self.samples.push_back(Sample { at, value }),
        }
    }

    fn window(&self, from: i64, to: i64) -> Option<Series> {
        let start = self.samples.partition_point(|sample| sample.at < from);
        let end = self.samples.partition_point(|sample| sample.at <= to);
        (start < end).then(|| Series {
            labels: self.labels.clone(),
            samples: self.samples.range(start..end).copied().collect(),
        })
    }
}

fn fingerprint(pairs: &[(&str, &str)]) -> u64 {
    let mut hasher = DefaultHasher::new();
    pairs.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::constant(1_767_312_000 + seconds, 0)
    }

    fn values(tsdb: &Tsdb, name: &str) -> Vec<Vec<f64>> {
        let found = tsdb.select(Some(name), |_| true, 0, i64::MAX);
        found.into_iter().map(|series| series.samples.iter().map(|sample| sample.value).collect()).collect()
    }

    #[test]
    fn a_series_missing_from_a_scrape_ends() {
        let tsdb = Tsdb::default();
        for second in [0, 15] {
            tsdb.append("pods", &[("pod", "a")], at(second), 1.0);
            if second == 0 {
                tsdb.append("pods", &[("pod", "b")], at(second), 1.0);
            }
            tsdb.append("ALERTS", &[], at(0), 1.0);
            tsdb.end_scrape(at(second));
        }
        let found = values(&tsdb, "pods");
        assert_eq!(found[0], [1.0, 1.0]);
        assert_eq!(found[1].len(), 2);
        assert!(is_stale(found[1][1]));
        assert_eq!(values(&tsdb, "ALERTS"), [[1.0]], "the evaluator ends its own series");
    }

    #[test]
    fn label_order_and_empty_labels_make_no_other_series() {
        let tsdb = Tsdb::default();
        tsdb.append("m", &[("a", "1"), ("b", "2"), ("c", "")], at(0), 1.0);
        tsdb.append("m", &[("b", "2"), ("a", "1")], at(1), 2.0);
        tsdb.append("m", &[("b", "2"), ("a", "1")], at(0), 9.0);
        assert_eq!(values(&tsdb, "m"), [[1.0, 2.0]], "one series, and the past is not rewritten");
    }

    #[test]
    fn old_samples_and_empty_series_go() {
        let tsdb = Tsdb::default();
        tsdb.append("m", &[("a", "1")], at(0), 1.0);
        tsdb.append("m", &[("a", "2")], at(RETENTION_MS / 1000), 1.0);
        tsdb.end_scrape(at(RETENTION_MS / 1000 + 60));
        assert_eq!(tsdb.series_count(), 2, "the first still holds its end");
        tsdb.end_scrape(at(2 * RETENTION_MS / 1000 + 120));
        assert_eq!(tsdb.series_count(), 0);
        assert!(values(&tsdb, "m").is_empty());
    }
}
