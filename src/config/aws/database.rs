//! Which RDS cluster is behind the database's host, and what it is made of. Only describes.

use aws_sdk_rds::types::{DbCluster as Cluster, DbInstance as Instance};

use super::{AwsError, AwsTrouble, Session, explain};

/// A database at RDS: an Aurora or Multi-AZ cluster, or one instance by itself.
#[derive(Clone, PartialEq, Debug)]
pub struct RdsCluster {
    pub name: String,
    pub engine: String,
    pub status: String,
    /// Bounds of Aurora Serverless v2 in ACUs.
    pub capacity: Option<(f64, f64)>,
    /// The cluster parameter group.
    pub parameters: Option<String>,
    pub members: Vec<RdsInstance>,
    /// It is an instance without a cluster.
    pub alone: bool,
}

/// One instance of it.
#[derive(Clone, PartialEq, Debug)]
pub struct RdsInstance {
    pub name: String,
    pub class: String,
    pub status: String,
    pub writer: bool,
    /// What Performance Insights calls it.
    pub resource: String,
    /// The instance parameter group, and whether its values are in force.
    pub parameters: Option<(String, String)>,
    /// Whether Performance Insights measures it; None when RDS does not say.
    pub insights: Option<bool>,
    pub pending: bool,
}

impl RdsCluster {
    pub fn writer(&self) -> Option<&RdsInstance> {
        self.members.iter().find(|member| member.writer)
    }
}

/// The host of a database URL, as applications write it.
pub fn host_of(url: &str) -> Option<String> {
    let (config, _) = crate::config::database(url).ok()?;
    config.get_hosts().iter().find_map(|host| match host {
        tokio_postgres::config::Host::Tcp(name) => Some(name.clone()),
        #[cfg(unix)]
        tokio_postgres::config::Host::Unix(_) => None,
    })
}

/// Whether a host is one of RDS.
pub fn is_rds(host: &str) -> bool {
    host.contains(".rds.amazonaws.com")
}

/// The region in the name of a host of RDS: `NAME.ID.REGION.rds.amazonaws.com`.
pub fn region_of(host: &str) -> Option<&str> {
    host.split_once(".rds.amazonaws.com")?.0.rsplit('.').next()
}

/// The cluster of this name, else the one behind this host.
///
/// # Errors
/// No such cluster in this account and region, or AWS cannot be asked.
pub async fn find_cluster(
    session: &Session,
    name: Option<&str>,
    host: Option<&str>,
) -> Result<RdsCluster, AwsError> {
    match (name, host) {
        (Some(name), _) => named(session, name).await,
        (None, Some(host)) => behind(session, host).await,
        (None, None) => {
            Err(AwsError::new(AwsTrouble::NotConfigured, "it is not known which RDS cluster is meant")
                .repair("set DATABASE_URL, or [aws] db_cluster"))
        }
    }
}

async fn named(session: &Session, name: &str) -> Result<RdsCluster, AwsError> {
    let answer = session.rds().describe_db_clusters().db_cluster_identifier(name).send().await;
    match answer {
        Ok(answer) => match answer.db_clusters().first() {
            Some(cluster) => whole(session, cluster).await,
            None => Err(absent(name)),
        },
        Err(error) => {
            let error = explain(&error);
            // It may be an instance without a cluster.
            match instance(session, name).await {
                Ok(found) if error.kind == AwsTrouble::Absent => Ok(alone(&found)),
                _ => Err(error),
            }
        }
    }
}

async fn behind(session: &Session, host: &str) -> Result<RdsCluster, AwsError> {
    let mut marker = None;
    loop {
        let answer = session.rds().describe_db_clusters().set_marker(marker).send().await;
        let answer = answer.map_err(|error| explain(&error))?;
        for cluster in answer.db_clusters() {
            let mut hosts = [cluster.endpoint(), cluster.reader_endpoint()]
                .into_iter()
                .flatten()
                .chain(cluster.custom_endpoints().iter().map(String::as_str));
            if hosts.any(|known| known.eq_ignore_ascii_case(host)) {
                return whole(session, cluster).await;
            }
        }
        marker = answer.marker().filter(|marker| !marker.is_empty()).map(ToOwned::to_owned);
        if marker.is_none() {
            break;
        }
    }
    // An instance's own endpoint begins with its name.
    let label = host.split('.').next().unwrap_or(host);
    match instance(session, label).await {
        Ok(found) if found.endpoint().and_then(|at| at.address()) == Some(host) => {
            match found.db_cluster_identifier() {
                Some(cluster) => Box::pin(named(session, cluster)).await,
                None => Ok(alone(&found)),
            }
        }
        _ => Err(absent(host)),
    }
}

async fn instance(session: &Session, name: &str) -> Result<Instance, AwsError> {
    let answer = session.rds().describe_db_instances().db_instance_identifier(name).send().await;
    let answer = answer.map_err(|error| explain(&error))?;
    answer.db_instances().first().cloned().ok_or_else(|| absent(name))
}

async fn whole(session: &Session, cluster: &Cluster) -> Result<RdsCluster, AwsError> {
    let name = cluster.db_cluster_identifier().unwrap_or_default().to_owned();
    let mut members = Vec::new();
    for member in cluster.db_cluster_members() {
        let id = member.db_instance_identifier().unwrap_or_default();
        let found = instance(session, id).await?;
        members.push(one(&found, member.is_cluster_writer().unwrap_or_default()));
    }
    let scaling = cluster.serverless_v2_scaling_configuration();
    Ok(RdsCluster {
        name,
        engine: cluster.engine().unwrap_or_default().to_owned(),
        status: cluster.status().unwrap_or_default().to_owned(),
        capacity: scaling.and_then(|bounds| bounds.min_capacity().zip(bounds.max_capacity())),
        parameters: cluster.db_cluster_parameter_group().map(ToOwned::to_owned),
        members,
        alone: false,
    })
}

fn alone(instance: &Instance) -> RdsCluster {
    let member = one(instance, true);
    RdsCluster {
        name: member.name.clone(),
        engine: instance.engine().unwrap_or_default().to_owned(),
        status: member.status.clone(),
        capacity: None,
        parameters: None,
        members: vec![member],
        alone: true,
    }
}

fn one(instance: &Instance, writer: bool) -> RdsInstance {
    let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
    let group = instance.db_parameter_groups().first();
    let pending = instance
        .pending_modified_values()
        .is_some_and(|values| values.db_instance_class().is_some() || values.allocated_storage().is_some());
    RdsInstance {
        name: text(instance.db_instance_identifier()),
        class: text(instance.db_instance_class()),
        status: text(instance.db_instance_status()),
        writer,
        resource: text(instance.dbi_resource_id()),
        parameters: group
            .map(|group| (text(group.db_parameter_group_name()), text(group.parameter_apply_status()))),
        insights: instance.performance_insights_enabled(),
        pending,
    }
}

fn absent(name: &str) -> AwsError {
    AwsError::new(
        AwsTrouble::Absent,
        format!("no RDS cluster or instance in this account and region is {name}"),
    )
    .repair("set [aws] db_cluster, or check account and region")
}
