//! The Aurora cluster, its metrics and its load; and logs of calls that nobody made.

use serde_json::{Value, json};

use super::super::bench::text;
use super::{lab, list};

#[tokio::test(flavor = "multi_thread")]
async fn the_databases_cluster_is_measured_each_minute_and_may_grow() {
    let (lab, mut boto) = lab(None).await;
    let cluster = boto.call("rds", "describe_db_clusters", json!({"DBClusterIdentifier": "covet-aurora"}));
    let cluster = &cluster["DBClusters"][0];
    assert_eq!(cluster["ServerlessV2ScalingConfiguration"]["MaxCapacity"], 4.0);
    let member = text(cluster, "/DBClusterMembers/0/DBInstanceIdentifier");
    let found = boto.call("rds", "describe_db_instances", json!({"DBInstanceIdentifier": member}));
    let instance = &found["DBInstances"][0];
    assert_eq!(text(instance, "/DBInstanceClass"), "db.serverless");
    let resource = text(instance, "/DbiResourceId");
    assert!(
        boto.refused("rds", "describe_db_clusters", json!({"DBClusterIdentifier": "x"}))
            .contains("DBClusterNotFoundFault")
    );
    assert!(
        boto.refused("rds", "describe_db_instances", json!({"DBInstanceIdentifier": "x"}))
            .contains("DBInstanceNotFound")
    );

    let now = covet_tui::domain::Timestamp::now();
    let (from, to) = ((now - jiff::SignedDuration::from_hours(1)).to_string(), now.to_string());
    let query = |id: &str, metric: &str| {
        let of = json!({"Namespace": "AWS/RDS", "MetricName": metric, "Dimensions": [{"Name": "DBInstanceIdentifier", "Value": member}]});
        json!({"Id": id, "MetricStat": {"Metric": of, "Period": 60, "Stat": "Average"}})
    };
    let metrics = [
        "CPUUtilization",
        "DBLoad",
        "ACUUtilization",
        "ServerlessDatabaseCapacity",
        "DatabaseConnections",
        "CPUCreditBalance",
    ];
    let queries: Vec<Value> =
        metrics.iter().enumerate().map(|(place, name)| query(&format!("m{place}"), name)).collect();
    let asked = json!({"MetricDataQueries": queries, "StartTime": from, "EndTime": to, "ScanBy": "TimestampAscending"});
    let data = boto.call("cloudwatch", "get_metric_data", asked);
    let mut last = std::collections::BTreeMap::new();
    for (result, metric) in list(&data, "/MetricDataResults").iter().zip(metrics) {
        let (times, values) = (list(result, "/Timestamps"), list(result, "/Values"));
        assert_eq!(times.len(), values.len());
        if metric == "CPUCreditBalance" {
            assert!(values.is_empty(), "a serverless instance has no credits");
            continue;
        }
        assert!((50..=60).contains(&times.len()), "{metric}: {}", times.len());
        assert!(times.windows(2).all(|two| two[0].as_str() < two[1].as_str()), "{times:?}");
        last.insert(metric, values.last().unwrap().as_f64().unwrap());
    }
    assert!((10.0..60.0).contains(&last["CPUUtilization"]), "{last:?}");
    assert!((2.0..=4.0).contains(&last["ServerlessDatabaseCapacity"]), "{last:?}");
    assert!(
        (last["ACUUtilization"] - last["ServerlessDatabaseCapacity"] / 4.0 * 100.0).abs() < 1e-9,
        "{last:?}"
    );

    // Its load is what its waits and its statements make of it.
    let insight = |group: &str| {
        json!({"ServiceType": "RDS", "Identifier": resource, "StartTime": from, "EndTime": to, "PeriodInSeconds": 60,
            "MetricQueries": [{"Metric": "db.load.avg", "GroupBy": {"Group": group}}]})
    };
    let waits = boto.call("pi", "get_resource_metrics", insight("db.wait_event"));
    let mean = |row: &Value| {
        let points = list(row, "/DataPoints");
        points.iter().map(|point| point["Value"].as_f64().unwrap()).sum::<f64>() / points.len() as f64
    };
    let rows = list(&waits, "/MetricList");
    assert!(rows[0]["Key"].get("Dimensions").is_none(), "the first row is the sum");
    let (whole, parts) = (mean(&rows[0]), rows[1..].iter().map(mean).sum::<f64>());
    assert!((whole - parts).abs() < 1e-9 && whole > 0.3, "{whole} and {parts}");
    assert!(boto.refused("pi", "get_resource_metrics", insight("db.user")).contains("InvalidArgument"));
    let keys = json!({"ServiceType": "RDS", "Identifier": resource, "StartTime": from, "EndTime": to,
        "Metric": "db.load.avg", "GroupBy": {"Group": "db.sql_tokenized"}, "MaxResults": 3});
    let keys = boto.call("pi", "describe_dimension_keys", keys);
    let keys = list(&keys, "/Keys");
    assert_eq!(keys.len(), 3);
    assert!(keys[0]["Total"].as_f64().unwrap() >= keys[1]["Total"].as_f64().unwrap());
    assert!(text(&keys[0], "/Dimensions/db.sql_tokenized.statement").starts_with("SELECT"));

    let grow = |max: f64| json!({"DBClusterIdentifier": "covet-aurora", "ServerlessV2ScalingConfiguration": {"MinCapacity": 2.0, "MaxCapacity": max}});
    assert!(boto.refused("rds", "modify_db_cluster", grow(4.3)).contains("InvalidParameterValue"));
    let grown = boto.call("rds", "modify_db_cluster", grow(8.0));
    assert_eq!(grown["DBCluster"]["ServerlessV2ScalingConfiguration"]["MaxCapacity"], 8.0);

    // Nobody called what CloudTrail and the cluster's audit log keep.
    let trail = boto.call("cloudtrail", "lookup_events", json!({"MaxResults": 50}));
    assert!(list(&trail, "/Events").is_empty());
    let audit = json!({"logGroupName": "/aws/eks/covet-cluster/cluster", "filterPattern": "x"});
    assert!(list(&boto.call("logs", "filter_log_events", audit), "/events").is_empty());
    assert!(
        boto.refused("logs", "filter_log_events", json!({"logGroupName": "x"}))
            .contains("ResourceNotFoundException")
    );
    lab.stop().await;
}
