//! How far an Aurora Serverless v2 cluster may grow.

use serde_json::{Value, json};

use super::plan::Plan;
use crate::config::aws::{AwsError, Session, words};
use crate::domain::{Acu, AwsDoes};
use crate::guard::{Guard, Hazard, Refusal};

pub(super) async fn image(session: &Session, cluster: &str) -> Result<Value, AwsError> {
    let asked = words(&[("DBClusterIdentifier", cluster)]);
    let found = session.rds().describe("DescribeDBClusters", asked).await?;
    let bounds = found.at("DBClusters/DBCluster/ServerlessV2ScalingConfiguration");
    let bound = |name: &str| bounds.and_then(|bounds| bounds.number::<f64>(name));
    Ok(json!({"cluster": cluster, "min": bound("MinCapacity"), "max": bound("MaxCapacity")}))
}

pub(super) fn plan(
    cluster: &str,
    min: Acu,
    max: Acu,
    may_lower: bool,
    before: Value,
) -> Result<Plan, Refusal> {
    let acu =
        |name: &str| before.get(name).and_then(Value::as_f64).and_then(|value| Acu::try_from(value).ok());
    let (Some(old_min), Some(old_max)) = (acu("min"), acu("max")) else {
        return Err(Refusal::new(format!("{cluster} is not Aurora Serverless v2: it has no ACU bounds"))
            .repair("change the class of its instances instead"));
    };
    if min > max || max.value() < 1.0 {
        return Err(Refusal::new(format!("{min} to {max} ACUs is no range that Aurora accepts")));
    }
    if max < old_max && !may_lower {
        return Err(Refusal::new(format!("the maximum is {old_max} ACUs: it is not lowered in an incident"))
            .repair(format!("give at least {old_max}")));
    }
    if (min, max) == (old_min, old_max) {
        return Err(Refusal::new(format!("{cluster} has {min} to {max} ACUs already")));
    }
    let cost = (max > old_max).then(|| {
        Hazard::note(
            Guard::Target,
            format!("it costs up to {} ACU-hours more an hour", max.value() - old_max.value()),
        )
    });
    let starved = (max < old_max).then(|| {
        Hazard::warn(
            Guard::Connections,
            "a lower maximum can starve the database, and lowers max_connections",
        )
    });
    // RDS caps max_connections at 2000 while the minimum is 0.5 ACUs or less.
    let capped = (min.value() <= 0.5 && old_min.value() > 0.5).then(|| {
        Hazard::warn(Guard::Connections, "with a minimum of 0.5 ACUs max_connections is capped at 2000")
    });
    let after = json!({"cluster": cluster, "min": min.value(), "max": max.value()});
    let plan = Plan {
        title: format!("let {cluster} have {min} to {max} ACUs instead of {old_min} to {old_max}"),
        targets: vec![cluster.to_owned()],
        before,
        after,
        ..Plan::default()
    };
    let back =
        AwsDoes::SetDatabaseCapacity { cluster: cluster.into(), min: old_min, max: old_max, may_lower: true };
    Ok(plan
        .hazard(cost)
        .hazard(starved)
        .hazard(capped)
        .undo(back, format!("{old_min} to {old_max} ACUs again")))
}

#[expect(clippy::disallowed_methods, reason = "hands, with a Warrant")]
pub(super) async fn send(session: &Session, cluster: &str, min: Acu, max: Acu) -> Result<(), AwsError> {
    let asked = words(&[
        ("DBClusterIdentifier", cluster),
        ("ApplyImmediately", "true"),
        ("ServerlessV2ScalingConfiguration.MinCapacity", &min.value().to_string()),
        ("ServerlessV2ScalingConfiguration.MaxCapacity", &max.value().to_string()),
    ]);
    session.rds().change("ModifyDBCluster", asked).await.map(drop)
}
