//! Load balancers, security groups and the hosted zone.

use std::time::Duration;

use serde_json::{Value, json};

use super::super::bench::{Boto, text};
use super::{lab, list, until};

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
