//! RDS: found by the database's host; more capacity, another class, parameters, reboots, another writer; and
//! what CloudWatch and Performance Insights say of it.

use std::time::Duration;

use covet_tui::domain::{Acu, AwsDoes, Name};
use serde_json::{Value, json};

use super::bench::{Bench, now, text};

const WINDOW: Duration = Duration::from_hours(1);

fn acu(value: f64) -> Acu {
    Acu::try_from(value).unwrap()
}

/// An Aurora Serverless v2 cluster of two, and its endpoint.
fn cluster(bench: &mut Bench) -> String {
    bench.boto.call(
        "rds",
        "create_db_parameter_group",
        json!({"DBParameterGroupName": "shop-params",
        "DBParameterGroupFamily": "aurora-postgresql15", "Description": "ours"}),
    );
    let made = bench.boto.call(
        "rds",
        "create_db_cluster",
        json!({"DBClusterIdentifier": "shop-aurora",
        "Engine": "aurora-postgresql", "MasterUsername": "boss", "MasterUserPassword": "hunter2222",
        "ServerlessV2ScalingConfiguration": {"MinCapacity": 1, "MaxCapacity": 4}}),
    );
    for name in ["shop-1", "shop-2"] {
        bench.boto.call("rds", "create_db_instance", json!({"DBInstanceIdentifier": name, "DBInstanceClass": "db.serverless",
            "Engine": "aurora-postgresql", "DBClusterIdentifier": "shop-aurora", "DBParameterGroupName": "shop-params",
            "EnablePerformanceInsights": true}));
    }
    text(&made, "/DBCluster/Endpoint")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cluster_is_found_by_the_host_of_the_database() {
    let mut bench = Bench::new().await;
    let endpoint = cluster(&mut bench);
    let url = format!("postgresql+asyncpg://app:hunter22@{endpoint}:5432/shop");
    bench.set(&[("DATABASE_URL", &url)]);
    let found = bench.read(AwsDoes::DatabaseCluster { cluster: None }).await;
    assert!(found.ok && found.summary.contains("shop-aurora: available, 2 instances"), "{}", found.summary);
    let bound = |name: &str| found.bindings.get(name).map(String::as_str);
    assert_eq!(
        (bound("db_cluster"), bound("capacity_max"), bound("capacity_more")),
        (Some("shop-aurora"), Some("4"), Some("8"))
    );
    assert_eq!(bound("db_parameters"), Some("shop-params"));
    let lost = bench.read(AwsDoes::DatabaseCluster { cluster: Some("nowhere".into()) }).await;
    assert!(!lost.ok && lost.summary.contains("NotFound"), "{}", lost.summary);
    bench.set(&[("DATABASE_URL", "postgresql://app@db.example.com/shop")]);
    let lost = bench.read(AwsDoes::DatabaseCluster { cluster: None }).await;
    assert!(!lost.ok && lost.summary.contains("db.example.com"), "{}", lost.summary);
}

#[tokio::test(flavor = "multi_thread")]
async fn capacity_is_raised_put_back_and_never_lowered_by_itself() {
    let mut bench = Bench::new().await;
    cluster(&mut bench);
    let set = |min: f64, max: f64| AwsDoes::SetDatabaseCapacity {
        cluster: "shop-aurora".into(),
        min: acu(min),
        max: acu(max),
        may_lower: false,
    };
    let bounds = |bench: &mut Bench| {
        let found =
            bench.boto.call("rds", "describe_db_clusters", json!({"DBClusterIdentifier": "shop-aurora"}));
        let of = &found["DBClusters"][0]["ServerlessV2ScalingConfiguration"];
        (of["MinCapacity"].as_f64().unwrap(), of["MaxCapacity"].as_f64().unwrap())
    };
    assert!(bench.refused(set(1.0, 2.0)).await.contains("not lowered in an incident"));
    assert!(bench.refused(set(1.0, 4.0)).await.contains("already"));
    assert!(bench.refused(set(9.0, 8.0)).await.contains("no range"));
    let preview = bench.preview(set(2.0, 8.0)).await.unwrap();
    assert_eq!(bounds(&mut bench), (1.0, 4.0), "a preview changes nothing");
    assert!(preview.hazards.iter().any(|hazard| hazard.says.contains("ACU-hours more")));
    let outcome = bench.act(set(2.0, 8.0)).await;
    assert_eq!(bounds(&mut bench), (2.0, 8.0));
    let again = bench.undo(&outcome).await;
    assert_eq!(bounds(&mut bench), (1.0, 4.0));
    // Somebody else changed it after the way back was noted: undoing would undo that too.
    bench.boto.call(
        "rds",
        "modify_db_cluster",
        json!({"DBClusterIdentifier": "shop-aurora",
        "ServerlessV2ScalingConfiguration": {"MinCapacity": 4, "MaxCapacity": 16}}),
    );
    assert!(bench.undo_refused(&again).await.contains("was changed since"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parameter_is_raised_for_the_next_reboot_and_put_back() {
    let mut bench = Bench::new().await;
    cluster(&mut bench);
    let set = |group: &str, value: u64| AwsDoes::SetDatabaseParameter {
        group: group.into(),
        parameter: "max_connections".into(),
        value: Some(value),
        may_lower: false,
    };
    let value = |bench: &mut Bench| {
        let found =
            bench.boto.call("rds", "describe_db_parameters", json!({"DBParameterGroupName": "shop-params"}));
        let list = found["Parameters"].as_array().unwrap().clone();
        list.into_iter().find(|row| row["ParameterName"] == "max_connections")
    };
    assert!(bench.refused(set("default.aurora-postgresql15", 500)).await.contains("belongs to AWS"));
    // The group has no number: the preview says that it cannot compare.
    let preview = bench.preview(set("shop-params", 500)).await.unwrap();
    assert!(
        preview.hazards.iter().any(|hazard| hazard.says.contains("SHOW max_connections")),
        "{:?}",
        preview.hazards
    );
    bench.act(set("shop-params", 500)).await;
    let row = value(&mut bench).unwrap();
    assert_eq!(
        (&row["ParameterValue"], &row["ApplyMethod"]),
        (&json!("500"), &json!("pending-reboot")),
        "{row}"
    );
    assert!(bench.refused(set("shop-params", 500)).await.contains("give more than 500"));
    assert!(bench.refused(set("shop-params", 200)).await.contains("give more than 500"));
    let outcome = bench.act(set("shop-params", 800)).await;
    assert_eq!(value(&mut bench).unwrap()["ParameterValue"], "800");
    let undo = outcome.undo.clone().expect("a way back");
    assert!(undo.says.contains("after another reboot"), "{}", undo.says);
    // moto does not keep who set a value (`Source`), so the way back there is the engine's default, which moto
    // does not know either. With AWS's own answer it is the number that was set.
    println!("{undo:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_gets_another_class_and_its_old_one_again_and_is_rebooted() {
    let mut bench = Bench::new().await;
    bench.boto.call("rds", "create_db_instance", json!({"DBInstanceIdentifier": "alone", "DBInstanceClass": "db.r6g.large",
        "Engine": "postgres", "AllocatedStorage": 20, "MasterUsername": "boss", "MasterUserPassword": "hunter2222"}));
    let class = |bench: &mut Bench| {
        text(
            &bench.boto.call("rds", "describe_db_instances", json!({"DBInstanceIdentifier": "alone"})),
            "/DBInstances/0/DBInstanceClass",
        )
    };
    let set = AwsDoes::SetDatabaseClass { instance: "alone".into(), class: "db.r6g.xlarge".into() };
    let outcome = bench.act(set).await;
    assert_eq!(class(&mut bench), "db.r6g.xlarge");
    bench.undo(&outcome).await;
    assert_eq!(class(&mut bench), "db.r6g.large");
    let reboot = AwsDoes::RebootDatabase { instance: "alone".into() };
    let outcome = bench.act(reboot.clone()).await;
    assert!(outcome.undo.is_none());
    bench.boto.call("rds", "stop_db_instance", json!({"DBInstanceIdentifier": "alone"}));
    assert!(bench.refused(reboot).await.contains("not available"));
    // It has no bounds of capacity.
    let capacity = AwsDoes::SetDatabaseCapacity {
        cluster: "alone".into(),
        min: acu(1.0),
        max: acu(2.0),
        may_lower: false,
    };
    assert!(bench.preview(capacity).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn another_member_becomes_the_writer_if_there_is_one() {
    let mut bench = Bench::new().await;
    cluster(&mut bench);
    let writer = |bench: &mut Bench| {
        let found =
            bench.boto.call("rds", "describe_db_clusters", json!({"DBClusterIdentifier": "shop-aurora"}));
        let members = found["DBClusters"][0]["DBClusterMembers"].as_array().unwrap().clone();
        let writer = members.iter().find(|member| member["IsClusterWriter"] == true).unwrap();
        text(writer, "/DBInstanceIdentifier")
    };
    let before = writer(&mut bench);
    let fail_over = AwsDoes::FailOverDatabase { cluster: "shop-aurora".into() };
    bench.act(fail_over.clone()).await;
    assert_ne!(writer(&mut bench), before);
    let reader = if writer(&mut bench) == "shop-1" { "shop-2" } else { "shop-1" };
    bench.boto.call(
        "rds",
        "delete_db_instance",
        json!({"DBInstanceIdentifier": reader, "SkipFinalSnapshot": true}),
    );
    assert!(bench.refused(fail_over).await.contains("no reader"));
}

/// moto keeps CloudWatch's metrics, though not in the SDK's protocol: the script between translates by botocore.
#[tokio::test(flavor = "multi_thread")]
async fn cloudwatch_says_how_busy_each_instance_is() {
    let mut bench = Bench::new().await;
    cluster(&mut bench);
    let busy = AwsDoes::DatabaseMetrics { cluster: Some("shop-aurora".into()), window: WINDOW };
    let nothing = bench.read(busy.clone()).await;
    assert!(!nothing.ok && nothing.summary.contains("no points"), "{}", nothing.summary);
    for (minutes, cpu) in [(30_i64, 41.0), (20, 55.0), (10, 93.0), (2, 96.0)] {
        let at = (now().as_second() - minutes * 60).to_string();
        let datum = |metric: &str, instance: &str, value: f64| {
            json!({"MetricName": metric, "Value": value, "Timestamp": at,
            "Dimensions": [{"Name": "DBInstanceIdentifier", "Value": instance}]})
        };
        let data = [
            datum("CPUUtilization", "shop-1", cpu),
            datum("CPUUtilization", "shop-2", 12.0),
            datum("ServerlessDatabaseCapacity", "shop-1", 4.0),
            datum("DatabaseConnections", "shop-1", 88.0),
        ];
        bench.boto.call("cloudwatch", "put_metric_data", json!({"Namespace": "AWS/RDS", "MetricData": data}));
    }
    let reading = bench.read(busy).await;
    assert!(reading.ok && reading.summary.contains("shop-1: CPU 96 % now"), "{}", reading.summary);
    let has = |word: &str| reading.lines.iter().any(|(_, line)| line.contains(word));
    assert!(
        has("shop-1 is above 80 % CPU") && has("shop-1 is at its highest capacity, 4 ACUs"),
        "{:?}",
        reading.lines
    );
    assert!(has("shop-2") && has("DatabaseConnections"));
    let asked = bench.asked().await;
    let asked = asked.iter().rfind(|call| call["operation"] == "GetMetricData").unwrap();
    assert_eq!(
        asked["params"]["MetricDataQueries"].as_array().map(Vec::len),
        Some(10),
        "five metrics of two instances"
    );
}

/// moto has no Performance Insights: what it answers here was judged by botocore's models and parser.
#[tokio::test(flavor = "multi_thread")]
async fn performance_insights_says_what_the_database_waits_for() {
    let mut bench = Bench::new().await;
    cluster(&mut bench);
    let at = now().as_second();
    let points =
        |value: f64| json!([{"Timestamp": at - 120, "Value": value}, {"Timestamp": at - 60, "Value": value}]);
    let row = |wait: &str, value: f64| {
        json!({"Key": {"Metric": "db.load.avg",
        "Dimensions": {"db.wait_event.name": wait, "db.wait_event.type": wait}}, "DataPoints": points(value)})
    };
    bench
        .script(json!({
            "pi.GetResourceMetrics": [{"Identifier": "db-X", "MetricList": [
                {"Key": {"Metric": "db.load.avg"}, "DataPoints": points(7.5)}, row("CPU", 6.0), row("transactionid", 1.5)]}],
            "pi.DescribeDimensionKeys": [{"Keys": [
                {"Dimensions": {"db.sql_tokenized.statement": "SELECT *\n FROM orders WHERE note LIKE ?"}, "Total": 5.5}]}],
        }))
        .await;
    let reading =
        bench.read(AwsDoes::DatabaseLoad { cluster: Some("shop-aurora".into()), window: WINDOW }).await;
    assert!(reading.summary.contains("7.5 sessions at work, most in CPU"), "{}", reading.summary);
    assert!(reading.lines.iter().any(|(_, line)| line.contains("SELECT * FROM orders WHERE note LIKE ?")));
    let asked = bench.asked().await;
    let of: Vec<&Value> = asked.iter().filter(|call| call["service"] == "pi").collect();
    let resource: Name = text(of[0], "/params/Identifier").as_str().into();
    assert!(
        resource.starts_with("db-") && &*resource != "shop-1",
        "the resource id, not the name: {resource}"
    );
}
