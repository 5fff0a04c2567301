//! The lab's AWS, judged by boto3: every call that is served, and what is not.

use std::time::{Duration, Instant};

use covet_tui::lab::{Lab, Options, aws, start};
use serde_json::{Value, json};

use super::bench::{Boto, text};
use crate::pty::Terminal;

/// As many times faster than life.
const SPEED: f64 = 60.0;

async fn lab(drill: Option<&str>) -> (Lab, Boto) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let options = Options { drill: drill.map(str::to_owned), speed: SPEED, ..Options::default() };
    let lab = start(options).await.unwrap();
    let boto = Boto::new(lab.addresses().aws.port());
    (lab, boto)
}

fn list<'a>(value: &'a Value, path: &str) -> &'a Vec<Value> {
    value.pointer(path).and_then(Value::as_array).unwrap_or_else(|| panic!("no {path} in {value}"))
}

/// Asks until it is so.
fn until<R>(what: &str, mut ask: impl FnMut() -> Option<R>) -> R {
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(60) {
        if let Some(found) = ask() {
            return found;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("not within a minute: {what}");
}

/// Names of the nodes.
fn nodes(lab: &Lab) -> Vec<String> {
    let mut nodes: Vec<String> =
        lab.world(|world| world.machines()).into_iter().map(|(name, _)| name).collect();
    nodes.sort();
    nodes
}

fn running(boto: &mut Boto) -> Vec<Value> {
    let found = boto.call("ec2", "describe_instances", json!({}));
    let all = list(&found, "/Reservations").iter().map(|one| one["Instances"][0].clone());
    all.filter(|one| one["State"]["Name"] == "running").collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_environment_leads_to_the_account_and_to_nobody_else() {
    let (lab, mut boto) = lab(None).await;
    let env = lab.env();
    let given =
        |name: &str| env.iter().find(|(key, _)| *key == name).map(|(_, value)| value.clone()).unwrap();
    assert_eq!(given("AWS_ENDPOINT_URL"), format!("http://{}", lab.addresses().aws));
    assert_eq!(
        (given("AWS_ACCESS_KEY_ID"), given("AWS_SECRET_ACCESS_KEY"), given("AWS_REGION")),
        (aws::ACCESS_KEY.to_owned(), aws::SECRET_KEY.to_owned(), "us-east-1".to_owned())
    );
    let who = boto.call("sts", "get_caller_identity", json!({}));
    assert_eq!(text(&who, "/Account"), "111122223333");
    // What is not served is refused as AWS would refuse it, in the protocol of the service.
    for (service, operation, params, code) in [
        ("ec2", "describe_vpcs", json!({}), "InvalidAction"),
        ("autoscaling", "describe_policies", json!({}), "InvalidAction"),
        ("eks", "list_clusters", json!({}), "UnknownOperationException"),
        ("route53", "list_health_checks", json!({}), "InvalidAction"),
        ("wafv2", "list_ip_sets", json!({"Scope": "REGIONAL"}), "UnknownOperationException"),
        (
            "ec2",
            "describe_instances",
            json!({"Filters": [{"Name": "vpc-id", "Values": ["v"]}]}),
            "InvalidParameterValue",
        ),
    ] {
        let says = boto.refused(service, operation, params);
        assert!(says.contains(code), "{service}.{operation}: {says}");
    }
    // Nobody without the lab's key, nor in another region.
    let url = given("AWS_ENDPOINT_URL");
    let ask = |header: Option<&'static str>| {
        let asked = reqwest::Client::new().post(&url).body("Action=GetCallerIdentity&Version=2011-06-15");
        let asked = header.into_iter().fold(asked, |asked, value| asked.header("authorization", value));
        async move {
            let answer = asked.send().await.unwrap();
            (answer.status().as_u16(), answer.text().await.unwrap())
        }
    };
    let signed = |key: &str, region: &str| {
        format!(
            "AWS4-HMAC-SHA256 Credential={key}/20260101/{region}/sts/aws4_request, SignedHeaders=host, Signature=0a"
        )
    };
    let refusals = [
        (None, "MissingAuthenticationToken"),
        (Some(signed("AKIASOMEBODYSOWNKEY0", "us-east-1")), "InvalidClientTokenId"),
        (Some(signed(aws::ACCESS_KEY, "eu-west-1")), "SignatureDoesNotMatch"),
        (Some("AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE".to_owned()), "IncompleteSignature"),
    ];
    for (header, code) in refusals {
        let (status, body) = ask(header.map(|header| &*header.leak())).await;
        assert!(status == 403 && body.contains(code), "{code}: {status} {body}");
    }
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_stands_behind_each_node_and_is_replaced_when_it_is_terminated() {
    let (lab, mut boto) = lab(None).await;
    let machines = until("three instances", || Some(running(&mut boto)).filter(|found| found.len() == 3));
    let mut names: Vec<String> = machines.iter().map(|one| text(one, "/PrivateDnsName")).collect();
    names.sort();
    assert_eq!(names, nodes(&lab), "one for each node");
    let id = text(&machines[0], "/InstanceId");
    let asked = json!({"InstanceIds": [id], "IncludeAllInstances": true});
    let status = boto.call("ec2", "describe_instance_status", asked.clone());
    let status = &status["InstanceStatuses"][0];
    assert_eq!(
        (&status["SystemStatus"]["Status"], &status["InstanceStatus"]["Status"]),
        (&json!("ok"), &json!("ok"))
    );
    let says = boto.refused("ec2", "describe_instances", json!({"InstanceIds": ["i-0123456789abcdef0"]}));
    assert!(says.contains("InvalidInstanceID.NotFound"), "{says}");

    let place = boto.call("autoscaling", "describe_auto_scaling_instances", json!({"InstanceIds": [id]}));
    assert_eq!(text(&place, "/AutoScalingInstances/0/LifecycleState"), "InService");
    let group = text(&place, "/AutoScalingInstances/0/AutoScalingGroupName");
    let groups =
        boto.call("autoscaling", "describe_auto_scaling_groups", json!({"AutoScalingGroupNames": [group]}));
    assert_eq!(groups["AutoScalingGroups"][0]["DesiredCapacity"], 3);
    assert_eq!(list(&groups, "/AutoScalingGroups/0/Instances").len(), 3);
    assert!(list(&groups, "/AutoScalingGroups/0/SuspendedProcesses").is_empty());
    let eks = json!({"clusterName": "covet-cluster", "nodegroupName": "general"});
    let node_group = boto.call("eks", "describe_nodegroup", eks.clone());
    assert_eq!(text(&node_group, "/nodegroup/status"), "ACTIVE");
    assert_eq!(text(&node_group, "/nodegroup/resources/autoScalingGroups/0/name"), group);
    assert!(
        list(
            &boto.call("eks", "list_updates", json!({"name": "covet-cluster", "nodegroupName": "general"})),
            "/updateIds"
        )
        .is_empty()
    );
    assert!(
        boto.refused("eks", "describe_nodegroup", json!({"clusterName": "x", "nodegroupName": "y"}))
            .contains("ResourceNotFoundException")
    );
    assert!(boto.refused("eks", "update_nodegroup_version", eks).contains("AccessDeniedException"));

    // A rehearsal changes nothing; the call itself does.
    let says = boto.refused("ec2", "terminate_instances", json!({"InstanceIds": [id], "DryRun": true}));
    assert!(says.contains("DryRunOperation"), "{says}");
    let terminate = json!({"InstanceId": id, "ShouldDecrementDesiredCapacity": false});
    assert_eq!(running(&mut boto).len(), 3);
    let activity = boto.call("autoscaling", "terminate_instance_in_auto_scaling_group", terminate);
    assert_eq!(text(&activity, "/Activity/StatusCode"), "InProgress");
    let node = text(&machines[0], "/PrivateDnsName");
    until("the node is gone", || (!nodes(&lab).contains(&node)).then_some(()));
    let ended = boto.call("ec2", "describe_instances", json!({"InstanceIds": [id]}));
    assert_eq!(text(&ended, "/Reservations/0/Instances/0/State/Name"), "terminated");
    let after = until("another in its place", || Some(running(&mut boto)).filter(|found| found.len() == 3));
    assert!(after.iter().all(|one| one["InstanceId"] != id.as_str()));
    let mut names: Vec<String> = after.iter().map(|one| text(one, "/PrivateDnsName")).collect();
    names.sort();
    assert_eq!(names, nodes(&lab));
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_root_volume_grows_once_in_six_hours_and_the_machine_sees_it() {
    let (lab, mut boto) = lab(None).await;
    let machines = until("instances", || Some(running(&mut boto)).filter(|found| !found.is_empty()));
    let id = text(&machines[0], "/InstanceId");
    let asked = json!({"Filters": [{"Name": "attachment.instance-id", "Values": [id]}]});
    let found = boto.call("ec2", "describe_volumes", asked);
    let [volume] = &list(&found, "/Volumes")[..] else { panic!("{found}") };
    assert_eq!(text(volume, "/Attachments/0/Device"), text(&machines[0], "/RootDeviceName"));
    let (volume, size) = (text(volume, "/VolumeId"), volume["Size"].as_u64().unwrap());
    let changes = |boto: &mut Boto| {
        let found = boto.call("ec2", "describe_volumes_modifications", json!({"VolumeIds": [volume]}));
        list(&found, "/VolumesModifications").clone()
    };
    assert!(changes(&mut boto).is_empty());
    let to = |size: u64, dry: bool| json!({"VolumeId": volume, "Size": size, "DryRun": dry});
    assert!(boto.refused("ec2", "modify_volume", to(size, false)).contains("InvalidParameterValue"));
    assert!(boto.refused("ec2", "modify_volume", to(size + 20, true)).contains("DryRunOperation"));
    let begun = boto.call("ec2", "modify_volume", to(size + 20, false));
    assert_eq!(text(&begun, "/VolumeModification/ModificationState"), "modifying");
    until("its new size", || {
        (text(&changes(&mut boto)[0], "/ModificationState") != "modifying").then_some(())
    });
    let node = text(&machines[0], "/PrivateDnsName");
    let disk = ["lsblk", "-bnro"].map(str::to_owned);
    let wanted = ((size + 20) * 1024 * 1024 * 1024).to_string();
    until("the machine sees it", || {
        lab.world(|world| world.on_machine(&node, &disk)).out.contains(&wanted).then_some(())
    });
    let shown = boto.call("ec2", "describe_volumes", json!({"VolumeIds": [volume]}));
    assert_eq!(shown["Volumes"][0]["Size"], size + 20);
    let says = boto.refused("ec2", "modify_volume", to(size + 40, false));
    assert!(says.contains("VolumeModificationRateExceeded"), "{says}");
    assert!(
        boto.refused("ec2", "describe_volumes", json!({"VolumeIds": ["vol-0"]}))
            .contains("InvalidVolume.NotFound")
    );
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_hardware_is_impaired_and_its_group_leaves_it_when_it_was_told_to() {
    let (lab, mut boto) = lab(Some("node-notready.impaired")).await;
    let ill = until("an impaired instance", || {
        let all = boto.call("ec2", "describe_instance_status", json!({}));
        list(&all, "/InstanceStatuses")
            .iter()
            .find(|one| one["SystemStatus"]["Status"] == "impaired")
            .cloned()
    });
    assert_eq!(text(&ill, "/SystemStatus/Details/0/Status"), "failed");
    let id = text(&ill, "/InstanceId");
    let place = boto.call("autoscaling", "describe_auto_scaling_instances", json!({"InstanceIds": [id]}));
    assert_eq!(text(&place, "/AutoScalingInstances/0/HealthStatus"), "Unhealthy");
    let groups = boto.call("autoscaling", "describe_auto_scaling_groups", json!({}));
    assert_eq!(text(&groups, "/AutoScalingGroups/0/SuspendedProcesses/0/ProcessName"), "ReplaceUnhealthy");
    // Ten minutes of the lab.
    std::thread::sleep(Duration::from_secs(10));
    let found = boto.call("ec2", "describe_instances", json!({"InstanceIds": [id]}));
    assert_eq!(text(&found, "/Reservations/0/Instances/0/State/Name"), "running");
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_load_balancer_of_the_ingress_has_the_controllers_pods_as_targets() {
    let (lab, mut boto) = lab(None).await;
    let all = boto.call("elbv2", "describe_load_balancers", json!({}));
    let ours = list(&all, "/LoadBalancers")
        .iter()
        .find(|one| one["DNSName"] == covet_tui::lab::world::BALANCER)
        .cloned()
        .unwrap();
    let arn = text(&ours, "/LoadBalancerArn");
    assert_eq!(text(&ours, "/State/Code"), "active");
    let groups = boto.call("elbv2", "describe_target_groups", json!({"LoadBalancerArn": arn}));
    assert_eq!(list(&groups, "/TargetGroups").len(), 2);
    let group = text(&groups, "/TargetGroups/0/TargetGroupArn");
    let health = boto.call("elbv2", "describe_target_health", json!({"TargetGroupArn": group}));
    let targets = list(&health, "/TargetHealthDescriptions");
    assert!(!targets.is_empty());
    assert!(targets.iter().all(|one| one["TargetHealth"]["State"] == "healthy"), "{targets:?}");
    let says = boto.refused("elbv2", "describe_target_health", json!({"TargetGroupArn": "arn:x"}));
    assert!(says.contains("TargetGroupNotFound"), "{says}");
    assert!(
        boto.refused("elbv2", "describe_load_balancers", json!({"Names": ["x"]}))
            .contains("LoadBalancerNotFound")
    );

    // Its security group: the door closes with the rule, and opens with it.
    let id = text(&ours, "/SecurityGroups/0");
    let url = format!("https://{}/health/ready", lab.addresses().https);
    let https = reqwest::Client::builder()
        .tls_danger_accept_invalid_certs(true)
        .pool_max_idle_per_host(0)
        .build()
        .unwrap();
    let rule =
        json!([{"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]);
    let change = |dry: bool| json!({"GroupId": id, "IpPermissions": rule, "DryRun": dry});
    let open = async |boto: &mut Boto| {
        let found = boto.call("ec2", "describe_security_groups", json!({"GroupIds": [id]}));
        let rules = list(&found, "/SecurityGroups/0/IpPermissions").clone();
        let listed = rules.iter().any(|rule| rule["FromPort"] == 443);
        for _ in 0..50 {
            if https.get(&url).send().await.is_ok() == listed {
                return listed;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("the door is not as the group says: {rules:?}");
    };
    assert!(open(&mut boto).await);
    assert!(
        boto.refused("ec2", "authorize_security_group_ingress", change(false))
            .contains("InvalidPermission.Duplicate")
    );
    assert!(boto.refused("ec2", "revoke_security_group_ingress", change(true)).contains("DryRunOperation"));
    assert!(open(&mut boto).await, "a rehearsal changes nothing");
    boto.call("ec2", "revoke_security_group_ingress", change(false));
    assert!(!open(&mut boto).await);
    assert!(
        boto.refused("ec2", "revoke_security_group_ingress", change(false))
            .contains("InvalidPermission.NotFound")
    );
    assert!(
        boto.refused("ec2", "authorize_security_group_ingress", change(true)).contains("DryRunOperation")
    );
    let done = boto.call("ec2", "authorize_security_group_ingress", change(false));
    assert_eq!(text(&done, "/SecurityGroupRules/0/CidrIpv4"), "0.0.0.0/0");
    assert!(open(&mut boto).await);
    assert!(
        boto.refused("ec2", "describe_security_groups", json!({"GroupIds": ["sg-0"]}))
            .contains("InvalidGroup.NotFound")
    );
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_is_changed_spreads_and_is_forgotten_by_resolvers_last() {
    let (lab, mut boto) = lab(None).await;
    let zones = boto.call("route53", "list_hosted_zones", json!({}));
    assert_eq!(text(&zones, "/HostedZones/0/Name"), "yourdomain.com.");
    let zone = text(&zones, "/HostedZones/0/Id");
    let sets = |boto: &mut Boto, from: &str| {
        let found = boto.call(
            "route53",
            "list_resource_record_sets",
            json!({"HostedZoneId": zone, "StartRecordName": from}),
        );
        list(&found, "/ResourceRecordSets").clone()
    };
    let before = sets(&mut boto, "api.yourdomain.com");
    assert_eq!(text(&before[0], "/AliasTarget/DNSName"), format!("{}.", covet_tui::lab::world::BALANCER));
    let all: Vec<String> = sets(&mut boto, "yourdomain.com").iter().map(|set| text(set, "/Name")).collect();
    assert_eq!(all, ["yourdomain.com.", "yourdomain.com.", "yourdomain.com.", "api.yourdomain.com."]);
    let batch = |action: &str, set: &Value| json!({"HostedZoneId": zone, "ChangeBatch": {"Changes": [{"Action": action, "ResourceRecordSet": set}]}});
    let new = json!({"Name": "new.yourdomain.com", "Type": "A", "TTL": 30, "ResourceRecords": [{"Value": "198.51.100.7"}]});
    let change = boto.call("route53", "change_resource_record_sets", batch("CREATE", &new));
    let id = text(&change, "/ChangeInfo/Id");
    until("in sync", || {
        (text(&boto.call("route53", "get_change", json!({"Id": id})), "/ChangeInfo/Status") == "INSYNC")
            .then_some(())
    });
    assert_eq!(sets(&mut boto, "new.yourdomain.com")[0]["TTL"], 30);
    assert!(
        boto.refused("route53", "change_resource_record_sets", batch("CREATE", &new))
            .contains("InvalidChangeBatch")
    );
    let other = json!({"Name": "new.yourdomain.com", "Type": "A", "TTL": 31, "ResourceRecords": [{"Value": "198.51.100.7"}]});
    assert!(
        boto.refused("route53", "change_resource_record_sets", batch("DELETE", &other))
            .contains("InvalidChangeBatch")
    );
    boto.call("route53", "change_resource_record_sets", batch("DELETE", &new));
    assert!(sets(&mut boto, "new.yourdomain.com").iter().all(|set| set["Name"] != "new.yourdomain.com."));
    let strange = json!({"Name": "x.example.org", "Type": "A", "TTL": 30, "ResourceRecords": [{"Value": "198.51.100.7"}]});
    assert!(
        boto.refused("route53", "change_resource_record_sets", batch("UPSERT", &strange))
            .contains("InvalidChangeBatch")
    );
    assert!(
        boto.refused("route53", "list_resource_record_sets", json!({"HostedZoneId": "Z0"}))
            .contains("NoSuchHostedZone")
    );
    assert!(boto.refused("route53", "get_change", json!({"Id": "C0"})).contains("NoSuchChange"));
    lab.stop().await;
}

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

/// Everything that a person's shell and home may say of their own account; whoever follows it falls into the trap.
#[tokio::test(flavor = "multi_thread")]
async fn a_drill_never_asks_the_persons_own_account() {
    let trap = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let elsewhere = format!("http://{}", trap.local_addr().unwrap());
    let caught = tokio::spawn(async move { trap.accept().await.map(|(_, from)| from) });
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join(".aws");
    std::fs::create_dir(&folder).unwrap();
    let (process, ran) = (home.path().join("process"), home.path().join("ran"));
    let keys = r#"{"Version": 1, "AccessKeyId": "AKIASOMEBODYSOWNKEY1", "SecretAccessKey": "x"}"#;
    std::fs::write(&process, format!("#!/bin/sh\ntouch {}\necho '{keys}'\n", ran.display())).unwrap();
    std::fs::set_permissions(&process, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let profile = |name: &str| {
        let process = process.display();
        format!(
            "[{name}]\nregion = eu-central-1\ncredential_process = {process}\nendpoint_url = {elsewhere}\n"
        )
    };
    std::fs::write(folder.join("config"), profile("default") + &profile("profile work")).unwrap();
    let own = "aws_access_key_id = AKIASOMEBODYSOWNKEY2\naws_secret_access_key = x\n";
    std::fs::write(folder.join("credentials"), format!("[default]\n{own}[work]\n{own}")).unwrap();
    let config = folder.join("config").display().to_string();
    let terminal = tokio::task::spawn_blocking(move || {
        let shell = [
            ("AWS_PROFILE", "work"),
            ("AWS_REGION", "eu-central-1"),
            ("AWS_CONFIG_FILE", config.as_str()),
            ("AWS_ACCESS_KEY_ID", "AKIASOMEBODYSOWNKEY0"),
            ("AWS_SECRET_ACCESS_KEY", "x"),
            ("AWS_SESSION_TOKEN", "x"),
            ("AWS_ENDPOINT_URL", elsewhere.as_str()),
            ("AWS_ENDPOINT_URL_EC2", elsewhere.as_str()),
            ("AWS_ENDPOINT_URL_AUTO_SCALING", elsewhere.as_str()),
            ("AWS_ENDPOINT_URL_STS", elsewhere.as_str()),
        ];
        let drill = ["drill", "node-notready.impaired", "--seed", "7", "--speed", "20"];
        let terminal = Terminal::open_with(&drill, home.path(), 200, 110, &shell);
        // EC2 and Auto Scaling have answered.
        terminal.wait("EC2's word", |screen| {
            screen.contains("hardware impaired") && screen.contains("in group eks-general")
        });
        (terminal, home)
    });
    let (terminal, home) = terminal.await.unwrap();
    let said = terminal.raw_text();
    assert!(!said.contains("AKIA"), "a key is on the screen");
    assert!(!caught.is_finished(), "somebody else's endpoint was asked");
    assert!(!home.path().join("ran").exists(), "somebody's own credentials were asked for");
}
