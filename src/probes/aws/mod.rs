//! Questions to AWS. They describe, list and get; they change nothing.

mod access_log;
mod access_logs;
mod balancer;
mod database;
pub mod dns;
mod firewall;
mod load;
mod logs;
pub mod machine;
mod metrics;
mod node_group;
mod secret;
mod trail;

use super::answer::Answer;
use crate::config::Outside;
use crate::config::aws::{AwsError, Session};
use crate::domain::{AwsCall, AwsDoes, System, Timestamp};

pub(super) async fn read(
    outside: &Outside,
    call: &AwsCall,
    clock: fn() -> Timestamp,
    now: Timestamp,
) -> Answer {
    let Some(aws) = &outside.aws else {
        return Answer::failed(&format!("AWS is not configured; {}", System::Aws.configure()));
    };
    let fallback = outside.database_region();
    let region = call.region.as_deref().or(fallback.as_deref().filter(|_| !call.does.is_on_node()));
    let session = if call.does.is_on_node() {
        aws.session_at(region, clock).await
    } else {
        aws.session(region, clock).await
    };
    let asked = match session {
        Ok(session) => ask(outside, &session, call, now).await,
        Err(error) => Err(error),
    };
    asked.unwrap_or_else(|error| Answer::failed(&error.to_string()))
}

async fn ask(
    outside: &Outside,
    session: &Session,
    call: &AwsCall,
    now: Timestamp,
) -> Result<Answer, AwsError> {
    let named = |cluster: &Option<crate::domain::Name>| {
        let set = outside.aws.as_ref().and_then(|aws| aws.settings().db_cluster.value.clone());
        cluster.as_deref().map(ToOwned::to_owned).or(set)
    };
    let host = outside.database_url.as_deref().and_then(crate::config::aws::host_of);
    let host = host.as_deref();
    match &call.does {
        AwsDoes::DatabaseCluster { cluster } => database::cluster(session, named(cluster), host).await,
        AwsDoes::DatabaseMetrics { cluster, window } => {
            metrics::read(session, named(cluster), host, *window, now).await
        }
        AwsDoes::DatabaseLoad { cluster, window } => {
            load::read(session, named(cluster), host, *window, now).await
        }
        AwsDoes::InstanceHealth { instance } => machine::health(session, instance).await,
        AwsDoes::InstanceState { instance } => machine::state(session, instance).await,
        AwsDoes::InstanceVolumes { instance } => machine::volumes(session, instance).await,
        AwsDoes::AskNode { instance, question } => machine::ask(session, instance, *question).await,
        AwsDoes::NodeGroup { cluster, node_group } => node_group::read(session, cluster, node_group).await,
        AwsDoes::LoadBalancer { host } => balancer::find(session, host).await,
        AwsDoes::TargetGroups { load_balancer } => balancer::groups(session, load_balancer).await,
        AwsDoes::TargetHealth { of } => balancer::health(session, of).await,
        AwsDoes::SecurityGroups { load_balancer } => balancer::security(session, load_balancer).await,
        AwsDoes::NetworkAcls { load_balancer } => balancer::acls(session, load_balancer).await,
        AwsDoes::HostedRecords { zone, name } => dns::records(session, zone.as_deref(), name).await,
        AwsDoes::AccessLogs { bucket, window } => access_logs::list(session, bucket, *window, now).await,
        AwsDoes::AccessLogSources { bucket, window, path } => {
            access_logs::sources(session, bucket, *window, path, now).await
        }
        AwsDoes::ApiDenials { cluster, window } => logs::denials(session, cluster, *window, now).await,
        AwsDoes::LogEvents { group, pattern, window } => {
            logs::events(session, group, pattern, *window, now).await
        }
        AwsDoes::AccountEvents { window } => trail::read(session, *window, now).await,
        AwsDoes::IpSet { ip_set } => firewall::ip_set(session, ip_set).await,
        AwsDoes::SecretRotation { secret } => secret::rotation(session, secret).await,
        _ => Ok(Answer::failed("a change is no read")),
    }
}
