//! Binary operators: between scalars, between a vector and a scalar, between vectors matched by labels.

use std::collections::{HashMap, HashSet};

use promql_parser::parser::token::{
    T_ADD, T_ATAN2, T_DIV, T_EQLC, T_GTE, T_GTR, T_LAND, T_LOR, T_LSS, T_LTE, T_LUNLESS, T_MOD, T_MUL, T_NEQ,
    T_POW, T_SUB, TokenId,
};
use promql_parser::parser::{BinModifier, BinaryExpr, LabelModifier, VectorMatchCardinality};

use super::arithmetic::same;
use super::eval::{Evaluator, distinct};
use super::{Point, QueryError, Value};
use crate::lab::tsdb::{Labels, NAME};

pub(super) fn eval(evaluator: &Evaluator, binary: &BinaryExpr, at: i64) -> Result<Value, QueryError> {
    let operator = Operator { id: binary.op.id(), returns_bool: binary.return_bool() };
    match (evaluator.eval(&binary.lhs, at)?, evaluator.eval(&binary.rhs, at)?) {
        (Value::Scalar(left), Value::Scalar(right)) => {
            let (value, keep) = operator.apply(left, right);
            Ok(Value::Scalar(if operator.compares() { f64::from(keep) } else { value }))
        }
        (Value::Vector(points), Value::Scalar(scalar)) => {
            with_scalar(operator, points, |value| (value, scalar)).map(Value::Vector)
        }
        (Value::Scalar(scalar), Value::Vector(points)) => {
            with_scalar(operator, points, |value| (scalar, value)).map(Value::Vector)
        }
        (Value::Vector(left), Value::Vector(right)) => {
            between_vectors(operator, binary.modifier.as_ref(), left, right).map(Value::Vector)
        }
        _ => Err(QueryError::Execution("binary expression needs scalars or instant vectors".to_owned())),
    }
}

#[derive(Clone, Copy)]
struct Operator {
    id: TokenId,
    returns_bool: bool,
}

impl Operator {
    fn compares(self) -> bool {
        matches!(self.id, T_EQLC | T_NEQ | T_GTR | T_LSS | T_GTE | T_LTE)
    }

    /// The value, and whether a comparison keeps the element.
    fn apply(self, left: f64, right: f64) -> (f64, bool) {
        match self.id {
            T_ADD => (left + right, true),
            T_SUB => (left - right, true),
            T_MUL => (left * right, true),
            T_DIV => (left / right, true),
            T_MOD => (left % right, true),
            T_POW => (left.powf(right), true),
            T_ATAN2 => (left.atan2(right), true),
            T_EQLC => (left, same(left, right)),
            T_NEQ => (left, !same(left, right)),
            T_GTR => (left, left > right),
            T_LSS => (left, left < right),
            T_GTE => (left, left >= right),
            T_LTE => (left, left <= right),
            _ => (f64::NAN, false),
        }
    }

    /// What becomes of the element: its value, or nothing.
    fn outcome(self, left: f64, right: f64) -> Option<f64> {
        let (value, keep) = self.apply(left, right);
        if self.returns_bool { Some(f64::from(keep)) } else { keep.then_some(value) }
    }

    /// All arithmetic drops the metric's name, except (in 2.42, by oversight) `atan2`.
    fn drops_name(self) -> bool {
        self.returns_bool || !(self.compares() || self.id == T_ATAN2)
    }
}

fn with_scalar(
    operator: Operator,
    points: Vec<Point>,
    sides: impl Fn(f64) -> (f64, f64),
) -> Result<Vec<Point>, QueryError> {
    let kept = points.into_iter().filter_map(|point| {
        let (left, right) = sides(point.value);
        let mut value = operator.outcome(left, right)?;
        if operator.compares() && !operator.returns_bool {
            value = point.value;
        }
        let labels = if operator.drops_name() { point.labels.bare() } else { point.labels };
        Some(Point { labels, value })
    });
    distinct(kept.collect())
}

/// `on(…)`, `ignoring(…)` or neither: which labels must agree.
#[derive(Clone, Copy)]
struct Matching<'a>(Option<&'a LabelModifier>);

impl Matching<'_> {
    fn signature(self, labels: &Labels) -> Labels {
        match self.0 {
            None => labels.bare(),
            Some(LabelModifier::Include(on)) => {
                labels.retain(|name| on.labels.iter().any(|label| label == name))
            }
            Some(LabelModifier::Exclude(ignoring)) => {
                labels.retain(|name| name != NAME && !ignoring.labels.iter().any(|label| label == name))
            }
        }
    }

    fn one_to_one(self, labels: &Labels) -> Labels {
        match self.0 {
            None => labels.clone(),
            Some(LabelModifier::Include(on)) => {
                labels.retain(|name| on.labels.iter().any(|label| label == name))
            }
            Some(LabelModifier::Exclude(ignoring)) => {
                labels.retain(|name| !ignoring.labels.iter().any(|label| label == name))
            }
        }
    }
}

