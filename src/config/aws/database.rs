//! Which RDS cluster is behind the database's host, and what it is made of. Only describes.

use super::{AwsError, AwsTrouble, Session, Words, Xml, words};

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
    /// The class it gets when what waits is applied.
    pub waiting_class: Option<String>,
    /// Another class or another size waits.
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

/// The instance of this name.
///
/// # Errors
/// No such instance in this account and region, or AWS cannot be asked.
pub async fn find_instance(session: &Session, name: &str) -> Result<RdsInstance, AwsError> {
    Ok(one(&instance(session, name).await?, false))
}

async fn named(session: &Session, name: &str) -> Result<RdsCluster, AwsError> {
    let asked = words(&[("DBClusterIdentifier", name)]);
    match session.rds().describe("DescribeDBClusters", asked).await {
        Ok(answer) => match answer.at("DBClusters/DBCluster") {
            Some(cluster) => whole(session, cluster).await,
            None => Err(absent(name)),
        },
        // It may be an instance without a cluster.
        Err(error) => match instance(session, name).await {
            Ok(found) if error.kind == AwsTrouble::Absent => Ok(alone(&found)),
            _ => Err(error),
        },
    }
}

async fn behind(session: &Session, host: &str) -> Result<RdsCluster, AwsError> {
    let leads = |cluster: &&Xml| {
        let ends = cluster.each("CustomEndpoints/member").map(Xml::own);
        let mut hosts = [cluster.text("Endpoint"), cluster.text("ReaderEndpoint")].into_iter().chain(ends);
        hosts.any(|known| known.eq_ignore_ascii_case(host))
    };
    let of_page = |page: &Xml| page.each("DBClusters/DBCluster").find(leads).cloned();
    if let Some(cluster) = session.rds().seek("DescribeDBClusters", Words::new(), of_page).await? {
        return whole(session, &cluster).await;
    }
    // An instance's own endpoint begins with its name.
    let label = host.split('.').next().unwrap_or(host);
    match instance(session, label).await {
        Ok(found) if found.text("Endpoint/Address") == host => match found.some("DBClusterIdentifier") {
            Some(cluster) => Box::pin(named(session, cluster)).await,
            None => Ok(alone(&found)),
        },
        _ => Err(absent(host)),
    }
}

async fn instance(session: &Session, name: &str) -> Result<Xml, AwsError> {
    let asked = words(&[("DBInstanceIdentifier", name)]);
    let answer = session.rds().describe("DescribeDBInstances", asked).await?;
    answer.at("DBInstances/DBInstance").cloned().ok_or_else(|| absent(name))
}

async fn whole(session: &Session, cluster: &Xml) -> Result<RdsCluster, AwsError> {
    let mut members = Vec::new();
    for member in cluster.each("DBClusterMembers/DBClusterMember") {
        let found = instance(session, member.text("DBInstanceIdentifier")).await?;
        members.push(one(&found, member.text("IsClusterWriter") == "true"));
    }
    let bound = |name: &str| cluster.number(&format!("ServerlessV2ScalingConfiguration/{name}"));
    Ok(RdsCluster {
        name: cluster.text("DBClusterIdentifier").to_owned(),
        engine: cluster.text("Engine").to_owned(),
        status: cluster.text("Status").to_owned(),
        capacity: bound("MinCapacity").zip(bound("MaxCapacity")),
        parameters: cluster.some("DBClusterParameterGroup").map(ToOwned::to_owned),
        members,
        alone: false,
    })
}

fn alone(instance: &Xml) -> RdsCluster {
    let member = one(instance, true);
    RdsCluster {
        name: member.name.clone(),
        engine: instance.text("Engine").to_owned(),
        status: member.status.clone(),
        capacity: None,
        parameters: None,
        members: vec![member],
        alone: true,
    }
}

fn one(instance: &Xml, writer: bool) -> RdsInstance {
    let text = |path: &str| instance.text(path).to_owned();
    let group = instance.at("DBParameterGroups/DBParameterGroup");
    let waiting = |name: &str| instance.some(&format!("PendingModifiedValues/{name}")).map(ToOwned::to_owned);
    RdsInstance {
        name: text("DBInstanceIdentifier"),
        class: text("DBInstanceClass"),
        status: text("DBInstanceStatus"),
        writer,
        resource: text("DbiResourceId"),
        parameters: group.map(|group| {
            (group.text("DBParameterGroupName").to_owned(), group.text("ParameterApplyStatus").to_owned())
        }),
        insights: instance.some("PerformanceInsightsEnabled").map(|enabled| enabled == "true"),
        pending: waiting("DBInstanceClass").or_else(|| waiting("AllocatedStorage")).is_some(),
        waiting_class: waiting("DBInstanceClass"),
    }
}

fn absent(name: &str) -> AwsError {
    AwsError::new(
        AwsTrouble::Absent,
        format!("no RDS cluster or instance in this account and region is {name}"),
    )
    .repair("set [aws] db_cluster, or check account and region")
}
