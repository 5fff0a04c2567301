//! `PromQL` over the lab's samples: parsed by `promql-parser`, evaluated by the rules of Prometheus 2.42.
//! It knows nothing of HTTP and nothing of what the samples mean.

mod aggregate;
mod arithmetic;
mod binary;
mod eval;
mod functions;
mod histogram;
mod labelling;
mod over_time;
mod selector;

use std::collections::BTreeMap;

use promql_parser::parser::value::ValueType;
use promql_parser::parser::{self, Expr};

use super::tsdb::{Labels, Sample, Series, Tsdb};
use eval::Evaluator;
pub(super) use selector::{metric_name, passes};

/// How far back an instant selector looks for a sample.
pub const LOOKBACK_MS: i64 = 5 * 60 * 1000;
/// The step of a subquery that names none: Prometheus takes its evaluation interval, by default a minute.
pub const SUBQUERY_STEP_MS: i64 = 60 * 1000;
/// The evaluator recurses; nobody writes expressions nested deeper than this.
const MAX_DEPTH: usize = 200;
/// Prometheus refuses range queries with more points per series.
const MAX_POINTS: i64 = 11_000;

/// What an expression evaluates to at one instant.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Scalar(f64),
    String(String),
    Vector(Vec<Point>),
    Matrix(Vec<Line>),
}

/// One element of an instant vector.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    pub labels: Labels,
    pub value: f64,
}

/// One element of a range vector or of a range query's result.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    pub labels: Labels,
    pub samples: Vec<Sample>,
}

impl From<Series> for Line {
    fn from(series: Series) -> Self {
        Self { labels: series.labels, samples: series.samples }
    }
}

/// Why there is no answer.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum QueryError {
    /// The request is wrong: HTTP 400 `bad_data`.
    #[error("{0}")]
    BadData(String),
    /// The data do not fit the expression: HTTP 422 `execution`.
    #[error("{0}")]
    Execution(String),
}

/// Parses and type-checks an expression.
///
/// # Errors
/// `BadData` with the parser's message.
pub fn parse(query: &str) -> Result<Expr, QueryError> {
    if depth(query) > MAX_DEPTH {
        return Err(QueryError::BadData("invalid parameter \"query\": nested too deeply".to_owned()));
    }
    parser::parse(query)
        .map_err(|why| QueryError::BadData(format!("invalid parameter \"query\": parse error: {why}")))
}

/// Evaluates at one instant (milliseconds).
///
/// # Errors
/// `Execution` when the data do not fit (many-to-many matches and the like).
pub fn instant(tsdb: &Tsdb, expr: &Expr, at: i64) -> Result<Value, QueryError> {
    Evaluator::new(tsdb, expr, at, at).eval(expr, at)
}

/// Evaluates at `start`, `start + step`, … up to `end` (milliseconds); one line per label set, sorted.
///
/// # Errors
/// `BadData` for an impossible grid or an expression that is neither scalar nor instant vector.
pub fn range(tsdb: &Tsdb, expr: &Expr, start: i64, end: i64, step: i64) -> Result<Vec<Line>, QueryError> {
    check_grid(expr, start, end, step)?;
    let evaluator = Evaluator::new(tsdb, expr, start, end);
    let mut lines: BTreeMap<Labels, Vec<Sample>> = BTreeMap::new();
    let mut at = start;
    while at <= end {
        match evaluator.eval(expr, at)? {
            Value::Scalar(value) => lines.entry(Labels::default()).or_default().push(Sample { at, value }),
            Value::Vector(points) => {
                for Point { labels, value } in points {
                    let line = lines.entry(labels).or_default();
                    if line.last().is_some_and(|last| last.at == at) {
                        return Err(same_labelset());
                    }
                    line.push(Sample { at, value });
                }
            }
            Value::String(_) | Value::Matrix(_) => {}
        }
        at += step;
    }
    Ok(lines.into_iter().map(|(labels, samples)| Line { labels, samples }).collect())
}

/// An upper bound of how deep an expression nests: open parentheses, and operators, which may all lean one way.
fn depth(query: &str) -> usize {
    let (mut open, mut deepest, mut operators) = (0_usize, 0, 0);
    let mut quote = None;
    let mut word = String::new();
    for letter in query.chars() {
        if let Some(ends) = quote {
            quote = (letter != ends).then_some(ends);
            continue;
        }
        if letter.is_alphanumeric() || letter == '_' {
            word.push(letter);
            continue;
        }
        operators += usize::from(["and", "or", "unless", "atan2"].contains(&word.as_str()));
        word.clear();
        match letter {
            '"' | '\'' | '`' => quote = Some(letter),
            '(' => open += 1,
            ')' => open = open.saturating_sub(1),
            '-' | '+' | '^' | '*' | '/' | '%' | '<' | '>' | '=' => operators += 1,
            _ => {}
        }
        deepest = deepest.max(open);
    }
    deepest + operators
}

fn check_grid(expr: &Expr, start: i64, end: i64, step: i64) -> Result<(), QueryError> {
    if end < start {
        return Err(QueryError::BadData(
            "invalid parameter \"end\": end timestamp must not be before start time".to_owned(),
        ));
    }
    if step <= 0 {
        return Err(QueryError::BadData(
            "invalid parameter \"step\": zero or negative query resolution step widths are not accepted. \
             Try a positive integer"
                .to_owned(),
        ));
    }
    if (end - start) / step > MAX_POINTS {
        return Err(QueryError::BadData(
            "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query \
             resolution (?step=XX)"
                .to_owned(),
        ));
    }
    match expr.value_type() {
        ValueType::Scalar | ValueType::Vector => Ok(()),
        ValueType::Matrix => Err(wrong_type("range vector")),
        ValueType::String => Err(wrong_type("string")),
    }
}

fn wrong_type(kind: &str) -> QueryError {
    QueryError::BadData(format!(
        "invalid parameter \"query\": invalid expression type \"{kind}\" for range query, must be Scalar or \
         instant Vector"
    ))
}

fn same_labelset() -> QueryError {
    QueryError::Execution("vector cannot contain metrics with the same labelset".to_owned())
}
