//! The doctor names who calls; the eye watches the database's instances at CloudWatch.

use std::time::Duration;

use covet_tui::domain::{Age, BlindKind, Origin, RdsMetric, Severity, Snapshot};
use covet_tui::eyes::{Eyes, doctor};
use covet_tui::rules::{Thresholds, judge};
use serde_json::json;
use tokio::sync::mpsc;

use super::bench::{Bench, now};

/// Folds what the eyes see until CloudWatch is as wanted.
async fn until(settings: &covet_tui::config::Settings, wanted: impl Fn(&Snapshot) -> bool) -> Snapshot {
    let (out, mut heard) = mpsc::channel(64);
    let _eyes = Eyes::open(settings, &[], now, out).await;
    let mut snapshot = Snapshot::default();
    let looking = async {
        while !wanted(&snapshot) {
            snapshot.fold(heard.recv().await.expect("an eye that is open"));
        }
    };
    tokio::time::timeout(Duration::from_secs(90), looking).await.expect("seen within a minute and a half");
    snapshot
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_names_who_calls_and_the_eye_watches_the_database() {
    let mut bench = Bench::new().await;
    bench.boto.call(
        "rds",
        "create_db_cluster",
        json!({"DBClusterIdentifier": "shop-aurora", "Engine": "aurora-postgresql",
        "MasterUsername": "boss", "MasterUserPassword": "hunter2222"}),
    );
    bench.boto.call(
        "rds",
        "create_db_instance",
        json!({"DBInstanceIdentifier": "shop-1", "DBInstanceClass": "db.r6g.large",
        "Engine": "aurora-postgresql", "DBClusterIdentifier": "shop-aurora"}),
    );
    let data = json!([{"MetricName": "CPUUtilization", "Value": 73.0, "Timestamp": (now().as_second() - 120).to_string(),
        "Dimensions": [{"Name": "DBInstanceIdentifier", "Value": "shop-1"}]}]);
    bench.boto.call("cloudwatch", "put_metric_data", json!({"Namespace": "AWS/RDS", "MetricData": data}));

    let unset =
        until(&bench.settings, |snapshot| matches!(snapshot.age(Origin::CloudWatch, now()), Age::Blind(..)))
            .await;
    let Age::Blind(blind, _) = unset.age(Origin::CloudWatch, now()) else { panic!() };
    assert_eq!(blind.kind, BlindKind::NotConfigured, "no database at RDS is known: {blind:?}");

    bench.set(&[("COVET_AWS_DB_CLUSTER", "shop-aurora")]);
    let seen = until(&bench.settings, |snapshot| snapshot.rds.is_some()).await;
    let load = seen.rds.unwrap();
    let cpu = load.of_writer(RdsMetric::CpuUtilization).expect("CPU of the writer");
    assert_eq!((&*cpu.instance, cpu.points.last().map(|(_, value)| value)), ("shop-1", Some(73.0)));

    let rows = doctor(&bench.settings, now, false).await;
    let row = rows.iter().find(|row| row.what == "AWS").expect("a row");
    assert!(row.ok && row.latency.is_some(), "{row:?}");
    assert!(
        row.says.contains("arn:aws:")
            && row.says.contains("us-east-1")
            && row.says.contains("database shop-aurora"),
        "{}",
        row.says
    );
    bench.set(&[("AWS_ENDPOINT_URL", "http://127.0.0.1:9")]);
    let rows = doctor(&bench.settings, now, false).await;
    let row = rows.iter().find(|row| row.what == "AWS").unwrap();
    assert!(!row.ok && row.repair.is_some(), "{row:?}");
}

/// One value a minute, for so many minutes until two minutes ago.
fn minutes(metric: &str, instance: &str, value: f64, minutes: i64) -> Vec<serde_json::Value> {
    let dimensions = json!([{"Name": "DBInstanceIdentifier", "Value": instance}]);
    let at = |ago: i64| (now().as_second() / 60 * 60 - 60 * ago).to_string();
    let point =
        |ago| json!({"MetricName": metric, "Value": value, "Timestamp": at(ago), "Dimensions": dimensions});
    (2..2 + minutes).map(point).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_cpu_at_rds_is_judged_with_its_figures_though_nobody_sees_the_database() {
    let mut bench = Bench::new().await;
    bench.boto.call(
        "rds",
        "create_db_instance",
        json!({"DBInstanceIdentifier": "shop-t", "DBInstanceClass": "db.t4g.medium", "Engine": "postgres",
        "AllocatedStorage": 20, "MasterUsername": "boss", "MasterUserPassword": "hunter2222"}),
    );
    for (metric, value) in
        [("CPUUtilization", 98.0), ("DatabaseConnections", 41.0), ("CPUCreditBalance", 0.5)]
    {
        let data = minutes(metric, "shop-t", value, 12);
        bench.boto.call("cloudwatch", "put_metric_data", json!({"Namespace": "AWS/RDS", "MetricData": data}));
    }
    bench.set(&[("COVET_AWS_DB_CLUSTER", "shop-t")]);
    let seen = until(&bench.settings, |snapshot| snapshot.rds.is_some()).await;
    let judgement = judge(&seen, &Thresholds::default(), now());
    let anomalies = judgement.anomalies();
    let found = anomalies.iter().find(|anomaly| &*anomaly.rule == "db-cpu").expect("db-cpu");
    assert_eq!(found.severity, Severity::Critical, "{found:?}");
    let says: Vec<&str> = found.evidence.iter().map(|fact| &*fact.says).collect();
    let figures = "shop-t: CPUUtilization 98 %, DatabaseConnections 41, CPUCreditBalance 0";
    assert!(says.iter().any(|says| says.starts_with(figures)), "{says:?}");
    assert!(says.iter().any(|says| says.contains("has spent its CPU credits")), "{says:?}");
    assert!(judgement.blind().iter().any(|(watched, _)| &*watched.name == "db-cpu"), "half blind");
}
