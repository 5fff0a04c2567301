//! Functions by name: finds the arguments, hands them to the neighbour that computes, and puts labels back on.

use promql_parser::parser::{Call, Expr};

use super::arithmetic::{go_max, go_min, nan_first, same};
use super::eval::{Evaluator, Window, distinct};
use super::selector::metric_name;
use super::{Point, QueryError, Value, histogram, labelling, over_time};
use crate::lab::tsdb::Labels;

pub(super) fn call(evaluator: &Evaluator, call: &Call, at: i64) -> Result<Value, QueryError> {
    let arguments = Arguments { evaluator, call, at };
    let name = call.func.name;
    if let Some(function) = over_time::find(name) {
        return arguments
            .windows(0, name == "last_over_time", |window, bounds| function(&window.samples, bounds));
    }
    if let Some(function) = of_number(name) {
        return arguments.each(0, function);
    }
    if let Some(function) = of_date(name) {
        if call.args.is_empty() {
            return Ok(one(function(at as f64 / 1e3)));
        }
        return arguments.each(0, function);
    }
    match name {
        "time" => Ok(Value::Scalar(at as f64 / 1e3)),
        "pi" => Ok(Value::Scalar(std::f64::consts::PI)),
        "vector" => Ok(one(arguments.scalar(0)?)),
        "scalar" => Ok(Value::Scalar(match arguments.vector(0)?.as_slice() {
            [only] => only.value,
            _ => f64::NAN,
        })),
        "timestamp" => match arguments.expr(0).and_then(|expr| evaluator.sample_times(expr, at)) {
            Some(times) => distinct(times).map(Value::Vector),
            None => arguments.each(0, |_| at as f64 / 1e3),
        },
        "sort" => arguments.sorted(|a, b| nan_last(a, b, false)),
        "sort_desc" => arguments.sorted(|a, b| nan_last(a, b, true)),
        "round" => {
            let inverse = 1.0 / arguments.scalar_or(1, 1.0)?;
            arguments.each(0, |value| (value * inverse + 0.5).floor() / inverse)
        }
        "clamp" => {
            let (least, most) = (arguments.scalar(1)?, arguments.scalar(2)?);
            if most < least {
                return Ok(Value::Vector(Vec::new()));
            }
            arguments.each(0, |value| go_max(least, go_min(most, value)))
        }
        "clamp_min" => {
            let least = arguments.scalar(1)?;
            arguments.each(0, |value| go_max(least, value))
        }
        "clamp_max" => {
            let most = arguments.scalar(1)?;
            arguments.each(0, |value| go_min(most, value))
        }
        "histogram_quantile" => {
            Ok(Value::Vector(histogram::quantiles(arguments.scalar(0)?, arguments.vector(1)?)))
        }
        "predict_linear" => {
            let ahead = arguments.scalar(1)?;
            arguments.windows(0, false, |window, bounds| over_time::predict(&window.samples, bounds, ahead))
        }
        "quantile_over_time" => {
            let q = arguments.scalar(0)?;
            arguments.windows(1, false, |window, _| Some(over_time::quantile_of(&window.samples, q)))
        }
        "absent" => Ok(arguments.absent(arguments.vector(0)?.is_empty())),
        "absent_over_time" => {
            let nothing = arguments.range_is_empty(0)?;
            Ok(arguments.absent(nothing))
        }
        "label_replace" => {
            let texts = arguments.texts(1)?;
            let points = labelling::replace(arguments.vector(0)?, &texts, &evaluator.patterns)?;
            distinct(points).map(Value::Vector)
        }
        "label_join" => {
            let texts = arguments.texts(1)?;
            labelling::join(arguments.vector(0)?, &texts).and_then(distinct).map(Value::Vector)
        }
        _ => Err(QueryError::BadData(format!(
            "invalid parameter \"query\": parse error: unknown function with name \"{name}\""
        ))),
    }
}

struct Arguments<'a> {
    evaluator: &'a Evaluator,
    call: &'a Call,
    at: i64,
}

