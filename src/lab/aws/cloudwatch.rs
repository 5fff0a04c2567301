//! CloudWatch: what RDS publishes of its instances each minute.

use ciborium::Value;

use super::Failure;
use super::cbor::{each, field, moment, structure, time, word};
use crate::lab::world::{DB_INSTANCE, Minute, World};

pub(super) const SERVICE: &str = "GraniteServiceVersion20100801";

pub(super) fn answer(world: &World, operation: &str, asked: &Value) -> Result<Value, Failure> {
    match operation {
        "GetMetricData" => metric_data(world, asked),
        _ => Err(Failure { status: 404, ..Failure::new("UnknownOperationException", "") }),
    }
}

fn metric_data(world: &World, asked: &Value) -> Result<Value, Failure> {
    let (from, to) = (moment(asked, "StartTime")?, moment(asked, "EndTime")?);
    let ascending = word(asked, "ScanBy") == "TimestampAscending";
    let mut results = Vec::new();
    for query in each(asked, "MetricDataQueries") {
        let Some(stat) = field(query, "MetricStat") else {
            return Err(Failure::new("ValidationError", "Expressions are not kept here"));
        };
        let mut minutes: Vec<&Minute> = world.rds().within(from, to).collect();
        if !ascending {
            minutes.reverse();
        }
        let metric = field(stat, "Metric").and_then(measure).unwrap_or(|_| None);
        let points: Vec<(Value, Value)> = minutes
            .into_iter()
            .filter_map(|minute| Some((time(minute.at), Value::Float(metric(minute)?))))
            .collect();
        let (times, values): (Vec<Value>, Vec<Value>) = points.into_iter().unzip();
        results.push(structure([
            ("Id", word(query, "Id").into()),
            (
                "Label",
                field(stat, "Metric").map(|metric| word(metric, "MetricName")).unwrap_or_default().into(),
            ),
            ("Timestamps", Value::Array(times)),
            ("Values", Value::Array(values)),
            ("StatusCode", "Complete".into()),
        ]));
    }
    Ok(structure([("MetricDataResults", Value::Array(results)), ("Messages", Value::Array(Vec::new()))]))
}

/// How a metric is read from a minute; a metric that nobody publishes has no points.
fn measure(metric: &Value) -> Option<fn(&Minute) -> Option<f64>> {
    let ours = |dimension: &Value| {
        (word(dimension, "Name"), word(dimension, "Value")) == ("DBInstanceIdentifier", DB_INSTANCE)
    };
    if word(metric, "Namespace") != "AWS/RDS" || !each(metric, "Dimensions").all(ours) {
        return None;
    }
    Some(match word(metric, "MetricName") {
        "CPUUtilization" => |minute| Some(minute.cpu),
        "DBLoad" => |minute| Some(minute.running + minute.waiting),
        "ACUUtilization" => |minute| Some(minute.acu_use),
        "ServerlessDatabaseCapacity" => |minute| Some(minute.acus),
        "DatabaseConnections" => |minute| Some(minute.connections),
        _ => return None,
    })
}
