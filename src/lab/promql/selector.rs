//! Selectors: reads the series of every selector once per query, then answers for each instant from memory.
//! It evaluates no function and no operator.

use std::borrow::Cow;
use std::collections::HashMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use promql_parser::label::{MatchOp, Matchers};
use promql_parser::parser::{AtModifier, Expr, MatrixSelector, Offset, SubqueryExpr, VectorSelector};

use super::LOOKBACK_MS;
use crate::lab::tsdb::{Labels, NAME, Sample, Tsdb, is_stale};

/// A series read for one selector, with and without its metric name.
pub(super) struct Fetched {
    pub(super) labels: Labels,
    pub(super) bare: Labels,
    samples: Vec<Sample>,
}

impl Fetched {
    /// The sample an instant selector sees at `at`: not older than the lookback, not after the end of the series.
    pub(super) fn instant(&self, at: i64) -> Option<Sample> {
        let end = self.samples.partition_point(|sample| sample.at <= at);
        let last = *self.samples.get(end.checked_sub(1)?)?;
        (last.at >= at - LOOKBACK_MS && !is_stale(last.value)).then_some(last)
    }

    /// The samples of `from..=to`, without staleness markers.
    pub(super) fn window(&self, from: i64, to: i64) -> Cow<'_, [Sample]> {
        let start = self.samples.partition_point(|sample| sample.at < from);
        let end = self.samples.partition_point(|sample| sample.at <= to);
        let window = self.samples.get(start..end).unwrap_or_default();
        if window.iter().any(|sample| is_stale(sample.value)) {
            window.iter().filter(|sample| !is_stale(sample.value)).copied().collect()
        } else {
            Cow::Borrowed(window)
        }
    }
}

/// The series of every selector of one expression.
#[derive(Default)]
pub(super) struct Fetch(HashMap<usize, Vec<Fetched>>);

impl Fetch {
    /// The series of a selector that is part of the expression this was read for.
    pub(super) fn of(&self, selector: &VectorSelector) -> &[Fetched] {
        self.0.get(&address(selector)).map_or(&[], Vec::as_slice)
    }

    /// Reads whatever `expr` needs to be evaluated at instants of `span`.
    pub(super) fn read(&mut self, tsdb: &Tsdb, expr: &Expr, span: Span) {
        match expr {
            Expr::VectorSelector(selector) => self.add(tsdb, selector, span, LOOKBACK_MS),
            Expr::MatrixSelector(MatrixSelector { vs, range }) => self.add(tsdb, vs, span, millis(*range)),
            Expr::Subquery(subquery) => self.read(tsdb, &subquery.expr, span.of_subquery(subquery)),
            Expr::Aggregate(aggregate) => {
                self.read(tsdb, &aggregate.expr, span);
                if let Some(parameter) = &aggregate.param {
                    self.read(tsdb, parameter, span);
                }
            }
            Expr::Binary(binary) => {
                self.read(tsdb, &binary.lhs, span);
                self.read(tsdb, &binary.rhs, span);
            }
            Expr::Call(call) => {
                for argument in &call.args.args {
                    self.read(tsdb, argument, span);
                }
            }
            Expr::Unary(unary) => self.read(tsdb, &unary.expr, span),
            Expr::Paren(paren) => self.read(tsdb, &paren.expr, span),
            Expr::NumberLiteral(_) | Expr::StringLiteral(_) | Expr::Extension(_) => {}
        }
    }

    fn add(&mut self, tsdb: &Tsdb, selector: &VectorSelector, span: Span, reach: i64) {
        let from = span.instant(span.from, selector.at.as_ref(), selector.offset.as_ref()) - reach;
        let to = span.instant(span.to, selector.at.as_ref(), selector.offset.as_ref());
        let fetched = tsdb
            .select(metric_name(selector), |labels| passes(&selector.matchers, labels), from, to)
            .into_iter()
            .map(|series| Fetched {
                bare: series.labels.bare(),
                labels: series.labels,
                samples: series.samples,
            })
            .collect();
        self.0.insert(address(selector), fetched);
    }
}

/// First and last instant of an evaluation, and those of the whole query for `@ start()` and `@ end()`.
#[derive(Clone, Copy)]
pub(super) struct Span {
    pub(super) from: i64,
    pub(super) to: i64,
    pub(super) start: i64,
    pub(super) end: i64,
}

impl Span {
    /// The instant a selector really looks at when evaluated at `at`.
    pub(super) fn instant(self, at: i64, modifier: Option<&AtModifier>, offset: Option<&Offset>) -> i64 {
        let pinned = match modifier {
            None => at,
            Some(AtModifier::Start) => self.start,
            Some(AtModifier::End) => self.end,
            Some(AtModifier::At(time)) => since_epoch(*time),
        };
        pinned
            - match offset {
                None => 0,
                Some(Offset::Pos(by)) => millis(*by),
                Some(Offset::Neg(by)) => -millis(*by),
            }
    }

    fn of_subquery(self, subquery: &SubqueryExpr) -> Self {
        let (at, offset) = (subquery.at.as_ref(), subquery.offset.as_ref());
        Self {
            from: self.instant(self.from, at, offset) - millis(subquery.range),
            to: self.instant(self.to, at, offset),
            ..self
        }
    }
}

/// Milliseconds of a duration.
pub(super) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX / 4)
}

/// Whether a label set passes all matchers (or one of the `or` groups).
pub(crate) fn passes(matchers: &Matchers, labels: &Labels) -> bool {
    let all = |group: &[promql_parser::label::Matcher]| {
        group.iter().all(|matcher| matcher.is_match(labels.get(&matcher.name)))
    };
    all(&matchers.matchers)
        && (matchers.or_matchers.is_empty() || matchers.or_matchers.iter().any(|group| all(group)))
}

/// The metric a selector names, if it names one exactly.
pub(crate) fn metric_name(selector: &VectorSelector) -> Option<&str> {
    selector.name.as_deref().or_else(|| {
        selector
            .matchers
            .matchers
            .iter()
            .find(|matcher| matcher.name == NAME && matches!(matcher.op, MatchOp::Equal))
            .map(|matcher| matcher.value.as_str())
    })
}

fn address(selector: &VectorSelector) -> usize {
    std::ptr::from_ref(selector).addr()
}

fn since_epoch(time: SystemTime) -> i64 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => millis(after),
        Err(before) => -millis(before.duration()),
    }
}
