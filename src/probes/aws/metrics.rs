//! How busy the database's instances are and were, by CloudWatch.

use std::time::Duration;

use crate::config::aws::{AwsError, Session, database_metrics, find_cluster};
use crate::domain::{RdsMetric, RdsSeries, Timestamp, Tone, text};
use crate::probes::answer::{Answer, columns};

/// Above this, CPU is what is missing (audit: CPU < 80 % is success).
const BUSY: f64 = 80.0;

pub(super) async fn read(
    session: &Session,
    name: Option<String>,
    host: Option<&str>,
    window: Duration,
    now: Timestamp,
) -> Result<Answer, AwsError> {
    let cluster = find_cluster(session, name.as_deref(), host).await?;
    let from = now.checked_sub(window).unwrap_or(now);
    let load = database_metrics(session, &cluster, from, now).await?;
    let mut answer = Answer::new();
    let mut rows =
        vec![["INSTANCE", "METRIC", "NOW", "MEAN", "HIGHEST", "LAST 12 MEANS"].map(str::to_owned).to_vec()];
    for series in load.series.iter().filter(|series| !series.points.is_empty()) {
        rows.push(row(series, window, now));
    }
    if rows.len() == 1 {
        answer.not_ok();
        answer.summary(format!("CloudWatch has no points for {} in {}", cluster.name, text::span(window)));
        return Ok(answer);
    }
    answer.lines(columns(&rows).into_iter().map(|line| (Tone::Plain, line)));
    let cpu =
        load.of_writer(RdsMetric::CpuUtilization).and_then(|series| Some((series, series.points.last()?.1)));
    match cpu {
        Some((series, value)) => {
            answer.bind("db_cpu", format!("{value:.0}"));
            answer.summary(format!("{}: CPU {value:.0} % now", series.instance));
            if value >= BUSY {
                answer.line(Tone::Bad, format!("{} is above {BUSY:.0} % CPU", series.instance));
            }
        }
        None => answer.summary(format!("{}: no CPU figures", cluster.name)),
    }
    if let (Some((_, max)), Some(series)) =
        (cluster.capacity, load.of_writer(RdsMetric::ServerlessDatabaseCapacity))
        && series.points.last().is_some_and(|(_, value)| value >= max)
    {
        answer.line(Tone::Bad, format!("{} is at its highest capacity, {max} ACUs", series.instance));
    }
    Ok(answer)
}

fn row(series: &RdsSeries, window: Duration, now: Timestamp) -> Vec<String> {
    let says = |value: Option<f64>| value.map_or_else(|| "–".into(), |value| series.metric.says(value));
    let values: Vec<f64> = series.points.points().iter().map(|(_, value)| *value).collect();
    let mean =
        |values: &[f64]| (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64);
    let slice = window.as_secs_f64() / 12.0;
    let course = (0..12).map(|place| {
        let of = series.points.points().iter().filter(|(at, _)| {
            let age = crate::domain::between(*at, now).as_secs_f64();
            // The youngest is last.
            ((age / slice) as usize).min(11) == 11 - place
        });
        mean(&of.map(|(_, value)| *value).collect::<Vec<_>>())
            .map_or_else(|| "–".into(), |mean| format!("{mean:.0}"))
    });
    vec![
        series.instance.to_string(),
        series.metric.as_str().into(),
        says(values.last().copied()),
        says(mean(&values)),
        says(values.iter().copied().reduce(f64::max)),
        course.collect::<Vec<_>>().join(" "),
    ]
}
