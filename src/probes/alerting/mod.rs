//! Questions to Prometheus and Alertmanager, and about them. The hands use what is found here; nothing here
//! writes.

pub mod api;
pub mod backtest;
pub mod document;
mod groups;
pub mod health;
pub mod held;
pub mod prometheus_yml;
mod query;
pub mod rules;
pub mod server;

pub use groups::running;
pub use query::flaps_query;

use super::answer::Answer;
use super::cluster::Cluster;
use super::trouble::Trouble;
use crate::config::Outside;
use crate::domain::{Alerting, Timestamp};

pub(super) async fn read(
    cluster: &Cluster,
    outside: &Outside,
    call: &Alerting,
    now: Timestamp,
) -> Result<Answer, Trouble> {
    let client = cluster.client();
    let prometheus = api::prometheus(&client, outside);
    let alertmanager = api::alertmanager(&client, outside);
    match call {
        Alerting::PrometheusHealth => health::look(&prometheus.await, &alertmanager.await, now).await,
        Alerting::PrometheusTargets => health::targets(&prometheus.await?).await,
        Alerting::PrometheusLogs => server::logs(cluster).await,
        Alerting::PrometheusConfig => server::config(cluster, &prometheus.await).await,
        Alerting::VolumeUsage { claim } => server::volume(cluster, claim).await,
        Alerting::AlertRules { alert } => rules::list(&prometheus.await?, cluster, alert.as_ref()).await,
        Alerting::Promql { expr, window, step } => {
            query::promql(&prometheus.await?, expr, *window, *step, now).await
        }
        Alerting::AlertHistory { window } => query::history(&prometheus.await?, *window).await,
        Alerting::AlertGroups => groups::groups(&alertmanager.await?, now).await,
        Alerting::AlertSilences => groups::silences(&alertmanager.await?, now).await,
        Alerting::AlertmanagerConfig => groups::config(&alertmanager.await?, cluster).await,
        _ => Ok(Answer::failed("a change is no read")),
    }
}
