//! How busy the database's instances are at RDS, by CloudWatch: once a minute, which is as often as RDS publishes.
//! It only describes and gets; each look costs a few series of GetMetricData.

use std::time::Duration;

use super::tell::{Backoff, Tell, Unheard};
use crate::config::aws::{
    Aws, AwsError, RdsCluster, Session, database_metrics, find_cluster, host_of, is_rds, region_of,
};
use crate::config::{ConnectError, Settings};
use crate::domain::{Fact, Origin};

const EVERY: Duration = Duration::from_mins(1);
/// How far the charts reach back. What is asked for costs by series, not by point.
const HOUR: Duration = Duration::from_hours(1);
/// Looks until the cluster's members are looked up again.
const AGAIN: u32 = 10;

/// Looks for ever.
pub(super) async fn watch(settings: Settings, tell: Tell) {
    let _ = follow(&settings, &tell).await;
}

async fn follow(settings: &Settings, tell: &Tell) -> Result<(), Unheard> {
    let Some(aws) = Aws::of(&settings.aws) else {
        return tell.not_configured(Origin::CloudWatch, "AWS is not configured", "set AWS_PROFILE").await;
    };
    let host = settings.database_url.as_deref().and_then(host_of).filter(|host| is_rds(host));
    let name = settings.aws.db_cluster.value.clone();
    if host.is_none() && name.is_none() {
        let why = "the database is not known to be at RDS";
        return tell.not_configured(Origin::CloudWatch, why, "if it is, set [aws] db_cluster").await;
    }
    let mut backoff = Backoff::new(EVERY, EVERY * 10);
    loop {
        let error = match begin(&aws, name.as_deref(), host.as_deref(), tell).await {
            Ok((session, cluster)) => look(&session, &cluster, tell, &mut backoff).await?,
            Err(error) => Some(error),
        };
        let Some(error) = error else { continue };
        tell.blind(Origin::CloudWatch, ConnectError::from(error)).await?;
        tell.rest(backoff.next()).await;
    }
}

async fn begin(
    aws: &Aws,
    name: Option<&str>,
    host: Option<&str>,
    tell: &Tell,
) -> Result<(Session, RdsCluster), AwsError> {
    let session = aws.session(host.and_then(region_of), tell.clock()).await?;
    let cluster = find_cluster(&session, name, host).await?;
    Ok((session, cluster))
}

/// Until a look fails, or the members should be looked up again.
async fn look(
    session: &Session,
    cluster: &RdsCluster,
    tell: &Tell,
    backoff: &mut Backoff,
) -> Result<Option<AwsError>, Unheard> {
    let mut ticks = tell.beat(EVERY);
    for _ in 0..AGAIN {
        ticks.tick().await;
        let now = tell.now();
        match database_metrics(session, cluster, now.checked_sub(HOUR).unwrap_or(now), now).await {
            Ok(load) => {
                backoff.reset();
                tell.fact(Origin::CloudWatch, Fact::RdsLoad(Box::new(load))).await?;
            }
            Err(error) => return Ok(Some(error)),
        }
    }
    ticks.tick().await;
    Ok(None)
}
