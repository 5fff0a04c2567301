//! Functions that change labels: `label_replace`, `label_join`, and the labels `absent` makes up.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use promql_parser::label::{MatchOp, Matchers};
use promql_parser::parser::{Expr, MatrixSelector};
use regex::Regex;

use super::{Point, QueryError};
use crate::lab::tsdb::{Labels, NAME};

/// Regular expressions of a query, understood once: a subquery asks for the same at each of its steps.
#[derive(Default)]
pub(super) struct Patterns(RefCell<HashMap<String, Rc<Regex>>>);

impl Patterns {
    fn get(&self, pattern: &str) -> Result<Rc<Regex>, QueryError> {
        if let Some(regex) = self.0.borrow().get(pattern) {
            return Ok(Rc::clone(regex));
        }
        let regex = Rc::new(Regex::new(&format!("^(?:{pattern})$")).map_err(|_| {
            QueryError::Execution(format!("invalid regular expression in label_replace(): {pattern}"))
        })?);
        self.0.borrow_mut().insert(pattern.to_owned(), Rc::clone(&regex));
        Ok(regex)
    }
}

/// `label_replace(v, dst, replacement, src, regex)`; `texts` are the four strings.
pub(super) fn replace(
    points: Vec<Point>,
    texts: &[String],
    patterns: &Patterns,
) -> Result<Vec<Point>, QueryError> {
    let [to, replacement, from, pattern] = texts else {
        return Err(QueryError::BadData("label_replace needs five arguments".to_owned()));
    };
    let regex = patterns.get(pattern)?;
    check_name(to, "label_replace")?;
    Ok(points
        .into_iter()
        .map(|point| {
            let mut text = String::new();
            let Some(found) = regex.captures(point.labels.get(from)) else { return point };
            found.expand(replacement, &mut text);
            Point { labels: point.labels.with(to, &text), ..point }
        })
        .collect())
}

/// `label_join(v, dst, separator, src…)`; `texts` are the strings.
pub(super) fn join(points: Vec<Point>, texts: &[String]) -> Result<Vec<Point>, QueryError> {
    let [to, separator, from @ ..] = texts else {
        return Err(QueryError::BadData("label_join needs at least three arguments".to_owned()));
    };
    check_name(to, "label_join")?;
    Ok(points
        .into_iter()
        .map(|point| {
            let parts: Vec<&str> = from.iter().map(|name| point.labels.get(name)).collect();
            Point { labels: point.labels.with(to, &parts.join(separator)), ..point }
        })
        .collect())
}

/// What `absent` can know of the missing element: the labels its selector fixes.
pub(super) fn of_absent(expr: &Expr) -> Labels {
    match expr {
        Expr::Paren(paren) => of_absent(&paren.expr),
        Expr::VectorSelector(selector) => fixed(&selector.matchers),
        Expr::MatrixSelector(MatrixSelector { vs, .. }) => fixed(&vs.matchers),
        _ => Labels::default(),
    }
}

fn fixed(matchers: &Matchers) -> Labels {
    let mut labels = Labels::default();
    let mut ambiguous = Vec::new();
    for matcher in matchers.matchers.iter().filter(|matcher| matcher.name != NAME) {
        if matches!(matcher.op, MatchOp::Equal) && labels.get(&matcher.name).is_empty() {
            labels = labels.with(&matcher.name, &matcher.value);
        } else {
            ambiguous.push(&matcher.name);
        }
    }
    labels.retain(|name| !ambiguous.iter().any(|label| *label == name))
}

fn check_name(label: &str, function: &str) -> Result<(), QueryError> {
    let mut letters = label.chars();
    let starts = letters.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
    if starts && letters.all(|c| c.is_ascii_alphanumeric() || c == '_') {
        return Ok(());
    }
    Err(QueryError::Execution(format!("invalid destination label name in {function}(): {label}")))
}
