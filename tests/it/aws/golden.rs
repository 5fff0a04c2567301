//! The requests we write and sign ourselves, byte for byte against those of botocore.

use std::process::Command;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use covet_tui::config::aws::{Endpoint, Prepared, Service, prepare, words};
use serde_json::{Value, json};

use super::bench::{python, script, text};

const AWS: Endpoint = Endpoint::Aws { fips: false, dual_stack: false };

fn rest(path: &str, query: &[(&str, &str)], body: Option<Value>) -> Prepared {
    Prepared::Rest { service: Service::Eks, path: path.to_owned(), query: words(query), body }
}

fn keys(token: Option<String>) -> Credentials {
    let (id, secret) = ("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY");
    Credentials::new(id, secret, token, None, "test")
}

fn of_botocore(command: &str) -> Vec<Value> {
    let ran = Command::new(python()).arg(script()).arg(command).output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    serde_json::from_slice(&ran.stdout).unwrap()
}

/// In the order of `GOLDEN` in moto.py.
fn ours() -> Vec<Prepared> {
    let query = |service: Service, action: &str, given: &[(&str, &str)]| {
        Prepared::Query(service, action.to_owned(), words(given))
    };
    let ec2 = |action: &str, given: &[(&str, &str)]| query(Service::Ec2, action, given);
    let rds = |action: &str, given: &[(&str, &str)]| query(Service::Rds, action, given);
    vec![
        ec2("DescribeInstanceStatus", &[("InstanceId.1", "i-0abc"), ("IncludeAllInstances", "true")]),
        ec2(
            "DescribeVolumes",
            &[("Filter.1.Name", "attachment.instance-id"), ("Filter.1.Value.1", "i-0abc")],
        ),
        ec2("ModifyVolume", &[("VolumeId", "vol-1"), ("Size", "200"), ("DryRun", "true")]),
        ec2(
            "CreateNetworkAclEntry",
            &[
                ("NetworkAclId", "acl-1"),
                ("RuleNumber", "99"),
                ("Protocol", "-1"),
                ("RuleAction", "deny"),
                ("Egress", "false"),
                ("CidrBlock", "203.0.113.0/24"),
            ],
        ),
        ec2(
            "AuthorizeSecurityGroupIngress",
            &[
                ("GroupId", "sg-1"),
                ("IpPermissions.1.IpProtocol", "tcp"),
                ("IpPermissions.1.FromPort", "443"),
                ("IpPermissions.1.ToPort", "443"),
                ("IpPermissions.1.IpRanges.1.CidrIp", "0.0.0.0/0"),
            ],
        ),
        ec2("TerminateInstances", &[("InstanceId.1", "i-0abc")]),
        query(
            Service::AutoScaling,
            "TerminateInstanceInAutoScalingGroup",
            &[("InstanceId", "i-0abc"), ("ShouldDecrementDesiredCapacity", "false")],
        ),
        query(
            Service::AutoScaling,
            "DescribeAutoScalingGroups",
            &[("AutoScalingGroupNames.member.1", "shop nodes")],
        ),
        query(
            Service::LoadBalancing,
            "DescribeTargetHealth",
            &[("TargetGroupArn", "arn:aws:x:targetgroup/a/1")],
        ),
        rds("DescribeDBClusters", &[("Marker", "bWFyayDDpA==/+ ")]),
        rds("DescribeDBInstances", &[("DBInstanceIdentifier", "shop-1")]),
        rds(
            "ModifyDBCluster",
            &[
                ("DBClusterIdentifier", "shop"),
                ("ApplyImmediately", "true"),
                ("ServerlessV2ScalingConfiguration.MinCapacity", "0.5"),
                ("ServerlessV2ScalingConfiguration.MaxCapacity", "16"),
            ],
        ),
        rds(
            "ModifyDBInstance",
            &[
                ("DBInstanceIdentifier", "shop-1"),
                ("DBInstanceClass", "db.r6g.large"),
                ("ApplyImmediately", "true"),
            ],
        ),
        rds(
            "ModifyDBParameterGroup",
            &[
                ("DBParameterGroupName", "shop-params"),
                ("Parameters.Parameter.1.ParameterName", "max_connections"),
                ("Parameters.Parameter.1.ApplyMethod", "pending-reboot"),
                ("Parameters.Parameter.1.ParameterValue", "500"),
            ],
        ),
        rds(
            "ResetDBParameterGroup",
            &[
                ("DBParameterGroupName", "shop-params"),
                ("Parameters.Parameter.1.ParameterName", "max_connections"),
                ("Parameters.Parameter.1.ApplyMethod", "pending-reboot"),
                ("ResetAllParameters", "false"),
            ],
        ),
        Prepared::S3List {
            bucket: "shop-logs".into(),
            prefix: "a b/AWSLogs/1/elasticloadbalancing/eu-west-1/2026/11/26/".into(),
            after: Some("1/x+y==".into()),
        },
        Prepared::S3Get {
            bucket: "shop-logs".into(),
            key: "AWSLogs/1/a b+c~d_20261126T0705Z_(x).log.gz".into(),
        },
        Prepared::S3List { bucket: "logs.shop.example".into(), prefix: "AWSLogs/".into(), after: None },
        Prepared::Json(
            Service::SystemsManager,
            "SendCommand".into(),
            json!({
                "DocumentName": "AWS-RunShellScript",
                "InstanceIds": ["i-0abc"],
                "Parameters": {"commands": ["systemctl is-active kubelet"]},
            }),
        ),
        Prepared::Json(
            Service::SecretsManager,
            "RotateSecret".into(),
            json!({
                "ClientRequestToken": "0".repeat(32),
                "SecretId": "shop/jwt",
            }),
        ),
        Prepared::Json(
            Service::CloudTrail,
            "LookupEvents".into(),
            json!({"MaxResults": 50, "StartTime": 1_764_140_400}),
        ),
        Prepared::Json(
            Service::Logs,
            "FilterLogEvents".into(),
            json!({"endTime": 2, "filterPattern": "{ $.a = 403 }", "logGroupName": "/aws/x", "startTime": 1}),
        ),
        Prepared::Json(
            Service::Firewall,
            "UpdateIPSet".into(),
            json!({
                "Addresses": ["203.0.113.7/32"],
                "Id": "11-22",
                "LockToken": "7-8",
                "Name": "blocked",
                "Scope": "REGIONAL",
            }),
        ),
        rest("/clusters/shop/node-groups/general", &[], None),
        rest("/clusters/shop/updates", &[("nodegroupName", "general")], None),
        rest(
            "/clusters/shop/node-groups/general/update-version",
            &[],
            Some(json!({"clientRequestToken": "0".repeat(32), "force": false})),
        ),
    ]
}