fn between_vectors(
    operator: Operator,
    modifier: Option<&BinModifier>,
    left: Vec<Point>,
    right: Vec<Point>,
) -> Result<Vec<Point>, QueryError> {
    let matching = Matching(modifier.and_then(|modifier| modifier.matching.as_ref()));
    match operator.id {
        T_LAND => Ok(keep_matched(matching, left, &right, true)),
        T_LUNLESS => Ok(keep_matched(matching, left, &right, false)),
        T_LOR => Ok(either(matching, left, right)),
        _ if left.is_empty() || right.is_empty() => Ok(Vec::new()),
        _ => {
            let one_to_one = VectorMatchCardinality::OneToOne;
            let cardinality = modifier.map_or(&one_to_one, |modifier| &modifier.card);
            Match { operator, matching, cardinality }.pair(left, right)
        }
    }
}

fn keep_matched(matching: Matching<'_>, left: Vec<Point>, right: &[Point], wanted: bool) -> Vec<Point> {
    let present: HashSet<Labels> = right.iter().map(|point| matching.signature(&point.labels)).collect();
    left.into_iter().filter(|point| present.contains(&matching.signature(&point.labels)) == wanted).collect()
}

fn either(matching: Matching<'_>, mut left: Vec<Point>, right: Vec<Point>) -> Vec<Point> {
    let present: HashSet<Labels> = left.iter().map(|point| matching.signature(&point.labels)).collect();
    left.extend(right.into_iter().filter(|point| !present.contains(&matching.signature(&point.labels))));
    left
}

struct Match<'a> {
    operator: Operator,
    matching: Matching<'a>,
    cardinality: &'a VectorMatchCardinality,
}

impl Match<'_> {
    /// One-to-one, or many-to-one with the "one" side turned to the right.
    fn pair(&self, left: Vec<Point>, right: Vec<Point>) -> Result<Vec<Point>, QueryError> {
        let swapped = matches!(self.cardinality, VectorMatchCardinality::OneToMany(_));
        let (many, one) = if swapped { (right, left) } else { (left, right) };
        let ones = self.index(one, if swapped { "left" } else { "right" })?;
        let mut used: HashSet<(Labels, Labels)> = HashSet::new();
        let mut result = Vec::with_capacity(many.len());
        for point in many {
            let signature = self.matching.signature(&point.labels);
            let Some(other) = ones.get(&signature) else { continue };
            let (first, second) =
                if swapped { (other.value, point.value) } else { (point.value, other.value) };
            let Some(value) = self.operator.outcome(first, second) else { continue };
            let labels = self.result_labels(&point.labels, &other.labels);
            let one_to_one = matches!(self.cardinality, VectorMatchCardinality::OneToOne);
            let taken = if one_to_one { Labels::default() } else { labels.clone() };
            if !used.insert((signature, taken)) {
                return Err(QueryError::Execution(
                    if one_to_one {
                        "multiple matches for labels: many-to-one matching must be explicit \
                         (group_left/group_right)"
                    } else {
                        "multiple matches for labels: grouping labels must ensure unique matches"
                    }
                    .to_owned(),
                ));
            }
            result.push(Point { labels, value });
        }
        distinct(result)
    }

    fn index(&self, points: Vec<Point>, side: &str) -> Result<HashMap<Labels, Point>, QueryError> {
        let mut index: HashMap<Labels, Point> = HashMap::with_capacity(points.len());
        for point in points {
            let signature = self.matching.signature(&point.labels);
            if let Some(first) = index.get(&signature) {
                return Err(QueryError::Execution(format!(
                    "found duplicate series for the match group {signature} on the {side} hand-side of the \
                     operation: [{}, {}];many-to-many matching not allowed: matching labels must be unique on \
                     one side",
                    point.labels, first.labels
                )));
            }
            index.insert(signature, point);
        }
        Ok(index)
    }

    fn result_labels(&self, many: &Labels, one: &Labels) -> Labels {
        let mut labels = if self.operator.drops_name() { many.bare() } else { many.clone() };
        match self.cardinality {
            VectorMatchCardinality::ManyToOne(include) | VectorMatchCardinality::OneToMany(include) => {
                for label in &include.labels {
                    labels = labels.with(label, one.get(label));
                }
            }
            _ => labels = self.matching.one_to_one(&labels),
        }
        labels
    }
}