impl Arguments<'_> {
    fn expr(&self, index: usize) -> Option<&Expr> {
        self.call.args.args.get(index).map(|expr| &**expr)
    }

    fn needed(&self, index: usize) -> Result<&Expr, QueryError> {
        self.expr(index).ok_or_else(|| {
            QueryError::BadData(format!("missing argument in call to function \"{}\"", self.call.func.name))
        })
    }

    fn scalar(&self, index: usize) -> Result<f64, QueryError> {
        self.evaluator.scalar(self.needed(index)?, self.at)
    }

    fn scalar_or(&self, index: usize, default: f64) -> Result<f64, QueryError> {
        if self.expr(index).is_some() { self.scalar(index) } else { Ok(default) }
    }

    fn vector(&self, index: usize) -> Result<Vec<Point>, QueryError> {
        self.evaluator.vector(self.needed(index)?, self.at)
    }

    /// The string arguments from `first` on.
    fn texts(&self, first: usize) -> Result<Vec<String>, QueryError> {
        let strings =
            self.call.args.args.iter().skip(first).map(|expr| match self.evaluator.eval(expr, self.at)? {
                Value::String(text) => Ok(text),
                _ => Err(QueryError::BadData("expected type string".to_owned())),
            });
        strings.collect()
    }

    /// A function of every element's value; the metric name goes.
    fn each(&self, index: usize, function: impl Fn(f64) -> f64) -> Result<Value, QueryError> {
        let points = self.vector(index)?.into_iter();
        distinct(points.map(|p| Point { labels: p.labels.bare(), value: function(p.value) }).collect())
            .map(Value::Vector)
    }

    /// A function of every window of a range vector.
    fn windows(
        &self,
        index: usize,
        keeps_name: bool,
        function: impl Fn(&Window<'_>, super::eval::Bounds) -> Option<f64>,
    ) -> Result<Value, QueryError> {
        let expr = self.needed(index)?;
        // Without its name, the series of one metric are as distinct as with it.
        let of_one = matches!(expr, Expr::MatrixSelector(matrix) if metric_name(&matrix.vs).is_some());
        self.evaluator.range(expr, self.at, |windows, bounds| {
            let points = windows.iter().filter_map(|window| {
                let value = function(window, bounds)?;
                Some(Point { labels: if keeps_name { window.labels } else { &window.bare }.clone(), value })
            });
            let points = points.collect();
            if of_one { Ok(points) } else { distinct(points) }.map(Value::Vector)
        })
    }

    fn range_is_empty(&self, index: usize) -> Result<bool, QueryError> {
        self.evaluator.range(self.needed(index)?, self.at, |windows, _| Ok(windows.is_empty()))
    }

    fn absent(&self, nothing: bool) -> Value {
        let labels = self.expr(0).map(labelling::of_absent).unwrap_or_default();
        Value::Vector(if nothing { vec![Point { labels, value: 1.0 }] } else { Vec::new() })
    }

    fn sorted(&self, order: impl Fn(f64, f64) -> std::cmp::Ordering) -> Result<Value, QueryError> {
        let mut points = self.vector(0)?;
        points.sort_by(|a, b| order(a.value, b.value));
        Ok(Value::Vector(points))
    }
}

fn one(value: f64) -> Value {
    Value::Vector(vec![Point { labels: Labels::default(), value }])
}

fn nan_last(a: f64, b: f64, descending: bool) -> std::cmp::Ordering {
    match (a.is_nan(), b.is_nan()) {
        (false, false) if descending => nan_first(b, a),
        (false, false) => nan_first(a, b),
        (a_nan, b_nan) => a_nan.cmp(&b_nan),
    }
}

fn of_number(name: &str) -> Option<fn(f64) -> f64> {
    Some(match name {
        "abs" => f64::abs,
        "ceil" => f64::ceil,
        "floor" => f64::floor,
        "exp" => f64::exp,
        "sqrt" => f64::sqrt,
        "ln" => f64::ln,
        "log2" => f64::log2,
        "log10" => f64::log10,
        "sin" => f64::sin,
        "cos" => f64::cos,
        "tan" => f64::tan,
        "asin" => f64::asin,
        "acos" => f64::acos,
        "atan" => f64::atan,
        "sinh" => f64::sinh,
        "cosh" => f64::cosh,
        "tanh" => f64::tanh,
        "asinh" => f64::asinh,
        "acosh" => f64::acosh,
        "atanh" => f64::atanh,
        "deg" => f64::to_degrees,
        "rad" => f64::to_radians,
        "sgn" => |value| if value.is_nan() || same(value, 0.0) { value } else { value.signum() },
        _ => return None,
    })
}

/// Functions of a moment in UTC, given in seconds since the epoch.
fn of_date(name: &str) -> Option<fn(f64) -> f64> {
    Some(match name {
        "minute" => |at| date(at).map_or(f64::NAN, |d| f64::from(d.minute())),
        "hour" => |at| date(at).map_or(f64::NAN, |d| f64::from(d.hour())),
        "day_of_month" => |at| date(at).map_or(f64::NAN, |d| f64::from(d.day())),
        "day_of_week" => |at| date(at).map_or(f64::NAN, |d| f64::from(d.weekday().to_sunday_zero_offset())),
        "day_of_year" => |at| date(at).map_or(f64::NAN, |d| f64::from(d.day_of_year())),
        "days_in_month" => |at| date(at).map_or(f64::NAN, |d| f64::from(d.days_in_month())),
        "month" => |at| date(at).map_or(f64::NAN, |d| f64::from(d.month())),
        "year" => |at| date(at).map_or(f64::NAN, |d| f64::from(d.year())),
        _ => return None,
    })
}

fn date(at: f64) -> Option<jiff::Zoned> {
    let moment = jiff::Timestamp::from_second(at as i64).ok()?;
    Some(moment.to_zoned(jiff::tz::TimeZone::UTC))
}
