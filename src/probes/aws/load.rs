//! What the database is busy with, by Performance Insights: load by wait and by statement, against its CPUs.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_pi::primitives::DateTime;
use aws_sdk_pi::types::{DimensionGroup, MetricQuery, ServiceType};

use crate::config::aws::{AwsError, RdsInstance, Session, explain, find_cluster};
use crate::domain::{Timestamp, Tone, text};
use crate::probes::answer::{Answer, columns};

/// Statements that are shown.
const TOP: i32 = 10;
/// The finest grain that Insights keeps for an hour or more: one point a minute.
const PERIOD: i32 = 60;

pub(super) async fn read(
    session: &Session,
    name: Option<String>,
    host: Option<&str>,
    window: Duration,
    now: Timestamp,
) -> Result<Answer, AwsError> {
    let cluster = find_cluster(session, name.as_deref(), host).await?;
    let Some(member) = cluster.writer().or(cluster.members.first()) else {
        return Ok(Answer::failed(&format!("{} has no instances", cluster.name)));
    };
    if member.insights == Some(false) {
        let says = format!("Performance Insights is off on {}", member.name);
        return Ok(Answer::failed(&format!("{says}; ask pg_stat_activity instead, or turn it on")));
    }
    let from = now.checked_sub(window).unwrap_or(now);
    let mut answer = Answer::new();
    let waits = by_wait(session, member, from, now).await?;
    let total: f64 = waits.values().sum();
    answer.line(Tone::Heading, format!("average active sessions on {}: {total:.2}", member.name));
    let mut sorted: Vec<_> = waits.into_iter().collect();
    sorted.sort_by(|one, other| other.1.total_cmp(&one.1));
    let rows: Vec<_> = sorted.iter().map(|(wait, load)| vec![format!("{load:.2}"), wait.clone()]).collect();
    answer.lines(columns(&rows).into_iter().map(|line| (Tone::Plain, line)));
    let statements = by_statement(session, member, from, now).await?;
    answer.line(Tone::Heading, "by statement");
    let rows: Vec<_> =
        statements.iter().map(|(load, statement)| vec![format!("{load:.2}"), statement.clone()]).collect();
    answer.lines(columns(&rows).into_iter().map(|line| (Tone::Plain, line)));
    let most = sorted.first().map_or("nothing", |(wait, _)| wait);
    answer.summary(format!("{}: {total:.1} sessions at work, most in {most}", member.name));
    answer.bind("db_load", format!("{total:.2}"));
    Ok(answer)
}

async fn by_wait(
    session: &Session,
    member: &RdsInstance,
    from: Timestamp,
    to: Timestamp,
) -> Result<BTreeMap<String, f64>, AwsError> {
    let group = group("db.wait_event")?;
    let query = MetricQuery::builder().metric("db.load.avg").group_by(group).build();
    let query = query.map_err(|error| refused(&error))?;
    let answer = session
        .insights()
        .get_resource_metrics()
        .service_type(ServiceType::Rds)
        .identifier(&member.resource)
        .metric_queries(query)
        .start_time(DateTime::from_secs(from.as_second()))
        .end_time(DateTime::from_secs(to.as_second()))
        .period_in_seconds(PERIOD)
        .send()
        .await
        .map_err(|error| explain(&error))?;
    let mut waits = BTreeMap::new();
    for row in answer.metric_list() {
        let dimensions = row.key().and_then(|key| key.dimensions());
        // The row without dimensions is the sum of the others.
        let Some(name) = dimensions.and_then(|all| all.get("db.wait_event.name")) else { continue };
        let values: Vec<f64> = row
            .data_points()
            .iter()
            .map(aws_sdk_pi::types::DataPoint::value)
            .filter(|value| value.is_finite())
            .collect();
        if !values.is_empty() {
            waits.insert(name.clone(), values.iter().sum::<f64>() / values.len() as f64);
        }
    }
    Ok(waits)
}

async fn by_statement(
    session: &Session,
    member: &RdsInstance,
    from: Timestamp,
    to: Timestamp,
) -> Result<Vec<(f64, String)>, AwsError> {
    let answer = session
        .insights()
        .describe_dimension_keys()
        .service_type(ServiceType::Rds)
        .identifier(&member.resource)
        .metric("db.load.avg")
        .group_by(group("db.sql_tokenized")?)
        .start_time(DateTime::from_secs(from.as_second()))
        .end_time(DateTime::from_secs(to.as_second()))
        .max_results(TOP)
        .send()
        .await
        .map_err(|error| explain(&error))?;
    let statement = |all: &std::collections::HashMap<String, String>| {
        let text = all.get("db.sql_tokenized.statement").or_else(|| all.values().next());
        text.map(|text| text::clean(text).split_whitespace().collect::<Vec<_>>().join(" "))
            .unwrap_or_default()
    };
    Ok(answer
        .keys()
        .iter()
        .map(|key| (key.total().unwrap_or_default(), key.dimensions().map(statement).unwrap_or_default()))
        .collect())
}

fn group(name: &str) -> Result<DimensionGroup, AwsError> {
    DimensionGroup::builder().group(name).build().map_err(|error| refused(&error))
}

fn refused(error: &dyn std::fmt::Display) -> AwsError {
    AwsError::new(crate::config::aws::AwsTrouble::Refused, format!("the request can't be built: {error}"))
}