#[test]
fn requests_are_those_of_botocore() {
    let theirs = of_botocore("golden");
    let ours = ours();
    assert_eq!(theirs.len(), ours.len() * 2);
    for (call, theirs) in ours.iter().chain(&ours).zip(&theirs) {
        let name = format!("{} {}", text(theirs, "/operation"), text(theirs, "/region"));
        let header = |name: &str| theirs.pointer(&format!("/headers/{name}")).and_then(Value::as_str);
        let at: jiff::Timestamp =
            jiff::fmt::strtime::parse("%Y%m%dT%H%M%S%z", header("x-amz-date").unwrap().replace('Z', "+0000"))
                .unwrap()
                .to_timestamp()
                .unwrap();
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(at.as_second()).unwrap());
        let token = theirs.get("token").and_then(Value::as_str).map(ToOwned::to_owned);
        let request = prepare(call, &text(theirs, "/region"), &AWS, &keys(token), at).unwrap();
        assert_eq!(request.method().as_str(), text(theirs, "/method"), "{name}");
        assert_eq!(request.uri().to_string(), text(theirs, "/url"), "{name}");
        assert_eq!(String::from_utf8_lossy(request.body()), text(theirs, "/body"), "{name}");
        for (ours, value) in request.headers() {
            assert_eq!(Some(value.to_str().unwrap()), header(ours.as_str()), "{name}: {ours}");
        }
        // Ours were all theirs; the signature covers the rest.
        assert!(request.headers().contains_key("authorization"), "{name}");
    }
}

#[test]
fn they_go_where_botocore_sends_them_with_fips_and_dual_stack_too() {
    let ours = ours();
    let service_of = |call: &Prepared| match call {
        Prepared::Query(service, ..) | Prepared::Json(service, ..) | Prepared::Rest { service, .. } => {
            *service
        }
        Prepared::S3List { .. } | Prepared::S3Get { .. } => Service::S3,
    };
    let named = [
        ("autoscaling", Service::AutoScaling),
        ("cloudtrail", Service::CloudTrail),
        ("ec2", Service::Ec2),
        ("eks", Service::Eks),
        ("elbv2", Service::LoadBalancing),
        ("logs", Service::Logs),
        ("rds", Service::Rds),
        ("s3", Service::S3),
        ("secretsmanager", Service::SecretsManager),
        ("ssm", Service::SystemsManager),
        ("wafv2", Service::Firewall),
    ];
    let theirs = of_botocore("endpoints");
    assert_eq!(theirs.len(), named.len() * 16);
    for theirs in theirs {
        let flag = |name: &str| theirs[name].as_bool().unwrap();
        let (name, region) = (text(&theirs, "/service"), text(&theirs, "/region"));
        // In China there is no FIPS, whatever name botocore makes up for it.
        if region.starts_with("cn-") && flag("fips") {
            continue;
        }
        let url = text(&theirs, "/url");
        let (_, service) = named.iter().find(|(known, _)| *known == name).unwrap();
        let call = ours.iter().find(|call| service_of(call) == *service).unwrap();
        let endpoint = Endpoint::Aws { fips: flag("fips"), dual_stack: flag("dual_stack") };
        let request = prepare(call, &region, &endpoint, &keys(None), SystemTime::UNIX_EPOCH).unwrap();
        assert_eq!(request.uri().to_string(), url, "{theirs}");
    }
}
