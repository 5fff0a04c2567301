//! RDS: the Aurora cluster, its instance, and how far it may grow.

use super::Failure;
use super::query::{Asked, Said};
use super::xml::{element, list, text};
use crate::lab::world::{
    ACCOUNT, Capacity, DATABASE_HOST, DB_CLUSTER, DB_INSTANCE, DB_RESOURCE, REGION, World,
};

pub(super) const NAMESPACE: &str = "http://rds.amazonaws.com/doc/2014-10-31/";

/// ACUs, in halves (RDS API, ServerlessV2ScalingConfiguration).
const MOST: f64 = 256.0;

pub(super) fn answer(world: &mut World, asked: &Asked) -> Said {
    match asked.action() {
        "DescribeDBClusters" => {
            known(asked, "DBClusterIdentifier", DB_CLUSTER, "DBClusterNotFoundFault")?;
            Ok(list("DBClusters", "DBCluster", [cluster(world)]))
        }
        "DescribeDBInstances" => {
            known(asked, "DBInstanceIdentifier", DB_INSTANCE, "DBInstanceNotFound")?;
            Ok(list("DBInstances", "DBInstance", [instance()]))
        }
        "ModifyDBCluster" => {
            asked.needed("DBClusterIdentifier")?;
            known(asked, "DBClusterIdentifier", DB_CLUSTER, "DBClusterNotFoundFault")?;
            let was = world.rds().capacity;
            let given =
                |name: &str, was: f64| match asked.get(&format!("ServerlessV2ScalingConfiguration.{name}")) {
                    Some(text) => text.parse().map_err(|_| invalid(format!("{text} is no capacity"))),
                    None => Ok(was),
                };
            let wanted =
                Capacity { min: given("MinCapacity", was.min)?, max: given("MaxCapacity", was.max)? };
            let halves = [wanted.min, wanted.max].iter().all(|acus| (acus * 2.0).fract() == 0.0);
            if !halves || wanted.min > wanted.max || wanted.max < 1.0 || wanted.max > MOST {
                return Err(invalid("The capacity range is not valid".to_owned()));
            }
            world.set_capacity(wanted);
            Ok(element("DBCluster", [cluster(world)]))
        }
        _ => Err(Failure::action(asked.action())),
    }
}

fn invalid(says: String) -> Failure {
    Failure::new("InvalidParameterValue", says)
}

fn known(asked: &Asked, field: &str, name: &str, code: &'static str) -> Result<(), Failure> {
    match asked.get(field) {
        Some(other) if other != name => {
            Err(Failure { status: 404, ..Failure::new(code, format!("{field} {other} not found.")) })
        }
        _ => Ok(()),
    }
}

fn cluster(world: &World) -> String {
    let capacity = world.rds().capacity;
    let member = [
        text("DBInstanceIdentifier", DB_INSTANCE),
        text("IsClusterWriter", true),
        text("DBClusterParameterGroupStatus", "in-sync"),
        text("PromotionTier", 1),
    ];
    [
        text("DBClusterIdentifier", DB_CLUSTER),
        text("DBClusterArn", format!("arn:aws:rds:{REGION}:{ACCOUNT}:cluster:{DB_CLUSTER}")),
        text("Engine", "aurora-postgresql"),
        text("EngineVersion", "16.8"),
        text("EngineMode", "provisioned"),
        text("Status", "available"),
        text("Endpoint", DATABASE_HOST),
        text("ReaderEndpoint", DATABASE_HOST.replacen(".cluster-", ".cluster-ro-", 1)),
        text("Port", 5432),
        text("MultiAZ", false),
        text("DBClusterParameterGroup", "covet-aurora-cluster"),
        list("DBClusterMembers", "DBClusterMember", [member.concat()]),
        element(
            "ServerlessV2ScalingConfiguration",
            [text("MinCapacity", capacity.min), text("MaxCapacity", capacity.max)],
        ),
    ]
    .concat()
}

fn instance() -> String {
    let address = DATABASE_HOST.replacen(DB_CLUSTER, DB_INSTANCE, 1).replacen(".cluster-", ".", 1);
    let group = [text("DBParameterGroupName", "covet-aurora-pg16"), text("ParameterApplyStatus", "in-sync")];
    [
        text("DBInstanceIdentifier", DB_INSTANCE),
        text("DBInstanceArn", format!("arn:aws:rds:{REGION}:{ACCOUNT}:db:{DB_INSTANCE}")),
        text("DbiResourceId", DB_RESOURCE),
        text("DBInstanceClass", "db.serverless"),
        text("Engine", "aurora-postgresql"),
        text("EngineVersion", "16.8"),
        text("DBInstanceStatus", "available"),
        element("Endpoint", [text("Address", address), text("Port", 5432)]),
        text("DBClusterIdentifier", DB_CLUSTER),
        text("AvailabilityZone", format!("{REGION}a")),
        list("DBParameterGroups", "DBParameterGroup", [group.concat()]),
        text("PerformanceInsightsEnabled", true),
        text("PubliclyAccessible", false),
    ]
    .concat()
}
