//! The evaluator: an expression at an instant. Every kind of expression is one arm; the work is in its neighbours.
//! It holds the series read for the query and nothing else.

use std::borrow::Cow;
use std::collections::HashSet;

use promql_parser::parser::{Expr, MatrixSelector, SubqueryExpr, VectorSelector};

use super::labelling::Patterns;
use super::selector::{Fetch, Span, millis};
use super::{Line, Point, QueryError, SUBQUERY_STEP_MS, Value, aggregate, binary, functions, same_labelset};
use crate::lab::tsdb::{Labels, Sample, Tsdb};

pub(super) struct Evaluator {
    fetch: Fetch,
    span: Span,
    pub(super) patterns: Patterns,
}

/// One series' part of a range vector.
pub(super) struct Window<'a> {
    pub(super) labels: &'a Labels,
    pub(super) bare: Labels,
    pub(super) samples: Cow<'a, [Sample]>,
}

/// The bounds of a range vector in milliseconds, and the instant it is evaluated at.
#[derive(Clone, Copy)]
pub(super) struct Bounds {
    pub(super) from: i64,
    pub(super) to: i64,
    pub(super) at: i64,
}

impl Evaluator {
    pub(super) fn new(tsdb: &Tsdb, expr: &Expr, start: i64, end: i64) -> Self {
        let span = Span { from: start, to: end, start, end };
        let mut fetch = Fetch::default();
        fetch.read(tsdb, expr, span);
        Self { fetch, span, patterns: Patterns::default() }
    }

    pub(super) fn eval(&self, expr: &Expr, at: i64) -> Result<Value, QueryError> {
        match expr {
            Expr::NumberLiteral(number) => Ok(Value::Scalar(number.val)),
            Expr::StringLiteral(string) => Ok(Value::String(string.val.clone())),
            Expr::Paren(paren) => self.eval(&paren.expr, at),
            Expr::Unary(unary) => match self.eval(&unary.expr, at)? {
                Value::Scalar(value) => Ok(Value::Scalar(-value)),
                value => {
                    let negated = into_vector(value)
                        .into_iter()
                        .map(|point| Point { labels: point.labels.bare(), value: -point.value });
                    distinct(negated.collect()).map(Value::Vector)
                }
            },
            Expr::VectorSelector(selector) => Ok(Value::Vector(self.instant(selector, at))),
            Expr::MatrixSelector(_) | Expr::Subquery(_) => {
                self.range(expr, at, |windows, _| Ok(Value::Matrix(windows.into_iter().map(line).collect())))
            }
            Expr::Aggregate(aggregate) => aggregate::eval(self, aggregate, at),
            Expr::Binary(binary) => binary::eval(self, binary, at),
            Expr::Call(call) => functions::call(self, call, at),
            Expr::Extension(_) => Err(QueryError::Execution("unsupported expression".to_owned())),
        }
    }

    /// An argument that is an instant vector by its type.
    pub(super) fn vector(&self, expr: &Expr, at: i64) -> Result<Vec<Point>, QueryError> {
        self.eval(expr, at).map(into_vector)
    }

    /// An argument that is a scalar by its type.
    pub(super) fn scalar(&self, expr: &Expr, at: i64) -> Result<f64, QueryError> {
        match self.eval(expr, at)? {
            Value::Scalar(value) => Ok(value),
            _ => Err(QueryError::Execution("expected a scalar".to_owned())),
        }
    }

    /// Hands the windows of a range vector to `work`.
    pub(super) fn range<R>(
        &self,
        expr: &Expr,
        at: i64,
        work: impl FnOnce(Vec<Window<'_>>, Bounds) -> Result<R, QueryError>,
    ) -> Result<R, QueryError> {
        match expr {
            Expr::Paren(paren) => self.range(&paren.expr, at, work),
            Expr::MatrixSelector(MatrixSelector { vs, range }) => {
                let to = self.span.instant(at, vs.at.as_ref(), vs.offset.as_ref());
                let from = to - millis(*range);
                let windows = self.fetch.of(vs).iter().filter_map(|series| {
                    let samples = series.window(from, to);
                    let window = Window { labels: &series.labels, bare: series.bare.clone(), samples };
                    (!window.samples.is_empty()).then_some(window)
                });
                work(windows.collect(), Bounds { from, to, at })
            }
            Expr::Subquery(subquery) => {
                let to = self.span.instant(at, subquery.at.as_ref(), subquery.offset.as_ref());
                let from = to - millis(subquery.range);
                let lines = self.subquery(subquery, from, to)?;
                let windows = lines.iter().map(|line| Window {
                    labels: &line.labels,
                    bare: line.labels.bare(),
                    samples: Cow::Borrowed(&line.samples),
                });
                work(windows.collect(), Bounds { from, to, at })
            }
            _ => Err(QueryError::Execution("expected a range vector".to_owned())),
        }
    }

    /// When a selector's sample was taken, not when it is looked at; `None` for anything else.
    pub(super) fn sample_times(&self, expr: &Expr, at: i64) -> Option<Vec<Point>> {
        match expr {
            Expr::Paren(paren) => self.sample_times(&paren.expr, at),
            Expr::VectorSelector(selector) => {
                let looked_at = self.span.instant(at, selector.at.as_ref(), selector.offset.as_ref());
                let times = self.fetch.of(selector).iter().filter_map(|series| {
                    let sample = series.instant(looked_at)?;
                    Some(Point { labels: series.bare.clone(), value: sample.at as f64 / 1e3 })
                });
                Some(times.collect())
            }
            _ => None,
        }
    }

    fn instant(&self, selector: &VectorSelector, at: i64) -> Vec<Point> {
        let looked_at = self.span.instant(at, selector.at.as_ref(), selector.offset.as_ref());
        self.fetch
            .of(selector)
            .iter()
            .filter_map(|series| {
                let sample = series.instant(looked_at)?;
                Some(Point { labels: series.labels.clone(), value: sample.value })
            })
            .collect()
    }

    /// The inner expression at every multiple of the step within the range.
    fn subquery(&self, subquery: &SubqueryExpr, from: i64, to: i64) -> Result<Vec<Line>, QueryError> {
        let step = subquery.step.map_or(SUBQUERY_STEP_MS, millis).max(1);
        let mut lines: std::collections::BTreeMap<Labels, Vec<Sample>> = std::collections::BTreeMap::new();
        let mut at = from.div_euclid(step) * step;
        if at < from {
            at += step;
        }
        while at <= to {
            for Point { labels, value } in self.vector(&subquery.expr, at)? {
                lines.entry(labels).or_default().push(Sample { at, value });
            }
            at += step;
        }
        Ok(lines.into_iter().map(|(labels, samples)| Line { labels, samples }).collect())
    }
}

/// Refuses a vector in which a label set occurs twice, as Prometheus does after names are dropped.
pub(super) fn distinct(points: Vec<Point>) -> Result<Vec<Point>, QueryError> {
    let mut seen = HashSet::with_capacity(points.len());
    if points.iter().all(|point| seen.insert(&point.labels)) { Ok(points) } else { Err(same_labelset()) }
}

fn into_vector(value: Value) -> Vec<Point> {
    match value {
        Value::Vector(points) => points,
        Value::Scalar(value) => vec![Point { labels: Labels::default(), value }],
        Value::String(_) | Value::Matrix(_) => Vec::new(),
    }
}

fn line(window: Window<'_>) -> Line {
    Line { labels: window.labels.clone(), samples: window.samples.into_owned() }
}
