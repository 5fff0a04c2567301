//! What CloudWatch measures of each instance of a database, in one call. GetMetricData costs 0.01 $ for a
//! thousand series asked for (CloudWatch pricing): a cluster of two, looked at once a minute, about 4 $ a month.

use std::collections::BTreeMap;

use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{Dimension, Metric, MetricDataQuery, MetricStat, ScanBy};

use super::{AwsError, RdsCluster, Session, explain};
use crate::domain::{RdsLoad, RdsMetric, RdsSeries, Series, Timestamp};

/// Seconds between two points: what RDS publishes by default.
const PERIOD: i32 = 60;

/// All metrics of all members, oldest point first.
///
/// # Errors
/// CloudWatch cannot be asked.
pub async fn database_metrics(
    session: &Session,
    cluster: &RdsCluster,
    from: Timestamp,
    to: Timestamp,
) -> Result<RdsLoad, AwsError> {
    let asked: Vec<_> = cluster
        .members
        .iter()
        .flat_map(|member| RdsMetric::ALL.map(|metric| (member, metric)))
        .filter(|(member, metric)| metric.is_of(&member.class))
        .collect();
    let queries: Vec<_> = asked
        .iter()
        .enumerate()
        .map(|(place, (member, metric))| query(place, &member.name, *metric))
        .collect();
    let mut points: BTreeMap<usize, Vec<(Timestamp, f64)>> = BTreeMap::new();
    let mut token = None;
    loop {
        let answer = session
            .cloudwatch()
            .get_metric_data()
            .set_metric_data_queries(Some(queries.clone()))
            .start_time(DateTime::from_secs(from.as_second()))
            .end_time(DateTime::from_secs(to.as_second()))
            .scan_by(ScanBy::TimestampAscending)
            .set_next_token(token)
            .send()
            .await
            .map_err(|error| explain(&error))?;
        for result in answer.metric_data_results() {
            let place = result.id().and_then(|id| id.strip_prefix('m')).and_then(|id| id.parse().ok());
            let Some(place) = place else { continue };
            let seen = result.timestamps().iter().zip(result.values());
            points.entry(place).or_default().extend(
                seen.filter_map(|(at, value)| Some((Timestamp::from_second(at.secs()).ok()?, *value))),
            );
        }
        token = answer.next_token().map(ToOwned::to_owned);
        if token.is_none() {
            break;
        }
    }
    let series = asked.iter().enumerate().map(|(place, (member, metric))| RdsSeries {
        instance: member.name.as_str().into(),
        writer: member.writer,
        metric: *metric,
        points: Series::new(points.remove(&place).unwrap_or_default()),
    });
    Ok(RdsLoad {
        cluster: cluster.name.as_str().into(),
        capacity: cluster.capacity,
        series: series.collect(),
    })
}

fn query(place: usize, instance: &str, metric: RdsMetric) -> MetricDataQuery {
    let dimension = Dimension::builder().name("DBInstanceIdentifier").value(instance).build();
    let of =
        Metric::builder().namespace("AWS/RDS").metric_name(metric.as_str()).dimensions(dimension).build();
    let stat = MetricStat::builder().metric(of).period(PERIOD).stat("Average").build();
    MetricDataQuery::builder().id(format!("m{place}")).metric_stat(stat).build()
}
