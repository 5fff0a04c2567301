//! Performance Insights: what the sessions of the database were busy with, by wait and by statement.

use std::collections::BTreeMap;

use ciborium::Value;
use jiff::Timestamp;

use super::Failure;
use super::cbor::{each, field, moment, structure, time, word};
use crate::lab::world::{DB_RESOURCE, Minute, World};

pub(super) const SERVICE: &str = "PerformanceInsightsv20180227";

pub(super) fn answer(world: &World, operation: &str, asked: &Value) -> Result<Value, Failure> {
    if word(asked, "ServiceType") != "RDS" || word(asked, "Identifier") != DB_RESOURCE {
        let says = format!("Unable to find the resource {}", word(asked, "Identifier"));
        return Err(Failure::new("InvalidArgumentException", says));
    }
    let window = (moment(asked, "StartTime")?, moment(asked, "EndTime")?);
    let minutes: Vec<&Minute> = world.rds().within(window.0, window.1).collect();
    match operation {
        "GetResourceMetrics" => by_wait(asked, window, &minutes),
        "DescribeDimensionKeys" => by_statement(asked, window, &minutes),
        _ => Err(Failure { status: 404, ..Failure::new("UnknownOperationException", "") }),
    }
}

fn unkept(says: &str) -> Failure {
    Failure::new("InvalidArgumentException", format!("{says} is not kept here"))
}

fn aligned((from, to): (Timestamp, Timestamp)) -> [(&'static str, Value); 2] {
    [("AlignedStartTime", time(from)), ("AlignedEndTime", time(to))]
}

/// The whole load, and what it is made of.
fn by_wait(asked: &Value, window: (Timestamp, Timestamp), minutes: &[&Minute]) -> Result<Value, Failure> {
    let mut rows = Vec::new();
    for query in each(asked, "MetricQueries") {
        let group = field(query, "GroupBy").map(|group| word(group, "Group")).unwrap_or_default();
        if word(query, "Metric") != "db.load.avg" || !["", "db.wait_event"].contains(&group) {
            return Err(unkept(word(query, "Metric")));
        }
        rows.push(row(None, minutes, |minute| minute.running + minute.waiting));
        if group == "db.wait_event" {
            rows.push(row(Some(("CPU", "CPU")), minutes, |minute| minute.running));
            rows.push(row(Some(("Lock:transactionid", "Lock")), minutes, |minute| minute.waiting));
        }
    }
    let answer = [("Identifier", DB_RESOURCE.into()), ("MetricList", Value::Array(rows))];
    Ok(structure(aligned(window).into_iter().chain(answer)))
}

fn row(wait: Option<(&str, &str)>, minutes: &[&Minute], value: fn(&Minute) -> f64) -> Value {
    let points = minutes
        .iter()
        .map(|minute| structure([("Timestamp", time(minute.at)), ("Value", Value::Float(value(minute)))]));
    let mut key = vec![("Metric", Value::from("db.load.avg"))];
    if let Some((name, kind)) = wait {
        let dimensions = [("db.wait_event.name", name.into()), ("db.wait_event.type", kind.into())];
        key.push(("Dimensions", structure(dimensions)));
    }
    structure([("Key", structure(key)), ("DataPoints", Value::Array(points.collect()))])
}

/// Seconds of each second that a statement cost, over the whole stretch of time.
fn by_statement(
    asked: &Value,
    window: (Timestamp, Timestamp),
    minutes: &[&Minute],
) -> Result<Value, Failure> {
    let group = field(asked, "GroupBy").map(|group| word(group, "Group")).unwrap_or_default();
    if word(asked, "Metric") != "db.load.avg" || group != "db.sql_tokenized" {
        return Err(unkept(group));
    }
    let most =
        field(asked, "MaxResults").and_then(Value::as_integer).and_then(|most| usize::try_from(most).ok());
    let mut loads: Vec<(f64, &str)> = Vec::new();
    if let (Some(first), Some(last)) = (minutes.first(), minutes.last()) {
        let seconds = last.at.duration_since(first.at).as_secs_f64().max(1.0);
        let before: BTreeMap<&str, f64> =
            first.statements.iter().map(|(text, cost)| (text.as_str(), *cost)).collect();
        loads.extend(last.statements.iter().map(|(text, cost)| {
            ((cost - before.get(text.as_str()).copied().unwrap_or_default()) / seconds, text.as_str())
        }));
    }
    loads.sort_by(|one, other| other.0.total_cmp(&one.0));
    let keys = loads.into_iter().take(most.unwrap_or(25)).map(|(load, statement)| {
        let dimensions = structure([("db.sql_tokenized.statement", statement.into())]);
        structure([("Dimensions", dimensions), ("Total", Value::Float(load))])
    });
    let answer = [("Keys", Value::Array(keys.collect()))];
    Ok(structure(aligned(window).into_iter().chain(answer)))
}
