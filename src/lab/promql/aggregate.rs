//! Aggregations: `sum`, `avg`, `topk` and their kin, `by` and `without`.

use std::collections::BTreeMap;

use promql_parser::parser::token::{
    T_AVG, T_BOTTOMK, T_COUNT, T_COUNT_VALUES, T_GROUP, T_MAX, T_MIN, T_QUANTILE, T_STDDEV, T_STDVAR, T_SUM,
    T_TOPK, TokenId,
};
use promql_parser::parser::{AggregateExpr, Expr, LabelModifier};

use super::arithmetic::{mean_step, nan_first, quantile};
use super::eval::Evaluator;
use super::{Point, QueryError, Value};
use crate::lab::tsdb::{Labels, NAME};

pub(super) fn eval(evaluator: &Evaluator, aggregate: &AggregateExpr, at: i64) -> Result<Value, QueryError> {
    let points = evaluator.vector(&aggregate.expr, at)?;
    let parameter = aggregate.param.as_deref();
    let scalar = || parameter.map_or(Ok(f64::NAN), |expr| evaluator.scalar(expr, at));
    let modifier = aggregate.modifier.as_ref();
    let operation = aggregate.op.id();
    match operation {
        T_TOPK | T_BOTTOMK => {
            let k = whole(scalar()?)?;
            Ok(Value::Vector(best(groups(points, modifier), k, operation == T_TOPK)))
        }
        T_QUANTILE => {
            let q = scalar()?;
            reduce(groups(points, modifier), |values| Ok(quantile(q, values)))
        }
        T_COUNT_VALUES => {
            let label = match parameter.map(unwrap) {
                Some(Expr::StringLiteral(text)) => text.val.as_str(),
                _ => return Err(QueryError::Execution("count_values needs a label name".to_owned())),
            };
            let valued = points
                .into_iter()
                .map(|point| (group_of(&point.labels, modifier).with(label, &plain(point.value)), point));
            reduce(collect(valued), |values| Ok(values.len() as f64))
        }
        _ => reduce(groups(points, modifier), |values| combine(operation, &values)),
    }
}

type Groups = BTreeMap<Labels, Vec<Point>>;

fn groups(points: Vec<Point>, modifier: Option<&LabelModifier>) -> Groups {
    collect(points.into_iter().map(|point| (group_of(&point.labels, modifier), point)))
}

fn collect(points: impl Iterator<Item = (Labels, Point)>) -> Groups {
    let mut groups = Groups::new();
    for (group, point) in points {
        groups.entry(group).or_default().push(point);
    }
    groups
}

fn group_of(labels: &Labels, modifier: Option<&LabelModifier>) -> Labels {
    match modifier {
        None => Labels::default(),
        Some(LabelModifier::Include(by)) => labels.retain(|name| by.labels.iter().any(|label| label == name)),
        Some(LabelModifier::Exclude(without)) => {
            labels.retain(|name| name != NAME && !without.labels.iter().any(|label| label == name))
        }
    }
}

fn reduce(
    groups: Groups,
    combine: impl Fn(Vec<f64>) -> Result<f64, QueryError>,
) -> Result<Value, QueryError> {
    let points = groups.into_iter().map(|(labels, points)| {
        let value = combine(points.into_iter().map(|point| point.value).collect())?;
        Ok(Point { labels, value })
    });
    points.collect::<Result<_, _>>().map(Value::Vector)
}

fn combine(operation: TokenId, values: &[f64]) -> Result<f64, QueryError> {
    let count = values.len() as f64;
    Ok(match operation {
        T_SUM => values.iter().copied().reduce(|sum, value| sum + value).unwrap_or(0.0),
        T_COUNT => count,
        T_GROUP => 1.0,
        T_AVG => average(values),
        T_MIN => extreme(values, |value, best| value < best),
        T_MAX => extreme(values, |value, best| value > best),
        T_STDVAR => variance(values),
        T_STDDEV => variance(values).sqrt(),
        _ => return Err(QueryError::Execution("unknown aggregation".to_owned())),
    })
}

fn average(values: &[f64]) -> f64 {
    let Some((first, rest)) = values.split_first() else { return f64::NAN };
    rest.iter().enumerate().fold(*first, |mean, (index, value)| {
        mean_step(mean, *value, (index + 2) as f64).map_or(mean, |step| mean + step)
    })
}

fn extreme(values: &[f64], better: impl Fn(f64, f64) -> bool) -> f64 {
    let pick = |best: f64, value: f64| if better(value, best) || best.is_nan() { value } else { best };
    values.iter().copied().reduce(pick).unwrap_or(f64::NAN)
}

fn variance(values: &[f64]) -> f64 {
    let (mut mean, mut squares) = (0.0, 0.0);
    for (index, value) in values.iter().enumerate() {
        let delta = value - mean;
        mean += delta / (index + 1) as f64;
        squares += delta * (value - mean);
    }
    squares / values.len() as f64
}

/// The k largest (or smallest) of each group, best first, with their own labels. NaN is never better.
fn best(groups: Groups, k: usize, largest: bool) -> Vec<Point> {
    let mut kept = Vec::new();
    for mut points in groups.into_values() {
        points.sort_by(|a, b| match (a.value.is_nan(), b.value.is_nan()) {
            (false, false) if largest => nan_first(b.value, a.value),
            (false, false) => nan_first(a.value, b.value),
            (a_nan, b_nan) => a_nan.cmp(&b_nan),
        });
        points.truncate(k);
        kept.append(&mut points);
    }
    kept
}

fn whole(k: f64) -> Result<usize, QueryError> {
    if k.is_nan() || k.abs() >= i64::MAX as f64 {
        return Err(QueryError::Execution(format!("Scalar value {} overflows int64", plain(k))));
    }
    Ok(if k < 1.0 { 0 } else { k as usize })
}

fn unwrap(mut expr: &Expr) -> &Expr {
    while let Expr::Paren(paren) = expr {
        expr = &paren.expr;
    }
    expr
}

/// A number as Go's `FormatFloat(v, 'f', -1, 64)` writes it.
pub(super) fn plain(value: f64) -> String {
    if value.is_nan() {
        "NaN".to_owned()
    } else if value.is_infinite() {
        if value > 0.0 { "+Inf".to_owned() } else { "-Inf".to_owned() }
    } else {
        value.to_string()
    }
}
