//! The requests we write and sign ourselves, byte for byte against those of botocore.

use std::process::Command;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use covet_tui::config::aws::{Prepared, Service, prepare};
use serde_json::{Value, json};

use super::bench::{python, script, text};

fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// In the order of `GOLDEN` in moto.py.
fn ours() -> Vec<Prepared> {
    let ec2 = |action: &str, words: &[(&str, &str)]| Prepared::Ec2(action.to_owned(), pairs(words));
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
    ]
}

#[test]
fn requests_are_those_of_botocore() {
    let ran = Command::new(python()).arg(script()).arg("golden").output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    let theirs: Vec<Value> = serde_json::from_slice(&ran.stdout).unwrap();
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
        let keys = Credentials::new(
            "AKIAIOSFODNN7EXAMPLE",
            "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            token,
            None,
            "test",
        );
        let request = prepare(call, &text(theirs, "/region"), None, &keys, at).unwrap();
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
